// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * luoctl attach: looks after one QEMU during updates, on hosts without libvirt.
 *
 * It subscribes at luod and drives QEMU over QMP (docs/interfaces.md, 4):
 *
 *   START_PRESERVATION  getfd, migrate; READY at pre-switchover, guest runs
 *   FREEZE              migrate-continue; READY when completed, guest stopped
 *   CANCEL              back to a running guest from wherever it is; READY
 *
 * and in the incoming kernel says READY as soon as QEMU has closed its session,
 * which it does once the guest runs and its devices do not need it any more.
 *
 * luod's death is a CANCEL without anybody to answer: first the guest runs,
 * then luod is looked for again, with growing pauses, until --reconnect is
 * over. QEMU's death ends attach, with GONE to luod unless all of the VM is in
 * its session by then. QEMU's refusals (migration blockers, failed migration)
 * go to luod as FAILED, in QEMU's words.
 *
 * QMP events only speed things up: the state is always asked for, so a lost or
 * early event does no harm.
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "luoctl.h"
#include "qmp.h"

#define FD_NAME		"luo"
#define POLL_MS		50
#define BACKOFF_MAX_MS	2000
#define QMP_START_MS	60000
#define UNDO_MS		30000

enum stage {
	QUIET,
	PRESERVING,	/* migrate given */
	PRESERVED,	/* pre-switchover, guest runs */
	FREEZING,	/* migrate-continue given */
	FROZEN,		/* completed, guest stopped */
	INCOMING,	/* guest to come up from a session */
};

struct attach {
	const char *id;
	int reconnect_ms;
	struct chan luod;
	struct qmp qmp;
	enum stage stage;
	bool was_running;
	bool ended;	/* QEMU said SHUTDOWN */
	bool told_gone;
	int session;
};

static int64_t attach_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void on_qmp_event(void *ctx, const char *name, struct json_object *msg)
{
	struct attach *a = ctx;

	(void)msg;
	if (!strcmp(name, "SHUTDOWN"))
		a->ended = true;
}

/* What fails because QEMU died is no refusal. */
static void tell(struct attach *a, const char *verb, const char *event,
		 const char *reason)
{
	bool died = a->qmp.gone && strcmp(verb, "READY") != 0;
	struct json_object *msg = msg_new("verb", died ? "GONE" : verb);

	if (died && a->told_gone) {
		json_object_put(msg);
		return;
	}
	a->told_gone = died;
	msg_add(msg, "id", a->id);
	if (event)
		msg_add(msg, "event", event);
	if (reason) {
		msg_add(msg, "reason", reason);
		say("%s: %s", a->id, reason);
	}
	if (a->luod.fd >= 0)
		chan_send(&a->luod, msg, -1);
	else
		json_object_put(msg);
}

/* The "status" of query-status or query-migrate; "" when unknown. */
static void query_status(struct attach *a, const char *command, char *status,
			 size_t size, struct fail *f)
{
	struct json_object *ret = NULL;
	const char *text, *desc;

	*status = '\0';
	if (qmp_call(&a->qmp, command, NULL, -1, &ret, f))
		return;
	text = msg_str(ret, "status");
	desc = msg_str(ret, "error-desc");
	fail(f, EREMOTEIO, "QEMU: migration %s: %s", text ? text : "none",
	     desc ? desc : "no reason given");
	snprintf(status, size, "%s", text ? text : "");
	json_object_put(ret);
}

static bool qemu_is(struct attach *a, const char *command, const char *wanted)
{
	char status[32];
	struct fail f;

	query_status(a, command, status, sizeof(status), &f);
	return !strcmp(status, wanted);
}

/* Whether QEMU still needs the session that it was started with. */
static bool needs_session(struct attach *a)
{
	struct json_object *ret = NULL;
	bool needs = true;
	struct fail f;

	if (!qmp_call(&a->qmp, "query-migrate", NULL, -1, &ret, &f))
		needs = msg_str(ret, "liveupdate-session") != NULL;
	json_object_put(ret);
	return needs;
}

