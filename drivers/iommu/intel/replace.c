// SPDX-License-Identifier: GPL-2.0
/*
 * replace.c - change the domain of a device without a gap in translation
 */

#define pr_fmt(fmt)	"DMAR: " fmt

#include <linux/atomic.h>
#include <linux/pci.h>
#include <linux/spinlock.h>
#include <linux/string.h>

#include "iommu.h"
#include "pasid.h"
#include "replace.h"

/**
 * DOC: Hitless replace
 *
 * A device that is attached to one second-stage paging domain can be attached
 * to another one while it does DMA. The hardware sees either the old or the
 * new entry, each of them whole, and never one that is not present. An access
 * is translated by the old domain or by the new one; none is lost or refused,
 * as long as both domains map its address.
 *
 * What makes it so:
 *
 * - All that differs between two such entries lies in 16 aligned bytes, which
 *   the hardware reads at once: the whole context entry in legacy mode, the
 *   first quarter (DID, SSPTPTR, AW, PGTT and the flags) of a PASID table
 *   entry in scalable mode. They are exchanged by one cmpxchg16b.
 * - The new domain has its domain id and its cache tags before the exchange,
 *   so that no invalidation of it is missed. The old domain loses its own only
 *   after all caches are flushed by the id in the old entry, in the order of
 *   the VT-d specification, 6.5.3.3 Guidance to Software for Invalidations.
 * - Each requester ID the device may use (pci_for_each_dma_alias()) is
 *   exchanged. All are looked at first, so that the first exchange is not
 *   made when a later one is impossible.
 *
 * What is not possible is -EOPNOTSUPP, with nothing changed; the caller then
 * blocks the device and attaches it anew. This is so when the CPU has no
 * cmpxchg16b, when one of the domains is a first-stage, nested, identity or
 * blocking domain, and for subdevices whose DMA is that of another device.
 * Any other error also leaves the old domain attached and running.
 *
 * A device that came through a live update has a second-stage domain around
 * the table of the previous kernel. It leaves that domain in the same way.
 *
 * Locks: the group's mutex, held by the iommu core, keeps all entries of a
 * device and of its aliases as they are. Inside it &dmar_domain.lock, then
 * &intel_iommu.lock. Invalidations are waited for without either.
 */

struct context_replace {
	struct device_domain_info *info;
	struct pt_iommu_vtdss_hw_info pt;
	u16 old_did;
	u16 did;
	bool check_only;
};

/**
 * intel_iommu_replace_supported - Can this CPU exchange an entry at once?
 *
 * Context: Any.
 * Return: Whether it can.
 */
bool intel_iommu_replace_supported(void)
{
#ifdef system_has_cmpxchg128
	return system_has_cmpxchg128();
#else
	return false;
#endif
}

/**
 * intel_iommu_entry_exchange - Exchange 16 bytes that the hardware may read.
 * @entry: Where they are, aligned to 16 bytes.
 * @old:   What is there.
 * @new:   What shall be there.
 *
 * Context: Any. The caller writes the cache back and flushes.
 * Return: Whether @old was there and @new is.
 */
bool intel_iommu_entry_exchange(void *entry, const void *old, const void *new)
{
#ifdef system_has_cmpxchg128
	u128 cur, next;

	if (!system_has_cmpxchg128())
		return false;

	memcpy(&cur, old, sizeof(cur));
	memcpy(&next, new, sizeof(next));

	return try_cmpxchg128((u128 *)entry, &cur, next);
#else
	return false;
#endif
}

/**
 * intel_context_successor - The legacy context entry that may follow another.
 * @cur: The entry in use.
 * @pt:  The new second-stage table.
 * @did: The new domain id.
 * @new: Filled with the entry.
 *
 * The translation type stays, because the device may have ATS enabled.
 *
 * Context: Any.
 * Return: Whether @cur is an entry that can be replaced.
 */
bool intel_context_successor(const struct context_entry *cur,
			     const struct pt_iommu_vtdss_hw_info *pt, u16 did,
			     struct context_entry *new)
{
	unsigned int type = (cur->lo >> 2) & 3;

	if (!(cur->lo & 1) ||
	    (type != CONTEXT_TT_MULTI_LEVEL && type != CONTEXT_TT_DEV_IOTLB))
		return false;

	context_clear_entry(new);
	context_set_translation_type(new, type);
	context_set_address_root(new, pt->ssptptr);
	context_set_address_width(new, pt->aw);
	context_set_domain_id(new, did);
	context_set_present(new);

	return true;
}

/* Returns 1 when the entry was exchanged, 0 when there was nothing to do. */
static int context_exchange(struct context_replace *cr, u8 bus, u8 devfn)
{
	struct intel_iommu *iommu = cr->info->iommu;
	struct context_entry *context, cur, new;

	guard(spinlock)(&iommu->lock);

	context = iommu_context_addr(iommu, bus, devfn, 0);
	if (!context)
		return -EOPNOTSUPP;

	cur = *context;
	if (!intel_context_successor(&cur, &cr->pt, cr->did, &new))
		return -EOPNOTSUPP;
	/* An alias that another device of the group shares and has moved. */
	if (!memcmp(&cur, &new, sizeof(cur)))
		return 0;
	if (context_domain_id(&cur) != cr->old_did)
		return -EOPNOTSUPP;
	if (cr->check_only)
		return 0;
	if (WARN_ON(!intel_iommu_entry_exchange(context, &cur, &new)))
		return -EOPNOTSUPP;

	__iommu_flush_cache(iommu, context, sizeof(*context));

	return 1;
}

