// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Promise: luod's two state machines, its keeper and its unhappy paths do what
 * docs/luod.md says, with luod itself running as two real processes on a
 * make-believe kernel (fake_kernel.c): completed, cancelled or lost, never half.
 *
 * The whole way with real kernels is tested by tests/scenarios.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "protocol.h"
#include "tap.h"

#define SOON	8000

static char dir[] = "/tmp/test_luod.XXXXXX";
static char luod_path[512];
static pid_t luod;
static struct chan ctl, vm1, vm2;

static const char *in_dir(const char *name)
{
	static char path[4][256];
	static unsigned int n;
	char *p = path[n++ % 4];

	snprintf(p, sizeof(path[0]), "%s/%s", dir, name);
	return p;
}

static void set(const char *name, const char *text)
{
	FILE *out = fopen(in_dir(name), "w");

	fputs(text, out);
	fclose(out);
}

static const char *get(const char *name)
{
	static char text[4096];
	FILE *in = fopen(in_dir(name), "r");
	size_t n = in ? fread(text, 1, sizeof(text) - 1, in) : 0;

	text[n] = '\0';
	if (in)
		fclose(in);
	return text;
}

static int64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void luod_start(const char *kill_at)
{
	luod = fork();
	if (luod)
		return;
	if (kill_at)
		setenv("LUOD_KILL_AT", kill_at, 1);
	else
		unsetenv("LUOD_KILL_AT");
	if (!freopen(in_dir("log"), "a", stderr))
		_exit(1);
	execl(luod_path, "luod", "--claim-timeout", "2", NULL);
	_exit(127);
}

static void connect_to(struct chan *c)
{
	int64_t end = now() + SOON;

	chan_close(c);
	while (chan_connect(c, in_dir("sock")) && now() < end)
		usleep(10000);
}

static struct json_object *receive(struct chan *c)
{
	struct json_object *msg = NULL;

	chan_wait(c, &msg, SOON);
	return msg;
}

/* "ok" or the errno's name of the answer to a line. */
static const char *ask(struct chan *c, const char *line)
{
	static char name[32];
	struct json_object *msg;
	const char *err;

	chan_send(c, json_tokener_parse(line), -1);
	msg = receive(c);
	err = msg_str(msg, "errno");
	snprintf(name, sizeof(name), "%s", !msg ? "nothing" : err ? err :
		 msg_true(msg, "incoming") ? "incoming" : "ok");
	json_object_put(msg);
	return name;
}

#define is(a, b) (!strcmp(a, b) || (printf("# %s is %s\n", #a, a), false))

static bool event(struct chan *c, const char *wanted)
{
	struct json_object *msg = receive(c);
	const char *name = msg_str(msg, "event");
	bool same = name && !strcmp(name, wanted);

	if (!same)
		printf("# wanted %s, got %s\n", wanted,
		       msg ? json_object_to_json_string(msg) : "nothing");
	json_object_put(msg);
	return same;
}

/* A member of STATUS, asked for on a connection of its own. */
static const char *member(const char *key)
{
	static char text[512];
	struct json_object *msg, *value = NULL;
	static struct chan c = { .fd = -1 };

	connect_to(&c);
	chan_send(&c, msg_new("verb", "STATUS"), -1);
	msg = receive(&c);
	json_object_object_get_ex(msg, key, &value);
	snprintf(text, sizeof(text), "%s", !value ? "null" :
		 json_object_get_string(value));
	json_object_put(msg);
	chan_close(&c);
	return text;
}

static bool becomes(const char *key, const char *wanted)
{
	int64_t end = now() + SOON;

	while (strcmp(member(key), wanted) != 0 && now() < end)
		usleep(20000);
	return is(member(key), wanted);
}

/* A session file whose lock somebody holds. */
static bool lives(const char *name)
{
	int fd = open(in_dir(name), O_RDWR | O_CLOEXEC);
	bool held = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB);

	if (fd >= 0)
		close(fd);
	return held;
}

static bool undone(void)
{
	return becomes("phase", "idle") && is(member("state"), "normal") &&
	       is(member("sessions"), "[ ]") && !lives("out.vm1") &&
	       !lives("out.vm2") && !lives("out.luod") && !*get("update.json");
}

