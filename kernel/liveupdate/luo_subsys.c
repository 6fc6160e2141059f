// SPDX-License-Identifier: GPL-2.0

/**
 * DOC: Live update subsystems
 *
 * A subsystem with host-wide state (KVM, PCI, the IOMMU drivers, interrupt
 * remapping) takes part in an update by four events. The list here is ordered
 * by priority, then by time of registration, and walked
 *
 *	PREPARE, REBOOT		first to last
 *	CANCEL, FINISH		last to first
 *
 * It is not a notifier chain: there a higher number runs first, and a failed
 * call is rolled back in forward order.
 *
 * Unhappy paths:
 *
 * - PREPARE fails in the k-th: it has undone its own part; those before it get
 *   CANCEL in reverse. Nobody is prepared afterwards.
 * - REBOOT fails in the k-th: all get CANCEL in reverse, the k-th and those
 *   after it too, because all of them prepared. The list is whole until the
 *   jump, so this holds however late the failure comes.
 *
 * Locking: the caller holds the host state's rwsem for writing.
 */

#define pr_fmt(fmt) "liveupdate: " fmt

#include <linux/cleanup.h>
#include <linux/err.h>
#include <linux/errno.h>
#include <linux/kexec_handover.h>
#include <linux/list.h>
#include <linux/liveupdate.h>
#include <linux/module.h>
#include <linux/string.h>

#include "luo_host.h"

#define CREATE_TRACE_POINTS
#include <trace/events/liveupdate.h>

typedef int (*luo_subsys_fn)(struct liveupdate_subsystem *sub);

static int luo_subsys_call(struct liveupdate_subsystem *sub, const char *event,
			   luo_subsys_fn fn)
{
	int err;

	if (!fn)
		return 0;

	trace_liveupdate_call_start(sub->name, event);
	err = fn(sub);
	trace_liveupdate_call_end(sub->name, event, err);
	if (err)
		pr_err("%s refused %s: %pe\n", sub->name, event, ERR_PTR(err));

	return err;
}

static void luo_subsys_call_void(struct liveupdate_subsystem *sub,
				 const char *event,
				 void (*fn)(struct liveupdate_subsystem *sub))
{
	if (!fn)
		return;

	trace_liveupdate_call_start(sub->name, event);
	fn(sub);
	trace_liveupdate_call_end(sub->name, event, 0);
}

static void luo_subsys_drop_payload(struct liveupdate_subsystem *sub)
{
	if (sub->payload)
		kho_unpreserve_free(sub->payload);
	sub->payload = NULL;
	sub->payload_len = 0;
}

static int luo_subsys_prepare_one(struct liveupdate_subsystem *sub)
{
	int err;

	if (!try_module_get(sub->owner))
		return -ENODEV;

	err = luo_subsys_call(sub, "prepare", sub->ops->prepare);
	if (err) {
		luo_subsys_drop_payload(sub);
		module_put(sub->owner);
		return err;
	}
	sub->prepared = true;

	return 0;
}

static void luo_subsys_cancel_one(struct liveupdate_subsystem *sub)
{
	if (!sub->prepared)
		return;

	luo_subsys_call_void(sub, "cancel", sub->ops->cancel);
	luo_subsys_drop_payload(sub);
	sub->frozen = false;
	sub->prepared = false;
	module_put(sub->owner);
}

static bool luo_subsys_valid(const struct liveupdate_subsystem *sub)
{
	if (!sub->ops || !sub->name || !sub->name[0])
		return false;
	if (strlen(sub->name) >= LUO_PAYLOAD_NAME_LEN)
		return false;

	return !sub->compatible ||
	       strlen(sub->compatible) < LUO_PAYLOAD_COMPAT_LEN;
}

/**
 * luo_subsys_add - Put a subsystem at its place in the order.
 * @subsystems: The list.
 * @sub:        The subsystem.
 *
 * Context: Host state locked for writing.
 * Return: 0; -EINVAL for a missing or overlong name, missing callbacks or an
 *         overlong compatible string; -EEXIST when the name is taken.
 */
int luo_subsys_add(struct list_head *subsystems,
		   struct liveupdate_subsystem *sub)
{
	struct liveupdate_subsystem *it, *after = NULL;

	if (!luo_subsys_valid(sub))
		return -EINVAL;

	list_for_each_entry(it, subsystems, list) {
		if (!strcmp(it->name, sub->name))
			return -EEXIST;
		if (it->prio <= sub->prio)
			after = it;
	}

	sub->prepared = false;
	sub->frozen = false;
	sub->payload = NULL;
	sub->payload_len = 0;
	list_add(&sub->list, after ? &after->list : subsystems);

	return 0;
}

/**
 * luo_subsys_prepare - PREPARE every subsystem, or none.
 * @subsystems: The list.
 *
 * Context: Host state locked for writing. May sleep.
 * Return: 0, or the errno of the first that refused, after those before it
 *         were cancelled.
 */
