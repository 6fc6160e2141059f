// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of what PCI hands over in a live update: paths, entries, and
 * which bits of a bridge's registers are kept.
 */
#include <kunit/test.h>
#include <linux/kho/abi/luo_host.h>
#include <linux/kho/abi/pci.h>
#include <linux/pci.h>
#include <linux/prandom.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "pci.h"
#include "liveupdate.h"

#define MAX_BUSES	40
#define FUZZ_ROUNDS	20000

/* Root bus 0, and below it a chain of bridges, each on the bus before. */
struct chain {
	u64 sysdata[16];	/* domain 0, whatever the architecture */
	struct pci_bus bus[MAX_BUSES];
	struct pci_dev bridge[MAX_BUSES];
	struct pci_dev dev;
	struct pci_dev vf;
	char path[128];
};

static struct chain *make_chain(struct kunit *test, int bridges, u8 first_busnr)
{
	struct chain *c = kunit_kzalloc(test, sizeof(*c), GFP_KERNEL);
	int i;

	KUNIT_ASSERT_NOT_NULL(test, c);
	for (i = 0; i <= bridges; i++) {
		c->bus[i].sysdata = c->sysdata;
		c->bus[i].number = i ? first_busnr + i : 0;
		if (!i)
			continue;
		c->bus[i].parent = &c->bus[i - 1];
		c->bus[i].self = &c->bridge[i];
		c->bridge[i].bus = &c->bus[i - 1];
		c->bridge[i].devfn = PCI_DEVFN(i, i & 7);
	}
	c->dev.bus = &c->bus[bridges];
	c->dev.devfn = PCI_DEVFN(0x1f, 7);

	return c;
}

static int path(struct chain *c, struct pci_dev *dev)
{
	return pci_liveupdate_path(&dev->dev, c->path, sizeof(c->path));
}

static void path_names_each_level(struct kunit *test)
{
	struct chain *c = make_chain(test, 0, 0);

	KUNIT_EXPECT_EQ(test, path(c, &c->dev), 12);
	KUNIT_EXPECT_STREQ(test, c->path, "0000/00:1f.7");

	c = make_chain(test, 3, 0);
	KUNIT_EXPECT_GT(test, path(c, &c->dev), 0);
	KUNIT_EXPECT_STREQ(test, c->path, "0000/00:01.1/02.2/03.3/1f.7");
}

static void path_has_no_bus_numbers(struct kunit *test)
{
	struct chain *a = make_chain(test, 5, 1);
	struct chain *b = make_chain(test, 5, 100);

	KUNIT_EXPECT_GT(test, path(a, &a->dev), 0);
	KUNIT_EXPECT_GT(test, path(b, &b->dev), 0);
	KUNIT_EXPECT_STREQ(test, a->path, b->path);
}

static void path_fits_or_fails(struct kunit *test)
{
	struct chain *c = make_chain(test, 3, 0);
	char small[28];

	KUNIT_EXPECT_EQ(test, pci_liveupdate_path(&c->dev.dev, small, 28), -ENAMETOOLONG);
	KUNIT_EXPECT_EQ(test, pci_liveupdate_path(&c->dev.dev, small, 5), -ENAMETOOLONG);
	c = make_chain(test, MAX_BUSES - 1, 0);
	KUNIT_EXPECT_EQ(test, path(c, &c->dev), -ENAMETOOLONG);
}

#ifdef CONFIG_PCI_IOV
static void path_of_vf_is_below_its_pf(struct kunit *test)
{
	struct chain *c = make_chain(test, 1, 0);
	struct pci_sriov sriov = { .offset = 0x80, .stride = 2 };

	c->dev.is_physfn = 1;
	c->dev.devfn = 0;
	c->dev.sriov = &sriov;
	c->vf.is_virtfn = 1;
	c->vf.physfn = &c->dev;
	c->vf.bus = c->dev.bus;
	c->vf.devfn = 0x80 + 2 * 3;
	KUNIT_EXPECT_GT(test, path(c, &c->vf), 0);
	KUNIT_EXPECT_STREQ(test, c->path, "0000/00:01.1/00.0/vf3");

	/* a PF with one VF may have no stride */
	sriov.stride = 0;
	c->vf.devfn = 0x80;
	KUNIT_EXPECT_GT(test, path(c, &c->vf), 0);
	KUNIT_EXPECT_STREQ(test, c->path, "0000/00:01.1/00.0/vf0");
}
#endif

