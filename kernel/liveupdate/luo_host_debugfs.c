// SPDX-License-Identifier: GPL-2.0

/**
 * DOC: Live update debugfs
 *
 * /sys/kernel/debug/liveupdate/dry_run (0200): writing 1 in state prepared
 * freezes every subsystem and every file as reboot(2) would, verifies the
 * handover page, and brings all back as a failed reboot(2) would. Guests must
 * be stopped by their owner, as before a real update. The write returns the
 * errno of what refused; the state is normal afterwards.
 */

#include <linux/debugfs.h>
#include <linux/errno.h>
#include <linux/init.h>

#include "luo_host.h"

static int luo_dry_run_set(void *data, u64 val)
{
	return val == 1 ? luo_host_dry_run(&luo_host) : -EINVAL;
}
DEFINE_DEBUGFS_ATTRIBUTE(luo_dry_run_fops, NULL, luo_dry_run_set, "%llu\n");

/**
 * luo_host_debugfs_init - Make the debugfs folder.
 *
 * Context: Late initcall.
 */
void __init luo_host_debugfs_init(void)
{
	struct dentry *dir = debugfs_create_dir("liveupdate", NULL);

	debugfs_create_file_unsafe("dry_run", 0200, dir, NULL,
				   &luo_dry_run_fops);
}
