// SPDX-License-Identifier: GPL-2.0-only

/**
 * DOC: Proof that devices reach nothing but memory of their session
 *
 * A device that is kept alive writes to memory while the kernel is replaced.
 * The incoming kernel leaves that memory alone when somebody has preserved it,
 * and gives it to whoever retrieves it from its session. So all memory that a
 * marked HWPT maps must be preserved, and by the very session that has the
 * iommufd.
 *
 * The memory of the session is collected as ranges of physical addresses,
 * sorted, and those that touch are made one. Then the page table is walked, as
 * hardware would, and each run of mapped memory is looked up. What is mapped by
 * accident, such as an MSI page, fails as anything else does.
 *
 * Nothing can change between the proof and the jump: the mappings are frozen,
 * and what a session preserves stays preserved until all of it is given up.
 *
 * Locking: none of its own. The caller keeps session and mappings as they are.
 */

#define pr_fmt(fmt) "iommufd: " fmt

#include <linux/bsearch.h>
#include <linux/generic_pt/iommu.h>
#include <linux/liveupdate.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/sort.h>

#include "liveupdate.h"

/**
 * iommufd_ranges_add() - Add a range
 * @data: A &struct iommufd_ranges. Without room it only counts.
 * @pa: Where the range starts
 * @len: Its length, not 0
 *
 * One that begins where the last one ended makes that longer, so that the same
 * ranges in the same order always count as many.
 *
 * Return: 0
 */
int iommufd_ranges_add(void *data, phys_addr_t pa, u64 len)
{
	struct iommufd_ranges *ranges = data;

	if (!ranges->count || ranges->end != pa) {
		if (ranges->v)
			ranges->v[ranges->count].start = pa;
		ranges->count++;
	}
	ranges->end = pa + len;
	if (ranges->v)
		ranges->v[ranges->count - 1].end = ranges->end;
	return 0;
}

static int iommufd_range_cmp(const void *a, const void *b)
{
	const struct iommufd_range *l = a, *r = b;

	return l->start < r->start ? -1 : l->start > r->start;
}

/**
 * iommufd_ranges_sort() - Sort ranges, and make one of those that touch
 * @ranges: The ranges
 */
void iommufd_ranges_sort(struct iommufd_ranges *ranges)
{
	struct iommufd_range *to = ranges->v;
	size_t i;

	if (!ranges->count)
		return;

	sort(ranges->v, ranges->count, sizeof(*ranges->v), iommufd_range_cmp,
	     NULL);
	for (i = 1; i < ranges->count; i++) {
		if (ranges->v[i].start <= to->end)
			to->end = max(to->end, ranges->v[i].end);
		else
			*++to = ranges->v[i];
	}
	ranges->count = to - ranges->v + 1;
}

/**
 * iommufd_ranges_get() - Collect the memory of a session
 * @ranges: Zeroed. @v has to be freed with kvfree() in any case.
 * @session: The session
 *
 * Context: Inside a .prepare() op
 * Return: 0, or an errno
 */
int iommufd_ranges_get(struct iommufd_ranges *ranges,
		       struct liveupdate_session *session)
{
	int rc;

	rc = liveupdate_session_walk_ranges(session, iommufd_ranges_add,
					    ranges);
	if (rc || !ranges->count)
		return rc;

	ranges->v = kvmalloc_objs(*ranges->v, ranges->count);
	if (!ranges->v)
		return -ENOMEM;

	ranges->count = 0;
	rc = liveupdate_session_walk_ranges(session, iommufd_ranges_add,
					    ranges);
	if (!rc)
		iommufd_ranges_sort(ranges);
	return rc;
}

static int iommufd_range_has(const void *key, const void *elt)
{
	const struct iommufd_range *range = elt;
	u64 pa = *(const u64 *)key;

	if (pa < range->start)
		return -1;
	return pa >= range->end;
}

/**
 * iommufd_ranges_cover() - How much of some memory is known
 * @ranges: Sorted ranges
 * @pa: Where the memory starts
 * @len: Its length
 *
 * Return: @len when all of it is; else the bytes in front of the first that is
 *         not
 */
u64 iommufd_ranges_cover(const struct iommufd_ranges *ranges, u64 pa, u64 len)
{
	const struct iommufd_range *range;

	range = bsearch(&pa, ranges->v, ranges->count, sizeof(*range),
			iommufd_range_has);
	return range ? min(range->end - pa, len) : 0;
}

struct iommufd_proof {
	const struct iommufd_ranges *ranges;
	u32 hwpt_id;
};

static int iommufd_prove_run(void *arg, dma_addr_t iova, phys_addr_t pa,
			     u64 len, unsigned int prot)
{
	const struct iommufd_proof *proof = arg;
	u64 known = iommufd_ranges_cover(proof->ranges, pa, len);

	if (known == len)
		return 0;

	pr_err("HWPT %u maps IOVA %#llx to %#llx to memory that its session does not preserve: preserve its memfd in the same session, or unmap it before the HWPT is marked\n",
	       proof->hwpt_id, (u64)iova + known, (u64)iova + len - 1);
	return -EINVAL;
}

/**
 * iommufd_prove() - Prove that a HWPT maps nothing but memory of its session
 * @hwpt_paging: The HWPT
 * @ranges: The memory of the session, sorted
 *
 * Return: 0; -EINVAL after a message that names the IOVA range; -EOPNOTSUPP
 *         when the page table cannot be read
 */
int iommufd_prove(struct iommufd_hwpt_paging *hwpt_paging,
		  const struct iommufd_ranges *ranges)
{
	struct pt_iommu *pt = iommupt_from_domain(hwpt_paging->common.domain);
	struct iommufd_proof proof = {
		.ranges = ranges,
		.hwpt_id = hwpt_paging->common.obj.id,
	};

	if (!pt) {
		pr_err("HWPT %u has a page table that cannot be read: its IOMMU takes no part in live updates\n",
		       proof.hwpt_id);
		return -EOPNOTSUPP;
	}
	return pt->ops->walk(pt, iommufd_prove_run, &proof);
}
