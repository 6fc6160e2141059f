# SPDX-License-Identifier: GPL-2.0-or-later
"""The other end of a guest's TCP connection over its own NIC: bytes that tell
their place go there without end and have to come back. tests/guest/stream.c is the
guest's end.

The emulated host's igb hangs on a network of its own, CABLE, whose gateway is the
harness. That is L0's, so it outlives the host's kernel, as a switch would."""

import selectors
import socket
import threading
import time

CABLE = "user,net=10.0.3.0/24,host=10.0.3.2"
GUEST_SEES = "10.0.3.2"
# bytes on their way at a time, and how often as many as are missing follow
WINDOW, PERIOD = 4096, 0.25
TURN = 256 * 256
PATTERN = bytes((i * 7 + (i >> 8) * 13) & 0xff for i in range(2 * TURN))


class Stream:
    """Use it in a with statement."""

    def __init__(self):
        self.calls = self.lost = self.wrong = self.back = 0
        self.longest_silence = 0.0
        self._sent = 0
        self._sock = None
        self._last = None
        self._server = socket.create_server(("127.0.0.1", 0))
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._server, selectors.EVENT_READ)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()
        if self._sock:
            self._sock.close()
        self._server.close()
        self._selector.close()

    def append(self, ip="10.0.3.16"):
        """For a guest's kernel's command line."""
        return f"hlu.nic_ip={ip} hlu.stream={GUEST_SEES}:{self._server.getsockname()[1]}"

    def _serve(self):
        due = 0.0
        while not self._stop.is_set():
            for key, _ in self._selector.select(PERIOD):
                if key.fileobj is self._server:
                    self._accept()
                else:
                    self._take()
            if self._sock and time.monotonic() >= due:
                due = time.monotonic() + PERIOD
                self._send()

    def _accept(self):
        if self._sock:
            self._drop()
        self._sock, _ = self._server.accept()
        self._sock.setblocking(False)
        self._selector.register(self._sock, selectors.EVENT_READ)
        self.calls += 1
        self._sent = self.back = 0
        self._last = None

    def _send(self):
        start = self._sent % TURN
        room = WINDOW - (self._sent - self.back)
        try:
            self._sent += self._sock.send(PATTERN[start:start + room])
        except BlockingIOError:
            pass
        except OSError:
            self._drop()

    def _take(self):
        try:
            data = self._sock.recv(65536)
        except OSError:
            data = b""
        if not data:
            self._drop()
            return
        now = time.monotonic()
        if self._last:
            self.longest_silence = max(self.longest_silence, now - self._last)
        self._last = now
        start = self.back % TURN
        self.wrong += data != PATTERN[start:start + len(data)]
        self.back += len(data)

    def _drop(self):
        self._selector.unregister(self._sock)
        self._sock.close()
        self._sock = None
        self.lost += 1
