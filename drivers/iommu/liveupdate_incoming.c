// SPDX-License-Identifier: GPL-2.0

/**
 * DOC: DMA translation that came through a live update
 *
 * Lifecycle in the incoming kernel:
 *
 * 1. The driver of an IOMMU finds translation on. It takes the entries that
 *    iommu_liveupdate_adopt_unit() offers into new tables, after it has compared
 *    each with what hardware has, and adopts the page tables behind them. One
 *    switch makes the new tables the IOMMU's own. Everything that nobody
 *    offered is gone from that moment.
 * 2. A function is found: iommu_lu_match(). Its group starts in the domain that
 *    it came with, which costs no access to hardware, and belongs to the live
 *    update: other drivers and new iommufds get -EBUSY. A function that was not
 *    translated starts in the identity domain, and belongs to nobody.
 * 3. iommufd gets a domain, iommu_liveupdate_get_domain(), and a group,
 *    iommu_liveupdate_claim(). It attaches other domains as it likes, and puts
 *    what it got. A domain is released when nobody has it and nobody is in it.
 * 4. FINISH, before that of devices: functions that nobody claimed are blocked.
 *    Then their bus resets them, and gives their group back to the kernel:
 *    iommu_liveupdate_release(). Domains that nobody has are released.
 *
 * Unhappy paths:
 *
 * - A record does not verify, or hardware has another entry: the function's
 *   entries are not taken over. When it is found, it is lost: its bus stops it,
 *   and it is an ordinary device.
 * - A function does not come back: its entries are taken away at FINISH.
 * - The functions of a group do not agree on a domain: all are lost.
 * - Nothing of the payload verifies: all functions are lost.
 *
 * Lock order: as in liveupdate.c, with iommu_lu_in_lock for iommu_lu_lock.
 */

#define pr_fmt(fmt) "iommu: live update: " fmt

#include <linux/cleanup.h>
#include <linux/dev_liveupdate.h>
#include <linux/err.h>
#include <linux/generic_pt/iommu.h>
#include <linux/init.h>
#include <linux/iommu.h>
#include <linux/kexec_handover.h>
#include <linux/liveupdate_host.h>
#include <linux/mutex.h>
#include <linux/overflow.h>
#include <linux/pci.h>
#include <linux/pci_liveupdate.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "liveupdate.h"

/**
 * struct iommu_lu_function - A function that was handed over.
 * @why:     What is wrong with it, or NULL.
 * @adopted: Entries of it that hardware has.
 * @dev:     The function, once it is in a group.
 */
struct iommu_lu_function {
	const char *why;
	unsigned int adopted;
	struct device *dev;
};

/**
 * struct iommu_lu_domain - A domain that was handed over.
 * @domain: NULL when nobody asked yet, an ERR_PTR when it is lost.
 * @err:    Why nobody may have it, although there is a domain.
 * @users:  How often iommufd has it.
 */
struct iommu_lu_domain {
	struct iommu_domain *domain;
	int err;
	unsigned int users;
};

/**
 * struct iommu_lu_incoming - All that was handed over.
 * @view:       The payload; without functions when it is lost.
 * @functions:  One for each function.
 * @domains:    One for each domain. Outlives the payload.
 * @nr_domains: How many.
 * @adopted:    One bit for each entry that hardware has.
 * @ops:        The driver that adopted it.
 */
struct iommu_lu_incoming {
	struct iommu_lu_view view;
	struct iommu_lu_function *functions;
	struct iommu_lu_domain *domains;
	u32 nr_domains;
	unsigned long *adopted;
	const struct iommu_liveupdate_ops *ops;
};

static const struct iommu_payload_ser no_payload;
static struct iommu_lu_incoming iommu_lu_in = { .view.head = &no_payload };
static DEFINE_MUTEX(iommu_lu_in_lock);

static struct iommu_domain *
adopt_domain(const struct iommu_liveupdate_ops *ops, void *unit, u32 index)
{
	struct iommu_lu_domain *lu = &iommu_lu_in.domains[index];
	const struct iommu_domain_ser *ser = &iommu_lu_in.view.domains[index];

	if (lu->domain)
		return lu->domain;

	if (iommu_lu_check_domain(&iommu_lu_in.view, index)) {
		lu->domain = ERR_PTR(-EBADMSG);
	} else {
		lu->domain = ops->adopt_domain(unit, ser);
		if (IS_ERR(lu->domain))
			pr_err("page table %u cannot be taken over: %pe\n",
			       index, lu->domain);
	}

	return lu->domain;
}

