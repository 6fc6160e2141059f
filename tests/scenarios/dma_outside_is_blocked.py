# SPDX-License-Identifier: GPL-2.0-or-later
"""A device that is told to write outside of its mapping, before, during and
after the jump, cannot: the IOMMU blocks the write, no memory changes, and what
it writes into its mapping goes on.

Outside: just before and behind the mapping, and the physical addresses of its
own memory and of memory that is not mapped; there a write would arrive if DMA
were not translated. During the jump, with all CPUs standing still, the harness
tells the device, and looks at the memory itself."""

from lib import dma
from lib.hardware import probes
from lib.iommu import LOGGED, Iommu
from lib.stray import Stray
from lib.update import Update

DEVICES = probes({"probe0": ("rp2", 2)})


def run(test):
    host = test.host().boot("a", luod=False, devices=DEVICES)
    iommu = Iommu(host)
    dma.serve(host)
    one = dma.Owned(host)
    one.open()
    one.arm()
    stray = Stray(test.metrics, iommu, one)
    with test.part("before the jump"):
        stray.by_hand("before")
        one.check_ring()
    one.preserve()
    update = Update(host).prepare()
    with test.part("prepared"):
        stray.by_hand("prepared")
    mark = host.console.mark
    with test.part("during the jump"):
        update.jump(lambda: stray.from_outside("during"))
    with test.part("in the incoming kernel, nobody has it yet"):
        stray.from_outside("after")
    dma.serve(host)
    one.retrieve()
    with test.part("retrieved"):
        stray.by_hand("retrieved")
        one.check_ring()
    one.finish()
    update.finish()
    with test.part("finished, on a new page table"):
        stray.by_hand("finished")
        one.check_ring()
        # not of every fault: the kernel limits their rate
        host.wait(lambda: LOGGED.search(host.console.since(mark)), 10, "fault in the kernel's log")
