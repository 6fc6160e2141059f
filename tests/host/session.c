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
#include <errno.h>
#include <fcntl.h>
#include <linux/liveupdate.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

static void fail(const char *what)
{
	fprintf(stderr, "session: %s: %s (%s)\n", what, strerrorname_np(errno), strerror(errno));
	exit(1);
}

static void preserve(int session, char *item)
{
	struct liveupdate_session_preserve_fd arg = { .size = sizeof(arg) };
	char *kind = strtok(item, ":");
	char *token = strtok(NULL, ":");
	char *rest = strtok(NULL, "");

	if (!kind || !token || !rest) {
		errno = EINVAL;
		fail("item");
	}
	if (!strcmp(kind, "memfd")) {
		arg.fd = memfd_create("session", 0);
		if (arg.fd < 0 || ftruncate(arg.fd, 4096) ||
		    pwrite(arg.fd, rest, strlen(rest), 0) != (ssize_t)strlen(rest))
			fail("memfd");
	} else {
		arg.fd = open(rest, O_RDWR);
		if (arg.fd < 0)
			fail(rest);
	}
	arg.token = strtoull(token, NULL, 0);
	if (ioctl(session, LIVEUPDATE_SESSION_PRESERVE_FD, &arg))
		fail("preserve");
}

static void check(int session, char *item)
{
	struct liveupdate_session_retrieve_fd arg = { .size = sizeof(arg) };
	char *kind = strtok(item, ":");
	char *token = strtok(NULL, ":");
	char *text = strtok(NULL, "");
	char found[4096] = "";

	if (!kind || !token || !text || strcmp(kind, "memfd")) {
		errno = EINVAL;
		fail("item");
	}
	arg.token = strtoull(token, NULL, 0);
	if (ioctl(session, LIVEUPDATE_SESSION_RETRIEVE_FD, &arg))
		fail("retrieve file");
	if (pread(arg.fd, found, sizeof(found) - 1, 0) < 0)
		fail("read");
	printf("%s: %s\n", token, found);
	if (strcmp(found, text)) {
		errno = EBADMSG;
		fail("compare");
	}
}

int main(int argc, char *argv[])
{
	struct liveupdate_ioctl_create_session create = { .size = sizeof(create) };
	struct liveupdate_ioctl_retrieve_session get = { .size = sizeof(get) };
	struct liveupdate_session_finish finish = { .size = sizeof(finish) };
	int dev;

	if (argc < 3 || (strcmp(argv[1], "hold") && strcmp(argv[1], "restore"))) {
		fprintf(stderr, "usage: session hold|restore NAME ITEM...\n");
		return 2;
	}
	dev = open("/dev/liveupdate", O_RDWR);
	if (dev < 0)
		fail("/dev/liveupdate");
	if (!strcmp(argv[1], "hold")) {
		snprintf((char *)create.name, sizeof(create.name), "%s", argv[2]);
		if (ioctl(dev, LIVEUPDATE_IOCTL_CREATE_SESSION, &create))
			fail("create session");
		for (int i = 3; i < argc; i++)
			preserve(create.fd, argv[i]);
		puts("held");
		fflush(stdout);
		for (;;)
			pause();
	}
	snprintf((char *)get.name, sizeof(get.name), "%s", argv[2]);
	if (ioctl(dev, LIVEUPDATE_IOCTL_RETRIEVE_SESSION, &get))
		fail("retrieve session");
	for (int i = 3; i < argc; i++)
		check(get.fd, argv[i]);
	if (ioctl(get.fd, LIVEUPDATE_SESSION_FINISH, &finish))
		fail("finish");
	puts("restored");
	return 0;
}
