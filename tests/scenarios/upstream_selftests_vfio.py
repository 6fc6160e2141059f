# SPDX-License-Identifier: GPL-2.0-or-later
"""Upstream's selftests/vfio pass unchanged, with QEMU's igb under vfio-pci: what
programs do with a device by VFIO, they still can.

Without vfio_pci_driver_test: its copies by the igb take the emulator minutes, and
one of them did not end."""

from lib.device import Device
from lib.iommu import Iommu
from lib.selftest import run_in_host

# all that the tests want to map; a GiB of memory that is shared is quick to get
# in huge pages only
PAGES = "hugepagesz=1G hugepages=1 hugepagesz=2M hugepages=4"
SHARED = "/sys/kernel/mm/transparent_hugepage/shmem_enabled"
# each program with the number of its tests
PROGRAMS = {"vfio_dma_mapping_test": 30, "vfio_dma_mapping_mmio_test": 15,
            "vfio_iommufd_setup_test": 6, "vfio_pci_device_test": 5,
            "vfio_pci_device_init_perf_test": 5, "vfio_pci_sriov_uapi_test": 45}
NIC = "0000:01:00.0"


def run(test):
    host = test.host().boot("a", luod=False, cmdline=PAGES, memory="6G")
    Iommu(host)
    host.run("echo 1 >/sys/module/vfio_pci/parameters/enable_sriov")
    host.run(f"echo always >{SHARED}")
    Device(host, NIC).take("vfio-pci")
    for name, count in PROGRAMS.items():
        run_in_host(test, host, f"vfio/{name}", at_least=count, arguments=NIC, seconds=300)
