#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# vm-run NAME [incoming]: starts the QEMU of /share/vms/NAME.args, an argument
# a line, and its client of luod. "incoming" takes the guest of the last update.
# /share/vms/NAME.memlock limits what that QEMU may lock, in KiB.
#
# All vCPUs of all VMs on one CPU: the emulator corrupts state when two CPUs of
# this host are in guest mode at the same time (docs/testing.md).
set -eu
name=$1
mode=${2:-}
log=/share/logs/$name
set --
while IFS= read -r arg; do
	set -- "$@" "$arg"
done <"/share/vms/$name.args"
if [ "$mode" = incoming ]; then
	set -- "$@" -incoming "liveupdate:$name"
fi
rm -f "/run/vm/$name.qmp" "/run/vm/$name.monitor"
echo "--- $(uname -r) $mode" >>"$log.qemu.log"
set -- qemu-system-x86_64 "$@"
if [ -f "/share/vms/$name.memlock" ]; then
	set -- limit run "$(cat "/share/vms/$name.memlock")" "$@"
fi
setsid taskset 2 "$@" >>"$log.qemu.log" 2>&1 </dev/null &
echo $! >"/run/vm/$name.pid"
if [ -x /usr/bin/luoctl ] && ! grep -q 'hlu.luod=0' /proc/cmdline; then
	echo "--- $(uname -r) $mode" >>"$log.attach.log"
	setsid luoctl attach --id "$name" --qmp "/run/vm/$name.qmp" \
		>>"$log.attach.log" 2>&1 </dev/null &
	echo $! >"/run/vm/$name.attach.pid"
fi
