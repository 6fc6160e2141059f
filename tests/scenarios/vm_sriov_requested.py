# SPDX-License-Identifier: GPL-2.0-or-later
"""Eight VFs of one card, three guests: two live through the update with three VFs
each. The third one's are not requested: it is stopped before, as its policy says,
and started cold after, with VFs that were reset; it disturbs nobody."""

from lib.hardware import probe, root_port
from lib.iommu import Iommu
from lib.outcome import equal
from lib.passthrough import Passed, arguments, ask, give
from lib.probe import Probe

DEVICES = [root_port("rp2", 2), probe("card", "rp2", vfs=8)]
STUB = "pci-pf-stub"
SHARES = {"vm1": (1, 2, 3), "vm2": (4, 5, 6), "vm3": (7, 8)}
STAYS = ("vm1", "vm2")


def run(test):
    host = test.host().boot("a", devices=DEVICES)
    iommu = Iommu(host)
    card = Probe(host, "card")
    give([card.device()], STUB)
    card.device().write("sriov_numvfs", 8)
    functions = {name: [card.device(vf) for vf in share] for name, share in SHARES.items()}
    give([function for some in functions.values() for function in some])
    guests = {name: start(host, card, name, functions[name]) for name in SHARES}
    for passed in guests.values():
        passed.vm.wait_up()
        passed.wait_armed()
    for name in STAYS:
        ask(functions[name])
    card.reset_counters()
    with test.part("the third guest is stopped"):
        third = guests.pop("vm3").vm
        third.power_off()
        host.forget_vm(third)
    host.update("b")
    with test.part("the others live through it"):
        for passed in guests.values():
            passed.vm.check_unharmed()
            passed.figures(test.metrics.setdefault(passed.vm.name, {}))
            passed.check_undisturbed()
    with test.part("the third one's VFs are reset and quiet, the card is not"):
        card.check_reset(*SHARES["vm3"])
        seen = card.counters()
        equal((sum(seen["resets"].values()), seen["vf-enable-clears"]), (0, 0),
              f"resets of the card, and VFs turned off: {seen}")
    with test.part("the third one is started cold"):
        again = start(host, card, "vm3", functions["vm3"])
        again.vm.wait_up()
        again.wait_armed()
        for passed in guests.values():
            passed.check_undisturbed()
    test.metrics.update(iommu.figures())
    iommu.check_quiet()


def start(host, card, name, functions):
    kept = {} if name in STAYS else {"iommufd": "iommufd,id=iommufd0"}
    vm = host.start_vm(name, wait=False, changes=arguments(functions, **kept))
    return Passed(vm, [(card, vf) for vf in SHARES[name]])
