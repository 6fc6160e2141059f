// SPDX-License-Identifier: GPL-2.0

/**
 * DOC: AMD-Vi in a live update
 *
 * What the driver does for drivers/iommu/liveupdate.c in the outgoing kernel. The
 * incoming kernel's part is liveupdate_adopt.c.
 *
 * Lifecycle:
 *
 * 1. A domain is kept: v1 tables only, see amd_lu_preserve_domain().
 * 2. PREPARE records the device table entry of each requester ID of each preserved
 *    function, after it has seen that hardware has what the driver would write.
 * 3. Then the device table of the segment is kept with KHO. It is all that hardware
 *    needs to find an entry, and one block of memory. So is the log of events.
 * 4. amd_lu_shutdown(), when all other CPUs are stopped: an IOMMU with recorded
 *    functions stays on. Every other entry of its segment blocks DMA, and
 *    interrupts as well, and caches are flushed, so that hardware reads nothing
 *    but what is kept. The caller stops what the IOMMU reads and writes by itself,
 *    but for its log: what is refused from now on is said by the next kernel.
 *
 * Unhappy paths:
 *
 * - v2, nested and SVA tables: -EOPNOTSUPP, with what to ask for.
 * - Memory encryption or SEV-SNP: -EOPNOTSUPP. Addresses have a bit then that the
 *   next kernel may not know, and the device table cannot be moved.
 * - Hardware has other words than the driver would write: -ESTALE.
 * - CANCEL gives the pages back; hardware was not touched.
 * - A function is lost after PREPARE: its entry goes with the others in step 4.
 *
 * Locking: events do not run at the same time. In step 4 nobody else runs.
 */

#define pr_fmt(fmt) "AMD-Vi: live update: " fmt

#include <linux/cc_platform.h>
#include <linux/dev_liveupdate.h>
#include <linux/err.h>
#include <linux/pci.h>
#include <linux/string.h>
#include <linux/xarray.h>

#include <asm/iommu.h>

#include "../iommu-pages.h"
#include "amd_iommu.h"
#include "liveupdate.h"
#include "liveupdate_irq.h"

/* Devices whose entries stay, referenced by the core; by segment and requester ID. */
static DEFINE_XARRAY(amd_lu_kept);
/* Segments whose device table is kept, by number. */
static DEFINE_XARRAY(amd_lu_segments);
/* IOMMUs whose log is kept, by index. */
static DEFINE_XARRAY(amd_lu_logs);

/**
 * amd_lu_words - The words of an entry that a record has.
 * @dte:   The entry.
 * @words: Filled, AMD_LU_WORDS of them.
 *
 * Context: Any.
 */
void amd_lu_words(const struct dev_table_entry *dte, u64 *words)
{
	unsigned int i;

	for (i = 0; i < AMD_LU_WORDS; i++)
		words[i] = READ_ONCE(dte->data[i]);
	words[2] &= ~DTE_DATA2_INTR_MASK;
}

/**
 * amd_lu_words_ok - Whether an entry is one that this driver writes.
 * @words:     The entry, from amd_lu_words().
 * @acpi:      What ACPI asks to be set in it, or NULL.
 * @domain_id: Tag of its domain.
 * @domain:    Where it has to lead; NULL for identity.
 *
 * Context: Any.
 * Return: Whether it is, in each bit.
 */
