# SPDX-License-Identifier: GPL-2.0-or-later
"""tests/run --demo: the whole promise as one table."""

import sys

from lib import scenario

NAME = "ram_survives_twice"


def run():
    print(f"demo: {scenario.find()[NAME].promise}", file=sys.stderr, flush=True)
    test = scenario.find()[NAME].run()
    for update in test.metrics.get("updates", []):
        print(table(update))
    if test.result != scenario.PASSED:
        print(f"{test.result.upper()}: {test.text}")
        return 1
    print("All held. Times are emulated (TCG in TCG), not those of real machines.")
    return 0


def table(update):
    def yes(key):
        return "yes" if update[key] else "NO"

    rows = [
        ("host kernel before", update["host_before"]),
        ("host kernel after", update["host_after"]),
        ("guest memory, vCPUs", f"{update['guest_memory_mib']} MiB, {update['guest_vcpus']}"),
        ("guest uptime continuous", yes("guest_uptime_monotonic")),
        (f"pattern intact ({update['pattern_bytes'] >> 20} MiB)", yes("pattern_ok")),
        ("TCP connection alive, the same", yes("tcp_ok")),
        ("counter never went back", yes("counter_ok")),
        ("longest gap of the counter", f"{update['counter_gap_ms']} ms (emulated)"),
        ("guest clock error", f"{update['clock_error_ms']:+.1f} ms "
                              f"(+/- {update['clock_error_bound_ms']:.1f})"),
        ("blackout (stop to run)", f"{update['blackout_ms']:.0f} ms (emulated)"),
    ]
    width = max(len(name) for name, _ in rows)
    rule = "+" + "-" * (width + 2) + "+" + "-" * 34 + "+"
    body = "\n".join(f"| {name:<{width}} | {value:<32} |" for name, value in rows)
    return f"{rule}\n{body}\n{rule}"
