// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The measuring device (QEMU's hlu-probe) in a shell script's hand, through the
 * files of its driver (sysfs-bus-pci-devices-hlu_probe):
 *
 *   probe arm BDF PERIOD_US RECORDS IRQ_EVERY VECTORS
 *   probe disarm BDF
 *   probe check BDF [FROM]    looks at the ring from record FROM on (0)
 *
 * check prints one JSON object. Its exit status only says whether it could
 * look; what it found is in these members:
 *
 *   first, last        the records looked at; null when there are none
 *   unseen             records from FROM on that newer ones have replaced
 *   missed             not there: the slot is empty or has an older record
 *   out_of_order       another place's record, or written before its neighbour
 *   bad_crc            damaged
 *   wrong              due time, function, vector or interrupt count that do
 *                      not belong to its number, or written before it was due
 *   max_gap_ns         longest time between two records, max_late_ns: between
 *                      due and written
 *   irq_raised         by the device; irq_seen: by a CPU; irq_before_data:
 *                      seen before the record was; vectors: the same, by vector
 *
 * A failure prints the errno's name and exits with 1.
 */
#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <misc/hlu_probe.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct settings {
	uint32_t function;
	uint32_t records;
	uint32_t period_us;
	uint32_t irq_every;
	uint32_t irq_vectors;
};

struct verdict {
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

static char folder[256];

static _Noreturn void fail(const char *what)
{
	fprintf(stderr, "probe: %s: %s (%s)\n", what, strerrorname_np(errno), strerror(errno));
	exit(1);
}

static int open_file(const char *name, int flags)
{
	char path[sizeof(folder) + 32];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, flags | O_CLOEXEC);
	if (fd < 0)
		fail(path);
	return fd;
}

static void set(const char *name, const char *value)
{
	int fd = open_file(name, O_WRONLY);

	if (write(fd, value, strlen(value)) < 0)
		fail(name);
	close(fd);
}

static void get(const char *name, char *text, size_t size)
{
	int fd = open_file(name, O_RDONLY);
	ssize_t n = read(fd, text, size - 1);

	if (n < 0)
		fail(name);
	text[n] = '\0';
	close(fd);
}

static uint64_t get_number(const char *name)
{
	char text[32];

	get(name, text, sizeof(text));
	return strtoull(text, NULL, 10);
}

/* Reads `size` bytes, or less when the ring is smaller or not there. */
static void get_ring(void *ring, size_t size)
{
	int fd = open_file("ring", O_RDONLY);
	size_t done = 0;
	ssize_t n;

	while ((n = read(fd, (char *)ring + done, size - done)) > 0)
		done += n;
	if (n < 0)
		fail("ring");
	close(fd);
}

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
static bool right(const struct hlu_probe_record *r, const struct settings *s)
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
		       const struct settings *s, struct verdict *v)
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
		       const struct settings *s, struct verdict *v)
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
static void check_ring(const struct hlu_probe_record *ring, const struct settings *s,
		       uint64_t from, uint64_t next, struct verdict *v)
{
	const struct hlu_probe_record *before = NULL;
	uint64_t end = ring_end(ring, s->records);

	*v = (struct verdict){ .first = from };
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

static void print_verdict(const struct settings *s, const struct verdict *v)
{
	printf("{\"function\": %u, \"armed\": %s, \"records\": %u, \"period_us\": %u, ",
	       s->function, get_number("arm") ? "true" : "false", s->records, s->period_us);
	if (v->count)
		printf("\"first\": %" PRIu64 ", \"last\": %" PRIu64 ", ", v->first,
		       v->first + v->count - 1);
	else
		printf("\"first\": null, \"last\": null, ");
	printf("\"unseen\": %" PRIu64 ", \"missed\": %" PRIu64 ", \"out_of_order\": %" PRIu64
	       ", \"bad_crc\": %" PRIu64 ", \"wrong\": %" PRIu64 ", \"max_gap_ns\": %" PRIu64
	       ", \"max_late_ns\": %" PRId64 ", ", v->unseen, v->missed, v->out_of_order,
	       v->bad_crc, v->wrong, v->max_gap_ns, v->max_late_ns);
}

/* Lines of "VECTOR RAISED SEEN BEFORE_DATA". */
static void print_interrupts(void)
{
	uint64_t sum[3] = { 0 }, n[3];
	static char text[65536];
	unsigned int vector;
	char *at = text;
	int used;

	get("irq_counts", text, sizeof(text));
	printf("\"vectors\": [");
	while (sscanf(at, "%u %" SCNu64 " %" SCNu64 " %" SCNu64 "%n", &vector, &n[0], &n[1],
		      &n[2], &used) == 4) {
		printf("%s{\"vector\": %u, \"raised\": %" PRIu64 ", \"seen\": %" PRIu64
		       ", \"before_data\": %" PRIu64 "}", at == text ? "" : ", ", vector,
		       n[0], n[1], n[2]);
		for (int i = 0; i < 3; i++)
			sum[i] += n[i];
		at += used;
	}
	printf("], \"irq_raised\": %" PRIu64 ", \"irq_seen\": %" PRIu64
	       ", \"irq_before_data\": %" PRIu64 "}\n", sum[0], sum[1], sum[2]);
}

static int check(uint64_t from)
{
	struct settings s = {
		.function = get_number("function"),
		.records = get_number("records"),
		.period_us = get_number("period_us"),
		.irq_every = get_number("irq_every"),
		.irq_vectors = get_number("irq_vectors"),
	};
	struct hlu_probe_record *ring = calloc(s.records, sizeof(*ring));
	uint64_t next = get_number("sequence");
	struct verdict v;

	if (!ring)
		fail("ring");
	get_ring(ring, s.records * sizeof(*ring));
	check_ring(ring, &s, from, next, &v);
	print_verdict(&s, &v);
	print_interrupts();
	free(ring);
	return 0;
}

static int arm(char *argv[])
{
	set("period_us", argv[0]);
	set("records", argv[1]);
	set("irq_every", argv[2]);
	set("irq_vectors", argv[3]);
	set("arm", "1");
	return 0;
}

int main(int argc, char *argv[])
{
	if (argc > 2)
		snprintf(folder, sizeof(folder), "/sys/bus/pci/devices/%s/probe", argv[2]);
	if (argc == 7 && !strcmp(argv[1], "arm"))
		return arm(argv + 3);
	if (argc == 3 && !strcmp(argv[1], "disarm")) {
		set("arm", "0");
		return 0;
	}
	if ((argc == 3 || argc == 4) && !strcmp(argv[1], "check"))
		return check(argc == 4 ? strtoull(argv[3], NULL, 10) : 0);
	fprintf(stderr, "usage: probe arm BDF PERIOD_US RECORDS IRQ_EVERY VECTORS |"
		" disarm BDF | check BDF [FROM]\n");
	return 2;
}
