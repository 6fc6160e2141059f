# SPDX-License-Identifier: GPL-2.0-or-later
"""KUnit: all tests of the live update code pass, in the booted kernel."""

from lib import ktap
from lib.outcome import check

AT_LEAST = 240
# liveupdate, luo, intel_iommu_replace, and not generic_pt's old tests, which take
# minutes here
GLOB = "*l*u*"


def run(test):
    host = test.host().boot("a", luod=False, kunit=True, cmdline=f"kunit.filter_glob={GLOB}")
    points = ktap.parse(host.console.text)
    ran = [point for point in points if not point.skipped]
    for point in points:
        test.record(point)
    test.metrics["ran"] = len(ran)
    check(len(ran) >= AT_LEAST, f"at least {AT_LEAST} tests, it were {len(ran)}")
