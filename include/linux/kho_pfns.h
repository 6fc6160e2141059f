/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LINUX_KHO_PFNS_H
#define _LINUX_KHO_PFNS_H

#include <linux/types.h>

struct kho_pfns_block_ser;

/**
 * struct kho_pfns - A list of page frame numbers, in preserved memory.
 * @first: Its first block, or NULL.
 * @last:  Its last block, or NULL.
 * @count: Number of its entries.
 *
 * All zero for an empty list. The owner of the list serialises its users.
 */
struct kho_pfns {
	struct kho_pfns_block_ser *first;
	struct kho_pfns_block_ser *last;
	u64 count;
};

/**
 * struct kho_pfns_iter - A place in a list.
 * @block: Block of the next entry.
 * @i:     Its index in there.
 */
struct kho_pfns_iter {
	struct kho_pfns_block_ser *block;
	u32 i;
};

int kho_pfns_append(struct kho_pfns *list, u64 pfn);
u64 kho_pfns_seal(struct kho_pfns *list);
void kho_pfns_unpreserve_free(struct kho_pfns *list);

int kho_pfns_open(struct kho_pfns *list, u64 first_pa, u64 count,
		  bool (*preserved)(phys_addr_t phys, size_t size));
void kho_pfns_restore_free(struct kho_pfns *list);
struct kho_pfns *kho_pfns_retrieve(u64 first_pa, u64 count);
void kho_pfns_release(struct kho_pfns *list);

u64 *kho_pfns_next(struct kho_pfns_iter *iter);

/**
 * kho_pfns_iter_start - A place at the beginning of a list.
 * @list: The list.
 *
 * Return: What kho_pfns_next() takes.
 */
static inline struct kho_pfns_iter
kho_pfns_iter_start(const struct kho_pfns *list)
{
	return (struct kho_pfns_iter){ .block = list->first };
}

#endif /* _LINUX_KHO_PFNS_H */
