// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Newline-delimited JSON over a stream socket, used on luod's socket by both
 * ends and by luoctl on QEMU's QMP socket.
 *
 * A line is an object of at most 64 KiB and 16 levels. A line that is not is
 * reported as EBADMSG and skipped, so that the peer gets an answer; a line
 * without end is EMSGSIZE and ends the connection. Descriptors arrive with the
 * first byte of the message they belong to and wait in a short queue until the
 * reader, who knows which messages carry one, takes them; surplus ones are
 * closed. Writing never blocks: a peer that does not read is as good as gone.
 */
#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "protocol.h"

#define JSON_DEPTH_MAX	16

void chan_init(struct chan *c, int fd)
{
	c->fd = fd;
	c->len = 0;
	c->seen = 0;
	c->nfds = 0;
}

void chan_close(struct chan *c)
{
	while (c->nfds)
		close(c->fds[--c->nfds]);
	if (c->fd >= 0)
		close(c->fd);
	chan_init(c, -1);
}

int chan_connect(struct chan *c, const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	memcpy(addr.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr))) {
		int err = -errno;

		close(fd);
		return err;
	}
	chan_init(c, fd);
	return 0;
}

static void chan_keep_fds(struct chan *c, struct msghdr *mh)
{
	for (struct cmsghdr *cm = CMSG_FIRSTHDR(mh); cm; cm = CMSG_NXTHDR(mh, cm)) {
		size_t n = (cm->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (cm->cmsg_level != SOL_SOCKET || cm->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(cm) + i * sizeof(fd), sizeof(fd));
			if (c->nfds < CHAN_FDS_MAX)
				c->fds[c->nfds++] = fd;
			else
				close(fd);
		}
	}
}

/* Reads what is there: bytes read, 0 at the end, or a negative errno. */
int chan_fill(struct chan *c)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(CHAN_FDS_MAX * sizeof(int))];
	} control;
	struct iovec iov = {
		.iov_base = c->buf + c->len,
		.iov_len = sizeof(c->buf) - c->len,
	};
	struct msghdr mh = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf),
	};
	ssize_t got;

	if (!iov.iov_len)
		return -EMSGSIZE;
	got = recvmsg(c->fd, &mh, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	if (got < 0)
		return -errno;
	chan_keep_fds(c, &mh);
	c->len += (size_t)got;
	return (int)got;
}

static struct json_object *line_parse(const char *line, size_t len)
{
	struct json_tokener *tok = json_tokener_new_ex(JSON_DEPTH_MAX);
	struct json_object *msg;

	if (!tok)
		return NULL;
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT |
				    JSON_TOKENER_VALIDATE_UTF8);
	msg = json_tokener_parse_ex(tok, line, (int)len);
	if (json_tokener_get_error(tok) != json_tokener_success ||
	    json_tokener_get_parse_end(tok) != len ||
	    !json_object_is_type(msg, json_type_object)) {
		json_object_put(msg);
		msg = NULL;
	}
	json_tokener_free(tok);
	return msg;
}

