# SPDX-License-Identifier: GPL-2.0-or-later
"""Records of the IOMMU that are wrong, field by field, written between two
kernels, their checksums right: the incoming kernel always comes up, the device
whose record it is reaches no memory at all any more, the ones beside it lose
nothing, and after finish the device can be used anew.

KUnit tries thousands of variants in the same parser; here is one for each field,
by what would be worst: several devices in each kexec, each with another record
wrong. A head that does not verify costs all of them, so it has a kexec of its
own. AMD-Vi has the same records, but judges other words and another format."""

from lib import amdvi, dma
from lib.handover import Handover
from lib.hardware import probes
from lib.iommu import Iommu
from lib.outcome import equal
from lib.update import Update

NAMES = [f"device{number}" for number in range(8)]
DEVICES = probes({name: (f"rp{slot}", slot) for slot, name in enumerate(NAMES, 2)})
POKE, PAGE = 0x40, 4096
IDENTITY = 0xffffffff

# kind and field of a record of a device's: what is written there, by what was there
VARIANTS = {
    "domain top": lambda found, where: where["foreign"],
    "domain format": lambda found, where: 0x55,
    "domain flags": lambda found, where: 1 << 31,
    "domain top_level": lambda found, where: 0xff,
    "domain vasz_lg2": lambda found, where: 64,
    "domain reserved": lambda found, where: 1,
    "domain nr_tables": lambda found, where: found + 1,
    "domain crc": lambda found, where: found ^ 1,
    "function segment": lambda found, where: 0x7fff0000,
    "function bdf": lambda found, where: 0xfff8,
    "function nr_entries": lambda found, where: 0xffff,
    "function domain": lambda found, where: IDENTITY,
    "entry unit": lambda found, where: found ^ 0x1000,
    "entry segment": lambda found, where: 1,
    "entry function": lambda found, where: 0xffffffff,
    "entry rid": lambda found, where: found ^ 1,
    "entry domain_id": lambda found, where: found ^ 1,
    "entry reserved": lambda found, where: 1 << 31,
    "entry word0": lambda found, where: found ^ PAGE,
    "entry word1": lambda found, where: found ^ 1 << 8,
    "head nr_entries": lambda found, where: 0xffffffff,
    "head hw": lambda found, where: found | 0xff,
}
# what AMD-Vi's driver judges
AMD = ["domain top", "domain format", "domain nr_tables", "function domain", "entry rid",
       "entry word0", "entry word1"]


def run(test):
    corrupted(test, "", rounds(), {}, Iommu)
    corrupted(test, amdvi.MODE, [AMD, ["head hw"]], amdvi.boot(), amdvi.AmdVi)


def corrupted(test, key, variants, machine, counter):
    host = None
    for number, names in enumerate(variants):
        # one that failed may have left anything
        if not host or not test.parts[-1].passed:
            host = test.host(f"{key}from{number}").boot("a", luod=False, devices=DEVICES,
                                                        **machine)
            devices = [dma.Owned(host, name) for name in NAMES]
            dma.serve(host)
            start(devices)
        with test.part(" ".join([key, ", ".join(names)]).strip()):
            metrics = test.metrics.setdefault(key, {}) if key else test.metrics
            update(host, devices, names, metrics, counter)


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


def update(host, devices, names, metrics, counter):
    """Over a kexec, a record of some devices changed."""
    victims = dict(zip(names, devices))
    lost = devices if names[0].startswith("head") else list(victims.values())
    where = {one: one.where() for one in devices}
    for one in devices:
        one.preserve()
    by_hand = Update(host, "b" if host.release.endswith("-a") else "a").prepare()
    handover, iommu = Handover(host), counter(host)
    iommu.quiet()
    before = [memory(host, where[one]) for one in devices]
    for one in devices:
        one.reset_counters()

    def change():
        for name, victim in victims.items():
            corrupt(handover, victim, name, where[victim])
        handover.seal()

    by_hand.jump(change)
    dma.serve(host)
    for one in devices:
        if one in lost:
            reaches_nothing(one, where[one])
            equal(memory(host, where[one]), before[devices.index(one)], f"memory of {one.name}")
        else:
            one.retrieve()
            one.check_undisturbed()
            one.finish()
    for name, victim in victims.items():
        victim.device().take("vfio-pci")
        metrics[name] = host.fails(f"dma retrieve {victim.name}").strip()
    by_hand.finish()
    equal(iommu.figures()["translation_off_events"], 0, "times that translation was off")
    start(lost)
    for one in devices:
        one.check_ring()


def corrupt(handover, victim, name, where):
    """Between the kernels."""
    kind, field = name.split()
    record = own(handover.iommu(), victim)[kind]
    setattr(record, field, VARIANTS[name](getattr(record, field), where))


def own(records, one):
    """The records that are about one function."""
    bdf = one.state()["address"]
    number, function = next((number, record) for number, record in enumerate(records["function"])
                            if record.bdf == bdf)
    return {"head": records["head"][0], "function": function,
            "domain": records["domain"][function.domain],
            "entry": next(entry for entry in records["entry"] if entry.function == number)}


def reaches_nothing(victim, where):
    """Neither its own memory nor any by its physical address."""
    register, before = victim.state()["bars"]["0"] + POKE, victim.counters()["poke-failed"]
    targets = ("spare_iova", "spare", "foreign")
    for name in targets:
        victim.host.machine.write(register, 8, where[name])
    equal(victim.counters()["poke-failed"] - before, len(targets), f"failed writes of {victim.name}")


def memory(host, where):
    return [host.machine.memory(where[page], PAGE) for page in ("spare", "pattern", "foreign")]
