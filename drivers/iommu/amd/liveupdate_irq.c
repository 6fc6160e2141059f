// SPDX-License-Identifier: GPL-2.0
/*
 * liveupdate_irq.c - interrupt remapping that stays on while the kernel is
 *		      replaced
 */

#define pr_fmt(fmt) "AMD-Vi: live update: " fmt

/**
 * DOC: Interrupt remapping in a live update
 *
 * An entry of the device table says where the interrupts of a requester ID go: to
 * a table of its own, nowhere, or past remapping. Of an IOMMU that stays on, those
 * of preserved functions find their table at any time; all others go nowhere.
 *
 * Outgoing kernel:
 *
 * - PREPARE keeps the tables of preserved functions with KHO, and REBOOT those that
 *   came later. They stay in use and may change. CANCEL undoes that.
 * - amd_irq_lu_shutdown(), when all other CPUs are stopped: every entry leads to a
 *   vector that nobody listens to, on the CPU that boots. The old vector means
 *   another interrupt in the incoming kernel, or none, and its CPU may not run yet.
 *
 * Incoming kernel:
 *
 * - amd_irq_lu_follow_hardware(), before a mode is chosen: entries have 128 bits, or
 *   32. That cannot be changed with remapping on. Whether an entry has room for an
 *   x2APIC's ID needs no such care: the driver uses it whenever the IOMMU can, also
 *   with nox2apic.
 * - amd_irq_lu_adopt() copies the tables of functions that the records of
 *   IOMMU_LIVEUPDATE_NAME name, before the device table is switched. Copied are
 *   entries that an ordinary device interrupt can have. The new tables are the
 *   functions' own from then on. amd_irq_lu_switched() frees the old ones.
 * - Copied entries are reserved. No interrupt of this kernel uses them. They keep
 *   messages from becoming faults: those under way, and those of a function that
 *   cannot mask its MSI. They lead to where nobody listens, whatever they said.
 * - FINISH frees them. Until they are used again they block.
 *
 * Unhappy paths: a table that has another size, or was not handed over, is not
 * copied. The interrupts of its function go nowhere until they are set up anew, and
 * a message says so. An IOMMU without 128-bit entries: -EOPNOTSUPP.
 *
 * Locks: boot is single threaded; events of an update come one at a time.
 * &irq_remap_table.lock is around entries, as everywhere.
 */

#include <linux/bitmap.h>
#include <linux/dev_liveupdate.h>
#include <linux/err.h>
#include <linux/io.h>
#include <linux/kexec_handover.h>
#include <linux/list.h>
#include <linux/liveupdate_host.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/xarray.h>

#include <asm/apicdef.h>
#include <asm/irq_remapping.h>
#include <asm/irq_vectors.h>

#include "../iommu-pages.h"
#include "../iommu-priv.h"
#include "../irq_remapping.h"
#include "../liveupdate.h"
#include "amd_iommu.h"
#include "liveupdate.h"
#include "liveupdate_irq.h"

/**
 * struct ir_adopted - A table that stands for an old one.
 * @list:  In ir_adopted.
 * @iommu: Its IOMMU.
 * @rid:   A requester ID that uses it.
 * @old:   The old table.
 * @table: The new one.
 * @kept:  Its copied entries.
 */
struct ir_adopted {
	struct list_head list;
	struct amd_iommu *iommu;
	u16 rid;
	phys_addr_t old;
	struct irq_remap_table *table;
	DECLARE_BITMAP(kept, MAX_IRQS_PER_TABLE_2K);
};

static LIST_HEAD(ir_adopted);

/* Outgoing: devices whose tables stay, referenced; by segment and requester ID. */
static DEFINE_XARRAY(ir_kept);
/* Outgoing: tables that are kept, by page frame number. */
static DEFINE_XARRAY(ir_tables);

static unsigned int ir_nr_entries(void)
{
	return FEATURE_NUM_INT_REMAP_SUP_2K(amd_iommu_efr2) ?
	       MAX_IRQS_PER_TABLE_2K : MAX_IRQS_PER_TABLE_512;
}

static size_t ir_size(void)
{
	return ir_nr_entries() * sizeof(struct irte_ga);
}

/**
 * amd_irq_lu_irte_sane - Can an entry be that of a device's interrupt?
 * @irte: The entry, written by the outgoing kernel.
 *
 * Context: Any.
 * Return: Whether it can.
 */
