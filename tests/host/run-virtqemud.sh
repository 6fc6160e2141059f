#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Keeps virtqemud running on a host that has a disk of its own for it. Like its
# unit (libvirt-hooks/virtqemud.service.d) it comes after luod, and after the
# drivers of the host's devices.
export PATH=/host:/bin:/usr/bin:/usr/sbin
if [ ! -x /usr/sbin/virtqemud ] || [ ! -f /etc/libvirt/qemu.conf ]; then
	exec sleep 1000000
fi
until [ -f /run/restore-vms.done ] && [ -S /run/luod/liveupdate.sock ]; do
	sleep 0.1
done
mkdir -p /run/libvirt
# no modules here, and libvirt wants to know whether one is a driver by VFIO
mkdir -p "/lib/modules/$(uname -r)"
: >"/lib/modules/$(uname -r)/modules.alias"
echo "--- $(uname -r) up $(cut -d' ' -f1 /proc/uptime)" >>/share/logs/virtqemud.log
echo $$ >/run/run-virtqemud.pid
exec virtqemud >>/share/logs/virtqemud.log 2>&1
