# SPDX-License-Identifier: GPL-2.0-or-later
"""A card that is pulled out in the middle of an update is lost, with a message;
the others go on, and so does the update. Once in prepared, once in the incoming
kernel before finish."""

from lib.device import message
from lib.hardware import Slot, probe, probes
from lib.outcome import equal
from lib.probe import add_figures, arm_all
from lib.update import NO_DRIVER, Update

PLACES = {"early": ("rp2", 2), "late": ("rp3", 3), "kept": ("rp4", 4)}


def run(test):
    host = test.host().boot("a", luod=False, devices=probes(PLACES), iommu=False)
    cards = arm_all(host, PLACES)
    devices = {name: one.device() for name, one in cards.items()}
    kept, late = cards["kept"], cards["late"]
    update = Update(host, cmdline=NO_DRIVER).prepare()
    for one in cards.values():
        one.reset_counters()

    with test.part("pulled in prepared: lost, the others go on"):
        test.metrics["early"] = pull(host, "early", devices["early"])
        equal(host.state, "prepared", "state")
        equal((kept.device().preserved, late.device().preserved), (True, True), "preserved")
        kept.check_untouched()
        late.check_untouched()
    update.jump()
    with test.part("in the incoming kernel: the others are there, untouched"):
        equal(devices["early"].there, False, "the one that was pulled there")
        for one in (kept, late):
            equal(one.device().marks[1:], (1, 0), "preserved and reclaimed")
            one.check_untouched()
    with test.part("pulled before finish: lost, the other goes on"):
        test.metrics["late"] = pull(host, "late", devices["late"])
        kept.check_untouched()
    add_figures(test, kept.counters())
    with test.part("finish"):
        update.finish()
        equal(kept.device().marks[1:], (0, 0), "preserved and reclaimed")
    with test.part("the slots take new cards"):
        for name in ("early", "late"):
            port, _ = PLACES[name]
            Slot(host.machine, port).plug(probe(f"new-{name}", port))
            host.wait(lambda at=devices[name]: at.there, 30, f"card in the slot of {name}")
            equal(devices[name].marks, (0, 0, 0), "requested, preserved and reclaimed")


def pull(host, name, device):
    mark = host.console.mark
    Slot(host.machine, PLACES[name][0]).pull()
    said = message(host, mark, device.address, "lost to the live update")
    host.wait(lambda: not device.there, 20, f"end of {device}")
    return said