#define READY(c, id) ask(&(c), "{\"verb\":\"READY\",\"id\":\"" id "\"}")
#define SUBSCRIBE(c, id) ask(&(c), "{\"verb\":\"SUBSCRIBE\",\"id\":\"" id "\"}")
#define UPDATE(t) chan_send(&ctl, json_tokener_parse( \
		"{\"verb\":\"UPDATE\",\"timeout\":" #t "}"), -1)

static void clean(void)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -rf %s/*", dir);
	if (system(command))
		exit(1);
	set("state", "normal");
}

static void clients_up(void)
{
	connect_to(&ctl);
	connect_to(&vm1);
	connect_to(&vm2);
	SUBSCRIBE(vm1, "vm1");
	SUBSCRIBE(vm2, "vm2");
	ask(&ctl, "{\"verb\":\"LOAD\",\"kernel\":\"/dev/null\"}");
}

static void up(const char *kill_at)
{
	clean();
	luod_start(kill_at);
	clients_up();
}

/* How luod ended. One that does not end is killed after a while. */
static int gone(void)
{
	int status = -1;

	for (int64_t end = now() + SOON; now() < end; usleep(10000))
		if (waitpid(luod, &status, WNOHANG) == luod)
			return status;
	kill(luod, SIGKILL);
	waitpid(luod, &status, 0);
	return status;
}

static int down(void)
{
	kill(luod, SIGTERM);
	chan_close(&ctl);
	chan_close(&vm1);
	chan_close(&vm2);
	return gone();
}

/* One event, its descriptor dropped, and READY. */
static bool obey(struct chan *c, const char *id, const char *name)
{
	char line[128];
	int fd;

	if (!event(c, name))
		return false;
	fd = chan_take_fd(c);
	if (fd >= 0)
		close(fd);
	snprintf(line, sizeof(line),
		 "{\"verb\":\"READY\",\"id\":\"%s\",\"event\":\"%s\"}", id, name);
	return is(ask(c, line), "ok");
}

static bool both(const char *name)
{
	return obey(&vm1, "vm1", name) && obey(&vm2, "vm2", name);
}

static void hang_up(struct chan *c)
{
	chan_close(c);
	usleep(100000);
}

/* The answer to UPDATE: "ok", or errno's name; CANCELLED is answered on the way. */
static bool ends(const char *wanted)
{
	struct json_object *msg = receive(&ctl);
	const char *name = msg_str(msg, "errno");
	bool same = !strcmp(msg ? name ? name : "ok" : "nothing", wanted);

	if (!same)
		printf("# wanted %s, got %s\n", wanted,
		       msg ? json_object_to_json_string(msg) : "nothing");
	json_object_put(msg);
	return same;
}

static bool claim(struct chan *c, const char *id)
{
	char line[128];
	bool good;
	int fd;

	snprintf(line, sizeof(line), "{\"verb\":\"CLAIM\",\"id\":\"%s\"}", id);
	good = is(ask(c, line), "ok");
	fd = chan_take_fd(c);
	if (fd >= 0)
		close(fd);
	return good && fd >= 0;
}

/* luod is dead, both processes of it, and the host is updated. */
static bool jumped(void)
{
	struct chan probe;
	bool killed = WIFSIGNALED(gone());

	while (!chan_connect(&probe, in_dir("sock"))) {
		chan_close(&probe);
		usleep(1000);
	}
	return killed && is(get("state"), "updated");
}

static bool jump(void)
{
	UPDATE(5);
	return both("START_PRESERVATION") && both("FREEZE") && ends("ok") &&
	       jumped();
}

