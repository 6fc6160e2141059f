// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of MSI and MSI-X in a live update: vectors stay masked while they
 * are held, and are then as they were; what is on stays on.
 */
#include <kunit/test.h>
#include <linux/bitmap.h>
#include <linux/device.h>
#include <linux/irq.h>
#include <linux/msi.h>
#include <linux/pci_liveupdate.h>
#include <linux/string.h>

#include "msi.h"

#define NR_VECTORS_TEST	4
#define MSI_CAP		0x50
#define MSIX_CAP	0x70
#define MSI_MASK	(MSI_CAP + PCI_MSI_MASK_64)

/* A function that is memory: its configuration space and its MSI-X table. */
struct fake {
	struct pci_dev dev;
	struct pci_bus bus;
	struct pci_ops ops;
	struct pci_liveupdate lu;
	u8 config[256];
	u32 table[NR_VECTORS_TEST * PCI_MSIX_ENTRY_SIZE / 4];
	int irq;
	DECLARE_BITMAP(masked, NR_VECTORS_TEST * 32);
};

static struct fake *fake_of(struct pci_bus *bus)
{
	return container_of(bus, struct fake, bus);
}

static int fake_read(struct pci_bus *bus, unsigned int devfn, int where,
		     int size, u32 *val)
{
	*val = 0;
	memcpy(val, fake_of(bus)->config + where, size);

	return PCIBIOS_SUCCESSFUL;
}

static int fake_write(struct pci_bus *bus, unsigned int devfn, int where,
		      int size, u32 val)
{
	memcpy(fake_of(bus)->config + where, &val, size);

	return PCIBIOS_SUCCESSFUL;
}

static u16 *config16(struct fake *f, int where)
{
	return (u16 *)(f->config + where);
}

static u32 *mask_bits(struct fake *f)
{
	return (u32 *)(f->config + MSI_MASK);
}

static bool masked(struct fake *f, unsigned int vector)
{
	return f->table[vector * 4 + 3] & PCI_MSIX_ENTRY_CTRL_MASKBIT;
}

static void mask(struct fake *f, unsigned int vector)
{
	f->table[vector * 4 + 3] |= PCI_MSIX_ENTRY_CTRL_MASKBIT;
}

static void fake_release(struct device *dev)
{
}

static struct fake *make_fake(struct kunit *test)
{
	struct fake *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, f);
	test->priv = f;
	f->ops.read = fake_read;
	f->ops.write = fake_write;
	f->bus.ops = &f->ops;
	f->dev.bus = &f->bus;
	f->dev.liveupdate = &f->lu;
	f->dev.msix_base = (void __iomem *)f->table;
	raw_spin_lock_init(&f->dev.msi_lock);
	f->dev.dev.release = fake_release;
	f->dev.dev.init_name = "pci-msi-liveupdate-kunit";
	f->irq = irq_alloc_descs(-1, 1, NR_VECTORS_TEST, NUMA_NO_NODE);
	KUNIT_ASSERT_GT(test, f->irq, 0);
	KUNIT_ASSERT_EQ(test, device_register(&f->dev.dev), 0);
	KUNIT_ASSERT_EQ(test, msi_setup_device_data(&f->dev.dev), 0);

	return f;
}

static void free_fake(struct kunit *test)
{
	struct fake *f = test->priv;
	struct msi_desc *desc;

	scoped_guard(msi_descs_lock, &f->dev.dev) {
		msi_for_each_desc(desc, &f->dev.dev, MSI_DESC_ALL)
			desc->irq = 0;
		msi_free_msi_descs(&f->dev.dev);
	}
	device_unregister(&f->dev.dev);
	irq_free_descs(f->irq, NR_VECTORS_TEST);
}

static struct msi_desc *desc_of(struct fake *f, unsigned int vector)
{
	struct msi_desc *desc;

	guard(msi_descs_lock)(&f->dev.dev);
	msi_for_each_desc(desc, &f->dev.dev, MSI_DESC_ALL) {
		if (desc->msi_index == vector)
			return desc;
	}

	return NULL;
}

/* The interrupt core wants all but vector 1 unmasked; a user masked vector 2. */
static struct fake *make_msix(struct kunit *test)
{
	struct fake *f = make_fake(test);
	struct msi_desc desc = { .nvec_used = 1 };
	unsigned int i;

	f->dev.msix_enabled = 1;
	desc.pci.msi_attrib.is_msix = 1;
	desc.pci.msi_attrib.can_mask = 1;
	desc.pci.mask_base = f->dev.msix_base;
	for (i = 0; i < NR_VECTORS_TEST; i++) {
		desc.msi_index = i;
		scoped_guard(msi_descs_lock, &f->dev.dev)
			KUNIT_ASSERT_EQ(test,
					msi_insert_msi_desc(&f->dev.dev, &desc),
					0);
		desc_of(f, i)->irq = f->irq + i;
	}
	pci_msix_mask(desc_of(f, 1));
	mask(f, 2);

