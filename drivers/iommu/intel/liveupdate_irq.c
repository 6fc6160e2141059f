// SPDX-License-Identifier: GPL-2.0
/*
 * liveupdate_irq.c - interrupt remapping that stays on while the kernel is
 *		      replaced
 */

#define pr_fmt(fmt)	"DMAR-IR: " fmt

/**
 * DOC: Interrupt remapping in a live update
 *
 * A unit that remaps interrupts goes on doing so from one kernel to the next.
 * Messages of a preserved function find their entry at any time; those of any
 * other device are blocked as soon as the incoming kernel has a table.
 *
 * Outgoing kernel:
 *
 * - PREPARE keeps the table of each unit with KHO. It stays in use and may
 *   change; the incoming kernel reads it where it is. A unit that does not do
 *   what the driver set up is -EOPNOTSUPP.
 * - CANCEL, and the removal of a unit, undo that. Nothing turns remapping off
 *   on the way to a kexec.
 * - intel_irq_lu_shutdown(), when all other CPUs are stopped: every entry leads to
 *   a vector that nobody listens to, on the CPU that boots. The old vector means
 *   another interrupt in the incoming kernel, or none, and its CPU may not run
 *   yet; this one is there before that kernel takes any interrupt.
 *
 * Incoming kernel:
 *
 * - intel_irq_lu_eim(), before the mode is chosen: a unit in xAPIC mode keeps
 *   it, because EIME cannot be changed with remapping on.
 * - intel_irq_lu_adopt() fills the new table of a unit, once the queue of the
 *   outgoing kernel is drained and replaced, which needs no gap. Copied are
 *   entries that an ordinary device interrupt can have, of requester IDs that
 *   the records of IOMMU_LIVEUPDATE_NAME name. Posted entries are dropped: the
 *   unit would write to descriptors of the outgoing kernel. The caller then
 *   changes the table pointer with remapping on, which invalidates the cache
 *   of entries, and intel_irq_lu_release() frees the old table.
 * - Copied entries are reserved. No interrupt of this kernel uses them. They
 *   keep messages from becoming faults: those under way, and those of a function
 *   that cannot mask its MSI, which sends the old one until its owner has set
 *   interrupts up. They lead to where nobody listens, whatever they said.
 * - FINISH frees them. Until they are used again they block without a fault, for
 *   functions whose owner has not set interrupts up by then.
 *
 * Unhappy paths: without records nothing is believed, and the unit starts
 * anew, with remapping off for a moment. So it does, with a message, when the
 * table has another size, was not handed over, or is in a mode that this
 * kernel does not use.
 *
 * Locks: units are added and removed under dmar_global_lock. Boot is single
 * threaded; events of an update come one at a time. irq_2_ir_lock is around
 * the entries and the bitmap, as everywhere.
 */

#include <linux/bitmap.h>
#include <linux/dmar.h>
#include <linux/io.h>
#include <linux/kexec_handover.h>
#include <linux/list.h>
#include <linux/liveupdate_host.h>
#include <linux/rwsem.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/spinlock.h>

#include <asm/apicdef.h>
#include <asm/irq_remapping.h>
#include <asm/irq_vectors.h>

#include "iommu.h"
#include "liveupdate_irq.h"
#include "../iommu-pages.h"
#include "../irq_remapping.h"
#include "../liveupdate.h"

#define IR_NR_RIDS	(U16_MAX + 1)

/* Fields of an IRTE that have one value only here. */
#define IRTE_SVT_SID_SQ	1	/* verified by the requester ID, */
#define IRTE_SQ_ALL_16	0	/* all of it */

struct ir_adopted {
	struct list_head list;
	struct intel_iommu *iommu;
	DECLARE_BITMAP(kept, INTR_REMAP_TABLE_ENTRIES);
};

static LIST_HEAD(ir_adopted);

static u64 ir_mode_bit(int eim)
{
	return eim ? INTR_REMAP_TABLE_REG_EIME : 0;
}

static bool ir_is_on(struct intel_iommu *iommu)
{
	return readl(iommu->reg + DMAR_GSTS_REG) & DMA_GSTS_IRES;
}

/**
 * intel_irq_lu_irte_sane - Can an entry be that of a device's interrupt?
 * @irte: The entry, written by the outgoing kernel.
 *
 * Context: Any.
 * Return: Whether it can.
 */
