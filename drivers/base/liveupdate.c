// SPDX-License-Identifier: GPL-2.0

/**
 * DOC: Devices in a live update
 *
 * A device can stay alive while the kernel under it is replaced: its bus and
 * its driver have callbacks for that (&struct dev_liveupdate_bus, &struct
 * dev_liveupdate_cbs), an administrator asks for the device, and the driver
 * core does the rest as subsystem "dev" of the host's live update.
 *
 * Outgoing kernel::
 *
 *	requested --PREPARE--> preserved --REBOOT--> frozen --> [jump]
 *	    ^---------CANCEL, any failure---'----------'
 *
 * 1. requested: sysfs, see liveupdate_sysfs.c. Refused with a reason when the
 *    device, or one that it hangs on, cannot be kept.
 * 2. PREPARE finds all that must come along anew, orders it (liveupdate_set.c)
 *    and calls drivers and buses (liveupdate_event.c). From here on a preserved
 *    device cannot be unbound and its driver's module is pinned.
 * 3. REBOOT freezes, then the records are written (liveupdate_handover.c).
 *    device_shutdown() leaves frozen devices alone, and only those.
 *
 * Incoming kernel::
 *
 *	[boot] --adopt--> preserved --dev_liveupdate_reclaim()--> reclaimed
 *	                      '------------FINISH-----------------'--> ordinary
 *
 * 4. The records are read before any device exists. A bus calls
 *    dev_liveupdate_adopt() before it touches a device it has found, at the
 *    latest device_add() does. The device is preserved from then on, and only
 *    the driver in its record may probe it.
 * 5. That driver calls dev_liveupdate_reclaim() when it runs the device again.
 * 6. FINISH ends that for all devices. One that was not reclaimed is made quiet
 *    by its bus, its memory is freed, and it is offered to all drivers.
 *
 * Unhappy paths:
 *
 * - A failure before the jump: everybody who prepared gets CANCEL, in exact
 *   reverse, frozen or not. Nothing is marked preserved or frozen afterwards.
 * - A device that vanishes or breaks is lost (dev_liveupdate_lost()): no record,
 *   no further event but its CANCEL. The others go on.
 * - device_del() or the loss of its driver also makes a preserved device lost,
 *   with its CANCEL before the driver's remove.
 * - A record that does not verify costs its own device. A device that does not
 *   come back costs nothing more: see liveupdate_pages.c for its memory.
 *
 * Lock order: host state (luo_host.rwsem), then one device lock, then the
 * IOMMU group's mutex or SRCU of device links, then dlu_lock. No two device
 * locks are held at a time. Only events and sysfs take the host state, and sysfs
 * without an active reference: who removes a device may wait for that reference
 * with a device lock held.
 */

#define pr_fmt(fmt) "liveupdate: " fmt

#include <linux/cleanup.h>
#include <linux/device.h>
#include <linux/err.h>
#include <linux/init.h>
#include <linux/liveupdate.h>
#include <linux/liveupdate_host.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "base.h"
#include "liveupdate.h"

DEFINE_SPINLOCK(dlu_lock);

/* In the order of the requests; under dlu_lock. */
static LIST_HEAD(dlu_requested);

static struct dlu_set dlu_out;
static struct dev_liveupdate_set_ser *dlu_payload;
static struct dlu_incoming dlu_in;

static void dlu_reprobe(struct work_struct *work)
{
	struct dev_liveupdate *lu = container_of(work, struct dev_liveupdate,
						 reprobe);

	device_initial_probe(lu->dev);
	put_device(lu->dev);
}

/**
 * dlu_state_alloc - The state of a device, made when it has none.
 * @dev: The device; need not be initialized.
 *
 * Context: May sleep.
 * Return: The state, or NULL without memory.
 */
struct dev_liveupdate *dlu_state_alloc(struct device *dev)
{
	struct dev_liveupdate *lu = dlu_state(dev), *other;

	if (lu)
		return lu;
	lu = kzalloc_obj(*lu);
	if (!lu)
		return NULL;

	lu->dev = dev;
	INIT_LIST_HEAD(&lu->requested);
	INIT_WORK(&lu->reprobe, dlu_reprobe);
	other = cmpxchg(&dev->liveupdate, NULL, lu);
	if (other)
		kfree(lu);

	return other ?: lu;
}

