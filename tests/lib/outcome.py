# SPDX-License-Identifier: GPL-2.0-or-later
"""How a scenario can end other than well."""


class Failed(Exception):
    """What the scenario promises does not hold."""


class Timeout(Failed):
    """Something did not happen in its time."""


class CommandFailed(Failed):
    """A command in the host ended with a status that was not asked for."""

    def __init__(self, script, status, output):
        super().__init__(f"`{script}` ended with {status}:\n{output.strip()[-2000:]}")
        self.status = status
        self.output = output


class HostDied(Failed):
    """The host's kernel crashed or its machine went away."""


class EmulatorFault(Failed):
    """A death with the signature of the known fault of QEMU's TCG; see
    docs/testing.md. Counted apart, and never retried."""


class Skip(Exception):
    """This machine cannot run the scenario."""


def check(holds, what):
    """The one assertion of scenarios; `what` says what should have been."""
    if not holds:
        raise Failed(what)


def equal(found, expected, what):
    if found != expected:
        raise Failed(f"{what}: {found!r}, expected {expected!r}")
