/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LUOD_TIMELINE_H
#define LUOD_TIMELINE_H

#include <stdint.h>
#include <stdio.h>

#include "fail.h"

#define TIMELINE_PATH	"/sys/kernel/liveupdate/timeline"
#define STAMP_NAME_MAX	39
#define STAMPS_MAX	256

struct timeline {
	uint64_t tsc_khz;
	unsigned int count;
	struct stamp {
		uint64_t tsc;
		char name[STAMP_NAME_MAX + 1];
	} stamp[STAMPS_MAX];
};

void timeline_begin(void);
void timeline_stamp(const char *who, const char *what);

int timeline_parse(FILE *in, struct timeline *t, struct fail *f);
int timeline_load(struct timeline *t, struct fail *f);

#endif
