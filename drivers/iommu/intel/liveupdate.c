// SPDX-License-Identifier: GPL-2.0

/**
 * DOC: VT-d in a live update
 *
 * What VT-d does for drivers/iommu/liveupdate.c in the outgoing kernel. The
 * incoming kernel's part is liveupdate_adopt.c.
 *
 * Lifecycle:
 *
 * 1. A domain is kept: second stage tables only, see intel_lu_preserve_domain().
 * 2. PREPARE records the words that hardware finds for each requester ID of each
 *    preserved function, after it has seen that they are those of the domain.
 * 3. Then the pages on the way to these words are kept with KHO: the root table,
 *    context tables, PASID directories and the first PASID table of each.
 * 4. intel_lu_shutdown(), when all other CPUs are stopped: a unit with recorded
 *    functions stays on. All its other entries become not present, and caches
 *    are flushed, so that hardware reads nothing but pages that are kept.
 *    Faults are recorded by hardware, and reported by the next kernel; the
 *    interrupt for them is masked, for its vector means nothing there.
 *
 * Unhappy paths:
 *
 * - First stage, nested or SVA tables: -EOPNOTSUPP, with what to ask for.
 * - Hardware has other words than the driver would write: -ESTALE.
 * - CANCEL gives the pages back; hardware was not touched.
 * - A function is lost after PREPARE: its entry goes with the others in step 4.
 *
 * Locking: events do not run at the same time. Context tables are read under
 * &intel_iommu.lock, but for step 4, where nobody else runs.
 */

#define pr_fmt(fmt) "DMAR: live update: " fmt

#include <linux/bitfield.h>
#include <linux/cleanup.h>
#include <linux/dev_liveupdate.h>
#include <linux/err.h>
#include <linux/io.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/xarray.h>

#include "../iommu-pages.h"
#include "iommu.h"
#include "liveupdate.h"
#include "liveupdate_irq.h"
#include "pasid.h"

#define CONTEXT_LO_KNOWN	(BIT_ULL(0) | GENMASK_ULL(3, 2) | VTD_PAGE_MASK)
#define CONTEXT_HI_KNOWN	(GENMASK_ULL(2, 0) | GENMASK_ULL(23, 8))
/* DTE, PASIDE, PRE and PDTS may be set besides the address */
#define SM_CONTEXT_LO_KNOWN	(BIT_ULL(0) | GENMASK_ULL(4, 2) | \
				 GENMASK_ULL(11, 9) | VTD_PAGE_MASK)
/* AW, PGTT and SSADE; PWSNP and PGSNP; DID */
#define PASID_0_KNOWN		(BIT_ULL(0) | GENMASK_ULL(4, 2) | \
				 GENMASK_ULL(9, 6) | VTD_PAGE_MASK)
#define PASID_1_KNOWN		(GENMASK_ULL(15, 0) | GENMASK_ULL(24, 23))

/**
 * intel_lu_unit_get - The live update state of a unit.
 * @iommu: The unit.
 *
 * Context: Process context, may sleep. Serialized by the caller.
 * Return: The state, made when there is none; NULL without memory.
 */
struct intel_lu_unit *intel_lu_unit_get(struct intel_iommu *iommu)
{
	struct intel_lu_unit *unit = iommu->liveupdate;

	if (unit)
		return unit;
	unit = kzalloc_obj(*unit);
	if (!unit)
		return NULL;

	xa_init(&unit->kept);
	xa_init(&unit->pages);
	xa_init(&unit->adopted);
	iommu->liveupdate = unit;

	return unit;
}

static bool any_page(phys_addr_t pa, size_t size)
{
	return true;
}

static int walk_pasid(struct intel_lu_path *path,
		      bool (*ok)(phys_addr_t pa, size_t size))
{
	u64 lo = path->words[INTEL_LU_CONTEXT];
	u64 dir;

	path->dir = lo & VTD_PAGE_MASK;
	/* 2^(X + 7) entries of 8 bytes, at least a page */
	path->dir_size = max_t(size_t, PAGE_SIZE,
			       1UL << (FIELD_GET(GENMASK_ULL(11, 9), lo) + 10));
	if (!ok(path->dir, path->dir_size))
		return -EFAULT;

	dir = READ_ONCE(*(u64 *)phys_to_virt(path->dir));
	if (!(dir & PASID_PTE_PRESENT))
		return -ENOENT;
	path->table = dir & PDE_PFN_MASK;
	if (!ok(path->table, PAGE_SIZE))
		return -EFAULT;

	memcpy(&path->words[INTEL_LU_PASID], phys_to_virt(path->table),
	       sizeof(struct pasid_entry));

	return path->words[INTEL_LU_PASID] & PASID_PTE_PRESENT ? 0 : -ENOENT;
}

