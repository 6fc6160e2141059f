/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LUOD_HOST_H
#define LUOD_HOST_H

#include <stdbool.h>

#include "fail.h"

enum host_state {
	HOST_NONE,	/* no /sys/kernel/liveupdate/state */
	HOST_NORMAL,
	HOST_PREPARED,
	HOST_UPDATED,
};

enum host_state host_state(void);
const char *host_state_name(void);

/* These may take long: to be run as a job. 0 or a negative errno. */
int host_sync(void);
int host_prepare(void);
int host_cancel(void);
int host_finish(void);

int host_load(int kernel, const char *initrd, const char *cmdline,
	      struct fail *f);
bool host_loaded(void);
int host_jump(void);

#endif