/* A PF with a 64-bit BAR 0, an I/O BAR 2, a ROM, and eight VFs. */
static struct pci_function_ser *make_pf(struct kunit *test)
{
	struct pci_function_ser *ser;

	ser = kunit_kzalloc(test, sizeof(*ser), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, ser);
	ser->flags = PCI_FUNCTION_SER_VALID | PCI_FUNCTION_SER_ROM_PLACED |
		     PCI_FUNCTION_SER_SRIOV;
	ser->bdf = PCI_DEVID(2, 0);
	ser->hdr_type = PCI_HEADER_TYPE_NORMAL;
	ser->bars.reg[0] = 0xc0000000 | PCI_BASE_ADDRESS_MEM_TYPE_64;
	ser->bars.reg[1] = 0x8;
	ser->bars.size[0] = SZ_1M;
	ser->bars.reg[2] = 0xe000 | PCI_BASE_ADDRESS_SPACE_IO;
	ser->bars.size[2] = 32;
	ser->bars.assigned = BIT(0) | BIT(2);
	ser->rom_start = SZ_16M;
	ser->rom_size = SZ_64K;
	ser->sriov.ctrl = PCI_SRIOV_CTRL_VFE | PCI_SRIOV_CTRL_MSE;
	ser->sriov.total = 16;
	ser->sriov.initial = 16;
	ser->sriov.num = 8;
	ser->sriov.offset = 0x80;
	ser->sriov.stride = 2;
	ser->sriov.last_bus = 2;
	ser->sriov.bars.reg[0] = 0xd0000000;
	ser->sriov.bars.size[0] = PAGE_SIZE;
	ser->sriov.bars.assigned = BIT(0);

	return ser;
}

static struct pci_function_ser *make_bridge(struct kunit *test)
{
	struct pci_function_ser *ser = make_pf(test);

	ser->hdr_type = PCI_HEADER_TYPE_BRIDGE;
	ser->flags &= ~PCI_FUNCTION_SER_SRIOV;
	memset(&ser->sriov, 0, sizeof(ser->sriov));
	ser->bridge.buses = 2 | 3 << 8 | 5 << 16;

	return ser;
}

static void good_entries_pass(struct kunit *test)
{
	struct pci_function_ser *ser = make_pf(test);

	KUNIT_EXPECT_NULL(test, pci_liveupdate_check(ser));
	KUNIT_EXPECT_NULL(test, pci_liveupdate_check(make_bridge(test)));

	ser->sriov.num = 1;
	ser->sriov.stride = 0;
	KUNIT_EXPECT_NULL(test, pci_liveupdate_check(ser));
}

/* A good entry with one field changed must be refused. */
struct bad {
	size_t at;
	size_t size;
	u64 value;
};

#define AT(field) offsetof(struct pci_function_ser, field)

static void expect_bad(struct kunit *test, const struct pci_function_ser *good,
		       const struct bad *bad, size_t count)
{
	struct pci_function_ser ser;

	KUNIT_EXPECT_NULL(test, pci_liveupdate_check(good));
	for (; count--; bad++) {
		ser = *good;
		/* the ABI is little endian, and so are all who have it */
		memcpy((u8 *)&ser + bad->at, &bad->value, bad->size);
		KUNIT_EXPECT_NOT_NULL_MSG(test, pci_liveupdate_check(&ser),
					  "byte %zu = %#llx passes", bad->at,
					  bad->value);
	}
}

