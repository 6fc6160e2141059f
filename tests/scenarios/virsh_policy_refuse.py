# SPDX-License-Identifier: GPL-2.0-or-later
"""A running domain that nobody opted in refuses the update and is named; nothing
happens to it or to others. What qemu.conf says is for all that say nothing."""

from lib.outcome import check, equal
from lib.virsh import Domain, boot, checks, restart, start_update


def run(test):
    host = boot(test)
    kept = Domain(host, "kept", vcpus=1).define().start(wait=False)
    silent = Domain(host, "silent", vcpus=1, policy=None).define().start(wait=False)
    for vm in (kept, silent):
        vm.wait_up()
    with test.part("refused"):
        command = host.finish(start_update(host), 60, 1)
        check("silent" in command.output, f"the domain's name in: {command.output}")
        check("kept" not in command.output, f"only that name in: {command.output}")
        equal(host.state, "normal", "state of the kernel")
        for vm in (kept, silent):
            equal(vm.state, "running", f"state of {vm.name}")
            vm.check_unharmed()
    with test.part("--check says so, too"):
        equal(verdict(host), {"kept": "PASS", "silent": "FAIL"}, "findings")
    with test.part("the host's default"):
        host.run("echo 'hypervisor_update_policy = \"leave\"' >>/etc/libvirt/qemu.conf")
        restart(host)
        equal(verdict(host), {"kept": "PASS", "silent": "WARN"}, "findings")


def verdict(host):
    """The worst of each domain's findings."""
    order = ("PASS", "WARN", "FAIL")
    worst = {}
    for level, name, _ in checks(host):
        for domain in ("kept", "silent"):
            if domain in name:
                worst[domain] = max(worst.get(domain, "PASS"), level, key=order.index)
    return worst
