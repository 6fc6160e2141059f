// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of the interrupts of vfio-pci in a live update: which records are
 * believed, and what is signalled for them, once.
 */
#include <kunit/test.h>
#include <linux/prandom.h>
#include <linux/string.h>
#include <linux/vfio.h>

#include "vfio_pci_liveupdate.h"

#define FUZZ_ROUNDS	20000

/* Vectors 0, 5 and 64 are armed, 5 is pending. */
static struct vfio_pci_irqs_ser good(u8 latched)
{
	struct vfio_pci_irqs_ser ser = {
		.index = VFIO_PCI_MSIX_IRQ_INDEX,
		.latched = latched,
		.nr = 65,
		.armed = { BIT_ULL(0) | BIT_ULL(5), BIT_ULL(0) },
		.pending = { BIT_ULL(5) },
	};

	return ser;
}

static struct vfio_pci_irqs_ser none(void)
{
	struct vfio_pci_irqs_ser ser = { .index = VFIO_PCI_SER_NO_IRQ };

	return ser;
}

static struct vfio_pci_irqs_ser one(u8 index)
{
	struct vfio_pci_irqs_ser ser = { .index = index, .nr = 1 };

	ser.armed[0] = 1;

	return ser;
}

static void irqs_good(struct kunit *test)
{
	struct vfio_pci_irqs_ser ser = good(1);

	KUNIT_EXPECT_EQ(test, vfio_pci_liveupdate_check_irqs(&ser), 0);
	ser = good(0);
	KUNIT_EXPECT_EQ(test, vfio_pci_liveupdate_check_irqs(&ser), 0);
	ser = none();
	KUNIT_EXPECT_EQ(test, vfio_pci_liveupdate_check_irqs(&ser), 0);
	ser = one(VFIO_PCI_INTX_IRQ_INDEX);
	KUNIT_EXPECT_EQ(test, vfio_pci_liveupdate_check_irqs(&ser), 0);

	/* As many as there can be */
	ser = one(VFIO_PCI_MSI_IRQ_INDEX);
	ser.nr = 32;
	ser.armed[0] = U32_MAX;
	KUNIT_EXPECT_EQ(test, vfio_pci_liveupdate_check_irqs(&ser), 0);
	ser = good(1);
	ser.nr = VFIO_PCI_SER_MAX_VECTORS;
	memset(ser.armed, 0xff, sizeof(ser.armed));
	memset(ser.pending, 0xff, sizeof(ser.pending));
	KUNIT_EXPECT_EQ(test, vfio_pci_liveupdate_check_irqs(&ser), 0);

	/* Enabled, but none has an eventfd */
	ser = good(1);
	ser.nr = 0;
	memset(ser.armed, 0, sizeof(ser.armed));
	memset(ser.pending, 0, sizeof(ser.pending));
	KUNIT_EXPECT_EQ(test, vfio_pci_liveupdate_check_irqs(&ser), 0);
}

static void expect_unclean(struct kunit *test, struct vfio_pci_irqs_ser ser,
			   int line)
{
	KUNIT_EXPECT_EQ_MSG(test, vfio_pci_liveupdate_check_irqs(&ser),
			    -EUCLEAN, "line %d", line);
}

#define EXPECT_UNCLEAN(test, from, change)		\
	do {						\
		struct vfio_pci_irqs_ser ser = from;	\
							\
		change;					\
		expect_unclean(test, ser, __LINE__);	\
	} while (0)

static void irqs_unclean(struct kunit *test)
{
	unsigned int i;

	for (i = VFIO_PCI_MSIX_IRQ_INDEX + 1; i < VFIO_PCI_SER_NO_IRQ; i++)
		EXPECT_UNCLEAN(test, good(0), ser.index = i);
	EXPECT_UNCLEAN(test, good(0), ser.latched = 2);
	EXPECT_UNCLEAN(test, good(0), ser.reserved = 1);

	/* More than there can be */
	EXPECT_UNCLEAN(test, good(0), ser.nr = VFIO_PCI_SER_MAX_VECTORS + 1);
	EXPECT_UNCLEAN(test, good(0), ser.nr = U16_MAX);
	EXPECT_UNCLEAN(test, one(VFIO_PCI_MSI_IRQ_INDEX), ser.nr = 33);
	EXPECT_UNCLEAN(test, one(VFIO_PCI_INTX_IRQ_INDEX), ser.nr = 2);
	EXPECT_UNCLEAN(test, none(), ser.nr = 1);

	/* Bits behind the last vector, and pending ones that are not armed */
	EXPECT_UNCLEAN(test, good(0), ser.nr = 64);
	EXPECT_UNCLEAN(test, good(0), ser.armed[31] = BIT_ULL(63));
	EXPECT_UNCLEAN(test, good(0), ser.pending[0] |= BIT_ULL(1));
	EXPECT_UNCLEAN(test, good(0), ser.pending[31] = BIT_ULL(63));
	EXPECT_UNCLEAN(test, none(), ser.armed[0] = 1);

	/* What cannot latch */
	EXPECT_UNCLEAN(test, one(VFIO_PCI_INTX_IRQ_INDEX), ser.latched = 1);
	EXPECT_UNCLEAN(test, none(), ser.latched = 1);
}

