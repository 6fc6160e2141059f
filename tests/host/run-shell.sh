#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The console's shell, for `tests/run --shell` only.
export PATH=/host:/bin:/usr/bin HOME=/root
if ! grep -q 'hlu.shell=1' /proc/cmdline; then
	exec sleep 1000000
fi
cd /root || exit 1
cat <<TEXT

This is the emulated host, $(uname -r).
  vm-run vm1                       starts a guest (also: vm2)
  luoctl load /images/kernel-b --initrd /images/host.cpio
  luoctl update                    replaces this kernel; guests go on
  kexec load /images/kernel-b /images/host.cpio && kexec exec
  poweroff -f                      ends all; so does Ctrl-A X
TEXT
exec sh -i