int luo_subsys_prepare(struct list_head *subsystems)
{
	struct liveupdate_subsystem *sub;
	int err;

	list_for_each_entry(sub, subsystems, list) {
		err = luo_subsys_prepare_one(sub);
		if (err) {
			luo_subsys_cancel(subsystems);
			return err;
		}
	}

	return 0;
}

/**
 * luo_subsys_reboot - REBOOT every subsystem, the last step before the jump.
 * @subsystems: The list.
 *
 * A failure leaves the list as it is; the caller cancels.
 *
 * Context: Inside reboot(2), host state locked for writing. May sleep.
 * Return: 0, or the errno of the first that refused.
 */
int luo_subsys_reboot(struct list_head *subsystems)
{
	struct liveupdate_subsystem *sub;
	int err;

	list_for_each_entry(sub, subsystems, list) {
		err = luo_subsys_call(sub, "reboot", sub->ops->reboot);
		if (err)
			return err;
		sub->frozen = true;
	}

	return 0;
}

/**
 * luo_subsys_cancel - CANCEL every subsystem that prepared.
 * @subsystems: The list.
 *
 * Context: Host state locked for writing. May sleep. Cannot fail.
 */
void luo_subsys_cancel(struct list_head *subsystems)
{
	struct liveupdate_subsystem *sub;

	list_for_each_entry_reverse(sub, subsystems, list)
		luo_subsys_cancel_one(sub);
}

/**
 * luo_subsys_finish - FINISH every subsystem, in the incoming kernel.
 * @subsystems: The list.
 *
 * Context: Host state locked for writing. May sleep. Cannot fail.
 */
void luo_subsys_finish(struct list_head *subsystems)
{
	struct liveupdate_subsystem *sub;

	list_for_each_entry_reverse(sub, subsystems, list)
		luo_subsys_call_void(sub, "finish", sub->ops->finish);
}

/**
 * liveupdate_register_subsystem - Take part in live updates.
 * @sub: The subsystem, alive until it is unregistered.
 *
 * Context: Process context, may sleep.
 * Return: 0; -EOPNOTSUPP when live update is off; -EBUSY while an update is
 *         prepared; -EINVAL or -EEXIST as luo_subsys_add() says.
 */
int liveupdate_register_subsystem(struct liveupdate_subsystem *sub)
{
	if (!liveupdate_enabled())
		return -EOPNOTSUPP;

	guard(rwsem_write)(&luo_host.rwsem);
	if (luo_host.state == LIVEUPDATE_STATE_PREPARED)
		return -EBUSY;

	return luo_subsys_add(&luo_host.subsystems, sub);
}
EXPORT_SYMBOL_GPL(liveupdate_register_subsystem);

/**
 * liveupdate_unregister_subsystem - Take part no longer.
 * @sub: The subsystem.
 *
 * Context: Process context, may sleep.
 * Return: 0; -EOPNOTSUPP when live update is off; -EBUSY while it is prepared
 *         (a module cannot get there: it is pinned until then).
 */
int liveupdate_unregister_subsystem(struct liveupdate_subsystem *sub)
{
	if (!liveupdate_enabled())
		return -EOPNOTSUPP;

	guard(rwsem_write)(&luo_host.rwsem);
	if (sub->prepared)
		return -EBUSY;
	list_del(&sub->list);

	return 0;
}
EXPORT_SYMBOL_GPL(liveupdate_unregister_subsystem);

/**
 * liveupdate_payload_alloc - Memory for what a subsystem hands over.
 * @sub: The subsystem; has a compatible string.
 * @len: Bytes, 1 to LUO_PAYLOAD_MAX_LEN.
 *
 * Zeroed, physically contiguous, preserved by KHO. The core owns it: frees it
 * at cancel, hands it over at the jump. The subsystem may write to it until
 * its reboot callback returns; the checksum is taken after that.
 *
 * Context: From the subsystem's prepare callback.
 * Return: The memory, or an ERR_PTR: -EINVAL outside these bounds, -EEXIST for
 *         a second call, -ENOMEM.
 */
void *liveupdate_payload_alloc(struct liveupdate_subsystem *sub, size_t len)
{
	void *payload;

	lockdep_assert_held_write(&luo_host.rwsem);
	if (!sub->compatible || !len || len > LUO_PAYLOAD_MAX_LEN)
		return ERR_PTR(-EINVAL);
	if (sub->payload)
		return ERR_PTR(-EEXIST);

	payload = kho_alloc_preserve(len);
	if (IS_ERR(payload))
		return payload;

	sub->payload = payload;
	sub->payload_len = len;

	return payload;
}
EXPORT_SYMBOL_GPL(liveupdate_payload_alloc);
