# SPDX-License-Identifier: GPL-2.0-or-later
"""A running guest goes on, memory, clock and connections, over the replacement
of its host's kernel."""

from lib.survival import update_and_measure


def run(test):
    host = test.host().boot("a")
    vm = host.start_vm("vm1", memory=256, vcpus=2, fill=36, huge=False)
    update_and_measure(host, vm, "b", test.metrics)
