# SPDX-License-Identifier: GPL-2.0-or-later
"""A hook that fails on "begin", the host's or a domain's, refuses the update before
anything has happened. Each "begin" has its "end".

The domain is paused and stays so: nothing gets as far as its guest."""

from lib import paths
from lib.outcome import check, equal
from lib.virsh import Domain, boot, info, start_update

HOOK = paths.TESTS / "host" / "libvirt" / "hook.sh"
FILES = {"etc/libvirt/hooks/daemon.d/50-test": HOOK, "etc/libvirt/hooks/qemu.d/50-test": HOOK}
BOTH = [("daemon", "begin"), ("qemu", "begin")]


def run(test):
    host = boot(test, files=FILES)
    vm = Domain(host, memory=64).define().start(paused=True)
    for refuses, called in (("daemon", BOTH[:1]), ("qemu", BOTH)):
        with test.part(f"{refuses} refuses"):
            host.run(f"rm -f /run/hook.log; echo {refuses} >/run/hook.refuses")
            command = host.finish(start_update(host), 60, 1)
            check("not today" in command.output, f"what the hook said: {command.output}")
            check_nothing_happened(host, vm)
            equal(calls(host), called + [(who, "end") for who, _ in reversed(called)],
                  "calls of the hooks")
            results = host.run("cut -d' ' -f5 /run/hook.log | sort -u").split()
            equal(sorted(results), ["-", "cancelled"], "results that they got")


def calls(host):
    """(driver, "begin" or "end") of each call for an update, in order."""
    lines = [line.split() for line in host.run("cat /run/hook.log").splitlines()]
    return [(line[0], line[3]) for line in lines if line[2] == "hypervisor-update"]


def check_nothing_happened(host, vm):
    equal(host.state, "normal", "state of the kernel")
    equal(host.status()["loaded"], None, "image that is loaded")
    equal(host.status()["clients"], [], "virtual machines that luod knows")
    equal(vm.state, "paused", "state of the domain")
    equal(info(host)["state"], "cancelled", "state of the last update")