static void test_complete(void)
{
	up(NULL);
	UPDATE(5);
	ok(event(&vm1, "START_PRESERVATION") && vm1.nfds == 1 &&
	   obey(&vm2, "vm2", "START_PRESERVATION"), "sessions are handed out");
	close(chan_take_fd(&vm1));
	ok(is(member("phase"), "preserving") && is(get("state"), "normal"),
	   "the barrier waits for all");
	READY(vm1, "vm1");
	ok(both("FREEZE") && ends("ok") && jumped(), "it jumps");
	ok(!access(in_dir("in.vm1"), F_OK) &&
	   !access(in_dir("in.vm2"), F_OK) &&
	   strstr(get("in.luod"), "\"vm1\""),
	   "with both sessions and luod's list");

	luod_start(NULL);
	connect_to(&vm1);
	connect_to(&vm2);
	ok(is(SUBSCRIBE(vm1, "vm1"), "incoming") &&
	   is(member("phase"), "claiming"), "they are incoming");
	ok(is(READY(vm1, "vm1"), "EINVAL"), "READY before CLAIM is refused");
	ok(claim(&vm1, "vm1") && is(READY(vm1, "vm1"), "ok") &&
	   claim(&vm2, "vm2"), "claimed");
	ok(is(get("state"), "updated"), "not finished before all run");
	ok(is(SUBSCRIBE(vm2, "vm2"), "incoming") && is(READY(vm2, "vm2"), "ok") &&
	   becomes("phase", "idle") && is(get("state"), "normal") &&
	   is(member("lost"), "[ ]") && is(member("last_error"), "null"),
	   "finished");
	ok(!strcmp(get("timeline"), "luod:begin\nluod:preserve\nluod:ready\n"
		   "luod:freeze\nluod:frozen\nluod:reboot\nluod:start\n"
		   "luod:claimed\nluod:finish\n"), "all stamps, in order");
	connect_to(&ctl);
	ok(is(ask(&ctl, "{\"verb\":\"UPDATE\"}"), "ENODATA"),
	   "the next update needs a LOAD");
	ask(&ctl, "{\"verb\":\"LOAD\",\"kernel\":\"/dev/null\"}");
	ok(jump(), "and jumps again");
}

static void test_lost(void)
{
	up(NULL);
	jump();
	unlink(in_dir("in.vm2"));
	luod_start(NULL);
	connect_to(&vm1);
	SUBSCRIBE(vm1, "vm1");
	ok(strstr(member("lost"), "vm2"), "a session that is not there is lost");
	ok(becomes("phase", "idle") && strstr(member("lost"), "vm1") &&
	   is(get("state"), "normal"), "one that nobody claims, too, in time");
	ok(is(ask(&vm1, "{\"verb\":\"CLAIM\",\"id\":\"vm1\"}"), "ENOENT"),
	   "then there is nothing to claim");
	down();

	up(NULL);
	jump();
	luod_start(NULL);
	connect_to(&vm1);
	connect_to(&vm2);
	claim(&vm1, "vm1");
	claim(&vm2, "vm2");
	SUBSCRIBE(vm2, "vm2");
	READY(vm2, "vm2");
	ok(becomes("phase", "idle") && strstr(member("lost"), "vm1") &&
	   !strstr(member("lost"), "vm2"), "claimed but never running is lost");
	down();

	clean();
	set("update.json", "{\"boot\":\"x\",\"sessions\":[\"vm1\",\"../x\",7]}");
	luod_start(NULL);
	ok(strstr(member("lost"), "vm1") && strstr(member("lost"), "went down") &&
	   !*get("update.json"), "what a power cut took is lost");
	down();
}

static void test_unlisted(void)
{
	up(NULL);
	jump();
	set("fetch.error", "5");
	luod_start(NULL);
	connect_to(&vm1);
	connect_to(&vm2);
	ok(claim(&vm1, "vm1") && claim(&vm2, "vm2") &&
	   is(ask(&vm1, "{\"verb\":\"CLAIM\",\"id\":\"vm3\"}"), "ENOENT"),
	   "without the list, sessions are found by name");
	SUBSCRIBE(vm1, "vm1");
	SUBSCRIBE(vm2, "vm2");
	READY(vm1, "vm1");
	READY(vm2, "vm2");
	ok(becomes("phase", "idle") && is(member("lost"), "[ ]"),
	   "and the update finishes");
	down();
}

static void test_finish_busy(void)
{
	up(NULL);
	jump();
	set("finish.error", "16");
	set("session-finish.error", "16");
	luod_start(NULL);
	connect_to(&vm1);
	connect_to(&vm2);
	SUBSCRIBE(vm1, "vm1");
	SUBSCRIBE(vm2, "vm2");
	claim(&vm1, "vm1");
	claim(&vm2, "vm2");
	READY(vm1, "vm1");
	READY(vm2, "vm2");
	usleep(500000);
	ok(is(member("phase"), "claiming"), "a busy session is tried again");
	unlink(in_dir("session-finish.error"));
	ok(becomes("phase", "finishing"), "until it is not");
	ok(becomes("phase", "idle") && strstr(member("last_error"), "EBUSY") &&
	   is(get("state"), "updated"), "a busy host is given up in time");
	unlink(in_dir("finish.error"));
	down();
	luod_start(NULL);
	ok(becomes("phase", "idle") && becomes("state", "normal"),
	   "and finished by the next luod");
	down();
}

