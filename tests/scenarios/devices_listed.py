# SPDX-License-Identifier: GPL-2.0-or-later
"""luoctl devices tells what can be kept, what is asked for, and why not; a
request that is refused says the same, with the errno's name."""

import json

from lib.device import Device
from lib.hardware import probe, root_port
from lib.outcome import check, equal
from lib.probe import Probe

DEVICES = [root_port("rp2", 2), probe("probe0", "rp2")]
NIC = "0000:01:00.0"    # igb, whose driver takes no part


def run(test):
    host = test.host("pt").boot("a", luod=False, devices=DEVICES, cmdline="iommu=pt")
    one = Probe(host).device()
    with test.part("what can be kept"):
        equal(listed(host, one), {"driver": "hlu_probe", "requested": False,
                                  "preserved": False, "reclaimed": False,
                                  "blocked_by": None}, str(one))
        check(str(one) in host.run("luoctl devices"), "the table to name it")
    with test.part("what is asked for"):
        host.run(f"luoctl devices --request {one}")
        equal((listed(host, one)["requested"], one.marks[0]), (True, 1), "requested")
        host.run(f"luoctl devices --release {one}")
        equal((listed(host, one)["requested"], one.marks[0]), (False, 0), "requested")
    with test.part("what cannot be kept, and why"):
        refused(host, Device(host, NIC), "igb")

    host = test.host("translated").boot("a", luod=False, devices=DEVICES)
    with test.part("a device whose DMA is translated cannot be kept yet"):
        refused(host, Probe(host).device(), "iommu=pt")


def refused(host, device, word):
    reason = listed(host, device)["blocked_by"]
    check(reason and word in reason, f"'{word}' in the reason of {device}: {reason}")
    said = host.fails(f"luoctl devices --request {device}")
    check("EOPNOTSUPP" in said, f"EOPNOTSUPP for {device}: {said}")
    equal(device.marks[0], 0, f"requested of {device}")


def listed(host, device):
    for entry in json.loads(host.run("luoctl devices --json")):
        if entry.pop("function") == str(device):
            return entry
    return None
