// SPDX-License-Identifier: GPL-2.0

/**
 * DOC: MSI and MSI-X in a live update
 *
 * What a function raises while no kernel can take it is remembered by the
 * function itself: a vector that is masked sets its pending bit, and sends its
 * message when it is unmasked.
 *
 * Outgoing kernel:
 *
 * - pci_liveupdate_hold_msi() masks all vectors in the function. From then on
 *   the mask bit is part of whatever is written, see
 *   pci_msix_write_vector_ctrl() and pci_msi_update_mask(). So neither the
 *   interrupt core, which may be about to unmask a vector that came in twice,
 *   nor a change of affinity can undo it. What they want to have written is
 *   kept in the descriptors as ever.
 * - pci_liveupdate_release_msi() writes what the descriptors say, but for
 *   vectors that were masked behind the interrupt core's back: they stay so.
 *
 * Incoming kernel:
 *
 * - Enumeration leaves MSI and MSI-X enabled (pcidev_msi.c). The vectors are
 *   masked.
 * - pci_liveupdate_adopt_msi() is called by the driver that owns the function
 *   again. From then on, allocating vectors does not begin with switching MSI
 *   or MSI-X off, and sets no mask for the whole function. It masks each vector
 *   first, then writes messages, so that none goes to an address of the
 *   outgoing kernel, and a pending bit stays until its vector is requested.
 * - When allocating fails, all is left as it was. A function that was reset
 *   meanwhile is like any.
 * - pci_liveupdate_drop_msi() switches MSI and MSI-X off after all.
 *
 * MSI without mask bits cannot be held. In the incoming kernel it sends its old
 * message until vectors are allocated, which begins with switching it off, so
 * that no message of half the old and half the new one is sent.
 *
 * Locks: the descriptors' lock around a walk over them; in it the lock of one
 * interrupt (MSI-X), or msi_lock (MSI), as for any other write of a mask.
 */

#include <linux/bitmap.h>
#include <linux/cleanup.h>
#include <linux/irq.h>
#include <linux/irqdesc.h>
#include <linux/pci_liveupdate.h>

#include "msi.h"

/**
 * pci_liveupdate_can_hold_msi - Whether what a function raises can be latched.
 * @dev: The function.
 *
 * Context: Process context, may sleep.
 * Return: Whether MSI or MSI-X is enabled, and all its vectors can be masked in
 *	   the function.
 */
bool pci_liveupdate_can_hold_msi(struct pci_dev *dev)
{
	struct msi_desc *desc;

	if (!dev->msi_enabled && !dev->msix_enabled)
		return false;

	guard(msi_descs_lock)(&dev->dev);
	msi_for_each_desc(desc, &dev->dev, MSI_DESC_ALL) {
		if (!desc->pci.msi_attrib.can_mask)
			return false;
	}

	return true;
}

static void hold_msix(struct msi_desc *desc, unsigned long *masked)
{
	void __iomem *addr = pci_msix_desc_addr(desc);
	u32 ctrl;

	guard(raw_spinlock_irq)(&irq_to_desc(desc->irq)->lock);
	ctrl = readl(addr + PCI_MSIX_ENTRY_VECTOR_CTRL);
	if (ctrl & ~desc->pci.msix_ctrl & PCI_MSIX_ENTRY_CTRL_MASKBIT)
		__set_bit(desc->msi_index, masked);
	pci_msix_write_vector_ctrl(desc, desc->pci.msix_ctrl);
}

static void hold_msi(struct pci_dev *dev, struct msi_desc *desc,
		     unsigned long *masked)
{
	u32 mask;

	scoped_guard(raw_spinlock_irq, &dev->msi_lock) {
		pci_read_config_dword(dev, desc->pci.mask_pos, &mask);
		mask &= ~desc->pci.msi_mask & msi_multi_mask(desc);
	}
	bitmap_from_arr32(masked, &mask, 32);
	pci_msi_update_mask(desc, 0, 0);
}

/* The answer comes after all messages that were sent before it. */
static void flush(struct pci_dev *dev)
{
	u16 ctrl;

	if (dev->msix_enabled)
		readl(dev->msix_base);
	else if (dev->msi_enabled)
		pci_read_config_word(dev, dev->msi_cap + PCI_MSI_FLAGS, &ctrl);
}

/**
 * pci_liveupdate_hold_msi - Mask all vectors until they are released.
 * @dev:    The function, preserved, with memory decode on.
 * @masked: A bit for each vector that @dev can have, all zero. Set for those
 *	    that somebody else than the interrupt core had masked.
 *
 * Messages that were sent before are on their way to a CPU, or there, when it
 * returns; none is sent after.
 *
 * Context: Process context, may sleep. Nobody allocates or frees vectors.
 * Return: 0; -ENODEV: the function is not preserved; -EOPNOTSUPP: it cannot mask
 *	   its vectors.
 */
int pci_liveupdate_hold_msi(struct pci_dev *dev, unsigned long *masked)
{
	struct pci_liveupdate *lu = pci_liveupdate_state(dev);
	struct msi_desc *desc;

	if (!lu)
		return -ENODEV;
	if (!pci_liveupdate_can_hold_msi(dev))
		return -EOPNOTSUPP;

	guard(msi_descs_lock)(&dev->dev);
	WRITE_ONCE(lu->msi_held, true);
	msi_for_each_desc(desc, &dev->dev, MSI_DESC_ASSOCIATED) {
		if (desc->pci.msi_attrib.is_msix)
			hold_msix(desc, masked);
		else
			hold_msi(dev, desc, masked);
	}
	flush(dev);

	return 0;
}

