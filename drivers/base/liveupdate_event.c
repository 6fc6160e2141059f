// SPDX-License-Identifier: GPL-2.0

/**
 * DOC: Live update events of devices
 *
 * A set is walked from its first device to its last for PREPARE and REBOOT, the
 * driver before the bus of each; from the last to the first for CANCEL and
 * FINISH, the bus before the driver. Each callback runs with the lock of its
 * device and is seen by trace event liveupdate_device.
 *
 * Unhappy paths:
 *
 * - PREPARE fails in the driver of the k-th device: CANCEL for the k-1 before it.
 *   In its bus: CANCEL for its driver first.
 * - REBOOT fails: the caller cancels, and all who prepared get CANCEL.
 * - A device is lost: it is passed over, but gets the CANCEL that it is owed:
 *   here, or in dlu_slot_drop() when it goes earlier.
 *
 * Locking: the caller holds the host state for writing, which keeps the set
 * together. Devices may leave it meanwhile, each with its own lock held.
 */

#define pr_fmt(fmt) "liveupdate: " fmt

#include <linux/device.h>
#include <linux/err.h>
#include <linux/workqueue.h>

#include <trace/events/liveupdate.h>

#include "base.h"
#include "liveupdate.h"

/**
 * dlu_event_name - An event as traces and debugfs show it.
 * @event: The event.
 *
 * Context: Any.
 * Return: A string that is never freed.
 */
const char *dlu_event_name(enum dlu_event event)
{
	static const char * const names[] = {
		[DLU_EVENT_PREPARE]	= "prepare",
		[DLU_EVENT_REBOOT]	= "reboot",
		[DLU_EVENT_CANCEL]	= "cancel",
		[DLU_EVENT_FINISH]	= "finish",
	};

	return names[event];
}

/* PREPARE or REBOOT of one part. */
static int dlu_call(enum dlu_event event, struct device *dev, const char *part,
		    const struct dev_liveupdate_cbs *cbs)
{
	int (*fn)(struct device *dev);
	int err;

	fn = event == DLU_EVENT_PREPARE ? cbs->prepare : cbs->reboot;
	err = dlu_fault(event, dev, part);
	if (!err && !fn)
		return 0;
	if (!err)
		err = fn(dev);

	trace_liveupdate_device(dlu_event_name(event), dev, part, err);
	if (err)
		dev_err(dev, "%s refused %s: %pe\n", part,
			dlu_event_name(event), ERR_PTR(err));

	return err;
}

/* CANCEL or FINISH of one part. */
static void dlu_call_void(enum dlu_event event, struct device *dev,
			  const char *part, void (*fn)(struct device *dev))
{
	if (!fn)
		return;
	fn(dev);
	trace_liveupdate_device(dlu_event_name(event), dev, part, 0);
}

static const struct dev_liveupdate_cbs *dlu_driver_cbs(struct device *dev)
{
	return dev->driver ? dev->driver->liveupdate : NULL;
}

static const struct dev_liveupdate_cbs *dlu_bus_cbs(struct device *dev)
{
	return &dev->bus->liveupdate->cbs;
}

static void dlu_cancel_driver(struct device *dev)
{
	const struct dev_liveupdate_cbs *cbs = dlu_driver_cbs(dev);

	if (cbs)
		dlu_call_void(DLU_EVENT_CANCEL, dev, "driver", cbs->cancel);
}

static int dlu_call_both(enum dlu_event event, struct device *dev)
{
	const struct dev_liveupdate_cbs *cbs = dlu_driver_cbs(dev);
	int err = 0;

	if (cbs)
		err = dlu_call(event, dev, "driver", cbs);
	if (err)
		return err;

	err = dlu_call(event, dev, "bus", dlu_bus_cbs(dev));
	if (err && event == DLU_EVENT_PREPARE)
		dlu_cancel_driver(dev);

	return err;
}

/* What an event leaves behind in a device it succeeded for. */
static enum dlu_flag dlu_done(enum dlu_event event)
{
	return event == DLU_EVENT_PREPARE ? DLU_PREPARED : DLU_FROZEN;
}

static int dlu_slot_event(enum dlu_event event, struct dlu_slot *slot)
{
	struct device *dev = dlu_slot_lock(slot);
	int err = 0;

	if (!dev)
		return 0;
	if (dev_liveupdate_preserved(dev)) {
		err = dlu_call_both(event, dev);
		if (!err)
			set_bit(dlu_done(event), &slot->lu->flags);
	}
	dlu_slot_unlock(dev);

	return err;
}

