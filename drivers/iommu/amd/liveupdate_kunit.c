// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of how entries of the previous kernel are judged, of the device
 * table and of interrupt remapping tables.
 */
#include <kunit/test.h>
#include <linux/prandom.h>
#include <linux/slab.h>
#include <linux/string.h>

#include <asm/apicdef.h>
#include <asm/irq_vectors.h>

#include "amd_iommu.h"
#include "liveupdate.h"
#include "liveupdate_irq.h"

#define FUZZ_ROUNDS	20000
#define ID		5

static void free_domain(void *data)
{
	struct protection_domain *pdom = data;

	pt_iommu_deinit(&pdom->iommu);
	kfree(pdom);
}

static struct protection_domain *make_domain(struct kunit *test)
{
	struct pt_iommu_amdv1_cfg cfg = {
		.common.hw_max_vasz_lg2 = 64,
		.common.hw_max_oasz_lg2 = 52,
		.common.features = BIT(PT_FEAT_DYNAMIC_TOP) |
				   BIT(PT_FEAT_AMDV1_ENCRYPT_TABLES) |
				   BIT(PT_FEAT_AMDV1_FORCE_COHERENCE) |
				   BIT(PT_FEAT_FLUSH_RANGE),
		.starting_level = 2,
	};
	struct protection_domain *pdom = kzalloc_obj(*pdom);

	KUNIT_ASSERT_NOT_NULL(test, pdom);
	protection_domain_init(pdom);
	pdom->pd_mode = PD_MODE_V1;
	pdom->iommu.driver_ops = &amd_hw_driver_ops_v1;
	pdom->iommu.nid = NUMA_NO_NODE;
	KUNIT_ASSERT_EQ(test, pt_iommu_amdv1_init(&pdom->amdv1, &cfg, GFP_KERNEL), 0);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, free_domain, pdom), 0);

	return pdom;
}

/* As this driver writes it for @pdom, or for the identity domain. */
static void make_words(struct protection_domain *pdom, u64 *words)
{
	struct pt_iommu_amdv1_hw_info pt;
	struct iommu_dev_data dev_data = {};
	struct dev_table_entry dte = {};

	dte.data[0] = DTE_FLAG_V;
	if (pdom) {
		pt_iommu_amdv1_hw_info(&pdom->amdv1, &pt);
		amd_iommu_set_dte_v1(&dev_data, pdom, ID, &pt, &dte);
	} else {
		dte.data[0] |= DTE_FLAG_TV | DTE_FLAG_IR | DTE_FLAG_IW;
		dte.data[1] = ID;
	}
	/* where its interrupts go, which is no part of it */
	dte.data[2] = 0x12345000 | DTE_IRQ_REMAP_INTCTL | DTE_INTTABLEN_512 |
		      DTE_IRQ_REMAP_ENABLE;
	amd_lu_words(&dte, words);
}

static void entry_intact(struct kunit *test)
{
	struct protection_domain *pdom = make_domain(test);
	struct protection_domain *other = make_domain(test);
	u64 words[AMD_LU_WORDS];

	make_words(pdom, words);
	KUNIT_EXPECT_EQ(test, words[2], 0);
	KUNIT_EXPECT_TRUE(test, amd_lu_words_ok(words, NULL, ID, pdom));
	KUNIT_EXPECT_FALSE(test, amd_lu_words_ok(words, NULL, ID + 1, pdom));
	KUNIT_EXPECT_FALSE(test, amd_lu_words_ok(words, NULL, 0, pdom));
	KUNIT_EXPECT_FALSE(test, amd_lu_words_ok(words, NULL, ID, other));
	KUNIT_EXPECT_FALSE(test, amd_lu_words_ok(words, NULL, ID, NULL));
}

/* HAD has two bits that go together; IOTLB says that the device has ATS. */
static bool may_differ(unsigned int bit)
{
	return bit == 64 + 32;
}

static void expect_each_bit(struct kunit *test, u64 *words,
			    struct protection_domain *pdom)
{
	unsigned int bit;

