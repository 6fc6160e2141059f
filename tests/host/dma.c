// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Owner of functions of the measuring device (QEMU's hlu-probe), as a VMM would
 * be: VFIO, an iommufd for each of them, DMA into memory of its own.
 *
 *   dma serve                 stays, and listens at /run/dma
 *   dma COMMAND NAME ARG...   has it do something with the function of a name
 *
 *   open NAME ADDRESS MIB small|huge
 *                             takes a function that has driver vfio-pci, maps
 *                             MIB MiB of a memfd at IOVA; `huge`: of huge pages
 *   arm NAME PERIOD_US RECORDS
 *   disarm NAME
 *   check NAME FROM           looks at the ring from record FROM on
 *   where NAME                addresses to write to
 *   map_more NAME             another MiB, of memory that is in no session
 *   map_less NAME             and not any more
 *   poke NAME ADDRESS         the device writes one record there
 *   swap NAME COUNT           exchanges two page tables under the running device
 *   renew NAME COUNT          and here each time against a new address space
 *   close NAME
 *   preserve NAME             puts memory and page table into a session NAME
 *   cancel NAME               drops that session
 *   retrieve NAME ADDRESS     in the incoming kernel, takes all of it back; the
 *                             device is on its old page table
 *   replace NAME              exchanges that for one of a new address space
 *   finish NAME               the end of the session
 *
 * The memory: the ring, a spare page, a pattern. Beside it, a memfd of one pattern
 * that no device may reach. check tells whether the patterns are whole.
 *
 * Answers are JSON objects. A failure prints the step and the errno's name, and
 * exits with 1.
 */
#define _GNU_SOURCE
#include "luo.h"
#include "memory.h"
#include "relay.h"
#include "ring.h"
#include "vfio.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SOCKET		"/run/dma"
#define MAX_OWNERS	8

/* far from every physical address, so that no address is both */
#define IOVA		(256UL << 30)
/* the ring of 65536 records; a page that the device may write to; the pattern */
#define RING_SIZE	(4 * MIB)
#define SPARE		RING_SIZE
#define PATTERN		(SPARE + 4096)
#define FOREIGN_SIZE	(2 * MIB)

/* in a session */
enum { TOKEN_MEMORY = 1, TOKEN_FOREIGN, TOKEN_IOMMUFD };
#define TAG	4711

struct owner {
	char name[32];
	int session;
	struct vfio vfio;
	int iommufd;
	int huge;
	struct memory memory;
	struct memory foreign;
	uint32_t ioas;
	uint32_t hwpt;
	struct ring_settings ring;
};

#define NO_OWNER ((struct owner){ .session = -1, .vfio = NO_VFIO, .iommufd = -1, \
				  .memory = NO_MEMORY, .foreign = NO_MEMORY })

static struct owner owners[MAX_OWNERS];
static FILE *answer;

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000ULL + ts.tv_nsec / 1000;
}

/* --- owners */

static struct owner *find(const char *name)
{
	for (int i = 0; i < MAX_OWNERS; i++)
		if (!strcmp(owners[i].name, name))
			return &owners[i];
	errno = ENOENT;
	return NULL;
}

/* Also after an open that went wrong half-way. */
static const char *close_owner(struct owner *o, char **args)
{
	(void)args;
	vfio_close(&o->vfio);
	if (o->iommufd >= 0)
		close(o->iommufd);
	memory_close(&o->memory);
	memory_close(&o->foreign);
	if (o->session >= 0)
		close(o->session);
	*o = NO_OWNER;
	return NULL;
}

/* A page table of a new address space, which has the memory. */
static const char *new_table(struct owner *o, uint32_t *ioas, uint32_t *hwpt)
{
	const char *what = ioas_alloc(o->iommufd, o->huge, ioas);

	what = what ?: ioas_map(o->iommufd, *ioas, o->memory.file, o->memory.size, IOVA);
	return what ?: vfio_hwpt_alloc(&o->vfio, *ioas, hwpt);
}

static const char *take(struct owner *o, const char *address)
{
	const char *what = iommufd_open(&o->iommufd);

	what = what ?: vfio_open(&o->vfio, address, o->iommufd);
	what = what ?: new_table(o, &o->ioas, &o->hwpt);
	what = what ?: vfio_attach(&o->vfio, o->hwpt);
	return what ?: vfio_start(&o->vfio);
}