static const char *adopt_entry(const struct iommu_liveupdate_ops *ops,
			       void *unit, u32 index)
{
	const struct iommu_entry_ser *ser = &iommu_lu_in.view.entries[index];
	u32 domain_index = iommu_lu_in.view.functions[ser->function].domain;
	struct iommu_domain *domain = NULL;
	int ret;

	if (domain_index != IOMMU_FUNCTION_SER_IDENTITY) {
		domain = adopt_domain(ops, unit, domain_index);
		if (IS_ERR(domain))
			return "its page table cannot be taken over";
	}
	ret = ops->adopt_entry(unit, ser, domain);
	if (ret == -ENOMEM)
		return "no memory for its entry";
	if (ret)
		return "its IOMMU has another entry than it says";

	__set_bit(index, iommu_lu_in.adopted);
	iommu_lu_in.functions[ser->function].adopted++;

	return NULL;
}

/**
 * iommu_liveupdate_adopt_unit - Offer its entries to an IOMMU.
 * @ops:     Of its driver; @adopt_domain and @adopt_entry are called.
 * @unit:    Handed to them.
 * @base:    Physical address of its registers.
 * @segment: PCI segment that it looks after.
 *
 * Context: Process context, may sleep. While the kernel boots.
 */
void iommu_liveupdate_adopt_unit(const struct iommu_liveupdate_ops *ops,
				 void *unit, u64 base, u32 segment)
{
	const struct iommu_lu_view *view = &iommu_lu_in.view;
	struct iommu_lu_function *function;
	u32 i;

	guard(mutex)(&iommu_lu_in_lock);
	if (strncmp(view->head->hw, ops->hw, sizeof(view->head->hw)))
		return;

	iommu_lu_in.ops = ops;
	for (i = 0; i < view->head->nr_entries; i++) {
		if (view->entries[i].unit != base ||
		    view->entries[i].segment != segment ||
		    iommu_lu_check_entry(view, i))
			continue;
		function = &iommu_lu_in.functions[view->entries[i].function];
		if (!function->why)
			function->why = adopt_entry(ops, unit, i);
	}
}

/* Memory that was handed over, and that no adopted table consists of. */
static int check_run(void *arg, dma_addr_t iova, phys_addr_t pa, u64 len,
		     unsigned int prot)
{
	phys_addr_t end = pa + len, start;
	unsigned int order;

	while (pa < end) {
		if (!kho_find_preserved(pa, &start, &order))
			return -EADDRINUSE;
		pa = start + (PAGE_SIZE << order);
	}

	return 0;
}

static void drop_entries(struct iommu_lu_function *function)
{
	const struct iommu_lu_view *view = &iommu_lu_in.view;
	u32 index = function - iommu_lu_in.functions;
	u32 i;

	for (i = 0; i < view->head->nr_entries; i++) {
		if (view->entries[i].function == index &&
		    __test_and_clear_bit(i, iommu_lu_in.adopted))
			iommu_lu_in.ops->drop(&view->entries[i]);
	}
	function->adopted = 0;
}

/* Hardware may still be walking the table: it is released at FINISH. */
static void lose_domain(u32 index)
{
	const struct iommu_lu_view *view = &iommu_lu_in.view;
	u32 i;

	pr_err("page table %u maps a page of a table\n", index);
	iommu_lu_in.domains[index].err = -EADDRINUSE;
	for (i = 0; i < view->head->nr_functions; i++) {
		if (view->functions[i].domain != index)
			continue;
		drop_entries(&iommu_lu_in.functions[i]);
		iommu_lu_in.functions[i].why = "its page table maps a page of a table";
	}
}

static void check_domain(u32 index)
{
	struct iommu_domain *domain = iommu_lu_in.domains[index].domain;
	struct pt_iommu *table;

	if (IS_ERR_OR_NULL(domain))
		return;
	table = iommupt_from_domain(domain);
	if (table && table->ops->walk(table, check_run, NULL))
		lose_domain(index);
}

/**
 * iommu_liveupdate_adopt_rest - Complete what iommu_liveupdate_adopt_unit() does.
 * @ops:  Of the driver.
 * @unit: Any of its IOMMUs.
 *
 * Tables that no entry refers to are adopted as well: they belong to a session,
 * which may use or discard them. When all are known, none may map another.
 *
 * Context: Process context, may sleep. After the last unit, and before hardware
 * uses the new tables.
 */
