// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of the record of a preserved iommufd, and of the proof that its
 * devices reach nothing but memory of their session.
 */
#include <kunit/test.h>
#include <linux/io.h>
#include <linux/prandom.h>

#include "liveupdate.h"

#define HWPTS		5
#define SEED		20261122
#define VARIANTS	2000

static phys_addr_t test_pa;
static size_t test_len;

static bool test_preserved(phys_addr_t phys, size_t size)
{
	return phys == test_pa && size <= test_len;
}

static struct iommufd_ser *make_ser(struct kunit *test)
{
	struct iommufd_ser *ser;
	unsigned int i;

	/* Aligned to its size, which is a power of two */
	ser = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, ser);

	ser->count = HWPTS;
	ser->crc = iommufd_ser_crc(ser);
	for (i = 0; i < HWPTS; i++) {
		ser->hwpts[i].tag = 1000 + i;
		ser->hwpts[i].domain = i;
		ser->hwpts[i].crc = iommufd_hwpt_ser_crc(&ser->hwpts[i]);
	}
	test_pa = virt_to_phys(ser);
	test_len = struct_size(ser, hwpts, HWPTS);

	return ser;
}

/* How many entries can be believed, -1 when the head cannot */
static int count_valid(void)
{
	struct iommufd_ser *ser = iommufd_ser_get(test_pa, test_preserved);
	int valid = 0;
	u32 i;

	if (IS_ERR(ser))
		return -1;
	for (i = 0; i < ser->count; i++)
		valid += iommufd_hwpt_ser_valid(&ser->hwpts[i]);

	return valid;
}

static void ser_good(struct kunit *test)
{
	make_ser(test);
	KUNIT_EXPECT_EQ(test, count_valid(), HWPTS);
}

static void ser_not_preserved(struct kunit *test)
{
	struct iommufd_ser *ser = make_ser(test);

	KUNIT_EXPECT_EQ(test, PTR_ERR(iommufd_ser_get(test_pa + 8,
						      test_preserved)),
			-EFAULT);
	KUNIT_EXPECT_EQ(test, PTR_ERR(iommufd_ser_get(test_pa + PAGE_SIZE,
						      test_preserved)),
			-EFAULT);
	test_len--;
	KUNIT_EXPECT_EQ(test, PTR_ERR(iommufd_ser_get(test_pa, test_preserved)),
			-ERANGE);
	test_len = sizeof(*ser) - 1;
	KUNIT_EXPECT_EQ(test, PTR_ERR(iommufd_ser_get(test_pa, test_preserved)),
			-EFAULT);
}

/* A count that was not damaged on the way, but cannot be right */
static void ser_count(struct kunit *test)
{
	static const u32 counts[] = { 0, HWPTS + 1, S32_MAX, U32_MAX };
	struct iommufd_ser *ser = make_ser(test);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(counts); i++) {
		ser->count = counts[i];
		ser->crc = iommufd_ser_crc(ser);
		KUNIT_EXPECT_EQ(test, PTR_ERR(iommufd_ser_get(test_pa,
							      test_preserved)),
				-ERANGE);
	}
}

static void ser_bit_flips(struct kunit *test)
{
	struct iommufd_ser *ser = make_ser(test);
	u8 *bytes = (u8 *)ser;
	size_t bit;

	for (bit = 0; bit < test_len * 8; bit++) {
		int valid = bit < sizeof(*ser) * 8 ? -1 : HWPTS - 1;

		bytes[bit / 8] ^= BIT(bit % 8);
		KUNIT_EXPECT_EQ_MSG(test, count_valid(), valid, "bit %zu", bit);
		bytes[bit / 8] ^= BIT(bit % 8);
	}
	KUNIT_EXPECT_EQ(test, count_valid(), HWPTS);
}

static void ser_random(struct kunit *test)
{
	struct iommufd_ser *ser = make_ser(test);
	u8 *bytes = (u8 *)ser;
	struct rnd_state rnd;
	unsigned int i;
	u8 good[256];

	KUNIT_ASSERT_LE(test, test_len, sizeof(good));
	memcpy(good, bytes, test_len);
	prandom_seed_state(&rnd, SEED);
	for (i = 0; i < VARIANTS; i++) {
		unsigned int left = 1 + prandom_u32_state(&rnd) % 8;

		while (left--)
			bytes[prandom_u32_state(&rnd) % test_len] =
				prandom_u32_state(&rnd);
		KUNIT_EXPECT_EQ_MSG(test, count_valid() == HWPTS,
				    !memcmp(good, bytes, test_len),
				    "variant %u of seed %u", i, SEED);
		memcpy(bytes, good, test_len);
	}
}

static void add(struct iommufd_ranges *ranges, u64 page, u64 pages)
{
	iommufd_ranges_add(ranges, page * PAGE_SIZE, pages * PAGE_SIZE);
}

static void ranges_add_all(struct iommufd_ranges *ranges)
{
	add(ranges, 40, 2);
	add(ranges, 42, 1);
	add(ranges, 10, 1);
	add(ranges, 20, 10);
	add(ranges, 11, 1);
}

static void ranges_cover(struct kunit *test)
{
	static const struct {
		u64 pa, len, known;
	} cases[] = {
		{ 10, 2, 2 }, { 10, 1, 1 }, { 11, 1, 1 }, { 20, 10, 10 },
		{ 29, 1, 1 }, { 40, 3, 3 },
		/* one page too many, in front, behind, between, beyond */
		{ 9, 1, 0 }, { 9, 2, 0 }, { 10, 3, 2 }, { 12, 1, 0 },
		{ 29, 12, 1 }, { 30, 10, 0 }, { 42, 2, 1 }, { 43, 1, 0 },
		{ 0, 100, 0 },
	};
	struct iommufd_ranges ranges = {};
	struct iommufd_range v[4] = {};
	unsigned int i;

	ranges_add_all(&ranges);
	KUNIT_ASSERT_EQ(test, ranges.count, 4);

	/* The second pass starts where the first one ended */
	ranges.count = 0;
	ranges.v = v;
	ranges_add_all(&ranges);
	KUNIT_ASSERT_EQ(test, ranges.count, 4);

	iommufd_ranges_sort(&ranges);
	KUNIT_EXPECT_EQ(test, ranges.count, 3);
	for (i = 0; i < ARRAY_SIZE(cases); i++)
		KUNIT_EXPECT_EQ_MSG(test,
				    iommufd_ranges_cover(&ranges,
							 cases[i].pa * PAGE_SIZE,
							 cases[i].len * PAGE_SIZE),
				    cases[i].known * PAGE_SIZE, "case %u", i);
}

static void ranges_none(struct kunit *test)
{
	struct iommufd_ranges ranges = {};

	iommufd_ranges_sort(&ranges);
	KUNIT_EXPECT_EQ(test, iommufd_ranges_cover(&ranges, 0, PAGE_SIZE), 0);
}

static struct kunit_case iommufd_liveupdate_cases[] = {
	KUNIT_CASE(ser_good),
	KUNIT_CASE(ser_not_preserved),
	KUNIT_CASE(ser_count),
	KUNIT_CASE(ser_bit_flips),
	KUNIT_CASE(ser_random),
	KUNIT_CASE(ranges_cover),
	KUNIT_CASE(ranges_none),
	{}
};

static struct kunit_suite iommufd_liveupdate_suite = {
	.name = "iommufd_liveupdate",
	.test_cases = iommufd_liveupdate_cases,
};

kunit_test_suite(iommufd_liveupdate_suite);
