# SPDX-License-Identifier: GPL-2.0-or-later
"""A device that can reach memory which its session does not preserve keeps the
host from being prepared (EINVAL, and a message with the IOVA range); it goes on,
and once that memory is unmapped it can come along."""

from lib import dma
from lib.hardware import probes
from lib.outcome import check, equal
from lib.update import Update

DEVICES = probes({"probe0": ("rp2", 2)})


def run(test):
    host = test.host().boot("a", luod=False, devices=DEVICES)
    dma.serve(host)
    one = dma.Owned(host)
    one.open()
    one.arm()
    where = one.where()
    begin = where["iova"] + where["size"]
    one.do("map_more")
    one.preserve()
    one.reset_counters()
    mark = host.console.mark

    with test.part("refused, and named"):
        said = test.metrics["refusal"] = Update(host).prepare_fails()
        check("Invalid argument" in said, f"EINVAL: {said}")
        test.metrics["message"] = host.wait(
            lambda: [line for line in host.console.since(mark).splitlines()
                     if f"IOVA {begin:#x} to " in line],
            10, "a message with the IOVA range")
    with test.part("the device goes on"):
        one.check_untouched()
        one.check_ring()
    with test.part("once it is unmapped, the device can come along"):
        one.do("cancel")
        one.do("map_less")
        one.preserve()
        update = Update(host).prepare()
        equal(one.device().preserved, True, "preserved")
        update.cancel()
        one.check_ring()
