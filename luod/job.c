// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Jobs: calls into the kernel that may take seconds (sync, prepare, finish).
 *
 * A job is a child that makes one call and writes its errno into a pipe. It
 * holds no descriptor but that pipe, so it keeps no session alive, and it dies
 * with its parent. Killing a job does not stop the kernel in the middle: the
 * pipe's end says when the call is really over.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "job.h"

static void job_run(int (*call)(void), int fd, pid_t parent)
	__attribute__((noreturn));

static void job_run(int (*call)(void), int fd, pid_t parent)
{
	int err;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent || dup2(fd, 3) != 3)
		_exit(1);
	close_range(4, ~0U, 0);
	err = call();
	_exit(write(3, &err, sizeof(err)) != (ssize_t)sizeof(err));
}

int job_start(struct job *job, int (*call)(void))
{
	pid_t parent = getpid();
	int err, fds[2];

	if (pipe2(fds, O_CLOEXEC))
		return -errno;
	job->pid = fork();
	if (!job->pid)
		job_run(call, fds[1], parent);
	err = job->pid < 0 ? -errno : 0;
	close(fds[1]);
	job->fd = fds[0];
	if (err) {
		job->pid = 0;
		close(job->fd);
		job->fd = -1;
	}
	return err;
}

bool job_busy(const struct job *job)
{
	return job->pid > 0;
}

/* To be called when job->fd is readable: the result of the call. */
int job_end(struct job *job)
{
	int err;

	if (read(job->fd, &err, sizeof(err)) != (ssize_t)sizeof(err))
		err = -EINTR;
	close(job->fd);
	waitpid(job->pid, NULL, 0);
	job->pid = 0;
	job->fd = -1;
	return err;
}

void job_kill(struct job *job)
{
	if (job_busy(job))
		kill(job->pid, SIGKILL);
}

/* For a call that never returns: the child is left to the keeper. */
void job_abandon(struct job *job)
{
	job_kill(job);
	close(job->fd);
	job->pid = 0;
	job->fd = -1;
}
