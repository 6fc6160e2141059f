# SPDX-License-Identifier: GPL-2.0-or-later
"""Devices run on over A -> B and then B -> A: their driver has them again each
time, and from first to last not one record of their DMA is missing."""

from lib.hardware import probe, root_port, switch
from lib.outcome import equal
from lib.probe import Probe, add_figures
from lib.update import Update, enumeration_ms

DEVICES = [root_port("rp2", 2), *switch("rp2", "down", 3), probe("probe0", "down", vfs=4)]
FUNCTIONS = (0, 2)


def run(test):
    host = test.host().boot("a", luod=False, devices=DEVICES, iommu=False)
    one = Probe(host)
    one.device().write("sriov_numvfs", 4)
    one.arm(*FUNCTIONS)
    first = host.release
    updates = test.metrics["updates"] = []
    test.metrics["dma_missed"] = 0
    for to in ("b", "a"):
        one.reset_counters()
        updates.append({})
        update(test, host, one, to, updates[-1])
    equal(host.release, first, "kernel after both updates")


def update(test, host, one, to, said):
    """`said` is filled before anything is judged."""
    one.device(2).request()
    mark = host.console.mark
    by_hand = Update(host, to).prepare().jump()
    marks = {function: one.device(function).marks[1:] for function in FUNCTIONS}
    by_hand.finish()
    rings = {function: one.ring(function) for function in FUNCTIONS}
    said.update({"to": host.release, "rings": rings, "preserved, reclaimed": marks,
                 "counters": {function: one.counters(function) for function in FUNCTIONS}})
    test.metrics["enumeration_ms"] = enumeration_ms(host.console.since(mark))
    test.metrics["dma_missed"] += sum(ring["missed"] for ring in rings.values())
    add_figures(test, *said["counters"].values())
    for function in FUNCTIONS:
        equal(marks[function], (1, 1), f"preserved and reclaimed of function {function}")
        equal(one.device(function).driver, "hlu_probe", f"driver of function {function}")
        one.check_undisturbed(function)
        one.check_interrupts(function)
