/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LUOD_QMP_H
#define LUOD_QMP_H

#include "fail.h"
#include "protocol.h"

struct qmp {
	struct chan chan;
	bool gone;
	void (*event)(void *ctx, const char *name, struct json_object *msg);
	void *ctx;
};

int qmp_connect(struct qmp *q, const char *path, int timeout_ms,
		struct fail *f);
int qmp_call(struct qmp *q, const char *command, struct json_object *args,
	     int fd, struct json_object **ret, struct fail *f);
int qmp_do(struct qmp *q, const char *command, struct json_object *args,
	   struct fail *f);
void qmp_pump(struct qmp *q);

#endif
