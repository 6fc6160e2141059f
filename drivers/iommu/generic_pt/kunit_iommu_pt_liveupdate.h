/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tests of page tables in a live update, included by kunit_iommu_pt.h and
 * compiled for each page table format.
 *
 * There is no kexec here. What was handed over is what the test says, through
 * struct pt_iommu_handover; the parser is the one that a real update runs. The
 * memory that is mapped does not exist, except for 16 pages: a page may also be
 * taken for a table, and tables are read.
 */
#include <kunit/static_stub.h>

#include "../iommu-pages-adopt.h"

#define pt_iommu_adopt CONCATENATE(CONCATENATE(pt_iommu_, PTPFX), adopt)

/* 1 GiB as huge pages, and LU_NR_PAGES that exist */
#define LU_HUGE		BIT_ULL(44)
#define LU_HUGE_SIZE	SZ_1G
#define LU_HUGE_ORDER	(const_ilog2(SZ_2M) - PAGE_SHIFT)
#define LU_PAGES_ORDER	4
#define LU_NR_PAGES	BIT(LU_PAGES_ORDER)
#define LU_MAX_TABLES	64
#define LU_MUTATIONS	2000

static_assert(sizeof(u64) == PT_ITEM_WORD_SIZE);

struct lu_priv {
	/* First, test->priv points to it */
	struct kunit_iommu_priv pt;
	union {
		struct iommu_domain domain;
		struct pt_iommu_table fmt_table;
	} in;
	struct pt_iommu_handover from;
	/* Order of each block that is handed over, by page frame number */
	struct xarray blocks;
	/* Pages that preserve() has kept, or adopt() has taken */
	struct xarray kept;
	unsigned long pages;
	unsigned int nr_kept;
	/* The call of iommu_pages_preserve() that fails, from 1 */
	unsigned int fail_at;
	unsigned int nr_find;
	unsigned int nr_taken;
	bool count_tables;
	/* lu_find_any(): order of all memory but tables */
	unsigned int any_order;
	/* All tables, each before those below it */
	struct pt_table_p *tables[LU_MAX_TABLES];
	u8 levels[LU_MAX_TABLES];
	unsigned int nr_tables;
};

static struct lu_priv *lu_from_handover(struct pt_iommu_handover *from)
{
	return container_of(from, struct lu_priv, from);
}

static u64 *lu_items(struct pt_table_p *table)
{
	return (u64 *)table;
}

static unsigned long lu_pfn(const void *virt)
{
	return PHYS_PFN(__pa(virt));
}

/* ---- the outgoing kernel */

static int lu_fake_preserve(void *virt)
{
	struct kunit *test = kunit_get_current_test();
	struct lu_priv *priv = test->priv;

	if (priv->fail_at && priv->nr_kept + 1 == priv->fail_at)
		return -ENOSPC;
	/* -EBUSY when it is kept twice */
	KUNIT_ASSERT_EQ(test, 0, xa_insert(&priv->kept, lu_pfn(virt),
					   xa_mk_value(1), GFP_KERNEL));
	priv->nr_kept++;
	return 0;
}

static void lu_fake_unpreserve(void *virt)
{
	struct kunit *test = kunit_get_current_test();
	struct lu_priv *priv = test->priv;

	KUNIT_EXPECT_NOT_NULL(test, xa_erase(&priv->kept, lu_pfn(virt)));
	priv->nr_kept--;
}

static int __lu_list_tables(struct pt_range *range, void *arg,
			    unsigned int level, struct pt_table_p *table)
{
	struct pt_state pts = pt_init(range, level, table);
	struct lu_priv *priv = arg;

	if (priv->nr_tables == LU_MAX_TABLES)
		return -ENOSPC;
	priv->levels[priv->nr_tables] = level;
	priv->tables[priv->nr_tables++] = table;

	for_each_pt_level_entry(&pts)
		if (pts.type == PT_ENTRY_TABLE &&
		    pt_descend(&pts, arg, __lu_list_tables))
			return -ENOSPC;
	return 0;
}

