# SPDX-License-Identifier: GPL-2.0-or-later
"""What VT-d does in a live update AMD-Vi does, too: DMA and interrupts go on over a
kexec and nothing is lost, refused or unprotected; a write outside of a mapping is
blocked at any moment, and reported; a device whose record is damaged reaches
nothing, and harms no other; page tables are exchanged under running DMA.

All of it in one host: four devices go on, with pages of 4 KiB and 2 MiB, MSI-X,
and MSI that cannot be masked; one of them has interrupts to say only between the
kernels. One writes outside. Of the others a record each is damaged, one for each
thing that AMD-Vi's driver judges by itself; KUnit tries all bits.

A second update loses all records, and its command line has the IOMMU off: it is
on nevertheless."""

from lib import amdvi, dma
from lib.damage import Victim
from lib.handover import Handover
from lib.hardware import probes
from lib.outcome import check, equal
from lib.stray import Stray
from lib.update import FIRST_WORDS, Update
from lib.vectors import add_interrupts, cards, check_interrupts, owners

KEPT = {"small": ("msix", 4), "huge": ("msix", 4), "late": ("msix", 4),
        "plain": ("msi-nomask", 4)}
GO_ON = ("small", "huge")
DAMAGES = ("domain format", "domain nr_tables", "function domain", "entry rid", "entry word0",
           "entry word1")
VICTIMS = [f"victim{number}" for number, _ in enumerate(DAMAGES)]
OTHERS = ["stray", *VICTIMS]
DEVICES = [*cards(KEPT), *probes({name: (f"rp{slot}", slot)
                                  for slot, name in enumerate(OTHERS, 2 + len(KEPT))})]
MIB = 1 << 20
# pages of the IOMMU: it has sizes in between and above, for pages side by side
SIZES = {"small": range(4096, 2 * MIB), "huge": range(2 * MIB, 1024 * MIB)}
SHMEM = "/sys/kernel/mm/transparent_hugepage/shmem_enabled"
# for the exchange: often enough to hit a gap of some microseconds
PERIOD_US, RECORDS = 200, 16384
OFF = "amd_iommu=off iommu=off nox2apic"
NEVERTHELESS = "AMD-Vi: enabled: devices that came through a live update need it"


def run(test):
    host = test.host().boot("a", luod=False, devices=DEVICES, **amdvi.boot())
    host.run(f"echo advise >{SHMEM}")
    dma.serve(host)
    kept = owners(host, KEPT)
    for name, one in kept.items():
        one.open(huge=name == "huge")
    stray = dma.Owned(host, "stray")
    exchanged(test, stray)
    updated(test, host, kept, stray)
    with test.part("no record arrives, and the command line has the IOMMU off"):
        all_lost(host, [kept[name] for name in GO_ON])
    with test.part("the counters count: a reboot turns it off"):
        turned_off(host)


def exchanged(test, one):
    iommu = amdvi.AmdVi(one.host)
    one.open()
    one.arm(PERIOD_US, RECORDS)
    for how in ("swap", "renew"):
        with test.part(f"page tables exchanged under running DMA: {how}"):
            dma.exchange(test, how, one, iommu, how)


def updated(test, host, kept, one):
    victims = opened(host)
    one.arm()
    stray = Stray(test.metrics.setdefault("outside", {}), amdvi.AmdVi(host), one)
    with test.part("a write outside, before the jump"):
        stray.by_hand("before")
    one.preserve()
    iommu = amdvi.AmdVi(host, *OTHERS)
    start(iommu, kept)
    update = jump(test, host, kept, stray, victims)
    with test.part("in the incoming kernel: nobody touched them"):
        for name, each in kept.items():
            if name not in GO_ON:
                each.stop_from_outside()
            each.check_kept()
    dma.serve(host)
    reclaimed(test, kept)
    with test.part("writes outside, after the jump"):
        stray.from_outside("after")
        one.retrieve()
        stray.by_hand("retrieved")
        one.check_ring()
    for name, victim in zip(DAMAGES, victims):
        with test.part(f"{name} damaged"):
            victim.check_lost()
            test.metrics.setdefault("damaged", {})[name] = victim.refused()
    for each in (*kept.values(), one):
        each.finish()
    update.finish()
    finished(test, kept, stray, victims)
    with test.part("no fault, and no moment without protection"):
        add(test, iommu.figures())


