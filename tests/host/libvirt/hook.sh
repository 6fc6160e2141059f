#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# A hook that writes down how it was called, as "DRIVER OBJECT OPERATION SUBOP EXTRA",
# and refuses what /run/hook.refuses names.
driver=${0%.d/*}
driver=${driver##*/}
echo "$driver $1 $2 $3 $4" >>/run/hook.log
if [ "$2/$3" = hypervisor-update/begin ] && grep -qx "$driver" /run/hook.refuses; then
	echo "not today" >&2
	exit 1
fi