void iommu_liveupdate_adopt_rest(const struct iommu_liveupdate_ops *ops,
				 void *unit)
{
	const struct iommu_lu_view *view = &iommu_lu_in.view;
	u32 i;

	guard(mutex)(&iommu_lu_in_lock);
	if (iommu_lu_in.ops != ops)
		return;
	for (i = 0; i < view->head->nr_domains; i++) {
		if (view->domains[i].format)
			adopt_domain(ops, unit, i);
	}
	for (i = 0; i < view->head->nr_domains; i++)
		check_domain(i);
}

static struct iommu_lu_function *find_function(struct device *dev)
{
	const struct iommu_lu_view *view = &iommu_lu_in.view;
	struct pci_dev *pdev;
	u32 i;

	if (!dev_is_pci(dev))
		return NULL;

	pdev = to_pci_dev(dev);
	for (i = 0; i < view->head->nr_functions; i++) {
		if (view->functions[i].bdf == pci_dev_id(pdev) &&
		    view->functions[i].segment == pci_domain_nr(pdev->bus))
			return &iommu_lu_in.functions[i];
	}

	return NULL;
}

static const struct iommu_function_ser *
function_ser(const struct iommu_lu_function *function)
{
	return &iommu_lu_in.view.functions[function - iommu_lu_in.functions];
}

static void lose(struct device *dev, const char *why)
{
	pci_liveupdate_lose(to_pci_dev(dev), why);
}

static const char *why_not(struct device *dev,
			   const struct iommu_lu_function *function)
{
	if (!dev_liveupdate_incoming(dev))
		return "it was not handed over";
	if (!function)
		return "what its IOMMU translates was not handed over";
	if (function->why)
		return function->why;
	if (function->adopted != function_ser(function)->nr_entries)
		return "its IOMMU does not have its entries";

	return NULL;
}

/**
 * iommu_lu_match - A device is found; see whether it came with entries.
 * @dev: The device. Its IOMMU's driver does not know it yet.
 *
 * One that did not, or whose entries are not all there, has none afterwards; if
 * it was handed over, it is lost.
 *
 * Context: Process context, iommu_probe_device_lock held.
 */
void iommu_lu_match(struct device *dev)
{
	struct iommu_lu_function *function;
	const char *why;

	if (liveupdate_state() != LIVEUPDATE_STATE_UPDATED || !dev_is_pci(dev))
		return;

	guard(mutex)(&iommu_lu_in_lock);
	function = find_function(dev);
	why = why_not(dev, function);
	if (!why)
		return;

	if (function) {
		drop_entries(function);
		function->why = why;
	}
	if (dev_liveupdate_incoming(dev))
		lose(dev, why);
}

/**
 * iommu_lu_function_domain - What a function came with.
 * @dev:    The function.
 * @domain: Set to the domain that it came with, if it came with one.
 *
 * Context: Process context.
 * Return: An IOMMU_FUNCTION_SER_*; 0 when @domain is set.
 */
u32 iommu_lu_function_domain(struct device *dev, struct iommu_domain **domain)
{
	struct iommu_lu_function *function;
	u32 index;

	guard(mutex)(&iommu_lu_in_lock);
	function = find_function(dev);
	if (!function || function->why || !dev_liveupdate_incoming(dev))
		return IOMMU_FUNCTION_SER_NONE;

	index = function_ser(function)->domain;
	if (index >= iommu_lu_in.view.head->nr_domains)
		return index;
	*domain = iommu_lu_in.domains[index].domain;

	return 0;
}

/**
 * iommu_liveupdate_came_with - Whether a device may be in a domain.
 * @dev:    The device.
 * @domain: A domain that was handed over.
 *
 * Context: Process context.
 * Return: Whether @dev came with @domain, and the update is not over.
 */
bool iommu_liveupdate_came_with(struct device *dev, struct iommu_domain *domain)
{
	struct iommu_domain *own = NULL;

	return !iommu_lu_function_domain(dev, &own) && own == domain;
}

/**
 * iommu_lu_lose - A function cannot go on with what it came with.
 * @dev: The function.
 * @why: The reason, for an administrator.
 *
 * Its entries stay until its driver attaches another domain.
 *
 * Context: Process context, the mutex of its group held.
 */
void iommu_lu_lose(struct device *dev, const char *why)
{
	struct iommu_lu_function *function;

	scoped_guard(mutex, &iommu_lu_in_lock) {
		function = find_function(dev);
		if (function)
			function->why = why;
	}
	if (dev_liveupdate_incoming(dev))
		lose(dev, why);
}

/**
 * iommu_lu_bind - A function is in a group.
 * @dev: The function.
 *
 * Context: Process context, the mutex of the group held.
 */
void iommu_lu_bind(struct device *dev)
{
	struct iommu_lu_function *function;

	guard(mutex)(&iommu_lu_in_lock);
	function = find_function(dev);
	if (function && !function->why)
		function->dev = dev;
}