static void bad_entries_are_refused(struct kunit *test)
{
	static const struct bad bad[] = {
		{ AT(flags), 4, 0 },
		{ AT(domain), 4, 0x10000 },
		{ AT(hdr_type), 1, PCI_HEADER_TYPE_CARDBUS },
		{ AT(hdr_type), 1, PCI_HEADER_TYPE_BRIDGE },
		{ AT(rom_size), 8, 3 },
		{ AT(rom_size), 8, SZ_4G },
		{ AT(rom_start), 8, 1 },
	};

	expect_bad(test, make_pf(test), bad, ARRAY_SIZE(bad));
}

static void bad_bridges_are_refused(struct kunit *test)
{
	static const struct bad bad[] = {
		{ AT(bridge.buses), 4, 1 | 3 << 8 | 5 << 16 },
		{ AT(bridge.buses), 4, 2 | 2 << 8 | 5 << 16 },
		{ AT(bridge.buses), 4, 2 | 3 << 8 | 2 << 16 },
		{ AT(flags), 4, PCI_FUNCTION_SER_VALID | PCI_FUNCTION_SER_SRIOV },
		{ AT(sriov.ctrl), 2, PCI_SRIOV_CTRL_VFE },
	};

	expect_bad(test, make_bridge(test), bad, ARRAY_SIZE(bad));
}

static void bad_bars_are_refused(struct kunit *test)
{
	static const struct bad bad[] = {
		{ AT(bars.size[0]), 8, 3 },
		{ AT(bars.size[0]), 8, 2 },
		{ AT(bars.size[0]), 8, BIT_ULL(63) },
		{ AT(bars.size[0]), 8, SZ_2G },
		{ AT(bars.size[1]), 8, SZ_4K },
		{ AT(bars.size[2]), 8, SZ_4G },
		{ AT(bars.size[5]), 8, SZ_4G },
		{ AT(bars.assigned), 4, BIT(3) },
		{ AT(bars.assigned), 4, BIT(6) },
		{ AT(sriov.bars.size[0]), 8, 16 },
	};

	expect_bad(test, make_pf(test), bad, ARRAY_SIZE(bad));
}

static void bar_without_upper_half_is_refused(struct kunit *test)
{
	struct pci_function_ser *ser = make_pf(test);

	ser->bars.reg[5] = PCI_BASE_ADDRESS_MEM_TYPE_64;
	ser->bars.size[5] = SZ_4K;
	KUNIT_EXPECT_NOT_NULL(test, pci_liveupdate_check(ser));
}

static void bad_vfs_are_refused(struct kunit *test)
{
	static const struct bad bad[] = {
		{ AT(flags), 4, PCI_FUNCTION_SER_VALID | PCI_FUNCTION_SER_SRIOV |
			   PCI_FUNCTION_SER_VF },
		{ AT(flags), 4, PCI_FUNCTION_SER_VALID },
		{ AT(sriov.total), 2, 0 },
		{ AT(sriov.num), 2, 0 },
		{ AT(sriov.num), 2, 17 },
		{ AT(sriov.initial), 2, 17 },
		{ AT(sriov.offset), 2, 0 },
		{ AT(sriov.offset), 2, 0x100 },
		{ AT(sriov.stride), 2, 0 },
		{ AT(sriov.stride), 2, 0xffff },
		{ AT(sriov.last_bus), 1, 1 },
	};

	expect_bad(test, make_pf(test), bad, ARRAY_SIZE(bad));
}

