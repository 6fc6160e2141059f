# SPDX-License-Identifier: GPL-2.0-or-later
"""`virsh hypervisor-update-abort` before the jump: the update fails and says so, and
the domain runs on with all that it had, also when it stood still already.

What stands still runs again, so the second update got as far as the first one."""

from lib.outcome import check, equal
from lib.virsh import (Domain, boot, check_cancelled, hold_frozen, hold_preserving, info,
                       refused, virsh)


def run(test):
    host = boot(test)
    vm = Domain(host).define().start()
    vm.wait_verified()
    with test.part("nothing to abort"):
        said = refused(host, "hypervisor-update-abort")
        check("no update" in said, f"a reason: {said}")

    held, command = hold_preserving(host)
    with test.part("what is under way is told"):
        equal(info(host, completed=False)["state"], "running", "state of the update")
        busy = refused(host, "hypervisor-update")
        check("under way" in busy, f"a second update to be refused: {busy}")
    with test.part("the domain runs"):
        abort(host, vm, command)
    held.leave()

    held, command = hold_frozen(host)
    with test.part("the domain stands still"):
        abort(host, vm, command)
    held.leave()


def abort(host, vm, command):
    virsh(host, "hypervisor-update-abort")
    host.finish(command, 60, 1)
    check("abort" in command.output, f"the update to say why it failed: {command.output}")
    check_cancelled(host, vm)
