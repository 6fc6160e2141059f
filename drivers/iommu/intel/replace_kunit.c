// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of hitless replace: which entries may follow which, and that one
 * is exchanged as a whole or not at all.
 */
#include <kunit/test.h>
#include <linux/string.h>

#include "iommu.h"
#include "pasid.h"
#include "replace.h"

#define OLD_TABLE	0x123456000ULL
#define NEW_TABLE	0xabcdef000ULL
#define OLD_DID		0x1234
#define NEW_DID		0xfedc

static const struct pt_iommu_vtdss_hw_info new_table = {
	.ssptptr = NEW_TABLE,
	.aw = 2,
};

static struct context_entry context_entry(unsigned int type)
{
	struct context_entry ce = {};

	context_set_translation_type(&ce, type);
	context_set_address_root(&ce, OLD_TABLE);
	context_set_address_width(&ce, 1);
	context_set_domain_id(&ce, OLD_DID);
	context_set_present(&ce);

	return ce;
}

/* All fields change but the translation type, which ATS depends on. */
static void context_successor_test(struct kunit *test)
{
	static const unsigned int types[] = {
		CONTEXT_TT_MULTI_LEVEL, CONTEXT_TT_DEV_IOTLB,
	};
	struct context_entry cur, new;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(types); i++) {
		cur = context_entry(types[i]);
		memset(&new, 0xff, sizeof(new));

		KUNIT_ASSERT_TRUE(test, intel_context_successor(&cur, &new_table,
								NEW_DID, &new));
		KUNIT_EXPECT_EQ(test, new.lo,
				NEW_TABLE | (u64)types[i] << 2 | 1);
		KUNIT_EXPECT_EQ(test, new.hi, (u64)NEW_DID << 8 | 2);
	}
}

static void context_no_successor_test(struct kunit *test)
{
	struct context_entry cur, new;

	cur = context_entry(CONTEXT_TT_PASS_THROUGH);
	KUNIT_EXPECT_FALSE(test, intel_context_successor(&cur, &new_table,
							 NEW_DID, &new));
	/* Reserved. */
	cur = context_entry(3);
	KUNIT_EXPECT_FALSE(test, intel_context_successor(&cur, &new_table,
							 NEW_DID, &new));
	cur = context_entry(CONTEXT_TT_MULTI_LEVEL);
	context_clear_present(&cur);
	KUNIT_EXPECT_FALSE(test, intel_context_successor(&cur, &new_table,
							 NEW_DID, &new));
}

static void entry_exchange_test(struct kunit *test)
{
	u64 entry[4] __aligned(16) = { 1, 2, 3, 4 };
	const u64 old[2] = { 1, 2 }, new[2] = { 5, 6 };
	const u64 after[4] = { 5, 6, 3, 4 };

	KUNIT_EXPECT_TRUE(test, intel_iommu_entry_exchange(entry, old, new));
	KUNIT_EXPECT_MEMEQ(test, entry, after, sizeof(after));
	/* What is there now is not what is expected, in either half. */
	KUNIT_EXPECT_FALSE(test, intel_iommu_entry_exchange(entry, old, new));
	entry[0] = old[0];
	KUNIT_EXPECT_FALSE(test, intel_iommu_entry_exchange(entry, old, new));
	KUNIT_EXPECT_EQ(test, entry[0], old[0]);
	KUNIT_EXPECT_EQ(test, entry[1], new[1]);
}

static struct pasid_entry pasid_entry(u64 table, u16 did, unsigned int pgtt)
{
	struct pasid_entry pe = {};

	pasid_set_slptr(&pe, table);
	pasid_set_domain_id(&pe, did);
	pasid_set_address_width(&pe, 2);
	pasid_set_translation_type(&pe, pgtt);
	pasid_set_present(&pe);

	return pe;
}

static void pasid_replace_test(struct kunit *test)
{
	struct pasid_entry pe __aligned(64);
	struct pasid_entry new;

	pe = pasid_entry(OLD_TABLE, OLD_DID, PASID_ENTRY_PGTT_SL_ONLY);
	new = pasid_entry(NEW_TABLE, NEW_DID, PASID_ENTRY_PGTT_SL_ONLY);
	pasid_set_ssade(&new);
	pasid_set_page_snoop(&new, true);

	KUNIT_EXPECT_EQ(test, intel_pasid_replace_entry(&pe, &new), 0);
	KUNIT_EXPECT_MEMEQ(test, &pe, &new, sizeof(pe));
}

static void expect_pasid_kept(struct kunit *test, const struct pasid_entry *old,
			      const struct pasid_entry *new)
{
	struct pasid_entry pe __aligned(64) = *old;

	KUNIT_EXPECT_EQ(test, intel_pasid_replace_entry(&pe, new), -EOPNOTSUPP);
	KUNIT_EXPECT_MEMEQ(test, &pe, old, sizeof(pe));
}

static void pasid_no_replace_test(struct kunit *test)
{
	static const unsigned int types[] = {
		PASID_ENTRY_PGTT_FL_ONLY, PASID_ENTRY_PGTT_NESTED,
		PASID_ENTRY_PGTT_PT,
	};
	struct pasid_entry old, new;
	unsigned int i;

	new = pasid_entry(NEW_TABLE, NEW_DID, PASID_ENTRY_PGTT_SL_ONLY);
	for (i = 0; i < ARRAY_SIZE(types); i++) {
		old = pasid_entry(OLD_TABLE, OLD_DID, types[i]);
		expect_pasid_kept(test, &old, &new);
	}

	old = pasid_entry(OLD_TABLE, OLD_DID, PASID_ENTRY_PGTT_SL_ONLY);
	pasid_clear_present(&old);
	expect_pasid_kept(test, &old, &new);

	/* Beyond what is exchanged, all has to be equal. */
	for (i = 2; i < ARRAY_SIZE(old.val); i++) {
		old = pasid_entry(OLD_TABLE, OLD_DID, PASID_ENTRY_PGTT_SL_ONLY);
		old.val[i] = 1ULL << 63;
		expect_pasid_kept(test, &old, &new);
	}
}

static int replace_test_init(struct kunit *test)
{
	if (!intel_iommu_replace_supported())
		kunit_skip(test, "needs a CPU with cmpxchg16b");

	return 0;
}

static struct kunit_case replace_test_cases[] = {
	KUNIT_CASE(context_successor_test),
	KUNIT_CASE(context_no_successor_test),
	KUNIT_CASE(entry_exchange_test),
	KUNIT_CASE(pasid_replace_test),
	KUNIT_CASE(pasid_no_replace_test),
	{}
};

static struct kunit_suite replace_test_suite = {
	.name = "intel_iommu_replace",
	.init = replace_test_init,
	.test_cases = replace_test_cases,
};

kunit_test_suite(replace_test_suite);
