# SPDX-License-Identifier: GPL-2.0-or-later
"""A slow client of luod (tests/host/holdup.c): stops an update at a phase."""


class Holdup:
    """Subscribed as `name` from its making; holds START_PRESERVATION and
    FREEZE until told."""

    def __init__(self, host, name="holdup"):
        self.host = host
        self.name = name
        self._path = f"/run/holdup/{name}"
        self._pid = f"$(cat /run/{name}.pid)"
        host.run(f"rm -f {self._path} {self._path}.*; holdup {name} </dev/null "
                 f">/share/logs/{name}.log 2>&1 & echo $! >/run/{name}.pid")
        self.wait("ok")

    @property
    def notes(self):
        return self.host.run(f"cat {self._path} 2>/dev/null || true").splitlines()

    def wait(self, event, seconds=60):
        self.host.wait(lambda: event in self.notes, seconds,
                       f"{event} at the client {self.name}", 0.1)

    def go(self, event):
        self.host.run(f"touch {self._path}.{event}.go")

    def fail(self, event):
        self.host.run(f"touch {self._path}.{event}.fail")

    def signal(self, name):
        self.host.run(f"kill -{name} {self._pid}")

    def leave(self):
        """Whether it runs, is stopped or is gone."""
        self.host.run(f"kill {self._pid}; kill -CONT {self._pid}; "
                      f"rm -f {self._path} {self._path}.*")
