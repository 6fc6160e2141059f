// SPDX-License-Identifier: GPL-2.0-only

/**
 * DOC: VFIO PCI devices in a live update
 *
 * A PCI device that a user has by VFIO stays with that user while the kernel is
 * replaced: it is not reset, its DMA goes on, and interrupts that it raises
 * meanwhile are delivered afterwards. The file of its cdev goes into the session
 * of the user, next to the iommufd that it is bound to, and an administrator has
 * requested the device.
 *
 * Outgoing kernel::
 *
 *	bound, attached --preserve--> --prepare--> --freeze--> [jump]
 *	       ^---------unpreserve--'                 |
 *	       '-----------cancel, unfreeze------------'
 *
 * 1. preserve: memory for the record is set aside. The device is not touched.
 * 2. prepare of the file: the device is requested, and its iommufd is in the same
 *    session. prepare of the device: if it is open its file is in a session. One
 *    that is not open, such as a PF whose VFs are in use, stays closed.
 * 3. freeze: interrupts are masked in the device, see
 *    vfio_pci_liveupdate_irqs.c, and the record is written.
 *
 * Incoming kernel: vfio_pci_liveupdate_incoming.c.
 *
 * What its user can do from prepare to cancel or the jump:
 *
 * - VFIO_DEVICE_RESET, VFIO_DEVICE_PCI_HOT_RESET, a function level reset by its
 *   configuration space, a power state other than D0, low power entry, attaching
 *   it elsewhere and detaching it: EBUSY.
 * - mmaps and accesses of BARs, ioeventfds, other configuration writes, and
 *   VFIO_DEVICE_SET_IRQS go on. When the device is frozen the latter two are
 *   EBUSY.
 * - AER: its user is told as ever. If that needs a reset, the device is lost to
 *   the update, and the others go on.
 * - The driver cannot be unbound (EBUSY).
 *
 * Unhappy paths:
 *
 * - prepare or freeze refuses: nothing was changed, or freeze has undone it.
 * - The update is cancelled after freeze: what freeze masked is unmasked, and
 *   the device raises what it wanted to raise.
 * - Its session or its file is closed while the host is prepared: the device is
 *   lost to the update, and an ordinary one.
 * - It is lost for another reason: its record says so, and retrieve fails.
 *
 * Errors of preserve and prepare that tell what is wrong: EINVAL file got of a
 * group; ENODEV no IOMMU; EOPNOTSUPP another VFIO driver, or regions of its own;
 * ENOTCONN not bound to an iommufd; ENOLINK not attached; EMLINK attached with a
 * PASID; ENODATA its HWPT is not marked; EACCES not requested; EHOSTDOWN low
 * power; EXDEV its iommufd is not in the session; EBADFD open, and its file is in
 * no session; those of vfio_pci_liveupdate_can_keep_irqs().
 *
 * Lock order: host state, mutex of the session or device lock,
 * vfio_device_set::lock, vfio_pci_core_device::liveupdate_rwsem, memory_lock and
 * igate. iommufd's locks come after vfio_device_set::lock.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cleanup.h>
#include <linux/dev_liveupdate.h>
#include <linux/file.h>
#include <linux/io.h>
#include <linux/iommu_liveupdate.h>
#include <linux/iommufd.h>
#include <linux/kexec_handover.h>
#include <linux/liveupdate.h>
#include <linux/liveupdate_image.h>
#include <linux/module.h>
#include <linux/pci_liveupdate.h>
#include <linux/pm_runtime.h>
#include <linux/vfio_liveupdate.h>

#include "vfio_pci_liveupdate.h"
#include "vfio_pci_priv.h"

MODULE_IMPORT_NS("IOMMUFD");

LIVEUPDATE_IMAGE_NOTE(vfio_pci_note, LIVEUPDATE_NOTE_BOTH,
		      VFIO_PCI_LIVEUPDATE_COMPATIBLE);

#define refuse(_vdev, _errno, _fmt, ...)				\
({									\
	pci_warn((_vdev)->pdev, "cannot be kept over a live update: "	\
		 _fmt "\n", ##__VA_ARGS__);				\
	_errno;								\
})

/**
 * vfio_pci_liveupdate_vdev() - The device of a file
 * @file: Any file
 *
 * Context: Any
 * Return: The device, or NULL when @file is not that of a VFIO device whose
 *         driver takes part
 */
struct vfio_pci_core_device *vfio_pci_liveupdate_vdev(struct file *file)
{
	struct vfio_device *device = vfio_liveupdate_device(file);