bool intel_irq_lu_irte_sane(const struct irte *irte)
{
	/* One of the four bits of r_res0 says that an entry is posted. */
	return irte->present &&
	       irte->dlvry_mode == APIC_DELIVERY_MODE_FIXED &&
	       !irte->r_res0 && !irte->r_res1 && !irte->__res3 &&
	       irte->svt == IRTE_SVT_SID_SQ && irte->sq == IRTE_SQ_ALL_16 &&
	       (irte->vector == X86_PLATFORM_IPI_VECTOR ||
		(irte->vector >= FIRST_EXTERNAL_VECTOR &&
		 irte->vector < FIRST_SYSTEM_VECTOR &&
		 irte->vector != IA32_SYSCALL_VECTOR));
}

/**
 * intel_irq_lu_silence - Let an entry lead to where nobody listens.
 * @irte:   The entry, sane.
 * @apicid: The CPU that gets the messages.
 * @eim:    Whether the unit is in x2APIC mode.
 *
 * The vector is that of a platform's IPI, whose handler only acknowledges it;
 * the few platforms that have a timer there look at it in vain.
 *
 * Context: Any.
 */
void intel_irq_lu_silence(struct irte *irte, u32 apicid, int eim)
{
	irte->vector = X86_PLATFORM_IPI_VECTOR;
	irte->dest_id = eim ? apicid : apicid << 8;
	irte->dst_mode = 0;
	irte->redir_hint = 0;
	irte->trigger_mode = 0;
}

/**
 * intel_irq_lu_rids - Whose interrupts a unit goes on remapping.
 * @view:    The records of the outgoing kernel.
 * @segment: The PCI segment of the unit.
 * @unit:    The physical address of its registers.
 * @rids:    IR_NR_RIDS bits, in which those of preserved functions are set.
 *
 * A function that does no DMA has no entry, so that its unit is not known. But
 * within a segment only one unit has interrupts of it.
 *
 * Context: Any.
 */
void intel_irq_lu_rids(const struct iommu_lu_view *view, u16 segment, u64 unit,
		       unsigned long *rids)
{
	const struct iommu_entry_ser *entry;
	u32 i;

	for (i = 0; i < view->head->nr_functions; i++) {
		if (view->functions[i].segment == segment &&
		    !iommu_lu_check_function(view, i))
			__set_bit(view->functions[i].bdf, rids);
	}

	for (i = 0; i < view->head->nr_entries; i++) {
		entry = &view->entries[i];
		if (entry->unit == unit && entry->segment == segment &&
		    !iommu_lu_check_entry(view, i) &&
		    !iommu_lu_check_function(view, entry->function))
			__set_bit(entry->rid, rids);
	}
}

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

static const char *ir_obstacle(u64 irta, int eim)
{
	if ((irta & INTR_REMAP_TABLE_REG_SIZE_MASK) !=
	    INTR_REMAP_TABLE_REG_SIZE)
		return "its table has another size";
	if ((irta & INTR_REMAP_TABLE_REG_EIME) != ir_mode_bit(eim))
		return "it was in x2apic mode; do not turn that off on the command line";
	if (!kho_is_preserved(irta & VTD_PAGE_MASK, SZ_1M))
		return "its table was not handed over";

	return NULL;
}

static unsigned int ir_copy(struct intel_iommu *iommu, int eim,
			    const struct irte *old, const unsigned long *rids,
			    unsigned long *kept)
{
	struct ir_table *table = iommu->ir_table;
	unsigned int i, count = 0;
	struct irte irte;

	for (i = 0; i < INTR_REMAP_TABLE_ENTRIES; i++) {
		irte = old[i];
		if (!intel_irq_lu_irte_sane(&irte) || !test_bit(irte.sid, rids))
			continue;

		intel_irq_lu_silence(&irte, cpu_physical_id(0), eim);
		table->base[i] = irte;
		__set_bit(i, table->bitmap);
		__set_bit(i, kept);
		count++;
	}
	__iommu_flush_cache(iommu, table->base, SZ_1M);

	return count;
}

