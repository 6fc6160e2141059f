// SPDX-License-Identifier: GPL-2.0

/**
 * DOC: Live update sysfs
 *
 * /sys/kernel/liveupdate/{state,prepare,finish,timeline}; for what they take
 * and give see Documentation/ABI/testing/sysfs-kernel-liveupdate.
 *
 * A write needs CAP_SYS_ADMIN in the initial user namespace, whatever the
 * file's mode says: modes can be changed, and containers mount sysfs.
 *
 * Bad input is -EINVAL, a right write at the wrong time is -EBUSY and changes
 * nothing.
 */

#include <linux/capability.h>
#include <linux/cleanup.h>
#include <linux/errno.h>
#include <linux/init.h>
#include <linux/kobject.h>
#include <linux/liveupdate.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "luo_host.h"

/* Room for a full timeline: a head line and one line for each stamp. */
#define LUO_TIMELINE_TEXT	(32 + LUO_TIMELINE_MAX_STAMPS * 64)

static ssize_t state_show(struct kobject *kobj, struct kobj_attribute *attr,
			  char *buf)
{
	return sysfs_emit(buf, "%s\n", luo_host_state_name(liveupdate_state()));
}

static struct kobj_attribute state_attr = __ATTR_RO(state);

/* What was written: one digit, with or without a newline. */
static int luo_sysfs_digit(const char *buf)
{
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (sysfs_streq(buf, "1"))
		return 1;
	if (sysfs_streq(buf, "0"))
		return 0;

	return -EINVAL;
}

static ssize_t prepare_store(struct kobject *kobj, struct kobj_attribute *attr,
			     const char *buf, size_t len)
{
	int err = luo_sysfs_digit(buf);

	if (err < 0)
		return err;

	err = err ? luo_host_prepare(&luo_host) : luo_host_cancel(&luo_host);

	return err ?: len;
}

static struct kobj_attribute prepare_attr = __ATTR(prepare, 0200, NULL,
						   prepare_store);

static ssize_t finish_store(struct kobject *kobj, struct kobj_attribute *attr,
			    const char *buf, size_t len)
{
	int err = luo_sysfs_digit(buf);

	if (err < 0)
		return err;
	if (!err)
		return -EINVAL;

	err = luo_host_finish(&luo_host);

	return err ?: len;
}

static struct kobj_attribute finish_attr = __ATTR(finish, 0200, NULL,
						  finish_store);

static ssize_t timeline_read(struct file *file, struct kobject *kobj,
			     const struct bin_attribute *attr, char *buf,
			     loff_t off, size_t count)
{
	char *text __free(kfree) = kmalloc(LUO_TIMELINE_TEXT, GFP_KERNEL);
	ssize_t len;

	if (!text)
		return -ENOMEM;
	len = luo_timeline_print(text, LUO_TIMELINE_TEXT);

	return memory_read_from_buffer(buf, count, &off, text, len);
}

static int luo_sysfs_begin(void)
{
	if (liveupdate_state() != LIVEUPDATE_STATE_NORMAL)
		return -EBUSY;

	return luo_timeline_begin();
}

static ssize_t timeline_write(struct file *file, struct kobject *kobj,
			      const struct bin_attribute *attr, char *buf,
			      loff_t off, size_t count)
{
	/* a name, a blank, a number of 20 digits, a newline, the NUL */
	char line[LUO_STAMP_NAME_LEN + 24];
	int err;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (off || count >= sizeof(line))
		return -EINVAL;

	memcpy(line, buf, count);
	line[count] = '\0';
	if (sysfs_streq(line, "begin"))
		err = luo_sysfs_begin();
	else
		err = luo_timeline_parse(line);

	return err ?: count;
}

static const BIN_ATTR(timeline, 0600, timeline_read, timeline_write, 0);

static const struct attribute * const luo_sysfs_attrs[] = {
	&state_attr.attr,
	&prepare_attr.attr,
	&finish_attr.attr,
	NULL,
};

static int __init luo_sysfs_init(void)
{
	struct kobject *kobj;
	int err;

	/* without a page to hand over there is nothing to control */
	if (!liveupdate_enabled() || !luo_host.out)
		return 0;

	kobj = kobject_create_and_add("liveupdate", kernel_kobj);
	if (!kobj)
		return -ENOMEM;

	err = sysfs_create_files(kobj, luo_sysfs_attrs);
	if (!err)
		err = sysfs_create_bin_file(kobj, &bin_attr_timeline);
	if (err) {
		kobject_put(kobj);
		return err;
	}

	scoped_guard(rwsem_write, &luo_host.rwsem)
		luo_host.kobj = kobj;

	return 0;
}
late_initcall(luo_sysfs_init);
