// SPDX-License-Identifier: GPL-2.0-or-later
#define _GNU_SOURCE
#include "devices.h"
#include "../host/ring.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <unistd.h>

#define DRIVER		"/sys/bus/pci/drivers/hlu_probe"
#define MAX_PROBES	8
#define MAX_VECTORS	4
/* a record every 5 ms, a ring for 80 s: longer than any jump. Each vector has an
 * interrupt every 320 ms. */
#define PERIOD_US	"5000"
#define RECORDS		16384
#define IRQ_EVERY	"16"

struct vector {
	uint64_t raised;
	uint64_t seen;
	uint64_t raised_then;	/* when one was last seen */
};

static struct probe {
	char folder[128];
	uint64_t next;		/* record to look at */
	struct vector vectors[MAX_VECTORS];
} probes[MAX_PROBES];
static int count;

/* Written by the process that watches. */
static struct shared {
	_Atomic uint64_t records, missed, wrong, gap_ms, raised, seen, early, stuck;
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

static size_t get(const struct probe *p, const char *name, void *data, size_t size)
{
	int fd = open_file(p, name, O_RDONLY);
	size_t done = 0;
	ssize_t n;

	while (fd >= 0 && done < size && (n = read(fd, (char *)data + done, size - done)) > 0)
		done += n;
	if (fd >= 0)
		close(fd);
	return done;
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
	struct dirent *entry;
	DIR *folder;

	mount("sysfs", "/sys", "sysfs", 0, NULL);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	folder = shared == MAP_FAILED ? NULL : opendir(DRIVER);
	if (!folder)
		return;
	while ((entry = readdir(folder)) && count < MAX_PROBES) {
		struct probe *p = &probes[count];

		if (!strchr(entry->d_name, ':'))
			continue;
		snprintf(p->folder, sizeof(p->folder), "%s/%.32s/probe", DRIVER, entry->d_name);
		count += !arm(p);
	}
	closedir(folder);
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

	memset(ring, 0, RECORDS * sizeof(*ring));
	get(p, "ring", ring, RECORDS * sizeof(*ring));
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

	for (;; sleep(1)) {
		uint64_t sum[4] = { 0 };

		for (int i = 0; i < count && ring; i++) {
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
	return snprintf(text, size, " probes=%d dma_records=%" PRIu64 " dma_missed=%" PRIu64
			" dma_wrong=%" PRIu64 " dma_gap_ms=%" PRIu64 " irq_raised=%" PRIu64
			" irq_seen=%" PRIu64 " irq_early=%" PRIu64 " irq_stuck=%" PRIu64,
			count, shared->records, shared->missed, shared->wrong, shared->gap_ms,
			shared->raised, shared->seen, shared->early, shared->stuck);
}