/**
 * dlu_notify - Wake who polls the attributes of a device.
 * @dev: The device.
 *
 * Context: May sleep.
 */
void dlu_notify(struct device *dev)
{
	sysfs_notify(&dev->kobj, DLU_GROUP, "preserved");
	sysfs_notify(&dev->kobj, DLU_GROUP, "reclaimed");
}

/**
 * dev_liveupdate_requested - Whether an administrator asked for a device.
 * @dev: The device.
 *
 * Context: Any. The answer holds while the host's state is held, such as in a
 *          file handler's callbacks.
 * Return: Whether it is to be kept alive over the next update.
 */
bool dev_liveupdate_requested(struct device *dev)
{
	struct dev_liveupdate *lu = dlu_state(dev);

	return lu && test_bit(DLU_REQUESTED, &lu->flags);
}
EXPORT_SYMBOL_GPL(dev_liveupdate_requested);

/**
 * dev_liveupdate_preserved - Whether a device is being kept alive.
 * @dev: The device.
 *
 * Outgoing kernel: from PREPARE to CANCEL or the jump. Incoming kernel: from
 * dev_liveupdate_adopt() to FINISH. Who would disturb the device asks here, or
 * dev_liveupdate_busy().
 *
 * Context: Any.
 * Return: Whether it is.
 */
bool dev_liveupdate_preserved(struct device *dev)
{
	return dlu_preserved_and(dev, DLU_PRESERVED);
}
EXPORT_SYMBOL_GPL(dev_liveupdate_preserved);

/**
 * dev_liveupdate_frozen - Whether REBOOT is done for a device.
 * @dev: The device.
 *
 * Context: Any.
 * Return: Whether it is; the shutdown of such a device is skipped.
 */
bool dev_liveupdate_frozen(struct device *dev)
{
	return dlu_preserved_and(dev, DLU_FROZEN);
}
EXPORT_SYMBOL_GPL(dev_liveupdate_frozen);

/**
 * dev_liveupdate_incoming - Whether the outgoing kernel handed a device over.
 * @dev: The device.
 *
 * Context: Any.
 * Return: True from dev_liveupdate_adopt() to FINISH, reclaimed or not.
 */
bool dev_liveupdate_incoming(struct device *dev)
{
	return dlu_preserved_and(dev, DLU_INCOMING);
}
EXPORT_SYMBOL_GPL(dev_liveupdate_incoming);

/**
 * dev_liveupdate_reclaimed - Whether a device's owner has it again.
 * @dev: The device.
 *
 * Context: Any.
 * Return: True from dev_liveupdate_reclaim() to FINISH, whose callbacks still
 *         see it.
 */
bool dev_liveupdate_reclaimed(struct device *dev)
{
	return dlu_preserved_and(dev, DLU_RECLAIMED);
}
EXPORT_SYMBOL_GPL(dev_liveupdate_reclaimed);

/**
 * dev_liveupdate_reclaim - The owner of a device has it again.
 * @dev: The device.
 *
 * Called by its driver, in probe or later, once it runs the device as it did
 * before the update.
 *
 * Context: Process context, device lock held.
 * Return: 0, also when called again; -ENODEV when nobody handed the device
 *         over, when it is lost, or after FINISH.
 */
int dev_liveupdate_reclaim(struct device *dev)
{
	device_lock_assert(dev);
	if (!dev_liveupdate_incoming(dev))
		return -ENODEV;
	if (!test_and_set_bit(DLU_RECLAIMED, &dlu_state(dev)->flags))
		dlu_notify(dev);

	return 0;
}
EXPORT_SYMBOL_GPL(dev_liveupdate_reclaim);

/**
 * dev_liveupdate_busy - Refuse what would disturb a preserved device.
 * @dev: The device.
 *
 * For unbind, removal, reset and whatever else an administrator may ask for.
 *
 * Context: Process context. The answer holds while the device lock is held.
 * Return: 0, or -EBUSY with a message when the device is preserved.
 */
int dev_liveupdate_busy(struct device *dev)
{
	if (!dev_liveupdate_preserved(dev))
		return 0;

	dev_warn(dev, "kept for a live update: %s it first, in /sys/kernel/liveupdate\n",
		 dev_liveupdate_incoming(dev) ? "finish" : "cancel");

	return -EBUSY;
}
EXPORT_SYMBOL_GPL(dev_liveupdate_busy);

