# SPDX-License-Identifier: GPL-2.0-or-later
"""Functions of the host that a guest owns: by vfio-pci and QEMU's iommufd, over
any number of updates. The guest's side is tests/guest/devices.c."""

from lib.hardware import root_port
from lib.outcome import check, equal
from lib.probe import Probe, figures

DRIVER = "vfio-pci"
IOMMUFD = "iommufd,id=iommufd0,liveupdate=on"
# as PCIe has it, not ACPI: the guest's kernel knows no other
HOTPLUG = ("-global", "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off")
# QEMU of a guest that resets a device too early
WAITS = "does not reset it during a live update, the VM waits"


def arguments(devices, iommufd=IOMMUFD, more=(), ports=0):
    """`changes` for Host.start_vm(): the guest gets these functions as vfio0 and up,
    and `more`. `ports`: so many slots for them, port0 and up, to plug and unplug."""
    extra = ["-object", iommufd, *(HOTPLUG if ports else ())]
    for number in range(ports):
        extra += ["-device", root_port(f"port{number}", number + 1)]
    for number, device in enumerate(devices):
        extra += ["-device", plug(device, number, ports)]
    return {"-qmp\n": "\n".join([*extra, *more, "-qmp", ""])}


def plug(device, number, port=True):
    """For -device and device_add."""
    place = f",bus=port{number}" if port else ""
    return f"vfio-pci,id=vfio{number},host={device},iommufd=iommufd0{place}"


def give(devices, driver=DRIVER):
    """Takes the functions from the host's drivers, in each kernel anew
    (tests/host/restore-vms.sh)."""
    for device in devices:
        device.take(driver)
        with open(device.host.share / "vms" / "drivers", "a") as drivers:
            drivers.write(f"{device.address} {driver}\n")


def give_cards(host, names):
    """These cards, their functions 0 for guests: [Probe], [Device]."""
    cards = [Probe(host, name) for name in names]
    functions = [card.device() for card in cards]
    give(functions)
    return cards, functions


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
        """The guest's driver has them all, and no others, and they run."""
        self.vm.host.wait(lambda: self.vm.line.last.values["probes"] == len(self.places)
                          and (self.vm.line.last.values["irq_seen"] or not self.places), seconds,
                          f"{len(self.places)} devices of {self.vm.name}")
        for probe, function in self.places:
            probe.wait_dma(function)

    def reset_counters(self):
        for probe, _ in self.places:
            probe.reset_counters()

    def wait_looked(self, seconds=60):
        """Until the guest has looked at all records up to now, and at interrupts."""
        values = self.vm.line.last.values
        goal = values["dma_records"] + 200 * len(self.places), values["irq_seen"] + 8
        self.vm.host.wait(lambda: (self.vm.line.last.values["dma_records"] >= goal[0]
                                   and self.vm.line.last.values["irq_seen"] >= goal[1]),
                          seconds, f"records and interrupts in {self.vm.name}")

    def figures(self, metrics):
        """Adds to these what the guest and its devices counted."""
        values = self.vm.line.last.values
        for key in ("dma_records", "dma_missed", "dma_wrong", "irq_raised", "irq_seen",
                    "irq_early", "irq_stuck"):
            metrics[key] = values[key]
        metrics.update(figures(self.counters()))
        metrics["irq_lost"] = values["irq_stuck"] + sum(seen["irq-dropped"]
                                                        for seen in self.counters())

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


class Held:
    """After the next update the devices of a guest stay on the page tables of the
    kernel before until release(): its QEMU may lock no memory for new ones, and
    tries again every second."""

    def __init__(self, vm):
        self.vm = vm
        self._limit = vm.host.share / "vms" / f"{vm.name}.memlock"
        self._limit.write_text("0\n")
        # of the next kernel's luod
        vm.host.next_luod("LUOD_OPTIONS=--claim-timeout=900")

    def update(self, to):
        """Until the guest runs in the next kernel."""
        host = self.vm.host
        tries = self.vm.qemu_log.count("trying again")
        host.load(to)
        host.jump(host.start_update(), to)
        host.wait(lambda: self.vm.qemu_log.count("trying again") > tries, 60,
                  f"QEMU of {self.vm.name} to say that it cannot map its memory")
        self.vm.wait_alive()
        self.check_held()

    def check_held(self):
        equal(stamps(self.vm), ["run"], f"stamps of {self.vm.name} since it runs")
        equal(self.vm.host.state, "updated", "state, the page tables not exchanged yet")

    def let_go(self):
        """QEMU will notice within a second."""
        self._limit.unlink()
        self.vm.host.run(f"limit none $(cat /run/vm/{self.vm.name}.pid)")

    def release(self):
        self.let_go()
        self.wait_remapped()

    def wait_remapped(self):
        self.vm.host.wait_state("normal", 60)
        check_remapped(self.vm)


def stamps(vm):
    """Those of its QEMU since the guest runs again."""
    own = [what for who, _, what in (name.partition(":") for name in vm.host.timeline().names)
           if who == vm.name]
    return own[own.index("run"):] if "run" in own else []


def check_remapped(vm):
    """The new page tables were made after the guest ran again."""
    equal(stamps(vm), ["run", "remapped"], f"stamps of {vm.name} since it runs")
