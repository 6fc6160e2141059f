// SPDX-License-Identifier: GPL-2.0

/**
 * DOC: Memory that devices keep
 *
 * A device that stays alive goes on writing to memory: rings, event queues. Its
 * driver names that memory in its prepare or reboot callback, by
 * dev_liveupdate_keep_pages(), and KHO keeps it where it is. The driver in the
 * incoming kernel takes it back by dev_liveupdate_take_pages().
 *
 * - CANCEL, or a device that leaves the set: the memory is the driver's again, as
 *   if nothing had been.
 * - FINISH: what was not taken is freed, after the callbacks of its device. An
 *   unreclaimed device has been made quiet by its bus then; a reclaimed one does
 *   not use what its driver did not take.
 * - A device that did not come back: its memory is freed at FINISH, too. No device
 *   is at its place, and what it hung on has finished before, a PF before its VFs
 *   and a bridge before what is below it.
 * - A device that is lost in the incoming kernel: the same; its bus stopped its
 *   DMA before it said so.
 * - A record that does not verify: its memory stays reserved for good. Nobody
 *   knows who writes to it.
 */

#define pr_fmt(fmt) "liveupdate: " fmt

#include <linux/device.h>
#include <linux/io.h>
#include <linux/kexec_handover.h>
#include <linux/log2.h>
#include <linux/mm.h>

#include <kunit/static_stub.h>

#include "base.h"
#include "liveupdate.h"

/**
 * dlu_pages_handed_over - Whether KHO has kept exactly this block.
 * @pa:    Its physical address.
 * @order: Its size is PAGE_SIZE << @order.
 *
 * Context: Any.
 * Return: Whether it has, and nobody has taken it yet.
 */
bool dlu_pages_handed_over(phys_addr_t pa, unsigned int order)
{
	size_t size = PAGE_SIZE << order;

	KUNIT_STATIC_STUB_REDIRECT(dlu_pages_handed_over, pa, order);

	return kho_is_preserved(pa, size) && !kho_is_preserved(pa, size + 1);
}

/**
 * dev_liveupdate_keep_pages - Keep memory that a device writes to.
 * @dev:   The device.
 * @page:  The first page of one allocation, not in CMA.
 * @order: Its size is PAGE_SIZE << @order.
 *
 * Context: The driver's or the bus's prepare or reboot callback.
 * Return: 0; -EBUSY when the device is not being prepared; -EINVAL when @order is too large
 *         or @page is not aligned to it; -ENOSPC when the device keeps
 *         DEV_LIVEUPDATE_MAX_PAGES already; -EADDRNOTAVAIL when the incoming
 *         kernel boots in that memory; else the errno of KHO.
 */
int dev_liveupdate_keep_pages(struct device *dev, struct page *page,
			      unsigned int order)
{
	struct dev_liveupdate *lu = dlu_state(dev);
	phys_addr_t pa = page_to_phys(page);
	struct dlu_slot *slot;
	int err;

	device_lock_assert(dev);
	slot = lu ? lu->slot : NULL;
	if (!slot || slot->record || dev_liveupdate_frozen(dev))
		return -EBUSY;
	if (order > MAX_PAGE_ORDER || !IS_ALIGNED(pa, PAGE_SIZE << order))
		return -EINVAL;
	if (slot->nr_pages == DEV_LIVEUPDATE_MAX_PAGES)
		return -ENOSPC;
	if (kho_scratch_overlap(pa, PAGE_SIZE << order))
		return -EADDRNOTAVAIL;

	err = kho_preserve_pages(page, 1UL << order);
	if (err)
		return err;
	slot->pages[slot->nr_pages].pa = pa;
	slot->pages[slot->nr_pages++].order = order;

	return 0;
}
EXPORT_SYMBOL_GPL(dev_liveupdate_keep_pages);

/**
 * dlu_pages_unkeep - Undo dev_liveupdate_keep_pages() for all of a device.
 * @slot: The device's slot.
 *
 * Context: Device lock held.
 */
void dlu_pages_unkeep(struct dlu_slot *slot)
{
	struct dlu_pages *pages;

	KUNIT_STATIC_STUB_REDIRECT(dlu_pages_unkeep, slot);

	while (slot->nr_pages) {
		pages = &slot->pages[--slot->nr_pages];
		kho_unpreserve_pages(phys_to_page(pages->pa),
				     1UL << pages->order);
	}
}

/**
 * dlu_pages_restore - Take a block from KHO.
 * @pa:    Its physical address.
 * @order: Its order.
 *
 * Context: Process context.
 * Return: One compound page, which __free_pages() and put_page() both free; NULL
 *         when KHO does not have it any more.
 */
struct page *dlu_pages_restore(phys_addr_t pa, unsigned int order)
{
	struct folio *folio = NULL;

	KUNIT_STATIC_STUB_REDIRECT(dlu_pages_restore, pa, order);

	if (dlu_pages_handed_over(pa, order))
		folio = kho_restore_folio(pa);

	return folio ? folio_page(folio, 0) : NULL;
}

/**
 * dev_liveupdate_take_pages - Take kept memory back.
 * @dev:   The device.
 * @pa:    Physical address of its first page.
 * @order: Set to its order.
 *
 * Context: The driver's probe, or later with the device lock held.
 * Return: The first page, with its contents, for __free_pages(). NULL when the
 *         outgoing kernel did not keep it for this device, or it was taken.
 */
struct page *dev_liveupdate_take_pages(struct device *dev, phys_addr_t pa,
				       unsigned int *order)
{
	struct dlu_slot *slot;
	unsigned int i;

	device_lock_assert(dev);
	if (!dev_liveupdate_incoming(dev))
		return NULL;

	slot = dlu_state(dev)->slot;
	for (i = 0; i < slot->nr_pages; i++) {
		if (slot->pages[i].pa != pa)
			continue;
		*order = slot->pages[i].order;
		slot->pages[i] = slot->pages[--slot->nr_pages];
		return dlu_pages_restore(pa, *order);
	}

	return NULL;
}
EXPORT_SYMBOL_GPL(dev_liveupdate_take_pages);

/**
 * dlu_pages_free - Free kept memory that nobody took.
 * @slot: The slot, finished.
 *
 * Context: Process context.
 */
void dlu_pages_free(struct dlu_slot *slot)
{
	struct dlu_pages *pages;
	struct page *page;

	while (slot->nr_pages) {
		pages = &slot->pages[--slot->nr_pages];
		page = dlu_pages_restore(pages->pa, pages->order);
		if (page)
			__free_pages(page, pages->order);
		else
			pr_warn("memory at %pa of %s device %s was freed by somebody else\n",
				&pages->pa, slot->record->bus,
				slot->record->path);
	}
}
