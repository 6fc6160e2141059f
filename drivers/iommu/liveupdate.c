// SPDX-License-Identifier: GPL-2.0

/**
 * DOC: DMA translation in a live update
 *
 * A device that stays alive while the kernel is replaced goes on with its DMA,
 * and the IOMMU goes on with translating it, by the very tables that iommufd
 * built. What is handed over is subsystem IOMMU_LIVEUPDATE_NAME of the host's
 * live update, see include/linux/kho/abi/iommu.h. What only one kind of IOMMU
 * knows is behind &struct iommu_liveupdate_ops.
 *
 * Outgoing kernel:
 *
 * 1. iommufd keeps a domain: iommu_liveupdate_preserve_domain(), while guests
 *    run. The pages of its table are in KHO's hands, and its mappings do not
 *    change any more.
 * 2. PREPARE, after that of all devices: each preserved PCI function behind an
 *    IOMMU is recorded with what hardware has for its requester IDs, and what
 *    hardware needs to find that is kept with KHO.
 * 3. REBOOT: all is recorded again, and must be as it was.
 * 4. The shutdown of an IOMMU that has recorded functions leaves translation
 *    on, and takes everything else out of its tables: the memory which that
 *    maps is free for any use in the next moment.
 *
 * Incoming kernel: liveupdate_incoming.c.
 *
 * Unhappy paths:
 *
 * - A function is translated by a domain that nobody keeps, or uses PASIDs:
 *   PREPARE fails with an errno and a message that names it.
 * - Its domain or entry is another one at REBOOT: -EBUSY, and CANCEL follows.
 * - A function is lost after PREPARE: it does no DMA in the next kernel, and
 *   the shutdown takes its entry away. The others go on.
 * - A domain is let go between PREPARE and REBOOT: the functions in it are then
 *   in a domain that nobody keeps.
 *
 * Lock order: host state, one device lock, the mutex of the group, iommu_lu_lock.
 */

#define pr_fmt(fmt) "iommu: live update: " fmt

#include <linux/cleanup.h>
#include <linux/dev_liveupdate.h>
#include <linux/device.h>
#include <linux/err.h>
#include <linux/init.h>
#include <linux/iommu.h>
#include <linux/liveupdate_host.h>
#include <linux/liveupdate_image.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/xarray.h>

#include "iommu-priv.h"
#include "liveupdate.h"

LIVEUPDATE_IMAGE_NOTE(iommu_liveupdate_note, LIVEUPDATE_NOTE_BOTH,
		      IOMMU_LIVEUPDATE_COMPATIBLE);

struct iommu_lu_domain_out {
	struct iommu_domain *domain;
	struct iommu_domain_ser ser;
};

/**
 * struct iommu_lu_out - What is recorded for the next kernel.
 * @devs:         The functions, referenced.
 * @functions:    Their records.
 * @nr_functions: How many.
 * @entries:      Records of their entries.
 * @nr_entries:   How many.
 * @ops:          The driver of their IOMMUs; there is one kind in a machine.
 */
struct iommu_lu_out {
	struct device **devs;
	struct iommu_function_ser *functions;
	unsigned int nr_functions;
	struct iommu_entry_ser *entries;
	unsigned int nr_entries;
	const struct iommu_liveupdate_ops *ops;
};

/* Domains that are kept, by the index that their owners know. */
static DEFINE_XARRAY_ALLOC(iommu_lu_domains);
/* Protects the domains, and their entries against being freed. */
static DEFINE_MUTEX(iommu_lu_lock);

/* Changed by events only. */
static struct iommu_lu_out iommu_lu_out;
static struct iommu_payload_ser *iommu_lu_payload;

/* A device in a group need not have an IOMMU: VFIO makes such groups. */
static const struct iommu_liveupdate_ops *liveupdate_ops(struct device *dev)
{
	if (!dev->iommu_group || !dev->iommu || !dev->iommu->iommu_dev)
		return NULL;

	return dev_iommu_ops(dev)->liveupdate;
}

