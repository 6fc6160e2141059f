// SPDX-License-Identifier: GPL-2.0-only

/**
 * DOC: guest_memfd in a live update
 *
 * A guest_memfd of any size goes over a kexec with its VM, in place, when all of its
 * memory is shared with the VMM: GUEST_MEMFD_FLAG_MMAP and
 * GUEST_MEMFD_FLAG_INIT_SHARED. Private memory is refused.
 *
 * Lifecycle: preserve allocates and clears what is not there yet, and nothing can be
 * punched out from then on; guests run on. Prepare looks whether the file of the VM
 * is in the same session. Freeze writes down which VM it is. In the incoming kernel,
 * retrieve makes the VM if its file was not retrieved yet, and a file for it with
 * the old folios. The VMM binds it to memslots as it does with a new one. The folios
 * are held until finish: a device that was kept alive may still write to them.
 *
 * Not kept: the memory policy of mbind(), and what fallocate() would tell of holes.
 *
 * Unhappy paths, before the jump: private memory (-EOPNOTSUPP), a page that has
 * failed (-EHWPOISON), a host that is prepared already (-EBUSY), a VM whose file is
 * not in the session (-EXDEV, of prepare; of reboot(2) without prepare). After it: a
 * record that does not verify costs its file, and its memory stays reserved until
 * the next boot. A folio that does not verify, or a VM that did not come through,
 * costs the file; the other folios are freed at finish.
 *
 * Locking: the mapping's invalidate_lock, then kho's. No lock of the VM.
 */

#define pr_fmt(fmt) "kvm: " fmt

#include <linux/crc32.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/highmem.h>
#include <linux/io.h>
#include <linux/kexec_handover.h>
#include <linux/kho_pfns.h>
#include <linux/kvm_host.h>
#include <linux/liveupdate.h>
#include <linux/liveupdate_host.h>
#include <linux/liveupdate_image.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "guest_memfd.h"
#include "guest_memfd_luo.h"
#include "kvm_luo.h"

#define GUEST_MEMFD_LUO_FLAGS	(GUEST_MEMFD_FLAG_MMAP | \
				 GUEST_MEMFD_FLAG_INIT_SHARED)

LIVEUPDATE_IMAGE_NOTE(guest_memfd_note, LIVEUPDATE_NOTE_BOTH,
		      GUEST_MEMFD_LUO_COMPATIBLE);

/* What the outgoing kernel knows of a preserved file. */
struct gmem_luo_out {
	struct guest_memfd_ser *ser;
	struct kho_pfns pfns;
};

/**
 * guest_memfd_ser_crc - checksum of a record
 * @ser: the record
 *
 * Context: Any.
 * Return: what its crc should be.
 */
u32 guest_memfd_ser_crc(const struct guest_memfd_ser *ser)
{
	const size_t from = offsetofend(struct guest_memfd_ser, crc);

	return crc32_le(~0, (const u8 *)ser + from, sizeof(*ser) - from);
}

static bool gmem_luo_can_preserve(struct liveupdate_file_handler *handler,
				  struct file *file)
{
	u64 flags;

	return kvm_gmem_file_kvm(file, &flags);
}

/* A folio, allocated and cleared if need be, is going to stay. */
static int gmem_luo_keep_folio(struct gmem_luo_out *out, struct folio *folio)
{
	int r;

	if (folio_test_hwpoison(folio))
		return -EHWPOISON;

	if (!folio_test_uptodate(folio)) {
		folio_zero_range(folio, 0, folio_size(folio));
		folio_mark_uptodate(folio);
	}

	r = kho_preserve_folio(folio);
	if (r)
		return r;
	r = kho_pfns_append(&out->pfns, folio_pfn(folio));
	if (r)
		kho_unpreserve_folio(folio);
	return r;
}

static void gmem_luo_unkeep(struct gmem_luo_out *out)
{
	struct kho_pfns_iter iter = kho_pfns_iter_start(&out->pfns);
	u64 *pfn;

	while ((pfn = kho_pfns_next(&iter)))
		kho_unpreserve_folio(pfn_folio(*pfn));
	kho_pfns_unpreserve_free(&out->pfns);
}

