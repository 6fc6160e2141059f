# SPDX-License-Identifier: GPL-2.0-or-later
"""A host with libvirt: virtqemud, and domains instead of tests/lib/vm.py's guests.
What an operator would type is run by virsh in the host."""

import re
import subprocess
from string import Template
from xml.etree import ElementTree

from lib import image, paths
from lib.console import Console
from lib.holdup import Holdup
from lib.outcome import check, equal
from lib.vm import VM

CONFIG = paths.TESTS / "host" / "libvirt"
# seconds for each phase; the slowest host that was seen took 20
TIMEOUT = 60
FINDING = re.compile(r"(PASS|WARN|FAIL) +(.+?): (.+)")
DOMAIN = paths.TESTS / "domains" / "vm.xml"
CACHE = "var/cache/libvirt/qemu/capabilities"


def boot(test, part="", files=(), **options):
    """A host whose virtqemud answers. `files`: more of CONFIG, {path: Path}."""
    image.copies()      # these may make what is known of QEMU outdated
    known = {f"{CACHE}/{path.name}": path for path in image.CAPABILITIES.glob("*.xml")}
    disk = {f"etc/libvirt/{name}": CONFIG / name for name in ("qemu.conf", "virtqemud.conf")}
    host = test.host(part).boot("a", disk={**disk, **known, **dict(files)}, **options)
    wait_virtqemud(host)
    if not known:
        keep_capabilities(host)
    return host


def keep_capabilities(host):
    """For the next hosts, so that virtqemud does not ask QEMU anew in each."""
    virsh(host, "capabilities", 120)
    host.run(f"cp /{CACHE}/*.xml /share/")
    image.CAPABILITIES.mkdir(exist_ok=True)
    for path in host.share.glob("*.xml"):
        path.replace(image.CAPABILITIES / path.name)


def wait_virtqemud(host, seconds=60):
    """Until it answers."""
    def answers():
        command = host.finish(host.start("virsh list", seconds), seconds + 5, None)
        return command.status == 0
    host.wait(answers, seconds, "virtqemud", 0.2)


def virsh(host, command, seconds=60):
    return host.run(f"virsh -q {command}", seconds)


def refused(host, command, seconds=60):
    """One that has to fail; returns what it says."""
    return host.fails(f"virsh -q {command}", seconds)


def restart(host, signal="TERM"):
    """Ends virtqemud; tests/host/run-virtqemud.sh starts another one."""
    old = host.run("cat /run/run-virtqemud.pid")
    host.run(f"kill -{signal} {old}")
    host.wait(lambda: host.run("cat /run/run-virtqemud.pid") != old, 60, "another virtqemud", 0.2)
    wait_virtqemud(host)


def default_policy(host, policy):
    """Of domains that say nothing, by virtqemud's configuration."""
    host.run("sed -i /hypervisor_update_policy/d /etc/libvirt/qemu.conf; "
             f"echo 'hypervisor_update_policy = \"{policy}\"' >>/etc/libvirt/qemu.conf")
    restart(host)


def checks(host, kernel="/images/kernel-b"):
    """Findings of hypervisor-update --check, as (PASS, WARN or FAIL, object, text)."""
    option = f"--kernel {kernel}" if kernel else ""
    command = host.finish(host.start(f"virsh -q hypervisor-update --check {option}", 60), 65, None)
    found = [FINDING.match(line).groups() for line in command.output.splitlines()
             if FINDING.match(line)]
    equal(command.status, int("FAIL" in {level for level, _, _ in found}),
          f"exit status, after: {command.output}")
    return found


def start_update(host, to="b", options=""):
    """virsh hypervisor-update, not waited for."""
    return host.start(f"virsh hypervisor-update --kernel /images/kernel-{to} "
                      f"--initrd /images/host.cpio --timeout {TIMEOUT} --verbose {options}",
                      8 * TIMEOUT)


def hold_preserving(host):
    """An update that waits for another machine, when all domains' memory is preserved.
    Returns that machine and virsh's command."""
    held = Holdup(host)
    command = start_update(host)
    held.wait("START_PRESERVATION")
    wait_ready(host, "preserving")
    return held, command


def hold_frozen(host):
    """The same, when all domains stand still."""
    held, command = hold_preserving(host)
    held.go("START_PRESERVATION")
    held.wait("FREEZE", 120)
    wait_ready(host, "freezing")
    equal(host.state, "prepared", "state of the kernel")
    return held, command


def wait_ready(host, phase):
    """Until all but the client that holds the update up have answered."""
    def ready():
        status = host.status()
        return status["phase"] == phase and {one["state"] for one in status["sessions"]
                                             if one["id"] != "holdup"} == {"ready"}
    host.wait(ready, 120, f"answer of the domains in phase {phase}", 0.3)