static void lu_list_tables(struct kunit *test)
{
	struct lu_priv *priv = test->priv;
	struct pt_range range = pt_all_range(priv->pt.common);

	priv->nr_tables = 0;
	KUNIT_ASSERT_NO_ERRNO(test,
			      pt_walk_range(&range, __lu_list_tables, priv));
}

static void lu_add_block(struct kunit *test, u64 pa, unsigned int order)
{
	struct lu_priv *priv = test->priv;

	KUNIT_ASSERT_NO_ERRNO(test,
			      xa_err(xa_store(&priv->blocks, PHYS_PFN(pa),
					      xa_mk_value(order), GFP_KERNEL)));
}

/* Each kind of leaf and several tables of each level */
static void lu_map(struct kunit *test)
{
	struct lu_priv *priv = test->priv;

	/* Single pages: the IOVA is not aligned to more */
	do_map(test, SZ_16M + PAGE_SIZE, __pa(priv->pages),
	       PAGE_SIZE * LU_NR_PAGES);
	do_map(test, SZ_32M, LU_HUGE + SZ_2M, SZ_2M);
	do_map(test, SZ_64M, LU_HUGE + SZ_64K, SZ_64K);
	for (unsigned int i = 0; i != 4; i++)
		do_map(test, 3 * SZ_256M + i * SZ_4M,
		       LU_HUGE + i * 3 * PAGE_SIZE, PAGE_SIZE);
}

static void lu_preserve(struct kunit *test)
{
	struct lu_priv *priv = test->priv;

	kunit_activate_static_stub(test, iommu_pages_preserve, lu_fake_preserve);
	kunit_activate_static_stub(test, iommu_pages_unpreserve,
				   lu_fake_unpreserve);
	KUNIT_ASSERT_NO_ERRNO(test,
			      priv->pt.iommu->ops->preserve(priv->pt.iommu));
	priv->from.tables = priv->pt.iommu->tables;
}

/* Hand over what is mapped. The table is thawed again, for tests to break it. */
static void lu_hand_over(struct kunit *test)
{
	struct lu_priv *priv = test->priv;

	lu_preserve(test);
	priv->pt.iommu->ops->unpreserve(priv->pt.iommu);
	lu_list_tables(test);

	for (unsigned int i = 0; i != priv->nr_tables; i++)
		lu_add_block(test, virt_to_phys(priv->tables[i]), 0);
	for (unsigned int i = 0; i != LU_NR_PAGES; i++)
		lu_add_block(test, __pa(priv->pages) + i * PAGE_SIZE, 0);
	for (u64 pa = 0; pa != LU_HUGE_SIZE; pa += SZ_2M)
		lu_add_block(test, LU_HUGE + pa, LU_HUGE_ORDER);
}

/* ---- the incoming kernel */

static bool lu_find(struct pt_iommu_handover *from, phys_addr_t pa,
		    phys_addr_t *start, unsigned int *order)
{
	struct lu_priv *priv = lu_from_handover(from);
	unsigned long pfn;
	void *entry;

	priv->nr_find++;
	for (unsigned int i = 0; i <= LU_HUGE_ORDER; i++) {
		pfn = ALIGN_DOWN(PHYS_PFN(pa), BIT(i));
		entry = xa_load(&priv->blocks, pfn);
		if (!entry || xa_to_value(entry) < i)
			continue;
		*start = PFN_PHYS(pfn);
		*order = xa_to_value(entry);
		if (priv->count_tables && !*order)
			iommu_pages_count(&from->tables, pa);
		return true;
	}
	return false;
}

static void *lu_restore(struct pt_iommu_handover *from, phys_addr_t start)
{
	struct lu_priv *priv = lu_from_handover(from);

	priv->nr_taken++;
	if (xa_insert(&priv->kept, PHYS_PFN(start), xa_mk_value(1), GFP_KERNEL))
		return NULL;
	return phys_to_virt(start);
}

