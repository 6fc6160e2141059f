// SPDX-License-Identifier: GPL-2.0-or-later
#include "ring.h"

#include <endian.h>
#include <inttypes.h>
#include <stddef.h>
#include <string.h>

/* CRC-32 of IEEE 802.3. */
static uint32_t crc32(const void *data, size_t len)
{
	static uint32_t table[256];
	const uint8_t *byte = data;
	uint32_t crc = ~0U;

	for (uint32_t i = 0; i < 256 && !table[255]; i++) {
		table[i] = i;
		for (int bit = 0; bit < 8; bit++)
			table[i] = table[i] >> 1 ^ (table[i] & 1 ? 0xedb88320U : 0);
	}
	while (len--)
		crc = crc >> 8 ^ table[(uint8_t)crc ^ *byte++];
	return ~crc;
}

static bool intact(const struct hlu_probe_record *r)
{
	return le32toh(r->magic) == HLU_PROBE_RECORD_MAGIC &&
	       le32toh(r->crc) == crc32(r, offsetof(struct hlu_probe_record, crc));
}

static bool empty(const struct hlu_probe_record *r)
{
	static const struct hlu_probe_record zero;

	return !memcmp(r, &zero, sizeof(zero));
}

/* The number of the newest record in the ring, plus 1; 0 when there is none. */
static uint64_t ring_end(const struct hlu_probe_record *ring, uint32_t records)
{
	uint64_t end = 0;

	for (uint32_t i = 0; i < records; i++)
		if (intact(&ring[i]) && le64toh(ring[i].sequence) >= end)
			end = le64toh(ring[i].sequence) + 1;
	return end;
}

/* Whether the device says in the record what it has to say at this number. */
static bool right(const struct hlu_probe_record *r, const struct ring_settings *s)
{
	uint64_t number = le64toh(r->sequence) + 1;
	uint32_t vector = HLU_PROBE_NO_VECTOR;
	uint64_t count = 0;

	if (s->irq_every && number % s->irq_every == 0) {
		uint64_t irq = number / s->irq_every - 1;

		vector = irq % s->irq_vectors;
		count = irq / s->irq_vectors + 1;
	}
	return le32toh(r->function) == s->function && le32toh(r->vector) == vector &&
	       le64toh(r->irq_count) == count && le64toh(r->time_ns) >= le64toh(r->due_ns);
}

static void check_slot(const struct hlu_probe_record *r, uint64_t number,
		       const struct ring_settings *s, struct ring_verdict *v)
{
	uint64_t found = le64toh(r->sequence);

	if (empty(r))
		v->missed++;
	else if (!intact(r))
		v->bad_crc++;
	else if (found == number)
		v->wrong += !right(r, s);
	else if (found < number && found % s->records == number % s->records)
		v->missed++;
	else
		v->out_of_order++;
}

/* Two neighbours, both there. */
static void check_pair(const struct hlu_probe_record *before,
		       const struct hlu_probe_record *r,
		       const struct ring_settings *s, struct ring_verdict *v)
{
	uint64_t gap = le64toh(r->time_ns) - le64toh(before->time_ns);

	if (le64toh(r->time_ns) < le64toh(before->time_ns))
		v->out_of_order++;
	else if (gap > v->max_gap_ns)
		v->max_gap_ns = gap;
	if (le64toh(r->due_ns) - le64toh(before->due_ns) != s->period_us * 1000ULL)
		v->wrong++;
}

/*
 * Looks at all records from `from` on that were written before the ring was
 * read: those below `next`. The device goes on meanwhile. What it replaces by a
 * newer record is not looked at, and neither is the slot after the newest one:
 * it may have been read while it was written.
 */
void ring_check(const struct hlu_probe_record *ring, const struct ring_settings *s,
		uint64_t from, uint64_t next, struct ring_verdict *v)
{
	const struct hlu_probe_record *before = NULL;
	uint64_t end = ring_end(ring, s->records);

	*v = (struct ring_verdict){ .first = from };
	if (end >= s->records && from < end + 1 - s->records) {
		v->first = end + 1 - s->records;
		v->unseen = v->first - from;
	}
	for (uint64_t number = v->first; number < next; number++) {
		const struct hlu_probe_record *r = &ring[number % s->records];
		bool there = intact(r) && le64toh(r->sequence) == number;
		int64_t late = le64toh(r->time_ns) - le64toh(r->due_ns);

		check_slot(r, number, s, v);
		if (there && before)
			check_pair(before, r, s, v);
		if (there && late > v->max_late_ns)
			v->max_late_ns = late;
		before = there ? r : NULL;
		v->count++;
	}
}

bool ring_announces(const struct hlu_probe_record *ring, const struct ring_settings *s,
		    uint32_t vector, uint64_t count, uint64_t (*next)(void *), void *arg)
{
	uint64_t number = ((count - 1) * s->irq_vectors + vector + 1) * s->irq_every - 1;
	struct hlu_probe_record copy;

	memcpy(&copy, &ring[number % s->records], sizeof(copy));
	if (intact(&copy) && le64toh(copy.sequence) == number && right(&copy, s))
		return true;
	return next(arg) > number + s->records;
}

void ring_print(FILE *out, const struct ring_settings *s, bool armed,
		const struct ring_verdict *v)
{
	fprintf(out, "\"function\": %u, \"armed\": %s, \"records\": %u, \"period_us\": %u, ",
		s->function, armed ? "true" : "false", s->records, s->period_us);
	if (v->count)
		fprintf(out, "\"first\": %" PRIu64 ", \"last\": %" PRIu64 ", ", v->first,
			v->first + v->count - 1);
	else
		fprintf(out, "\"first\": null, \"last\": null, ");
	fprintf(out, "\"unseen\": %" PRIu64 ", \"missed\": %" PRIu64
		", \"out_of_order\": %" PRIu64 ", \"bad_crc\": %" PRIu64 ", \"wrong\": %" PRIu64
		", \"max_gap_ns\": %" PRIu64 ", \"max_late_ns\": %" PRId64, v->unseen, v->missed,
		v->out_of_order, v->bad_crc, v->wrong, v->max_gap_ns, v->max_late_ns);
}
