# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest that gives a device back while its devices are still on the page tables of
the kernel before waits for the end of the update, as for any reset. Then the device
leaves it, like new for the host, and those that stay go on. So it is, too, when it
is the last one."""

from lib.hardware import probes
from lib.outcome import equal
from lib.passthrough import WAITS, Held, Passed, arguments, ask, give_cards

DEVICES = probes({"one": ("rp2", 2), "two": ("rp3", 3)})


def run(test):
    host = test.host().boot("a", devices=DEVICES)
    cards, functions = give_cards(host, ("one", "two"))
    vm = host.start_vm("vm1", fill=10, changes=arguments(functions, ports=2))
    both, first = (Passed(vm, [(card, 0) for card in some]) for some in (cards, cards[:1]))
    both.wait_armed()
    ask(functions)
    both.reset_counters()
    held = Held(vm)
    held.update("b")
    with test.part("one of two"):
        unplug(vm, held, 1)
        first.wait_armed()
        first.check_undisturbed()
        check_like_new(cards[1], functions[1])
    with test.part("the last one"):
        vm.changes = arguments(functions[:1], ports=2)
        vm.write_arguments()
        ask(functions[:1])
        held = Held(vm)
        held.update("a")
        unplug(vm, held, 0)
        check_like_new(cards[0], functions[0])
        vm.check_unharmed()


def unplug(vm, held, number):
    waits = vm.qemu_log.count(WAITS)
    vm.monitor(f"device_del vfio{number}")
    vm.host.wait(lambda: vm.qemu_log.count(WAITS) > waits, 60, "QEMU to say that the VM waits")
    held.check_held()
    held.release()
    vm.host.wait(lambda: f"vfio{number}" not in vm.monitor("info pci"), 60,
                 f"vfio{number} to leave {vm.name}", 0.2)


def check_like_new(card, function):
    card.check_reset()
    function.take("hlu_probe")
    equal(function.driver, "hlu_probe", f"driver of {function}")
    card.arm()
    card.check_ring()