/**
 * dev_liveupdate_lost - A preserved device cannot be kept any more.
 * @dev: The device.
 * @why: The reason, for an administrator.
 *
 * Outgoing kernel: no record will be written; what PREPARE did is cancelled with
 * the rest, or when the device goes. Incoming kernel: it is an ordinary device
 * at once, any driver may have it, and FINISH frees the memory that was kept for
 * it. So its bus must have stopped its DMA before.
 *
 * After REBOOT its record stays: the handover is being sealed. The incoming
 * kernel then finds the place empty, or its bus finds that the device differs.
 *
 * Context: Process context. The device lock may be held.
 */
void dev_liveupdate_lost(struct device *dev, const char *why)
{
	struct dev_liveupdate *lu = dlu_state(dev);

	if (!lu || !test_and_clear_bit(DLU_PRESERVED, &lu->flags))
		return;

	dev_err(dev, "lost to the live update: %s\n", why);
	dlu_notify(dev);
}
EXPORT_SYMBOL_GPL(dev_liveupdate_lost);

/**
 * dev_liveupdate_set_driver_data - What the driver tells itself.
 * @dev:  The device.
 * @data: A number for the driver in the incoming kernel.
 *
 * Context: The driver's prepare or reboot callback.
 */
void dev_liveupdate_set_driver_data(struct device *dev, u64 data)
{
	struct dev_liveupdate *lu = dlu_state(dev);

	if (!WARN_ON_ONCE(!lu))
		lu->driver_data = data;
}
EXPORT_SYMBOL_GPL(dev_liveupdate_set_driver_data);

/**
 * dev_liveupdate_driver_data - What the driver told itself.
 * @dev: The device.
 *
 * Context: Any.
 * Return: In the incoming kernel, what the outgoing kernel's driver set last.
 */
u64 dev_liveupdate_driver_data(struct device *dev)
{
	struct dev_liveupdate *lu = dlu_state(dev);

	return lu ? lu->driver_data : 0;
}
EXPORT_SYMBOL_GPL(dev_liveupdate_driver_data);

/**
 * dev_liveupdate_set_bus_data - What the bus tells itself.
 * @dev:  The device.
 * @data: A number for the bus in the incoming kernel.
 *
 * Context: The bus's prepare or reboot callback.
 */
void dev_liveupdate_set_bus_data(struct device *dev, u64 data)
{
	struct dev_liveupdate *lu = dlu_state(dev);

	if (!WARN_ON_ONCE(!lu))
		lu->bus_data = data;
}
EXPORT_SYMBOL_GPL(dev_liveupdate_set_bus_data);

/**
 * dev_liveupdate_bus_data - What the bus told itself.
 * @dev: The device.
 *
 * Context: Any.
 * Return: In the incoming kernel, what the outgoing kernel's bus set last.
 */
u64 dev_liveupdate_bus_data(struct device *dev)
{
	struct dev_liveupdate *lu = dlu_state(dev);

	return lu ? lu->bus_data : 0;
}
EXPORT_SYMBOL_GPL(dev_liveupdate_bus_data);

/**
 * dev_liveupdate_adopt - Look whether the outgoing kernel handed a device over.
 * @dev: The device. Has its bus, its parent and its name, and is otherwise what
 *       its bus needs to tell its path; need not be initialized.
 *
 * A bus calls this before it touches a device that it has found. device_add()
 * calls it again; the second call does nothing. Who frees a device that was
 * never initialized calls dev_liveupdate_release() before.
 *
 * Context: Process context, may sleep.
 * Return: 0, found or not: dev_liveupdate_incoming() tells. An errno when it was
 *         handed over and that could not be noted: it is lost, and must not
 *         run on.
 */
int dev_liveupdate_adopt(struct device *dev)
{
	return dlu_adopt(&dlu_in, dev);
}
EXPORT_SYMBOL_GPL(dev_liveupdate_adopt);

/**
 * dev_liveupdate_release - Forget a device.
 * @dev: The device, whose memory is about to be freed.
 *
 * Context: device_release(), or who adopted a device that was then never
 *          initialized.
 */
void dev_liveupdate_release(struct device *dev)
{
	struct dev_liveupdate *lu = dlu_state(dev);

	if (!lu)
		return;

	scoped_guard(spinlock_irqsave, &dlu_lock) {
		list_del(&lu->requested);
		if (lu->slot)
			lu->slot->lu = NULL;
	}
	dev->liveupdate = NULL;
	kfree(lu);
}
EXPORT_SYMBOL_GPL(dev_liveupdate_release);

