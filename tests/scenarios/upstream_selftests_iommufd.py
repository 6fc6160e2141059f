# SPDX-License-Identifier: GPL-2.0-or-later
"""Upstream's selftests/iommu pass unchanged: all that iommufd does, with its
mock devices, and with each allocation failing once."""

from lib.selftest import run_in_host

# what the largest of its tests want to have
PAGES = "hugepagesz=2M hugepages=160"


def run(test):
    host = test.host().boot("a", luod=False, cmdline=PAGES)
    # 246; five have nothing to do without a vIOMMU, and skip
    run_in_host(test, host, "iommu/iommufd", at_least=241, seconds=300)
    # ours are in kselftest_iommufd
    run_in_host(test, host, "iommu/iommufd_fail_nth", at_least=8, seconds=300,
                arguments="-T liveupdate -T liveupdate_prepare")