/**
 * iommu_lu_unbind - A device leaves its group.
 * @dev: The device.
 *
 * Context: Process context.
 */
void iommu_lu_unbind(struct device *dev)
{
	struct iommu_lu_function *function;

	if (liveupdate_state() != LIVEUPDATE_STATE_UPDATED)
		return;
	guard(mutex)(&iommu_lu_in_lock);
	function = find_function(dev);
	if (function && function->dev == dev)
		function->dev = NULL;
}

/* The mutex of a group must not be taken with iommu_lu_in_lock held. */
static struct device *get_function_dev(u32 index)
{
	guard(mutex)(&iommu_lu_in_lock);

	return get_device(iommu_lu_in.functions[index].dev);
}

static bool function_in_domain(u32 index, struct iommu_domain *domain)
{
	struct device *dev = get_function_dev(index);
	bool ret;

	if (!dev)
		return iommu_lu_in.functions[index].adopted;

	ret = iommu_group_in_domain(dev, domain);
	put_device(dev);

	return ret;
}

static u32 domain_index(struct iommu_domain *domain)
{
	u32 i;

	for (i = 0; i < iommu_lu_in.nr_domains; i++) {
		if (iommu_lu_in.domains[i].domain == domain)
			break;
	}

	return i;
}

static bool in_use(u32 index)
{
	const struct iommu_lu_view *view = &iommu_lu_in.view;
	struct iommu_domain *domain = iommu_lu_in.domains[index].domain;
	u32 i;

	for (i = 0; i < view->head->nr_functions; i++) {
		if (view->functions[i].domain == index &&
		    function_in_domain(i, domain))
			return true;
	}

	return false;
}

/* Nobody can come to be in it who is not in it already. */
static void release_if_unused(u32 index)
{
	struct iommu_lu_domain *lu = &iommu_lu_in.domains[index];

	if (IS_ERR_OR_NULL(lu->domain) || in_use(index))
		return;

	guard(mutex)(&iommu_lu_in_lock);
	if (lu->users)
		return;
	iommu_lu_in.ops->release_domain(lu->domain);
	lu->domain = ERR_PTR(-ENOENT);
}

/**
 * iommu_liveupdate_get_domain - Take a domain that was handed over.
 * @index: What iommu_liveupdate_preserve_domain() said in the outgoing kernel.
 *
 * It is read-only, and only the functions that came with it can be attached.
 * Each call is undone by iommu_liveupdate_put_domain(), or by
 * iommu_domain_free(). The domain is there while somebody has it or a function
 * is in it.
 *
 * Context: Process context, may sleep.
 * Return: The domain, or an ERR_PTR: -ENOENT when there is none, or none any
 *         more; else why it is lost.
 */
struct iommu_domain *iommu_liveupdate_get_domain(u32 index)
{
	struct iommu_lu_domain *lu;

	guard(mutex)(&iommu_lu_in_lock);
	if (index >= iommu_lu_in.nr_domains)
		return ERR_PTR(-ENOENT);

	lu = &iommu_lu_in.domains[index];
	if (!lu->domain)
		return ERR_PTR(-ENOENT);
	if (IS_ERR(lu->domain))
		return lu->domain;
	if (lu->err)
		return ERR_PTR(lu->err);
	lu->users++;

	return lu->domain;
}
EXPORT_SYMBOL_NS_GPL(iommu_liveupdate_get_domain, "IOMMUFD_INTERNAL");

/**
 * iommu_liveupdate_put_domain - Undo iommu_liveupdate_get_domain().
 * @domain: The domain.
 *
 * Context: Process context, may sleep.
 */
void iommu_liveupdate_put_domain(struct iommu_domain *domain)
{
	u32 index;

	scoped_guard(mutex, &iommu_lu_in_lock) {
		index = domain_index(domain);
		if (WARN_ON(index == iommu_lu_in.nr_domains))
			return;
		if (!--iommu_lu_in.domains[index].users)
			domain->cookie_type = IOMMU_COOKIE_NONE;
	}
	release_if_unused(index);
}
EXPORT_SYMBOL_NS_GPL(iommu_liveupdate_put_domain, "IOMMUFD_INTERNAL");

/**
 * iommu_liveupdate_domain_in_use - Whether a function is in a domain that was
 *                                  handed over.
 * @domain: The domain, from iommu_liveupdate_get_domain().
 *
 * Claimed or not, found again or not.
 *
 * Context: Process context, may sleep.
 * Return: Whether there is one.
 */
