# SPDX-License-Identifier: GPL-2.0-or-later
"""virtqemud is killed in an update, and starts again: it undoes the update, whether
the domain still runs or stands still already, and looks after the domain as before.

What it would need after a jump it keeps until luod has said that there will be none.
And when the host jumps without it, the domain comes back all the same; one whose
state file is damaged is lost and named, and nobody waits for it."""

from lib.holdup import Holdup
from lib.outcome import equal
from lib.virsh import (Domain, boot, check_cancelled, hold_frozen, hold_preserving, info,
                       outcomes, restart, virsh, wait_over, wait_virtqemud)

STATE_FILES = "/var/lib/libvirt/qemu/liveupdate"


def run(test):
    host = boot(test)
    vm = Domain(host).define().start()
    vm.wait_verified()
    with test.part("the domain runs, its memory is preserved"):
        held, command = hold_preserving(host)
        restart(host, "KILL")
        check_undone(host, vm, command)
        held.leave()
    with test.part("the domain stands still"):
        held, command = hold_frozen(host)
        host.run("killall -STOP luod")
        restart(host, "KILL")
        host.run(f"test -f {STATE_FILES}/vm1.xml")
        host.run("killall -CONT luod")
        check_undone(host, vm, command)
        host.run(f"test ! -f {STATE_FILES}/vm1.xml")
        held.leave()
    damaged = Domain(host, "damaged", memory=64).define().start(paused=True)
    uuid = virsh(host, "domuuid damaged").strip()
    with test.part("the host jumps without it"):
        held, _ = hold_frozen(host)
        seen = host.agent.greetings
        # tests/host/run-virtqemud.sh waits for that file
        host.run("rm /run/restore-vms.done; kill -KILL $(cat /run/run-virtqemud.pid); "
                 f"echo nonsense >{STATE_FILES}/damaged.xml")
        held.go("FREEZE")
        host.jump(host.start("true", 10), "b", 240, seen)
        wait_virtqemud(host)
        Holdup(host)        # claims its own
        # less than luod would wait for somebody to claim the damaged one
        wait_over(host, 90)
        equal(info(host)["state"], "completed", "state of the last update")
        check_looked_after(host, vm)
    with test.part("a damaged state file"):
        equal(outcomes(host), {"vm1": "running", "damaged": "lost"}, "domains")
        equal(damaged.state, "shut off", "state of the one that is lost")
        lost = {one["id"]: one["reason"] for one in host.status()["lost"]}
        equal(lost[uuid], "claimed, but it does not run", "what luod knows of it")
        host.run(f"test -f {STATE_FILES}/damaged.xml.unreadable")


def check_undone(host, vm, command):
    host.finish(command, 120, 1)
    check_cancelled(host, vm)
    check_looked_after(host, vm)


def check_looked_after(host, vm):
    equal(vm.state, "running", "state of the domain")
    virsh(host, f"suspend {vm.name}")
    equal(vm.state, "paused", "state of the domain")
    virsh(host, f"resume {vm.name}")
    vm.check_unharmed()
