# SPDX-License-Identifier: GPL-2.0-or-later
"""A PCI device as the running kernel shows it in sysfs."""

import errno
import os

from lib.outcome import check, equal

PCI = "/sys/bus/pci"


class Device:
    """Named by its address, 0000:04:00.0. Whether it is there is asked each
    time: kernels and cards come and go."""

    def __init__(self, host, address):
        self.host = host
        self.address = address
        self.path = f"{PCI}/devices/{address}"

    def __repr__(self):
        return self.address

    @property
    def there(self):
        return self.host.run(f"test -e {self.path} && echo yes || true").strip() == "yes"

    def read(self, attribute):
        return self.host.run(f"cat {self.path}/{attribute}").strip()

    def write(self, attribute, value):
        self.host.run(f"echo '{value}' >{self.path}/{attribute}", 60)

    def refuses(self, attribute, value, number=errno.EBUSY):
        """A write that has to fail with that errno and a message that names
        the device; returns the message."""
        return refused(self.host, f"echo '{value}' >{self.path}/{attribute}",
                       self.address, number)

    # --- live update

    def request(self, on=True):
        self.write("liveupdate/requested", int(on))

    @property
    def marks(self):
        """requested, preserved, reclaimed"""
        return tuple(int(value) for value in self.host.run(
            f"cd {self.path}/liveupdate && cat requested preserved reclaimed").split())

    @property
    def preserved(self):
        return self.marks[1] == 1

    @property
    def blocked_by(self):
        return self.read("liveupdate/blocked_by")

    # --- drivers

    @property
    def driver(self):
        """Its name, or ""."""
        return self.host.run(f"readlink {self.path}/driver || true").strip().rpartition("/")[2]

    def unbind(self):
        self.host.run(f"echo {self.address} >{self.path}/driver/unbind")

    def take(self, driver):
        """Gives it to a driver, whatever its id table says."""
        if self.driver:
            self.unbind()
        self.write("driver_override", driver)
        self.host.run(f"echo {self.address} >{PCI}/drivers_probe")
        equal(self.driver, driver, f"driver of {self.address}")


def refused(host, script, name, number=errno.EBUSY):
    """Runs what the kernel has to refuse with that errno and a message about
    `name`; returns the message."""
    mark = host.console.mark
    said = host.fails(script, 60)
    check(os.strerror(number) in said, f"{errno.errorcode[number]} for `{script}`: {said}")
    return message(host, mark, name)


def message(host, mark, *words, seconds=10):
    """The kernel's first line since `mark` that has all these words."""
    def found():
        for line in host.console.since(mark).splitlines():
            if all(word in line for word in words):
                return line.partition("] ")[2]
        return None

    return host.wait(found, seconds, f"kernel message with {' and '.join(words)}")
