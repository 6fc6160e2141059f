// SPDX-License-Identifier: GPL-2.0

/**
 * DOC: Memfds of huge pages in a live update
 *
 * A memfd that was created with MFD_HUGETLB keeps its pages where they are, as huge
 * pages of the same size, over a kexec. See mm/memfd_luo.c for other memfds: what is
 * said there of the file's size, position, flags, seals and holes holds here, too.
 * Its permission bits are kept as well.
 *
 * Lifecycle: preserve allocates pages for holes, from what the file has reserved or
 * from the pool, and pins all. Until unpreserve the file can be read and written by
 * those who map it, but neither resized nor punched. In the incoming kernel the
 * pages count as in use from the boot on (see mm/hugetlb_luo.c). Retrieve makes
 * them huge pages of their pool again, charges them to the hugetlb and memory
 * cgroups of its caller, and adds them to a new file as reserved by it. They stay
 * in place until finish: a device that was kept alive may still write to them. When
 * the file is closed they go back to the pool, or, if they are surplus there, to
 * the page allocator. A file that nobody has retrieved gives them back at finish.
 *
 * Unhappy paths, before the jump: a page that has failed (-EHWPOISON), a seal that
 * cannot be kept (-EOPNOTSUPP), a hole and no huge page for it (-ENOMEM), a page in
 * memory that the incoming kernel boots in (-EADDRNOTAVAIL). Nothing is preserved
 * then. After it: a record that does not verify costs its file, and its pages stay
 * reserved until the next boot. A page that does not verify costs the file, and a
 * cgroup that may not have it too (-ENOSPC): the other pages are held until finish.
 *
 * Locking: the file's inode lock, then hugetlb_luo_lock.
 */

#define pr_fmt(fmt) "memfd: " fmt

#include <linux/crc32.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/hugetlb.h>
#include <linux/io.h>
#include <linux/kexec_handover.h>
#include <linux/kho_pfns.h>
#include <linux/liveupdate.h>
#include <linux/liveupdate_image.h>
#include <linux/magic.h>
#include <linux/memfd.h>
#include <linux/slab.h>
#include <uapi/linux/memfd.h>

#include "hugetlb_internal.h"
#include "hugetlb_luo.h"
#include "internal.h"

LIVEUPDATE_IMAGE_NOTE(memfd_hugetlb_note, LIVEUPDATE_NOTE_BOTH,
		      MEMFD_HUGETLB_LUO_FH_COMPATIBLE);

/* What the outgoing kernel knows of a preserved file. */
struct memfd_hugetlb_out {
	struct memfd_hugetlb_ser *ser;
	struct kho_pfns pfns;
};

/**
 * memfd_hugetlb_ser_crc - Checksum of a record.
 * @ser: The record.
 *
 * Context: Any.
 * Return: What its crc should be.
 */
u32 memfd_hugetlb_ser_crc(const struct memfd_hugetlb_ser *ser)
{
	const size_t from = offsetofend(struct memfd_hugetlb_ser, crc);

	return crc32_le(~0, (const u8 *)ser + from, sizeof(*ser) - from);
}

/* Number of huge pages of a file. */
static u64 memfd_hugetlb_pages(u64 size, unsigned int order)
{
	return DIV_ROUND_UP_ULL(size, (u64)PAGE_SIZE << order);
}

static int memfd_hugetlb_keep_folio(struct memfd_hugetlb_out *out,
				    struct file *file, struct folio *folio)
{
	phys_addr_t pa = PFN_PHYS(folio_pfn(folio));
	int err;

	if (folio_test_hwpoison(folio)) {
		pr_err("%pD: the page at %pa has failed: let the program do without the file\n",
		       file, &pa);
		return -EHWPOISON;
	}
	if (kho_scratch_overlap(pa, folio_size(folio))) {
		pr_err("%pD: the next kernel boots in the page at %pa: allocate its huge pages anew\n",
		       file, &pa);
		return -EADDRNOTAVAIL;
	}

	err = kho_preserve_folio(folio);
	if (err)
		return err;
	err = kho_pfns_append(&out->pfns, folio_pfn(folio));
	if (err)
		kho_unpreserve_folio(folio);

	return err;
}

static void memfd_hugetlb_unkeep(struct memfd_hugetlb_out *out)
{
	struct kho_pfns_iter iter = kho_pfns_iter_start(&out->pfns);
	u64 *pfn;

	while ((pfn = kho_pfns_next(&iter)))
		kho_unpreserve_folio(pfn_folio(*pfn));
	kho_pfns_unpreserve_free(&out->pfns);
}

static int memfd_hugetlb_keep(struct memfd_hugetlb_out *out, struct file *file,
			      struct folio **folios, long nr)
{
	int err;
	long i;

