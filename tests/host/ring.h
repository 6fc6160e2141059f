/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ring of the measuring device (QEMU's hlu-probe), whoever owns it: the
 * driver hlu_probe (probe.c) or a program (dma.c).
 */
#ifndef RING_H
#define RING_H

#include <misc/hlu_probe.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct ring_settings {
	uint32_t function;
	uint32_t records;
	uint32_t period_us;
	uint32_t irq_every;
	uint32_t irq_vectors;
};

/*
 * first         the first of the records looked at; count of them
 * unseen        records before it that newer ones have replaced
 * missed        not there: the slot is empty or has an older record
 * out_of_order  another place's record, or written before its neighbour
 * bad_crc       damaged
 * wrong         due time, function, vector or interrupt count that do not
 *               belong to its number, or written before it was due
 * max_gap_ns    longest time between two records
 * max_late_ns   between due and written
 */
struct ring_verdict {
	uint64_t first;
	uint64_t count;
	uint64_t unseen;
	uint64_t missed;
	uint64_t out_of_order;
	uint64_t bad_crc;
	uint64_t wrong;
	uint64_t max_gap_ns;
	int64_t max_late_ns;
};

/*
 * Looks at a copy of the ring, at the records `from` to `next` - 1. All of
 * them were written before the copy was made: `next` is older than that.
 */
void ring_check(const struct hlu_probe_record *ring, const struct ring_settings *s,
		uint64_t from, uint64_t next, struct ring_verdict *v);

/*
 * Whether the record that announces interrupt `count` of a vector is in the ring,
 * whole. The ring is the one that the device writes to. `next` is asked after
 * that: a record that was replaced meanwhile was there.
 */
bool ring_announces(const struct hlu_probe_record *ring, const struct ring_settings *s,
		    uint32_t vector, uint64_t count, uint64_t (*next)(void *), void *arg);

/* Members of a JSON object. */
void ring_print(FILE *out, const struct ring_settings *s, bool armed,
		const struct ring_verdict *v);

#endif
