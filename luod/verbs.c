// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The requests of docs/interfaces.md, section 3.
 *
 * Each request gets one answer, in order; UPDATE and ABORT get theirs when the
 * update is on its way or undone. A request that cannot be read, names no verb
 * or no valid id is refused and changes nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host.h"
#include "luod.h"

#define TIMEOUT_DEFAULT	30
#define TIMEOUT_MAX	3600

typedef int verb_fn(struct luod *d, struct conn *c, struct json_object *msg,
		    struct fail *f);

static const char *msg_id(struct json_object *msg, struct fail *f)
{
	const char *id = msg_str(msg, "id");

	if (id_valid(id))
		return id;
	fail(f, EINVAL, "an id is 1 to %d of [A-Za-z0-9_.-], and not luod",
	     ID_MAX);
	return NULL;
}

static int idle(const struct luod *d, struct fail *f)
{
	if (d->phase == PHASE_IDLE && !d->stop)
		return 0;
	return fail(f, EBUSY, "luod is %s; try again when it is idle",
		    d->stop ? "stopping" : phase_name(d->phase));
}

static int verb_subscribe(struct luod *d, struct conn *c,
			  struct json_object *msg, struct fail *f)
{
	const char *id = msg_id(msg, f);
	struct json_object *answer;
	bool incoming;
	struct vm *vm;

	if (!id)
		return -f->err;
	if (d->phase != PHASE_CLAIMING && d->phase != PHASE_FINISHING &&
	    idle(d, f))
		return -f->err;
	if (d->phase == PHASE_CLAIMING && !d->collected)
		return fail(f, EAGAIN, "sessions are not retrieved yet; try again");
	incoming = incoming_lookup(d, id);
	vm = vm_find(d, id);
	if (vm && vm->conn)
		return fail(f, EEXIST, "%s has a client already; end that one",
			    id);
	if (!vm)
		vm = vm_new(d, id);
	if (!vm)
		return fail(f, ENOMEM, "%s: out of memory", id);
	vm->conn = c;
	answer = msg_new("status", "ok");
	json_object_object_add(answer, "incoming",
			       json_object_new_boolean(incoming));
	conn_send(c, answer, -1);
	return 0;
}

/* The VM of a READY or FAILED, and the event it answers. */
static struct vm *vm_answering(struct luod *d, const struct conn *c,
			       struct json_object *msg, struct fail *f)
{
	const char *id = msg_id(msg, f), *event = msg_str(msg, "event");
	struct vm *vm;

	if (!id)
		return NULL;
	vm = vm_find(d, id);
	if (!vm || vm->conn != c) {
		fail(f, ENOENT, "%s is not subscribed here", id);
		return NULL;
	}
	if (event && (!vm->event || strcmp(event, vm->event) != 0)) {
		fail(f, ESTALE, "%s: %s is not what was asked last", id, event);
		return NULL;
	}
	if (vm->state != VM_ASKED && vm->state != VM_CLAIMED) {
		fail(f, EINVAL, "%s: nothing was asked, or no session claimed",
		     id);
		return NULL;
	}
	return vm;
}

static int verb_ready(struct luod *d, struct conn *c, struct json_object *msg,
		      struct fail *f)
{
	struct vm *vm = vm_answering(d, c, msg, f);

	if (!vm)
		return -f->err;
	conn_ok(c);
	if (vm->state == VM_CLAIMED)
		incoming_runs(d, vm);
	else
		vm->state = VM_READY;
	return 0;
}

static int verb_failed(struct luod *d, struct conn *c, struct json_object *msg,
		       struct fail *f)
{
	struct vm *vm = vm_answering(d, c, msg, f);
	const char *reason = msg_str(msg, "reason");

	if (!vm)
		return -f->err;
	conn_ok(c);
	if (vm->state == VM_CLAIMED)
		vm->deadline = now_ms();
	else
		update_failed(d, vm, reason ? reason : "no reason given");
	return 0;
}

