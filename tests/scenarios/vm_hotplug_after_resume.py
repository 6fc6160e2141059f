# SPDX-License-Identifier: GPL-2.0-or-later
"""What a guest gets while its devices are still on the page tables of the kernel
before is mapped later, or at once, never wrong: memory, and another device.

Without memory to lock for new tables a device cannot be plugged in: it is refused
with the reason, and can be plugged in later. The next update takes all of it over."""

from lib.hardware import probes
from lib.outcome import check
from lib.passthrough import Held, Passed, arguments, ask, give_cards, plug
from lib.survival import update_and_measure

DEVICES = probes({"one": ("rp2", 2), "two": ("rp3", 3)})
SLOTS = {"-m\n128M\n": "-m\n128M,slots=1,maxmem=512M\n"}
MEMORY = "memory-backend-memfd,id=more,size=64M,share=on"
DIMM = "pc-dimm,id=dimm,memdev=more"


def run(test):
    host = test.host().boot("a", devices=DEVICES)
    cards, functions = give_cards(host, ("one", "two"))
    vm = host.start_vm("vm1", fill=10, changes=arguments(
        functions[:1], ports=2) | SLOTS)
    first, both = (Passed(vm, [(card, 0) for card in some]) for some in (cards[:1], cards))
    first.wait_armed()
    ask(functions[:1])
    first.reset_counters()
    held = Held(vm)
    held.update("b")
    with test.part("memory is plugged in, and put off"):
        vm.monitor(f"object_add {MEMORY}")
        vm.monitor(f"device_add {DIMM}")
        first.wait_looked()
        held.check_held()
    with test.part("a device is refused as long as nothing can be mapped"):
        said = vm.monitor_refuses(f"device_add {plug(functions[1], 1)}")
        check("map" in said, f"the reason: {said}")
        first.wait_looked()
        held.check_held()
    with test.part("a device is plugged in, and the rest done at once"):
        held.let_go()
        vm.monitor(f"device_add {plug(functions[1], 1)}")
        held.wait_remapped()
        both.wait_armed()
        first.check_undisturbed()
    with test.part("the next update has all of it"):
        both.reset_counters()
        ask(functions)
        vm.changes = arguments(functions, ports=2, more=(
            "-object", MEMORY, "-device", DIMM)) | SLOTS
        vm.write_arguments()
        update_and_measure(host, vm, "a", test.metrics)
        both.figures(test.metrics)
        both.check_undisturbed()
