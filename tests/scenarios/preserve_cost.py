# SPDX-License-Identifier: GPL-2.0-or-later
"""Preserving memory of 2 MiB pages costs at most a fiftieth of what it costs with
4 KiB pages.

Counted in instructions, of one call for memory that is all there: a host on which
each instruction takes a nanosecond, and nothing else takes time."""

from lib.outcome import check
from lib.ram import MIB2, Ram, serve

MIB = 64
POOL = MIB // 2
TARGET = 50
KINDS = {"4k": ("create", 4, MIB << 8), "2m": ("create", MIB2, POOL),
         "guest_memfd": ("guest", MIB << 8)}


def run(test):
    # a clock that the kernel calibrates against nothing that takes time
    host = test.host().boot("a", luod=False, counting=1,
                            cmdline=f"hugepages={POOL} nokaslr")
    serve(host)
    costs = test.metrics["preserve_instructions_per_gib"] = {}
    for kind, arguments in KINDS.items():
        ram = Ram(host, kind)
        ram.do(*arguments, seconds=600)
        # the first one of its kind pays for caches
        ram.preserve()
        ram.do("cancel")
        costs[kind] = ram.preserve() * 1024 // MIB
        ram.do("close")
    test.metrics["times_cheaper"] = times = round(costs["4k"] / costs["2m"], 1)
    check(times >= TARGET, f"2 MiB pages at least {TARGET} times cheaper, it is {times}: {costs}")