static int gmem_luo_keep(struct gmem_luo_out *out, struct inode *inode)
{
	const pgoff_t end = i_size_read(inode) >> PAGE_SHIFT;
	struct folio *folio;
	pgoff_t index = 0;
	int r = 0;

	while (!r && index < end) {
		if (fatal_signal_pending(current)) {
			r = -EINTR;
			break;
		}
		folio = kvm_gmem_get_folio(inode, index);
		if (IS_ERR(folio)) {
			r = PTR_ERR(folio);
			break;
		}
		r = gmem_luo_keep_folio(out, folio);
		index = folio_next_index(folio);
		folio_unlock(folio);
		folio_put(folio);
		cond_resched();
	}
	if (r)
		gmem_luo_unkeep(out);
	return r;
}

static struct gmem_luo_out *gmem_luo_out_alloc(struct inode *inode, u64 flags)
{
	struct gmem_luo_out *out = kzalloc_obj(*out);

	if (!out)
		return ERR_PTR(-ENOMEM);

	out->ser = kho_alloc_preserve(sizeof(*out->ser));
	if (IS_ERR(out->ser)) {
		void *err = out->ser;

		kfree(out);
		return err;
	}
	out->ser->flags = flags;
	out->ser->size = i_size_read(inode);
	return out;
}

static void gmem_luo_out_free(struct gmem_luo_out *out)
{
	kho_unpreserve_free(out->ser);
	kfree(out);
}

static int gmem_luo_check(struct kvm *kvm, u64 flags)
{
	if (flags != GUEST_MEMFD_LUO_FLAGS) {
		pr_warn("a guest_memfd of VM %s cannot be kept over a live update: its memory is private, or cannot be mapped\n",
			kvm->stats_id);
		return -EOPNOTSUPP;
	}
	/* Whether the file of the VM is there is looked at by prepare. */
	if (liveupdate_state() != LIVEUPDATE_STATE_NORMAL)
		return -EBUSY;
	return 0;
}

static int gmem_luo_preserve(struct liveupdate_file_op_args *args)
{
	struct inode *inode = file_inode(args->file);
	struct gmem_luo_out *out;
	struct kvm *kvm;
	u64 flags;
	int r;

	kvm = kvm_gmem_file_kvm(args->file, &flags);
	r = gmem_luo_check(kvm, flags);
	if (r)
		return r;

	out = gmem_luo_out_alloc(inode, flags);
	if (IS_ERR(out))
		return PTR_ERR(out);

	kvm_gmem_freeze(inode, true);
	r = gmem_luo_keep(out, inode);
	if (r) {
		pr_warn("a guest_memfd of VM %s cannot be kept over a live update: %pe\n",
			kvm->stats_id, ERR_PTR(r));
		kvm_gmem_freeze(inode, false);
		gmem_luo_out_free(out);
		return r;
	}

	out->ser->nr_folios = out->pfns.count;
	out->ser->first = kho_pfns_seal(&out->pfns);
	args->private_data = out;
	args->serialized_data = virt_to_phys(out->ser);
	return 0;
}

static void gmem_luo_unpreserve(struct liveupdate_file_op_args *args)
{
	struct gmem_luo_out *out = args->private_data;

	gmem_luo_unkeep(out);
	kvm_gmem_freeze(file_inode(args->file), false);
	gmem_luo_out_free(out);
}

static int gmem_luo_no_vm(struct kvm *kvm)
{
	pr_warn("a guest_memfd of VM %s is in a session without its VM: preserve the VM's file there, too\n",
		kvm->stats_id);
	return -EXDEV;
}

static int gmem_luo_prepare(struct liveupdate_file_op_args *args)
{
	struct kvm *kvm;
	u64 flags;

	kvm = kvm_gmem_file_kvm(args->file, &flags);
	if (!kvm_luo_session_has_vm(args->session, kvm))
		return gmem_luo_no_vm(kvm);
	return 0;
}

