// SPDX-License-Identifier: GPL-2.0

/**
 * DOC: VT-d translation that came through a live update
 *
 * What VT-d does for drivers/iommu/liveupdate_incoming.c in the incoming kernel.
 *
 * Lifecycle:
 *
 * 1. intel_lu_follow_hardware(): a unit that translates is used, and in the mode
 *    in which it is, whatever the command line says. The mode cannot be changed
 *    while translation is on.
 * 2. intel_lu_adopt(), for each such unit: an entry that is recorded is read the
 *    way hardware reads it, through memory that was handed over only. When it
 *    has the recorded words, and leads to a page table that was adopted, it is
 *    put into the new context tables, and in scalable mode into a new PASID
 *    table. Its domain id is reserved.
 * 3. The root pointer is switched with translation on, and caches are flushed.
 *    The new tables translate the same requests by the same page tables, and
 *    nothing else. intel_lu_switched() frees the old ones.
 * 4. A device is found. The entries become its own without a write to hardware:
 *    intel_lu_take_pasid_table() when it is probed, intel_lu_take() when it is
 *    attached to the domain that it came with. From then on both are what they
 *    would be if this kernel had attached it.
 *
 * Unhappy paths:
 *
 * - An entry does not pass: it is not in the new tables, so the requests are
 *   refused from the switch on. So are all when the old root table was not
 *   handed over.
 * - A device is attached to anything else first: its entries are taken away like
 *   those of any domain that it was attached to before.
 * - A device does not come, or is lost: intel_lu_drop().
 * - The driver does not start: hardware keeps the tables that it has, old or
 *   new, and nobody frees them.
 *
 * Pages of the previous kernel are freed only when an adopted entry was found
 * through them; others stay reserved until the next boot.
 *
 * Locking: step 1 to 3 run when nobody else does. &intel_lu_unit.adopted is
 * changed with the mutex of the device's group held, or before there is a device.
 */

#define pr_fmt(fmt) "DMAR: live update: " fmt

#include <linux/cleanup.h>
#include <linux/crash_dump.h>
#include <linux/err.h>
#include <linux/io.h>
#include <linux/kexec_handover.h>
#include <linux/liveupdate_host.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/xarray.h>

#include "../iommu-pages.h"
#include "iommu.h"
#include "liveupdate.h"
#include "pasid.h"

/**
 * struct intel_lu_table - A PASID table that stands for an old one.
 * @old:   The old directory.
 * @table: The new one.
 * @users: Entries in &intel_lu_unit.adopted.
 * @taken: A device has it.
 */
struct intel_lu_table {
	phys_addr_t old;
	struct pasid_table table;
	unsigned int users;
	bool taken;
};

/**
 * struct intel_lu_adopted - An entry that no device was attached with yet.
 * @domain: Where it leads; NULL for identity.
 * @table:  In scalable mode, its PASID table.
 */
struct intel_lu_adopted {
	struct iommu_domain *domain;
	struct intel_lu_table *table;
};

/**
 * intel_lu_is_on - Whether a unit translates for functions that were kept.
 * @iommu: The unit.
 *
 * Also when no record of it can be read: what it does then is known to nobody,
 * and must be ended without switching translation off.
 *
 * Context: Any, while the kernel boots.
 * Return: Whether it does.
 */
bool intel_lu_is_on(struct intel_iommu *iommu)
{
	return liveupdate_state() == LIVEUPDATE_STATE_UPDATED &&
	       !is_kdump_kernel() &&
	       readl(iommu->reg + DMAR_GSTS_REG) & DMA_GSTS_TES;
}

/**
 * intel_lu_any_on - Whether that is so for any unit.
 *
 * Context: dmar_global_lock held, while the kernel boots.
 * Return: Whether it is.
 */
bool intel_lu_any_on(void)
{
	struct dmar_drhd_unit *drhd;
	struct intel_iommu *iommu;

	for_each_iommu(iommu, drhd) {
		if (intel_lu_is_on(iommu))
			return true;
	}

	return false;
}

/**
 * intel_lu_follow_hardware - Use units that translate the way they do.
 *
 * Context: dmar_global_lock held, before any unit is set up.
 */
