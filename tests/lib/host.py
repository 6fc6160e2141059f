# SPDX-License-Identifier: GPL-2.0-or-later
"""L1: the host whose kernel is replaced."""

import json
import os
import shutil
import sys
import time

from lib import image, paths
from lib.agent import Agent
from lib.clock import Deadline
from lib.console import Console
from lib.iommu import VTD
from lib.machine import Machine
from lib.outcome import CommandFailed, HostDied, Timeout, check
from lib.peer import Peer
from lib.timeline import Timeline
from lib.vm import VM

# no_timer_check: the kernel's 10 ms test of the timer interrupt ends in a panic
# when the machine that emulates it is busy.
# tsc=nowatchdog: before the first clocksource but jiffies, a CPU that compares TSCs
# waits for the other one without interrupts, and by a clock that stands still
# then; if that one is in stop_machine(), both wait for good
# kvm.halt_poll_ns=0: waiting for a guest's next interrupt in a loop costs more here
# than it saves.
# unknown_nmi_panic, panic_sys_info=tasks: see wait_agent().
CMDLINE = ("console=ttyS0 kho=on liveupdate=on intel_iommu=on panic=-1 no_timer_check "
           "tsc=nowatchdog kvm.halt_poll_ns=0 unknown_nmi_panic panic_sys_info=tasks "
           "initcall_blacklist=kho_test_init")

# the TSC of a host whose clock counts instructions, one a nanosecond
COUNTING_KHZ = 1000000


def shortcuts(khz):
    """For a host whose instructions are not counted: its second CPU need not measure
    how fast it loops (HZ is 100), and nobody reads names in the formats of events."""
    return f"lpj={10 * khz} initcall_blacklist=trace_eval_init"


