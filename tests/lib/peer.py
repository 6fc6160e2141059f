# SPDX-License-Identifier: GPL-2.0-or-later
"""The world outside the host: a TCP server on loopback that guests reach as
10.0.2.2 and that asks them, five times a second, how they are.

tests/guest/workload.c is the other end."""

import selectors
import socket
import threading
import time
from dataclasses import dataclass, field

PERIOD = 0.2
GUEST_SEES = "10.0.2.2"
SETTLE = 5      # answers before the guest's clock is set, once


@dataclass
class Answer:
    """One exchange. Times are this process's; values are the guest's."""
    sent: float             # time.monotonic()
    received: float
    real_us: int            # time.time() when received
    values: dict

    @property
    def round_trip(self):
        return self.received - self.sent

    @property
    def clock_error_us(self):
        """The guest's clock minus ours, right within half a round trip."""
        return self.values["real_us"] - (self.real_us - self.round_trip * 5e5)


@dataclass
class Line:
    """What is known of one guest."""
    name: str
    hellos: list = field(default_factory=list)      # (boot id, release)
    answers: list = field(default_factory=list)
    problems: list = field(default_factory=list)    # (time.monotonic(), text)
    lost: int = 0           # connections that ended
    out_of_order: int = 0

    @property
    def last(self):
        return self.answers[-1] if self.answers else None

    def after(self, moment):
        return [answer for answer in self.answers if answer.sent > moment]


class _Connection:
    def __init__(self, sock):
        self.sock = sock
        self.buffer = b""
        self.line = None
        self.sequence = 0
        self.asked = None       # when the request now open was sent
        self.next = 0.0
        self.adjusted = False
        self.settling = []


class Peer:
    def __init__(self, log):
        """`log` is a file that gets all that guests say, for a look afterwards."""
        self._log = open(log, "w", buffering=1)
        self._lines = {}
        self._connections = {}
        self._lock = threading.Lock()
        self._selector = selectors.DefaultSelector()
        self._server = socket.create_server(("127.0.0.1", 0))
        self._server.setblocking(False)
        self.port = self._server.getsockname()[1]
        self._selector.register(self._server, selectors.EVENT_READ)
        self._stop = False
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def address(self):
        return f"{GUEST_SEES}:{self.port}"

    def line(self, name):
        with self._lock:
            return self._lines.setdefault(name, Line(name))

    def new_line(self, name):
        """Forgets an earlier guest of that name."""
        with self._lock:
            line = self._lines[name] = Line(name)
            return line

    def say(self, name, text):
        """To the guest of that name, between two requests or in the middle of one."""
        for connection in list(self._connections.values()):
            if connection.line is self._lines[name]:
                self._send(connection, f"{text}\n")

    def close(self):
        self._stop = True
        self._thread.join(5)
        for connection in list(self._connections.values()):
            connection.sock.close()
        self._server.close()
        self._selector.close()
        self._log.close()

    def _serve(self):
        while not self._stop:
            for key, _ in self._selector.select(PERIOD / 4):
                if key.fileobj is self._server:
                    self._accept()
                else:
                    self._read(key.data)
            now = time.monotonic()
            for connection in list(self._connections.values()):
                if connection.line and connection.asked is None and now >= connection.next:
                    self._ask(connection)

    def _accept(self):
        sock, _ = self._server.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = _Connection(sock)
        self._connections[sock] = connection
        self._selector.register(sock, selectors.EVENT_READ, connection)

    def _send(self, connection, text):
        try:
            connection.sock.sendall(text.encode())
        except OSError:
            self._drop(connection)

    def _ask(self, connection):
        connection.sequence += 1
        connection.asked = time.monotonic()
        self._send(connection, f"ping {connection.sequence}\n")

    def _read(self, connection):
        try:
            data = connection.sock.recv(65536)
        except OSError:
            data = b""
        if not data:
            self._drop(connection)
            return
        *lines, connection.buffer = (connection.buffer + data).split(b"\n")
        for text in lines:
            self._take(connection, text.decode(errors="replace"))

    def _take(self, connection, text):
        name = connection.line.name if connection.line else "?"
        self._log.write(f"{time.time():.3f} {name} {text}\n")
        word, _, rest = text.partition(" ")
        if word == "hello":
            name, boot_id, release = rest.split()
            connection.line = self.line(name)
            connection.line.hellos.append((boot_id, release))
            # a guest that only lost its connection has its clock already
            connection.adjusted = len(connection.line.hellos) > 1
        elif word == "problem" and connection.line:
            connection.line.problems.append((time.monotonic(), rest))
        elif word == "pong" and connection.line:
            self._take_answer(connection, rest)

    def _take_answer(self, connection, rest):
        values = {key: int(value) for key, value in
                  (item.split("=") for item in rest.split())}
        now = time.monotonic()
        if connection.asked is None or values["seq"] != connection.sequence:
            connection.line.out_of_order += 1
            return
        answer = Answer(connection.asked, now, int(time.time() * 1e6), values)
        connection.asked = None
        connection.next = now + PERIOD
        if connection.adjusted:
            connection.line.answers.append(answer)
            return
        # the guest booted with a clock of whole seconds: set it before it counts
        connection.settling.append(answer)
        if len(connection.settling) == SETTLE:
            best = min(connection.settling, key=lambda a: a.round_trip)
            self._send(connection, f"adjust {-int(best.clock_error_us)}\n")
            connection.adjusted = True

    def _drop(self, connection):
        if connection.sock in self._connections:
            del self._connections[connection.sock]
            self._selector.unregister(connection.sock)
            connection.sock.close()
            if connection.line:
                connection.line.lost += 1
