# SPDX-License-Identifier: GPL-2.0-or-later
"""KUnit: all tests of the live update code pass, in the booted kernel."""

from lib import ktap
from lib.outcome import check

AT_LEAST = 65
OURS = ("luo", "liveupdate", "pci-liveupdate")


def run(test):
    host = test.host().boot("a", luod=False, kunit=True)
    points = [point for point in ktap.parse(host.console.text)
              if point.suite.startswith(OURS)]
    ran = [point for point in points if not point.skipped]
    for point in points:
        test.record(point)
    test.metrics["ran"] = len(ran)
    check(len(ran) >= AT_LEAST, f"at least {AT_LEAST} tests, it were {len(ran)}")
