// SPDX-License-Identifier: GPL-2.0-only

/**
 * DOC: iommufd in a live update
 *
 * An iommufd is kept alive over a live update for the sake of its page tables:
 * devices go on with their DMA through them while the kernel is replaced. Its
 * user says which HWPTs it wants to keep, and finds them again by a number of
 * its choice, the tag. Nothing else of an iommufd survives: an IOAS is made
 * anew in the incoming kernel, while the devices still run on the old table.
 *
 * Outgoing kernel::
 *
 *	IOMMU_HWPT_LIVEUPDATE_MARK --preserve--> --prepare--> --freeze--> [jump]
 *
 * 1. Mark: the HWPT can no longer be destroyed, and the mappings of its IOAS no
 *    longer change (EBUSY). Guests run on.
 * 2. preserve, in the session of the VM: the IOMMU core keeps the tables of all
 *    marked HWPTs. No other HWPT can be marked from now on.
 * 3. prepare, when all memory of the VM is in the session: every page that a
 *    marked HWPT maps must be memory of this very session. Anything else, such
 *    as anonymous memory, a BAR or memory of another VM, is refused with an
 *    IOVA range: a device must not be able to reach memory that the incoming
 *    kernel believes to be free, or somebody else's. See liveupdate_proof.c.
 *
 * Incoming kernel (liveupdate_incoming.c)::
 *
 *	[boot] --retrieve--> IOMMU_HWPT_LIVEUPDATE_FIND, bind, attach
 *	                         --attach to a new IOAS--> finish
 *
 * Unhappy paths:
 *
 * - The session is closed before the jump: unpreserve gives the tables back and
 *   drops all marks. The iommufd works as before.
 * - The iommufd is closed with marks and was not preserved: it is freed as ever.
 *   A preserved one is held by its session, whatever its user does.
 * - prepare refuses: nothing has changed. Its user unmaps what is in the way,
 *   after it has closed the session, and tries again.
 * - A record that does not verify in the incoming kernel: the tables that it
 *   names are nobody's, so their devices are not reclaimed by anyone, and
 *   blocked at the end.
 *
 * Errors of IOMMU_HWPT_LIVEUPDATE_MARK that tell what is wrong with a HWPT:
 * ENOENT no such object; EINVAL not a paging HWPT; ENODEV no IOMMU behind it;
 * EOPNOTSUPP dirty tracking (or a flag that is not known); EPROTONOSUPPORT
 * faults go to user space; EEXIST tag in use; EALREADY marked; ENODATA not
 * marked; EBUSY a map is in progress, or the iommufd is preserved; ENOTTY this
 * kernel takes no part in live updates.
 *
 * Lock order: mutex of the session, iommufd_liveupdate::lock, iommufd_group::lock,
 * iommufd_ioas::mutex, locks of io_pagetable.
 */

#define pr_fmt(fmt) "iommufd: " fmt

#include <linux/cleanup.h>
#include <linux/crc32.h>
#include <linux/dev_liveupdate.h>
#include <linux/file.h>
#include <linux/io.h>
#include <linux/iommu_liveupdate.h>
#include <linux/kexec_handover.h>
#include <linux/liveupdate.h>
#include <linux/liveupdate_image.h>

#include "io_pagetable.h"
#include "liveupdate.h"

LIVEUPDATE_IMAGE_NOTE(iommufd_note, LIVEUPDATE_NOTE_BOTH,
		      IOMMUFD_LIVEUPDATE_COMPATIBLE);

static bool iommufd_hwpt_is_marked(struct iommufd_hwpt_paging *hwpt_paging)
{
	return !list_empty(&hwpt_paging->liveupdate_item);
}

/* Why a HWPT cannot be kept */
static int iommufd_hwpt_can_mark(struct iommufd_hwpt_paging *hwpt_paging)
{
	struct iommufd_hw_pagetable *hwpt = &hwpt_paging->common;

	if (IS_ENABLED(CONFIG_IOMMUFD_NOIOMMU) &&
	    hwpt->domain->owner == &iommufd_noiommu_ops) {
		pr_warn_ratelimited("HWPT %u cannot be kept over a live update: no IOMMU uses it\n",
				    hwpt->obj.id);
		return -ENODEV;
	}
	if (hwpt->domain->dirty_ops) {
		pr_warn_ratelimited("HWPT %u cannot be kept over a live update: allocate it without dirty tracking\n",
				    hwpt->obj.id);
		return -EOPNOTSUPP;
	}
	if (hwpt->fault) {
		pr_warn_ratelimited("HWPT %u cannot be kept over a live update: allocate it without a fault queue\n",
				    hwpt->obj.id);
		return -EPROTONOSUPPORT;
	}
	return 0;
}

