// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of the record of a VFIO PCI device, and of the saved state in it.
 */
#include <kunit/test.h>
#include <linux/io.h>
#include <linux/kho/abi/pci_state.h>
#include <linux/pci.h>
#include <linux/pci_liveupdate.h>
#include <linux/prandom.h>
#include <linux/vfio.h>

#include "vfio_pci_liveupdate.h"

#define SEED		20261122
#define VARIANTS	6000
#define CAPS		3
#define STATE_LEN	(sizeof(struct pci_state_ser) +			\
			 CAPS * (sizeof(struct pci_cap_state_ser) + 14))
#define LENGTH		(sizeof(struct vfio_pci_ser) +			\
			 PCI_CFG_SPACE_EXP_SIZE + STATE_LEN)
#define ROOM		roundup_pow_of_two(LENGTH)

static phys_addr_t test_pa;
static size_t test_len;

static bool test_preserved(phys_addr_t phys, size_t size)
{
	return phys == test_pa && size <= test_len;
}

static struct pci_cap_state_ser *state_cap(struct vfio_pci_ser *ser,
					   unsigned int i)
{
	struct pci_state_ser *state = (void *)ser->data + ser->cfg_size;
	size_t step = sizeof(struct pci_cap_state_ser) + 14;

	return (void *)state->caps + i * step;
}

static void seal(struct vfio_pci_ser *ser)
{
	ser->crc = vfio_pci_ser_crc(ser);
}

static void fill_ser(struct vfio_pci_ser *ser)
{
	unsigned int i;

	memset(ser, 0, ROOM);
	ser->length = LENGTH;
	ser->domain = 1;
	ser->bdf = PCI_DEVID(3, PCI_DEVFN(2, 1));
	ser->vendor = 0x8086;
	ser->device = 0x1520;
	ser->cfg_size = PCI_CFG_SPACE_EXP_SIZE;
	ser->flags = VFIO_PCI_SER_RESET_WORKS | VFIO_PCI_SER_PCI_2_3;
	ser->state_len = STATE_LEN;
	ser->irqs.index = VFIO_PCI_MSIX_IRQ_INDEX;
	ser->irqs.latched = 1;
	ser->irqs.nr = 70;
	ser->irqs.armed[0] = 0xff;
	ser->irqs.armed[1] = 0x3f;
	ser->irqs.pending[0] = 0x81;
	for (i = 0; i < CAPS; i++) {
		state_cap(ser, i)->nr = 1 + i;
		state_cap(ser, i)->size = 14;
	}
	seal(ser);
}

static struct vfio_pci_ser *make_ser(struct kunit *test)
{
	struct vfio_pci_ser *ser;

	/* Aligned to its size, which is a power of two */
	ser = kunit_kzalloc(test, ROOM, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, ser);
	fill_ser(ser);
	test_pa = virt_to_phys(ser);
	test_len = LENGTH;

	return ser;
}

/* What the parser says of the record, 0 when it can be believed */
static long verdict(void)
{
	return PTR_ERR_OR_ZERO(vfio_pci_ser_get(test_pa, test_preserved));
}

static void ser_good(struct kunit *test)
{
	struct vfio_pci_ser *ser = make_ser(test);

	KUNIT_EXPECT_EQ(test, verdict(), 0);

	/* Without a saved state and without extended configuration space */
	ser->state_len = 0;
	ser->cfg_size = PCI_CFG_SPACE_SIZE;
	ser->length = sizeof(*ser) + PCI_CFG_SPACE_SIZE;
	seal(ser);
	KUNIT_EXPECT_EQ(test, verdict(), 0);
}

static void ser_not_preserved(struct kunit *test)
{
	make_ser(test);
	KUNIT_EXPECT_EQ(test, PTR_ERR(vfio_pci_ser_get(test_pa + 8,
						       test_preserved)),
			-EFAULT);
	KUNIT_EXPECT_EQ(test, PTR_ERR(vfio_pci_ser_get(test_pa + PAGE_SIZE,
						       test_preserved)),
			-EFAULT);
	test_len = LENGTH - 1;
	KUNIT_EXPECT_EQ(test, verdict(), -EMSGSIZE);
	test_len = sizeof(struct vfio_pci_ser) - 1;
	KUNIT_EXPECT_EQ(test, verdict(), -EFAULT);
}

