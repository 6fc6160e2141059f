// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Connections, and the VMs their clients look after.
 *
 * A connection may stand for any number of VMs (libvirt) or none (luoctl). Its
 * end withdraws them all; what that means for an update in progress is decided
 * in update.c. A VM without a connection exists only while luod holds a session
 * of it. Every session held here is held by the keeper, too.
 *
 * A connection that breaks is marked and buried at the end of the round, so
 * that nobody iterating over the lists loses the ground.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "luod.h"
#include "session.h"

struct conn *conn_new(struct luod *d, int fd, bool root)
{
	struct conn *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	chan_init(&c->chan, fd);
	c->root = root;
	c->next = d->conns;
	d->conns = c;
	return c;
}

void conn_send(struct conn *c, struct json_object *msg, int fd)
{
	if (c->gone || chan_send(&c->chan, msg, fd))
		c->gone = true;
}

void conn_ok(struct conn *c)
{
	conn_send(c, msg_new("status", "ok"), -1);
}

void conn_refuse(struct conn *c, const struct fail *f)
{
	conn_send(c, msg_fail(f), -1);
}

static struct vm *vm_of(const struct luod *d, const struct conn *c)
{
	struct vm *vm = d->vms;

	while (vm && vm->conn != c)
		vm = vm->next;
	return vm;
}

void conns_bury(struct luod *d)
{
	struct conn **link = &d->conns, *c;
	struct vm *vm;

	while ((c = *link)) {
		if (!c->gone) {
			link = &c->next;
			continue;
		}
		while ((vm = vm_of(d, c))) {
			vm->conn = NULL;
			update_vm_gone(d, vm);
		}
		*link = c->next;
		chan_close(&c->chan);
		free(c);
	}
}

struct vm *vm_find(const struct luod *d, const char *id)
{
	struct vm *vm = d->vms;

	while (vm && strcmp(vm->id, id) != 0)
		vm = vm->next;
	return vm;
}

struct vm *vm_new(struct luod *d, const char *id)
{
	struct vm *vm = calloc(1, sizeof(*vm));

	if (!vm)
		return NULL;
	snprintf(vm->id, sizeof(vm->id), "%s", id);
	vm->session = -1;
	vm->next = d->vms;
	d->vms = vm;
	return vm;
}

void vm_free(struct luod *d, struct vm *vm)
{
	struct vm **link = &d->vms;

	while (*link && *link != vm)
		link = &(*link)->next;
	if (*link)
		*link = vm->next;
	vm_release(d, vm);
	free(vm);
}

/* Sends an event that the client is to answer. */
void vm_ask(struct vm *vm, const char *event, const char *reason, int session)
{
	struct json_object *msg = msg_new("event", event);

	msg_add(msg, "id", vm->id);
	if (reason)
		msg_add(msg, "reason", reason);
	vm->state = VM_ASKED;
	vm->event = event;
	conn_send(vm->conn, msg, session);
}

void vm_hold(struct luod *d, struct vm *vm, int session)
{
	vm->session = session;
	keeper_put(d->keeper, vm->id, session);
}

void vm_release(struct luod *d, struct vm *vm)
{
	if (vm->session < 0)
		return;
	close(vm->session);
	vm->session = -1;
	keeper_drop(d->keeper, vm->id);
}

/* No answer is due any more; else the names of those who are late. */
bool vms_answered(const struct luod *d, char *late, size_t size)
{
	size_t len = 0;
	bool all = true;

	late[0] = '\0';
	for (const struct vm *vm = d->vms; vm; vm = vm->next) {
		if (vm->state != VM_ASKED)
			continue;
		if (len < size)
			len += (size_t)snprintf(late + len, size - len, "%s%s",
						all ? "" : ", ", vm->id);
		all = false;
	}
	return all;
}
