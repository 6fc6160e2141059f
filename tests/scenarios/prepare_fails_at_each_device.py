# SPDX-License-Identifier: GPL-2.0-or-later
"""Whichever driver or bus refuses to prepare: the write fails with its errno, a
message names the device, exactly those that had prepared are cancelled, in
reverse order, and all devices run on. The next attempt succeeds."""

import errno
import os

from lib import order
from lib.device import message
from lib.outcome import check, equal
from lib.tree import DEVICES, Tree
from lib.update import Update


def run(test):
    host = test.host().boot("a", luod=False, devices=DEVICES, iommu=False)
    tree = Tree(host)
    update = Update(host)
    calls = tree.baseline(update)
    test.metrics["calls"] = {event: [str(call) for call in made]
                             for event, made in calls._asdict().items()}
    tree.reset_counters()

    for attempt, call in enumerate(calls.parts):
        number = order.error_for(attempt)
        name = errno.errorcode[number]
        with test.part(f"{call}: {name}"):
            tree.order.clear()
            mark = host.console.mark
            order.inject(host, "prepare", call, number)
            said = update.prepare_fails()
            check(os.strerror(number) in said, f"{name}: {said}")
            message(host, mark, call.device, f"{call.part} refused prepare", name)
            equal(tree.order.calls("prepare"), calls.before(call, calls.prepare) + [call],
                  "calls of prepare")
            equal(tree.order.calls("cancel"), calls.before(call, calls.cancel),
                  "calls of cancel")
            tree.check_as_before()
    tree.add_figures(test)

    with test.part("the next attempt succeeds"):
        update.prepare().jump()
        for function in (0, 1):
            tree.behind.check_dma(function)
            tree.behind.check_ring(function)
        tree.beside.check_ring()
        update.finish()