static const char *open_owner(struct owner *o, char **args)
{
	const char *what;

	o->huge = !strcmp(args[2], "huge");
	what = memory_create(&o->memory, "dma", strtoull(args[1], NULL, 0) * MIB, o->huge);
	what = what ?: memory_create(&o->foreign, "foreign", FOREIGN_SIZE, 0);
	if (!what) {
		/* a page that is touched first by its pinning is a small one */
		memset(o->memory.at, 0, PATTERN);
		memory_fill(&o->memory, PATTERN);
		memory_fill(&o->foreign, 0);
		what = take(o, args[0]);
	}
	return what;
}

static const char *where(struct owner *o, char **args)
{
	uint64_t spare, pattern, foreign;
	const char *what = memory_physical(&o->memory, SPARE, &spare);

	(void)args;
	what = what ?: memory_physical(&o->memory, PATTERN, &pattern);
	what = what ?: memory_physical(&o->foreign, 0, &foreign);
	if (!what)
		fprintf(answer, "{\"iova\": %lu, \"size\": %" PRIu64 ", \"spare_iova\": %lu"
			", \"spare\": %" PRIu64 ", \"pattern\": %" PRIu64
			", \"foreign\": %" PRIu64 "}\n",
			IOVA, o->memory.size, IOVA + SPARE, spare, pattern, foreign);
	return what;
}

/* What is mapped there is no memory that a session keeps. */
static const char *map_more(struct owner *o, char **args)
{
	struct memory more;
	const char *what = memory_create(&more, "more", MIB, 0);

	(void)args;
	what = what ?: ioas_map(o->iommufd, o->ioas, more.file, more.size, IOVA + o->memory.size);
	memory_close(&more);
	return what;
}

static const char *map_less(struct owner *o, char **args)
{
	(void)args;
	return ioas_unmap(o->iommufd, o->ioas, MIB, IOVA + o->memory.size);
}

/* --- the device */

static const char *disarm(struct owner *o, char **args)
{
	(void)args;
	vfio_write(&o->vfio, HLU_PROBE_CONTROL, 0);
	return NULL;
}

/* What arm has set, also in an earlier kernel. */
static void read_settings(struct owner *o)
{
	o->ring = (struct ring_settings){
		.function = vfio_read(&o->vfio, HLU_PROBE_FUNCTION),
		.period_us = vfio_read(&o->vfio, HLU_PROBE_PERIOD_US),
		.records = vfio_read(&o->vfio, HLU_PROBE_RECORDS),
	};
}

static const char *arm(struct owner *o, char **args)
{
	const struct vfio *v = &o->vfio;

	disarm(o, NULL);
	memset(o->memory.at, 0, RING_SIZE);
	vfio_write64(v, HLU_PROBE_RING, IOVA);
	vfio_write(v, HLU_PROBE_PERIOD_US, strtoul(args[0], NULL, 0));
	vfio_write(v, HLU_PROBE_RECORDS, strtoul(args[1], NULL, 0));
	vfio_write(v, HLU_PROBE_IRQ_EVERY, 0);
	read_settings(o);
	vfio_write(v, HLU_PROBE_CONTROL, HLU_PROBE_CONTROL_ARM);
	if (vfio_read(v, HLU_PROBE_STATUS) & HLU_PROBE_STATUS_ARMED)
		return NULL;
	errno = EINVAL;
	return "arm";
}

static const char *poke(struct owner *o, char **args)
{
	vfio_write64(&o->vfio, HLU_PROBE_POKE, strtoull(args[0], NULL, 0));
	/* the answer comes after the write */
	vfio_read(&o->vfio, HLU_PROBE_STATUS);
	return NULL;
}

static const char *look(struct owner *o, uint64_t from, struct ring_verdict *v)
{
	size_t size = o->ring.records * sizeof(struct hlu_probe_record);
	uint64_t next = vfio_read64(&o->vfio, HLU_PROBE_SEQUENCE);
	struct hlu_probe_record *copy = malloc(size);

	if (!copy)
		return "copy of the ring";
	memcpy(copy, o->memory.at, size);
	ring_check(copy, &o->ring, from, next, v);
	free(copy);
	return NULL;
}

