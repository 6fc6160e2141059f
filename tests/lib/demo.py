# SPDX-License-Identifier: GPL-2.0-or-later
"""tests/run --demo: the whole promise as a table, and the phases of each update."""

import sys

from lib import scenario

NAME = "vm_passthrough"
# phase, whether the guest runs, its first and its last stamp
PHASES = [
    ("guest's memory and devices preserved", True, "luod:begin", "luod:ready"),
    ("kernel prepared", True, "luod:ready", "vm1:stop"),
    ("guest stopped, its state saved", False, "vm1:stop", "vm1:saved"),
    ("kernel frozen", False, "vm1:saved", "kernel:jump"),
    ("jump, decompression", False, "kernel:jump", "kernel:start"),
    ("next kernel boots", False, "kernel:start", "kernel:init"),
    ("host's user space, until QEMU starts", False, "kernel:init", "vm1:exec"),
    ("guest's state and devices loaded", False, "vm1:exec", "vm1:run"),
    ("memory mapped anew, tables exchanged", True, "vm1:run", "vm1:remapped"),
    ("update finished", True, "vm1:remapped", "luod:finish"),
]
BAR = 40


def run():
    print(f"demo: {scenario.find()[NAME].promise}", file=sys.stderr, flush=True)
    test = scenario.find()[NAME].run()
    for update in test.metrics.get("updates", []):
        # what was measured before a failure, if anything
        if "nic" in update:
            print(table(update))
            print(phases(update["timeline"]))
    if test.result != scenario.PASSED:
        print(f"{test.result.upper()}: {test.text}")
        return 1
    print("All held. Times are emulated (TCG in TCG), not those of real machines.")
    return 0


def table(update):
    rows = [*_vm(update), *_devices(update)]
    width = max(len(name) for name, _ in rows)
    rule = "+" + "-" * (width + 2) + "+" + "-" * 36 + "+"
    body = "\n".join(f"| {name:<{width}} | {value:<34} |" for name, value in rows)
    return f"{rule}\n{body}\n{rule}"


def _vm(update):
    def yes(key):
        return "yes" if update[key] else "NO"

    return [
        ("host kernel before", update["host_before"]),
        ("host kernel after", update["host_after"]),
        ("guest memory, vCPUs", f"{update['guest_memory_mib']} MiB, {update['guest_vcpus']}"),
        ("guest uptime continuous", yes("guest_uptime_monotonic")),
        (f"pattern intact ({update['pattern_bytes'] >> 20} MiB)", yes("pattern_ok")),
        ("TCP over virtio-net alive, the same", yes("tcp_ok")),
        ("counter never went back", yes("counter_ok")),
        ("longest gap of the counter", f"{update['counter_gap_ms']} ms (emulated)"),
        ("guest clock error", f"{update['clock_error_ms']:+.1f} ms "
                              f"(+/- {update['clock_error_bound_ms']:.1f})"),
        ("blackout (stop to run)", f"{update['blackout_ms']:.0f} ms (emulated)"),
    ]


def _devices(update):
    return [
        ("disk: blocks verified, wrong, errors",
         f"{update['disk_verified']}, {update['disk_wrong']}, {update['disk_errors']}"),
        ("igb: bytes through one TCP connection",
         f"{update['stream_bytes']}, {update['stream_wrong']} wrong"),
        ("igb: TCP timeouts in the pause, after", f"{update['tcp_timeouts_in_pause']}, "
                                                  f"{update['tcp_timeouts_after']}"),
        ("VFs: records of DMA, missed", f"{update['dma_records']}, {update['dma_missed']}"),
        ("VFs: interrupts seen, lost", f"{update['irq_seen']}, {update['irq_lost']}"),
        ("resets of VFs, of the igb", f"{update['resets']}, {update['nic']['resets']}"),
        ("faults of the IOMMU", str(update["iommu_faults"])),
        ("times DMA, IRQ remapping was off", f"{update['translation_off_events']}, "
                                             f"{update['remapping_off_events']}"),
        ("guest's kernel messages", "none" if not update["guest_problems"] else "SOME"),
    ]


def phases(stamps):
    """Of one update: a line for each, a bar as long as it took."""
    at = {name: ms for name, ms in stamps}
    total = at["luod:finish"] - at["luod:begin"]
    lines = []
    for name, runs, start, end in PHASES:
        left = round(BAR * (at[start] - at["luod:begin"]) / total)
        size = max(1, round(BAR * (at[end] - at[start]) / total))
        bar = (" " * min(left, BAR - 1) + ("=" if runs else "#") * size)[:BAR]
        lines.append(f"  {name:<37} {at[end] - at[start]:>7.0f} ms |{bar:<{BAR}}|")
    lines.append(f"  {'':<37} {'':>10}  = the guest runs, # it does not\n")
    return "\n".join(lines)
