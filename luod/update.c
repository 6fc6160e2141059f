// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The outgoing side of an update: a barrier over all subscribed VMs.
 *
 *   idle -> preserving   a session for each VM; START_PRESERVATION
 *        -> preparing    all READY: luod's list written, sync, prepare=1
 *        -> freezing     FREEZE
 *        -> rebooting    all READY: sync, then reboot(KEXEC)
 *
 * Each phase has the same deadline. Whatever goes wrong - a VM that FAILED or
 * is late, a refusal of the kernel, ABORT, SIGTERM, the keeper's death - ends
 * in `cancelling`, which undoes everything in reverse, however far it came:
 *
 *   0  wait for the end of the job that runs
 *   1  prepare=0 (nothing to do is fine)
 *   2  CANCEL to every VM that was asked for something, sessions closed
 *   3  wait for their READY, 10 s at most
 *
 * Each of these steps has the deadline too, and is given up (and logged) when
 * it passes: letting the guests run comes first. Then `idle` again, and whoever
 * waits for UPDATE gets the first error.
 *
 * A VM whose client says GONE has died: its session is dropped and the others
 * go on. When a client only goes away, its guest may well live, and a jump would
 * lose it: the update is cancelled. After READY to FREEZE all of a VM is in its
 * session, whatever becomes of client and QEMU: the update goes on.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "host.h"
#include "journal.h"
#include "luod.h"
#include "session.h"
#include "timeline.h"

#define CANCEL_ANSWER_MS	10000

static int update_allowed(const struct luod *d, struct fail *f)
{
	struct notes *running;
	int err;

	if (host_state() == HOST_NONE)
		return fail(f, EOPNOTSUPP,
			    "this kernel has no /sys/kernel/liveupdate; boot an hlu kernel with kho=on liveupdate=on");
	if (host_state() != HOST_NORMAL)
		return fail(f, EBUSY,
			    "the host is in state %s; finish or abort that update first",
			    host_state_name());
	if (!d->image || !host_loaded())
		return fail(f, ENODATA,
			    "no kernel is loaded; run luoctl load first");
	running = malloc(sizeof(*running));
	if (!running)
		return fail(f, ENOMEM, "out of memory");
	err = notes_of_running(running, f);
	if (!err)
		err = notes_compare(running, d->image, d->image_path, f);
	free(running);
	return err;
}

static int session_create(int dev, const char *name, struct fail *f)
{
	int fd = luo_create(dev, name);

	if (fd == -EEXIST)
		return fail(f, EEXIST,
			    "session %s still exists; end the process that holds it",
			    name);
	if (fd < 0)
		return fail(f, -fd, "session %s: %s", name, strerror(-fd));
	return fd;
}

static int sessions_create(struct luod *d, struct fail *f)
{
	int fd, dev = luo_open();

	if (dev == -EBUSY)
		return fail(f, EBUSY,
			    "/dev/liveupdate is in use; end the process that has it open");
	if (dev < 0)
		return fail(f, -dev, "/dev/liveupdate: %s", strerror(-dev));

	fd = session_create(dev, OWN_SESSION, f);
	if (fd >= 0) {
		d->own = fd;
		keeper_put(d->keeper, OWN_SESSION, fd);
	}
	for (struct vm *vm = d->vms; vm && fd >= 0; vm = vm->next) {
		fd = session_create(dev, vm->id, f);
		if (fd >= 0)
			vm_hold(d, vm, fd);
	}
	close(dev);
	return fd < 0 ? fd : 0;
}

/* Refuses, or begins; from then on the end is the cancel or the jump. */
int update_start(struct luod *d, int timeout, struct fail *f)
{
	if (update_allowed(d, f))
		return -f->err;

	say("update to %s begins", d->image_path);
	d->timeout = timeout;
	d->last_error.err = 0;
	json_object_put(d->lost);
	d->lost = json_object_new_array();
	timeline_begin();
	timeline_stamp("luod", "begin");
	step("begin");
	phase_enter(d, PHASE_PRESERVING);
	timeline_stamp("luod", "preserve");
	if (sessions_create(d, f)) {
		update_cancel(d, f);
		return 0;
	}
	for (struct vm *vm = d->vms; vm; vm = vm->next)
		vm_ask(vm, "START_PRESERVATION", NULL, vm->session);
	step("preserve-sent");
	return 0;
}

static struct json_object *names_new(const struct luod *d)
{
	struct json_object *names = json_object_new_array();