/* Lengths that were not damaged on the way, but cannot be right */
static void ser_length(struct kunit *test)
{
	static const u32 lengths[] = {
		0, 8, sizeof(struct vfio_pci_ser), LENGTH + 1, S32_MAX, U32_MAX,
	};
	struct vfio_pci_ser *ser = make_ser(test);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		ser->length = lengths[i];
		KUNIT_EXPECT_EQ_MSG(test, verdict(), -EMSGSIZE, "length %u",
				    lengths[i]);
	}
	ser->length = LENGTH - 1;
	seal(ser);
	KUNIT_EXPECT_EQ(test, verdict(), -EUCLEAN);
}

static void expect_unclean(struct kunit *test, struct vfio_pci_ser *ser,
			   const char *what)
{
	seal(ser);
	KUNIT_EXPECT_EQ_MSG(test, verdict(), -EUCLEAN, "%s", what);
	fill_ser(ser);
}

#define EXPECT_UNCLEAN(_test, _ser, _field, _value)			\
do {									\
	(_field) = (_value);						\
	expect_unclean(_test, _ser, #_field);				\
} while (0)

/* Fields that were not damaged on the way, but cannot be right */
static void ser_fields(struct kunit *test)
{
	struct vfio_pci_ser *ser = make_ser(test);

	EXPECT_UNCLEAN(test, ser, ser->domain, 0x10000);
	EXPECT_UNCLEAN(test, ser, ser->reserved, 1);
	EXPECT_UNCLEAN(test, ser, ser->flags, BIT(6));
	EXPECT_UNCLEAN(test, ser, ser->flags,
		       VFIO_PCI_SER_NOINTX | VFIO_PCI_SER_PCI_2_3);
	EXPECT_UNCLEAN(test, ser, ser->cfg_size, 0);
	EXPECT_UNCLEAN(test, ser, ser->cfg_size, PCI_CFG_SPACE_SIZE);
	EXPECT_UNCLEAN(test, ser, ser->cfg_size, PCI_CFG_SPACE_EXP_SIZE + 4);
	EXPECT_UNCLEAN(test, ser, ser->state_len, 0);
	EXPECT_UNCLEAN(test, ser, ser->state_len, STATE_LEN - 1);
	EXPECT_UNCLEAN(test, ser, ser->state_len, U32_MAX);
	EXPECT_UNCLEAN(test, ser, ser->state_len, -PCI_CFG_SPACE_EXP_SIZE);
	EXPECT_UNCLEAN(test, ser, ser->irqs.index, VFIO_PCI_ERR_IRQ_INDEX);
	EXPECT_UNCLEAN(test, ser, ser->irqs.latched, 2);
	EXPECT_UNCLEAN(test, ser, ser->irqs.reserved, 1);
	EXPECT_UNCLEAN(test, ser, ser->irqs.nr, VFIO_PCI_SER_MAX_VECTORS + 1);
	EXPECT_UNCLEAN(test, ser, ser->irqs.armed[1], BIT(6));
	EXPECT_UNCLEAN(test, ser, ser->irqs.pending[1], BIT(6));
}

/* A saved state whose capabilities do not fill it up exactly */
static void ser_state(struct kunit *test)
{
	static const u32 sizes[] = { 0, 13, 15, 1000, S32_MAX, U32_MAX };
	struct vfio_pci_ser *ser = make_ser(test);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		fill_ser(ser);
		state_cap(ser, CAPS - 1)->size = sizes[i];
		seal(ser);
		KUNIT_EXPECT_EQ_MSG(test, verdict(), -EUCLEAN, "size %u",
				    sizes[i]);
	}
	fill_ser(ser);
	state_cap(ser, 1)->extended = 2;
	seal(ser);
	KUNIT_EXPECT_EQ(test, verdict(), -EUCLEAN);
}

/* Every bit is covered by the checksum, or by the length */
static void ser_bit_flips(struct kunit *test)
{
	struct vfio_pci_ser *ser = make_ser(test);
	u8 *bytes = (u8 *)ser;
	size_t bit;

	/* The configuration space is one of 32 bytes here, for the time it takes */
	for (bit = 0; bit < LENGTH * 8; bit++) {
		if (bit / 8 >= sizeof(*ser) + 32 &&
		    bit / 8 < sizeof(*ser) + PCI_CFG_SPACE_EXP_SIZE)
			continue;
		bytes[bit / 8] ^= BIT(bit % 8);
		KUNIT_EXPECT_NE_MSG(test, verdict(), 0, "bit %zu", bit);
		bytes[bit / 8] ^= BIT(bit % 8);
	}
	KUNIT_EXPECT_EQ(test, verdict(), 0);
}

