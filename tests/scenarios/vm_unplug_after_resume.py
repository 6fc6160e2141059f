# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest may give devices back while they are still on the page tables of the
kernel before: the others go on, and the host has those that were given back like
new. When the last one goes, nothing is left to do, and the update is over."""

from lib.hardware import probes
from lib.outcome import check, equal
from lib.passthrough import Held, Passed, arguments, ask, give
from lib.probe import Probe

DEVICES = probes({"one": ("rp2", 2), "two": ("rp3", 3)})


def run(test):
    host = test.host().boot("a", devices=DEVICES)
    cards = [Probe(host, name) for name in ("one", "two")]
    functions = [card.device() for card in cards]
    give(functions)
    vm = host.start_vm("vm1", fill=10, changes=arguments(functions, ports=2))
    both, first = (Passed(vm, [(card, 0) for card in some]) for some in (cards, cards[:1]))
    both.wait_armed()
    ask(functions)
    both.reset_counters()
    held = Held(vm)
    held.update("b")
    with test.part("one of two"):
        unplug(vm, 1, first)
        held.check_held()
        held.release()
        first.check_undisturbed()
        check_like_new(cards[1], functions[1])
    with test.part("the last one"):
        vm.changes = arguments(functions[:1], ports=2)
        vm.write_arguments()
        ask(functions[:1])
        held = Held(vm)
        held.update("a")
        unplug(vm, 0, Passed(vm, []))
        host.wait_state("normal", 60)
        check_like_new(cards[0], functions[0])
        vm.check_unharmed()


def unplug(vm, number, left):
    vm.monitor(f"device_del vfio{number}")
    vm.host.wait(lambda: f"vfio{number}" not in vm.monitor("info pci"), 60,
                 f"vfio{number} to leave {vm.name}", 0.2)
    left.wait_armed()


def check_like_new(card, function):
    seen = card.counters()
    check(sum(seen["resets"].values()) >= 1, f"a reset of {card.name}: {seen}")
    check(not card.masters(), f"bus mastering off: {card.state()}")
    function.take("hlu_probe")
    equal(function.driver, "hlu_probe", f"driver of {function}")
    card.arm()
    card.check_ring()