static void test_abort(void)
{
	static struct chan other = { .fd = -1 };

	up(NULL);
	connect_to(&other);
	ok(is(ask(&other, "{\"verb\":\"ABORT\"}"), "ESRCH"), "nothing to abort");
	UPDATE(5);
	obey(&vm1, "vm1", "START_PRESERVATION");
	event(&vm2, "START_PRESERVATION");
	close(chan_take_fd(&vm2));
	ok(is(ask(&other, "{\"verb\":\"UPDATE\"}"), "EBUSY"), "one update at a time");
	chan_send(&other, msg_new("verb", "ABORT"), -1);
	ok(event(&vm1, "CANCEL") && event(&vm2, "CANCEL"), "ABORT cancels all");
	ok(is(ask(&vm2, "{\"verb\":\"READY\",\"id\":\"vm2\","
		  "\"event\":\"START_PRESERVATION\"}"), "ESTALE"),
	   "a late answer is not taken for another");
	ok(is(member("phase"), "cancelling"), "it waits for their answers");
	READY(vm1, "vm1");
	READY(vm2, "vm2");
	ok(ends("ECANCELED") && undone(), "UPDATE says so when all is undone");
	UPDATE(5);
	both("START_PRESERVATION");
	event(&vm1, "FREEZE");
	event(&vm2, "FREEZE");
	ok(is(get("state"), "prepared") && strstr(get("update.json"), "vm1"),
	   "prepared, and noted on disk");
	chan_send(&other, msg_new("verb", "ABORT"), -1);
	ok(both("CANCEL") && ends("ECANCELED") && undone(), "aborted while freezing");
	set("state", "prepared");
	chan_close(&other);
	connect_to(&other);
	ok(is(ask(&other, "{\"verb\":\"ABORT\"}"), "ok") && undone(),
	   "ABORT undoes somebody else's prepare");
	chan_close(&other);
	down();
}

static void test_client_failures(void)
{
	up(NULL);
	UPDATE(1);
	obey(&vm1, "vm1", "START_PRESERVATION");
	event(&vm2, "START_PRESERVATION");
	close(chan_take_fd(&vm2));
	ok(both("CANCEL") && ends("ETIMEDOUT") && undone() &&
	   strstr(member("last_error"), "vm2") &&
	   !strstr(member("last_error"), "vm1"), "a late client is named");
	UPDATE(5);
	both("START_PRESERVATION");
	event(&vm1, "FREEZE");
	event(&vm2, "FREEZE");
	ask(&vm2, "{\"verb\":\"FAILED\",\"id\":\"vm2\",\"reason\":\"no disk\"}");
	ok(both("CANCEL") && ends("EREMOTEIO") && undone() &&
	   strstr(member("last_error"), "vm2: no disk"), "FAILED cancels all");
	UPDATE(5);
	both("START_PRESERVATION");
	event(&vm1, "FREEZE");
	event(&vm2, "FREEZE");
	hang_up(&vm2);
	ok(obey(&vm1, "vm1", "CANCEL") && ends("ECONNRESET") && undone(),
	   "a client that goes while its guest stops cancels all");
	down();

	up(NULL);
	UPDATE(5);
	both("START_PRESERVATION");
	event(&vm1, "FREEZE");
	obey(&vm2, "vm2", "FREEZE");
	hang_up(&vm2);
	READY(vm1, "vm1");
	ok(ends("ok") && jumped() &&
	   !access(in_dir("in.vm2"), F_OK), "one that goes when saved is kept");

	up(NULL);
	UPDATE(5);
	event(&vm2, "START_PRESERVATION");
	hang_up(&vm2);
	ok(event(&vm1, "START_PRESERVATION") && obey(&vm1, "vm1", "CANCEL") &&
	   ends("ECONNRESET") && undone(),
	   "one that goes while its guest runs cancels all");
	down();

	up(NULL);
	UPDATE(5);
	event(&vm2, "START_PRESERVATION");
	ok(is(ask(&ctl, "{\"verb\":\"GONE\",\"id\":\"vm2\"}"), "ENOENT"),
	   "only its client can say that a VM died");
	ask(&vm2, "{\"verb\":\"GONE\",\"id\":\"vm2\",\"reason\":\"killed\"}");
	hang_up(&vm2);
	ok(obey(&vm1, "vm1", "START_PRESERVATION") &&
	   obey(&vm1, "vm1", "FREEZE") && ends("ok") && jumped() &&
	   access(in_dir("in.vm2"), F_OK), "one whose VM died is left behind");
}

