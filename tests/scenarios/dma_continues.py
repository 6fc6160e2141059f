# SPDX-License-Identifier: GPL-2.0-or-later
"""Translated DMA of a program's devices goes on over a kexec: not one record is
lost, refused or misplaced, translation and interrupt remapping are never off.

VT-d in legacy and scalable mode, with caching mode on and off, and AMD-Vi. In
each, two devices: one has its memory in pages of 4 KiB, one in pages of 2 MiB
(shmem's huge pages, as a VM's RAM has them: memfds of hugetlb cannot be
preserved). What the IOMMU really uses is seen in L0; AMD-Vi has sizes in between
and above, for pages that happen to lie side by side."""

from lib import amdvi, dma
from lib.hardware import probes
from lib.iommu import MODES, Iommu, boot
from lib.outcome import check, equal
from lib.probe import add_figures
from lib.update import Update, plain_kexec

MIB = 1 << 20
# pages of the IOMMU
SIZES = {"small": range(4096, 2 * MIB), "huge": range(2 * MIB, 1024 * MIB)}
DEVICES = probes({"small": ("rp2", 2), "huge": ("rp3", 3)})
SHMEM = "/sys/kernel/mm/transparent_hugepage/shmem_enabled"


def run(test):
    for mode in MODES:
        for caching in (True, False):
            name = f"{mode}, caching mode {'on' if caching else 'off'}"
            with test.part(name):
                key = f"{mode}-{'cm' if caching else 'nocm'}"
                host = test.host(key).boot("a", luod=False, devices=DEVICES,
                                           **boot(mode, caching))
                iommu = Iommu(host)
                equal(iommu.scalable, mode == "scalable", "scalable mode")
                continues(test, name, host, iommu)
    with test.part(amdvi.MODE):
        host = test.host(amdvi.MODE).boot("a", luod=False, devices=DEVICES, **amdvi.boot())
        continues(test, amdvi.MODE, host, amdvi.AmdVi(host))
    for name, counter, machine in (("VT-d", Iommu, {}), ("AMD-Vi", amdvi.AmdVi, amdvi.boot())):
        with test.part(f"{name}'s counters count: a kexec that nobody prepared turns it off"):
            host = test.host(f"plain-{name}").boot("a", luod=False, **machine)
            turned_off(test, name, host, counter(host))


def turned_off(test, name, host, iommu):
    plain_kexec(host, "b")
    seen = test.metrics[f"plain kexec, {name}"] = iommu.figures()
    check(seen["translation_off_events"] and seen["remapping_off_events"], f"both off: {seen}")


def continues(test, name, host, iommu):
    host.run(f"echo advise >{SHMEM}")
    ones = [dma.Owned(host, size) for size in SIZES]
    start(host, ones)
    for one in ones:
        sizes = iommu.page_sizes(one.device().address)
        check(all(size in SIZES[one.name] for size in sizes), f"pages of {one.name}: {sizes}")
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
