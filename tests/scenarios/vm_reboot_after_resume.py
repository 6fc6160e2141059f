# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest that reboots right after an update gets its devices reset as ever. The
kernel does not reset them before the update is over, so the guest waits for that:
it never boots with a device that still writes to its memory."""

from lib.hardware import probes
from lib.outcome import check
from lib.passthrough import WAITS, Held, Passed, arguments, ask, give_cards
from lib.survival import update_and_measure

DEVICES = probes({"one": ("rp2", 2)})
REBOOTS = {"-no-reboot\n": ""}


def run(test):
    host = test.host().boot("a", devices=DEVICES)
    (card,), (function,) = give_cards(host, ("one",))
    vm = host.start_vm("vm1", fill=10, changes=arguments([function]) | REBOOTS)
    passed = Passed(vm, [(card, 0)])
    passed.wait_armed()
    ask([function])
    held = Held(vm)
    held.update("b")
    card.reset_counters()
    with test.part("it waits for the end of the update"):
        before, vm.line = vm.line, host.peer.new_line(vm.name)
        vm.monitor("system_reset")
        host.wait(lambda: WAITS in vm.qemu_log, 20, "QEMU to say that the VM waits")
        check("paused" in vm.monitor("info status"), "the VM to be paused")
        check(not sum(card.counters()["resets"].values()), f"no reset yet: {card.counters()}")
        held.check_held()
    with test.part("then it boots, with a device like new"):
        held.release()
        vm.wait_up()
        check(vm.line.hellos[0] != before.hellos[0], f"another boot: {vm.line.hellos}")
        passed.wait_armed()
        test.metrics["resets"] = sum(card.counters()["resets"].values())
        check(test.metrics["resets"] >= 1, f"a reset: {card.counters()}")
        card.reset_counters()
        passed.check_undisturbed()
    with test.part("the next update"):
        ask([function])
        update_and_measure(host, vm, "a", test.metrics)
        passed.check_undisturbed()
