# SPDX-License-Identifier: GPL-2.0-or-later
"""How much is mapped while a guest with a passthrough function stands still does
not depend on how much memory it has: nothing. All of it is mapped after the guest
runs again, in steps of 16 MiB, and then the page tables are exchanged once.

Two guests, 256 MiB and 2 GiB, go through the same update. Work is counted, by
QEMU's own trace, because times of two guests that start at once on one emulated CPU
say little; they are among the figures."""

import re

from lib.hardware import probes
from lib.outcome import check, equal
from lib.passthrough import Passed, arguments, ask, check_remapped, give
from lib.probe import Probe

SIZES = {"vm1": 256, "vm2": 2048}
DEVICES = probes({"one": ("rp2", 2), "two": ("rp3", 3)})
TRACE = ("iommufd_*", "vm_state_notify", "vfio_iommufd_liveupdate_exchange")
MAPPED = re.compile(r"^iommufd_backend_map\w*_dma .* size=0x(\w+) .*\(0\)$", re.M)
CALL = re.compile(r"^iommufd_\w+ ", re.M)
RUNS = re.compile(r"^vm_state_notify running 1 ", re.M)
EXCHANGED = "vfio_iommufd_liveupdate_exchange"
STEP = 16 << 20


def run(test):
    host = test.host().boot("a", devices=DEVICES, memory="5G")
    cards = {name: Probe(host, card) for name, card in zip(SIZES, ("one", "two"))}
    functions = {name: card.device() for name, card in cards.items()}
    give(functions.values())
    more = [word for event in TRACE for word in ("-trace", event)]
    vms = [host.start_vm(name, wait=False, memory=memory, fill=2,
                         changes=arguments([functions[name]], more=more))
           for name, memory in SIZES.items()]
    guests = [Passed(vm.wait_up(), [(cards[vm.name], 0)]) for vm in vms]
    for passed in guests:
        passed.wait_armed()
        passed.reset_counters()
    ask(functions.values())
    marks = {vm.name: len(vm.qemu_log) for vm in vms}
    host.update("b")
    seen = {vm.name: work(vm.qemu_log[marks[vm.name]:]) for vm in vms}
    for vm in vms:
        timeline = host.timeline()
        test.metrics[vm.name] = {
            "memory_mib": vm.memory, **seen[vm.name],
            "blackout_ms": timeline.blackout_ms(vm.name),
            "load_ms": timeline.between(f"{vm.name}:exec", f"{vm.name}:run"),
            "remap_ms": timeline.between(f"{vm.name}:run", f"{vm.name}:remapped")}
    for vm, passed in zip(vms, guests):
        with test.part(f"{vm.memory} MiB"):
            judge(seen[vm.name], vm.memory << 20)
            check_remapped(vm)
            passed.check_undisturbed()
    small, large = seen.values()
    equal(large["calls_before_run"], small["calls_before_run"],
          f"calls of iommufd in the blackout, for eight times the memory: {seen}")


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
