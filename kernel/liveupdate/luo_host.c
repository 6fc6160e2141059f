// SPDX-License-Identifier: GPL-2.0

/**
 * DOC: Live update host state
 *
 * Sessions own what a VM or service wants to keep. The host state is the
 * barrier over all of them: it says when their set is closed, runs the
 * subsystems' events in order, and says when the host is back to normal. It
 * owns no data of any VM::
 *
 *	normal --prepare--> prepared --reboot(KEXEC)--> [jump] --> updated
 *	   ^ ^---------cancel, any failure---'                        |
 *	   '---------------------------finish-------------------------'
 *
 * Happy path:
 *
 * 1. prepare: subsystems do all that can be done while guests run, and each
 *    file of a session is asked whether it can come along. From here on, files
 *    that need prepare (&struct liveupdate_file_ops) can no longer be added to
 *    sessions; memfds can.
 * 2. reboot(2): subsystems freeze; the sessions' files freeze at their place
 *    in the order; the handover page is sealed. The lock is kept: nothing
 *    moves until the jump.
 * 3. The incoming kernel finds the sealed page and starts in updated.
 * 4. finish: sessions that nobody retrieved are discarded, subsystems finish.
 *
 * Unhappy paths:
 *
 * - A failure before the jump, in any subsystem or file: every subsystem that
 *   prepared is cancelled in exact reverse, the state is normal, reboot(2)
 *   returns the errno. Guests go on.
 * - Power-off or an ordinary reboot while prepared: cancelled first, so that
 *   no device is left running for an update that does not come.
 * - A kexec that was not prepared works as without this code, unless a session
 *   holds a file that needs prepare: then -EBUSY.
 * - The incoming kernel cannot believe the page: it starts in updated, every
 *   subsystem gets the errno when it asks for its payload, and treats what it
 *   had preserved as lost.
 * - The incoming kernel runs with liveupdate=off: what was handed over stays
 *   reserved and unused; a message says so.
 *
 * Lock order: luo_host.rwsem, then the three locks of sessions. Device locks
 * nest inside luo_host.rwsem, too: nobody registers a subsystem or changes the
 * state from a driver's probe or remove.
 */

#define pr_fmt(fmt) "liveupdate: " fmt

#include <linux/cleanup.h>
#include <linux/err.h>
#include <linux/init.h>
#include <linux/io.h>
#include <linux/kexec.h>
#include <linux/kexec_handover.h>
#include <linux/list.h>
#include <linux/liveupdate.h>
#include <linux/notifier.h>
#include <linux/reboot.h>
#include <linux/sysfs.h>

#include <trace/events/liveupdate.h>

#include "luo_host.h"
#include "luo_internal.h"

struct luo_host luo_host = {
	.rwsem = __RWSEM_INITIALIZER(luo_host.rwsem),
	.subsystems = LIST_HEAD_INIT(luo_host.subsystems),
};

/* The outgoing kernel's page; without one, why. */
static const struct luo_host_ser *luo_host_in;
static int luo_host_in_err = -ENOENT;

/**
 * luo_host_init - Make a host state that stands in normal.
 * @host: The host state.
 * @out:  The page to hand over.
 *
 * Context: Any.
 */
void luo_host_init(struct luo_host *host, struct luo_host_ser *out)
{
	init_rwsem(&host->rwsem);
	INIT_LIST_HEAD(&host->subsystems);
	host->state = LIVEUPDATE_STATE_NORMAL;
	host->out = out;
	host->kobj = NULL;
	luo_handover_init(out);
}

/**
 * luo_host_state_name - A state as sysfs shows it.
 * @state: The state.
 *
 * Context: Any.
 * Return: A string that is never freed.
 */
const char *luo_host_state_name(enum liveupdate_state state)
{
	static const char * const names[] = {
		[LIVEUPDATE_STATE_NORMAL]	= "normal",
		[LIVEUPDATE_STATE_PREPARED]	= "prepared",
		[LIVEUPDATE_STATE_UPDATED]	= "updated",
	};

	return names[state];
}

static void luo_host_set_state(struct luo_host *host,
			       enum liveupdate_state state)
{
	lockdep_assert_held_write(&host->rwsem);
	trace_liveupdate_state(host->state, state);
	pr_info("host state %s -> %s\n", luo_host_state_name(host->state),
		luo_host_state_name(state));
	WRITE_ONCE(host->state, state);
	if (host->kobj)
		sysfs_notify(host->kobj, NULL, "state");
}

/* A stamp is a help for people: no update fails for want of one. */
static void luo_host_stamp(struct luo_host *host, const char *name)
{
	if (host == &luo_host)
		luo_timeline_stamp(name);
}