	if (!device || device->dev->driver->liveupdate != &vfio_pci_liveupdate_cbs)
		return NULL;
	return container_of(device, struct vfio_pci_core_device, vdev);
}

/**
 * vfio_pci_liveupdate_begin() - Start to change what the record will say
 * @vdev: The device
 *
 * Context: Process context, may sleep
 * Return: 0, then vfio_pci_liveupdate_end() has to follow; -EBUSY after a message
 *         when the device is frozen
 */
int vfio_pci_liveupdate_begin(struct vfio_pci_core_device *vdev)
{
	down_read(&vdev->liveupdate_rwsem);
	if (!vdev->liveupdate_frozen)
		return 0;

	up_read(&vdev->liveupdate_rwsem);
	dev_warn_ratelimited(&vdev->pdev->dev,
			     "cannot be configured, the kernel is being replaced: try again\n");
	return -EBUSY;
}

/**
 * vfio_pci_liveupdate_end() - Undo vfio_pci_liveupdate_begin()
 * @vdev: The device
 *
 * Context: Process context
 */
void vfio_pci_liveupdate_end(struct vfio_pci_core_device *vdev)
{
	up_read(&vdev->liveupdate_rwsem);
}

/* Whether the IOMMU keeps what the device does with memory */
static int vfio_pci_can_keep_dma(struct vfio_pci_core_device *vdev)
{
	int ret = iommufd_device_liveupdate_check(vdev->vdev.iommufd_device);

	switch (ret) {
	case -ENOLINK:
		return refuse(vdev, ret, "attach it to a page table first");
	case -EMLINK:
		return refuse(vdev, ret, "it uses PASIDs, detach them first");
	case -ENODATA:
		return refuse(vdev, ret,
			      "mark the HWPT that it is attached to first");
	default:
		return ret;
	}
}

static int vfio_pci_can_keep_power(struct vfio_pci_core_device *vdev)
{
	guard(rwsem_read)(&vdev->memory_lock);
	if (vdev->pm_runtime_engaged || vdev->pdev->current_state != PCI_D0)
		return refuse(vdev, -EHOSTDOWN,
			      "it is in low power, its user has to wake it first");
	return 0;
}

/* Whether a device that is bound to an iommufd can be kept as it is now */
static int vfio_pci_can_keep(struct vfio_pci_core_device *vdev)
{
	int ret;

	lockdep_assert_held(&vdev->vdev.dev_set->lock);
	if (vdev->num_regions)
		return refuse(vdev, -EOPNOTSUPP,
			      "it has regions that are not its BARs");

	ret = vfio_pci_can_keep_dma(vdev);
	if (ret)
		return ret;
	ret = vfio_pci_can_keep_power(vdev);
	if (ret)
		return ret;
	return vfio_pci_liveupdate_can_keep_irqs(vdev);
}

static int vfio_pci_check_requested(struct vfio_pci_core_device *vdev)
{
	if (dev_liveupdate_requested(&vdev->pdev->dev))
		return 0;
	return refuse(vdev, -EACCES,
		      "write 1 to its liveupdate/requested in sysfs first");
}

static int vfio_pci_check_file(struct vfio_pci_core_device *vdev,
			       struct file *file)
{
	int ret = vfio_liveupdate_check_file(file);

	switch (ret) {
	case -EINVAL:
		return refuse(vdev, ret,
			      "it was opened by its group, use /dev/vfio/devices");
	case -ENODEV:
		return refuse(vdev, ret, "no IOMMU is behind it");
	case -ENOTCONN:
		return refuse(vdev, ret, "bind it to an iommufd first");
	default:
		return ret;
	}
}

static bool vfio_pci_can_preserve(struct liveupdate_file_handler *handler,
				  struct file *file)
{
	struct vfio_device *device = vfio_liveupdate_device(file);

	return device && dev_is_pci(device->dev);
}

/* The memory of the record. What is in it is written by freeze. */
static struct vfio_pci_ser *
vfio_pci_ser_alloc(struct vfio_pci_core_device *vdev)
{
	struct vfio_pci_ser *ser;
	size_t state_len = 0;
	size_t length;

	if (vdev->pci_saved_state)
		state_len = pci_saved_state_pack(vdev->pci_saved_state, NULL);
	length = struct_size(ser, data, vdev->pdev->cfg_size + state_len);

	ser = kho_alloc_preserve(length);
	if (IS_ERR(ser))
		return ser;

	ser->length = length;
	ser->cfg_size = vdev->pdev->cfg_size;
	ser->state_len = state_len;
	return ser;
}

