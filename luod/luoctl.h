/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LUOD_LUOCTL_H
#define LUOD_LUOCTL_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "fail.h"
#include "timeline.h"

/* Each returns luoctl's exit status: 0, 1, or 2 for wrong usage. */
int luoctl_attach(int argc, char **argv);
int luoctl_devices(int argc, char **argv);
int luoctl_timeline(int argc, char **argv);

void timeline_table(const struct timeline *t, FILE *out);
void timeline_trace(const struct timeline *t, FILE *out);

#define BLOCKED_BY_MAX	256

/* A function that takes part in live updates; "" for no driver, not blocked. */
struct device {
	char name[NAME_MAX + 1];
	char driver[NAME_MAX + 1];
	bool requested;
	bool preserved;
	bool reclaimed;
	char blocked_by[BLOCKED_BY_MAX];
};

struct devices {
	struct device *device;
	size_t count;
};

int devices_load(const char *sysfs, struct devices *d, struct fail *f);
void devices_free(struct devices *d);
void devices_table(const struct devices *d, FILE *out);
void devices_json(const struct devices *d, FILE *out);
int device_request(const char *sysfs, const char *name, bool on,
		   struct fail *f);

#endif