	for (i = 0; i < nr; i++) {
		err = memfd_hugetlb_keep_folio(out, file, folios[i]);
		if (err) {
			memfd_hugetlb_unkeep(out);
			return err;
		}
	}
	out->ser->first = kho_pfns_seal(&out->pfns);
	hugetlb_luo_keep(&out->pfns, true);

	return 0;
}

/* Pin all pages of the file, and allocate those that there are not yet. */
static int memfd_hugetlb_preserve_folios(struct memfd_hugetlb_out *out,
					 struct file *file)
{
	u64 nr = memfd_hugetlb_pages(out->ser->size, out->ser->order);
	struct folio **folios;
	pgoff_t offset;
	long nr_pinned;
	int err;

	if (!nr)
		return 0;

	folios = kvmalloc_objs(*folios, nr);
	if (!folios)
		return -ENOMEM;

	nr_pinned = memfd_pin_folios(file, 0, out->ser->size - 1, folios, nr,
				     &offset);
	if (nr_pinned < 0) {
		err = nr_pinned;
		pr_err("%pD: its holes cannot be filled (%pe): are there enough huge pages?\n",
		       file, ERR_PTR(err));
		goto out_free;
	}

	err = memfd_hugetlb_keep(out, file, folios, nr_pinned);
	if (err)
		unpin_folios(folios, nr_pinned);

out_free:
	kvfree(folios);
	return err;
}

/* The file is described, but for its pages. */
static int memfd_hugetlb_describe(struct memfd_hugetlb_ser *ser,
				  struct file *file)
{
	struct inode *inode = file_inode(file);
	int seals = memfd_get_seals(file);

	if (seals < 0)
		return seals;
	if (seals & ~MEMFD_HUGETLB_LUO_ALL_SEALS) {
		pr_err("%pD: its seals %#x are not all known to a live update\n",
		       file, seals);
		return -EOPNOTSUPP;
	}

	ser->order = huge_page_order(hstate_file(file));
	ser->seals = seals;
	ser->mode = inode->i_mode & 0777;
	ser->pos = file->f_pos;
	ser->size = i_size_read(inode);

	return 0;
}

static int memfd_hugetlb_luo_preserve(struct liveupdate_file_op_args *args)
{
	struct inode *inode = file_inode(args->file);
	struct memfd_hugetlb_out *out;
	int err;

	out = kzalloc_obj(*out);
	if (!out)
		return -ENOMEM;
	out->ser = kho_alloc_preserve(sizeof(*out->ser));
	if (IS_ERR(out->ser)) {
		err = PTR_ERR(out->ser);
		goto err_free_out;
	}

	inode_lock(inode);
	hugetlbfs_freeze(inode, true);
	err = memfd_hugetlb_describe(out->ser, args->file);
	if (!err)
		err = memfd_hugetlb_preserve_folios(out, args->file);
	if (err)
		hugetlbfs_freeze(inode, false);
	inode_unlock(inode);
	if (err)
		goto err_free_ser;

	args->private_data = out;
	args->serialized_data = virt_to_phys(out->ser);

	return 0;

err_free_ser:
	kho_unpreserve_free(out->ser);
err_free_out:
	kfree(out);
	return err;
}

static void memfd_hugetlb_luo_unpreserve(struct liveupdate_file_op_args *args)
{
	struct memfd_hugetlb_out *out = args->private_data;
	struct kho_pfns_iter iter = kho_pfns_iter_start(&out->pfns);
	struct inode *inode = file_inode(args->file);
	u64 *pfn;

	inode_lock(inode);
	hugetlb_luo_keep(&out->pfns, false);
	while ((pfn = kho_pfns_next(&iter)))
		unpin_folio(pfn_folio(*pfn));
	memfd_hugetlb_unkeep(out);
	hugetlbfs_freeze(inode, false);
	inode_unlock(inode);

	kho_unpreserve_free(out->ser);
	kfree(out);
}

/* Only the position may have changed since preserve. */
static int memfd_hugetlb_luo_freeze(struct liveupdate_file_op_args *args)
{
	struct memfd_hugetlb_out *out = args->private_data;

	out->ser->pos = args->file->f_pos;
	out->ser->crc = memfd_hugetlb_ser_crc(out->ser);

	return 0;
}

static int memfd_hugetlb_luo_ranges(struct liveupdate_file_op_args *args,
				    liveupdate_range_fn fn, void *data)
{
	struct memfd_hugetlb_out *out = args->private_data;
	struct kho_pfns_iter iter = kho_pfns_iter_start(&out->pfns);
	u64 size = (u64)PAGE_SIZE << out->ser->order;
	u64 *pfn;
	int err;

	while ((pfn = kho_pfns_next(&iter))) {
		err = fn(data, PFN_PHYS(*pfn), size);
		if (err)
			return err;
	}

	return 0;
}