def opened(host):
    victims = []
    for name in VICTIMS:
        one = dma.Owned(host, name)
        one.open()
        one.preserve()
        victims.append(Victim(one))
    return victims


def start(iommu, kept):
    for name, one in kept.items():
        one.listen()
        one.reset_counters()
        if name != "late":
            one.raise_at()
        if name in SIZES:
            sizes = iommu.page_sizes(one.device().address)
            check(all(size in SIZES[name] for size in sizes), f"pages of {name}: {sizes}")
        one.preserve()
    iommu.clear()


def jump(test, host, kept, stray, victims):
    update = Update(host).prepare()
    handover, mark = Handover(host), host.console.mark
    for one in kept.values():
        one.do("pause")

    def meanwhile():
        kept["late"].start_from_outside()
        stray.from_outside("during")
        for name, victim in zip(DAMAGES, victims):
            victim.damage(handover, name)
        handover.seal()

    update.jump(meanwhile)
    with test.part("the write between the kernels is reported"):
        # not each of its faults: the kernel limits their rate
        host.wait(lambda: reported(host, mark, stray), 10, f"report of {stray.targets()}")
    return update


def reported(host, mark, stray):
    """By the incoming kernel."""
    address = f"address={stray.targets()['just before']:#x}"
    return any(amdvi.LOGGED.search(line) and address in line for line
               in host.console.since(mark).partition(FIRST_WORDS)[2].splitlines())


def reclaimed(test, kept):
    for name, one in kept.items():
        one.retrieve()
        with test.part(f"{name}: records"):
            ring = test.metrics.setdefault("rings", {})[name] = one.ring()
            check(ring["last"], f"records of {name}: {ring}")
            add(test, dma.figures([ring], [one.counters()]))
            dma.check_memory(ring)
        one.listen()
    with test.part("late: each vector is heard of exactly once"):
        equal(kept["late"].settle()["signals"], [1] * kept["late"].vectors, "signals by vector")
    with test.part("plain: all that was raised is heard of"):
        judge(test, kept["plain"], replays=1)


def finished(test, kept, stray, victims):
    with test.part("a write outside, on a new page table"):
        stray.by_hand("finished")
        stray.one.check_ring()
    with test.part("damaged ones can be used anew"):
        for victim in victims:
            victim.one.open()
            victim.one.arm()
            victim.one.check_ring()
    for name in GO_ON:
        kept[name].wait_signals()
        kept[name].do("disarm")
        with test.part(f"{name}: all that was raised is heard of"):
            judge(test, kept[name])
            add(test, dma.figures([], [kept[name].counters()]))


def judge(test, one, replays=0):
    said = one.figures(replays)
    add_interrupts(test, one.name, said)
    check_interrupts(said, one.name)


def add(test, said):
    """To the metrics; all of it has to be 0."""
    for key, value in said.items():
        test.metrics[key] = test.metrics.get(key, 0) + value
    equal({key: value for key, value in said.items() if value}, {}, "losses and faults")


def all_lost(host, ones):
    victims = [Victim(one) for one in ones]
    for one in ones:
        one.preserve()
    update = Update(host, "a", OFF).prepare()
    handover, iommu, mark = Handover(host), amdvi.AmdVi(host), host.console.mark

    def meanwhile():
        victims[0].damage(handover, "head hw")
        handover.seal()

    update.jump(meanwhile)
    check(NEVERTHELESS in host.console.since(mark), f"`{NEVERTHELESS}` in the log")
    dma.serve(host)
    for victim in victims:
        victim.check_lost()
        victim.refused()
    update.finish()
    equal(iommu.figures()["translation_off_events"], 0, "times that translation was off")
    for one in ones:
        one.open()
        one.arm()
        one.check_ring()


def turned_off(host):
    iommu = amdvi.AmdVi(host)
    host.start("reboot -f")
    host.wait(lambda: iommu.figures()["translation_off_events"], 30, "end of translation")
    check(iommu.figures()["remapping_off_events"], "end of interrupt remapping")