static int iommufd_hwpt_mark(struct iommufd_ctx *ictx,
			     struct iommufd_hwpt_paging *hwpt_paging, u64 tag)
{
	struct iommufd_hwpt_paging *iter;
	int rc;

	lockdep_assert_held(&ictx->liveupdate.lock);

	if (iommufd_hwpt_is_marked(hwpt_paging))
		return -EALREADY;

	rc = iommufd_hwpt_can_mark(hwpt_paging);
	if (rc)
		return rc;

	list_for_each_entry(iter, &ictx->liveupdate.marked, liveupdate_item) {
		if (iter->liveupdate_tag == tag)
			return -EEXIST;
	}

	rc = iopt_freeze(&hwpt_paging->ioas->iopt);
	if (rc)
		return rc;

	/* Pairs with iommufd_hw_pagetable_put() after iommufd_hwpt_unmark() */
	refcount_inc(&hwpt_paging->common.obj.users);
	hwpt_paging->liveupdate_tag = tag;
	list_add_tail(&hwpt_paging->liveupdate_item, &ictx->liveupdate.marked);
	return 0;
}

/* The caller then does iommufd_hw_pagetable_put() for the mark */
static void iommufd_hwpt_unmark(struct iommufd_hwpt_paging *hwpt_paging)
{
	list_del_init(&hwpt_paging->liveupdate_item);
	iopt_thaw(&hwpt_paging->ioas->iopt);
}

static void iommufd_unmark_all(struct iommufd_ctx *ictx)
{
	struct iommufd_hwpt_paging *hwpt_paging, *next;

	list_for_each_entry_safe(hwpt_paging, next, &ictx->liveupdate.marked,
				 liveupdate_item) {
		iommufd_hwpt_unmark(hwpt_paging);
		iommufd_hw_pagetable_put(ictx, &hwpt_paging->common);
	}
}

/**
 * iommufd_hwpt_liveupdate_mark() - ioctl(IOMMU_HWPT_LIVEUPDATE_MARK)
 * @ucmd: The command
 *
 * Return: 0, or an errno as listed at the top of this file
 */
int iommufd_hwpt_liveupdate_mark(struct iommufd_ucmd *ucmd)
{
	struct iommu_hwpt_liveupdate_mark *cmd = ucmd->cmd;
	struct iommufd_ctx *ictx = ucmd->ictx;
	struct iommufd_hwpt_paging *hwpt_paging;
	bool unmarked = false;
	struct iommufd_object *obj;
	int rc;

	if (!liveupdate_enabled())
		return -ENOTTY;
	if ((cmd->flags & ~IOMMU_HWPT_LIVEUPDATE_UNMARK) || cmd->__reserved)
		return -EOPNOTSUPP;

	obj = iommufd_get_object(ictx, cmd->hwpt_id, IOMMUFD_OBJ_ANY);
	if (IS_ERR(obj))
		return PTR_ERR(obj);
	if (obj->type != IOMMUFD_OBJ_HWPT_PAGING) {
		pr_warn_ratelimited("object %u cannot be kept over a live update: only a paging HWPT can\n",
				    obj->id);
		rc = -EINVAL;
		goto out_put;
	}
	hwpt_paging = container_of(obj, struct iommufd_hwpt_paging, common.obj);

	mutex_lock(&ictx->liveupdate.lock);
	if (ictx->liveupdate.ser) {
		rc = -EBUSY;
	} else if (!(cmd->flags & IOMMU_HWPT_LIVEUPDATE_UNMARK)) {
		rc = iommufd_hwpt_mark(ictx, hwpt_paging, cmd->tag);
	} else if (iommufd_hwpt_is_marked(hwpt_paging)) {
		iommufd_hwpt_unmark(hwpt_paging);
		unmarked = true;
		rc = 0;
	} else {
		rc = -ENODATA;
	}
	mutex_unlock(&ictx->liveupdate.lock);

out_put:
	iommufd_put_object(ictx, obj);
	/* Last, for it destroys an automatic HWPT that no device uses any more */
	if (unmarked)
		iommufd_hw_pagetable_put(ictx, &hwpt_paging->common);
	return rc;
}

