/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An owner of one function of the measuring device, and what dma.c has it do.
 * All of these are commands: they get the arguments behind the owner's name,
 * print their answer, and return NULL or the step that failed, and errno.
 */
#ifndef OWNER_H
#define OWNER_H

#include "memory.h"
#include "ring.h"
#include "vectors.h"
#include "vfio.h"

/* far from every physical address, so that no address is both */
#define IOVA		(256UL << 30)
/* the ring of 65536 records; a page that the device may write to; counts; the pattern */
#define RING_SIZE	(4 * MIB)
#define SPARE		RING_SIZE
#define COUNTS		(SPARE + 4096)
#define PATTERN		(COUNTS + 4096)
#define FOREIGN_SIZE	(2 * MIB)

struct owner {
	char name[32];
	int session;
	struct vfio vfio;
	int iommufd;
	int huge;
	struct memory memory;
	struct memory foreign;
	uint32_t ioas;
	uint32_t hwpt;
	struct ring_settings ring;
	struct vectors vectors;
	int errors;		/* eventfd of the error interrupt */
};

#define NO_OWNER ((struct owner){ .session = -1, .vfio = NO_VFIO, .iommufd = -1, \
				  .memory = NO_MEMORY, .foreign = NO_MEMORY, \
				  .vectors = NO_VECTORS, .errors = -1 })

extern FILE *answer;

/* owner.c */
const char *owner_open(struct owner *o, char **args);
const char *owner_close(struct owner *o, char **args);
const char *owner_where(struct owner *o, char **args);
const char *owner_map_more(struct owner *o, char **args);
const char *owner_map_less(struct owner *o, char **args);
const char *owner_arm(struct owner *o, char **args);
const char *owner_disarm(struct owner *o, char **args);
const char *owner_poke(struct owner *o, char **args);
const char *owner_check(struct owner *o, char **args);

/* A page table of a new address space, which has the memory. */
const char *owner_new_table(struct owner *o, uint32_t *ioas, uint32_t *hwpt);
/* What arm has set, also in an earlier kernel. */
void owner_read_settings(struct owner *o);
/* The ring, from a record on. */
const char *owner_look(struct owner *o, uint64_t from, struct ring_verdict *v);
/* Its verdict as an object that is still open. */
void owner_print(struct owner *o, const struct ring_verdict *v);

/* exchange.c */
const char *exchange_swap(struct owner *o, char **args);
const char *exchange_renew(struct owner *o, char **args);

/* interrupts.c */
const char *interrupts_vectors(struct owner *o, char **args);
const char *interrupts_give(struct owner *o, char **args);
const char *interrupts_take(struct owner *o, char **args);
const char *interrupts_mask(struct owner *o, char **args);
const char *interrupts_unmask(struct owner *o, char **args);
const char *interrupts_pause(struct owner *o, char **args);
const char *interrupts_resume(struct owner *o, char **args);
const char *interrupts_counts(struct owner *o, char **args);
const char *interrupts_errors(struct owner *o, char **args);

/* handover.c */
const char *handover_keeps(struct owner *o, char **args);
const char *handover_preserve(struct owner *o, char **args);
const char *handover_preserve_part(struct owner *o, char **args);
const char *handover_cancel(struct owner *o, char **args);
const char *handover_fetch(struct owner *o, char **args);
const char *handover_claim(struct owner *o, char **args);
const char *handover_retrieve(struct owner *o, char **args);
const char *handover_replace(struct owner *o, char **args);
const char *handover_finish(struct owner *o, char **args);

/* attempts.c */
const char *attempt_reset(struct owner *o, char **args);
const char *attempt_hot_reset(struct owner *o, char **args);
const char *attempt_flr(struct owner *o, char **args);
const char *attempt_low_power(struct owner *o, char **args);
const char *attempt_d3(struct owner *o, char **args);
const char *attempt_touch(struct owner *o, char **args);
const char *attempt_detach(struct owner *o, char **args);
const char *attempt_bind(struct owner *o, char **args);
const char *attempt_group(struct owner *o, char **args);

#endif
