/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LUOD_LUOCTL_H
#define LUOD_LUOCTL_H

#include <stdio.h>

#include "timeline.h"

/* Each returns luoctl's exit status: 0, 1, or 2 for wrong usage. */
int luoctl_attach(int argc, char **argv);
int luoctl_timeline(int argc, char **argv);

void timeline_table(const struct timeline *t, FILE *out);
void timeline_trace(const struct timeline *t, FILE *out);

#endif
