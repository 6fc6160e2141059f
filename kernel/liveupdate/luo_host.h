/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LINUX_LUO_HOST_H
#define _LINUX_LUO_HOST_H

#include <linux/kho/abi/luo_host.h>
#include <linux/kobject.h>
#include <linux/liveupdate_host.h>
#include <linux/rwsem.h>

/**
 * struct luo_host - The host-wide state machine.
 * @rwsem:      Protects all members. Events hold it for writing, users that
 *              need a stable state hold it for reading. Taken before any lock
 *              of sessions.
 * @state:      Where the host stands; may be read without @rwsem.
 * @subsystems: In the order of PREPARE.
 * @out:        The page handed to the next kernel. NULL without KHO.
 * @kobj:       Whose "state" attribute is notified. NULL before sysfs is up.
 */
struct luo_host {
	struct rw_semaphore rwsem;
	enum liveupdate_state state;
	struct list_head subsystems;
	struct luo_host_ser *out;
	struct kobject *kobj;
};

extern struct luo_host luo_host;

void luo_host_init(struct luo_host *host, struct luo_host_ser *out);
int luo_host_prepare(struct luo_host *host);
int luo_host_cancel(struct luo_host *host);
int luo_host_freeze(struct luo_host *host);
int luo_host_finish(struct luo_host *host);
int luo_host_dry_run(struct luo_host *host);
int luo_host_reboot(void);
const char *luo_host_state_name(enum liveupdate_state state);

/* Ordered calls of subsystems: luo_subsys.c */
int luo_subsys_add(struct list_head *subsystems,
		   struct liveupdate_subsystem *sub);
int luo_subsys_prepare(struct list_head *subsystems);
int luo_subsys_reboot(struct list_head *subsystems);
void luo_subsys_cancel(struct list_head *subsystems);
void luo_subsys_finish(struct list_head *subsystems);

/* The handover page: luo_handover.c */
void luo_handover_init(struct luo_host_ser *ser);
int luo_handover_seal(struct luo_host_ser *ser, struct list_head *subsystems);
int luo_handover_verify(const struct luo_host_ser *ser);
const struct luo_payload_ser *
luo_handover_find(const struct luo_host_ser *ser, const char *name,
		  const char *compatible);
int luo_handover_check(const struct luo_payload_ser *payload, const void *data);

/* The timeline: luo_timeline.c */
void luo_timeline_boot(void);
void luo_timeline_setup_incoming(u64 pa);
u64 luo_timeline_setup_outgoing(void);
int luo_timeline_begin(void);
void luo_timeline_prepare(void);
int luo_timeline_stamp(const char *name);
int luo_timeline_parse(char *line);
ssize_t luo_timeline_print(char *buf, size_t size);

#ifdef CONFIG_DEBUG_FS
void luo_host_debugfs_init(void);
#else
static inline void luo_host_debugfs_init(void) { }
#endif

#endif /* _LINUX_LUO_HOST_H */
