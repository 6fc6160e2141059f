# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest whose memory is of 2 MiB pages lives through updates of its host, A to B
to A: its memory is of such pages afterwards, and they are back in the pool when it
has ended."""

from lib.outcome import equal
from lib.ram import MIB2, Pool
from lib.survival import update_and_measure

MEMORY, POOL = 128, 72
PAGES = MEMORY // 2
RAM = f"memory-backend-memfd,id=ram,size={MEMORY}M,share=on"
HUGE = {RAM: f"{RAM},hugetlb=on,hugetlbsize=2M"}
MAPPED = "Shared_Hugetlb|Private_Hugetlb"


def run(test):
    host = test.host().boot("a", cmdline=f"hugepages={POOL}")
    pool = Pool(host)
    vm = host.start_vm("vm1", memory=MEMORY, changes=HUGE)
    pool_holds(pool, vm, "with a guest")
    for to in ("b", "a"):
        with test.part(f"to {to}"):
            update_and_measure(host, vm, to, test.metrics.setdefault(f"to {to}", {}))
            pool_holds(pool, vm, f"in kernel {to}")
    host.kill_vm(vm)
    pool.is_now("when the guest has ended", nr=POOL, free=POOL)


def pool_holds(pool, vm, when):
    """All memory is of the pool, and QEMU has it mapped as that."""
    host = vm.host
    taken = host.wait(lambda: POOL - pool.counts["free"] + pool.counts["resv"] == PAGES, 20,
                      f"{PAGES} huge pages in use {when}")
    equal(taken, True, f"pages of the pool taken {when}")
    counts = pool.counts
    equal((counts["nr"], counts["surplus"]), (POOL, 0), f"the pool {when}")
    sizes = host.run(f"awk '/KernelPageSize/ {{ if ($2 == {MIB2}) n++ }} END {{ print n+0 }}' "
                     f"/proc/$(cat /run/vm/{vm.name}.pid)/smaps")
    equal(int(sizes) >= 1, True, f"QEMU's mappings of huge pages {when}")
