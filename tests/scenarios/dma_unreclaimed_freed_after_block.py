# SPDX-License-Identifier: GPL-2.0-or-later
"""A device whose session nobody retrieves writes on until finish, into memory
that is still its own. Then its DMA is blocked, it is reset, and only then its
memory is freed, in this order.

The order is that of the incoming kernel's tracepoints: invalidation of the
device's entry in the IOMMU, FLR (the bus's FINISH), pages freed."""

import re

from lib import dma
from lib.hardware import probes
from lib.iommu import MODES, Iommu, boot
from lib.outcome import check, equal
from lib.probe import add_figures
from lib.update import NO_DRIVER, Update

DEVICES = probes({"probe0": ("rp2", 2)})
TRACING = "/sys/kernel/tracing"
SHMEM = "/sys/kernel/mm/transparent_hugepage/shmem_enabled"
PAGE, HUGE = 4096, 2 << 20
# of what the IOMMU remembers of a device, in legacy and in scalable mode
BLOCKED = {"legacy": "qi_submit: cc_inv", "scalable": "qi_submit: pc_inv"}


def run(test):
    for mode in MODES:
        unreclaimed(test, mode)


def unreclaimed(test, mode):
    host = test.host(mode).boot("a", luod=False, devices=DEVICES, **boot(mode))
    iommu = Iommu(host)
    # so that one page to look at stands for 2 MiB
    host.run(f"echo advise >{SHMEM}")
    dma.serve(host)
    one = dma.Owned(host)
    one.open(huge=True)
    one.arm()
    one.preserve()
    pattern = one.where()["pattern"]
    first = pattern // HUGE * HUGE
    iommu.clear()
    update = Update(host, cmdline=NO_DRIVER).prepare()
    one.reset_counters()
    update.jump()

    with test.part(f"{mode}: before finish it writes on, into its own memory"):
        equal(one.device().marks[1:], (1, 0), "preserved and reclaimed")
        one.check_untouched()
        equal(iommu.figures()["iommu_faults"], 0, "faults")
    lines = finish(host, update, first)
    seen = test.metrics[mode] = {"counters": one.counters(), **iommu.figures(), "trace": lines}
    add_figures(test, seen["counters"])
    with test.part(f"{mode}: blocked, reset, freed, in this order"):
        blocked = place(lines, BLOCKED[mode])
        reset = place(lines, rf"liveupdate_device: finish {one.device()} bus")
        freed = place(lines, "mm_page_free")
        check(blocked < reset < freed, f"the order of {lines}")
        equal(seen["translation_off_events"], 0, "times that translation was off")
    with test.part(f"{mode}: after finish it is an ordinary device"):
        equal(one.device().marks[1:], (0, 0), "preserved and reclaimed")
        check(not one.masters() and not one.state()["armed"], f"quiet: {one.state()}")
        equal(seen["counters"]["resets"]["flr"], 1, "FLRs")
        dma.serve(host)
        one.open()
        one.arm()
        one.check_ring()


def finish(host, update, first):
    """What the kernel did at finish, line by line."""
    host.run(f"""cd {TRACING} && echo >trace
        echo 'pfn=={first // PAGE}' >events/kmem/mm_page_free/filter
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
