// SPDX-License-Identifier: GPL-2.0

/**
 * DOC: PCI in a live update
 *
 * PCI functions stay alive while the kernel under them is replaced: nobody
 * resets them, moves them, or stops their DMA. The driver core decides which
 * (drivers/base/liveupdate.c) and calls the bus's callbacks here; what is handed
 * over is subsystem PCI_LIVEUPDATE_NAME of the host's live update.
 *
 * Outgoing kernel:
 *
 * 1. pci_liveupdate_possible(): whether a function can be kept at all.
 * 2. PREPARE of a function: it is kept in D0. A VF hangs on its PF, every
 *    function on the bridges above it; all of them are preserved as well.
 * 3. PREPARE of the subsystem, after that of all functions and under the rescan
 *    lock: resources become immovable, entries are written
 *    (liveupdate_record.c), bridges are fenced (liveupdate_fence.c). From here
 *    on new functions may come, next to what is preserved and without moving it.
 * 4. REBOOT: entries are written again. Bus mastering stays on, because the
 *    driver core does not shut frozen devices down.
 *
 * Incoming kernel: liveupdate_scan.c, up to the point where a driver reclaims
 * the function. Then FINISH:
 *
 * 5. of the subsystem, which is before that of the functions: the VFs of a PF
 *    that nobody reclaimed are stopped and removed. None of them is reclaimed,
 *    because drivers get a VF only after its PF.
 * 6. of a function: it becomes an ordinary one. If nobody reclaimed it, bus
 *    mastering and MSI go off, and it is reset, but for bridges and for what
 *    had no driver before either. Its IOMMU has blocked it before, and lets the
 *    kernel use it after.
 *
 * Unhappy paths:
 *
 * - PREPARE or REBOOT fails: CANCEL makes each function an ordinary one. No
 *   register was changed, so there is none to restore.
 * - A function is pulled out, or an error resets its link: it is lost
 *   (pci_liveupdate_lost()), its entry stays empty, the others go on.
 * - sysfs may not remove, reset, disable or resize a preserved function or a
 *   bridge above one, write its configuration space or change its number of
 *   VFs; a hotplug slot may not be switched off: EBUSY.
 *
 * Lock order: host state, device lock, pci_lock_rescan_remove(),
 * pci_liveupdate_lock.
 */

#define pr_fmt(fmt) "PCI: live update: " fmt

#include <linux/cleanup.h>
#include <linux/err.h>
#include <linux/init.h>
#include <linux/iommu_liveupdate.h>
#include <linux/kho/abi/pci.h>
#include <linux/liveupdate_host.h>
#include <linux/mutex.h>
#include <linux/overflow.h>
#include <linux/pci.h>
#include <linux/pm_runtime.h>
#include <linux/slab.h>

#include "pci.h"
#include "liveupdate.h"

/* All functions that were ever preserved. */
LIST_HEAD(pci_liveupdate_functions);
/* Protects the list and what is in it, but for reads of fence and attached. */
DEFINE_MUTEX(pci_liveupdate_lock);

static struct pci_payload_ser *pci_out;

static struct pci_liveupdate *get_state(struct pci_dev *dev)
{
	struct pci_liveupdate *lu = dev->liveupdate;

	if (lu)
		return lu;
	lu = kzalloc_obj(*lu);
	if (!lu)
		return NULL;

	lu->dev = dev;
	scoped_guard(mutex, &pci_liveupdate_lock)
		list_add_tail(&lu->node, &pci_liveupdate_functions);
	/* pairs with the acquire in pci_liveupdate_state() */
	smp_store_release(&dev->liveupdate, lu);

	return lu;
}

/**
 * pci_liveupdate_attach - A function is preserved from here on.
 * @dev:   The function.
 * @fence: Which of its configuration writes are kept away.
 *
 * Context: Process context, may sleep. The device lock is held, or nobody else
 *          knows the function yet.
 * Return: 0 or -ENOMEM.
 */
int pci_liveupdate_attach(struct pci_dev *dev, enum pci_liveupdate_fence fence)
{
	struct pci_liveupdate *lu = get_state(dev);

	if (!lu)
		return -ENOMEM;
	if (!lu->attached)
		static_branch_deferred_inc(&pci_liveupdate_key);
	WRITE_ONCE(lu->fence, fence);
	WRITE_ONCE(lu->attached, true);

	return 0;
}

