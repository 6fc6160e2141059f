# SPDX-License-Identifier: GPL-2.0-or-later
"""kselftests memfd_hugetlb and memfd_hugetlb_kexec: what can be kept of huge pages,
what is refused, and that it comes through."""

from lib.selftest import boots, run_in_host


def run(test):
    # of the boot: pages that are added later may lie where nothing can be pinned
    host = test.host().boot("a", luod=False, cmdline="hugepages=16")
    run_in_host(test, host, "liveupdate/memfd_hugetlb", at_least=8)
    host.close()
    with test.part("memfd_hugetlb_kexec"):
        boots(test, "memfd_hugetlb_kexec", init="liveupdate/init",
              binary="liveupdate/memfd_hugetlb_kexec", cmdline="liveupdate=on",
              sign="TEST PASSED")
