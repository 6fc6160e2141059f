// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Promise: luoctl attach brings QEMU through all events, says FAILED in QEMU's
 * words, and leaves a running guest and an unarmed QEMU behind whatever cancels
 * the update, luod's death included.
 *
 * This program is luod and QEMU to it: sockets with the two protocols and a
 * QEMU that consists of a run state and a migration status.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "protocol.h"
#include "tap.h"

#define SOON	5000

static char dir[] = "/tmp/test_attach.XXXXXX";
static char luoctl[512], luod_path[256], qmp_path[256];
static int luod_listen, qmp_listen;
static struct chan luod, qmp;
static pid_t attach;

/* QEMU. */
static const char *run_state, *migration, *blocked, *needed;
static const char *after_migrate, *after_continue;
static char commands[4096];
static int session_seen;

static int listen_at(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strncpy(addr.sun_path, path, sizeof(addr.sun_path) - 1);
	unlink(path);
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) || listen(fd, 8))
		exit(1);
	return fd;
}

static bool accept_on(int fd, struct chan *c)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	if (poll(&pfd, 1, SOON) != 1)
		return false;
	chan_init(c, accept4(fd, NULL, NULL, SOCK_CLOEXEC));
	return c->fd >= 0;
}

static void qmp_event(const char *name)
{
	struct json_object *msg = msg_new("event", name);

	json_object_object_add(msg, "timestamp", json_tokener_parse(
			       "{\"seconds\":1,\"microseconds\":2}"));
	chan_send(&qmp, msg, -1);
}

static struct json_object *qmp_query(const char *command)
{
	struct json_object *ret = json_object_new_object(), *list;

	if (!strcmp(command, "query-status")) {
		msg_add(ret, "status", run_state);
	} else if (!strcmp(command, "query-migrate")) {
		msg_add(ret, "status", migration);
		if (needed)
			msg_add(ret, "liveupdate-session", needed);
		if (!strcmp(migration, "failed"))
			msg_add(ret, "error-desc", "disk full");
		if (blocked) {
			list = json_object_new_array();
			json_object_array_add(list, json_object_new_string(blocked));
			json_object_object_add(ret, "blocked-reasons", list);
		}
	}
	return ret;
}

static void qmp_act(const char *command)
{
	int fd;

	if (!strcmp(command, "migrate")) {
		migration = after_migrate;
	} else if (!strcmp(command, "migrate-continue")) {
		migration = after_continue;
		if (!strcmp(migration, "completed")) {
			run_state = "postmigrate";
			qmp_event("STOP");
		}
	} else if (!strcmp(command, "migrate_cancel")) {
		if (strcmp(migration, "completed") != 0)
			migration = "cancelled";
	} else if (!strcmp(command, "cont")) {
		run_state = "running";
		qmp_event("RESUME");
	} else if (!strcmp(command, "getfd")) {
		fd = chan_take_fd(&qmp);
		session_seen += fd >= 0;
		close(fd);
	}
}

static void qmp_answer(struct json_object *request)
{
	const char *command = msg_str(request, "execute");
	struct json_object *msg, *args;

	json_object_object_get_ex(request, "arguments", &args);
	if (strncmp(command, "query-", 6) != 0)
		snprintf(commands + strlen(commands),
			 sizeof(commands) - strlen(commands), "%s%s%s ", command,
			 msg_str(args, "mode") ? "=" : msg_str(args, "uri") ?
			 "=" : "", msg_str(args, "mode") ? msg_str(args, "mode") :
			 msg_str(args, "uri") ? msg_str(args, "uri") : "");
	qmp_act(command);
	msg = json_object_new_object();
	json_object_object_add(msg, "return", qmp_query(command));
	chan_send(&qmp, msg, -1);
}

static int64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Is QEMU until luod gets a message, for @ms at most. */
static struct json_object *serve(int ms)
{
	int64_t end = now() + ms;
	struct json_object *msg;

