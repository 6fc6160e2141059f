# SPDX-License-Identifier: GPL-2.0-or-later
"""A small tree of preserved devices for scenarios that look at the order: a PF
with two VFs behind a switch, one VF requested; and another endpoint beside it."""

from lib.hardware import Function, probe, root_port, switch
from lib.order import Call, Order, devices
from lib.outcome import check, equal
from lib.probe import Probe, add_figures

DEVICES = [root_port("rp2", 2), *switch("rp2", "down", 3), probe("behind", "down", vfs=2),
           root_port("rp3", 4), probe("beside", "rp3")]
# each after all that hang on it
PATHS = (("vf", "behind", "down", "down-up", "rp2"), ("beside", "rp3"))


class Tree:
    def __init__(self, host):
        self.host = host
        self.behind, self.beside = Probe(host, "behind"), Probe(host, "beside")
        self.behind.device().write("sriov_numvfs", 2)
        self.behind.arm(0, 1)
        self.beside.arm()
        self.names = {name: Function(host.machine, name).address
                      for name in ("behind", "down", "down-up", "rp2", "beside", "rp3")}
        self.names["vf"] = self.behind.device(1).address
        self.behind.device(1).request()
        self.beside.device().request()
        self.order = Order(host)

    def baseline(self, update):
        """The calls of an update in which nothing fails, and their order judged."""
        calls = self.order.of(update)
        order = devices(calls.prepare)
        equal(sorted(order), sorted(self.names.values()), "devices prepared")
        for path in PATHS:
            wanted = [self.names[name] for name in path]
            equal([device for device in order if device in wanted], wanted, "order of prepare")
        check(set(calls.reboot) and set(devices(calls.reboot)) <= set(order),
              f"reboot of devices that prepared: {calls.reboot}")
        check(is_ordered(calls.prepare, order, ("driver", "bus")), f"order: {calls.prepare}")
        check(is_ordered(calls.reboot, order, ("driver", "bus")), f"order: {calls.reboot}")
        check(is_ordered(calls.cancel, order[::-1], ("bus", "driver")), f"order: {calls.cancel}")
        return calls

    def reset_counters(self):
        for one in (self.behind, self.beside):
            one.reset_counters()

    def check_as_before(self):
        """Nothing is marked; all that was requested runs and was not touched."""
        said = self.host.run("grep -l 1 /sys/bus/pci/devices/*/liveupdate/preserved || true")
        equal(said, "", "devices marked preserved")
        self.behind.check_untouched(0, 1)
        self.beside.check_untouched()
        for one, function in ((self.behind, 0), (self.behind, 1), (self.beside, 0)):
            one.check_ring(function)

    def add_figures(self, test):
        add_figures(test, self.behind.counters(), self.behind.counters(1),
                    self.beside.counters())

    def check_quiet(self, states):
        """After an ordinary shutdown."""
        for name, state in states.items():
            check(not state["armed"] and not state["command"] & 4,
                  f"{name} disarmed and its bus mastering off: {state}")

    def states(self):
        return {"PF": self.behind.state(), "VF 1": self.behind.state(1),
                "VF 2": self.behind.state(2), "beside": self.beside.state()}


def is_ordered(calls, order, parts):
    """Device by device, and each part in its turn; some may have nothing to do."""
    return calls == [call for device in order
                     for call in (Call(device, part) for part in parts) if call in calls]
