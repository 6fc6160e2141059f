// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of the record of a VM.
 */
#include <kunit/test.h>
#include <linux/io.h>
#include <linux/kvm_host.h>
#include <linux/prandom.h>

#include "kvm_luo.h"

#define SEED		20261122
#define VARIANTS	6000
#define CAPS		3
#define VCPUS		5
#define LENGTH		(sizeof(struct kvm_luo_ser) +			\
			 CAPS * sizeof(struct kvm_luo_cap_ser) +	\
			 VCPUS * sizeof(struct kvm_luo_vcpu_ser))

static phys_addr_t test_pa;
static size_t test_len;

static bool test_preserved(phys_addr_t phys, size_t size)
{
	return phys == test_pa && size <= test_len;
}

static void seal(struct kvm_luo_ser *ser)
{
	ser->crc = kvm_luo_ser_crc(ser);
}

static void fill_ser(struct kvm_luo_ser *ser)
{
	u32 i;

	memset(ser, 0, PAGE_SIZE);
	ser->length = LENGTH;
	ser->clock = 5 * NSEC_PER_SEC;
	ser->tsc = 12345678901ULL;
	ser->tsc_khz = 2400000;
	ser->nr_caps = CAPS;
	ser->nr_vcpus = VCPUS;
	for (i = 0; i < CAPS; i++) {
		kvm_luo_ser_caps(ser)[i].cap = KVM_CAP_SPLIT_IRQCHIP + i;
		kvm_luo_ser_caps(ser)[i].args[0] = 24;
	}
	for (i = 0; i < VCPUS; i++) {
		kvm_luo_ser_vcpus(ser)[i].id = 2 * i;
		kvm_luo_ser_vcpus(ser)[i].pending[i % 4] = BIT_ULL(16 + i);
	}
	seal(ser);
}

static struct kvm_luo_ser *make_ser(struct kunit *test)
{
	struct kvm_luo_ser *ser = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);

	static_assert(LENGTH < PAGE_SIZE);
	KUNIT_ASSERT_NOT_NULL(test, ser);
	fill_ser(ser);
	test_pa = virt_to_phys(ser);
	test_len = LENGTH;

	return ser;
}

/* What the parser says of the record, 0 when it can be believed */
static long verdict(void)
{
	return PTR_ERR_OR_ZERO(kvm_luo_ser_get(test_pa, test_preserved));
}

static void ser_good(struct kunit *test)
{
	struct kvm_luo_ser *ser = make_ser(test);

	KUNIT_EXPECT_EQ(test, verdict(), 0);

	/* Nothing enabled, and no vCPU */
	ser->nr_caps = 0;
	ser->nr_vcpus = 0;
	ser->length = sizeof(*ser);
	seal(ser);
	KUNIT_EXPECT_EQ(test, verdict(), 0);
}

static void ser_not_preserved(struct kunit *test)
{
	make_ser(test);
	KUNIT_EXPECT_EQ(test, PTR_ERR(kvm_luo_ser_get(test_pa + 8,
						      test_preserved)),
			-EFAULT);
	KUNIT_EXPECT_EQ(test, PTR_ERR(kvm_luo_ser_get(test_pa + PAGE_SIZE,
						      test_preserved)),
			-EFAULT);
	test_len = LENGTH - 1;
	KUNIT_EXPECT_EQ(test, verdict(), -EMSGSIZE);
	test_len = sizeof(struct kvm_luo_ser) - 1;
	KUNIT_EXPECT_EQ(test, verdict(), -EFAULT);
}

