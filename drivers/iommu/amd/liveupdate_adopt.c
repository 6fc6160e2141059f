// SPDX-License-Identifier: GPL-2.0

/**
 * DOC: AMD-Vi translation that came through a live update
 *
 * What the driver does for drivers/iommu/liveupdate_incoming.c in the incoming
 * kernel. This is before any initcall, if interrupts are remapped.
 *
 * Lifecycle:
 *
 * 1. amd_lu_is_on(): an IOMMU that translates goes on. It gets a command buffer of
 *    this kernel, and an empty device table, which is not in place yet. It goes on
 *    writing to its log, which becomes this kernel's, see amd_lu_adopt_log(). The
 *    command line cannot switch it off.
 * 2. amd_lu_adopt(): every entry of that table blocks. Then an entry that is
 *    recorded is read from the table in place, which is memory that was handed
 *    over. When it has the recorded words, and leads to a page table that was
 *    adopted, it is put into the new table. Its domain id is reserved.
 *    liveupdate_irq.c adds where its interrupts go.
 * 3. The table is switched with one write, translation and remapping on, and
 *    caches are flushed. It translates the same requests by the same page tables,
 *    and nothing else. amd_lu_switched() frees the old one.
 * 4. A device is found. The entries become its own without a write to hardware
 *    when it is attached to the domain that it came with. From then on they are
 *    what they would be if this kernel had attached it.
 *
 * Unhappy paths:
 *
 * - An entry does not pass: it is not in the new table, so its requests are
 *   refused from the switch on. So are all when the old table was not handed over.
 * - A device is attached to anything else first: amd_lu_forget() blocks it before.
 * - A device does not come, or is lost: amd_lu_drop().
 * - The driver does not start: hardware keeps the table that it has, old or new,
 *   and nobody frees it.
 *
 * The old table is freed only when an adopted entry was found in it; else it stays
 * reserved until the next boot. The tag of an identity domain stays reserved, too.
 *
 * Locking: step 1 to 3 run when nobody else does. The adopted entries are changed
 * with the mutex of the device's group held, or before there is a device.
 */

#define pr_fmt(fmt) "AMD-Vi: live update: " fmt

#include <linux/crash_dump.h>
#include <linux/err.h>
#include <linux/io.h>
#include <linux/kexec_handover.h>
#include <linux/liveupdate_host.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/xarray.h>

#include "../iommu-pages.h"
#include "amd_iommu.h"
#include "liveupdate.h"
#include "liveupdate_irq.h"

/**
 * struct amd_lu_adopted - An entry that no device was attached with yet.
 * @domain: Where it leads; NULL for identity.
 */
struct amd_lu_adopted {
	struct iommu_domain *domain;
};

/* By segment and requester ID. */
static DEFINE_XARRAY(amd_lu_adopted);
/* Device tables of the previous kernel in which entries were found. */
static DEFINE_XARRAY(amd_lu_old_tables);
/* Hardware uses the new tables. */
static bool amd_lu_in_place;
/* Tag of the previous kernel's identity domain, or 0. */
static u16 amd_lu_identity_id;

static u32 entry_sbdf(const struct iommu_entry_ser *entry)
{
	return PCI_SEG_DEVID_TO_SBDF(entry->segment, entry->rid);
}

/**
 * amd_lu_is_on - Whether an IOMMU translates for functions that were kept.
 * @iommu: The IOMMU.
 *
 * Also when no record of it can be read: what it does then is known to nobody,
 * and must be ended without switching translation off.
 *
 * Context: Any, while the kernel boots.
 * Return: Whether it does.
 */
bool amd_lu_is_on(struct amd_iommu *iommu)
{
	return liveupdate_state() == LIVEUPDATE_STATE_UPDATED &&
	       !is_kdump_kernel() && iommu->mmio_base &&
	       (iommu->flags & AMD_IOMMU_FLAG_LIVEUPDATE);
}

/**
 * amd_lu_any_on - Whether that is so for any IOMMU.
 *
 * Context: Any, while the kernel boots.
 * Return: Whether it is.
 */
bool amd_lu_any_on(void)
{
	struct amd_iommu *iommu;

	for_each_iommu(iommu) {
		if (amd_lu_is_on(iommu))
			return true;
	}

	return false;
}

/**
 * amd_lu_adopt_log - Take over the log to which an IOMMU writes its events.
 * @iommu: An IOMMU that stays on, and has no log of this kernel yet.
 *
 * Context: Process context, may sleep. While the kernel boots.
 * Return: Whether it was handed over. If not, the IOMMU must stop to write there.
 */
