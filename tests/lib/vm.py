# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest (L2) as a scenario sees it: how it is started, and whether it is
the same guest, unharmed."""

import time

from lib import disk
from lib.outcome import Timeout, check, equal

FIRST_ADDRESS = 16      # 10.0.2.16 and up
HOST_LOOKS = "cat /proc/interrupts; grep -rs . /proc/timer_list /sys/kernel/debug/kvm"


class VM:
    def __init__(self, host, name, memory=128, vcpus=1, fill=5, huge=True, changes=None,
                 with_disk=False, append="", boots=True):
        self.host = host
        self.name = name
        self.memory = memory
        self.vcpus = vcpus
        self.fill = fill
        self.huge = huge            # its memory is huge pages of the page cache
        self.changes = changes or {}    # of the command line: text, other text
        self._append = append           # to the guest's kernel's
        self.boots = boots              # or its firmware is all of the guest
        self.disk = disk.make(host.share / "disks" / f"{name}.img") if with_disk else None
        self.number = len(host.vms)
        self.ip = f"10.0.2.{FIRST_ADDRESS + self.number}"
        self.line = host.peer.new_line(name)
        self.started = time.monotonic()
        # the guest's console, for panics: written by QEMU in the host
        self.console_path = host.share / "logs" / f"{name}.console.log"

    @property
    def append(self):
        """The guest kernel's command line. No search on 255 buses that are not
        there, no guests of its own: each is seconds of emulated exits in a boot. No
        constants looked up in the formats of events, as in hosts."""
        return (f"console=ttyS0 loglevel=4 panic=-1 kunit.enable=0 tsc=nowatchdog pci=lastbus=0 "
                f"initcall_blacklist=kho_test_init,svm_init,trace_eval_init "
                f"hlu.name={self.name} hlu.ip={self.ip} "
                f"hlu.peer={self.host.peer.address} hlu.fill={self.fill} {self._append}").strip()

    @property
    def arguments(self):
        """QEMU's command line; outgoing and incoming start with the same. The
        machine does without what takes a guest long to boot."""
        return [
            "-name", self.name, "-L", "/usr/share/qemu",
            "-nodefaults", "-no-user-config", "-display", "none", "-vga", "none",
            "-no-reboot",
            "-machine", "q35,accel=kvm,kernel-irqchip=split,memory-backend=ram,aux-ram-share=on,"
                        "sata=off,smbus=off,usb=off,hpet=off",
            "-cpu", "host", "-smp", str(self.vcpus), "-m", f"{self.memory}M",
            "-object", f"memory-backend-memfd,id=ram,size={self.memory}M,share=on",
            "-netdev", f"tap,id=lan,ifname={self.name},script=/host/tap-up,downscript=no",
            "-device", f"virtio-net-pci,netdev=lan,mac=52:54:00:00:01:{self.number:02x},romfile=",
            *(disk.arguments(f"/share/disks/{self.disk.name}") if self.disk else ()),
            # append: the incoming QEMU goes on in the same log
            "-chardev", f"file,id=tty,path=/share/logs/{self.name}.console.log,append=on",
            "-serial", "chardev:tty",
            "-qmp", f"unix:/run/vm/{self.name}.qmp,server=on,wait=off",
            # QMP is luoctl attach's
            "-monitor", f"unix:/run/vm/{self.name}.monitor,server=on,wait=off",
            *(("-kernel", "/images/kernel-a", "-initrd", "/images/guest.cpio",
               "-append", self.append) if self.boots else ()),
        ]

    def write_arguments(self):
        text = "\n".join(self.arguments) + "\n"
        for old, new in self.changes.items():
            check(old in text, f"{old} in the arguments of {self.name}")
            text = text.replace(old, new)
        (self.host.share / "vms" / f"{self.name}.args").write_text(text)

    def monitor(self, command):
        """Gives a command to QEMU's human monitor; returns what that says."""
        return self.host.run(self._to_monitor(command))

    def monitor_refuses(self, command):
        return self.host.fails(self._to_monitor(command))

    def _to_monitor(self, command):
        return f"monitor /run/vm/{self.name}.monitor '{command}'"

    @property
    def qemu_log(self):
        return (self.host.share / "logs" / f"{self.name}.qemu.log").read_text(errors="replace")

    def power_off(self, seconds=60):
        """The guest does that itself, and its QEMU ends."""
        self.host.peer.say(self.name, "poweroff")
        self.wait_ended(seconds)

    def wait_ended(self, seconds=60):
        pid = f"/proc/$(cat /run/vm/{self.name}.pid)"
        self.host.wait(lambda: "no" in self.host.run(f"test -e {pid} || echo no"), seconds,
                       f"end of the QEMU of {self.name}", 0.2)

    def wait_up(self, seconds=180):
        """Until it has booted and filled its memory once. One that does not tells where
        it stands, twice, and what its host does for it."""
        try:
            self.host.wait(lambda: self.line.last and self.line.last.values["filled"], seconds,
                           f"guest {self.name} up, its memory filled")
        except Timeout:
            looks = [self._to_monitor(command) for _ in range(2)
                     for command in ("info registers -a", "info lapic", "info status")]
            said = self.host.run("; ".join([*looks, HOST_LOOKS]), status=None)
            (self.host.folder / f"{self.name}.hung").write_text(said)
            raise
        return self

    def wait_alive(self, seconds=60, since=None):
        """Until it answers a request sent from now on."""
        since = time.monotonic() if since is None else since
        self.host.wait(lambda: self.line.after(since), seconds, f"an answer of {self.name}")

    def wait_verified(self, seconds=120):
        """Until its whole memory was verified once, from now on."""
        self.wait_alive(seconds)
        goal = self.line.last.values["passes"] + 2
        self.host.wait(lambda: self.line.last.values["passes"] >= goal, seconds,
                       f"{self.name} to verify all its pattern")

    def report(self, before=None):
        """What the scenario's metrics say of this guest. `before` is the answer
        before the update; without it, the first one."""
        first, last = before or self.line.answers[0], self.line.last
        recent = sorted(self.line.answers[-20:], key=lambda a: a.round_trip)
        best = recent[0]
        return {
            "guest_uptime_monotonic": self._continuous("mono_us")
            and self._continuous("boot_us"),
            "pattern_ok": last.values["bad"] == 0 and last.values["filled"] > 0
            and last.values["passes"] > first.values["passes"] + 1,
            "pattern_bytes": last.values["filled"],
            "tcp_ok": len(self.line.hellos) == 1 and not self.line.lost
            and not self.line.out_of_order,
            "counter_ok": last.values["went_back"] == 0
            and self._continuous("counter", standing=True),
            "counter_gap_ms": last.values["max_gap_ms"],
            "clock_error_ms": round(best.clock_error_us / 1e3, 3),
            "clock_error_bound_ms": round(best.round_trip * 500, 3),
            "silence_ms": round(self.silence * 1e3),
            "guest_problems": [text for _, text in self.line.problems],
        }

    @property
    def silence(self):
        """The longest wait for an answer, as the peer felt it (seconds)."""
        return max(answer.round_trip for answer in self.line.answers)

    def _continuous(self, key, standing=False):
        """It grows from answer to answer; `standing`: or stays, but not for good."""
        values = [answer.values[key] for answer in self.line.answers]
        return values[0] < values[-1] and all(
            a < b or (standing and a == b) for a, b in zip(values, values[1:]))

    def check_unharmed(self):
        """The same boot, the same connection, all memory right, time onwards."""
        before = self.line.last
        self.wait_verified()
        return self.check_report(self.report(before))

    def check_report(self, report):
        for key in ("guest_uptime_monotonic", "pattern_ok", "tcp_ok", "counter_ok"):
            check(report[key], f"{key} of {self.name}: {report}")
        equal(report["guest_problems"], [], f"kernel messages of {self.name}")
        return report
