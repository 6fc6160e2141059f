# SPDX-License-Identifier: GPL-2.0-or-later
"""A power cut in the blackout costs the guests, as it would without an update,
and nothing else: the host comes up clean and tells what was lost."""

from lib.holdup import Holdup
from lib.outcome import check, equal


def run(test):
    host = test.host().boot("a")
    lost = test.metrics["lost"] = {}

    with test.part("between freeze and jump"):
        host.start_vm("vm1")
        holdup = Holdup(host)
        holdup.go("START_PRESERVATION")
        host.load("b")
        host.start_update()
        holdup.wait("FREEZE")
        forget_guests(host)
        host.power_cut()
        lost["between freeze and jump"] = clean(host, {"vm1"})

    with test.part("in the early boot of the incoming kernel"):
        host.start_vm("vm1")
        host.load("b")
        mark = host.console.mark
        host.start_update()
        host.wait(lambda: "-hlu-b" in host.console.since(mark), 90,
                  "the incoming kernel's first line", 0.01)
        forget_guests(host)
        host.power_cut()
        lost["in early boot"] = clean(host, {"vm1"})

    with test.part("a guest and an update after all that"):
        vm = host.start_vm("vm2")
        host.update("b")
        vm.check_unharmed()


def forget_guests(host):
    for vm in list(host.vms):
        host.forget_vm(vm)


def clean(host, names):
    check(host.release.endswith("-hlu-a"), f"the kernel of a cold boot, it is {host.release}")
    equal(host.state, "normal", "state")
    status = host.status()
    equal(status["phase"], "idle", "phase")
    check(not status["sessions"], f"no sessions: {status}")
    text = str(status["lost"])
    check(all(name in text for name in names), f"{names} among the lost: {status}")
    return status["lost"]
