/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LUOD_H
#define LUOD_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#include "fail.h"
#include "image.h"
#include "job.h"
#include "keeper.h"
#include "protocol.h"

/* The name of luod's own session and the token of its list. */
#define OWN_SESSION	"luod"
#define OWN_TOKEN	0
/* What the keeper holds once all sessions are finished; no id has a space. */
#define ALL_ARRIVED	"all arrived"

enum phase {
	PHASE_IDLE,
	PHASE_PRESERVING,
	PHASE_PREPARING,
	PHASE_FREEZING,
	PHASE_REBOOTING,
	PHASE_CANCELLING,
	PHASE_CLAIMING,
	PHASE_FINISHING,
};

enum await { AWAIT_NOTHING, AWAIT_UPDATE, AWAIT_JUMP, AWAIT_ABORT };

struct conn {
	struct conn *next;
	bool root;
	bool gone;
	enum await await;	/* what is answered at the end of a cancel */
	struct chan chan;
};

enum vm_state {
	VM_QUIET,	/* nothing is asked of it */
	VM_ASKED,	/* an answer to vm->event is due */
	VM_READY,	/* it came */
	VM_HELD,	/* incoming: session retrieved, nobody has it yet */
	VM_CLAIMED,	/* incoming: handed out */
	VM_RUNS,	/* incoming: the guest runs, session not finished yet */
};

/* One VM; subscribed, or with an incoming session, or both. */
struct vm {
	struct vm *next;
	struct conn *conn;
	int session;
	enum vm_state state;
	const char *event;	/* the last one sent */
	int64_t deadline;
	char id[ID_MAX + 1];
};

struct luod {
	int listen;
	int signals;
	int keeper;
	int claim_timeout;	/* seconds */
	bool stop;

	enum phase phase;
	int64_t deadline;
	int timeout;		/* seconds, of each phase */
	struct job job;
	int job_err;
	struct conn *conns;
	struct vm *vms;
	int own;		/* luod's own session */

	struct notes *image;	/* of the loaded kernel, NULL: none */
	char *image_path;

	struct fail failed;	/* why the update is being cancelled */
	struct fail last_error;
	int undo;		/* steps of a cancel done */

	bool collected;		/* incoming: sessions are retrieved */
	bool unlisted;		/* incoming: names unknown, look up at CLAIM */
	bool all_claimed;
	struct json_object *lost;
	struct kept *kept;	/* what the last worker left */
	int nkept;
};

int64_t now_ms(void);
void step(const char *name);
const char *phase_name(enum phase phase);
void phase_enter(struct luod *d, enum phase phase);
bool timed_out(const struct luod *d);
void job_run_call(struct luod *d, int (*call)(void));

/* client.c */
struct conn *conn_new(struct luod *d, int fd, bool root);
void conn_send(struct conn *c, struct json_object *msg, int fd);
void conn_ok(struct conn *c);
void conn_refuse(struct conn *c, const struct fail *f);
void conns_bury(struct luod *d);
struct vm *vm_find(const struct luod *d, const char *id);
struct vm *vm_new(struct luod *d, const char *id);
void vm_free(struct luod *d, struct vm *vm);
void vm_ask(struct vm *vm, const char *event, const char *reason, int session);
void vm_hold(struct luod *d, struct vm *vm, int session);
void vm_release(struct luod *d, struct vm *vm);
bool vms_answered(const struct luod *d, char *late, size_t size);

/* verbs.c */
void verb_handle(struct luod *d, struct conn *c, struct json_object *msg);

/* update.c */
int update_start(struct luod *d, int timeout, struct fail *f);
int update_abort(struct luod *d, struct fail *f);
void update_cancel(struct luod *d, const struct fail *f);
void update_undo(struct luod *d);
void update_failed(struct luod *d, struct vm *vm, const char *reason);
void update_vm_dead(struct luod *d, struct vm *vm, const char *reason);
void update_vm_gone(struct luod *d, struct vm *vm);
void update_tick(struct luod *d);

/* incoming.c */
void incoming_start(struct luod *d);
void incoming_none(struct luod *d);
bool incoming_arrived(const struct luod *d);
struct vm *incoming_lookup(struct luod *d, const char *id);
void incoming_claimed(struct luod *d, struct vm *vm);
void incoming_runs(struct luod *d, struct vm *vm);
void incoming_tick(struct luod *d);

#endif
