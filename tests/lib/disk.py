# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest's disk: a file that the host has from outside, so that it outlives the
host's kernel. tests/guest/disk.c writes it, block after block, round after round."""

import struct

from lib.outcome import check, equal

BLOCK, BLOCKS = 4096, 32
WORDS = BLOCK // 8


def make(path):
    with open(path, "wb") as file:
        file.truncate(BLOCK * BLOCKS)
    return path


def arguments(path):
    """For QEMU in the host."""
    return ["-drive", f"id=disk,if=none,format=raw,file={path}",
            "-device", "virtio-blk-pci,drive=disk"]


def check_file(path):
    """Each block is whole and of the last round or the one before; returns the
    last round. The guest stands still or is in the middle of one."""
    rounds = []
    for number, words in enumerate(struct.iter_unpack(f"<{WORDS}Q", path.read_bytes())):
        turn = words[0] >> 16 & 0xffffffff
        equal(words, tuple(number << 48 | turn << 16 | at for at in range(WORDS)),
              f"block {number} of {path.name}")
        rounds.append(turn)
    check(rounds[0] - rounds[-1] in (0, 1) and rounds == sorted(rounds, reverse=True),
          f"rounds of the blocks in order: {rounds}")
    return rounds[0]
