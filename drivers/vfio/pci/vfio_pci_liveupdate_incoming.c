// SPDX-License-Identifier: GPL-2.0-only

/**
 * DOC: VFIO PCI devices after a live update
 *
 * Incoming kernel::
 *
 *	[boot] --probe--> waits --retrieve--> --bind--> reclaimed --finish-->
 *
 * 1. probe: vfio-pci has the device, and does not touch it. No other driver, no
 *    other user can have it (EBUSY).
 * 2. retrieve: the record is verified, and the user gets a file as an open of the
 *    cdev would have made it.
 * 3. VFIO_DEVICE_BIND_IOMMUFD with the iommufd of the same session: the device
 *    is taken over as it is (vfio_pci_core_adopt()), what its user had made of it
 *    is put in place, and it is reclaimed. Configuration writes arrive again from
 *    here on. Any other iommufd is refused (EBUSY).
 * 4. VFIO_DEVICE_ATTACH_IOMMUFD_PT with the HWPT that was retrieved, then with a
 *    new one; VFIO_DEVICE_SET_IRQS with new eventfds, see
 *    vfio_pci_liveupdate_irqs.c.
 * 5. finish: the record is freed. Up to the finish of the host, resets, low power
 *    and power states other than D0 are refused (EBUSY) as before the jump.
 *
 * Unhappy paths:
 *
 * - The record does not verify: retrieve fails, and the device waits for nobody.
 *   The finish of the host resets it. Other devices are not concerned.
 * - What was saved for the time when it is closed cannot be used: then it gets
 *   back what it has now, without bus mastering.
 * - Nobody retrieves its file: its iommufd blocks its DMA, or the finish of the
 *   host, which also resets it. Its memory is freed after that.
 * - Its file was retrieved and is not bound: its session cannot be finished
 *   (EBUSY). Closing the session leaves that to the finish of the host.
 * - bind fails half way: the device goes on untouched, and bind can be tried
 *   again.
 *
 * Errors of retrieve: EFAULT no preserved memory; EMSGSIZE wrong length; EILSEQ
 * wrong checksum; EUCLEAN a wrong field; ENODEV the device is not there, has
 * another driver, or was lost; ESTALE it is not the device of this record.
 *
 * Locking: see vfio_pci_liveupdate.c. The record belongs to LUO;
 * vfio_pci_core_device::liveupdate_ser points at it from retrieve to finish, under
 * vfio_device_set::lock.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cleanup.h>
#include <linux/crc32.h>
#include <linux/dev_liveupdate.h>
#include <linux/file.h>
#include <linux/io.h>
#include <linux/kexec_handover.h>
#include <linux/liveupdate.h>
#include <linux/pci_liveupdate.h>
#include <linux/vfio_liveupdate.h>

#include "vfio_pci_liveupdate.h"
#include "vfio_pci_priv.h"

/* Far more than drivers/pci saves of any function */
#define VFIO_PCI_SER_MAX_STATE	SZ_64K

/**
 * vfio_pci_ser_crc() - The checksum that a record should have
 * @ser: The record, whose length is right
 *
 * Context: Any
 * Return: The checksum
 */
u32 vfio_pci_ser_crc(const struct vfio_pci_ser *ser)
{
	size_t start = offsetofend(struct vfio_pci_ser, crc);

	return crc32_le(~0, (const u8 *)ser + start, ser->length - start);
}

static bool vfio_pci_ser_length_valid(const struct vfio_pci_ser *ser)
{
	return ser->length >= sizeof(*ser) + PCI_CFG_SPACE_SIZE &&
	       ser->length <= sizeof(*ser) + PCI_CFG_SPACE_EXP_SIZE +
			      VFIO_PCI_SER_MAX_STATE;
}

static bool vfio_pci_ser_data_valid(const struct vfio_pci_ser *ser)
{
	if (ser->cfg_size != PCI_CFG_SPACE_SIZE &&
	    ser->cfg_size != PCI_CFG_SPACE_EXP_SIZE)
		return false;
	if (ser->state_len > VFIO_PCI_SER_MAX_STATE ||
	    ser->length != struct_size(ser, data,
				       ser->cfg_size + ser->state_len))
		return false;
	return !ser->state_len ||
	       pci_saved_state_check(ser->data + ser->cfg_size, ser->state_len);
}

static bool vfio_pci_ser_flags_valid(const struct vfio_pci_ser *ser)
{
	u32 both = VFIO_PCI_SER_NOINTX | VFIO_PCI_SER_PCI_2_3;

	return !(ser->flags & ~VFIO_PCI_SER_ALL_FLAGS) &&
	       (ser->flags & both) != both;
}

/**
 * vfio_pci_ser_get() - Find and verify a record
 * @pa: Where it is said to be
 * @preserved: kho_is_preserved(), or the stand-in of a test
 *
 * Context: Any
 * Return: The record, or an ERR_PTR: -EFAULT not in preserved memory; -EMSGSIZE
 *         wrong length; -EILSEQ wrong checksum; -EUCLEAN a wrong field
 */
