# SPDX-License-Identifier: GPL-2.0-or-later
"""luod may die at any step: the update completes or is cancelled, never half,
and the guest is alive either way."""

import re
import time

from lib.outcome import check, equal

OUTGOING = ("loaded", "begin", "preserve-sent", "ready", "prepared",
            "freeze-sent", "frozen", "before-reboot")
INCOMING = ("incoming-start", "retrieved", "claimed", "before-finish")
CLAIM_TIMEOUT = 60


def run(test):
    host = test.host().boot("a")
    vm = host.start_vm("vm1")
    now, other = "a", "b"
    outcomes = test.metrics["outcomes"] = {}

    for step in OUTGOING:
        with test.part(step):
            restart_luod(host, step)
            before = deaths(host)
            jumped = outgoing(host, step, other)
            outcomes[step] = "completed" if jumped else "cancelled"
            died_once(host, before, step)
            if jumped:
                now, other = other, now
            settle(host, vm)

    with test.part("at each step after one jump"):
        before = deaths(host)
        host.load(other)
        # luods of the next kernel take these at their starts
        update = host.start_update()
        host.next_luod(f"LUOD_KILL_AT={','.join(INCOMING)}")
        host.jump(update, other)
        now, other = other, now
        host.wait(lambda: deaths(host) == before + len(INCOMING), 60, "luods' deaths", 0.2)
        waits_for_nobody(host)
        settle(host, vm)
        equal(killed_at(host)[before:], list(INCOMING), "steps that luod died at")
        outcomes.update(dict.fromkeys(INCOMING, "completed"))

    with test.part("the next update succeeds"):
        host.update(other)
        vm.check_unharmed()


def outgoing(host, step, to):
    """Goes as far as luod lets it. True if the host jumped all the same."""
    seen = host.agent.greetings
    load = host.finish(host.start(
        f"luoctl load /images/kernel-{to} --initrd /images/host.cpio", 60), 60, None)
    if step == "loaded":
        check(load.status != 0, "luoctl load to lose its luod")
        return False
    equal(load.status, 0, "luoctl load")
    update = host.start_update()
    host.wait(lambda: update.done or host.agent.greetings > seen, 120, "an end of the update")
    # luod's next worker has cancelled it, or a jump is still to come
    host.wait(lambda: host.agent.greetings > seen or host.luod_idle(), 60, "luod idle", 0.2)
    if host.agent.greetings == seen:
        return False
    host.kexecs += 1
    return True


def waits_for_nobody(host):
    """A luod whose predecessor had no session left."""
    start = time.monotonic()
    host.wait(host.luod_idle, CLAIM_TIMEOUT, "luod idle", 0.2)
    seconds = time.monotonic() - start
    check(seconds < CLAIM_TIMEOUT / 2, f"luod to wait for no claim, not {seconds:.0f} s")


def settle(host, vm):
    """Whatever happened: normal, idle, the guest alive and unharmed."""
    host.wait(host.luod_idle, 60, "luod idle", 0.2)
    host.wait_state("normal", 60)
    vm.wait_alive(60, time.monotonic())
    vm.check_unharmed()


def restart_luod(host, step):
    """A luod that dies at `step`; clients of the old one come back to it."""
    host.next_luod(f"LUOD_KILL_AT={step}")
    host.run("kill $(pidof luod)")
    host.wait(lambda: not (host.share / "luod.env").exists(), 20, "a new luod")
    host.wait(host.luod_idle, 40, "luod's answer", 0.2)
    host.wait(lambda: host.status()["clients"], 30, "clients back at luod", 0.2)


def died_once(host, before, step):
    """Its keeper may notice after its clients."""
    host.wait(lambda: deaths(host) > before, 20, f"death of luod at {step}")
    equal(deaths(host), before + 1, f"deaths of luod at {step}")


def deaths(host):
    """What luod's keeper tells of its workers."""
    return host.luod_log.count("worker died of signal 9")


def killed_at(host):
    """What the workers themselves tell."""
    return re.findall(r"killed at ([\w-]+)", host.luod_log)