static struct iommu_lu_domain_out *find_domain(struct iommu_domain *domain,
					       unsigned long *index)
{
	struct iommu_lu_domain_out *out;

	lockdep_assert_held(&iommu_lu_lock);
	xa_for_each(&iommu_lu_domains, *index, out) {
		if (out->domain == domain)
			return out;
	}

	return NULL;
}

/**
 * iommu_liveupdate_preserve_domain - Keep a domain over the next update.
 * @domain: The domain. Its mappings do not change until it is let go.
 * @index:  Set to a number by which the next kernel knows it.
 *
 * Context: Process context, may sleep.
 * Return: 0; -EOPNOTSUPP when the driver cannot keep such a domain; -EEXIST
 *         when it is kept already; -ENOSPC for too many; else what
 *         the driver or KHO says.
 */
int iommu_liveupdate_preserve_domain(struct iommu_domain *domain, u32 *index)
{
	const struct iommu_ops *ops = domain->owner;
	struct iommu_lu_domain_out *out;
	unsigned long i;
	int ret;

	if (!ops || !ops->liveupdate)
		return -EOPNOTSUPP;

	guard(mutex)(&iommu_lu_lock);
	if (find_domain(domain, &i))
		return -EEXIST;
	out = kzalloc_obj(*out);
	if (!out)
		return -ENOMEM;
	out->domain = domain;

	ret = xa_alloc(&iommu_lu_domains, index, out,
		       XA_LIMIT(0, IOMMU_LIVEUPDATE_MAX_DOMAINS - 1),
		       GFP_KERNEL);
	if (ret) {
		kfree(out);
		return ret == -EBUSY ? -ENOSPC : ret;
	}

	ret = ops->liveupdate->preserve_domain(domain, &out->ser);
	if (ret) {
		xa_erase(&iommu_lu_domains, *index);
		kfree(out);
	}

	return ret;
}
EXPORT_SYMBOL_NS_GPL(iommu_liveupdate_preserve_domain, "IOMMUFD_INTERNAL");

/**
 * iommu_liveupdate_unpreserve_domain - Let a domain go.
 * @domain: A domain that iommu_liveupdate_preserve_domain() kept.
 *
 * Context: Process context, may sleep.
 */
void iommu_liveupdate_unpreserve_domain(struct iommu_domain *domain)
{
	struct iommu_lu_domain_out *out;
	unsigned long i;

	guard(mutex)(&iommu_lu_lock);
	out = find_domain(domain, &i);
	if (!out)
		return;
	xa_erase(&iommu_lu_domains, i);
	domain->owner->liveupdate->unpreserve_domain(domain);
	kfree(out);
}
EXPORT_SYMBOL_NS_GPL(iommu_liveupdate_unpreserve_domain, "IOMMUFD_INTERNAL");

/**
 * iommu_liveupdate_possible - Whether a device can go on with its DMA.
 * @dev:  The device.
 * @why:  A reason, when it cannot.
 * @size: Bytes for it.
 *
 * Whether iommufd keeps its domain is a question for PREPARE.
 *
 * Context: Process context, device lock held.
 * Return: 0; -EOPNOTSUPP; else what the IOMMU's driver says.
 */
int iommu_liveupdate_possible(struct device *dev, char *why, size_t size)
{
	struct iommu_domain *domain;
	enum iommu_group_use use;

	use = iommu_group_dma_use(dev, &domain);
	if (use == IOMMU_GROUP_NONE)
		return 0;

	if (!liveupdate_ops(dev)) {
		if (use == IOMMU_GROUP_IDENTITY)
			return 0;
		snprintf(why, size,
			 "is translated by an IOMMU whose driver takes no part: boot with iommu=pt");
		return -EOPNOTSUPP;
	}
	if (use == IOMMU_GROUP_KERNEL) {
		snprintf(why, size,
			 "has a driver whose DMA mappings cannot be kept: boot with iommu=pt");
		return -EOPNOTSUPP;
	}

	return liveupdate_ops(dev)->possible(dev, why, size);
}