	for (const struct vm *vm = d->vms; vm; vm = vm->next)
		json_object_array_add(names, json_object_new_string(vm->id));
	return names;
}

static struct json_object *list_new(const struct luod *d)
{
	struct json_object *list = json_object_new_object();
	struct utsname uts;

	json_object_object_add(list, "version", json_object_new_int(1));
	json_object_object_add(list, "sessions", names_new(d));
	uname(&uts);
	msg_add(list, "release", uts.release);
	return list;
}

/* Token 0 of luod's own session tells the incoming luod what to retrieve. */
static int list_preserve(const struct luod *d, struct fail *f)
{
	struct json_object *list = list_new(d);
	const char *text = json_object_to_json_string(list);
	int fd = memfd_create("luod", MFD_CLOEXEC), err = 0;

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		err = -errno;
	if (!err)
		err = luo_preserve(d->own, fd, OWN_TOKEN);
	if (fd >= 0)
		close(fd);
	json_object_put(list);
	return err ? fail(f, -err, "the list of sessions is not preserved: %s",
			  strerror(-err)) : 0;
}

static void update_prepare(struct luod *d)
{
	struct fail f;

	timeline_stamp("luod", "ready");
	step("ready");
	phase_enter(d, PHASE_PREPARING);
	if (list_preserve(d, &f))
		update_cancel(d, &f);
	else
		job_run_call(d, host_prepare);
}

static void update_freeze(struct luod *d)
{
	struct fail f;

	if (d->job_err) {
		fail(&f, -d->job_err,
		     "prepare: %s; the kernel log names the device or VM",
		     strerror(-d->job_err));
		update_cancel(d, &f);
		return;
	}
	step("prepared");
	journal_write(names_new(d));
	phase_enter(d, PHASE_FREEZING);
	timeline_stamp("luod", "freeze");
	for (struct vm *vm = d->vms; vm; vm = vm->next)
		vm_ask(vm, "FREEZE", NULL, -1);
	step("freeze-sent");
}

static void update_frozen(struct luod *d)
{
	timeline_stamp("luod", "frozen");
	step("frozen");
	phase_enter(d, PHASE_REBOOTING);
	job_run_call(d, host_sync);
}

static void update_jump(struct luod *d)
{
	struct fail f;
	int err;

	for (struct conn *c = d->conns; c; c = c->next)
		if (c->await == AWAIT_UPDATE) {
			c->await = AWAIT_JUMP;
			conn_ok(c);
		}
	step("before-reboot");
	timeline_stamp("luod", "reboot");
	err = host_jump();
	fail(&f, -err, "reboot: %s; the kernel log names the cause",
	     strerror(-err));
	update_cancel(d, &f);
}

static void update_late(struct luod *d, const char *late)
{
	struct fail f;

	if (d->phase == PHASE_PRESERVING || d->phase == PHASE_FREEZING)
		fail(&f, ETIMEDOUT, "%s: no answer to %s within %d s", late,
		     d->phase == PHASE_FREEZING ? "FREEZE" :
		     "START_PRESERVATION", d->timeout);
	else
		fail(&f, ETIMEDOUT, "%s took longer than %d s",
		     d->phase == PHASE_PREPARING ? "prepare" : "sync",
		     d->timeout);
	update_cancel(d, &f);
}

void update_tick(struct luod *d)
{
	bool busy = job_busy(&d->job);
	char late[256];
	bool answered = vms_answered(d, late, sizeof(late));

	if (d->phase == PHASE_CANCELLING)
		update_undo(d);
	else if (d->phase == PHASE_PRESERVING && answered)
		update_prepare(d);
	else if (d->phase == PHASE_PREPARING && !busy)
		update_freeze(d);
	else if (d->phase == PHASE_FREEZING && answered)
		update_frozen(d);
	else if (d->phase == PHASE_REBOOTING && !busy)
		update_jump(d);
	else if (timed_out(d))
		update_late(d, late);
}

static bool update_outgoing(const struct luod *d)
{
	return d->phase >= PHASE_PRESERVING && d->phase <= PHASE_REBOOTING;
}

/* Begins to undo; the first error is the one that counts. */
void update_cancel(struct luod *d, const struct fail *f)
{
	if (d->phase == PHASE_CANCELLING)
		return;
	say("update cancelled: %s", f->reason);
	d->failed = *f;
	d->last_error = *f;
	d->undo = 0;
	if (!d->timeout)
		d->timeout = 30;
	job_kill(&d->job);
	phase_enter(d, PHASE_CANCELLING);
}

