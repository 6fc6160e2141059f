// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of what one kernel tells the next about huge pages: lists of page frame
 * numbers, records of files, and the table of what counts in the pools.
 */

#include <kunit/test.h>
#include <linux/err.h>
#include <linux/io.h>
#include <linux/kexec_handover.h>
#include <linux/kho/abi/pfns.h>
#include <linux/kho_pfns.h>
#include <linux/mm.h>
#include <linux/sizes.h>

#include "hugetlb_luo.h"

/* Three blocks, the last with one entry. */
#define PFNS		(2 * KHO_PFNS_PER_BLOCK + 1)
#define COUNTS		3
#define POOL_SIZE	struct_size_t(struct hugetlb_pool_ser, counts, COUNTS)

static phys_addr_t not_preserved;

static bool test_preserved(phys_addr_t phys, size_t size)
{
	return phys != not_preserved && phys < virt_to_phys(high_memory);
}

static u64 test_pfn(u64 i)
{
	return 1000 + 512 * i;
}

/* Fails the test, and leaves nothing behind, when there is no memory. */
static u64 make_list(struct kunit *test, struct kho_pfns *list)
{
	u64 i;

	not_preserved = 0;
	*list = (struct kho_pfns){};
	for (i = 0; i < PFNS; i++) {
		if (kho_pfns_append(list, test_pfn(i))) {
			kho_pfns_unpreserve_free(list);
			KUNIT_FAIL_AND_ABORT(test, "no memory");
		}
	}

	return kho_pfns_seal(list);
}

static void pfns_good(struct kunit *test)
{
	struct kho_pfns list, found;
	struct kho_pfns_iter iter;
	u64 first, i = 0, *pfn;

	first = make_list(test, &list);
	KUNIT_EXPECT_EQ(test, kho_pfns_open(&found, first, PFNS, test_preserved), 0);
	iter = kho_pfns_iter_start(&found);
	while ((pfn = kho_pfns_next(&iter)))
		KUNIT_EXPECT_EQ(test, *pfn, test_pfn(i++));
	KUNIT_EXPECT_EQ(test, i, PFNS);
	kho_pfns_unpreserve_free(&list);
}

static void pfns_empty(struct kunit *test)
{
	struct kho_pfns list = {}, found;
	struct kho_pfns_iter iter;

	KUNIT_EXPECT_EQ(test, kho_pfns_seal(&list), 0);
	KUNIT_EXPECT_EQ(test, kho_pfns_open(&found, 0, 0, test_preserved), 0);
	iter = kho_pfns_iter_start(&found);
	KUNIT_EXPECT_NULL(test, kho_pfns_next(&iter));
	KUNIT_EXPECT_EQ(test, kho_pfns_open(&found, 0, 1, test_preserved), -ERANGE);
}

static void pfns_count(struct kunit *test)
{
	struct kho_pfns list, found;
	u64 first = make_list(test, &list);

	KUNIT_EXPECT_EQ(test, kho_pfns_open(&found, first, PFNS + 1, test_preserved),
			-ERANGE);
	KUNIT_EXPECT_EQ(test, kho_pfns_open(&found, first, PFNS - 1, test_preserved),
			-ERANGE);
	kho_pfns_unpreserve_free(&list);
}

static void pfns_not_preserved(struct kunit *test)
{
	struct kho_pfns list, found;
	u64 first = make_list(test, &list);

	not_preserved = list.first->next;
	KUNIT_EXPECT_EQ(test, kho_pfns_open(&found, first, PFNS, test_preserved),
			-EFAULT);
	KUNIT_EXPECT_EQ(test, kho_pfns_open(&found, first + 8, PFNS, test_preserved),
			-EFAULT);
	kho_pfns_unpreserve_free(&list);
}

/* Each bit of a block, but for what lies behind its last entry. */
static void pfns_bit_flips(struct kunit *test)
{
	struct kho_pfns list, found;
	u64 first = make_list(test, &list);
	u8 *bytes = (u8 *)list.last;
	size_t bit;

	for (bit = 0; bit < 8 * offsetof(struct kho_pfns_block_ser, pfns[1]); bit++) {
		bytes[bit / 8] ^= BIT(bit % 8);
		KUNIT_EXPECT_EQ_MSG(test,
				    kho_pfns_open(&found, first, PFNS, test_preserved),
				    -EILSEQ, "bit %zu", bit);
		bytes[bit / 8] ^= BIT(bit % 8);
	}
	KUNIT_EXPECT_EQ(test, kho_pfns_open(&found, first, PFNS, test_preserved), 0);
	kho_pfns_unpreserve_free(&list);
}

