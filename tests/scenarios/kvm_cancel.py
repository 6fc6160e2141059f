# SPDX-License-Identifier: GPL-2.0-or-later
"""An update that is cancelled leaves VMs as they were: after prepare, after a freeze
that another subsystem spoils, and when the session is closed in between. Guests
go on where they were, registers and all, and what was refused is allowed. The next
update takes them along."""

import errno

from lib.outcome import check
from lib.update import Update
from lib.vmm import Vmm

VCPUS = 4
FAIL = "/sys/kernel/debug/liveupdate/test/fail_reboot"
REFUSED = ("vcpu", "cap")


def run(test):
    host = test.host().boot("a", luod=False)
    vmm = Vmm(host, "vm").serve()
    vmm.open(VCPUS)
    vmm.do("preserve")
    update = Update(host)
    with test.part("prepared: guests run, and no vCPU and capability is added"):
        update.prepare()
        vmm.check_runs()
        for what in REFUSED:
            vmm.refuses(what, errno.EBUSY)
        vmm.allows("memslot")
    with test.part("cancelled after prepare"):
        update.cancel()
        vmm.check_runs()
        check(not any(vcpu["refused"] for vcpu in vmm.look()),
              "KVM_RUN was never refused")
        vmm.allows("cap")
    for number in (errno.EIO, errno.ENOMEM):
        with test.part(f"cancelled after the freeze, {errno.errorcode[number]}"):
            spoil(host, update, vmm, number)
    with test.part("its session is closed while the host is prepared"):
        update.prepare()
        vmm.do("cancel")
        vmm.allows("cap")
        update.dry_run()
        vmm.check_runs()
    with test.part("the next update takes it along"):
        vmm.do("preserve")
        update.prepare().jump()
        vmm.serve()
        vmm.retrieve()
        vmm.check_runs()
        vmm.do("finish")
        update.finish()


def spoil(host, update, vmm, number):
    before = vmm.look()
    update.prepare()
    host.run(f"echo {number} >{FAIL}")
    said = update.jump_fails()
    check(f" {errno.errorcode[number]} " in said, f"{errno.errorcode[number]}: {said}")
    vmm.check_runs()
    # which of them were at it in that moment is the host's scheduler's choice
    now = vmm.look()
    check(any(vcpu["refused"] > old["refused"] for vcpu, old in zip(now, before)),
          f"KVM_RUN was refused meanwhile: {now}")
