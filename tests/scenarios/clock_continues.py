# SPDX-License-Identifier: GPL-2.0-or-later
"""To a guest the time of the blackout has passed: its CLOCK_REALTIME is as right
afterwards as it was before, to 10 ms beyond what the way to the outside leaves open,
its CLOCK_MONOTONIC never goes back, and no watchdog of it complains. So it is for a
guest on kvmclock, and for one on the TSC of its vCPUs."""

from lib import image
from lib.outcome import check

TOLERANCE_MS = 10
# of the guest's command line, and what the one on the TSC has instead
CLOCK, TSC = "tsc=nowatchdog", "tsc=reliable no-kvmclock tsc_early_khz="


def run(test):
    host = test.host().boot("a")
    vms = [host.start_vm("clock"),
           host.start_vm("tsc", changes={CLOCK: f"{TSC}{image.tsc_khz()}"})]
    for vm in vms:
        vm.wait_verified()
    before = {vm.name: (vm.line.last, vm.report()) for vm in vms}
    host.update("b")
    for vm in vms:
        vm.wait_verified()
    for vm in vms:
        with test.part(f"guest on {vm.name}"):
            last, old = before[vm.name]
            now = test.metrics[vm.name] = vm.report(last)
            now["clock_error_before_ms"] = old["clock_error_ms"]
            now["blackout_ms"] = host.timeline().blackout_ms(vm.name)
            vm.check_report(now)
            limit = (TOLERANCE_MS + old["clock_error_bound_ms"] + now["clock_error_bound_ms"])
            change = now["clock_error_ms"] - old["clock_error_ms"]
            check(abs(change) <= limit, f"its clock to be as right as before within "
                  f"{limit:.1f} ms, after {now['blackout_ms']:.0f} ms, it changed by {change} ms")