/**
 * intel_lu_walk - Read an entry the way hardware does.
 * @iommu: The unit.
 * @root:  Its root table, which may be read.
 * @rid:   The requester ID.
 * @ok:    Whether memory may be read. An address is not looked at before.
 * @path:  Filled.
 *
 * Context: Any. Nobody changes the entry meanwhile.
 * Return: 0; -ENOENT when it is not present; -EFAULT when @ok says no.
 */
int intel_lu_walk(struct intel_iommu *iommu, phys_addr_t root, u16 rid,
		  bool (*ok)(phys_addr_t pa, size_t size),
		  struct intel_lu_path *path)
{
	bool sm = sm_supported(iommu);
	struct root_entry *re = phys_to_virt(root);
	unsigned int devfn = rid & 0xff;
	struct context_entry *context;
	u64 entry;

	memset(path, 0, sizeof(*path));
	re += PCI_BUS_NUM(rid);
	entry = READ_ONCE(*(sm && devfn >= 0x80 ? &re->hi : &re->lo));
	if (!(entry & 1))
		return -ENOENT;
	path->context = entry & VTD_PAGE_MASK;
	if (!ok(path->context, PAGE_SIZE))
		return -EFAULT;

	/* an entry of scalable mode is twice as large; half of it is not used */
	context = phys_to_virt(path->context);
	context += sm ? (devfn & 0x7f) * 2 : devfn;
	path->words[INTEL_LU_CONTEXT] = READ_ONCE(context->lo);
	path->words[INTEL_LU_CONTEXT + 1] = READ_ONCE(context->hi);
	if (!context_present(context))
		return -ENOENT;

	return sm ? walk_pasid(path, ok) : 0;
}

static bool did_ok(struct intel_iommu *iommu, u16 did, bool translated)
{
	if (!translated)
		return did == FLPT_DEFAULT_DID;

	return did >= IDA_START_DID && did < iommu->max_domain_id;
}

static bool context_ok(struct intel_iommu *iommu, const u64 *words,
		       u16 did, const struct pt_iommu_vtdss_hw_info *pt)
{
	unsigned int type = FIELD_GET(GENMASK_ULL(3, 2), words[0]);
	unsigned int aw = FIELD_GET(GENMASK_ULL(2, 0), words[1]);

	if (words[0] & ~CONTEXT_LO_KNOWN || words[1] & ~CONTEXT_HI_KNOWN ||
	    memchr_inv(&words[INTEL_LU_PASID], 0, sizeof(struct pasid_entry)) ||
	    FIELD_GET(GENMASK_ULL(23, 8), words[1]) != did)
		return false;
	if (!pt)
		return type == CONTEXT_TT_PASS_THROUGH &&
		       ecap_pass_through(iommu->ecap) && aw == iommu->msagaw &&
		       !(words[0] & VTD_PAGE_MASK);

	return (type == CONTEXT_TT_MULTI_LEVEL ||
		(type == CONTEXT_TT_DEV_IOTLB &&
		 ecap_dev_iotlb_support(iommu->ecap))) &&
	       (words[0] & VTD_PAGE_MASK) == pt->ssptptr && aw == pt->aw;
}

static bool pasid_ok(struct intel_iommu *iommu, const u64 *words, u16 did,
		     const struct pt_iommu_vtdss_hw_info *pt)
{
	const u64 *pasid = &words[INTEL_LU_PASID];
	unsigned int type = FIELD_GET(GENMASK_ULL(8, 6), pasid[0]);
	unsigned int aw = FIELD_GET(GENMASK_ULL(4, 2), pasid[0]);

	/* the second half of the context entry names PASID 0 */
	if (words[0] & ~SM_CONTEXT_LO_KNOWN || words[1])
		return false;
	if (pasid[0] & ~PASID_0_KNOWN || pasid[1] & ~PASID_1_KNOWN ||
	    memchr_inv(&pasid[2], 0, 6 * sizeof(u64)) ||
	    FIELD_GET(GENMASK_ULL(15, 0), pasid[1]) != did)
		return false;
	if (!pt)
		return type == PASID_ENTRY_PGTT_PT && aw == iommu->agaw &&
		       !(pasid[0] & VTD_PAGE_MASK);

	return type == PASID_ENTRY_PGTT_SL_ONLY && ecap_slts(iommu->ecap) &&
	       (pasid[0] & VTD_PAGE_MASK) == pt->ssptptr && aw == pt->aw;
}

