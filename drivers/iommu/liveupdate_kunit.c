// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the records by which DMA translation is handed over.
 */
#include <kunit/test.h>
#include <linux/prandom.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "liveupdate.h"

#define FUZZ_ROUNDS	20000
#define TABLE_A		(4ULL * SZ_1G)
#define TABLE_B		(4ULL * SZ_1G + SZ_2M)
#define UNIT		0xfed90000ULL

#define NR_DOMAINS	2
#define NR_FUNCTIONS	4
#define NR_ENTRIES	4

/*
 * Function 0 has domain 0 and two requester IDs, function 1 has domain 1,
 * function 2 is not translated, function 3 does no DMA.
 */
struct payload {
	struct iommu_payload_ser head;
	struct iommu_domain_ser domains[NR_DOMAINS];
	struct iommu_function_ser functions[NR_FUNCTIONS];
	struct iommu_entry_ser entries[NR_ENTRIES];
} __packed;

static bool is_table(phys_addr_t phys, size_t size)
{
	return (phys == TABLE_A || phys == TABLE_B) && size <= PAGE_SIZE;
}

static void set_domain(struct iommu_domain_ser *ser, u64 top)
{
	ser->top = top;
	ser->format = IOMMU_DOMAIN_SER_VTDSS;
	ser->top_level = 3;
	ser->vasz_lg2 = 48;
	ser->nr_tables = 4;
}

static void set_entry(struct iommu_entry_ser *ser, u32 function, u16 rid)
{
	ser->unit = UNIT;
	ser->function = function;
	ser->rid = rid;
	ser->domain_id = 2;
}

/* Exactly as long as it has to be, so that KASAN sees who reads behind it. */
static struct payload *make_payload(struct kunit *test)
{
	struct payload *p = kunit_kzalloc(test, sizeof(*p), GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, p);
	strscpy(p->head.hw, "test");
	p->head.nr_domains = NR_DOMAINS;
	p->head.nr_functions = NR_FUNCTIONS;
	p->head.nr_entries = NR_ENTRIES;
	set_domain(&p->domains[0], TABLE_A);
	set_domain(&p->domains[1], TABLE_B);
	for (i = 0; i < NR_FUNCTIONS; i++)
		p->functions[i].bdf = 0x100 + i;
	p->functions[0].nr_entries = 2;
	p->functions[1].domain = 1;
	p->functions[1].nr_entries = 1;
	p->functions[2].domain = IOMMU_FUNCTION_SER_IDENTITY;
	p->functions[2].nr_entries = 1;
	p->functions[3].domain = IOMMU_FUNCTION_SER_NONE;
	set_entry(&p->entries[0], 0, 0x100);
	set_entry(&p->entries[1], 0, 0x108);
	set_entry(&p->entries[2], 1, 0x101);
	set_entry(&p->entries[3], 2, 0x102);

	return p;
}

static int open_payload(struct iommu_lu_view *view, const struct payload *p)
{
	memset(view, 0, sizeof(*view));
	view->preserved = is_table;

	return iommu_lu_open(view, p, sizeof(*p));
}

static void intact_is_accepted(struct kunit *test)
{
	struct payload *p = make_payload(test);
	struct iommu_lu_view view;
	u32 i;

	KUNIT_ASSERT_EQ(test, open_payload(&view, p), 0);
	for (i = 0; i < NR_DOMAINS; i++)
		KUNIT_EXPECT_NULL(test, iommu_lu_check_domain(&view, i));
	for (i = 0; i < NR_FUNCTIONS; i++)
		KUNIT_EXPECT_NULL(test, iommu_lu_check_function(&view, i));
	for (i = 0; i < NR_ENTRIES; i++)
		KUNIT_EXPECT_NULL(test, iommu_lu_check_entry(&view, i));
}

