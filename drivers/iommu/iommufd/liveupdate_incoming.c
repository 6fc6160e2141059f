// SPDX-License-Identifier: GPL-2.0-only

/**
 * DOC: iommufd after a live update
 *
 * A retrieved iommufd has a HWPT of its own type for each page table that came
 * along: read-only, without an IOAS, so that nothing can be mapped or unmapped.
 * IOMMU_HWPT_LIVEUPDATE_FIND finds it by its tag. The devices that were attached
 * to it still are, as far as hardware is concerned:
 *
 * 1. retrieve makes the HWPTs. Until then no other iommufd can bind their
 *    devices (EBUSY).
 * 2. Binding such a device to the retrieved iommufd takes the ownership of its
 *    DMA over from the IOMMU core. Hardware is not touched.
 * 3. Attaching it to its HWPT tells the IOMMU core what is so already.
 * 4. Attaching it to an ordinary HWPT or IOAS afterwards replaces the table, by
 *    the means of the IOMMU's driver.
 * 5. finish, when no device uses the old tables any more: their HWPTs are
 *    destroyed.
 *
 * Unhappy paths:
 *
 * - A table does not verify: no HWPT for it, and IOMMU_HWPT_LIVEUPDATE_FIND says
 *   why. Nothing can reach its memory.
 * - The record does not verify: no iommufd, or no HWPT for that entry. Which
 *   tables it meant is not known, so its session keeps its memory (EBUSY at
 *   finish) until the host's finish has blocked all devices that nobody bound.
 * - finish while a device still uses an old table: EBUSY, with a message.
 * - finish when nobody has bound the device: its DMA is blocked. That of files
 *   that stand for devices comes before that of memory, see luo_file_finish().
 * - A device is closed or unbound before finish: the IOMMU core has it again,
 *   and nobody can bind it before the host's finish.
 * - The HWPT cannot be destroyed before finish (EBUSY).
 *
 * Locking: see liveupdate.c.
 */

#define pr_fmt(fmt) "iommufd: " fmt

#include <linux/cleanup.h>
#include <linux/dev_liveupdate.h>
#include <linux/file.h>
#include <linux/io.h>
#include <linux/iommu_liveupdate.h>
#include <linux/kho/abi/iommu.h>
#include <linux/kexec_handover.h>
#include <linux/liveupdate.h>

#include "liveupdate.h"

/* A table that came along; @hwpt is NULL and @rc says why when it was lost */
struct iommufd_incoming_hwpt {
	u64 tag;
	struct iommufd_hw_pagetable *hwpt;
	int rc;
};

struct iommufd_incoming {
	u32 count;
	struct iommufd_incoming_hwpt hwpts[] __counted_by(count);
};

/**
 * iommufd_hwpt_incoming_destroy() - Destroy a HWPT of the outgoing kernel
 * @obj: Its object
 */
void iommufd_hwpt_incoming_destroy(struct iommufd_object *obj)
{
	struct iommufd_hw_pagetable *hwpt =
		container_of(obj, struct iommufd_hw_pagetable, obj);

	iommu_domain_free(hwpt->domain);
}

/**
 * iommufd_ser_get() - Find a record
 * @pa: Where it is said to be
 * @preserved: kho_is_preserved(), or the stand-in of a test
 *
 * Return: The record, whose head and length are verified, or an ERR_PTR:
 *         -EFAULT not in preserved memory; -EILSEQ head damaged; -ERANGE no
 *         entries, or more than were preserved
 */
struct iommufd_ser *iommufd_ser_get(u64 pa, bool (*preserved)(phys_addr_t phys,
							      size_t size))
{
	struct iommufd_ser *ser = phys_to_virt(pa);

	if (!IS_ALIGNED(pa, PAGE_SIZE) || !preserved(pa, sizeof(*ser)))
		return ERR_PTR(-EFAULT);
	if (ser->crc != iommufd_ser_crc(ser))
		return ERR_PTR(-EILSEQ);
	if (!ser->count || !preserved(pa, struct_size(ser, hwpts, ser->count)))
		return ERR_PTR(-ERANGE);
	return ser;
}

/**
 * iommufd_hwpt_ser_valid() - Whether an entry of a record can be believed
 * @ser: The entry
 *
 * Return: Whether it can
 */
bool iommufd_hwpt_ser_valid(const struct iommufd_hwpt_ser *ser)
{
	return ser->crc == iommufd_hwpt_ser_crc(ser) && !ser->reserved;
}

/* The record of a file */
static struct iommufd_ser *
iommufd_args_ser(const struct liveupdate_file_op_args *args)
{
	return iommufd_ser_get(args->serialized_data, kho_is_preserved);
}

/* The table that an entry names, or an ERR_PTR */
static struct iommu_domain *
iommufd_hwpt_ser_domain(const struct iommufd_hwpt_ser *ser)
{
	if (!iommufd_hwpt_ser_valid(ser))
		return ERR_PTR(-EILSEQ);
	return iommu_liveupdate_get_domain(ser->domain);
}

