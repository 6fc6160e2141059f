# SPDX-License-Identifier: GPL-2.0-or-later
"""Two devices in two sessions. A cancelled update leaves both as they were, and
their address spaces can be changed again. Then one session is given up: the
other device goes over the kexec and loses nothing, this one is quiet before
the jump, cannot reach its old memory after it, and can be used anew."""

from lib import dma
from lib.hardware import probes
from lib.iommu import Iommu
from lib.outcome import check, equal
from lib.probe import add_figures
from lib.update import Update

DEVICES = probes({"kept": ("rp2", 2), "other": ("rp3", 3)})
EBUSY = "EBUSY"


def run(test):
    host = test.host().boot("a", luod=False, devices=DEVICES)
    iommu = Iommu(host)
    dma.serve(host)
    kept, other = (dma.Owned(host, name) for name in ("kept", "other"))
    for one in (kept, other):
        one.open()
        one.arm()
        one.preserve()
        one.reset_counters()
    iommu.clear()
    update = Update(host)

    with test.part("prepared, then cancelled: both go on, as before"):
        update.prepare()
        update.cancel()
        for one in (kept, other):
            one.check_untouched()
            one.check_ring()
            check(EBUSY in host.fails(f"dma map_more {one.name}"), "address space frozen")
    with test.part("one session given up: its address space can be changed, the other's not"):
        other.do("cancel")
        other.device().request(False)
        other.do("map_more")
        check(EBUSY in host.fails("dma map_more kept"), "address space of the kept one frozen")
        for one in (kept, other):
            one.check_ring()
    where = other.where()
    states = test.metrics["between the kernels"] = {}
    update = Update(host).prepare()
    kept.reset_counters()
    update.jump(lambda: states.update({one.name: one.state() for one in (kept, other)}))
    with test.part("between the kernels: one runs, one is quiet"):
        check(states["kept"]["armed"] and states["kept"]["command"] & 4, f"kept: {states}")
        check(not states["other"]["command"] & 4, f"bus mastering of the other: {states}")
    with test.part("in the incoming kernel: one runs"):
        kept.check_untouched()
        figures = {**dma.figures([], [kept.counters()]), **iommu.figures()}
        test.metrics.update(figures)
        equal({key: value for key, value in figures.items() if value}, {}, "faults and losses")
        add_figures(test, kept.counters())
    with test.part("the other one is a stranger, and cannot reach its old memory"):
        equal(other.device().marks, (0, 0, 0), "requested, preserved and reclaimed")
        equal(other.device().driver, "hlu_probe", "driver")
        failed = other.counters()["poke-failed"]
        other.device().write("probe/poke", where["spare_iova"])
        equal(other.counters()["poke-failed"], failed + 1, "writes to its old memory that failed")
        check(iommu.faults(), "faults")
    with test.part("the kept one is retrieved and finished"):
        dma.serve(host)
        kept.retrieve()
        kept.check_undisturbed()
        kept.finish()
        update.finish()
        kept.check_undisturbed()
    with test.part("the other one can be used anew"):
        other.open()
        other.arm()
        other.check_ring()
        kept.check_ring()
