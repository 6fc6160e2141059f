/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VFIO devices whose files are kept over a live update.
 */
#ifndef _LINUX_VFIO_LIVEUPDATE_H
#define _LINUX_VFIO_LIVEUPDATE_H

#include <linux/types.h>

struct file;
struct vfio_device;

#ifdef CONFIG_VFIO_PCI_LIVEUPDATE

/* Inside of drivers/vfio */
bool vfio_liveupdate_waits(struct vfio_device *device);
int vfio_liveupdate_may_open(struct vfio_device *device);
int vfio_liveupdate_may_detach(struct vfio_device *device);

/* For drivers that have a file handler */
struct vfio_device *vfio_liveupdate_device(struct file *file);
int vfio_liveupdate_check_file(struct file *file);
struct file *vfio_liveupdate_create_file(struct vfio_device *device);

#else /* CONFIG_VFIO_PCI_LIVEUPDATE */

static inline bool vfio_liveupdate_waits(struct vfio_device *device)
{
	return false;
}

static inline int vfio_liveupdate_may_open(struct vfio_device *device)
{
	return 0;
}

static inline int vfio_liveupdate_may_detach(struct vfio_device *device)
{
	return 0;
}

#endif /* CONFIG_VFIO_PCI_LIVEUPDATE */
#endif /* _LINUX_VFIO_LIVEUPDATE_H */