static int lu_adopt_at(struct kunit *test, phys_addr_t top, unsigned int level)
{
	struct lu_priv *priv = test->priv;
	struct pt_iommu *iommu = &priv->in.fmt_table.iommu;

	memset(&priv->in, 0, sizeof(priv->in));
	iommu->nid = NUMA_NO_NODE;
	iommu->driver_ops = &pt_kunit_driver_ops;
	iommu->iommu_device = priv->pt.dummy_dev;
	priv->in.domain.ops = &kunit_pt_ops;
	priv->from.why = NULL;
	priv->nr_find = 0;
	priv->nr_taken = 0;
	xa_destroy(&priv->kept);

	return pt_iommu_adopt(&priv->in.fmt_table, &priv->pt.cfg, top, level,
			      &priv->from);
}

static int lu_adopt(struct kunit *test)
{
	struct lu_priv *priv = test->priv;
	struct pt_range range = pt_top_range(priv->pt.common);

	return lu_adopt_at(test, virt_to_phys(range.top_table),
			   range.top_level);
}

/* Refused, with a reason, and nothing taken */
static void lu_expect_refused(struct kunit *test, int ret, int want)
{
	struct lu_priv *priv = test->priv;

	KUNIT_EXPECT_EQ_MSG(test, ret, want, "why: %s", priv->from.why);
	KUNIT_EXPECT_NOT_NULL(test, priv->from.why);
	KUNIT_EXPECT_EQ(test, 0, priv->nr_taken);
	KUNIT_EXPECT_NULL(test, priv->in.fmt_table.iommu.ops);
}

/* The first empty item of a table that addresses lead to */
static struct pt_state lu_empty_item(struct kunit *test, struct pt_range *range,
				     unsigned int i)
{
	struct lu_priv *priv = test->priv;
	struct pt_state pts = pt_init(range, priv->levels[i], priv->tables[i]);

	pts.end_index = i ? PAGE_SIZE / sizeof(u64) : 4;
	while (_pt_iter_load(&pts) && pts.type != PT_ENTRY_EMPTY)
		pts.index++;
	KUNIT_ASSERT_LT(test, pts.index, pts.end_index);
	return pts;
}

static void lu_add_table(struct kunit *test, phys_addr_t pa)
{
	struct lu_priv *priv = test->priv;
	struct pt_range range = pt_all_range(priv->pt.common);
	struct pt_state pts = lu_empty_item(test, &range, 0);
	struct pt_write_attrs attrs = {};

	KUNIT_ASSERT_TRUE(test, pt_install_table(&pts, pa, &attrs));
}

/* Undo lu_add_table(), or deinit would free a table twice */
static void lu_restore_top(struct kunit *test, const u64 *items)
{
	struct lu_priv *priv = test->priv;

	memcpy(priv->tables[0], items, 4 * sizeof(*items));
}

/* ---- tests of the outgoing kernel */

struct lu_run {
	u64 iova;
	u64 pa;
	u64 len;
	unsigned int prot;
};

struct lu_runs {
	struct lu_run run[8];
	unsigned int nr;
};

static int lu_collect_run(void *arg, dma_addr_t iova, phys_addr_t pa, u64 len,
			  unsigned int prot)
{
	struct lu_runs *runs = arg;

	if (runs->nr == ARRAY_SIZE(runs->run))
		return -ENOSPC;
	runs->run[runs->nr++] = (struct lu_run){ iova, pa, len, prot };
	return 0;
}

static int lu_stop_run(void *arg, dma_addr_t iova, phys_addr_t pa, u64 len,
		       unsigned int prot)
{
	(*(unsigned int *)arg)++;
	return -EINTR;
}

