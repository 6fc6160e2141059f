# SPDX-License-Identifier: GPL-2.0-or-later
"""initramfs archives (cpio "newc"), the same bytes for the same contents:
sorted, no times, owner root, numbered inodes."""

import stat
from pathlib import PurePosixPath


class Archive:
    def __init__(self):
        self._entries = {}

    def folder(self, path, mode=0o755):
        self._add(path, stat.S_IFDIR | mode, b"")

    def file(self, path, source, mode=0o644):
        """`source` is bytes or the Path of a file."""
        data = source if isinstance(source, bytes) else source.read_bytes()
        self._add(path, stat.S_IFREG | mode, data)

    def link(self, path, target):
        self._add(path, stat.S_IFLNK | 0o777, target.encode())

    def device(self, path, major, minor, mode=0o600):
        self._add(path, stat.S_IFCHR | mode, b"", (major, minor))

    def _add(self, path, mode, data, device=(0, 0)):
        path = PurePosixPath(path.strip("/"))
        for parent in path.parents:
            if parent.name and str(parent) not in self._entries:
                self._entries[str(parent)] = (stat.S_IFDIR | 0o755, b"", (0, 0))
        self._entries[str(path)] = (mode, data, device)

    def write(self, target):
        with open(target, "wb") as out:
            for number, name in enumerate(sorted(self._entries), 1):
                out.write(_record(number, name, *self._entries[name]))
            out.write(_record(0, "TRAILER!!!", 0, b"", (0, 0)))


def _record(inode, name, mode, data, device):
    name = name.encode() + b"\0"
    fields = (inode, mode, 0, 0, 2 if stat.S_ISDIR(mode) else 1, 0, len(data),
              0, 0, device[0], device[1], len(name), 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + name
    return _padded(head) + _padded(data)


def _padded(data):
    return data + b"\0" * (-len(data) % 4)