bool amd_irq_lu_irte_sane(const struct irte_ga *irte)
{
	u8 vector = irte->hi.fields.vector;

	return irte->lo.fields_remap.valid && !irte->lo.fields_remap.guest_mode &&
	       irte->lo.fields_remap.int_type == APIC_DELIVERY_MODE_FIXED &&
	       !irte->lo.fields_remap.rq_eoi && !irte->lo.fields_remap.ga_tag &&
	       !irte->hi.fields.rsvd_1 && !irte->hi.fields.rsvd_2 &&
	       !irte->hi.fields.ga_root_ptr &&
	       (vector == X86_PLATFORM_IPI_VECTOR ||
		(vector >= FIRST_EXTERNAL_VECTOR &&
		 vector < FIRST_SYSTEM_VECTOR &&
		 vector != IA32_SYSCALL_VECTOR));
}

/**
 * amd_irq_lu_silence - Let an entry lead to where nobody listens.
 * @irte:   The entry.
 * @apicid: The CPU that gets the messages.
 *
 * The vector is that of a platform's IPI, whose handler only acknowledges it;
 * the few platforms that have a timer there look at it in vain.
 *
 * Context: Any.
 */
void amd_irq_lu_silence(struct irte_ga *irte, u32 apicid)
{
	irte->lo.val = 0;
	irte->hi.val = 0;
	irte->lo.fields_remap.valid = 1;
	irte->lo.fields_remap.int_type = APIC_DELIVERY_MODE_FIXED;
	irte->lo.fields_remap.destination = APICID_TO_IRTE_DEST_LO(apicid);
	irte->hi.fields.destination = APICID_TO_IRTE_DEST_HI(apicid);
	irte->hi.fields.vector = X86_PLATFORM_IPI_VECTOR;
}

/**
 * amd_irq_lu_follow_hardware - Use the size of entries that an IOMMU has.
 * @iommu: An IOMMU that stays on.
 *
 * Context: Boot, single threaded, before the IOMMU is set up.
 */
void amd_irq_lu_follow_hardware(struct amd_iommu *iommu)
{
	u64 control = readq(iommu->mmio_base + MMIO_CONTROL_OFFSET);

	if (control & BIT_ULL(CONTROL_GA_EN))
		return;
	if (AMD_IOMMU_GUEST_IR_GA(amd_iommu_guest_ir))
		pr_warn("entries of interrupts stay small over the live update\n");
	amd_iommu_guest_ir = AMD_IOMMU_GUEST_IR_LEGACY;
}

/* --- Outgoing kernel */

static int keep_table(struct irq_remap_table *table)
{
	unsigned long pfn = PHYS_PFN(virt_to_phys(table->table));
	int ret;

	ret = xa_insert(&ir_tables, pfn, table, GFP_KERNEL);
	if (ret)
		return ret == -EBUSY ? 0 : ret;
	ret = iommu_pages_preserve(table->table);
	if (ret)
		xa_erase(&ir_tables, pfn);

	return ret;
}

static int keep_rid(u16 rid, void *arg)
{
	struct device *dev = arg;
	struct amd_iommu *iommu = get_amd_iommu_from_dev(dev);
	struct amd_iommu_pci_seg *pci_seg = iommu->pci_seg;
	struct irq_remap_table *table;
	u32 sbdf = PCI_SEG_DEVID_TO_SBDF(pci_seg->id, rid);
	void *old;
	int ret;

	if (rid > pci_seg->last_bdf)
		return 0;
	table = pci_seg->irq_lookup_table[rid];
	if (!table)
		return 0;
	ret = keep_table(table);
	if (ret)
		return ret;

	old = xa_store(&ir_kept, sbdf, dev, GFP_KERNEL);
	if (!old)
		get_device(dev);

	return xa_err(old);
}

static bool is_ours(struct device *dev)
{
	return dev->iommu_group && dev->iommu && dev->iommu->iommu_dev &&
	       dev_iommu_ops(dev) == &amd_iommu_ops;
}

static int keep_device(struct device *dev, void *arg)
{
	int ret;

	if (!dev_liveupdate_preserved(dev) || !is_ours(dev))
		return 0;
	if (!AMD_IOMMU_GUEST_IR_GA(amd_iommu_guest_ir)) {
		dev_err(dev, "cannot be kept over a live update: its IOMMU has small entries for interrupts\n");
		return -EOPNOTSUPP;
	}

	ret = amd_lu_walk_rids(dev, keep_rid, dev);
	if (ret)
		dev_err(dev, "its interrupt remapping table cannot be kept (%pe); free some memory and try again\n",
			ERR_PTR(ret));

	return ret;
}

static void ir_lu_cancel(struct liveupdate_subsystem *sub)
{
	struct irq_remap_table *table;
	struct device *dev;
	unsigned long i;

	xa_for_each(&ir_tables, i, table)
		iommu_pages_unpreserve(table->table);
	xa_destroy(&ir_tables);
	xa_for_each(&ir_kept, i, dev)
		put_device(dev);
	xa_destroy(&ir_kept);
}