/**
 * intel_lu_entry_ok - Whether an entry is one that this driver writes.
 * @iommu:     The unit.
 * @words:     The entry.
 * @domain_id: Tag of its domain.
 * @domain:    Where it has to lead; NULL for identity.
 *
 * Context: Any.
 * Return: Whether it is, in each bit.
 */
bool intel_lu_entry_ok(struct intel_iommu *iommu, const u64 *words,
		       u16 domain_id, struct dmar_domain *domain)
{
	struct pt_iommu_vtdss_hw_info pt;

	if (!(words[0] & 1) || !did_ok(iommu, domain_id, domain))
		return false;
	if (domain)
		pt_iommu_vtdss_hw_info(&domain->sspt, &pt);

	return sm_supported(iommu) ?
	       pasid_ok(iommu, words, domain_id, domain ? &pt : NULL) :
	       context_ok(iommu, words, domain_id, domain ? &pt : NULL);
}

struct rid_arg {
	struct device *dev;
	int (*fn)(u16 rid, void *arg);
	void *arg;
};

static int rid_cb(struct pci_dev *pdev, u16 alias, void *data)
{
	struct rid_arg *ra = data;
	struct device_domain_info *info = dev_iommu_priv_get(ra->dev);

	/* scalable mode has no entries for bridges that stand for a device */
	if (sm_supported(info->iommu) && &pdev->dev != ra->dev)
		return 0;

	return ra->fn(alias, ra->arg);
}

/**
 * intel_lu_walk_rids - Call for each requester ID that has an entry.
 * @dev: The device.
 * @fn:  Called for each; what it returns ends the walk unless it is 0.
 * @arg: Handed to it.
 *
 * Context: Any.
 * Return: What @fn returned last.
 */
int intel_lu_walk_rids(struct device *dev, int (*fn)(u16 rid, void *arg),
		       void *arg)
{
	struct rid_arg ra = { .dev = dev, .fn = fn, .arg = arg };

	return pci_for_each_dma_alias(to_pci_dev(dev), rid_cb, &ra);
}

static int intel_lu_possible(struct device *dev, char *why, size_t size)
{
	if (dev_is_real_dma_subdevice(dev)) {
		snprintf(why, size,
			 "does its DMA in the name of another device: use one that is not behind VMD");
		return -EOPNOTSUPP;
	}

	return 0;
}

static int intel_lu_preserve_domain(struct iommu_domain *domain,
				    struct iommu_domain_ser *ser)
{
	struct dmar_domain *dmar_domain = to_dmar_domain(domain);
	struct pt_iommu_vtdss_hw_info pt;
	int ret;

	if (domain->ops != &intel_ss_paging_domain_ops) {
		pr_err("a first stage or nested page table cannot be kept: allocate it with IOMMU_HWPT_ALLOC_NEST_PARENT\n");
		return -EOPNOTSUPP;
	}
	if (!dmar_domain->iommu.ops->preserve)
		return -EBUSY;
	ret = dmar_domain->iommu.ops->preserve(&dmar_domain->iommu);
	if (ret)
		return ret;

	pt_iommu_vtdss_hw_info(&dmar_domain->sspt, &pt);
	ser->top = pt.ssptptr;
	ser->format = IOMMU_DOMAIN_SER_VTDSS;
	ser->flags = dmar_domain->force_snooping ? IOMMU_DOMAIN_SER_FORCE_SNOOP :
						   0;
	ser->top_level = pt.aw + 1;
	ser->vasz_lg2 = dmar_domain->sspt.vtdss_pt.common.max_vasz_lg2;
	ser->nr_tables = dmar_domain->iommu.tables.nr;
	ser->crc = dmar_domain->iommu.tables.crc;

	return 0;
}

static void intel_lu_unpreserve_domain(struct iommu_domain *domain)
{
	struct dmar_domain *dmar_domain = to_dmar_domain(domain);

	dmar_domain->iommu.ops->unpreserve(&dmar_domain->iommu);
}

