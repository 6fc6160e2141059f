# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest with passthrough functions lives through updates of its host, A to B to
A: its own drivers notice nothing but a pause.

Two VFs of a measuring device, and an igb with a TCP stream from outside; beside
them what ordinary VMs have: NIC on a tap, disk on a file, serial line, balloon. Not
a record of DMA is missing or out of place, no interrupt gets stuck, no device is
reset, translation and interrupt remapping are never off. The stream is the same
connection, every byte in its place, and times out once at most for each pause; what
the guest wrote to its disk it reads back, and so does the world outside."""

from lib import disk, stream
from lib.hardware import probe, root_port
from lib.iommu import Iommu
from lib.nic import Card
from lib.outcome import check, equal
from lib.passthrough import Passed, arguments, ask, check_remapped, give
from lib.probe import Probe
from lib.survival import update_and_measure

DEVICES = [root_port("rp2", 2), probe("card", "rp2", vfs=2)]
STUB = "pci-pf-stub"
BALLOON = ("-device", "virtio-balloon-pci")


def run(test):
    host = test.host().boot("a", devices=DEVICES, cable=stream.CABLE)
    card, nic = Probe(host, "card"), Card(host)
    give([card.device()], STUB)
    card.device().write("sriov_numvfs", 2)
    functions = [card.device(1), card.device(2), nic.device]
    give(functions)
    with stream.Stream() as outside:
        vm = host.start_vm("vm1", memory=256, vcpus=2, fill=10, huge=False,
                           with_disk=True, append=outside.append(),
                           changes=arguments(functions, more=BALLOON))
        passed = Passed(vm, [(card, 1), (card, 2)])
        passed.wait_armed()
        for to in ("b", "a"):
            ask(functions)
            with test.part(f"to {to}"):
                survive(test, Iommu(host), vm, passed, nic, outside, to)
        with test.part("the disk from outside"):
            host.run(f"kill -STOP $(cat /run/vm/{vm.name}.pid)")
            test.metrics["disk_rounds"] = disk.check_file(vm.disk)


def survive(test, iommu, vm, passed, nic, outside, to):
    work = Work(vm, outside)
    passed.reset_counters()
    nic.clear()
    figures = {}
    test.metrics.setdefault("updates", []).append(figures)
    update_and_measure(vm.host, vm, to, figures)
    work.wait_more()
    passed.figures(figures)
    figures["nic"] = nic.figures()
    figures.update(iommu.figures())
    figures.update(work.figures())
    check_remapped(vm)
    passed.check_undisturbed()
    equal(figures["nic"]["resets"], 0, "resets of the igb")
    work.check()
    iommu.check_quiet()


class Work:
    """The guest's disk and stream, from now on."""

    def __init__(self, vm, outside):
        self.vm = vm
        self.outside = outside
        self.before = vm.line.last.values

    def wait_more(self):
        """Until both go on, in the next kernel; the pause is over then."""
        now = self.vm.line.last.values
        self.vm.host.wait(lambda: (self.vm.line.last.values["disk_verified"]
                                   > now["disk_verified"] + 8
                                   and self.vm.line.last.values["stream_bytes"]
                                   > now["stream_bytes"] + 4 * stream.WINDOW),
                          60, f"disk and stream of {self.vm.name}")
        self.resumed = now

    def figures(self):
        now = self.vm.line.last.values
        return {key: now[key] for key in now if key.startswith(("disk_", "stream_"))} | {
            "stream_silence_ms": round(self.outside.longest_silence * 1e3),
            "tcp_timeouts_in_pause": self.resumed["tcp_timeouts"] - self.before["tcp_timeouts"],
            "tcp_timeouts_after": now["tcp_timeouts"] - self.resumed["tcp_timeouts"]}

    def check(self):
        now = self.vm.line.last.values
        for fault in ("disk_wrong", "disk_errors", "stream_wrong"):
            equal(now[fault], 0, f"{fault} of {self.vm.name}: {now}")
        equal((now["stream_calls"], self.outside.calls, self.outside.lost, self.outside.wrong),
              (1, 1, 0, 0), "connections, as the guest and the peer count them, lost, wrong")
        # a timer of each connection may end in the pause
        figures = self.figures()
        check(figures["tcp_timeouts_in_pause"] <= 2, f"TCP timeouts in the pause: {figures}")
        equal(figures["tcp_timeouts_after"], 0, f"TCP timeouts after the pause: {figures}")
