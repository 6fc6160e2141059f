# SPDX-License-Identifier: GPL-2.0-or-later
"""kselftests liveupdate_vm: the ABI of VMs in a live update is as documented, and a
VM whose owner builds on the file that it gets back has its clock, its capabilities,
and every interrupt that its vCPU had accepted: the one that the owner has saved, and
the one that came afterwards and that only the kernel knows of."""

import shutil

from lib import paths
from lib.outcome import check
from lib.selftest import run_in_host
from lib.update import Update

ABI, KEXEC = "x86/liveupdate_vm_test", "liveupdate_vm_kexec_test"
PASSED = "KVM LIVEUPDATE KEXEC TEST PASSED"


def run(test):
    host = test.host().boot("a", luod=False)
    with test.part("liveupdate_vm_test"):
        run_in_host(test, host, f"kvm/{ABI}", at_least=7, environment="taskset 2", seconds=300)
    shutil.copy(paths.built(paths.SELFTESTS / "kvm/x86" / KEXEC), host.share / KEXEC)
    for to in "ba":
        with test.part(f"{KEXEC} to {to}"):
            stage(host, 1)
            update = Update(host, to).prepare().jump()
            said = stage(host, 2)
            check(PASSED in said, f"'{PASSED}': {said}")
            update.finish()


def stage(host, number):
    return host.run(f"/share/{KEXEC} -s {number}", 60)
