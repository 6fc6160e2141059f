# SPDX-License-Identifier: GPL-2.0-or-later
"""kselftest iommufd_liveupdate: marks, what they freeze, preserving, the proof
and retrieving are as documented, also where they refuse; and so is every path
on which an allocation fails."""

from lib.outcome import equal
from lib.selftest import run_in_host
from lib.update import Update

# in two stages, either side of a kexec
OVER_KEXEC = "iommu/iommufd_liveupdate_kexec"


def run(test):
    host = test.host().boot("a", luod=False)
    run_in_host(test, host, "iommu/iommufd_liveupdate", at_least=18)
    run_in_host(test, host, "iommu/iommufd_fail_nth", at_least=2,
                arguments="-t liveupdate -t liveupdate_prepare")
    with test.part("the host is as it was"):
        equal(host.state, "normal", "state")
    run_in_host(test, host, OVER_KEXEC, at_least=1, arguments="-t preserve")
    update = Update(host).prepare().jump()
    run_in_host(test, host, OVER_KEXEC, at_least=1, arguments="-t retrieve")
    update.finish()
