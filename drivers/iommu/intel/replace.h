/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Change the domain of a device without a gap in translation.
 */
#ifndef __INTEL_REPLACE_H
#define __INTEL_REPLACE_H

#include <linux/generic_pt/iommu.h>
#include <linux/iommu.h>
#include <linux/types.h>

#include "iommu.h"

bool intel_iommu_replace_supported(void);
bool intel_iommu_entry_exchange(void *entry, const void *old, const void *new);
bool intel_context_successor(const struct context_entry *cur,
			     const struct pt_iommu_vtdss_hw_info *pt, u16 did,
			     struct context_entry *new);
int intel_iommu_replace_domain(struct dmar_domain *domain, struct device *dev,
			       struct iommu_domain *old);

#endif /* __INTEL_REPLACE_H */
