# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest with passthrough functions lives through updates of its host, A to B to
A: its own drivers notice nothing but a pause.

Two VFs of one card and a whole card. Not a record of DMA is missing or out of
place, no interrupt gets stuck, no device is reset, translation and interrupt
remapping are never off."""

from lib.hardware import probe, probes, root_port
from lib.iommu import Iommu
from lib.outcome import check, equal
from lib.passthrough import Passed, arguments, ask, give
from lib.probe import Probe
from lib.survival import update_and_measure

DEVICES = [root_port("rp2", 2), probe("card", "rp2", vfs=2), *probes({"whole": ("rp3", 3)})]
STUB = "pci-pf-stub"


def run(test):
    host = test.host().boot("a", devices=DEVICES)
    iommu = Iommu(host)
    card, whole = Probe(host, "card"), Probe(host, "whole")
    give([card.device()], STUB)
    card.device().write("sriov_numvfs", 2)
    places = [(card, 1), (card, 2), (whole, 0)]
    functions = [probe.device(function) for probe, function in places]
    give(functions)
    vm = host.start_vm("vm1", changes=arguments([function.address for function in functions]))
    passed = Passed(vm, places)
    passed.wait_armed()
    for to in ("b", "a"):
        ask(functions)
        with test.part(f"to {to}"):
            survive(test, iommu, vm, passed, to)


def survive(test, iommu, vm, passed, to):
    passed.reset_counters()
    iommu.clear()
    figures = test.metrics.setdefault(f"to {to}", {})
    update_and_measure(vm.host, vm, to, figures)
    passed.figures(test)
    figures.update(iommu.figures())
    check_remapped(vm)
    passed.check_undisturbed()
    equal({key: value for key, value in iommu.figures().items() if value}, {},
          "faults, and times that protection was off")


def check_remapped(vm):
    """The new page tables were made after the guest ran again."""
    stamps = vm.host.run("cat /sys/kernel/liveupdate/timeline").split()
    order = [word for word in stamps if word in (f"{vm.name}:run", f"{vm.name}:remapped")]
    check(order == [f"{vm.name}:run", f"{vm.name}:remapped"], f"remapped after run: {stamps}")
