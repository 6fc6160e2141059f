# SPDX-License-Identifier: GPL-2.0-or-later
"""Huge pages that come through an update are charged to the control group of
whoever retrieves them, and to nobody else; a group that may not have them gets
none, and nothing of them is lost to the host."""

import errno

from lib.ram import Cgroup, Pool, Ram, serve
from lib.update import FILES, Update

POOL, PAGES, MIB = 40, 24, 48


def over(host, to, limit=None):
    """One update; returns the group of the retriever, which is charged nothing yet."""
    ram = Ram(host)
    ram.create(PAGES)
    ram.preserve()
    Update(host, to).prepare().jump()
    group = Cgroup(host, "vm")
    if limit is not None:
        group.limit(limit)
    serve(host, "vm")
    group.is_now("before it is retrieved", 0)
    return group


def run(test):
    host = test.host().boot("a", luod=False, cmdline=f"hugepages={POOL}")
    pool, ram = Pool(host), Ram(host)
    group = Cgroup(host, "vm")
    serve(host, "vm")
    with test.part("outgoing"):
        ram.create(PAGES)
        group.is_now("with a VM", MIB)
        ram.preserve()
        group.is_now("preserved", MIB)
        ram.do("cancel")
        ram.do("close")
        group.is_now("closed", 0)
    with test.part("retrieved"):
        group = over(host, "b")
        ram.do("retrieve")
        ram.check(PAGES)
        group.is_now("retrieved", MIB)
        ram.do("finish")
        group.is_now("finished", MIB)
        ram.do("close")
        group.is_now("closed", 0)
        pool.is_now("closed", nr=POOL, free=POOL)
        host.run(f"echo 1 >{FILES}/finish")
    with test.part("a group that may not have them"):
        group = over(host, "a", MIB - 2)
        ram.refuses("retrieve", errno.ENOSPC)
        host.wait(lambda: "raise its limit" in host.console.text, 10, "message that says why")
        ram.do("finish")
        ram.do("close")
        group.is_now("given up", 0)
        pool.is_now("given up", nr=POOL, free=POOL)
        host.run(f"echo 1 >{FILES}/finish")
