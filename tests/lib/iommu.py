# SPDX-License-Identifier: GPL-2.0-or-later
"""The emulated host's IOMMU, and what it saw, by its own account: L0's VT-d
model traces into iommu.log. lib/amdvi.py has the other model."""

import re

from lib.outcome import equal

VTD = "intel-iommu,intremap=on,caching-mode=on"
MODES = ("legacy", "scalable")

LOG = "iommu.log"
EVENTS = ("vtd_dmar_enable", "vtd_ir_enable", "vtd_dmar_fault", "vtd_fault_disabled",
          "vtd_frr_new", "vtd_reg_dmar_root",
          "amdvi_control_status", "amdvi_access_blocked", "amdvi_ir_target_abort",
          "amdvi_ir_err", "amdvi_ir_pass")
# every translation: only for a moment
TRANSLATE = "vtd_dmar_translate"
TRANSLATED = re.compile(TRANSLATE + r" dev (\w+):(\w+)\.(\w+) "
                        r"iova 0x\w+ -> gpa 0x\w+ mask 0x(\w+)")
FAULT = re.compile(r"vtd_dmar_fault sid 0x\w+ fault \d+ addr 0x(\w+)")
RECORDED = re.compile(r"vtd_frr_new index \d+ high 0x(\w+) low 0x\w+")
# fault reasons of interrupt remapping; the others are traced one by one
REMAPPING = range(0x20, 0x30)
# as a kernel writes it: DMAR: [DMA Write NO_PASID] Request device [02:00.0] fault addr ...
LOGGED = re.compile(r"DMAR: \[.*\bfault (?:addr|index)\b")
ANNOUNCED = re.compile(r"DMAR: DRHD: handling fault status")
ROOT = re.compile(r"vtd_reg_dmar_root addr 0x\w+ scalable (\d)")


def boot(mode, caching=True):
    """For Host.boot()."""
    device = VTD if caching else VTD.replace("caching-mode=on", "caching-mode=off")
    if mode == "legacy":
        return {"iommu": device}
    return {"iommu": f"{device},x-scalable-mode=on", "cmdline": "intel_iommu=on,sm_on"}


def trace(folder):
    """QEMU's options for it."""
    return ["-D", str(folder / LOG), *(part for event in EVENTS for part in ("-trace", event))]


class Iommu:
    """Counts from its making, or from the last clear()."""

    logged = LOGGED
    announced = ANNOUNCED

    def __init__(self, host):
        self.host = host
        self._path = host.folder / LOG
        # faults are counted here, and judged by the scenario
        host.console.allow(self.logged.pattern)
        host.console.allow(self.announced.pattern)
        self.clear()

    def clear(self):
        self._mark = len(self._text)
        self._said = self.host.console.mark

    @property
    def _text(self):
        return self._path.read_text(errors="replace")

    @property
    def _new(self):
        return self._text[self._mark:]

    @property
    def scalable(self):
        """Its mode; the host's kernel chooses."""
        return ROOT.findall(self._text)[-1] == "1"

    def faults(self):
        """Of DMA: to which addresses. A record that may not be written is
        several of them, for L0 tries parts of it."""
        return [int(address, 16) for address in FAULT.findall(self._new)]

    def figures(self):
        text = self._new
        return {
            "iommu_faults": len(self.faults()) + text.count("vtd_fault_disabled")
            + sum((int(high, 16) >> 32 & 0xff) in REMAPPING for high in RECORDED.findall(text)),
            "iommu_faults_logged": self._faults_logged(),
            "translation_off_events": text.count("vtd_dmar_enable enable 0"),
            "remapping_off_events": text.count("vtd_ir_enable enable 0"),
        }

    def check_quiet(self):
        """Since the last clear(), or the boot, nothing was blocked, and protection
        was never off."""
        equal({name: count for name, count in self.figures().items() if count}, {},
              "faults, and times that protection was off")

    def _faults_logged(self):
        return len(self.logged.findall(self.host.console.since(self._said)))

    def page_sizes(self, address):
        """Of the translations that a function uses just now."""
        return self._page_sizes(address, TRANSLATE, TRANSLATED)

    def _page_sizes(self, address, event, translated):
        mark = len(self._text)
        self._set(event, True)
        try:
            return self.host.wait(lambda: self._sizes(address, mark, translated), 20,
                                  f"translations of {address}")
        finally:
            self._set(event, False)

    def _sizes(self, address, mark, translated):
        return {int(mask, 16) + 1 for bus, slot, function, mask
                in translated.findall(self._text[mark:])
                if address == f"0000:{bus}:{slot}.{int(function, 16)}"}

    def _set(self, event, on):
        self.host.machine.qmp("trace-event-set-state", name=event, enable=on)
