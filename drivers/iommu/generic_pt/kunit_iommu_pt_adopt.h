/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tests of adopting page tables after a live update, included by
 * kunit_iommu_pt_liveupdate.h, which has the fixture and the list of tests.
 */
#include <linux/kexec_handover.h>
#include <linux/ktime.h>
#include <linux/prandom.h>

static void test_lu_adopt(struct kunit *test)
{
	struct lu_priv *priv = test->priv;
	struct iommu_domain *domain = &priv->in.domain;
	struct pt_iommu *iommu = &priv->in.fmt_table.iommu;
	struct lu_runs before = {}, after = {};

	lu_map(test);
	lu_hand_over(test);
	KUNIT_ASSERT_NO_ERRNO(test, priv->pt.iommu->ops->walk(priv->pt.iommu,
							      lu_collect_run, &before));
	KUNIT_ASSERT_NO_ERRNO(test, lu_adopt(test));
	/* There is one owner only */
	priv->pt.iommu->ops = NULL;

	KUNIT_EXPECT_EQ(test, priv->nr_tables, priv->nr_taken);
	KUNIT_EXPECT_MEMEQ(test, &iommu->tables, &priv->from.tables,
			   sizeof(iommu->tables));
	KUNIT_EXPECT_EQ(test, 0, iommu->ops->walk(iommu, lu_collect_run, &after));
	KUNIT_EXPECT_EQ(test, before.nr, after.nr);
	KUNIT_EXPECT_MEMEQ(test, &before, &after, sizeof(before));
	KUNIT_EXPECT_EQ(test, LU_HUGE + SZ_2M + 5,
			iommu_iova_to_phys(domain, SZ_32M + 5));
	KUNIT_EXPECT_EQ(test, 0, iommu_iova_to_phys(domain, SZ_128M));

	KUNIT_EXPECT_NULL(test, iommu->ops->preserve);
	KUNIT_EXPECT_EQ(test, -EBUSY,
			iommu_map(domain, SZ_128M, LU_HUGE, PAGE_SIZE,
				  IOMMU_READ, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, 0, iommu_unmap(domain, SZ_32M, SZ_2M));
	KUNIT_EXPECT_NE(test, 0, iommu_iova_to_phys(domain, SZ_32M));

	/* Each table is freed exactly once: our reference is the last one */
	for (unsigned int i = 0; i != priv->nr_tables; i++)
		folio_get(virt_to_folio(priv->tables[i]));
	pt_iommu_deinit(iommu);
	for (unsigned int i = 0; i != priv->nr_tables; i++) {
		struct folio *folio = virt_to_folio(priv->tables[i]);

		KUNIT_EXPECT_EQ(test, 1, folio_ref_count(folio));
		folio_put(folio);
	}
}

static void test_lu_adopt_empty(struct kunit *test)
{
	struct lu_priv *priv = test->priv;

	lu_hand_over(test);
	KUNIT_ASSERT_EQ(test, 1, priv->nr_tables);
	KUNIT_ASSERT_NO_ERRNO(test, lu_adopt(test));
	KUNIT_EXPECT_EQ(test, 1, priv->nr_taken);
}

static void test_lu_adopt_top(struct kunit *test)
{
	struct lu_priv *priv = test->priv;
	struct pt_range range = pt_top_range(priv->pt.common);
	phys_addr_t top = virt_to_phys(range.top_table);
	static const unsigned int levels[] = { 0, 6, 7, 8, 255, 256, UINT_MAX };

	lu_map(test);
	lu_hand_over(test);
	lu_expect_refused(test, lu_adopt_at(test, top + 8, range.top_level),
			  -EFAULT);
	lu_expect_refused(test, lu_adopt_at(test, 0, range.top_level), -EFAULT);
	lu_expect_refused(test, lu_adopt_at(test, PHYS_ADDR_MAX, range.top_level),
			  -EFAULT);
	lu_expect_refused(test, lu_adopt_at(test, LU_HUGE, range.top_level),
			  -EFAULT);
	for (unsigned int i = 0; i != ARRAY_SIZE(levels); i++)
		KUNIT_EXPECT_NE(test, 0, lu_adopt_at(test, top, levels[i]));
	lu_expect_refused(test, lu_adopt_at(test, top, 6), -ERANGE);
	lu_expect_refused(test, lu_adopt_at(test, top, UINT_MAX), -ERANGE);
	/* The level of a table whose top is fixed */
	if (!pt_feature(priv->pt.common, PT_FEAT_DYNAMIC_TOP))
		lu_expect_refused(test,
				  lu_adopt_at(test, top, range.top_level - 1),
				  -ERANGE);
}

static void test_lu_adopt_table_missing(struct kunit *test)
{
	struct lu_priv *priv = test->priv;

	lu_map(test);
	lu_hand_over(test);
	for (unsigned int i = 0; i != priv->nr_tables; i++) {
		unsigned long pfn = lu_pfn(priv->tables[i]);

		xa_erase(&priv->blocks, pfn);
		lu_expect_refused(test, lu_adopt(test), -EFAULT);
		KUNIT_EXPECT_EQ(test, priv->from.where, PFN_PHYS(pfn));

		/* Handed over, but not as a table */
		lu_add_block(test, PFN_PHYS(pfn), 1);
		lu_expect_refused(test, lu_adopt(test), -EFAULT);
		lu_add_block(test, PFN_PHYS(pfn), 0);
	}
}

static void test_lu_adopt_leaf_missing(struct kunit *test)
{
	struct lu_priv *priv = test->priv;
	u64 end = LU_HUGE + SZ_1G;

	lu_map(test);
	do_map(test, SZ_1G, LU_HUGE, SZ_1G);
	lu_hand_over(test);

	for (unsigned int i = 0; i != LU_NR_PAGES; i++) {
		phys_addr_t pa = __pa(priv->pages) + i * PAGE_SIZE;

		xa_erase(&priv->blocks, PHYS_PFN(pa));
		lu_expect_refused(test, lu_adopt(test), -EADDRNOTAVAIL);
		KUNIT_EXPECT_EQ(test, priv->from.where, pa);
		lu_add_block(test, pa, 0);
	}

	/* The last page of a huge leaf */
	lu_add_block(test, end - SZ_2M, LU_HUGE_ORDER - 1);
	for (unsigned int i = 0; i != LU_HUGE_ORDER - 1; i++)
		lu_add_block(test, end - (PAGE_SIZE << (i + 1)), i);
	lu_expect_refused(test, lu_adopt(test), -EADDRNOTAVAIL);
	KUNIT_EXPECT_EQ(test, priv->from.where, end - PAGE_SIZE);
}

static void test_lu_adopt_maps_table(struct kunit *test)
{
	struct lu_priv *priv = test->priv;

	/* Before and after the table is found by the walk */
	for (u64 iova = SZ_16M; iova <= SZ_128M; iova += SZ_128M - SZ_16M) {
		do_map(test, SZ_64M, LU_HUGE, PAGE_SIZE);
		lu_list_tables(test);
		do_map(test, iova,
		       virt_to_phys(priv->tables[priv->nr_tables - 1]),
		       PAGE_SIZE);
		lu_hand_over(test);
		lu_expect_refused(test, lu_adopt(test), -EADDRINUSE);
		do_unmap(test, iova, PAGE_SIZE);
		do_unmap(test, SZ_64M, PAGE_SIZE);
	}
}

static void test_lu_adopt_loop(struct kunit *test)
{
	struct lu_priv *priv = test->priv;
	u64 top[4];

	lu_map(test);
	lu_hand_over(test);
	memcpy(top, priv->tables[0], sizeof(top));
	for (unsigned int i = 0; i != priv->nr_tables; i++) {
		lu_add_table(test, virt_to_phys(priv->tables[i]));
		lu_expect_refused(test, lu_adopt(test), -ELOOP);
		lu_restore_top(test, top);
	}
}

/* Guest memory in place of a table: handed over, but no table */
static void test_lu_adopt_guest_table(struct kunit *test)
{
	struct lu_priv *priv = test->priv;
	phys_addr_t pa = __pa(priv->pages);
	u64 top[4];

	lu_map(test);
	lu_hand_over(test);
	memcpy(top, priv->tables[0], sizeof(top));
	lu_add_table(test, pa);
	lu_expect_refused(test, lu_adopt(test), -EBADMSG);

	/* Were the record wrong, too: it is mapped */
	priv->from.tables = (struct pt_iommu_tables){};
	priv->count_tables = true;
	lu_expect_refused(test, lu_adopt(test), -EADDRINUSE);
	priv->count_tables = false;
	lu_restore_top(test, top);
}

static void test_lu_adopt_record(struct kunit *test)
{
	struct lu_priv *priv = test->priv;

	lu_map(test);
	lu_hand_over(test);
	priv->from.tables.nr++;
	lu_expect_refused(test, lu_adopt(test), -EBADMSG);
	priv->from.tables.nr--;
	for (unsigned int i = 0; i != 32; i++) {
		priv->from.tables.crc ^= BIT(i);
		lu_expect_refused(test, lu_adopt(test), -EBADMSG);
		priv->from.tables.crc ^= BIT(i);
	}
}

/* A level is left out: leaves are taken for what they are not */
static void test_lu_adopt_level_skipped(struct kunit *test)
{
	struct lu_priv *priv = test->priv;
	unsigned int i = 0;
	u64 *item, old;

	lu_map(test);
	lu_hand_over(test);
	/* The first table of level 1 comes right after the one above it */
	while (priv->levels[i] != 1)
		i++;
	item = lu_items(priv->tables[i]);
	while (!*item)
		item++;

	old = lu_items(priv->tables[i - 1])[0];
	lu_items(priv->tables[i - 1])[0] = *item;
	KUNIT_EXPECT_NE(test, 0, lu_adopt(test));
	KUNIT_EXPECT_EQ(test, 0, priv->nr_taken);
	lu_items(priv->tables[i - 1])[0] = old;
}

static void test_lu_adopt_invalid_entry(struct kunit *test)
{
	struct lu_priv *priv = test->priv;
	struct pt_range range = pt_all_range(priv->pt.common);

	lu_map(test);
	lu_hand_over(test);
	for (unsigned int i = 0; i != priv->nr_tables; i++) {
		struct pt_state pts = lu_empty_item(test, &range, i);
		u64 *item = lu_items(pts.table) + pts.index;

		*item = U64_MAX;
		lu_expect_refused(test, lu_adopt(test), -EINVAL);
		KUNIT_EXPECT_EQ(test, priv->from.where, virt_to_phys(item));
		*item = 0;
	}
}

/* An item beyond the last address of the domain */
static void test_lu_adopt_unused_item(struct kunit *test)
{
	struct lu_priv *priv = test->priv;
	struct pt_range range = pt_all_range(priv->pt.common);
	struct pt_state pts = pt_init_top(&range);
	u64 *items = lu_items(range.top_table);

	_pt_iter_first(&pts);
	if (pts.end_index == PAGE_SIZE / sizeof(u64))
		kunit_skip(test, "all items of the top are in use");

	lu_map(test);
	lu_hand_over(test);
	items[pts.end_index] = items[0];
	lu_expect_refused(test, lu_adopt(test), -EINVAL);
	items[pts.end_index] = 0;
}

static void test_lu_adopt_contig(struct kunit *test)
{
	struct lu_priv *priv = test->priv;
	u64 *items, old;

	do_map(test, SZ_64M, LU_HUGE + SZ_64K, SZ_64K);
	lu_hand_over(test);
	items = lu_items(priv->tables[priv->nr_tables - 1]);
	if (items[0] != items[1])
		kunit_skip(test, "no contiguous entries of 64 KiB");

	for (unsigned int i = 0; i != SZ_64K / priv->pt.smallest_pgsz; i++) {
		old = items[i];
		items[i] = 0;
		lu_expect_refused(test, lu_adopt(test), -EINVAL);
		items[i] = old;
	}
	KUNIT_EXPECT_EQ(test, 0, lu_adopt(test));
}

/* Mapping the same memory often costs no more looks at it */
static void test_lu_adopt_bounded(struct kunit *test)
{
	struct lu_priv *priv = test->priv;

	do_map(test, SZ_1G, LU_HUGE, SZ_1G);
	do_map(test, 2ULL * SZ_1G, LU_HUGE, SZ_1G);
	do_map(test, 3ULL * SZ_1G, LU_HUGE, SZ_1G);
	lu_hand_over(test);
	KUNIT_ASSERT_NO_ERRNO(test, lu_adopt(test));
	KUNIT_EXPECT_LE(test, priv->nr_find,
			priv->nr_tables + SZ_1G / SZ_2M);
}

/* ---- random damage */

/*
 * The memory that is mapped before any damage, and nothing else. A table that the
 * damage has cut off is memory like any other.
 */
static int lu_check_run(void *arg, dma_addr_t iova, phys_addr_t pa, u64 len,
			unsigned int prot)
{
	struct lu_priv *priv = arg;
	u64 pages = __pa(priv->pages);

	if (pa >= LU_HUGE && pa + len <= LU_HUGE + LU_HUGE_SIZE)
		return 0;
	if (pa >= pages && pa + len <= pages + LU_NR_PAGES * PAGE_SIZE)
		return 0;
	for (u64 at = pa; at < pa + len; at += PAGE_SIZE)
		if (!xa_load(&priv->blocks, PHYS_PFN(at)) ||
		    xa_load(&priv->kept, PHYS_PFN(at)))
			return -EFAULT;
	return 0;
}

static u64 lu_damaged(struct lu_priv *priv, struct rnd_state *rnd, u64 old)
{
	static const u64 extreme[] = { 0, 1, 3, 7, U64_MAX, S64_MAX, BIT_ULL(63),
				       GENMASK_ULL(51, 12) | 3 };
	u32 r = prandom_u32_state(rnd);
	struct pt_table_p *other = priv->tables[(r >> 8) % priv->nr_tables];

	switch (r % 6) {
	case 0:
	case 1:
		return old ^ BIT_ULL((r >> 8) % 64);
	case 2:
		return old ^ BIT_ULL((r >> 8) % 64) ^ BIT_ULL((r >> 16) % 64);
	case 3:
		return extreme[(r >> 8) % ARRAY_SIZE(extreme)];
	case 4:
		return lu_items(other)[(r >> 16) % 32];
	default:
		/* The address of a table, or of memory, with bits of the old */
		return (old & ~GENMASK_ULL(51, 12)) |
		       (r & BIT(31) ? virt_to_phys(other) :
				      __pa(priv->pages) + PAGE_SIZE * ((r >> 8) % 16));
	}
}

static u64 *lu_random_item(struct lu_priv *priv, struct rnd_state *rnd)
{
	u32 r = prandom_u32_state(rnd);
	u64 *items = lu_items(priv->tables[r % priv->nr_tables]);
	unsigned int i = (r >> 8) % 512;

	/* Most often one that is in use */
	for (unsigned int j = 0; j != 512 && (r >> 30); j++) {
		if (items[(i + j) % 512])
			return items + (i + j) % 512;
	}
	return items + i;
}

static void test_lu_adopt_damaged(struct kunit *test)
{
	struct lu_priv *priv = test->priv;
	unsigned int accepted = 0, refused = 0;
	u64 old[3], *item[3];
	struct pt_iommu *iommu = &priv->in.fmt_table.iommu;
	struct pt_iommu_tables tables;
	struct rnd_state rnd;
	unsigned int nr;
	int ret;

	lu_map(test);
	lu_hand_over(test);
	tables = priv->from.tables;
	prandom_seed_state(&rnd, 0x6c75);

	for (unsigned int i = 0; i != LU_MUTATIONS; i++) {
		/* Half of the time the record is wrong in the same way */
		priv->count_tables = i & 1;
		priv->from.tables = tables;
		if (priv->count_tables)
			priv->from.tables = (struct pt_iommu_tables){};

		nr = 1 + prandom_u32_state(&rnd) % ARRAY_SIZE(item);
		for (unsigned int j = 0; j != nr; j++) {
			item[j] = lu_random_item(priv, &rnd);
			old[j] = *item[j];
			*item[j] = lu_damaged(priv, &rnd, old[j]);
		}

		ret = lu_adopt(test);
		if (ret) {
			refused++;
			KUNIT_EXPECT_EQ(test, 0, priv->nr_taken);
		} else {
			accepted++;
			KUNIT_EXPECT_LE(test, priv->nr_taken,
					priv->nr_tables + LU_NR_PAGES);
			KUNIT_EXPECT_EQ_MSG(test, 0,
					    iommu->ops->walk(iommu, lu_check_run,
							     priv),
					    "mutation %u", i);
		}

		while (nr--)
			*item[nr] = old[nr];
		cond_resched();
	}

	KUNIT_EXPECT_GT(test, accepted, 0);
	KUNIT_EXPECT_GT(test, refused, accepted);
	kunit_info(test, "%u accepted, %u refused\n", accepted, refused);
}

/* ---- cost */

static bool lu_find_any(struct pt_iommu_handover *from, phys_addr_t pa,
			phys_addr_t *start, unsigned int *order)
{
	struct lu_priv *priv = lu_from_handover(from);

	priv->nr_find++;
	*order = pa >= LU_HUGE ? priv->any_order : 0;
	*start = ALIGN_DOWN(pa, PAGE_SIZE << *order);
	return true;
}

static void lu_cost(struct kunit *test, u64 pgsize, unsigned int order)
{
	struct lu_priv *priv = test->priv;
	struct pt_iommu *iommu = priv->pt.iommu;
	u64 preserve, adopt;

	priv->any_order = order;
	priv->pt.domain.pgsize_bitmap = pgsize;
	do_map(test, SZ_1G, LU_HUGE, SZ_1G);

	preserve = ktime_get_ns();
	KUNIT_ASSERT_NO_ERRNO(test, iommu->ops->preserve(iommu));
	preserve = ktime_get_ns() - preserve;
	priv->from.tables = iommu->tables;
	iommu->ops->unpreserve(iommu);

	adopt = ktime_get_ns();
	KUNIT_ASSERT_NO_ERRNO(test, lu_adopt(test));
	adopt = ktime_get_ns() - adopt;
	KUNIT_EXPECT_LE(test, priv->nr_find,
			priv->from.tables.nr + SZ_1G / (PAGE_SIZE << order));

	kunit_info(test, "1 GiB of %llu KiB pages, folios of order %u: %u tables, preserve %llu ns, adopt %llu ns\n",
		   pgsize / SZ_1K, order, priv->from.tables.nr, preserve, adopt);
	do_unmap(test, SZ_1G, SZ_1G);
}

static void test_lu_cost(struct kunit *test)
{
	struct lu_priv *priv = test->priv;

	if (!kho_is_enabled())
		kunit_skip(test, "needs kho=on");
	if (!(priv->pt.info.pgsize_bitmap & SZ_4K) ||
	    !(priv->pt.info.pgsize_bitmap & SZ_2M))
		kunit_skip(test, "needs pages of 4 KiB and 2 MiB");

	if (test->param_value != (void *)1)
		kunit_skip(test, "one configuration is enough");

	priv->from.find = lu_find_any;
	lu_cost(test, SZ_4K, 0);
	lu_cost(test, SZ_4K, LU_HUGE_ORDER);
	lu_cost(test, SZ_2M, LU_HUGE_ORDER);
}
