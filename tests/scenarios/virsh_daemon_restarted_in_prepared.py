# SPDX-License-Identifier: GPL-2.0-or-later
"""virtqemud is killed in an update, and starts again: it undoes the update, whether
the domain still runs or stands still already, and looks after the domain as before.

What it would need after a jump it keeps until luod has said that there will be none.
And when the host jumps without it, the domain comes back all the same."""

from lib.outcome import equal
from lib.virsh import (Domain, boot, check_cancelled, hold_frozen, hold_preserving, info,
                       restart, virsh, wait_over)

STATE_FILE = "/var/lib/libvirt/qemu/liveupdate/vm1.xml"


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
        host.run(f"test -f {STATE_FILE}")
        host.run("killall -CONT luod")
        check_undone(host, vm, command)
        host.run(f"test ! -f {STATE_FILE}")
        held.leave()
    with test.part("the host jumps without it"):
        held, _ = hold_frozen(host)
        seen = host.agent.greetings
        # tests/host/run-virtqemud.sh waits for that file
        host.run("rm /run/restore-vms.done; kill -KILL $(cat /run/run-virtqemud.pid)")
        held.go("FREEZE")
        host.jump(host.start("true", 10), "b", 240, seen)
        wait_over(host)
        equal(info(host)["state"], "completed", "state of the last update")
        check_looked_after(host, vm)


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
