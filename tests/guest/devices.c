// SPDX-License-Identifier: GPL-2.0-or-later
#define _GNU_SOURCE
#include "devices.h"
#include "guest.h"
#include "../host/ring.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DRIVER		"/sys/bus/pci/drivers/hlu_probe"
#define MAX_PROBES	8
#define MAX_VECTORS	4
/* a record every 10 ms, a ring for 160 s: longer than any jump. Each vector has an
 * interrupt every 640 ms. */
#define PERIOD_US	"10000"
#define RECORDS		16384
#define IRQ_EVERY	"16"

struct vector {
	uint64_t raised;
	uint64_t seen;
	uint64_t raised_then;	/* when one was last seen */
};

static struct probe {
	bool there;
	char name[32];		/* its address */
	char folder[128];
	uint64_t next;		/* record to look at */
	struct vector vectors[MAX_VECTORS];
} probes[MAX_PROBES];

/* Written by the process that watches. */
static struct shared {
	_Atomic uint64_t probes, records, missed, wrong, gap_ms, raised, seen, early, stuck;
} *shared;

static int open_file(const struct probe *p, const char *name, int flags)
{
	char path[192];

	snprintf(path, sizeof(path), "%s/%s", p->folder, name);
	return open(path, flags | O_CLOEXEC);
}

static int set(const struct probe *p, const char *name, const char *value)
{
	int fd = open_file(p, name, O_WRONLY);
	ssize_t n = fd < 0 ? -1 : write(fd, value, strlen(value));

	if (n < 0)
		dprintf(2, "devices: %s/%s: %m\n", p->folder, name);
	if (fd >= 0)
		close(fd);
	return n < 0 ? -1 : 0;
}

static size_t get_at(const struct probe *p, const char *name, void *data, size_t size, off_t at)
{
	int fd = open_file(p, name, O_RDONLY);
	size_t done = 0;
	ssize_t n;

	while (fd >= 0 && done < size &&
	       (n = pread(fd, (char *)data + done, size - done, at + done)) > 0)
		done += n;
	if (fd >= 0)
		close(fd);
	return done;
}

static size_t get(const struct probe *p, const char *name, void *data, size_t size)
{
	return get_at(p, name, data, size, 0);
}

static uint64_t get_number(const struct probe *p, const char *name)
{
	char text[32] = "";

	get(p, name, text, sizeof(text) - 1);
	return strtoull(text, NULL, 10);
}

static int arm(const struct probe *p)
{
	char records[16];

	snprintf(records, sizeof(records), "%d", RECORDS);
	if (set(p, "period_us", PERIOD_US) || set(p, "records", records) ||
	    set(p, "irq_every", IRQ_EVERY))
		return -1;
	/* a function that got fewer vectors works with one */
	if (set(p, "irq_vectors", "4"))
		set(p, "irq_vectors", "1");
	return set(p, "arm", "1");
}

void devices_start(void)
{
	shared = shared_memory(sizeof(*shared));
}

static struct probe *find(const char *name)
{
	for (struct probe *p = probes; p < probes + MAX_PROBES; p++)
		if (p->there && !strcmp(p->name, name))
			return p;
	return NULL;
}

static void add(const char *name)
{
	struct probe *p = probes;

	while (p < probes + MAX_PROBES && p->there)
		p++;
	if (p == probes + MAX_PROBES)
		return;
	memset(p, 0, sizeof(*p));
	snprintf(p->name, sizeof(p->name), "%.31s", name);
	snprintf(p->folder, sizeof(p->folder), "%s/%.32s/probe", DRIVER, name);
	p->there = !arm(p);
}

/* They come and go: a host can plug and unplug them. */
static void look_for_probes(void)
{
	DIR *folder = opendir(DRIVER);
	struct dirent *entry;
	uint64_t count = 0;

	for (struct probe *p = probes; p < probes + MAX_PROBES; p++)
		p->there = p->there && !access(p->folder, F_OK);
	while (folder && (entry = readdir(folder)))
		if (strchr(entry->d_name, ':') && !find(entry->d_name))
			add(entry->d_name);
	if (folder)
		closedir(folder);
	for (struct probe *p = probes; p < probes + MAX_PROBES; p++)
		count += p->there;
	shared->probes = count;
}