static void dlu_drop(struct device *dev, const char *why)
{
	struct dev_liveupdate *lu = dlu_state(dev);

	device_lock_assert(dev);
	if (!lu || !lu->slot)
		return;
	dev_liveupdate_lost(dev, why);
	dlu_slot_drop(lu->slot, dev);
}

/**
 * dev_liveupdate_del - A device goes.
 * @dev: The device, marked dead.
 *
 * Context: device_del(), device lock held.
 */
void dev_liveupdate_del(struct device *dev)
{
	struct dev_liveupdate *lu = dlu_state(dev);

	dlu_drop(dev, "it was removed");
	if (!lu)
		return;

	guard(spinlock_irqsave)(&dlu_lock);
	clear_bit(DLU_REQUESTED, &lu->flags);
	list_del_init(&lu->requested);
}

/**
 * dev_liveupdate_unbind - The driver of a device goes.
 * @dev: The device, still bound.
 *
 * An administrator's unbind is refused earlier, by dev_liveupdate_busy().
 *
 * Context: Device lock held.
 */
void dev_liveupdate_unbind(struct device *dev)
{
	dlu_drop(dev, "its driver was taken away");
}

/**
 * dev_liveupdate_unbound - The driver of a device has gone, or failed to probe.
 * @dev: The device.
 *
 * Context: Device lock held.
 */
void dev_liveupdate_unbound(struct device *dev)
{
	struct dev_liveupdate *lu = dlu_state(dev);

	if (lu && test_and_clear_bit(DLU_RECLAIMED, &lu->flags))
		dlu_notify(dev);
}

/**
 * dev_liveupdate_may_probe - Whether a driver may have a device.
 * @dev: The device.
 * @drv: The driver.
 *
 * Context: Device lock held.
 * Return: 0, or -EBUSY with a message when the outgoing kernel handed the device
 *         over and @drv is not the driver that it had there, or has no callbacks
 *         for that any more.
 */
int dev_liveupdate_may_probe(struct device *dev,
			     const struct device_driver *drv)
{
	const char *owner;

	device_lock_assert(dev);
	if (!dev_liveupdate_incoming(dev))
		return 0;

	owner = dlu_state(dev)->slot->record->driver;
	if (drv->liveupdate && !strcmp(drv->name, owner))
		return 0;

	if (owner[0])
		dev_info(dev, "kept for driver %s until the live update is finished; %s cannot have it\n",
			 owner, drv->name);
	else
		dev_info(dev, "kept until the live update is finished; %s cannot have it\n",
			 drv->name);

	return -EBUSY;
}

/**
 * dlu_request - Ask for a device to stay alive over the next update.
 * @dev: The device.
 *
 * Context: Process context, state normal and held.
 * Return: 0; else the errno of dlu_possible(), with a message; -ENOMEM.
 */
int dlu_request(struct device *dev)
{
	struct dev_liveupdate *lu;
	struct dlu_why why;
	int err;

	err = dlu_possible(dev, &why);
	if (err) {
		dev_warn(dev, "cannot be kept over a live update: %s\n",
			 why.text);
		return err;
	}
	lu = dlu_state_alloc(dev);
	if (!lu)
		return -ENOMEM;

	guard(device)(dev);
	if (dev->p->dead)
		return -ENODEV;
	guard(spinlock_irqsave)(&dlu_lock);
	if (!test_and_set_bit(DLU_REQUESTED, &lu->flags))
		list_add_tail(&lu->requested, &dlu_requested);

	return 0;
}

/**
 * dlu_withdraw - Undo dlu_request().
 * @dev: The device.
 *
 * Context: State normal and held.
 */
void dlu_withdraw(struct device *dev)
{
	struct dev_liveupdate *lu = dlu_state(dev);

	if (!lu)
		return;

	guard(spinlock_irqsave)(&dlu_lock);
	clear_bit(DLU_REQUESTED, &lu->flags);
	list_del_init(&lu->requested);
}

/**
 * dlu_requested_get - All requested devices.
 * @count: Set to how many.
 *
 * Context: Process context, host state held for writing: only device_del() can
 *          make the list shorter meanwhile.
 * Return: An array of references, for dlu_requested_put(); NULL without memory.
 */