static int gmem_luo_freeze(struct liveupdate_file_op_args *args)
{
	struct gmem_luo_out *out = args->private_data;
	struct kvm *kvm;
	u64 flags;

	kvm = kvm_gmem_file_kvm(args->file, &flags);
	out->ser->vm = kvm_luo_vm_record(kvm);
	if (!out->ser->vm)
		return gmem_luo_no_vm(kvm);
	out->ser->crc = guest_memfd_ser_crc(out->ser);
	return 0;
}

static int gmem_luo_ranges(struct liveupdate_file_op_args *args,
			   liveupdate_range_fn fn, void *data)
{
	struct gmem_luo_out *out = args->private_data;
	struct kho_pfns_iter iter = kho_pfns_iter_start(&out->pfns);
	u64 *pfn;
	int r;

	while ((pfn = kho_pfns_next(&iter))) {
		r = fn(data, PFN_PHYS(*pfn), folio_size(pfn_folio(*pfn)));
		if (r)
			return r;
	}
	return 0;
}

/**
 * guest_memfd_ser_get - find a record
 * @pa: where it is said to be
 * @preserved: kho_is_preserved(), or the stand-in of a test
 *
 * Context: Any.
 * Return: the record, verified, or an ERR_PTR: -EFAULT when it is not in preserved
 *         memory; -EILSEQ when it is damaged; -ERANGE when it says what cannot be;
 *         -EOPNOTSUPP when it is of memory that cannot be kept.
 */
struct guest_memfd_ser *
guest_memfd_ser_get(u64 pa, bool (*preserved)(phys_addr_t phys, size_t size))
{
	struct guest_memfd_ser *ser;

	if (!PAGE_ALIGNED(pa) || !preserved(pa, sizeof(*ser)))
		return ERR_PTR(-EFAULT);

	ser = phys_to_virt(pa);
	if (ser->crc != guest_memfd_ser_crc(ser))
		return ERR_PTR(-EILSEQ);
	if (ser->flags != GUEST_MEMFD_LUO_FLAGS)
		return ERR_PTR(-EOPNOTSUPP);
	if (ser->reserved || !ser->vm || !ser->size || ser->size > MAX_LFS_FILESIZE ||
	    !PAGE_ALIGNED(ser->size) || ser->nr_folios > ser->size >> PAGE_SHIFT)
		return ERR_PTR(-ERANGE);
	return ser;
}

/*
 * Take all folios of a list from KHO, and hold each by a reference. The entry of one
 * that is not there is set to 0, and costs the others nothing.
 */
static int gmem_luo_take(struct kho_pfns *pfns)
{
	struct kho_pfns_iter iter = kho_pfns_iter_start(pfns);
	unsigned int order;
	phys_addr_t start;
	int r = 0;
	u64 *pfn;

	while ((pfn = kho_pfns_next(&iter))) {
		if (!kho_find_preserved(PFN_PHYS(*pfn), &start, &order) ||
		    start != PFN_PHYS(*pfn) || !kho_restore_folio(start)) {
			pr_err("there is no folio of a guest_memfd at page frame %#llx: its VM is lost\n",
			       *pfn);
			*pfn = 0;
			r = -EFAULT;
		}
		cond_resched();
	}
	return r;
}

/* Each folio has one more reference, which is dropped by finish. */
static int gmem_luo_fill(struct file *file, const struct kho_pfns *pfns)
{
	const pgoff_t end = i_size_read(file_inode(file)) >> PAGE_SHIFT;
	struct kho_pfns_iter iter = kho_pfns_iter_start(pfns);
	struct address_space *mapping = file->f_mapping;
	struct folio *folio;
	pgoff_t index = 0;
	u64 *pfn;
	int r;

	while ((pfn = kho_pfns_next(&iter))) {
		folio = pfn_folio(*pfn);
		if (folio_nr_pages(folio) > end - index ||
		    !IS_ALIGNED(index, folio_nr_pages(folio)))
			return -ERANGE;
		r = filemap_add_folio(mapping, folio, index,
				      mapping_gfp_mask(mapping));
		if (r)
			return r;
		folio_mark_uptodate(folio);
		index = folio_next_index(folio);
		folio_unlock(folio);
		cond_resched();
	}
	return index == end ? 0 : -ERANGE;
}

