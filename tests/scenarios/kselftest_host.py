# SPDX-License-Identifier: GPL-2.0-or-later
"""kselftest luo_host: the ABI of /sys/kernel/liveupdate is as documented."""

from lib.selftest import run_in_host


def run(test):
    host = test.host().boot("a", luod=False)
    run_in_host(test, host, "liveupdate/luo_host", at_least=16)
