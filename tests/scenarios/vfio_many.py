# SPDX-License-Identifier: GPL-2.0-or-later
"""Eight VFs of one card with eight owners, four vectors each, go over a kexec
together, and twice: each owner has its own device, memory and interrupts again,
nobody loses a record or an interrupt, and no VF is reset.

Half of the VFs are stopped between the kernels, so that nothing that comes later
can hide a loss."""

from lib import dma
from lib.hardware import probe, root_port
from lib.iommu import Iommu
from lib.outcome import check, equal
from lib.probe import Probe, add_figures
from lib.update import Update
from lib.vectors import Interrupting, add_interrupts, check_interrupts

DEVICES = [root_port("rp2", 2), probe("probe0", "rp2", vfs=8)]
VFS = range(1, 9)
STOPPED = VFS[4:]
STUB = "pci-pf-stub"


def run(test):
    host = test.host().boot("a", luod=False, devices=DEVICES)
    card, iommu = Probe(host), Iommu(host)
    card.device().take(STUB)
    card.device().write("sriov_numvfs", len(VFS))
    dma.serve(host)
    ones = [Interrupting(host, f"vf{number}", card="probe0", number=number) for number in VFS]
    for one in ones:
        one.open()
        one.listen()
    card.reset_counters()
    for one in ones:
        one.raise_at()
        one.preserve()
    iommu.clear()
    for to in ("b", "a"):
        with test.part(f"to kernel {to}"):
            jump(test, host, card, ones, to)
        if to == "b":
            for one in ones:
                one.preserve()
    for one in ones:
        one.do("disarm")
    with test.part("nothing lost, none reset"):
        for one in ones:
            judge(test, one.name, one)
        add_figures(test, *(card.counters(number) for number in (0, *VFS)))
        equal((test.metrics["resets"], test.metrics["config_changes"]), (0, 0),
              "resets and config changes")
        test.metrics.update(iommu.figures())
        iommu.check_quiet()


def jump(test, host, card, ones, to):
    update = Update(host, to).prepare()
    for one in ones:
        one.wait_signals()
        one.do("pause")
    update.jump()
    for one in ones:
        if one.number in STOPPED:
            one.stop_from_outside()
    # VFs come after their PF
    card.device().take(STUB)
    dma.serve(host)
    for number, one in zip(VFS, ones):
        one.retrieve()
        one.listen()
        equal(one.ring()["function"], number, f"function that {one.name} has")
    for one in ones:
        if one.number in STOPPED:
            judge(test, f"{one.name}, to {to}", one)
            one.raise_at()
        one.check_ring()
        one.wait_signals()
        one.check_kept()
        one.finish()
    update.finish()
    for one in ones:
        one.wait_signals()
        check(not one.device().preserved, f"{one.name} an ordinary device")


def judge(test, name, one):
    said = one.figures()
    add_interrupts(test, name, said)
    check_interrupts(said, name)
