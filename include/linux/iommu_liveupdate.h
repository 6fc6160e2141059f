/* SPDX-License-Identifier: GPL-2.0 */
/*
 * DMA translation that stays on while the kernel is replaced.
 */
#ifndef _LINUX_IOMMU_LIVEUPDATE_H
#define _LINUX_IOMMU_LIVEUPDATE_H

#include <linux/err.h>
#include <linux/errno.h>
#include <linux/types.h>

struct device;
struct iommu_domain;
struct iommu_domain_ser;
struct iommu_entry_ser;

/**
 * typedef iommu_liveupdate_entry_fn - Takes one entry.
 * @arg:   For the callee.
 * @entry: The entry. The callee copies it.
 *
 * Return: 0 or an errno, which the caller hands on.
 */
typedef int (*iommu_liveupdate_entry_fn)(void *arg,
					 const struct iommu_entry_ser *entry);

/**
 * struct iommu_liveupdate_ops - What the driver of an IOMMU does in an update.
 * @hw:                Kind of IOMMU, shorter than IOMMU_LIVEUPDATE_HW_LEN.
 * @possible:          0, or an errno with a reason in @why: what @dev does
 *                     cannot be kept, whatever its domain.
 * @preserve_domain:   Keep the pages of a domain's table with KHO and describe
 *                     it in @ser.
 * @unpreserve_domain: Undo that.
 * @entries:           Calls @fn for each requester ID of @dev with what hardware
 *                     has for it right now, @function left 0. @domain is what
 *                     @dev is attached to. -ESTALE when hardware does not agree.
 * @prepare:           Keep with KHO whatever hardware needs to find @count
 *                     entries. @devs has the device of each function. After a
 *                     failure comes @cancel.
 * @cancel:            Undo that. Nothing happens when there is nothing to undo.
 * @adopt_domain:      Incoming kernel: makes a domain of a table that was handed
 *                     over. Verifies all of it before anything is changed. Only
 *                     functions that came with it can be attached; its free()
 *                     is iommu_liveupdate_put_domain().
 * @release_domain:    Frees what @adopt_domain made; no IOMMU refers to it.
 * @adopt_entry:       Takes an entry into the new tables of @unit, when it is what
 *                     hardware has and leads to @domain; NULL for identity.
 * @drop:              Takes an adopted entry away, and flushes. Nothing happens
 *                     when a device was attached with it.
 *
 * Context: process context, may sleep.
 */
struct iommu_liveupdate_ops {
	const char *hw;

	/* outgoing kernel */
	int (*possible)(struct device *dev, char *why, size_t size);
	int (*preserve_domain)(struct iommu_domain *domain,
			       struct iommu_domain_ser *ser);
	void (*unpreserve_domain)(struct iommu_domain *domain);
	int (*entries)(struct device *dev, struct iommu_domain *domain,
		       iommu_liveupdate_entry_fn fn, void *arg);
	int (*prepare)(struct device **devs,
		       const struct iommu_entry_ser *entries,
		       unsigned int count);
	void (*cancel)(void);

	/* incoming kernel */
	struct iommu_domain *(*adopt_domain)(void *unit,
					     const struct iommu_domain_ser *ser);
	void (*release_domain)(struct iommu_domain *domain);
	int (*adopt_entry)(void *unit, const struct iommu_entry_ser *entry,
			   struct iommu_domain *domain);
	void (*drop)(const struct iommu_entry_ser *entry);
};

#ifdef CONFIG_IOMMU_LIVEUPDATE

/* For iommufd */
int iommu_liveupdate_preserve_domain(struct iommu_domain *domain, u32 *index);
void iommu_liveupdate_unpreserve_domain(struct iommu_domain *domain);
struct iommu_domain *iommu_liveupdate_get_domain(u32 index);
void iommu_liveupdate_put_domain(struct iommu_domain *domain);
int iommu_liveupdate_claim(struct device *dev, void *owner);
bool iommu_liveupdate_domain_in_use(struct iommu_domain *domain);
void iommu_liveupdate_block_domain(struct iommu_domain *domain);

/* For drivers of IOMMUs */
void iommu_liveupdate_load_early(void);
void iommu_liveupdate_adopt_unit(const struct iommu_liveupdate_ops *ops,
				 void *unit, u64 base, u32 segment);
void iommu_liveupdate_adopt_rest(const struct iommu_liveupdate_ops *ops,
				 void *unit);
bool iommu_liveupdate_came_with(struct device *dev,
				struct iommu_domain *domain);

/* For buses */
int iommu_liveupdate_possible(struct device *dev, char *why, size_t size);
void iommu_liveupdate_release(struct device *dev);

#else /* CONFIG_IOMMU_LIVEUPDATE */

static inline int iommu_liveupdate_preserve_domain(struct iommu_domain *domain,
						   u32 *index)
{
	return -EOPNOTSUPP;
}

static inline void
iommu_liveupdate_unpreserve_domain(struct iommu_domain *domain) { }

static inline struct iommu_domain *iommu_liveupdate_get_domain(u32 index)
{
	return ERR_PTR(-EOPNOTSUPP);
}

static inline void iommu_liveupdate_put_domain(struct iommu_domain *domain) { }

static inline int iommu_liveupdate_claim(struct device *dev, void *owner)
{
	return -EOPNOTSUPP;
}

static inline bool iommu_liveupdate_domain_in_use(struct iommu_domain *domain)
{
	return false;
}

static inline void iommu_liveupdate_block_domain(struct iommu_domain *domain) { }

static inline int iommu_liveupdate_possible(struct device *dev, char *why,
					    size_t size)
{
	return 0;
}

static inline void iommu_liveupdate_release(struct device *dev) { }

#endif /* CONFIG_IOMMU_LIVEUPDATE */
#endif /* _LINUX_IOMMU_LIVEUPDATE_H */
