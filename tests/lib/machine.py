# SPDX-License-Identifier: GPL-2.0-or-later
"""L0: QEMU (TCG) in the role of the physical host and its hardware."""

import json
import re
import select
import socket
import subprocess

from lib import amdvi
from lib import iommu as vtd
from lib import paths
from lib.clock import Deadline
from lib.memory import give_back, lend
from lib.outcome import Failed, HostDied, Timeout

CPU = "EPYC,+svm,+npt,+x2apic"
# has kernels fill and copy memory by one instruction, which our QEMU does in one go;
# a clock that counts instructions would count each byte
FAST_STRINGS = ",+erms,+fsrm,+fsrs"


class Machine:
    """One QEMU process. Its sockets are inherited pairs: no paths, nothing to
    clean up, and all of it ends with this process."""

    def __init__(self, kernel, initrd, cmdline, folder, shares=(), memory="3G",
                 cpus=2, terminal=False, bare=False, devices=(), iommu=vtd.VTD, cable=None,
                 counting=0, disk=None, forward=""):
        """`cable`: a netdev for the igb, instead of the harness's end of it."""
        self.folder = folder
        self.console = folder / "console.log"
        self.agent, agent_end = socket.socketpair()
        self._qmp, qmp_end = socket.socketpair()
        self._probe, probe_end = socket.socketpair()
        # the igb's cable: a datagram is a frame
        self.wire, wire_end = socket.socketpair(type=socket.SOCK_DGRAM)
        self._text = {self._qmp: b"", self._probe: b""}
        self._memory = lend()
        command = [
            # dies with the harness, however that ends
            "setpriv", "--pdeathsig", "KILL", str(paths.built(paths.QEMU)),
            *(arg for path in paths.FIRMWARE for arg in ("-L", str(path))),
            "-nodefaults", "-display", "none", "-vga", "none", "-no-user-config",
            "-machine", "q35,kernel-irqchip=split,memory-backend=ram",
            *self._accel(counting), "-cpu", CPU + ("" if counting else FAST_STRINGS),
            "-smp", str(cpus), "-m", memory,
            "-object", f"memory-backend-file,id=ram,size={memory},share=on,"
                       f"mem-path=/proc/self/fd/{self._memory}",
            "-chardev", f"socket,id=qmp,fd={qmp_end.fileno()}",
            "-mon", "chardev=qmp,mode=control",
            "-kernel", str(kernel), "-initrd", str(initrd), "-append", cmdline,
        ]
        if iommu and not bare:
            command += ["-device", iommu, *vtd.trace(folder)]
            if iommu.startswith("amd-iommu"):
                command += amdvi.SOUTHBRIDGE
        cable = cable or f"dgram,local.type=fd,local.str={wire_end.fileno()}"
        command += ["-no-reboot"] if bare else self._devices(agent_end, cable, shares, forward)
        if disk:
            command += ["-drive", f"if=none,id=disk,file={disk},format=raw,cache=writeback",
                        "-device", "virtio-blk-pci,drive=disk"]
        if devices:
            command += self._extra(devices, probe_end)
        if terminal:
            command += ["-chardev", f"stdio,id=tty,mux=on,signal=off,logfile={self.console}",
                        "-serial", "chardev:tty"]
        else:
            command += ["-serial", f"file:{self.console}"]
        (folder / "qemu.cmd").write_text("\n".join(command) + "\n")
        ends = (agent_end, qmp_end, probe_end, wire_end)
        with open(folder / "qemu.log", "wb") as log:
            self.process = subprocess.Popen(
                command, stdin=None if terminal else subprocess.DEVNULL,
                stdout=None if terminal else log, stderr=log,
                pass_fds=[self._memory, *(end.fileno() for end in ends)],
                start_new_session=not terminal)
        for end in ends:
            end.close()
        self._read_qmp(Deadline(10))
        self.qmp("qmp_capabilities")

    @staticmethod
    def _accel(counting):
        """`counting`: an instruction takes so many nanoseconds, a power of two, and
        nothing else takes time."""
        if counting:
            return ["-accel", "tcg,thread=single",
                    "-icount", f"shift={counting.bit_length() - 1},sleep=off",
                    "-rtc", "base=utc,clock=vm"]
        return ["-accel", "tcg", "-rtc", "base=utc"]

    @staticmethod
    def _devices(agent_end, cable, shares, forward):
        command = [
            # what guests are bridged to; slirp lives in this process, so the
            # guests' connections outlive the host's kernel
            "-netdev", f"user,id=lan{forward}", "-device", "virtio-net-pci,netdev=lan,romfile=",
            "-device", "pcie-root-port,id=rp1,slot=1",
            "-netdev", f"{cable},id=nic",
            "-device", "igb,bus=rp1,netdev=nic,romfile=",
            # each port has queues, each queue a descriptor that is polled
            "-device", "virtio-serial-pci,max_ports=2",
            "-chardev", f"socket,id=agent,fd={agent_end.fileno()}",
            "-device", "virtserialport,chardev=agent,name=agent",
        ]
        for tag, path, readonly in shares:
            command += [
                "-fsdev", f"local,id={tag},path={path},security_model=none,"
                          f"readonly={'on' if readonly else 'off'}",
                "-device", f"virtio-9p-pci,fsdev={tag},mount_tag={tag}",
            ]
        return command

    @staticmethod
    def _extra(devices, probe_end):
        """A scenario's own devices (lib/hardware.py), with hotplug as PCIe has
        it, not ACPI, and a logic probe on the bus."""
        command = ["-global", "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off",
                   "-chardev", f"socket,id=probe,fd={probe_end.fileno()}",
                   "-object", "qtest,id=qtest,chardev=probe"]
        for device in devices:
            command += ["-device", device] if isinstance(device, str) else device
        return command

    # --- QMP

    def qmp(self, command, **arguments):
        """One command on L0's QMP and its answer."""
        request = {"execute": command}
        if arguments:
            request["arguments"] = arguments
        self._qmp.sendall(json.dumps(request).encode() + b"\n")
        deadline = Deadline(10)
        while True:
            answer = self._read_qmp(deadline)
            if "error" in answer:
                raise Failed(f"L0 QMP {command}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]

    def _monitor(self, command):
        return self.qmp("human-monitor-command", **{"command-line": command})

    def interrupts(self):
        """Who raised one, who has to serve it, and what virtio devices were asked."""
        paths = re.findall(r"(/\S+) \[", self._monitor("info virtio"))
        return "\n".join(self._monitor(command) for command in (
            "info registers -a", "info lapic 0", "info lapic 1", "info pic",
            *(f"info virtio-queue-status {path} {queue}" for path in paths
              for queue in range(2))))

    def _read_qmp(self, deadline):
        return json.loads(self._read_line(self._qmp, deadline))

    def _read_line(self, sock, deadline):
        while b"\n" not in self._text[sock]:
            if not select.select([sock], [], [], deadline.left)[0]:
                raise Timeout("L0 (QEMU) does not answer")
            data = sock.recv(65536)
            if not data:
                self.process.wait(5)
                raise HostDied(f"QEMU (L0) ended at once:\n{self.log()}")
            self._text[sock] += data
        line, self._text[sock] = self._text[sock].split(b"\n", 1)
        return line

    # --- physical addresses, as a CPU would, but without one

    def read(self, address, size):
        """1, 2, 4 or 8 bytes of memory or of a device's registers."""
        return int(self._access(f"read{'bw_l___q'[size - 1]} {address:#x}"), 0)

    def write(self, address, size, value):
        self._access(f"write{'bw_l___q'[size - 1]} {address:#x} {value:#x}")

    def _access(self, request):
        self._probe.sendall(f"{request}\n".encode())
        answer = self._read_line(self._probe, Deadline(10)).decode()
        if not answer.startswith("OK"):
            raise Failed(f"L0 {request}: {answer}")
        return answer[3:]

    def memory(self, address, size):
        return bytes.fromhex(self._access(f"read {address:#x} {size:#x}")[2:])

    # --- power

    def reset(self):
        """The power button: no warning for anybody inside."""
        self.qmp("system_reset")

    @property
    def alive(self):
        return self.process.poll() is None

    def log(self):
        return (self.folder / "qemu.log").read_text(errors="replace")[-2000:]

    def close(self):
        if self.alive:
            self.process.kill()
        self.process.wait()
        give_back(self._memory)
        self.agent.close()
        self.wire.close()
        self._qmp.close()
        self._probe.close()
