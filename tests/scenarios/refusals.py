# SPDX-License-Identifier: GPL-2.0-or-later
"""A VM that cannot go over is refused beforehand: luoctl names it and says
why, and all guests go on."""

from lib.outcome import check, equal

RAM = "memory-backend-memfd,id=ram,size=128M,share=on"
CASES = {
    "memory that is no memfd": (
        {RAM: "memory-backend-file,id=ram,size=128M,share=on,mem-path=/tmp/ram"}, "memfd"),
    "memory that is not shared": (
        {RAM: "memory-backend-memfd,id=ram,size=128M,share=off"}, "share"),
    "memory of huge pages": (
        {RAM: RAM + ",hugetlb=on,hugetlbsize=2M"}, "hugetlb"),
    "vhost": (
        {"script=/host/tap-up,downscript=no": "script=/host/tap-up,downscript=no,vhost=on"},
        "vhost"),
}


def run(test):
    host = test.host().boot("a")
    host.run("echo 80 >/proc/sys/vm/nr_hugepages")
    vm = host.start_vm("vm1", memory=128, fill=20)
    seen = test.metrics["refusals"] = {}
    for name, (changes, reason) in CASES.items():
        with test.part(name):
            other = host.start_vm("vm2", memory=128, fill=20, changes=changes)
            host.load("b")
            said = host.fails("luoctl update --timeout 20", 90)
            seen[name] = said.strip()
            check("vm2" in said, f"vm2 named: {said}")
            check(reason in said, f"'{reason}' in the reason: {said}")
            equal(host.state, "normal", "state")
            for one in (vm, other):
                one.check_unharmed()
            host.kill_vm(other)
    with test.part("without it, the update succeeds"):
        host.update("b")
        vm.check_unharmed()
