/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * "Templated C code" to keep page tables over a live update, included by
 * iommu_pt.h and compiled for each page table format.
 */
#ifndef __GENERIC_PT_IOMMU_PT_LIVEUPDATE_H
#define __GENERIC_PT_IOMMU_PT_LIVEUPDATE_H

/**
 * DOC: IOMMU page tables in a live update
 *
 * Outgoing kernel: preserve() hands each page of the table to KHO and freezes the
 * table. A frozen table has other ops: map_range() is -EBUSY, unmap_range() unmaps
 * nothing. HW goes on to translate, and to set accessed and dirty bits.
 * unpreserve() undoes all of it. walk() tells what is mapped, so that its user can
 * prove that all of it is preserved as well.
 *
 * Incoming kernel: pt_iommu_FMT_adopt() makes a table around the pages that the
 * outgoing kernel left, while HW walks them. First it verifies everything, and
 * only reads: see iommu-pages-adopt.c for the memory, pt_entry_valid() for the
 * entries. Then it takes the pages from KHO. From then on the table is a frozen
 * one that deinit() frees, like any other, when HW has left it.
 *
 * Verifying takes two walks: the first finds all tables, and does not read those
 * of level 0, the second looks at the leaves. It cannot be one, a leaf must not
 * map a table that is found later.
 *
 * Unhappy paths: preserve() gives back what it has preserved. A table that does
 * not verify stays with KHO, untouched; its device has to be blocked, its memory
 * stays reserved. Freeing a preserved table is a bug of the caller; it is reported
 * and the pages are withdrawn from KHO before they are freed.
 *
 * Locks: that of the caller, see DOC: IOMMU Radix Page Table. The range is the
 * whole table. It is held for writing around preserve() and unpreserve(), for
 * reading around walk(). A frozen table needs none.
 */

struct pt_iommu_walk_args {
	pt_iommu_run_fn fn;
	void *arg;
	dma_addr_t iova;
	phys_addr_t pa;
	u64 len;
	unsigned int prot;
};

static int walk_end_run(struct pt_iommu_walk_args *walk)
{
	u64 len = walk->len;

	walk->len = 0;
	return len ? walk->fn(walk->arg, walk->iova, walk->pa, len, walk->prot) :
		     0;
}

static int walk_add_leaf(struct pt_iommu_walk_args *walk,
			 const struct pt_state *pts)
{
	u64 len = log2_to_int(pt_entry_oa_lg2sz(pts));
	unsigned int prot = pt_iommu_get_prot(pts);
	pt_vaddr_t iova = pts->range->va;
	pt_oaddr_t pa = pt_entry_oa(pts);
	int ret;

	if (walk->len && prot == walk->prot && iova == walk->iova + walk->len &&
	    pa == walk->pa + walk->len) {
		walk->len += len;
		return 0;
	}

	ret = walk_end_run(walk);
	walk->iova = iova;
	walk->pa = pa;
	walk->len = len;
	walk->prot = prot;
	return ret;
}

static int __walk_leaves(struct pt_range *range, void *arg, unsigned int level,
			 struct pt_table_p *table)
{
	struct pt_state pts = pt_init(range, level, table);
	int ret = 0;

	for_each_pt_level_entry(&pts) {
		if (pts.type == PT_ENTRY_TABLE)
			ret = pt_descend(&pts, arg, __walk_leaves);
		else if (pts.type == PT_ENTRY_OA)
			ret = walk_add_leaf(arg, &pts);
		if (ret)
			return ret;
	}
	cond_resched();
	return 0;
}

static int NS(walk)(struct pt_iommu *iommu_table, pt_iommu_run_fn fn, void *arg)
{
	struct pt_common *common = common_from_iommu(iommu_table);
	struct pt_iommu_walk_args walk = { .fn = fn, .arg = arg };
	struct pt_range range = pt_top_range(common);
	int ret;

	ret = pt_walk_range(&range, __walk_leaves, &walk);
	if (!ret && pt_feature(common, PT_FEAT_SIGN_EXTEND)) {
		range = pt_upper_range(common);
		ret = pt_walk_range(&range, __walk_leaves, &walk);
	}
	return ret ?: walk_end_run(&walk);
}

static int preserve_table(struct pt_iommu_tables *tables,
			  struct pt_table_p *table)
{
	int ret;

