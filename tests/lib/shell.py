# SPDX-License-Identifier: GPL-2.0-or-later
"""tests/run --shell: the emulated host with this terminal as its console."""

import sys

from lib.host import Host, fresh
from lib.vm import VM

NAME = "shell"


def run():
    fresh(NAME)
    with Host(NAME, quiet=True) as host:
        for name in ("vm1", "vm2"):
            vm = VM(host, name)
            host.vms.append(vm)
            vm.write_arguments()
        host.boot(cmdline="hlu.shell=1", terminal=True)
        print(f"host's share: {host.share}\n", file=sys.stderr)
        host.machine.process.wait()
        for vm in host.vms:
            if vm.line.answers:
                print(f"{vm.name}: {vm.report()}", file=sys.stderr)
    return 0
