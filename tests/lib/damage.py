# SPDX-License-Identifier: GPL-2.0-or-later
"""Functions whose records of the IOMMU are damaged between two kernels, one field
each, the checksums right; and what becomes of them."""

from lib.outcome import equal
from lib.stray import PAGE, memory, write_from_outside

IDENTITY = 0xffffffff
PAGES = ("spare", "pattern", "foreign")
# its own memory, and what may not be reached by physical address
TARGETS = ("spare_iova", "spare", "foreign")

# kind and field of a record of a device's: what is written there, by what was there
VARIANTS = {
    "domain top": lambda found, where: where["foreign"],
    "domain format": lambda found, where: 0x55,
    "domain flags": lambda found, where: 1 << 31,
    "domain top_level": lambda found, where: 0xff,
    "domain vasz_lg2": lambda found, where: 64,
    "domain reserved": lambda found, where: 1,
    "domain nr_tables": lambda found, where: found + 1,
    "domain crc": lambda found, where: found ^ 1,
    "function segment": lambda found, where: 0x7fff0000,
    "function bdf": lambda found, where: 0xfff8,
    "function nr_entries": lambda found, where: 0xffff,
    "function domain": lambda found, where: IDENTITY,
    "entry unit": lambda found, where: found ^ 0x1000,
    "entry segment": lambda found, where: 1,
    "entry function": lambda found, where: 0xffffffff,
    "entry rid": lambda found, where: found ^ 1,
    "entry domain_id": lambda found, where: found ^ 1,
    "entry reserved": lambda found, where: 1 << 31,
    "entry word0": lambda found, where: found ^ PAGE,
    "entry word1": lambda found, where: found ^ 1 << 8,
    "head nr_entries": lambda found, where: 0xffffffff,
    "head hw": lambda found, where: found | 0xff,
}


class Victim:
    """Made before the jump."""

    def __init__(self, one):
        self.one = one
        self.where = one.where()
        self._before = memory(one, self.where, PAGES)

    def damage(self, handover, name):
        """While no CPU runs."""
        kind, field = name.split()
        record = _own(handover.iommu(), self.one)[kind]
        setattr(record, field, VARIANTS[name](getattr(record, field), self.where))

    def check_lost(self):
        """It reaches neither its own memory nor any by its physical address."""
        one = self.one
        before = one.counters()["poke-failed"]
        for name in TARGETS:
            write_from_outside(one, self.where[name])
        equal(one.counters()["poke-failed"] - before, len(TARGETS), f"failed writes of {one.name}")
        equal(memory(one, self.where, PAGES), self._before, f"memory of {one.name}")

    def refused(self):
        """Its owner does not get it back; returns what it is told."""
        self.one.device().take("vfio-pci")
        return self.one.host.fails(f"dma retrieve {self.one.name}").strip()


def _own(records, one):
    """The records that are about one function."""
    bdf = one.state()["address"]
    number, function = next((number, record) for number, record in enumerate(records["function"])
                            if record.bdf == bdf)
    return {"head": records["head"][0], "function": function,
            "domain": records["domain"][function.domain],
            "entry": next(entry for entry in records["entry"] if entry.function == number)}
