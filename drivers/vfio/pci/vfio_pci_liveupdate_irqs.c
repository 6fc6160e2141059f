// SPDX-License-Identifier: GPL-2.0-only

/**
 * DOC: Interrupts of vfio-pci in a live update
 *
 * What a device raises while no kernel can take it is seen by its user in the
 * incoming kernel. A vector that has an eventfd is called armed.
 *
 *	kind of interrupt		in the blackout		after it
 *	MSI-X, MSI with mask bits	latched by the device	exactly that
 *	MSI without mask bits		sent to nowhere		one replay
 *	INTx				the line stays asserted	one replay, and
 *								while asserted
 *
 * Exactly: an event before the mask is in the vector's eventfd, an event after
 * it is in the vector's pending bit; two of the same side are one, as ever. A
 * replay is one signal for each vector that was armed, whether or not it
 * raised something.
 *
 * Outgoing kernel, vfio_pci_liveupdate_freeze_irqs():
 *
 * 1. Bypasses are taken down, so that no message goes to a vCPU past its
 *    eventfd.
 * 2. Every vector is masked in the device, and the device is read. Its answer
 *    comes after all messages that it sent before, so these have arrived.
 * 3. Each CPU takes the interrupts that have arrived; their handlers return.
 * 4. The eventfds are looked into. What is unread will never be read, and is
 *    signalled again (&struct vfio_pci_irqs_ser.pending).
 *
 * Nothing is between 2 and 4: a message that was sent before the mask is in
 * its eventfd by 4, and after the mask there are none. In the hands of KVM's
 * irqfd nothing can be looked at; that counts as unread. MSI without mask bits
 * goes through 1, 3 and 4; the device is not touched. INTx is masked as its
 * user could do it, because nobody would be there to silence a shared line.
 *
 * vfio_pci_liveupdate_thaw_irqs() undoes it. Masked vectors send what they have
 * latched, what is in an eventfd is still there, so nothing is replayed.
 *
 * Incoming kernel: vfio_pci_liveupdate_adopt_irqs() remembers the record. When
 * the user sets an armed vector up, it is programmed, requested, which unmasks
 * it so that the device sends what it has latched, and then signalled once if
 * there were unread events, or if the device could not latch. Each vector does
 * that once. A vector that gets no eventfd stays masked. Vectors that were not
 * armed, in whatever number, are as ever.
 *
 * An interrupt is never seen before the data that it announces: a device sends
 * its message after its data, on the same way, and one that waits in the
 * device or in an eventfd only comes later. DMA is translated all the time.
 *
 * What is not kept: that a user has masked a vector of MSI-X in the table behind
 * the kernel's back; that INTx was masked by its user or by an interrupt; the
 * eventfds that unmask INTx; error and request eventfds. Setting a vector up
 * unmasks it, as ever, and INTx comes again while it is asserted.
 *
 * Unhappy paths:
 *
 * - The user switches MSI or MSI-X off while vectors are left: what these have
 *   latched is gone, so they get a replay when they are set up after all. So it
 *   is when the device has them off already.
 * - He sets up interrupts of another kind while MSI or MSI-X is on since the
 *   outgoing kernel: -EALREADY. VFIO_DEVICE_SET_IRQS with a count of 0
 *   switches them off first.
 * - He never sets any up: they go into the next update, or are switched off
 *   when he closes the device.
 * - MSI without mask bits, without interrupt remapping: refused, because its old
 *   message could hit any vector of the incoming kernel.
 *
 * Locks: vdev->igate around what is remembered, and around what is set up. In
 * it vdev->memory_lock, because MSI-X tables are in a BAR.
 */

#include <linux/bitmap.h>
#include <linux/eventfd.h>
#include <linux/interrupt.h>
#include <linux/irqbypass.h>
#include <linux/msi.h>
#include <linux/pci.h>
#include <linux/pci_liveupdate.h>
#include <linux/slab.h>
#include <linux/stop_machine.h>
#include <linux/vfio.h>
#include <linux/vfio_pci_core.h>