static void damage(struct vfio_pci_ser *ser, struct rnd_state *rnd)
{
	unsigned int left = 1 + prandom_u32_state(rnd) % 8;
	u8 *bytes = (u8 *)ser;

	while (left--)
		bytes[prandom_u32_state(rnd) % LENGTH] = prandom_u32_state(rnd);
}

static void ser_random(struct kunit *test)
{
	struct vfio_pci_ser *ser = make_ser(test);
	struct rnd_state rnd;
	unsigned int i;
	u8 *good;

	good = kunit_kmalloc(test, LENGTH, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, good);
	memcpy(good, ser, LENGTH);

	prandom_seed_state(&rnd, SEED);
	for (i = 0; i < VARIANTS; i++) {
		damage(ser, &rnd);
		KUNIT_EXPECT_EQ_MSG(test, !verdict(),
				    !memcmp(good, ser, LENGTH),
				    "variant %u of seed %u", i, SEED);
		memcpy(ser, good, LENGTH);
	}
}

/* The saved state of a record that was believed, walked as a function loads it */
static void walk_state(struct kunit *test, const struct vfio_pci_ser *ser)
{
	const void *buf = ser->data + ser->cfg_size;
	struct pci_saved_state *state;
	void *back;

	state = pci_saved_state_unpack(buf, ser->state_len);
	KUNIT_ASSERT_FALSE(test, IS_ERR(state));
	KUNIT_EXPECT_EQ(test, pci_saved_state_pack(state, NULL), ser->state_len);

	back = kzalloc(ser->state_len, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, back);
	pci_saved_state_pack(state, back);
	KUNIT_EXPECT_EQ(test, memcmp(back, buf, ser->state_len), 0);
	kfree(back);
	kfree(state);
}

/*
 * Damage that is not on the way, but in what the outgoing kernel wrote. It does
 * no harm, whether it is believed or not: KASAN looks.
 */
static void ser_random_sealed(struct kunit *test)
{
	struct vfio_pci_ser *ser = make_ser(test);
	unsigned int i, believed = 0, state_off;
	struct rnd_state rnd;

	state_off = sizeof(*ser) + PCI_CFG_SPACE_EXP_SIZE;
	prandom_seed_state(&rnd, SEED + 1);
	for (i = 0; i < VARIANTS; i++) {
		unsigned int off = i % 2 ? state_off : 0;
		unsigned int room = i % 2 ? STATE_LEN : sizeof(*ser);

		fill_ser(ser);
		((u8 *)ser)[off + prandom_u32_state(&rnd) % room] =
			prandom_u32_state(&rnd);
		if (ser->length > LENGTH ||
		    ser->length < offsetofend(struct vfio_pci_ser, crc))
			continue;
		seal(ser);
		if (verdict())
			continue;
		believed++;
		KUNIT_EXPECT_EQ(test, ser->length, LENGTH);
		if (ser->state_len)
			walk_state(test, ser);
	}
	/* Such as another BDF: many, and not all */
	KUNIT_EXPECT_GT(test, believed, VARIANTS / 10);
	KUNIT_EXPECT_LT(test, believed, VARIANTS);
}

static struct kunit_case vfio_pci_liveupdate_cases[] = {
	KUNIT_CASE(ser_good),
	KUNIT_CASE(ser_not_preserved),
	KUNIT_CASE(ser_length),
	KUNIT_CASE(ser_fields),
	KUNIT_CASE(ser_state),
	KUNIT_CASE_SLOW(ser_bit_flips),
	KUNIT_CASE_SLOW(ser_random),
	KUNIT_CASE(ser_random_sealed),
	{}
};

static struct kunit_suite vfio_pci_liveupdate_suite = {
	.name = "vfio_pci_liveupdate",
	.test_cases = vfio_pci_liveupdate_cases,
};

kunit_test_suite(vfio_pci_liveupdate_suite);
