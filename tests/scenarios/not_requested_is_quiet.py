# SPDX-License-Identifier: GPL-2.0-or-later
"""A device that nobody asked to keep has stopped before the jump: it is
disarmed and its bus mastering is off, while the requested one beside it runs."""

from lib.hardware import probe, root_port
from lib.outcome import check, equal
from lib.probe import Probe, add_figures
from lib.update import NO_DRIVER, Update

DEVICES = [root_port("rp2", 2), probe("kept", "rp2"), root_port("rp3", 3), probe("other", "rp3")]


def run(test):
    host = test.host().boot("a", luod=False, devices=DEVICES, iommu=False)
    kept, other = Probe(host, "kept"), Probe(host, "other")
    for one in (kept, other):
        one.arm()
    kept.device().request()
    update = Update(host, cmdline=NO_DRIVER).prepare()
    for one in (kept, other):
        one.reset_counters()
    states = test.metrics["between the kernels"] = {}

    def look():
        for one in (kept, other):
            states[one.name] = one.state()

    update.jump(look)
    with test.part("between the kernels, the requested device runs"):
        check(states["kept"]["armed"] and states["kept"]["command"] & 4,
              f"armed, and bus mastering on: {states}")
    with test.part("between the kernels, the other one is quiet"):
        check(not states["other"]["armed"] and not states["other"]["command"] & 4,
              f"disarmed, and bus mastering off: {states}")
        equal(other.state()["sequence"], states["other"]["sequence"], "records since then")
    with test.part("the requested device was not touched"):
        add_figures(test, kept.counters())
        kept.check_untouched()
    with test.part("the incoming kernel knows one from the other"):
        equal(kept.device().marks[1:], (1, 0), "preserved and reclaimed")
        equal(other.device().marks, (0, 0, 0), "requested, preserved and reclaimed")
        update.finish()