#include "vfio_pci_liveupdate.h"
#include "vfio_pci_priv.h"

/**
 * struct vfio_pci_liveupdate_irqs - Interrupts of a device in live updates.
 * @left:        What an earlier kernel has left, and its user not yet set up.
 * @masked:      Vectors that were masked, but not by the interrupt core.
 * @frozen:      Between freeze and thaw.
 * @held:        The vectors are masked by freeze.
 * @intx_masked: INTx is masked by freeze.
 */
struct vfio_pci_liveupdate_irqs {
	struct vfio_pci_irqs_ser left;
	DECLARE_BITMAP(masked, VFIO_PCI_SER_MAX_VECTORS);
	bool frozen;
	bool held;
	bool intx_masked;
};

static bool has_msi(struct vfio_pci_core_device *vdev)
{
	return vdev->irq_type == VFIO_PCI_MSI_IRQ_INDEX ||
	       vdev->irq_type == VFIO_PCI_MSIX_IRQ_INDEX;
}

static int get_irqs(struct vfio_pci_core_device *vdev)
{
	struct vfio_pci_liveupdate_irqs *irqs = vdev->liveupdate_irqs;

	if (irqs)
		return 0;
	irqs = kzalloc_obj(*irqs);
	if (!irqs)
		return -ENOMEM;
	irqs->left.index = VFIO_PCI_SER_NO_IRQ;
	vdev->liveupdate_irqs = irqs;

	return 0;
}

/**
 * vfio_pci_liveupdate_latches - Whether a device latches what it raises.
 * @vdev:  The device.
 * @index: VFIO_PCI_INTX_IRQ_INDEX, VFIO_PCI_MSI_IRQ_INDEX, or
 *	   VFIO_PCI_MSIX_IRQ_INDEX.
 *
 * Context: Process context.
 * Return: Whether it has interrupts of this kind, and can latch them.
 */
bool vfio_pci_liveupdate_latches(struct vfio_pci_core_device *vdev,
				 unsigned int index)
{
	switch (index) {
	case VFIO_PCI_MSI_IRQ_INDEX:
		return pci_liveupdate_latches_msi(vdev->pdev, false);
	case VFIO_PCI_MSIX_IRQ_INDEX:
		return pci_liveupdate_latches_msi(vdev->pdev, true);
	default:
		return false;
	}
}

/**
 * vfio_pci_liveupdate_can_keep_irqs - Whether interrupts survive an update.
 * @vdev: The device.
 *
 * Context: Process context, may sleep. dev_set->lock is held.
 * Return: 0, or -EPROTONOSUPPORT with a message.
 */
int vfio_pci_liveupdate_can_keep_irqs(struct vfio_pci_core_device *vdev)
{
	struct pci_dev *pdev = vdev->pdev;

	guard(mutex)(&vdev->igate);
	if (!has_msi(vdev) || pci_liveupdate_can_hold_msi(pdev) ||
	    msi_device_has_isolated_msi(&pdev->dev))
		return 0;

	pci_warn(pdev, "its MSI cannot be masked, and without interrupt remapping would hit any vector of the next kernel: turn that on, or use INTx\n");
	return -EPROTONOSUPPORT;
}

static void connect_bypasses(struct vfio_pci_core_device *vdev)
{
	struct vfio_pci_irq_ctx *ctx;
	unsigned long i;
	int ret;

	xa_for_each(&vdev->ctx, i, ctx) {
		ret = irq_bypass_register_producer(&ctx->producer, ctx->trigger,
						   pci_irq_vector(vdev->pdev, i));
		if (ret)
			pci_info(vdev->pdev, "vector %lu has no irq bypass any more: %pe\n",
				 i, ERR_PTR(ret));
	}
}

static void disconnect_bypasses(struct vfio_pci_core_device *vdev)
{
	struct vfio_pci_irq_ctx *ctx;
	unsigned long i;

	xa_for_each(&vdev->ctx, i, ctx)
		irq_bypass_unregister_producer(&ctx->producer);
}

