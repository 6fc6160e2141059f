# SPDX-License-Identifier: GPL-2.0-or-later
"""What one kernel hands over to the next, seen and changed from outside while
no CPU runs: the host's page (include/linux/kho/abi/luo_host.h), its payloads, and
the records of the IOMMU in one of them (include/linux/kho/abi/iommu.h)."""

import mmap
import struct
import zlib

from lib.outcome import Failed, check

# the outgoing kernel's page, not where it is
PAGE_FILE = "/sys/kernel/debug/kho/out/sub_fdts/LUO-host"
HEAD_SIZE = 48
# q35 has 2 GiB of 3 below 4 GiB; kernels take pages from above it first
RAM = ((4 << 30, 1 << 30), (0, 2 << 30))
CHUNK = 256 << 20
ALIGN = 4096
SKIPPED = 24

HOST_MAGIC = 0x484f554c
# magic, crc and count, state; the checksum is of what follows it
HEAD = {"magic": (24, 4), "crc": (28, 4), "state": (32, 4), "count": (36, 4)}
PAYLOAD_SIZE = 104
PAYLOAD = {"pa": (80, 8), "len": (88, 8), "crc": (96, 4)}

IOMMU = "iommu"
# kinds of records in the order in which they stand: size, fields
RECORDS = {
    "head": (32, {"hw": (0, 8), "nr_domains": (16, 4), "nr_functions": (20, 4),
                  "nr_entries": (24, 4), "reserved": (28, 4)}),
    "domain": (32, {"top": (0, 8), "format": (8, 4), "flags": (12, 4), "top_level": (16, 1),
                    "vasz_lg2": (17, 1), "reserved": (18, 2), "nr_tables": (24, 4),
                    "crc": (28, 4)}),
    "function": (12, {"segment": (0, 4), "bdf": (4, 2), "nr_entries": (6, 2), "domain": (8, 4)}),
    "entry": (104, {"unit": (0, 8), "segment": (8, 4), "function": (12, 4), "rid": (16, 2),
                    "domain_id": (18, 2), "reserved": (20, 4),
                    **{f"word{number}": (24 + 8 * number, 8) for number in range(10)}}),
}

HUGE_FILE_SIZE = 40
HUGE_FILE = {"crc": (0, 4), "order": (4, 4), "seals": (8, 4), "mode": (12, 4), "pos": (16, 8),
             "size": (24, 8), "first": (32, 8)}
# a list of page frame numbers, and its first two entries
PFNS = {"crc": (0, 4), "count": (4, 4), "next": (8, 8), "pfn": (16, 8), "second": (24, 8)}
HUGE_POOL_FILE = "/sys/kernel/debug/kho/out/sub_fdts/hugetlb"
HUGE_POOL_SIZE = 40
HUGE_POOL = {"crc": (32, 4), "nr_counts": (36, 4)}


def crc32(data):
    """As the kernel's crc32_le(~0)."""
    return zlib.crc32(data) ^ 0xffffffff


class Record:
    """A structure in physical memory; its fields are its attributes."""

    def __init__(self, machine, at, fields):
        self.__dict__.update(_machine=machine, at=at, fields=fields)

    def __getattr__(self, name):
        offset, size = self.fields[name]
        return self._machine.read(self.at + offset, size)

    def __setattr__(self, name, value):
        offset, size = self.fields[name]
        self._machine.write(self.at + offset, size, value & (1 << 8 * size) - 1)


class Handover:
    """Of the kernel that runs, which is prepared; found while it runs, for later."""

    def __init__(self, host):
        self._machine = host.machine
        self._at = _find(host, PAGE_FILE, HEAD_SIZE)
        self.head = Record(self._machine, self._at, HEAD)

    def payload(self, name=IOMMU):
        check(self.head.magic == HOST_MAGIC and self.head.state, f"a handover at {self._at:#x}")
        for number in range(self.head.count):
            at = self._at + HEAD_SIZE + number * PAYLOAD_SIZE
            if self._machine.memory(at, 32).rstrip(b"\0") == name.encode():
                return Record(self._machine, at, PAYLOAD)
        raise KeyError(name)

    def seal(self, name=IOMMU):
        """Right checksums for what was changed."""
        payload = self.payload(name)
        payload.crc = crc32(self._machine.memory(payload.pa, payload.len))
        self.seal_head()

    def seal_head(self):
        rest = self._machine.memory(self._at + 32, HEAD_SIZE - 32 + self.head.count * PAYLOAD_SIZE)
        self.head.crc = crc32(rest)

    def iommu(self):
        """Its records by kind."""
        at = self.payload().pa
        head = Record(self._machine, at, RECORDS["head"][1])
        counts = {"head": 1, "domain": head.nr_domains, "function": head.nr_functions,
                  "entry": head.nr_entries}
        found = {}
        for kind, (size, fields) in RECORDS.items():
            found[kind] = [Record(self._machine, at + number * size, fields)
                           for number in range(counts[kind])]
            at += counts[kind] * size
        return found


class HugeFile:
    """The record of a memfd of huge pages (include/linux/kho/abi/hugetlb.h), which is
    preserved; found by what is in it."""

    def __init__(self, host, order, size, mode=0o777):
        self._machine = host.machine
        # behind the checksum: seals and position are 0
        text = struct.pack("<IIIQQ", order, 0, mode, 0, size)
        self.head = Record(host.machine, _search(host, text, 4), HUGE_FILE)

    @property
    def block(self):
        """The first one of the list of its pages."""
        return Record(self._machine, self.head.first, PFNS)

    def seal(self):
        """A right checksum of the record."""
        self.head.crc = crc32(self._machine.memory(self.head.at + 4, HUGE_FILE_SIZE - 4))

    def seal_block(self):
        block = self.block
        block.crc = crc32(self._machine.memory(block.at + 4, 12 + 8 * block.count))


class HugePool:
    """The table of huge pages that are kept; found by its name."""

    def __init__(self, host):
        self.head = Record(host.machine, _find(host, HUGE_POOL_FILE, HUGE_POOL_SIZE), HUGE_POOL)


def _find(host, file, size):
    """The page that this file of the kernel shows, `size` bytes of it. Without its
    first bytes: buffers that the rest goes through have that somewhere else in a
    page, so they are not taken for it."""
    words = size // 8 - SKIPPED // 8
    shown = host.run(f"dd if={file} bs=8 skip={SKIPPED // 8} count={words} 2>/dev/null | "
                     "od -A n -v -t x1")
    return _search(host, bytes.fromhex("".join(shown.split())), SKIPPED)


def _search(host, text, offset):
    """The page in physical memory that has this, `offset` bytes behind its
    beginning. Pages of kernels before may look almost the same."""
    path = host.folder / "memory"
    try:
        for start, size in RAM:
            for at in range(start, start + size, CHUNK):
                host.machine.qmp("pmemsave", val=at, size=CHUNK, filename=str(path))
                with open(path, "rb") as file, \
                        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as memory:
                    found = memory.find(text)
                    while found >= 0 and found % ALIGN != offset:
                        found = memory.find(text, found + 1)
                if found >= 0:
                    return at + found - offset
    finally:
        path.unlink(missing_ok=True)
    raise Failed("the outgoing kernel's page is nowhere in memory")
