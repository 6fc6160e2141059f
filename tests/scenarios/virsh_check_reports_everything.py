# SPDX-License-Identifier: GPL-2.0-or-later
"""`virsh hypervisor-update --check` names each of a dozen things that stand in the
way, of the host and of domains, tells what to do, and changes nothing.

Each is provoked on its own or on a domain of its own, and has to be found with its
object. A host without any of them gets not a single FAIL or WARN."""

from lib import paths
from lib.holdup import Holdup
from lib.outcome import check, equal
from lib.virsh import Domain, boot, checks, refused, restart, virsh

SMALL = {"memory": 64, "vcpus": 1}


def policy(name):
    def change(tree):
        tree.find("hypervisorUpdate").set("policy", name)
    return change


def disk(**attributes):
    def change(tree):
        tree.find("devices/disk/driver").attrib.update(attributes)
    return change


def disk_in_memory(tree):
    tree.find("devices/disk/source").set("file", "/run/guest.img")


def user_network(tree):
    interface = tree.find("devices/interface")
    interface.set("type", "user")
    interface.remove(interface.find("source"))


# name: change of its XML, level, part of the text. None of them runs a guest's code: a
# dozen guests that boot on one emulated CPU take very long.
DOMAINS = {
    "refuses": (policy("refuse"), "FAIL", "policy"),
    "left": (policy("leave"), "WARN", "end with the host"),
    "paused": (policy("shutdown"), "FAIL", "not running"),
    "transient": (policy("save"), "FAIL", "transient"),
    "tmpfs": (disk_in_memory, "FAIL", "/run/guest.img"),
    "unsafe": (disk(cache="unsafe"), "WARN", "unsafe"),
    "slirp": (user_network, "WARN", "user"),
}


def run(test):
    host = boot(test)
    with test.part("nothing in the way"):
        equal(findings(host), set(), "findings on an empty host")
    host_reasons(test, host)
    domain_reasons(test, host)
    with test.part("kexec is disabled"):
        host.run("echo 1 >/proc/sys/kernel/kexec_load_disabled")
        expect(host, "FAIL", "", "kexec_load_disabled")


def findings(host, kernel="/images/kernel-b"):
    return {finding for finding in checks(host, kernel) if finding[0] != "PASS"}


def expect(host, level, name, text, **kernel):
    found = findings(host, **kernel)
    check(any(found_level == level and name in found_object and text in found_text
              for found_level, found_object, found_text in found),
          f"{level} about {name or 'the host'} with '{text}' in: {found}")


def host_reasons(test, host):
    with test.part("no such kernel"):
        expect(host, "FAIL", "/images/kernel-c", "No such file",
               kernel="/images/kernel-c")
    with test.part("a kernel that cannot take over"):
        (host.share / "plain").write_bytes(paths.kernel("plain").read_bytes())
        expect(host, "FAIL", "kernel", "live", kernel="/share/plain")
    with test.part("somebody else's virtual machine"):
        other = Holdup(host, "other")
        expect(host, "WARN", "luod", "other")
        other.leave()
    with test.part("state in memory"):
        host.run("mount -t tmpfs none /var/lib/libvirt/qemu")
        expect(host, "FAIL", "/var/lib/libvirt", "memory")
        host.run("umount /var/lib/libvirt/qemu")
    with test.part("no luod"):
        host.run("mv /run/luod/liveupdate.sock /run/luod/away")
        expect(host, "FAIL", "luod", "")
        host.run("mv /run/luod/away /run/luod/liveupdate.sock")


def domain_reasons(test, host):
    host.run("truncate -s 1M /run/guest.img")
    for name, (change, _, _) in DOMAINS.items():
        start(Domain(host, name, **SMALL), change)
    start(Domain(host, "silent", policy=None, **SMALL), None)
    before = states(host)
    for name, (_, level, text) in DOMAINS.items():
        with test.part(name):
            expect(host, level, name, text)
    with test.part("opted in after its start"):
        host.run("echo 'hypervisor_update_policy = \"live\"' >>/etc/libvirt/qemu.conf")
        restart(host)
        expect(host, "FAIL", "silent", "started")
    with test.part("nothing is changed"):
        equal(states(host), before, "domains")
        equal(host.state, "normal", "state of the kernel")
        equal(host.status()["loaded"], None, "image that is loaded")
    with test.part("an update says the same"):
        said = refused(host, "hypervisor-update --kernel /images/kernel-b")
        check("reasons" in said, f"that there are several reasons: {said}")
    for name in (*DOMAINS, "silent"):
        virsh(host, f"destroy {name}")


def start(domain, change):
    if domain.name == "transient":
        domain.create(change, "--paused")
    else:
        virsh(domain.host, f"start --paused {domain.define(change).name}", 120)


def states(host):
    return virsh(host, "list --all")
