# SPDX-License-Identifier: GPL-2.0-or-later
"""A device's page table is exchanged 1,000 times for another one under running
DMA: no fault, and not one record is lost. Once between two tables that stay,
once each time for that of a new address space, the old one being freed.

In legacy mode and in scalable mode. Both tables map the same memory at the same
address, so whichever the hardware uses, the record is right."""

from lib import dma
from lib.hardware import probes
from lib.iommu import MODES, Iommu, boot
from lib.outcome import equal

DEVICES = probes({"probe0": ("rp2", 2)})
# often enough to hit a gap of some microseconds; for 3 s, and looked at in between
PERIOD_US, RECORDS = 200, 16384


def run(test):
    for mode in MODES:
        host = test.host(mode).boot("a", luod=False, devices=DEVICES, **boot(mode))
        iommu = Iommu(host)
        equal(iommu.scalable, mode == "scalable", "scalable mode")
        dma.serve(host)
        one = dma.Owned(host)
        one.open()
        one.arm(PERIOD_US, RECORDS)
        for how in ("swap", "renew"):
            with test.part(f"{mode}: {how}"):
                dma.exchange(test, f"{mode}, {how}", one, iommu, how)
