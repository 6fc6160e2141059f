# SPDX-License-Identifier: GPL-2.0-or-later
"""virsh on another machine than the host: this one. It gets there through a port of
this machine's loopback that slirp forwards to tests/host/run-remote.sh."""

import os
import shlex
import socket
import subprocess

from lib import paths

HOST, PORT = "10.0.2.15", 16509


class RemoteCommand:
    """What Host.finish() and Host.jump() take for a command of the agent."""

    def __init__(self, url, script, log):
        self.script = f"virsh -c {url} {script}"
        self._log = log
        virsh = paths.built(paths.LIBVIRT / "out/tools/virsh")
        with open(log, "w") as out:
            self._process = subprocess.Popen(
                [virsh, "-c", url, *shlex.split(script)], stdin=subprocess.DEVNULL, stdout=out,
                stderr=subprocess.STDOUT, env={**os.environ, "LC_ALL": "C"})

    @property
    def done(self):
        return self._process.poll() is not None

    @property
    def status(self):
        return self._process.poll()

    @property
    def output(self):
        return self._log.read_text(errors="replace")

    def close(self):
        if not self.done:
            self._process.kill()
        self._process.wait()


class Remote:
    """Use it in a with statement, which ends what was started."""

    def __init__(self):
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        self._commands = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for command in self._commands:
            command.close()

    @property
    def forward(self):
        """For Host.boot()."""
        return f",hostfwd=tcp:127.0.0.1:{self._port}-{HOST}:{PORT}"

    def start(self, host, script):
        command = RemoteCommand(f"qemu+tcp://127.0.0.1:{self._port}/system", script,
                                host.folder / f"virsh-{len(self._commands)}.log")
        self._commands.append(command)
        return command

    def wait(self, host, seconds=60):
        """Until the host lets virsh in."""
        def answers():
            command = self.start(host, "uri")
            return host.finish(command, seconds, None).status == 0
        host.wait(answers, seconds, "a connection from outside", 0.2)