/* What passes keeps to the bounds that its users rely on. */
static void random_entries_keep_bounds(struct kunit *test)
{
	const struct pci_function_ser *good = make_pf(test);
	struct pci_function_ser *ser = make_pf(test);
	struct rnd_state rnd;
	u8 *bytes = (u8 *)ser;
	int round, i;
	u32 masks[6];

	prandom_seed_state(&rnd, 3);
	for (round = 0; round < FUZZ_ROUNDS; round++) {
		*ser = *good;
		for (i = prandom_u32_state(&rnd) % 4; i >= 0; i--)
			bytes[prandom_u32_state(&rnd) % sizeof(*ser)] ^=
				BIT(prandom_u32_state(&rnd) % 8);
		if (pci_liveupdate_check(ser))
			continue;
		pci_liveupdate_masks(&ser->bars, masks);
		for (i = 0; i < PCI_LIVEUPDATE_NUM_BARS; i++)
			KUNIT_ASSERT_TRUE(test, !ser->bars.size[i] ||
					  is_power_of_2(ser->bars.size[i]));
		if (!(ser->sriov.ctrl & PCI_SRIOV_CTRL_VFE))
			continue;
		KUNIT_ASSERT_LE(test, ser->bdf + ser->sriov.offset +
				(u64)ser->sriov.stride * (ser->sriov.num - 1),
				PCI_DEVID(ser->sriov.last_bus, 0xff));
	}
}

static bool is_compared(size_t at)
{
	/* what registers do not tell, or what is not preserved */
	if (at < offsetofend(struct pci_function_ser, flags) ||
	    (at >= offsetof(struct pci_function_ser, reserved) &&
	     at < offsetofend(struct pci_function_ser, reserved)) ||
	    (at >= offsetof(struct pci_function_ser, bars.size) &&
	     at < offsetof(struct pci_function_ser, rom_reg)) ||
	    (at >= offsetof(struct pci_function_ser, rom_start) &&
	     at < offsetof(struct pci_function_ser, bridge)) ||
	    (at >= offsetof(struct pci_function_ser, sriov.bars.size) &&
	     at < offsetof(struct pci_function_ser, sriov.page_size)))
		return false;

	return at < offsetof(struct pci_function_ser, sriov.last_bus);
}

static void every_register_is_compared(struct kunit *test)
{
	struct pci_function_ser *ser = make_pf(test);
	struct pci_function_ser *found = make_pf(test);
	u8 *bytes = (u8 *)found;
	size_t at;

	KUNIT_EXPECT_NULL(test, pci_liveupdate_compare(ser, found));
	for (at = 0; at < sizeof(*found); at++) {
		bytes[at] ^= 0x10;
		KUNIT_EXPECT_EQ_MSG(test,
				    !!pci_liveupdate_compare(ser, found),
				    is_compared(at), "byte %zu", at);
		bytes[at] ^= 0x10;
	}

	found->flags |= PCI_FUNCTION_SER_VF;
	KUNIT_EXPECT_NOT_NULL(test, pci_liveupdate_compare(ser, found));
}

/* Sizing must give the same as it would with the real registers. */
static void masks_tell_sizes(struct kunit *test)
{
	struct pci_function_ser *ser = make_pf(test);
	u32 masks[6];

	pci_liveupdate_masks(&ser->bars, masks);
	KUNIT_EXPECT_EQ(test, masks[0],
			(u32)~(SZ_1M - 1) | PCI_BASE_ADDRESS_MEM_TYPE_64);
	KUNIT_EXPECT_EQ(test, masks[1], U32_MAX);
	KUNIT_EXPECT_EQ(test, masks[2],
			(u32)~(32 - 1) | PCI_BASE_ADDRESS_SPACE_IO);
	KUNIT_EXPECT_EQ(test, masks[3], 0);

	ser->bars.size[0] = SZ_8G;
	pci_liveupdate_masks(&ser->bars, masks);
	KUNIT_EXPECT_EQ(test, masks[0], PCI_BASE_ADDRESS_MEM_TYPE_64);
	KUNIT_EXPECT_EQ(test, masks[1], (u32)~(2 - 1));
	KUNIT_EXPECT_EQ(test, pci_liveupdate_bar_address(&ser->bars, 0),
			0x8c0000000ULL);
}

