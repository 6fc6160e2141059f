# SPDX-License-Identifier: GPL-2.0-or-later
"""virtqemud is killed in an update, and starts again: it undoes the update, whether
the domain still runs or stands still already, and looks after the domain as before.

The next update works."""

from lib.holdup import Holdup
from lib.outcome import equal
from lib.virsh import Domain, boot, info, restart, start_update, update, virsh


def run(test):
    host = boot(test)
    vm = Domain(host).define().start()
    vm.wait_verified()
    with test.part("the domain runs, its memory is preserved"):
        held = Holdup(host)
        command = start_update(host)
        held.wait("START_PRESERVATION")
        wait_ready(host, "preserving")
        restart(host, "KILL")
        check_undone(host, vm, command)
        held.leave()
    with test.part("the domain stands still"):
        held, command = frozen(host)
        restart(host, "KILL")
        check_undone(host, vm, command)
        held.leave()
    with test.part("the next one works"):
        update(host)
        equal(info(host)["state"], "completed", "state of the last update")
        check_looked_after(host, vm)


def wait_ready(host, phase):
    """Until all but the client that holds the update up have answered."""
    def ready():
        status = host.status()
        return status["phase"] == phase and [one["state"] for one in status["sessions"]
                                             if one["id"] != "holdup"] == ["ready"]
    host.wait(ready, 120, f"answer of the domain in phase {phase}", 0.3)


def frozen(host):
    held = Holdup(host)
    command = start_update(host)
    held.wait("START_PRESERVATION")
    held.go("START_PRESERVATION")
    held.wait("FREEZE", 120)
    wait_ready(host, "freezing")
    equal(host.state, "prepared", "state of the kernel")
    return held, command


def check_undone(host, vm, command):
    host.finish(command, 120, 1)
    host.wait(lambda: host.luod_idle() and info(host, completed=False)["state"] == "none",
              120, "end of the update", 0.5)
    equal(host.state, "normal", "state of the kernel")
    equal(info(host)["state"], "cancelled", "state of the last update")
    check_looked_after(host, vm)


def check_looked_after(host, vm):
    equal(vm.state, "running", "state of the domain")
    vm.check_unharmed()
    virsh(host, f"suspend {vm.name}")
    equal(vm.state, "paused", "state of the domain")
    virsh(host, f"resume {vm.name}")
    vm.check_unharmed()
