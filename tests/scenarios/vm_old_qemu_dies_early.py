# SPDX-License-Identifier: GPL-2.0-or-later
"""Of two guests one's QEMU dies when all of the guest is in its session, the other's
before. The first guest lives on, its device undisturbed: the session has it. The
second one is lost, its device quiet until it is reset, and can be started cold."""

from lib.hardware import probes
from lib.holdup import Holdup
from lib.passthrough import Passed, arguments, ask, give_cards

DEVICES = probes({"one": ("rp2", 2), "two": ("rp3", 3)})


def run(test):
    host = test.host().boot("a", devices=DEVICES)
    # of the next kernel's luod: nobody claims the holdup's session
    host.next_luod("LUOD_OPTIONS=--claim-timeout=30")
    cards, functions = give_cards(host, ("one", "two"))
    vms = [host.start_vm(f"vm{number}", wait=False, changes=arguments([function]))
           for number, function in enumerate(functions, 1)]
    late, early = (Passed(vm.wait_up(), [(card, 0)]) for vm, card in zip(vms, cards))
    for passed in (late, early):
        passed.wait_armed()
        passed.reset_counters()
    ask(functions)
    holdup = Holdup(host)
    host.load("b")
    update = host.start_update()
    holdup.wait("START_PRESERVATION")
    host.wait_stamp("vm2:preserved")
    host.kill_vm(early.vm)
    early.vm.wait_ended()
    with test.part("the first one dies after its guest was saved"):
        holdup.go("START_PRESERVATION")
        holdup.wait("FREEZE")
        host.wait_saved("vm1")
        host.run("kill -9 $(cat /run/vm/vm1.pid)")
        late.vm.wait_ended()
        holdup.go("FREEZE")
        host.jump(update, "b")
        host.wait_state("normal", 120)
        late.vm.check_unharmed()
        late.figures(test.metrics)
        late.check_undisturbed()
    with test.part("the device of the second one is reset, and quiet"):
        cards[1].check_reset()
    with test.part("the second one is started cold"):
        again = host.start_vm("vm2", changes=arguments(functions[1:]))
        Passed(again, [(cards[1], 0)]).wait_armed()
        late.check_undisturbed()
