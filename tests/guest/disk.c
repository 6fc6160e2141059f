// SPDX-License-Identifier: GPL-2.0-or-later
#define _GNU_SOURCE
#include "disk.h"
#include "guest.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK	4096
#define BLOCKS	32
#define WORDS	(BLOCK / sizeof(uint64_t))
/* blocks between two flushes */
#define BATCH	8

static struct shared {
	_Atomic uint64_t written, verified, wrong, errors, slowest_ms;
} *shared;

void disk_start(void)
{
	shared = shared_memory(sizeof(*shared));
}

/* tests/lib/disk.py has the same. */
static uint64_t word(uint64_t block, uint64_t round, uint64_t at)
{
	return block << 48 | round << 16 | at;
}

static void took(uint64_t since)
{
	uint64_t ms = (now_us(CLOCK_MONOTONIC) - since) / 1000;

	if (ms > shared->slowest_ms)
		shared->slowest_ms = ms;
}

static void write_block(int fd, uint64_t *buffer, uint64_t block, uint64_t round)
{
	uint64_t since = now_us(CLOCK_MONOTONIC);

	for (uint64_t i = 0; i < WORDS; i++)
		buffer[i] = word(block, round, i);
	if (pwrite(fd, buffer, BLOCK, block * BLOCK) == BLOCK)
		shared->written++;
	else
		shared->errors++;
	took(since);
}

static void verify_block(int fd, uint64_t *buffer, uint64_t block, uint64_t round)
{
	uint64_t since = now_us(CLOCK_MONOTONIC), bad = 0;

	memset(buffer, 0, BLOCK);
	if (pread(fd, buffer, BLOCK, block * BLOCK) != BLOCK) {
		shared->errors++;
		return;
	}
	took(since);
	for (uint64_t i = 0; i < WORDS; i++)
		bad |= buffer[i] != word(block, round, i);
	shared->wrong += bad;
	shared->verified++;
}

static void flush(int fd)
{
	uint64_t since = now_us(CLOCK_MONOTONIC);

	if (fdatasync(fd))
		shared->errors++;
	took(since);
}

void disk_work(void)
{
	int fd = open(parameter("hlu.disk=", "/dev/vda"), O_RDWR | O_DIRECT | O_CLOEXEC);
	uint64_t *buffer = aligned_alloc(BLOCK, BLOCK);

	if (fd < 0 || !buffer)
		for (;;)
			pause();
	for (uint64_t round = 1;; round++) {
		for (uint64_t block = 0; block < BLOCKS; block++) {
			write_block(fd, buffer, block, round);
			if (block % BATCH != BATCH - 1)
				continue;
			flush(fd);
			for (uint64_t back = block + 1 - BATCH; back <= block; back++)
				verify_block(fd, buffer, back, round);
			sleep(1);
		}
	}
}

size_t disk_answer(char *text, size_t size)
{
	return snprintf(text, size, " disk_written=%" PRIu64 " disk_verified=%" PRIu64
			" disk_wrong=%" PRIu64 " disk_errors=%" PRIu64 " disk_slowest_ms=%" PRIu64,
			shared->written, shared->verified, shared->wrong, shared->errors,
			shared->slowest_ms);
}
