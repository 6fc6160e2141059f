/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How one kernel lists preserved pages or folios to the next.
 */
#ifndef _LINUX_KHO_ABI_PFNS_H
#define _LINUX_KHO_ABI_PFNS_H

#include <linux/types.h>

#include <asm/page.h>

/**
 * DOC: ABI of lists of page frame numbers
 *
 * A chain of blocks of one page each, in memory that KHO preserves. Whoever owns
 * a list stores the address of its first block and the number of its entries in
 * a record of its own; what the entries stand for is said there, too.
 *
 * The checksum is the CRC-32 (as of crc32_le(~0, ...)) of all bytes of the block
 * behind it, up to its last used entry.
 *
 * Integers are little endian. A change of the structure changes the compatible
 * strings of all that use it: see kho_pfns_open().
 */

#define KHO_PFNS_PER_BLOCK	((PAGE_SIZE - 2 * sizeof(u64)) / sizeof(u64))

/**
 * struct kho_pfns_block_ser - A block of a list.
 * @crc:   Checksum.
 * @count: Used entries, 1 to KHO_PFNS_PER_BLOCK.
 * @next:  Physical address of the next block, 0 in the last one.
 * @pfns:  The entries.
 */
struct kho_pfns_block_ser {
	u32 crc;
	u32 count;
	u64 next;
	u64 pfns[KHO_PFNS_PER_BLOCK];
} __packed;

#endif /* _LINUX_KHO_ABI_PFNS_H */
