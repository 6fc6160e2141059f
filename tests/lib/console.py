# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads a kernel's console log and knows a dead kernel when it sees one."""

import re
import time

from lib.outcome import EmulatorFault, HostDied

TROUBLE = re.compile(
    r"Kernel panic|BUG: |Oops: |\bOops\b|WARNING: |general protection fault|double fault"
    r"|soft lockup|hard LOCKUP|blocked for more than|rcu.*(stall|self-detected)"
    r"|Unable to handle|DMAR:.*fault|scheduling while atomic|sleeping function called")
DOUBLE_FAULT = re.compile(r"double fault")
CODE_SEGMENT = re.compile(r"\bRIP: ([0-9a-f]+):")


def emulator_fault(text):
    """Whether a dead kernel's log has the signature of the emulator's known
    fault: a double fault, or an oops in a code segment that no kernel has (an
    exception frame off by a word)."""
    if DOUBLE_FAULT.search(text):
        return True
    for oops in re.finditer(r"Oops: ", text):
        segment = CODE_SEGMENT.search(text, oops.end())
        if segment and segment[1] not in ("0010", "0033"):
            return True
    return False


class Console:
    def __init__(self, path):
        self.path = path
        self._seen = 0
        self._allowed = []

    def allow(self, pattern):
        """Lines with `pattern` are part of the scenario."""
        self._allowed.append(re.compile(pattern))

    @property
    def text(self):
        try:
            return self.path.read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def since(self, mark):
        return self.text[mark:]

    @property
    def mark(self):
        return len(self.text)

    def scan(self):
        """Raises what new trouble in the log stands for."""
        try:
            if self.path.stat().st_size == self._seen:
                return
        except FileNotFoundError:
            return
        text = self.path.read_bytes()
        fresh = text[self._seen:]
        end = fresh.rfind(b"\n") + 1        # whole lines only
        self._seen += end
        for line in fresh[:end].decode(errors="replace").splitlines():
            if TROUBLE.search(line) and not any(a.search(line) for a in self._allowed):
                raise self.judge(line)

    def settle(self, seconds=6.0, quiet=1.0):
        """Waits until nothing is added any more: a dying kernel is still
        talking, and a guest's serial line is slow."""
        end = time.monotonic() + seconds
        size = -1
        while time.monotonic() < end and size != (size := self.mark):
            time.sleep(quiet)

    def judge(self, line):
        self.settle()
        text = self.text
        excerpt = text[max(0, text.find(line) - 200):][:3500]
        if emulator_fault(text):
            return EmulatorFault(f"{self.path.name} has the emulator's signature:\n{excerpt}")
        return HostDied(f"{self.path.name} says:\n{excerpt}")
