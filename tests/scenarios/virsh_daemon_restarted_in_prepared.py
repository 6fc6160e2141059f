# SPDX-License-Identifier: GPL-2.0-or-later
"""virtqemud is killed while the update waits, and starts again: the update is undone,
the domain runs on, virtqemud still looks after it, and the next update works."""

from lib.holdup import Holdup
from lib.outcome import equal
from lib.virsh import Domain, boot, info, restart, start_update, update, virsh


def run(test):
    host = boot(test)
    vm = Domain(host).define().start()
    vm.wait_verified()
    held = Holdup(host)
    command = start_update(host)
    held.wait("START_PRESERVATION")
    held.go("START_PRESERVATION")
    held.wait("FREEZE", 120)
    equal(host.state, "prepared", "state of the kernel")

    restart(host, "KILL")
    host.finish(command, 120, 1)
    with test.part("undone"):
        host.wait(host.luod_idle, 60, "end of the update")
        equal(host.state, "normal", "state of the kernel")
        equal(vm.state, "running", "state of the domain")
        equal(info(host)["state"], "cancelled", "state of the last update")
        vm.check_unharmed()
    with test.part("looked after"):
        virsh(host, f"suspend {vm.name}")
        equal(vm.state, "paused", "state of the domain")
        virsh(host, f"resume {vm.name}")
        vm.check_unharmed()
    held.leave()
    with test.part("the next one works"):
        update(host)
        vm.check_unharmed()
