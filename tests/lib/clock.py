# SPDX-License-Identifier: GPL-2.0-or-later
"""Deadlines. HLU_TIME_SCALE stretches all of them on a slow machine."""

import os
import time

SCALE = float(os.environ.get("HLU_TIME_SCALE", "1"))


class Deadline:
    def __init__(self, seconds):
        self.seconds = seconds * SCALE
        self.end = time.monotonic() + self.seconds

    @property
    def left(self):
        return max(0.0, self.end - time.monotonic())

    @property
    def over(self):
        return time.monotonic() >= self.end
