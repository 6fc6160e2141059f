# SPDX-License-Identifier: GPL-2.0-or-later
"""An update that follows another one as soon as it can: before the first one is
over it is refused with EBUSY and nothing happens; then it works, though the guest
has hardly run, and its devices are undisturbed by all of it."""

from lib.hardware import probes
from lib.outcome import check
from lib.passthrough import Held, Passed, arguments, ask, give_cards

DEVICES = probes({"one": ("rp2", 2)})


def run(test):
    host = test.host().boot("a", devices=DEVICES)
    (card,), (function,) = give_cards(host, ("one",))
    vm = host.start_vm("vm1", fill=10, changes=arguments([function]))
    passed = Passed(vm, [(card, 0)])
    passed.wait_armed()
    passed.reset_counters()
    ask([function])
    held = Held(vm)
    held.update("b")
    with test.part("refused before the first one is over"):
        said = host.fails("luoctl update --kernel /images/kernel-a --initrd /images/host.cpio", 60)
        test.metrics["refused"] = said.strip()
        check("EBUSY" in said, f"EBUSY: {said}")
        held.check_held()
    held.release()
    for to in ("a", "b"):
        with test.part(f"at once to {to}"):
            again(host, vm, function, to)
    vm.check_unharmed()
    passed.figures(test.metrics)
    passed.check_undisturbed()


def again(host, vm, function, to):
    """Nobody waits for the guest; that it runs is all that the update before says."""
    ask([function])
    host.wait(host.luod_idle, 20, "luod idle", 0.1)
    host.load(to)
    host.jump(host.start_update(), to)
    host.wait_state("normal", 60)
    vm.wait_alive()
