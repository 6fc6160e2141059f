# SPDX-License-Identifier: GPL-2.0-or-later
"""A NIC that a program owns (QEMU's igb, by VFIO) receives frames from outside
before, during and after a kexec: all are in its memory, in order and whole,
none of its interrupts is lost, and the NIC is neither reset nor written to.

Once with a ring that holds all of the blackout's frames, and once with one that
does not: as many as fit are in it, and it goes on when there is room again."""

from lib.nic import Nic
from lib.outcome import check, equal
from lib.update import Update
from lib.wire import Wire

LARGE, SMALL = 4096, 256


def run(test):
    host = test.host("host").boot("a", luod=False)
    with Wire(host.machine) as wire:
        nic = Nic(host, wire)
        with test.part("a ring for all of the blackout's frames"):
            goes_on(test, nic)
        with test.part("a ring that fills up in the blackout"):
            fills_up(nic)


def goes_on(test, nic):
    nic.serve()
    nic.open(LARGE)
    nic.wire.start(per_second=25)
    nic.wait_frames(20)
    nic.wait_interrupts()
    nic.preserve()
    nic.clear()
    update = Update(nic.host).prepare()
    before = nic.look()
    update.jump()
    nic.wire.stop()
    nic.serve()
    test.metrics.update(untouched(nic))
    nic.retrieve()
    after = nic.wait_frames(nic.wire.sent)
    test.metrics["frames_in_blackout"] = after["frames"] - before["frames"]
    check(after["new"] >= 50, f"frames that nobody has looked at before: {after}")
    latched_arrives(nic)
    nic.wire.start(per_second=25)
    still_runs(nic)
    nic.do("finish")
    update.finish()
    still_runs(nic)
    equal(nic.figures()["resets"], 0, "resets")
    nic.wire.stop()
    nic.wait_frames(nic.wire.sent, refill=True)
    nic.do("close")


def untouched(nic):
    seen = nic.figures()
    equal(seen, {"resets": 0, "config_writes": 0}, "what the kernels did to the NIC")
    return seen


def latched_arrives(nic):
    """The device has sent no frame since, so it is one of the blackout's."""
    nic.do("interrupts")
    nic.host.wait(lambda: nic.look()["interrupts"], 20, "the interrupt of a frame in the blackout")


def still_runs(nic):
    nic.wait_interrupts()
    nic.wait_frames(nic.wire.sent + 20, refill=True)


def goes_on_when_there_is_room(nic):
    """Of those that waited some may be lost, as L0's igb looks at no ring when its
    command register is written to."""
    nic.lost = None
    nic.do("refill")
    nic.wire.send(20)
    nic.lost = nic.wait_frames(nic.wire.sent, refill=True)["lost"]
    nic.wire.send(SMALL // 2)
    nic.wait_frames(nic.wire.sent, refill=True)


def fills_up(nic):
    nic.wire.sent = 0
    nic.open(SMALL)
    nic.wire.send(10)
    equal(nic.wait_frames(10)["new"] > 0, True, "frames")
    nic.preserve()
    nic.clear()
    update = Update(nic.host, to="a").prepare()
    nic.look()
    # with no kernel there, so that interrupts can be latched only in the device
    update.jump(meanwhile=lambda: nic.wire.start(per_second=200))
    nic.serve()
    untouched(nic)
    nic.retrieve()
    seen = nic.look()
    equal(seen["frames"], SMALL - 1, f"frames in a ring for {SMALL - 1}")
    nic.wire.stop()
    latched_arrives(nic)
    equal(nic.look()["interrupts"], 1, "interrupts of a full ring")
    goes_on_when_there_is_room(nic)
    check(nic.wire.sent > SMALL, f"more frames than fit, it were {nic.wire.sent}")
    nic.do("finish")
    update.finish()
    equal(nic.figures()["resets"], 0, "resets")
