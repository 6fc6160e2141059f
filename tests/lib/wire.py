# SPDX-License-Identifier: GPL-2.0-or-later
"""The cable of the emulated host's igb: frames sent from outside, numbered from
0 and each with a pattern of its number. tests/host/igb.c is the other end."""

import struct
import threading
import time

from lib.clock import Deadline
from lib.outcome import Timeout

# everybody; a sender with a local address; a type for experiments
HEADER = bytes.fromhex("ffffffffffff 020000000001 88b5")
SMALLEST, SIZES = 64, 1400
PATTERN = bytes(i * 7 & 0xff for i in range(256 + SMALLEST + SIZES))


def frame(number):
    size = SMALLEST + number % SIZES
    head = HEADER + struct.pack("<QI", number, size)
    start = number % 256
    return head + PATTERN[start:start + size - len(head)]


class Wire:
    """Use it in a with statement. Frames that the device has no room for wait;
    some dozen of them count as sent already."""

    def __init__(self, machine):
        self._sock = machine.wire
        self._sock.settimeout(0.1)
        self._thread = None
        self._stop = threading.Event()
        self.sent = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self, per_second):
        """Sends from now on, until stop()."""
        self._stop.clear()
        self._thread = threading.Thread(target=self._send, args=(1 / per_second,), daemon=True)
        self._thread.start()

    def stop(self):
        if self._thread:
            self._stop.set()
            self._thread.join()
            self._thread = None

    def send(self, count):
        """At once."""
        deadline, goal = Deadline(20), self.sent + count
        while self.sent < goal:
            if not self._send_one() and deadline.over:
                raise Timeout(f"the igb takes no more frames than {self.sent}")

    def _send_one(self):
        try:
            self._sock.send(frame(self.sent))
        except TimeoutError:
            return False
        self.sent += 1
        return True

    def _send(self, period):
        next_one = time.monotonic()
        while not self._stop.wait(max(0, next_one - time.monotonic())):
            if self._send_one():
                next_one += period
