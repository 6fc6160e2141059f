# SPDX-License-Identifier: GPL-2.0-or-later
"""A memfd of a 1 GiB page comes through an update as such, in place and whole. Its
page counts in the pool from the boot on, and goes back there when it is closed; if
the incoming kernel does not want any, it goes back to the page allocator."""

from lib.outcome import check
from lib.ram import GIB1, Pool, Ram, serve
from lib.update import FILES, Update

ONE = "hugepagesz=1G hugepages=1"


def free_kib(host):
    return int(host.run("awk '/^MemFree/ { print $2 }' /proc/meminfo"))


def over(test, host, to, wanted):
    """One update. `wanted`: how many the incoming command line asks for."""
    ram = Ram(host, kib=GIB1)
    before = ram.create(1)
    ram.preserve()
    Update(host, to, without="" if wanted else ONE).prepare().jump()
    serve(host)
    pool = Pool(host, GIB1)
    counts = {"nr": 1, "surplus": 1 - wanted}
    with test.part(f"{wanted} wanted"):
        pool.is_now("before anybody has retrieved it", **counts)
        ram.do("retrieve")
        ram.check(1, before)
        pool.is_now("retrieved", **counts)
        ram.do("finish")
        free = free_kib(host)
        ram.do("close")
        pool.is_now("closed", nr=wanted, free=wanted)
        back = free_kib(host) - free
        check(back >= GIB1 * (1 - wanted) - (16 << 10),
              f"{1 - wanted} GiB more to be free, it is {back} KiB")
    host.run(f"echo 1 >{FILES}/finish")


def run(test):
    # of 3 GiB no whole one above 4 GiB is left to a kernel, and none below
    host = test.host().boot("a", luod=False, cmdline=ONE, memory="5G")
    serve(host)
    Pool(host, GIB1).is_now("after the boot", nr=1, free=1)
    over(test, host, "b", 1)
    over(test, host, "a", 0)
