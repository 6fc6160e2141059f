// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A make-believe kernel for test_luod: host.h, session.h, the notes and the
 * timeline on plain files below $FAKE.
 *
 * A session is a file with a lock of its open file description, which lives as
 * long as the last duplicate of the descriptor, in whatever process: just like
 * a LUO session. The jump kills luod's two processes and turns the sessions
 * that still live into incoming ones. A file $FAKE/CALL.error makes that call
 * fail with the errno in it, $FAKE/CALL.sleep makes it wait (milliseconds).
 */
#include <errno.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "../host.h"
#include "../image.h"
#include "../session.h"
#include "../timeline.h"

static const char *path_of(const char *a, const char *b)
{
	static char path[4][512];
	static unsigned int n;
	char *p = path[n++ % 4];

	snprintf(p, sizeof(path[0]), "%s/%s%s", getenv("FAKE"), a, b);
	return p;
}

static void get(const char *a, const char *b, char *text, size_t size)
{
	FILE *in = fopen(path_of(a, b), "re");
	size_t n = in ? fread(text, 1, size - 1, in) : 0;

	text[n] = '\0';
	if (in)
		fclose(in);
}

static void set(const char *name, const char *text)
{
	FILE *out = fopen(path_of(name, ""), "we");

	if (!out)
		return;
	fputs(text, out);
	fclose(out);
}

static int injected(const char *call)
{
	char text[32];

	get(call, ".sleep", text, sizeof(text));
	usleep((useconds_t)strtoul(text, NULL, 10) * 1000);
	get(call, ".error", text, sizeof(text));
	return -(int)strtol(text, NULL, 10);
}

enum host_state host_state(void)
{
	char text[32];

	get("state", "", text, sizeof(text));
	return !strcmp(text, "normal") ? HOST_NORMAL :
	       !strcmp(text, "prepared") ? HOST_PREPARED :
	       !strcmp(text, "updated") ? HOST_UPDATED : HOST_NONE;
}

const char *host_state_name(void)
{
	static char text[32];

	get("state", "", text, sizeof(text));
	return text;
}

int host_sync(void)
{
	return injected("sync");
}

int host_prepare(void)
{
	int err = injected("prepare");

	if (!err && host_state() != HOST_NORMAL)
		err = -EBUSY;
	if (!err)
		set("state", "prepared");
	return err;
}

int host_cancel(void)
{
	if (host_state() == HOST_PREPARED)
		set("state", "normal");
	return 0;
}

int host_finish(void)
{
	int err = injected("finish");

	if (!err && host_state() != HOST_UPDATED)
		err = -EBUSY;
	if (!err)
		set("state", "normal");
	return err;
}

int host_load(int kernel, const char *initrd, const char *cmdline,
	      struct fail *f)
{
	(void)kernel;
	(void)initrd;
	(void)cmdline;
	(void)f;
	set("loaded", "1");
	return 0;
}

bool host_loaded(void)
{
	return !access(path_of("loaded", ""), F_OK);
}

static int locked(const char *path, int flags)
{
	int fd = open(path, flags | O_RDWR | O_CLOEXEC, 0600);

	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB)) {
		close(fd);
		return -EBUSY;
	}
	return fd < 0 ? -errno : fd;
}

int host_jump(void)
{
	int err = injected("jump");
	struct dirent *e;
	DIR *dir;

	if (err)
		return err;
	dir = opendir(path_of("", ""));
	while (dir && (e = readdir(dir))) {
		const char *path = path_of(e->d_name, "");

		if (strncmp(e->d_name, "out.", 4) != 0)
			continue;
		if (locked(path, 0) == -EBUSY)
			rename(path, path_of("in.", e->d_name + 4));
		else
			unlink(path);
	}
	set("state", "updated");
	unlink(path_of("loaded", ""));
	kill(getppid(), SIGKILL);
	raise(SIGKILL);
	return 0;
}

int luo_open(void)
{
	int err = injected("open");

	return err ? err : locked(path_of("device", ""), O_CREAT);
}

int luo_create(int dev, const char *name)
{
	int fd = locked(path_of("out.", name), O_CREAT);

	(void)dev;
	return fd == -EBUSY ? -EEXIST : fd;
}

/* Retrieved once; whether it lives on is a matter of its lock. */
int luo_retrieve(int dev, const char *name)
{
	const char *path = path_of("in.", name), *held = path_of("held.", name);

	(void)dev;
	if (rename(path, held))
		return -errno;
	return locked(held, 0);
}

int luo_preserve(int session, int fd, uint64_t token)
{
	char text[4096];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	(void)token;
	text[n < 0 ? 0 : n] = '\0';
	return pwrite(session, text, strlen(text), 0) < 0 ? -errno : 0;
}

int luo_fetch(int session, uint64_t token)
{
	int err = injected("fetch");

	(void)token;
	return err ? err : fcntl(session, F_DUPFD_CLOEXEC, 0);
}

int luo_finish(int session)
{
	(void)session;
	return injected("session-finish");
}

int image_check(int fd, const char *path, struct notes *image, struct fail *f)
{
	(void)fd;
	(void)path;
	(void)f;
	image->count = 0;
	return 0;
}

int notes_of_running(struct notes *notes, struct fail *f)
{
	(void)f;
	notes->count = 0;
	return 0;
}

int notes_compare(const struct notes *running, const struct notes *image,
		  const char *path, struct fail *f)
{
	(void)running;
	(void)image;
	(void)path;
	(void)f;
	return 0;
}

void timeline_begin(void)
{
	set("timeline", "");
}

void timeline_stamp(const char *who, const char *what)
{
	FILE *out = fopen(path_of("timeline", ""), "ae");

	if (!out)
		return;
	fprintf(out, "%s:%s\n", who, what);
	fclose(out);
}