static void head_is_checked(struct kunit *test)
{
	struct payload *p = make_payload(test);
	struct iommu_lu_view view = { .preserved = is_table };
	size_t len = sizeof(*p);

	KUNIT_EXPECT_EQ(test, iommu_lu_open(&view, p, 0), -EMSGSIZE);
	KUNIT_EXPECT_EQ(test, iommu_lu_open(&view, p, sizeof(p->head) - 1), -EMSGSIZE);
	KUNIT_EXPECT_EQ(test, iommu_lu_open(&view, p, len - 1), -EMSGSIZE);

	p->head.nr_domains = IOMMU_LIVEUPDATE_MAX_DOMAINS + 1;
	KUNIT_EXPECT_EQ(test, iommu_lu_open(&view, p, len), -E2BIG);
	p->head.nr_domains = NR_DOMAINS + 1;
	KUNIT_EXPECT_EQ(test, iommu_lu_open(&view, p, len), -EMSGSIZE);
	p->head.nr_domains = NR_DOMAINS;
	p->head.nr_functions = U32_MAX;
	KUNIT_EXPECT_EQ(test, iommu_lu_open(&view, p, len), -E2BIG);
	p->head.nr_functions = NR_FUNCTIONS;
	p->head.nr_entries = IOMMU_LIVEUPDATE_MAX_ENTRIES + 1;
	KUNIT_EXPECT_EQ(test, iommu_lu_open(&view, p, len), -E2BIG);
	p->head.nr_entries = NR_ENTRIES;

	p->head.reserved = 1;
	KUNIT_EXPECT_EQ(test, iommu_lu_open(&view, p, len), -EBADMSG);
	p->head.reserved = 0;
	p->head.hw[0] = 0;
	KUNIT_EXPECT_EQ(test, iommu_lu_open(&view, p, len), -EBADMSG);
	memset(p->head.hw, 'x', sizeof(p->head.hw));
	KUNIT_EXPECT_EQ(test, iommu_lu_open(&view, p, len), -EBADMSG);
}

#define EXPECT_BAD(test, p, check, index, field, value) do {		\
	struct kunit *t = (test);					\
	typeof(field) *where = &(field);				\
	typeof(field) saved = *where;					\
									\
	*where = (value);						\
	KUNIT_ASSERT_EQ(t, open_payload(&view, p), 0);			\
	KUNIT_EXPECT_NOT_NULL_MSG(t, check(&view, index),		\
				  "%s = %s", #field, #value);		\
	*where = saved;							\
} while (0)

static void domain_is_checked(struct kunit *test)
{
	struct payload *p = make_payload(test);
	struct iommu_domain_ser *ser = &p->domains[0];
	struct iommu_lu_view view;

	EXPECT_BAD(test, p, iommu_lu_check_domain, 0, ser->top, TABLE_A + SZ_4K);
	EXPECT_BAD(test, p, iommu_lu_check_domain, 0, ser->top, TABLE_A + 8);
	EXPECT_BAD(test, p, iommu_lu_check_domain, 0, ser->top, 0);
	EXPECT_BAD(test, p, iommu_lu_check_domain, 0, ser->top, U64_MAX);
	EXPECT_BAD(test, p, iommu_lu_check_domain, 0, ser->format, 0);
	EXPECT_BAD(test, p, iommu_lu_check_domain, 0, ser->format, 3);
	EXPECT_BAD(test, p, iommu_lu_check_domain, 0, ser->flags, BIT(1));
	EXPECT_BAD(test, p, iommu_lu_check_domain, 0, ser->top_level, 1);
	EXPECT_BAD(test, p, iommu_lu_check_domain, 0, ser->top_level, 5);
	EXPECT_BAD(test, p, iommu_lu_check_domain, 0, ser->top_level, 2);
	EXPECT_BAD(test, p, iommu_lu_check_domain, 0, ser->vasz_lg2, 12);
	EXPECT_BAD(test, p, iommu_lu_check_domain, 0, ser->vasz_lg2, 49);
	EXPECT_BAD(test, p, iommu_lu_check_domain, 0, ser->vasz_lg2, 255);
	EXPECT_BAD(test, p, iommu_lu_check_domain, 0, ser->reserved[5], 1);
	KUNIT_EXPECT_NULL(test, iommu_lu_check_domain(&view, 1));
}

