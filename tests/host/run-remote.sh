#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Lets virsh in from outside, as sshd would: libvirt's own helper joins each
# connection with virtqemud's socket. Only the harness gets here, and only when
# the command line says so.
export PATH=/host:/bin:/usr/bin:/usr/sbin
if ! grep -q 'hlu.remote=1' /proc/cmdline || [ ! -x /usr/bin/virt-ssh-helper ]; then
	exec sleep 1000000
fi
# tests/lib/remote.py knows it; guests have those after it
ip addr add 10.0.2.15/24 dev br0 2>/dev/null
exec nc -ll -p 16509 -e virt-ssh-helper qemu:///system 2>>/share/logs/remote.log