/* Right checksums do not make it endless. */
static void pfns_cycle(struct kunit *test)
{
	struct kho_pfns list, found;
	u64 first = make_list(test, &list);

	list.last->next = first;
	kho_pfns_seal(&list);
	KUNIT_EXPECT_EQ(test, kho_pfns_open(&found, first, PFNS, test_preserved),
			-ERANGE);
	list.last->next = 0;
	kho_pfns_unpreserve_free(&list);
}

static struct memfd_hugetlb_ser *make_file(struct kunit *test)
{
	struct memfd_hugetlb_ser *ser;

	not_preserved = 0;
	/* Aligned to its size, which is a power of two. */
	ser = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, ser);
	ser->order = 9;
	ser->seals = F_SEAL_SHRINK;
	ser->mode = 0777;
	ser->size = SZ_4M;
	ser->crc = memfd_hugetlb_ser_crc(ser);

	return ser;
}

static long file_err(struct memfd_hugetlb_ser *ser)
{
	return PTR_ERR_OR_ZERO(memfd_hugetlb_ser_get(virt_to_phys(ser),
						     test_preserved));
}

static void file_good(struct kunit *test)
{
	struct memfd_hugetlb_ser *ser = make_file(test);

	KUNIT_EXPECT_PTR_EQ(test, ser, memfd_hugetlb_ser_get(virt_to_phys(ser),
							     test_preserved));
}

static void file_not_preserved(struct kunit *test)
{
	struct memfd_hugetlb_ser *ser = make_file(test);
	u64 pa = virt_to_phys(ser);

	KUNIT_EXPECT_EQ(test, PTR_ERR(memfd_hugetlb_ser_get(pa + 8, test_preserved)),
			-EFAULT);
	not_preserved = pa;
	KUNIT_EXPECT_EQ(test, file_err(ser), -EFAULT);
}

static void file_bit_flips(struct kunit *test)
{
	struct memfd_hugetlb_ser *ser = make_file(test);
	u8 *bytes = (u8 *)ser;
	size_t bit;

	for (bit = 0; bit < 8 * sizeof(*ser); bit++) {
		bytes[bit / 8] ^= BIT(bit % 8);
		KUNIT_EXPECT_EQ_MSG(test, file_err(ser), -EILSEQ, "bit %zu", bit);
		bytes[bit / 8] ^= BIT(bit % 8);
	}
}

/* Not damaged on the way, but impossible. */
static void file_impossible(struct kunit *test)
{
	static const struct {
		struct memfd_hugetlb_ser ser;
		int err;
	} cases[] = {
		{ { .order = 0, .size = SZ_4M }, -ERANGE },
		{ { .order = MAX_FOLIO_ORDER + 1, .size = SZ_4M }, -ERANGE },
		{ { .order = 9, .mode = 01777 }, -ERANGE },
		{ { .order = 9, .size = U64_MAX }, -ERANGE },
		{ { .order = 9, .pos = U64_MAX }, -ERANGE },
		{ { .order = 9, .seals = BIT(31) }, -EOPNOTSUPP },
		{ { .order = 9, .seals = F_SEAL_SEAL }, 0 },
	};
	struct memfd_hugetlb_ser *ser = make_file(test);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		*ser = cases[i].ser;
		ser->crc = memfd_hugetlb_ser_crc(ser);
		KUNIT_EXPECT_EQ_MSG(test, file_err(ser), cases[i].err, "case %u", i);
	}
}

static struct hugetlb_pool_ser *make_pool(struct kunit *test)
{
	static const struct hugetlb_pool_count_ser counts[COUNTS] = {
		{ .order = 9, .nid = 0, .count = 100 },
		{ .order = 9, .nid = MAX_NUMNODES - 1, .count = 0 },
		{ .order = 18, .nid = 0, .count = 2 },
	};
	struct hugetlb_pool_ser *ser;

