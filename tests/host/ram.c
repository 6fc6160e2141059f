// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Memory as a VMM has it, of pages of a size, kept in a session of its own.
 *
 *   ram serve                 stays, and listens at /run/ram
 *   ram COMMAND NAME ARG...   has it do something with the memory of a name
 *
 *   create NAME KIB PAGES     a memfd, mapped: of huge pages of KIB KiB, or, with
 *                             4, an ordinary one; a pattern in all of it
 *   sparse NAME KIB PAGES     the same, with a pattern in its last page only
 *   hollow NAME KIB PAGES     the same, with no page, and not mapped
 *   guest NAME PAGES          a guest_memfd of small pages, shared, and its VM; a
 *                             pattern in all of it
 *   preserve NAME             into session NAME; tells how long that took
 *   cancel NAME               drops that session
 *   retrieve NAME             in the incoming kernel, from session NAME
 *   finish NAME               the end of that session
 *   check NAME                whether the pattern is whole, and where the pages are
 *   resize NAME PAGES, punch NAME, fill NAME
 *                             try just that
 *   seal NAME SEALS           F_ADD_SEALS, and what F_GET_SEALS says then; it is not
 *                             executable
 *   close NAME                unmaps and closes it
 *
 * Answers are JSON objects. A failure prints the step and the errno's name, and
 * exits with 1.
 */
#define _GNU_SOURCE
#include "luo.h"
#include "memory.h"
#include "relay.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/kvm.h>
#include <linux/memfd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#define SOCKET		"/run/ram"
#define MAX_RAM		8
#define TOKEN		1
#define TOKEN_VM	2
#define NO_RAM		((struct ram){ .memory = NO_MEMORY, .vm = -1, .session = -1 })

/* newer than the headers of some systems that this is built on */
struct create_guest_memfd {
	__u64 size;
	__u64 flags;
	__u64 reserved[6];
};

#define CREATE_GUEST_MEMFD	_IOWR(KVMIO, 0xd4, struct create_guest_memfd)
#define FLAG_MMAP		1
#define FLAG_INIT_SHARED	2

struct ram {
	char name[32];
	struct memory memory;
	uint64_t page;
	uint64_t filled_from;
	int vm;			/* of a guest_memfd, or -1 */
	int session;
};

static struct ram rams[MAX_RAM];
static FILE *answer;

