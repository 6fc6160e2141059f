# SPDX-License-Identifier: GPL-2.0-or-later
"""Domains by policy, in one update: one goes over the kexec, one is shut down before
and booted after, one is saved and restored, one is left and ends with the host.

Which is which is said by `hypervisor-update-info --completed` as well."""

from lib.outcome import check, equal
from lib.virsh import Domain, boot, info, start_update, wait_over

POLICIES = ("live", "shutdown", "save", "leave")


def run(test):
    host = boot(test)
    vms = {policy: Domain(host, policy, policy=policy, memory=160, vcpus=1, fill=20).define()
           for policy in POLICIES}
    for vm in vms.values():
        vm.start(wait=False)
    for vm in vms.values():
        vm.wait_up(400)
    command = start_update(host)
    host.wait(lambda: info(host, completed=False).get("phase") == "stopping", 60,
              "phase in which power buttons are pressed")
    host.peer.say("shutdown", "poweroff")
    host.jump(command, "b", 300)
    wait_over(host, 240)
    boots = {policy: len(vm.line.hellos) for policy, vm in vms.items()}

    with test.part("live"):
        vms["live"].check_unharmed()
    with test.part("shutdown"):
        equal(boots["shutdown"], 1, "boots before")
        host.wait(lambda: len(vms["shutdown"].line.hellos) == 2, 240, "second boot")
    with test.part("save"):
        equal(vms["save"].state, "running", "state")
        vms["save"].wait_alive(120)
        vm = vms["save"]
        check(vm.line.last.values["bad"] == 0 and vm.line.last.values["went_back"] == 0,
              f"its memory: {vm.line.last.values}")
        equal(len({boot_id for boot_id, _ in vm.line.hellos}), 1, "boots")
    with test.part("leave"):
        equal(vms["leave"].state, "shut off", "state")
    with test.part("what is said of it"):
        said = info(host)
        found = {said[f"domain.{number}.name"]: said[f"domain.{number}.state"]
                 for number in range(len(POLICIES))}
        equal(found, {"live": "running", "shutdown": "running", "save": "running",
                      "leave": "left"}, "domains")
