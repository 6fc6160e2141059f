# SPDX-License-Identifier: GPL-2.0-or-later
"""How long a guest with a passthrough function stands still does not depend on how
much memory it has: that is mapped anew after it runs again.

The time from `loaded` to `run` has no mapping in it, whatever the size; the time
from `run` to `remapped` grows with it."""

from lib.hardware import probes
from lib.outcome import check
from lib.passthrough import Passed, arguments, ask, give
from lib.probe import Probe

SIZES = (256, 1024)
DEVICES = probes({"one": ("rp2", 2)})


def run(test):
    times = {}
    for memory in SIZES:
        with test.part(f"{memory} MiB"):
            times[memory] = test.metrics[f"{memory} MiB"] = update(test, memory)
    small, large = (times[memory] for memory in SIZES)
    check(large["remap_ms"] > 2 * small["remap_ms"],
          f"mapping after resume takes longer for more memory: {times}")
    # four times the memory; the rest is the emulator's noise
    check(large["resume_ms"] < 2 * small["resume_ms"] + 20,
          f"resuming does not take longer for more memory: {times}")


def update(test, memory):
    host = test.host(f"{memory}").boot("a", devices=DEVICES, memory="6G")
    card = Probe(host, "one")
    give([card.device()])
    vm = host.start_vm("vm1", wait=False, memory=memory, fill=5,
                       changes=arguments([card.device().address]))
    # its QEMU pins all of the memory first
    vm.wait_up(600)
    passed = Passed(vm, [(card, 0)])
    passed.wait_armed()
    ask([card.device()])
    passed.reset_counters()
    host.update("b", 120)
    passed.check_undisturbed()
    timeline = host.timeline()
    return {"blackout_ms": timeline.blackout_ms("vm1"),
            "resume_ms": timeline.between("vm1:loaded", "vm1:run"),
            "remap_ms": timeline.between("vm1:run", "vm1:remapped")}
