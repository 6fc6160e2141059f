// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The keeper: luod's parent process, which holds a second descriptor of every
 * session so that a crash of the worker does not close (and by that give up or
 * finish) any of them.
 *
 * It knows nothing about updates. The worker says PUT name + descriptor or DROP
 * name over a SOCK_SEQPACKET pair; a new worker is first given all that is
 * held, then END; END also answers a DROP. When the worker dies of a signal, the keeper reads what was
 * still in flight, waits until the worker's jobs are gone too (it is their
 * subreaper: no write to sysfs of the dead one may overtake the new one) and
 * starts another. When the worker exits, the keeper exits with its status.
 *
 * When the keeper dies, the worker reads end-of-file and acts on it. When both
 * die, the kernel closes the sessions.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fail.h"
#include "keeper.h"

#define ORPHANS_MAX_MS	30000

enum { KEEPER_PUT = 1, KEEPER_DROP, KEEPER_END };

struct message {
	int op;
	char name[KEPT_NAME_MAX];
};

struct keeper {
	struct kept kept[KEPT_MAX];
	int count;
	pid_t worker;
	int sock;
	int signals;
	bool stop;	/* the next worker, too, is to end */
};

static int message_send(int sock, int op, const char *name, int fd)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct message m = { .op = op };
	struct iovec iov = { .iov_base = &m, .iov_len = sizeof(m) };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (sock < 0)
		return -EPIPE;
	strncpy(m.name, name, sizeof(m.name) - 1);
	if (fd >= 0) {
		struct cmsghdr *cm;

		mh.msg_control = control.buf;
		mh.msg_controllen = sizeof(control.buf);
		cm = CMSG_FIRSTHDR(&mh);
		cm->cmsg_level = SOL_SOCKET;
		cm->cmsg_type = SCM_RIGHTS;
		cm->cmsg_len = CMSG_LEN(sizeof(fd));
		memcpy(CMSG_DATA(cm), &fd, sizeof(fd));
	}
	return sendmsg(sock, &mh, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* 1 with a message, 0 at the end, or a negative errno. */
static int message_receive(int sock, struct message *m, int *fd, int flags)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = { .iov_base = m, .iov_len = sizeof(*m) };
	struct msghdr mh = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf),
	};
	struct cmsghdr *cm;
	ssize_t got;

	*fd = -1;
	do {
		got = recvmsg(sock, &mh, MSG_CMSG_CLOEXEC | flags);
	} while (got < 0 && errno == EINTR);
	if (got <= 0)
		return got ? -errno : 0;
	cm = CMSG_FIRSTHDR(&mh);
	if (cm && cm->cmsg_type == SCM_RIGHTS &&
	    cm->cmsg_len == CMSG_LEN(sizeof(*fd)))
		memcpy(fd, CMSG_DATA(cm), sizeof(*fd));
	m->name[sizeof(m->name) - 1] = '\0';
	return 1;
}

int keeper_put(int keeper, const char *name, int fd)
{
	return message_send(keeper, KEEPER_PUT, name, fd);
}

/* Returns when the keeper has closed it: the name may be used again. */
int keeper_drop(int keeper, const char *name)
{
	int fd, err = message_send(keeper, KEEPER_DROP, name, -1);
	struct message m;

	if (!err && message_receive(keeper, &m, &fd, 0) != 1)
		err = -EPIPE;
	return err;
}

/* Takes over what the last worker left: how many, or a negative errno. */
int keeper_receive(int keeper, struct kept *kept, int max)
{
	struct message m;
	int fd, ret, n = 0;

	while ((ret = message_receive(keeper, &m, &fd, 0)) == 1) {
		if (m.op == KEEPER_END)
			return n;
		if (fd < 0 || n == max)
			continue;
		kept[n].fd = fd;
		memcpy(kept[n].name, m.name, sizeof(m.name));
		n++;
	}
	return ret ? ret : -EPIPE;
}

static void kept_drop(struct keeper *k, const char *name)
{
	for (int i = 0; i < k->count; i++) {
		if (strcmp(k->kept[i].name, name) != 0)
			continue;
		close(k->kept[i].fd);
		k->kept[i] = k->kept[--k->count];
		return;
	}
}

