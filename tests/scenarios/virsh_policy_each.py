# SPDX-License-Identifier: GPL-2.0-or-later
"""Domains by policy, in one update: one goes over the kexec, one is shut down before
and started after, one is saved and restored, one is left and ends with the host. One
that nobody opted in refuses it: it is named, and nothing happens to any of them.

All but the one that is shut down are paused and stay so; what was started anew would
run."""

from lib.outcome import check, equal
from lib.virsh import Domain, boot, info, outcomes, start_update, virsh, wait_over

PAUSED = ("live", "save", "leave")


def run(test):
    host = boot(test)
    vms = {"shutdown": Domain(host, "shutdown", policy="shutdown").define().start(wait=False)}
    for policy in PAUSED:
        vms[policy] = Domain(host, policy, policy=policy, memory=64).define().start(paused=True)
    vms["shutdown"].wait_up(400)
    with test.part("refuse"):
        refuse(host, vms)
    before = vms["live"].id

    command = start_update(host)
    host.wait(lambda: info(host, completed=False).get("phase") == "stopping", 60,
              "phase in which power buttons are pressed")
    host.peer.say("shutdown", "poweroff")
    host.jump(command, "b", 300)
    wait_over(host, 240)
    after = {"live": "paused", "shutdown": "running", "save": "paused", "leave": "shut off"}
    for policy, state in after.items():
        with test.part(policy):
            equal(vms[policy].state, state, "state")
            if policy == "live":
                equal(vms[policy].id, before, "its id")
    with test.part("what is said of it"):
        equal(outcomes(host), {"live": "running", "shutdown": "running", "save": "running",
                               "leave": "left"}, "domains")


def refuse(host, vms):
    silent = Domain(host, "silent", policy=None, memory=64).create(options="--paused")
    command = host.finish(start_update(host), 60, 1)
    check("silent" in command.output, f"the domain's name in: {command.output}")
    for name, vm in vms.items():
        check(f"'{name}'" not in command.output, f"only that name in: {command.output}")
        equal(vm.state, "paused" if name in PAUSED else "running", f"state of {name}")
    equal(silent.state, "paused", "state of the one that refuses")
    equal(host.state, "normal", "state of the kernel")
    virsh(host, "destroy silent")
    host.vms.remove(silent)
