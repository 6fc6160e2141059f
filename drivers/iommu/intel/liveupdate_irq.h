/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Interrupt remapping that stays on while the kernel is replaced.
 */
#ifndef __INTEL_LIVEUPDATE_IRQ_H
#define __INTEL_LIVEUPDATE_IRQ_H

#include <linux/types.h>

struct intel_iommu;
struct iommu_lu_view;
struct irte;

#ifdef CONFIG_IOMMU_LIVEUPDATE

bool intel_irq_lu_irte_sane(const struct irte *irte);
void intel_irq_lu_silence(struct irte *irte, u32 apicid, int eim);
void intel_irq_lu_rids(const struct iommu_lu_view *view, u16 segment, u64 unit,
		       unsigned long *rids);

int intel_irq_lu_eim(struct intel_iommu *iommu, int eim);
bool intel_irq_lu_adopt(struct intel_iommu *iommu, int eim,
			phys_addr_t *old_table);
void intel_irq_lu_release(phys_addr_t old_table);
void intel_irq_lu_shutdown(struct intel_iommu *iommu);
void intel_irq_lu_teardown(struct intel_iommu *iommu);

#else /* CONFIG_IOMMU_LIVEUPDATE */

static inline int intel_irq_lu_eim(struct intel_iommu *iommu, int eim)
{
	return eim;
}

static inline bool intel_irq_lu_adopt(struct intel_iommu *iommu, int eim,
				      phys_addr_t *old_table)
{
	return false;
}

static inline void intel_irq_lu_release(phys_addr_t old_table) { }
static inline void intel_irq_lu_teardown(struct intel_iommu *iommu) { }

#endif /* CONFIG_IOMMU_LIVEUPDATE */
#endif /* __INTEL_LIVEUPDATE_IRQ_H */
