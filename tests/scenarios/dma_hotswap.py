# SPDX-License-Identifier: GPL-2.0-or-later
"""A device's page table is exchanged 1,000 times for another one under running
DMA: no fault, and not one record is lost. Once between two tables that stay,
once each time for that of a new address space, the old one being freed.

With VT-d in legacy mode and in scalable mode, and with AMD-Vi. Both tables map the same memory at the same
address, so whichever the hardware uses, the record is right."""

from lib import amdvi, dma
from lib.hardware import probes
from lib.iommu import MODES, Iommu, boot
from lib.outcome import check, equal

DEVICES = probes({"probe0": ("rp2", 2)})
TIMES = 1000
# often enough to hit a gap of some microseconds; for 3 s, and looked at in between
PERIOD_US, RECORDS = 200, 16384


def run(test):
    for mode in MODES:
        host = test.host(mode).boot("a", luod=False, devices=DEVICES, **boot(mode))
        iommu = Iommu(host)
        equal(iommu.scalable, mode == "scalable", "scalable mode")
        hotswap(test, mode, host, iommu)
    host = test.host(amdvi.MODE).boot("a", luod=False, devices=DEVICES, **amdvi.boot())
    hotswap(test, amdvi.MODE, host, amdvi.AmdVi(host))


def hotswap(test, mode, host, iommu):
    dma.serve(host)
    one = dma.Owned(host)
    one.open()
    one.arm(PERIOD_US, RECORDS)
    for how in ("swap", "renew"):
        with test.part(f"{mode}: {how}"):
            exchange(test, f"{mode}, {how}", one, iommu, how)


def exchange(test, name, one, iommu, how):
    one.reset_counters()
    iommu.clear()
    ring = one.exchange(how, TIMES)
    figures = {**dma.figures([ring], [one.counters()]), **iommu.figures()}
    test.metrics[name] = {"ring": ring, **figures}
    for key, value in figures.items():
        test.metrics[key] = test.metrics.get(key, 0) + value
    check(ring["exchanges"] >= TIMES, f"exchanges: {ring}")
    equal({key: value for key, value in figures.items() if value}, {}, "faults and losses")
    dma.check_memory(ring)
    check(one.counters()["dma-tried"] >= TIMES, f"records meanwhile: {one.counters()}")