/* Fails with all migration blockers of the mode set before. */
static int blockers(struct attach *a, struct fail *f)
{
	struct json_object *ret = NULL, *list;
	char text[400] = "";
	size_t len = 0;

	if (qmp_call(&a->qmp, "query-migrate", NULL, -1, &ret, f))
		return -f->err;
	if (json_object_object_get_ex(ret, "blocked-reasons", &list))
		for (size_t i = 0; i < json_object_array_length(list) &&
		     len < sizeof(text); i++)
			len += (size_t)snprintf(text + len, sizeof(text) - len,
				"%s%s", i ? "; " : "", json_object_get_string(
				json_object_array_get_idx(list, i)));
	json_object_put(ret);
	return len ? fail(f, EREMOTEIO, "QEMU: %s", text) : 0;
}

static struct json_object *capability(const char *name, bool on)
{
	struct json_object *cap = msg_new("capability", name);

	json_object_object_add(cap, "state", json_object_new_boolean(on));
	return cap;
}

static int set_pause(struct attach *a, bool on, struct fail *f)
{
	struct json_object *caps = json_object_new_array();
	struct json_object *args = json_object_new_object();

	json_object_array_add(caps, capability("pause-before-switchover", on));
	json_object_array_add(caps, capability("events", true));
	json_object_object_add(args, "capabilities", caps);
	return qmp_do(&a->qmp, "migrate-set-capabilities", args, f);
}

static int set_mode(struct attach *a, const char *mode, struct fail *f)
{
	return qmp_do(&a->qmp, "migrate-set-parameters", msg_new("mode", mode),
		      f);
}

/* Gives the session back and makes QEMU fit for other migrations again. */
static void let_go(struct attach *a)
{
	struct fail f;

	qmp_do(&a->qmp, "closefd", msg_new("fdname", FD_NAME), &f);
	set_mode(a, "normal", &f);
	set_pause(a, false, &f);
	if (a->session >= 0)
		close(a->session);
	a->session = -1;
	a->stage = QUIET;
}

static int preserve(struct attach *a, struct fail *f)
{
	char uri[ID_MAX + 32];

	if (a->session < 0)
		return fail(f, EBADMSG, "no session came with START_PRESERVATION");
	if (qmp_call(&a->qmp, "getfd", msg_new("fdname", FD_NAME), a->session,
		     NULL, f) ||
	    set_pause(a, true, f) || set_mode(a, "cpr-liveupdate", f) ||
	    blockers(a, f))
		return -f->err;
	snprintf(uri, sizeof(uri), "liveupdate:%s,fd=" FD_NAME, a->id);
	return qmp_do(&a->qmp, "migrate", msg_new("uri", uri), f);
}

static void on_start(struct attach *a)
{
	struct fail f;

	if (a->session >= 0)
		close(a->session);
	a->session = chan_take_fd(&a->luod);
	a->was_running = qemu_is(a, "query-status", "running");
	a->stage = PRESERVING;
	if (!preserve(a, &f))
		return;
	let_go(a);
	tell(a, "FAILED", "START_PRESERVATION", f.reason);
}

static void on_freeze(struct attach *a)
{
	struct fail f;

	if (a->stage != PRESERVED) {
		tell(a, "FAILED", "FREEZE", "QEMU is not preserved");
		return;
	}
	a->stage = FREEZING;
	if (qmp_do(&a->qmp, "migrate-continue",
		   msg_new("state", "pre-switchover"), &f))
		tell(a, "FAILED", "FREEZE", f.reason);
}

static bool migration_over(const char *status)
{
	return !strcmp(status, "completed") || !strcmp(status, "failed") ||
	       !strcmp(status, "cancelled") || !strcmp(status, "none") ||
	       !*status;
}

/* Brings the guest back from any stage; false when it does not run. */
static bool undo(struct attach *a)
{
	int64_t end = attach_now_ms() + UNDO_MS;
	bool running = false;
	char status[32];
	struct fail f;

	if (a->stage != FROZEN)
		qmp_do(&a->qmp, "migrate_cancel", NULL, &f);
	do {
		query_status(a, "query-migrate", status, sizeof(status), &f);
	} while (!migration_over(status) && attach_now_ms() < end &&
		 !usleep(10 * 1000));

	while (a->was_running && !a->qmp.gone && attach_now_ms() < end) {
		running = qemu_is(a, "query-status", "running");
		if (running)
			break;
		qmp_do(&a->qmp, "cont", NULL, &f);
		usleep(10 * 1000);
	}
	let_go(a);
	return running || !a->was_running;
}

