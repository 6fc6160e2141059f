# SPDX-License-Identifier: GPL-2.0-or-later
"""tests/run --shell: the emulated host with this terminal as its console; or,
when stdin is no terminal, with its lines run in the host one after the other."""

import sys

from lib.agent import GONE
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
        print(f"the host's /share: {host.share}", file=sys.stderr, flush=True)
        if sys.stdin.isatty():
            host.boot(cmdline="hlu.shell=1", terminal=True)
            host.machine.process.wait()
        else:
            host.boot()
            for line in sys.stdin:
                _run_line(host, line.strip())
        for vm in host.vms:
            if vm.line.answers:
                print(f"{vm.name}: {vm.report()}", file=sys.stderr)
    return 0


def _run_line(host, line):
    print(f"# {line}", flush=True)
    seen = host.agent.greetings
    command = host.finish(host.start(line, 600), 610, None)
    if command.status == GONE or host.agent.greetings > seen:
        print(f"(now {host.release})", flush=True)
        return
    print(command.output, end="", flush=True)
    if command.status:
        print(f"(status {command.status})", flush=True)