static int ir_fill(struct intel_iommu *iommu, int eim,
		   const struct iommu_lu_view *view, const struct irte *old)
{
	unsigned long *rids __free(bitmap) = bitmap_zalloc(IR_NR_RIDS,
							   GFP_KERNEL);
	struct ir_adopted *adopted = kzalloc_obj(*adopted);
	unsigned int count;

	if (!rids || !adopted) {
		kfree(adopted);
		return -ENOMEM;
	}

	intel_irq_lu_rids(view, iommu->segment, iommu->reg_phys, rids);
	count = ir_copy(iommu, eim, old, rids, adopted->kept);
	pr_info("%s: stays on, with %u entries of preserved devices\n",
		iommu->name, count);
	if (!count) {
		kfree(adopted);
		return 0;
	}

	adopted->iommu = iommu;
	list_add_tail(&adopted->list, &ir_adopted);

	return 0;
}

/**
 * intel_irq_lu_eim - The mode of interrupt remapping that an update allows.
 * @iommu: A unit.
 * @eim:   The mode that this kernel would choose.
 *
 * Context: Boot, single threaded.
 * Return: @eim, or 0 when the unit has interrupts of preserved devices and was
 *         in xAPIC mode.
 */
int intel_irq_lu_eim(struct intel_iommu *iommu, int eim)
{
	struct iommu_lu_view view;
	u64 irta;

	if (!eim || !ir_is_on(iommu) || ir_open_records(&view))
		return eim;

	irta = readq(iommu->reg + DMAR_IRTA_REG);
	if (irta & INTR_REMAP_TABLE_REG_EIME)
		return eim;

	pr_info("%s: stays in xapic mode over the live update\n", iommu->name);
	return 0;
}

/**
 * intel_irq_lu_adopt - Take over the entries of preserved devices.
 * @iommu:     A unit that remaps, with a new table that is empty.
 * @eim:       The mode that this kernel uses.
 * @old_table: Set to the table in use, for intel_irq_lu_release() once it no
 *             longer is.
 *
 * Context: Boot, single threaded. May sleep.
 * Return: Whether the new table can be put in place with remapping on.
 */
bool intel_irq_lu_adopt(struct intel_iommu *iommu, int eim,
			phys_addr_t *old_table)
{
	u64 irta = readq(iommu->reg + DMAR_IRTA_REG);
	struct iommu_lu_view view;
	const char *why;

	if (ir_open_records(&view))
		return false;

	why = ir_obstacle(irta, eim);
	if (!why && ir_fill(iommu, eim, &view,
			    phys_to_virt(irta & VTD_PAGE_MASK)))
		why = "there is no memory";
	if (why) {
		pr_err("%s: remapping starts anew, interrupts of preserved devices may be lost: %s\n",
		       iommu->name, why);
		return false;
	}

	*old_table = irta & VTD_PAGE_MASK;
	return true;
}

/**
 * intel_irq_lu_release - Free the table of the outgoing kernel.
 * @old_table: Its address, or 0.
 *
 * Context: The unit uses another one, and has nothing of the old one cached.
 */
void intel_irq_lu_release(phys_addr_t old_table)
{
	if (old_table)
		kho_restore_free(phys_to_virt(old_table));
}

/**
 * intel_irq_lu_shutdown - Let nothing hit a vector of the incoming kernel.
 * @iommu: A unit. Nothing happens unless its table is handed over.
 *
 * Context: Shutdown; no other CPU runs, this one takes no interrupts, and is the
 *	    one that boots.
 */
void intel_irq_lu_shutdown(struct intel_iommu *iommu)
{
	struct ir_table *table = iommu->ir_table;
	u32 apicid = cpu_physical_id(smp_processor_id());
	struct irte irte;
	unsigned int i;
	int eim;

	if (!table || !table->preserved)
		return;

	eim = !!(readq(iommu->reg + DMAR_IRTA_REG) & INTR_REMAP_TABLE_REG_EIME);
	for (i = 0; i < INTR_REMAP_TABLE_ENTRIES; i++) {
		irte = table->base[i];
		if (!intel_irq_lu_irte_sane(&irte))
			continue;
		intel_irq_lu_silence(&irte, apicid, eim);
		WRITE_ONCE(table->base[i].low, irte.low);
	}
	__iommu_flush_cache(iommu, table->base, SZ_1M);
	qi_global_iec(iommu);
}