static void test_lu_walk(struct kunit *test)
{
	struct lu_priv *priv = test->priv;
	struct pt_iommu *iommu = priv->pt.iommu;
	const unsigned int rw = IOMMU_READ | IOMMU_WRITE;
	struct lu_run want[] = {
		/* Two mappings and all sizes of leaves, merged */
		{ SZ_2M - PAGE_SIZE, LU_HUGE - PAGE_SIZE, SZ_4M + PAGE_SIZE, rw },
		/* Next to it, elsewhere */
		{ SZ_2M + SZ_4M, LU_HUGE + SZ_64M, PAGE_SIZE, rw },
		/* Contiguous as well, but read only */
		{ SZ_2M + SZ_4M + PAGE_SIZE, LU_HUGE + SZ_64M + PAGE_SIZE,
		  PAGE_SIZE, IOMMU_READ },
		{ SZ_1G, LU_HUGE, SZ_1G, rw },
		{},
	};
	unsigned int nr = ARRAY_SIZE(want) - 1;
	struct lu_runs runs = {};
	unsigned int called = 0;

	KUNIT_EXPECT_EQ(test, 0, iommu->ops->walk(iommu, lu_collect_run, &runs));
	KUNIT_EXPECT_EQ(test, 0, runs.nr);

	do_map(test, want[0].iova, want[0].pa, PAGE_SIZE + SZ_2M);
	do_map(test, want[0].iova + PAGE_SIZE + SZ_2M,
	       want[0].pa + PAGE_SIZE + SZ_2M, SZ_2M);
	do_map(test, want[1].iova, want[1].pa, want[1].len);
	KUNIT_ASSERT_NO_ERRNO(test, iommu_map(&priv->pt.domain, want[2].iova,
					      want[2].pa, want[2].len,
					      IOMMU_READ, GFP_KERNEL));
	do_map(test, want[3].iova, want[3].pa, want[3].len);
	if (pt_feature(priv->pt.common, PT_FEAT_SIGN_EXTEND)) {
		want[nr] = (struct lu_run){
			pt_upper_range(priv->pt.common).va, LU_HUGE, PAGE_SIZE, rw
		};
		do_map(test, want[nr].iova, want[nr].pa, want[nr].len);
		nr++;
	}

	KUNIT_ASSERT_NO_ERRNO(test, iommu->ops->walk(iommu, lu_collect_run, &runs));
	KUNIT_ASSERT_EQ(test, nr, runs.nr);
	for (unsigned int i = 0; i != nr; i++) {
		KUNIT_EXPECT_EQ(test, want[i].iova, runs.run[i].iova);
		KUNIT_EXPECT_EQ(test, want[i].pa, runs.run[i].pa);
		KUNIT_EXPECT_EQ(test, want[i].len, runs.run[i].len);
		KUNIT_EXPECT_EQ(test, want[i].prot, runs.run[i].prot);
	}

	KUNIT_EXPECT_EQ(test, -EINTR, iommu->ops->walk(iommu, lu_stop_run, &called));
	KUNIT_EXPECT_EQ(test, 1, called);
}

