# SPDX-License-Identifier: GPL-2.0-or-later
"""A function that is told to write where it must not, by its owner or from
outside, and what became of that by L0's account and by memory itself."""

from lib.outcome import check, equal

RECORD, PAGE = 64, 4096
# the device's register, for somebody who is no CPU
POKE = 0x40
PAGES = ("pattern", "foreign")


def write_from_outside(one, address):
    one.host.machine.write(one.state()["bars"]["0"] + POKE, 8, address)


def memory(one, where, pages=PAGES):
    """As it is, without a CPU."""
    return [one.host.machine.memory(where[page], PAGE) for page in pages]


class Stray:
    """`iommu` is for this only: it counts from each attempt anew. Each run is one
    of `metrics`."""

    def __init__(self, metrics, iommu, one):
        self.metrics = metrics
        self.iommu = iommu
        self.one = one
        self.where = one.where()

    def by_hand(self, when):
        self._run(when, lambda at: self.one.do("poke", at))

    def from_outside(self, when):
        self._run(when, lambda at: write_from_outside(self.one, at))

    def targets(self):
        where = self.where
        return {"just before": where["iova"] - RECORD,
                "just behind": where["iova"] + where["size"],
                "own memory, physical": where["pattern"],
                "memory not mapped, physical": where["foreign"]}

    def _run(self, when, poke):
        said = self.metrics[when] = {}
        for name, at in self.targets().items():
            said[name] = {"address": hex(at), "faults": self._outside(name, at, poke)}
        self._inside(poke)

    def _outside(self, name, at, poke):
        before = memory(self.one, self.where)
        self.iommu.clear()
        equal(self._write(at, poke), (1, 1), f"writes {name}, and those that failed")
        faults = self.iommu.faults()
        check(faults and all(at <= fault < at + RECORD for fault in faults),
              f"faults at {at:#x}, and only there: {faults}")
        check(memory(self.one, self.where) == before, f"memory unchanged after a write {name}")
        return len(faults)

    def _inside(self, poke):
        """The same way of writing, where it may: it arrives."""
        machine, spare = self.one.host.machine, self.where["spare"]
        machine.write(spare, 8, 0)
        equal(self._write(self.where["spare_iova"], poke), (1, 0),
              "writes inside, and those that failed")
        check(machine.read(spare, 8), "a record in the spare page")

    def _write(self, at, poke):
        before = self.one.counters()
        poke(at)
        after = self.one.counters()
        return tuple(after[key] - before[key] for key in ("poke-tried", "poke-failed"))
