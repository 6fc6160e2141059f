// SPDX-License-Identifier: GPL-2.0

/**
 * DOC: Live update records of devices
 *
 * What is said about a device to the next kernel, see
 * include/linux/kho/abi/dev_liveupdate.h.
 *
 * Lifecycle: PREPARE allocates room for all devices of the set; records are
 * written after REBOOT, in the order of the set, for those that were not lost.
 * The incoming kernel verifies all records once, before the first device, and
 * hashes them by path. They live until FINISH.
 *
 * Unhappy paths:
 *
 * - The payload has no room for its count: -EMSGSIZE, all devices are lost. Room
 *   left over is that of devices that were lost between PREPARE and REBOOT.
 * - A field of a record is not what it must be: a message, and that device is
 *   lost. No slot is made for it, so the device is an ordinary one.
 * - Two records have the same place: the second is refused.
 * - Two devices appear at the same place, or a second one after the first has
 *   gone: the first had the record, the second is an ordinary device.
 *
 * Locking: dlu_lock for the hash, see liveupdate.c for the rest.
 */

#define pr_fmt(fmt) "liveupdate: " fmt

#include <linux/cleanup.h>
#include <linux/ctype.h>
#include <linux/device.h>
#include <linux/err.h>
#include <linux/hashtable.h>
#include <linux/jhash.h>
#include <linux/liveupdate_image.h>
#include <linux/overflow.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "base.h"
#include "liveupdate.h"

LIVEUPDATE_IMAGE_NOTE(dev_liveupdate, LIVEUPDATE_NOTE_BOTH,
		      DEV_LIVEUPDATE_ABI_COMPATIBLE);

/* Printable ASCII, NUL-terminated and padded with NUL. */
static bool dlu_text_valid(const char *text, size_t size)
{
	size_t len = strnlen(text, size), i;

	for (i = 0; i < len; i++) {
		if (!isascii(text[i]) || !isprint(text[i]))
			return false;
	}

	return len < size && !memchr_inv(text + len, 0, size - len);
}

/**
 * dlu_identify - Write down which device this is.
 * @dev:    The device; its bus takes part.
 * @record: The record; all but bus, path and driver is zeroed.
 *
 * Context: Device lock held.
 * Return: 0; -ENAMETOOLONG when a name does not fit; -EINVAL when it is empty or
 *         not printable; else what the bus says of the path.
 */
int dlu_identify(struct device *dev, struct dev_liveupdate_ser *record)
{
	const char *driver = dev->driver ? dev->driver->name : "";
	int len;

	memset(record, 0, sizeof(*record));
	if (strscpy(record->bus, dev->bus->name) < 0 ||
	    strscpy(record->driver, driver) < 0)
		return -ENAMETOOLONG;

	len = dev->bus->liveupdate->path(dev, record->path,
					 sizeof(record->path));
	if (len < 0)
		return len;

	if (!len || !dlu_text_valid(record->path, sizeof(record->path)) ||
	    !dlu_text_valid(record->driver, sizeof(record->driver)))
		return -EINVAL;

	return 0;
}

/**
 * dlu_payload_size - Room for the records of a set.
 * @count: Devices in the set.
 *
 * Context: Any.
 * Return: Bytes.
 */
size_t dlu_payload_size(unsigned int count)
{
	return struct_size_t(struct dev_liveupdate_set_ser, devices, count);
}

static int dlu_record_write(struct dlu_slot *slot, struct device *dev,
			    struct dev_liveupdate_ser *record)
{
	unsigned int i;
	int err;

	err = dlu_identify(dev, record);
	if (err) {
		dev_err(dev, "its bus can no longer tell its path: %pe\n",
			ERR_PTR(err));
		return err;
	}

	record->driver_data = slot->lu->driver_data;
	record->bus_data = slot->lu->bus_data;
	record->nr_pages = slot->nr_pages;
	for (i = 0; i < slot->nr_pages; i++) {
		record->pages[i].pa = slot->pages[i].pa;
		record->pages[i].order = slot->pages[i].order;
	}

	return 0;
}

/**
 * dlu_payload_write - Write the records of all devices.
 * @set:     The set, frozen.
 * @payload: Room for it, zeroed.
 *
 * Context: Inside reboot(2), host state held for writing.
 * Return: 0, or the errno of a bus that cannot tell a path any more.
 */
int dlu_payload_write(struct dlu_set *set,
		      struct dev_liveupdate_set_ser *payload)
{
	struct device *dev;
	unsigned int i;
	int err = 0;

	payload->count = 0;
	for (i = 0; i < set->count && !err; i++) {
		dev = dlu_slot_lock(&set->slots[i]);
		if (!dev)
			continue;
		if (dev_liveupdate_frozen(dev))
			err = dlu_record_write(&set->slots[i], dev,
					       &payload->devices[payload->count++]);
		dlu_slot_unlock(dev);
	}

	return err;
}

/* NULL, or which field of a record's memory is wrong. */
static const char *dlu_pages_verify(const struct dev_liveupdate_ser *record)
{
	const struct dev_liveupdate_pages_ser *pages;
	u32 i;

	if (record->nr_pages > DEV_LIVEUPDATE_MAX_PAGES)
		return "count of pages";

	for (i = 0; i < record->nr_pages; i++) {
		pages = &record->pages[i];
		if (pages->reserved)
			return "reserved field of pages";
		if (pages->order > MAX_PAGE_ORDER)
			return "order of pages";
		if (!IS_ALIGNED(pages->pa, PAGE_SIZE << pages->order) ||
		    !dlu_pages_handed_over(pages->pa, pages->order))
			return "address of pages";
	}

	return NULL;
}

