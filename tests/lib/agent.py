# SPDX-License-Identifier: GPL-2.0-or-later
"""The harness's end of the channel to tests/host/agent.c, which says what
travels on it."""

import select
import time

from lib.outcome import HostDied


GONE = -1


class Command:
    """A script that runs, or ran, in the host."""

    def __init__(self, script):
        self.script = script
        self.status = None
        self.output = ""

    @property
    def done(self):
        return self.status is not None


class Agent:
    def __init__(self, sock, log):
        self._sock = sock
        self._log = open(log, "a", buffering=1)
        self._buffer = b""
        self._running = {}
        self._last_id = 0
        self.release = self.boot_id = None
        self.greetings = 0

    def start(self, script, seconds):
        self._last_id += 1
        command = self._running[self._last_id] = Command(script)
        data = script.encode()
        self._note(f"{self._last_id} > {script}")
        self._sock.sendall(b"%d %d %d\n" % (self._last_id, seconds * 1000, len(data)) + data)
        return command

    def pump(self, seconds):
        """Takes what has come, waiting at most `seconds` for the first of it."""
        if not select.select([self._sock], [], [], seconds)[0]:
            return
        try:
            data = self._sock.recv(1 << 16)
        except ConnectionResetError:
            data = b""
        if not data:
            raise HostDied("the emulated host's machine (QEMU, L0) went away")
        self._buffer += data
        while self._take_answer():
            pass

    def _take_answer(self):
        head, newline, rest = self._buffer.partition(b"\n")
        if not newline:
            return False
        fields = head.split()
        if len(fields) != 3 or not all(field.isdigit() for field in fields):
            # half an answer of a kernel that is gone, then the next greeting
            self._buffer = rest
            return True
        number, status, length = map(int, fields)
        if len(rest) < length:
            greeting = rest.find(b"\n0 0 ")
            if greeting >= 0:
                self._buffer = rest[greeting + 1:]
                return True
            return False
        text, self._buffer = rest[:length].decode(errors="replace"), rest[length:]
        if number == 0:
            for command in self._running.values():
                command.status, command.output = GONE, "the kernel it ran under is gone"
            self._running.clear()
            self.release, self.boot_id = text.split()
            self.greetings += 1
            self._note(f"agent of {text}")
        else:
            command = self._running.pop(number, None)
            if command:
                command.status, command.output = status, text
            self._note(f"{number} < {status}\n{text}")
        return True

    def _note(self, text):
        self._log.write(f"[{time.strftime('%H:%M:%S')}] {text}\n")

    def close(self):
        self._log.close()