/**
 * memfd_hugetlb_ser_get - Find a record.
 * @pa:        Where it is said to be.
 * @preserved: kho_is_preserved(), or the stand-in of a test.
 *
 * Context: Any.
 * Return: The record, verified, or an ERR_PTR: -EFAULT when it is not in preserved
 *         memory; -EILSEQ when it is damaged; -ERANGE when it says what cannot be;
 *         -EOPNOTSUPP when it has an unknown seal.
 */
struct memfd_hugetlb_ser *
memfd_hugetlb_ser_get(u64 pa, bool (*preserved)(phys_addr_t phys, size_t size))
{
	struct memfd_hugetlb_ser *ser;

	if (!PAGE_ALIGNED(pa) || !preserved(pa, sizeof(*ser)))
		return ERR_PTR(-EFAULT);

	ser = phys_to_virt(pa);
	if (ser->crc != memfd_hugetlb_ser_crc(ser))
		return ERR_PTR(-EILSEQ);
	if (!ser->order || ser->order > MAX_FOLIO_ORDER || ser->mode & ~0777 ||
	    ser->pos > MAX_LFS_FILESIZE || ser->size > MAX_LFS_FILESIZE)
		return ERR_PTR(-ERANGE);
	if (ser->seals & ~MEMFD_HUGETLB_LUO_ALL_SEALS)
		return ERR_PTR(-EOPNOTSUPP);

	return ser;
}

/* Whether @pfn is exactly one preserved block of @order. */
static bool memfd_hugetlb_handed_over(u64 pfn, unsigned int order)
{
	unsigned int found;
	phys_addr_t start;

	return kho_find_preserved(PFN_PHYS(pfn), &start, &found) &&
	       start == PFN_PHYS(pfn) && found == order;
}

/*
 * Take all pages of a list from KHO, and hold each by a reference. The entry of one
 * that is not there is set to 0, and costs the others nothing.
 */
static int memfd_hugetlb_take(struct kho_pfns *pfns, struct hstate *h)
{
	struct kho_pfns_iter iter = kho_pfns_iter_start(pfns);
	struct folio *folio;
	int err = 0;
	u64 *pfn;

	while ((pfn = kho_pfns_next(&iter))) {
		folio = NULL;
		if (memfd_hugetlb_handed_over(*pfn, huge_page_order(h)))
			folio = kho_restore_folio(PFN_PHYS(*pfn));
		if (folio) {
			hugetlb_adopt_folio(h, folio);
		} else {
			pr_err("there is no huge page of %lu KiB at page frame %#llx: its file is lost\n",
			       huge_page_size(h) / SZ_1K, *pfn);
			*pfn = 0;
			err = -EFAULT;
		}
		cond_resched();
	}

	return err;
}

/* The pages of a file, taken or not, or an ERR_PTR. */
static struct kho_pfns *memfd_hugetlb_open(const struct memfd_hugetlb_ser *ser)
{
	return kho_pfns_retrieve(ser->first,
				 memfd_hugetlb_pages(ser->size, ser->order));
}

static int memfd_hugetlb_fill(struct file *file, const struct kho_pfns *pfns)
{
	struct kho_pfns_iter iter = kho_pfns_iter_start(pfns);
	pgoff_t idx = 0;
	u64 *pfn;
	int err;

	while ((pfn = kho_pfns_next(&iter))) {
		err = hugetlb_add_adopted_folio(pfn_folio(*pfn),
						file_inode(file), idx++);
		if (err == -ENOSPC)
			pr_err("%s (%d): its cgroup may not have all of the huge pages that it retrieves: raise its limit\n",
			       current->comm, current->pid);
		if (err)
			return err;
		cond_resched();
	}

	return 0;
}

/* An empty file with the properties of the old one, or an ERR_PTR. */
static struct file *memfd_hugetlb_file(const struct memfd_hugetlb_ser *ser)
{
	unsigned int shift = PAGE_SHIFT + ser->order;
	struct inode *inode;
	struct file *file;
	int err;

	file = memfd_alloc_file("", MFD_HUGETLB | MFD_ALLOW_SEALING |
				    shift << MFD_HUGE_SHIFT);
	if (IS_ERR(file))
		return file;

	/* A seal of the bits for execution depends on them. */
	inode = file_inode(file);
	inode->i_mode = (inode->i_mode & ~0777) | ser->mode;
	err = memfd_add_seals(file, ser->seals);
	if (err) {
		fput(file);
		return ERR_PTR(err);
	}
	vfs_setpos(file, ser->pos, MAX_LFS_FILESIZE);
	i_size_write(inode, ser->size);