static struct iommufd_hw_pagetable *
iommufd_hwpt_incoming_alloc(struct iommufd_ctx *ictx,
			    const struct iommufd_hwpt_ser *ser)
{
	struct iommufd_hw_pagetable *hwpt;
	struct iommu_domain *domain;

	domain = iommufd_hwpt_ser_domain(ser);
	if (IS_ERR(domain))
		return ERR_CAST(domain);

	hwpt = iommufd_object_alloc(ictx, hwpt, IOMMUFD_OBJ_HWPT_INCOMING);
	if (IS_ERR(hwpt)) {
		iommu_domain_free(domain);
		return hwpt;
	}
	hwpt->domain = domain;
	/* Until finish, pairs with iommufd_incoming_free() */
	refcount_inc(&hwpt->obj.users);
	iommufd_object_finalize(ictx, &hwpt->obj);
	return hwpt;
}

static int iommufd_incoming_alloc(struct iommufd_ctx *ictx,
				  const struct iommufd_ser *ser)
{
	struct iommufd_incoming *in;
	u32 i;

	in = kvzalloc_flex(*in, hwpts, ser->count);
	if (!in)
		return -ENOMEM;
	in->count = ser->count;

	for (i = 0; i < in->count; i++) {
		struct iommufd_incoming_hwpt *in_hwpt = &in->hwpts[i];
		struct iommufd_hw_pagetable *hwpt;

		in_hwpt->tag = ser->hwpts[i].tag;
		hwpt = iommufd_hwpt_incoming_alloc(ictx, &ser->hwpts[i]);
		if (!IS_ERR(hwpt)) {
			in_hwpt->hwpt = hwpt;
			continue;
		}
		in_hwpt->rc = PTR_ERR(hwpt);
		pr_err("HWPT of tag %llu did not come through the live update (%pe): start its devices anew\n",
		       in_hwpt->tag, hwpt);
	}
	ictx->liveupdate.in = in;
	return 0;
}

/**
 * iommufd_incoming_free() - Drop what came from the outgoing kernel
 * @ictx: The iommufd
 *
 * Context: iommufd_liveupdate::lock is held.
 */
void iommufd_incoming_free(struct iommufd_ctx *ictx)
{
	struct iommufd_incoming *in = ictx->liveupdate.in;
	u32 i;

	lockdep_assert_held(&ictx->liveupdate.lock);
	if (!in)
		return;

	for (i = 0; i < in->count; i++) {
		struct iommufd_hw_pagetable *hwpt = in->hwpts[i].hwpt;

		if (hwpt)
			iommufd_object_put_and_try_destroy(ictx, &hwpt->obj);
	}
	kvfree(in);
	ictx->liveupdate.in = NULL;
}

/**
 * iommufd_hwpt_liveupdate_find() - ioctl(IOMMU_HWPT_LIVEUPDATE_FIND)
 * @ucmd: The command
 *
 * Return: 0; -ENOENT without a HWPT of that tag; -ENOTTY when the iommufd did
 *         not come through a live update, or its session is finished; else why
 *         the HWPT was lost
 */
int iommufd_hwpt_liveupdate_find(struct iommufd_ucmd *ucmd)
{
	struct iommu_hwpt_liveupdate_find *cmd = ucmd->cmd;
	struct iommufd_incoming *in;
	u32 i;

	if (cmd->flags || cmd->__reserved)
		return -EOPNOTSUPP;

	guard(mutex)(&ucmd->ictx->liveupdate.lock);
	in = ucmd->ictx->liveupdate.in;
	if (!in)
		return -ENOTTY;

	for (i = 0; i < in->count; i++) {
		if (in->hwpts[i].tag != cmd->tag)
			continue;
		if (!in->hwpts[i].hwpt)
			return in->hwpts[i].rc;
		cmd->out_hwpt_id = in->hwpts[i].hwpt->obj.id;
		return iommufd_ucmd_respond(ucmd, sizeof(*cmd));
	}
	return -ENOENT;
}

static bool iommufd_incoming_has(struct iommufd_ctx *ictx,
				 struct iommu_domain *domain)
{
	struct iommufd_incoming *in;
	u32 i;

	guard(mutex)(&ictx->liveupdate.lock);
	in = ictx->liveupdate.in;
	for (i = 0; in && i < in->count; i++) {
		if (in->hwpts[i].hwpt && in->hwpts[i].hwpt->domain == domain)
			return true;
	}
	return false;
}

/**
 * iommufd_liveupdate_claim_dma_owner() - Become the owner of a device's DMA
 * @ictx: The iommufd
 * @dev: The device, with a driver bound
 *
 * A device that came through a live update is only for the iommufd that has its
 * page table, and stays attached to that. Any other is claimed as ever.
 *
 * Return: 0, or an errno; -EBUSY when the device belongs to another iommufd
 */
int iommufd_liveupdate_claim_dma_owner(struct iommufd_ctx *ictx,
				       struct device *dev)
{
	int rc;

	if (!dev_liveupdate_incoming(dev))
		return iommu_device_claim_dma_owner(dev, ictx);