bool amd_lu_adopt_log(struct amd_iommu *iommu)
{
	u64 base = readq(iommu->mmio_base + MMIO_EVT_BUF_OFFSET);
	phys_addr_t pa = base & PM_ADDR_MASK;
	unsigned int order;
	phys_addr_t start;

	if (base != (pa | EVTLOG_LEN_MASK_DEF) ||
	    !kho_find_preserved(pa, &start, &order) || start != pa ||
	    PAGE_SIZE << order < EVTLOG_SIZE_DEF)
		return false;
	iommu->evt_buf = iommu_pages_restore(pa);

	return iommu->evt_buf;
}

/**
 * amd_lu_adopt_domain - Make a domain of a table that was handed over.
 * @unit: Any IOMMU that will use it.
 * @ser:  Its record, verified.
 *
 * Its id is that of its entries, see amd_lu_adopt_entry().
 *
 * Context: Process context, may sleep. Before anything is retrieved.
 * Return: The domain, or an ERR_PTR.
 */
struct iommu_domain *amd_lu_adopt_domain(void *unit,
					 const struct iommu_domain_ser *ser)
{
	struct pt_iommu_amdv1_cfg cfg = {
		.common.hw_max_vasz_lg2 = ser->vasz_lg2,
		.common.hw_max_oasz_lg2 = 52,
		.common.features = BIT(PT_FEAT_DYNAMIC_TOP) |
				   BIT(PT_FEAT_AMDV1_ENCRYPT_TABLES) |
				   BIT(PT_FEAT_AMDV1_FORCE_COHERENCE) |
				   BIT(PT_FEAT_FLUSH_RANGE),
		.starting_level = 2,
	};
	struct pt_iommu_handover from;
	struct protection_domain *pdom;
	int ret;

	if (ser->format != IOMMU_DOMAIN_SER_AMDV1)
		return ERR_PTR(-EINVAL);
	pdom = kzalloc_obj(*pdom);
	if (!pdom)
		return ERR_PTR(-ENOMEM);
	protection_domain_init(pdom);
	pdom->pd_mode = PD_MODE_V1;
	pdom->iommu.driver_ops = &amd_hw_driver_ops_v1;
	pdom->iommu.nid = NUMA_NO_NODE;
	pdom->domain.ops = &amd_lu_domain_ops;
	pdom->domain.owner = &amd_iommu_ops;
	pdom->domain.type = IOMMU_DOMAIN_UNMANAGED;

	pt_iommu_handover_init(&from);
	from.tables.nr = ser->nr_tables;
	from.tables.crc = ser->crc;
	ret = pt_iommu_amdv1_adopt(&pdom->amdv1, &cfg, ser->top,
				   ser->top_level, &from);
	if (ret) {
		pr_err("a page table does not verify: %s at %pa\n",
		       from.why ?: "no such format", &from.where);
		kfree(pdom);
		return ERR_PTR(ret);
	}
	pdom->domain.pgsize_bitmap &= amd_iommu_pgsize_bitmap;

	return &pdom->domain;
}

/**
 * amd_lu_release_domain - Free a domain that nobody is in.
 * @domain: The domain.
 *
 * Context: Process context, may sleep.
 */
void amd_lu_release_domain(struct iommu_domain *domain)
{
	struct protection_domain *pdom = to_pdomain(domain);

	if (WARN_ON(!list_empty(&pdom->dev_list)))
		return;

	if (pdom->id)
		amd_iommu_pdom_id_free(pdom->id);
	pt_iommu_deinit(&pdom->iommu);
	kfree(pdom);
}

/* All entries of a domain have the same id, and no other domain has it. */
static int reserve_id(struct protection_domain *pdom, u16 id)
{
	u16 *own = pdom ? &pdom->id : &amd_lu_identity_id;
	int ret;

	if (*own)
		return *own == id ? 0 : -ESTALE;
	ret = amd_iommu_pdom_id_reserve(id, GFP_KERNEL);
	if (ret < 0)
		return ret == -ENOSPC ? -ESTALE : ret;
	*own = id;

	return 0;
}

/* Where hardware finds entries; 0 when that was not handed over. */
static phys_addr_t old_table(struct amd_iommu *iommu)
{
	u64 base = readq(iommu->mmio_base + MMIO_DEV_TABLE_OFFSET);
	size_t size = ((base & ~PAGE_MASK) + 1) << PAGE_SHIFT;
	phys_addr_t pa = base & PM_ADDR_MASK;

	if (size != iommu->pci_seg->dev_table_size ||
	    !kho_is_preserved(pa, size))
		return 0;

	return pa;
}

/**
 * amd_lu_old_entry - Read an entry the way hardware does, before the switch.
 * @iommu: The IOMMU.
 * @rid:   The requester ID.
 * @dte:   Filled.
 *
 * Context: While the kernel boots.
 * Return: 0; -EFAULT when it is in no memory that was handed over; -ENOENT when
 *         ACPI does not tell @iommu to look after it.
 */
