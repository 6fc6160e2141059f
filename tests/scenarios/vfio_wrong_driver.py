# SPDX-License-Identifier: GPL-2.0-or-later
"""No driver but vfio-pci can have a device that its owner kept, until the live
update is finished: not the one that knows it, not by driver_override, not by bind;
before vfio-pci has it and after. Each is EBUSY with a message that names the
device, and the device does not notice. After finish it can be had."""

from lib import dma
from lib.device import PCI, refused
from lib.outcome import equal
from lib.update import Update
from lib.vectors import Interrupting, cards

KINDS = {"probe0": ("msix", 4)}
OTHER = "hlu_probe"
BIND = f"echo {{}} >{PCI}/drivers/{OTHER}/bind"


def run(test):
    host = test.host().boot("a", luod=False, devices=cards(KINDS))
    dma.serve(host)
    one = Interrupting(host)
    one.open()
    one.listen()
    one.raise_at()
    one.preserve()
    update = Update(host).prepare()
    one.do("pause")
    one.reset_counters()
    update.jump()

    device = one.device()
    with test.part("nobody has it: its own driver does not get it"):
        check_not_had(one)
        refused(host, BIND.format(device), device.address)
        check_not_had(one)
    with test.part("nobody has it: driver_override does not help"):
        device.write("driver_override", OTHER)
        host.run(f"echo {device} >{PCI}/drivers_probe || true")
        check_not_had(one)
        refused(host, BIND.format(device), device.address)
    dma.serve(host)
    one.retrieve()
    one.listen()
    with test.part("reclaimed: it is not given away"):
        device.refuses("driver/unbind", device.address)
        host.fails(BIND.format(device))
        equal(device.driver, dma.DRIVER, "driver")
    with test.part("its owner did not notice"):
        one.wait_signals()
        one.check_ring()
        one.check_kept()
    with test.part("finished and closed, it is anybody's"):
        one.finish()
        update.finish()
        one.do("close")
        device.take(OTHER)


def check_not_had(one):
    equal(one.device().driver, "", "driver")
    equal(one.device().marks[1:], (1, 0), "preserved and reclaimed")
    one.check_kept()