static int nothing(void *unused)
{
	return 0;
}

/*
 * An interrupt that has reached a CPU may wait there until the CPU enables
 * interrupts. Each does before it stops, in its stopper thread: it has taken
 * them then. What is left are threads of handlers.
 */
static void wait_for_handlers(struct vfio_pci_core_device *vdev)
{
	struct vfio_pci_irq_ctx *ctx;
	unsigned long i;

	stop_machine(nothing, NULL, NULL);
	xa_for_each(&vdev->ctx, i, ctx)
		synchronize_irq(pci_irq_vector(vdev->pdev, i));
}

static void record_vector(struct vfio_pci_irqs_ser *ser, unsigned int vector,
			  struct eventfd_ctx *trigger)
{
	u64 bit = BIT_ULL(vector % 64);

	if (!trigger)
		return;
	ser->armed[vector / 64] |= bit;
	if (eventfd_ctx_unread(trigger))
		ser->pending[vector / 64] |= bit;
	ser->nr = vector + 1;
}

static void record_vectors(struct vfio_pci_core_device *vdev,
			   struct vfio_pci_irqs_ser *ser)
{
	struct vfio_pci_irq_ctx *ctx;
	unsigned long i;

	ser->index = vdev->irq_type;
	xa_for_each(&vdev->ctx, i, ctx)
		record_vector(ser, i, ctx->trigger);
}

static int hold_vectors(struct vfio_pci_core_device *vdev)
{
	struct vfio_pci_liveupdate_irqs *irqs = vdev->liveupdate_irqs;
	int ret;
	u16 cmd;

	bitmap_zero(irqs->masked, VFIO_PCI_SER_MAX_VECTORS);
	cmd = vfio_pci_memory_lock_and_enable(vdev);
	ret = pci_liveupdate_hold_msi(vdev->pdev, irqs->masked);
	vfio_pci_memory_unlock_and_restore(vdev, cmd);
	if (ret)
		pci_warn(vdev->pdev, "its vectors cannot be masked for the live update: %pe\n",
			 ERR_PTR(ret));
	else
		irqs->held = true;

	return ret;
}

static int freeze_msi(struct vfio_pci_core_device *vdev,
		      struct vfio_pci_irqs_ser *ser)
{
	int ret = 0;

	guard(mutex)(&vdev->igate);
	disconnect_bypasses(vdev);
	if (pci_liveupdate_can_hold_msi(vdev->pdev)) {
		ret = hold_vectors(vdev);
		ser->latched = !ret;
	}
	wait_for_handlers(vdev);
	record_vectors(vdev, ser);

	return ret;
}

static void freeze_intx(struct vfio_pci_core_device *vdev,
			struct vfio_pci_irqs_ser *ser)
{
	vdev->liveupdate_irqs->intx_masked = vfio_pci_intx_mask(vdev);
	synchronize_irq(vdev->pdev->irq);
	guard(mutex)(&vdev->igate);
	record_vectors(vdev, ser);
}

/**
 * vfio_pci_irqs_merge - Add vectors that wait since an earlier update.
 * @ser: What is set up now; nothing is added to another kind of interrupt.
 * @old: What was not set up again.
 *
 * Context: Any.
 */
void vfio_pci_irqs_merge(struct vfio_pci_irqs_ser *ser,
			 const struct vfio_pci_irqs_ser *old)
{
	unsigned int i;

	if (ser->index == VFIO_PCI_SER_NO_IRQ) {
		*ser = *old;
		return;
	}
	if (ser->index != old->index)
		return;

	for (i = 0; i < ARRAY_SIZE(ser->armed); i++) {
		ser->armed[i] |= old->armed[i];
		ser->pending[i] |= old->latched ? old->pending[i] :
						  old->armed[i];
	}
	ser->nr = max(ser->nr, old->nr);
}

