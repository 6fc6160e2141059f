// SPDX-License-Identifier: GPL-2.0

/**
 * DOC: Lists of page frame numbers in a handover
 *
 * A file of memory has to tell the next kernel which folios it consists of. It may
 * have millions of them, so they are listed in a chain of single pages: nothing
 * large has to be allocated, and each page can be verified before it is used.
 *
 * Lifecycle: kho_pfns_append() in the outgoing kernel, then kho_pfns_seal(), which
 * also says where the list begins. The incoming kernel opens the list, goes through
 * it, and frees it. A cancelled update frees it in the outgoing kernel.
 *
 * Unhappy paths: a list that does not verify is not opened, and its pages stay
 * reserved until the next boot. kho_pfns_open() verifies the chain only: what an
 * entry names is for its reader to verify.
 *
 * Locking: none here, the owner of a list serialises its users.
 */

#include <linux/crc32.h>
#include <linux/err.h>
#include <linux/export.h>
#include <linux/io.h>
#include <linux/kexec_handover.h>
#include <linux/kho/abi/pfns.h>
#include <linux/kho_pfns.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>

static_assert(sizeof(struct kho_pfns_block_ser) == PAGE_SIZE);

static u32 kho_pfns_crc(const struct kho_pfns_block_ser *block)
{
	const size_t from = offsetofend(struct kho_pfns_block_ser, crc);
	const size_t to = offsetof(struct kho_pfns_block_ser, pfns[block->count]);

	return crc32_le(~0, (const u8 *)block + from, to - from);
}

static struct kho_pfns_block_ser *
kho_pfns_block_next(const struct kho_pfns_block_ser *block)
{
	return block->next ? phys_to_virt(block->next) : NULL;
}

/* The last block of @list, with room for an entry, or an ERR_PTR. */
static struct kho_pfns_block_ser *kho_pfns_room(struct kho_pfns *list)
{
	struct kho_pfns_block_ser *block;

	if (list->last && list->last->count < KHO_PFNS_PER_BLOCK)
		return list->last;

	block = kho_alloc_preserve(sizeof(*block));
	if (IS_ERR(block))
		return block;

	if (list->last) {
		list->last->next = virt_to_phys(block);
		list->last->crc = kho_pfns_crc(list->last);
	} else {
		list->first = block;
	}
	list->last = block;

	return block;
}

/**
 * kho_pfns_append - Append an entry to a list.
 * @list: The list.
 * @pfn:  The entry.
 *
 * Context: Process context; may sleep.
 * Return: 0, or the errno of KHO. The list is as it was then.
 */
int kho_pfns_append(struct kho_pfns *list, u64 pfn)
{
	struct kho_pfns_block_ser *block = kho_pfns_room(list);

	if (IS_ERR(block))
		return PTR_ERR(block);

	block->pfns[block->count++] = pfn;
	list->count++;

	return 0;
}
EXPORT_SYMBOL_GPL(kho_pfns_append);

/**
 * kho_pfns_seal - Make a list ready to be handed over.
 * @list: The list, complete.
 *
 * Context: Any.
 * Return: What kho_pfns_open() needs to find it: the physical address of its first
 *         block, 0 when it is empty.
 */
u64 kho_pfns_seal(struct kho_pfns *list)
{
	if (!list->first)
		return 0;

	list->last->crc = kho_pfns_crc(list->last);

	return virt_to_phys(list->first);
}
EXPORT_SYMBOL_GPL(kho_pfns_seal);

/**
 * kho_pfns_unpreserve_free - Free a list that will not be handed over.
 * @list: The list; it is empty then.
 *
 * Context: Process context.
 */
void kho_pfns_unpreserve_free(struct kho_pfns *list)
{
	struct kho_pfns_block_ser *block = list->first, *next;

	for (; block; block = next) {
		next = kho_pfns_block_next(block);
		kho_unpreserve_free(block);
	}
	*list = (struct kho_pfns){};
}
EXPORT_SYMBOL_GPL(kho_pfns_unpreserve_free);

