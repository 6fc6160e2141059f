# SPDX-License-Identifier: GPL-2.0-or-later
"""The measuring device, hlu-probe: what it counted, as L0 tells, and what L1's
driver and the ring in L1's memory say of it.

Function 0 is the PF, n its VF n (from 1)."""

import json

from lib.device import Device
from lib.outcome import check, equal

# a record every 5 ms, a ring for 80 s: longer than any jump
PERIOD_US, RECORDS, IRQ_EVERY, VECTORS = 5000, 16384, 16, 4

CLEARS = {"bme_clears": "bme-clears", "decode_clears": "decode-clears",
          "msix_disables": "msix-disables", "vf_enable_clears": "vf-enable-clears"}
WRITES = ("bar-writes", "vf-bar-writes", "config-writes")
# goes on by itself, so it is no part of a function's settings
MOVING = ("sequence", "irq-pending")


class Probe:
    def __init__(self, host, name="probe0"):
        self.host = host
        self.name = name
        self.path = f"/machine/peripheral/{name}"
        self._from = {}

    def _get(self, what, function):
        return self.host.machine.qmp("qom-get", path=self.path, property=what)[function]

    # --- from outside

    def counters(self, function=0):
        return self._get("counters", function)

    def reset_counters(self):
        """Of all functions."""
        self.host.machine.qmp("qom-set", path=self.path, property="counters-reset", value=True)

    def state(self, function=0):
        return self._get("state", function)

    def settings(self, function=0):
        """All of the state that an update has to leave alone."""
        return {key: value for key, value in self.state(function).items() if key not in MOVING}

    def masters(self, function=0):
        return bool(self.state(function)["command"] & 4)

    def device(self, function=0):
        at = self.state(function)["address"]
        return Device(self.host, f"0000:{at >> 8:02x}:{at >> 3 & 31:02x}.{at & 7}")

    # --- from inside, by its driver

    def arm(self, *functions):
        for function in functions or (0,):
            self.host.run(f"probe arm {self.device(function)} {PERIOD_US} {RECORDS} "
                          f"{IRQ_EVERY} {VECTORS}")
            self._from[function] = 0
            self.wait_dma(function)

    def ring(self, function=0):
        """What tests/host/probe.c finds in the records since the last check."""
        return json.loads(self.host.run(
            f"probe check {self.device(function)} {self._from[function]}"))

    def check_ring(self, function=0):
        """Every record since the last check is there, whole and in its place."""
        ring = self.ring(function)
        for fault in ("unseen", "missed", "out_of_order", "bad_crc", "wrong"):
            equal(ring[fault], 0, f"records {fault} of {self.name}, function {function}: {ring}")
        check(ring["armed"] and ring["last"] is not None, f"records at all: {ring}")
        self._from[function] = ring["last"] + 1
        return ring

    def check_interrupts(self, function=0):
        """Interrupts arrive, from now on."""
        seen = self.ring(function)["irq_seen"]
        self.host.wait(lambda: self.ring(function)["irq_seen"] > seen, 20,
                       f"interrupts of {self.name}, function {function}")

    # --- both

    def wait_dma(self, function=0, seconds=20):
        """Until it has written records, from now on."""
        goal = self.state(function)["sequence"] + 10
        self.host.wait(lambda: self.state(function)["sequence"] >= goal, seconds,
                       f"records of {self.name}, function {function}")

    def check_dma(self, function=0):
        """Since the last reset of the counters no write was lost."""
        self.wait_dma(function)
        seen = self.counters(function)
        check(seen["dma-tried"] > 0, f"DMA of {self.name}, function {function}: {seen}")
        for fault in ("dma-failed", "dma-out-of-order", "irq-dropped"):
            equal(seen[fault], 0, f"{fault} of {self.name}, function {function}")

    def check_reset(self, *functions):
        """Somebody reset it since the last reset of the counters, and it is quiet."""
        for function in functions or (0,):
            name, seen = f"{self.name}, function {function}", self.counters(function)
            check(sum(seen["resets"].values()) >= 1, f"a reset of {name}: {seen}")
            check(not self.masters(function),
                  f"bus mastering of {name} off: {self.state(function)}")

    def check_untouched(self, *functions):
        """Since the last reset of the counters nobody wrote to its config
        space or reset it, and its DMA went on."""
        for function in functions or (0,):
            self._check_zero(function, *figures([]))
            self.check_dma(function)

    def check_undisturbed(self, *functions):
        """The same for one that its driver has reclaimed: that may write, but
        turn nothing off, and not a record is missing."""
        for function in functions or (0,):
            self._check_zero(function, "resets", *CLEARS)
            self.check_dma(function)
            self.check_ring(function)

    def _check_zero(self, function, *names):
        seen = self.counters(function)
        for name, count in figures([seen]).items():
            if name in names:
                equal(count, 0, f"{name} of {self.name}, function {function}, "
                                f"writes {seen['config-log']}")


def add_figures(test, *counters):
    """To the scenario's metrics, and to what it has there already."""
    for name, value in figures(counters).items():
        test.metrics[name] = test.metrics.get(name, 0) + value


def figures(counters):
    """What a scenario's metrics say of some functions together."""
    said = {"config_writes": sum(seen[key] for seen in counters for key in WRITES),
            "config_changes": sum(seen["config-changes"] for seen in counters)}
    for name, key in CLEARS.items():
        said[name] = sum(seen[key] for seen in counters)
    said["resets"] = sum(sum(seen["resets"].values()) for seen in counters)
    return said


def arm_all(host, names):
    """These cards, armed, their functions 0 requested: {name: Probe}."""
    probes = {name: Probe(host, name) for name in names}
    for one in probes.values():
        one.arm()
        one.device().request()
    return probes
