/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Live update inside the driver core: what core.c, dd.c and bus.c call, and what
 * liveupdate*.c share.
 */
#ifndef _BASE_LIVEUPDATE_H
#define _BASE_LIVEUPDATE_H

#include <linux/dev_liveupdate.h>
#include <linux/device.h>
#include <linux/hashtable.h>
#include <linux/kho/abi/dev_liveupdate.h>
#include <linux/list.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#ifdef CONFIG_LIVEUPDATE

/* Called by core.c, dd.c and bus.c */
int dev_liveupdate_sysfs_add(struct device *dev);
void dev_liveupdate_sysfs_remove(struct device *dev);
void dev_liveupdate_del(struct device *dev);
void dev_liveupdate_unbind(struct device *dev);
void dev_liveupdate_unbound(struct device *dev);
int dev_liveupdate_may_probe(struct device *dev,
			     const struct device_driver *drv);

#define DLU_HASH_BITS	10
#define DLU_GROUP	"liveupdate"	/* of attributes, and in debugfs */

/**
 * enum dlu_flag - Bits of &struct dev_liveupdate.flags.
 * @DLU_REQUESTED: An administrator asked for the device.
 * @DLU_PRESERVED: It is in a set and not lost.
 * @DLU_PREPARED:  PREPARE is done for it, so CANCEL is owed.
 * @DLU_FROZEN:    REBOOT is done for it.
 * @DLU_INCOMING:  The outgoing kernel handed it over.
 * @DLU_RECLAIMED: Its owner in the incoming kernel has it again.
 *
 * Readable without a lock. DLU_REQUESTED is changed under dlu_lock, the others
 * with the device lock held, but for DLU_PRESERVED: dev_liveupdate_lost() may
 * clear it at any time. Without it DLU_FROZEN, DLU_INCOMING and DLU_RECLAIMED
 * mean nothing.
 */
enum dlu_flag {
	DLU_REQUESTED,
	DLU_PRESERVED,
	DLU_PREPARED,
	DLU_FROZEN,
	DLU_INCOMING,
	DLU_RECLAIMED,
};

enum dlu_event {
	DLU_EVENT_PREPARE,
	DLU_EVENT_REBOOT,
	DLU_EVENT_CANCEL,
	DLU_EVENT_FINISH,
};

struct dlu_slot;

/**
 * struct dev_liveupdate - What the driver core remembers of one device.
 * @dev:         The device. This structure lives as long.
 * @flags:       &enum dlu_flag.
 * @requested:   Entry in the list of requested devices; under dlu_lock.
 * @slot:        Its place in a set, or NULL. Changed with the device lock and
 *               dlu_lock, read with either.
 * @driver_data: For the driver in the incoming kernel.
 * @bus_data:    For the bus in the incoming kernel.
 * @reprobe:     Offers the device to drivers after finish.
 */
struct dev_liveupdate {
	struct device *dev;
	unsigned long flags;
	struct list_head requested;
	struct dlu_slot *slot;
	u64 driver_data;
	u64 bus_data;
	struct work_struct reprobe;
};

/**
 * struct dlu_pages - Memory that a device keeps.
 * @pa:    Physical address.
 * @order: Its size is PAGE_SIZE << @order.
 */
struct dlu_pages {
	phys_addr_t pa;
	unsigned int order;
};

/**
 * struct dlu_slot - One place in a set.
 * @lu:       The device; NULL when it has gone, or not come yet.
 * @owner:    Outgoing: the module of its driver, pinned.
 * @record:   Incoming: what was handed over, verified. Else NULL.
 * @hash:     Incoming: entry in &struct dlu_incoming.hash.
 * @seen:     Incoming: a device was at this place once.
 * @nr_pages: Entries in @pages.
 * @pages:    Memory kept for the device and not taken back yet.
 *
 * The device lock protects @nr_pages and @pages while there is a device.
 */
struct dlu_slot {
	struct dev_liveupdate *lu;
	struct module *owner;
	const struct dev_liveupdate_ser *record;
	struct hlist_node hash;
	bool seen;
	unsigned int nr_pages;
	struct dlu_pages pages[DEV_LIVEUPDATE_MAX_PAGES];
};

/**
 * struct dlu_set - The devices of one update in the order of PREPARE.
 * @slots: The places. An array, so that a walk needs no device to find the
 *         next one.
 * @count: How many.
 *
 * @slots and @count are changed under the host state held for writing.
 */
struct dlu_set {
	struct dlu_slot *slots;
	unsigned int count;
};

