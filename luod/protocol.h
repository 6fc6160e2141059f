/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LUOD_PROTOCOL_H
#define LUOD_PROTOCOL_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>

#include "fail.h"

#define LUOD_SOCKET_PATH	"/run/luod/liveupdate.sock"
#define CHAN_LINE_MAX		65536
#define CHAN_FDS_MAX		4
#define ID_MAX			40

/* One stream socket with newline-delimited JSON and passed descriptors. */
struct chan {
	int fd;
	size_t len;
	size_t seen;
	unsigned int nfds;
	int fds[CHAN_FDS_MAX];
	char buf[CHAN_LINE_MAX];
};

void chan_init(struct chan *c, int fd);
void chan_close(struct chan *c);
int chan_connect(struct chan *c, const char *path);
int chan_fill(struct chan *c);
int chan_next(struct chan *c, struct json_object **msg);
int chan_wait(struct chan *c, struct json_object **msg, int timeout_ms);
int chan_send(struct chan *c, struct json_object *msg, int fd);
int chan_take_fd(struct chan *c);

const char *msg_str(struct json_object *msg, const char *key);
int msg_int(struct json_object *msg, const char *key, int missing);
bool msg_true(struct json_object *msg, const char *key);
struct json_object *msg_new(const char *key, const char *value);
void msg_add(struct json_object *msg, const char *key, const char *value);
struct json_object *msg_fail(const struct fail *f);

const char *luod_socket(void);
bool id_valid(const char *id);

#endif