	ret = iommu_pages_preserve(table);
	if (!ret)
		iommu_pages_count(tables, virt_to_phys(table));
	return ret;
}

static int __preserve_tables(struct pt_range *range, void *arg,
			     unsigned int level, struct pt_table_p *table)
{
	struct pt_state pts = pt_init(range, level, table);
	int ret;

	if (!pt_can_have_table(&pts))
		return 0;

	for_each_pt_level_entry(&pts) {
		if (pts.type != PT_ENTRY_TABLE)
			continue;
		ret = preserve_table(arg, pts.table_lower);
		if (ret)
			return ret;
		ret = pt_descend(&pts, arg, __preserve_tables);
		if (ret)
			return ret;
	}
	cond_resched();
	return 0;
}

/* Same order, so it can stop where __preserve_tables() has failed */
static int __unpreserve_tables(struct pt_range *range, void *arg,
			       unsigned int level, struct pt_table_p *table)
{
	struct pt_state pts = pt_init(range, level, table);
	unsigned int *left = arg;
	int ret;

	if (!pt_can_have_table(&pts))
		return 0;

	for_each_pt_level_entry(&pts) {
		if (pts.type != PT_ENTRY_TABLE)
			continue;
		if (!*left)
			return -ENOENT;
		(*left)--;
		iommu_pages_unpreserve(pts.table_lower);
		ret = pt_descend(&pts, arg, __unpreserve_tables);
		if (ret)
			return ret;
	}
	cond_resched();
	return 0;
}

static void unpreserve_tables(struct pt_iommu *iommu_table)
{
	struct pt_range range = pt_all_range(common_from_iommu(iommu_table));
	unsigned int below_top = iommu_table->tables.nr - 1;

	pt_walk_range(&range, __unpreserve_tables, &below_top);
	iommu_pages_unpreserve(range.top_table);
	iommu_table->tables = (struct pt_iommu_tables){};
}

static void NS(unpreserve)(struct pt_iommu *iommu_table)
{
	unpreserve_tables(iommu_table);
	iommu_table->ops = &NS(ops);
}

static int NS(map_frozen)(struct pt_iommu *iommu_table, dma_addr_t iova,
			  phys_addr_t paddr, dma_addr_t len, unsigned int prot,
			  gfp_t gfp, size_t *mapped)
{
	return -EBUSY;
}

static size_t NS(unmap_frozen)(struct pt_iommu *iommu_table, dma_addr_t iova,
			       dma_addr_t len,
			       struct iommu_iotlb_gather *iotlb_gather)
{
	return 0;
}

static void NS(deinit_preserved)(struct pt_iommu *iommu_table)
{
	WARN_ONCE(1, "freeing a page table that is preserved\n");
	NS(unpreserve)(iommu_table);
	NS(deinit)(iommu_table);
}

static const struct pt_iommu_ops NS(preserved_ops) = {
	.map_range = NS(map_frozen),
	.unmap_range = NS(unmap_frozen),
	.get_info = NS(get_info),
	.deinit = NS(deinit_preserved),
	.unpreserve = NS(unpreserve),
	.walk = NS(walk),
};

static int NS(preserve)(struct pt_iommu *iommu_table)
{
	struct pt_common *common = common_from_iommu(iommu_table);
	struct pt_range range = pt_all_range(common);
	int ret;

	ret = preserve_table(&iommu_table->tables, range.top_table);
	if (ret)
		return ret;

	ret = pt_walk_range(&range, __preserve_tables, &iommu_table->tables);
	if (ret) {
		unpreserve_tables(iommu_table);
		return ret;
	}
	iommu_table->ops = &NS(preserved_ops);
	return 0;
}

static const struct pt_iommu_ops NS(adopted_ops) = {
	.map_range = NS(map_frozen),
	.unmap_range = NS(unmap_frozen),
	.get_info = NS(get_info),
	.deinit = NS(deinit),
	.walk = NS(walk),
};

static int adopt_bad_entry(struct iommu_pages_adopt *adopt,
			   const struct pt_state *pts)
{
	phys_addr_t where = virt_to_phys(pts->table) +
			    pts->index * PT_ITEM_WORD_SIZE;

	return iommu_pages_adopt_refuse(adopt, -EINVAL,
					"invalid entry in table", where);
}

