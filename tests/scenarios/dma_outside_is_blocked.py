# SPDX-License-Identifier: GPL-2.0-or-later
"""A device that is told to write outside of its mapping, before, during and
after the jump, cannot: the IOMMU blocks the write, no memory changes, and what
it writes into its mapping goes on.

Outside: just before and behind the mapping, and the physical addresses of its
own memory and of memory that is not mapped; there a write would arrive if DMA
were not translated. During the jump, with all CPUs standing still, the harness
tells the device, and looks at the memory itself. With VT-d and with AMD-Vi."""

from lib import amdvi, dma
from lib.hardware import probes
from lib.iommu import Iommu
from lib.outcome import check, equal
from lib.update import Update

DEVICES = probes({"probe0": ("rp2", 2)})
RECORD, PAGE = 64, 4096
POKE = 0x40


def run(test):
    attack(test, "VT-d", {}, Iommu)
    attack(test, "AMD-Vi", amdvi.boot(), amdvi.AmdVi)


def attack(test, name, machine, counter):
    host = test.host(name).boot("a", luod=False, devices=DEVICES, **machine)
    iommu = counter(host)
    dma.serve(host)
    one = dma.Owned(host)
    one.open()
    one.arm()
    where, register = one.where(), one.state()["bars"]["0"] + POKE
    metrics = test.metrics[name] = {}
    by_hand = Attack(metrics, iommu, one, where, lambda at: one.do("poke", at))
    from_outside = Attack(metrics, iommu, one, where, lambda at: host.machine.write(register, 8, at))
    with test.part(f"{name}: before the jump"):
        by_hand.run("before")
        one.check_ring()
    one.preserve()
    update = Update(host).prepare()
    with test.part(f"{name}: prepared"):
        by_hand.run("prepared")
    mark = host.console.mark
    with test.part(f"{name}: during the jump"):
        update.jump(lambda: from_outside.run("during"))
    with test.part(f"{name}: in the incoming kernel, nobody has it yet"):
        from_outside.run("after")
    dma.serve(host)
    one.retrieve()
    with test.part(f"{name}: retrieved"):
        by_hand.run("retrieved")
        one.check_ring()
    one.finish()
    update.finish()
    with test.part(f"{name}: finished, on a new page table"):
        by_hand.run("finished")
        one.check_ring()
        # not of every fault: the kernel limits their rate
        host.wait(lambda: iommu.logged.search(host.console.since(mark)), 10,
                  "fault in the kernel's log")


class Attack:
    """`poke` has the device write to an address."""

    def __init__(self, metrics, iommu, one, where, poke):
        self.metrics = metrics
        self.iommu = iommu
        self.one = one
        self.where = where
        self.poke = poke

    def run(self, when):
        said = self.metrics[when] = {}
        for name, at in self._targets().items():
            said[name] = {"address": hex(at), "faults": self._outside(name, at)}
        self._inside()

    def _targets(self):
        where = self.where
        return {"just before": where["iova"] - RECORD,
                "just behind": where["iova"] + where["size"],
                "own memory, physical": where["pattern"],
                "memory not mapped, physical": where["foreign"]}

    def _outside(self, name, at):
        before = self._memory()
        self.iommu.clear()
        equal(self._write(at), (1, 1), f"writes {name}, and those that failed")
        faults = self.iommu.faults()
        check(faults and all(at <= fault < at + RECORD for fault in faults),
              f"faults at {at:#x}, and only there: {faults}")
        check(self._memory() == before, f"memory unchanged after a write {name}")
        return len(faults)

    def _inside(self):
        """The same way of writing, where it may: it arrives."""
        machine, spare = self.one.host.machine, self.where["spare"]
        machine.write(spare, 8, 0)
        equal(self._write(self.where["spare_iova"]), (1, 0),
              "writes inside, and those that failed")
        check(machine.read(spare, 8), "a record in the spare page")

    def _write(self, at):
        before = self.one.counters()
        self.poke(at)
        after = self.one.counters()
        return tuple(after[key] - before[key] for key in ("poke-tried", "poke-failed"))

    def _memory(self):
        """As it is, without a CPU."""
        return [self.one.host.machine.memory(self.where[page], PAGE)
                for page in ("pattern", "foreign")]
