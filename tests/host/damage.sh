#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# damage NAME: overwrites the start of what the QEMU of that VM saves for a live
# update, once /run/damage says "now"; it says "ready" before, and "done" after. QEMU
# closes the file when all is saved, so it is opened here before that.
set -eu
for file in "/proc/$(cat "/run/vm/$1.pid")/fd/"*; do
	case $(readlink "$file") in
	/memfd:liveupdate-stream*) exec 9<>"$file" ;;
	esac
done
echo ready >/run/damage
until [ "$(cat /run/damage)" = now ]; do
	sleep 0.1
done
dd if=/dev/zero of=/proc/self/fd/9 bs=64 count=1 conv=notrunc
echo "done" >/run/damage
