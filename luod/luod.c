// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * luod: brings running VMs over the replacement of the host's kernel.
 *
 * The process that is started listens, becomes the keeper (keeper.c) and forks
 * the worker, which is one poll(2) loop: connections, a running job, signals,
 * the keeper. After each round the state machine of the phase gets its tick.
 *
 * What a worker finds at its start decides what it does:
 *
 *   state updated               the update goes on here (incoming.c)
 *   prepared, or sessions kept  a luod died in mid-update: undone (update.c)
 *   else                        idle
 *
 * SIGTERM: exit when idle; an outgoing update is cancelled first, an incoming
 * one brought to its end. The keeper's death: the same, because without keeper
 * a crash would cost sessions; whoever supervises luod starts a new one.
 *
 * Fault injection: LUOD_KILL_AT=STEP[,STEP...] in the environment makes the first
 * workers kill themselves at these steps (docs/luod.md).
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "host.h"
#include "luod.h"

#define CONNS_MAX	512
#define TICK_MS		100
#define OTHER_MS	5000

enum { POLL_LISTEN, POLL_SIGNALS, POLL_KEEPER, POLL_JOB, POLL_CONNS };

static const char * const phase_names[] = {
	[PHASE_IDLE] = "idle",
	[PHASE_PRESERVING] = "preserving",
	[PHASE_PREPARING] = "preparing",
	[PHASE_FREEZING] = "freezing",
	[PHASE_REBOOTING] = "rebooting",
	[PHASE_CANCELLING] = "cancelling",
	[PHASE_CLAIMING] = "claiming",
	[PHASE_FINISHING] = "finishing",
};

int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Fault injection for tests: a crash at a named step. */
void step(const char *name)
{
	const char *at = getenv("LUOD_KILL_AT");
	size_t len = strlen(name);

	if (at && !strncmp(at, name, len) && (!at[len] || at[len] == ',')) {
		say("killed at %s", name);
		raise(SIGKILL);
	}
}

const char *phase_name(enum phase phase)
{
	return phase_names[phase];
}

void phase_enter(struct luod *d, enum phase phase)
{
	if (d->phase != phase)
		say("phase %s", phase_names[phase]);
	d->phase = phase;
	d->deadline = now_ms() + d->timeout * 1000LL;
}

bool timed_out(const struct luod *d)
{
	return now_ms() >= d->deadline;
}

/* Starts @call; its result is in job_err when the job is no longer busy. */
void job_run_call(struct luod *d, int (*call)(void))
{
	d->job_err = job_start(&d->job, call);
}

