# SPDX-License-Identifier: GPL-2.0-or-later
"""In prepared nobody takes a preserved device away, nor one that it hangs on:
unbind, another driver, remove, reset, fewer VFs, a slot switched off, the slot's
button. Each is EBUSY with a message, and the device runs on. After a cancel all
of it works."""

from lib.device import PCI, Device, message, refused
from lib.hardware import Function, probe, root_port
from lib.outcome import Failed, equal
from lib.probe import Probe, add_figures
from lib.update import Update

SLOT = 2
DEVICES = [root_port("rp2", SLOT), probe("probe0", "rp2", vfs=2)]


def run(test):
    host = test.host().boot("a", luod=False, devices=DEVICES, iommu=False)
    one = Probe(host)
    one.device().write("sriov_numvfs", 2)
    one.arm(0, 1)
    pf, vf, port = one.device(), one.device(1), Device(host, Function(host.machine, "rp2").address)
    vf.request()
    update = Update(host)
    one.reset_counters()
    update.prepare()

    said = test.metrics["messages"] = {}
    for name, device, attempt in attempts(host, pf, vf, port):
        with test.part(f"{name} of the {device}: refused"):
            said[f"{name} of the {device}"] = attempt()
            one.check_untouched(0, 1)
    with test.part("the slot's button: refused"):
        mark = host.console.mark
        host.machine.qmp("device_del", id=one.name)
        said["button"] = message(host, mark, str(port), "live update", seconds=20)
        equal((pf.there, vf.there), (True, True), "PF and VF there")
        one.check_untouched(0, 1)
    with test.part("rescan: harmless"):
        host.run(f"echo 1 >{PCI}/rescan", 60)
        one.check_untouched(0, 1)
    add_figures(test, one.counters(), one.counters(1))

    update.cancel()
    with test.part("after a cancel: all of it works"):
        one.check_ring(0)
        one.check_ring(1)
        vf.unbind()
        vf.write("reset", 1)
        vf.take("hlu_probe")
        pf.write("sriov_numvfs", 0)
        host.run(f"echo 0 >{PCI}/slots/{SLOT}/power", 60)
        equal(pf.there, False, "PF there")
        gone(host, one.name)


def attempts(host, pf, vf, port):
    for name, device in (("VF", vf), ("PF", pf), ("port", port)):
        driver = f"echo {device} >{device.path}/driver/unbind"
        yield "unbind", name, lambda script=driver, at=device: refused(host, script, str(at))
        if name != "VF":    # which Linux lets nobody remove
            yield "remove", name, lambda at=device: at.refuses("remove", 1)
    for name, device in (("VF", vf), ("PF", pf)):
        yield "reset", name, lambda at=device: at.refuses("reset", 1)
    yield "number of VFs", "PF", lambda: pf.refuses("sriov_numvfs", 0)
    yield "slot", "port", lambda: refused(host, f"echo 0 >{PCI}/slots/{SLOT}/power", str(port))


def gone(host, name):
    try:
        Function(host.machine, name)
    except Failed:
        return
    raise Failed(f"{name} is still in its slot")
