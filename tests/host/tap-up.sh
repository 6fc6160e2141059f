#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# QEMU calls this with the name of a guest's new tap.
export PATH=/host:/bin
ip link set "$1" up && bridge join br0 "$1"
