/* SPDX-License-Identifier: GPL-2.0 */
/*
 * DMA translation in a live update: what liveupdate*.c and iommu.c share.
 */
#ifndef __LINUX_IOMMU_LIVEUPDATE_PRIV_H
#define __LINUX_IOMMU_LIVEUPDATE_PRIV_H

#include <linux/iommu_liveupdate.h>
#include <linux/kho/abi/iommu.h>
#include <linux/types.h>

/**
 * enum iommu_group_use - What the group of a device does with DMA.
 * @IOMMU_GROUP_NONE:     No IOMMU looks after the device.
 * @IOMMU_GROUP_BLOCKED:  It has an owner and no table.
 * @IOMMU_GROUP_IDENTITY: It is not translated.
 * @IOMMU_GROUP_UNUSED:   It is in its default domain, and no driver maps there.
 * @IOMMU_GROUP_KERNEL:   It is in its default domain, and a driver may map there.
 * @IOMMU_GROUP_USER:     It is in a domain of its owner.
 * @IOMMU_GROUP_PASID:    It uses PASIDs, or is being reset.
 */
enum iommu_group_use {
	IOMMU_GROUP_NONE,
	IOMMU_GROUP_BLOCKED,
	IOMMU_GROUP_IDENTITY,
	IOMMU_GROUP_UNUSED,
	IOMMU_GROUP_KERNEL,
	IOMMU_GROUP_USER,
	IOMMU_GROUP_PASID,
};

/**
 * struct iommu_lu_view - A payload whose lengths are verified.
 * @head:      The payload.
 * @domains:   Its domains.
 * @functions: Its functions.
 * @entries:   Its entries.
 * @preserved: kho_is_preserved(), or the stand-in of a test.
 */
struct iommu_lu_view {
	const struct iommu_payload_ser *head;
	const struct iommu_domain_ser *domains;
	const struct iommu_function_ser *functions;
	const struct iommu_entry_ser *entries;
	bool (*preserved)(phys_addr_t phys, size_t size);
};

static inline size_t iommu_lu_size(u32 domains, u32 functions, u32 entries)
{
	return sizeof(struct iommu_payload_ser) +
	       domains * sizeof(struct iommu_domain_ser) +
	       functions * sizeof(struct iommu_function_ser) +
	       entries * sizeof(struct iommu_entry_ser);
}

#ifdef CONFIG_IOMMU_LIVEUPDATE

/* liveupdate_verify.c */
int iommu_lu_open(struct iommu_lu_view *view, const void *payload, size_t len);
const char *iommu_lu_check_domain(const struct iommu_lu_view *view, u32 index);
const char *iommu_lu_check_function(const struct iommu_lu_view *view,
				    u32 index);
const char *iommu_lu_check_entry(const struct iommu_lu_view *view, u32 index);

/* liveupdate_incoming.c */
void iommu_lu_finish(void);
void iommu_lu_match(struct device *dev);
void iommu_lu_bind(struct device *dev);
void iommu_lu_unbind(struct device *dev);
u32 iommu_lu_function_domain(struct device *dev, struct iommu_domain **domain);
void iommu_lu_lose(struct device *dev, const char *why);

/* iommu.c */
enum iommu_group_use iommu_group_dma_use(struct device *dev,
					 struct iommu_domain **domain);
bool iommu_group_in_domain(struct device *dev, struct iommu_domain *domain);
bool iommu_group_block_unclaimed(struct device *dev);

#else /* CONFIG_IOMMU_LIVEUPDATE */

static inline void iommu_lu_match(struct device *dev) { }

#endif /* CONFIG_IOMMU_LIVEUPDATE */
#endif /* __LINUX_IOMMU_LIVEUPDATE_PRIV_H */
