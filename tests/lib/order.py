# SPDX-License-Identifier: GPL-2.0-or-later
"""In which order the kernel calls drivers and buses of preserved devices, as
its tracepoint liveupdate_device tells, and how to make one of them fail."""

import errno
import re
from typing import NamedTuple

TRACING = "/sys/kernel/tracing"
EVENT = f"{TRACING}/events/liveupdate/liveupdate_device"
FAULT = "/sys/kernel/debug/liveupdate/fail_device"
LINE = re.compile(r"liveupdate_device: (?P<event>\w+) (?P<device>\S+) "
                  r"(?P<part>driver|bus) err=(?P<error>-?\d+)$")

# one after the other, so that no error is taken for that of another try
ERRORS = (errno.EIO, errno.ENOMEM, errno.ETIMEDOUT, errno.EPROTO, errno.ENOSPC,
          errno.EREMOTEIO, errno.ENODATA)


class Call(NamedTuple):
    device: str
    part: str

    def __repr__(self):
        return f"{self.device} {self.part}"


class Order:
    def __init__(self, host):
        self.host = host
        host.run(f"echo 1 >{EVENT}/enable")
        self.clear()

    def clear(self):
        self.host.run(f"echo >{TRACING}/trace")

    def of(self, update):
        """The calls of an update in which nothing fails."""
        self.clear()
        update.prepare()
        update.dry_run()
        return Baseline(*(self.calls(event) for event in ("prepare", "reboot", "cancel")))

    def calls(self, event):
        """All calls of one event since the last clear(), the one that failed
        included."""
        found = (LINE.search(line.rstrip())
                 for line in self.host.run(f"cat {TRACING}/trace").splitlines())
        return [Call(line["device"], line["part"])
                for line in found if line and line["event"] == event]


def inject(host, event, call, number):
    """The next such call fails, once."""
    host.run(f"echo '{event} {call.device} {call.part} {number}' >{FAULT}")


def error_for(attempt):
    return ERRORS[attempt % len(ERRORS)]


def devices(calls):
    """The devices in the order of their first call."""
    return list(dict.fromkeys(call.device for call in calls))


class Baseline(NamedTuple):
    """All calls of an update that was prepared, frozen and cancelled."""

    prepare: list
    reboot: list
    cancel: list

    @property
    def parts(self):
        """Everything that can be made to fail."""
        return [Call(device, part) for device in devices(self.prepare)
                for part in ("driver", "bus")]

    def before(self, failed, calls):
        """Those of `calls` that come before `failed`, or are its undoing."""
        order = devices(self.prepare)
        earlier = order[:order.index(failed.device)]
        own = [Call(failed.device, "driver")] if failed.part == "bus" else []
        return [call for call in calls if call.device in earlier or call in own]