/**
 * struct dlu_incoming - What the outgoing kernel handed over.
 * @set:  One slot for each record that verified.
 * @hash: The same by path.
 */
struct dlu_incoming {
	struct dlu_set set;
	DECLARE_HASHTABLE(hash, DLU_HASH_BITS);
};

/**
 * struct dlu_why - Why a device cannot be kept, for an administrator.
 * @text: One line that starts with the name of the device that is in the way.
 */
struct dlu_why {
	char text[192];
};

/* Links between devices and slots. A leaf; put_device() may come here. */
extern spinlock_t dlu_lock;

static inline struct dev_liveupdate *dlu_state(struct device *dev)
{
	/* pairs with the cmpxchg() in dlu_state_alloc() */
	return smp_load_acquire(&dev->liveupdate);
}

/* Whether a device is preserved and @flag is set as well. */
static inline bool dlu_preserved_and(struct device *dev, enum dlu_flag flag)
{
	unsigned long both = BIT(DLU_PRESERVED) | BIT(flag);
	struct dev_liveupdate *lu = dlu_state(dev);

	return lu && (READ_ONCE(lu->flags) & both) == both;
}

static inline bool dlu_takes_part(struct device *dev)
{
	return dev->bus && dev->bus->liveupdate;
}

/* State of one device: liveupdate.c */
struct dev_liveupdate *dlu_state_alloc(struct device *dev);
void dlu_notify(struct device *dev);
int dlu_request(struct device *dev);
void dlu_withdraw(struct device *dev);
struct device **dlu_requested_get(unsigned int *count);
void dlu_requested_put(struct device **devs, unsigned int count);

/* What must come along, and in which order: liveupdate_set.c */
int dlu_possible(struct device *dev, struct dlu_why *why);
int dlu_set_build(struct dlu_set *set, struct device **devs,
		  unsigned int count, struct dlu_why *why);
void dlu_set_clear(struct dlu_set *set);
struct device *dlu_slot_lock(struct dlu_slot *slot);
void dlu_slot_unlock(struct device *dev);
void dlu_slot_unlink(struct dlu_slot *slot);
int dlu_group_id(struct device *dev);
int dlu_group_walk(struct device *dev, int (*fn)(struct device *, void *),
		   void *data);

/* Events: liveupdate_event.c */
int dlu_set_prepare(struct dlu_set *set);
int dlu_set_reboot(struct dlu_set *set);
void dlu_set_cancel(struct dlu_set *set);
void dlu_set_finish(struct dlu_set *set);
void dlu_slot_drop(struct dlu_slot *slot, struct device *dev);

/* Records, out and in: liveupdate_handover.c */
int dlu_identify(struct device *dev, struct dev_liveupdate_ser *record);
size_t dlu_payload_size(unsigned int count);
int dlu_payload_write(struct dlu_set *set,
		      struct dev_liveupdate_set_ser *payload);
int dlu_payload_read(struct dlu_incoming *in,
		     const struct dev_liveupdate_set_ser *payload, size_t len);
int dlu_adopt(struct dlu_incoming *in, struct device *dev);
void dlu_incoming_finish(struct dlu_incoming *in);

/* Kept memory: liveupdate_pages.c */
bool dlu_pages_handed_over(phys_addr_t pa, unsigned int order);
struct page *dlu_pages_restore(phys_addr_t pa, unsigned int order);
void dlu_pages_unkeep(struct dlu_slot *slot);
void dlu_pages_free(struct dlu_slot *slot);

/* Injected failures: liveupdate_debugfs.c */
#ifdef CONFIG_DEBUG_FS
int dlu_fault_set(const char *line);
int dlu_fault(enum dlu_event event, struct device *dev, const char *part);
#else
static inline int dlu_fault(enum dlu_event event, struct device *dev,
			    const char *part)
{
	return 0;
}
#endif

const char *dlu_event_name(enum dlu_event event);

#else /* CONFIG_LIVEUPDATE */

static inline int dev_liveupdate_sysfs_add(struct device *dev)
{
	return 0;
}

static inline void dev_liveupdate_sysfs_remove(struct device *dev) { }
static inline void dev_liveupdate_del(struct device *dev) { }
static inline void dev_liveupdate_unbind(struct device *dev) { }
static inline void dev_liveupdate_unbound(struct device *dev) { }

static inline int dev_liveupdate_may_probe(struct device *dev,
					   const struct device_driver *drv)
{
	return 0;
}

#endif /* CONFIG_LIVEUPDATE */

#endif /* _BASE_LIVEUPDATE_H */
