# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads KTAP, as KUnit and kselftest write it, from text that may hold other
lines and console prefixes too."""

import re

PREFIX = re.compile(r"^(\[ *[0-9]+\.[0-9]+\](\[ *[TC][0-9]+\])? ?)?")
POINT = re.compile(r"^(?P<indent>(?:# )?\s*)(?P<no>not )?ok (?P<number>[0-9]+)"
                   r"(?: -)?(?: (?P<name>[^#]*))?(?P<rest>#.*)?$")
SUBTEST = re.compile(r"^(?P<indent>\s*)# Subtest: (?P<name>.*)$")


class Point:
    def __init__(self, suite, name, passed, skipped):
        self.suite = suite
        self.name = name
        self.passed = passed
        self.skipped = skipped

    def __repr__(self):
        return f"{self.suite}.{self.name}" if self.suite else self.name


def parse(text):
    """All points that are not the sum of a subtest, in their order."""
    points, suites = [], {}
    for line in text.splitlines():
        line = PREFIX.sub("", line.rstrip("\r"), count=1)
        subtest = SUBTEST.match(line)
        if subtest:
            indent = len(subtest["indent"])
            suites = {at: name for at, name in suites.items() if at < indent}
            suites[indent] = subtest["name"].strip()
            continue
        point = POINT.match(line)
        if not point:
            continue
        indent = len(point["indent"])
        name = (point["name"] or point["number"]).strip()
        # a suite's own line stands left of its subtests
        if any(at > indent and suite == name for at, suite in suites.items()):
            suites = {at: suite for at, suite in suites.items() if at <= indent}
            continue
        owner = [suites[at] for at in sorted(suites) if at <= indent]
        points.append(Point(".".join(owner), name, not point["no"],
                            "SKIP" in (point["rest"] or "")))
    return points
