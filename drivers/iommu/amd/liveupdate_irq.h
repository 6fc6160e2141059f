/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Interrupt remapping that stays on while the kernel is replaced.
 */
#ifndef AMD_IOMMU_LIVEUPDATE_IRQ_H
#define AMD_IOMMU_LIVEUPDATE_IRQ_H

#include <linux/types.h>

struct amd_iommu;
struct irte_ga;

#if defined(CONFIG_IOMMU_LIVEUPDATE) && defined(CONFIG_IRQ_REMAP)

bool amd_irq_lu_irte_sane(const struct irte_ga *irte);
void amd_irq_lu_silence(struct irte_ga *irte, u32 apicid);

void amd_irq_lu_follow_hardware(struct amd_iommu *iommu);
bool amd_irq_lu_is_kept(struct amd_iommu *iommu, u16 rid);
void amd_irq_lu_shutdown(struct amd_iommu *iommu);
void amd_irq_lu_adopt(struct amd_iommu *iommu);
void amd_irq_lu_switched(void);

#else

static inline void amd_irq_lu_follow_hardware(struct amd_iommu *iommu) { }

static inline bool amd_irq_lu_is_kept(struct amd_iommu *iommu, u16 rid)
{
	return false;
}

static inline void amd_irq_lu_shutdown(struct amd_iommu *iommu) { }
static inline void amd_irq_lu_adopt(struct amd_iommu *iommu) { }
static inline void amd_irq_lu_switched(void) { }

#endif
#endif /* AMD_IOMMU_LIVEUPDATE_IRQ_H */