/* NULL, or which field of a record is wrong. */
static const char *dlu_record_verify(const struct dev_liveupdate_ser *record)
{
	if (!record->bus[0] || !dlu_text_valid(record->bus, sizeof(record->bus)))
		return "bus";
	if (!record->path[0] ||
	    !dlu_text_valid(record->path, sizeof(record->path)))
		return "path";
	if (!dlu_text_valid(record->driver, sizeof(record->driver)))
		return "driver";
	if (record->reserved)
		return "reserved field";

	return dlu_pages_verify(record);
}

static u32 dlu_hash(const char *bus, const char *path)
{
	return jhash(path, strlen(path), jhash(bus, strlen(bus), 0));
}

static struct dlu_slot *dlu_lookup(struct dlu_incoming *in, const char *bus,
				   const char *path)
{
	struct dlu_slot *slot;

	hash_for_each_possible(in->hash, slot, hash, dlu_hash(bus, path)) {
		if (!strcmp(slot->record->path, path) &&
		    !strcmp(slot->record->bus, bus))
			return slot;
	}

	return NULL;
}

static void dlu_slot_fill(struct dlu_slot *slot,
			  const struct dev_liveupdate_ser *record)
{
	u32 i;

	slot->record = record;
	slot->nr_pages = record->nr_pages;
	for (i = 0; i < record->nr_pages; i++) {
		slot->pages[i].pa = record->pages[i].pa;
		slot->pages[i].order = record->pages[i].order;
	}
}

static void dlu_record_read(struct dlu_incoming *in, u32 index,
			    const struct dev_liveupdate_ser *record)
{
	const char *wrong = dlu_record_verify(record);
	struct dlu_slot *slot;

	if (!wrong && dlu_lookup(in, record->bus, record->path))
		wrong = "path, which another record has";
	if (wrong) {
		pr_err("device record %u of the outgoing kernel has a wrong %s: its device is lost, its memory stays reserved\n",
		       index, wrong);
		return;
	}

	slot = &in->set.slots[in->set.count++];
	dlu_slot_fill(slot, record);
	hash_add(in->hash, &slot->hash, dlu_hash(record->bus, record->path));
}

/**
 * dlu_payload_read - Read the records of the outgoing kernel.
 * @in:      What was handed over, empty.
 * @payload: The payload; stays where it is until FINISH.
 * @len:     Its length.
 *
 * Context: Process context, before any device can be adopted.
 * Return: 0, also when single records were refused; -EMSGSIZE; -ENOMEM.
 */
int dlu_payload_read(struct dlu_incoming *in,
		     const struct dev_liveupdate_set_ser *payload, size_t len)
{
	u32 i;

	if (len < sizeof(*payload) || payload->reserved ||
	    len < dlu_payload_size(payload->count))
		return -EMSGSIZE;

	in->set.slots = kvcalloc(payload->count, sizeof(*in->set.slots),
				 GFP_KERNEL);
	if (!in->set.slots)
		return -ENOMEM;

	hash_init(in->hash);
	for (i = 0; i < payload->count; i++)
		dlu_record_read(in, i, &payload->devices[i]);
	pr_info("%u devices came through the kexec\n", in->set.count);

	return 0;
}

static int dlu_adopt_lost(struct device *dev, int err)
{
	dev_err(dev, "whether it came through the kexec is unknown: %pe\n",
		ERR_PTR(err));

	return err;
}

/**
 * dlu_adopt - Find the record of a device.
 * @in:  What was handed over.
 * @dev: The device.
 *
 * Context: Process context, may sleep.
 * Return: As dev_liveupdate_adopt().
 */
int dlu_adopt(struct dlu_incoming *in, struct device *dev)
{
	char path[DEV_LIVEUPDATE_PATH_LEN];
	struct dev_liveupdate *lu;
	struct dlu_slot *slot;
	int err;

	if (!READ_ONCE(in->set.count) || !dlu_takes_part(dev))
		return 0;
	err = dev->bus->liveupdate->path(dev, path, sizeof(path));
	if (err == -ENAMETOOLONG)
		return 0;
	if (err < 0)
		return dlu_adopt_lost(dev, err);
	lu = dlu_state_alloc(dev);
	if (!lu)
		return dlu_adopt_lost(dev, -ENOMEM);

	guard(spinlock_irqsave)(&dlu_lock);
	slot = dlu_lookup(in, dev->bus->name, path);
	if (!slot || slot->seen)
		return 0;
	slot->seen = true;
	slot->lu = lu;
	lu->slot = slot;
	lu->driver_data = slot->record->driver_data;
	lu->bus_data = slot->record->bus_data;
	set_bit(DLU_INCOMING, &lu->flags);
	set_bit(DLU_PRESERVED, &lu->flags);

	return 0;
}

/**
 * dlu_incoming_finish - FINISH all devices that were handed over.
 * @in: What was handed over; empty afterwards.
 *
 * Context: Process context, host state held for writing. Cannot fail.
 */
void dlu_incoming_finish(struct dlu_incoming *in)
{
	scoped_guard(spinlock_irqsave, &dlu_lock)
		hash_init(in->hash);
	dlu_set_finish(&in->set);
}