static void on_cancel(struct attach *a)
{
	bool ok = a->stage == QUIET || a->stage == INCOMING || undo(a);

	say("%s: update cancelled, guest %s", a->id,
	    ok ? "goes on" : "does not run");
	if (ok)
		tell(a, "READY", "CANCEL", NULL);
	else
		tell(a, "FAILED", "CANCEL", "the guest does not run again");
}

static void on_luod_message(struct attach *a, struct json_object *msg)
{
	const char *event = msg_str(msg, "event");

	if (!event) {
		if (msg_str(msg, "errno"))
			say("%s: luod: %s", a->id, msg_str(msg, "reason"));
		return;
	}
	if (!strcmp(event, "START_PRESERVATION"))
		on_start(a);
	else if (!strcmp(event, "FREEZE"))
		on_freeze(a);
	else if (!strcmp(event, "CANCEL"))
		on_cancel(a);
}

static void luod_lost(struct attach *a)
{
	chan_close(&a->luod);
	say("%s: luod went away", a->id);
	if (a->stage != QUIET && a->stage != INCOMING && !undo(a))
		say("%s: the guest does not run again", a->id);
	a->stage = QUIET;
}

static int luod_drain(struct attach *a)
{
	struct json_object *msg;
	int ret;

	while ((ret = chan_next(&a->luod, &msg)) > 0) {
		on_luod_message(a, msg);
		json_object_put(msg);
	}
	return ret;
}

static void luod_pump(struct attach *a)
{
	int got = chan_fill(&a->luod);
	int ret = luod_drain(a);

	if (!got || ret < 0 || (got < 0 && got != -EAGAIN && got != -EINTR))
		luod_lost(a);
}

static void tick_preserving(struct attach *a)
{
	char status[32];
	struct fail f;

	query_status(a, "query-migrate", status, sizeof(status), &f);
	if (!strcmp(status, "pre-switchover")) {
		a->stage = PRESERVED;
		tell(a, "READY", "START_PRESERVATION", NULL);
	} else if (!strcmp(status, "completed")) {
		a->stage = FROZEN;
		tell(a, "FAILED", "START_PRESERVATION",
		     "QEMU did not pause before the switchover");
	} else if (migration_over(status)) {
		let_go(a);
		tell(a, "FAILED", "START_PRESERVATION", f.reason);
	}
}

static void tick_freezing(struct attach *a)
{
	char status[32];
	struct fail f;

	query_status(a, "query-migrate", status, sizeof(status), &f);
	if (!strcmp(status, "completed")) {
		a->stage = FROZEN;
		tell(a, "READY", "FREEZE", NULL);
	} else if (migration_over(status)) {
		a->stage = PRESERVED;
		tell(a, "FAILED", "FREEZE", f.reason);
	}
}

/* It comes back so, with its session open unless it has VFIO devices. */
static bool was_paused(struct attach *a)
{
	return qemu_is(a, "query-status", "paused") &&
	       qemu_is(a, "query-migrate", "completed");
}

/*
 * QEMU closes its session when the guest runs and no device is on page tables of
 * the old kernel any more; before, the session cannot be finished. The guest may
 * have stopped again by then: one that is reset waits for the update's end.
 */
static void tick_incoming(struct attach *a)
{
	if (needs_session(a) && !was_paused(a))
		return;
	say("%s: guest has left its session", a->id);
	a->stage = QUIET;
	tell(a, "READY", NULL, NULL);
}

static void tick(struct attach *a)
{
	if (a->stage == PRESERVING)
		tick_preserving(a);
	else if (a->stage == FREEZING)
		tick_freezing(a);
	else if (a->stage == INCOMING)
		tick_incoming(a);
}