struct vfio_pci_ser *vfio_pci_ser_get(u64 pa, bool (*preserved)(phys_addr_t phys,
								size_t size))
{
	struct vfio_pci_ser *ser = phys_to_virt(pa);

	if (!IS_ALIGNED(pa, PAGE_SIZE) || !preserved(pa, sizeof(*ser)))
		return ERR_PTR(-EFAULT);
	if (!vfio_pci_ser_length_valid(ser) || !preserved(pa, ser->length))
		return ERR_PTR(-EMSGSIZE);
	if (ser->crc != vfio_pci_ser_crc(ser))
		return ERR_PTR(-EILSEQ);
	if (ser->domain > U16_MAX || ser->reserved ||
	    !vfio_pci_ser_flags_valid(ser) || !vfio_pci_ser_data_valid(ser) ||
	    vfio_pci_liveupdate_check_irqs(&ser->irqs))
		return ERR_PTR(-EUCLEAN);
	return ser;
}

/* Whether @pdev is the device that a record is about, and waits for its user */
static int vfio_pci_ser_match(struct vfio_pci_ser *ser, struct pci_dev *pdev)
{
	struct device *dev = &pdev->dev;

	device_lock_assert(dev);
	if (!dev->driver || dev->driver->liveupdate != &vfio_pci_liveupdate_cbs)
		return -ENODEV;
	if (!dev_liveupdate_incoming(dev))
		return -ENODEV;
	if (dev_liveupdate_driver_data(dev) != virt_to_phys(ser) ||
	    ser->vendor != pdev->vendor || ser->device != pdev->device ||
	    ser->cfg_size != pdev->cfg_size)
		return -ESTALE;
	return 0;
}

/* A new file for the device, which is remembered to be for @ser */
static struct file *vfio_pci_ser_file(struct vfio_pci_ser *ser,
				      struct pci_dev *pdev)
{
	struct vfio_pci_core_device *vdev;
	struct file *file;
	int ret;

	guard(device)(&pdev->dev);
	ret = vfio_pci_ser_match(ser, pdev);
	if (ret)
		return ERR_PTR(ret);

	vdev = pci_get_drvdata(pdev);
	file = vfio_liveupdate_create_file(&vdev->vdev);
	if (IS_ERR(file))
		return file;

	guard(mutex)(&vdev->vdev.dev_set->lock);
	vdev->liveupdate_ser = ser;
	return file;
}

/**
 * vfio_pci_liveupdate_retrieve() - Make a file of a record
 * @args: See &struct liveupdate_file_ops
 *
 * Context: Process context, mutex of the session held
 * Return: 0, or an errno as listed at the top of this file
 */
int vfio_pci_liveupdate_retrieve(struct liveupdate_file_op_args *args)
{
	struct vfio_pci_ser *ser;
	struct pci_dev *pdev;
	struct file *file;

	ser = vfio_pci_ser_get(args->serialized_data, kho_is_preserved);
	if (IS_ERR(ser)) {
		pr_err("record of a device cannot be believed (%pe): the device is lost, start it anew after the update\n",
		       ser);
		return PTR_ERR(ser);
	}

	pdev = pci_get_domain_bus_and_slot(ser->domain, PCI_BUS_NUM(ser->bdf),
					   ser->bdf & 0xff);
	if (pdev && !(ser->flags & VFIO_PCI_SER_LOST))
		file = vfio_pci_ser_file(ser, pdev);
	else
		file = ERR_PTR(-ENODEV);
	pci_dev_put(pdev);

	if (IS_ERR(file)) {
		pr_err("%04x:%02x:%02x.%d did not come through the live update with its user (%pe): start it anew after the update\n",
		       ser->domain, PCI_BUS_NUM(ser->bdf),
		       PCI_SLOT(ser->bdf & 0xff), PCI_FUNC(ser->bdf), file);
		return PTR_ERR(file);
	}
	args->file = file;
	return 0;
}

/**
 * vfio_pci_liveupdate_can_finish() - Whether a record is needed no more
 * @args: See &struct liveupdate_file_ops
 *
 * Context: Process context, mutex of the session held
 * Return: false after a message when the device still waits for its user
 */
bool vfio_pci_liveupdate_can_finish(struct liveupdate_file_op_args *args)
{
	struct vfio_device *device;

	if (args->retrieve_status <= 0)
		return true;

	device = vfio_liveupdate_device(args->file);
	if (!vfio_liveupdate_waits(device))
		return true;
	dev_warn(device->dev,
		 "is not bound to the iommufd of its session: bind it, or close the session and finish the host's update\n");
	return false;
}

/**
 * vfio_pci_liveupdate_finish() - Free a record
 * @args: See &struct liveupdate_file_ops
 *
 * Context: Process context, mutex of the session held
 */