bool amd_lu_words_ok(const u64 *words, const struct dev_table_entry *acpi,
		     u16 domain_id, struct protection_domain *domain)
{
	u64 want[2] = { DTE_FLAG_V | DTE_FLAG_TV | DTE_FLAG_IR | DTE_FLAG_IW,
			domain_id };
	u64 dirty = words[0] & DTE_FLAG_HAD;
	struct pt_iommu_amdv1_hw_info pt;

	if (!domain_id || memchr_inv(&words[2], 0, 2 * sizeof(*words)))
		return false;
	if (acpi) {
		want[0] |= acpi->data[0];
		want[1] |= acpi->data[1];
	}
	if (domain) {
		pt_iommu_amdv1_hw_info(&domain->amdv1, &pt);
		want[0] |= FIELD_PREP(DTE_MODE_MASK, pt.mode) | pt.host_pt_root;
	}
	if (dirty && (!domain || dirty != DTE_FLAG_HAD))
		return false;

	/* The device may have ATS enabled. */
	return (words[0] & ~DTE_FLAG_HAD) == want[0] &&
	       (words[1] & ~DTE_FLAG_IOTLB) == want[1];
}

struct rid_arg {
	int (*fn)(u16 rid, void *arg);
	void *arg;
	u16 acpi;
	bool found;
};

static int rid_cb(struct pci_dev *pdev, u16 alias, void *data)
{
	struct rid_arg *ra = data;

	ra->found |= alias == ra->acpi;

	return ra->fn(alias, ra->arg);
}

/**
 * amd_lu_walk_rids - Call for each requester ID that has an entry.
 * @dev: The device.
 * @fn:  Called for each; what it returns ends the walk unless it is 0.
 * @arg: Handed to it.
 *
 * The alias that ACPI names need not be one that PCI knows.
 *
 * Context: Any.
 * Return: What @fn returned last.
 */
int amd_lu_walk_rids(struct device *dev, int (*fn)(u16 rid, void *arg),
		     void *arg)
{
	struct iommu_dev_data *dev_data = dev_iommu_priv_get(dev);
	struct amd_iommu *iommu = get_amd_iommu_from_dev_data(dev_data);
	struct rid_arg ra = {
		.fn = fn,
		.arg = arg,
		.acpi = iommu->pci_seg->alias_table[dev_data->devid],
	};
	int ret;

	ret = pci_for_each_dma_alias(to_pci_dev(dev), rid_cb, &ra);
	if (!ret && !ra.found)
		ret = fn(ra.acpi, arg);

	return ret;
}

static int amd_lu_possible(struct device *dev, char *why, size_t size)
{
	if (amd_iommu_snp_en) {
		snprintf(why, size,
			 "is behind an IOMMU that SEV-SNP has locked: boot with SEV-SNP disabled");
		return -EOPNOTSUPP;
	}
	if (cc_platform_has(CC_ATTR_HOST_MEM_ENCRYPT)) {
		snprintf(why, size,
			 "is behind an IOMMU whose tables are encrypted: boot with mem_encrypt=off");
		return -EOPNOTSUPP;
	}

	return 0;
}

static int amd_lu_preserve_domain(struct iommu_domain *domain,
				  struct iommu_domain_ser *ser)
{
	struct protection_domain *pdom = to_pdomain(domain);
	struct pt_iommu_amdv1_hw_info pt;
	int ret;

	if (!(domain->type & __IOMMU_DOMAIN_PAGING) ||
	    pdom->pd_mode != PD_MODE_V1) {
		pr_err("a v2 or nested page table cannot be kept: boot with amd_iommu=pgtbl_v1\n");
		return -EOPNOTSUPP;
	}
	if (!pdom->iommu.ops->preserve)
		return -EBUSY;
	ret = pdom->iommu.ops->preserve(&pdom->iommu);
	if (ret)
		return ret;

	pt_iommu_amdv1_hw_info(&pdom->amdv1, &pt);
	ser->top = pt.host_pt_root;
	ser->format = IOMMU_DOMAIN_SER_AMDV1;
	ser->top_level = pt.mode - 1;
	ser->vasz_lg2 = pdom->amdv1.amdpt.common.max_vasz_lg2;
	ser->nr_tables = pdom->iommu.tables.nr;
	ser->crc = pdom->iommu.tables.crc;

	return 0;
}

static void amd_lu_unpreserve_domain(struct iommu_domain *domain)
{
	struct protection_domain *pdom = to_pdomain(domain);

	pdom->iommu.ops->unpreserve(&pdom->iommu);
}