/**
 * vfio_pci_liveupdate_freeze_irqs - The kernel is about to be replaced.
 * @vdev: The device.
 * @ser:  Filled with what the next kernel has to know.
 *
 * Context: Process context, may sleep, interrupts of all CPUs work.
 *	    dev_set->lock and vdev->liveupdate_rwsem are held.
 * Return: 0, or an errno with a message, and nothing has changed.
 */
int vfio_pci_liveupdate_freeze_irqs(struct vfio_pci_core_device *vdev,
				    struct vfio_pci_irqs_ser *ser)
{
	int ret;

	memset(ser, 0, sizeof(*ser));
	ser->index = VFIO_PCI_SER_NO_IRQ;
	ret = vfio_pci_liveupdate_can_keep_irqs(vdev);
	if (ret)
		return ret;
	ret = get_irqs(vdev);
	if (ret) {
		pci_warn(vdev->pdev, "no memory to keep its interrupts; free some and try again\n");
		return ret;
	}

	vdev->liveupdate_irqs->frozen = true;
	if (vdev->irq_type == VFIO_PCI_INTX_IRQ_INDEX)
		freeze_intx(vdev, ser);
	else if (has_msi(vdev))
		ret = freeze_msi(vdev, ser);

	if (ret)
		vfio_pci_liveupdate_thaw_irqs(vdev);
	else
		vfio_pci_irqs_merge(ser, &vdev->liveupdate_irqs->left);

	return ret;
}

static void thaw_msi(struct vfio_pci_core_device *vdev)
{
	struct vfio_pci_liveupdate_irqs *irqs = vdev->liveupdate_irqs;
	u16 cmd;

	guard(mutex)(&vdev->igate);
	if (has_msi(vdev))
		connect_bypasses(vdev);
	if (!irqs->held)
		return;

	irqs->held = false;
	cmd = vfio_pci_memory_lock_and_enable(vdev);
	pci_liveupdate_release_msi(vdev->pdev, irqs->masked);
	vfio_pci_memory_unlock_and_restore(vdev, cmd);
}

/**
 * vfio_pci_liveupdate_thaw_irqs - The kernel is not replaced after all.
 * @vdev: The device. Nothing happens when its interrupts are not frozen.
 *
 * Context: Process context, may sleep. dev_set->lock and
 *	    vdev->liveupdate_rwsem are held.
 */
void vfio_pci_liveupdate_thaw_irqs(struct vfio_pci_core_device *vdev)
{
	struct vfio_pci_liveupdate_irqs *irqs = vdev->liveupdate_irqs;

	if (!irqs || !irqs->frozen)
		return;

	irqs->frozen = false;
	if (irqs->intx_masked && vdev->irq_type == VFIO_PCI_INTX_IRQ_INDEX)
		vfio_pci_intx_unmask(vdev);
	irqs->intx_masked = false;
	thaw_msi(vdev);
}

static bool is_empty(const u64 *bits, unsigned int from)
{
	unsigned int i;

	for (i = from; i < VFIO_PCI_SER_MAX_VECTORS; i++) {
		if (bits[i / 64] & BIT_ULL(i % 64))
			return false;
	}

	return true;
}

static unsigned int max_vectors(const struct vfio_pci_irqs_ser *ser)
{
	switch (ser->index) {
	case VFIO_PCI_INTX_IRQ_INDEX:
		return 1;
	case VFIO_PCI_MSI_IRQ_INDEX:
		return 32;
	case VFIO_PCI_MSIX_IRQ_INDEX:
		return VFIO_PCI_SER_MAX_VECTORS;
	default:
		return 0;
	}
}

/**
 * vfio_pci_liveupdate_check_irqs - Whether a record can be true.
 * @ser: Written by the outgoing kernel.
 *
 * Context: Any.
 * Return: 0 or -EUCLEAN.
 */
