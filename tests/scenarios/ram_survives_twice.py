# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest survives A -> B and then B -> A: an update leaves nothing behind that is
in the way of the next one. `luoctl timeline` tells all phases of the last one, as a
table and as JSON (Chrome trace events), from both kernels, luod and the VM."""

import json

from lib.outcome import check, equal
from lib.survival import update_and_measure


def run(test):
    host = test.host().boot("a")
    vm = host.start_vm("vm1", memory=256, vcpus=2, fill=36)
    first = host.release
    updates = test.metrics["updates"] = []
    for to in ("b", "a"):
        updates.append({})
        update_and_measure(host, vm, to, updates[-1])
    test.metrics["kexec_count"] = host.kexecs
    equal(host.release, first, "kernel after both updates")
    check_timeline(test, host)


def check_timeline(test, host):
    raw = host.timeline()
    table = test.metrics["table"] = host.run("luoctl timeline").splitlines()
    trace = json.loads(host.run("luoctl timeline --json"))
    test.metrics["trace"] = trace
    events = trace["traceEvents"] if isinstance(trace, dict) else trace

    with test.part("the kernel's page has all stamps, in the order of time"):
        equal(raw.missing(["vm1"]), [], "stamps that are missing")
        inside = [tsc for tsc, name in raw.stamps if name.startswith("kernel:")]
        equal(inside, sorted(inside), "order of the kernel's stamps")
        check(raw.blackout_ms("vm1") > 0, "blackout above zero")
        check(raw.at("vm1:stop") < raw.at("kernel:jump") < raw.at("kernel:start")
              < raw.at("vm1:run"), "the jump inside of the blackout")
    with test.part("the table names every part and the blackout"):
        text = "\n".join(table)
        for word in ("vm1", "kernel", "luod", "blackout"):
            check(word in text, f"{word} in the table:\n{text}")
    with test.part("the JSON is made of trace events with times that fit"):
        check(len(events) > 10, f"more than ten events: {events}")
        for event in events:
            check("ph" in event and "name" in event, f"a trace event: {event}")
            check(event["ph"] == "M" or event["ts"] >= 0, f"a time from 0 on: {event}")
            check(event["ph"] != "X" or event["dur"] >= 0, f"no negative length: {event}")
