/* SPDX-License-Identifier: GPL-2.0 */
/*
 * VT-d translation that stays on while the kernel is replaced.
 */
#ifndef __INTEL_LIVEUPDATE_H
#define __INTEL_LIVEUPDATE_H

#include <linux/init.h>
#include <linux/iommu_liveupdate.h>
#include <linux/kho/abi/iommu.h>
#include <linux/types.h>
#include <linux/xarray.h>

#include "iommu.h"

/*
 * &struct iommu_entry_ser.words of a VT-d unit: both halves of the context
 * entry; in scalable mode, the PASID table entry of requests without PASID as
 * well.
 */
#define INTEL_LU_CONTEXT	0
#define INTEL_LU_PASID		2

/**
 * struct intel_lu_path - How hardware finds an entry.
 * @context:  The context table.
 * @dir:      In scalable mode, the PASID directory; else 0.
 * @dir_size: Its bytes.
 * @table:    In scalable mode, the PASID table that has the entry; else 0.
 * @words:    The entry.
 */
struct intel_lu_path {
	phys_addr_t context;
	phys_addr_t dir;
	size_t dir_size;
	phys_addr_t table;
	u64 words[IOMMU_LIVEUPDATE_WORDS];
};

/**
 * struct intel_lu_unit - What a unit keeps or has adopted.
 * @kept:    Outgoing: requester IDs whose entries stay; the device of each.
 * @pages:   Outgoing: what is kept with KHO, by page frame number.
 *           Incoming: what of the previous kernel's can go after the switch.
 * @adopted: Incoming: entries that no device was attached with yet, by
 *           requester ID.
 * @incoming: It has entries of the previous kernel.
 */
struct intel_lu_unit {
	struct xarray kept;
	struct xarray pages;
	struct xarray adopted;
	bool incoming;
};

#ifdef CONFIG_IOMMU_LIVEUPDATE

extern const struct iommu_liveupdate_ops intel_liveupdate_ops;

/* liveupdate.c */
struct intel_lu_unit *intel_lu_unit_get(struct intel_iommu *iommu);
int intel_lu_walk(struct intel_iommu *iommu, phys_addr_t root, u16 rid,
		  bool (*ok)(phys_addr_t pa, size_t size),
		  struct intel_lu_path *path);
bool intel_lu_entry_ok(struct intel_iommu *iommu, const u64 *words,
		       u16 domain_id, struct dmar_domain *domain);
int intel_lu_walk_rids(struct device *dev, int (*fn)(u16 rid, void *arg),
		       void *arg);
bool intel_lu_shutdown(struct intel_iommu *iommu);

/* liveupdate_adopt.c */
struct iommu_domain *intel_lu_adopt_domain(void *unit,
					   const struct iommu_domain_ser *ser);
void intel_lu_release_domain(struct iommu_domain *domain);
int intel_lu_adopt_entry(void *unit, const struct iommu_entry_ser *entry,
			 struct iommu_domain *domain);
void intel_lu_drop(const struct iommu_entry_ser *entry);
bool intel_lu_is_on(struct intel_iommu *iommu);
bool intel_lu_any_on(void);
void intel_lu_follow_hardware(void);
void intel_lu_adopt(struct intel_iommu *iommu);
void intel_lu_adopted_all(void);
void intel_lu_switched(struct intel_iommu *iommu);
bool intel_lu_has_adopted(struct intel_iommu *iommu);
int intel_lu_take_pasid_table(struct device *dev);
bool intel_lu_take(struct device *dev, struct iommu_domain *domain);

#else /* CONFIG_IOMMU_LIVEUPDATE */

static inline bool intel_lu_shutdown(struct intel_iommu *iommu)
{
	return false;
}

static inline bool intel_lu_has_adopted(struct intel_iommu *iommu)
{
	return false;
}

static inline bool intel_lu_is_on(struct intel_iommu *iommu)
{
	return false;
}

static inline bool intel_lu_any_on(void)
{
	return false;
}

static inline void intel_lu_follow_hardware(void) { }
static inline void intel_lu_adopt(struct intel_iommu *iommu) { }
static inline void intel_lu_adopted_all(void) { }
static inline void intel_lu_switched(struct intel_iommu *iommu) { }

static inline int intel_lu_take_pasid_table(struct device *dev)
{
	return 0;
}

static inline bool intel_lu_take(struct device *dev,
				 struct iommu_domain *domain)
{
	return false;
}

#endif /* CONFIG_IOMMU_LIVEUPDATE */
#endif /* __INTEL_LIVEUPDATE_H */
