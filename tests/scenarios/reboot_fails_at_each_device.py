# SPDX-License-Identifier: GPL-2.0-or-later
"""Whichever driver or bus fails in reboot(2): it returns that errno, a message
names the device, all that had prepared are cancelled in reverse order, frozen
or not, and all devices run on. A later ordinary reboot shuts all of them down.

Nothing may stay marked preserved: shutdown would leave such a device alone, and
its DMA would go into the next kernel's memory."""

import errno

from lib import order
from lib.device import message
from lib.outcome import check, equal
from lib.tree import DEVICES, Tree
from lib.update import Update, plain_kexec


def run(test):
    host = test.host().boot("a", luod=False, devices=DEVICES, iommu=False)
    tree = Tree(host)
    update = Update(host)
    calls = tree.baseline(update)
    tree.reset_counters()

    for attempt, call in enumerate(calls.parts):
        number = order.error_for(attempt)
        name = errno.errorcode[number]
        with test.part(f"{call}: {name}"):
            update.prepare()
            tree.order.clear()
            mark = host.console.mark
            order.inject(host, "reboot", call, number)
            said = update.jump_fails()
            check(f" {name} " in said, f"{name}: {said}")
            message(host, mark, call.device, f"{call.part} refused reboot", name)
            equal(tree.order.calls("reboot"), calls.before(call, calls.reboot) + [call],
                  "calls of reboot")
            equal(tree.order.calls("cancel"), calls.cancel, "calls of cancel")
            tree.check_as_before()
    tree.add_figures(test)

    states = {}
    plain_kexec(host, "b", lambda: states.update(tree.states()))
    test.metrics["at a later ordinary reboot"] = states
    with test.part("a later ordinary reboot shuts everything down"):
        tree.check_quiet(states)
