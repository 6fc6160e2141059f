# SPDX-License-Identifier: GPL-2.0-or-later
"""The interrupts of a function that a program in the host owns, in both
accounts: what the device raised and what became of it, and what the program was
woken up for (tests/host/vectors.c)."""

import json

from lib.dma import PERIOD_US, RECORDS, Owned
from lib.hardware import probe, root_port
from lib.outcome import Timeout, check, equal
from lib.probe import CLEARS

# 100 a second
EVERY = 10
# a record each 10 us, which is the device's maximum, and an interrupt for each
STORM = {"period_us": 10, "every": 1}
# the device's registers, for somebody who is no CPU
RING, CONTROL = 0x10, 0x28
SETTINGS = (0x18, 0x1c, 0x20, 0x24)     # RECORDS, PERIOD_US, IRQ_EVERY, IRQ_VECTORS
IOVA = 256 << 30

FAULTS = ("irq_lost", "irq_before_data", "irq_extra")
# of a card's irq=, as VFIO calls them; the last two cannot hold one back
KINDS = {"msix": "msix", "msi": "msi", "msi-nomask": "msi", "intx": "intx"}
IRQ_INDEX = {"intx": 0, "msi": 1, "msix": 2}    # VFIO_PCI_*_IRQ_INDEX
KEPT = 1 | 2        # VFIO_LIVEUPDATE_DMA, VFIO_LIVEUPDATE_CONFIG
LATCHING = ("msix", "msi")


def cards(kinds, first=2):
    """Host.boot()'s devices: {name: (irq, vectors)}, each card in a port of its own."""
    return [line for slot, (name, (irq, vectors)) in enumerate(kinds.items(), first)
            for line in (root_port(f"rp{slot}", slot),
                         probe(name, f"rp{slot}", vfs=0, irq=irq, vectors=vectors))]


def owners(host, kinds):
    """Their owners: {name: Interrupting}."""
    return {name: Interrupting(host, name, irq, vectors)
            for name, (irq, vectors) in kinds.items()}


class Interrupting(Owned):
    """A function with so many vectors of one kind."""

    def __init__(self, host, name="probe0", irq="msix", vectors=4, **where):
        super().__init__(host, name, **where)
        self.kind = KINDS[irq]
        self.vectors = self.heard = vectors
        self.latches = irq in LATCHING

    # --- the program's side

    def listen(self):
        """Sets all vectors up, in the incoming kernel as in the first one; only the
        first `heard` have an eventfd."""
        self.do("vectors", self.kind, self.vectors, self.heard)

    def check_keeps(self):
        """What the kernel says beforehand that it can keep."""
        kind = 1 << IRQ_INDEX[self.kind]
        said = json.loads(self.do("keeps"))
        equal(said["flags"] & KEPT, KEPT, f"DMA and config space kept: {said}")
        equal((bool(said["latched"] & kind), bool(said["replayed"] & kind)),
              (self.latches, not self.latches), f"{self.kind} latched, and replayed: {said}")

    def raise_at(self, period_us=PERIOD_US, every=EVERY):
        self.arm(period_us, RECORDS, every, self.vectors)

    def counts(self):
        return json.loads(self.do("counts"))

    def wait_signals(self, but=(), seconds=20):
        """On all vectors with an eventfd `but` some, from now on."""
        before = self.counts()["signals"]
        vectors = [vector for vector in range(self.heard) if vector not in but]

        def all_came():
            now = self.counts()["signals"]
            return all(now[vector] > before[vector] for vector in vectors)

        self.host.wait(all_came, seconds, f"interrupts on vectors {vectors} of {self.name}")

    # --- from outside, with or without CPUs

    def _register(self, at):
        return self.state()["bars"]["0"] + at

    def start_from_outside(self, period_us=PERIOD_US, every=1):
        machine = self.host.machine
        self._from[0] = 0
        machine.write(self._register(RING), 8, IOVA)
        for at, value in zip(SETTINGS, (RECORDS, period_us, every, self.vectors)):
            machine.write(self._register(at), 4, value)
        machine.write(self._register(CONTROL), 4, 1)

    def stop_from_outside(self):
        self.host.machine.write(self._register(CONTROL), 4, 0)

    def mask_bits(self):
        """Of the MSI-X table, by vector."""
        table = self.state()["bars"]["2"]
        return [self.host.machine.read(table + 16 * vector + 12, 4) & 1
                for vector in range(self.vectors)]

    # --- both

    def settle(self, seconds=10):
        """For a device that raises no more: until each vector with an eventfd has
        had a wakeup after the last time that it was raised, or `seconds` are
        over. Returns the program's counts."""
        def woken():
            counts = self.counts()
            return None if any(self.late(counts)) else counts

        try:
            return self.host.wait(woken, seconds, "wakeups")
        except Timeout:
            return self.counts()

    def late(self, counts):
        """By vector with an eventfd: whether nobody was told of what it raised last."""
        return [seen < raised for seen, raised
                in zip(counts["seen"][:self.heard], counts["raised"])]

    def figures(self, replays=0):
        """Of a device that raises no more, since it was armed. Where it cannot hold
        interrupts back, there may be `replays` more than it raised, by vector."""
        counts, seen = self.settle(), self.counters()
        raised, delivered, coalesced, dropped = (
            seen[f"irq-{what}-by-vector"][:self.heard]
            for what in ("raised", "delivered", "coalesced", "dropped"))
        if self.kind == "intx":
            # held back and then acknowledged: VFIO polled it and told its owner
            delivered = [sum(both) for both in zip(delivered, dropped)]
        allowed = 0 if self.latches else replays
        return {
            "irq_raised": sum(raised),
            "irq_signals": sum(counts["signals"]),
            "irq_lost": sum(raised) - sum(delivered) - sum(coalesced) + sum(self.late(counts)),
            "irq_before_data": sum(counts["early"]),
            "irq_extra": sum(max(0, came - there - allowed) for came, there
                             in zip(counts["signals"], delivered)),
        }

    def check_latched(self, *vectors):
        """What these want to say waits: it is neither lost nor said."""
        counts, state = self.counts(), self.state()
        for vector in vectors:
            name = f"vector {vector} of {self.name}"
            check(counts["raised"][vector], f"interrupts raised on {name}")
            equal(counts["signals"][vector], 0, f"wakeups of {name}")
            check(state["irq-pending"] >> vector & 1, f"{name} latched: {state}")

    def check_kept(self, changes=0):
        """Since the last reset of the counters nobody reset it or changed its
        config space, but for where interrupts go and for their mask bits."""
        seen = self.counters()
        self._check_zero(0, "resets", *CLEARS)
        equal(seen["config-changes"], changes,
              f"config changes of {self.name}, writes {seen['config-log']}")
        equal(seen["dma-failed"], 0, f"records of {self.name} that failed")


def add_interrupts(test, name, said):
    """To the metrics: by name, and together."""
    test.metrics.setdefault("interrupts", {})[name] = said
    for figure, value in said.items():
        test.metrics[figure] = test.metrics.get(figure, 0) + value


def check_interrupts(said, name):
    check(said["irq_raised"] and said["irq_signals"], f"interrupts of {name} at all: {said}")
    equal({figure: said[figure] for figure in FAULTS if said[figure]}, {},
          f"interrupts of {name} that were lost, too early, or too many")
