/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Host-wide state of a live update, and the subsystems that take part in it.
 */
#ifndef _LINUX_LIVEUPDATE_HOST_H
#define _LINUX_LIVEUPDATE_HOST_H

#include <linux/err.h>
#include <linux/errno.h>
#include <linux/list.h>
#include <linux/types.h>

struct liveupdate_subsystem;
struct module;

/**
 * enum liveupdate_state - Where the host stands in an update.
 * @LIVEUPDATE_STATE_NORMAL:   No update is under way.
 * @LIVEUPDATE_STATE_PREPARED: Every subsystem is prepared; the set of device
 *                             and VM files in sessions is closed.
 * @LIVEUPDATE_STATE_UPDATED:  This kernel came out of an update that is not
 *                             finished yet.
 */
enum liveupdate_state {
	LIVEUPDATE_STATE_NORMAL,
	LIVEUPDATE_STATE_PREPARED,
	LIVEUPDATE_STATE_UPDATED,
};

/**
 * enum liveupdate_prio - Place of a subsystem in the order of events.
 * @LIVEUPDATE_PRIO_BEFORE_DEVICES: Users of devices, such as KVM.
 * @LIVEUPDATE_PRIO_FILES:          The sessions' files. LUO's own.
 * @LIVEUPDATE_PRIO_WITH_DEVICES:   Devices and their buses.
 * @LIVEUPDATE_PRIO_AFTER_DEVICES:  What devices need, such as the IOMMU.
 *
 * PREPARE and REBOOT run in this order, CANCEL and FINISH in the exact
 * reverse. Subsystems of one priority run in the order of registration.
 */
enum liveupdate_prio {
	LIVEUPDATE_PRIO_BEFORE_DEVICES,
	LIVEUPDATE_PRIO_FILES,
	LIVEUPDATE_PRIO_WITH_DEVICES,
	LIVEUPDATE_PRIO_AFTER_DEVICES,
};

/**
 * struct liveupdate_subsystem_ops - Callbacks of a subsystem.
 * @prepare: Optional. Do all that can be done while guests run. May fail;
 *           must then have undone what it did, it gets no @cancel.
 * @reboot:  Optional. The last step, inside reboot(2). May fail; @cancel
 *           follows for every subsystem that prepared, this one included.
 * @cancel:  Optional. Undo @prepare, and @reboot if it was reached.
 * @finish:  Optional. In the incoming kernel: the update is over.
 *
 * All run in process context with the host state locked for writing. They may
 * sleep and must not call back into sessions or the host state.
 */
struct liveupdate_subsystem_ops {
	int (*prepare)(struct liveupdate_subsystem *sub);
	int (*reboot)(struct liveupdate_subsystem *sub);
	void (*cancel)(struct liveupdate_subsystem *sub);
	void (*finish)(struct liveupdate_subsystem *sub);
};

/**
 * struct liveupdate_subsystem - A part of the kernel with host-wide state.
 * @name:       Unique, shorter than LUO_PAYLOAD_NAME_LEN.
 * @compatible: Version of what it hands over, shorter than
 *              LUO_PAYLOAD_COMPAT_LEN. NULL when it hands over nothing.
 * @prio:       Its place in the order.
 * @ops:        Its callbacks.
 * @owner:      Its module, pinned from PREPARE until CANCEL or the jump.
 *
 * Allocated by the caller and alive until liveupdate_unregister_subsystem().
 */
struct liveupdate_subsystem {
	const char *name;
	const char *compatible;
	enum liveupdate_prio prio;
	const struct liveupdate_subsystem_ops *ops;
	struct module *owner;

	/* private: */
	struct list_head list;
	bool prepared;
	bool frozen;
	void *payload;
	size_t payload_len;
};

#ifdef CONFIG_LIVEUPDATE

int liveupdate_register_subsystem(struct liveupdate_subsystem *sub);
int liveupdate_unregister_subsystem(struct liveupdate_subsystem *sub);
void *liveupdate_payload_alloc(struct liveupdate_subsystem *sub, size_t len);
const void *liveupdate_payload_get(const char *name, const char *compatible,
				   size_t *len);
void liveupdate_load_early(void);
enum liveupdate_state liveupdate_state(void);
int liveupdate_state_hold(void);
void liveupdate_state_release(void);
void liveupdate_jump(void);

#else /* CONFIG_LIVEUPDATE */

static inline int liveupdate_register_subsystem(struct liveupdate_subsystem *sub)
{
	return -EOPNOTSUPP;
}

static inline int liveupdate_unregister_subsystem(struct liveupdate_subsystem *sub)
{
	return -EOPNOTSUPP;
}

static inline void *liveupdate_payload_alloc(struct liveupdate_subsystem *sub,
					     size_t len)
{
	return ERR_PTR(-EOPNOTSUPP);
}

static inline const void *liveupdate_payload_get(const char *name,
						 const char *compatible,
						 size_t *len)
{
	return ERR_PTR(-EOPNOTSUPP);
}

static inline void liveupdate_load_early(void) { }

static inline enum liveupdate_state liveupdate_state(void)
{
	return LIVEUPDATE_STATE_NORMAL;
}

static inline int liveupdate_state_hold(void)
{
	return -EOPNOTSUPP;
}

static inline void liveupdate_state_release(void) { }
static inline void liveupdate_jump(void) { }

#endif /* CONFIG_LIVEUPDATE */
#endif /* _LINUX_LIVEUPDATE_HOST_H */
