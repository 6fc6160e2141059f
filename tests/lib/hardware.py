# SPDX-License-Identifier: GPL-2.0-or-later
"""What a scenario plugs into the emulated host, and what can be seen and done
there from outside: config space read past every kernel, cards pulled out of
their slots."""

from lib.outcome import Failed

ECAM = 0xb0000000       # where the firmware puts config space

COMMAND = 0x04
IO, MEMORY, BUS_MASTER = 1, 2, 4
CAPABILITIES, EXTENDED = 0x34, 0x100
EXPRESS, POWER, ACS = 0x10, 0x01, 0x0d
# in the PCI Express capability
SLOT_CONTROL, SLOT_STATUS, CONTROL_2 = 0x18, 0x1a, 0x28
POWER_OFF = 0x700       # indicator and power of a slot, both off
PRESENT = 0x40
ARI = 0x20


# --- for Host.boot(devices=...)

def root_port(name, slot):
    return f"pcie-root-port,id={name},slot={slot},chassis={slot}"


def switch(above, name, slot):
    """A switch with one downstream port, which is called `name`."""
    return [f"x3130-upstream,id={name}-up,bus={above}",
            f"xio3130-downstream,id={name},bus={name}-up,slot={slot},chassis={slot}"]


def probe(name, bus, **options):
    """docs/specs/hlu-probe.rst in QEMU tells what the options are."""
    more = "".join(f",{key}={value}" for key, value in options.items())
    return f"hlu-probe,id={name},bus={bus}{more}"


def probes(places):
    """A card in each port of {card: (port, slot)}."""
    return [line for name, (port, slot) in places.items()
            for line in (root_port(port, slot), probe(name, port))]


def nvme(name, bus, path):
    """An NVMe disk on a file."""
    return [("-drive", f"id={name}-file,if=none,format=raw,file={path}"),
            f"nvme,id={name},bus={bus},serial={name},drive={name}-file"]


# --- the view from outside

class Function:
    """A function by the name it has in QEMU, wherever the kernel put it."""

    def __init__(self, machine, name):
        self.machine = machine
        self.name = name
        place = _find(machine.qmp("query-pci"), name)
        if not place:
            raise Failed(f"no {name} on the bus")
        self.bus, self.slot, self.function = place

    @property
    def address(self):
        return f"0000:{self.bus:02x}:{self.slot:02x}.{self.function}"

    def read(self, offset, size):
        return self.machine.read(self._at(offset), size)

    def write(self, offset, size, value):
        self.machine.write(self._at(offset), size, value)

    def _at(self, offset):
        return ECAM + (self.bus << 20 | self.slot << 15 | self.function << 12) + offset

    def capability(self, number):
        at = self.read(CAPABILITIES, 1)
        while at and self.read(at, 1) != number:
            at = self.read(at + 1, 1)
        return at

    def extended(self, number):
        at = EXTENDED
        while at:
            head = self.read(at, 4)
            if head in (0, 0xffffffff):
                return 0
            if head & 0xffff == number:
                return at
            at = head >> 20
        return 0

    def bridge_state(self):
        """What the functions below depend on."""
        express, acs = self.capability(EXPRESS), self.extended(ACS)
        return {
            "address": self.address,
            "decodes and masters": self.read(COMMAND, 2) & (IO | MEMORY | BUS_MASTER),
            "bus numbers": self.read(0x18, 4) & 0xffffff,
            "windows": [self.read(at, 4) for at in (0x20, 0x24, 0x28, 0x2c, 0x30)]
                       + [self.read(0x1c, 2)],
            "power state": self.read(self.capability(POWER) + 4, 2) & 3,
            "ACS": self.read(acs + 6, 2) if acs else None,
            "ARI": bool(self.read(express + CONTROL_2, 2) & ARI),
        }


class Slot:
    """The slot below a port, a hand's breadth from the card."""

    def __init__(self, machine, port):
        self.machine = machine
        self.port = port

    def pull(self, *then):
        """Takes the card out while it runs, and puts `then` in at once, if
        anything. QEMU knows only of slots that the host has switched off, so
        its CPUs stand still while the slot is off: what the host sees is a card
        that is no longer there."""
        running = self.machine.qmp("query-status")["running"]
        port = Function(self.machine, self.port)
        express = port.capability(EXPRESS)
        control = port.read(express + SLOT_CONTROL, 2)
        if running:
            self.machine.qmp("stop")
        port.write(express + SLOT_CONTROL, 2, control | POWER_OFF)
        port.write(express + SLOT_CONTROL, 2, control)
        gone = not port.read(express + SLOT_STATUS, 2) & PRESENT
        for device in then:
            self.plug(device)
        if running:
            self.machine.qmp("cont")
        if not gone:
            raise Failed(f"the card below {self.port} is still there")

    def plug(self, device):
        driver, *options = device.split(",")
        self.machine.qmp("device_add", driver=driver,
                         **dict(option.split("=", 1) for option in options))


def _find(buses, name):
    for bus in buses:
        for device in bus.get("devices", ()):
            if device["qdev_id"] == name:
                return device["bus"], device["slot"], device["function"]
            below = device.get("pci_bridge", {})
            place = _find([below], name) if below else None
            if place:
                return place
    return None