	for (;;) {
		struct pollfd pfd[2] = {
			{ .fd = qmp.fd, .events = POLLIN },
			{ .fd = luod.fd, .events = POLLIN },
		};

		while (chan_next(&qmp, &msg) > 0) {
			qmp_answer(msg);
			json_object_put(msg);
		}
		if (luod.fd >= 0 && chan_next(&luod, &msg) > 0)
			return msg;
		if (now() >= end || poll(pfd, 2, (int)(end - now())) <= 0)
			return NULL;
		if (pfd[0].revents && chan_fill(&qmp) <= 0)
			return NULL;
		if (pfd[1].revents && chan_fill(&luod) <= 0)
			return NULL;
	}
}

static bool hears(const char *verb, const char *text)
{
	struct json_object *msg = serve(SOON);
	const char *line = msg ? json_object_to_json_string(msg) : "nothing";
	bool same = msg && !strcmp(msg_str(msg, "verb"), verb) &&
		    strstr(line, text);

	if (!same)
		printf("# wanted %s %s, got %s\n", verb, text, line);
	if (same && strcmp(verb, "SUBSCRIBE") != 0)
		chan_send(&luod, msg_new("status", "ok"), -1);
	json_object_put(msg);
	return same;
}

static void say_event(const char *name, bool session)
{
	struct json_object *msg = msg_new("event", name);
	int fd = session ? memfd_create("session", MFD_CLOEXEC) : -1;

	msg_add(msg, "id", "vm1");
	chan_send(&luod, msg, fd);
	if (fd >= 0)
		close(fd);
}

static bool subscribed(bool incoming)
{
	struct json_object *answer = msg_new("status", "ok");
	bool good = accept_on(luod_listen, &luod) && hears("SUBSCRIBE", "vm1");

	json_object_object_add(answer, "incoming",
			       json_object_new_boolean(incoming));
	chan_send(&luod, answer, -1);
	return good;
}

static void up(bool incoming)
{
	run_state = incoming ? "inmigrate" : "running";
	migration = "none";
	blocked = NULL;
	after_migrate = "pre-switchover";
	after_continue = "completed";
	commands[0] = '\0';
	session_seen = 0;
	attach = fork();
	if (!attach) {
		if (freopen("/dev/null", "w", stderr))
			execl(luoctl, "luoctl", "attach", "--id", "vm1",
			      "--qmp", qmp_path, "--reconnect", "2", NULL);
		_exit(127);
	}
	if (!accept_on(qmp_listen, &qmp))
		exit(1);
	chan_send(&qmp, json_tokener_parse("{\"QMP\":{}}"), -1);
	/* The handshake comes before luod is looked for. */
	for (int i = 0; i < 50 && !strstr(commands, "qmp_capabilities"); i++)
		serve(100);
	ok(subscribed(incoming), "subscribed");
	commands[0] = '\0';
}

/* QEMU ends; so must attach. */
static int down(void)
{
	int status = -1;

	chan_close(&qmp);
	waitpid(attach, &status, 0);
	chan_close(&luod);
	return WEXITSTATUS(status);
}

static bool unarmed(void)
{
	return !strcmp(run_state, "running") &&
	       strstr(commands, "migrate-set-parameters=normal");
}

static void test_happy(void)
{
	up(false);
	say_event("START_PRESERVATION", true);
	ok(hears("READY", "START_PRESERVATION") && session_seen == 1 &&
	   !strcmp(commands, "getfd migrate-set-capabilities "
		   "migrate-set-parameters=cpr-liveupdate "
		   "migrate=liveupdate:vm1,fd=luo "), "preserved");
	ok(!strcmp(run_state, "running"), "while the guest runs");
	say_event("FREEZE", false);
	ok(hears("READY", "FREEZE") && !strcmp(run_state, "postmigrate"),
	   "frozen");
	say_event("CANCEL", false);
	ok(hears("READY", "CANCEL") && unarmed(), "cancelled when completed");
	commands[0] = '\0';
	say_event("START_PRESERVATION", true);
	ok(hears("READY", "START_PRESERVATION"), "and once more");
	say_event("CANCEL", false);
	ok(hears("READY", "CANCEL") && unarmed() &&
	   !strcmp(migration, "cancelled"), "cancelled at pre-switchover");
	qmp_event("SHUTDOWN");
	usleep(50000);
	ok(down() == 0, "ends well with a QEMU that was shut down");
}

