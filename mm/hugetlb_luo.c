// SPDX-License-Identifier: GPL-2.0

/**
 * DOC: Huge page pools in a live update
 *
 * Huge pages that a live update keeps are in use in the next kernel before anybody
 * there knows by whom. Its pools must count them nevertheless: with hugepages=1000
 * on the command line and 600 pages kept, 400 more are allocated, not 1000, for
 * which there may be no memory, or none left for anything else.
 *
 * Lifecycle: the outgoing kernel counts the kept pages by size and node, in a table
 * that KHO hands over as a subtree of its own, so that it can be read before there
 * are sessions, or struct pages. The incoming kernel counts these pages as in use
 * when it fills its pools; what is above hugepages= is surplus, and goes back to
 * the page allocator when it is freed. A page is taken from the live update by
 * hugetlb_adopt_folio(), when its file is retrieved or given up. It is in the
 * pool's numbers then already.
 *
 * Unhappy paths: a table that does not verify counts nothing. The pools get as many
 * new pages as they were asked for, and what was kept is surplus on top of them. A
 * page that is never taken, because the record of its file is damaged, stays
 * reserved, and is counted as in use for as long.
 *
 * Locking: hugetlb_luo_lock protects the table that will be handed over and is taken
 * with a file's inode lock held. hugetlb_lock protects the pools' numbers.
 */

#define pr_fmt(fmt) "HugeTLB: " fmt

#include <linux/cleanup.h>
#include <linux/crc32.h>
#include <linux/err.h>
#include <linux/hugetlb.h>
#include <linux/io.h>
#include <linux/kexec_handover.h>
#include <linux/kho_pfns.h>
#include <linux/liveupdate_image.h>
#include <linux/memblock.h>
#include <linux/mutex.h>
#include <linux/overflow.h>

#include "hugetlb_luo.h"

LIVEUPDATE_IMAGE_NOTE(hugetlb_pool_note, LIVEUPDATE_NOTE_BOTH,
		      HUGETLB_LUO_POOL_COMPATIBLE);

static DEFINE_MUTEX(hugetlb_luo_lock);
/* What will be handed over: a count for each hstate and node. */
static struct hugetlb_pool_ser *hugetlb_luo_pool;
/* What was handed over, verified. */
static struct hugetlb_pool_ser *hugetlb_luo_incoming __initdata;

/**
 * hugetlb_pool_ser_crc - Checksum of a table of counts.
 * @ser: The table, its nr_counts verified.
 *
 * Context: Any.
 * Return: What its crc should be.
 */
u32 hugetlb_pool_ser_crc(const struct hugetlb_pool_ser *ser)
{
	const size_t from = offsetofend(struct hugetlb_pool_ser, crc);

	return crc32_le(~0, (const u8 *)ser + from,
			struct_size(ser, counts, ser->nr_counts) - from);
}

/**
 * hugetlb_pool_ser_check - Verify a table of counts.
 * @ser:    The table.
 * @size:   How many bytes there are of it.
 * @memory: How much memory the host has, in bytes.
 *
 * Context: Any.
 * Return: 0; -EMSGSIZE when it is cut short; -EPROTONOSUPPORT when it is of another
 *         format; -EILSEQ when it is damaged; -ERANGE when it has an impossible
 *         size or node, or more pages than fit into @memory.
 */
int hugetlb_pool_ser_check(const struct hugetlb_pool_ser *ser, size_t size,
			   u64 memory)
{
	static const char compatible[HUGETLB_LUO_COMPATIBLE_LEN] =
		HUGETLB_LUO_POOL_COMPATIBLE;
	u64 bytes, sum = 0;
	u32 i;

	if (size < sizeof(*ser))
		return -EMSGSIZE;
	/* the zeros behind it, too: no checksum has them */
	if (memcmp(ser->compatible, compatible, sizeof(compatible)))
		return -EPROTONOSUPPORT;
	if (struct_size(ser, counts, ser->nr_counts) > size)
		return -EMSGSIZE;
	if (ser->crc != hugetlb_pool_ser_crc(ser))
		return -EILSEQ;

	for (i = 0; i < ser->nr_counts; i++) {
		const struct hugetlb_pool_count_ser *count = &ser->counts[i];

		if (count->nid >= MAX_NUMNODES || count->order > MAX_FOLIO_ORDER)
			return -ERANGE;
		if (check_mul_overflow(count->count,
				       (u64)PAGE_SIZE << count->order, &bytes) ||
		    check_add_overflow(sum, bytes, &sum) || sum > memory)
			return -ERANGE;
	}

	return 0;
}

/**
 * hugetlb_luo_find_incoming - Find out how many huge pages were kept.
 *
 * Context: Before the first pool is filled: there is memblock, and nothing else.
 */
