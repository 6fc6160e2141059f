# SPDX-License-Identifier: GPL-2.0-or-later
"""`virsh hypervisor-update` replaces the kernel under a domain with two passthrough
functions, a NIC and a disk: it has the same id, and its devices noticed nothing.

The host's functions are managed hostdevs of stock XML: virtqemud has bound and
requested them itself. The domain's memory is huge pages of the host's. What
`hypervisor-update-info --completed` tells agrees with what was seen."""

from xml.etree.ElementTree import SubElement

from lib.hardware import probe, root_port
from lib.iommu import Iommu
from lib.outcome import check, equal
from lib.passthrough import Passed, give
from lib.probe import Probe
from lib.virsh import Domain, boot, info, update, virsh

DEVICES = [root_port("rp2", 2), probe("card", "rp2", vfs=2)]
MIB = 128
PHASES = ("begin", "prepared", "jump", "finish")


def run(test):
    host = boot(test, devices=DEVICES, cmdline=f"hugepages={MIB // 2}")
    iommu = Iommu(host)
    card = Probe(host, "card")
    give([card.device()], "pci-pf-stub")
    card.device().write("sriov_numvfs", 2)
    places = [(card, 1), (card, 2)]
    functions = [one.device(function) for one, function in places]
    vm = Domain(host, memory=MIB, functions=functions).define(huge_pages).start()
    passed = Passed(vm, places)
    passed.wait_armed()
    vm.wait_verified()

    before = vm.id, virsh(host, "domuuid vm1"), virsh(host, "dumpxml vm1")
    passed.reset_counters()
    iommu.clear()
    update(host, to="b")
    vm.wait_alive(120)
    test.metrics.update(vm.check_unharmed())
    passed.figures(test.metrics)
    with test.part("the same domain"):
        equal(vm.state, "running", "state of the domain")
        equal((vm.id, virsh(host, "domuuid vm1"), virsh(host, "dumpxml vm1")), before,
              "id, uuid and XML of the domain")
    with test.part("its devices noticed nothing"):
        passed.check_undisturbed()
        equal({key: value for key, value in iommu.figures().items() if value}, {},
              "faults, and times that protection was off")
        vm.check_disk()
    with test.part("what is said of the update"):
        said = info(host)
        test.metrics["info"] = said
        check_info(host, said)


def huge_pages(tree):
    pages = SubElement(SubElement(tree, "memoryBacking"), "hugepages")
    SubElement(pages, "page", size="2", unit="MiB")


def check_info(host, said):
    equal(said["state"], "completed", "state of the update")
    equal(said["kernel.new"], host.release, "the new kernel")
    check(int(said["elapsed"]) > 0, f"time that it took: {said}")
    check(float(said["domain.0.paused"]) > 0, f"time that the domain stood still: {said}")
    text = virsh(host, "hypervisor-update-info --completed")
    for phase in PHASES:
        check(phase in text, f"phase {phase} in: {text}")