static void undo_vms(struct luod *d)
{
	struct vm *next;

	for (struct vm *vm = d->vms; vm; vm = next) {
		next = vm->next;
		if (!vm->conn) {
			vm_free(d, vm);
			continue;
		}
		if (vm->event)
			vm_ask(vm, "CANCEL", d->failed.reason, -1);
		vm_release(d, vm);
	}
	for (int i = 0; i < d->nkept; i++) {
		close(d->kept[i].fd);
		keeper_drop(d->keeper, d->kept[i].name);
	}
	d->nkept = 0;
	if (d->own >= 0)
		close(d->own);
	d->own = -1;
	keeper_drop(d->keeper, OWN_SESSION);
}

static void undo_end(struct luod *d)
{
	struct json_object *msg;

	for (struct vm *vm = d->vms; vm; vm = vm->next) {
		vm->state = VM_QUIET;
		vm->event = NULL;
	}
	journal_drop();
	phase_enter(d, PHASE_IDLE);
	say("update undone, state %s", host_state_name());
	for (struct conn *c = d->conns; c; c = c->next) {
		if (c->await == AWAIT_UPDATE)
			conn_refuse(c, &d->failed);
		else if (c->await == AWAIT_ABORT)
			conn_ok(c);
		if (c->await == AWAIT_JUMP) {
			msg = msg_fail(&d->failed);
			json_object_object_del(msg, "status");
			msg_add(msg, "event", "CANCELLED");
			conn_send(c, msg, -1);
		}
		c->await = AWAIT_NOTHING;
	}
}

void update_undo(struct luod *d)
{
	char late[256];

	if (d->undo < 2 && job_busy(&d->job)) {
		if (!timed_out(d))
			return;
		say("the kernel does not come back from a write; going on");
		job_abandon(&d->job);
	}
	if (d->undo == 0) {
		d->undo = 1;
		phase_enter(d, PHASE_CANCELLING);
		job_run_call(d, host_cancel);
		return;
	}
	if (d->undo == 1) {
		if (d->job_err)
			say("prepare=0: %s; write it again by luoctl abort",
			    strerror(-d->job_err));
		undo_vms(d);
		d->undo = 2;
		d->deadline = now_ms() + CANCEL_ANSWER_MS;
	}
	if (!vms_answered(d, late, sizeof(late))) {
		if (!timed_out(d))
			return;
		say("%s: no answer to CANCEL; see whether the guest runs", late);
	}
	undo_end(d);
}

int update_abort(struct luod *d, struct fail *f)
{
	struct fail aborted;

	if (d->phase == PHASE_CLAIMING || d->phase == PHASE_FINISHING)
		return fail(f, EBUSY,
			    "the new kernel runs already; nothing can be undone");
	if (d->phase == PHASE_IDLE && host_state() != HOST_PREPARED)
		return fail(f, ESRCH, "no update is in progress");
	fail(&aborted, ECANCELED, "aborted by the administrator");
	update_cancel(d, &aborted);
	return 0;
}

/* A client says that its VM cannot do what was asked. */
void update_failed(struct luod *d, struct vm *vm, const char *reason)
{
	struct fail f;

	vm->state = VM_READY;
	if (update_outgoing(d)) {
		fail(&f, EREMOTEIO, "%s: %s", vm->id, reason);
		update_cancel(d, &f);
	} else {
		say("%s did not come back from CANCEL: %s", vm->id, reason);
	}
}

/* Its client says that the VM has died. Frees @vm. */
void update_vm_dead(struct luod *d, struct vm *vm, const char *reason)
{
	say("%s died: %s; going on without it", vm->id, reason);
	vm_free(d, vm);
}

/* The client of @vm is gone. May free @vm. */
void update_vm_gone(struct luod *d, struct vm *vm)
{
	bool frozen = vm->state == VM_READY &&
		      (d->phase == PHASE_FREEZING || d->phase == PHASE_REBOOTING);
	struct fail f;

	if (frozen)
		return;
	if (update_outgoing(d)) {
		fail(&f, ECONNRESET,
		     "%s: its client went away and its guest may live; see why, then try again",
		     vm->id);
		vm_free(d, vm);
		update_cancel(d, &f);
		return;
	}
	/* an incoming session waits for another client */
	if (vm->session < 0 ||
	    (d->phase != PHASE_CLAIMING && d->phase != PHASE_FINISHING))
		vm_free(d, vm);
}
