# SPDX-License-Identifier: GPL-2.0-or-later
"""One update with one guest that has to come through it, and its figures."""

from lib.outcome import check, equal

# What the guest's clock may be off after an update, beyond what the round trip
# leaves open. It runs on a counter calibrated inside an emulator.
CLOCK_TOLERANCE_MS = 250


def update_and_measure(host, vm, to):
    vm.wait_verified()
    before = host.release
    kexecs = host.kexecs
    first = vm.line.last
    host.update(to)
    report = vm.check_unharmed()
    timeline = host.timeline()
    figures = {
        "host_before": before,
        "host_after": host.release,
        "kexec_count": host.kexecs - kexecs,
        "blackout_ms": timeline.blackout_ms(vm.name),
        "guest_memory_mib": vm.memory,
        "guest_vcpus": vm.vcpus,
        "clock_error_before_ms": round(first.clock_error_us / 1e3, 3),
        **report,
        "timeline": [[name, round((tsc - timeline.stamps[0][0]) / timeline.khz, 3)]
                     for tsc, name in timeline.stamps],
    }
    equal(figures["kexec_count"], 1, "jumps")
    check(figures["blackout_ms"] > 0, f"a blackout above zero: {figures['blackout_ms']}")
    limit = CLOCK_TOLERANCE_MS + report["clock_error_bound_ms"]
    check(abs(report["clock_error_ms"]) <= limit,
          f"guest clock within {limit:.0f} ms of the outside world, "
          f"it is off by {report['clock_error_ms']} ms")
    return figures