static void test_lu_preserve(struct kunit *test)
{
	struct lu_priv *priv = test->priv;
	struct iommu_domain *domain = &priv->pt.domain;
	struct pt_iommu *iommu = priv->pt.iommu;

	lu_map(test);
	lu_list_tables(test);
	lu_preserve(test);

	KUNIT_EXPECT_EQ(test, priv->nr_tables, priv->nr_kept);
	KUNIT_EXPECT_EQ(test, priv->nr_tables, iommu->tables.nr);
	for (unsigned int i = 0; i != priv->nr_tables; i++)
		KUNIT_EXPECT_NOT_NULL(test, xa_load(&priv->kept,
						    lu_pfn(priv->tables[i])));

	/* Frozen, and still readable */
	KUNIT_EXPECT_NULL(test, iommu->ops->preserve);
	KUNIT_EXPECT_EQ(test, -EBUSY,
			iommu_map(domain, SZ_128M, LU_HUGE, PAGE_SIZE,
				  IOMMU_READ, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, 0, iommu_unmap(domain, SZ_32M, SZ_2M));
	check_iova(test, SZ_32M, LU_HUGE + SZ_2M, SZ_2M);

	iommu->ops->unpreserve(iommu);
	KUNIT_EXPECT_TRUE(test, xa_empty(&priv->kept));
	KUNIT_EXPECT_EQ(test, 0, iommu->tables.nr);
	KUNIT_EXPECT_NULL(test, iommu->ops->unpreserve);
	do_unmap(test, SZ_32M, SZ_2M);
	do_map(test, SZ_32M, LU_HUGE, SZ_2M);
}

static void test_lu_preserve_fails(struct kunit *test)
{
	struct lu_priv *priv = test->priv;
	struct pt_iommu *iommu = priv->pt.iommu;
	struct pt_iommu_tables tables;

	lu_map(test);
	lu_list_tables(test);
	lu_preserve(test);
	tables = iommu->tables;
	iommu->ops->unpreserve(iommu);

	for (unsigned int i = 1; i <= priv->nr_tables; i++) {
		priv->fail_at = i;
		KUNIT_ASSERT_EQ(test, -ENOSPC, iommu->ops->preserve(iommu));
		KUNIT_ASSERT_TRUE(test, xa_empty(&priv->kept));
		KUNIT_ASSERT_EQ(test, 0, priv->nr_kept);
	}

	/* A retry succeeds and says the same */
	priv->fail_at = 0;
	KUNIT_ASSERT_NO_ERRNO(test, iommu->ops->preserve(iommu));
	KUNIT_EXPECT_MEMEQ(test, &tables, &iommu->tables, sizeof(tables));
	iommu->ops->unpreserve(iommu);
}

#include "kunit_iommu_pt_adopt.h"

static struct kunit_case lu_test_cases[] = {
	KUNIT_CASE_FMT(test_lu_walk),
	KUNIT_CASE_FMT(test_lu_preserve),
	KUNIT_CASE_FMT(test_lu_preserve_fails),
	KUNIT_CASE_FMT(test_lu_adopt),
	KUNIT_CASE_FMT(test_lu_adopt_empty),
	KUNIT_CASE_FMT(test_lu_adopt_top),
	KUNIT_CASE_FMT(test_lu_adopt_table_missing),
	KUNIT_CASE_FMT(test_lu_adopt_leaf_missing),
	KUNIT_CASE_FMT(test_lu_adopt_maps_table),
	KUNIT_CASE_FMT(test_lu_adopt_loop),
	KUNIT_CASE_FMT(test_lu_adopt_guest_table),
	KUNIT_CASE_FMT(test_lu_adopt_record),
	KUNIT_CASE_FMT(test_lu_adopt_level_skipped),
	KUNIT_CASE_FMT(test_lu_adopt_invalid_entry),
	KUNIT_CASE_FMT(test_lu_adopt_unused_item),
	KUNIT_CASE_FMT(test_lu_adopt_contig),
	KUNIT_CASE_FMT(test_lu_adopt_bounded),
	KUNIT_CASE_FMT(test_lu_adopt_damaged),
	KUNIT_CASE_FMT(test_lu_cost),
	{},
};

static int lu_test_init(struct kunit *test)
{
	struct lu_priv *priv;
	int ret;

	priv = kunit_kzalloc(test, sizeof(*priv), GFP_KERNEL);
	if (!priv)
		return -ENOMEM;
	priv->pages = __get_free_pages(GFP_KERNEL | __GFP_ZERO, LU_PAGES_ORDER);
	if (!priv->pages)
		return -ENOMEM;

	ret = pt_kunit_priv_init(test, &priv->pt);
	if (ret) {
		free_pages(priv->pages, LU_PAGES_ORDER);
		return ret;
	}
	xa_init(&priv->blocks);
	xa_init(&priv->kept);
	priv->from.find = lu_find;
	priv->from.restore = lu_restore;
	test->priv = priv;
	return 0;
}

static void lu_test_exit(struct kunit *test)
{
	struct lu_priv *priv = test->priv;

	if (!priv)
		return;

	/* An adopted table is the same memory, tests that free it say so */
	pt_iommu_deinit(priv->pt.iommu);
	xa_destroy(&priv->kept);
	xa_destroy(&priv->blocks);
	free_pages(priv->pages, LU_PAGES_ORDER);
}

static struct kunit_suite NS(iommu_liveupdate_suite) = {
	.name = __stringify(NS(iommu_liveupdate_test)),
	.init = lu_test_init,
	.exit = lu_test_exit,
	.test_cases = lu_test_cases,
};

kunit_test_suites(&NS(iommu_liveupdate_suite));