static void kept_add(struct keeper *k, const char *name, int fd)
{
	kept_drop(k, name);
	if (k->count == KEPT_MAX) {
		say("keeper is full, %s is not kept", name);
		close(fd);
		return;
	}
	k->kept[k->count].fd = fd;
	snprintf(k->kept[k->count].name, KEPT_NAME_MAX, "%s", name);
	k->count++;
}

static void keeper_drain(struct keeper *k)
{
	struct message m;
	int fd;

	while (message_receive(k->sock, &m, &fd, MSG_DONTWAIT) == 1) {
		if (m.op == KEEPER_PUT && fd >= 0)
			kept_add(k, m.name, fd);
		if (m.op != KEEPER_DROP)
			continue;
		kept_drop(k, m.name);
		message_send(k->sock, KEEPER_END, "", -1);
	}
}

/* An injected fault is one worker's; those behind it are the next ones'. */
static void next_fault(void)
{
	const char *at = getenv("LUOD_KILL_AT");
	const char *more = at ? strchr(at, ',') : NULL;

	if (more)
		setenv("LUOD_KILL_AT", more + 1, 1);
	else
		unsetenv("LUOD_KILL_AT");
}

/* Forks a worker and gives it what is held. Returns only in the keeper. */
static int keeper_spawn(struct keeper *k, int (*worker)(int, void *), void *ctx)
{
	int err = 0, pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return -errno;
	k->worker = fork();
	if (k->worker < 0) {
		err = -errno;
		close(pair[0]);
		close(pair[1]);
		return err;
	}
	if (!k->worker) {
		close(pair[0]);
		close(k->signals);
		for (int i = 0; i < k->count; i++)
			close(k->kept[i].fd);
		exit(worker(pair[1], ctx));
	}
	close(pair[1]);
	k->sock = pair[0];
	for (int i = 0; i < k->count && !err; i++)
		err = message_send(k->sock, KEEPER_PUT, k->kept[i].name,
				   k->kept[i].fd);
	if (!err)
		message_send(k->sock, KEEPER_END, "", -1);
	if (k->stop)
		kill(k->worker, SIGTERM);
	next_fault();
	return 0;
}

/* Until the worker is gone; returns its wait status. */
static int keeper_serve(struct keeper *k)
{
	struct pollfd pfd[2] = {
		{ .fd = k->sock, .events = POLLIN },
		{ .fd = k->signals, .events = POLLIN },
	};
	struct signalfd_siginfo si;
	int status;

	while (waitpid(k->worker, &status, WNOHANG) != k->worker) {
		if (poll(pfd, 2, -1) < 0)
			continue;
		keeper_drain(k);
		if (pfd[0].revents & POLLHUP)
			pfd[0].fd = -1;
		if ((pfd[1].revents & POLLIN) &&
		    read(k->signals, &si, sizeof(si)) == (ssize_t)sizeof(si) &&
		    si.ssi_signo != SIGCHLD) {
			k->stop = true;
			kill(k->worker, SIGTERM);
		}
	}
	keeper_drain(k);
	close(k->sock);
	return status;
}

/* The dead worker's jobs: killed with it, but perhaps still in the kernel. */
static void keeper_reap(void)
{
	for (int ms = 0; ms < ORPHANS_MAX_MS; ms += 10) {
		pid_t pid = waitpid(-1, NULL, WNOHANG);

		if (pid < 0)
			return;
		if (!pid)
			usleep(10 * 1000);
	}
	say("a job of the dead worker does not end; going on without it");
}

static int signals_block(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

int keeper_run(int (*worker)(int keeper, void *ctx), void *ctx)
{
	static struct keeper k;

	k.signals = signals_block();
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	for (;;) {
		int status, err = keeper_spawn(&k, worker, ctx);

		if (err) {
			say("cannot start a worker: %s; trying again",
			    strerror(-err));
			sleep(1);
			continue;
		}
		status = keeper_serve(&k);
		if (WIFEXITED(status))
			return WEXITSTATUS(status);
		say("worker died of signal %d; starting another",
		    WTERMSIG(status));
		keeper_reap();
		usleep(100 * 1000);
	}
}