int vfio_pci_liveupdate_check_irqs(const struct vfio_pci_irqs_ser *ser)
{
	bool msi = ser->index == VFIO_PCI_MSI_IRQ_INDEX ||
		   ser->index == VFIO_PCI_MSIX_IRQ_INDEX;
	u64 armed[ARRAY_SIZE(ser->armed)];
	unsigned int i;

	if (!msi && ser->index != VFIO_PCI_INTX_IRQ_INDEX &&
	    ser->index != VFIO_PCI_SER_NO_IRQ)
		return -EUCLEAN;
	if (ser->latched > msi || ser->reserved || ser->nr > max_vectors(ser))
		return -EUCLEAN;

	memcpy(armed, ser->armed, sizeof(armed));
	for (i = 0; i < ARRAY_SIZE(armed); i++) {
		if (ser->pending[i] & ~armed[i])
			return -EUCLEAN;
	}

	return is_empty(armed, ser->nr) ? 0 : -EUCLEAN;
}

static int nr_vectors(struct pci_dev *pdev, unsigned int index)
{
	switch (index) {
	case VFIO_PCI_MSI_IRQ_INDEX:
		return pci_msi_vec_count(pdev);
	case VFIO_PCI_MSIX_IRQ_INDEX:
		return pci_msix_vec_count(pdev);
	default:
		return 1;
	}
}

/**
 * vfio_pci_liveupdate_adopt_irqs - Remember what the outgoing kernel has left.
 * @vdev: The device, without interrupts in this kernel. It is not written to.
 * @ser:  Checked by vfio_pci_liveupdate_check_irqs().
 *
 * Context: Process context, may sleep. dev_set->lock is held.
 * Return: 0; -EUCLEAN with a message: the device does not have such interrupts;
 *	   -ENOMEM.
 */
int vfio_pci_liveupdate_adopt_irqs(struct vfio_pci_core_device *vdev,
				   const struct vfio_pci_irqs_ser *ser)
{
	struct pci_dev *pdev = vdev->pdev;
	int ret;

	if (ser->index == VFIO_PCI_SER_NO_IRQ)
		return 0;
	if (ser->nr > nr_vectors(pdev, ser->index)) {
		pci_warn(pdev, "the record of the live update has more interrupts than it\n");
		return -EUCLEAN;
	}

	guard(mutex)(&vdev->igate);
	ret = get_irqs(vdev);
	if (ret)
		return ret;
	vdev->liveupdate_irqs->left = *ser;
	if (ser->latched && !pci_liveupdate_adopt_msi(pdev)) {
		pci_warn(pdev, "what its vectors have latched in the live update is lost: each is signalled once\n");
		vdev->liveupdate_irqs->left.latched = 0;
	}

	return 0;
}

/**
 * vfio_pci_liveupdate_forget_irqs - The device is closed.
 * @vdev: The device. Interrupts of this kernel are not set up any more.
 *
 * Context: Process context, may sleep. dev_set->lock is held.
 */
void vfio_pci_liveupdate_forget_irqs(struct vfio_pci_core_device *vdev)
{
	struct vfio_pci_liveupdate_irqs *irqs = vdev->liveupdate_irqs;

	if (!irqs)
		return;

	vfio_pci_liveupdate_thaw_irqs(vdev);
	if (irqs->left.index != VFIO_PCI_SER_NO_IRQ)
		pci_liveupdate_drop_msi(vdev->pdev);
	vdev->liveupdate_irqs = NULL;
	kfree(irqs);
}

/**
 * vfio_pci_liveupdate_irqs_on - Whether MSI or MSI-X waits to be set up.
 * @vdev: The device.
 *
 * Context: Process context.
 * Return: Whether it is on since the outgoing kernel.
 */