static struct file *gmem_luo_file(const struct guest_memfd_ser *ser)
{
	struct kvm *kvm = kvm_luo_get_vm(ser->vm);
	struct file *file;

	if (IS_ERR(kvm)) {
		pr_err("a guest_memfd has lost its VM (%pe)\n", kvm);
		return ERR_CAST(kvm);
	}

	if (ser->flags & ~kvm_gmem_get_supported_flags(kvm))
		file = ERR_PTR(-EOPNOTSUPP);
	else
		file = kvm_gmem_create_file(kvm, ser->size, ser->flags);
	kvm_put_kvm(kvm);
	return file;
}

static int gmem_luo_retrieve(struct liveupdate_file_op_args *args)
{
	struct guest_memfd_ser *ser;
	struct kho_pfns *pfns;
	struct file *file;
	int r;

	ser = guest_memfd_ser_get(args->serialized_data, kho_is_preserved);
	if (IS_ERR(ser))
		return PTR_ERR(ser);

	pfns = kho_pfns_retrieve(ser->first, ser->nr_folios);
	if (IS_ERR(pfns))
		return PTR_ERR(pfns);
	args->private_data = pfns;
	r = gmem_luo_take(pfns);
	if (r)
		return r;

	file = gmem_luo_file(ser);
	if (IS_ERR(file))
		return PTR_ERR(file);
	r = gmem_luo_fill(file, pfns);
	if (r) {
		fput(file);
		return r;
	}
	args->file = file;
	return 0;
}

static int gmem_luo_discard(const struct guest_memfd_ser *ser)
{
	struct kho_pfns *pfns = kho_pfns_retrieve(ser->first, ser->nr_folios);

	if (IS_ERR(pfns))
		return PTR_ERR(pfns);

	gmem_luo_take(pfns);
	kho_pfns_release(pfns);
	return 0;
}

static void gmem_luo_finish(struct liveupdate_file_op_args *args)
{
	struct guest_memfd_ser *ser;
	int r = 0;

	ser = guest_memfd_ser_get(args->serialized_data, kho_is_preserved);
	if (args->private_data)
		kho_pfns_release(args->private_data);
	else if (IS_ERR(ser))
		r = PTR_ERR(ser);
	else if (!args->retrieve_status)
		r = gmem_luo_discard(ser);

	if (r)
		pr_err("the memory of a guest_memfd that came through a live update stays reserved (%pe)\n",
		       ERR_PTR(r));
	if (!IS_ERR(ser))
		kho_restore_free(ser);
}

static unsigned long gmem_luo_get_id(struct file *file)
{
	return (unsigned long)file_inode(file);
}

static const struct liveupdate_file_ops gmem_luo_file_ops = {
	.can_preserve = gmem_luo_can_preserve,
	.preserve = gmem_luo_preserve,
	.unpreserve = gmem_luo_unpreserve,
	.prepare = gmem_luo_prepare,
	.ranges = gmem_luo_ranges,
	.freeze = gmem_luo_freeze,
	.retrieve = gmem_luo_retrieve,
	.finish = gmem_luo_finish,
	.get_id = gmem_luo_get_id,
	.owner = THIS_MODULE,
};

static struct liveupdate_file_handler gmem_luo_handler = {
	.ops = &gmem_luo_file_ops,
	.compatible = GUEST_MEMFD_LUO_COMPATIBLE,
};

/**
 * kvm_gmem_luo_init - let guest_memfds be preserved
 *
 * Context: Initialisation of KVM.
 */
void kvm_gmem_luo_init(void)
{
	int r = liveupdate_register_file_handler(&gmem_luo_handler);

	if (r && r != -EOPNOTSUPP)
		pr_err("guest_memfds will not be kept over live updates: %pe\n",
		       ERR_PTR(r));
}

/**
 * kvm_gmem_luo_exit - and not any more
 *
 * Context: Exit of KVM.
 */
void kvm_gmem_luo_exit(void)
{
	liveupdate_unregister_file_handler(&gmem_luo_handler);
}