struct entries_arg {
	struct amd_iommu *iommu;
	struct protection_domain *domain;
	iommu_liveupdate_entry_fn fn;
	void *arg;
};

static int record_entry(u16 rid, void *arg)
{
	struct entries_arg *ea = arg;
	struct protection_domain *domain = ea->domain;
	struct amd_iommu *iommu = ea->iommu;
	u16 segment = iommu->pci_seg->id;
	struct iommu_entry_ser entry = {
		.unit = iommu->mmio_phys,
		.segment = segment,
		.rid = rid,
		.domain_id = domain->id,
	};

	if (rid > iommu->pci_seg->last_bdf)
		return -ESTALE;
	amd_lu_words(&get_dev_table(iommu)[rid], entry.words);
	if (domain->domain.type == IOMMU_DOMAIN_IDENTITY)
		domain = NULL;
	if (!amd_lu_words_ok(entry.words,
			     amd_iommu_get_ivhd_dte_flags(segment, rid),
			     entry.domain_id, domain))
		return -ESTALE;

	return ea->fn(ea->arg, &entry);
}

static int amd_lu_entries(struct device *dev, struct iommu_domain *domain,
			  iommu_liveupdate_entry_fn fn, void *arg)
{
	struct iommu_dev_data *dev_data = dev_iommu_priv_get(dev);
	struct entries_arg ea = {
		.iommu = get_amd_iommu_from_dev_data(dev_data),
		.domain = to_pdomain(domain),
		.fn = fn,
		.arg = arg,
	};

	if (dev_data->domain != ea.domain)
		return -ESTALE;
	if (dev_data->gcr3_info.gcr3_tbl) {
		dev_err(dev, "uses a guest page table, which cannot be kept over a live update\n");
		return -EOPNOTSUPP;
	}

	return amd_lu_walk_rids(dev, record_entry, &ea);
}

static int keep_segment(struct amd_iommu_pci_seg *pci_seg)
{
	int ret;

	ret = xa_insert(&amd_lu_segments, pci_seg->id, pci_seg, GFP_KERNEL);
	if (ret)
		return ret == -EBUSY ? 0 : ret;

	ret = iommu_pages_preserve(pci_seg->dev_table);
	if (ret)
		xa_erase(&amd_lu_segments, pci_seg->id);

	return ret;
}

static int keep_log(struct amd_iommu *iommu)
{
	int ret;

	ret = xa_insert(&amd_lu_logs, iommu->index, iommu, GFP_KERNEL);
	if (ret)
		return ret == -EBUSY ? 0 : ret;

	ret = iommu_pages_preserve(iommu->evt_buf);
	if (ret)
		xa_erase(&amd_lu_logs, iommu->index);

	return ret;
}

static int keep_entry(const struct iommu_entry_ser *entry, struct device *dev)
{
	struct amd_iommu *iommu = get_amd_iommu_from_dev(dev);
	u32 sbdf = PCI_SEG_DEVID_TO_SBDF(entry->segment, entry->rid);
	int ret;

	ret = keep_segment(iommu->pci_seg);
	if (!ret)
		ret = keep_log(iommu);
	if (ret)
		return ret;

	return xa_err(xa_store(&amd_lu_kept, sbdf, dev, GFP_KERNEL));
}

static int amd_lu_prepare(struct device **devs,
			  const struct iommu_entry_ser *entries,
			  unsigned int count)
{
	struct device *dev;
	unsigned int i;
	int ret;

	for (i = 0; i < count; i++) {
		dev = devs[entries[i].function];
		ret = keep_entry(&entries[i], dev);
		if (ret) {
			dev_err(dev, "the tables or the log of its IOMMU cannot be kept (%pe); free some memory and try again\n",
				ERR_PTR(ret));
			return ret;
		}
	}

	return 0;
}