void __init hugetlb_luo_find_incoming(void)
{
	struct hugetlb_pool_ser *ser;
	phys_addr_t pa;
	size_t size;
	int err;

	if (kho_retrieve_subtree(HUGETLB_LUO_NODE, &pa, &size))
		return;

	ser = phys_to_virt(pa);
	if (!PAGE_ALIGNED(pa) || !memblock_is_region_memory(pa, size))
		err = -EFAULT;
	else
		err = hugetlb_pool_ser_check(ser, size,
					     memblock_phys_mem_size());
	if (err) {
		pr_err("what is known of the pages that a live update has kept is damaged (%pe): they will be surplus\n",
		       ERR_PTR(err));
		return;
	}

	hugetlb_luo_incoming = ser;
}

/* How many of @count pages, just counted on @nid, are beyond what was asked for. */
static unsigned long __init hugetlb_luo_surplus(const struct hstate *h, int nid,
						unsigned long count)
{
	unsigned long persistent = h->nr_huge_pages - h->surplus_huge_pages;
	unsigned long wanted = h->max_huge_pages;
	int node;

	/* hugepages=<node>:<number>,... */
	for_each_node_state(node, N_MEMORY) {
		if (h->max_huge_pages_node[node]) {
			persistent = h->nr_huge_pages_node[nid];
			wanted = h->max_huge_pages_node[nid];
			break;
		}
	}

	return persistent > wanted ? min(persistent - wanted, count) : 0;
}

static void __init hugetlb_luo_count(struct hstate *h, int nid,
				     unsigned long count)
{
	unsigned long surplus;

	h->nr_huge_pages += count;
	h->nr_huge_pages_node[nid] += count;
	h->incoming_huge_pages_node[nid] += count;

	surplus = hugetlb_luo_surplus(h, nid, count);
	h->surplus_huge_pages += surplus;
	h->surplus_huge_pages_node[nid] += surplus;
}

/**
 * hugetlb_luo_count_incoming - Count what was kept as in use.
 * @h: The hstate; max_huge_pages is what was asked for.
 *
 * Context: Before its pool is filled. Does nothing when called again.
 */
void __init hugetlb_luo_count_incoming(struct hstate *h)
{
	struct hugetlb_pool_count_ser *count;
	unsigned long sum = 0;
	u32 i;

	if (!hugetlb_luo_incoming)
		return;

	for (i = 0; i < hugetlb_luo_incoming->nr_counts; i++) {
		count = &hugetlb_luo_incoming->counts[i];
		if (count->order != huge_page_order(h) ||
		    !node_state(count->nid, N_MEMORY))
			continue;
		hugetlb_luo_count(h, count->nid, count->count);
		sum += count->count;
		count->count = 0;
	}

	if (sum)
		pr_info("%lu pages of %lu KiB were kept over a live update\n",
			sum, huge_page_size(h) / SZ_1K);
}

/**
 * hugetlb_luo_keep - Count pages that will be handed over, or not any more.
 * @pfns: Their list.
 * @keep: Whether they will be.
 *
 * Context: Process context. Their file holds them.
 */
void hugetlb_luo_keep(const struct kho_pfns *pfns, bool keep)
{
	struct kho_pfns_iter iter = kho_pfns_iter_start(pfns);
	u64 *pfn;

	guard(mutex)(&hugetlb_luo_lock);
	while ((pfn = kho_pfns_next(&iter))) {
		struct folio *folio = pfn_folio(*pfn);
		int idx = hstate_index(folio_hstate(folio));

		idx = idx * nr_node_ids + folio_nid(folio);
		hugetlb_luo_pool->counts[idx].count += keep ? 1 : -1;
	}
	hugetlb_luo_pool->crc = hugetlb_pool_ser_crc(hugetlb_luo_pool);
}

static void __init hugetlb_luo_init_pool(struct hugetlb_pool_ser *ser)
{
	struct hugetlb_pool_count_ser *count = ser->counts;
	struct hstate *h;
	u32 nid;

	strscpy(ser->compatible, HUGETLB_LUO_POOL_COMPATIBLE);
	for_each_hstate(h) {
		for (nid = 0; nid < nr_node_ids; nid++, count++) {
			count->order = huge_page_order(h);
			count->nid = nid;
		}
	}
	ser->nr_counts = count - ser->counts;
	ser->crc = hugetlb_pool_ser_crc(ser);
}

/**
 * hugetlb_luo_init - Get ready to hand huge pages over.
 *
 * Context: Late initcall: no hstate is added any more.
 * Return: 0, or the errno of KHO. Huge pages cannot be kept then.
 */
int __init hugetlb_luo_init(void)
{
	struct hugetlb_pool_ser *ser = hugetlb_luo_incoming;
	size_t size;
	int err;

	if (ser && kho_is_preserved(virt_to_phys(ser), sizeof(*ser)))
		kho_restore_free(ser);

	size = struct_size(ser, counts, hugetlb_max_hstate * nr_node_ids);
	ser = kho_alloc_preserve(size);
	if (IS_ERR(ser))
		return PTR_ERR(ser);

	hugetlb_luo_init_pool(ser);
	err = kho_add_subtree(HUGETLB_LUO_NODE, ser, size);
	if (err) {
		kho_unpreserve_free(ser);
		return err;
	}
	hugetlb_luo_pool = ser;

	return 0;
}
