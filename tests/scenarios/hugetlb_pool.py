# SPDX-License-Identifier: GPL-2.0-or-later
"""A memfd of 2 MiB pages comes through an update as such, in place and whole; its
pages count in the pool from the boot on, and go back there when it is closed.

The pool of the incoming kernel: as large as the outgoing one, larger, smaller, and
not asked for at all. What cannot be kept is refused, and what was refused or
cancelled is as before."""

import errno

from lib.outcome import equal
from lib.ram import Pool, Ram, serve
from lib.update import Update

POOL, PAGES = 40, 24
F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_EXEC = 1, 2, 4, 32
SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_EXEC


def before_the_jump(test, host):
    pool, ram = Pool(host), Ram(host)
    with test.part("cancel"):
        ram.create(PAGES)
        pool.is_now("with a VM", nr=POOL, free=POOL - PAGES)
        ram.preserve()
        for attempt in (("resize", PAGES - 1), ("resize", PAGES + 1), ("punch",), ("fill",)):
            ram.refuses(attempt[0], errno.EPERM, *attempt[1:])
        ram.check(PAGES)
        ram.do("cancel")
        for attempt in (("fill",), ("punch",), ("resize", 1)):
            ram.do(*attempt)
        pool.is_now("after the VM has shrunk to a hole", nr=POOL, free=POOL)
        ram.do("close")
        pool.is_now("after it was closed", nr=POOL, free=POOL)
    with test.part("holes"):
        ram.do("sparse", ram.kib, PAGES)
        pool.is_now("reserved", nr=POOL, free=POOL - 1, resv=PAGES - 1)
        ram.preserve()
        pool.is_now("holes filled", nr=POOL, free=POOL - PAGES)
        ram.do("cancel")
        ram.do("close")
        pool.is_now("after it was closed", nr=POOL, free=POOL)
    with test.part("more holes than pages"):
        ram.do("hollow", ram.kib, POOL + 1)
        ram.refuses("preserve", errno.ENOMEM)
        ram.do("resize", POOL)
        ram.do("close")
        pool.is_now("after it was refused", nr=POOL, free=POOL)


def jump(host, to, cmdline=""):
    without = "hugepages=[0-9]*" if "hugepages" in cmdline else ""
    Update(host, to, cmdline, without).prepare().jump()
    serve(host)
    return Pool(host), Ram(host)


def over(test, host, to, wanted, nr, surplus=0):
    """One update. `wanted` is the incoming command line's, and the pool `nr`."""
    ram = Ram(host)
    before = ram.create(PAGES)
    ram.seal(SEALS)
    ram.preserve()
    # the seal of one that is not executable does not bring others with it
    small = Ram(host, "small", 4)
    small.create(PAGES)
    small.seal(F_SEAL_EXEC)
    small.preserve()
    pool, ram = jump(host, to, wanted)
    free = nr - PAGES
    with test.part(f"{wanted or 'same'}: counted from the boot on"):
        pool.is_now("before anybody has retrieved it", nr=nr, free=free, surplus=surplus)
    with test.part(f"{wanted or 'same'}: retrieved"):
        ram.do("retrieve")
        ram.check(PAGES, before)
        pool.is_now("retrieved", nr=nr, free=free, surplus=surplus)
        ram.refuses("resize", errno.EPERM, PAGES - 1)
        equal(ram.seal(F_SEAL_SEAL), SEALS | F_SEAL_SEAL, "seals")
        ram.do("finish")
        small = Ram(host, "small", 4)
        small.do("retrieve")
        small.check(PAGES)
        equal(small.seal(0), F_SEAL_EXEC, "seals of an ordinary memfd")
        small.do("finish")
        small.do("close")
        host.run("echo 1 >/sys/kernel/liveupdate/finish")
    with test.part(f"{wanted or 'same'}: back in the pool"):
        ram.do("close")
        pool.is_now("closed", nr=nr - surplus, free=nr - surplus)


def nobody_retrieves_it(test, host, to):
    ram = Ram(host)
    ram.create(PAGES)
    ram.preserve()
    pool, _ = jump(host, to)
    with test.part("nobody retrieves it"):
        pool.is_now("before finish", nr=POOL, free=POOL - PAGES)
        host.run("echo 1 >/sys/kernel/liveupdate/finish")
        pool.is_now("after finish", nr=POOL, free=POOL)


def run(test):
    host = test.host().boot("a", luod=False, cmdline=f"hugepages={POOL}")
    serve(host)
    Pool(host).is_now("after the boot", nr=POOL, free=POOL)
    before_the_jump(test, host)
    nobody_retrieves_it(test, host, "b")
    over(test, host, "a", "", POOL)
    over(test, host, "b", "hugetlb_free_vmemmap=on", POOL)
    over(test, host, "a", f"hugepages={POOL + 10}", POOL + 10)
    over(test, host, "b", f"hugepages={PAGES - 4}", PAGES, surplus=4)