static void test_refusals(void)
{
	up(false);
	blocked = "device x is not migratable";
	say_event("START_PRESERVATION", true);
	ok(hears("FAILED", "device x is not migratable") && unarmed() &&
	   !strstr(commands, "migrate="), "blockers are told, nothing is done");
	blocked = NULL;
	say_event("CANCEL", false);
	ok(hears("READY", "CANCEL"), "CANCEL after FAILED");
	say_event("START_PRESERVATION", false);
	ok(hears("FAILED", "no session"), "no session");
	after_migrate = "failed";
	say_event("START_PRESERVATION", true);
	ok(hears("FAILED", "disk full") && unarmed(), "migration fails");
	after_migrate = "completed";
	say_event("START_PRESERVATION", true);
	ok(hears("FAILED", "did not pause"), "migration does not pause");
	run_state = "postmigrate";
	say_event("CANCEL", false);
	ok(hears("READY", "CANCEL") && unarmed(), "and is undone");
	after_migrate = "pre-switchover";
	after_continue = "failed";
	say_event("START_PRESERVATION", true);
	hears("READY", "START_PRESERVATION");
	say_event("FREEZE", false);
	ok(hears("FAILED", "disk full"), "freeze fails");
	say_event("CANCEL", false);
	ok(hears("READY", "CANCEL") && unarmed(), "and is undone");
	say_event("FREEZE", false);
	ok(hears("FAILED", "not preserved"), "FREEZE out of order");
	ok(down() == 1, "ends badly with a QEMU that died");
}

static void test_luod_dies(void)
{
	int status;

	up(false);
	say_event("START_PRESERVATION", true);
	hears("READY", "START_PRESERVATION");
	say_event("FREEZE", false);
	hears("READY", "FREEZE");
	chan_close(&luod);
	serve(300);
	ok(unarmed(), "luod dies when frozen: the guest runs");
	ok(subscribed(false), "and attach comes back");
	chan_close(&luod);
	close(luod_listen);
	serve(2500);
	usleep(300000);
	ok(waitpid(attach, &status, WNOHANG) == attach &&
	   WEXITSTATUS(status) == 1, "but not for ever");
	chan_close(&qmp);
	luod_listen = listen_at(luod_path);
}

static void test_paused(void)
{
	up(false);
	run_state = "paused";
	say_event("START_PRESERVATION", true);
	hears("READY", "START_PRESERVATION");
	say_event("CANCEL", false);
	ok(hears("READY", "CANCEL") && !strcmp(run_state, "paused"),
	   "a paused guest stays paused");
	down();
}

static void test_incoming(void)
{
	needed = "vm1";
	up(true);
	ok(!serve(300), "waits for the guest");
	run_state = "running";
	ok(!serve(300), "waits for the end of its session");
	needed = NULL;
	ok(hears("READY", "vm1"), "READY when it runs without");
	down();
	needed = "vm1";
	up(true);
	run_state = "prelaunch";
	ok(!serve(300), "a guest that is reset still has a session");
	needed = NULL;
	ok(hears("READY", "vm1"), "READY when a guest that is reset has none");
	down();
	needed = "vm1";
	up(true);
	run_state = "paused";
	ok(!serve(300), "paused may be half way");
	migration = "completed";
	ok(hears("READY", "vm1"), "a guest that was paused before");
	needed = NULL;
	down();
}

int main(int argc, char **argv)
{
	char *slash = argc ? strrchr(argv[0], '/') : NULL;

	if (!slash || !mkdtemp(dir))
		return 1;
	snprintf(luoctl, sizeof(luoctl), "%.*s/../luoctl",
		 (int)(slash - argv[0]), argv[0]);
	snprintf(luod_path, sizeof(luod_path), "%s/luod", dir);
	snprintf(qmp_path, sizeof(qmp_path), "%s/qmp", dir);
	setenv("LUOD_SOCKET", luod_path, 1);
	luod_listen = listen_at(luod_path);
	qmp_listen = listen_at(qmp_path);
	chan_init(&luod, -1);
	chan_init(&qmp, -1);

	test_happy();
	test_refusals();
	test_luod_dies();
	test_paused();
	test_incoming();

	unlink(luod_path);
	unlink(qmp_path);
	rmdir(dir);
	return tap_done();
}