void intel_lu_follow_hardware(void)
{
	struct dmar_drhd_unit *drhd;
	struct intel_iommu *iommu;
	bool sm = intel_iommu_sm;

	for_each_iommu(iommu, drhd) {
		if (!intel_lu_is_on(iommu))
			continue;
		drhd->ignored = 0;
		if (ecap_smts(iommu->ecap))
			sm = readq(iommu->reg + DMAR_RTADDR_REG) &
			     DMA_RTADDR_SMT;
	}
	if (sm == intel_iommu_sm)
		return;

	pr_warn("scalable mode is %s as the outgoing kernel left it\n",
		str_on_off(sm));
	intel_iommu_sm = sm;
	for_each_iommu(iommu, drhd) {
		iommu->agaw = iommu_calculate_agaw(iommu);
		iommu->msagaw = iommu_calculate_max_sagaw(iommu);
	}
}

static void limit_page_sizes(struct dmar_domain *domain,
			     struct intel_iommu *iommu)
{
	if (!(cap_super_page_val(iommu->cap) & BIT(0)))
		domain->domain.pgsize_bitmap &= ~(u64)SZ_2M;
	if (!(cap_super_page_val(iommu->cap) & BIT(1)))
		domain->domain.pgsize_bitmap &= ~(u64)SZ_1G;
}

/**
 * intel_lu_adopt_domain - Make a domain of a table that was handed over.
 * @unit: Any unit that will use it.
 * @ser:  Its record, verified.
 *
 * Context: Process context, may sleep. Before anything is retrieved.
 * Return: The domain, or an ERR_PTR.
 */
struct iommu_domain *intel_lu_adopt_domain(void *unit,
					   const struct iommu_domain_ser *ser)
{
	struct intel_iommu *iommu = unit;
	struct pt_iommu_vtdss_cfg cfg = {
		.common.hw_max_vasz_lg2 = ser->vasz_lg2,
		.common.hw_max_oasz_lg2 = 52,
		.common.features = BIT(PT_FEAT_FLUSH_RANGE),
		.top_level = ser->top_level,
	};
	struct pt_iommu_handover from;
	struct dmar_domain *domain;
	int ret;

	if (ser->format != IOMMU_DOMAIN_SER_VTDSS)
		return ERR_PTR(-EINVAL);
	domain = paging_domain_alloc();
	if (IS_ERR(domain))
		return ERR_CAST(domain);

	domain->iommu.nid = iommu->node;
	domain->iotlb_sync_map = true;	/* nothing is mapped, so any unit will do */
	domain->force_snooping = ser->flags & IOMMU_DOMAIN_SER_FORCE_SNOOP;
	domain->domain.ops = &intel_lu_domain_ops;
	domain->domain.owner = &intel_iommu_ops;
	domain->domain.type = IOMMU_DOMAIN_UNMANAGED;

	pt_iommu_handover_init(&from);
	from.tables.nr = ser->nr_tables;
	from.tables.crc = ser->crc;
	ret = pt_iommu_vtdss_adopt(&domain->sspt, &cfg, ser->top,
				   ser->top_level, &from);
	if (ret) {
		pr_err("a page table does not verify: %s at %pa\n",
		       from.why ?: "no such format", &from.where);
		kfree(domain);
		return ERR_PTR(ret);
	}

	limit_page_sizes(domain, iommu);
	/* Nobody writes to it, so units that need flushes can use it, too. */
	domain->sspt.vtdss_pt.common.features |= BIT(PT_FEAT_DMA_INCOHERENT);

	return &domain->domain;
}

/**
 * intel_lu_release_domain - Free a domain that nobody is in.
 * @domain: The domain.
 *
 * Context: Process context, may sleep.
 */