/**
 * kho_pfns_open - Verify a list that another kernel has written.
 * @list:      Set to the list, if it verifies.
 * @first_pa:  Where it is said to begin.
 * @count:     How many entries it is said to have.
 * @preserved: kho_is_preserved(), or the stand-in of a test.
 *
 * The string of the format that says so stands for the format of the list, too.
 *
 * Context: Any.
 * Return: 0; -EFAULT when a block is not in preserved memory; -EILSEQ when one is
 *         damaged; -ERANGE when they do not have @count entries together.
 */
int kho_pfns_open(struct kho_pfns *list, u64 first_pa, u64 count,
		  bool (*preserved)(phys_addr_t phys, size_t size))
{
	struct kho_pfns_block_ser *block = NULL;
	u64 pa = first_pa, found = 0;

	/* A block has at least one entry: a cycle ends, too. */
	for (; pa; pa = block->next) {
		if (!PAGE_ALIGNED(pa) || !preserved(pa, PAGE_SIZE))
			return -EFAULT;
		block = phys_to_virt(pa);
		if (!block->count || block->count > KHO_PFNS_PER_BLOCK ||
		    block->crc != kho_pfns_crc(block))
			return -EILSEQ;
		found += block->count;
		if (found > count)
			return -ERANGE;
	}
	if (found != count)
		return -ERANGE;

	list->first = first_pa ? phys_to_virt(first_pa) : NULL;
	list->last = block;
	list->count = count;

	return 0;
}
EXPORT_SYMBOL_GPL(kho_pfns_open);

/**
 * kho_pfns_restore_free - Free a list that another kernel has written.
 * @list: The list, opened; it is empty then.
 *
 * Context: Process context.
 */
void kho_pfns_restore_free(struct kho_pfns *list)
{
	struct kho_pfns_block_ser *block = list->first, *next;

	for (; block; block = next) {
		next = kho_pfns_block_next(block);
		kho_restore_free(block);
	}
	*list = (struct kho_pfns){};
}
EXPORT_SYMBOL_GPL(kho_pfns_restore_free);

/**
 * kho_pfns_retrieve - Find the list of a file.
 * @first_pa: Where it is said to begin.
 * @count:    How many entries it is said to have.
 *
 * Context: Process context.
 * Return: The list, to be freed by kho_pfns_release(), or an ERR_PTR: -ENOMEM, or
 *         what kho_pfns_open() says.
 */
struct kho_pfns *kho_pfns_retrieve(u64 first_pa, u64 count)
{
	struct kho_pfns *list = kzalloc_obj(*list);
	int err;

	if (!list)
		return ERR_PTR(-ENOMEM);

	err = kho_pfns_open(list, first_pa, count, kho_is_preserved);
	if (err) {
		kfree(list);
		return ERR_PTR(err);
	}

	return list;
}
EXPORT_SYMBOL_GPL(kho_pfns_retrieve);

/**
 * kho_pfns_release - Let go of the folios of a file, and free their list.
 * @list: From kho_pfns_retrieve(). Each entry that is not 0 holds a reference of
 *        its folio.
 *
 * Context: Process context.
 */
void kho_pfns_release(struct kho_pfns *list)
{
	struct kho_pfns_iter iter = kho_pfns_iter_start(list);
	u64 *pfn;

	while ((pfn = kho_pfns_next(&iter))) {
		if (*pfn)
			folio_put(pfn_folio(*pfn));
		cond_resched();
	}
	kho_pfns_restore_free(list);
	kfree(list);
}
EXPORT_SYMBOL_GPL(kho_pfns_release);

/**
 * kho_pfns_next - Go through a list.
 * @iter: From kho_pfns_iter_start().
 *
 * Context: Any.
 * Return: The next entry, which may be changed when the list is not handed over any
 *         more; NULL after the last one.
 */
u64 *kho_pfns_next(struct kho_pfns_iter *iter)
{
	while (iter->block && iter->i == iter->block->count) {
		iter->block = kho_pfns_block_next(iter->block);
		iter->i = 0;
	}

	return iter->block ? &iter->block->pfns[iter->i++] : NULL;
}
EXPORT_SYMBOL_GPL(kho_pfns_next);