/*
 * Copies what is new, to its place; the rest of `ring` is empty. A whole ring is
 * a megabyte: too much for an emulated CPU to look at every time.
 */
static bool get_records(const struct probe *p, struct hlu_probe_record *ring, uint64_t from,
			uint64_t count)
{
	memset(ring, 0, RECORDS * sizeof(*ring));
	if (count > RECORDS)
		count = RECORDS;
	while (count) {
		uint64_t at = from % RECORDS;
		uint64_t some = at + count > RECORDS ? RECORDS - at : count;
		size_t size = some * sizeof(*ring);

		if (get_at(p, "ring", &ring[at], size, at * sizeof(*ring)) < size)
			return false;
		from += some;
		count -= some;
	}
	return true;
}

static void look_at_ring(struct probe *p, struct hlu_probe_record *ring)
{
	struct ring_settings s = {
		.function = get_number(p, "function"),
		.records = RECORDS,
		.period_us = get_number(p, "period_us"),
		.irq_every = get_number(p, "irq_every"),
		.irq_vectors = get_number(p, "irq_vectors"),
	};
	uint64_t next = get_number(p, "sequence");
	struct ring_verdict v;

	if (next < p->next || !get_records(p, ring, p->next, next - p->next))
		return;		/* it has just gone */
	ring_check(ring, &s, p->next, next, &v);
	shared->records += v.count;
	shared->missed += v.missed + v.unseen + v.bad_crc;
	shared->wrong += v.out_of_order + v.wrong;
	if (v.max_gap_ns / 1000000 > shared->gap_ms)
		shared->gap_ms = v.max_gap_ns / 1000000;
	p->next = v.first + v.count;
}

static void look_at_vector(struct vector *v, uint64_t raised, uint64_t seen, uint64_t *stuck)
{
	if (seen != v->seen)
		v->raised_then = raised;
	v->raised = raised;
	v->seen = seen;
	*stuck += raised - v->raised_then > 3;
}

/* Lines of "VECTOR RAISED SEEN BEFORE_DATA". */
static void look_at_interrupts(struct probe *p, uint64_t sum[4])
{
	char text[4096] = "", *at = text;
	unsigned int vector;
	uint64_t n[3];
	int used;

	get(p, "irq_counts", text, sizeof(text) - 1);
	for (; sscanf(at, "%u %" SCNu64 " %" SCNu64 " %" SCNu64 "%n", &vector, &n[0], &n[1], &n[2],
		      &used) == 4; at += used) {
		for (int i = 0; i < 3; i++)
			sum[i] += n[i];
		if (vector < MAX_VECTORS)
			look_at_vector(&p->vectors[vector], n[0], n[1], &sum[3]);
	}
}

void devices_watch(void)
{
	struct hlu_probe_record *ring = malloc(RECORDS * sizeof(*ring));

	for (;; sleep(2)) {
		uint64_t sum[4] = { 0 };

		look_for_probes();
		for (int i = 0; i < MAX_PROBES && ring; i++) {
			if (!probes[i].there)
				continue;
			look_at_ring(&probes[i], ring);
			look_at_interrupts(&probes[i], sum);
		}
		shared->raised = sum[0];
		shared->seen = sum[1];
		shared->early = sum[2];
		shared->stuck = sum[3];
	}
}

size_t devices_answer(char *text, size_t size)
{
	return snprintf(text, size, " probes=%" PRIu64 " dma_records=%" PRIu64 " dma_missed=%" PRIu64
			" dma_wrong=%" PRIu64 " dma_gap_ms=%" PRIu64 " irq_raised=%" PRIu64
			" irq_seen=%" PRIu64 " irq_early=%" PRIu64 " irq_stuck=%" PRIu64,
			shared->probes, shared->records, shared->missed, shared->wrong, shared->gap_ms,
			shared->raised, shared->seen, shared->early, shared->stuck);
}
