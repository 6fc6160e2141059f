// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of how entries of the previous kernel are found and judged.
 */
#include <kunit/test.h>
#include <linux/bitfield.h>
#include <linux/prandom.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "../iommu-pages.h"
#include "iommu.h"
#include "liveupdate.h"
#include "pasid.h"

#define FUZZ_ROUNDS	20000
#define RID		PCI_DEVID(3, PCI_DEVFN(4, 1))
#define DID		5

/* A unit, and a table for the requests of RID. */
struct rig {
	struct intel_iommu iommu;
	struct dmar_domain *domain;
	struct root_entry *root;
	struct context_entry *context;
	u64 *dir;
	struct pasid_entry *table;
	struct intel_lu_path path;
};

/* What was handed over, and what was asked for that was not. */
static struct rig *rig_in_use;
static unsigned int foreign;

static bool is_ours(phys_addr_t pa, size_t size)
{
	void *pages[] = { rig_in_use->context, rig_in_use->dir,
			  rig_in_use->table };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(pages); i++) {
		if (pages[i] && pa == virt_to_phys(pages[i]) &&
		    size <= PAGE_SIZE)
			return true;
	}
	foreign++;

	return false;
}

static void free_domain(void *data)
{
	struct dmar_domain *domain = data;

	pt_iommu_deinit(&domain->iommu);
	kfree(domain);
}

static struct dmar_domain *make_domain(struct kunit *test)
{
	struct pt_iommu_vtdss_cfg cfg = {
		.common.hw_max_vasz_lg2 = 48,
		.common.hw_max_oasz_lg2 = 52,
		.common.features = BIT(PT_FEAT_FLUSH_RANGE),
		.top_level = 3,
	};
	struct dmar_domain *domain = paging_domain_alloc();

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, domain);
	KUNIT_ASSERT_EQ(test, pt_iommu_vtdss_init(&domain->sspt, &cfg, GFP_KERNEL), 0);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, free_domain, domain), 0);

	return domain;
}

static void *make_page(struct kunit *test)
{
	void *page = iommu_alloc_pages_sz(GFP_KERNEL, SZ_4K);

	KUNIT_ASSERT_NOT_NULL(test, page);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, iommu_free_pages, page), 0);

	return page;
}

static u64 table_top(struct rig *rig)
{
	struct pt_iommu_vtdss_hw_info pt;

	pt_iommu_vtdss_hw_info(&rig->domain->sspt, &pt);

	return pt.ssptptr;
}

static void fill_legacy(struct rig *rig)
{
	struct context_entry *context = &rig->context[RID & 0xff];

	context_set_domain_id(context, DID);
	context_set_address_root(context, table_top(rig));
	context_set_address_width(context, 2);
	context_set_present(context);
}

static void fill_scalable(struct rig *rig)
{
	struct context_entry *context = &rig->context[(RID & 0x7f) * 2];

	pasid_set_domain_id(rig->table, DID);
	pasid_set_slptr(rig->table, table_top(rig));
	pasid_set_address_width(rig->table, 2);
	pasid_set_translation_type(rig->table, PASID_ENTRY_PGTT_SL_ONLY);
	pasid_set_present(rig->table);
	rig->dir[0] = virt_to_phys(rig->table) | PASID_PTE_PRESENT;
	/* 512 entries: one page */
	context->lo = virt_to_phys(rig->dir) | FIELD_PREP(GENMASK_ULL(11, 9), 2);
	context_set_present(context);
}

static struct rig *make_rig(struct kunit *test, bool scalable)
{
	struct rig *rig = kunit_kzalloc(test, sizeof(*rig), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, rig);
	if (scalable && !intel_iommu_sm)
		kunit_skip(test, "scalable mode is off: boot with intel_iommu=sm_on");

