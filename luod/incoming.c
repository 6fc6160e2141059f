// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The incoming side of an update: hand the sessions out, then finish.
 *
 *   claiming   retrieve luod's own session and all it lists; a session is
 *              given to whoever CLAIMs it, and finished when the VM's
 *              subscriber says READY (the guest runs again)
 *   finishing  no session is left: finish=1, state normal, `idle`
 *
 * Unhappy paths: a session that cannot be retrieved, is not claimed in time, or
 * is claimed and not READY in time, is given up, logged and listed as lost; the
 * others go on. A list that cannot be read costs only the names: sessions are
 * then looked up when somebody asks for them. /dev/liveupdate or finish=1 being
 * busy is tried again until the deadline; then luod goes idle, says so in
 * last_error, and does it again when it is restarted.
 *
 * After a crash of the worker the keeper's sessions come first: they count as
 * claimed, because one that was must not be lost, and may be claimed again. A
 * mark at the keeper tells that none is left: luod's own session, which lists
 * them, is finished then, and only the kernel is yet to be told.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "host.h"
#include "journal.h"
#include "luod.h"
#include "session.h"
#include "timeline.h"

#define LIST_MAX	65536

static void lost_add(struct luod *d, const char *id, const char *reason)
{
	struct json_object *entry;

	if (!id_valid(id))
		return;
	say("%s is lost: %s", id, reason);
	entry = msg_new("id", id);
	msg_add(entry, "reason", reason);
	json_object_array_add(d->lost, entry);
}

static void give_up(struct luod *d, int err, const char *what)
{
	fail(&d->last_error, err, "%s: %s; restart luod to try again", what,
	     strerror(err));
	say("%s", d->last_error.reason);
}

void incoming_start(struct luod *d)
{
	timeline_stamp("luod", "start");
	step("incoming-start");
	d->timeout = d->claim_timeout;
	d->collected = false;
	phase_enter(d, PHASE_CLAIMING);
}

/* No update came in; perhaps one was under way when the host went down. */
void incoming_none(struct luod *d)
{
	struct json_object *ids = journal_lost();
	size_t n = ids ? json_object_array_length(ids) : 0;

	for (size_t i = 0; i < n; i++)
		lost_add(d, json_object_get_string(
			 json_object_array_get_idx(ids, i)),
			 "the host went down during the update");
	json_object_put(ids);
	keeper_drop(d->keeper, ALL_ARRIVED);
}

/* Whether a worker that died had no session left. */
bool incoming_arrived(const struct luod *d)
{
	for (int i = 0; i < d->nkept; i++)
		if (!strcmp(d->kept[i].name, ALL_ARRIVED))
			return true;
	return false;
}

static void mark_arrived(struct luod *d)
{
	int fd = memfd_create(ALL_ARRIVED, MFD_CLOEXEC);

	if (fd < 0)
		return;
	keeper_put(d->keeper, ALL_ARRIVED, fd);
	close(fd);
}

static void vm_incoming(struct luod *d, const char *id, int session,
			enum vm_state state)
{
	struct vm *vm = vm_find(d, id);

	if (!vm)
		vm = vm_new(d, id);
	if (!vm) {
		lost_add(d, id, "out of memory");
		close(session);
		return;
	}
	vm_hold(d, vm, session);
	vm->state = state;
	vm->deadline = now_ms() + d->claim_timeout * 1000LL;
}

static void adopt_kept(struct luod *d)
{
	for (int i = 0; i < d->nkept; i++) {
		if (!strcmp(d->kept[i].name, OWN_SESSION))
			d->own = d->kept[i].fd;
		else if (!strcmp(d->kept[i].name, ALL_ARRIVED))
			close(d->kept[i].fd);
		else
			vm_incoming(d, d->kept[i].name, d->kept[i].fd,
				    VM_CLAIMED);
	}
}

/* Token 0 of luod's session, or NULL. */
static struct json_object *list_read(int own)
{
	int fd = luo_fetch(own, OWN_TOKEN);
	struct json_object *list = NULL;
	char *text = malloc(LIST_MAX);
	ssize_t len = -1;

	if (fd >= 0 && text)
		len = pread(fd, text, LIST_MAX - 1, 0);
	if (len > 0) {
		text[len] = '\0';
		list = json_tokener_parse(text);
	}
	if (fd >= 0)
		close(fd);
	free(text);
	if (msg_int(list, "version", 0) == 1)
		return list;
	json_object_put(list);
	return NULL;
}

static void retrieve_one(struct luod *d, int dev, const char *id)
{
	int fd;

	if (!id_valid(id) || (vm_find(d, id) && vm_find(d, id)->session >= 0))
		return;
	fd = luo_retrieve(dev, id);
	if (fd >= 0)
		vm_incoming(d, id, fd, VM_HELD);
	else if (fd != -ENOENT || !d->nkept)
		lost_add(d, id, strerror(-fd));
}

