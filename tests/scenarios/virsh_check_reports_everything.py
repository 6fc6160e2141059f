# SPDX-License-Identifier: GPL-2.0-or-later
"""`virsh hypervisor-update --check` names each of a dozen things that stand in the
way, of the host and of domains, tells what to do, and changes nothing.

Each has to be found with its object. A host without any of them gets not a single
FAIL or WARN. No domain runs a guest's code: they are started paused."""

from xml.etree import ElementTree

from lib import paths
from lib.holdup import Holdup
from lib.outcome import check, equal
from lib.virsh import Domain, boot, checks, default_policy, refused, virsh

SMALL = {"memory": 64}


def policy(name):
    def change(tree):
        tree.find("hypervisorUpdate").set("policy", name)
    return change


def bad_devices(tree):
    devices = tree.find("devices")
    interface = devices.find("interface")
    interface.set("type", "user")
    interface.remove(interface.find("source"))
    disk = devices.find("disk")
    disk.find("driver").set("cache", "unsafe")
    more = ElementTree.SubElement(devices, "disk", type="file", device="disk")
    ElementTree.SubElement(more, "driver", name="qemu", type="raw")
    ElementTree.SubElement(more, "source", file="/run/guest.img")
    ElementTree.SubElement(more, "target", dev="vdb", bus="virtio")
    vsock = ElementTree.SubElement(devices, "vsock", model="virtio")
    ElementTree.SubElement(vsock, "cid", auto="no", address="3")


# of running domains: its name or "NAME/DEVICE", level, part of the text
FOUND = (("silent", "FAIL", "its policy refuses"),
         ("paused", "FAIL", "not running"),
         ("devices", "FAIL", "vhost"),
         ("devices/vdb", "FAIL", "/run/guest.img"),
         ("devices/vda", "WARN", "unsafe"),
         ("devices/net0", "WARN", "user"))
# by the host's default: of one that says nothing itself
BY_DEFAULT = (("save", "FAIL", "transient"), ("leave", "WARN", "end with the host"))


def run(test):
    host = boot(test)
    with test.part("nothing in the way"):
        equal(findings(host), set(), "findings on an empty host")
    host_reasons(test, host)
    domain_reasons(test, host)
    with test.part("kexec is disabled"):
        host.run("echo 1 >/proc/sys/kernel/kexec_load_disabled")
        expect(host, "FAIL", "kexec", "kexec_load_disabled")


def findings(host, kernel="/images/kernel-b"):
    return {finding for finding in checks(host, kernel) if finding[0] != "PASS"}


def expect(host, level, name, text, **kernel):
    expect_in(findings(host, **kernel), level, name, text)


def expect_in(found, level, name, text):
    check(any(found_level == level and found_object == name and text in found_text
              for found_level, found_object, found_text in found),
          f"{level} about {name} with '{text}' in: {found}")


def host_reasons(test, host):
    (host.share / "plain").write_bytes(paths.kernel("plain").read_bytes())
    for kernel, text in (("/images/kernel-c", "No such file"),
                         ("/images/guest.cpio", "ENOEXEC"),
                         ("/share/plain", "no liveupdate notes")):
        with test.part(f"the kernel is {kernel}"):
            expect(host, "FAIL", kernel, text, kernel=kernel)
    with test.part("no kernel"):
        expect(host, "FAIL", "new kernel", "none is named", kernel=None)
    with test.part("somebody else's virtual machine"):
        other = Holdup(host, "other")
        expect(host, "WARN", "luod", "'other'")
        other.leave()
    with test.part("state in memory"):
        host.run("mount -t tmpfs none /var/lib/libvirt/qemu")
        expect(host, "FAIL", "/var/lib/libvirt/qemu", "memory")
        host.run("umount /var/lib/libvirt/qemu")
    with test.part("an update that was not finished"):
        host.run("echo 1 >/sys/kernel/liveupdate/prepare")
        expect(host, "FAIL", "running kernel", "'prepared'")
        host.run("echo 0 >/sys/kernel/liveupdate/prepare")
    with test.part("no luod"):
        host.run("mv /run/luod/liveupdate.sock /run/luod/away")
        expect(host, "FAIL", "luod", "is it running")
        host.run("mv /run/luod/away /run/luod/liveupdate.sock")


def domain_reasons(test, host):
    host.run("truncate -s 1M /run/guest.img")
    Domain(host, "devices", **SMALL).define(bad_devices).start(paused=True)
    Domain(host, "paused", **SMALL).define(policy("shutdown")).start(paused=True)
    Domain(host, "silent", policy=None, **SMALL).create(options="--paused")
    before = virsh(host, "list --all")
    found = findings(host)
    for name, level, text in FOUND:
        with test.part(f"{name}: {text}"):
            expect_in(found, level, name, text)
    with test.part("nothing is changed"):
        equal(virsh(host, "list --all"), before, "domains")
        equal(host.state, "normal", "state of the kernel")
        equal(host.status()["loaded"], None, "image that is loaded")
    with test.part("an update says the same"):
        said = refused(host, "hypervisor-update --kernel /images/kernel-b")
        check("reasons" in said, f"that there are several reasons: {said}")
    for name, level, text in BY_DEFAULT:
        with test.part(f"silent, by the host's default: {text}"):
            default_policy(host, name)
            expect(host, level, "silent", text)