def check_cancelled(host, vm):
    """The update is undone, and the domain runs as before."""
    host.wait(lambda: host.luod_idle() and info(host, completed=False)["state"] == "none",
              120, "end of the update", 0.5)
    equal(host.state, "normal", "state of the kernel")
    equal(info(host)["state"], "cancelled", "state of the last update")
    equal(vm.state, "running", "state of the domain")
    vm.check_unharmed()


def update(host, to="b"):
    """Replaces the kernel, and waits until virtqemud says that all is over."""
    host.jump(start_update(host, to), to, 240)
    wait_over(host)


def wait_over(host, seconds=120):
    """After the jump: until luod has finished, and virtqemud knows how it ended."""
    wait_virtqemud(host, seconds)
    host.wait(lambda: host.luod_idle() and info(host, completed=False)["state"] == "none",
              seconds, "end of the update", 0.5)


def info(host, completed=True):
    """What hypervisor-update-info tells: {"state": "completed", ...}."""
    option = "--completed" if completed else ""
    lines = virsh(host, f"hypervisor-update-info --rawstats {option}").splitlines()
    return dict(line.split(": ", 1) for line in lines if ": " in line)


def outcomes(host):
    """What became of each domain in the last update, by name."""
    said = info(host)
    return {said[key]: said[key.replace(".name", ".state")] for key in said
            if key.startswith("domain.") and key.endswith(".name")}


class Domain(VM):
    """A guest that virtqemud looks after. `functions`: of the host, by hostdev."""

    def __init__(self, host, name="vm1", functions=(), policy="live", **options):
        super().__init__(host, name, **options)
        self.functions = functions
        self.policy = policy
        host.vms.append(self)
        host.guest_consoles.append(Console(self.console_path))

    @property
    def tree(self):
        """Its XML, before anybody changes it."""
        text = Template(DOMAIN.read_text()).substitute(
            name=self.name, memory=self.memory, vcpus=self.vcpus, append=self.append,
            number=f"{self.number:02x}")
        tree = ElementTree.fromstring(text)
        if self.policy:
            ElementTree.SubElement(tree, "hypervisorUpdate", policy=self.policy)
        for function in self.functions:
            tree.find("devices").append(hostdev(function.address))
        return tree

    def _write(self, change):
        """Its XML and its disk, in the host. `change` gets the tree first."""
        tree = self.tree
        if change:
            change(tree)
        path = self.host.share / "vms" / f"{self.name}.xml"
        path.write_text(ElementTree.tostring(tree, encoding="unicode"))
        validate(path)
        self.host.run(f"test -f /disk/{self.name}.img || truncate -s 8M /disk/{self.name}.img")
        return f"/share/vms/{self.name}.xml"

    def define(self, change=None):
        virsh(self.host, f"define {self._write(change)}")
        return self

    def create(self, change=None, options=""):
        """Starts it, transient."""
        virsh(self.host, f"create {options} {self._write(change)}", 120)
        return self

    def start(self, wait=True, paused=False):
        # emptied, not unlinked: the host's 9p client remembers the old file
        if self.console_path.exists():
            self.console_path.write_bytes(b"")
        self.host.run("echo always >/sys/kernel/mm/transparent_hugepage/shmem_enabled")
        virsh(self.host, f"start {self.name} {'--paused' if paused else ''}", 120)
        if wait and not paused:
            self.wait_up()
        return self

    def check_disk(self):
        """Nothing that it wrote is lost, and it writes on."""
        goal = self.line.last.values["disk_verified"] + 16
        self.host.wait(lambda: self.line.last.values["disk_verified"] >= goal, 60,
                       f"writes of {self.name}")
        for fault in ("disk_wrong", "disk_errors"):
            equal(self.line.last.values[fault], 0, f"{fault} of {self.name}")

    @property
    def state(self):
        return virsh(self.host, f"domstate {self.name}").strip()

    @property
    def id(self):
        return virsh(self.host, f"domid {self.name}").strip()


def validate(path):
    """By libvirt's schema; here, for the host takes a minute for it."""
    schema = paths.LIBVIRT / "src/conf/schemas/domain.rng"
    done = subprocess.run(["xmllint", "--noout", "--relaxng", schema, path],
                          capture_output=True, text=True)
    check(done.returncode == 0, f"valid XML: {done.stderr}")


def hostdev(address):
    domain, bus, rest = address.split(":")
    slot, function = rest.split(".")
    device = ElementTree.Element("hostdev", mode="subsystem", type="pci", managed="yes")
    source = ElementTree.SubElement(device, "source")
    ElementTree.SubElement(source, "address", domain=f"0x{domain}", bus=f"0x{bus}",
                           slot=f"0x{slot}", function=f"0x{function}")
    return device