	for (bit = 0; bit < AMD_LU_WORDS * 64; bit++) {
		words[bit / 64] ^= BIT_ULL(bit % 64);
		KUNIT_EXPECT_EQ_MSG(test,
				    amd_lu_words_ok(words, NULL, ID, pdom),
				    may_differ(bit), "bit %u", bit);
		words[bit / 64] ^= BIT_ULL(bit % 64);
	}
}

static void each_bit_counts(struct kunit *test)
{
	struct protection_domain *pdom = make_domain(test);
	u64 words[AMD_LU_WORDS];

	make_words(pdom, words);
	expect_each_bit(test, words, pdom);
	words[0] |= DTE_FLAG_HAD;
	KUNIT_EXPECT_TRUE(test, amd_lu_words_ok(words, NULL, ID, pdom));

	make_words(NULL, words);
	KUNIT_EXPECT_TRUE(test, amd_lu_words_ok(words, NULL, ID, NULL));
	KUNIT_EXPECT_FALSE(test, amd_lu_words_ok(words, NULL, ID, pdom));
	expect_each_bit(test, words, NULL);
	words[0] |= DTE_FLAG_HAD;
	KUNIT_EXPECT_FALSE(test, amd_lu_words_ok(words, NULL, ID, NULL));
}

/* What ACPI asks for has to be there, and may be there only then. */
static void acpi_flags_count(struct kunit *test)
{
	struct protection_domain *pdom = make_domain(test);
	struct dev_table_entry acpi = {};
	u64 words[AMD_LU_WORDS];

	acpi.data[1] = BIT_ULL(DEV_ENTRY_SYSMGT1 - 64);
	make_words(pdom, words);
	KUNIT_EXPECT_FALSE(test, amd_lu_words_ok(words, &acpi, ID, pdom));
	words[1] |= acpi.data[1];
	KUNIT_EXPECT_TRUE(test, amd_lu_words_ok(words, &acpi, ID, pdom));
	KUNIT_EXPECT_FALSE(test, amd_lu_words_ok(words, NULL, ID, pdom));
}

/* Whatever passes leads to the domain's own table, by its own id. */
static void mutations(struct kunit *test)
{
	static const u64 extremes[] = { 0, 1, U32_MAX, S64_MAX, U64_MAX };
	struct protection_domain *pdom = make_domain(test);
	u64 intact[AMD_LU_WORDS], words[AMD_LU_WORDS];
	unsigned int round, at, passed = 0;
	struct rnd_state rnd;

	make_words(pdom, intact);
	prandom_seed_state(&rnd, 42);
	for (round = 0; round < FUZZ_ROUNDS; round++) {
		memcpy(words, intact, sizeof(words));
		at = prandom_u32_state(&rnd) % AMD_LU_WORDS;
		if (prandom_u32_state(&rnd) % 4)
			words[at] ^= BIT_ULL(prandom_u32_state(&rnd) % 64);
		else
			words[at] = extremes[prandom_u32_state(&rnd) %
					     ARRAY_SIZE(extremes)];
		if (!amd_lu_words_ok(words, NULL, ID, pdom))
			continue;
		passed++;
		KUNIT_EXPECT_EQ(test, words[0], intact[0]);
		KUNIT_EXPECT_EQ(test, words[1] & DTE_DOMID_MASK, ID);
	}
	/* setting a zero word to zero changes nothing */
	KUNIT_EXPECT_LT(test, passed, FUZZ_ROUNDS / 4);
}

#ifdef CONFIG_IRQ_REMAP
static struct irte_ga sane_irte(void)
{
	struct irte_ga irte = {};

	irte.lo.fields_remap.valid = 1;
	irte.lo.fields_remap.int_type = APIC_DELIVERY_MODE_FIXED;
	irte.lo.fields_remap.destination = 3;
	irte.hi.fields.vector = FIRST_EXTERNAL_VECTOR + 1;

	return irte;
}