static uint64_t number(const char *text)
{
	return strtoull(text, NULL, 0);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

static const char *map(struct ram *r)
{
	struct memory *m = &r->memory;

	m->at = mmap(NULL, m->size, PROT_READ | PROT_WRITE, MAP_SHARED, m->file, 0);
	if (m->at == MAP_FAILED) {
		m->at = NULL;
		return "map memory";
	}
	/* an ordinary memfd is to be of small pages */
	if (r->page == 4096 && madvise(m->at, m->size, MADV_NOHUGEPAGE))
		return "madvise";
	return NULL;
}

static const char *make(struct ram *r, char **args)
{
	unsigned int flags = MFD_ALLOW_SEALING;

	r->page = number(args[0]) << 10;
	r->memory.size = number(args[1]) * r->page;
	if (r->page != 4096)
		flags |= MFD_HUGETLB | __builtin_ctzll(r->page) << MFD_HUGE_SHIFT;
	r->memory.file = memfd_create(r->name, flags);
	if (r->memory.file < 0 || ftruncate(r->memory.file, r->memory.size))
		return "memfd";
	return NULL;
}

static const char *ram_create(struct ram *r, char **args)
{
	const char *what = make(r, args) ?: map(r);

	if (!what)
		memory_fill(&r->memory, 0);
	return what;
}

static const char *ram_sparse(struct ram *r, char **args)
{
	const char *what = make(r, args) ?: map(r);

	if (what)
		return what;
	r->filled_from = r->memory.size - r->page;
	memory_fill(&r->memory, r->filled_from);
	return NULL;
}

static const char *make_guest(struct ram *r, char **args)
{
	struct create_guest_memfd create = { .flags = FLAG_MMAP | FLAG_INIT_SHARED };
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	r->page = 4096;
	r->memory.size = create.size = number(args[0]) * r->page;
	r->vm = kvm < 0 ? -1 : ioctl(kvm, KVM_CREATE_VM, 0);
	if (kvm >= 0)
		close(kvm);
	if (r->vm < 0)
		return "VM";
	r->memory.file = ioctl(r->vm, CREATE_GUEST_MEMFD, &create);
	return r->memory.file < 0 ? "guest_memfd" : NULL;
}

static const char *ram_guest(struct ram *r, char **args)
{
	const char *what = make_guest(r, args) ?: map(r);

	if (!what)
		memory_fill(&r->memory, 0);
	return what;
}

static const char *ram_preserve(struct ram *r, char **args)
{
	const char *what = luo_create(r->name, &r->session);
	uint64_t before = now_ns();

	(void)args;
	if (!what)
		what = luo_preserve(r->session, TOKEN, r->memory.file);
	if (!what && r->vm >= 0)
		what = luo_preserve(r->session, TOKEN_VM, r->vm);
	if (what) {
		int err = errno;

		close(r->session);
		r->session = -1;
		errno = err;
		return what;
	}
	fprintf(answer, "{\"ns\": %" PRIu64 "}\n", now_ns() - before);
	return NULL;
}

static const char *ram_cancel(struct ram *r, char **args)
{
	(void)args;
	if (close(r->session))
		return "close";
	r->session = -1;
	return NULL;
}

static const char *ram_retrieve(struct ram *r, char **args)
{
	const char *what = luo_retrieve_session(r->name, &r->session);
	struct statfs fs;
	struct stat stat;

	(void)args;
	if (!what)
		what = luo_retrieve(r->session, TOKEN, &r->memory.file);
	if (what)
		return what;
	/* ENOENT: it has none */
	luo_retrieve(r->session, TOKEN_VM, &r->vm);
	if (fstat(r->memory.file, &stat) || fstatfs(r->memory.file, &fs))
		return "stat";
	r->memory.size = stat.st_size;
	r->page = fs.f_bsize;
	return map(r);
}

static const char *ram_finish(struct ram *r, char **args)
{
	const char *what = luo_finish(r->session);

	(void)args;
	if (what)
		return what;
	close(r->session);
	r->session = -1;
	return NULL;
}

/* All words are the pattern, or, in front of it, zero. */
static bool whole(const struct ram *r)
{
	const volatile uint64_t *word = r->memory.at;

	for (uint64_t i = 0; i < r->filled_from / 8; i++)
		if (word[i])
			return false;
	return memory_whole(&r->memory, r->filled_from);
}

static const char *ram_check(struct ram *r, char **args)
{
	const char *separator = "";

	(void)args;
	if (!r->memory.at) {
		errno = ENODATA;
		return "memory";
	}
	/* in the incoming kernel nobody knows where the pattern begins */
	while (r->filled_from < r->memory.size - r->page &&
	       !*(uint64_t *)(r->memory.at + r->filled_from))
		r->filled_from += r->page;
	fprintf(answer, "{\"whole\": %s, \"page\": %" PRIu64 ", \"size\": %" PRIu64
		", \"filled_from\": %" PRIu64 ", \"addresses\": [",
		whole(r) ? "true" : "false", r->page, r->memory.size, r->filled_from);
	for (uint64_t at = 0; at < r->memory.size; at += r->page) {
		uint64_t address;
		const char *what = memory_physical(&r->memory, at, &address);

		if (what)
			return what;
		/* of small ones there are too many for an answer */
		if (r->page > 4096 || at < 16 * r->page)
			fprintf(answer, "%s%" PRIu64, separator, address);
		separator = ", ";
	}
	fprintf(answer, "]}\n");
	return NULL;
}

static const char *ram_resize(struct ram *r, char **args)
{
	return ftruncate(r->memory.file, number(args[0]) * r->page) ? "ftruncate" : NULL;
}

static const char *ram_punch(struct ram *r, char **args)
{
	(void)args;
	return fallocate(r->memory.file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, r->page) ?
	       "punch" : NULL;
}

static const char *ram_fill(struct ram *r, char **args)
{
	(void)args;
	return fallocate(r->memory.file, 0, 0, r->memory.size) ? "fallocate" : NULL;
}

static const char *ram_seal(struct ram *r, char **args)
{
	if (fchmod(r->memory.file, 0600) ||
	    fcntl(r->memory.file, F_ADD_SEALS, (int)number(args[0])))
		return "F_ADD_SEALS";
	fprintf(answer, "{\"seals\": %d}\n", fcntl(r->memory.file, F_GET_SEALS));
	return NULL;
}

static const char *ram_close(struct ram *r, char **args)
{
	(void)args;
	memory_close(&r->memory);
	if (r->vm >= 0)
		close(r->vm);
	if (r->session >= 0)
		close(r->session);
	*r = NO_RAM;
	return NULL;
}

static const struct command {
	const char *name;
	int args;
	bool makes;
	const char *(*run)(struct ram *r, char **args);
} commands[] = {
	{ "create", 2, true, ram_create },
	{ "sparse", 2, true, ram_sparse },
	{ "hollow", 2, true, make },
	{ "guest", 1, true, ram_guest },
	{ "retrieve", 0, true, ram_retrieve },
	{ "preserve", 0, false, ram_preserve },
	{ "cancel", 0, false, ram_cancel },
	{ "finish", 0, false, ram_finish },
	{ "check", 0, false, ram_check },
	{ "resize", 1, false, ram_resize },
	{ "punch", 0, false, ram_punch },
	{ "fill", 0, false, ram_fill },
	{ "seal", 1, false, ram_seal },
	{ "close", 0, false, ram_close },
};

/* The memory of a name; with `makes`, a new one if there is none. */
static struct ram *find(const char *name, bool makes)
{
	for (int i = 0; i < MAX_RAM; i++)
		if (!strcmp(rams[i].name, name))
			return &rams[i];
	if (makes && name[0]) {
		struct ram *r = find("", false);

		if (r)
			snprintf(r->name, sizeof(r->name), "%s", name);
		return r;
	}
	errno = ENOENT;
	return NULL;
}

static const char *run(int argc, char **argv, FILE *out)
{
	answer = out;
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		const struct command *c = &commands[i];
		struct ram *r;

		if (argc != c->args + 2 || strcmp(argv[0], c->name))
			continue;
		r = find(argv[1], c->makes);
		return r ? c->run(r, argv + 2) : argv[1];
	}
	errno = EINVAL;
	return "command";
}

int main(int argc, char *argv[])
{
	for (int i = 0; i < MAX_RAM; i++)
		rams[i] = NO_RAM;
	if (argc == 2 && !strcmp(argv[1], "serve"))
		return relay_serve(SOCKET, run);
	if (argc > 2)
		return relay_ask(SOCKET, argc - 1, argv + 1);
	fprintf(stderr, "usage: ram serve | COMMAND NAME ARG...\n");
	return 2;
}
