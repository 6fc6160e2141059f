# SPDX-License-Identifier: GPL-2.0-or-later
"""What an owner and the administrator may still do with a device that is prepared,
and with one that is reclaimed and not yet finished: resets of all kinds, low
power and unbinding are EBUSY, BARs, config space and interrupts can be used.
Nothing of that reaches the device. What a session must have is asked for before
the update: each thing that lacks has its own errno."""

import errno

from lib import dma
from lib.device import refused
from lib.outcome import equal
from lib.update import FILES, Update
from lib.vectors import cards, owners

KINDS = {"one": ("msix", 4), "other": ("msix", 4)}
# by the owner; some by sysfs come on top
REFUSED = ("reset", "hot_reset", "flr", "d3", "low_power")


def run(test):
    host = test.host().boot("a", luod=False, devices=cards(KINDS))
    dma.serve(host)
    ones = owners(host, KINDS)
    one = ones["one"]
    for each in ones.values():
        each.open()
        each.listen()
    with test.part("before: all of it can be had"):
        for command in REFUSED:
            one.do(command)
            reopen(one)
    with test.part("what a session must have"):
        lacking(ones)
    for each in ones.values():
        each.raise_at()
        each.preserve()
        each.reset_counters()
    update = Update(host).prepare()
    with test.part("prepared"):
        refuse(ones)
        one.refuses("detach", errno.EBUSY)
    with test.part("cancelled: can be had again"):
        update.cancel()
        one.do("cancel")
        for command in REFUSED:
            one.do(command)
            reopen(one)
        one.raise_at()
        one.do("preserve")
    with test.part("prepared again, and reclaimed"):
        update.prepare()
        for each in ones.values():
            each.do("pause")
            each.reset_counters()
        update.jump()
        dma.serve(host)
        one.device().refuses("reset", 1)
        for each in ones.values():
            each.retrieve()
            each.listen()
        refuse(ones)
    with test.part("finished: can be had"):
        for each in ones.values():
            each.finish()
        update.finish()
        for command in REFUSED:
            one.do(command)
            reopen(one)
        ones["other"].check_ring()


def reopen(one):
    """After something that took its registers away."""
    one.do("close")
    one.open()
    one.listen()


def lacking(ones):
    one = ones["one"]
    one.device().request(False)
    one.refuses("preserve", errno.EACCES)
    one.do("cancel")
    one.device().request()
    one.do("detach")
    one.refuses("preserve", errno.ENOLINK)
    one.do("cancel")
    reopen(one)
    for there, number in (("device", errno.EXDEV), ("iommufd", errno.EBADFD)):
        one.do("preserve_part", there)
        refused(one.host, f"echo 1 >{FILES}/prepare", one.device().address, number)
        equal(one.host.state, "normal", f"state without a file beside the {there}")
        one.do("cancel")
        reopen(one)


def refuse(ones):
    """While both are the update's."""
    one = ones["one"]
    for command in REFUSED:
        one.refuses(command, errno.EBUSY)
    device = one.device()
    for attribute, value in (("reset", 1), ("driver/unbind", device), ("remove", 1)):
        device.refuses(attribute, value)
    one.do("touch")
    one.do("take", 3, 1)
    one.do("give", 3, 1)
    for each in ones.values():
        each.wait_signals()
        each.check_kept()
