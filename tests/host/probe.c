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
 * look; what it found is in the members of ring.h (first and last are null when
 * there are no records) and in these:
 *
 *   irq_raised         by the device
 *   irq_seen           by a CPU
 *   irq_before_data    seen before the record was
 *   vectors            the same, by vector
 *
 * A failure prints the errno's name and exits with 1.
 */
#define _GNU_SOURCE
#include "ring.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

/* Lines of "VECTOR RAISED SEEN BEFORE_DATA". */
static void print_interrupts(void)
{
	uint64_t sum[3] = { 0 }, n[3];
	static char text[65536];
	unsigned int vector;
	char *at = text;
	int used;

	get("irq_counts", text, sizeof(text));
	printf(", \"vectors\": [");
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
	struct ring_settings s = {
		.function = get_number("function"),
		.records = get_number("records"),
		.period_us = get_number("period_us"),
		.irq_every = get_number("irq_every"),
		.irq_vectors = get_number("irq_vectors"),
	};
	struct hlu_probe_record *ring = calloc(s.records, sizeof(*ring));
	uint64_t next = get_number("sequence");
	struct ring_verdict v;

	if (!ring)
		fail("ring");
	get_ring(ring, s.records * sizeof(*ring));
	ring_check(ring, &s, from, next, &v);
	printf("{");
	ring_print(stdout, &s, get_number("arm"), &v);
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
