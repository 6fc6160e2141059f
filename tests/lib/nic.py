# SPDX-License-Identifier: GPL-2.0-or-later
"""The emulated host's igb: what is done to it, seen from outside; and in the hand
of a program (tests/host/igb.c), as a VMM would own it: VFIO, iommufd, and received
frames in memory of its own."""

import json
import re

from lib.device import Device
from lib.iommu import LOG
from lib.outcome import check, equal

ADDRESS = "0000:01:00.0"
# L0 says so when the device is reset, by whatever, and when its config space is
# written to
TRACE = ("e1000e_cb_qdev_reset_hold", "e1000e_core_ctrl_sw_reset", "pci_cfg_write")
RESET = re.compile("^(?:e1000e_cb_qdev_reset_hold|e1000e_core_ctrl_sw_reset) ", re.M)
WRITE = re.compile(r"^pci_cfg_write igb \S+ @(\w+) <- (\w+)", re.M)


class Card:
    """From outside."""

    def __init__(self, host):
        self.host = host
        self.device = Device(host, ADDRESS)
        self._log = host.folder / LOG
        for event in TRACE:
            host.machine.qmp("trace-event-set-state", name=event, enable=True)
        self.clear()

    def clear(self):
        self._mark = len(self._log.read_text(errors="replace"))

    def figures(self):
        """What was done to the device since the last clear(). A config write of
        what has been written there before changes nothing."""
        text = self._log.read_text(errors="replace")
        before, text = dict(WRITE.findall(text[:self._mark])), text[self._mark:]
        return {"resets": len(RESET.findall(text)),
                "config_writes": sum(before.get(at) != value for at, value in WRITE.findall(text))}


class Nic(Card):
    """Owned by the program."""

    def __init__(self, host, wire):
        super().__init__(host)
        self.wire = wire
        self.lost = 0       # None: a full ring loses what comes

    def do(self, command, *args, seconds=60):
        return self.host.run(" ".join(["igb", command, *map(str, args)]), seconds)

    def serve(self):
        """In each kernel anew."""
        self.host.run("igb serve </dev/null >>/share/logs/igb.log 2>&1 &")
        self.host.wait(lambda: self.host.run("test -S /run/igb && echo yes || true"), 10,
                       "igb serve")

    def open(self, descriptors):
        self.device.take("vfio-pci")
        self.do("open", self.device, descriptors)

    def preserve(self):
        self.device.request()
        self.do("preserve")

    def retrieve(self):
        self.device.take("vfio-pci")
        self.do("retrieve")

    # --- frames

    def look(self):
        """At the new ones; all so far were right."""
        seen = json.loads(self.do("check"))
        equal((seen["damaged"], seen["out_of_order"], seen["link"]), (0, 0, True),
              f"frames damaged, out of order, and the link: {seen}")
        if self.lost is not None:
            equal(seen["lost"], self.lost, f"frames lost: {seen}")
        check(seen["interrupts"] <= seen["frames"], f"no interrupt before its frame: {seen}")
        return seen

    def wait_frames(self, goal, refill=False):
        """Until the first `goal` frames are in memory."""
        def there():
            seen = self.look()
            if refill and seen["new"]:
                self.do("refill")
            return seen if seen["frames"] >= goal else None

        return self.host.wait(there, 30, f"{goal} frames")

    def wait_interrupts(self, more=1):
        """From now on."""
        goal = self.look()["interrupts"] + more
        return self.host.wait(lambda: self.look()["interrupts"] >= goal, 20, "interrupts")
