# SPDX-License-Identifier: GPL-2.0-or-later
"""luod may die at any step: the update completes or is cancelled, never half,
and the guest is alive either way."""

import time

from lib.outcome import check, equal

OUTGOING = ("loaded", "begin", "preserve-sent", "ready", "prepared",
            "freeze-sent", "frozen", "before-reboot")
INCOMING = ("incoming-start", "retrieved", "claimed", "before-finish")


def run(test):
    host = test.host().boot("a")
    vm = host.start_vm("vm1")
    now, other = "a", "b"
    outcomes = test.metrics["outcomes"] = {}

    for step in OUTGOING:
        with test.part(step):
            restart_luod(host, step)
            jumped = outgoing(host, vm, step, other)
            outcomes[step] = "completed" if jumped else "cancelled"
            if jumped:
                now, other = other, now
            settle(host, vm)

    for step in INCOMING:
        with test.part(step):
            restart_luod(host, None)
            host.load(other)
            # luod of the next kernel takes this at its start
            update = host.start_update()
            write_env(host, step)
            host.jump(update, other)
            now, other = other, now
            outcomes[step] = "completed"
            settle(host, vm)
            check(killed(host, step), f"luod to have died at {step}")

    with test.part("the next update succeeds"):
        host.update(other)
        vm.check_unharmed()


def outgoing(host, vm, step, to):
    """True if it jumped all the same."""
    kexecs, greetings = host.kexecs, host.agent.greetings
    load = host.finish(host.start(
        f"luoctl load /images/kernel-{to} --initrd /images/host.cpio", 60), 60, None)
    if step == "loaded":
        check(killed(host, step), "luod to have died while it loaded")
        wait_luod(host)
        return False
    equal(load.status, 0, "luoctl load")
    update = host.start_update()
    host.wait(lambda: update.done or host.agent.greetings > greetings, 120, "an end of the update")
    if host.agent.greetings > greetings:
        host.kexecs = kexecs + 1
        return True
    # its luoctl lost the connection; the next luod either cancels or goes on
    wait_luod(host)
    check(killed(host, step), f"luod to have died at {step}")
    return host.agent.greetings > greetings


def settle(host, vm):
    """Whatever happened: normal, idle, the guest alive and unharmed."""
    wait_luod(host)
    host.wait_state("normal", 60)
    host.wait(lambda: host.status()["phase"] == "idle", 60, "luod idle", 0.2)
    vm.wait_alive(60, time.monotonic())
    vm.check_unharmed()


def write_env(host, step):
    (host.share / "luod.env").write_text(f"LUOD_KILL_AT={step}\n")


def restart_luod(host, step):
    """A luod that dies at `step`; clients of the old one come back to it."""
    if step:
        write_env(host, step)
    host.run("kill $(pidof luod)")
    host.wait(lambda: not (host.share / "luod.env").exists(), 20, "a new luod")
    wait_luod(host)
    host.wait(lambda: host.status()["clients"], 30, "clients back at luod", 0.2)


def wait_luod(host):
    host.wait(lambda: host.finish(host.start("luoctl status --json", 10), 15, None).status == 0,
              40, "luod's answer", 0.2)


def killed(host, step):
    return f"killed at {step}" in (host.share / "logs" / "luod.log").read_text(errors="replace")
