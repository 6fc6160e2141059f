// SPDX-License-Identifier: GPL-2.0-or-later
#define _GNU_SOURCE
#include "memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static uint64_t pattern(uint64_t offset)
{
	return (offset + 1) * 0x9e3779b97f4a7c15ULL;
}

void memory_fill(struct memory *m, uint64_t from)
{
	for (uint64_t at = from; at < m->size; at += 8)
		*(uint64_t *)(m->at + at) = pattern(at);
}

bool memory_whole(const struct memory *m, uint64_t from)
{
	for (uint64_t at = from; at < m->size; at += 8)
		if (*(volatile uint64_t *)(m->at + at) != pattern(at))
			return false;
	return true;
}

static const char *memory_map(struct memory *m)
{
	/* aligned, so that huge pages fit */
	char *room = mmap(NULL, m->size + 2 * MIB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (room == MAP_FAILED)
		return "room for memory";
	room = (char *)(((uintptr_t)room + 2 * MIB - 1) & -(2 * MIB));
	m->at = mmap(room, m->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, m->file, 0);
	return m->at == MAP_FAILED ? "map memory" : NULL;
}

const char *memory_adopt(struct memory *m, int file)
{
	struct stat stat;

	m->file = file;
	if (fstat(file, &stat))
		return "fstat";
	m->size = stat.st_size;
	return memory_map(m);
}

const char *memory_create(struct memory *m, const char *name, uint64_t size, int huge)
{
	const char *what;

	m->size = size;
	m->file = memfd_create(name, MFD_CLOEXEC);
	if (m->file < 0 || ftruncate(m->file, size))
		return "memfd";
	what = memory_map(m);
	if (!what && madvise(m->at, size, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE))
		what = "madvise";
	return what;
}

const char *memory_physical(const struct memory *m, uint64_t offset, uint64_t *address)
{
	volatile char *at = m->at + offset;
	uint64_t entry = 0;
	ssize_t n = -1;
	int fd;

	/* for it to be there */
	(void)*at;
	fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = pread(fd, &entry, 8, (uintptr_t)at / 4096 * 8);
		close(fd);
	}
	if (n != 8 || !(entry >> 63))
		return "pagemap";
	*address = (entry & ((1ULL << 55) - 1)) * 4096;
	return NULL;
}

void memory_close(struct memory *m)
{
	if (m->at)
		munmap(m->at, m->size);
	if (m->file >= 0)
		close(m->file);
	*m = NO_MEMORY;
}
