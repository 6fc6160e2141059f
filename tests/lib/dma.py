# SPDX-License-Identifier: GPL-2.0-or-later
"""A function of hlu-probe that a program in the host owns, as a VMM would: by
VFIO and iommufd, with translated DMA into a memfd (tests/host/dma.c)."""

import errno
import json

from lib.outcome import check, equal
from lib.probe import Probe

# a record each ms, and the largest ring: for 65 s, longer than any jump
PERIOD_US, RECORDS = 1000, 65536
EXCHANGES = 1000
DRIVER = "vfio-pci"
# a record that is there in part has a wrong checksum
FAULTS = {"dma_missed": ("missed", "unseen", "bad_crc"), "out_of_order": ("out_of_order", "wrong")}


def serve(host):
    """Starts the program, in each kernel anew."""
    host.run("dma serve </dev/null >>/share/logs/dma.log 2>&1 &")
    host.wait(lambda: host.run("test -S /run/dma && echo yes || true"), 10, "dma serve")


class Owned(Probe):
    """Its name is that of the device in QEMU, too, unless it is a VF: then all
    that is asked here is about this one."""

    def __init__(self, host, name="probe0", card=None, number=0):
        super().__init__(host, card or name)
        self.name = name
        self.number = number

    def _get(self, what, function):
        equal(function, 0, "function of a device that is one")
        return super()._get(what, self.number)

    def do(self, command, *args, seconds=60):
        words = " ".join(str(arg) for arg in args)
        return self.host.run(f"dma {command} {self.name} {words}", seconds)

    def open(self, mib=8, huge=False):
        self._bind()
        self.do("open", self.device(), mib, "huge" if huge else "small")

    def _bind(self):
        if self.device().driver != DRIVER:
            self.device().take(DRIVER)

    def where(self):
        return json.loads(self.do("where"))

    def arm(self, period_us=PERIOD_US, records=RECORDS, irq_every=0, irq_vectors=1):
        self.do("arm", period_us, records, irq_every, irq_vectors)
        self._from[0] = 0
        self.wait_dma()

    def ring(self, function=0):
        return json.loads(self.do("check", self._from[0]))

    # --- live update

    def preserve(self):
        """Into a session of its own; the device may stay alive."""
        self.device().request()
        self.do("preserve")

    def retrieve(self):
        """In the incoming kernel: the device is on its old page table."""
        self._bind()
        self.do("retrieve")

    def finish(self):
        """Onto a page table of this kernel, and the end of its session."""
        self.do("replace")
        self.do("finish")

    def refuses(self, command, number, *args):
        """One of its attempts, or any other command; returns what it said."""
        said = self.host.fails(f"dma {command} {self.name} {' '.join(map(str, args))}", 60)
        check(f" {errno.errorcode[number]} " in said,
              f"{errno.errorcode[number]} for {command} of {self.name}: {said}")
        return said.strip()

    # ---

    def exchange(self, how, count):
        """Page tables, under running DMA: what `swap` and `renew` found."""
        return json.loads(self.do(how, count, seconds=300))

    def check_ring(self, function=0):
        ring = super().check_ring(function)
        check_memory(ring)
        return ring


def check_memory(ring):
    check(ring["pattern_ok"], f"mapped memory beside the ring unchanged: {ring}")
    check(ring["foreign_ok"], f"memory that is not mapped unchanged: {ring}")


def figures(rings, counters):
    """Metrics of some rings, and of what the device itself says in L0."""
    said = {name: sum(ring[key] for ring in rings for key in keys)
            for name, keys in FAULTS.items()}
    said["dma_failed"] = sum(seen["dma-failed"] for seen in counters)
    said["out_of_order"] += sum(seen["dma-out-of-order"] for seen in counters)
    return said


def exchange(test, name, one, iommu, how):
    """EXCHANGES of the device's page table, with nothing lost; to the metrics."""
    one.reset_counters()
    iommu.clear()
    ring = one.exchange(how, EXCHANGES)
    said = {**figures([ring], [one.counters()]), **iommu.figures()}
    test.metrics[name] = {"ring": ring, **said}
    for key, value in said.items():
        test.metrics[key] = test.metrics.get(key, 0) + value
    check(ring["exchanges"] >= EXCHANGES, f"exchanges: {ring}")
    equal({key: value for key, value in said.items() if value}, {}, "faults and losses")
    check_memory(ring)
    check(one.counters()["dma-tried"] >= EXCHANGES, f"records meanwhile: {one.counters()}")