static int ir_lu_prepare(struct liveupdate_subsystem *sub)
{
	int ret;

	if (!amd_iommu_irq_remap)
		return 0;

	ret = bus_for_each_dev(&pci_bus_type, NULL, NULL, keep_device);
	if (ret)
		ir_lu_cancel(sub);

	return ret;
}

static int ir_lu_reboot(struct liveupdate_subsystem *sub)
{
	if (!amd_iommu_irq_remap)
		return 0;

	return bus_for_each_dev(&pci_bus_type, NULL, NULL, keep_device);
}

/**
 * amd_irq_lu_is_kept - Whether interrupts of a requester ID go on being remapped.
 * @iommu: Its IOMMU.
 * @rid:   The requester ID.
 *
 * Context: Shutdown.
 * Return: Whether they do.
 */
bool amd_irq_lu_is_kept(struct amd_iommu *iommu, u16 rid)
{
	u32 sbdf = PCI_SEG_DEVID_TO_SBDF(iommu->pci_seg->id, rid);
	struct device *dev = xa_load(&ir_kept, sbdf);

	return dev && dev_liveupdate_frozen(dev);
}

/* Hardware may read an entry between its halves: the second one validates it. */
static void silence_table(struct irq_remap_table *table, u32 apicid)
{
	struct irte_ga *irte = (struct irte_ga *)table->table;
	struct irte_ga silent;
	unsigned int i;

	amd_irq_lu_silence(&silent, apicid);
	for (i = 0; i < ir_nr_entries(); i++) {
		if (!irte[i].lo.fields_remap.valid)
			continue;
		WRITE_ONCE(irte[i].lo.val, 0);
		WRITE_ONCE(irte[i].hi.val, silent.hi.val);
		WRITE_ONCE(irte[i].lo.val, silent.lo.val);
	}
}

/**
 * amd_irq_lu_shutdown - Let nothing hit a vector of the incoming kernel.
 * @iommu: An IOMMU that stays on. The caller flushes.
 *
 * Context: Shutdown; no other CPU runs, this one takes no interrupts, and is the
 *	    one that boots.
 */
void amd_irq_lu_shutdown(struct amd_iommu *iommu)
{
	u32 apicid = cpu_physical_id(smp_processor_id());
	struct irq_remap_table *table;
	unsigned long pfn;

	xa_for_each(&ir_tables, pfn, table)
		silence_table(table, apicid);
}

/* --- Incoming kernel */

static int ir_open_records(struct iommu_lu_view *view)
{
	const void *payload;
	size_t len;

	payload = liveupdate_payload_get(IOMMU_LIVEUPDATE_NAME,
					 IOMMU_LIVEUPDATE_COMPATIBLE, &len);
	if (IS_ERR(payload))
		return PTR_ERR(payload);

	view->preserved = kho_is_preserved;
	return iommu_lu_open(view, payload, len);
}

static struct ir_adopted *find_adopted(phys_addr_t old)
{
	struct ir_adopted *adopted;

	list_for_each_entry(adopted, &ir_adopted, list) {
		if (adopted->old == old)
			return adopted;
	}

	return NULL;
}

static void copy_entries(struct ir_adopted *adopted)
{
	const struct irte_ga *old = phys_to_virt(adopted->old);
	struct irte_ga *new = (struct irte_ga *)adopted->table->table;
	struct irte_ga irte;
	unsigned int i;

	for (i = 0; i < ir_nr_entries(); i++) {
		irte = old[i];
		if (!amd_irq_lu_irte_sane(&irte))
			continue;
		amd_irq_lu_silence(&new[i], cpu_physical_id(0));
		__set_bit(i, adopted->kept);
	}
}

static struct ir_adopted *make_adopted(struct amd_iommu *iommu, u16 rid,
				       phys_addr_t old)
{
	struct ir_adopted *adopted = kzalloc_obj(*adopted);

	if (!adopted)
		return NULL;
	adopted->table = amd_iommu_alloc_irq_table(NUMA_NO_NODE, ir_size());
	if (!adopted->table) {
		kfree(adopted);
		return NULL;
	}
	adopted->iommu = iommu;
	adopted->rid = rid;
	adopted->old = old;
	copy_entries(adopted);
	list_add_tail(&adopted->list, &ir_adopted);

	return adopted;
}

static bool handed_over(phys_addr_t pa)
{
	phys_addr_t start;
	unsigned int order;

	return kho_find_preserved(pa, &start, &order) && start == pa &&
	       PAGE_SIZE << order >= ir_size();
}