/* The size of an address says nothing of the levels that are there. */
static void amd_domain_is_checked(struct kunit *test)
{
	struct payload *p = make_payload(test);
	struct iommu_domain_ser *ser = &p->domains[0];
	struct iommu_lu_view view;
	unsigned int level;

	ser->format = IOMMU_DOMAIN_SER_AMDV1;
	ser->vasz_lg2 = 64;
	KUNIT_ASSERT_EQ(test, open_payload(&view, p), 0);
	for (level = 0; level <= 5; level++) {
		ser->top_level = level;
		KUNIT_EXPECT_NULL(test, iommu_lu_check_domain(&view, 0));
	}
	EXPECT_BAD(test, p, iommu_lu_check_domain, 0, ser->top_level, 6);
	EXPECT_BAD(test, p, iommu_lu_check_domain, 0, ser->top_level, 255);
	EXPECT_BAD(test, p, iommu_lu_check_domain, 0, ser->vasz_lg2, 12);
	EXPECT_BAD(test, p, iommu_lu_check_domain, 0, ser->vasz_lg2, 65);
	EXPECT_BAD(test, p, iommu_lu_check_domain, 0, ser->top, TABLE_A + SZ_4K);
}

static void function_is_checked(struct kunit *test)
{
	struct payload *p = make_payload(test);
	struct iommu_function_ser *ser = p->functions;
	struct iommu_lu_view view;

	EXPECT_BAD(test, p, iommu_lu_check_function, 0, ser[0].domain, NR_DOMAINS);
	EXPECT_BAD(test, p, iommu_lu_check_function, 0, ser[0].domain, 0xfffffffc);
	EXPECT_BAD(test, p, iommu_lu_check_function, 0, ser[0].domain,
		   IOMMU_FUNCTION_SER_NONE);
	EXPECT_BAD(test, p, iommu_lu_check_function, 3, ser[3].domain, 0);
	EXPECT_BAD(test, p, iommu_lu_check_function, 3, ser[3].domain,
		   IOMMU_FUNCTION_SER_IDENTITY);
	EXPECT_BAD(test, p, iommu_lu_check_function, 0, ser[0].segment, 0x10000);
	EXPECT_BAD(test, p, iommu_lu_check_function, 0, ser[0].nr_entries, 1);
	EXPECT_BAD(test, p, iommu_lu_check_function, 0, ser[0].nr_entries, 3);
	EXPECT_BAD(test, p, iommu_lu_check_function, 0, ser[0].nr_entries, 0);
	/* two records of one function: neither is believed */
	EXPECT_BAD(test, p, iommu_lu_check_function, 0, ser[1].bdf, ser[0].bdf);
	EXPECT_BAD(test, p, iommu_lu_check_function, 1, ser[1].bdf, ser[0].bdf);
	KUNIT_EXPECT_NULL(test, iommu_lu_check_function(&view, 2));
}

static void entry_is_checked(struct kunit *test)
{
	struct payload *p = make_payload(test);
	struct iommu_entry_ser *ser = &p->entries[2];
	struct iommu_lu_view view;

	EXPECT_BAD(test, p, iommu_lu_check_entry, 2, ser->function, NR_FUNCTIONS);
	EXPECT_BAD(test, p, iommu_lu_check_entry, 2, ser->function, U32_MAX);
	EXPECT_BAD(test, p, iommu_lu_check_entry, 2, ser->segment, 1);
	EXPECT_BAD(test, p, iommu_lu_check_entry, 2, ser->unit, 0);
	EXPECT_BAD(test, p, iommu_lu_check_entry, 2, ser->unit, UNIT + 1);
	EXPECT_BAD(test, p, iommu_lu_check_entry, 2, ser->reserved, 1);

	/* an entry more or less costs both functions, and nobody else */
	EXPECT_BAD(test, p, iommu_lu_check_function, 1, ser->function, 0);
	EXPECT_BAD(test, p, iommu_lu_check_function, 0, ser->function, 0);
	ser->function = 0;
	KUNIT_ASSERT_EQ(test, open_payload(&view, p), 0);
	KUNIT_EXPECT_NULL(test, iommu_lu_check_function(&view, 2));
	KUNIT_EXPECT_NULL(test, iommu_lu_check_function(&view, 3));
}

