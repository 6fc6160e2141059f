// SPDX-License-Identifier: GPL-2.0

/**
 * DOC: Live update faults of devices
 *
 * /sys/kernel/debug/liveupdate/fail_device (0600) takes one line
 *
 *	EVENT DEVICE PART ERRNO
 *
 * such as "reboot 0000:01:00.0 driver 5": the next REBOOT (or "prepare") of that
 * part ("driver" or "bus") of that device fails with that errno, once, in place
 * of its callback. An empty line takes it back. Reading shows what is to come.
 */

#include <linux/cleanup.h>
#include <linux/debugfs.h>
#include <linux/device.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/liveupdate.h>
#include <linux/mutex.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "base.h"
#include "liveupdate.h"

#define DLU_FAULT_LINE	128

struct dlu_fault {
	enum dlu_event event;
	char device[64];
	char part[8];
	unsigned int err;	/* 0: none */
};

static DEFINE_MUTEX(dlu_fault_lock);
static struct dlu_fault dlu_next_fault;

static int dlu_fault_parse(const char *line, struct dlu_fault *fault)
{
	char event[8], rest;

	if (sscanf(line, "%7s %63s %7s %u %c", event, fault->device,
		   fault->part, &fault->err, &rest) != 4)
		return -EINVAL;
	if (strcmp(fault->part, "driver") && strcmp(fault->part, "bus"))
		return -EINVAL;
	if (!fault->err || fault->err > MAX_ERRNO)
		return -EINVAL;

	if (!strcmp(event, "prepare"))
		fault->event = DLU_EVENT_PREPARE;
	else if (!strcmp(event, "reboot"))
		fault->event = DLU_EVENT_REBOOT;
	else
		return -EINVAL;

	return 0;
}

/**
 * dlu_fault_set - Let a part of a device fail.
 * @line: As written to debugfs.
 *
 * Context: Process context.
 * Return: 0 or -EINVAL.
 */
int dlu_fault_set(const char *line)
{
	struct dlu_fault fault = { };
	int err = 0;

	if (*skip_spaces(line))
		err = dlu_fault_parse(line, &fault);
	if (err)
		return err;

	guard(mutex)(&dlu_fault_lock);
	dlu_next_fault = fault;

	return 0;
}

/**
 * dlu_fault - Whether a part of a device shall fail now.
 * @event: The event.
 * @dev:   The device.
 * @part:  "driver" or "bus".
 *
 * Context: Process context.
 * Return: 0, or the errno that somebody asked for.
 */
int dlu_fault(enum dlu_event event, struct device *dev, const char *part)
{
	struct dlu_fault *fault = &dlu_next_fault;

	guard(mutex)(&dlu_fault_lock);
	if (!fault->err || fault->event != event ||
	    strcmp(fault->device, dev_name(dev)) || strcmp(fault->part, part))
		return 0;

	return -(int)xchg(&fault->err, 0);
}

static ssize_t dlu_fault_read(struct file *file, char __user *buf, size_t count,
			      loff_t *pos)
{
	char line[DLU_FAULT_LINE] = "";
	int len = 0;

	scoped_guard(mutex, &dlu_fault_lock) {
		if (dlu_next_fault.err)
			len = scnprintf(line, sizeof(line), "%s %s %s %u\n",
					dlu_event_name(dlu_next_fault.event),
					dlu_next_fault.device,
					dlu_next_fault.part,
					dlu_next_fault.err);
	}

	return simple_read_from_buffer(buf, count, pos, line, len);
}

static ssize_t dlu_fault_write(struct file *file, const char __user *buf,
			       size_t count, loff_t *pos)
{
	char line[DLU_FAULT_LINE] = "";
	int err;

	if (count >= sizeof(line))
		return -EINVAL;
	if (copy_from_user(line, buf, count))
		return -EFAULT;
	err = dlu_fault_set(line);

	return err ?: count;
}

static const struct file_operations dlu_fault_fops = {
	.owner	= THIS_MODULE,
	.open	= simple_open,
	.read	= dlu_fault_read,
	.write	= dlu_fault_write,
	.llseek	= default_llseek,
};

/* After the host state has made the folder. */
static int __init dlu_debugfs_init(void)
{
	struct dentry *dir;

	if (!liveupdate_enabled())
		return 0;

	dir = debugfs_lookup(DLU_GROUP, NULL);
	if (!dir)
		return 0;
	debugfs_create_file("fail_device", 0600, dir, NULL, &dlu_fault_fops);
	dput(dir);

	return 0;
}
late_initcall_sync(dlu_debugfs_init);