static void luo_host_undo(struct luo_host *host)
{
	luo_subsys_cancel(&host->subsystems);
	luo_handover_init(host->out);
	luo_host_set_state(host, LIVEUPDATE_STATE_NORMAL);
}

/**
 * luo_host_prepare - Prepare an update.
 * @host: The host state.
 *
 * Context: Process context, may sleep.
 * Return: 0; -EINTR when killed while waiting; -EBUSY unless the state is
 *         normal; else the errno of the subsystem that refused, after the
 *         others were cancelled.
 */
int luo_host_prepare(struct luo_host *host)
{
	int err;

	if (down_write_killable(&host->rwsem))
		return -EINTR;

	err = -EBUSY;
	if (host->state != LIVEUPDATE_STATE_NORMAL)
		goto out_unlock;

	if (host == &luo_host)
		luo_timeline_prepare();
	luo_host_stamp(host, "kernel:prepare");
	err = luo_subsys_prepare(&host->subsystems);
	if (err)
		goto out_unlock;
	luo_host_set_state(host, LIVEUPDATE_STATE_PREPARED);
	luo_host_stamp(host, "kernel:prepared");

out_unlock:
	up_write(&host->rwsem);
	return err;
}

/**
 * luo_host_cancel - Undo what luo_host_prepare() did.
 * @host: The host state.
 *
 * Context: Process context, may sleep.
 * Return: 0; -EINTR when killed while waiting; -EBUSY unless prepared.
 */
int luo_host_cancel(struct luo_host *host)
{
	int err = -EBUSY;

	if (down_write_killable(&host->rwsem))
		return -EINTR;

	if (host->state == LIVEUPDATE_STATE_PREPARED) {
		luo_host_undo(host);
		err = 0;
	}
	up_write(&host->rwsem);

	return err;
}

/**
 * luo_host_freeze - REBOOT all subsystems and seal the handover.
 * @host: The host state, prepared.
 *
 * Context: Inside reboot(2), @host locked for writing. May sleep.
 * Return: 0, ready to jump; else the errno of what refused, with everything
 *         undone and the state normal.
 */
int luo_host_freeze(struct luo_host *host)
{
	int err;

	lockdep_assert_held_write(&host->rwsem);
	luo_host_stamp(host, "kernel:freeze");
	err = luo_subsys_reboot(&host->subsystems);
	if (!err)
		err = luo_handover_seal(host->out, &host->subsystems);
	if (err) {
		pr_err("update cancelled inside reboot: %pe\n", ERR_PTR(err));
		luo_host_undo(host);
		return err;
	}
	luo_host_stamp(host, "kernel:frozen");

	return 0;
}

/**
 * luo_host_finish - Bring the host back to normal after an update.
 * @host: The host state.
 *
 * Context: Process context, may sleep.
 * Return: 0; -EINTR when killed while waiting; -EBUSY unless the state is
 *         updated and every retrieved session is finished.
 */
int luo_host_finish(struct luo_host *host)
{
	int err;

	if (down_write_killable(&host->rwsem))
		return -EINTR;

	err = -EBUSY;
	if (host->state != LIVEUPDATE_STATE_UPDATED)
		goto out_unlock;
	if (host == &luo_host) {
		err = luo_session_can_finish_host();
		if (err)
			goto out_unlock;
	}

	luo_subsys_finish(&host->subsystems);
	luo_host_set_state(host, LIVEUPDATE_STATE_NORMAL);
	luo_host_stamp(host, "kernel:finish");
	err = 0;

out_unlock:
	up_write(&host->rwsem);
	return err;
}

/**
 * luo_host_dry_run - Freeze as reboot(2) would, then cancel.
 * @host: The host state.
 *
 * Context: Process context, may sleep.
 * Return: 0 when all froze; -EINTR when killed while waiting; -EBUSY unless
 *         prepared; else the errno of what refused. The state is normal
 *         afterwards, but for -EINTR and -EBUSY.
 */
int luo_host_dry_run(struct luo_host *host)
{
	int err;

	if (down_write_killable(&host->rwsem))
		return -EINTR;

	err = -EBUSY;
	if (host->state != LIVEUPDATE_STATE_PREPARED)
		goto out_unlock;

	err = luo_host_freeze(host);
	if (!err) {
		err = luo_handover_verify(host->out);
		luo_host_undo(host);
	}

out_unlock:
	up_write(&host->rwsem);
	return err;
}

static int luo_host_reboot_unprepared(void)
{
	char name[LIVEUPDATE_SESSION_NAME_LENGTH];
	int err;

	if (luo_session_needs_prepare(name)) {
		pr_err("session '%s' holds a device or VM: write 1 to /sys/kernel/liveupdate/prepare before kexec, or close the session\n",
		       name);
		return -EBUSY;
	}

	err = luo_session_serialize();
	if (!err)
		luo_flb_serialize();

	return err;
}