static void payload_length_must_fit(struct kunit *test)
{
	struct pci_payload_ser payload = { .count = 3 };
	size_t len = struct_size(&payload, functions, 3);

	KUNIT_EXPECT_EQ(test, pci_liveupdate_count(&payload, len), 3);
	KUNIT_EXPECT_EQ(test, pci_liveupdate_count(&payload, len - 1), -EMSGSIZE);
	KUNIT_EXPECT_EQ(test, pci_liveupdate_count(&payload, len + 1), -EMSGSIZE);
	KUNIT_EXPECT_EQ(test, pci_liveupdate_count(&payload, 0), -EMSGSIZE);
	KUNIT_EXPECT_EQ(test, pci_liveupdate_count(&payload, 4), -EMSGSIZE);
	payload.count = U32_MAX;
	KUNIT_EXPECT_EQ(test, pci_liveupdate_count(&payload, len), -EMSGSIZE);
}

static void bridges_keep_what_they_forward(struct kunit *test)
{
	struct pci_dev *dev = kunit_kzalloc(test, sizeof(*dev), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, dev);
	KUNIT_EXPECT_EQ(test, pci_liveupdate_bridge_keeps(dev, PCI_COMMAND), 7);
	KUNIT_EXPECT_EQ(test, pci_liveupdate_bridge_keeps(dev, PCI_PRIMARY_BUS),
			U32_MAX);
	KUNIT_EXPECT_EQ(test, pci_liveupdate_bridge_keeps(dev, PCI_IO_BASE),
			0xffff);
	KUNIT_EXPECT_EQ(test,
			pci_liveupdate_bridge_keeps(dev, PCI_INTERRUPT_LINE),
			0xffff0000);
	KUNIT_EXPECT_EQ(test, pci_liveupdate_bridge_keeps(dev, 0x40), 0);

	dev->pcie_cap = 0x40;
	dev->pm_cap = 0x80;
	dev->acs_cap = 0x150;
	KUNIT_EXPECT_EQ(test, pci_liveupdate_bridge_keeps(dev, 0x40 + PCI_EXP_DEVCTL2),
			PCI_EXP_DEVCTL2_ARI);
	KUNIT_EXPECT_EQ(test, pci_liveupdate_bridge_keeps(dev, 0x80 + PCI_PM_CTRL),
			PCI_PM_CTRL_STATE_MASK);
	KUNIT_EXPECT_EQ(test, pci_liveupdate_bridge_keeps(dev, 0x150 + PCI_ACS_CAP),
			0xffff0000);
	KUNIT_EXPECT_EQ(test, pci_liveupdate_bridge_keeps(dev, 0x40 + PCI_EXP_DEVCTL), 0);
}

static struct kunit_case pci_liveupdate_cases[] = {
	KUNIT_CASE(path_names_each_level),
	KUNIT_CASE(path_has_no_bus_numbers),
	KUNIT_CASE(path_fits_or_fails),
#ifdef CONFIG_PCI_IOV
	KUNIT_CASE(path_of_vf_is_below_its_pf),
#endif
	KUNIT_CASE(good_entries_pass),
	KUNIT_CASE(bad_entries_are_refused),
	KUNIT_CASE(bad_bridges_are_refused),
	KUNIT_CASE(bad_bars_are_refused),
	KUNIT_CASE(bar_without_upper_half_is_refused),
	KUNIT_CASE(bad_vfs_are_refused),
	KUNIT_CASE(random_entries_keep_bounds),
	KUNIT_CASE(every_register_is_compared),
	KUNIT_CASE(masks_tell_sizes),
	KUNIT_CASE(payload_length_must_fit),
	KUNIT_CASE(bridges_keep_what_they_forward),
	{}
};

static struct kunit_suite pci_liveupdate_suite = {
	.name = "pci-liveupdate",
	.test_cases = pci_liveupdate_cases,
};

kunit_test_suite(pci_liveupdate_suite);