void vfio_pci_liveupdate_finish(struct liveupdate_file_op_args *args)
{
	struct vfio_pci_ser *ser;

	if (args->retrieve_status > 0) {
		struct vfio_pci_core_device *vdev =
			vfio_pci_liveupdate_vdev(args->file);

		guard(mutex)(&vdev->vdev.dev_set->lock);
		vdev->liveupdate_ser = NULL;
	}

	ser = vfio_pci_ser_get(args->serialized_data, kho_is_preserved);
	if (!IS_ERR(ser))
		kho_restore_free(ser);
}

/*
 * What the device gets back when it is closed. drivers/pci saves more than the
 * outgoing kernel did, or not what it did: then as it is, see
 * vfio_pci_core_adopt().
 */
static void vfio_pci_ser_load_state(struct vfio_pci_core_device *vdev,
				    const struct vfio_pci_ser *ser)
{
	struct pci_saved_state *state, *all;
	struct pci_dev *pdev = vdev->pdev;

	if (!ser->state_len)
		return;
	state = pci_saved_state_unpack(ser->data + ser->cfg_size,
				       ser->state_len);
	if (IS_ERR(state))
		return;

	/* On top of what vfio_pci_core_adopt() has just saved */
	if (!pci_load_and_free_saved_state(pdev, &state)) {
		all = pci_store_saved_state(pdev);
		if (all) {
			kfree(vdev->pci_saved_state);
			vdev->pci_saved_state = all;
		}
	} else {
		pci_info(pdev, "has other capabilities than before the live update: on close it gets back what it has now\n");
	}
	pci_save_state(pdev);
}

/* What the user has made of the device, as far as the device does not say */
static int vfio_pci_ser_apply(struct vfio_pci_core_device *vdev,
			      const struct vfio_pci_ser *ser)
{
	/* Vendor and device, as the user sees them */
	if (memcmp(vdev->vconfig, ser->data, 4))
		return -ESTALE;

	memcpy(vdev->vconfig, ser->data, ser->cfg_size);
	memcpy(vdev->rbar, ser->rbar, sizeof(vdev->rbar));
	vdev->virq_disabled = ser->flags & VFIO_PCI_SER_VIRQ_DISABLED;
	vdev->bardirty = ser->flags & VFIO_PCI_SER_BARDIRTY;
	vdev->reset_works &= !!(ser->flags & VFIO_PCI_SER_RESET_WORKS);
	vdev->nointx |= !!(ser->flags & VFIO_PCI_SER_NOINTX);
	vdev->pci_2_3 &= !!(ser->flags & VFIO_PCI_SER_PCI_2_3);
	vfio_pci_ser_load_state(vdev, ser);
	return 0;
}

/* Dropping it again does not touch the device: its writes are kept away */
static int vfio_pci_ser_adopt(struct vfio_pci_core_device *vdev,
			      const struct vfio_pci_ser *ser)
{
	int ret;

	ret = vfio_pci_core_adopt(vdev);
	if (ret)
		return ret;

	ret = vfio_pci_ser_apply(vdev, ser);
	if (ret)
		goto err_disable;
	ret = vfio_pci_liveupdate_adopt_irqs(vdev, &ser->irqs);
	if (ret)
		goto err_disable;
	/* From here on it is as any other, and configuration writes arrive */
	ret = dev_liveupdate_reclaim(&vdev->pdev->dev);
	if (ret)
		goto err_forget;
	return 0;

err_forget:
	vfio_pci_liveupdate_forget_irqs(vdev);
err_disable:
	vfio_pci_core_disable(vdev);
	return ret;
}

/**
 * vfio_pci_liveupdate_waits() - Whether a device waits for its former user
 * @vdev: The device
 *
 * Context: dev_set->lock is held
 * Return: Whether it does. Then vfio_pci_liveupdate_reclaim() has to be called
 *         to open it.
 */
bool vfio_pci_liveupdate_waits(struct vfio_pci_core_device *vdev)
{
	return vdev->kept_running && vfio_liveupdate_waits(&vdev->vdev);
}

/**
 * vfio_pci_liveupdate_reclaim() - Open a device for its former user
 * @vdev: The device. It is bound to the iommufd that has its page table: any
 *        other has failed to be bound to it.
 *
 * Context: dev_set->lock is held
 * Return: 0; -EAGAIN when its device lock is taken; -EBUSY after a message when
 *         its file was not retrieved; else why it cannot be taken over
 */
int vfio_pci_liveupdate_reclaim(struct vfio_pci_core_device *vdev)
{
	struct pci_dev *pdev = vdev->pdev;
	int ret;

	if (!vdev->liveupdate_ser) {
		pci_warn(pdev, "its file is in no session any more: finish the host's update to open it anew\n");
		return -EBUSY;
	}
	/* Events have it, in front of the lock of the device set */
	if (!device_trylock(&pdev->dev))
		return -EAGAIN;

	ret = vfio_pci_ser_adopt(vdev, vdev->liveupdate_ser);
	if (!ret) {
		vfio_pci_core_finish_enable(vdev);
		vfio_pci_liveupdate_forget(vdev);
	} else {
		pci_err(pdev, "cannot be given back to its user: %pe\n",
			ERR_PTR(ret));
	}
	device_unlock(&pdev->dev);
	return ret;
}
