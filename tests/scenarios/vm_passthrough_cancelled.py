# SPDX-License-Identifier: GPL-2.0-or-later
"""An update that fails leaves a guest with passthrough functions as it was: its
devices were never disturbed, their interrupts arrive, and the next update
succeeds.

It fails because a function is not requested; and when the guest has stopped, and
its interrupts collect in eventfds."""

from lib.hardware import probes
from lib.holdup import Holdup
from lib.outcome import check
from lib.passthrough import Passed, arguments, ask, give_cards
from lib.survival import update_and_measure

DEVICES = probes({"one": ("rp2", 2), "two": ("rp3", 3)})


def run(test):
    host = test.host().boot("a", devices=DEVICES)
    cards, functions = give_cards(host, ("one", "two"))
    vm = host.start_vm("vm1", changes=arguments(functions))
    passed = Passed(vm, [(card, 0) for card in cards])
    passed.wait_armed()
    passed.reset_counters()
    with test.part("a function that is not requested"):
        ask(functions[:1])
        host.load("b")
        said = host.fails("luoctl update --timeout 60", 120)
        check("EREMOTEIO" in said and functions[1].address in said,
              f"EREMOTEIO and {functions[1]}: {said}")
        goes_on(host, passed)
    ask(functions)
    with test.part("another client fails when the guest has stopped"):
        other = Holdup(host)
        host.load("b")
        command = host.start("luoctl update --timeout 60", 120)
        other.wait("START_PRESERVATION")
        other.go("START_PRESERVATION")
        other.wait("FREEZE")
        host.wait_stamp("vm1:saved", 30)
        other.fail("FREEZE")
        host.finish(command, 120, 1)
        other.leave()
        goes_on(host, passed)
    with test.part("the next update succeeds"):
        update_and_measure(host, vm, "b", test.metrics)
        passed.figures(test.metrics)
        passed.check_undisturbed()


def goes_on(host, passed):
    host.wait_state("normal")
    host.wait(host.luod_idle, 20, "luod idle again", 0.1)
    passed.vm.wait_alive()
    passed.check_undisturbed()