/**
 * iommufd_liveupdate_may_attach() - Whether a device can be attached elsewhere
 * @idev: The device
 *
 * Not between prepare and the jump: the IOMMU's entry has been recorded.
 *
 * Return: 0, or -EBUSY after a message
 */
int iommufd_liveupdate_may_attach(struct iommufd_device *idev)
{
	if (dev_liveupdate_incoming(idev->dev))
		return 0;
	return dev_liveupdate_busy(idev->dev);
}

/* What a device is attached to without a PASID, when that is all */
static struct iommufd_hw_pagetable *
iommufd_device_only_hwpt(struct iommufd_device *idev)
{
	struct iommufd_attach *attach;
	unsigned long pasid;

	lockdep_assert_held(&idev->igroup->lock);
	xa_for_each(&idev->igroup->pasid_attach, pasid, attach) {
		if (pasid != IOMMU_NO_PASID &&
		    xa_load(&attach->device_array, idev->obj.id))
			return ERR_PTR(-EMLINK);
	}

	attach = xa_load(&idev->igroup->pasid_attach, IOMMU_NO_PASID);
	if (!attach || !attach->hwpt)
		return ERR_PTR(-ENOLINK);
	return attach->hwpt;
}

/**
 * iommufd_device_liveupdate_check() - Whether a device can go on with its DMA
 * @idev: The device
 *
 * Return: 0 when all that it is attached to is a marked HWPT; -ENOLINK when it
 *         is attached to nothing; -EMLINK when it is attached with a PASID;
 *         -ENODATA when the HWPT is not marked
 */
int iommufd_device_liveupdate_check(struct iommufd_device *idev)
{
	struct iommufd_hwpt_paging *hwpt_paging;
	struct iommufd_hw_pagetable *hwpt;

	guard(mutex)(&idev->ictx->liveupdate.lock);
	guard(mutex)(&idev->igroup->lock);
	hwpt = iommufd_device_only_hwpt(idev);
	if (IS_ERR(hwpt))
		return PTR_ERR(hwpt);
	if (hwpt->obj.type != IOMMUFD_OBJ_HWPT_PAGING)
		return -ENODATA;

	hwpt_paging = to_hwpt_paging(hwpt);
	return iommufd_hwpt_is_marked(hwpt_paging) ? 0 : -ENODATA;
}
EXPORT_SYMBOL_NS_GPL(iommufd_device_liveupdate_check, "IOMMUFD");

/**
 * iommufd_liveupdate_release() - The last file of an iommufd has been closed
 * @ictx: The iommufd
 *
 * It is not preserved: a session would hold the file.
 */
void iommufd_liveupdate_release(struct iommufd_ctx *ictx)
{
	mutex_lock(&ictx->liveupdate.lock);
	iommufd_unmark_all(ictx);
	iommufd_incoming_free(ictx);
	mutex_unlock(&ictx->liveupdate.lock);
}

static u32 iommufd_crc(const void *ser, size_t len)
{
	return crc32_le(~0, ser, len);
}

/**
 * iommufd_hwpt_ser_crc() - The checksum that an entry should have
 * @ser: The entry
 *
 * Return: The checksum
 */
u32 iommufd_hwpt_ser_crc(const struct iommufd_hwpt_ser *ser)
{
	return iommufd_crc(ser, offsetof(struct iommufd_hwpt_ser, crc));
}

/**
 * iommufd_ser_crc() - The checksum that a head should have
 * @ser: The head
 *
 * Return: The checksum
 */
u32 iommufd_ser_crc(const struct iommufd_ser *ser)
{
	return iommufd_crc(ser, offsetof(struct iommufd_ser, crc));
}

static bool iommufd_can_preserve(struct liveupdate_file_handler *handler,
				 struct file *file)
{
	struct iommufd_ctx *ictx = iommufd_ctx_from_file(file);

	if (IS_ERR(ictx))
		return false;
	iommufd_ctx_put(ictx);
	return true;
}

/* Give the tables of all marked HWPTs in front of @end back */
static void iommufd_unpreserve_domains(struct iommufd_ctx *ictx,
				       struct iommufd_hwpt_paging *end)
{
	struct iommufd_hwpt_paging *hwpt_paging;

	list_for_each_entry(hwpt_paging, &ictx->liveupdate.marked,
			    liveupdate_item) {
		if (hwpt_paging == end)
			break;
		iommu_liveupdate_unpreserve_domain(hwpt_paging->common.domain);
	}
}