/**
 * luo_host_reboot - The live update part of reboot(LINUX_REBOOT_CMD_KEXEC).
 *
 * On success the host state stays locked: only the jump follows.
 *
 * Context: reboot(2), may sleep.
 * Return: 0; -EINTR when killed while waiting; -EBUSY when a session needs
 *         prepare and the state is not prepared; else the errno of what
 *         refused to freeze.
 */
int luo_host_reboot(void)
{
	int err;

	if (down_write_killable(&luo_host.rwsem))
		return -EINTR;

	if (luo_host.state == LIVEUPDATE_STATE_PREPARED)
		err = luo_host_freeze(&luo_host);
	else
		err = luo_host_reboot_unprepared();
	if (err)
		up_write(&luo_host.rwsem);

	return err;
}

/**
 * liveupdate_state - Where the host stands.
 *
 * Context: Any. The answer may be old when it arrives, unless the caller is a
 *          subsystem's callback.
 * Return: The state.
 */
enum liveupdate_state liveupdate_state(void)
{
	return READ_ONCE(luo_host.state);
}
EXPORT_SYMBOL_GPL(liveupdate_state);

/**
 * liveupdate_state_hold - Keep the state as it is for a while.
 *
 * For what an administrator may do in one state only. Events wait meanwhile.
 *
 * Context: Process context, may sleep. Without a device lock and without an
 *          active reference of a sysfs file, for which an event's callback may
 *          be waiting.
 * Return: 0; -EINTR when killed while waiting.
 */
int liveupdate_state_hold(void)
{
	return down_read_killable(&luo_host.rwsem) ? -EINTR : 0;
}
EXPORT_SYMBOL_GPL(liveupdate_state_hold);

/**
 * liveupdate_state_release - Undo liveupdate_state_hold().
 *
 * Context: The task that holds it.
 */
void liveupdate_state_release(void)
{
	up_read(&luo_host.rwsem);
}
EXPORT_SYMBOL_GPL(liveupdate_state_release);

/**
 * liveupdate_jump - Stamp the last moment of this kernel.
 *
 * Context: kernel_kexec(), right before the machine goes.
 */
void liveupdate_jump(void)
{
	luo_timeline_stamp("kernel:jump");
}

/**
 * liveupdate_payload_get - What the outgoing kernel's subsystem handed over.
 * @name:       The subsystem.
 * @compatible: The version that the caller understands.
 * @len:        Set to the number of bytes.
 *
 * The core owns the memory, which is gone after finish.
 *
 * Context: From early initcalls, or liveupdate_load_early(), on.
 * Return: The payload, or an ERR_PTR of the table in luo_handover.c.
 */
const void *liveupdate_payload_get(const char *name, const char *compatible,
				   size_t *len)
{
	const struct luo_payload_ser *payload;
	int err;

	if (!luo_host_in)
		return ERR_PTR(luo_host_in_err);

	payload = luo_handover_find(luo_host_in, name, compatible);
	if (IS_ERR(payload))
		return payload;
	if (!kho_is_preserved(payload->pa, payload->len))
		return ERR_PTR(-EFAULT);

	err = luo_handover_check(payload, phys_to_virt(payload->pa));
	if (err)
		return ERR_PTR(err);

	*len = payload->len;
	return phys_to_virt(payload->pa);
}
EXPORT_SYMBOL_GPL(liveupdate_payload_get);

/*
 * The sessions' files are a member of the order, so that whatever fails after
 * them brings them back as well.
 */
static int luo_files_prepare(struct liveupdate_subsystem *sub)
{
	return luo_session_prepare();
}

static int luo_files_reboot(struct liveupdate_subsystem *sub)
{
	int err = luo_session_serialize();

	if (!err)
		luo_flb_serialize();

	return err;
}

static void luo_files_cancel(struct liveupdate_subsystem *sub)
{
	if (sub->frozen)
		luo_session_unserialize();
}

static void luo_files_finish(struct liveupdate_subsystem *sub)
{
	luo_session_discard_incoming();
}

static const struct liveupdate_subsystem_ops luo_files_ops = {
	.prepare = luo_files_prepare,
	.reboot = luo_files_reboot,
	.cancel = luo_files_cancel,
	.finish = luo_files_finish,
};

static struct liveupdate_subsystem luo_files = {
	.name = "files",
	.prio = LIVEUPDATE_PRIO_FILES,
	.ops = &luo_files_ops,
	.owner = THIS_MODULE,
};