void intel_lu_release_domain(struct iommu_domain *domain)
{
	struct dmar_domain *dmar_domain = to_dmar_domain(domain);
	struct iommu_domain_info *info;
	unsigned long i;

	if (WARN_ON(!list_empty(&dmar_domain->devices)))
		return;

	xa_for_each(&dmar_domain->iommu_array, i, info) {
		guard(mutex)(&info->iommu->did_lock);
		ida_free(&info->iommu->domain_ida, info->did);
		kfree(info);
	}
	xa_destroy(&dmar_domain->iommu_array);
	pt_iommu_deinit(&dmar_domain->iommu);
	kfree(dmar_domain->qi_batch);
	kfree(dmar_domain);
}

/* The id stays reserved until the domain is released. */
static int reserve_did(struct intel_iommu *iommu, struct dmar_domain *domain,
		       u16 did)
{
	struct iommu_domain_info *info;
	int ret;

	guard(mutex)(&iommu->did_lock);
	info = xa_load(&domain->iommu_array, iommu->seq_id);
	if (info)
		return info->did == did ? 0 : -ESTALE;

	info = kzalloc_obj(*info);
	if (!info)
		return -ENOMEM;
	info->refcnt = 1;
	info->did = did;
	info->iommu = iommu;

	ret = ida_alloc_range(&iommu->domain_ida, did, did, GFP_KERNEL);
	if (ret < 0) {
		kfree(info);
		return ret == -ENOSPC ? -ESTALE : ret;
	}
	ret = xa_err(xa_store(&domain->iommu_array, iommu->seq_id, info,
			      GFP_KERNEL));
	if (ret) {
		ida_free(&iommu->domain_ida, did);
		kfree(info);
	}

	return ret;
}

static void put_table(struct intel_lu_table *table)
{
	struct pasid_dir_entry *dir;

	if (!table || --table->users)
		return;
	if (!table->taken) {
		dir = table->table.table;
		iommu_free_pages(get_pasid_table_from_pde(dir));
		iommu_free_pages(dir);
	}
	kfree(table);
}

static struct intel_lu_table *make_table(struct intel_iommu *iommu,
					 const struct intel_lu_path *path)
{
	struct intel_lu_table *table;
	struct pasid_dir_entry *dir;
	struct pasid_entry *entries;

	table = kzalloc_obj(*table);
	dir = iommu_alloc_pages_node_sz(iommu->node, GFP_KERNEL,
					path->dir_size);
	entries = iommu_alloc_pages_node_sz(iommu->node, GFP_KERNEL, SZ_4K);
	if (!table || !dir || !entries) {
		kfree(table);
		iommu_free_pages(dir);
		iommu_free_pages(entries);
		return NULL;
	}

	memcpy(entries, &path->words[INTEL_LU_PASID], sizeof(*entries));
	dir->val = virt_to_phys(entries) | PASID_PTE_PRESENT;
	__iommu_flush_cache(iommu, entries, SZ_4K);
	__iommu_flush_cache(iommu, dir, path->dir_size);

	table->old = path->dir;
	table->users = 1;
	table->table.table = dir;
	table->table.max_pasid = path->dir_size / sizeof(*dir) *
				 PASID_TBL_ENTRIES;

	return table;
}

/* Requester IDs of one function share a directory. */
static struct intel_lu_table *get_table(struct intel_iommu *iommu,
					const struct intel_lu_path *path)
{
	struct intel_lu_adopted *adopted;
	unsigned long rid;

	xa_for_each(&iommu->liveupdate->adopted, rid, adopted) {
		if (adopted->table->old != path->dir)
			continue;
		adopted->table->users++;
		return adopted->table;
	}

	return make_table(iommu, path);
}

static int install(struct intel_iommu *iommu, u16 rid,
		   const struct intel_lu_path *path,
		   const struct intel_lu_adopted *adopted)
{
	u64 lo = path->words[INTEL_LU_CONTEXT];
	struct context_entry *context;

	if (adopted->table)
		lo = (lo & ~VTD_PAGE_MASK) |
		     virt_to_phys(adopted->table->table.table);

	guard(spinlock)(&iommu->lock);
	context = iommu_context_addr(iommu, PCI_BUS_NUM(rid), rid & 0xff, 1);
	if (!context)
		return -ENOMEM;
	context->hi = path->words[INTEL_LU_CONTEXT + 1];
	context->lo = lo;
	__iommu_flush_cache(iommu, context, sizeof(*context));

	return 0;
}

