// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The timeline of an update (docs/interfaces.md, section 5).
 *
 * Stamping is best effort: a host without the file, or with a full page, is
 * updated all the same. Reading is strict: a text that is not a timeline is
 * refused with EBADMSG, no timeline at all with ENOENT.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "timeline.h"

/* So that "WHO:WHAT" fits: the longest WHAT is "preserved". */
#define WHO_MAX		28

static void timeline_write(const char *text)
{
	int fd = open(TIMELINE_PATH, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, text, strlen(text)) < 0)
		say("%s: %s: not stamped (%s)", TIMELINE_PATH, text,
		    fail_name(errno));
	close(fd);
}

void timeline_begin(void)
{
	timeline_write("begin");
}

void timeline_stamp(const char *who, const char *what)
{
	char text[STAMP_NAME_MAX + 1];

	snprintf(text, sizeof(text), "%.*s:%s", WHO_MAX, who, what);
	timeline_write(text);
}

/* "tsc_khz N\n" */
static int khz_parse(const char *line, uint64_t *khz)
{
	char *end;

	if (strncmp(line, "tsc_khz ", 8) != 0)
		return -EBADMSG;
	*khz = strtoull(line + 8, &end, 10);
	return *khz && *end == '\n' ? 0 : -EBADMSG;
}

/* "TSC NAME\n" */
static int stamp_parse(const char *line, struct stamp *stamp)
{
	size_t len;
	char *end;

	if (*line < '0' || *line > '9')
		return -EBADMSG;
	errno = 0;
	stamp->tsc = strtoull(line, &end, 10);
	if (errno || *end != ' ')
		return -EBADMSG;
	len = strcspn(end + 1, " \n");
	if (!len || len > STAMP_NAME_MAX || end[1 + len] != '\n')
		return -EBADMSG;
	memcpy(stamp->name, end + 1, len);
	stamp->name[len] = '\0';
	return 0;
}

/* A measured stamp is made later than the moment it stands for. */
static void timeline_sort(struct timeline *t)
{
	for (unsigned int i = 1; i < t->count; i++) {
		struct stamp s = t->stamp[i];
		unsigned int j = i;

		for (; j && t->stamp[j - 1].tsc > s.tsc; j--)
			t->stamp[j] = t->stamp[j - 1];
		t->stamp[j] = s;
	}
}

/* Reads stamps and puts them in the order of time. */
int timeline_parse(FILE *in, struct timeline *t, struct fail *f)
{
	char line[128];

	t->count = 0;
	if (!fgets(line, sizeof(line), in) || khz_parse(line, &t->tsc_khz))
		return fail(f, EBADMSG, "the timeline has no tsc_khz line");

	while (fgets(line, sizeof(line), in)) {
		if (t->count == STAMPS_MAX)
			return fail(f, EBADMSG,
				    "the timeline has more than %d stamps",
				    STAMPS_MAX);
		if (stamp_parse(line, &t->stamp[t->count]))
			return fail(f, EBADMSG, "stamp %u is malformed",
				    t->count + 1);
		t->count++;
	}
	timeline_sort(t);
	return 0;
}

int timeline_load(struct timeline *t, struct fail *f)
{
	FILE *in = fopen(TIMELINE_PATH, "re");
	int err;

	if (!in)
		return fail(f, errno,
			    "%s: %s; boot a kernel built with hlu, with liveupdate=on",
			    TIMELINE_PATH, strerror(errno));
	err = timeline_parse(in, t, f);
	fclose(in);
	return err;
}
