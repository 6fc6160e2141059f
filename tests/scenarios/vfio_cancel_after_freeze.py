# SPDX-License-Identifier: GPL-2.0-or-later
"""A subsystem that freezes after the devices fails: reboot(2) returns its errno, and
the devices' owners go on as if nothing had been. Interrupts that were held back
are delivered, none is lost and none comes twice, and what an owner had masked stays
masked. A retry takes all of them to the next kernel.

The test subsystem of the kernel fails (debugfs liveupdate/test/fail_reboot),
which freezes last. Owners do not read their eventfds during the freeze, as a
stopped VMM would not."""

import errno

from lib import dma
from lib.outcome import check, equal
from lib.probe import add_figures
from lib.update import Update
from lib.vectors import STORM, add_interrupts, cards, check_interrupts, owners

KINDS = {"many": ("msix", 64), "msi": ("msi", 4), "plain": ("msi-nomask", 4),
         "intx": ("intx", 1), "storm": ("msix", 4)}
# of "many": its owner's mask bits; the other one has no eventfd
MASKED, SILENT = (60, 61, 62), 63
FAIL = "/sys/kernel/debug/liveupdate/test/fail_reboot"


def run(test):
    host = test.host().boot("a", luod=False, devices=cards(KINDS))
    dma.serve(host)
    ones = owners(host, KINDS)
    ones["many"].heard = SILENT
    for name, one in ones.items():
        one.open()
        one.listen()
        one.preserve()
        if name == "many":
            for vector in MASKED:
                one.do("mask", vector)
        one.reset_counters()
        one.raise_at(**(STORM if name == "storm" else {"every": 1}))
    masks = ones["many"].mask_bits()
    update = Update(host)
    for number in (errno.EIO, errno.ENOSPC):
        fail(test, host, update, ones, number)
        equal(ones["many"].mask_bits(), masks, "mask bits")
    with test.part("many: what its owner had masked comes when it is not"):
        for vector in MASKED:
            ones["many"].do("unmask", vector)
        ones["many"].wait_signals()
    for name, one in ones.items():
        one.do("disarm")
        with test.part(f"{name}: nothing lost, nothing twice, not touched"):
            said = one.figures()
            add_interrupts(test, name, said)
            check_interrupts(said, name)
            add_figures(test, one.counters())
            one.check_kept()
        one.raise_at()
    with test.part("a retry succeeds"):
        update.prepare().jump()
        dma.serve(host)
        for one in ones.values():
            one.retrieve()
            one.listen()
            one.wait_signals()
            one.finish()
        update.finish()


def fail(test, host, update, ones, number):
    name = errno.errorcode[number]
    with test.part(f"{name} after the devices: all go on"):
        update.prepare()
        for one in ones.values():
            one.do("pause")
        host.run(f"echo {number} >{FAIL}")
        said = update.jump_fails()
        check(f" {name} " in said, f"{name}: {said}")
        for one in ones.values():
            one.do("resume")
            one.wait_signals(but=MASKED if one.name == "many" else ())
        ones["many"].check_latched(*MASKED, SILENT)