/* Tells a service manager that asked for it (sd_notify(3)). */
static void notify_ready(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	size_t len = path ? strlen(path) : 0;
	int fd;

	if (!len || len >= sizeof(addr.sun_path))
		return;
	memcpy(addr.sun_path, path, len);
	if (*path == '@')
		addr.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	sendto(fd, "READY=1", 7, MSG_NOSIGNAL, (struct sockaddr *)&addr,
	       (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
	close(fd);
}

static void stop(struct luod *d, int err, const char *reason)
{
	struct fail f;

	say("%s", reason);
	d->stop = true;
	if (d->phase < PHASE_PRESERVING || d->phase > PHASE_REBOOTING)
		return;
	fail(&f, err, "%s", reason);
	update_cancel(d, &f);
}

static void read_signals(struct luod *d)
{
	struct signalfd_siginfo si;

	while (read(d->signals, &si, sizeof(si)) == (ssize_t)sizeof(si))
		if (si.ssi_signo != SIGCHLD && !d->stop)
			stop(d, ESHUTDOWN, "luod is told to stop");
}

static void read_conn(struct luod *d, struct conn *c)
{
	int fd, ret, got = chan_fill(&c->chan);
	struct json_object *msg;
	struct fail f;

	/* Clients have no descriptors to give. */
	while ((fd = chan_take_fd(&c->chan)) >= 0)
		close(fd);
	while (!c->gone && (ret = chan_next(&c->chan, &msg))) {
		if (ret > 0) {
			verb_handle(d, c, msg);
			json_object_put(msg);
			continue;
		}
		fail(&f, -ret, ret == -EMSGSIZE ? "a line is too long" :
		     "a line is not a JSON object");
		conn_refuse(c, &f);
		if (ret == -EMSGSIZE)
			c->gone = true;
	}
	if (!got || (got < 0 && got != -EAGAIN && got != -EINTR))
		c->gone = true;
}

static void accept_conn(struct luod *d)
{
	int fd = accept4(d->listen, NULL, NULL, SOCK_CLOEXEC);
	struct ucred peer = { .uid = (uid_t)-1 };
	socklen_t len = sizeof(peer);
	int n = 0;

	if (fd < 0)
		return;
	for (const struct conn *c = d->conns; c; c = c->next)
		n++;
	getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len);
	if (n >= CONNS_MAX || !conn_new(d, fd, peer.uid == 0))
		close(fd);
}

static int poll_fill(const struct luod *d, struct pollfd *pfd)
{
	const int fixed[] = {
		[POLL_LISTEN] = d->listen,
		[POLL_SIGNALS] = d->signals,
		[POLL_KEEPER] = d->keeper,
		[POLL_JOB] = d->job.fd,
	};
	int n = 0;

	while (n < POLL_CONNS) {
		pfd[n] = (struct pollfd){ .fd = fixed[n], .events = POLLIN };
		n++;
	}
	for (const struct conn *c = d->conns; c; c = c->next)
		pfd[n++] = (struct pollfd){
			.fd = c->chan.fd,
			.events = POLLIN,
		};
	return n;
}

static void round_once(struct luod *d)
{
	struct pollfd pfd[POLL_CONNS + CONNS_MAX];
	int n = poll_fill(d, pfd), i = POLL_CONNS;

	if (poll(pfd, (nfds_t)n, d->phase == PHASE_IDLE ? -1 : TICK_MS) < 0)
		return;
	for (struct conn *c = d->conns; c; c = c->next, i++)
		if (pfd[i].revents)
			read_conn(d, c);
	if (pfd[POLL_LISTEN].revents)
		accept_conn(d);
	if (pfd[POLL_JOB].revents)
		d->job_err = job_end(&d->job);
	if (pfd[POLL_SIGNALS].revents)
		read_signals(d);
	if (pfd[POLL_KEEPER].revents) {
		close(d->keeper);
		d->keeper = -1;
		stop(d, EOWNERDEAD, "luod's keeper died; start luod again");
	}
}

static void tick(struct luod *d)
{
	enum phase before;

	do {
		before = d->phase;
		conns_bury(d);
		if (d->phase >= PHASE_CLAIMING)
			incoming_tick(d);
		else if (d->phase != PHASE_IDLE)
			update_tick(d);
	} while (d->phase != before);
}

static int signals_open(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void begin(struct luod *d)
{
	static struct kept kept[KEPT_MAX];
	enum host_state state = host_state();
	struct fail f;
	int n = keeper_receive(d->keeper, kept, KEPT_MAX);

	d->kept = kept;
	d->nkept = n < 0 ? 0 : n;
	if (state == HOST_UPDATED || state == HOST_NONE) {
		incoming_start(d);
	} else if (state == HOST_PREPARED || (d->nkept && !incoming_arrived(d))) {
		fail(&f, EINTR, "luod died in the middle of the update");
		update_cancel(d, &f);
	} else {
		incoming_none(d);
	}
}

static int worker(int keeper, void *ctx)
{
	struct luod *d = ctx;

	d->keeper = keeper;
	d->signals = signals_open();
	d->own = -1;
	d->job.fd = -1;
	d->lost = json_object_new_array();
	begin(d);
	notify_ready();
	tick(d);
	while (!d->stop || d->phase != PHASE_IDLE) {
		round_once(d);
		tick(d);
	}
	return 0;
}

/* A path that answers belongs to another luod; one without keeper ends soon. */
static bool other_luod(const char *path)
{
	int64_t end = now_ms() + OTHER_MS;
	struct chan probe;

	while (!chan_connect(&probe, path)) {
		chan_close(&probe);
		if (now_ms() >= end)
			return true;
		usleep(100 * 1000);
	}
	return false;
}

static int listen_on(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	mode_t mask;
	int err, fd;

	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	memcpy(addr.sun_path, path, strlen(path));
	if (other_luod(path))
		return -EADDRINUSE;
	if (!strcmp(path, LUOD_SOCKET_PATH))
		mkdir("/run/luod", 0755);
	unlink(path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mask = umask(0177);
	err = fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) ||
	      listen(fd, 64) ? -errno : 0;
	umask(mask);
	if (err && fd >= 0)
		close(fd);
	return err ? err : fd;
}

static void usage(FILE *out)
{
	fputs("usage: luod [--claim-timeout SECONDS] [--socket PATH]\n"
	      "\n"
	      "  --claim-timeout S  after an update, how long a session waits to be\n"
	      "                     claimed, and then for its guest to run (60)\n"
	      "  --socket PATH      default $LUOD_SOCKET or " LUOD_SOCKET_PATH "\n",
	      out);
}

static int options(struct luod *d, int argc, char **argv, const char **path)
{
	static const struct option longopts[] = {
		{ "claim-timeout", required_argument, NULL, 'c' },
		{ "socket", required_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	char *end;
	int opt;

	while ((opt = getopt_long(argc, argv, "h", longopts, NULL)) != -1) {
		if (opt == 'h') {
			usage(stdout);
			exit(0);
		}
		if (opt == 's') {
			*path = optarg;
		} else if (opt == 'c') {
			d->claim_timeout = (int)strtol(optarg, &end, 10);
			if (*end || d->claim_timeout < 1 ||
			    d->claim_timeout > 86400)
				return -1;
		} else {
			return -1;
		}
	}
	return optind == argc ? 0 : -1;
}

int main(int argc, char **argv)
{
	static struct luod d = { .claim_timeout = 60 };
	const char *path = luod_socket();
	int status;

	if (options(&d, argc, argv, &path)) {
		usage(stderr);
		return 2;
	}
	d.listen = listen_on(path);
	if (d.listen < 0) {
		say("%s: %s%s", path, strerror(-d.listen),
		    d.listen == -EADDRINUSE ? "; another luod runs" : "");
		return 1;
	}
	status = keeper_run(worker, &d);
	unlink(path);
	return status;
}