/**
 * pci_liveupdate_detach - A function is an ordinary one from here on.
 * @dev: The function. Nothing happens when it is one already.
 *
 * Context: Process context, may sleep.
 */
void pci_liveupdate_detach(struct pci_dev *dev)
{
	struct pci_liveupdate *lu = dev->liveupdate;
	unsigned int resno;
	bool awake;

	if (!lu)
		return;

	scoped_guard(mutex, &pci_liveupdate_lock) {
		if (!lu->attached)
			return;
		WRITE_ONCE(lu->fence, PCI_LIVEUPDATE_FENCE_NONE);
		WRITE_ONCE(lu->attached, false);
		for (resno = 0; resno < PCI_NUM_RESOURCES; resno++) {
			if (lu->fixed & BIT(resno))
				dev->resource[resno].flags &=
					~IORESOURCE_PCI_FIXED;
		}
		lu->fixed = 0;
		awake = lu->awake;
		lu->awake = false;
	}
	/* not at once: the caller may hold locks that patching code must not wait for */
	static_branch_slow_dec_deferred(&pci_liveupdate_key);
	if (awake)
		pm_runtime_put(&dev->dev);
}

/**
 * pci_liveupdate_preserved - Whether a function is preserved.
 * @dev: The function.
 *
 * Context: Any.
 * Return: Whether it is.
 */
bool pci_liveupdate_preserved(const struct pci_dev *dev)
{
	struct pci_liveupdate *lu = pci_liveupdate_state(dev);

	return lu && READ_ONCE(lu->attached);
}

/**
 * pci_liveupdate_fix - Make a resource immovable until the update is over.
 * @dev:   The function, preserved.
 * @resno: The resource.
 *
 * Context: pci_lock_rescan_remove() held, or the kernel boots.
 */
void pci_liveupdate_fix(struct pci_dev *dev, int resno)
{
	struct resource *res = &dev->resource[resno];

	if (res->flags & IORESOURCE_PCI_FIXED)
		return;
	res->flags |= IORESOURCE_PCI_FIXED;
	dev->liveupdate->fixed |= BIT(resno);
}

/**
 * pci_liveupdate_fixed_by_others - Whether a resource never moves.
 * @dev:   The function, preserved.
 * @resno: The resource.
 *
 * Context: As pci_liveupdate_fix().
 * Return: Whether it is immovable for another reason than a live update.
 */
bool pci_liveupdate_fixed_by_others(struct pci_dev *dev, int resno)
{
	return dev->resource[resno].flags & IORESOURCE_PCI_FIXED &&
	       !(dev->liveupdate->fixed & BIT(resno));
}

/**
 * pci_liveupdate_hold - Keep a preserved function from being suspended.
 * @dev: The function, initialized.
 *
 * Context: Enumeration.
 */
void pci_liveupdate_hold(struct pci_dev *dev)
{
	if (!pci_liveupdate_preserved(dev) || dev->liveupdate->awake)
		return;
	pm_runtime_get_noresume(&dev->dev);
	dev->liveupdate->awake = true;
}

/**
 * pci_liveupdate_lost - A preserved function has gone or is broken.
 * @dev: The function. Nothing happens when it is not preserved.
 * @why: The reason, for an administrator.
 *
 * Context: Process context, may sleep.
 */
void pci_liveupdate_lost(struct pci_dev *dev, const char *why)
{
	if (!dev_liveupdate_preserved(&dev->dev))
		return;
	dev_liveupdate_lost(&dev->dev, why);
	pci_liveupdate_detach(dev);
}

static int lost_one(struct pci_dev *dev, void *why)
{
	pci_liveupdate_lost(dev, why);

	return 0;
}

/**
 * pci_liveupdate_lost_below - All on a bus have gone or are broken.
 * @bus: The bus, not a root bus.
 * @why: The reason, for an administrator.
 *
 * The bridge to the bus is let go as well, because it may have to be reset, or
 * its windows may have to change for what comes next.
 *
 * Context: Process context, may sleep.
 */