static u32 domain_index(struct iommu_domain *domain)
{
	unsigned long i;

	guard(mutex)(&iommu_lu_lock);

	return find_domain(domain, &i) ? i : IOMMU_FUNCTION_SER_NONE;
}

static int refuse(struct device *dev, int err, const char *why)
{
	dev_err(dev, "cannot be kept over a live update: %s\n", why);

	return err;
}

/* Room for one more in an array of @count. */
static bool grow(void **array, unsigned int count, size_t size)
{
	void *larger;

	if (count % 64)
		return true;
	larger = kvrealloc(*array, array_size(count + 64, size), GFP_KERNEL);
	if (larger)
		*array = larger;

	return larger;
}

static int add_entry(void *arg, const struct iommu_entry_ser *entry)
{
	struct iommu_lu_out *out = arg;
	struct iommu_function_ser *function =
		&out->functions[out->nr_functions - 1];

	if (out->nr_entries == IOMMU_LIVEUPDATE_MAX_ENTRIES)
		return -ENOSPC;
	if (!grow((void **)&out->entries, out->nr_entries,
		  sizeof(*out->entries)))
		return -ENOMEM;

	out->entries[out->nr_entries] = *entry;
	out->entries[out->nr_entries].function = out->nr_functions - 1;
	out->nr_entries++;
	function->nr_entries++;

	return 0;
}

static int record_entries(struct iommu_lu_out *out, struct device *dev,
			  struct iommu_domain *domain)
{
	int ret;

	ret = out->ops->entries(dev, domain, add_entry, out);
	if (ret == -ENOSPC)
		return refuse(dev, ret, "too many requester IDs are kept");
	if (ret == -ESTALE)
		return refuse(dev, ret,
			      "its IOMMU does not have the entry that it should: attach it to its domain anew");
	if (ret)
		return refuse(dev, ret, "its IOMMU's entries cannot be recorded");

	return 0;
}

static int record_use(struct iommu_lu_out *out, struct device *dev,
		      struct iommu_function_ser *function)
{
	struct iommu_domain *domain;

	switch (iommu_group_dma_use(dev, &domain)) {
	case IOMMU_GROUP_BLOCKED:
		function->domain = IOMMU_FUNCTION_SER_BLOCKED;
		return 0;
	case IOMMU_GROUP_IDENTITY:
		function->domain = IOMMU_FUNCTION_SER_IDENTITY;
		return record_entries(out, dev, domain);
	case IOMMU_GROUP_USER:
		function->domain = domain_index(domain);
		if (function->domain == IOMMU_FUNCTION_SER_NONE)
			return refuse(dev, -EINVAL,
				      "the domain that it is attached to is not kept: let iommufd preserve its page table in a session");
		return record_entries(out, dev, domain);
	case IOMMU_GROUP_KERNEL:
		return refuse(dev, -EINVAL,
			      "its driver's DMA mappings cannot be kept: boot with iommu=pt");
	case IOMMU_GROUP_PASID:
		return refuse(dev, -EBUSY, "it uses PASIDs or is being reset: detach them first");
	default:
		function->domain = IOMMU_FUNCTION_SER_NONE;
		return 0;
	}
}

static int record_function(struct iommu_lu_out *out, struct device *dev)
{
	struct iommu_function_ser *function = &out->functions[out->nr_functions];
	struct pci_dev *pdev = to_pci_dev(dev);

	memset(function, 0, sizeof(*function));
	function->segment = pci_domain_nr(pdev->bus);
	function->bdf = pci_dev_id(pdev);
	function->domain = IOMMU_FUNCTION_SER_NONE;
	out->nr_functions++;

	guard(device)(dev);
	/* a lost one keeps its place, so that the payload keeps its length */
	if (!dev_liveupdate_preserved(dev) || !liveupdate_ops(dev))
		return 0;
	out->ops = liveupdate_ops(dev);

	return record_use(out, dev, function);
}