static void amd_lu_cancel(void)
{
	struct amd_iommu_pci_seg *pci_seg;
	struct amd_iommu *iommu;
	unsigned long id;

	xa_for_each(&amd_lu_segments, id, pci_seg)
		iommu_pages_unpreserve(pci_seg->dev_table);
	xa_destroy(&amd_lu_segments);
	xa_for_each(&amd_lu_logs, id, iommu)
		iommu_pages_unpreserve(iommu->evt_buf);
	xa_destroy(&amd_lu_logs);
	xa_destroy(&amd_lu_kept);
}

static bool is_kept(struct amd_iommu *iommu, u16 rid)
{
	u32 sbdf = PCI_SEG_DEVID_TO_SBDF(iommu->pci_seg->id, rid);
	struct device *dev = xa_load(&amd_lu_kept, sbdf);

	return dev && dev_liveupdate_frozen(dev);
}

static bool any_kept(struct amd_iommu *iommu)
{
	struct device *dev;
	unsigned long sbdf;

	xa_for_each(&amd_lu_kept, sbdf, dev) {
		if (dev_liveupdate_frozen(dev) &&
		    get_amd_iommu_from_dev(dev) == iommu)
			return true;
	}

	return false;
}

/* One that no device was attached with since the table was made. */
static bool is_blocked(const struct dev_table_entry *dte)
{
	return (dte->data[0] & ~DTE_FLAG_TV) == DTE_FLAG_V && !dte->data[1];
}

/*
 * Hardware may read the entry between any two of these. It blocks from the first
 * one on.
 */
static bool filter_dma(struct dev_table_entry *dte)
{
	if (is_blocked(dte))
		return false;
	WRITE_ONCE(dte->data[0], DTE_FLAG_V);
	WRITE_ONCE(dte->data[1], 0);

	return true;
}

static bool filter_irq(struct dev_table_entry *dte)
{
	u64 blocked = amd_iommu_irq_remap ? DTE_IRQ_REMAP_ENABLE : 0;

	if (dte->data[2] == blocked && !dte->data[3])
		return false;
	WRITE_ONCE(dte->data[2], blocked);
	WRITE_ONCE(dte->data[3], 0);

	return true;
}

static void filter_entry(struct amd_iommu *iommu, u16 rid)
{
	struct dev_table_entry *dte = &get_dev_table(iommu)[rid];
	bool changed = false;

	if (!is_kept(iommu, rid))
		changed |= filter_dma(dte);
	if (!amd_irq_lu_is_kept(iommu, rid))
		changed |= filter_irq(dte);
	if (changed)
		amd_iommu_flush_devid(iommu, rid);
}

/**
 * amd_lu_shutdown - Leave nothing to an IOMMU but what the next kernel adopts.
 * @iommu: The IOMMU.
 *
 * Context: Shutdown; no other CPU runs.
 * Return: Whether the IOMMU stays on.
 */
bool amd_lu_shutdown(struct amd_iommu *iommu)
{
	u32 rid;

	if (!any_kept(iommu))
		return false;

	amd_irq_lu_shutdown(iommu);
	for (rid = 0; rid <= iommu->pci_seg->last_bdf; rid++)
		filter_entry(iommu, rid);
	amd_iommu_flush_all_caches(iommu);

	return true;
}

const struct iommu_liveupdate_ops amd_liveupdate_ops = {
	.hw			= "amd-vi",
	.possible		= amd_lu_possible,
	.preserve_domain	= amd_lu_preserve_domain,
	.unpreserve_domain	= amd_lu_unpreserve_domain,
	.entries		= amd_lu_entries,
	.prepare		= amd_lu_prepare,
	.cancel			= amd_lu_cancel,
	.adopt_domain		= amd_lu_adopt_domain,
	.release_domain		= amd_lu_release_domain,
	.adopt_entry		= amd_lu_adopt_entry,
	.drop			= amd_lu_drop,
};