bool iommu_liveupdate_domain_in_use(struct iommu_domain *domain)
{
	u32 index;

	scoped_guard(mutex, &iommu_lu_in_lock)
		index = domain_index(domain);

	return index < iommu_lu_in.nr_domains && in_use(index);
}
EXPORT_SYMBOL_NS_GPL(iommu_liveupdate_domain_in_use, "IOMMUFD_INTERNAL");

static void block_function(u32 index)
{
	struct iommu_lu_function *function = &iommu_lu_in.functions[index];
	struct device *dev = get_function_dev(index);

	if (!dev) {
		guard(mutex)(&iommu_lu_in_lock);
		drop_entries(function);
		return;
	}
	if (!dev_liveupdate_incoming(dev))
		iommu_liveupdate_release(dev);
	else if (iommu_group_block_unclaimed(dev))
		dev_warn(dev, "nobody claimed its DMA after the live update: blocked\n");
	put_device(dev);
}

/**
 * iommu_liveupdate_block_domain - End the DMA of functions that nobody claimed.
 * @domain: The domain that they came with, from iommu_liveupdate_get_domain().
 *
 * For its owner, before the memory that it maps may be freed.
 *
 * Context: Process context, may sleep. State updated.
 */
void iommu_liveupdate_block_domain(struct iommu_domain *domain)
{
	const struct iommu_lu_view *view = &iommu_lu_in.view;
	u32 index, i;

	scoped_guard(mutex, &iommu_lu_in_lock)
		index = domain_index(domain);

	for (i = 0; i < view->head->nr_functions; i++) {
		if (view->functions[i].domain == index)
			block_function(i);
	}
}
EXPORT_SYMBOL_NS_GPL(iommu_liveupdate_block_domain, "IOMMUFD_INTERNAL");

/**
 * iommu_lu_finish - The update is over.
 *
 * Context: FINISH, before that of devices.
 */
void iommu_lu_finish(void)
{
	u32 i;

	for (i = 0; i < iommu_lu_in.view.head->nr_functions; i++)
		block_function(i);
	for (i = 0; i < iommu_lu_in.nr_domains; i++)
		release_if_unused(i);

	/* the payload is gone after this; taken domains may live on */
	guard(mutex)(&iommu_lu_in_lock);
	iommu_lu_in.view.head = &no_payload;
	bitmap_free(iommu_lu_in.adopted);
	kvfree(iommu_lu_in.functions);
	iommu_lu_in.adopted = NULL;
	iommu_lu_in.functions = NULL;
}

static int load(struct iommu_lu_incoming *in, const void *payload, size_t len)
{
	struct iommu_lu_view view = { .preserved = kho_is_preserved };
	u32 i;
	int ret;

	ret = iommu_lu_open(&view, payload, len);
	if (ret)
		return ret;

	/* without memory now the machine does not come up */
	in->functions = kvcalloc(view.head->nr_functions,
				 sizeof(*in->functions), GFP_KERNEL);
	in->domains = kvcalloc(view.head->nr_domains, sizeof(*in->domains),
			       GFP_KERNEL);
	in->adopted = bitmap_zalloc(view.head->nr_entries, GFP_KERNEL);
	if (!in->functions || !in->domains || !in->adopted)
		return -ENOMEM;

	in->view = view;
	in->nr_domains = view.head->nr_domains;
	for (i = 0; i < view.head->nr_functions; i++)
		in->functions[i].why = iommu_lu_check_function(&view, i);

	return 0;
}

static int __init load_once(void)
{
	static bool loaded __initdata;
	const void *payload;
	size_t len;
	int ret;

	if (loaded)
		return 0;
	loaded = true;

	payload = liveupdate_payload_get(IOMMU_LIVEUPDATE_NAME,
					 IOMMU_LIVEUPDATE_COMPATIBLE, &len);
	if (payload == ERR_PTR(-ENOENT))
		return 0;

	ret = PTR_ERR_OR_ZERO(payload);
	if (!ret)
		ret = load(&iommu_lu_in, payload, len);
	if (ret)
		pr_err("the DMA of all devices that the outgoing kernel kept is blocked, its records cannot be read: %pe\n",
		       ERR_PTR(ret));

	return ret;
}

/* Before drivers of IOMMUs look at their hardware, but for those that load early. */
core_initcall(load_once);

/**
 * iommu_liveupdate_load_early - Read the records before core initcalls.
 *
 * For drivers whose IOMMUs are set up with interrupt remapping.
 *
 * Context: start_kernel(), when memory can be allocated, after
 * liveupdate_load_early().
 */
void __init iommu_liveupdate_load_early(void)
{
	load_once();
}
