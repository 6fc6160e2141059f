# SPDX-License-Identifier: GPL-2.0-or-later
"""`virsh hypervisor-update-abort` before the jump: the update fails and says so, the
domain runs on with all that it had, and the next update works."""

from lib.holdup import Holdup
from lib.outcome import check, equal
from lib.virsh import Domain, boot, info, refused, start_update, update, virsh


def run(test):
    host = boot(test)
    vm = Domain(host).define().start()
    vm.wait_verified()
    with test.part("nothing to abort"):
        said = refused(host, "hypervisor-update-abort")
        check("update" in said, f"a reason: {said}")

    held = Holdup(host)
    command = start_update(host)
    held.wait("START_PRESERVATION")
    with test.part("what is under way is told"):
        equal(info(host, completed=False)["state"], "running", "state of the update")
        busy = refused(host, "hypervisor-update")
        check("update" in busy, f"a second update to be refused: {busy}")
    with test.part("abort"):
        virsh(host, "hypervisor-update-abort")
        host.finish(command, 60, 1)
        check("abort" in command.output, f"the update to say why it failed: {command.output}")
        check_undone(host, vm)
        equal(info(host)["state"], "cancelled", "state of the last update")
    held.leave()

    with test.part("the next one works"):
        update(host)
        vm.check_unharmed()


def check_undone(host, vm):
    equal(host.state, "normal", "state of the kernel")
    equal(vm.state, "running", "state of the domain")
    equal(info(host, completed=False)["state"], "none", "state of the update")
    vm.check_unharmed()