	return f;
}

/* As make_msix(), for MSI with as many vectors. */
static struct fake *make_msi(struct kunit *test)
{
	struct fake *f = make_fake(test);
	struct msi_desc desc = { .nvec_used = NR_VECTORS_TEST };

	f->dev.msi_enabled = 1;
	f->dev.msi_cap = MSI_CAP;
	desc.pci.msi_attrib.can_mask = 1;
	desc.pci.msi_attrib.is_64 = 1;
	desc.pci.msi_attrib.multi_cap = ilog2(NR_VECTORS_TEST);
	desc.pci.mask_pos = MSI_MASK;
	scoped_guard(msi_descs_lock, &f->dev.dev)
		KUNIT_ASSERT_EQ(test, msi_insert_msi_desc(&f->dev.dev, &desc),
				0);
	desc_of(f, 0)->irq = f->irq;
	pci_msi_mask(desc_of(f, 0), BIT(1));
	*mask_bits(f) |= BIT(2);

	return f;
}

static void msix_stays_masked(struct kunit *test)
{
	struct fake *f = make_msix(test);
	unsigned int i;

	KUNIT_ASSERT_EQ(test, pci_liveupdate_hold_msi(&f->dev, f->masked), 0);
	for (i = 0; i < NR_VECTORS_TEST; i++)
		KUNIT_EXPECT_TRUE_MSG(test, masked(f, i), "vector %u", i);
	KUNIT_EXPECT_EQ(test, f->masked[0], BIT(2));

	/* What the interrupt core and a change of affinity would do */
	for (i = 0; i < NR_VECTORS_TEST; i++) {
		struct msi_msg msg = { .data = i };

		pci_msix_unmask(desc_of(f, i));
		KUNIT_EXPECT_TRUE_MSG(test, masked(f, i), "vector %u", i);
		__pci_write_msi_msg(desc_of(f, i), &msg);
		KUNIT_EXPECT_TRUE_MSG(test, masked(f, i), "vector %u", i);
		KUNIT_EXPECT_EQ(test, f->table[i * 4 + 2], i);
	}
}

static void msix_is_as_before(struct kunit *test)
{
	struct fake *f = make_msix(test);

	KUNIT_ASSERT_EQ(test, pci_liveupdate_hold_msi(&f->dev, f->masked), 0);
	pci_liveupdate_release_msi(&f->dev, f->masked);
	KUNIT_EXPECT_FALSE(test, masked(f, 0));
	KUNIT_EXPECT_TRUE(test, masked(f, 1));
	KUNIT_EXPECT_TRUE(test, masked(f, 2));
	KUNIT_EXPECT_FALSE(test, masked(f, 3));

	/* And obeys again */
	pci_msix_mask(desc_of(f, 0));
	pci_msix_unmask(desc_of(f, 1));
	KUNIT_EXPECT_TRUE(test, masked(f, 0));
	KUNIT_EXPECT_FALSE(test, masked(f, 1));
}

/* What the interrupt core wants meanwhile is done when they are released. */
static void msix_changes_meanwhile(struct kunit *test)
{
	struct fake *f = make_msix(test);

	KUNIT_ASSERT_EQ(test, pci_liveupdate_hold_msi(&f->dev, f->masked), 0);
	pci_msix_mask(desc_of(f, 0));
	pci_msix_unmask(desc_of(f, 1));
	pci_liveupdate_release_msi(&f->dev, f->masked);
	KUNIT_EXPECT_TRUE(test, masked(f, 0));
	KUNIT_EXPECT_FALSE(test, masked(f, 1));
}

static void msi_stays_masked(struct kunit *test)
{
	struct fake *f = make_msi(test);
	u32 all = GENMASK(NR_VECTORS_TEST - 1, 0);

	KUNIT_ASSERT_EQ(test, pci_liveupdate_hold_msi(&f->dev, f->masked), 0);
	KUNIT_EXPECT_EQ(test, *mask_bits(f), all);
	KUNIT_EXPECT_EQ(test, f->masked[0], BIT(2));

	pci_msi_unmask(desc_of(f, 0), all);
	KUNIT_EXPECT_EQ(test, *mask_bits(f), all);
	pci_msi_mask(desc_of(f, 0), BIT(3));

	pci_liveupdate_release_msi(&f->dev, f->masked);
	KUNIT_EXPECT_EQ(test, *mask_bits(f), BIT(2) | BIT(3));
}

static void msi_is_as_before(struct kunit *test)
{
	struct fake *f = make_msi(test);

	KUNIT_ASSERT_EQ(test, pci_liveupdate_hold_msi(&f->dev, f->masked), 0);
	pci_liveupdate_release_msi(&f->dev, f->masked);
	KUNIT_EXPECT_EQ(test, *mask_bits(f), BIT(1) | BIT(2));
	pci_msi_unmask(desc_of(f, 0), BIT(1));
	KUNIT_EXPECT_EQ(test, *mask_bits(f), 0);
}