/* First walk: all tables. Descends only into what is proven to be a table. */
static int __adopt_tables(struct pt_range *range, void *arg, unsigned int level,
			  struct pt_table_p *table)
{
	struct pt_state pts = pt_init(range, level, table);
	struct pt_state lower = pt_init(range, level - 1, NULL);
	int ret;

	if (!pt_can_have_table(&pts))
		return 0;

	for (_pt_iter_first(&pts); pts.index != pts.end_index; pts.index++) {
		pts.type = pt_load_entry_raw(&pts);
		if (pts.type != PT_ENTRY_TABLE)
			continue;
		if (!pt_entry_valid(&pts))
			return adopt_bad_entry(arg, &pts);
		ret = iommu_pages_adopt_table(arg, pt_table_pa(&pts),
					      pt_num_items_lg2(&lower) +
						      ilog2(PT_ITEM_WORD_SIZE));
		if (ret)
			return ret;

		pts.table_lower = pt_table_ptr(&pts);
		pt_index_to_va(&pts);
		ret = pt_descend(&pts, arg, __adopt_tables);
		if (ret)
			return ret;
	}
	cond_resched();
	return 0;
}

/*
 * HW may look at any item of a contiguous entry and believe it for all of the
 * entry, so all items must say the same. Steps to the last item.
 */
static int adopt_check_contig(struct pt_state *pts)
{
	unsigned int items = 1U << pt_entry_num_contig_lg2(pts);
	unsigned int lg2sz = pt_entry_oa_lg2sz(pts);
	pt_oaddr_t oa = pt_entry_oa(pts);

	if (pts->index % items || pts->end_index - pts->index < items)
		return -EINVAL;

	while (--items) {
		pts->index++;
		if (pt_load_entry_raw(pts) != PT_ENTRY_OA ||
		    !pt_entry_valid(pts) || pt_entry_oa_lg2sz(pts) != lg2sz ||
		    pt_entry_oa(pts) != oa)
			return -EINVAL;
	}
	return 0;
}

static int adopt_leaf(struct iommu_pages_adopt *adopt, struct pt_state *pts)
{
	unsigned int lg2sz;
	pt_oaddr_t oa;

	if (!pt_can_have_leaf(pts) || !pt_entry_valid(pts))
		return adopt_bad_entry(adopt, pts);

	lg2sz = pt_entry_oa_lg2sz(pts);
	oa = pt_entry_oa(pts);
	if (!(pt_possible_sizes(pts) & log2_to_int(lg2sz)) ||
	    oalog2_mod(oa, lg2sz) || adopt_check_contig(pts))
		return adopt_bad_entry(adopt, pts);

	return iommu_pages_adopt_leaf(adopt, oa, lg2sz);
}

/* Items that no address of the domain leads to must not lead anywhere either */
static int adopt_check_unused(struct iommu_pages_adopt *adopt,
			      const struct pt_state *pts)
{
	struct pt_common *common = pts->range->common;
	unsigned int used = pts->end_index * PT_ITEM_WORD_SIZE;
	unsigned int size_lg2;

	if (pts->level == pts->range->top_level)
		size_lg2 = pt_top_memsize_lg2(common, common->top_of_table);
	else
		size_lg2 = pt_num_items_lg2(pts) + ilog2(PT_ITEM_WORD_SIZE);

	if (memchr_inv((u8 *)pts->table + used, 0, (1UL << size_lg2) - used))
		return adopt_bad_entry(adopt, pts);
	return 0;
}

/* Second walk: all leaves. The tables are proven. */
static int __adopt_leaves(struct pt_range *range, void *arg, unsigned int level,
			  struct pt_table_p *table)
{
	struct pt_state pts = pt_init(range, level, table);
	int ret = 0;

	for (_pt_iter_first(&pts); pts.index < pts.end_index; pts.index++) {
		pts.type = pt_load_entry_raw(&pts);
		if (pts.type == PT_ENTRY_TABLE) {
			pts.table_lower = pt_table_ptr(&pts);
			pt_index_to_va(&pts);
			ret = pt_descend(&pts, arg, __adopt_leaves);
		} else if (pts.type == PT_ENTRY_OA) {
			ret = adopt_leaf(arg, &pts);
		}
		if (ret)
			return ret;
	}
	cond_resched();
	return adopt_check_unused(arg, &pts);
}

