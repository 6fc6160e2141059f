// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Refusals and log lines.
 *
 * A function that can refuse takes a struct fail, fills it once, where the
 * object is known by name, and returns the negative errno. Callers pass it on
 * unchanged: to the log, to the peer, to the exit status. The text is for
 * people; decisions are made on the errno only.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "fail.h"

int fail(struct fail *f, int err, const char *fmt, ...)
{
	va_list ap;

	f->err = err;
	va_start(ap, fmt);
	vsnprintf(f->reason, sizeof(f->reason), fmt, ap);
	va_end(ap);
	return -err;
}

const char *fail_name(int err)
{
	const char *name = strerrorname_np(err);

	return name ? name : "EIO";
}

/* One write(2) per line, so that lines of keeper and worker do not mix. */
void say(const char *fmt, ...)
{
	char line[768];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	dprintf(2, "%s: %s\n", program_invocation_short_name, line);
}