static void test_kernel_failures(void)
{
	int fd;

	up(NULL);
	set("prepare.error", "1");
	UPDATE(5);
	both("START_PRESERVATION");
	ok(both("CANCEL") && ends("EPERM") && undone(), "prepare refused");
	unlink(in_dir("prepare.error"));

	set("prepare.sleep", "1500");
	UPDATE(1);
	both("START_PRESERVATION");
	ok(both("CANCEL") && ends("ETIMEDOUT") && undone(), "prepare too slow");
	usleep(1000000);
	ok(is(get("state"), "normal"), "and it does not come later");
	unlink(in_dir("prepare.sleep"));

	set("jump.error", "16");
	UPDATE(5);
	both("START_PRESERVATION");
	both("FREEZE");
	ok(ends("ok") && both("CANCEL") && ends("EBUSY") && undone(),
	   "reboot refused: CANCELLED after the ok");

	fd = open(in_dir("device"), O_RDWR | O_CLOEXEC);
	flock(fd, LOCK_EX);
	UPDATE(5);
	ok(ends("EBUSY") && undone(), "/dev/liveupdate in use");
	close(fd);
	fd = open(in_dir("out.vm2"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	flock(fd, LOCK_EX);
	UPDATE(5);
	ok(ends("EEXIST") && !lives("out.vm1"), "a session that is still there");
	close(fd);
	unlink(in_dir("jump.error"));
	ok(jump(), "after all that it works");
}

/* luod's log says so, now or soon. */
static bool logged(const char *text)
{
	int64_t end = now() + SOON;

	while (!strstr(get("log"), text) && now() < end)
		usleep(10000);
	return strstr(get("log"), text);
}

static void test_worker_killed(void)
{
	static const char * const steps[] = {
		"begin", "preserve-sent", "ready", "prepared", "freeze-sent",
		"frozen", "before-reboot",
	};
	char text[64];

	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		up(steps[i]);
		UPDATE(5);
		if (i > 0)
			both("START_PRESERVATION");
		if (i > 3)
			both("FREEZE");
		snprintf(text, sizeof(text), "worker killed at %s: undone", steps[i]);
		ok(logged("killed at"), "the worker is killed");
		/* Their ends of what was on its way to them. */
		hang_up(&vm1);
		hang_up(&vm2);
		ok((i > 5 ? ends("ok") : ends("nothing")) && undone(), text);
		clients_up();
		ok(jump(), "and the next update jumps");
	}
	up("loaded");
	ok(becomes("phase", "idle") && is(member("loaded"), "null"),
	   "worker killed at loaded: LOAD is needed again");
	clients_up();
	ok(jump(), "and the next update jumps");
}

static void test_incoming_killed(void)
{
	static const char * const steps[] = {
		"incoming-start", "retrieved", "claimed", "before-finish",
	};
	char text[64];

	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		bool claimed;

		up(NULL);
		jump();
		luod_start(steps[i]);
		connect_to(&vm1);
		claimed = claim(&vm1, "vm1");
		connect_to(&vm2);
		claimed &= claim(&vm2, "vm2");
		connect_to(&vm1);
		SUBSCRIBE(vm1, "vm1");
		SUBSCRIBE(vm2, "vm2");
		READY(vm1, "vm1");
		READY(vm2, "vm2");
		snprintf(text, sizeof(text), "incoming worker killed at %s: goes on",
			 steps[i]);
		ok(claimed && becomes("phase", "idle") &&
		   strstr(get("log"), "killed at") &&
		   is(member("lost"), "[ ]") && is(get("state"), "normal"), text);
		down();
	}
}

