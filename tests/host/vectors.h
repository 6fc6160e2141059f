/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The interrupts of a function of the measuring device in the hand of a program:
 * an eventfd for each vector, and a thread that waits for them, counts, and
 * looks each time whether the data is there that the interrupt announces. A
 * text that is returned says what went wrong, as in vfio.h.
 *
 * The counts are in memory that the program keeps over a live update.
 */
#ifndef VECTORS_H
#define VECTORS_H

#include "ring.h"
#include "vfio.h"

#include <pthread.h>

#define MAX_VECTORS	64

/*
 * signals  that were in the eventfd, all together
 * seen     interrupts that the device said it had raised, at the last wakeup
 * early    wakeups that found a record missing of what the device had raised
 */
struct vector_counts {
	uint64_t signals;
	uint64_t seen;
	uint64_t early;
};

struct vectors {
	uint32_t index;		/* VFIO_PCI_*_IRQ_INDEX */
	uint32_t number;
	int event[MAX_VECTORS];
	int stop;
	pthread_t thread;
	bool runs;

	const struct vfio *vfio;
	const struct ring_settings *settings;
	const struct hlu_probe_record *ring;
	struct vector_counts *counts;
};

#define NO_VECTORS	((struct vectors){ .stop = -1 })

/*
 * So many of a kind (msix, msi, intx), all of them at once; the first `heard` have an
 * eventfd. The thread runs.
 */
const char *vectors_open(struct vectors *v, const char *kind, uint32_t number, uint32_t heard);
/* Gives some of them an eventfd each, or takes it away. */
const char *vectors_give(struct vectors *v, uint32_t first, uint32_t number);
const char *vectors_take(struct vectors *v, uint32_t first, uint32_t number);
/* Forgets what has come so far. */
void vectors_clear(struct vectors *v);
/* From then on signals stay where they are, in the eventfds. */
void vectors_pause(struct vectors *v);
const char *vectors_resume(struct vectors *v);
/* The function's set-up stays as it is. */
void vectors_close(struct vectors *v);

#endif