static int adopt_path(struct intel_iommu *iommu, u16 rid,
		      const struct intel_lu_path *path,
		      struct iommu_domain *domain)
{
	struct xarray *xa = &iommu->liveupdate->adopted;
	struct intel_lu_adopted *adopted;
	int ret = -ENOMEM;

	adopted = kzalloc_obj(*adopted);
	if (!adopted)
		return -ENOMEM;
	adopted->domain = domain;
	if (path->dir) {
		adopted->table = get_table(iommu, path);
		if (!adopted->table)
			goto err_free;
	}
	/* -EBUSY: two records are of one requester ID */
	ret = xa_insert(xa, rid, adopted, GFP_KERNEL);
	if (ret)
		goto err_table;
	ret = install(iommu, rid, path, adopted);
	if (!ret)
		return 0;

	xa_erase(xa, rid);
err_table:
	put_table(adopted->table);
err_free:
	kfree(adopted);
	return ret;
}

static int note_page(struct intel_iommu *iommu, phys_addr_t pa)
{
	void *old;

	if (!pa)
		return 0;
	old = xa_store(&iommu->liveupdate->pages, PHYS_PFN(pa), iommu,
		       GFP_KERNEL);

	return xa_err(old);
}

/**
 * intel_lu_adopt_entry - Take an entry into the new tables of a unit.
 * @unit:   The unit.
 * @entry:  Its record.
 * @domain: Where it has to lead; NULL for identity.
 *
 * Context: Process context, may sleep.
 * Return: 0; -ENOENT, -EFAULT: hardware has none that can be read; -ESTALE: it is
 *         not the recorded one, or not one that this driver writes; -EBUSY:
 *         there is one already; -EINVAL: @unit cannot use @domain; -ENOMEM.
 */
int intel_lu_adopt_entry(void *unit, const struct iommu_entry_ser *entry,
			 struct iommu_domain *domain)
{
	struct dmar_domain *dmar_domain = domain ? to_dmar_domain(domain) :
						   NULL;
	struct intel_iommu *iommu = unit;
	struct intel_lu_path path;
	phys_addr_t root;
	int ret;

	root = readq(iommu->reg + DMAR_RTADDR_REG) & VTD_PAGE_MASK;
	ret = intel_lu_walk(iommu, root, entry->rid, kho_is_preserved, &path);
	if (ret)
		return ret;
	if (memcmp(path.words, entry->words, sizeof(path.words)) ||
	    !intel_lu_entry_ok(iommu, path.words, entry->domain_id,
			       dmar_domain))
		return -ESTALE;

	if (dmar_domain)
		ret = paging_domain_compatible_second_stage(dmar_domain, iommu);
	if (!ret && dmar_domain)
		ret = reserve_did(iommu, dmar_domain, entry->domain_id);
	if (!ret)
		ret = adopt_path(iommu, entry->rid, &path, domain);
	if (!ret)
		ret = note_page(iommu, root);
	if (!ret)
		ret = note_page(iommu, path.context);
	if (!ret)
		ret = note_page(iommu, path.dir);

	return ret ?: note_page(iommu, path.table);
}

/**
 * intel_lu_adopt - Take over what a unit translates.
 * @iommu: The unit, intel_lu_is_on(). Its new root table is there and empty.
 *
 * Context: Process context, may sleep. While the kernel boots.
 */
void intel_lu_adopt(struct intel_iommu *iommu)
{
	phys_addr_t root = readq(iommu->reg + DMAR_RTADDR_REG) & VTD_PAGE_MASK;
	struct intel_lu_unit *unit = intel_lu_unit_get(iommu);

	if (!unit) {
		pr_err("no memory to take over what %s translates: it is blocked\n",
		       iommu->name);
		return;
	}
	unit->incoming = true;
	if (!kho_is_preserved(root, PAGE_SIZE)) {
		pr_err("the root table of %s was not handed over: what it translates is blocked\n",
		       iommu->name);
		return;
	}
	iommu_liveupdate_adopt_unit(&intel_liveupdate_ops, iommu,
				    iommu->reg_phys, iommu->segment);
}

