# SPDX-License-Identifier: GPL-2.0-or-later
"""A cancelled update leaves no trace on its devices: DMA and interrupts never
stopped, nothing is marked or kept, what was refused is allowed, and the next
update succeeds. So it is, too, when reboot(2) has already frozen them."""

from lib.device import Device
from lib.hardware import Function, probe, root_port, switch
from lib.outcome import check, equal
from lib.probe import Probe, add_figures
from lib.update import Update

BRIDGES = ("rp2", "down-up", "down")
DEVICES = [root_port("rp2", 2), *switch("rp2", "down", 3), probe("probe0", "down")]
HANDOVER = "cd /sys/kernel/debug/kho/out && find . -type f | sort"


def run(test):
    host = test.host().boot("a", luod=False, devices=DEVICES, cmdline="iommu=pt")
    one = Probe(host)
    one.arm()
    one.device().request()
    path = [one.device(), *(Device(host, Function(host.machine, name).address)
                            for name in BRIDGES)]
    update = Update(host)
    settings, handover = one.settings(), host.run(HANDOVER)
    one.reset_counters()

    for name, end in (("cancel of prepare", update.cancel),
                      ("cancel of prepare and reboot", update.dry_run)):
        with test.part(name):
            update.prepare()
            for device in path:
                check(device.preserved, f"{device} preserved")
            end()
            for device in path:
                equal(device.marks[1:], (0, 0), f"preserved and reclaimed of {device}")
            equal(one.settings(), settings, "settings of the device")
            equal(host.run(HANDOVER), handover, "what is handed over")
            one.check_untouched()
            one.check_ring()
            one.check_interrupts()
    add_figures(test, one.counters())

    with test.part("what was refused is allowed"):
        device = one.device()
        device.unbind()
        device.take("hlu_probe")
        device.request()
        one.arm()
    with test.part("the next update succeeds"):
        one.reset_counters()
        update.prepare().jump()
        equal(one.device().marks[1:], (1, 1), "preserved and reclaimed")
        one.check_dma()
        one.check_ring()
        update.finish()
