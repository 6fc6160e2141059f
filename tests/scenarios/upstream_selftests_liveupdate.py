# SPDX-License-Identifier: GPL-2.0-or-later
"""Upstream's selftests/liveupdate pass unchanged: what Linux 7.3 does with
sessions and memfds, it still does."""

from lib.selftest import boots, run_in_host

OVER_KEXEC = ("luo_kexec_simple", "luo_multi_session", "luo_stress_files",
              "luo_stress_sessions")


def run(test):
    host = test.host().boot("a", luod=False)
    run_in_host(test, host, "liveupdate/liveupdate", at_least=15)
    host.close()
    for name in OVER_KEXEC:
        with test.part(name):
            # what upstream's vmtest.sh puts together and looks for
            boots(test, name, init="liveupdate/init",
                  binary=f"liveupdate/{name}", cmdline="liveupdate=on", sign="TEST PASSED")
