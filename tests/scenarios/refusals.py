# SPDX-License-Identifier: GPL-2.0-or-later
"""A VM that cannot go over is refused beforehand: luoctl names it and says
why, and all guests go on."""

from lib import nic
from lib.device import Device
from lib.outcome import check, equal
from lib.passthrough import arguments

RAM = "memory-backend-memfd,id=ram,size=128M,share=on"
CASES = {
    "memory that is no memfd": (
        {RAM: "memory-backend-file,id=ram,size=128M,share=on,mem-path=/tmp/ram"}, "memfd"),
    "memory that is not shared": (
        {RAM: "memory-backend-memfd,id=ram,size=128M,share=off"}, "share"),
    "memory of huge pages that has a name": (
        {RAM: RAM.replace("memfd,", "file,") + ",mem-path=/tmp/huge"}, "memfd"),
    "virtio-mem": (
        {"-m\n128M\n": "-m\n128M,maxmem=256M\n",
         "-kernel\n": "-object\nmemory-backend-memfd,id=more,size=64M,share=on\n"
                      "-device\nvirtio-mem-pci,memdev=more\n-kernel\n"}, "virtio-mem"),
    "vsock": (
        {"-kernel\n": "-device\nvhost-vsock-pci,guest-cid=3\n-kernel\n"}, "vhost"),
    "a VFIO device of an iommufd that is not to be kept": (
        arguments([nic.ADDRESS], iommufd="iommufd,id=iommufd0"), "liveupdate=on"),
    "vhost": (
        {"script=/host/tap-up,downscript=no": "script=/host/tap-up,downscript=no,vhost=on"},
        "vhost"),
}


def run(test):
    host = test.host().boot("a")
    host.run("echo 80 >/proc/sys/vm/nr_hugepages; "
             "mkdir /tmp/huge && mount -t hugetlbfs none /tmp/huge")
    Device(host, nic.ADDRESS).take("vfio-pci")
    vm = host.start_vm("vm1")
    seen = test.metrics["refusals"] = {}
    for name, (changes, reason) in CASES.items():
        with test.part(name):
            other = start_refused(host, changes)
            host.load("b")
            said = host.fails("luoctl update --timeout 20", 90)
            seen[name] = said.strip()
            check("vm2" in said, f"vm2 named: {said}")
            check(reason in said, f"'{reason}' in the reason: {said}")
            equal(host.state, "normal", "state")
            vm.check_unharmed()
            # its QEMU; that its guest goes on is seen with the last one
            host.run(f"kill -0 $(cat /run/vm/{other.name}.pid)")
            if name != list(CASES)[-1]:
                host.kill_vm(other)
    with test.part("a refused guest goes on"):
        other.wait_up()
        other.check_unharmed()
        host.kill_vm(other)
    with test.part("without it, the update succeeds"):
        host.update("b")
        vm.check_unharmed()


def start_refused(host, changes):
    """Refused for what it is made of: that needs no guest that has booted."""
    vm = host.start_vm("vm2", changes=changes, wait=False)
    host.wait(lambda: vm.name in host.status()["clients"], 60, "vm2 as luod's client", 0.2)
    return vm
