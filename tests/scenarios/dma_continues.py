# SPDX-License-Identifier: GPL-2.0-or-later
"""Translated DMA of a program's devices goes on over a kexec: not one record is
lost, refused or misplaced, translation and interrupt remapping are never off.

Legacy and scalable mode, caching mode on and off. In each, two devices: one has
its memory in pages of 4 KiB, one in pages of 2 MiB (shmem's huge pages, as a
VM's RAM has them: memfds of hugetlb cannot be preserved). What the IOMMU really
uses is seen in L0."""

from lib import dma
from lib.hardware import probes
from lib.iommu import MODES, Iommu, boot
from lib.outcome import check, equal
from lib.probe import add_figures
from lib.update import Update, plain_kexec

KIB = 1 << 10
SIZES = {"small": 4 * KIB, "huge": 2048 * KIB}
DEVICES = probes({"small": ("rp2", 2), "huge": ("rp3", 3)})
SHMEM = "/sys/kernel/mm/transparent_hugepage/shmem_enabled"


def run(test):
    for mode in MODES:
        for caching in (True, False):
            name = f"{mode}, caching mode {'on' if caching else 'off'}"
            with test.part(name):
                continues(test, name, mode, caching)
    with test.part("the counters count: a kexec that nobody prepared turns protection off"):
        host = test.host("plain").boot("a", luod=False)
        iommu = Iommu(host)
        plain_kexec(host, "b")
        seen = test.metrics["plain kexec"] = iommu.figures()
        check(seen["translation_off_events"] and seen["remapping_off_events"], f"both off: {seen}")


def continues(test, name, mode, caching):
    key = f"{mode}-{'cm' if caching else 'nocm'}"
    host = test.host(key).boot("a", luod=False, devices=DEVICES, **boot(mode, caching))
    iommu = Iommu(host)
    equal(iommu.scalable, mode == "scalable", "scalable mode")
    host.run(f"echo advise >{SHMEM}")
    ones = [dma.Owned(host, size) for size in SIZES]
    start(host, ones)
    for one in ones:
        equal(iommu.page_sizes(one.device().address), {SIZES[one.name]}, f"pages of {one.name}")
    for one in ones:
        one.check_ring()
        one.preserve()
        one.reset_counters()
    iommu.clear()
    rings = {}
    try:
        update(host, ones, rings)
    finally:
        figures = {**dma.figures(list(rings.values()), [one.counters() for one in ones]),
                   **iommu.figures()}
        test.metrics[name] = {**figures, "rings": rings}
        for figure, value in figures.items():
            test.metrics[figure] = test.metrics.get(figure, 0) + value
        add_figures(test, *(one.counters() for one in ones))
    equal({figure: value for figure, value in figures.items() if value}, {},
          "faults, losses, and times that protection was off")


def start(host, ones):
    dma.serve(host)
    for one in ones:
        one.open(huge=one.name == "huge")
        one.arm()


def update(host, ones, rings):
    by_hand = Update(host).prepare().jump()
    for one in ones:
        one.check_untouched()
    dma.serve(host)
    for one in ones:
        one.retrieve()
        rings[one.name] = ring = one.ring()
        check(ring["last"], f"records of {one.name}: {ring}")
    for one in ones:
        one.check_undisturbed()
        one.finish()
    by_hand.finish()
    for one in ones:
        one.check_undisturbed()