	return file;
}

static int memfd_hugetlb_luo_retrieve(struct liveupdate_file_op_args *args)
{
	struct memfd_hugetlb_ser *ser;
	struct kho_pfns *pfns;
	struct hstate *h;
	struct file *file;
	int err;

	ser = memfd_hugetlb_ser_get(args->serialized_data, kho_is_preserved);
	if (IS_ERR(ser))
		return PTR_ERR(ser);
	h = size_to_hstate(PAGE_SIZE << ser->order);
	if (!h) {
		pr_err("there are no huge pages of %lu KiB in this kernel: boot it with hugepagesz=%luK\n",
		       (PAGE_SIZE << ser->order) / SZ_1K,
		       (PAGE_SIZE << ser->order) / SZ_1K);
		return -ENODEV;
	}

	pfns = memfd_hugetlb_open(ser);
	if (IS_ERR(pfns))
		return PTR_ERR(pfns);
	args->private_data = pfns;
	err = memfd_hugetlb_take(pfns, h);
	if (err)
		return err;

	file = memfd_hugetlb_file(ser);
	if (IS_ERR(file))
		return PTR_ERR(file);
	err = memfd_hugetlb_fill(file, pfns);
	if (err) {
		fput(file);
		return err;
	}
	args->file = file;

	return 0;
}

/* Give the pages of a file that nobody wanted to their pool. */
static int memfd_hugetlb_discard(const struct memfd_hugetlb_ser *ser)
{
	struct hstate *h = size_to_hstate(PAGE_SIZE << ser->order);
	struct kho_pfns *pfns;

	if (!h)
		return -ENODEV;
	pfns = memfd_hugetlb_open(ser);
	if (IS_ERR(pfns))
		return PTR_ERR(pfns);

	memfd_hugetlb_take(pfns, h);
	kho_pfns_release(pfns);

	return 0;
}

static void memfd_hugetlb_luo_finish(struct liveupdate_file_op_args *args)
{
	struct memfd_hugetlb_ser *ser;
	int err = 0;

	ser = memfd_hugetlb_ser_get(args->serialized_data, kho_is_preserved);
	if (args->private_data)
		kho_pfns_release(args->private_data);
	else if (IS_ERR(ser))
		err = PTR_ERR(ser);
	else if (!args->retrieve_status)
		err = memfd_hugetlb_discard(ser);

	if (err)
		pr_err("the huge pages of a file that came through a live update stay reserved (%pe)\n",
		       ERR_PTR(err));
	if (!IS_ERR(ser))
		kho_restore_free(ser);
}

static bool
memfd_hugetlb_luo_can_preserve(struct liveupdate_file_handler *handler,
			       struct file *file)
{
	struct inode *inode = file_inode(file);

	/* Not a file of a mount that a user has made, nor of System V. */
	return inode->i_sb->s_magic == HUGETLBFS_MAGIC &&
	       inode->i_sb->s_flags & SB_KERNMOUNT &&
	       S_ISREG(inode->i_mode) && is_file_hugepages(file) &&
	       !inode->i_nlink && !IS_PRIVATE(inode);
}

static unsigned long memfd_hugetlb_luo_get_id(struct file *file)
{
	return (unsigned long)file_inode(file);
}

static const struct liveupdate_file_ops memfd_hugetlb_luo_file_ops = {
	.can_preserve = memfd_hugetlb_luo_can_preserve,
	.preserve = memfd_hugetlb_luo_preserve,
	.unpreserve = memfd_hugetlb_luo_unpreserve,
	.ranges = memfd_hugetlb_luo_ranges,
	.freeze = memfd_hugetlb_luo_freeze,
	.retrieve = memfd_hugetlb_luo_retrieve,
	.finish = memfd_hugetlb_luo_finish,
	.get_id = memfd_hugetlb_luo_get_id,
	.owner = THIS_MODULE,
};

static struct liveupdate_file_handler memfd_hugetlb_luo_handler = {
	.ops = &memfd_hugetlb_luo_file_ops,
	.compatible = MEMFD_HUGETLB_LUO_FH_COMPATIBLE,
};

static int __init memfd_hugetlb_luo_init(void)
{
	int err;

	if (!liveupdate_enabled() || !hugepages_supported())
		return 0;

	err = hugetlb_luo_init();
	if (!err)
		err = liveupdate_register_file_handler(&memfd_hugetlb_luo_handler);
	if (err)
		pr_err("huge pages will not be kept over live updates: %pe\n",
		       ERR_PTR(err));

	return err;
}
late_initcall(memfd_hugetlb_luo_init);
