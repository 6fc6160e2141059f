// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of interrupt remapping in a live update: which entries of the
 * outgoing kernel are taken over, and whose.
 */
#include <kunit/test.h>
#include <linux/bitmap.h>
#include <linux/dmar.h>
#include <linux/string.h>

#include <asm/apicdef.h>
#include <asm/irq_vectors.h>

#include "liveupdate_irq.h"
#include "../liveupdate.h"

#define UNIT		0xfed90000ULL
#define OTHER_UNIT	0xfed91000ULL
#define NR_RIDS		65536

static struct irte sane_irte(void)
{
	struct irte irte = {};

	/* Not an initializer: these are members of several unions. */
	irte.present = 1;
	irte.dlvry_mode = APIC_DELIVERY_MODE_FIXED;
	irte.vector = FIRST_EXTERNAL_VECTOR + 1;
	irte.dest_id = 3;
	irte.sid = 0x0510;
	irte.svt = 1;

	return irte;
}

static void irte_sane_test(struct kunit *test)
{
	struct irte irte = sane_irte();

	KUNIT_EXPECT_TRUE(test, intel_irq_lu_irte_sane(&irte));
	/* What the destination and the trigger mode are makes no difference. */
	irte.dst_mode = 1;
	irte.redir_hint = 1;
	irte.trigger_mode = 1;
	irte.dest_id = U32_MAX;
	KUNIT_EXPECT_TRUE(test, intel_irq_lu_irte_sane(&irte));
}

static void expect_insane(struct kunit *test, struct irte irte)
{
	KUNIT_EXPECT_FALSE_MSG(test, intel_irq_lu_irte_sane(&irte),
			       "%016llx %016llx", irte.low, irte.high);
}

#define EXPECT_INSANE(test, field, value)		\
	do {						\
		struct irte __irte = sane_irte();	\
							\
		__irte.field = value;			\
		expect_insane(test, __irte);		\
	} while (0)

static void irte_insane_test(struct kunit *test)
{
	unsigned int i;

	EXPECT_INSANE(test, present, 0);
	EXPECT_INSANE(test, pst, 1);
	EXPECT_INSANE(test, svt, 0);
	EXPECT_INSANE(test, svt, 2);
	EXPECT_INSANE(test, sq, 1);
	/* Lowest priority, SMI, NMI, INIT, ExtINT. */
	for (i = 1; i < 8; i++)
		EXPECT_INSANE(test, dlvry_mode, i);
	for (i = 0; i < FIRST_EXTERNAL_VECTOR; i++)
		EXPECT_INSANE(test, vector, i);
	for (i = FIRST_SYSTEM_VECTOR; i < NR_VECTORS; i++) {
		if (i != X86_PLATFORM_IPI_VECTOR)
			EXPECT_INSANE(test, vector, i);
	}
	EXPECT_INSANE(test, vector, IA32_SYSCALL_VECTOR);
	EXPECT_INSANE(test, r_res0, 1);
	EXPECT_INSANE(test, r_res1, 1);
	EXPECT_INSANE(test, __res3, 1);
}

static void irte_silence_test(struct kunit *test)
{
	struct irte irte = sane_irte();
	u64 high = irte.high;

	irte.dst_mode = 1;
	irte.redir_hint = 1;
	irte.trigger_mode = 1;
	intel_irq_lu_silence(&irte, 0x7f, 0);
	KUNIT_EXPECT_EQ(test, (u32)irte.vector, X86_PLATFORM_IPI_VECTOR);
	KUNIT_EXPECT_EQ(test, (u32)irte.dest_id, 0x7f00);
	KUNIT_EXPECT_EQ(test, (u32)irte.dst_mode, 0);
	KUNIT_EXPECT_EQ(test, (u32)irte.redir_hint, 0);
	KUNIT_EXPECT_EQ(test, (u32)irte.trigger_mode, 0);

	/* Whose messages it takes does not change. */
	KUNIT_EXPECT_EQ(test, (u32)irte.present, 1);
	KUNIT_EXPECT_EQ(test, (u32)irte.dlvry_mode,
			(u32)APIC_DELIVERY_MODE_FIXED);
	KUNIT_EXPECT_EQ(test, irte.high, high);
	KUNIT_EXPECT_TRUE(test, intel_irq_lu_irte_sane(&irte));

	intel_irq_lu_silence(&irte, 0x12345, 1);
	KUNIT_EXPECT_EQ(test, (u32)irte.dest_id, 0x12345);
}

struct fake_records {
	struct iommu_payload_ser head;
	struct iommu_function_ser functions[3];
	struct iommu_entry_ser entries[3];
} __packed;

