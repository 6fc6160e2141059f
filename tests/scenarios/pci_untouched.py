# SPDX-License-Identifier: GPL-2.0-or-later
"""An endpoint behind a switch goes over a kexec while nobody looks after it:
from prepare to finish nothing is written to its config space, it is not reset,
its DMA goes on, and every bridge above it stays as it is.

Its driver is left out of the incoming kernel, so nobody can reclaim it there."""

from lib.hardware import Function, probe, root_port, switch
from lib.outcome import check, equal
from lib.probe import Probe, add_figures
from lib.update import NO_DRIVER, Update, enumeration_ms

BRIDGES = ("rp2", "down-up", "down")
DEVICES = [root_port("rp2", 2), *switch("rp2", "down", 3), probe("probe0", "down")]


def run(test):
    untouched(test, "with an IOMMU, DMA not translated", "pt", cmdline="iommu=pt")
    untouched(test, "without an IOMMU", "none", iommu=False)


def untouched(test, name, key, **boot):
    with test.part(name):
        host = test.host(key).boot("a", luod=False, devices=DEVICES, **boot)
        one = Probe(host)
        one.arm()
        one.device().request()
        update = Update(host, cmdline=NO_DRIVER)
        before = look(host, one)
        one.reset_counters()
        mark = host.console.mark
        update.prepare()
        equal(look(host, one), before, "devices after prepare")
        update.jump()
        equal(one.device().driver, "", "driver in the incoming kernel")
        equal(one.device().marks[1:], (1, 0), "preserved and reclaimed")

        seen = test.metrics[name] = one.counters()
        add_figures(test, seen)
        test.metrics["enumeration_ms"] = enumeration_ms(host.console.since(mark))
        test.metrics["enumeration_cold_ms"] = enumeration_ms(host.console.text)
        one.check_untouched()
        equal(look(host, one), before, "devices just before finish")
        check(seen["irq-raised"] > 0, f"interrupts raised all along: {seen}")
        update.finish()


def look(host, one):
    return {one.name: one.settings(),
            **{name: Function(host.machine, name).bridge_state() for name in BRIDGES}}