struct entries_arg {
	struct intel_iommu *iommu;
	struct dmar_domain *domain;
	iommu_liveupdate_entry_fn fn;
	void *arg;
};

static int record_entry(u16 rid, void *arg)
{
	struct entries_arg *ea = arg;
	struct intel_iommu *iommu = ea->iommu;
	struct iommu_entry_ser entry = {};
	struct intel_lu_path path;
	int ret;

	scoped_guard(spinlock, &iommu->lock)
		ret = intel_lu_walk(iommu, virt_to_phys(iommu->root_entry), rid,
				    any_page, &path);
	if (ret)
		return -ESTALE;

	entry.unit = iommu->reg_phys;
	entry.segment = iommu->segment;
	entry.rid = rid;
	entry.domain_id = ea->domain ? domain_id_iommu(ea->domain, iommu) :
				       FLPT_DEFAULT_DID;
	memcpy(entry.words, path.words, sizeof(entry.words));
	if (!intel_lu_entry_ok(iommu, entry.words, entry.domain_id, ea->domain))
		return -ESTALE;

	return ea->fn(ea->arg, &entry);
}

static int intel_lu_entries(struct device *dev, struct iommu_domain *domain,
			    iommu_liveupdate_entry_fn fn, void *arg)
{
	struct device_domain_info *info = dev_iommu_priv_get(dev);
	struct entries_arg ea = {
		.iommu = info->iommu,
		.fn = fn,
		.arg = arg,
	};

	if (domain->type != IOMMU_DOMAIN_IDENTITY) {
		ea.domain = to_dmar_domain(domain);
		if (info->domain != ea.domain)
			return -ESTALE;
	}

	return intel_lu_walk_rids(dev, record_entry, &ea);
}

static int keep_page(struct intel_lu_unit *unit, phys_addr_t pa)
{
	int ret;

	if (!pa)
		return 0;
	ret = xa_insert(&unit->pages, PHYS_PFN(pa), unit, GFP_KERNEL);
	if (ret)
		return ret == -EBUSY ? 0 : ret;

	ret = iommu_pages_preserve(phys_to_virt(pa));
	if (ret)
		xa_erase(&unit->pages, PHYS_PFN(pa));

	return ret;
}

static int keep_entry(struct intel_iommu *iommu, u16 rid, struct device *dev)
{
	phys_addr_t root = virt_to_phys(iommu->root_entry);
	struct intel_lu_unit *unit = intel_lu_unit_get(iommu);
	struct intel_lu_path path;
	int ret;

	if (!unit)
		return -ENOMEM;
	scoped_guard(spinlock, &iommu->lock)
		ret = intel_lu_walk(iommu, root, rid, any_page, &path);
	if (!ret)
		ret = keep_page(unit, root);
	if (!ret)
		ret = keep_page(unit, path.context);
	if (!ret)
		ret = keep_page(unit, path.dir);
	if (!ret)
		ret = keep_page(unit, path.table);
	if (ret)
		return ret;

	return xa_err(xa_store(&unit->kept, rid, dev, GFP_KERNEL));
}

static void intel_lu_cancel(void)
{
	struct dmar_drhd_unit *drhd;
	struct intel_lu_unit *unit;
	struct intel_iommu *iommu;
	unsigned long pfn;
	void *entry;

	guard(rwsem_read)(&dmar_global_lock);
	for_each_iommu(iommu, drhd) {
		unit = iommu->liveupdate;
		if (!unit)
			continue;
		xa_for_each(&unit->pages, pfn, entry)
			iommu_pages_unpreserve(pfn_to_kaddr(pfn));
		xa_destroy(&unit->pages);
		xa_destroy(&unit->kept);
	}
}

static int intel_lu_prepare(struct device **devs,
			    const struct iommu_entry_ser *entries,
			    unsigned int count)
{
	struct device_domain_info *info;
	struct device *dev;
	unsigned int i;
	int ret;

	for (i = 0; i < count; i++) {
		dev = devs[entries[i].function];
		info = dev_iommu_priv_get(dev);
		ret = keep_entry(info->iommu, entries[i].rid, dev);
		if (ret) {
			dev_err(dev, "the tables by which %s finds it cannot be kept: %pe\n",
				info->iommu->name, ERR_PTR(ret));
			return ret;
		}
	}

	return 0;
}

