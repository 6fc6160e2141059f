# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest whose saved state is damaged is lost, and nothing else: its device is
reset and its memory freed, the host and the other guest go on, and it can be
started cold."""

from lib.hardware import probes
from lib.holdup import Holdup
from lib.iommu import Iommu
from lib.outcome import check
from lib.passthrough import Passed, arguments, ask, give
from lib.probe import Probe

REJECTED = "Not a migration stream"
DEVICES = probes({"one": ("rp2", 2), "two": ("rp3", 3)})


def run(test):
    host = test.host().boot("a", devices=DEVICES)
    Iommu(host)     # from when it is blocked until it is reset, the device is told
    # of the next kernel's luod: nobody claims the holdup's session
    host.next_luod("LUOD_OPTIONS=--claim-timeout=30")
    cards = {name: Probe(host, card) for name, card in (("vm1", "one"), ("vm2", "two"))}
    functions = {name: card.device() for name, card in cards.items()}
    give(functions.values())
    vms = [host.start_vm(name, wait=False, changes=arguments([functions[name]]))
           for name in cards]
    good, bad = (Passed(vm.wait_up(), [(cards[vm.name], 0)]) for vm in vms)
    for passed in (good, bad):
        passed.wait_armed()
        passed.reset_counters()
    ask(functions.values())
    damage_state(host, bad.vm)
    with test.part("it is refused and lost"):
        lost = bad.vm
        host.wait(lambda: REJECTED in lost.qemu_log, 60, f"'{REJECTED}' of QEMU")
        test.metrics["qemu"] = lost.qemu_log.splitlines()[-1]
        lost.wait_ended()
        host.wait_state("normal", 120)
        host.forget_vm(lost)
        check("vm2" in str(host.status()["lost"]), f"vm2 lost: {host.status()}")
    with test.part("its device is reset, and quiet"):
        cards["vm2"].check_reset()
    with test.part("the other one goes on"):
        good.vm.check_unharmed()
        good.check_undisturbed()
    with test.part("it is started cold"):
        again = host.start_vm("vm2", changes=arguments([functions["vm2"]]))
        Passed(again, [(cards["vm2"], 0)]).wait_armed()
        good.check_undisturbed()


def damage_state(host, vm):
    """Into the next kernel, with the start of what vm's QEMU saved overwritten."""
    holdup = Holdup(host)
    host.load("b")
    update = host.start_update()
    holdup.wait("START_PRESERVATION")
    host.wait_stamp(f"{vm.name}:preserved")
    host.run(f"echo >/run/damage; damage {vm.name} >/share/logs/damage.log 2>&1 </dev/null &")
    host.wait(lambda: "ready" in host.run("cat /run/damage"), 10, "damage")
    holdup.go("START_PRESERVATION")
    holdup.wait("FREEZE")
    host.wait_stamp(f"{vm.name}:saved")
    host.run("echo now >/run/damage")
    host.wait(lambda: "done" in host.run("cat /run/damage"), 10, "damage done")
    holdup.go("FREEZE")
    host.jump(update, "b")
