# SPDX-License-Identifier: GPL-2.0-or-later
"""An update by hand, at the kernel's own files: no luod and no guests, so each
step waits for the test. For hosts that were booted with luod=False."""

import re

from lib.outcome import Failed, check, equal

FILES = "/sys/kernel/liveupdate"
DRY_RUN = "/sys/kernel/debug/liveupdate/dry_run"
# of the incoming kernel; the outgoing one could still take an interrupt after its
# last words
FIRST_WORDS = "Linux version"
# still of the incoming one, before it touches any device
FIRST_LOOK = "PCI host bridge to bus"
# and when it has found all of them
LAST_LOOK = "PCI: Using ACPI for IRQ routing"
PRINTED = re.compile(r"^\[ *([0-9.]+)\] (pci|pci_bus) [0-9a-f]{4}:", re.M)
# the host's driver of hlu-probe, left out of a kernel
NO_DRIVER = "initcall_blacklist=hlu_probe_driver_init"


class Update:
    def __init__(self, host, to="b", cmdline="", without=""):
        """`without`: what of the old command line is not in the new one."""
        self.host = host
        self.to = to
        host.run(f"kexec load /images/kernel-{to} /images/host.cpio "
                 f"\"$(sed 's/{without or '^$'}//g' /proc/cmdline) {cmdline}\"", 60)

    def prepare(self):
        self.host.run(f"echo 1 >{FILES}/prepare", 60)
        equal(self.host.state, "prepared", "state")
        return self

    def prepare_fails(self):
        said = self.host.fails(f"echo 1 >{FILES}/prepare", 60)
        equal(self.host.state, "normal", "state after a failed prepare")
        return said

    def cancel(self):
        self.host.run(f"echo 0 >{FILES}/prepare", 60)
        equal(self.host.state, "normal", "state after a cancel")

    def dry_run(self):
        """REBOOT, and then what follows a failed reboot(2)."""
        self.host.run(f"echo 1 >{DRY_RUN}", 60)
        equal(self.host.state, "normal", "state after a dry run")

    def jump_fails(self):
        said = self.host.fails("kexec exec", 60)
        equal(self.host.state, "normal", "state after a failed reboot(2)")
        return said

    def jump(self, meanwhile=None):
        """Into the next kernel. `meanwhile` is called between the two, with all
        CPUs standing still."""
        mark = self.host.console.mark
        seen = self.host.agent.greetings
        command = self.host.start("kexec exec", 60)
        if meanwhile:
            self.host.wait(lambda: FIRST_WORDS in self.host.console.since(mark), 60,
                           "first words of the incoming kernel", 0.005)
            self.host.machine.qmp("stop")
            check(FIRST_LOOK not in self.host.console.since(mark),
                  "the host to stand still before the incoming kernel looks at PCI")
            meanwhile()
            self.host.machine.qmp("cont")
        self.host.jump(command, self.to, seen=seen)
        return self

    def finish(self):
        equal(self.host.state, "updated", "state before finish")
        self.host.run(f"echo 1 >{FILES}/finish", 60)
        equal(self.host.state, "normal", "state after finish")


def plain_kexec(host, to, meanwhile=None):
    """A jump that nobody prepared."""
    equal(host.state, "normal", "state")
    Update(host, to).jump(meanwhile)
    equal(host.state, "normal", "state after a jump that nobody prepared")


def enumeration_ms(text):
    """How long a kernel took to find its PCI devices, by the times that it
    printed; `text` begins before its first line, or with that of an earlier one."""
    look, _, rest = text.partition(FIRST_LOOK)
    found, end, _ = rest.partition(LAST_LOOK)
    times = [float(match[1]) for match in PRINTED.finditer(found)]
    if not end or not times:
        raise Failed(f"no PCI devices found in: {text[:500]}")
    start = float(look.rpartition("\n")[2].strip("[ ").partition("]")[0])
    return round(1e3 * (times[-1] - start))