static void luo_host_free_payloads(struct liveupdate_subsystem *sub)
{
	u32 i;

	if (!luo_host_in)
		return;

	for (i = 0; i < luo_host_in->count; i++) {
		if (kho_is_preserved(luo_host_in->payloads[i].pa,
				     luo_host_in->payloads[i].len))
			kho_restore_free(phys_to_virt(luo_host_in->payloads[i].pa));
	}
	kho_restore_free((void *)luo_host_in);
	luo_host_in = NULL;
	luo_host_in_err = -ENOENT;
}

/* First in the order, so last to finish: nobody needs a payload after it. */
static const struct liveupdate_subsystem_ops luo_payloads_ops = {
	.finish = luo_host_free_payloads,
};

static struct liveupdate_subsystem luo_payloads = {
	.name = "payloads",
	.prio = LIVEUPDATE_PRIO_BEFORE_DEVICES,
	.ops = &luo_payloads_ops,
	.owner = THIS_MODULE,
};

/*
 * An ordinary reboot or power-off must not leave a device running that only an
 * update may leave running. A kexec holds the lock and has passed this point.
 */
static int luo_host_reboot_notify(struct notifier_block *nb,
				  unsigned long event, void *unused)
{
	if (kexec_in_progress || liveupdate_state() != LIVEUPDATE_STATE_PREPARED)
		return NOTIFY_DONE;

	pr_warn("reboot without kexec: the prepared update is cancelled\n");
	luo_host_cancel(&luo_host);

	return NOTIFY_OK;
}

static struct notifier_block luo_host_reboot_nb = {
	.notifier_call = luo_host_reboot_notify,
};

static int __init luo_host_incoming(void)
{
	static bool loaded __initdata;
	struct luo_host_ser *ser;
	phys_addr_t pa;
	size_t len;
	int err;

	if (loaded || !kho_is_enabled() ||
	    kho_retrieve_subtree(LUO_HOST_KHO_ENTRY_NAME, &pa, &len))
		return 0;
	loaded = true;

	ser = phys_to_virt(pa);
	err = len < sizeof(*ser) ? -EBADMSG : luo_handover_verify(ser);
	if (err) {
		pr_err("handover of the outgoing kernel cannot be believed (%pe): devices and VMs it kept are lost, start them anew\n",
		       ERR_PTR(err));
		luo_host_in_err = err;
		luo_host.state = LIVEUPDATE_STATE_UPDATED;
		return 0;
	}

	if (ser->timeline_pa && kho_is_preserved(ser->timeline_pa, PAGE_SIZE))
		luo_timeline_setup_incoming(ser->timeline_pa);
	if (ser->state != LUO_HOST_SER_FROZEN) {
		kho_restore_free(ser);
		return 0;
	}

	luo_host_in = ser;
	luo_host.state = LIVEUPDATE_STATE_UPDATED;
	if (!liveupdate_enabled())
		pr_err("an update arrived but liveupdate= is off: what it kept is lost, and its memory until the next boot; use liveupdate=on\n");

	return 0;
}
early_initcall(luo_host_incoming);

/**
 * liveupdate_load_early - Read the handover before early initcalls.
 *
 * For what has to know before interrupts are set up. Otherwise an early
 * initcall does so.
 *
 * Context: start_kernel(), when memory can be allocated.
 */
void __init liveupdate_load_early(void)
{
	luo_host_incoming();
}

static int __init luo_host_outgoing(void)
{
	struct luo_host_ser *out;
	int err;

	if (!liveupdate_enabled())
		return 0;

	out = kho_alloc_preserve(sizeof(*out));
	if (IS_ERR(out))
		return PTR_ERR(out);

	out->timeline_pa = luo_timeline_setup_outgoing();
	luo_handover_init(out);
	err = kho_add_subtree(LUO_HOST_KHO_ENTRY_NAME, out, sizeof(*out));
	if (err) {
		kho_unpreserve_free(out);
		return err;
	}

	scoped_guard(rwsem_write, &luo_host.rwsem) {
		luo_host.out = out;
		WARN_ON(luo_subsys_add(&luo_host.subsystems, &luo_files));
	}
	register_reboot_notifier(&luo_host_reboot_nb);
	luo_host_debugfs_init();

	return 0;
}
late_initcall(luo_host_outgoing);

/* Before any other subsystem, so first in the order. */
static int __init luo_host_first(void)
{
	guard(rwsem_write)(&luo_host.rwsem);
	return luo_subsys_add(&luo_host.subsystems, &luo_payloads);
}
early_initcall(luo_host_first);

static int __init luo_host_booted(void)
{
	luo_timeline_stamp("kernel:init");
	return 0;
}
late_initcall_sync(luo_host_booted);
