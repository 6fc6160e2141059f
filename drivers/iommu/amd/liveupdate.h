/* SPDX-License-Identifier: GPL-2.0 */
/*
 * AMD-Vi translation that stays on while the kernel is replaced.
 */
#ifndef AMD_IOMMU_LIVEUPDATE_H
#define AMD_IOMMU_LIVEUPDATE_H

#include <linux/iommu_liveupdate.h>
#include <linux/kho/abi/iommu.h>
#include <linux/types.h>

#include "amd_iommu.h"

/*
 * &struct iommu_entry_ser.words of an AMD IOMMU: the device table entry. What is
 * for interrupts in the third word is left out; see liveupdate_irq.c.
 */
#define AMD_LU_WORDS	4

#ifdef CONFIG_IOMMU_LIVEUPDATE

extern const struct iommu_liveupdate_ops amd_liveupdate_ops;
extern const struct iommu_domain_ops amd_lu_domain_ops;

/* liveupdate.c */
void amd_lu_words(const struct dev_table_entry *dte, u64 *words);
bool amd_lu_words_ok(const u64 *words, const struct dev_table_entry *acpi,
		     u16 domain_id, struct protection_domain *domain);
int amd_lu_walk_rids(struct device *dev, int (*fn)(u16 rid, void *arg),
		     void *arg);
bool amd_lu_shutdown(struct amd_iommu *iommu);

/* liveupdate_adopt.c */
struct iommu_domain *amd_lu_adopt_domain(void *unit,
					 const struct iommu_domain_ser *ser);
void amd_lu_release_domain(struct iommu_domain *domain);
int amd_lu_adopt_entry(void *unit, const struct iommu_entry_ser *entry,
		       struct iommu_domain *domain);
void amd_lu_drop(const struct iommu_entry_ser *entry);
int amd_lu_old_entry(struct amd_iommu *iommu, u16 rid,
		     struct dev_table_entry *dte);
bool amd_lu_is_on(struct amd_iommu *iommu);
bool amd_lu_any_on(void);
bool amd_lu_adopt_log(struct amd_iommu *iommu);
void amd_lu_adopt(void);
void amd_lu_switched(void);
bool amd_lu_take(struct device *dev, struct iommu_domain *domain);
void amd_lu_forget(struct device *dev);

#else /* CONFIG_IOMMU_LIVEUPDATE */

static inline bool amd_lu_shutdown(struct amd_iommu *iommu)
{
	return false;
}

static inline bool amd_lu_is_on(struct amd_iommu *iommu)
{
	return false;
}

static inline bool amd_lu_any_on(void)
{
	return false;
}

static inline bool amd_lu_adopt_log(struct amd_iommu *iommu)
{
	return false;
}

static inline void amd_lu_adopt(void) { }
static inline void amd_lu_switched(void) { }

static inline bool amd_lu_take(struct device *dev, struct iommu_domain *domain)
{
	return false;
}

static inline void amd_lu_forget(struct device *dev) { }

#endif /* CONFIG_IOMMU_LIVEUPDATE */
#endif /* AMD_IOMMU_LIVEUPDATE_H */
