# SPDX-License-Identifier: GPL-2.0-or-later
"""AMD-Vi as the emulated host's IOMMU, and what it saw: L0's model traces into
the same log as VT-d's."""

import re

from lib.iommu import Iommu

MODE = "amd-vi"
# without dma-remap=on L0 lets all DMA pass
DEVICE = "amd-iommu,intremap=on,dma-remap=on,xtsup=on"
# Linux remaps interrupts only if a southbridge is where ACPI has the IOAPIC; q35
# has nothing there
SOUTHBRIDGE = ["-blockdev", "driver=null-co,node-name=southbridge,size=1048576,read-zeroes=on",
               "-device", "virtio-blk-pci,class=0x0601,addr=14,drive=southbridge"]

CONTROL = re.compile(r"amdvi_control_status MMIO_STATUS state 0x(\w+)")
BLOCKED_EVENT = "amdvi_access_blocked"
BLOCKED = re.compile(BLOCKED_EVENT + r" devid: \S+ gpa 0x(\w+)")
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
    """Counts from its making, or from the last clear(). One model: it has no
    modes."""

    logged = LOGGED
    announced = LOGGED

    def quiet(self):
        # one line for each 4 bytes that are tried takes more time than all else
        self._set(BLOCKED_EVENT, False)

    def faults(self):
        return [int(address, 16) for address in BLOCKED.findall(self._new)]

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
