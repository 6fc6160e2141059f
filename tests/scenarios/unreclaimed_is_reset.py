# SPDX-License-Identifier: GPL-2.0-or-later
"""A device that nobody reclaimed is made an ordinary one at finish: its bus
mastering goes off, it is reset once, then its memory is free again and other
drivers may have it.

Its driver is left out of the incoming kernel."""

from lib.hardware import probe, root_port
from lib.outcome import check, equal
from lib.probe import RECORDS, Probe, add_figures
from lib.update import NO_DRIVER, Update

DEVICES = [root_port("rp2", 2), probe("probe0", "rp2")]
RECORD, PAGE = 64, 4096
FREE = 1 << 10          # KPF_BUDDY in /proc/kpageflags
VFIO = "echo 1234 4c50 >/sys/bus/pci/drivers/vfio-pci/{file}"


def run(test):
    host = test.host().boot("a", luod=False, devices=DEVICES, cmdline="iommu=pt")
    one = Probe(host)
    one.arm()
    device = one.device()
    device.request()
    # by the device, not by its driver
    ring = host.machine.read(one.state()["bars"]["0"] + 0x10, 8)
    update = Update(host, cmdline=NO_DRIVER).prepare().jump()

    with test.part("before finish: memory kept, no other driver"):
        equal(device.marks[1:], (1, 0), "preserved and reclaimed")
        equal(free_pages(host, ring), 0, "free pages of the ring")
        host.run(VFIO.format(file="new_id"))
        equal(device.driver, "", "driver")
        host.run(VFIO.format(file="remove_id"))
        one.check_dma()

    one.reset_counters()
    update.finish()
    seen = test.metrics["counters"] = one.counters()
    add_figures(test, seen)
    with test.part("at finish: bus mastering off, one FLR, no other reset"):
        check(not one.masters(), f"bus mastering off: {one.state()}")
        check(not one.state()["armed"], f"not armed: {one.state()}")
        equal(seen["resets"], {**dict.fromkeys(seen["resets"], 0), "flr": 1}, "resets")
        equal(seen["bme-clears"], 1, "times that bus mastering was turned off")
    with test.part("at finish: memory free"):
        pages = RECORDS * RECORD // PAGE
        # some of it may be in use again
        test.metrics["free_pages"] = f"{free_pages(host, ring)} of {pages}"
        check(free_pages(host, ring) > pages // 2,
              f"most of {pages} pages of the ring free: {test.metrics['free_pages']}")
    with test.part("after finish: an ordinary device"):
        equal(device.marks[1:], (0, 0), "preserved and reclaimed")
        host.run(VFIO.format(file="new_id"))
        equal(device.driver, "vfio-pci", "driver")


def free_pages(host, ring):
    flags = host.run(f"dd if=/proc/kpageflags bs=8 skip={ring // PAGE} "
                     f"count={RECORDS * RECORD // PAGE} 2>/dev/null | od -A n -v -t x8")
    return sum(bool(int(word, 16) & FREE) for word in flags.split())