static void test_keeper_killed(void)
{
	up(NULL);
	UPDATE(5);
	both("START_PRESERVATION");
	event(&vm1, "FREEZE");
	event(&vm2, "FREEZE");
	kill(luod, SIGKILL);
	gone();
	ok(both("CANCEL") && ends("EOWNERDEAD"), "keeper killed: cancelled");
	luod_start(NULL);
	ok(undone(), "and a new luod finds nothing");
	down();

	up(NULL);
	jump();
	luod_start(NULL);
	connect_to(&vm1);
	connect_to(&vm2);
	claim(&vm1, "vm1");
	kill(luod, SIGKILL);
	gone();
	SUBSCRIBE(vm1, "vm1");
	SUBSCRIBE(vm2, "vm2");
	ok(claim(&vm2, "vm2") && is(READY(vm1, "vm1"), "ok") &&
	   is(READY(vm2, "vm2"), "ok"), "keeper killed while claiming: goes on");
	chan_wait(&vm1, &(struct json_object *){ 0 }, SOON);
	ok(is(get("state"), "normal"), "to its end, and ends");
}

static pid_t worker(void)
{
	char text[64];
	FILE *in;

	snprintf(text, sizeof(text), "/proc/%d/task/%d/children", luod, luod);
	in = fopen(text, "r");
	if (!in || !fgets(text, sizeof(text), in))
		exit(1);
	fclose(in);
	return (pid_t)strtol(text, NULL, 10);
}

static void test_both_killed(void)
{
	pid_t pid;

	up(NULL);
	UPDATE(5);
	both("START_PRESERVATION");
	event(&vm1, "FREEZE");
	pid = worker();
	kill(luod, SIGSTOP);
	kill(pid, SIGKILL);
	kill(luod, SIGKILL);
	gone();
	ok(is(get("state"), "prepared"), "both killed: prepared is left over");
	luod_start(NULL);
	ok(undone(), "and undone by the next luod");
	down();
}

static void test_stop(void)
{
	pid_t first;

	up(NULL);
	first = luod;
	luod_start(NULL);
	ok(WEXITSTATUS(gone()) == 1, "a second luod is refused");
	luod = first;
	ok(down() == 0, "SIGTERM when idle: exit 0");
	up(NULL);
	first = worker();
	kill(luod, SIGSTOP);
	kill(first, SIGKILL);
	kill(luod, SIGTERM);
	usleep(100000);
	kill(luod, SIGCONT);
	ok(gone() == 0, "SIGTERM in a crash of the worker: exit 0");
	up(NULL);
	UPDATE(5);
	both("START_PRESERVATION");
	event(&vm1, "FREEZE");
	event(&vm2, "FREEZE");
	kill(luod, SIGTERM);
	ok(both("CANCEL") && ends("ESHUTDOWN") && gone() == 0 &&
	   is(get("state"), "normal"), "SIGTERM in an update: undone, exit 0");
}

/* What somebody who is not root gets for STATUS. */
static bool refused_to_others(void)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		connect_to(&ctl);
		_exit(setuid(65534) || !is(ask(&ctl, "{\"verb\":\"STATUS\"}"),
					   "ok"));
	}
	waitpid(pid, &status, 0);
	if (status)
		return false;
	chmod(dir, 0755);
	chmod(in_dir("sock"), 0666);
	pid = fork();
	if (!pid) {
		if (setuid(65534))
			_exit(1);
		connect_to(&ctl);
		_exit(!is(ask(&ctl, "{\"verb\":\"STATUS\"}"), "EPERM"));
	}
	waitpid(pid, &status, 0);
	return !status;
}

