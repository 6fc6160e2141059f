# SPDX-License-Identifier: GPL-2.0-or-later
"""No vCPU of a preserved VM runs once the kernel has frozen, though its VMM goes on
to call KVM_RUN until the jump: the guest's last word is older than the freeze, the
VMM's last refused attempt is younger.

Guests and VMM write down the TSC when they run, in memory that goes along. A VM in
no session is named, and ends with its kernel."""

from lib.outcome import check, equal
from lib.update import Update
from lib.vmm import Vmm

VCPUS = 4


def run(test):
    host = test.host().boot("a", luod=False)
    kept, other = Vmm(host, "kept").serve(), Vmm(host, "other").serve()
    kept.open(VCPUS)
    other.open(1)
    with test.part("VMs in no session are named"):
        equal((kept.listed(), other.listed()), ("none", "none"), "VMs")
        kept.do("preserve")
        equal((kept.listed(), other.listed()), ("session", "none"), "VMs")
        mark = host.console.mark
        update = Update(host).prepare()
        said = host.console.since(mark)
        check(f"VM kvm-{other.pid} (vmm) is in no session" in said,
              f"a message that names the VM of {other.pid}: {said}")
        check(f"VM kvm-{kept.pid} " not in said, f"no message of the other VM: {said}")
    kept.check_runs()
    update.jump()

    times = host.timeline()
    kept = Vmm(host, "kept").serve()
    frozen, jump = times.at("kernel:frozen"), times.at("kernel:jump")
    with test.part("no guest ran after the freeze"):
        vcpus = kept.retrieve()
        equal(len(vcpus), VCPUS, "vCPUs that have run")
        for number, vcpu in enumerate(vcpus):
            last, tried = (vcpu[key] / times.khz for key in ("guest_tsc", "refused_tsc"))
            test.metrics[f"vcpu {number}"] = {
                "guest_before_frozen_ms": round(frozen - last, 3),
                "vmm_after_frozen_ms": round(tried - frozen, 3), "refused": vcpu["refused"]}
            equal((vcpu["lost"], vcpu["other"]), (0, 0), "registers lost, other errors")
            check(times.at("kernel:prepared") < last < frozen,
                  f"vCPU {number} ran until the freeze and not beyond")
        test.metrics["frozen_to_jump_ms"] = round(jump - frozen, 3)
    with test.part("the VMM tried all the time"):
        check(max(vcpu["refused_tsc"] for vcpu in vcpus) / times.khz > frozen,
              f"attempts after the freeze: {vcpus}")
    with test.part("in the next kernel it runs"):
        kept.check_runs()
        kept.do("finish")
        update.finish()
        equal(kept.listed(), "none", "the VM")