int amd_lu_old_entry(struct amd_iommu *iommu, u16 rid,
		     struct dev_table_entry *dte)
{
	struct amd_iommu_pci_seg *pci_seg = iommu->pci_seg;
	phys_addr_t pa = old_table(iommu);

	if (!pa)
		return -EFAULT;
	/* an alias may have none */
	if (rid > pci_seg->last_bdf ||
	    (pci_seg->rlookup_table[rid] &&
	     pci_seg->rlookup_table[rid] != iommu))
		return -ENOENT;
	*dte = ((struct dev_table_entry *)phys_to_virt(pa))[rid];

	return 0;
}

static int note_old_table(struct amd_iommu *iommu)
{
	unsigned long pfn = PHYS_PFN(old_table(iommu));

	return xa_err(xa_store(&amd_lu_old_tables, pfn, iommu, GFP_KERNEL));
}

static int install(struct amd_iommu *iommu, u32 sbdf, const u64 *words,
		   struct iommu_domain *domain)
{
	struct amd_lu_adopted *adopted;
	struct dev_table_entry *dte;
	int ret;

	adopted = kzalloc_obj(*adopted);
	if (!adopted)
		return -ENOMEM;
	adopted->domain = domain;
	/* -EBUSY: two records are of one requester ID */
	ret = xa_insert(&amd_lu_adopted, sbdf, adopted, GFP_KERNEL);
	if (ret) {
		kfree(adopted);
		return ret;
	}

	dte = &get_dev_table(iommu)[PCI_SBDF_TO_DEVID(sbdf)];
	dte->data[1] = words[1];
	dte->data[0] = words[0];

	return 0;
}

/**
 * amd_lu_adopt_entry - Take an entry into the new table of an IOMMU.
 * @unit:   The IOMMU.
 * @entry:  Its record.
 * @domain: Where it has to lead; NULL for identity.
 *
 * Context: Process context, may sleep.
 * Return: 0; -ENOENT, -EFAULT: hardware has none that can be read; -ESTALE: it is
 *         not the recorded one, or not one that this driver writes; -EBUSY:
 *         there is one already; -ENOMEM.
 */
int amd_lu_adopt_entry(void *unit, const struct iommu_entry_ser *entry,
		       struct iommu_domain *domain)
{
	struct protection_domain *pdom = domain ? to_pdomain(domain) : NULL;
	u64 words[IOMMU_LIVEUPDATE_WORDS] = {};
	struct amd_iommu *iommu = unit;
	struct dev_table_entry dte;
	int ret;

	ret = amd_lu_old_entry(iommu, entry->rid, &dte);
	if (ret)
		return ret;
	amd_lu_words(&dte, words);
	if (memcmp(words, entry->words, sizeof(words)) ||
	    !amd_lu_words_ok(words,
			     amd_iommu_get_ivhd_dte_flags(entry->segment,
							  entry->rid),
			     entry->domain_id, pdom))
		return -ESTALE;

	ret = reserve_id(pdom, entry->domain_id);
	if (!ret)
		ret = note_old_table(iommu);

	return ret ?: install(iommu, entry_sbdf(entry), words, domain);
}

static void block_all(struct amd_iommu_pci_seg *pci_seg)
{
	u32 rid;

	for (rid = 0; rid <= pci_seg->last_bdf; rid++)
		pci_seg->dev_table[rid].data[0] = DTE_FLAG_V;
}

/**
 * amd_lu_adopt - Take over what IOMMUs translate.
 *
 * Context: Process context, may sleep. While the kernel boots, before the first
 * device table is switched.
 */
void __init amd_lu_adopt(void)
{
	struct amd_iommu *iommu, *any = NULL;

	if (!amd_lu_any_on())
		return;

	iommu_liveupdate_load_early();
	for_each_iommu(iommu) {
		if (amd_lu_is_on(iommu))
			block_all(iommu->pci_seg);
	}
	for_each_iommu(iommu) {
		if (!amd_lu_is_on(iommu))
			continue;
		any = iommu;
		if (!old_table(iommu))
			pr_err("the device table of IOMMU %d was not handed over: what it translates is blocked\n",
			       iommu->index);
		iommu_liveupdate_adopt_unit(&amd_liveupdate_ops, iommu,
					    iommu->mmio_phys,
					    iommu->pci_seg->id);
		amd_irq_lu_adopt(iommu);
	}
	iommu_liveupdate_adopt_rest(&amd_liveupdate_ops, any);
}

/**
 * amd_lu_switched - All IOMMUs use the new tables, and have nothing else cached.
 *
 * Context: Process context, may sleep.
 */
