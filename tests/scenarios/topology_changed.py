# SPDX-License-Identifier: GPL-2.0-or-later
"""When the incoming kernel finds a slot empty, another card in it, or another
one of the same kind, that device alone is lost, with a message; the others go
on, and the new cards are ordinary ones.

The slots are changed between the first word of the incoming kernel and its first
look at PCI, with all CPUs standing still."""

from lib.device import message
from lib.hardware import Slot, probe, probes
from lib.outcome import check, equal
from lib.probe import Probe, add_figures, arm_all
from lib.update import Update

PLACES = {"empty": ("rp2", 2), "other": ("rp3", 3), "twin": ("rp4", 4), "same": ("rp5", 5)}


def run(test):
    host = test.host().boot("a", luod=False, devices=probes(PLACES), iommu=False)
    cards = arm_all(host, PLACES)
    devices = {name: one.device() for name, one in cards.items()}
    same = cards["same"]
    update = Update(host).prepare()
    same.reset_counters()
    mark = host.console.mark

    def change():
        slots = {name: Slot(host.machine, port) for name, (port, _) in PLACES.items()}
        slots["empty"].pull()
        slots["other"].pull("edu,id=card,bus=rp3")
        slots["twin"].pull(probe("new-twin", "rp4"))

    update.jump(change)
    said = test.metrics["messages"] = {}
    with test.part("the one that is still there goes on"):
        equal(same.device().marks[1:], (1, 1), "preserved and reclaimed")
        same.check_undisturbed()
    for name in ("other", "twin"):
        with test.part(f"{name}: lost"):
            said[name] = message(host, mark, devices[name].address, "lost to the live update")
    with test.part("empty: lost, at finish"):
        check(not devices["empty"].there, "the slot to be empty")
        update.finish()
        said["empty"] = message(host, mark, "did not come back")
    with test.part("the new cards are ordinary ones"):
        host.wait(lambda: devices["other"].there and devices["twin"].there, 30, "the new cards")
        equal(devices["other"].read("vendor") + devices["other"].read("device"), "0x12340x11e8",
              "the other card")
        twin = Probe(host, "new-twin")
        host.wait(lambda: devices["twin"].driver == "hlu_probe", 30, "a driver of the twin")
        for name in ("other", "twin"):
            equal(devices[name].marks, (0, 0, 0), f"requested, preserved, reclaimed of {name}")
        equal(twin.counters()["dma-tried"], 0, "DMA of the twin that nobody armed")
        twin.arm()
        twin.check_ring()
    add_figures(test, same.counters())
    with test.part("the next update succeeds"):
        for one in (same, twin):
            one.device().request()
            one.reset_counters()
        Update(host, "a").prepare().jump().finish()
        for one in (same, twin):
            one.check_undisturbed()