	if (iommufd_incoming_has(ictx, iommu_get_domain_for_dev(dev)))
		return iommu_liveupdate_claim(dev, ictx);

	/* Fails unless it was reclaimed, and given back, before */
	rc = iommu_device_claim_dma_owner(dev, ictx);
	if (!rc)
		return 0;
	dev_warn(dev, "is kept for a live update: bind it to the iommufd of its session\n");
	return -EBUSY;
}

/**
 * iommufd_liveupdate_retrieve() - Make an iommufd of a record
 * @args: See &struct liveupdate_file_ops
 *
 * Return: 0, or an errno
 */
int iommufd_liveupdate_retrieve(struct liveupdate_file_op_args *args)
{
	struct iommufd_ctx *ictx;
	struct iommufd_ser *ser;
	struct file *file;
	int rc;

	ser = iommufd_args_ser(args);
	if (IS_ERR(ser)) {
		pr_err("record of an iommufd cannot be believed (%pe): its devices are lost, start them anew\n",
		       ser);
		return PTR_ERR(ser);
	}

	file = iommufd_file_create();
	if (IS_ERR(file))
		return PTR_ERR(file);
	ictx = file->private_data;

	scoped_guard(mutex, &ictx->liveupdate.lock)
		rc = iommufd_incoming_alloc(ictx, ser);
	if (rc) {
		fput(file);
		return rc;
	}
	args->file = file;
	return 0;
}

/* A table that this iommufd may have owned, although its record does not say */
static bool iommufd_any_orphan(void)
{
	struct iommu_domain *domain;
	u32 i;

	for (i = 0; i < IOMMU_LIVEUPDATE_MAX_DOMAINS; i++) {
		domain = iommu_liveupdate_get_domain(i);
		if (IS_ERR(domain))
			continue;
		iommu_domain_free(domain);
		return true;
	}
	return false;
}

static bool iommufd_ser_is_damaged(const struct iommufd_ser *ser)
{
	u32 i;

	if (IS_ERR(ser))
		return true;
	for (i = 0; i < ser->count; i++) {
		if (!iommufd_hwpt_ser_valid(&ser->hwpts[i]))
			return true;
	}
	return false;
}

static bool iommufd_incoming_in_use(struct iommufd_ctx *ictx)
{
	struct iommufd_incoming *in;
	u32 i;

	guard(mutex)(&ictx->liveupdate.lock);
	in = ictx->liveupdate.in;
	for (i = 0; i < in->count; i++) {
		if (in->hwpts[i].hwpt &&
		    iommu_liveupdate_domain_in_use(in->hwpts[i].hwpt->domain))
			return true;
	}
	return false;
}

/**
 * iommufd_liveupdate_can_finish() - Whether the old tables can go
 * @args: See &struct liveupdate_file_ops
 *
 * Return: false after a message when not
 */
bool iommufd_liveupdate_can_finish(struct liveupdate_file_op_args *args)
{
	if (args->retrieve_status > 0 &&
	    iommufd_incoming_in_use(args->file->private_data)) {
		pr_warn("a device still uses a page table of the outgoing kernel: attach it to a new IOAS, or close it, before its session is finished\n");
		return false;
	}
	if (iommufd_ser_is_damaged(iommufd_args_ser(args)) &&
	    iommufd_any_orphan()) {
		pr_warn("the record of an iommufd is damaged, its devices may still use memory of the session: close the session, the host's finish frees it\n");
		return false;
	}
	return true;
}

static void iommufd_incoming_block(struct iommufd_ctx *ictx)
{
	struct iommufd_incoming *in = ictx->liveupdate.in;
	u32 i;

	for (i = 0; i < in->count; i++) {
		if (in->hwpts[i].hwpt)
			iommu_liveupdate_block_domain(in->hwpts[i].hwpt->domain);
	}
}

static void iommufd_ser_block(const struct iommufd_ser *ser)
{
	struct iommu_domain *domain;
	u32 i;

	for (i = 0; i < ser->count; i++) {
		domain = iommufd_hwpt_ser_domain(&ser->hwpts[i]);
		if (IS_ERR(domain))
			continue;
		iommu_liveupdate_block_domain(domain);
		iommu_domain_free(domain);
	}
}

/**
 * iommufd_liveupdate_finish() - Drop the old tables
 * @args: See &struct liveupdate_file_ops
 *
 * Devices that nobody bound are blocked: their memory may be freed next.
 */
void iommufd_liveupdate_finish(struct liveupdate_file_op_args *args)
{
	struct iommufd_ser *ser = iommufd_args_ser(args);

	if (args->retrieve_status > 0) {
		struct iommufd_ctx *ictx = args->file->private_data;

		guard(mutex)(&ictx->liveupdate.lock);
		iommufd_incoming_block(ictx);
		iommufd_incoming_free(ictx);
	} else if (!IS_ERR(ser)) {
		iommufd_ser_block(ser);
	}
	if (!IS_ERR(ser))
		kho_restore_free(ser);
}
