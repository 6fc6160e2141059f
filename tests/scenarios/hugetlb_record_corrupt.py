# SPDX-License-Identifier: GPL-2.0-or-later
"""Records of huge pages that are wrong, written between two kernels: the incoming
kernel always comes up, each file whose record it is is lost, the one beside them
comes through whole, and the pool's numbers are right."""

import errno

from lib.handover import HugeFile, HugePool
from lib.hardware import root_port
from lib.ram import Pool, Ram, serve
from lib.update import FILES, Update

POOL, WHOLE = 60, 8
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
    file.head.size <<= 9
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


# what is wrong: pages of the file, the errno of retrieve, and how many of the pages
# nobody can give back. Files are found by their sizes.
VARIANTS = {
    not_sealed: (4, errno.EILSEQ, 4),
    wrong_size: (5, errno.ERANGE, 5),
    wrong_order: (6, errno.EFAULT, 6),
    foreign_list: (7, errno.EFAULT, 7),
    damaged_list: (9, errno.EILSEQ, 9),
    foreign_page: (10, errno.EFAULT, 1),
    twice_the_same: (11, errno.EFAULT, 1),
}


def run(test):
    # with a device more, L0's memory can be read and written
    host = test.host().boot("a", luod=False, cmdline=f"hugepages={POOL}",
                            devices=[root_port("rp2", 2)])
    serve(host)
    records_of_files(test, host, "b")
    table_of_the_pool(test, host, "a")


def records_of_files(test, host, to):
    """Each is damaged in a way of its own, but for one."""
    damaged = {}
    for change, (pages, _, _) in VARIANTS.items():
        ram = Ram(host, change.__name__)
        ram.create(pages)
        ram.preserve()
        damaged[change] = HugeFile(host, ORDER, pages * MIB2)
    other, before = keep_whole(host)

    def change_all():
        for change, file in damaged.items():
            change(file)
    pool = jump(host, to, change_all)
    kept = WHOLE + sum(pages for pages, _, _ in VARIANTS.values())
    pool.is_now("after the jump", nr=POOL, free=POOL - kept)
    for change, (_, number, _) in VARIANTS.items():
        with test.part(change.__name__):
            ram = Ram(host, change.__name__)
            ram.refuses("retrieve", number)
            ram.do("finish")
            ram.do("close")
    with test.part("the one beside them, and what is lost"):
        other.do("retrieve")
        end_whole(host, other, before)
        lost = sum(lost for _, _, lost in VARIANTS.values())
        pool.is_now("after finish", nr=POOL, free=POOL - lost)


def table_of_the_pool(test, host, to):
    """The number of pages that are kept. It is read before the first words of a
    kernel, so it is damaged before the jump."""
    other, before = keep_whole(host)
    update = Update(host, to).prepare()
    HugePool(host).head.crc ^= 1
    update.jump()
    serve(host)
    pool = Pool(host)
    with test.part("a table that does not verify"):
        # as many as were asked for, and what was kept is not counted yet
        pool.is_now("after the jump", nr=POOL, free=POOL)
        other.do("retrieve")
        pool.is_now("retrieved", nr=POOL + WHOLE, free=POOL, surplus=WHOLE)
        end_whole(host, other, before)
        pool.is_now("closed", nr=POOL, free=POOL)


def keep_whole(host):
    other = Ram(host, "whole")
    before = other.create(WHOLE)
    other.preserve()
    return other, before


def jump(host, to, change):
    Update(host, to).prepare().jump(change)
    serve(host)
    return Pool(host)


def end_whole(host, other, before):
    other.check(WHOLE, before)
    other.do("finish")
    other.do("close")
    host.run(f"echo 1 >{FILES}/finish")
