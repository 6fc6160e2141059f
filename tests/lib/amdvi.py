# SPDX-License-Identifier: GPL-2.0-or-later
"""AMD-Vi as the emulated host's IOMMU, and what it saw: L0's model traces into
the same log as VT-d's."""

import re

from lib.hardware import Function
from lib.iommu import Iommu

# without dma-remap=on L0 lets all DMA pass
DEVICE = "amd-iommu,intremap=on,dma-remap=on,xtsup=on"
# Linux remaps interrupts only if a southbridge is where ACPI has the IOAPIC; q35
# has nothing there
SOUTHBRIDGE = ["-blockdev", "driver=null-co,node-name=southbridge,size=1048576,read-zeroes=on",
               "-device", "virtio-blk-pci,class=0x0601,addr=14,drive=southbridge"]

CONTROL = re.compile(r"amdvi_control_status MMIO_STATUS state 0x(\w+)")
BLOCKED = re.compile(r"amdvi_access_blocked devid: (\w+):(\w+)\.(\w+) gpa 0x(\w+)")
ABORTED = re.compile(r"amdvi_ir_(?:target_abort|err) ")
PASSED = re.compile(r"amdvi_ir_pass ")
TRANSLATE = "amdvi_translation_result"
TRANSLATED = re.compile(TRANSLATE + r" devid: (\w+):(\w+)\.(\w+) gpa 0x\w+ hpa 0x\w+ mask 0x(\w+)")
# as a kernel writes it: 0000:02:00.0: AMD-Vi: Event logged [IO_PAGE_FAULT domain=... address=...
LOGGED = re.compile(r"AMD-Vi: Event logged \[IO_PAGE_FAULT")


def boot():
    """For Host.boot()."""
    return {"iommu": DEVICE}


class AmdVi(Iommu):
    """Counts from its making, or from the last clear(). What devices do whose names
    are in `apart` is not counted. One model: it has no modes."""

    logged = LOGGED
    announced = LOGGED

    def __init__(self, host, *apart):
        super().__init__(host)
        self._apart = [Function(host.machine, name).address for name in apart]

    def faults(self):
        return [int(address, 16) for bus, slot, function, address in BLOCKED.findall(self._new)
                if f"0000:{bus}:{slot}.{function}" not in self._apart]

    def _faults_logged(self):
        return sum(bool(LOGGED.search(line)) and not any(one in line for one in self._apart)
                   for line in self.host.console.since(self._said).splitlines())

    def figures(self):
        text = self._new
        off = self._times_off()
        return {
            "iommu_faults": len(self.faults()) + len(ABORTED.findall(text)),
            "iommu_faults_logged": self._faults_logged(),
            "translation_off_events": off,
            # remapping is off with all of it, or for a device by its entry
            "remapping_off_events": off + len(PASSED.findall(text)),
        }

    def _times_off(self):
        before = CONTROL.findall(self._text[:self._mark])
        states = [int(state, 16) & 1 for state in before[-1:] + CONTROL.findall(self._new)]
        return sum(was and not now for was, now in zip(states, states[1:]))

    def page_sizes(self, address):
        return self._page_sizes(address, TRANSLATE, TRANSLATED)
