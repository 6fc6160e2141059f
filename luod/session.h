/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LUOD_SESSION_H
#define LUOD_SESSION_H

#include <stdint.h>

/* All return a descriptor or 0, or a negative errno. */
int luo_open(void);
int luo_create(int dev, const char *name);
int luo_retrieve(int dev, const char *name);
int luo_preserve(int session, int fd, uint64_t token);
int luo_fetch(int session, uint64_t token);
int luo_finish(int session);

#endif
