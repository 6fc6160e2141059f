# SPDX-License-Identifier: GPL-2.0-or-later
"""Records of huge pages that are wrong, written between two kernels: the incoming
kernel always comes up, the file whose record it is is lost, the one beside it comes
through whole, and the pool's numbers are right."""

import errno

from lib.handover import HugeFile, HugePool
from lib.ram import Pool, Ram, serve
from lib.update import FILES, Update

# enough for what one update has lost: it is there again after the next one
POOL, PAGES, OTHER = 60, 24, 8
ORDER, MIB2 = 9, 2 << 20


def not_sealed(file):
    """A damaged record: nobody knows which pages are meant."""
    file.head.size += MIB2


def wrong_size(file):
    """More pages than are listed."""
    file.head.size += MIB2
    file.seal()


def wrong_order(file):
    """Pages of a size that these are not of."""
    file.head.order = ORDER + 9
    file.head.size = PAGES << 30
    file.seal()


def foreign_list(file):
    """A list in memory that was not handed over."""
    file.head.first = 0x1000
    file.seal()


def damaged_list(file):
    file.block.pfn ^= 1 << 9


def foreign_page(file):
    """A page that was not handed over, in a list with a right checksum."""
    file.block.pfn = 0
    file.seal_block()


def twice_the_same(file):
    file.block.second = file.block.pfn
    file.seal_block()


# what is wrong: the errno of retrieve, and how many pages nobody can give back
VARIANTS = {
    not_sealed: (errno.EILSEQ, PAGES),
    wrong_size: (errno.ERANGE, PAGES),
    wrong_order: (errno.EFAULT, PAGES),
    foreign_list: (errno.EFAULT, PAGES),
    damaged_list: (errno.EILSEQ, PAGES),
    foreign_page: (errno.EFAULT, 1),
    twice_the_same: (errno.EFAULT, 1),
}


def over(host, to, change):
    """One update of two files, the first of which somebody changes in between."""
    ram, other = Ram(host), Ram(host, "vm2")
    ram.create(PAGES)
    before = other.create(OTHER)
    ram.preserve()
    other.preserve()
    meanwhile = change(host)
    Update(host, to).prepare().jump(meanwhile)
    serve(host)
    return ram, other, before


def close(host, other, before):
    other.do("retrieve")
    other.check(OTHER, before)
    other.do("finish")
    other.do("close")
    host.run(f"echo 1 >{FILES}/finish")


def run(test):
    host = test.host().boot("a", luod=False, cmdline=f"hugepages={POOL}")
    serve(host)
    pool = Pool(host)
    for number, (change, (number_of_error, lost)) in enumerate(VARIANTS.items()):
        with test.part(change.__name__):
            def find(host, change=change):
                file = HugeFile(host, ORDER, PAGES * MIB2)
                return lambda: change(file)
            ram, other, before = over(host, "ba"[number % 2], find)
            pool.is_now("after the jump", nr=POOL, free=POOL - PAGES - OTHER)
            ram.refuses("retrieve", number_of_error)
            ram.do("finish")
            ram.do("close")
            close(host, other, before)
            pool.is_now("after finish", nr=POOL, free=POOL - lost)
    with test.part("a table that does not verify"):
        def damage(host):
            table = HugePool(host)
            def change():
                table.head.crc ^= 1
            return change
        ram, other, before = over(host, "ba"[len(VARIANTS) % 2], damage)
        # as many as were asked for, and what was kept is not counted yet
        pool.is_now("after the jump", nr=POOL, free=POOL)
        ram.do("retrieve")
        ram.check(PAGES)
        pool.is_now("retrieved", nr=POOL + PAGES, free=POOL, surplus=PAGES)
        ram.do("finish")
        ram.do("close")
        close(host, other, before)
        pool.is_now("closed", nr=POOL, free=POOL)
