# SPDX-License-Identifier: GPL-2.0-or-later
"""Of two VMs, one's QEMU is killed in the middle of an update: the other one
goes on, whether the update is cancelled or not, and comes through the jump."""

from lib.holdup import Holdup
from lib.outcome import check, equal


def run(test):
    host = test.host().boot("a")
    vm = host.start_vm("vm1", wait=False)
    victim = host.start_vm("vm2", wait=False)
    vm.wait_up()
    victim.wait_up()
    # taken by luod's next start, which is that of the next kernel
    host.next_luod("LUOD_OPTIONS=--claim-timeout=30")
    holdup = Holdup(host)
    holdup.go("START_PRESERVATION")
    host.load("b")
    update = host.start_update()
    holdup.wait("FREEZE")
    equal(host.state, "prepared", "state when the QEMU is killed")

    host.kill_vm(victim)
    holdup.go("FREEZE")
    seen = host.agent.greetings
    host.wait(lambda: update.done or host.agent.greetings > seen, 120, "an end of the update")
    test.metrics["luoctl"] = update.output
    if host.agent.greetings == seen and update.status:
        test.metrics["outcome"] = "cancelled, then done again"
        check("vm2" in update.output, f"luoctl to name vm2: {update.output}")
        host.wait_state("normal")
        vm.check_unharmed()
        holdup.leave()
        host.load("b")
        host.jump(host.start_update(), "b")
    else:
        test.metrics["outcome"] = "completed without the killed one"
        host.jump(update, "b", seen=seen)
    # nobody claims the session of the client that held things up: luod waits
    # for that one, while the guest runs
    host.wait_state("normal", 90)
    test.metrics.update(vm.check_unharmed())
    equal(host.status()["clients"] and len(host.vms), 1, "VMs left")