bool vfio_pci_liveupdate_irqs_on(struct vfio_pci_core_device *vdev)
{
	struct vfio_pci_liveupdate_irqs *irqs = vdev->liveupdate_irqs;
	struct pci_dev *pdev = vdev->pdev;
	u16 ctrl = 0;

	if (!irqs || vdev->irq_type != VFIO_PCI_NUM_IRQS)
		return false;

	switch (irqs->left.index) {
	case VFIO_PCI_MSI_IRQ_INDEX:
		pci_read_config_word(pdev, pdev->msi_cap + PCI_MSI_FLAGS,
				     &ctrl);
		return ctrl & PCI_MSI_FLAGS_ENABLE;
	case VFIO_PCI_MSIX_IRQ_INDEX:
		pci_read_config_word(pdev, pdev->msix_cap + PCI_MSIX_FLAGS,
				     &ctrl);
		return ctrl & PCI_MSIX_FLAGS_ENABLE;
	default:
		return false;
	}
}

/**
 * vfio_pci_liveupdate_may_set_irqs - Interrupts are about to be set up.
 * @vdev:  The device, which has none in this kernel.
 * @index: Their kind.
 *
 * Context: Process context, vdev->igate is held.
 * Return: 0, or -EALREADY with a message.
 */
int vfio_pci_liveupdate_may_set_irqs(struct vfio_pci_core_device *vdev,
				     unsigned int index)
{
	u8 kept;

	if (!vfio_pci_liveupdate_irqs_on(vdev))
		return 0;
	kept = vdev->liveupdate_irqs->left.index;
	if (kept == index)
		return 0;

	pci_notice_ratelimited(vdev->pdev, "has other interrupts since before the live update: set index %u up, or disable it first\n",
			       kept);
	return -EALREADY;
}

/**
 * vfio_pci_liveupdate_irqs_off - MSI or MSI-X was switched off.
 * @vdev: The device. What the vectors that are left have latched is gone.
 *
 * Context: Process context, vdev->igate is held, or the device is being closed.
 */
void vfio_pci_liveupdate_irqs_off(struct vfio_pci_core_device *vdev)
{
	if (vdev->liveupdate_irqs)
		vdev->liveupdate_irqs->left.latched = 0;
}

/**
 * vfio_pci_liveupdate_drop_irqs - The user disables what he has not set up.
 * @vdev:  The device.
 * @index: The kind of interrupts.
 *
 * Context: Process context, vdev->igate is held.
 * Return: Whether they were on since the outgoing kernel.
 */
bool vfio_pci_liveupdate_drop_irqs(struct vfio_pci_core_device *vdev,
				   unsigned int index)
{
	if (!vfio_pci_liveupdate_irqs_on(vdev) ||
	    vdev->liveupdate_irqs->left.index != index)
		return false;

	pci_liveupdate_drop_msi(vdev->pdev);
	vfio_pci_liveupdate_irqs_off(vdev);

	return true;
}

/**
 * vfio_pci_irqs_take - A vector is set up again.
 * @ser:    What is left; @vector no longer afterwards.
 * @vector: The vector.
 *
 * Context: Any.
 * Return: Whether it has to be signalled.
 */
bool vfio_pci_irqs_take(struct vfio_pci_irqs_ser *ser, unsigned int vector)
{
	u64 bit = BIT_ULL(vector % 64);
	bool signal;

	if (!(ser->armed[vector / 64] & bit))
		return false;

	signal = !ser->latched || ser->pending[vector / 64] & bit;
	ser->armed[vector / 64] &= ~bit;
	ser->pending[vector / 64] &= ~bit;

	return signal;
}

/**
 * vfio_pci_liveupdate_replay - An interrupt was set up, with an eventfd.
 * @vdev:   The device. The vector is unmasked.
 * @index:  The kind of interrupt.
 * @vector: Its number.
 *
 * Context: Process context, vdev->igate is held.
 * Return: Whether it has to be signalled.
 */
bool vfio_pci_liveupdate_replay(struct vfio_pci_core_device *vdev,
				unsigned int index, unsigned int vector)
{
	struct vfio_pci_liveupdate_irqs *irqs = vdev->liveupdate_irqs;

	return irqs && irqs->left.index == index &&
	       vfio_pci_irqs_take(&irqs->left, vector);
}