void pci_liveupdate_lost_below(struct pci_bus *bus, const char *why)
{
	pci_walk_bus(bus, lost_one, (void *)why);
	pci_liveupdate_lost(bus->self, "nothing below it is left to be kept");
}

/**
 * pci_liveupdate_busy - Refuse what would disturb a preserved function.
 * @dev: The function.
 *
 * Unlike dev_liveupdate_busy() it lets the reset pass that ends the update of a
 * function that nobody reclaimed.
 *
 * Context: Process context.
 * Return: 0, or -EBUSY with a message.
 */
int pci_liveupdate_busy(struct pci_dev *dev)
{
	return pci_liveupdate_preserved(dev) ? dev_liveupdate_busy(&dev->dev) :
					       0;
}

/**
 * pci_liveupdate_release - Forget a function.
 * @dev: The function, whose memory is about to be freed.
 *
 * Context: Process context, may sleep.
 */
void pci_liveupdate_release(struct pci_dev *dev)
{
	struct pci_liveupdate *lu = dev->liveupdate;

	if (!lu)
		return;
	lu->awake = false;
	pci_liveupdate_detach(dev);
	scoped_guard(mutex, &pci_liveupdate_lock)
		list_del(&lu->node);
	dev->liveupdate = NULL;
	kfree(lu);
}

static __printf(4, 5) int refuse(char *why, size_t size, int err,
				 const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(why, size, fmt, args);
	va_end(args);

	return err;
}

static int possible_bridge(struct pci_dev *dev, char *why, size_t size)
{
	if (dev->hdr_type == PCI_HEADER_TYPE_NORMAL)
		return 0;
	if (dev->hdr_type != PCI_HEADER_TYPE_BRIDGE)
		return refuse(why, size, -EPFNOSUPPORT,
			      "is a CardBus bridge: what is below one cannot be kept");

	switch (pci_is_pcie(dev) ? pci_pcie_type(dev) : -1) {
	case PCI_EXP_TYPE_ROOT_PORT:
	case PCI_EXP_TYPE_UPSTREAM:
	case PCI_EXP_TYPE_DOWNSTREAM:
		break;
	default:
		return refuse(why, size, -EPFNOSUPPORT,
			      "leads to a conventional PCI bus, where functions cannot be told apart: use a PCIe slot");
	}
	if (!dev->subordinate)
		return refuse(why, size, -ENXIO,
			      "is a bridge without bus numbers");

	return 0;
}

static int possible_bars(struct pci_dev *dev, char *why, size_t size)
{
	unsigned int i;

	for (i = 0; i < PCI_STD_NUM_BARS; i++) {
		const struct resource *res = &dev->resource[i];

		if (res->flags & IORESOURCE_MEM && !res->parent)
			return refuse(why, size, -ENOSPC,
				      "has no address for BAR %u: give its bridge a larger window",
				      i);
	}

	return 0;
}

static int pci_liveupdate_possible(struct device *dev, char *why, size_t size)
{
	struct pci_dev *pdev = to_pci_dev(dev);
	int err;

	if (pci_dev_is_disconnected(pdev))
		return refuse(why, size, -ENODEV, "does not answer");
	if (pci_domain_nr(pdev->bus) > U16_MAX)
		return refuse(why, size, -EADDRNOTAVAIL,
			      "is in a domain whose number a kernel makes up");
	if (pdev->current_state != PCI_D0)
		return refuse(why, size, -EAGAIN,
			      "is in %s: write on to its power/control first",
			      pci_power_name(pdev->current_state));
	if (pdev->non_compliant_bars || pdev->is_cxl)
		return refuse(why, size, -EPROTONOSUPPORT,
			      "has %s, which cannot be described to the next kernel",
			      pdev->is_cxl ? "CXL" : "BARs of its own kind");
	if (pdev->is_virtfn && !pci_physfn(pdev)->driver)
		return refuse(why, size, -ENOLINK,
			      "is a VF of %s, which has no driver that would take it back",
			      pci_name(pci_physfn(pdev)));
	if (pdev->pri_enabled)
		return refuse(why, size, -EPROTONOSUPPORT,
			      "may ask for pages (PRI), and nobody would answer");

	err = possible_bridge(pdev, why, size);
	if (!err)
		err = possible_bars(pdev, why, size);

	return err ?: iommu_liveupdate_possible(dev, why, size);
}