static void mutate(struct rnd_state *rnd, u8 *bytes, size_t len)
{
	static const u64 extremes[] = { 0, 1, U8_MAX, U16_MAX, S32_MAX, U32_MAX,
					U32_MAX - 1, S64_MAX, U64_MAX,
					PAGE_SIZE, TABLE_A + SZ_4K };
	size_t at = prandom_u32_state(rnd) % len;
	size_t width = BIT(prandom_u32_state(rnd) % 4);
	u64 value;

	if (prandom_u32_state(rnd) % 2) {
		bytes[at] ^= BIT(prandom_u32_state(rnd) % 8);
		return;
	}
	value = extremes[prandom_u32_state(rnd) % ARRAY_SIZE(extremes)];
	memcpy(&bytes[at], &value, min(width, len - at));
}

static void expect_sane(struct kunit *test, const struct iommu_lu_view *view)
{
	const struct iommu_payload_ser *head = view->head;
	u32 i;

	KUNIT_ASSERT_EQ(test, iommu_lu_size(head->nr_domains, head->nr_functions,
					    head->nr_entries),
			sizeof(struct payload));
	for (i = 0; i < head->nr_domains; i++) {
		if (!iommu_lu_check_domain(view, i))
			KUNIT_EXPECT_TRUE(test, is_table(view->domains[i].top,
							 PAGE_SIZE));
	}
	for (i = 0; i < head->nr_functions; i++) {
		if (!iommu_lu_check_function(view, i))
			KUNIT_EXPECT_TRUE(test, view->functions[i].domain < head->nr_domains ||
					  view->functions[i].domain >= IOMMU_FUNCTION_SER_NONE);
	}
	for (i = 0; i < head->nr_entries; i++) {
		if (!iommu_lu_check_entry(view, i))
			KUNIT_EXPECT_LT(test, view->entries[i].function, head->nr_functions);
	}
}

static void mutations_lead_nowhere(struct kunit *test)
{
	struct payload *good = make_payload(test), *p = make_payload(test);
	unsigned int round, opened = 0, count;
	struct iommu_lu_view view;
	struct rnd_state rnd;

	prandom_seed_state(&rnd, 4);
	for (round = 0; round < FUZZ_ROUNDS; round++) {
		memcpy(p, good, sizeof(*p));
		for (count = prandom_u32_state(&rnd) % 3 + 1; count; count--)
			mutate(&rnd, (u8 *)p, sizeof(*p));
		if (open_payload(&view, p))
			continue;
		opened++;
		expect_sane(test, &view);
	}
	/* most mutations hit a record, and those are what this is about */
	KUNIT_EXPECT_GT(test, opened, FUZZ_ROUNDS / 2);
	KUNIT_EXPECT_LT(test, opened, FUZZ_ROUNDS);
}

static struct kunit_case iommu_lu_cases[] = {
	KUNIT_CASE(intact_is_accepted),
	KUNIT_CASE(head_is_checked),
	KUNIT_CASE(domain_is_checked),
	KUNIT_CASE(amd_domain_is_checked),
	KUNIT_CASE(function_is_checked),
	KUNIT_CASE(entry_is_checked),
	KUNIT_CASE(mutations_lead_nowhere),
	{}
};

static struct kunit_suite iommu_lu_suite = {
	.name = "iommu_liveupdate",
	.test_cases = iommu_lu_cases,
};

kunit_test_suite(iommu_lu_suite);

MODULE_DESCRIPTION("KUnit tests of DMA translation in a live update");
MODULE_LICENSE("GPL");
