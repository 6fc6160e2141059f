# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest with eight vCPUs, more than its host has CPUs, goes on over the
replacement of its host's kernel. Its VM is in its session meanwhile, and in none
before and after."""

from lib.holdup import Holdup
from lib.outcome import equal
from lib.survival import update_and_measure

LIST = "/sys/kernel/debug/kvm/liveupdate"


def run(test):
    host = test.host().boot("a")
    vm = host.start_vm("vm1", vcpus=8)
    equal(listed(host, vm), "none", "the VM before an update")
    with test.part("an update that is aborted"):
        other = Holdup(host)
        host.load("b")
        update = host.start_update()
        other.go("START_PRESERVATION")
        other.wait("FREEZE")
        equal(listed(host, vm), "session", "the VM in an update")
        host.run("luoctl abort")
        host.finish(update, 120, None)
        other.leave()
        host.wait(host.luod_idle, 20, "luod idle again", 0.1)
        vm.wait_alive()
        equal(listed(host, vm), "none", "the VM after that")
    update_and_measure(host, vm, "b", test.metrics)
    equal(listed(host, vm), "none", "the VM in the next kernel")


def listed(host, vm):
    pid = host.run(f"cat /run/vm/{vm.name}.pid").strip()
    for line in host.run(f"cat {LIST}").splitlines():
        if line.split()[0] == pid:
            return line.split()[2]
    return None