static void test_refusals(void)
{
	up(NULL);
	ok(is(SUBSCRIBE(ctl, "vm1"), "EEXIST"), "one client a VM");
	ok(is(SUBSCRIBE(ctl, "luod"), "EINVAL") && is(SUBSCRIBE(ctl, "a/b"), "EINVAL") &&
	   is(ask(&ctl, "{\"verb\":\"SUBSCRIBE\"}"), "EINVAL"), "bad ids");
	ok(is(READY(ctl, "vm1"), "ENOENT"), "only its client speaks for a VM");
	ok(is(READY(vm1, "vm1"), "EINVAL"), "an answer nobody asked for");
	ok(is(ask(&ctl, "{\"verb\":\"CLAIM\",\"id\":\"vm1\"}"), "ENOENT"),
	   "nothing to claim");
	ok(is(ask(&ctl, "{\"verb\":\"BOOT\"}"), "ENOSYS") &&
	   is(ask(&ctl, "{\"verb\":7}"), "ENOSYS") && is(ask(&ctl, "{}"), "ENOSYS") &&
	   is(ask(&ctl, "[]"), "EBADMSG"), "what is no request");
	unlink(in_dir("loaded"));
	ok(is(ask(&ctl, "{\"verb\":\"CHECK\"}"), "EINVAL") &&
	   is(ask(&ctl, "{\"verb\":\"CHECK\",\"kernel\":\"/none\"}"), "ENOENT") &&
	   is(ask(&ctl, "{\"verb\":\"CHECK\",\"kernel\":\"/dev/null\","
		  "\"cmdline\":\"kho=on\"}"), "ENOPROTOOPT") &&
	   is(ask(&ctl, "{\"verb\":\"CHECK\",\"kernel\":\"/dev/null\"}"), "ok") &&
	   access(in_dir("loaded"), F_OK), "an image is checked, and not loaded");
	ok(is(ask(&ctl, "{\"verb\":\"LOAD\"}"), "EINVAL") &&
	   is(ask(&ctl, "{\"verb\":\"LOAD\",\"kernel\":\"/none\"}"), "ENOENT"),
	   "no kernel");
	ok(is(ask(&ctl, "{\"verb\":\"LOAD\",\"kernel\":\"/dev/null\","
		  "\"cmdline\":\"quiet kho=on\"}"), "ENOPROTOOPT") &&
	   is(ask(&ctl, "{\"verb\":\"LOAD\",\"kernel\":\"/dev/null\","
		  "\"cmdline\":\"liveupdate=on liveupdate=0\"}"), "ENOPROTOOPT") &&
	   is(ask(&ctl, "{\"verb\":\"LOAD\",\"kernel\":\"/dev/null\","
		  "\"cmdline\":\"liveupdate=on kho=off\"}"), "ENOPROTOOPT") &&
	   is(ask(&ctl, "{\"verb\":\"LOAD\",\"kernel\":\"/dev/null\","
		  "\"cmdline\":\"quiet liveupdate=1\"}"), "ok"),
	   "a command line that would lose the VMs is refused");
	ok(is(ask(&ctl, "{\"verb\":\"UPDATE\",\"timeout\":0}"), "EINVAL") &&
	   is(ask(&ctl, "{\"verb\":\"UPDATE\",\"timeout\":\"1\"}"), "EINVAL"),
	   "bad timeouts");
	unlink(in_dir("loaded"));
	ok(is(ask(&ctl, "{\"verb\":\"UPDATE\"}"), "ENODATA"), "unloaded by others");
	set("state", "prepared");
	ok(is(ask(&ctl, "{\"verb\":\"UPDATE\"}"), "EBUSY"), "not normal");
	set("state", "normal");
	ok(getuid() || refused_to_others(), "control is for root");
	down();
}

int main(int argc, char **argv)
{
	char *slash = argc ? strrchr(argv[0], '/') : NULL;
	char sock[256];

	if (!slash || !mkdtemp(dir))
		return 1;
	snprintf(luod_path, sizeof(luod_path), "%.*s/luod-fake",
		 (int)(slash - argv[0]), argv[0]);
	snprintf(sock, sizeof(sock), "%s/sock", dir);
	setenv("FAKE", dir, 1);
	setenv("STATE_DIRECTORY", dir, 1);
	setenv("LUOD_SOCKET", sock, 1);
	chan_init(&ctl, -1);
	chan_init(&vm1, -1);
	chan_init(&vm2, -1);

	test_refusals();
	test_complete();
	test_lost();
	test_unlisted();
	test_finish_busy();
	test_abort();
	test_client_failures();
	test_kernel_failures();
	test_worker_killed();
	test_incoming_killed();
	test_keeper_killed();
	test_both_killed();
	test_stop();

	clean();
	unlink(in_dir("state"));
	rmdir(dir);
	return tap_done();
}
