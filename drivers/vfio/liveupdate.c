// SPDX-License-Identifier: GPL-2.0-only

/**
 * DOC: VFIO files in a live update
 *
 * A device file can be preserved in a session when it is that of the device's
 * cdev and is bound to an iommufd. What is behind it is kept by its driver, see
 * drivers/vfio/pci/vfio_pci_liveupdate.c.
 *
 * In the incoming kernel a device that was open waits for its user: nobody
 * else can open its cdev, or get it of its group. Its driver makes the file for
 * the session (vfio_liveupdate_create_file()). That file is like one that was
 * opened at the cdev: it grants nothing until it is bound to an iommufd. To have
 * it is to be the former user, so that it needs no VF token. The device waits no
 * longer when its driver has reclaimed it, or when the update is finished.
 *
 * Unhappy paths: the device is lost, or nobody retrieves its file: it can be
 * opened when the host has finished the update, which resets it before.
 *
 * Locking: none of its own.
 */

#include <linux/anon_inodes.h>
#include <linux/dev_liveupdate.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/vfio.h>
#include <linux/vfio_liveupdate.h>

#include "vfio.h"

/**
 * vfio_liveupdate_waits() - Whether a device waits for the user that it had
 * @device: The device
 *
 * Context: Any
 * Return: Whether it does
 */
bool vfio_liveupdate_waits(struct vfio_device *device)
{
	return dev_liveupdate_incoming(device->dev) &&
	       !dev_liveupdate_reclaimed(device->dev);
}

/**
 * vfio_liveupdate_may_open() - Whether a device can be opened
 * @device: The device
 *
 * Context: Any
 * Return: 0, or -EBUSY after a message
 */
int vfio_liveupdate_may_open(struct vfio_device *device)
{
	if (!vfio_liveupdate_waits(device))
		return 0;

	dev_warn_ratelimited(device->dev,
			     "waits for the user that it had before a live update: retrieve its file from its session, or finish the update first\n");
	return -EBUSY;
}

/**
 * vfio_liveupdate_may_detach() - Whether a device can lose its page table
 * @device: The device
 *
 * Not between prepare and the jump: its IOMMU's entry has been recorded.
 *
 * Context: dev_set->lock is held
 * Return: 0, or -EBUSY after a message
 */
int vfio_liveupdate_may_detach(struct vfio_device *device)
{
	if (dev_liveupdate_incoming(device->dev))
		return 0;
	return dev_liveupdate_busy(device->dev);
}

/**
 * vfio_liveupdate_device() - The device of a file
 * @file: Any file
 *
 * Context: Any
 * Return: The device, which is there as long as the file is; NULL when @file is
 *         not that of a VFIO device
 */
struct vfio_device *vfio_liveupdate_device(struct file *file)
{
	struct vfio_device_file *df = file->private_data;

	return file->f_op == &vfio_device_fops ? df->device : NULL;
}
EXPORT_SYMBOL_GPL(vfio_liveupdate_device);

/**
 * vfio_liveupdate_check_file() - Whether a file can stand for its device
 * @file: The file of a VFIO device
 *
 * Context: dev_set->lock is held
 * Return: 0; -EINVAL when it was got of a group; -ENODEV when no IOMMU is
 *         behind it; -ENOTCONN when it is not bound to an iommufd
 */
int vfio_liveupdate_check_file(struct file *file)
{
	struct vfio_device_file *df = file->private_data;

	lockdep_assert_held(&df->device->dev_set->lock);
	if (df->group)
		return -EINVAL;
	if (vfio_device_is_noiommu(df->device))
		return -ENODEV;
	return df->access_granted ? 0 : -ENOTCONN;
}
EXPORT_SYMBOL_GPL(vfio_liveupdate_check_file);

/**
 * vfio_liveupdate_create_file() - Make a file as open() of the cdev does
 * @device: The device
 *
 * Context: Process context. The caller keeps @device registered.
 * Return: The file, or an ERR_PTR: -ENODEV when the device goes away; -ENOMEM
 */
struct file *vfio_liveupdate_create_file(struct vfio_device *device)
{
	struct vfio_device_file *df;
	struct file *file;

	/* Paired with the put in vfio_device_fops_release() */
	if (!vfio_device_try_get_registration(device))
		return ERR_PTR(-ENODEV);

	df = vfio_allocate_device_file(device);
	if (IS_ERR(df)) {
		file = ERR_CAST(df);
		goto err_put_registration;
	}

	file = anon_inode_getfile_fmode("[vfio-device]", &vfio_device_fops, df,
					O_RDWR, FMODE_PREAD | FMODE_PWRITE);
	if (IS_ERR(file))
		goto err_free;

	/* All mmaps of the device have one address space */
	file->f_mapping = device->inode->i_mapping;
	return file;

err_free:
	kfree(df);
err_put_registration:
	vfio_device_put_registration(device);
	return file;
}
EXPORT_SYMBOL_GPL(vfio_liveupdate_create_file);
