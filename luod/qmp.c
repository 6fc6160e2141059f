// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * QEMU's machine protocol, as far as luoctl attach needs it: one command at a
 * time, events handed to a callback whenever they come in between.
 *
 * Errors: EREMOTEIO with QEMU's own words when it refuses a command, ETIMEDOUT
 * when it does not answer, ECONNRESET (and q->gone) when it is dead.
 */
#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "luoctl.h"
#include "qmp.h"

#define ANSWER_MS	30000

static void qmp_event(struct qmp *q, struct json_object *msg)
{
	const char *name = msg_str(msg, "event");

	if (name && q->event)
		q->event(q->ctx, name, msg);
}

static int qmp_broken(struct qmp *q, int err, struct fail *f)
{
	if (err == -ETIMEDOUT)
		return fail(f, ETIMEDOUT, "QEMU does not answer on QMP");
	q->gone = true;
	return fail(f, -err, "QEMU's QMP connection broke: %s",
		    strerror(-err));
}

static const char *error_text(struct json_object *msg)
{
	struct json_object *error;
	const char *text = NULL;

	if (json_object_object_get_ex(msg, "error", &error))
		text = msg_str(error, "desc");
	return text ? text : "no reason given";
}

/* Events that are in the buffer already. */
static int qmp_drain(struct qmp *q)
{
	struct json_object *msg;
	int ret;

	while ((ret = chan_next(&q->chan, &msg)) > 0) {
		qmp_event(q, msg);
		json_object_put(msg);
	}
	return ret;
}

/* Drops @args. @ret, when not NULL, gets the "return" object, to be put. */
int qmp_call(struct qmp *q, const char *command, struct json_object *args,
	     int fd, struct json_object **ret, struct fail *f)
{
	struct json_object *msg = msg_new("execute", command), *value;
	int err;

	if (args)
		json_object_object_add(msg, "arguments", args);
	err = chan_send(&q->chan, msg, fd);
	while (!err) {
		err = chan_wait(&q->chan, &msg, ANSWER_MS);
		if (err < 0)
			break;
		err = 0;
		if (json_object_object_get_ex(msg, "return", &value)) {
			if (ret)
				*ret = json_object_get(value);
			json_object_put(msg);
			qmp_drain(q);
			return 0;
		}
		if (json_object_object_get_ex(msg, "error", NULL))
			err = fail(f, EREMOTEIO, "QEMU: %s: %s", command,
				   error_text(msg));
		else
			qmp_event(q, msg);
		json_object_put(msg);
		if (err)
			return err;
	}
	return qmp_broken(q, err, f);
}

int qmp_do(struct qmp *q, const char *command, struct json_object *args,
	   struct fail *f)
{
	return qmp_call(q, command, args, -1, NULL, f);
}

/* Reads what QEMU says by itself. */
void qmp_pump(struct qmp *q)
{
	int got = chan_fill(&q->chan);
	int ret = qmp_drain(q);

	if (!got || ret < 0 || (got < 0 && got != -EAGAIN && got != -EINTR))
		q->gone = true;
}

/*
 * QEMU has a socket long before it speaks: with VFIO devices it pins all of its
 * guest's memory in between. When it dies, the connection breaks.
 */
static int qmp_greeting(struct qmp *q, const char *path,
			struct json_object **greeting)
{
	bool told = false;
	int err;

	while ((err = chan_wait(&q->chan, greeting, ANSWER_MS)) == -ETIMEDOUT) {
		if (!told)
			say("%s: QEMU does not speak yet, unless it speaks to somebody else",
			    path);
		told = true;
	}
	return err;
}

/* Waits for the socket to appear, for the greeting, and enters command mode. */
int qmp_connect(struct qmp *q, const char *path, int timeout_ms, struct fail *f)
{
	struct json_object *greeting;
	int err;

	while ((err = chan_connect(&q->chan, path)) && timeout_ms > 0) {
		usleep(100 * 1000);
		timeout_ms -= 100;
	}
	if (err)
		return fail(f, -err, "%s: %s; start QEMU with -qmp unix:%s,server=on,wait=off",
			    path, strerror(-err), path);
	err = qmp_greeting(q, path, &greeting);
	if (err < 0)
		return qmp_broken(q, err, f);
	err = json_object_object_get_ex(greeting, "QMP", NULL) ? 0 :
	      fail(f, EPROTO, "%s is not a QMP socket", path);
	json_object_put(greeting);
	return err ? err : qmp_do(q, "qmp_capabilities", NULL, f);
}
