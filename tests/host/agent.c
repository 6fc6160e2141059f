// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The harness's hand inside the emulated host: runs shell scripts that come in
 * over a virtio-serial port and answers with their output and exit status.
 *
 *   request   "ID TIMEOUT_MS LENGTH\n" and LENGTH bytes of script
 *   answer    "ID STATUS LENGTH\n" and LENGTH bytes of output
 *   greeting  "0 0 LENGTH\n" and "RELEASE BOOT_ID", once after start
 *
 * STATUS is the exit status, 128 + N for a death by signal N. A script that
 * outlives its time is killed with its process group (status 137). Scripts run
 * beside each other; a script's own background children do not delay its answer.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_JOBS	32
#define MAX_SCRIPT	(1 << 20)

struct job {
	pid_t pid;
	unsigned int id;
	int out;
	long long deadline;
};

static struct job jobs[MAX_JOBS];
static int port;

static long long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "agent: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void write_all(const char *data, size_t len)
{
	while (len) {
		ssize_t n = write(port, data, len);

		if (n < 0) {
			if (errno == EINTR)
				continue;
			if (errno == EAGAIN) {
				struct pollfd p = { port, POLLOUT, 0 };

				poll(&p, 1, 1000);
				continue;
			}
			die("write");
		}
		data += n;
		len -= n;
	}
}

static void answer(unsigned int id, int status, const char *data, size_t len)
{
	char head[64];
	int n = snprintf(head, sizeof(head), "%u %d %zu\n", id, status, len);

	write_all(head, n);
	write_all(data, len);
}

static void greet(void)
{
	char boot_id[64] = "", text[256];
	struct utsname u;
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY);
	ssize_t n = fd < 0 ? 0 : read(fd, boot_id, sizeof(boot_id) - 1);

	if (fd >= 0)
		close(fd);
	boot_id[n > 0 ? n - 1 : 0] = 0;
	uname(&u);
	snprintf(text, sizeof(text), "%s %s", u.release, boot_id);
	answer(0, 0, text, strlen(text));
}

static void start_job(unsigned int id, long long timeout, char *script)
{
	struct job *job = NULL;
	sigset_t none;
	int null;

	for (int i = 0; i < MAX_JOBS && !job; i++)
		if (!jobs[i].pid)
			job = &jobs[i];
	if (!job) {
		answer(id, 255, "agent: too many jobs", 20);
		return;
	}
	job->out = memfd_create("output", MFD_CLOEXEC);
	if (job->out < 0)
		die("memfd_create");
	job->id = id;
	job->deadline = now_ms() + timeout;
	job->pid = fork();
	if (job->pid < 0)
		die("fork");
	if (job->pid)
		return;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setsid();
	null = open("/dev/null", O_RDONLY);
	dup2(null, 0);
	dup2(job->out, 1);
	dup2(job->out, 2);
	close(null);
	execl("/bin/sh", "sh", "-c", script, (char *)NULL);
	_exit(127);
}

static void end_job(pid_t pid, int status)
{
	for (int i = 0; i < MAX_JOBS; i++) {
		struct job *job = &jobs[i];
		struct stat st;
		void *text;

		if (job->pid != pid)
			continue;
		job->pid = 0;
		status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
		if (fstat(job->out, &st))
			die("fstat");
		text = st.st_size ? mmap(NULL, st.st_size, PROT_READ, MAP_SHARED, job->out, 0) : "";
		if (text == MAP_FAILED)
			die("mmap");
		answer(job->id, status, text, st.st_size);
		if (st.st_size)
			munmap(text, st.st_size);
		close(job->out);
	}
}

/* Takes whole requests off the front of the buffer; returns what is left. */
static size_t take_requests(char *buf, size_t len)
{
	for (;;) {
		char *eol = memchr(buf, '\n', len);
		unsigned int id;
		long long timeout;
		size_t size, used;
		char *script;

		if (!eol)
			return len;
		*eol = 0;
		if (sscanf(buf, "%u %lld %zu", &id, &timeout, &size) != 3 || size > MAX_SCRIPT) {
			fprintf(stderr, "agent: bad request '%s'\n", buf);
			exit(1);
		}
		*eol = '\n';
		used = eol + 1 - buf + size;
		if (len < used)
			return len;
		script = strndup(eol + 1, size);
		start_job(id, timeout, script);
		free(script);
		memmove(buf, buf + used, len - used);
		len -= used;
	}
}

int main(int argc, char *argv[])
{
	static char buf[MAX_SCRIPT + 64];
	struct pollfd fds[2];
	size_t len = 0;
	sigset_t chld;

	if (argc != 2) {
		fprintf(stderr, "usage: agent PORT\n");
		return 1;
	}
	port = open(argv[1], O_RDWR | O_CLOEXEC);
	if (port < 0)
		die(argv[1]);
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, NULL);
	fds[0] = (struct pollfd){ port, POLLIN, 0 };
	fds[1] = (struct pollfd){ signalfd(-1, &chld, SFD_CLOEXEC | SFD_NONBLOCK), POLLIN, 0 };

	greet();
	for (;;) {
		int wait = 1000;
		int status;
		pid_t pid;

		poll(fds, 2, wait);
		if (fds[1].revents) {
			struct signalfd_siginfo si;

			while (read(fds[1].fd, &si, sizeof(si)) > 0)
				;
			while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
				end_job(pid, status);
		}
		for (int i = 0; i < MAX_JOBS; i++)
			if (jobs[i].pid && now_ms() > jobs[i].deadline)
				kill(-jobs[i].pid, SIGKILL);
		if (fds[0].revents & POLLIN) {
			ssize_t n = read(port, buf + len, sizeof(buf) - len);

			if (n <= 0)
				die("port closed");
			len = take_requests(buf, len + n);
		} else if (fds[0].revents & POLLHUP) {
			/* the harness is gone: nothing to do, and no busy loop */
			usleep(200000);
		}
	}
}