static void release_msi(struct pci_dev *dev, struct msi_desc *desc,
			const unsigned long *masked)
{
	u32 mask;

	bitmap_to_arr32(&mask, masked, 32);
	guard(raw_spinlock_irq)(&dev->msi_lock);
	pci_write_config_dword(dev, desc->pci.mask_pos,
			       desc->pci.msi_mask | mask);
}

/**
 * pci_liveupdate_release_msi - Undo pci_liveupdate_hold_msi().
 * @dev:    The function, with memory decode on.
 * @masked: As pci_liveupdate_hold_msi() has set it.
 *
 * Vectors that were not masked before send what they have latched.
 *
 * Context: Process context, may sleep. Nobody allocates or frees vectors.
 */
void pci_liveupdate_release_msi(struct pci_dev *dev,
				const unsigned long *masked)
{
	struct pci_liveupdate *lu = pci_liveupdate_state(dev);
	struct msi_desc *desc;

	if (!lu)
		return;

	guard(msi_descs_lock)(&dev->dev);
	WRITE_ONCE(lu->msi_held, false);
	msi_for_each_desc(desc, &dev->dev, MSI_DESC_ASSOCIATED) {
		if (!desc->pci.msi_attrib.is_msix) {
			release_msi(dev, desc, masked);
		} else if (!test_bit(desc->msi_index, masked)) {
			guard(raw_spinlock_irq)(&irq_to_desc(desc->irq)->lock);
			pci_msix_write_vector_ctrl(desc, desc->pci.msix_ctrl);
		}
	}
	flush(dev);
}

static u16 msi_ctrl(struct pci_dev *dev)
{
	u16 ctrl = 0;

	if (dev->msi_cap)
		pci_read_config_word(dev, dev->msi_cap + PCI_MSI_FLAGS, &ctrl);

	return ctrl;
}

static u16 msix_ctrl(struct pci_dev *dev)
{
	u16 ctrl = 0;

	if (dev->msix_cap)
		pci_read_config_word(dev, dev->msix_cap + PCI_MSIX_FLAGS,
				     &ctrl);

	return ctrl;
}

/**
 * pci_liveupdate_latches_msi - Whether vectors latch what a function raises.
 * @dev:  The function, with vectors or without.
 * @msix: Asked is for MSI-X, else for MSI.
 *
 * Context: Process context.
 * Return: Whether it has the capability, and its vectors can be masked in it.
 */
bool pci_liveupdate_latches_msi(struct pci_dev *dev, bool msix)
{
	if (pci_msi_domain_supports(dev, MSI_FLAG_NO_MASK, DENY_LEGACY))
		return false;

	return msix ? dev->msix_cap : msi_ctrl(dev) & PCI_MSI_FLAGS_MASKBIT;
}

static bool msi_is_on(struct pci_dev *dev)
{
	return msi_ctrl(dev) & PCI_MSI_FLAGS_ENABLE &&
	       pci_liveupdate_latches_msi(dev, false);
}

static bool msix_is_on(struct pci_dev *dev)
{
	return msix_ctrl(dev) & PCI_MSIX_FLAGS_ENABLE &&
	       pci_liveupdate_latches_msi(dev, true);
}

/**
 * pci_liveupdate_msi_kept - Whether MSI is on since the previous kernel.
 * @dev: The function, without vectors in this kernel.
 *
 * Context: Process context.
 * Return: Whether it is on, with all vectors masked, and has to stay on.
 */
bool pci_liveupdate_msi_kept(struct pci_dev *dev)
{
	struct pci_liveupdate *lu = pci_liveupdate_state(dev);

	return lu && lu->msi_kept && msi_is_on(dev);
}

/**
 * pci_liveupdate_msix_kept - Whether MSI-X is on since the previous kernel.
 * @dev: The function, without vectors in this kernel.
 *
 * Context: Process context.
 * Return: Whether it is on, with all vectors masked, and has to stay on.
 */
bool pci_liveupdate_msix_kept(struct pci_dev *dev)
{
	struct pci_liveupdate *lu = pci_liveupdate_state(dev);

	return lu && lu->msi_kept && msix_is_on(dev);
}

/**
 * pci_liveupdate_adopt_msi - Keep what the vectors of a function have latched.
 * @dev: The function, which came through a live update with its vectors masked
 *	 by pci_liveupdate_hold_msi(), and has none in this kernel.
 *
 * Context: Process context. The function may not be reclaimed yet: nothing is
 *	    written to it.
 * Return: Whether allocating vectors will leave MSI or MSI-X on. If not, what
 *	   they have latched will be lost.
 */
bool pci_liveupdate_adopt_msi(struct pci_dev *dev)
{
	struct pci_liveupdate *lu = pci_liveupdate_state(dev);

	if (!lu)
		return false;
	lu->msi_kept = msi_is_on(dev) || msix_is_on(dev);

	return lu->msi_kept;
}

/**
 * pci_liveupdate_drop_msi - Switch off what is on since the previous kernel.
 * @dev: The function, reclaimed. What has vectors in this kernel stays on.
 *
 * Context: Process context.
 */
void pci_liveupdate_drop_msi(struct pci_dev *dev)
{
	struct pci_liveupdate *lu = pci_liveupdate_state(dev);
	u16 ctrl;

	if (lu)
		lu->msi_kept = false;

	ctrl = msi_ctrl(dev);
	if (ctrl & PCI_MSI_FLAGS_ENABLE && !dev->msi_enabled)
		pci_write_config_word(dev, dev->msi_cap + PCI_MSI_FLAGS,
				      ctrl & ~PCI_MSI_FLAGS_ENABLE);
	ctrl = msix_ctrl(dev);
	if (ctrl & PCI_MSIX_FLAGS_ENABLE && !dev->msix_enabled)
		pci_write_config_word(dev, dev->msix_cap + PCI_MSIX_FLAGS,
				      ctrl & ~PCI_MSIX_FLAGS_ENABLE);
}
