/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A session of /dev/liveupdate. A text that is returned says what went wrong, as
 * in vfio.h.
 */
#ifndef LUO_H
#define LUO_H

#include <stdint.h>

/* All sessions of a process hang on one opening of the device. */
const char *luo_create(const char *name, int *session);
const char *luo_preserve(int session, uint64_t token, int fd);
const char *luo_retrieve_session(const char *name, int *session);
const char *luo_retrieve(int session, uint64_t token, int *fd);
const char *luo_finish(int session);

#endif
