# SPDX-License-Identifier: GPL-2.0-or-later
"""In the incoming kernel a device that its owner kept can be opened by nobody, by
its character device or by its group, until the owner has it: EBUSY, and a
message. Its file comes from the session alone, and can be bound only to the
iommufd of that session. A session with a file that nobody bound does not finish."""

import errno

from lib import dma
from lib.device import message
from lib.outcome import check, equal
from lib.update import Update
from lib.vectors import Interrupting, cards

KINDS = {"probe0": ("msix", 4)}


def run(test):
    host = test.host().boot("a", luod=False, devices=cards(KINDS))
    dma.serve(host)
    one = Interrupting(host)
    one.open()
    one.listen()
    one.raise_at()
    one.preserve()
    update = Update(host).prepare()
    one.do("pause")
    one.reset_counters()
    update.jump()
    dma.serve(host)
    one.device().take(dma.DRIVER)

    with test.part("before retrieve: no open"):
        not_opened(host, one)
        said = host.fails(f"dma group stranger {one.device()}")
        check(" EBUSY " in said, f"EBUSY by its group: {said}")
        equal(one.device().marks[1:], (1, 0), "preserved and reclaimed")
    one.do("fetch")
    with test.part("retrieved, not bound: no other open, no other iommufd, no end"):
        not_opened(host, one)
        for command in ("bind", "finish"):
            mark = host.console.mark
            one.refuses(command, errno.EBUSY)
            message(host, mark, one.device().address)
        equal(one.device().marks[1:], (1, 0), "preserved and reclaimed")
    one.do("claim")
    one.listen()
    with test.part("bound: the owner has it, untouched"):
        equal(one.device().marks[1:], (1, 1), "preserved and reclaimed")
        one.wait_signals()
        one.check_ring()
        one.check_kept()
    with test.part("finished and closed, it is opened as any other"):
        one.finish()
        update.finish()
        one.wait_signals()
        one.do("close")
        one.open()
        one.listen()
        one.raise_at()
        one.wait_signals()


def not_opened(host, one):
    mark = host.console.mark
    said = host.fails(f"dma open stranger {one.device()} 8 small")
    check("open VFIO device: EBUSY " in said, f"EBUSY for an open: {said}")
    message(host, mark, one.device().address)
