# SPDX-License-Identifier: GPL-2.0-or-later
"""What an update that did not happen may not leave behind."""

import re

from lib.clock import Deadline
from lib.outcome import Failed, check, equal

# Pages that nobody answers for: MemTotal without what is free, on the free
# lists of the CPUs, or counted as somebody's. That is the kernel's image, memory
# map and direct allocations, so an update's leak is in it and little else.
OWNED = ("MemFree", "Buffers", "Cached", "AnonPages", "Slab", "SecPageTables",
         "PageTables", "KernelStack", "VmallocUsed", "Percpu")
# measured without a leak: 0.2 MiB up and down
TOLERANCE_KIB = 1 << 10
# stat_refresh: each CPU keeps a part of every counter for up to a second
SCRIPT = """
sync; echo 3 >/proc/sys/vm/drop_caches; echo 1 >/proc/sys/vm/stat_refresh
cat /proc/meminfo
echo --; grep ' count:' /proc/zoneinfo
echo --; grep -E '^nr_foll_pin' /proc/vmstat
echo --; cd /sys/kernel/debug/kho/out && find . -type f | sort
echo --; cat /sys/kernel/liveupdate/state
"""
PAGE_KIB = 4


def look(host):
    memory, lists, pins, handover, state = host.run(SCRIPT).split("--\n")
    memory = {line.split(":")[0]: int(line.split()[1]) for line in memory.splitlines()}
    memory["lists"] = PAGE_KIB * sum(int(count) for count in re.findall(r"\d+", lists))
    pins = dict(line.split() for line in pins.splitlines())
    status = host.status()
    return {
        "nobodys_kib": memory["MemTotal"] - memory["lists"] - sum(memory[key] for key in OWNED),
        "unevictable_kib": memory["Unevictable"],
        "mlocked_kib": memory["Mlocked"],
        "pinned_pages": int(pins["nr_foll_pin_acquired"]) - int(pins["nr_foll_pin_released"]),
        "kho_files": handover.split(),
        "state": state.strip(),
        "phase": status["phase"],
        "sessions": sorted(session["id"] for session in status["sessions"]),
        "meminfo_kib": memory,
    }


def check_as_before(host, before):
    """Looks until all is as before, for the kernel frees some things late. What
    is lost does not come back. Returns what it saw last."""
    deadline = Deadline(20)
    while True:
        after = look(host)
        try:
            _compare(before, after)
            return after
        except Failed:
            if deadline.over:
                raise
            host.pump(0.5)


def _compare(before, after):
    equal(after["state"], "normal", "state")
    equal(after["phase"], "idle", "luod's phase")
    for key in ("sessions", "kho_files", "pinned_pages", "mlocked_kib"):
        equal(after[key], before[key], key)
    for key in ("nobodys_kib", "unevictable_kib"):
        more = after[key] - before[key]
        check(more <= TOLERANCE_KIB, f"{key} as before within {TOLERANCE_KIB} kB: {more} kB more")