/* Takes the next line: 1 with a message, 0 when more bytes are needed. */
int chan_next(struct chan *c, struct json_object **msg)
{
	const char *end = memchr(c->buf + c->seen, '\n', c->len - c->seen);
	size_t line, len;

	*msg = NULL;
	if (!end) {
		c->seen = c->len;
		return c->len == sizeof(c->buf) ? -EMSGSIZE : 0;
	}
	line = (size_t)(end - c->buf);
	len = line;
	while (len && isspace((unsigned char)c->buf[len - 1]))
		len--;
	*msg = line_parse(c->buf, len);
	c->len -= line + 1;
	c->seen = 0;
	memmove(c->buf, end + 1, c->len);
	return *msg ? 1 : -EBADMSG;
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Waits for one message: 1, or -ETIMEDOUT, -ECONNRESET and the like. */
int chan_wait(struct chan *c, struct json_object **msg, int timeout_ms)
{
	int64_t deadline = now_ms() + timeout_ms;

	for (;;) {
		struct pollfd pfd = { .fd = c->fd, .events = POLLIN };
		int64_t left = deadline - now_ms();
		int ret = chan_next(c, msg);

		if (ret)
			return ret;
		if (timeout_ms < 0)
			left = -1;
		else if (left < 0)
			left = 0;
		ret = poll(&pfd, 1, (int)left);
		if (!ret)
			return -ETIMEDOUT;
		ret = ret < 0 ? -errno : chan_fill(c);
		if (!ret)
			return -ECONNRESET;
		if (ret < 0 && ret != -EINTR && ret != -EAGAIN)
			return ret;
	}
}

static ssize_t send_some(int sock, const char *buf, size_t len, int fd)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec iov = { .iov_base = (char *)buf, .iov_len = len };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (fd >= 0) {
		struct cmsghdr *cm;

		mh.msg_control = control.buf;
		mh.msg_controllen = sizeof(control.buf);
		cm = CMSG_FIRSTHDR(&mh);
		cm->cmsg_level = SOL_SOCKET;
		cm->cmsg_type = SCM_RIGHTS;
		cm->cmsg_len = CMSG_LEN(sizeof(fd));
		memcpy(CMSG_DATA(cm), &fd, sizeof(fd));
	}
	return sendmsg(sock, &mh, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* Sends @msg, with @fd when that is not negative, and drops @msg. */
int chan_send(struct chan *c, struct json_object *msg, int fd)
{
	const char *text = json_object_to_json_string_ext(msg,
						JSON_C_TO_STRING_PLAIN);
	size_t done = 0, len = text ? strlen(text) : 0;
	char *line = len ? malloc(len + 1) : NULL;
	int err = line ? 0 : -ENOMEM;

	if (line) {
		memcpy(line, text, len);
		line[len] = '\n';
	}
	while (!err && done <= len) {
		ssize_t put = send_some(c->fd, line + done, len + 1 - done,
					done ? -1 : fd);

		if (put >= 0)
			done += (size_t)put;
		else if (errno != EINTR)
			err = -errno;
	}
	free(line);
	json_object_put(msg);
	return err;
}

int chan_take_fd(struct chan *c)
{
	int fd;

	if (!c->nfds)
		return -1;
	fd = c->fds[0];
	c->nfds--;
	memmove(c->fds, c->fds + 1, c->nfds * sizeof(fd));
	return fd;
}

const char *msg_str(struct json_object *msg, const char *key)
{
	struct json_object *value;

	if (!json_object_object_get_ex(msg, key, &value) ||
	    !json_object_is_type(value, json_type_string))
		return NULL;
	return json_object_get_string(value);
}

int msg_int(struct json_object *msg, const char *key, int missing)
{
	struct json_object *value;

	if (!json_object_object_get_ex(msg, key, &value))
		return missing;
	if (!json_object_is_type(value, json_type_int))
		return -1;
	return json_object_get_int(value);
}

bool msg_true(struct json_object *msg, const char *key)
{
	struct json_object *value;

	return json_object_object_get_ex(msg, key, &value) &&
	       json_object_is_type(value, json_type_boolean) &&
	       json_object_get_boolean(value);
}

void msg_add(struct json_object *msg, const char *key, const char *value)
{
	json_object_object_add(msg, key, json_object_new_string(value));
}

struct json_object *msg_new(const char *key, const char *value)
{
	struct json_object *msg = json_object_new_object();

	msg_add(msg, key, value);
	return msg;
}

struct json_object *msg_fail(const struct fail *f)
{
	struct json_object *msg = msg_new("status", "error");

	msg_add(msg, "errno", fail_name(f->err));
	msg_add(msg, "reason", f->reason);
	return msg;
}

const char *luod_socket(void)
{
	const char *path = getenv("LUOD_SOCKET");

	return path && *path ? path : LUOD_SOCKET_PATH;
}

/* 1 to 40 of [A-Za-z0-9_.-], and not luod's own name. */
bool id_valid(const char *id)
{
	static const char ok[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				 "abcdefghijklmnopqrstuvwxyz0123456789_.-";
	size_t len = id ? strlen(id) : 0;

	return len && len <= ID_MAX && strspn(id, ok) == len &&
	       strcmp(id, "luod") != 0;
}