static bool is_kept(struct intel_lu_unit *unit, u16 rid)
{
	struct device *dev = xa_load(&unit->kept, rid);

	return dev && dev_liveupdate_frozen(dev);
}

/* Requests with a PASID, of which nothing is kept. */
static void filter_pasids(struct intel_iommu *iommu, struct intel_lu_path *path)
{
	struct pasid_entry *table = phys_to_virt(path->table);
	u64 *dir = phys_to_virt(path->dir);
	unsigned int i;

	for (i = 1; i < PASID_TBL_ENTRIES; i++)
		WRITE_ONCE(table[i].val[0], 0);
	for (i = 1; i < path->dir_size / sizeof(*dir); i++)
		WRITE_ONCE(dir[i], 0);
	__iommu_flush_cache(iommu, table, PAGE_SIZE);
	__iommu_flush_cache(iommu, dir, path->dir_size);
}

/* Returns whether the entry stays. */
static bool filter_entry(struct intel_iommu *iommu, u16 rid,
			 struct context_entry *context)
{
	struct intel_lu_path path;

	if (is_kept(iommu->liveupdate, rid) &&
	    !intel_lu_walk(iommu, virt_to_phys(iommu->root_entry), rid,
			   any_page, &path)) {
		if (path.dir)
			filter_pasids(iommu, &path);
		return true;
	}
	if (context_present(context))
		context_clear_present(context);

	return false;
}

/* One context table; a table without an entry that stays is not kept either. */
static void filter_table(struct intel_iommu *iommu, u64 *root, u16 rid)
{
	unsigned int step = sm_supported(iommu) ? 2 : 1;
	struct context_entry *context;
	bool stays = false;
	unsigned int i;

	if (!(*root & 1))
		return;
	context = phys_to_virt(*root & VTD_PAGE_MASK);
	for (i = 0; i < 256; i += step)
		stays |= filter_entry(iommu, rid + i / step, &context[i]);
	__iommu_flush_cache(iommu, context, PAGE_SIZE);
	if (!stays)
		WRITE_ONCE(*root, 0);
}

static bool any_kept(struct intel_lu_unit *unit)
{
	unsigned long rid;
	void *dev;

	xa_for_each(&unit->kept, rid, dev) {
		if (is_kept(unit, rid))
			return true;
	}

	return false;
}

/**
 * intel_lu_shutdown - Leave nothing in a unit but what the next kernel adopts.
 * @iommu: The unit.
 *
 * Context: Shutdown; no other CPU runs.
 * Return: Whether the unit stays on.
 */
bool intel_lu_shutdown(struct intel_iommu *iommu)
{
	unsigned int bus;

	if (IS_ENABLED(CONFIG_IRQ_REMAP))
		intel_irq_lu_shutdown(iommu);
	if (!iommu->liveupdate || !any_kept(iommu->liveupdate))
		return false;

	for (bus = 0; bus < 256; bus++) {
		struct root_entry *root = &iommu->root_entry[bus];

		filter_table(iommu, &root->lo, PCI_DEVID(bus, 0));
		if (sm_supported(iommu))
			filter_table(iommu, &root->hi, PCI_DEVID(bus, 0x80));
	}
	__iommu_flush_cache(iommu, iommu->root_entry, PAGE_SIZE);

	iommu_flush_write_buffer(iommu);
	iommu->flush.flush_context(iommu, 0, 0, 0, DMA_CCMD_GLOBAL_INVL);
	if (sm_supported(iommu))
		qi_flush_pasid_cache(iommu, 0, QI_PC_GLOBAL, 0);
	iommu->flush.flush_iotlb(iommu, 0, 0, 0, DMA_TLB_GLOBAL_FLUSH);

	writel(DMA_FECTL_IM, iommu->reg + DMAR_FECTL_REG);

	return true;
}

const struct iommu_liveupdate_ops intel_liveupdate_ops = {
	.hw			= "vt-d",
	.possible		= intel_lu_possible,
	.preserve_domain	= intel_lu_preserve_domain,
	.unpreserve_domain	= intel_lu_unpreserve_domain,
	.entries		= intel_lu_entries,
	.prepare		= intel_lu_prepare,
	.cancel			= intel_lu_cancel,
	.adopt_domain		= intel_lu_adopt_domain,
	.release_domain		= intel_lu_release_domain,
	.adopt_entry		= intel_lu_adopt_entry,
	.drop			= intel_lu_drop,
};
