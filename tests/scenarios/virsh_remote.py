# SPDX-License-Identifier: GPL-2.0-or-later
"""virsh on another machine: its connection ends with the old kernel, it connects to
the new one, and says how the update ended.

The domain is paused before and after. The example of a hook (libvirt-hooks/qemu.d)
has put its route back by then."""

from xml.etree import ElementTree

from lib import paths
from lib.outcome import check, equal
from lib.remote import Remote
from lib.virsh import Domain, boot, info

HOOK = paths.ROOT / "libvirt-hooks/qemu.d/50-announce"
FILES = {"etc/libvirt/hooks/qemu.d/50-announce": HOOK}
ADDRESS = "192.0.2.7"


def announced(tree):
    ElementTree.SubElement(ElementTree.SubElement(tree, "metadata"),
                           "{urn:hlu:announce}announce", dev="br0", address=ADDRESS)


def run(test):
    with Remote() as remote:
        host = boot(test, files=FILES, cmdline="hlu.remote=1", forward=remote.forward)
        vm = Domain(host, memory=64).define(announced).start(paused=True)
        before = vm.id
        check(ADDRESS in host.run("ip route"), "a route to the guest's address")
        remote.wait(host)
        seen = host.agent.greetings
        command = remote.start(host, "hypervisor-update --kernel /images/kernel-b "
                                     "--initrd /images/host.cpio --timeout 60 --verbose")
        host.jump(command, "b", 240, seen)
        host.finish(command, 300)
    check("rebooting" in command.output, f"phases in: {command.output}")
    check(host.release in command.output, f"the new kernel in: {command.output}")
    check(ADDRESS in host.run("ip route"), "a route to the guest's address, after the jump")
    equal(info(host)["state"], "completed", "state of the update")
    equal((vm.state, vm.id), ("paused", before), "state and id of the domain")