/* A translated function, with an alias; one without DMA; one elsewhere. */
static void fake_records(struct kunit *test, struct fake_records *rec,
			 struct iommu_lu_view *view)
{
	*rec = (struct fake_records) {
		.head = {
			.hw = "fake",
			.nr_functions = ARRAY_SIZE(rec->functions),
			.nr_entries = ARRAY_SIZE(rec->entries),
		},
		.functions = {
			{ .segment = 1, .bdf = 0x0510, .nr_entries = 2,
			  .domain = IOMMU_FUNCTION_SER_IDENTITY },
			{ .segment = 1, .bdf = 0x0600,
			  .domain = IOMMU_FUNCTION_SER_BLOCKED },
			{ .segment = 2, .bdf = 0x0700, .nr_entries = 1,
			  .domain = IOMMU_FUNCTION_SER_IDENTITY },
		},
		.entries = {
			{ .unit = UNIT, .segment = 1, .function = 0,
			  .rid = 0x0510 },
			{ .unit = UNIT, .segment = 1, .function = 0,
			  .rid = 0x0511 },
			{ .unit = OTHER_UNIT, .segment = 2, .function = 2,
			  .rid = 0x0708 },
		},
	};
	KUNIT_ASSERT_EQ(test, iommu_lu_open(view, rec, sizeof(*rec)), 0);
}

static unsigned int rids_of(struct iommu_lu_view *view, u16 segment, u64 unit,
			    unsigned long *rids)
{
	bitmap_zero(rids, NR_RIDS);
	intel_irq_lu_rids(view, segment, unit, rids);

	return bitmap_weight(rids, NR_RIDS);
}

static unsigned long *alloc_rids(struct kunit *test)
{
	unsigned long *rids = kunit_kcalloc(test, BITS_TO_LONGS(NR_RIDS),
					    sizeof(*rids), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, rids);
	return rids;
}

static void rids_test(struct kunit *test)
{
	unsigned long *rids = alloc_rids(test);
	struct iommu_lu_view view;
	struct fake_records rec;

	fake_records(test, &rec, &view);
	KUNIT_EXPECT_EQ(test, rids_of(&view, 1, UNIT, rids), 3);
	KUNIT_EXPECT_TRUE(test, test_bit(0x0510, rids));
	KUNIT_EXPECT_TRUE(test, test_bit(0x0511, rids));
	KUNIT_EXPECT_TRUE(test, test_bit(0x0600, rids));

	/* The alias is known to be of the one unit only. */
	KUNIT_EXPECT_EQ(test, rids_of(&view, 1, OTHER_UNIT, rids), 2);
	KUNIT_EXPECT_FALSE(test, test_bit(0x0511, rids));

	KUNIT_EXPECT_EQ(test, rids_of(&view, 2, OTHER_UNIT, rids), 2);
	KUNIT_EXPECT_TRUE(test, test_bit(0x0708, rids));
	KUNIT_EXPECT_EQ(test, rids_of(&view, 3, UNIT, rids), 0);
}

/* A function whose record is damaged is out, and with it its aliases. */
static void rids_damaged_test(struct kunit *test)
{
	unsigned long *rids = alloc_rids(test);
	struct iommu_lu_view view;
	struct fake_records rec;

	fake_records(test, &rec, &view);
	rec.functions[0].nr_entries = 1;
	KUNIT_EXPECT_EQ(test, rids_of(&view, 1, UNIT, rids), 1);
	KUNIT_EXPECT_TRUE(test, test_bit(0x0600, rids));

	fake_records(test, &rec, &view);
	rec.functions[1].bdf = rec.functions[0].bdf;
	KUNIT_EXPECT_EQ(test, rids_of(&view, 1, UNIT, rids), 0);

	fake_records(test, &rec, &view);
	rec.entries[1].reserved = 1;
	KUNIT_EXPECT_EQ(test, rids_of(&view, 1, UNIT, rids), 2);
	KUNIT_EXPECT_FALSE(test, test_bit(0x0511, rids));
}

/* Whichever bit of a function's record is wrong, others keep theirs. */
static void rids_flipped_test(struct kunit *test)
{
	unsigned long *rids = alloc_rids(test);
	struct iommu_lu_view view;
	struct fake_records rec;
	unsigned int i;

	for (i = 0; i < sizeof(rec.functions[0]) * 8; i++) {
		fake_records(test, &rec, &view);
		((u8 *)&rec.functions[0])[i / 8] ^= 1 << (i % 8);

		KUNIT_EXPECT_LE(test, rids_of(&view, 1, UNIT, rids), 4);
		KUNIT_EXPECT_TRUE(test, test_bit(0x0600, rids));
		KUNIT_EXPECT_EQ(test, rids_of(&view, 2, OTHER_UNIT, rids), 2);
		KUNIT_EXPECT_TRUE(test, test_bit(0x0700, rids));
		KUNIT_EXPECT_TRUE(test, test_bit(0x0708, rids));
	}
}

static struct kunit_case irq_lu_test_cases[] = {
	KUNIT_CASE(irte_sane_test),
	KUNIT_CASE(irte_insane_test),
	KUNIT_CASE(irte_silence_test),
	KUNIT_CASE(rids_test),
	KUNIT_CASE(rids_damaged_test),
	KUNIT_CASE(rids_flipped_test),
	{}
};

static struct kunit_suite irq_lu_test_suite = {
	.name = "intel_iommu_liveupdate_irq",
	.test_cases = irq_lu_test_cases,
};

kunit_test_suite(irq_lu_test_suite);