static int vfio_pci_liveupdate_preserve(struct liveupdate_file_op_args *args)
{
	struct vfio_pci_core_device *vdev = vfio_pci_liveupdate_vdev(args->file);
	struct vfio_pci_ser *ser;
	int ret;

	if (!vdev) {
		dev_warn(vfio_liveupdate_device(args->file)->dev,
			 "cannot be kept over a live update: its VFIO driver takes no part, vfio-pci does\n");
		return -EOPNOTSUPP;
	}

	guard(mutex)(&vdev->vdev.dev_set->lock);
	ret = vfio_pci_check_file(vdev, args->file);
	if (!ret)
		ret = vfio_pci_check_requested(vdev);
	if (!ret)
		ret = vfio_pci_can_keep(vdev);
	if (ret)
		return ret;

	ser = vfio_pci_ser_alloc(vdev);
	if (IS_ERR(ser))
		return PTR_ERR(ser);

	vdev->liveupdate_ser = ser;
	args->serialized_data = virt_to_phys(ser);
	return 0;
}

static void vfio_pci_liveupdate_unpreserve(struct liveupdate_file_op_args *args)
{
	struct vfio_pci_core_device *vdev = vfio_pci_liveupdate_vdev(args->file);

	guard(mutex)(&vdev->vdev.dev_set->lock);
	/* Its memory is about to be anybody's */
	if (vdev->kept_open) {
		dev_liveupdate_lost(&vdev->pdev->dev, "its session was closed");
		vdev->kept_open = false;
	}
	kho_unpreserve_free(vdev->liveupdate_ser);
	vdev->liveupdate_ser = NULL;
}

static bool vfio_pci_file_is_iommufd(struct file *file, void *data)
{
	struct iommufd_ctx *ictx = iommufd_ctx_from_file(file);

	if (IS_ERR(ictx))
		return false;
	iommufd_ctx_put(ictx);
	return ictx == data;
}

static int vfio_pci_liveupdate_prepare(struct liveupdate_file_op_args *args)
{
	struct vfio_pci_core_device *vdev = vfio_pci_liveupdate_vdev(args->file);

	guard(mutex)(&vdev->vdev.dev_set->lock);
	if (!liveupdate_session_find_file(args->session,
					  vfio_pci_file_is_iommufd,
					  vfio_iommufd_device_ictx(&vdev->vdev)))
		return refuse(vdev, -EXDEV,
			      "preserve the iommufd that it is bound to in the same session");
	return vfio_pci_check_requested(vdev);
}

static u32 vfio_pci_ser_flags(struct vfio_pci_core_device *vdev)
{
	return (vdev->reset_works ? VFIO_PCI_SER_RESET_WORKS : 0) |
	       (vdev->pci_2_3 ? VFIO_PCI_SER_PCI_2_3 : 0) |
	       (vdev->nointx ? VFIO_PCI_SER_NOINTX : 0) |
	       (vdev->virq_disabled ? VFIO_PCI_SER_VIRQ_DISABLED : 0) |
	       (vdev->bardirty ? VFIO_PCI_SER_BARDIRTY : 0);
}

/* All but what vfio_pci_ser_alloc() and vfio_pci_liveupdate_irqs.c write */
static void vfio_pci_ser_fill(struct vfio_pci_core_device *vdev,
			      struct vfio_pci_ser *ser)
{
	struct pci_dev *pdev = vdev->pdev;

	static_assert(sizeof(ser->rbar) == sizeof(vdev->rbar));

	ser->domain = pci_domain_nr(pdev->bus);
	ser->bdf = pci_dev_id(pdev);
	ser->vendor = pdev->vendor;
	ser->device = pdev->device;
	ser->flags = vfio_pci_ser_flags(vdev);
	memcpy(ser->rbar, vdev->rbar, sizeof(ser->rbar));
	memcpy(ser->data, vdev->vconfig, ser->cfg_size);
	if (ser->state_len)
		pci_saved_state_pack(vdev->pci_saved_state,
				     ser->data + ser->cfg_size);
}