static int dlu_set_event(enum dlu_event event, struct dlu_set *set)
{
	unsigned int i;
	int err;

	for (i = 0; i < set->count; i++) {
		err = dlu_slot_event(event, &set->slots[i]);
		if (err)
			return err;
	}

	return 0;
}

/**
 * dlu_set_prepare - PREPARE all devices, or none.
 * @set: The set; empty afterwards when it failed.
 *
 * Context: Process context, host state held for writing.
 * Return: 0, or the errno of the first part that refused, after those before it
 *         were cancelled.
 */
int dlu_set_prepare(struct dlu_set *set)
{
	int err = dlu_set_event(DLU_EVENT_PREPARE, set);

	if (err)
		dlu_set_cancel(set);

	return err;
}

/**
 * dlu_set_reboot - REBOOT all devices.
 * @set: The set, prepared. A failure leaves it as it is; the caller cancels.
 *
 * Context: Inside reboot(2), host state held for writing.
 * Return: 0, or the errno of the first part that refused.
 */
int dlu_set_reboot(struct dlu_set *set)
{
	return dlu_set_event(DLU_EVENT_REBOOT, set);
}

/**
 * dlu_slot_drop - Take a device out of its set.
 * @slot: The slot.
 * @dev:  The device in it.
 *
 * Outgoing kernel: with the CANCEL that it is owed, and without its kept memory.
 * Incoming kernel: its memory stays with the slot until FINISH.
 *
 * Context: Process context, device lock held.
 */
void dlu_slot_drop(struct dlu_slot *slot, struct device *dev)
{
	device_lock_assert(dev);
	if (test_bit(DLU_PREPARED, &slot->lu->flags)) {
		dlu_call_void(DLU_EVENT_CANCEL, dev, "bus",
			      dlu_bus_cbs(dev)->cancel);
		dlu_cancel_driver(dev);
	}
	if (!slot->record)
		dlu_pages_unkeep(slot);
	dlu_slot_unlink(slot);
	dlu_notify(dev);
}

/**
 * dlu_set_cancel - CANCEL all devices that prepared.
 * @set: The set; empty afterwards.
 *
 * Context: Process context, host state held for writing. Cannot fail.
 */
void dlu_set_cancel(struct dlu_set *set)
{
	struct device *dev;
	unsigned int i;

	for (i = set->count; i--; ) {
		dev = dlu_slot_lock(&set->slots[i]);
		if (!dev)
			continue;
		dlu_slot_drop(&set->slots[i], dev);
		dlu_slot_unlock(dev);
	}
	dlu_set_clear(set);
}

static void dlu_finish_device(struct dlu_slot *slot, struct device *dev)
{
	const struct dev_liveupdate_cbs *cbs = dlu_driver_cbs(dev);

	if (!dev_liveupdate_reclaimed(dev) && slot->record->driver[0])
		dev_warn(dev, "driver %s did not reclaim it: what it ran is lost\n",
			 slot->record->driver);

	dlu_call_void(DLU_EVENT_FINISH, dev, "bus", dlu_bus_cbs(dev)->finish);
	if (cbs)
		dlu_call_void(DLU_EVENT_FINISH, dev, "driver", cbs->finish);
}

/* Nobody else could have it until now. Not here: probe may wait for anything. */
static void dlu_offer(struct dev_liveupdate *lu)
{
	if (lu->dev->driver)
		return;

	get_device(lu->dev);
	if (!queue_work(system_dfl_wq, &lu->reprobe))
		put_device(lu->dev);
}

static void dlu_slot_finish(struct dlu_slot *slot)
{
	struct device *dev = dlu_slot_lock(slot);

	if (!dev)
		return;
	if (dev_liveupdate_incoming(dev))
		dlu_finish_device(slot, dev);
	dlu_slot_unlink(slot);
	dlu_notify(dev);
	dlu_offer(dlu_state(dev));
	dlu_slot_unlock(dev);
}

/**
 * dlu_set_finish - FINISH all devices, in the incoming kernel.
 * @set: The set; empty afterwards.
 *
 * Context: Process context, host state held for writing. Cannot fail.
 */
void dlu_set_finish(struct dlu_set *set)
{
	struct dlu_slot *slot;
	unsigned int i;

	for (i = set->count; i--; ) {
		slot = &set->slots[i];
		if (!slot->seen)
			pr_warn("%s device %s did not come back: what it ran is lost\n",
				slot->record->bus, slot->record->path);
		dlu_slot_finish(slot);
		dlu_pages_free(slot);
	}
	dlu_set_clear(set);
}