static int record_all(struct iommu_lu_out *out, struct device **devs,
		      unsigned int count)
{
	unsigned int i;
	int ret;

	out->functions = kvcalloc(count, sizeof(*out->functions), GFP_KERNEL);
	if (!out->functions)
		return -ENOMEM;

	for (i = 0; i < count; i++) {
		ret = record_function(out, devs[i]);
		if (ret)
			return ret;
	}

	return 0;
}

static void clear_records(struct iommu_lu_out *out)
{
	kvfree(out->functions);
	kvfree(out->entries);
	out->functions = NULL;
	out->entries = NULL;
	out->nr_functions = 0;
	out->nr_entries = 0;
}

static int add_preserved(struct device *dev, void *arg)
{
	struct iommu_lu_out *out = arg;

	if (!dev_liveupdate_preserved(dev) || !device_iommu_mapped(dev))
		return 0;
	if (out->nr_functions == IOMMU_LIVEUPDATE_MAX_FUNCTIONS)
		return refuse(dev, -ENOSPC, "too many functions are kept");

	if (!grow((void **)&out->devs, out->nr_functions, sizeof(*out->devs)))
		return -ENOMEM;

	out->devs[out->nr_functions++] = get_device(dev);

	return 0;
}

static void drop_all(struct iommu_lu_out *out, unsigned int count)
{
	if (out->ops)
		out->ops->cancel();
	while (count--)
		put_device(out->devs[count]);
	kvfree(out->devs);
	clear_records(out);
	memset(out, 0, sizeof(*out));
}

static u32 count_domains(void)
{
	struct iommu_lu_domain_out *out;
	unsigned long i;
	u32 count = 0;

	guard(mutex)(&iommu_lu_lock);
	xa_for_each(&iommu_lu_domains, i, out)
		count = i + 1;

	return count;
}

static void write_domains(struct iommu_domain_ser *domains, u32 count)
{
	struct iommu_lu_domain_out *out;
	unsigned long i;

	memset(domains, 0, array_size(count, sizeof(*domains)));
	guard(mutex)(&iommu_lu_lock);
	xa_for_each(&iommu_lu_domains, i, out) {
		if (i < count)
			domains[i] = out->ser;
	}
}

static void write_records(struct iommu_payload_ser *payload,
			  const struct iommu_lu_out *out)
{
	struct iommu_domain_ser *domains = (void *)(payload + 1);
	struct iommu_function_ser *functions =
		(void *)(domains + payload->nr_domains);

	write_domains(domains, payload->nr_domains);
	memcpy(functions, out->functions,
	       array_size(out->nr_functions, sizeof(*functions)));
	memcpy(functions + out->nr_functions, out->entries,
	       array_size(out->nr_entries, sizeof(*out->entries)));
}

static int write_payload(struct liveupdate_subsystem *sub,
			 const struct iommu_lu_out *out)
{
	struct iommu_payload_ser *payload;
	u32 nr_domains = count_domains();

	payload = liveupdate_payload_alloc(sub,
					   iommu_lu_size(nr_domains,
							 out->nr_functions,
							 out->nr_entries));
	if (IS_ERR(payload)) {
		pr_err("no room for the records of %u functions: %pe\n",
		       out->nr_functions, payload);
		return PTR_ERR(payload);
	}

	strscpy(payload->hw, out->ops->hw);
	payload->nr_domains = nr_domains;
	payload->nr_functions = out->nr_functions;
	payload->nr_entries = out->nr_entries;
	payload->reserved = 0;
	write_records(payload, out);
	iommu_lu_payload = payload;

	return 0;
}

