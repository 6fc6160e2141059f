// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of the record of a guest_memfd that one kernel leaves to the next.
 */

#include <kunit/test.h>
#include <linux/err.h>
#include <linux/io.h>
#include <linux/kvm.h>
#include <linux/mm.h>
#include <linux/sizes.h>

#include "guest_memfd_luo.h"

#define SHARED	(GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED)
#define GOOD	{ .flags = SHARED, .vm = 0x1000, .size = SZ_4M,	\
		  .nr_folios = 1024, .first = 0x2000 }

static phys_addr_t not_preserved;

static bool test_preserved(phys_addr_t phys, size_t size)
{
	return phys != not_preserved;
}

static struct guest_memfd_ser *make_ser(struct kunit *test)
{
	static const struct guest_memfd_ser good = GOOD;
	struct guest_memfd_ser *ser;

	not_preserved = 0;
	/* Aligned to its size, which is a power of two */
	ser = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, ser);
	*ser = good;
	ser->crc = guest_memfd_ser_crc(ser);
	return ser;
}

static long ser_err(struct guest_memfd_ser *ser)
{
	return PTR_ERR_OR_ZERO(guest_memfd_ser_get(virt_to_phys(ser),
						   test_preserved));
}

static void guest_memfd_good(struct kunit *test)
{
	struct guest_memfd_ser *ser = make_ser(test);

	KUNIT_EXPECT_PTR_EQ(test, ser, guest_memfd_ser_get(virt_to_phys(ser),
							   test_preserved));
}

static void guest_memfd_not_preserved(struct kunit *test)
{
	struct guest_memfd_ser *ser = make_ser(test);
	u64 pa = virt_to_phys(ser);

	KUNIT_EXPECT_EQ(test, PTR_ERR(guest_memfd_ser_get(pa + 8, test_preserved)),
			-EFAULT);
	not_preserved = pa;
	KUNIT_EXPECT_EQ(test, ser_err(ser), -EFAULT);
}

static void guest_memfd_bit_flips(struct kunit *test)
{
	struct guest_memfd_ser *ser = make_ser(test);
	u8 *bytes = (u8 *)ser;
	size_t bit;

	for (bit = 0; bit < 8 * sizeof(*ser); bit++) {
		bytes[bit / 8] ^= BIT(bit % 8);
		KUNIT_EXPECT_EQ_MSG(test, ser_err(ser), -EILSEQ, "bit %zu", bit);
		bytes[bit / 8] ^= BIT(bit % 8);
	}
}

/* Not damaged on the way, but impossible */
static void guest_memfd_impossible(struct kunit *test)
{
	struct guest_memfd_ser cases[] = {
		GOOD, GOOD, GOOD, GOOD, GOOD, GOOD, GOOD, GOOD,
	};
	static const int errs[] = {
		-ERANGE, -ERANGE, -ERANGE, -ERANGE, -ERANGE,
		-EOPNOTSUPP, -EOPNOTSUPP, 0,
	};
	struct guest_memfd_ser *ser = make_ser(test);
	unsigned int i;

	cases[0].reserved = 1;
	cases[1].vm = 0;
	cases[2].size = SZ_4M + 1;
	cases[3].size = U64_MAX;
	cases[4].nr_folios = 1025;
	cases[5].flags = GUEST_MEMFD_FLAG_MMAP;
	cases[6].flags = 0;
	cases[7].nr_folios = 2;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		*ser = cases[i];
		ser->crc = guest_memfd_ser_crc(ser);
		KUNIT_EXPECT_EQ_MSG(test, ser_err(ser), errs[i], "case %u", i);
	}
}

static struct kunit_case guest_memfd_luo_cases[] = {
	KUNIT_CASE(guest_memfd_good),
	KUNIT_CASE(guest_memfd_not_preserved),
	KUNIT_CASE(guest_memfd_bit_flips),
	KUNIT_CASE(guest_memfd_impossible),
	{}
};

static struct kunit_suite guest_memfd_luo_suite = {
	.name = "guest_memfd_luo",
	.test_cases = guest_memfd_luo_cases,
};

kunit_test_suite(guest_memfd_luo_suite);