/* 0 subscribed, or a negative errno. */
static int subscribe(struct attach *a)
{
	struct json_object *msg = msg_new("verb", "SUBSCRIBE");
	const char *name;
	int err;

	msg_add(msg, "id", a->id);
	err = chan_connect(&a->luod, luod_socket());
	if (err) {
		json_object_put(msg);
		return err;
	}
	err = chan_send(&a->luod, msg, -1);
	if (!err)
		err = chan_wait(&a->luod, &msg, 5000);
	if (err < 0) {
		chan_close(&a->luod);
		return err;
	}
	name = msg_str(msg, "errno");
	err = !name ? 0 : strcmp(name, "EINVAL") ? -EAGAIN : -EINVAL;
	if (msg_true(msg, "incoming"))
		a->stage = INCOMING;
	json_object_put(msg);
	if (err)
		chan_close(&a->luod);
	return err;
}

/* Tries again with growing pauses; QEMU is listened to meanwhile. */
static int reconnect(struct attach *a)
{
	int64_t end = attach_now_ms() + a->reconnect_ms;
	int err, pause = 100;

	while ((err = subscribe(a))) {
		struct pollfd pfd = { .fd = a->qmp.chan.fd, .events = POLLIN };
		int64_t left = end - attach_now_ms();

		if (err == -EINVAL || left <= 0) {
			say("%s: cannot subscribe at luod (%s)", a->id,
			    fail_name(-err));
			return err;
		}
		if (poll(&pfd, 1, left < pause ? (int)left : pause) > 0)
			qmp_pump(&a->qmp);
		if (a->qmp.gone)
			return 0;
		pause = pause * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : pause * 2;
	}
	say("%s: subscribed%s", a->id,
	    a->stage == INCOMING ? ", waiting for the guest to run" : "");
	return 0;
}

static int attend(struct attach *a)
{
	while (!a->qmp.gone) {
		struct pollfd pfd[2] = {
			{ .fd = a->qmp.chan.fd, .events = POLLIN },
			{ .events = POLLIN },
		};
		bool polling;

		if (a->luod.fd < 0 && reconnect(a))
			return 1;
		/* Something may have come together with the last answer. */
		luod_drain(a);
		polling = a->stage == PRESERVING || a->stage == FREEZING ||
			  a->stage == INCOMING;
		pfd[1].fd = a->luod.fd;
		if (poll(pfd, 2, polling ? POLL_MS : -1) < 0)
			continue;
		if (pfd[0].revents)
			qmp_pump(&a->qmp);
		if (pfd[1].revents)
			luod_pump(a);
		tick(a);
	}
	if (a->stage == FROZEN)
		say("%s: QEMU is gone, its VM is saved", a->id);
	else
		tell(a, "GONE", NULL, "QEMU is gone");
	return a->ended ? 0 : 1;
}

static int attach_options(struct attach *a, int argc, char **argv,
			  const char **path)
{
	static const struct option longopts[] = {
		{ "id", required_argument, NULL, 'i' },
		{ "qmp", required_argument, NULL, 'q' },
		{ "reconnect", required_argument, NULL, 'r' },
		{ 0 },
	};
	char *end = "";
	long seconds = 300;
	int opt;

	while ((opt = getopt_long(argc, argv, "", longopts, NULL)) != -1) {
		if (opt == 'i')
			a->id = optarg;
		else if (opt == 'q')
			*path = optarg;
		else if (opt == 'r')
			seconds = strtol(optarg, &end, 10);
		else
			return 2;
	}
	if (*end || seconds < 1 || seconds > 86400 || optind != argc ||
	    !id_valid(a->id) || !*path)
		return 2;
	a->reconnect_ms = (int)seconds * 1000;
	return 0;
}

int luoctl_attach(int argc, char **argv)
{
	static struct attach a = { .session = -1 };
	const char *path = NULL;
	struct fail f;
	int ret;

	if (attach_options(&a, argc, argv, &path))
		return 2;
	chan_init(&a.luod, -1);
	a.qmp.event = on_qmp_event;
	a.qmp.ctx = &a;
	if (qmp_connect(&a.qmp, path, QMP_START_MS, &f)) {
		say("%s (%s)", f.reason, fail_name(f.err));
		return 1;
	}
	ret = attend(&a);
	chan_close(&a.luod);
	chan_close(&a.qmp.chan);
	return ret;
}