static int pci_liveupdate_suppliers(struct device *dev,
				    int (*fn)(struct device *supplier,
					      void *data),
				    void *data)
{
	struct pci_dev *pdev = to_pci_dev(dev);

	return pdev->is_virtfn ? fn(&pci_physfn(pdev)->dev, data) : 0;
}

static int pci_liveupdate_prepare(struct device *dev)
{
	struct pci_dev *pdev = to_pci_dev(dev);
	int err;

	err = pm_runtime_resume_and_get(dev);
	if (err) {
		pci_err(pdev, "cannot be woken up for a live update: %pe\n",
			ERR_PTR(err));
		return err;
	}
	err = pci_liveupdate_attach(pdev, PCI_LIVEUPDATE_FENCE_NONE);
	if (err) {
		pm_runtime_put(dev);
		return err;
	}
	scoped_guard(mutex, &pci_liveupdate_lock)
		pdev->liveupdate->awake = true;

	return 0;
}

static void pci_liveupdate_cancel(struct device *dev)
{
	pci_liveupdate_detach(to_pci_dev(dev));
}

/* Bus mastering first: nothing may be written while the reset is under way. */
static void stop(struct pci_dev *dev)
{
	pci_clear_master(dev);
	pci_msi_init(dev);
	pci_msix_init(dev);
	pci_wait_for_pending_transaction(dev);
}

static void stop_unclaimed(struct pci_dev *dev)
{
	int err;

	stop(dev);
	err = pci_reset_function_locked(dev);
	if (err)
		pci_warn(dev, "nobody reclaimed it after the live update; its bus mastering is off, it cannot be reset: %pe\n",
			 ERR_PTR(err));
	else
		pci_info(dev, "nobody reclaimed it after the live update: reset\n");
}

static void pci_liveupdate_finish(struct device *dev)
{
	struct pci_dev *pdev = to_pci_dev(dev);
	bool kept = dev_liveupdate_reclaimed(dev) || pci_is_bridge(pdev);

	if (pdev->liveupdate)
		kept |= pdev->liveupdate->unused;
	pci_liveupdate_detach(pdev);
	if (!kept)
		stop_unclaimed(pdev);
	iommu_liveupdate_release(dev);
}

const struct dev_liveupdate_bus pci_liveupdate_bus = {
	.cbs = {
		.prepare = pci_liveupdate_prepare,
		.cancel = pci_liveupdate_cancel,
		.finish = pci_liveupdate_finish,
	},
	.path = pci_liveupdate_path,
	.possible = pci_liveupdate_possible,
	.suppliers = pci_liveupdate_suppliers,
};

static unsigned int count_all(void)
{
	struct pci_liveupdate *lu;
	unsigned int count = 0;

	guard(mutex)(&pci_liveupdate_lock);
	list_for_each_entry(lu, &pci_liveupdate_functions, node)
		count += lu->attached;

	return count;
}

static void number_all(void)
{
	struct pci_liveupdate *lu;
	unsigned int index = 0;

	guard(mutex)(&pci_liveupdate_lock);
	list_for_each_entry(lu, &pci_liveupdate_functions, node) {
		if (!lu->attached)
			continue;
		lu->index = index++;
		dev_liveupdate_set_bus_data(&lu->dev->dev, lu->index);
	}
}

/*
 * The entry of a function that is lost or does not answer becomes a hole: its
 * last owner may be resetting it right now.
 */
static int record_all(void)
{
	struct pci_liveupdate *lu;
	int err;

	memset(pci_out->functions, 0,
	       array_size(pci_out->count, sizeof(pci_out->functions[0])));

	guard(mutex)(&pci_liveupdate_lock);
	list_for_each_entry(lu, &pci_liveupdate_functions, node) {
		if (!lu->attached ||
		    !dev_liveupdate_preserved(&lu->dev->dev) ||
		    !pci_device_is_present(lu->dev))
			continue;
		err = pci_liveupdate_record(lu->dev,
					    &pci_out->functions[lu->index]);
		if (err)
			return err;
	}

	return 0;
}