class Host:
    """A scenario's host. Use it in a with statement: leaving it ends all."""

    def __init__(self, name, quiet=False):
        self.name = name
        self.quiet = quiet
        self.folder = paths.RESULTS / name
        self.share = self.folder / "share"
        self.vms = []
        self.kexecs = 0
        self.machine = self.agent = None
        self.guest_consoles = []
        for folder in ("logs", "vms", "luod", "disks"):
            (self.share / folder).mkdir(parents=True, exist_ok=True)
        self.peer = Peer(self.folder / "peer.log")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self.machine:
            self.machine.close()
            self.machine = None
        if self.agent:
            self.agent.close()
            self.agent = None
        self.peer.close()
        # images that the scenario used are not results
        shutil.rmtree(self.folder / "images", ignore_errors=True)
        (self.folder / "disk.img").unlink(missing_ok=True)

    def say(self, text):
        if not self.quiet:
            print(f"    {self.name}: {text}", file=sys.stderr, flush=True)

    # --- power

    def boot(self, kernel="a", cmdline="", luod=True, kunit=False, terminal=False,
             devices=(), iommu=VTD, cable=None, memory="3G", counting=0, disk=None,
             forward=""):
        """Power on. Returns when the agent inside answers. `counting`: the host's
        clock counts instructions, of so many nanoseconds. `disk`: the host has a disk
        of its own, with these files (path: Path) on it. `forward`: of slirp, an address
        of the host that can be reached from outside."""
        self.initrd = image.host()
        images = image.copies() if disk else self._links()
        khz = COUNTING_KHZ if counting else image.tsc_khz()
        line = (f"{CMDLINE} {'' if counting else shortcuts(khz)} tsc_early_khz={khz} "
                f"kunit.enable={int(kunit)} hlu.luod={int(luod)} {cmdline}")
        self.machine = Machine(paths.kernel(kernel), self.initrd, line.strip(), self.folder,
                               [("images", images, True), ("share", self.share, False)],
                               terminal=terminal, devices=devices, iommu=iommu, cable=cable,
                               memory=memory, counting=counting, forward=forward,
                               disk=disk and image.writable(self.folder / "disk.img", disk))
        self.console = Console(self.machine.console)
        self.agent = Agent(self.machine.agent, self.folder / "agent.log")
        if not terminal:
            self.wait_agent(lambda: self.agent.greetings, 60, "the host's agent")
            if luod and paths.LUOD.exists():
                self.wait(self.luod_idle, 30, "luod")
            self.say(f"up: {self.release}")
        return self

    def _links(self):
        """A folder with the files of image.boot_files()."""
        images = self.folder / "images"
        for target, source in image.boot_files().items():
            _place(source, images / target)
        return images

    def power_cut(self):
        """Reset, and back up again on the kernel it was first booted with."""
        seen = self.agent.greetings
        self.machine.reset()
        self.wait(lambda: self.agent.greetings > seen, 60, "the host after a power cut")
        self.wait(self.luod_idle, 30, "luod after a power cut")
        self.say(f"up after a power cut: {self.release}")

    @property
    def release(self):
        return self.agent.release

    # --- waiting and commands

    def pump(self, seconds=0.05):
        """One look at all that can go wrong, and at the agent."""
        if self.agent:
            try:
                self.agent.pump(seconds)
            except HostDied:
                self.console.settle()
                self.console.scan()
                raise
        self.console.scan()
        for console in self.guest_consoles:
            console.scan()
        if not self.machine.alive:
            raise HostDied(f"the host's machine ended:\n{self.machine.log()}\n"
                           f"{self.console.text[-1500:]}")

    def wait(self, holds, seconds, what, poll=0.05):
        deadline = Deadline(seconds)
        while True:
            result = holds()
            if result:
                return result
            if deadline.over:
                raise Timeout(f"no {what} within {deadline.seconds:.0f} s; console ends:\n"
                              f"{self.console.text[-1200:]}")
            self.pump(poll)

    def start(self, script, seconds=60):
        return self.agent.start(script, seconds)

    def finish(self, command, seconds=60, status=0):
        """Waits for a started command; `status` None takes any."""
        self.wait(lambda: command.done, seconds, f"end of `{command.script}`")
        if status is not None and command.status != status:
            raise CommandFailed(command.script, command.status, command.output)
        return command

    def run(self, script, seconds=30, status=0):
        """Runs a shell script in the host and returns its output."""
        return self.finish(self.start(script, seconds), seconds + 5, status).output

    def fails(self, script, seconds=30):
        """Runs a script that has to fail; returns its output."""
        command = self.finish(self.start(script, seconds), seconds + 5, None)
        check(command.status != 0, f"`{script}` to fail, but it said: {command.output}")
        return command.output

    # --- live update

    @property
    def state(self):
        return self.run("cat /sys/kernel/liveupdate/state").strip()

    def wait_state(self, state, seconds=30):
        self.wait(lambda: self.state == state, seconds, f"state {state}", 0.3)

    def status(self):
        return json.loads(self.run("luoctl status --json"))

    def luod_idle(self):
        """False, too, while there is no luod or its kernel is on its way out."""
        command = self.finish(self.start("luoctl status --json", 10), 15, None)
        return command.status == 0 and json.loads(command.output)["phase"] == "idle"

    def timeline(self):
        return Timeline(self.run("cat /sys/kernel/liveupdate/timeline"))

    def wait_stamp(self, name, seconds=60):
        self.wait(lambda: name in self.timeline().names, seconds, f"stamp {name}", 0.1)

    def wait_saved(self, name):
        """All of this guest is in its session, and luod knows."""
        self.wait_stamp(f"{name}:saved")
        self.wait(lambda: {"id": name, "state": "ready"} in self.status()["sessions"], 30,
                  f"{name} ready", 0.1)

    @property
    def luod_log(self):
        return (self.share / "logs" / "luod.log").read_text(errors="replace")

    def next_luod(self, setting):
        """NAME=VALUE, once, for luod's next start (tests/host/run-luod.sh)."""
        (self.share / "luod.env").write_text(f"{setting}\n")

    def load(self, to="b", kernel=None, cmdline=""):
        extra = f" --cmdline '{cmdline}'" if cmdline else ""
        return self.run(f"luoctl load {kernel or f'/images/kernel-{to}'} "
                        f"--initrd /images/host.cpio{extra}", 60)

    def start_update(self, timeout=60):
        """luoctl update, not waited for."""
        return self.start(f"luoctl update --timeout {timeout}", 4 * timeout)

    def update(self, to="b", timeout=60):
        """Replaces the kernel under the guests and waits until they run."""
        before = time.monotonic()
        self.load(to)
        self.jump(self.start_update(timeout), to)
        self.wait_state("normal", 60)
        for vm in self.vms:
            vm.wait_alive()
        self.say(f"updated to {self.release} in {time.monotonic() - before:.1f} s (emulated)")

    def wait_agent(self, holds, seconds, what):
        """For the agent of a new kernel. A host that stays silent has to tell on its
        console what all of its tasks wait for, its hardware where its interrupts are."""
        try:
            self.wait(holds, seconds, what)
        except Timeout:
            (self.folder / "silent.log").write_text(self.machine.interrupts())
            self.machine.qmp("inject-nmi")
            told = Deadline(20)
            while "Rebooting" not in self.console.text and not told.over:
                time.sleep(0.2)
            raise

    def jump(self, command, to, seconds=120, seen=None):
        """Waits for the agent in the next kernel; `command` must not fail.
        `seen`: the agent's greetings before the update, if that is long ago."""
        if seen is None:
            seen = self.agent.greetings

        def over():
            if self.agent.greetings > seen:
                return True
            if command.done and command.status:
                raise CommandFailed(command.script, command.status, command.output)
            return False

        self.wait_agent(over, seconds, f"agent in kernel {to}")
        self.kexecs += 1
        check(self.release.endswith(f"-hlu-{to}"),
              f"kernel {to} after the jump, but it is {self.release}")
        self.say(f"jumped to {self.release}")

    # --- guests

    def start_vm(self, name="vm1", wait=True, **options):
        vm = VM(self, name, **options)
        self.vms.append(vm)
        vm.write_arguments()
        # emptied, not unlinked: the host's 9p client remembers the old file
        if vm.console_path.exists():
            vm.console_path.write_bytes(b"")
        self.guest_consoles.append(Console(vm.console_path))
        self.run(f"echo {'always' if vm.huge else 'never'} "
                 f">/sys/kernel/mm/transparent_hugepage/shmem_enabled; vm-run {name}")
        if wait:
            vm.wait_up()
            self.say(f"guest {name} up after {time.monotonic() - vm.started:.1f} s (emulated)")
        return vm

    def kill_vm(self, vm):
        """kill -9 of its QEMU, by the id noted at its start."""
        self.run(f"kill -9 $(cat /run/vm/{vm.name}.pid)")
        self.forget_vm(vm)

    def forget_vm(self, vm):
        """It is not started again after the next jump."""
        self.vms.remove(vm)
        self.guest_consoles = [console for console in self.guest_consoles
                               if console.path != vm.console_path]
        (self.share / "vms" / f"{vm.name}.args").unlink()


def _place(source, target):
    """A file in a shared folder: the same one, or a copy over devices."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(source.resolve(), target)
    except OSError:
        shutil.copy(source, target)


def fresh(name):
    """Removes the results of an earlier run."""
    folder = paths.RESULTS / name
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    (paths.RESULTS / f"{name}.json").unlink(missing_ok=True)
    return folder