static int vfio_pci_liveupdate_freeze(struct liveupdate_file_op_args *args)
{
	struct vfio_pci_core_device *vdev = vfio_pci_liveupdate_vdev(args->file);
	struct vfio_pci_ser *ser = vdev->liveupdate_ser;
	int ret;

	guard(mutex)(&vdev->vdev.dev_set->lock);
	guard(rwsem_write)(&vdev->liveupdate_rwsem);
	vfio_pci_ser_fill(vdev, ser);
	if (dev_liveupdate_preserved(&vdev->pdev->dev)) {
		ret = vfio_pci_liveupdate_freeze_irqs(vdev, &ser->irqs);
		if (ret)
			return ret;
		vdev->liveupdate_frozen = true;
	} else {
		ser->flags |= VFIO_PCI_SER_LOST;
		memset(&ser->irqs, 0, sizeof(ser->irqs));
		ser->irqs.index = VFIO_PCI_SER_NO_IRQ;
	}
	ser->crc = vfio_pci_ser_crc(ser);
	return 0;
}

static void vfio_pci_liveupdate_unfreeze(struct liveupdate_file_op_args *args)
{
	struct vfio_pci_core_device *vdev = vfio_pci_liveupdate_vdev(args->file);

	guard(mutex)(&vdev->vdev.dev_set->lock);
	guard(rwsem_write)(&vdev->liveupdate_rwsem);
	if (!vdev->liveupdate_frozen)
		return;
	vfio_pci_liveupdate_thaw_irqs(vdev);
	vdev->liveupdate_frozen = false;
}

static int vfio_pci_dev_prepare(struct device *dev)
{
	struct vfio_pci_core_device *vdev = dev_get_drvdata(dev);
	int ret;

	guard(mutex)(&vdev->vdev.dev_set->lock);
	if (!vdev->vdev.open_count) {
		dev_liveupdate_set_driver_data(dev, 0);
		vdev->kept_closed = true;
		return 0;
	}
	if (!vdev->liveupdate_ser)
		return refuse(vdev, -EBADFD,
			      "it is open, preserve its file in a session or close it");

	ret = vfio_pci_can_keep(vdev);
	if (ret)
		return ret;
	dev_liveupdate_set_driver_data(dev, virt_to_phys(vdev->liveupdate_ser));
	vdev->kept_open = true;
	return 0;
}

static void vfio_pci_dev_end(struct device *dev)
{
	struct vfio_pci_core_device *vdev = dev_get_drvdata(dev);

	guard(mutex)(&vdev->vdev.dev_set->lock);
	vdev->kept_closed = false;
	vdev->kept_open = false;
	vfio_pci_liveupdate_forget(vdev);
}

const struct dev_liveupdate_cbs vfio_pci_liveupdate_cbs = {
	.prepare	= vfio_pci_dev_prepare,
	.cancel		= vfio_pci_dev_end,
	.finish		= vfio_pci_dev_end,
};

/**
 * vfio_pci_liveupdate_probe() - Look whether a device came through an update
 * @vdev: The device, which is not registered yet
 *
 * Context: Device lock held
 */
void vfio_pci_liveupdate_probe(struct vfio_pci_core_device *vdev)
{
	struct device *dev = &vdev->pdev->dev;

	if (!dev_liveupdate_incoming(dev))
		return;
	vdev->kept_running = dev_liveupdate_driver_data(dev);
	vdev->kept_closed = !vdev->kept_running;
	/* It must not be suspended: see vfio_pci_liveupdate_forget() */
	if (vdev->kept_running)
		pm_runtime_get_noresume(dev);
}

/**
 * vfio_pci_liveupdate_registered() - Reclaim a device that was not open
 * @vdev: The device
 *
 * Context: Device lock held
 */
void vfio_pci_liveupdate_registered(struct vfio_pci_core_device *vdev)
{
	/* Fails only when the device was lost meanwhile: then it is like any */
	if (vdev->kept_closed && dev_liveupdate_reclaim(&vdev->pdev->dev))
		vdev->kept_closed = false;
}

/**
 * vfio_pci_liveupdate_forget() - Stop to wait for the user that a device had
 * @vdev: The device. Nothing happens when it does not wait.
 *
 * Context: dev_set->lock is held, or nobody else has the device
 */
void vfio_pci_liveupdate_forget(struct vfio_pci_core_device *vdev)
{
	if (!vdev->kept_running)
		return;
	vdev->kept_running = false;
	pm_runtime_put(&vdev->pdev->dev);
}

/**
 * vfio_pci_liveupdate_may_enable() - Whether a device can be reset and opened
 * @vdev: The device
 *
 * Context: dev_set->lock is held
 * Return: 0, or -EBUSY after a message
 */
