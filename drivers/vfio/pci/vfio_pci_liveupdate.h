/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Live updates of vfio-pci, inside of drivers/vfio/pci.
 */
#ifndef VFIO_PCI_LIVEUPDATE_H
#define VFIO_PCI_LIVEUPDATE_H

#include <linux/errno.h>
#include <linux/kho/abi/vfio_pci.h>
#include <linux/types.h>

struct dev_liveupdate_cbs;
struct liveupdate_file_op_args;
struct vfio_info_cap;
struct vfio_pci_core_device;

#ifdef CONFIG_VFIO_PCI_LIVEUPDATE

/* For drivers: vfio_pci_liveupdate.c */
extern const struct dev_liveupdate_cbs vfio_pci_liveupdate_cbs;
#define VFIO_PCI_LIVEUPDATE_CBS		(&vfio_pci_liveupdate_cbs)
void vfio_pci_liveupdate_probe(struct vfio_pci_core_device *vdev);
void vfio_pci_liveupdate_registered(struct vfio_pci_core_device *vdev);
void vfio_pci_liveupdate_forget(struct vfio_pci_core_device *vdev);
int vfio_pci_liveupdate_may_enable(struct vfio_pci_core_device *vdev);
void vfio_pci_liveupdate_close(struct vfio_pci_core_device *vdev);

/* For drivers: vfio_pci_liveupdate_incoming.c */
bool vfio_pci_liveupdate_waits(struct vfio_pci_core_device *vdev);
int vfio_pci_liveupdate_reclaim(struct vfio_pci_core_device *vdev);

/* For vfio-pci-core: vfio_pci_liveupdate.c */
int vfio_pci_liveupdate_begin(struct vfio_pci_core_device *vdev);
void vfio_pci_liveupdate_end(struct vfio_pci_core_device *vdev);
int vfio_pci_liveupdate_info_cap(struct vfio_pci_core_device *vdev,
				 struct vfio_info_cap *caps);

/* For vfio_pci_liveupdate_incoming.c: vfio_pci_liveupdate.c */
struct vfio_pci_core_device *vfio_pci_liveupdate_vdev(struct file *file);

/* vfio_pci_liveupdate_incoming.c, called by vfio_pci_liveupdate.c */
u32 vfio_pci_ser_crc(const struct vfio_pci_ser *ser);
struct vfio_pci_ser *vfio_pci_ser_get(u64 pa, bool (*preserved)(phys_addr_t phys,
								size_t size));
int vfio_pci_liveupdate_retrieve(struct liveupdate_file_op_args *args);
bool vfio_pci_liveupdate_can_finish(struct liveupdate_file_op_args *args);
void vfio_pci_liveupdate_finish(struct liveupdate_file_op_args *args);

/*
 * vfio_pci_liveupdate_irqs.c, called by the others.
 *
 * can_keep:  preserve and prepare; guest runs. dev_set->lock is held.
 * freeze:    in reboot(2), the last thing before the record is sealed. Fills all
 *            of @ser. When it fails it has undone what it did. dev_set->lock and
 *            vdev->liveupdate_rwsem (for writing) are held: no SET_IRQS ioctl
 *            and no write to config space is under way.
 * thaw:      undoes freeze. The same locks.
 * check:     the parser; @ser lies in a record whose checksum is right.
 * adopt:     at bind in the incoming kernel, after vfio_pci_core_adopt(); @ser has
 *            been checked and may go away afterwards. dev_set->lock is held.
 * forget:    on close, and when the bind fails after adopt.
 */
int vfio_pci_liveupdate_can_keep_irqs(struct vfio_pci_core_device *vdev);
int vfio_pci_liveupdate_freeze_irqs(struct vfio_pci_core_device *vdev,
				    struct vfio_pci_irqs_ser *ser);
void vfio_pci_liveupdate_thaw_irqs(struct vfio_pci_core_device *vdev);
int vfio_pci_liveupdate_check_irqs(const struct vfio_pci_irqs_ser *ser);
int vfio_pci_liveupdate_adopt_irqs(struct vfio_pci_core_device *vdev,
				   const struct vfio_pci_irqs_ser *ser);
void vfio_pci_liveupdate_forget_irqs(struct vfio_pci_core_device *vdev);
bool vfio_pci_liveupdate_latches(struct vfio_pci_core_device *vdev,
				 unsigned int index);

/* The same, called by vfio_pci_intrs.c and vfio_pci_config.c */
bool vfio_pci_liveupdate_irqs_on(struct vfio_pci_core_device *vdev);
int vfio_pci_liveupdate_may_set_irqs(struct vfio_pci_core_device *vdev,
				     unsigned int index);
bool vfio_pci_liveupdate_drop_irqs(struct vfio_pci_core_device *vdev,
				   unsigned int index);
void vfio_pci_liveupdate_irqs_off(struct vfio_pci_core_device *vdev);
bool vfio_pci_liveupdate_replay(struct vfio_pci_core_device *vdev,
				unsigned int index, unsigned int vector);

/* The same, for itself and its KUnit tests */
bool vfio_pci_irqs_take(struct vfio_pci_irqs_ser *ser, unsigned int vector);
void vfio_pci_irqs_merge(struct vfio_pci_irqs_ser *ser,
			 const struct vfio_pci_irqs_ser *old);

#else /* CONFIG_VFIO_PCI_LIVEUPDATE */

#define VFIO_PCI_LIVEUPDATE_CBS		NULL

static inline void
vfio_pci_liveupdate_probe(struct vfio_pci_core_device *vdev) { }

static inline void
vfio_pci_liveupdate_registered(struct vfio_pci_core_device *vdev) { }

static inline void
vfio_pci_liveupdate_forget(struct vfio_pci_core_device *vdev) { }

static inline int
vfio_pci_liveupdate_may_enable(struct vfio_pci_core_device *vdev)
{
	return 0;
}

static inline void
vfio_pci_liveupdate_close(struct vfio_pci_core_device *vdev) { }

static inline bool
vfio_pci_liveupdate_waits(struct vfio_pci_core_device *vdev)
{
	return false;
}

static inline int
vfio_pci_liveupdate_reclaim(struct vfio_pci_core_device *vdev)
{
	return -EOPNOTSUPP;
}

static inline int vfio_pci_liveupdate_begin(struct vfio_pci_core_device *vdev)
{
	return 0;
}

static inline void vfio_pci_liveupdate_end(struct vfio_pci_core_device *vdev) { }

static inline int
vfio_pci_liveupdate_info_cap(struct vfio_pci_core_device *vdev,
			     struct vfio_info_cap *caps)
{
	return 0;
}

static inline void
vfio_pci_liveupdate_forget_irqs(struct vfio_pci_core_device *vdev) { }

static inline bool
vfio_pci_liveupdate_irqs_on(struct vfio_pci_core_device *vdev)
{
	return false;
}

static inline int
vfio_pci_liveupdate_may_set_irqs(struct vfio_pci_core_device *vdev,
				 unsigned int index)
{
	return 0;
}

static inline bool
vfio_pci_liveupdate_drop_irqs(struct vfio_pci_core_device *vdev,
			      unsigned int index)
{
	return false;
}

static inline void
vfio_pci_liveupdate_irqs_off(struct vfio_pci_core_device *vdev) { }

static inline bool
vfio_pci_liveupdate_replay(struct vfio_pci_core_device *vdev,
			   unsigned int index, unsigned int vector)
{
	return false;
}

#endif /* CONFIG_VFIO_PCI_LIVEUPDATE */
#endif /* VFIO_PCI_LIVEUPDATE_H */
