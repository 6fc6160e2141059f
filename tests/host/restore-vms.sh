#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# After an update: every VM whose arguments are on the share comes back, its
# state taken from its session. A host's service for VMs would do this.
export PATH=/host:/bin:/usr/bin
trap 'touch /run/restore-vms.done' EXIT
[ "$(cat /sys/kernel/liveupdate/state 2>/dev/null)" = updated ] || exit 0
grep -q 'hlu.restore=0' /proc/cmdline && exit 0
# Functions whose driver does not come by itself, a PF before its VFs: lines of
# "ADDRESS DRIVER". A function that came through the update waits for that driver.
if [ -f /share/vms/drivers ]; then
	while read -r address driver; do
		device=/sys/bus/pci/devices/$address
		# one that did not come through the update may be taken already
		now=$(readlink "$device/driver" || true)
		if [ -n "$now" ] && [ "${now##*/}" != "$driver" ]; then
			echo "$address" >"$device/driver/unbind"
		fi
		echo "$driver" >"$device/driver_override"
		echo "$address" >/sys/bus/pci/drivers_probe
	done </share/vms/drivers
fi
for args in /share/vms/*.args; do
	[ -f "$args" ] || continue
	name=${args##*/}
	vm-run "${name%.args}" incoming
done