static void irte_sane(struct kunit *test)
{
	struct irte_ga irte = sane_irte();

	KUNIT_EXPECT_TRUE(test, amd_irq_lu_irte_sane(&irte));
	/* The destination makes no difference. */
	irte.lo.fields_remap.dm = 1;
	irte.lo.fields_remap.destination = 0xffffff;
	irte.hi.fields.destination = 0xff;
	KUNIT_EXPECT_TRUE(test, amd_irq_lu_irte_sane(&irte));
}

#define EXPECT_INSANE(test, field, value)				\
	do {								\
		struct irte_ga __irte = sane_irte();			\
									\
		__irte.field = value;					\
		KUNIT_EXPECT_FALSE_MSG(test,				\
				       amd_irq_lu_irte_sane(&__irte),	\
				       "%016llx %016llx",		\
				       __irte.lo.val, __irte.hi.val);	\
	} while (0)

static void irte_insane(struct kunit *test)
{
	unsigned int i;

	EXPECT_INSANE(test, lo.fields_remap.valid, 0);
	EXPECT_INSANE(test, lo.fields_remap.guest_mode, 1);
	EXPECT_INSANE(test, lo.fields_remap.rq_eoi, 1);
	EXPECT_INSANE(test, lo.fields_remap.ga_tag, 1);
	EXPECT_INSANE(test, hi.fields.ga_root_ptr, 1);
	EXPECT_INSANE(test, hi.fields.rsvd_1, 1);
	EXPECT_INSANE(test, hi.fields.rsvd_2, 1);
	/* Lowest priority, SMI, NMI, INIT, ExtINT. */
	for (i = 1; i < 8; i++)
		EXPECT_INSANE(test, lo.fields_remap.int_type, i);
	for (i = 0; i < FIRST_EXTERNAL_VECTOR; i++)
		EXPECT_INSANE(test, hi.fields.vector, i);
	for (i = FIRST_SYSTEM_VECTOR; i < NR_VECTORS; i++) {
		if (i != X86_PLATFORM_IPI_VECTOR)
			EXPECT_INSANE(test, hi.fields.vector, i);
	}
	EXPECT_INSANE(test, hi.fields.vector, IA32_SYSCALL_VECTOR);
}

static void irte_silence(struct kunit *test)
{
	struct irte_ga irte = sane_irte();

	irte.lo.fields_remap.dm = 1;
	irte.lo.fields_remap.guest_mode = 1;
	irte.hi.fields.ga_root_ptr = 0x1234;
	amd_irq_lu_silence(&irte, 0x12345678);
	KUNIT_EXPECT_EQ(test, (u32)irte.hi.fields.vector, X86_PLATFORM_IPI_VECTOR);
	KUNIT_EXPECT_EQ(test, (u32)irte.lo.fields_remap.destination, 0x345678);
	KUNIT_EXPECT_EQ(test, (u32)irte.hi.fields.destination, 0x12);
	KUNIT_EXPECT_EQ(test, (u32)irte.lo.fields_remap.dm, 0);
	KUNIT_EXPECT_TRUE(test, amd_irq_lu_irte_sane(&irte));
}
#endif /* CONFIG_IRQ_REMAP */

static struct kunit_case amd_lu_cases[] = {
	KUNIT_CASE(entry_intact),
	KUNIT_CASE(each_bit_counts),
	KUNIT_CASE(acpi_flags_count),
	KUNIT_CASE(mutations),
#ifdef CONFIG_IRQ_REMAP
	KUNIT_CASE(irte_sane),
	KUNIT_CASE(irte_insane),
	KUNIT_CASE(irte_silence),
#endif
	{}
};

static struct kunit_suite amd_lu_suite = {
	.name = "amd_iommu_liveupdate",
	.test_cases = amd_lu_cases,
};

kunit_test_suite(amd_lu_suite);

MODULE_DESCRIPTION("KUnit tests of AMD-Vi in a live update");
MODULE_LICENSE("GPL");
