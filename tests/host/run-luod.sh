#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Keeps luod running, as a service manager would. /share/luod.env, one
# NAME=VALUE a line, is for the next start only.
export PATH=/host:/bin:/usr/bin
if [ ! -x /usr/bin/luod ] || grep -q 'hlu.luod=0' /proc/cmdline; then
	exec sleep 1000000
fi
if [ -f /share/luod.env ]; then
	while read -r setting; do
		export "${setting?}"
	done </share/luod.env
	rm /share/luod.env
fi
# virtqemud asks QEMU first what that can do: slow in an emulator
if [ -f /etc/libvirt/qemu.conf ]; then
	LUOD_OPTIONS="--claim-timeout 300 ${LUOD_OPTIONS:-}"
fi
echo "--- $(uname -r) up $(cut -d' ' -f1 /proc/uptime)" >>/share/logs/luod.log
# shellcheck disable=SC2086 # one word for each option
exec luod ${LUOD_OPTIONS:-} >>/share/logs/luod.log 2>&1
