# SPDX-License-Identifier: GPL-2.0-or-later
"""Functions that hlu knows nothing about live through an update: an NVMe disk and an
e1000e, with the guest's own drivers. The devices are set up as they were, no driver
complains, and the disk has all that the guest wrote."""

import re

from lib import disk
from lib.device import Device
from lib.hardware import BUS_MASTER, COMMAND, Function, nvme, root_port
from lib.outcome import check, equal
from lib.passthrough import arguments, ask, check_remapped, give

DEVICES = ("flash", "nic")
COMPLAINT = re.compile(r"^.*(?:nvme|e1000e).*$", re.M)
BARS = range(0x10, 0x28, 4)
MSIX = 0x11


def run(test):
    host = test.host()
    file = disk.make(host.share / "disks" / "nvme.img")
    host.boot("a", devices=[root_port("rp2", 2), *nvme("flash", "rp2", file),
                            root_port("rp3", 3), "e1000e,id=nic,bus=rp3,romfile="])
    functions = [Function(host.machine, name) for name in DEVICES]
    devices = [Device(host, function.address) for function in functions]
    give(devices)
    # drivers of devices complain by warnings
    vm = host.start_vm("vm1", append="loglevel=5 hlu.disk=/dev/nvme0n1",
                       changes=arguments(devices))
    wait_disk(vm)
    before = test.metrics["set_up"] = [set_up(function) for function in functions]
    check(all(each["command"] & BUS_MASTER for each in before), f"drivers in the guest: {before}")
    ask(devices)
    host.update("b")
    wait_disk(vm)
    vm.check_unharmed()
    check_remapped(vm)
    equal([set_up(function) for function in functions], before, "how the devices are set up")
    values = test.metrics["disk"] = {
        key: value for key, value in vm.line.last.values.items() if key.startswith("disk_")}
    equal((values["disk_wrong"], values["disk_errors"]), (0, 0), f"faults of the disk: {values}")
    said = vm.console_path.read_text(errors="replace")
    equal(COMPLAINT.findall(said), [], "what the drivers complain about")
    host.run(f"kill -STOP $(cat /run/vm/{vm.name}.pid)")
    test.metrics["disk_rounds"] = disk.check_file(file)


def set_up(function):
    msix = function.capability(MSIX)
    return {"command": function.read(COMMAND, 2),
            "bars": [function.read(at, 4) for at in BARS],
            "msix": function.read(msix + 2, 2)}


def wait_disk(vm):
    """Blocks are read back, from now on."""
    before = vm.line.last.values["disk_verified"]
    vm.host.wait(lambda: vm.line.last.values["disk_verified"] > before + 8, 60,
                 f"blocks of {vm.name} to be read back")