static int verb_gone(struct luod *d, struct conn *c, struct json_object *msg,
		     struct fail *f)
{
	const char *id = msg_id(msg, f), *reason = msg_str(msg, "reason");
	struct vm *vm;

	if (!id)
		return -f->err;
	vm = vm_find(d, id);
	if (!vm || vm->conn != c)
		return fail(f, ENOENT, "%s is not subscribed here", id);
	conn_ok(c);
	update_vm_dead(d, vm, reason ? reason : "no reason given");
	return 0;
}

static int verb_claim(struct luod *d, struct conn *c, struct json_object *msg,
		      struct fail *f)
{
	const char *id = msg_id(msg, f);
	struct vm *vm;

	if (!id)
		return -f->err;
	if (d->phase == PHASE_CLAIMING && !d->collected)
		return fail(f, EAGAIN, "sessions are not retrieved yet; try again");
	vm = incoming_lookup(d, id);
	if (!vm)
		return fail(f, ENOENT, "%s: no session came out of an update",
			    id);
	conn_send(c, msg_new("status", "ok"), vm->session);
	if (!c->gone)
		incoming_claimed(d, vm);
	return 0;
}

/* A boolean as the kernel's command line spells it. */
static bool word_true(const char *value)
{
	return strchr("yYtT1", *value) ? *value : !strncasecmp(value, "on", 2);
}

/* Without these the next kernel would come up and drop every VM. */
static int cmdline_check(const char *cmdline, struct fail *f)
{
	bool liveupdate = false, kho = true;
	char *copy = strdup(cmdline), *rest = NULL;

	if (!copy)
		return fail(f, ENOMEM, "out of memory");
	for (char *word = strtok_r(copy, " \t\n", &rest); word;
	     word = strtok_r(NULL, " \t\n", &rest)) {
		if (!strncmp(word, "liveupdate=", 11))
			liveupdate = word_true(word + 11);
		else if (!strncmp(word, "kho=", 4))
			kho = word_true(word + 4);
	}
	free(copy);
	if (liveupdate && kho)
		return 0;
	return fail(f, ENOPROTOOPT, "the command line %s: every VM would be lost",
		    liveupdate ? "has kho=off" : "lacks liveupdate=on");
}

/* *fd is -1, or the image and open, whatever comes back. */
static int check(struct json_object *msg, const char *path, struct notes *image,
		 int *fd, struct fail *f)
{
	const char *cmdline = msg_str(msg, "cmdline");
	int err;

	*fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (*fd < 0)
		return fail(f, errno, "%s: %s", path, strerror(errno));
	if (!image)
		return fail(f, ENOMEM, "%s: out of memory", path);
	err = image_check(*fd, path, image, f);
	if (!err && cmdline)
		err = cmdline_check(cmdline, f);
	return err;
}

static int verb_check(struct luod *d, struct conn *c, struct json_object *msg,
		      struct fail *f)
{
	const char *path = msg_str(msg, "kernel");
	struct notes *image;
	int err, fd;

	(void)d;
	if (!path)
		return fail(f, EINVAL, "CHECK needs a member kernel");
	image = malloc(sizeof(*image));
	err = check(msg, path, image, &fd, f);
	if (fd >= 0)
		close(fd);
	free(image);
	if (err)
		return err;
	conn_ok(c);
	return 0;
}

static int load(struct luod *d, struct json_object *msg, const char *path,
		struct fail *f)
{
	struct notes *image = malloc(sizeof(*image));
	int fd, err = check(msg, path, image, &fd, f);

	if (!err)
		err = host_load(fd, msg_str(msg, "initrd"),
				msg_str(msg, "cmdline"), f);
	if (fd >= 0)
		close(fd);
	if (err) {
		free(image);
		return err;
	}
	free(d->image);
	free(d->image_path);
	d->image = image;
	d->image_path = strdup(path);
	return 0;
}

static int verb_load(struct luod *d, struct conn *c, struct json_object *msg,
		     struct fail *f)
{
	const char *path = msg_str(msg, "kernel");

