/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LUOD_JOB_H
#define LUOD_JOB_H

#include <stdbool.h>
#include <sys/types.h>

/* A blocking call made in a child, so that the event loop goes on. */
struct job {
	pid_t pid;	/* 0: none */
	int fd;		/* readable at the end, -1 when none */
};

int job_start(struct job *job, int (*call)(void));
bool job_busy(const struct job *job);
int job_end(struct job *job);
void job_kill(struct job *job);
void job_abandon(struct job *job);

#endif