/* Returns what stands against it, or NULL. */
static const char *adopt_rid(struct amd_iommu *iommu, u16 rid)
{
	u64 len = ir_nr_entries() == MAX_IRQS_PER_TABLE_2K ? DTE_INTTABLEN_2K :
							     DTE_INTTABLEN_512;
	struct amd_iommu_pci_seg *pci_seg = iommu->pci_seg;
	struct ir_adopted *adopted;
	struct dev_table_entry dte;
	phys_addr_t old;

	if (amd_lu_old_entry(iommu, rid, &dte) ||
	    pci_seg->irq_lookup_table[rid])
		return NULL;
	old = dte.data[2] & DTE_IRQ_PHYS_ADDR_MASK;
	/* it had none set up */
	if (!old)
		return NULL;
	if ((dte.data[2] & ~DTE_IRQ_PHYS_ADDR_MASK & DTE_DATA2_INTR_MASK) !=
	    (DTE_IRQ_REMAP_INTCTL | len | DTE_IRQ_REMAP_ENABLE))
		return "its table has another size or mode";
	if (!handed_over(old))
		return "its table was not handed over";
	adopted = find_adopted(old) ?: make_adopted(iommu, rid, old);
	if (!adopted)
		return "there is no memory";

	pci_seg->irq_lookup_table[rid] = adopted->table;
	pci_seg->dev_table[rid].data[2] =
		iommu_virt_to_phys(adopted->table->table) |
		DTE_IRQ_REMAP_INTCTL | len | DTE_IRQ_REMAP_ENABLE;

	return NULL;
}

static void adopt_or_say(struct amd_iommu *iommu, u16 rid)
{
	const char *why = adopt_rid(iommu, rid);

	if (why)
		pr_err("interrupts of %04x:%02x:%02x.%d may be lost: %s\n",
		       iommu->pci_seg->id, PCI_BUS_NUM(rid), PCI_SLOT(rid),
		       PCI_FUNC(rid), why);
}

/**
 * amd_irq_lu_adopt - Take over the interrupts of preserved devices.
 * @iommu: An IOMMU that stays on, whose new device table is not in place yet.
 *
 * Context: Boot, single threaded. May sleep.
 */
void amd_irq_lu_adopt(struct amd_iommu *iommu)
{
	u16 segment = iommu->pci_seg->id;
	const struct iommu_entry_ser *entry;
	struct iommu_lu_view view;
	u32 i;

	if (!amd_iommu_irq_remap || ir_open_records(&view))
		return;

	for (i = 0; i < view.head->nr_functions; i++) {
		if (view.functions[i].segment == segment &&
		    !iommu_lu_check_function(&view, i))
			adopt_or_say(iommu, view.functions[i].bdf);
	}
	for (i = 0; i < view.head->nr_entries; i++) {
		entry = &view.entries[i];
		if (entry->unit == iommu->mmio_phys &&
		    entry->segment == segment &&
		    !iommu_lu_check_entry(&view, i) &&
		    !iommu_lu_check_function(&view, entry->function))
			adopt_or_say(iommu, entry->rid);
	}
}

/**
 * amd_irq_lu_switched - Free the tables of the outgoing kernel.
 *
 * Context: The IOMMUs use others, and have nothing of the old ones cached.
 */
void amd_irq_lu_switched(void)
{
	struct ir_adopted *adopted;

	list_for_each_entry(adopted, &ir_adopted, list)
		iommu_free_pages(iommu_pages_restore(adopted->old));
}

static void drop_kept(struct ir_adopted *adopted)
{
	struct irq_remap_table *table = adopted->table;
	struct irte_ga *irte = (struct irte_ga *)table->table;
	unsigned int i;

	scoped_guard(raw_spinlock_irqsave, &table->lock) {
		for_each_set_bit(i, adopted->kept, MAX_IRQS_PER_TABLE_2K) {
			WRITE_ONCE(irte[i].lo.val, 0);
			WRITE_ONCE(irte[i].hi.val, 0);
		}
	}
	amd_iommu_flush_irt_and_complete(adopted->iommu, adopted->rid);
}

static void ir_lu_finish(struct liveupdate_subsystem *sub)
{
	struct ir_adopted *adopted, *next;

	list_for_each_entry_safe(adopted, next, &ir_adopted, list) {
		drop_kept(adopted);
		list_del(&adopted->list);
		kfree(adopted);
	}
}

static const struct liveupdate_subsystem_ops ir_lu_ops = {
	.prepare = ir_lu_prepare,
	.reboot = ir_lu_reboot,
	.cancel = ir_lu_cancel,
	.finish = ir_lu_finish,
};

/* Hands over nothing by itself: the device table leads to the tables. */
static struct liveupdate_subsystem ir_lu_subsystem = {
	.name = "amd-ir",
	.prio = LIVEUPDATE_PRIO_AFTER_DEVICES,
	.ops = &ir_lu_ops,
	.owner = THIS_MODULE,
};

static int __init ir_lu_init(void)
{
	int ret = liveupdate_register_subsystem(&ir_lu_subsystem);

	return ret == -EOPNOTSUPP ? 0 : ret;
}
subsys_initcall(ir_lu_init);
