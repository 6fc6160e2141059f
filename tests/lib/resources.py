# SPDX-License-Identifier: GPL-2.0-or-later
"""What an update that did not happen may not leave behind."""

from lib.outcome import check, equal

# Pages that the kernel may keep for its own reasons (slab, page tables, the
# page cache of what ran in between): 4 MiB of a 3 GiB host.
TOLERANCE_KIB = 4096
MEMINFO = ("MemAvailable", "Shmem", "Unevictable", "Mlocked")
SCRIPT = """
sync; echo 3 >/proc/sys/vm/drop_caches
grep -E '^(MemAvailable|Shmem|Unevictable|Mlocked):' /proc/meminfo
echo --; cd /sys/kernel/debug/kho/out && find . -type f | sort
echo --; cat /sys/kernel/liveupdate/state
"""


def look(host):
    memory, handover, state = host.run(SCRIPT).split("--\n")
    status = host.status()
    return {
        "memory_kib": {line.split(":")[0]: int(line.split()[1])
                       for line in memory.splitlines()},
        "kho_files": handover.split(),
        "state": state.strip(),
        "phase": status["phase"],
        "sessions": sorted(status["sessions"]),
    }


def check_as_before(before, after):
    equal(after["state"], "normal", "state")
    equal(after["phase"], "idle", "luod's phase")
    equal(after["sessions"], before["sessions"], "sessions")
    equal(after["kho_files"], before["kho_files"], "files of /sys/kernel/debug/kho/out")
    for key in MEMINFO:
        was, now = before["memory_kib"][key], after["memory_kib"][key]
        lost = was - now if key == "MemAvailable" else now - was
        check(lost <= TOLERANCE_KIB,
              f"{key} back within {TOLERANCE_KIB} kB: was {was}, is {now}")
