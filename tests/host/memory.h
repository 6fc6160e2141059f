/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A memfd, mapped, and a pattern in it. A text that is returned says what went
 * wrong, as in vfio.h.
 */
#ifndef MEMORY_H
#define MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#define MIB	(1UL << 20)

struct memory {
	int file;
	uint64_t size;
	void *at;
};

#define NO_MEMORY	((struct memory){ .file = -1 })

/* `huge`: of huge pages, if /sys/kernel/mm/transparent_hugepage/shmem_enabled lets. */
const char *memory_create(struct memory *m, const char *name, uint64_t size, int huge);
const char *memory_adopt(struct memory *m, int file);
void memory_close(struct memory *m);

/* The pattern, from an offset to the end. */
void memory_fill(struct memory *m, uint64_t from);
bool memory_whole(const struct memory *m, uint64_t from);

/* Where the page at an offset is in physical memory. */
const char *memory_physical(const struct memory *m, uint64_t offset, uint64_t *address);

#endif
