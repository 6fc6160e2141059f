# SPDX-License-Identifier: GPL-2.0-or-later
"""virsh on another machine: its connection ends with the old kernel, it connects to
the new one, and says how the update ended."""

from lib.outcome import check, equal
from lib.remote import Remote
from lib.virsh import CONFIG, Domain, boot, info

FILES = {"etc/libvirt/virtproxyd.conf": CONFIG / "virtproxyd.conf"}


def run(test):
    with Remote() as remote:
        host = boot(test, files=FILES, forward=remote.forward)
        vm = Domain(host).define().start()
        vm.wait_verified()
        remote.wait(host)
        seen = host.agent.greetings
        command = remote.start(host, "hypervisor-update --kernel /images/kernel-b "
                                     "--initrd /images/host.cpio --timeout 60 --verbose")
        host.jump(command, "b", 240, seen)
        host.finish(command, 300)
    check("rebooting" in command.output, f"phases in: {command.output}")
    check(host.release in command.output, f"the new kernel in: {command.output}")
    equal(info(host)["state"], "completed", "state of the update")
    equal(vm.state, "running", "state of the domain")
    vm.check_unharmed()