struct device **dlu_requested_get(unsigned int *count)
{
	struct dev_liveupdate *lu;
	struct device **devs;
	size_t room;

	scoped_guard(spinlock_irqsave, &dlu_lock)
		room = list_count_nodes(&dlu_requested);

	devs = kvcalloc(room + 1, sizeof(*devs), GFP_KERNEL);
	if (!devs)
		return NULL;

	*count = 0;
	guard(spinlock_irqsave)(&dlu_lock);
	list_for_each_entry(lu, &dlu_requested, requested) {
		if (kobject_get_unless_zero(&lu->dev->kobj))
			devs[(*count)++] = lu->dev;
	}

	return devs;
}

/**
 * dlu_requested_put - Undo dlu_requested_get().
 * @devs:  The array.
 * @count: Entries in it.
 *
 * Context: Process context.
 */
void dlu_requested_put(struct device **devs, unsigned int count)
{
	while (count--)
		put_device(devs[count]);
	kvfree(devs);
}

static int dlu_prepare_set(struct liveupdate_subsystem *sub)
{
	if (!dlu_out.count)
		return 0;

	dlu_payload = liveupdate_payload_alloc(sub,
					       dlu_payload_size(dlu_out.count));
	if (IS_ERR(dlu_payload)) {
		pr_err("no memory for the records of %u devices: %pe\n",
		       dlu_out.count, dlu_payload);
		dlu_set_cancel(&dlu_out);
		return PTR_ERR(dlu_payload);
	}

	return dlu_set_prepare(&dlu_out);
}

static int dlu_prepare(struct liveupdate_subsystem *sub)
{
	struct device **devs;
	struct dlu_why why;
	unsigned int count;
	int err;

	dlu_payload = NULL;
	devs = dlu_requested_get(&count);
	if (!devs)
		return -ENOMEM;

	err = dlu_set_build(&dlu_out, devs, count, &why);
	dlu_requested_put(devs, count);
	if (err) {
		pr_err("a requested device cannot be kept: %s\n", why.text);
		return err;
	}

	return dlu_prepare_set(sub);
}

static int dlu_reboot(struct liveupdate_subsystem *sub)
{
	int err = dlu_set_reboot(&dlu_out);

	if (!err && dlu_payload)
		err = dlu_payload_write(&dlu_out, dlu_payload);

	return err;
}

static void dlu_cancel(struct liveupdate_subsystem *sub)
{
	dlu_set_cancel(&dlu_out);
}

static void dlu_finish(struct liveupdate_subsystem *sub)
{
	dlu_incoming_finish(&dlu_in);
}

static const struct liveupdate_subsystem_ops dlu_ops = {
	.prepare = dlu_prepare,
	.reboot = dlu_reboot,
	.cancel = dlu_cancel,
	.finish = dlu_finish,
};

static struct liveupdate_subsystem dlu_subsystem = {
	.name = DEV_LIVEUPDATE_SUBSYSTEM,
	.compatible = DEV_LIVEUPDATE_ABI_COMPATIBLE,
	.prio = LIVEUPDATE_PRIO_WITH_DEVICES,
	.ops = &dlu_ops,
	.owner = THIS_MODULE,
};

static int __init dlu_load(void)
{
	const struct dev_liveupdate_set_ser *payload;
	size_t len;
	int err;

	payload = liveupdate_payload_get(DEV_LIVEUPDATE_SUBSYSTEM,
					 DEV_LIVEUPDATE_ABI_COMPATIBLE, &len);
	if (payload == ERR_PTR(-ENOENT))
		return 0;

	err = PTR_ERR_OR_ZERO(payload);
	if (!err)
		err = dlu_payload_read(&dlu_in, payload, len);
	if (err)
		pr_err("the devices that the outgoing kernel kept are lost, their records cannot be read: %pe\n",
		       ERR_PTR(err));

	return err;
}

/*
 * After the early initcalls, by which the host state learns of an update.
 * Before any bus registers a subsystem of its own, which must come after this
 * one, and before the first device of a bus that takes part.
 */
static int __init dlu_init(void)
{
	int err;

	if (!liveupdate_enabled())
		return 0;

	err = liveupdate_register_subsystem(&dlu_subsystem);

	return err ?: dlu_load();
}
pure_initcall(dlu_init);