/**
 * intel_lu_adopted_all - All units have what they take over.
 *
 * Context: dmar_global_lock held, before the first root table is switched.
 */
void intel_lu_adopted_all(void)
{
	struct dmar_drhd_unit *drhd;
	struct intel_iommu *iommu;

	for_each_active_iommu(iommu, drhd) {
		if (iommu->liveupdate) {
			iommu_liveupdate_adopt_rest(&intel_liveupdate_ops,
						    iommu);
			return;
		}
	}
}

/**
 * intel_lu_switched - A unit uses the new tables, and has nothing else cached.
 * @iommu: The unit.
 *
 * Context: Process context.
 */
void intel_lu_switched(struct intel_iommu *iommu)
{
	struct intel_lu_unit *unit = iommu->liveupdate;
	unsigned long pfn, count = 0, rid;
	void *entry;

	if (!unit || !unit->incoming)
		return;
	xa_for_each(&unit->pages, pfn, entry) {
		if (kho_is_preserved(PFN_PHYS(pfn), PAGE_SIZE))
			iommu_free_pages(iommu_pages_restore(PFN_PHYS(pfn)));
	}
	xa_destroy(&unit->pages);

	xa_for_each(&unit->adopted, rid, entry)
		count++;
	pr_info("%s translates on for %lu requester IDs, and nothing else\n",
		iommu->name, count);
}

/**
 * intel_lu_has_adopted - Whether a unit's tables must not be touched.
 * @iommu: The unit.
 *
 * Context: Any.
 * Return: Whether it translates for functions that were kept, so that neither
 *         translation may go off nor its tables be freed.
 */
bool intel_lu_has_adopted(struct intel_iommu *iommu)
{
	return iommu->liveupdate && iommu->liveupdate->incoming;
}

static struct intel_iommu *find_unit(u64 base)
{
	struct dmar_drhd_unit *drhd;
	struct intel_iommu *iommu;

	guard(rcu)();
	for_each_active_iommu(iommu, drhd) {
		if (iommu->reg_phys == base)
			return iommu;
	}

	return NULL;
}

static void clear_entry(struct intel_iommu *iommu, u16 rid, u16 did)
{
	struct context_entry *context;

	scoped_guard(spinlock, &iommu->lock) {
		context = iommu_context_addr(iommu, PCI_BUS_NUM(rid),
					     rid & 0xff, 0);
		if (!context || !context_present(context))
			return;
		context_clear_present(context);
		__iommu_flush_cache(iommu, context, sizeof(*context));
	}

	iommu->flush.flush_context(iommu, did, rid, DMA_CCMD_MASK_NOBIT,
				   DMA_CCMD_DEVICE_INVL);
	if (sm_supported(iommu)) {
		qi_flush_pasid_cache(iommu, did, QI_PC_ALL_PASIDS, 0);
		qi_flush_piotlb_all(iommu, did, IOMMU_NO_PASID);
	}
	iommu->flush.flush_iotlb(iommu, did, 0, 0, DMA_TLB_DSI_FLUSH);

	context_clear_entry(context);
	__iommu_flush_cache(iommu, context, sizeof(*context));
}

/**
 * intel_lu_drop - Take an entry away that no device was attached with.
 * @entry: Its record.
 *
 * Context: Process context. There is no device for it.
 */
void intel_lu_drop(const struct iommu_entry_ser *entry)
{
	struct intel_iommu *iommu = find_unit(entry->unit);
	struct intel_lu_adopted *adopted;

	if (!iommu || !iommu->liveupdate)
		return;
	adopted = xa_erase(&iommu->liveupdate->adopted, entry->rid);
	if (!adopted)
		return;

	clear_entry(iommu, entry->rid, entry->domain_id);
	put_table(adopted->table);
	kfree(adopted);
}

/**
 * intel_lu_take_pasid_table - Give a device the PASID table that it came with.
 * @dev: The device, in scalable mode, without one.
 *
 * Context: Process context, probe of @dev.
 * Return: 1 when it came with one, and has it now; 0 when it did not; -ENOMEM.
 */
