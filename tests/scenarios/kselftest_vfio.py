# SPDX-License-Identifier: GPL-2.0-or-later
"""kselftests vfio_pci_liveupdate: the ABI of VFIO PCI devices in a live update is
as documented, and devices under libvfio's drivers go on over a kexec: QEMU's igb,
which copies memory when it is told to, and the measuring device, which writes
records all the time."""

import shutil

from lib import paths
from lib.device import Device
from lib.hardware import Function, probe, root_port
from lib.nic import ADDRESS
from lib.outcome import check
from lib.selftest import run_in_host
from lib.update import Update

UAPI, KEXEC = "vfio_pci_liveupdate_uapi_test", "vfio_pci_liveupdate_kexec_test"
PASSED = "VFIO PCI KEXEC TEST PASSED"


def run(test):
    host = test.host().boot("a", luod=False,
                            devices=[root_port("rp2", 2), probe("probe0", "rp2")])
    ones = {"igb": Device(host, ADDRESS),
            "hlu-probe": Device(host, Function(host.machine, "probe0").address)}
    shutil.copy(paths.built(paths.SELFTESTS / "vfio" / KEXEC), host.share / KEXEC)
    for name, device in ones.items():
        device.take("vfio-pci")
        with test.part(f"{UAPI} of {name}"):
            run_in_host(test, host, f"vfio/{UAPI}", at_least=13,
                        arguments=str(device))
    for (name, device), to in zip(ones.items(), "ba"):
        with test.part(f"{KEXEC} of {name}"):
            over_kexec(host, device, to)


def stage(host, device, number):
    return host.run(f"/share/{KEXEC} -s {number} {device}", 60)


def over_kexec(host, device, to):
    if device.driver != "vfio-pci":
        device.take("vfio-pci")
    stage(host, device, 1)
    update = Update(host, to).prepare().jump()
    device.take("vfio-pci")
    said = stage(host, device, 2)
    check(PASSED in said, f"'{PASSED}': {said}")
    update.finish()