static unsigned int take_all(struct vfio_pci_irqs_ser *ser)
{
	unsigned int i, count = 0;

	for (i = 0; i < VFIO_PCI_SER_MAX_VECTORS; i++)
		count += vfio_pci_irqs_take(ser, i);

	return count;
}

static void irqs_latched(struct kunit *test)
{
	struct vfio_pci_irqs_ser ser = good(1);

	KUNIT_EXPECT_FALSE(test, vfio_pci_irqs_take(&ser, 0));
	KUNIT_EXPECT_FALSE(test, vfio_pci_irqs_take(&ser, 4));
	KUNIT_EXPECT_TRUE(test, vfio_pci_irqs_take(&ser, 5));
	KUNIT_EXPECT_FALSE(test, vfio_pci_irqs_take(&ser, 64));

	/* Each once */
	KUNIT_EXPECT_EQ(test, take_all(&ser), 0);
	KUNIT_EXPECT_EQ(test, ser.armed[0] | ser.armed[1] | ser.pending[0], 0);
}

static void irqs_replayed(struct kunit *test)
{
	struct vfio_pci_irqs_ser ser = good(0);

	KUNIT_EXPECT_FALSE(test, vfio_pci_irqs_take(&ser, 1));
	KUNIT_EXPECT_TRUE(test, vfio_pci_irqs_take(&ser, 64));
	KUNIT_EXPECT_FALSE(test, vfio_pci_irqs_take(&ser, 64));
	KUNIT_EXPECT_EQ(test, take_all(&ser), 2);
	KUNIT_EXPECT_EQ(test, take_all(&ser), 0);
}

/* Two updates, and vectors that nobody has set up in between. */
static void irqs_merged(struct kunit *test)
{
	struct vfio_pci_irqs_ser ser, old = good(1);

	ser = none();
	vfio_pci_irqs_merge(&ser, &old);
	KUNIT_EXPECT_MEMEQ(test, &ser, &old, sizeof(ser));

	/* The latched ones go on being latched */
	ser = one(VFIO_PCI_MSIX_IRQ_INDEX);
	ser.latched = 1;
	vfio_pci_irqs_merge(&ser, &old);
	KUNIT_EXPECT_MEMEQ(test, &ser, &old, sizeof(ser));
	KUNIT_EXPECT_EQ(test, take_all(&ser), 1);

	/* Those of which that is no longer sure are replayed; not the others */
	ser = one(VFIO_PCI_MSIX_IRQ_INDEX);
	ser.latched = 1;
	old = good(0);
	old.armed[0] &= ~BIT_ULL(0);
	vfio_pci_irqs_merge(&ser, &old);
	KUNIT_EXPECT_EQ(test, vfio_pci_liveupdate_check_irqs(&ser), 0);
	KUNIT_EXPECT_FALSE(test, vfio_pci_irqs_take(&ser, 0));
	KUNIT_EXPECT_EQ(test, take_all(&ser), 2);

	/* Other interrupts have nothing to do with them */
	ser = one(VFIO_PCI_INTX_IRQ_INDEX);
	vfio_pci_irqs_merge(&ser, &old);
	KUNIT_EXPECT_EQ(test, ser.nr, 1);
	KUNIT_EXPECT_EQ(test, take_all(&ser), 1);
}

/* Whatever is believed can be set up, merged, and believed again. */
static void irqs_random(struct kunit *test)
{
	struct vfio_pci_irqs_ser ser, now;
	struct rnd_state rnd;
	unsigned int i, believed = 0;

	prandom_seed_state(&rnd, 5);
	for (i = 0; i < FUZZ_ROUNDS; i++) {
		u32 bit = prandom_u32_state(&rnd) % (sizeof(ser) * 8);

		ser = i & 1 ? good(1) : one(VFIO_PCI_MSI_IRQ_INDEX);
		((u8 *)&ser)[bit / 8] ^= BIT(bit % 8);
		if (vfio_pci_liveupdate_check_irqs(&ser))
			continue;
		believed++;
		now = one(ser.index);
		vfio_pci_irqs_merge(&now, &ser);
		if (ser.index != VFIO_PCI_SER_NO_IRQ)
			KUNIT_ASSERT_EQ(test,
					vfio_pci_liveupdate_check_irqs(&now),
					0);
		KUNIT_ASSERT_LE(test, take_all(&ser), 32);
		KUNIT_ASSERT_EQ(test, take_all(&ser), 0);
	}
	KUNIT_EXPECT_GT(test, believed, 0);
	KUNIT_EXPECT_LT(test, believed, FUZZ_ROUNDS / 2);
}

static struct kunit_case vfio_pci_irqs_cases[] = {
	KUNIT_CASE(irqs_good),
	KUNIT_CASE(irqs_unclean),
	KUNIT_CASE(irqs_latched),
	KUNIT_CASE(irqs_replayed),
	KUNIT_CASE(irqs_merged),
	KUNIT_CASE_SLOW(irqs_random),
	{}
};

static struct kunit_suite vfio_pci_irqs_suite = {
	.name = "vfio_pci_liveupdate_irqs",
	.test_cases = vfio_pci_irqs_cases,
};

kunit_test_suite(vfio_pci_irqs_suite);