static void print_ring(struct owner *o, const struct ring_verdict *v)
{
	fprintf(answer, "{");
	ring_print(answer, &o->ring,
		   vfio_read(&o->vfio, HLU_PROBE_STATUS) & HLU_PROBE_STATUS_ARMED, v);
	fprintf(answer, ", \"dma_failed\": %" PRIu64 ", \"pattern_ok\": %s, \"foreign_ok\": %s",
		vfio_read64(&o->vfio, HLU_PROBE_DMA_FAILED),
		memory_whole(&o->memory, PATTERN) ? "true" : "false",
		memory_whole(&o->foreign, 0) ? "true" : "false");
}

static const char *check(struct owner *o, char **args)
{
	struct ring_verdict v;
	const char *what = look(o, strtoull(args[0], NULL, 0), &v);

	if (!what) {
		print_ring(o, &v);
		fprintf(answer, "}\n");
	}
	return what;
}

/* --- exchange of page tables */

/* Between two that stay. */
static const char *swap_once(struct owner *o, uint32_t *other)
{
	const char *what = vfio_attach(&o->vfio, *other);
	uint32_t old = o->hwpt;

	if (what)
		return what;
	o->hwpt = *other;
	*other = old;
	return NULL;
}

/* Against a new one, and the old one goes. */
static const char *renew_once(struct owner *o, uint32_t *unused)
{
	uint32_t ioas, hwpt;
	const char *what = new_table(o, &ioas, &hwpt);

	(void)unused;
	what = what ?: vfio_attach(&o->vfio, hwpt);
	what = what ?: iommufd_destroy(o->iommufd, o->hwpt);
	what = what ?: iommufd_destroy(o->iommufd, o->ioas);
	if (what)
		return what;
	o->ioas = ioas;
	o->hwpt = hwpt;
	return NULL;
}

static void add(struct ring_verdict *sum, const struct ring_verdict *v)
{
	sum->count += v->count;
	sum->unseen += v->unseen;
	sum->missed += v->missed;
	sum->out_of_order += v->out_of_order;
	sum->bad_crc += v->bad_crc;
	sum->wrong += v->wrong;
	if (v->max_gap_ns > sum->max_gap_ns)
		sum->max_gap_ns = v->max_gap_ns;
	if (v->max_late_ns > sum->max_late_ns)
		sum->max_late_ns = v->max_late_ns;
}

/* Looks at the ring in between, before the device comes round. */
static const char *exchange(struct owner *o, uint64_t count, uint32_t other,
			    const char *(*once)(struct owner *o, uint32_t *other))
{
	uint64_t from = vfio_read64(&o->vfio, HLU_PROBE_SEQUENCE), busy = 0;
	struct ring_verdict sum = { .first = from }, v;
	const char *what = NULL;

	for (uint64_t i = 0; i < count && !what; i++) {
		uint64_t begin = now_us();

		what = once(o, &other);
		busy += now_us() - begin;
		if (what || (i + 1 < count && vfio_read64(&o->vfio, HLU_PROBE_SEQUENCE) - from <
			     o->ring.records / 4))
			continue;
		what = look(o, from, &v);
		add(&sum, &v);
		from = v.first + v.count;
	}
	if (what)
		return what;
	print_ring(o, &sum);
	fprintf(answer, ", \"exchanges\": %" PRIu64 ", \"us_each\": %" PRIu64 "}\n", count,
		busy / count);
	return NULL;
}

static const char *swap(struct owner *o, char **args)
{
	uint32_t ioas, hwpt;
	const char *what = new_table(o, &ioas, &hwpt);

	/* an even number brings the first one back */
	what = what ?: exchange(o, strtoull(args[0], NULL, 0) * 2, hwpt, swap_once);
	what = what ?: iommufd_destroy(o->iommufd, hwpt);
	return what ?: iommufd_destroy(o->iommufd, ioas);
}

static const char *renew(struct owner *o, char **args)
{
	return exchange(o, strtoull(args[0], NULL, 0), 0, renew_once);
}

/* --- live update */

