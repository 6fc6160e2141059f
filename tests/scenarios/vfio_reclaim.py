# SPDX-License-Identifier: GPL-2.0-or-later
"""Devices that a program owns by VFIO go over a kexec with DMA and interrupts
running, and are reclaimed: no reset, no change in config space, no record
missed, no interrupt lost, none before its data, and none too many.

Nine devices. Interrupts come 100 times a second, or at the device's maximum;
by one vector or 64 of MSI-X, some of them masked by their owner, in the table or by
giving no eventfd; by MSI with mask bits and without, where one replay for each
vector is allowed; by INTx. Some go on all the time. Some are stopped
between the kernels: then nothing that comes later can hide a loss. One begins
only between the kernels, and one ends just before, with all of its last interrupts
still unread in its owner's eventfds: each of their vectors must be heard of exactly
once."""

from lib import dma
from lib.iommu import Iommu
from lib.outcome import equal
from lib.probe import add_figures
from lib.update import Update
from lib.vectors import STORM, add_interrupts, cards, check_interrupts, owners

KINDS = {"one": ("msix", 1), "many": ("msix", 64), "few": ("msix", 4), "late": ("msix", 64),
         "early": ("msix", 16), "msi": ("msi", 4), "plain": ("msi-nomask", 4), "intx": ("intx", 1),
         "storm": ("msix", 4)}
GO_ON = ("one", "many", "storm")
# to write a message in parts where it cannot be masked; the replay comes after
# that, and config_changes is without it
MSI_OFF_AND_ON = 2
# of "many": its owner's mask bits; the others have no eventfd
MASKED, SILENT = (60, 61), (62, 63)


def run(test):
    host = test.host().boot("a", luod=False, devices=cards(KINDS))
    iommu = Iommu(host)
    dma.serve(host)
    ones = owners(host, KINDS)
    start(ones)
    iommu.clear()
    update = Update(host).prepare()
    with test.part("prepared: interrupts go on"):
        for one in running(ones):
            one.wait_signals(but=MASKED)
        ones["many"].check_latched(*MASKED, *SILENT)
    for one in ones.values():
        one.do("pause")
    heard = last_words(host, ones["early"])
    update.jump(ones["late"].start_from_outside)
    for name, one in ones.items():
        if name not in GO_ON:
            one.stop_from_outside()
    with test.part("in the incoming kernel: nobody touched them"):
        for one in ones.values():
            one.check_kept()
    reclaim(test, host, ones)
    with test.part("early, late: each vector is heard of exactly once"):
        for name, before in (("early", heard), ("late", [0] * ones["late"].vectors)):
            equal(ones[name].settle()["signals"], [count + 1 for count in before],
                  f"signals of {name}, by vector")
    stopped_ones(test, ones)
    masked_ones(test, ones["many"])
    with test.part("finished: they go on"):
        for one in ones.values():
            one.finish()
        update.finish()
        for one in ones.values():
            one.wait_signals()
    running_ones(test, ones)
    for name, one in ones.items():
        with test.part(f"{name}: untouched to the end"):
            check_untouched(test, one)
    with test.part("no moment without protection"):
        add(test, iommu.figures(), "faults")


def start(ones):
    ones["many"].heard = SILENT[0]
    for one in ones.values():
        one.open()
        one.check_keeps()
        one.listen()
    for vector in MASKED:
        ones["many"].do("mask", vector)
    for name, one in ones.items():
        one.reset_counters()
        if name != "late":
            one.raise_at(**(STORM if name == "storm" else {}))
        one.preserve()


def last_words(host, one):
    """Raised on every vector, and not read. Returns the signals that were."""
    before = one.counts()
    host.wait(lambda: all(now > then for now, then
                          in zip(one.counts()["raised"], before["raised"])),
              20, f"interrupts of {one.name} that nobody reads")
    one.do("disarm")
    return before["signals"]


def running(ones):
    return [one for name, one in ones.items() if name != "late"]


def reclaim(test, host, ones):
    dma.serve(host)
    for name, one in ones.items():
        one.retrieve()
        check_ring(test, name, one)
        one.listen()


def check_ring(test, name, one):
    """From the first record to the newest, or what the storm left of them."""
    with test.part(f"{name}: records"):
        ring = one.ring()
        if name == "storm":
            ring["unseen"] = 0
        test.metrics.setdefault("rings", {})[name] = ring
        add(test, dma.figures([ring], []), f"losses: {ring}")
        dma.check_memory(ring)


def add(test, said, what):
    """To the metrics; all of it has to be 0."""
    for key, value in said.items():
        test.metrics[key] = test.metrics.get(key, 0) + value
    equal({key: value for key, value in said.items() if value}, {}, what)


def check_untouched(test, one, changes=0):
    """Since the last reset of the counters."""
    add_figures(test, one.counters())
    test.metrics["config_changes"] -= changes
    add(test, dma.figures([], [one.counters()]), f"losses of {one.name}")
    one.check_kept(changes)


def judge(test, name, one, replays=0):
    said = one.figures(replays)
    add_interrupts(test, name, said)
    check_interrupts(said, name)


def stopped_ones(test, ones):
    """The last word of each vector was said before there was a kernel to hear it."""
    for name, one in ones.items():
        if name in GO_ON:
            continue
        with test.part(f"{name}: all that was raised before the reclaim is heard of"):
            judge(test, name, one, replays=1)
            check_untouched(test, one, MSI_OFF_AND_ON if name == "plain" else 0)
        one.reset_counters()
        one.raise_at()


def masked_ones(test, one):
    with test.part("many: a vector without an eventfd stays latched until it has one"):
        one.check_latched(*SILENT)
        one.do("give", SILENT[0], len(SILENT))
        one.heard = one.vectors
        one.wait_signals(but=MASKED)
    with test.part("many: a vector that was masked in the table is heard of once it is set up"):
        equal(one.mask_bits(), [0] * one.vectors, "mask bits")
        one.wait_signals()


def running_ones(test, ones):
    for name, one in ones.items():
        one.do("disarm")
        with test.part(f"{name}: all that was raised in the end is heard of"):
            judge(test, f"{name}, in the end", one)
