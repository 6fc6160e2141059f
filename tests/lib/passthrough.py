# SPDX-License-Identifier: GPL-2.0-or-later
"""Functions of the host that a guest owns: by vfio-pci and QEMU's iommufd, over
any number of updates. The guest's side is tests/guest/devices.c."""

from lib.outcome import check, equal
from lib.probe import add_figures

DRIVER = "vfio-pci"
IOMMUFD = "iommufd,id=iommufd0,liveupdate=on"


def arguments(addresses, iommufd=IOMMUFD):
    """`changes` for Host.start_vm(): the guest gets these functions."""
    extra = ["-object", iommufd]
    for address in addresses:
        extra += ["-device", f"vfio-pci,host={address},iommufd=iommufd0"]
    return {"-kernel\n": "\n".join([*extra, "-kernel", ""])}


def give(devices, driver=DRIVER):
    """Takes the functions from the host's drivers, in each kernel anew
    (tests/host/restore-vms.sh)."""
    for device in devices:
        device.take(driver)
        with open(device.host.share / "vms" / "drivers", "a") as drivers:
            drivers.write(f"{device.address} {driver}\n")


def ask(devices):
    """A request does not outlive a kernel."""
    for device in devices:
        device.request()


class Passed:
    """The functions of one guest: `places` are (Probe, function)."""

    def __init__(self, vm, places):
        self.vm = vm
        self.places = places

    @property
    def devices(self):
        return [probe.device(function) for probe, function in self.places]

    def counters(self):
        return [probe.counters(function) for probe, function in self.places]

    def wait_armed(self, seconds=120):
        """The guest's driver has them all, and they run."""
        self.vm.host.wait(lambda: self.vm.line.last.values["probes"] == len(self.places)
                          and self.vm.line.last.values["irq_seen"], seconds,
                          f"{len(self.places)} devices of {self.vm.name}")
        for probe, function in self.places:
            probe.wait_dma(function)

    def reset_counters(self):
        for probe, _ in self.places:
            probe.reset_counters()

    def wait_looked(self, seconds=60):
        """Until the guest has looked at all records up to now, and at interrupts."""
        values = self.vm.line.last.values
        goal = values["dma_records"] + 400 * len(self.places), values["irq_seen"] + 8
        self.vm.host.wait(lambda: (self.vm.line.last.values["dma_records"] >= goal[0]
                                   and self.vm.line.last.values["irq_seen"] >= goal[1]),
                          seconds, f"records and interrupts in {self.vm.name}")

    def figures(self, test):
        values = self.vm.line.last.values
        for key in ("dma_records", "dma_missed", "dma_wrong", "irq_raised", "irq_seen",
                    "irq_early", "irq_stuck"):
            test.metrics[key] = values[key]
        add_figures(test, *self.counters())

    def check_undisturbed(self):
        """No record is missing, no vector is silent, nobody reset a device or
        stopped it since the counters were reset."""
        self.wait_looked()
        values = self.vm.line.last.values
        for fault in ("dma_missed", "dma_wrong", "irq_early", "irq_stuck"):
            equal(values[fault], 0, f"{fault} of {self.vm.name}: {values}")
        for (probe, function), seen in zip(self.places, self.counters()):
            name = f"{probe.name}, function {function}: {seen}"
            equal(sum(seen["resets"].values()), 0, f"resets of {name}")
            for fault in ("bme-clears", "msix-disables", "dma-failed", "dma-out-of-order",
                          "irq-dropped"):
                equal(seen[fault], 0, f"{fault} of {name}")
            check(seen["dma-tried"], f"DMA of {name}")
