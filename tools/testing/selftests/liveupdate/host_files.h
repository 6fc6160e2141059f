/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The files of a host's live update, as its selftests read and write them.
 */
#ifndef LIVEUPDATE_HOST_FILES_H
#define LIVEUPDATE_HOST_FILES_H

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#define SYSFS	"/sys/kernel/liveupdate/"
#define DEBUGFS	"/sys/kernel/debug/liveupdate/"
#define TRACING	"/sys/kernel/tracing/"

/* What is in a file, until the next call; empty when it cannot be read. */
static inline char *read_file(const char *path)
{
	static char buf[65536];
	ssize_t len = -1;
	int fd = open(path, O_RDONLY);

	if (fd >= 0) {
		len = read(fd, buf, sizeof(buf) - 1);
		close(fd);
	}
	buf[len < 0 ? 0 : len] = '\0';

	return buf;
}

/* 0, or the errno of the write */
static inline int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	int err = 0;

	if (fd < 0)
		return errno;
	if (write(fd, text, strlen(text)) < 0)
		err = errno;
	close(fd);

	return err;
}

/* Traces live update events from now on. 0, or the errno without tracing. */
static inline int trace_start(void)
{
	int err;

	if (access(TRACING "trace", F_OK))
		mount("tracefs", TRACING, "tracefs", 0, NULL);
	err = write_file(TRACING "events/liveupdate/enable", "1");
	if (!err)
		close(open(TRACING "trace", O_WRONLY | O_TRUNC));

	return err;
}

static inline int trace_stop(void)
{
	return write_file(TRACING "events/liveupdate/enable", "0");
}

#endif /* LIVEUPDATE_HOST_FILES_H */
