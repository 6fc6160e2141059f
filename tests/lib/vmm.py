# SPDX-License-Identifier: GPL-2.0-or-later
"""VMs of a hostile VMM, whose vCPUs run all the time (tests/host/vmm.c)."""

import errno
import json

from lib.outcome import check, equal

LIST = "/sys/kernel/debug/kvm/liveupdate"


class Vmm:
    def __init__(self, host, name):
        self.host = host
        self.name = name

    def serve(self):
        """Starts the program, in each kernel anew. On one CPU: two of this host
        must not be in guest mode at the same time (docs/testing.md)."""
        self.host.run(f"taskset 2 vmm serve {self.name} </dev/null >>/share/logs/vmm.log 2>&1 & "
                      f"echo $! >/run/vmm-{self.name}.pid")
        self.host.wait(lambda: self.host.run(f"test -S /run/vmm-{self.name} && echo yes || true"),
                       10, "vmm serve")
        return self

    @property
    def pid(self):
        return int(self.host.run(f"cat /run/vmm-{self.name}.pid"))

    def do(self, command, *args):
        words = " ".join(str(arg) for arg in args)
        return self.host.run(f"vmm {command} {self.name} {words}")

    def open(self, vcpus):
        self.do("open", vcpus)
        self.check_runs()

    def look(self):
        return json.loads(self.do("look"))

    def refuses(self, what, number):
        said = self.host.fails(f"vmm try {self.name} {what}")
        check(f" {errno.errorcode[number]} " in said,
              f"{errno.errorcode[number]} for {what} of {self.name}: {said}")

    def allows(self, *what):
        for one in what:
            self.do("try", one)

    def check_runs(self):
        """All vCPUs get on, and none has lost anything."""
        before = self.look()
        self.host.wait(lambda: all(now["count"] > old["count"] for now, old
                                   in zip(self.look(), before)), 30, f"{self.name} runs")
        for number, vcpu in enumerate(self.look()):
            equal((vcpu["lost"], vcpu["other"], vcpu["error"]), (0, 0, 0),
                  f"registers lost, other errors of KVM_RUN, and which: vCPU {number}")

    def retrieve(self):
        """Where the vCPUs stood when they last ran; they run from there."""
        return json.loads(self.do("retrieve"))

    def listed(self):
        """What the kernel says of the VM: "session", "none", or nothing."""
        for line in self.host.run(f"cat {LIST}").splitlines():
            pid, name, where, comm = line.split()
            if int(pid) == self.pid:
                equal((name, comm), (f"kvm-{pid}", "vmm"), "name of the VM and of its owner")
                return where
        return None