	spin_lock_init(&rig->iommu.lock);
	rig->iommu.max_domain_id = 256;
	rig->iommu.msagaw = 2;
	rig->iommu.agaw = 2;
	rig->iommu.ecap = BIT_ULL(6);	/* pass-through */
	rig->domain = make_domain(test);
	rig->root = make_page(test);
	rig->context = make_page(test);
	rig->root[PCI_BUS_NUM(RID)].lo = virt_to_phys(rig->context) | 1;
	if (scalable) {
		rig->iommu.ecap |= BIT_ULL(43) | BIT_ULL(46);	/* SMTS, SSTS */
		rig->dir = make_page(test);
		rig->table = make_page(test);
		fill_scalable(rig);
	} else {
		fill_legacy(rig);
	}
	rig_in_use = rig;
	foreign = 0;

	return rig;
}

static int walk(struct rig *rig)
{
	return intel_lu_walk(&rig->iommu, virt_to_phys(rig->root), RID, is_ours,
			     &rig->path);
}

static bool entry_ok(struct rig *rig, u16 did, struct dmar_domain *domain)
{
	return intel_lu_entry_ok(&rig->iommu, rig->path.words, did, domain);
}

static void check_intact(struct kunit *test, bool scalable)
{
	struct rig *rig = make_rig(test, scalable);
	struct dmar_domain *other = make_domain(test);

	KUNIT_ASSERT_EQ(test, walk(rig), 0);
	KUNIT_EXPECT_EQ(test, foreign, 0);
	KUNIT_EXPECT_TRUE(test, entry_ok(rig, DID, rig->domain));
	KUNIT_EXPECT_FALSE(test, entry_ok(rig, DID + 1, rig->domain));
	KUNIT_EXPECT_FALSE(test, entry_ok(rig, DID, other));
	KUNIT_EXPECT_FALSE(test, entry_ok(rig, FLPT_DEFAULT_DID, NULL));

	/* an id that this unit does not have, or that no domain has */
	rig->iommu.max_domain_id = DID;
	KUNIT_EXPECT_FALSE(test, entry_ok(rig, DID, rig->domain));
}

static void legacy_intact(struct kunit *test)
{
	check_intact(test, false);
}

static void scalable_intact(struct kunit *test)
{
	check_intact(test, true);
}

/* Of a legacy entry every bit is known. */
static void legacy_each_bit_counts(struct kunit *test)
{
	struct rig *rig = make_rig(test, false);
	unsigned int bit;

	KUNIT_ASSERT_EQ(test, walk(rig), 0);
	for (bit = 0; bit < IOMMU_LIVEUPDATE_WORDS * 64; bit++) {
		rig->path.words[bit / 64] ^= BIT_ULL(bit % 64);
		KUNIT_EXPECT_FALSE_MSG(test, entry_ok(rig, DID, rig->domain),
				       "bit %u", bit);
		rig->path.words[bit / 64] ^= BIT_ULL(bit % 64);
	}

	/* unless the unit translates for device TLBs */
	rig->iommu.ecap |= BIT_ULL(2);
	rig->path.words[0] |= CONTEXT_TT_DEV_IOTLB << 2;
	KUNIT_EXPECT_TRUE(test, entry_ok(rig, DID, rig->domain));
}

static void legacy_pass_through(struct kunit *test)
{
	struct rig *rig = make_rig(test, false);
	struct context_entry *context = &rig->context[RID & 0xff];
	unsigned int bit;

	context_clear_entry(context);
	context_set_domain_id(context, FLPT_DEFAULT_DID);
	context_set_address_width(context, 2);
	context_set_translation_type(context, CONTEXT_TT_PASS_THROUGH);
	context_set_present(context);
	KUNIT_ASSERT_EQ(test, walk(rig), 0);
	KUNIT_EXPECT_TRUE(test, entry_ok(rig, FLPT_DEFAULT_DID, NULL));
	KUNIT_EXPECT_FALSE(test, entry_ok(rig, FLPT_DEFAULT_DID, rig->domain));
	for (bit = 0; bit < IOMMU_LIVEUPDATE_WORDS * 64; bit++) {
		rig->path.words[bit / 64] ^= BIT_ULL(bit % 64);
		KUNIT_EXPECT_FALSE_MSG(test, entry_ok(rig, FLPT_DEFAULT_DID, NULL),
				       "bit %u", bit);
		rig->path.words[bit / 64] ^= BIT_ULL(bit % 64);
	}
}

