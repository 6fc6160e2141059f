# SPDX-License-Identifier: GPL-2.0-or-later
"""Upstream's selftests/kho passes unchanged: memory handed over by the
outgoing kernel is whole in the incoming one."""

from lib.selftest import boots


def run(test):
    with test.part("kho"):
        boots(test, "kho", init="kho/init", cmdline="kho=on", sign="KHO restore succeeded")
