# SPDX-License-Identifier: GPL-2.0-or-later
"""What an update that did not happen may not leave behind."""

from lib.outcome import check, equal

# MemAvailable is the kernel's estimate: with nothing leaked it moved by 21 MiB
# between two looks at a busy host. A guest's RAM left behind is four times this.
TOLERANCE_KIB = 32 << 10
# A small leak adds up: over all attempts together no more than this.
DRIFT_KIB = 16 << 10
# stat_refresh: each CPU keeps a part of every counter for up to a second
SCRIPT = """
sync; echo 3 >/proc/sys/vm/drop_caches; echo 1 >/proc/sys/vm/stat_refresh
grep -E '^(MemAvailable|Shmem|Unevictable|Mlocked):' /proc/meminfo
echo --; grep -E '^nr_foll_pin' /proc/vmstat
echo --; cd /sys/kernel/debug/kho/out && find . -type f | sort
echo --; cat /sys/kernel/liveupdate/state
"""


def look(host):
    memory, pins, handover, state = host.run(SCRIPT).split("--\n")
    memory = {line.split(":")[0]: int(line.split()[1]) for line in memory.splitlines()}
    pins = dict(line.split() for line in pins.splitlines())
    status = host.status()
    return {
        # a guest's memory (shmem) grows as it touches it; that is no leak
        "free_or_guests_kib": memory["MemAvailable"] + memory["Shmem"],
        "unevictable_kib": memory["Unevictable"],
        "mlocked_kib": memory["Mlocked"],
        "pinned_pages": int(pins["nr_foll_pin_acquired"]) - int(pins["nr_foll_pin_released"]),
        "kho_files": handover.split(),
        "state": state.strip(),
        "phase": status["phase"],
        "sessions": sorted(session["id"] for session in status["sessions"]),
    }


def check_as_before(before, after):
    equal(after["state"], "normal", "state")
    equal(after["phase"], "idle", "luod's phase")
    for key in ("sessions", "kho_files", "pinned_pages", "mlocked_kib"):
        equal(after[key], before[key], key)
    lost = before["free_or_guests_kib"] - after["free_or_guests_kib"]
    check(lost <= TOLERANCE_KIB, f"memory back within {TOLERANCE_KIB} kB: {lost} kB are gone")
    more = after["unevictable_kib"] - before["unevictable_kib"]
    check(more <= TOLERANCE_KIB, f"unevictable memory back within {TOLERANCE_KIB} kB: +{more} kB")


def check_no_drift(looks):
    """The same after the last attempt as after the first."""
    lost = looks[0]["free_or_guests_kib"] - looks[-1]["free_or_guests_kib"]
    check(lost <= DRIFT_KIB,
          f"no leak in {len(looks)} attempts, but {lost} kB more are gone after the last")
