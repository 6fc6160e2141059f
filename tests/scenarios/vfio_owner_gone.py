# SPDX-License-Identifier: GPL-2.0-or-later
"""Devices whose owners do not come back. One session is never retrieved; of another
one the files are, but their owner dies before it has bound them. Until finish both
devices write on, into memory that is still theirs. At finish each is blocked in the
IOMMU, then reset, and only then is its memory freed; it raises no interrupt any
more, and can be used anew.

The order is that of the incoming kernel's tracepoints."""

import re

from lib import dma
from lib.iommu import Iommu
from lib.outcome import check, equal
from lib.probe import add_figures
from lib.update import Update
from lib.vectors import cards, owners

KINDS = {"never": ("msix", 4), "died": ("msix", 4)}
TRACING = "/sys/kernel/tracing"
SHMEM = "/sys/kernel/mm/transparent_hugepage/shmem_enabled"
PAGE, HUGE = 4096, 2 << 20


def run(test):
    host = test.host().boot("a", luod=False, devices=cards(KINDS))
    iommu = Iommu(host)
    # so that one page to look at stands for 2 MiB
    host.run(f"echo advise >{SHMEM}")
    dma.serve(host)
    ones = owners(host, KINDS)
    pages = {}
    for name, one in ones.items():
        one.open(huge=True)
        one.listen()
        one.raise_at()
        one.preserve()
        pages[name] = one.where()["pattern"] // HUGE * HUGE // PAGE
    update = Update(host).prepare()
    for one in ones.values():
        one.do("pause")
        one.reset_counters()
    update.jump()
    dma.serve(host)
    for one in ones.values():
        one.device().take(dma.DRIVER)
    ones["died"].do("fetch")
    ones["died"].do("close")
    with test.part("before finish they write on, into their own memory"):
        for one in ones.values():
            equal(one.device().marks[1:], (1, 0), f"preserved and reclaimed of {one.name}")
            one.check_dma()
            one.check_kept()
        equal(iommu.figures()["iommu_faults"], 0, "faults")
    lines = finish(host, update, pages)
    test.metrics["trace"] = lines
    for name, one in ones.items():
        add_figures(test, one.counters())
        with test.part(f"{name}: blocked, reset, freed, in this order"):
            # of what the IOMMU remembers of this device
            blocked = place(lines, rf"qi_submit: cc_inv .*: 0x{one.state()['address']:x}\w{{8}} ")
            reset = place(lines, rf"liveupdate_device: finish {one.device()} bus")
            freed = place(lines, rf"mm_page_free.* pfn=0x{pages[name]:x} ")
            check(blocked < reset < freed, f"the order of {lines}")
            equal(one.counters()["resets"]["flr"], 1, "FLRs")
        with test.part(f"{name}: quiet, and as new"):
            state = one.state()
            check(not one.masters() and not state["armed"] and not state["msix-enabled"],
                  f"quiet: {state}")
            equal(one.device().marks[1:], (0, 0), "preserved and reclaimed")
            one.open()
            one.listen()
            one.raise_at()
            one.wait_signals()
            one.check_ring()


def finish(host, update, pages):
    """What the kernel did at finish, line by line."""
    which = " || ".join(f"pfn=={page}" for page in pages.values())
    host.run(f"""cd {TRACING} && echo >trace
        echo '{which}' >events/kmem/mm_page_free/filter
        for event in kmem/mm_page_free intel_iommu/qi_submit liveupdate/liveupdate_device; do
            echo 1 >events/$event/enable
        done""")
    update.finish()
    text = host.run(f"echo 0 >{TRACING}/events/enable; "
                    f"grep -v '^#' {TRACING}/trace")
    return [line.partition(": ")[2] for line in text.splitlines()]


def place(lines, pattern):
    """Of the first line that has it."""
    for number, line in enumerate(lines):
        if re.search(pattern, line):
            return number
    check(False, f"{pattern} in {lines}")
