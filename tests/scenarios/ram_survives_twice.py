# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest survives A -> B and then B -> A: an update leaves nothing behind
that is in the way of the next one."""

from lib.outcome import equal
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
