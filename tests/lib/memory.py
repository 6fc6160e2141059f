# SPDX-License-Identifier: GPL-2.0-or-later
"""Memory for emulated machines: a machine gets what an earlier one has used, with
zeroes in it. Memory that is new to this machine's kernel took 6 % of a scenario's
time, where that kernel runs under a hypervisor itself."""

import errno
import os

SIZE = 1 << 40
KEEP = 1 << 30
PIECE = bytes(1 << 20)
_idle = []


def lend():
    """A file descriptor of a memfd, sparse and larger than any machine's memory."""
    if not _idle:
        fd = os.memfd_create("hlu-memory")
        os.ftruncate(fd, SIZE)
        return fd
    fd = _idle.pop()
    for start, end in _used(fd):
        for offset in range(start, end, len(PIECE)):
            os.pwrite(fd, PIECE[:end - offset], offset)
    return fd


def give_back(fd):
    """Whoever had it must have ended. What was used much of is not worth zeroing, and
    other programs may want that memory."""
    if os.fstat(fd).st_blocks * 512 <= KEEP:
        _idle.append(fd)
    else:
        os.close(fd)


def _used(fd):
    """Pieces of the file that there is memory for."""
    end = 0
    while True:
        try:
            start = os.lseek(fd, end, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:      # nothing behind that
                return
            raise
        end = os.lseek(fd, start, os.SEEK_HOLE)
        yield start, end
