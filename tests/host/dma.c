// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Owners of functions of the measuring device (QEMU's hlu-probe), as VMMs would
 * be: VFIO, an iommufd for each of them, DMA into memory of their own, and an
 * eventfd for each interrupt.
 *
 *   dma serve                 stays, and listens at /run/dma
 *   dma COMMAND NAME ARG...   has it do something with the function of a name
 *
 *   open NAME ADDRESS MIB small|huge
 *                             takes a function that has driver vfio-pci, maps
 *                             MIB MiB of a memfd at IOVA; `huge`: of huge pages
 *   arm NAME PERIOD_US RECORDS IRQ_EVERY IRQ_VECTORS
 *   disarm NAME
 *   check NAME FROM           looks at the ring from record FROM on
 *   where NAME                addresses to write to
 *   map_more NAME             another MiB, of memory that is in no session
 *   map_less NAME             and not any more
 *   poke NAME ADDRESS         the device writes one record there
 *   swap NAME COUNT           exchanges two page tables under the running device
 *   renew NAME COUNT          and here each time against a new address space
 *   close NAME
 *
 *   vectors NAME msix|msi|intx NUMBER HEARD
 *                             sets NUMBER of them up, and waits for the first HEARD
 *   give NAME FIRST NUMBER    an eventfd each for some of them; take: none
 *   mask NAME VECTOR          in the device's MSI-X table; unmask
 *   pause NAME                leaves signals in the eventfds, until resume
 *   counts NAME               what has come, by vector
 *   errors NAME               errors that it was told of since it last asked
 *
 *   keeps NAME                what this kernel can keep of the device
 *   preserve NAME             puts memory, page table and device into a session
 *                             NAME
 *   preserve_part NAME device|iommufd
 *                             and here only one of the last two
 *   cancel NAME               drops that session
 *   retrieve NAME             in the incoming kernel, takes all of it back; the
 *                             device is on its old page table. In two steps:
 *                             fetch, the files; claim, the device
 *   replace NAME              exchanges that for one of a new address space
 *   finish NAME               the end of the session
 *
 *   reset, hot_reset, flr, d3, low_power, detach NAME
 *                             try just that
 *   bind NAME                 tries to bind the device to another iommufd
 *   touch NAME                maps BAR 0 once more, and writes to config space
 *   group NAME ADDRESS        opens a function by its group
 *
 * The memory: the ring, a spare page, the counts, a pattern. Beside it, a memfd
 * of one pattern that no device may reach. check tells whether the patterns are
 * whole.
 *
 * Answers are JSON objects. A failure prints the step and the errno's name, and
 * exits with 1.
 */
#define _GNU_SOURCE
#include "owner.h"
#include "relay.h"

#include <errno.h>
#include <string.h>

#define SOCKET		"/run/dma"
#define MAX_OWNERS	16

FILE *answer;

static struct owner owners[MAX_OWNERS];

static const struct command {
	const char *name;
	int args;
	bool makes;
	const char *(*run)(struct owner *o, char **args);
} commands[] = {
	{ "open", 3, true, owner_open },
	{ "arm", 4, false, owner_arm },
	{ "disarm", 0, false, owner_disarm },
	{ "check", 1, false, owner_check },
	{ "where", 0, false, owner_where },
	{ "map_more", 0, false, owner_map_more },
	{ "map_less", 0, false, owner_map_less },
	{ "poke", 1, false, owner_poke },
	{ "swap", 1, false, exchange_swap },
	{ "renew", 1, false, exchange_renew },
	{ "close", 0, false, owner_close },
	{ "vectors", 3, false, interrupts_vectors },
	{ "give", 2, false, interrupts_give },
	{ "take", 2, false, interrupts_take },
	{ "mask", 1, false, interrupts_mask },
	{ "unmask", 1, false, interrupts_unmask },
	{ "pause", 0, false, interrupts_pause },
	{ "resume", 0, false, interrupts_resume },
	{ "counts", 0, false, interrupts_counts },
	{ "errors", 0, false, interrupts_errors },
	{ "keeps", 0, false, handover_keeps },
	{ "preserve", 0, false, handover_preserve },
	{ "preserve_part", 1, false, handover_preserve_part },
	{ "cancel", 0, false, handover_cancel },
	{ "fetch", 0, true, handover_fetch },
	{ "claim", 0, false, handover_claim },
	{ "retrieve", 0, true, handover_retrieve },
	{ "replace", 0, false, handover_replace },
	{ "finish", 0, false, handover_finish },
	{ "reset", 0, false, attempt_reset },
	{ "hot_reset", 0, false, attempt_hot_reset },
	{ "flr", 0, false, attempt_flr },
	{ "d3", 0, false, attempt_d3 },
	{ "low_power", 0, false, attempt_low_power },
	{ "detach", 0, false, attempt_detach },
	{ "bind", 0, false, attempt_bind },
	{ "touch", 0, false, attempt_touch },
	{ "group", 1, true, attempt_group },
};

static struct owner *find(const char *name)
{
	for (int i = 0; i < MAX_OWNERS; i++)
		if (!strcmp(owners[i].name, name))
			return &owners[i];
	errno = ENOENT;
	return NULL;
}

/* For those that make an owner; one that fails leaves nothing behind. */
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
		owner_close(o, NULL);
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