static void not_present_is_not_found(struct kunit *test)
{
	struct rig *rig = make_rig(test, false);

	rig->context[RID & 0xff].lo &= ~1ULL;
	KUNIT_EXPECT_EQ(test, walk(rig), -ENOENT);
	rig->root[PCI_BUS_NUM(RID)].lo = 0;
	KUNIT_EXPECT_EQ(test, walk(rig), -ENOENT);
	rig->root[PCI_BUS_NUM(RID)].lo = (virt_to_phys(rig->context) + SZ_4K) | 1;
	KUNIT_EXPECT_EQ(test, walk(rig), -EFAULT);
	KUNIT_EXPECT_EQ(test, foreign, 1);
}

static void mutate(struct rnd_state *rnd, u64 *word)
{
	static const u64 extremes[] = { 0, 1, U32_MAX, S64_MAX, U64_MAX };

	if (prandom_u32_state(rnd) % 4)
		*word ^= BIT_ULL(prandom_u32_state(rnd) % 64);
	else
		*word = extremes[prandom_u32_state(rnd) % ARRAY_SIZE(extremes)];
}

/* Whatever the tables say, no page is read that was not handed over. */
static void check_mutations(struct kunit *test, bool scalable)
{
	struct rig *rig = make_rig(test, scalable);
	struct context_entry *context;
	unsigned int round, found = 0;
	struct rnd_state rnd;
	u64 *words[5], saved;

	context = &rig->context[scalable ? (RID & 0x7f) * 2 : RID & 0xff];
	words[0] = &rig->root[PCI_BUS_NUM(RID)].lo;
	words[1] = &context->lo;
	words[2] = &context->hi;
	words[3] = scalable ? &rig->dir[0] : &context->lo;
	words[4] = scalable ? &rig->table->val[0] : &context->hi;

	prandom_seed_state(&rnd, 40 + scalable);
	for (round = 0; round < FUZZ_ROUNDS; round++) {
		u64 *word = words[prandom_u32_state(&rnd) % ARRAY_SIZE(words)];
		u64 top = table_top(rig);
		const u64 *leaf;

		saved = *word;
		mutate(&rnd, word);
		if (!walk(rig) && entry_ok(rig, DID, rig->domain)) {
			found++;
			leaf = &rig->path.words[scalable ? INTEL_LU_PASID : 0];
			KUNIT_EXPECT_EQ(test, *leaf & VTD_PAGE_MASK, top);
			KUNIT_EXPECT_PTR_EQ(test, phys_to_virt(rig->path.context),
					    (void *)rig->context);
		}
		*word = saved;
	}
	/* most do not pass; bits that hardware ignores in pointers do */
	KUNIT_EXPECT_LT(test, found, FUZZ_ROUNDS / 2);
	KUNIT_EXPECT_GT(test, foreign, 0);
}

static void legacy_mutations(struct kunit *test)
{
	check_mutations(test, false);
}

static void scalable_mutations(struct kunit *test)
{
	check_mutations(test, true);
}

static struct kunit_case intel_lu_cases[] = {
	KUNIT_CASE(legacy_intact),
	KUNIT_CASE(scalable_intact),
	KUNIT_CASE(legacy_each_bit_counts),
	KUNIT_CASE(legacy_pass_through),
	KUNIT_CASE(not_present_is_not_found),
	KUNIT_CASE(legacy_mutations),
	KUNIT_CASE(scalable_mutations),
	{}
};

static struct kunit_suite intel_lu_suite = {
	.name = "intel_iommu_liveupdate",
	.test_cases = intel_lu_cases,
};

kunit_test_suite(intel_lu_suite);

MODULE_DESCRIPTION("KUnit tests of VT-d in a live update");
MODULE_LICENSE("GPL");
