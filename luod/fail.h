/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LUOD_FAIL_H
#define LUOD_FAIL_H

/* One refusal: an errno of its own and one sentence for the administrator. */
struct fail {
	int err;
	char reason[512];
};

int fail(struct fail *f, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
const char *fail_name(int err);

void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