	ser = kunit_kzalloc(test, POOL_SIZE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, ser);
	strscpy(ser->compatible, HUGETLB_LUO_POOL_COMPATIBLE);
	ser->nr_counts = COUNTS;
	memcpy(ser->counts, counts, sizeof(counts));
	ser->crc = hugetlb_pool_ser_crc(ser);

	return ser;
}

static void pool_good(struct kunit *test)
{
	struct hugetlb_pool_ser *ser = make_pool(test);

	KUNIT_EXPECT_EQ(test, hugetlb_pool_ser_check(ser, POOL_SIZE, SZ_8G), 0);
	/* 200 MiB and 2 GiB */
	KUNIT_EXPECT_EQ(test, hugetlb_pool_ser_check(ser, POOL_SIZE,
						     SZ_2G + 200 * SZ_1M), 0);
	KUNIT_EXPECT_EQ(test, hugetlb_pool_ser_check(ser, POOL_SIZE,
						     SZ_2G + 199 * SZ_1M), -ERANGE);
}

static void pool_cut_short(struct kunit *test)
{
	struct hugetlb_pool_ser *ser = make_pool(test);

	KUNIT_EXPECT_EQ(test, hugetlb_pool_ser_check(ser, POOL_SIZE - 1, SZ_8G),
			-EMSGSIZE);
	KUNIT_EXPECT_EQ(test, hugetlb_pool_ser_check(ser, sizeof(*ser) - 1, SZ_8G),
			-EMSGSIZE);
	ser->nr_counts = U32_MAX;
	KUNIT_EXPECT_EQ(test, hugetlb_pool_ser_check(ser, POOL_SIZE, SZ_8G),
			-EMSGSIZE);
}

static void pool_bit_flips(struct kunit *test)
{
	struct hugetlb_pool_ser *ser = make_pool(test);
	u8 *bytes = (u8 *)ser;
	size_t bit;

	for (bit = 0; bit < 8 * POOL_SIZE; bit++) {
		bytes[bit / 8] ^= BIT(bit % 8);
		KUNIT_EXPECT_NE_MSG(test, hugetlb_pool_ser_check(ser, POOL_SIZE, SZ_8G),
				    0, "bit %zu", bit);
		bytes[bit / 8] ^= BIT(bit % 8);
	}
}

static void pool_impossible(struct kunit *test)
{
	static const struct hugetlb_pool_count_ser counts[] = {
		{ .order = 9, .nid = MAX_NUMNODES, .count = 1 },
		{ .order = MAX_FOLIO_ORDER + 1, .nid = 0, .count = 1 },
		{ .order = 9, .nid = 0, .count = U64_MAX },
		{ .order = 9, .nid = 0, .count = SZ_1G },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(counts); i++) {
		struct hugetlb_pool_ser *ser = make_pool(test);

		ser->counts[COUNTS - 1] = counts[i];
		ser->crc = hugetlb_pool_ser_crc(ser);
		KUNIT_EXPECT_EQ_MSG(test, hugetlb_pool_ser_check(ser, POOL_SIZE, SZ_8G),
				    -ERANGE, "case %u", i);
	}
}

static struct kunit_case memfd_hugetlb_luo_cases[] = {
	KUNIT_CASE(pfns_good),
	KUNIT_CASE(pfns_empty),
	KUNIT_CASE(pfns_count),
	KUNIT_CASE(pfns_not_preserved),
	KUNIT_CASE(pfns_bit_flips),
	KUNIT_CASE(pfns_cycle),
	KUNIT_CASE(file_good),
	KUNIT_CASE(file_not_preserved),
	KUNIT_CASE(file_bit_flips),
	KUNIT_CASE(file_impossible),
	KUNIT_CASE(pool_good),
	KUNIT_CASE(pool_cut_short),
	KUNIT_CASE(pool_bit_flips),
	KUNIT_CASE(pool_impossible),
	{}
};

static struct kunit_suite memfd_hugetlb_luo_suite = {
	.name = "memfd_hugetlb_luo",
	.test_cases = memfd_hugetlb_luo_cases,
};

kunit_test_suite(memfd_hugetlb_luo_suite);
