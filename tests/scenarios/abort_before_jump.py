# SPDX-License-Identifier: GPL-2.0-or-later
"""An update that ends before the jump, by the administrator, by a client or by
its deadline, leaves a running guest, the state normal and nothing pinned; the
next update succeeds.

Pinned: memory and KHO counters are compared with those before the first
attempt (tolerance: lib/resources.py)."""

from lib import resources
from lib.agent import GONE
from lib.holdup import Holdup
from lib.outcome import check, equal


def run(test):
    host = test.host().boot("a")
    vm = host.start_vm("vm1")
    # the first attempt pays for caches of its own
    attempt(host, vm, "FREEZE", abort)
    before = test.metrics["before"] = resources.look(host)

    for event, late in (("START_PRESERVATION", expire), ("FREEZE", hang)):
        for way in (abort, refuse, vanish, late):
            with test.part(f"{way.__name__} at {event}"):
                during = attempt(host, vm, event, way)
                check(during["pinned_pages"] > before["pinned_pages"],
                      f"pinned pages to show what is preserved: {during}")
                after = resources.check_as_before(host, before)
                test.metrics[f"{way.__name__} at {event}"] = {"during": during, "after": after}
    with test.part("nobody is waited for in vain but who hangs"):
        equal(host.luod_log.count("no answer to CANCEL"), 1,
              "clients that did not answer CANCEL")
    with test.part("the next update succeeds"):
        equal(host.agent.greetings, 1, "kernels so far")
        host.update("b")
        vm.check_unharmed()


def attempt(host, vm, event, way):
    holdup = Holdup(host)
    try:
        if event == "FREEZE":
            holdup.go("START_PRESERVATION")
        host.load("b")
        update = host.start_update(timeout=5 if way in (expire, hang) else 60)
        holdup.wait(event)
        host.wait_stamp(f"{vm.name}:preserved")
        during = resources.look(host)
        way(host, holdup, event)
        host.finish(update, 60, None)
        check(update.status not in (0, GONE), f"luoctl update to fail: {update.output}")
        host.wait_state("normal")
        host.wait(host.luod_idle, 20, "luod idle again", 0.1)
        vm.wait_alive()
        return during
    finally:
        holdup.leave()


def abort(host, _holdup, _event):
    host.run("luoctl abort")


def refuse(_host, holdup, event):
    holdup.fail(event)


def vanish(_host, holdup, _event):
    holdup.signal("KILL")


def expire(_host, _holdup, _event):
    """Nothing to do: its deadline of 5 s comes, then it answers CANCEL."""


def hang(_host, holdup, _event):
    """Not even that is answered, which luod has to give up."""
    holdup.signal("STOP")