void amd_lu_switched(void)
{
	unsigned long pfn, sbdf, count = 0;
	void *entry;

	if (!amd_lu_any_on())
		return;
	xa_for_each(&amd_lu_old_tables, pfn, entry)
		iommu_free_pages(iommu_pages_restore(PFN_PHYS(pfn)));
	xa_destroy(&amd_lu_old_tables);
	amd_lu_in_place = true;
	amd_irq_lu_switched();

	xa_for_each(&amd_lu_adopted, sbdf, entry)
		count++;
	pr_info("translates on for %lu requester IDs, and nothing else\n",
		count);
}

static struct amd_iommu *find_unit(u64 base)
{
	struct amd_iommu *iommu;

	for_each_iommu(iommu) {
		if (iommu->mmio_phys == base)
			return iommu;
	}

	return NULL;
}

/* Returns whether there was one. */
static bool drop_one(struct amd_iommu *iommu, u16 rid)
{
	u32 sbdf = PCI_SEG_DEVID_TO_SBDF(iommu->pci_seg->id, rid);
	struct dev_table_entry *dte = &get_dev_table(iommu)[rid];
	struct amd_lu_adopted *adopted = xa_erase(&amd_lu_adopted, sbdf);
	u16 id = FIELD_GET(DTE_DOMID_MASK, dte->data[1]);

	if (!adopted)
		return false;
	kfree(adopted);

	WRITE_ONCE(dte->data[0], DTE_FLAG_V);
	if (amd_lu_in_place) {
		amd_iommu_flush_devid(iommu, rid);
		amd_iommu_flush_tlb_domid(iommu, id);
	}
	WRITE_ONCE(dte->data[1], 0);

	return true;
}

/**
 * amd_lu_drop - Take an entry away that no device was attached with.
 * @entry: Its record.
 *
 * Context: Process context. There is no device for it.
 */
void amd_lu_drop(const struct iommu_entry_ser *entry)
{
	struct amd_iommu *iommu = find_unit(entry->unit);

	if (iommu)
		drop_one(iommu, entry->rid);
}

struct take_arg {
	struct amd_iommu *iommu;
	struct iommu_domain *domain;
	unsigned int other;
};

static u32 take_sbdf(const struct take_arg *ta, u16 rid)
{
	return PCI_SEG_DEVID_TO_SBDF(ta->iommu->pci_seg->id, rid);
}

static int count_rid(u16 rid, void *arg)
{
	struct take_arg *ta = arg;
	struct amd_lu_adopted *adopted = xa_load(&amd_lu_adopted,
						 take_sbdf(ta, rid));

	ta->other += !adopted || adopted->domain != ta->domain;

	return 0;
}

static int take_rid(u16 rid, void *arg)
{
	kfree(xa_erase(&amd_lu_adopted, take_sbdf(arg, rid)));

	return 0;
}

static int forget_rid(u16 rid, void *arg)
{
	struct take_arg *ta = arg;

	drop_one(ta->iommu, rid);

	return 0;
}

/**
 * amd_lu_take - Give a device the entries that it came with.
 * @dev:    The device.
 * @domain: Where they have to lead.
 *
 * Hardware is not touched. When true is returned the entries in hardware are
 * @dev's, and the caller notes what it is attached to.
 *
 * Context: Process context with the group's mutex held.
 * Return: Whether there are such entries, for all its requester IDs.
 */
bool amd_lu_take(struct device *dev, struct iommu_domain *domain)
{
	struct take_arg ta = { .iommu = get_amd_iommu_from_dev(dev) };

	if (xa_empty(&amd_lu_adopted) || !dev_is_pci(dev))
		return false;

	if (domain->type != IOMMU_DOMAIN_IDENTITY)
		ta.domain = domain;
	amd_lu_walk_rids(dev, count_rid, &ta);
	if (ta.other)
		return false;
	amd_lu_walk_rids(dev, take_rid, &ta);

	return true;
}

/**
 * amd_lu_forget - Block a device that is about to be attached to something else
 *                 than it came with.
 * @dev: The device.
 *
 * Context: Process context with the group's mutex held.
 */
void amd_lu_forget(struct device *dev)
{
	struct take_arg ta = { .iommu = get_amd_iommu_from_dev(dev) };

	if (!xa_empty(&amd_lu_adopted) && dev_is_pci(dev))
		amd_lu_walk_rids(dev, forget_rid, &ta);
}

static int amd_lu_attach_dev(struct iommu_domain *domain, struct device *dev,
			     struct iommu_domain *old)
{
	if (!iommu_liveupdate_came_with(dev, domain))
		return -EINVAL;

	return amd_iommu_attach_device(domain, dev, old);
}

const struct iommu_domain_ops amd_lu_domain_ops = {
	IOMMU_PT_DOMAIN_OPS(amdv1),
	.attach_dev = amd_lu_attach_dev,
	.free = iommu_liveupdate_put_domain,
};
