# SPDX-License-Identifier: GPL-2.0-or-later
"""kselftest dev_liveupdate: the ABI of liveupdate/ in a device's folder is as
documented, also for a container's root and for an unprivileged user."""

from lib.hardware import probe, root_port
from lib.outcome import equal
from lib.probe import Probe
from lib.selftest import run_in_host

DEVICES = [root_port("rp2", 2), probe("probe0", "rp2")]


def run(test):
    host = test.host().boot("a", luod=False, devices=DEVICES, cmdline="iommu=pt")
    one = Probe(host)
    one.arm()
    one.reset_counters()
    run_in_host(test, host, "liveupdate/dev_liveupdate", at_least=14,
                environment=f"DEV_LIVEUPDATE_DEVICE={one.device()}")
    with test.part("the device did not notice"):
        equal(host.state, "normal", "state")
        one.check_untouched()
        one.check_ring()
