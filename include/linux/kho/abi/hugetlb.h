/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What one kernel tells the next about huge pages that it keeps.
 */
#ifndef _LINUX_KHO_ABI_HUGETLB_H
#define _LINUX_KHO_ABI_HUGETLB_H

#include <linux/types.h>
#include <uapi/linux/fcntl.h>

/**
 * DOC: ABI of huge pages in a live update
 *
 * Two parts, which do not point at each other:
 *
 * - KHO's subtree HUGETLB_LUO_NODE is a &struct hugetlb_pool_ser. It says how many
 *   huge pages of each size and node are kept, and is read before the next
 *   kernel fills its pools. It names no memory.
 * - The u64 that LUO keeps for a file of handler MEMFD_HUGETLB_LUO_FH_COMPATIBLE is
 *   the physical address of a &struct memfd_hugetlb_ser, in a block that KHO
 *   preserves. The huge pages of the file are listed as pfns.h says, one entry for
 *   each, by their index in the file, without holes.
 *
 * A checksum is the CRC-32 (as of crc32_le(~0, ...)) of all bytes of its structure
 * behind it. A table of counts that does not verify costs nothing but the memory
 * that the next kernel then puts into its pools on top of what was kept. A record
 * that does not verify costs its file.
 *
 * Integers are little endian. A change of a structure changes its string.
 */

#define HUGETLB_LUO_NODE		"hugetlb"
#define HUGETLB_LUO_POOL_COMPATIBLE	"hugetlb-pool-v1"
#define HUGETLB_LUO_COMPATIBLE_LEN	32
#define MEMFD_HUGETLB_LUO_FH_COMPATIBLE	"memfd-hugetlb-v1"

/**
 * struct hugetlb_pool_count_ser - Huge pages of one size on one node.
 * @order: Their size is PAGE_SIZE << @order.
 * @nid:   Number of the node.
 * @count: How many are kept.
 */
struct hugetlb_pool_count_ser {
	u32 order;
	u32 nid;
	u64 count;
} __packed;

/**
 * struct hugetlb_pool_ser - How many huge pages are kept.
 * @compatible: HUGETLB_LUO_POOL_COMPATIBLE, padded with zeros.
 * @crc:        Checksum.
 * @nr_counts:  Number of @counts.
 * @counts:     In any order, each size and node at most once.
 */
struct hugetlb_pool_ser {
	char compatible[HUGETLB_LUO_COMPATIBLE_LEN];
	u32 crc;
	u32 nr_counts;
	struct hugetlb_pool_count_ser counts[];
} __packed;

/* A seal that is not here cannot be kept: adding it changes the string. */
#define MEMFD_HUGETLB_LUO_ALL_SEALS (F_SEAL_SEAL | \
				     F_SEAL_SHRINK | \
				     F_SEAL_GROW | \
				     F_SEAL_WRITE | \
				     F_SEAL_FUTURE_WRITE | \
				     F_SEAL_EXEC)

/**
 * struct memfd_hugetlb_ser - A memfd of huge pages.
 * @crc:   Checksum.
 * @order: Each of its pages has PAGE_SIZE << @order bytes.
 * @seals: F_SEAL_*.
 * @mode:  Its permission bits, as of 0777.
 * @pos:   The file position.
 * @size:  The size of the file in bytes.
 * @first: Physical address of the first block of the list of its pages, see
 *         pfns.h; 0 when @size is 0.
 */
struct memfd_hugetlb_ser {
	u32 crc;
	u32 order;
	u32 seals;
	u32 mode;
	u64 pos;
	u64 size;
	u64 first;
} __packed;

#endif /* _LINUX_KHO_ABI_HUGETLB_H */
