#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# First program of the emulated host: file systems, network. Runs after a kexec
# just as after a power-on; bridge and taps get the same names again.
export PATH=/host:/bin:/usr/bin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs run /run
mount -t tmpfs tmp /tmp
mount -t debugfs debugfs /sys/kernel/debug
mount -t tracefs tracefs /sys/kernel/tracing
mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=loose images /images
mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000 share /share
# As NTP does it on a host. This one loses ticks when it gets too little of its CPU in
# its early boot; the share's files have the time of the machine outside.
echo >/share/clock
date -s "@$(stat -c %Y /share/clock)" >/dev/null
if [ -b /dev/vda ]; then
	mount -t ext4 /dev/vda /disk
fi
mkdir -p /run/vm /run/luod /share/logs /share/vms /share/luod
hostname host

ip link set lo up
bridge add br0
for nic in /sys/class/net/*; do
	driver=$(readlink "$nic/device/driver")
	if [ "${driver##*/}" = virtio_net ]; then
		bridge join br0 "${nic##*/}"
		ip link set "${nic##*/}" up
	fi
done
ip link set br0 up