int intel_lu_take_pasid_table(struct device *dev)
{
	struct device_domain_info *info = dev_iommu_priv_get(dev);
	struct intel_lu_unit *unit = info->iommu->liveupdate;
	struct intel_lu_adopted *adopted;
	struct pasid_table *table;

	if (!unit)
		return 0;
	adopted = xa_load(&unit->adopted, PCI_DEVID(info->bus, info->devfn));
	if (!adopted || adopted->table->taken)
		return 0;

	table = kmemdup(&adopted->table->table, sizeof(*table), GFP_KERNEL);
	if (!table)
		return -ENOMEM;
	adopted->table->taken = true;
	info->pasid_table = table;

	return 1;
}

struct take_arg {
	struct intel_lu_unit *unit;
	struct iommu_domain *domain;
	unsigned int found;
	unsigned int other;
};

static int count_rid(u16 rid, void *arg)
{
	struct take_arg *ta = arg;
	struct intel_lu_adopted *adopted = xa_load(&ta->unit->adopted, rid);

	ta->found += !!adopted;
	ta->other += !adopted || adopted->domain != ta->domain;

	return 0;
}

static int take_rid(u16 rid, void *arg)
{
	struct take_arg *ta = arg;
	struct intel_lu_adopted *adopted = xa_erase(&ta->unit->adopted, rid);

	if (adopted)
		put_table(adopted->table);
	kfree(adopted);

	return 0;
}

/**
 * intel_lu_take - Attach a device with the entries that it came with.
 * @dev:    The device.
 * @domain: Where they have to lead. NULL for wherever they do, with the intent to
 *          take them away next.
 *
 * Hardware is not touched. When true is returned the entries in hardware are
 * @dev's, and the caller notes what it is attached to.
 *
 * Context: Process context with the group's mutex held.
 * Return: Whether there are such entries: for all its requester IDs, or for any
 *         when @domain is NULL.
 */
bool intel_lu_take(struct device *dev, struct iommu_domain *domain)
{
	struct device_domain_info *info = dev_iommu_priv_get(dev);
	struct take_arg ta = { .unit = info->iommu->liveupdate };

	if (!ta.unit || xa_empty(&ta.unit->adopted) || !dev_is_pci(dev) ||
	    dev_is_real_dma_subdevice(dev))
		return false;

	if (domain && domain->type != IOMMU_DOMAIN_IDENTITY)
		ta.domain = domain;
	intel_lu_walk_rids(dev, count_rid, &ta);
	if (!ta.found || (domain && ta.other))
		return false;
	intel_lu_walk_rids(dev, take_rid, &ta);

	return true;
}

static int intel_lu_link(struct dmar_domain *domain, struct device *dev)
{
	struct device_domain_info *info = dev_iommu_priv_get(dev);
	int ret;

	info->domain_attached = true;
	ret = domain_attach_iommu(domain, info->iommu);
	if (ret)
		goto err_block;

	info->domain = domain;
	scoped_guard(spinlock_irqsave, &domain->lock)
		list_add(&info->link, &domain->devices);
	/* scalable mode does so for all devices, when their probe is over */
	if (!sm_supported(info->iommu))
		iommu_enable_pci_ats(info);
	ret = cache_tag_assign_domain(domain, dev, IOMMU_NO_PASID);
	if (!ret)
		return 0;

err_block:
	device_block_translation(dev);
	return ret;
}

static int intel_lu_attach_dev(struct iommu_domain *domain, struct device *dev,
			       struct iommu_domain *old)
{
	if (!iommu_liveupdate_came_with(dev, domain))
		return -EINVAL;
	if (intel_lu_take(dev, domain))
		return intel_lu_link(to_dmar_domain(domain), dev);

	/* back again, as after a reset */
	return intel_iommu_attach_device(domain, dev, old);
}

const struct iommu_domain_ops intel_lu_domain_ops = {
	IOMMU_PT_DOMAIN_OPS(vtdss),
	.attach_dev = intel_lu_attach_dev,
	.free = iommu_liveupdate_put_domain,
};