static void ir_unpreserve(struct intel_iommu *iommu)
{
	if (!iommu->ir_table || !iommu->ir_table->preserved)
		return;

	iommu_pages_unpreserve(iommu->ir_table->base);
	iommu->ir_table->preserved = false;
}

/**
 * intel_irq_lu_teardown - A unit is about to lose its table.
 * @iommu: The unit.
 *
 * Context: dmar_global_lock is held, or boot is single threaded.
 */
void intel_irq_lu_teardown(struct intel_iommu *iommu)
{
	struct ir_adopted *adopted, *next;

	ir_unpreserve(iommu);
	list_for_each_entry_safe(adopted, next, &ir_adopted, list) {
		if (adopted->iommu != iommu)
			continue;
		list_del(&adopted->list);
		kfree(adopted);
	}
}

static int ir_preserve(struct intel_iommu *iommu)
{
	u64 irta = readq(iommu->reg + DMAR_IRTA_REG);
	int ret;

	if (!ir_is_on(iommu) ||
	    (irta & ~(u64)INTR_REMAP_TABLE_REG_EIME) !=
	    (virt_to_phys(iommu->ir_table->base) | INTR_REMAP_TABLE_REG_SIZE)) {
		pr_err("%s: does not remap interrupts as it was set up to; reboot before an update\n",
		       iommu->name);
		return -EOPNOTSUPP;
	}

	ret = iommu_pages_preserve(iommu->ir_table->base);
	if (ret) {
		pr_err("%s: cannot keep the interrupt remapping table (%pe); free some memory and try again\n",
		       iommu->name, ERR_PTR(ret));
		return ret;
	}
	iommu->ir_table->preserved = true;

	return 0;
}

static void ir_lu_cancel(struct liveupdate_subsystem *sub)
{
	struct dmar_drhd_unit *drhd;
	struct intel_iommu *iommu;

	guard(rwsem_write)(&dmar_global_lock);
	for_each_iommu(iommu, drhd)
		ir_unpreserve(iommu);
}

static int ir_preserve_all(void)
{
	struct dmar_drhd_unit *drhd;
	struct intel_iommu *iommu;
	int ret;

	guard(rwsem_write)(&dmar_global_lock);
	for_each_iommu(iommu, drhd) {
		if (!iommu->ir_table)
			continue;
		ret = ir_preserve(iommu);
		if (ret)
			return ret;
	}

	return 0;
}

static int ir_lu_prepare(struct liveupdate_subsystem *sub)
{
	int ret;

	if (!irq_remapping_enabled)
		return 0;

	ret = ir_preserve_all();
	if (ret)
		ir_lu_cancel(sub);

	return ret;
}

static void ir_drop_kept(struct ir_adopted *adopted)
{
	struct ir_table *table = adopted->iommu->ir_table;
	struct irte blocked = {};
	unsigned int i;

	blocked.fpd = 1;
	scoped_guard(raw_spinlock_irqsave, &irq_2_ir_lock) {
		for_each_set_bit(i, adopted->kept, INTR_REMAP_TABLE_ENTRIES) {
			WRITE_ONCE(table->base[i].low, blocked.low);
			WRITE_ONCE(table->base[i].high, blocked.high);
			__iommu_flush_cache(adopted->iommu, &table->base[i],
					    sizeof(table->base[i]));
		}
		qi_global_iec(adopted->iommu);
		bitmap_andnot(table->bitmap, table->bitmap, adopted->kept,
			      INTR_REMAP_TABLE_ENTRIES);
	}
}

static void ir_lu_finish(struct liveupdate_subsystem *sub)
{
	struct ir_adopted *adopted, *next;

	guard(rwsem_write)(&dmar_global_lock);
	list_for_each_entry_safe(adopted, next, &ir_adopted, list) {
		ir_drop_kept(adopted);
		list_del(&adopted->list);
		kfree(adopted);
	}
}

static const struct liveupdate_subsystem_ops ir_lu_ops = {
	.prepare = ir_lu_prepare,
	.cancel = ir_lu_cancel,
	.finish = ir_lu_finish,
};

/* Hands over nothing by itself: the units' registers lead to the tables. */
static struct liveupdate_subsystem ir_lu_subsystem = {
	.name = "intel-ir",
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
