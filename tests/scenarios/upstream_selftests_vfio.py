# SPDX-License-Identifier: GPL-2.0-or-later
"""Upstream's selftests/vfio end here as they do on the unpatched kernel, test by
test, with QEMU's igb under vfio-pci: what programs do with a device by VFIO,
they still can.

tests/expected/selftests_vfio has the unpatched kernel's results; docs/testing.md
says how they were recorded, and what takes long."""

from lib import paths
from lib.device import Device
from lib.iommu import Iommu
from lib.outcome import check
from lib.selftest import run_in_host

# all that the tests want to map; a GiB of memory that is shared is quick to get
# in huge pages only
PAGES = "hugepagesz=1G hugepages=1 hugepagesz=2M hugepages=4"
SHARED = "/sys/kernel/mm/transparent_hugepage/shmem_enabled"
SRIOV = "/sys/module/vfio_pci/parameters/enable_sriov"
NIC = "0000:01:00.0"

EXPECTED = paths.TESTS / "expected" / "selftests_vfio"
RESULTS = "selftests_vfio"
PROGRAMS = ("vfio_dma_mapping_test", "vfio_dma_mapping_mmio_test",
            "vfio_iommufd_setup_test", "vfio_pci_device_test",
            "vfio_pci_device_init_perf_test", "vfio_pci_driver_test",
            "vfio_pci_sriov_uapi_test")


def run(test):
    expected = EXPECTED.read_text().splitlines()[1:]    # without SPDX's
    host = test.host().boot("a", luod=False, cmdline=PAGES, memory="6G")
    Iommu(host)     # some tests' DMA is to be blocked, which the kernel reports
    host.run(f"echo 1 >{SRIOV} && echo always >{SHARED}")
    Device(host, NIC).take("vfio-pci")
    for name in PROGRAMS:
        run_in_host(test, host, f"vfio/{name}", at_least=0, arguments=NIC, seconds=300)

    results = [f"{result(part)} {part.name}" for part in test.parts]
    (test.folder / RESULTS).write_text("\n".join(results) + "\n")
    compare(results, expected)


def result(part):
    return "skip" if part.skipped else "ok" if part.passed else "FAIL"


def compare(results, expected):
    new = [line for line in results if line not in expected]
    gone = [line for line in expected if line not in results]
    check(not new and not gone, f"the unpatched kernel's results; new: {new}; gone: {gone}")
    check(len(results) == len(expected),
          f"{len(expected)} results, each once, it were {len(results)}")