static void ser_lengths(struct kunit *test)
{
	struct kvm_luo_ser *ser = make_ser(test);

	ser->length = sizeof(*ser) - 1;
	KUNIT_EXPECT_EQ(test, verdict(), -EMSGSIZE);

	/* The checksum is not taken of what lies beyond any record */
	test_len = SIZE_MAX;
	ser->length = U32_MAX;
	KUNIT_EXPECT_EQ(test, verdict(), -EMSGSIZE);

	/* Room that no array takes */
	fill_ser(ser);
	ser->length = LENGTH + 8;
	seal(ser);
	KUNIT_EXPECT_EQ(test, verdict(), -EUCLEAN);

	/* A product that is right in 32 bits only */
	fill_ser(ser);
	ser->nr_vcpus = VCPUS + (1U << 29);
	seal(ser);
	KUNIT_EXPECT_EQ(test, verdict(), -EUCLEAN);
	fill_ser(ser);
	ser->nr_caps = CAPS + (1U << 29);
	seal(ser);
	KUNIT_EXPECT_EQ(test, verdict(), -EUCLEAN);
}

static void ser_fields(struct kunit *test)
{
	struct kvm_luo_ser *ser = make_ser(test);

#define EXPECT_REFUSED(_change)						\
do {									\
	fill_ser(ser);							\
	_change;							\
	seal(ser);							\
	KUNIT_EXPECT_EQ_MSG(test, verdict(), -EUCLEAN, #_change);	\
} while (0)

	EXPECT_REFUSED(ser->reserved = 1);
	EXPECT_REFUSED(ser->nr_caps--);
	EXPECT_REFUSED(ser->nr_vcpus++);
	EXPECT_REFUSED(kvm_luo_ser_caps(ser)[CAPS - 1].reserved = 1);
	/* Its argument is a file descriptor */
	EXPECT_REFUSED(kvm_luo_ser_caps(ser)[0].cap = KVM_CAP_SGX_ATTRIBUTE);
	EXPECT_REFUSED(kvm_luo_ser_vcpus(ser)[0].reserved = 1);
	EXPECT_REFUSED(kvm_luo_ser_vcpus(ser)[0].id = KVM_MAX_VCPU_IDS);
	/* The vector of an exception */
	EXPECT_REFUSED(kvm_luo_ser_vcpus(ser)[VCPUS - 1].pending[0] |= BIT(15));
#undef EXPECT_REFUSED
}

static void ser_flipped_bits(struct kunit *test)
{
	struct kvm_luo_ser *ser = make_ser(test);
	size_t bit;

	for (bit = 0; bit < LENGTH * 8; bit++) {
		((u8 *)ser)[bit / 8] ^= BIT(bit % 8);
		KUNIT_EXPECT_NE_MSG(test, verdict(), 0, "bit %zu", bit);
		((u8 *)ser)[bit / 8] ^= BIT(bit % 8);
	}
	KUNIT_EXPECT_EQ(test, verdict(), 0);
}

/* Right checksum and length, anything else: no access outside of the record */
static void ser_random(struct kunit *test)
{
	struct kvm_luo_ser *ser = make_ser(test);
	struct rnd_state rnd;
	int i;

	prandom_seed_state(&rnd, SEED);
	for (i = 0; i < VARIANTS; i++) {
		fill_ser(ser);
		prandom_bytes_state(&rnd, (u8 *)ser +
				    prandom_u32_state(&rnd) % LENGTH, 4);
		ser->length = LENGTH;
		seal(ser);
		if (verdict())
			continue;
		KUNIT_EXPECT_EQ(test, ser->nr_caps, CAPS);
		KUNIT_EXPECT_EQ(test, ser->nr_vcpus, VCPUS);
	}
}

static struct kunit_case kvm_luo_cases[] = {
	KUNIT_CASE(ser_good),
	KUNIT_CASE(ser_not_preserved),
	KUNIT_CASE(ser_lengths),
	KUNIT_CASE(ser_fields),
	KUNIT_CASE(ser_flipped_bits),
	KUNIT_CASE(ser_random),
	{}
};

static struct kunit_suite kvm_luo_suite = {
	.name = "kvm-luo",
	.test_cases = kvm_luo_cases,
};

kunit_test_suite(kvm_luo_suite);
