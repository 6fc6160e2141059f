# SPDX-License-Identifier: GPL-2.0-or-later
"""Records of the IOMMU that are wrong, field by field, written between two
kernels, their checksums right: the incoming kernel always comes up, the device
whose record it is reaches no memory at all any more, the ones beside it lose
nothing, and after finish the device can be used anew.

KUnit tries thousands of variants in the same parser; here is one for each field,
by what would be worst: several devices in each kexec, each with another record
wrong. A head that does not verify costs all of them, so it has a kexec of its
own."""

from lib import dma
from lib.damage import VARIANTS, Victim
from lib.handover import Handover
from lib.hardware import probes
from lib.iommu import Iommu
from lib.outcome import equal
from lib.update import Update

NAMES = [f"device{number}" for number in range(8)]
DEVICES = probes({name: (f"rp{slot}", slot) for slot, name in enumerate(NAMES, 2)})


def run(test):
    host = None
    for number, names in enumerate(rounds()):
        # one that failed may have left anything
        if not host or not test.parts[-1].passed:
            host = test.host(f"from{number}").boot("a", luod=False, devices=DEVICES)
            devices = [dma.Owned(host, name) for name in NAMES]
            dma.serve(host)
            start(devices)
        with test.part(", ".join(names)):
            update(host, devices, names, test.metrics)


def rounds():
    """At least one device of each is left as it is."""
    some = [name for name in VARIANTS if not name.startswith("head")]
    size = len(NAMES) - 1
    return [*(some[at:at + size] for at in range(0, len(some), size)),
            *([name] for name in VARIANTS if name.startswith("head"))]


def start(devices):
    for one in devices:
        one.open()
        one.arm()


def update(host, devices, names, metrics):
    """Over a kexec, a record of some devices changed."""
    victims = {one: Victim(one) for one in
               (devices if names[0].startswith("head") else devices[:len(names)])}
    damaged = dict(zip(names, victims.values()))
    for one in devices:
        one.preserve()
    by_hand = Update(host, "b" if host.release.endswith("-a") else "a").prepare()
    handover, iommu = Handover(host), Iommu(host)
    for one in devices:
        one.reset_counters()

    def change():
        for name, victim in damaged.items():
            victim.damage(handover, name)
        handover.seal()

    by_hand.jump(change)
    dma.serve(host)
    for one in devices:
        if one in victims:
            victims[one].check_lost()
        else:
            one.retrieve()
            one.check_undisturbed()
            one.finish()
    for name, victim in damaged.items():
        metrics[name] = victim.refused()
    by_hand.finish()
    equal(iommu.figures()["translation_off_events"], 0, "times that translation was off")
    start(victims)
    for one in devices:
        one.check_ring()