static int context_replace_one(struct context_replace *cr, u8 bus, u8 devfn)
{
	struct intel_iommu *iommu = cr->info->iommu;
	int ret;

	ret = context_exchange(cr, bus, devfn);
	if (ret <= 0)
		return ret;

	intel_context_flush_no_pasid(cr->info, NULL, cr->old_did,
				     PCI_DEVID(bus, devfn));
	/* What is not present may have been cached under the new id as well. */
	if (cap_caching_mode(iommu->cap))
		iommu->flush.flush_iotlb(iommu, cr->did, 0, 0,
					 DMA_TLB_DSI_FLUSH);

	return 0;
}

static int context_replace_cb(struct pci_dev *pdev, u16 alias, void *opaque)
{
	return context_replace_one(opaque, PCI_BUS_NUM(alias), alias & 0xff);
}

static int context_replace_all(struct context_replace *cr)
{
	struct device_domain_info *info = cr->info;

	if (!dev_is_pci(info->dev))
		return context_replace_one(cr, info->bus, info->devfn);

	return pci_for_each_dma_alias(to_pci_dev(info->dev),
				      context_replace_cb, cr);
}

static int context_replace(struct dmar_domain *domain,
			   struct device_domain_info *info, u16 old_did)
{
	struct context_replace cr = {
		.info = info,
		.old_did = old_did,
		.did = domain_id_iommu(domain, info->iommu),
		.check_only = true,
	};
	int ret;

	pt_iommu_vtdss_hw_info(&domain->sspt, &cr.pt);
	ret = context_replace_all(&cr);
	if (ret)
		return ret;

	cr.check_only = false;
	return context_replace_all(&cr);
}

static int replace_entries(struct dmar_domain *domain,
			   struct device_domain_info *info)
{
	struct intel_iommu *iommu = info->iommu;

	if (sm_supported(iommu))
		return intel_pasid_replace_second_level(iommu, domain,
							info->dev,
							IOMMU_NO_PASID);

	return context_replace(domain, info,
			       domain_id_iommu(info->domain, iommu));
}

/* Whether the old domain is a second-stage one as well, the entry says. */
static bool replace_possible(struct dmar_domain *domain,
			     struct device_domain_info *info)
{
	return intel_iommu_replace_supported() && info->domain &&
	       intel_domain_is_ss_paging(domain) &&
	       !dev_is_real_dma_subdevice(info->dev);
}

static void replace_undo(struct dmar_domain *domain,
			 struct device_domain_info *info)
{
	cache_tag_unassign_domain(domain, info->dev, IOMMU_NO_PASID);
	domain_detach_iommu(domain, info->iommu);
}

static int replace_begin(struct dmar_domain *domain,
			 struct device_domain_info *info,
			 struct iommu_domain *old)
{
	int ret;

	ret = domain_attach_iommu(domain, info->iommu);
	if (ret)
		return ret;

	ret = cache_tag_assign_domain(domain, info->dev, IOMMU_NO_PASID);
	if (ret) {
		domain_detach_iommu(domain, info->iommu);
		return ret;
	}

	ret = iopf_for_domain_replace(&domain->domain, old, info->dev);
	if (ret)
		replace_undo(domain, info);

	return ret;
}

static void replace_link(struct device_domain_info *info,
			 struct dmar_domain *from, struct dmar_domain *to)
{
	scoped_guard(spinlock_irqsave, &from->lock)
		list_del(&info->link);
	scoped_guard(spinlock_irqsave, &to->lock)
		list_add(&info->link, &to->devices);
}

/**
 * intel_iommu_replace_domain - Attach an attached device to another domain.
 * @domain: The new domain, known to be compatible with the device's unit.
 * @dev:    The device.
 * @old:    The domain that the iommu core believes to be attached.
 *
 * See the DOC above.
 *
 * Context: Process context with the group's mutex held.
 * Return: 0; -EOPNOTSUPP when it cannot be done without a gap; any other errno
 *         when it cannot be done. Except for 0 nothing has changed.
 */
int intel_iommu_replace_domain(struct dmar_domain *domain, struct device *dev,
			       struct iommu_domain *old)
{
	struct device_domain_info *info = dev_iommu_priv_get(dev);
	struct dmar_domain *from = info->domain;
	int ret;

	if (!replace_possible(domain, info))
		return -EOPNOTSUPP;

	ret = replace_begin(domain, info, old);
	if (ret)
		return ret;

	replace_link(info, from, domain);
	ret = replace_entries(domain, info);
	if (ret) {
		replace_link(info, domain, from);
		iopf_for_domain_replace(old, &domain->domain, dev);
		replace_undo(domain, info);
		return ret;
	}

	info->domain = domain;
	replace_undo(from, info);

	return 0;
}