static int adopt_verify(struct pt_common *common,
			struct iommu_pages_adopt *adopt, phys_addr_t top,
			unsigned int top_level)
{
	unsigned int size_lg2 =
		pt_top_memsize_lg2(common, _pt_top_set(NULL, top_level));
	struct pt_range range;
	int ret;

	/* The pointer holds the level in its low bits, so align before use */
	if (top & ~PT_TOP_PHYS_MASK)
		return iommu_pages_adopt_refuse(adopt, -EFAULT,
						"top table is not aligned", top);
	ret = iommu_pages_adopt_table(adopt, top, size_lg2);
	if (ret)
		return ret;

	pt_top_set(common, __va(top), top_level);
	range = pt_all_range(common);
	ret = pt_walk_range(&range, __adopt_tables, adopt);
	if (!ret)
		ret = iommu_pages_adopt_all_tables(adopt);
	if (ret)
		return ret;

	range = pt_all_range(common);
	return pt_walk_range(&range, __adopt_leaves, adopt);
}

/* Can a table of this configuration have its top at that level? */
static bool adopt_level_ok(struct pt_common *common, unsigned int top_level)
{
	struct pt_state pts = { .level = top_level };

	if (!pt_feature(common, PT_FEAT_DYNAMIC_TOP))
		return top_level == pt_top_get_level(common);

	return top_level <= PT_MAX_TOP_LEVEL &&
	       pt_table_item_lg2sz(&pts) < common->max_vasz_lg2;
}

#define pt_iommu_adopt CONCATENATE(CONCATENATE(pt_iommu_, PTPFX), adopt)

/**
 * pt_iommu_adopt() - Build a page table around the pages of the previous kernel
 * @fmt_table: Table to initialize, as for init()
 * @cfg: Configuration that the table was made with
 * @top: Physical address of the top table
 * @top_level: Level of the top table
 * @from: Who says what was handed over, see pt_iommu_handover_init(), with
 *        pt_iommu_handover::tables
 *
 * On success iova_to_phys(), walk() and deinit() work on @fmt_table. It cannot be
 * changed: mapping fails with -EBUSY, unmapping unmaps nothing. HW may walk the
 * table all the time.
 *
 * On an error @fmt_table is as if it was never initialized, the pages are left
 * with KHO, and @from says what is wrong, and where. One table at a time is looked
 * at: that a table maps no table of another domain can be shown afterwards, by
 * looking at what walk() reports once all of them are adopted.
 *
 * Context: Process context, may sleep. Before anything can be restored that the
 * table may map.
 *
 * Return: 0; -ERANGE if there is no such top level; -EFAULT, -ELOOP: see
 * iommu_pages_adopt_table(); -EADDRNOTAVAIL, -EADDRINUSE: see
 * iommu_pages_adopt_leaf(); -EBADMSG if the tables are not those of @from; -EINVAL
 * for an entry that no kernel writes, or for @cfg; -EOPNOTSUPP if HW does not see
 * the caches of the CPU and this needs the DMA API; -EIO if somebody takes the
 * pages at the same time; -ENOMEM.
 */
int pt_iommu_adopt(struct pt_iommu_table *fmt_table,
		   const struct pt_iommu_table_cfg *cfg, phys_addr_t top,
		   unsigned int top_level, struct pt_iommu_handover *from)
{
	struct pt_iommu *iommu_table = &fmt_table->iommu;
	struct pt_common *common = common_from_iommu(iommu_table);
	struct iommu_pages_adopt adopt;
	int ret;

	ret = pt_iommu_setup(fmt_table, cfg);
	if (ret)
		return ret;
	if (pt_feature(common, PT_FEAT_DMA_INCOHERENT) &&
	    IOMMU_PAGES_USE_DMA_API)
		return -EOPNOTSUPP;

	iommu_pages_adopt_init(&adopt, from);
	if (adopt_level_ok(common, top_level))
		ret = adopt_verify(common, &adopt, top, top_level);
	else
		ret = iommu_pages_adopt_refuse(&adopt, -ERANGE,
					       "no such top level", top);
	if (!ret)
		ret = iommu_pages_adopt_take(&adopt);
	iommu_pages_adopt_destroy(&adopt);
	if (ret)
		return ret;

	iommu_table->tables = adopt.seen;
	/* Must be last, see pt_iommu_deinit() */
	iommu_table->ops = &NS(adopted_ops);
	return 0;
}
EXPORT_SYMBOL_NS_GPL(pt_iommu_adopt, "GENERIC_PT_IOMMU");

#endif