static void fix_all(void)
{
	struct pci_liveupdate *lu;
	int resno;

	guard(mutex)(&pci_liveupdate_lock);
	list_for_each_entry(lu, &pci_liveupdate_functions, node) {
		if (!lu->attached)
			continue;
		for (resno = 0; resno < PCI_NUM_RESOURCES; resno++) {
			struct resource *res = &lu->dev->resource[resno];

			if (!res->flags)
				continue;
			/* a ROM's address is not in use before it has one */
			if (resno != PCI_ROM_RESOURCE || res->parent)
				pci_liveupdate_fix(lu->dev, resno);
		}
		if (pci_is_bridge(lu->dev))
			WRITE_ONCE(lu->fence, PCI_LIVEUPDATE_FENCE_BRIDGE);
	}
}

static int pci_prepare_all(struct liveupdate_subsystem *sub)
{
	unsigned int count = count_all();
	int err;

	pci_out = NULL;
	if (!count)
		return 0;

	pci_out = liveupdate_payload_alloc(sub, struct_size(pci_out, functions,
							    count));
	if (IS_ERR(pci_out)) {
		pr_err("no room for the entries of %u functions: %pe\n", count,
		       pci_out);
		return PTR_ERR(pci_out);
	}
	pci_out->count = count;
	number_all();

	pci_lock_rescan_remove();
	err = record_all();
	if (!err)
		fix_all();
	pci_unlock_rescan_remove();

	return err;
}

static int pci_reboot_all(struct liveupdate_subsystem *sub)
{
	int err;

	if (!pci_out)
		return 0;
	pci_lock_rescan_remove();
	err = record_all();
	pci_unlock_rescan_remove();

	return err;
}

static bool is_unclaimed_pf(struct pci_dev *dev)
{
	return dev->is_physfn && pci_num_vf(dev) && !dev->liveupdate->unused &&
	       dev_liveupdate_incoming(&dev->dev) &&
	       !dev_liveupdate_reclaimed(&dev->dev);
}

/* The caller puts it; its VFs are gone when it is called next. */
static struct pci_dev *next_unclaimed_pf(void)
{
	struct pci_liveupdate *lu;

	guard(mutex)(&pci_liveupdate_lock);
	list_for_each_entry(lu, &pci_liveupdate_functions, node) {
		if (lu->attached && is_unclaimed_pf(lu->dev))
			return pci_dev_get(lu->dev);
	}

	return NULL;
}

static void finish_pf(struct pci_dev *pf)
{
	struct pci_dev *vf = NULL;

	guard(device)(&pf->dev);
	if (!is_unclaimed_pf(pf))
		return;

	pci_warn(pf, "nobody reclaimed it after the live update: its %d VFs are removed\n",
		 pci_num_vf(pf));
	pci_lock_rescan_remove();
	WRITE_ONCE(pf->liveupdate->fence, PCI_LIVEUPDATE_FENCE_NONE);
	while ((vf = pci_get_device(pf->vendor, PCI_ANY_ID, vf))) {
		if (!vf->is_virtfn || pci_physfn(vf) != pf)
			continue;
		pci_liveupdate_detach(vf);
		stop(vf);
	}
	pci_iov_stop_vfs(pf);
	pci_unlock_rescan_remove();
}

static void pci_finish_all(struct liveupdate_subsystem *sub)
{
	struct pci_dev *pf;

	while ((pf = next_unclaimed_pf())) {
		finish_pf(pf);
		pci_dev_put(pf);
	}
	pci_liveupdate_drop_records();
}

static const struct liveupdate_subsystem_ops pci_liveupdate_ops = {
	.prepare = pci_prepare_all,
	.reboot = pci_reboot_all,
	.finish = pci_finish_all,
};

static struct liveupdate_subsystem pci_liveupdate_subsystem = {
	.name = PCI_LIVEUPDATE_NAME,
	.compatible = PCI_LIVEUPDATE_COMPATIBLE,
	.prio = LIVEUPDATE_PRIO_WITH_DEVICES,
	.ops = &pci_liveupdate_ops,
	.owner = THIS_MODULE,
};

/* After "dev", which registers earlier: its PREPARE finds the functions. */
static int __init pci_liveupdate_init(void)
{
	int err = liveupdate_register_subsystem(&pci_liveupdate_subsystem);

	return err == -EOPNOTSUPP ? 0 : err;
}
postcore_initcall(pci_liveupdate_init);
