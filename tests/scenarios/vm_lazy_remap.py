# SPDX-License-Identifier: GPL-2.0-or-later
"""How long a guest with a passthrough function stands still does not depend on how
much memory it has, if that is huge pages: with eight times as much it is the same,
within 5 %. None of it is mapped in that time. All is mapped after the guest runs
again, in steps of 16 MiB, and then the page tables are exchanged once.

The host's clock counts instructions: one takes two nanoseconds. Its CPUs spin where
others idle, or that clock would leap to the next timer whenever a program waits for
what it reads. Of the blackout those phases are compared in which QEMU and the kernel
compute; between them the host's programs start. All phases are among the figures.
The firmware is all of the guest: what a system does, other scenarios look at."""

import re

from lib.hardware import probes
from lib.outcome import check, equal
from lib.passthrough import arguments, ask, check_remapped, give
from lib.probe import Probe

SIZES = ((256, "b"), (2048, "a"))
TOLERANCE = 5
COMPUTED = (("vm1:stop", "vm1:saved"), ("luod:reboot", "kernel:init"), ("vm1:exec", "vm1:run"))
DEVICES = probes({"one": ("rp2", 2)})
TRACE = ("iommufd_*", "vm_state_notify", "vfio_iommufd_liveupdate_exchange")
MAPPED = re.compile(r"^iommufd_backend_map\w*_dma .* size=0x(\w+) .*\(0\)$", re.M)
CALL = re.compile(r"^iommufd_\w+ ", re.M)
RUNS = re.compile(r"^vm_state_notify running 1 ", re.M)
EXCHANGED = "vfio_iommufd_liveupdate_exchange"
STEP = 16 << 20


def run(test):
    host = test.host().boot("a", devices=DEVICES, memory="5G", counting=2,
                            cmdline="idle=poll")
    card = Probe(host, "one").device()
    give([card])
    for memory, to in SIZES:
        test.metrics[f"{memory}_mib"] = seen = update(host, card, memory, to)
        with test.part(f"{memory} MiB"):
            judge(seen, memory << 20)
    small, large = (test.metrics[f"{memory}_mib"] for memory, _ in SIZES)
    with test.part("the blackout, with eight times the memory"):
        equal(large["calls_before_run"], small["calls_before_run"], "calls of iommufd")
        differs = round(100 * abs(large["computed_ms"] / small["computed_ms"] - 1), 2)
        test.metrics["computed_differs_percent"] = differs
        check(differs <= TOLERANCE, f"at most {TOLERANCE} % more or less, it is {differs}")


def update(host, card, memory, to):
    """One guest, one update; what it cost."""
    more = [word for event in TRACE for word in ("-trace", event)]
    vm = host.start_vm("vm1", wait=False, boots=False, memory=memory,
                       changes=arguments([card], more=more))
    host.wait(lambda: vm.name in host.status()["clients"], 60, "vm1 to be luod's client", 0.2)
    host.wait(lambda: "HLT=1" in vm.monitor("info registers"), 60,
              "the firmware to find nothing to boot", 0.2)
    ask([card])
    mark = len(vm.qemu_log)
    host.load(to)
    host.jump(host.start_update(), to)
    # what asks the host would count, too
    host.wait(lambda: RUNS.search(vm.qemu_log[mark:]), 60, "the guest to run")
    host.wait_state("normal", 60)
    timeline = host.timeline()
    check_remapped(vm)
    seen = work(vm.qemu_log[mark:])
    host.kill_vm(vm)
    host.wait(lambda: not host.status()["clients"], 60, "luod to miss its client", 0.2)
    phases = {f"{start} {end}": timeline.between(start, end) for start, end in COMPUTED}
    return {**seen, "phases_ms": phases, "computed_ms": sum(phases.values()),
            "stamps": timeline.relative(), "blackout_ms": timeline.blackout_ms("vm1"),
            "remap_ms": timeline.between("vm1:run", "vm1:remapped")}


def work(log):
    """What the incoming QEMU did before its guest ran, and after that."""
    runs = RUNS.search(log)
    check(runs, f"a guest that runs: {log[-500:]}")
    before, after = log[:runs.start()], log[runs.start():]
    rest, exchange, late = after.partition(EXCHANGED)
    check(exchange, f"an exchange of page tables: {log[-500:]}")
    return {"mapped_before_run": mapped(before), "mapped_after_run": mapped(rest),
            "mapped_after_exchange": mapped(late),
            "largest_step": max((int(size, 16) for size in MAPPED.findall(rest)), default=0),
            "calls_before_run": len(CALL.findall(before)),
            "calls_after_run": len(CALL.findall(after))}


def mapped(log):
    return sum(int(size, 16) for size in MAPPED.findall(log))


def judge(seen, memory):
    equal(seen["mapped_before_run"], 0, f"bytes mapped while the guest stood still: {seen}")
    check(seen["mapped_after_run"] >= memory, f"all memory mapped after it ran: {seen}")
    equal(seen["mapped_after_exchange"], 0, f"bytes mapped after the exchange: {seen}")
    check(0 < seen["largest_step"] <= STEP, f"steps of 16 MiB at most: {seen}")
