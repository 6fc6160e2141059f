# SPDX-License-Identifier: GPL-2.0-or-later
"""Memory of huge pages as a VMM has it, in the hand of a program in the host
(tests/host/ram.c), and the pools that it comes from."""

import errno
import json

from lib.outcome import check, equal

POOLS = "/sys/kernel/mm/hugepages"
CGROUPS = "/sys/fs/cgroup"
COUNTS = ("nr", "free", "resv", "surplus")
MIB2, GIB1 = 2 << 10, 1 << 20       # in KiB, as the kernel names them


def serve(host, cgroup=""):
    """Starts the program, in each kernel anew; `cgroup` as of Cgroup."""
    enter = f"echo $$ >{CGROUPS}/{cgroup}/cgroup.procs; " if cgroup else ""
    host.run(f"sh -c '{enter}exec ram serve' </dev/null >>/share/logs/ram.log 2>&1 &")
    host.wait(lambda: host.run("test -S /run/ram && echo yes || true"), 10, "ram serve")


class Pool:
    """The huge pages of one size."""

    def __init__(self, host, kib=MIB2):
        self.host = host
        self.folder = f"{POOLS}/hugepages-{kib}kB"

    @property
    def counts(self):
        said = self.host.run(f"cd {self.folder} && cat " +
                             " ".join(f"{name}_hugepages" for name in COUNTS))
        return dict(zip(COUNTS, map(int, said.split())))

    def set(self, pages):
        self.host.run(f"echo {pages} >{self.folder}/nr_hugepages", 60)

    def is_now(self, when, **counts):
        """The named counts, and none that is not named."""
        wanted = dict.fromkeys(COUNTS, 0) | counts
        self.host.wait(lambda: self.counts == wanted, 10,
                       f"{wanted} {when}, but {self.counts}", 0.2)


class Ram:
    def __init__(self, host, name="vm1", kib=MIB2):
        self.host = host
        self.name = name
        self.kib = kib

    def do(self, command, *args, seconds=120):
        words = " ".join(map(str, args))
        return self.host.run(f"ram {command} {self.name} {words}", seconds)

    def refuses(self, command, number, *args):
        said = self.host.fails(f"ram {command} {self.name} {' '.join(map(str, args))}", 60)
        check(f" {errno.errorcode[number]} " in said,
              f"{command} of {self.name} to fail with {errno.errorcode[number]}: {said}")

    def create(self, pages, sparse=False):
        self.do("sparse" if sparse else "create", self.kib, pages)
        return self.check(pages)

    def preserve(self):
        """Returns how long that took, in ns."""
        return json.loads(self.do("preserve"))["ns"]

    def seal(self, seals):
        """Returns all that it has then."""
        return json.loads(self.do("seal", seals))["seals"]

    def check(self, pages, before=None):
        """Pages of the right size, the pattern in them, and where they were."""
        said = json.loads(self.do("check"))
        check(said["whole"], f"the pattern of {self.name} to be whole")
        equal(said["page"], self.kib << 10, f"size of the pages of {self.name}")
        equal(said["size"], pages * said["page"], f"size of {self.name}")
        for address in said["addresses"]:
            equal(address % said["page"], 0, f"offset of a page of {self.name} at {address:#x}")
        if before:
            equal(said["addresses"], before["addresses"], f"places of the pages of {self.name}")
            equal(said["filled_from"], before["filled_from"], f"holes of {self.name}")
        return said


class Cgroup:
    """What of a pool is charged to a control group. It does not outlive a kernel."""

    def __init__(self, host, name, size="2MB"):
        self.host = host
        self.folder, self.size = f"{CGROUPS}/{name}", size
        host.run(f"grep -q ' {CGROUPS} ' /proc/mounts || mount -t cgroup2 cgroup {CGROUPS}; "
                 f"echo +hugetlb >{CGROUPS}/cgroup.subtree_control && mkdir {self.folder}")

    def limit(self, mib, kind="max"):
        self.host.run(f"echo {mib << 20} >{self.folder}/hugetlb.{self.size}.{kind}")

    def is_now(self, when, mib):
        """In use, and reserved: all that is in use was reserved, too."""
        for kind in ("current", "rsvd.current"):
            found = int(self.host.run(f"cat {self.folder}/hugetlb.{self.size}.{kind}"))
            equal(found, mib << 20, f"hugetlb.{self.size}.{kind} {when}")
