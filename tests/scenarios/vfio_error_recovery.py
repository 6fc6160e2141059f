# SPDX-License-Identifier: GPL-2.0-or-later
"""A device reports an error while it is prepared: its owner is told as ever. If
the device can recover without a reset, it comes through the jump; if its link has
to be reset, it is lost to the update, with a message, and the others go on."""

import json

from lib import dma
from lib.device import message
from lib.outcome import equal
from lib.update import Update
from lib.vectors import cards, owners

KINDS = {"mild": ("msix", 4), "severe": ("msix", 4), "other": ("msix", 4)}
# names that L0 has for them: an Unsupported Request is not fatal, a Data Link
# Protocol Error is
MILD, SEVERE = "UNSUP", "DLP"


def run(test):
    host = test.host().boot("a", luod=False, devices=cards(KINDS))
    dma.serve(host)
    ones = owners(host, KINDS)
    for one in ones.values():
        one.open()
        one.listen()
        equal(errors(one), 0, f"errors of {one.name}")
        one.raise_at()
        one.preserve()
        one.reset_counters()
    mild, severe, other = ones.values()
    update = Update(host).prepare()

    with test.part("an error without a reset"):
        test.metrics["mild"] = inject(mild, MILD, "AER", "recovery successful")
        equal(mild.device().preserved, True, "preserved")
        # the error's status is cleared, in two registers
        mild.check_kept(changes=2)
    with test.part("an error with a reset: lost, its owner is told"):
        test.metrics["severe"] = inject(severe, SEVERE, severe.device().address,
                                        "lost to the live update")
        equal(severe.device().preserved, False, "preserved")
    with test.part("the others go on"):
        equal(host.state, "prepared", "state")
        equal(errors(other), 0, "errors of the other one")
        update.jump()
        dma.serve(host)
        for one in (mild, other):
            one.retrieve()
            one.listen()
            one.wait_signals()
            one.check_undisturbed()
            one.finish()
        update.finish()


def inject(one, error, *words):
    """Into the device, from outside; returns what the kernel says of it."""
    host, mark = one.host, one.host.console.mark
    host.machine.qmp("human-monitor-command",
                     **{"command-line": f"pcie_aer_inject_error {one.name} {error}"})
    said = message(host, mark, *words)
    host.wait(lambda: errors(one), 10, f"an error that the owner of {one.name} is told of")
    return said


def errors(one):
    """Since it was asked last."""
    return json.loads(one.do("errors"))["errors"]
