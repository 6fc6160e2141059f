// SPDX-License-Identifier: GPL-2.0

/**
 * DOC: Live update sysfs of devices
 *
 * /sys/devices/.../liveupdate/{requested,preserved,reclaimed,blocked_by}, on
 * devices whose bus takes part and on no others; for what they take and give see
 * Documentation/ABI/testing/sysfs-devices-liveupdate.
 *
 * A write needs CAP_SYS_ADMIN in the initial user namespace, whatever the
 * file's mode and owner say. device_change_owner() does not know of this group,
 * so the files stay with the initial root anyway.
 *
 * Bad input is -EINVAL, a right write at the wrong time is -EBUSY; a refusal
 * changes nothing.
 *
 * Locking: what looks at other devices takes their locks, and who holds such a
 * lock may be removing this device and waiting for its files to be left (a PF
 * that takes its VFs away). So the active reference is given back first.
 */

#include <linux/capability.h>
#include <linux/device.h>
#include <linux/err.h>
#include <linux/kernfs.h>
#include <linux/liveupdate.h>
#include <linux/liveupdate_host.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "base.h"
#include "liveupdate.h"

/* From here on the device may be removed; a reference keeps its memory. */
static struct kernfs_node *dlu_sysfs_leave(struct device *dev,
					   const struct device_attribute *attr)
{
	struct kernfs_node *dir, *file;

	dir = kernfs_find_and_get(dev->kobj.sd, DLU_GROUP);
	if (!dir)
		return NULL;
	file = kernfs_find_and_get(dir, attr->attr.name);
	kernfs_put(dir);
	if (!file)
		return NULL;

	get_device(dev);
	kernfs_break_active_protection(file);

	return file;
}

static void dlu_sysfs_return(struct device *dev, struct kernfs_node *file)
{
	kernfs_unbreak_active_protection(file);
	kernfs_put(file);
	put_device(dev);
}

static ssize_t requested_show(struct device *dev,
			      struct device_attribute *attr, char *buf)
{
	struct dev_liveupdate *lu = dlu_state(dev);
	bool requested = lu && test_bit(DLU_REQUESTED, &lu->flags);

	return sysfs_emit(buf, "%d\n", requested);
}

static int dlu_set_requested(struct device *dev, bool on)
{
	int err = liveupdate_state_hold();

	if (err)
		return err;
	if (liveupdate_state() != LIVEUPDATE_STATE_NORMAL)
		err = -EBUSY;
	else if (on)
		err = dlu_request(dev);
	else
		dlu_withdraw(dev);
	liveupdate_state_release();

	return err;
}

static ssize_t requested_store(struct device *dev,
			       struct device_attribute *attr, const char *buf,
			       size_t count)
{
	struct kernfs_node *file;
	bool on;
	int err;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (!sysfs_streq(buf, "0") && !sysfs_streq(buf, "1"))
		return -EINVAL;
	on = buf[0] == '1';

	file = dlu_sysfs_leave(dev, attr);
	if (!file)
		return -ENODEV;
	err = dlu_set_requested(dev, on);
	dlu_sysfs_return(dev, file);

	return err ?: count;
}
static DEVICE_ATTR_RW(requested);

static ssize_t preserved_show(struct device *dev,
			      struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%d\n", dev_liveupdate_preserved(dev));
}
static DEVICE_ATTR_RO(preserved);

static ssize_t reclaimed_show(struct device *dev,
			      struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%d\n", dev_liveupdate_reclaimed(dev));
}
static DEVICE_ATTR_RO(reclaimed);

static ssize_t blocked_by_show(struct device *dev,
			       struct device_attribute *attr, char *buf)
{
	struct kernfs_node *file = dlu_sysfs_leave(dev, attr);
	struct dlu_why why;
	int err;

	if (!file)
		return -ENODEV;
	err = dlu_possible(dev, &why);
	dlu_sysfs_return(dev, file);

	return err ? sysfs_emit(buf, "%s\n", why.text) : 0;
}
static DEVICE_ATTR_RO(blocked_by);

static struct attribute *dlu_attrs[] = {
	&dev_attr_requested.attr,
	&dev_attr_preserved.attr,
	&dev_attr_reclaimed.attr,
	&dev_attr_blocked_by.attr,
	NULL,
};

static const struct attribute_group dlu_group = {
	.name = DLU_GROUP,
	.attrs = dlu_attrs,
};

static bool dlu_sysfs_wanted(struct device *dev)
{
	return liveupdate_enabled() && dlu_takes_part(dev);
}

/**
 * dev_liveupdate_sysfs_add - Make the attributes of a device.
 * @dev: The device.
 *
 * Context: device_add().
 * Return: 0 or an errno.
 */
int dev_liveupdate_sysfs_add(struct device *dev)
{
	return dlu_sysfs_wanted(dev) ? device_add_group(dev, &dlu_group) : 0;
}

/**
 * dev_liveupdate_sysfs_remove - Remove the attributes of a device.
 * @dev: The device.
 *
 * Context: device_del().
 */
void dev_liveupdate_sysfs_remove(struct device *dev)
{
	if (dlu_sysfs_wanted(dev))
		device_remove_group(dev, &dlu_group);
}