int vfio_pci_liveupdate_may_enable(struct vfio_pci_core_device *vdev)
{
	vfio_pci_liveupdate_forget(vdev);
	/* Enabling resets it, and would stop the VFs of a PF */
	if (!vdev->kept_closed || !dev_liveupdate_preserved(&vdev->pdev->dev))
		return 0;

	pci_warn(vdev->pdev,
		 "cannot be opened before the live update is finished or cancelled\n");
	return -EBUSY;
}

/**
 * vfio_pci_liveupdate_close() - A device is about to be reset
 * @vdev: The device, whose last file is closed
 *
 * Context: dev_set->lock is held
 */
void vfio_pci_liveupdate_close(struct vfio_pci_core_device *vdev)
{
	if (!vdev->kept_open)
		return;
	dev_liveupdate_lost(&vdev->pdev->dev, "its user closed it");
	vdev->kept_open = false;
}

static void vfio_pci_irq_cap(struct vfio_pci_core_device *vdev,
			     unsigned int index,
			     struct vfio_device_info_cap_liveupdate *cap)
{
	if (vfio_pci_liveupdate_latches(vdev, index))
		cap->irqs_latched |= BIT(index);
	else
		cap->irqs_replayed |= BIT(index);
}

/**
 * vfio_pci_liveupdate_info_cap() - Tell a user what can be kept for it
 * @vdev: The device
 * @caps: Capabilities of VFIO_DEVICE_GET_INFO
 *
 * Context: Process context, the device is open
 * Return: 0, also when there is nothing to tell; -ENOMEM
 */
int vfio_pci_liveupdate_info_cap(struct vfio_pci_core_device *vdev,
				 struct vfio_info_cap *caps)
{
	struct vfio_device_info_cap_liveupdate cap = {
		.header.id = VFIO_DEVICE_INFO_CAP_LIVEUPDATE,
		.header.version = 1,
		.flags = VFIO_LIVEUPDATE_CONFIG,
	};
	struct pci_dev *pdev = vdev->pdev;
	char why[128];

	if (!liveupdate_enabled() || vdev->num_regions ||
	    pdev->dev.driver->liveupdate != &vfio_pci_liveupdate_cbs)
		return 0;

	if (vdev->vdev.iommufd_device && pdev->dev.iommu &&
	    !iommu_liveupdate_possible(&pdev->dev, why, sizeof(why)))
		cap.flags |= VFIO_LIVEUPDATE_DMA;
	if (vdev->vconfig[PCI_INTERRUPT_PIN])
		vfio_pci_irq_cap(vdev, VFIO_PCI_INTX_IRQ_INDEX, &cap);
	if (pdev->msix_cap)
		vfio_pci_irq_cap(vdev, VFIO_PCI_MSIX_IRQ_INDEX, &cap);
	if (pdev->msi_cap)
		vfio_pci_irq_cap(vdev, VFIO_PCI_MSI_IRQ_INDEX, &cap);

	return vfio_info_add_capability(caps, &cap.header, sizeof(cap));
}

static const struct liveupdate_file_ops vfio_pci_liveupdate_ops = {
	.can_preserve	= vfio_pci_can_preserve,
	.preserve	= vfio_pci_liveupdate_preserve,
	.unpreserve	= vfio_pci_liveupdate_unpreserve,
	.prepare	= vfio_pci_liveupdate_prepare,
	.freeze		= vfio_pci_liveupdate_freeze,
	.unfreeze	= vfio_pci_liveupdate_unfreeze,
	.retrieve	= vfio_pci_liveupdate_retrieve,
	.can_finish	= vfio_pci_liveupdate_can_finish,
	.finish		= vfio_pci_liveupdate_finish,
	.owner		= THIS_MODULE,
	.needs_prepare	= true,
};

static struct liveupdate_file_handler vfio_pci_liveupdate_handler = {
	.ops = &vfio_pci_liveupdate_ops,
	.compatible = VFIO_PCI_LIVEUPDATE_COMPATIBLE,
};

static int __init vfio_pci_liveupdate_init(void)
{
	int ret;

	if (!liveupdate_enabled())
		return 0;
	ret = liveupdate_register_file_handler(&vfio_pci_liveupdate_handler);
	if (ret)
		pr_err("no device can be kept over a live update: %pe\n",
		       ERR_PTR(ret));
	return ret;
}
late_initcall(vfio_pci_liveupdate_init);
