# SPDX-License-Identifier: GPL-2.0-or-later
"""One update with one guest that has to come through it, and its figures."""

from lib.outcome import check, equal

# What the guest's clock may be off after an update, beyond what the round trip
# leaves open. It runs on a counter calibrated inside an emulator.
CLOCK_TOLERANCE_MS = 250


def update_and_measure(host, vm, to, figures):
    """`figures` is filled before anything is judged."""
    vm.wait_verified()
    before, kexecs, last = host.release, host.kexecs, vm.line.last
    host.update(to)
    first = vm.line.last
    vm.wait_verified()
    report = vm.report(first)
    timeline = host.timeline()
    figures.update({
        "host_before": before,
        "host_after": host.release,
        "kexec_count": host.kexecs - kexecs,
        "guest_memory_mib": vm.memory,
        "guest_vcpus": vm.vcpus,
        "clock_error_before_ms": round(last.clock_error_us / 1e3, 3),
        **report,
        "timeline": timeline.relative(),
    })
    figures["blackout_ms"] = timeline.blackout_ms(vm.name)
    vm.check_report(report)
    equal(figures["kexec_count"], 1, "jumps")
    check(figures["blackout_ms"] > 0, f"a blackout above zero: {figures['blackout_ms']}")
    limit = CLOCK_TOLERANCE_MS + report["clock_error_bound_ms"]
    check(abs(report["clock_error_ms"]) <= limit,
          f"guest clock within {limit:.0f} ms of the outside world, "
          f"it is off by {report['clock_error_ms']} ms")
