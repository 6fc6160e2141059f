/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Devices that stay alive while the kernel under them is replaced.
 */
#ifndef _LINUX_DEV_LIVEUPDATE_H
#define _LINUX_DEV_LIVEUPDATE_H

#include <linux/errno.h>
#include <linux/types.h>

struct device;
struct page;

/**
 * struct dev_liveupdate_cbs - What a driver or a bus does for its device.
 * @prepare: Optional. Do all that can be done while guests run. May fail; must
 *           then have undone what it did, it gets no @cancel.
 * @reboot:  Optional. The last step, inside reboot(2). May fail; @cancel
 *           follows for every device that prepared, this one included.
 * @cancel:  Optional. Undo @prepare, and @reboot if it was reached.
 * @finish:  Optional. In the incoming kernel: the update is over. A device that
 *           nobody reclaimed is told apart with dev_liveupdate_reclaimed().
 *
 * All run in process context with the device lock held. A lost device gets
 * nothing more but its @cancel.
 */
struct dev_liveupdate_cbs {
	int (*prepare)(struct device *dev);
	int (*reboot)(struct device *dev);
	void (*cancel)(struct device *dev);
	void (*finish)(struct device *dev);
};

/**
 * struct dev_liveupdate_bus - How the devices of a bus take part.
 * @cbs:       The bus's own part, after the driver's at PREPARE and REBOOT,
 *             before it at CANCEL and FINISH.
 * @path:      Writes where @dev hangs, as seen from the root, into @buf. The
 *             same place gives the same text in every kernel. Returns its
 *             length, or -ENAMETOOLONG.
 * @possible:  Optional. 0, or an errno with a reason in @why for an
 *             administrator: this device can not be kept.
 * @suppliers: Optional. Calls @fn for every device that @dev hangs on and that
 *             is neither parent nor supplier of a device link; stops at the
 *             first that returns non-zero and returns that.
 */
struct dev_liveupdate_bus {
	struct dev_liveupdate_cbs cbs;
	int (*path)(struct device *dev, char *buf, size_t size);
	int (*possible)(struct device *dev, char *why, size_t size);
	int (*suppliers)(struct device *dev,
			 int (*fn)(struct device *supplier, void *data),
			 void *data);
};

#ifdef CONFIG_LIVEUPDATE

bool dev_liveupdate_requested(struct device *dev);
bool dev_liveupdate_preserved(struct device *dev);
bool dev_liveupdate_frozen(struct device *dev);
bool dev_liveupdate_incoming(struct device *dev);
bool dev_liveupdate_reclaimed(struct device *dev);
int dev_liveupdate_adopt(struct device *dev);
int dev_liveupdate_reclaim(struct device *dev);
int dev_liveupdate_busy(struct device *dev);
void dev_liveupdate_lost(struct device *dev, const char *why);
void dev_liveupdate_release(struct device *dev);

void dev_liveupdate_set_driver_data(struct device *dev, u64 data);
u64 dev_liveupdate_driver_data(struct device *dev);
void dev_liveupdate_set_bus_data(struct device *dev, u64 data);
u64 dev_liveupdate_bus_data(struct device *dev);

int dev_liveupdate_keep_pages(struct device *dev, struct page *page,
			      unsigned int order);
struct page *dev_liveupdate_take_pages(struct device *dev, phys_addr_t pa,
				       unsigned int *order);

#else /* CONFIG_LIVEUPDATE */

static inline bool dev_liveupdate_requested(struct device *dev)
{
	return false;
}

static inline bool dev_liveupdate_preserved(struct device *dev)
{
	return false;
}

static inline bool dev_liveupdate_frozen(struct device *dev)
{
	return false;
}

static inline bool dev_liveupdate_incoming(struct device *dev)
{
	return false;
}

static inline bool dev_liveupdate_reclaimed(struct device *dev)
{
	return false;
}

static inline int dev_liveupdate_adopt(struct device *dev)
{
	return 0;
}

static inline int dev_liveupdate_reclaim(struct device *dev)
{
	return -EOPNOTSUPP;
}

static inline int dev_liveupdate_busy(struct device *dev)
{
	return 0;
}

static inline void dev_liveupdate_lost(struct device *dev, const char *why)
{
}

static inline void dev_liveupdate_release(struct device *dev)
{
}

static inline void dev_liveupdate_set_driver_data(struct device *dev, u64 data)
{
}

static inline u64 dev_liveupdate_driver_data(struct device *dev)
{
	return 0;
}

static inline void dev_liveupdate_set_bus_data(struct device *dev, u64 data)
{
}

static inline u64 dev_liveupdate_bus_data(struct device *dev)
{
	return 0;
}

static inline int dev_liveupdate_keep_pages(struct device *dev,
					    struct page *page,
					    unsigned int order)
{
	return -EOPNOTSUPP;
}

static inline struct page *dev_liveupdate_take_pages(struct device *dev,
						     phys_addr_t pa,
						     unsigned int *order)
{
	return NULL;
}

#endif /* CONFIG_LIVEUPDATE */
#endif /* _LINUX_DEV_LIVEUPDATE_H */
