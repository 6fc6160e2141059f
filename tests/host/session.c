// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A session of /dev/liveupdate in a shell script's hand, for hosts on which
 * luod does not run (the device has one opener).
 *
 *   session hold NAME ITEM...      makes the session, preserves the items,
 *                                  prints "held" and stays until it is killed
 *   session restore NAME ITEM...   retrieves the session, checks the items,
 *                                  finishes it
 *
 * ITEM is memfd:TOKEN:TEXT (a memfd that holds TEXT) or dev:TOKEN:PATH (an
 * open device file; only for hold). A failure prints the errno's name.
 */
#define _GNU_SOURCE
#include "luo.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void fail(const char *what)
{
	if (!what)
		return;
	fprintf(stderr, "session: %s: %s (%s)\n", what, strerrorname_np(errno), strerror(errno));
	exit(1);
}

static void preserve(int session, char *item)
{
	char *kind = strtok(item, ":");
	char *token = strtok(NULL, ":");
	char *rest = strtok(NULL, "");
	int fd;

	if (!kind || !token || !rest) {
		errno = EINVAL;
		fail("item");
	}
	if (!strcmp(kind, "memfd")) {
		fd = memfd_create("session", 0);
		if (fd < 0 || ftruncate(fd, 4096) ||
		    pwrite(fd, rest, strlen(rest), 0) != (ssize_t)strlen(rest))
			fail("memfd");
	} else {
		fd = open(rest, O_RDWR);
		if (fd < 0)
			fail(rest);
	}
	fail(luo_preserve(session, strtoull(token, NULL, 0), fd));
}

static void check(int session, char *item)
{
	char *kind = strtok(item, ":");
	char *token = strtok(NULL, ":");
	char *text = strtok(NULL, "");
	char found[4096] = "";
	int fd;

	if (!kind || !token || !text || strcmp(kind, "memfd")) {
		errno = EINVAL;
		fail("item");
	}
	fail(luo_retrieve(session, strtoull(token, NULL, 0), &fd));
	if (pread(fd, found, sizeof(found) - 1, 0) < 0)
		fail("read");
	printf("%s: %s\n", token, found);
	if (strcmp(found, text)) {
		errno = EBADMSG;
		fail("compare");
	}
}

int main(int argc, char *argv[])
{
	int session;

	if (argc < 3 || (strcmp(argv[1], "hold") && strcmp(argv[1], "restore"))) {
		fprintf(stderr, "usage: session hold|restore NAME ITEM...\n");
		return 2;
	}
	if (!strcmp(argv[1], "hold")) {
		fail(luo_create(argv[2], &session));
		for (int i = 3; i < argc; i++)
			preserve(session, argv[i]);
		puts("held");
		fflush(stdout);
		for (;;)
			pause();
	}
	fail(luo_retrieve_session(argv[2], &session));
	for (int i = 3; i < argc; i++)
		check(session, argv[i]);
	fail(luo_finish(session));
	puts("restored");
	return 0;
}