static int iommufd_preserve_domains(struct iommufd_ctx *ictx,
				    struct iommufd_ser *ser)
{
	struct iommufd_hwpt_paging *hwpt_paging;
	u32 domain;
	int rc;

	list_for_each_entry(hwpt_paging, &ictx->liveupdate.marked,
			    liveupdate_item) {
		struct iommufd_hwpt_ser *hwpt_ser = &ser->hwpts[ser->count];

		rc = iommu_liveupdate_preserve_domain(hwpt_paging->common.domain,
						      &domain);
		if (rc) {
			pr_err("HWPT %u cannot be kept over a live update: %pe\n",
			       hwpt_paging->common.obj.id, ERR_PTR(rc));
			iommufd_unpreserve_domains(ictx, hwpt_paging);
			return rc;
		}
		hwpt_ser->tag = hwpt_paging->liveupdate_tag;
		hwpt_ser->domain = domain;
		hwpt_ser->crc = iommufd_hwpt_ser_crc(hwpt_ser);
		ser->count++;
	}
	ser->crc = iommufd_ser_crc(ser);
	return 0;
}

static int iommufd_liveupdate_preserve(struct liveupdate_file_op_args *args)
{
	struct iommufd_ctx *ictx = args->file->private_data;
	struct iommufd_ser *ser;
	size_t count;
	int rc;

	guard(mutex)(&ictx->liveupdate.lock);
	count = list_count_nodes(&ictx->liveupdate.marked);
	if (!count) {
		pr_err("an iommufd without a marked HWPT cannot be kept over a live update: mark the HWPTs first\n");
		return -ENODATA;
	}

	ser = kho_alloc_preserve(struct_size(ser, hwpts, count));
	if (IS_ERR(ser))
		return PTR_ERR(ser);

	rc = iommufd_preserve_domains(ictx, ser);
	if (rc) {
		kho_unpreserve_free(ser);
		return rc;
	}
	ictx->liveupdate.ser = ser;
	args->serialized_data = virt_to_phys(ser);
	return 0;
}

static void iommufd_liveupdate_unpreserve(struct liveupdate_file_op_args *args)
{
	struct iommufd_ctx *ictx = args->file->private_data;

	guard(mutex)(&ictx->liveupdate.lock);
	iommufd_unpreserve_domains(ictx, NULL);
	kho_unpreserve_free(ictx->liveupdate.ser);
	ictx->liveupdate.ser = NULL;
	iommufd_unmark_all(ictx);
}

static int iommufd_liveupdate_prepare(struct liveupdate_file_op_args *args)
{
	struct iommufd_ctx *ictx = args->file->private_data;
	struct iommufd_hwpt_paging *hwpt_paging;
	struct iommufd_ranges ranges = {};
	int rc;

	guard(mutex)(&ictx->liveupdate.lock);
	rc = iommufd_ranges_get(&ranges, args->session);
	if (rc)
		goto out_free;

	list_for_each_entry(hwpt_paging, &ictx->liveupdate.marked,
			    liveupdate_item) {
		rc = iommufd_prove(hwpt_paging, &ranges);
		if (rc)
			break;
	}

out_free:
	kvfree(ranges.v);
	return rc;
}

static const struct liveupdate_file_ops iommufd_liveupdate_ops = {
	.can_preserve	= iommufd_can_preserve,
	.preserve	= iommufd_liveupdate_preserve,
	.unpreserve	= iommufd_liveupdate_unpreserve,
	.prepare	= iommufd_liveupdate_prepare,
	.retrieve	= iommufd_liveupdate_retrieve,
	.can_finish	= iommufd_liveupdate_can_finish,
	.finish		= iommufd_liveupdate_finish,
	.owner		= THIS_MODULE,
	.needs_prepare	= true,
};

static struct liveupdate_file_handler iommufd_liveupdate_handler = {
	.ops = &iommufd_liveupdate_ops,
	.compatible = IOMMUFD_LIVEUPDATE_COMPATIBLE,
};

static int __init iommufd_liveupdate_init(void)
{
	int rc;

	if (!liveupdate_enabled())
		return 0;
	rc = liveupdate_register_file_handler(&iommufd_liveupdate_handler);
	if (rc)
		pr_err("no iommufd can be kept over a live update: %pe\n",
		       ERR_PTR(rc));
	return rc;
}
late_initcall(iommufd_liveupdate_init);