static const char *preserve(struct owner *o, char **args)
{
	const char *what = hwpt_mark(o->iommufd, o->hwpt, TAG);

	(void)args;
	what = what ?: luo_create(o->name, &o->session);
	what = what ?: luo_preserve(o->session, TOKEN_MEMORY, o->memory.file);
	what = what ?: luo_preserve(o->session, TOKEN_FOREIGN, o->foreign.file);
	return what ?: luo_preserve(o->session, TOKEN_IOMMUFD, o->iommufd);
}

static const char *cancel(struct owner *o, char **args)
{
	(void)args;
	close(o->session);
	o->session = -1;
	return NULL;
}

static const char *retrieve_memory(struct owner *o, uint64_t token, struct memory *m)
{
	int file;
	const char *what = luo_retrieve(o->session, token, &file);

	return what ?: memory_adopt(m, file);
}

static const char *retrieve(struct owner *o, char **args)
{
	const char *what = luo_retrieve_session(o->name, &o->session);

	what = what ?: retrieve_memory(o, TOKEN_MEMORY, &o->memory);
	what = what ?: retrieve_memory(o, TOKEN_FOREIGN, &o->foreign);
	what = what ?: luo_retrieve(o->session, TOKEN_IOMMUFD, &o->iommufd);
	what = what ?: vfio_open(&o->vfio, args[0], o->iommufd);
	what = what ?: hwpt_find(o->iommufd, TAG, &o->hwpt);
	what = what ?: vfio_attach(&o->vfio, o->hwpt);
	what = what ?: vfio_start(&o->vfio);
	if (!what)
		read_settings(o);
	return what;
}

static const char *replace(struct owner *o, char **args)
{
	const char *what = new_table(o, &o->ioas, &o->hwpt);

	(void)args;
	return what ?: vfio_attach(&o->vfio, o->hwpt);
}

static const char *finish(struct owner *o, char **args)
{
	const char *what = luo_finish(o->session);

	return what ?: cancel(o, args);
}

/* --- commands */

static const struct command {
	const char *name;
	int args;
	bool makes;
	const char *(*run)(struct owner *o, char **args);
} commands[] = {
	{ "open", 3, true, open_owner },
	{ "arm", 2, false, arm },
	{ "disarm", 0, false, disarm },
	{ "check", 1, false, check },
	{ "where", 0, false, where },
	{ "map_more", 0, false, map_more },
	{ "map_less", 0, false, map_less },
	{ "poke", 1, false, poke },
	{ "swap", 1, false, swap },
	{ "renew", 1, false, renew },
	{ "close", 0, false, close_owner },
	{ "preserve", 0, false, preserve },
	{ "cancel", 0, false, cancel },
	{ "retrieve", 1, true, retrieve },
	{ "replace", 0, false, replace },
	{ "finish", 0, false, finish },
};

/* For open and retrieve; one that fails leaves nothing behind. */
static const char *make(const struct command *c, const char *name, char **args)
{
	struct owner *o = find(name) ?: find("");
	const char *what = "a place for it";
	int err;

	if (o && !o->name[0]) {
		snprintf(o->name, sizeof(o->name), "%s", name);
		what = c->run(o, args);
		if (!what)
			return NULL;
		err = errno;
		close_owner(o, NULL);
		errno = err;
	}
	return what;
}

static const char *run(int argc, char **argv, FILE *out)
{
	struct owner *o;

	answer = out;
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		const struct command *c = &commands[i];

		if (argc != c->args + 2 || strcmp(argv[0], c->name))
			continue;
		if (c->makes)
			return make(c, argv[1], argv + 2);
		o = find(argv[1]);
		return o ? c->run(o, argv + 2) : argv[1];
	}
	errno = EINVAL;
	return "command";
}

int main(int argc, char *argv[])
{
	for (int i = 0; i < MAX_OWNERS; i++)
		owners[i] = NO_OWNER;
	if (argc == 2 && !strcmp(argv[1], "serve"))
		return relay_serve(SOCKET, run);
	if (argc > 2)
		return relay_ask(SOCKET, argc - 1, argv + 1);
	fprintf(stderr, "usage: dma serve | COMMAND NAME ARG...\n");
	return 2;
}