	if (!path)
		return fail(f, EINVAL, "LOAD needs a member kernel");
	if (idle(d, f) || load(d, msg, path, f))
		return -f->err;
	say("%s loaded", path);
	step("loaded");
	conn_ok(c);
	return 0;
}

static int verb_update(struct luod *d, struct conn *c, struct json_object *msg,
		       struct fail *f)
{
	int timeout = msg_int(msg, "timeout", TIMEOUT_DEFAULT);

	if (timeout < 1 || timeout > TIMEOUT_MAX)
		return fail(f, EINVAL, "a timeout is 1 to %d seconds",
			    TIMEOUT_MAX);
	if (idle(d, f))
		return -f->err;
	c->await = AWAIT_UPDATE;
	if (!update_start(d, timeout, f))
		return 0;
	c->await = AWAIT_NOTHING;
	d->last_error = *f;
	return -f->err;
}

static int verb_abort(struct luod *d, struct conn *c, struct json_object *msg,
		      struct fail *f)
{
	(void)msg;
	if (update_abort(d, f))
		return -f->err;
	c->await = AWAIT_ABORT;
	return 0;
}

static const char *session_state(const struct vm *vm)
{
	switch (vm->state) {
	case VM_HELD:
		return "held";
	case VM_CLAIMED:
		return "claimed";
	case VM_RUNS:
		return "runs";
	case VM_ASKED:
		return "asked";
	default:
		return "ready";
	}
}

static int verb_status(struct luod *d, struct conn *c, struct json_object *msg,
		       struct fail *f)
{
	struct json_object *clients = json_object_new_array();
	struct json_object *sessions = json_object_new_array(), *session;
	struct json_object *answer = msg_new("status", "ok"), *error = NULL;

	(void)msg;
	(void)f;
	for (const struct vm *vm = d->vms; vm; vm = vm->next) {
		if (vm->conn)
			json_object_array_add(clients,
					      json_object_new_string(vm->id));
		if (vm->session < 0)
			continue;
		session = msg_new("id", vm->id);
		msg_add(session, "state", session_state(vm));
		json_object_array_add(sessions, session);
	}
	if (d->last_error.err) {
		error = msg_new("errno", fail_name(d->last_error.err));
		msg_add(error, "reason", d->last_error.reason);
	}
	msg_add(answer, "state", host_state_name());
	msg_add(answer, "phase", phase_name(d->phase));
	json_object_object_add(answer, "loaded", d->image && host_loaded() ?
			       json_object_new_string(d->image_path) : NULL);
	json_object_object_add(answer, "clients", clients);
	json_object_object_add(answer, "sessions", sessions);
	json_object_object_add(answer, "lost", json_object_get(d->lost));
	json_object_object_add(answer, "last_error", error);
	conn_send(c, answer, -1);
	return 0;
}

static const struct verb {
	const char *name;
	verb_fn *fn;
	bool control;
} verbs[] = {
	{ "SUBSCRIBE", verb_subscribe, false },
	{ "READY", verb_ready, false },
	{ "FAILED", verb_failed, false },
	{ "GONE", verb_gone, false },
	{ "CLAIM", verb_claim, false },
	{ "CHECK", verb_check, true },
	{ "LOAD", verb_load, true },
	{ "UPDATE", verb_update, true },
	{ "ABORT", verb_abort, true },
	{ "STATUS", verb_status, true },
};

void verb_handle(struct luod *d, struct conn *c, struct json_object *msg)
{
	const char *name = msg_str(msg, "verb");
	const struct verb *verb = NULL;
	struct fail f;
	int err;

	for (size_t i = 0; name && i < sizeof(verbs) / sizeof(*verbs); i++)
		if (!strcmp(verbs[i].name, name))
			verb = &verbs[i];
	if (!verb)
		err = fail(&f, ENOSYS, "no such verb");
	else if (verb->control && !c->root)
		err = fail(&f, EPERM, "%s is for root", name);
	else
		err = verb->fn(d, c, msg, &f);
	if (err)
		conn_refuse(c, &f);
}