static void retrieve_all(struct luod *d, int dev)
{
	struct json_object *list = list_read(d->own), *names;

	if (!json_object_object_get_ex(list, "sessions", &names) ||
	    !json_object_is_type(names, json_type_array)) {
		say("luod's list of sessions cannot be read; looking them up when they are claimed");
		d->unlisted = true;
	} else {
		for (size_t i = 0; i < json_object_array_length(names); i++)
			retrieve_one(d, dev, json_object_get_string(
				     json_object_array_get_idx(names, i)));
	}
	json_object_put(list);
}

static void find_sessions(struct luod *d, int dev, bool update)
{
	if (d->own < 0) {
		d->own = luo_retrieve(dev, OWN_SESSION);
		if (d->own >= 0)
			keeper_put(d->keeper, OWN_SESSION, d->own);
	}
	if (d->own >= 0)
		retrieve_all(d, dev);
	else
		d->unlisted = update;
}

static void collect(struct luod *d)
{
	bool update = host_state() == HOST_UPDATED;
	int dev = luo_open();

	if (dev == -EBUSY && !timed_out(d))
		return;
	d->collected = true;
	adopt_kept(d);
	if (dev < 0) {
		if (update)
			give_up(d, -dev, "/dev/liveupdate");
		return;
	}
	if (!incoming_arrived(d))
		find_sessions(d, dev, update);
	close(dev);
	d->nkept = 0;
	step("retrieved");
}

/* Finds the incoming session of @id, also when the list was unreadable. */
struct vm *incoming_lookup(struct luod *d, const char *id)
{
	struct vm *vm = vm_find(d, id);
	int fd, dev;

	if (d->phase != PHASE_CLAIMING)
		return NULL;
	if (!d->unlisted || (vm && vm->session >= 0))
		return vm && vm->session >= 0 ? vm : NULL;
	dev = luo_open();
	if (dev < 0)
		return NULL;
	fd = luo_retrieve(dev, id);
	close(dev);
	if (fd < 0)
		return NULL;
	vm_incoming(d, id, fd, VM_HELD);
	return vm_find(d, id);
}

void incoming_claimed(struct luod *d, struct vm *vm)
{
	say("%s is claimed", vm->id);
	vm->state = VM_CLAIMED;
	vm->deadline = now_ms() + d->claim_timeout * 1000LL;
	step("claimed");
}

void incoming_runs(struct luod *d, struct vm *vm)
{
	say("%s runs", vm->id);
	vm->state = VM_RUNS;
	vm->deadline = now_ms() + d->claim_timeout * 1000LL;
}

static void vm_done(struct luod *d, struct vm *vm)
{
	vm_release(d, vm);
	vm->state = VM_QUIET;
	if (!vm->conn)
		vm_free(d, vm);
}

static void vm_give_up(struct luod *d, struct vm *vm, int err)
{
	lost_add(d, vm->id,
		 vm->state == VM_HELD ? "nobody claimed it" :
		 vm->state == VM_CLAIMED ? "claimed, but it does not run" :
		 strerror(-err));
	vm_done(d, vm);
}

/* May free @vm. */
static void vm_tick(struct luod *d, struct vm *vm)
{
	bool late = now_ms() >= vm->deadline;
	int err = -EBUSY;

	if (vm->state == VM_RUNS || late)
		err = luo_finish(vm->session);
	if (vm->state == VM_RUNS && !err)
		vm_done(d, vm);
	else if (late)
		vm_give_up(d, vm, err);
}

static void claiming_tick(struct luod *d)
{
	bool left = false, held = false;
	struct vm *next;

	for (struct vm *vm = d->vms; vm; vm = next) {
		next = vm->next;
		if (vm->session >= 0)
			vm_tick(d, vm);
	}
	for (struct vm *vm = d->vms; vm; vm = vm->next) {
		left |= vm->session >= 0;
		held |= vm->session >= 0 && vm->state == VM_HELD;
	}
	if (!held && !d->all_claimed && !(d->unlisted && !timed_out(d))) {
		timeline_stamp("luod", "claimed");
		d->all_claimed = true;
	}
	if (left || (d->unlisted && !timed_out(d)))
		return;

	mark_arrived(d);
	if (d->own >= 0) {
		luo_finish(d->own);
		close(d->own);
		d->own = -1;
		keeper_drop(d->keeper, OWN_SESSION);
	}
	journal_drop();
	step("before-finish");
	phase_enter(d, PHASE_FINISHING);
	job_run_call(d, host_finish);
}

static void finishing_tick(struct luod *d)
{
	if (job_busy(&d->job))
		return;
	if (d->job_err && d->job_err != -ENOENT) {
		if (!timed_out(d)) {
			job_run_call(d, host_finish);
			return;
		}
		give_up(d, -d->job_err, "finish");
	}
	keeper_drop(d->keeper, ALL_ARRIVED);
	timeline_stamp("luod", "finish");
	phase_enter(d, PHASE_IDLE);
	say("update finished, state %s", host_state_name());
}

void incoming_tick(struct luod *d)
{
	if (d->phase == PHASE_CLAIMING && !d->collected)
		collect(d);
	if (d->phase == PHASE_CLAIMING && d->collected)
		claiming_tick(d);
	else if (d->phase == PHASE_FINISHING)
		finishing_tick(d);
}