static int iommu_lu_prepare(struct liveupdate_subsystem *sub)
{
	struct iommu_lu_out *out = &iommu_lu_out;
	unsigned int count;
	int ret;

	iommu_lu_payload = NULL;
	ret = bus_for_each_dev(&pci_bus_type, NULL, out, add_preserved);
	count = out->nr_functions;
	out->nr_functions = 0;
	if (!ret)
		ret = record_all(out, out->devs, count);
	if (!ret && out->ops)
		ret = out->ops->prepare(out->devs, out->entries,
					out->nr_entries);
	if (!ret && out->ops)
		ret = write_payload(sub, out);
	if (ret)
		drop_all(out, count);

	return ret;
}

static bool same_entries(const struct iommu_lu_out *out,
			 const struct iommu_lu_out *now, unsigned int *at,
			 unsigned int *now_at, unsigned int count)
{
	size_t size = array_size(count, sizeof(*out->entries));
	unsigned int i = *at, j = *now_at;

	*at += count;
	*now_at += count;

	return !count || !memcmp(&out->entries[i], &now->entries[j], size);
}

static void forget(struct iommu_lu_out *out, unsigned int function,
		   unsigned int *at)
{
	unsigned int count = out->functions[function].nr_entries;

	out->functions[function].domain = IOMMU_FUNCTION_SER_NONE;
	out->functions[function].nr_entries = 0;
	while (count--)
		out->entries[(*at)++].function = U32_MAX;
}

/* Both stand in the order of the functions. */
static int compare_records(struct iommu_lu_out *out,
			   const struct iommu_lu_out *now)
{
	unsigned int at = 0, now_at = 0, i;

	for (i = 0; i < out->nr_functions; i++) {
		if (!dev_liveupdate_preserved(out->devs[i])) {
			forget(out, i, &at);
			now_at += now->functions[i].nr_entries;
			continue;
		}
		if (memcmp(&out->functions[i], &now->functions[i],
			   sizeof(out->functions[i])) ||
		    !same_entries(out, now, &at, &now_at,
				  now->functions[i].nr_entries))
			return refuse(out->devs[i], -EBUSY,
				      "its domain was changed after prepare: leave it as it is until the update is over");
	}

	return 0;
}

static int iommu_lu_reboot(struct liveupdate_subsystem *sub)
{
	struct iommu_lu_out *out = &iommu_lu_out;
	struct iommu_lu_out now = {};
	int ret;

	if (!iommu_lu_payload)
		return 0;

	ret = record_all(&now, out->devs, out->nr_functions);
	if (!ret)
		ret = compare_records(out, &now);
	if (!ret)
		write_records(iommu_lu_payload, out);
	clear_records(&now);

	return ret;
}

static void iommu_lu_cancel(struct liveupdate_subsystem *sub)
{
	drop_all(&iommu_lu_out, iommu_lu_out.nr_functions);
	iommu_lu_payload = NULL;
}

static void iommu_lu_finish_all(struct liveupdate_subsystem *sub)
{
	iommu_lu_finish();
}

static const struct liveupdate_subsystem_ops iommu_lu_ops = {
	.prepare = iommu_lu_prepare,
	.reboot = iommu_lu_reboot,
	.cancel = iommu_lu_cancel,
	.finish = iommu_lu_finish_all,
};

static struct liveupdate_subsystem iommu_lu_subsystem = {
	.name = IOMMU_LIVEUPDATE_NAME,
	.compatible = IOMMU_LIVEUPDATE_COMPATIBLE,
	.prio = LIVEUPDATE_PRIO_AFTER_DEVICES,
	.ops = &iommu_lu_ops,
	.owner = THIS_MODULE,
};

static int __init iommu_lu_init(void)
{
	int ret = liveupdate_register_subsystem(&iommu_lu_subsystem);

	return ret == -EOPNOTSUPP ? 0 : ret;
}
core_initcall(iommu_lu_init);