static void hold_is_refused(struct kunit *test)
{
	struct fake *f = make_msix(test);

	f->dev.liveupdate = NULL;
	KUNIT_EXPECT_EQ(test, pci_liveupdate_hold_msi(&f->dev, f->masked),
			-ENODEV);

	f->dev.liveupdate = &f->lu;
	desc_of(f, 3)->pci.msi_attrib.can_mask = 0;
	KUNIT_EXPECT_EQ(test, pci_liveupdate_hold_msi(&f->dev, f->masked),
			-EOPNOTSUPP);
	KUNIT_EXPECT_FALSE(test, masked(f, 0));
	pci_msix_mask(desc_of(f, 0));
	pci_msix_unmask(desc_of(f, 0));
	KUNIT_EXPECT_FALSE(test, masked(f, 0));
}

static void on_stays_on(struct kunit *test)
{
	struct fake *f = make_fake(test);

	f->dev.msi_cap = MSI_CAP;
	f->dev.msix_cap = MSIX_CAP;
	KUNIT_EXPECT_FALSE(test, pci_liveupdate_adopt_msi(&f->dev));

	/* Nobody has asked for it */
	*config16(f, MSIX_CAP + PCI_MSIX_FLAGS) = PCI_MSIX_FLAGS_ENABLE;
	KUNIT_EXPECT_FALSE(test, pci_liveupdate_msix_kept(&f->dev));

	KUNIT_EXPECT_TRUE(test, pci_liveupdate_adopt_msi(&f->dev));
	KUNIT_EXPECT_TRUE(test, pci_liveupdate_msix_kept(&f->dev));
	KUNIT_EXPECT_FALSE(test, pci_liveupdate_msi_kept(&f->dev));

	/* It was reset meanwhile */
	*config16(f, MSIX_CAP + PCI_MSIX_FLAGS) = 0;
	KUNIT_EXPECT_FALSE(test, pci_liveupdate_msix_kept(&f->dev));

	/* MSI that latches, and MSI that cannot */
	*config16(f, MSI_CAP + PCI_MSI_FLAGS) = PCI_MSI_FLAGS_ENABLE |
						PCI_MSI_FLAGS_MASKBIT;
	KUNIT_EXPECT_TRUE(test, pci_liveupdate_adopt_msi(&f->dev));
	KUNIT_EXPECT_TRUE(test, pci_liveupdate_msi_kept(&f->dev));
	*config16(f, MSI_CAP + PCI_MSI_FLAGS) = PCI_MSI_FLAGS_ENABLE;
	KUNIT_EXPECT_FALSE(test, pci_liveupdate_adopt_msi(&f->dev));
	KUNIT_EXPECT_FALSE(test, pci_liveupdate_msi_kept(&f->dev));
}

static void drop_switches_off(struct kunit *test)
{
	struct fake *f = make_fake(test);

	f->dev.msi_cap = MSI_CAP;
	f->dev.msix_cap = MSIX_CAP;
	*config16(f, MSIX_CAP + PCI_MSIX_FLAGS) = PCI_MSIX_FLAGS_ENABLE | 3;
	KUNIT_EXPECT_TRUE(test, pci_liveupdate_adopt_msi(&f->dev));

	/* Not what has vectors in this kernel */
	f->dev.msix_enabled = 1;
	pci_liveupdate_drop_msi(&f->dev);
	KUNIT_EXPECT_EQ(test, *config16(f, MSIX_CAP + PCI_MSIX_FLAGS),
			PCI_MSIX_FLAGS_ENABLE | 3);

	f->dev.msix_enabled = 0;
	*config16(f, MSI_CAP + PCI_MSI_FLAGS) = PCI_MSI_FLAGS_ENABLE |
						PCI_MSI_FLAGS_64BIT;
	pci_liveupdate_drop_msi(&f->dev);
	KUNIT_EXPECT_EQ(test, *config16(f, MSIX_CAP + PCI_MSIX_FLAGS), 3);
	KUNIT_EXPECT_EQ(test, *config16(f, MSI_CAP + PCI_MSI_FLAGS),
			PCI_MSI_FLAGS_64BIT);
}

static struct kunit_case pci_msi_liveupdate_cases[] = {
	KUNIT_CASE(msix_stays_masked),
	KUNIT_CASE(msix_is_as_before),
	KUNIT_CASE(msix_changes_meanwhile),
	KUNIT_CASE(msi_stays_masked),
	KUNIT_CASE(msi_is_as_before),
	KUNIT_CASE(hold_is_refused),
	KUNIT_CASE(on_stays_on),
	KUNIT_CASE(drop_switches_off),
	{}
};

static struct kunit_suite pci_msi_liveupdate_suite = {
	.name = "pci_msi_liveupdate",
	.exit = free_fake,
	.test_cases = pci_msi_liveupdate_cases,
};

kunit_test_suite(pci_msi_liveupdate_suite);
