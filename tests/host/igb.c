// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Owner of an Intel 82576 (QEMU's igb), as a VMM would be: VFIO, an iommufd, and
 * one queue of received frames in memory of its own. The frames come from outside
 * (tests/lib/wire.py), are numbered, and each has a pattern of its number.
 *
 *   igb serve             stays, and listens at /run/igb
 *   igb open ADDRESS DESCRIPTORS
 *                         takes a function that has driver vfio-pci, and receives
 *   igb check             looks at the frames that are new; "frames" is the number
 *                         of the next one
 *   igb refill            gives the buffers of those back to the device
 *   igb preserve          puts device, memory and page table into session "igb"
 *   igb retrieve          in the incoming kernel, takes all of it back: as it was,
 *                         but for interrupts
 *   igb interrupts        takes them, too
 *   igb finish            a page table of this kernel, and the end of the session
 *   igb close
 *
 * What it knows of the queue is in that memory, too, so it goes on where the one
 * in the kernel before has stopped. Interrupts are counted from its own start.
 *
 * Answers are JSON objects. A failure prints the step and the errno's name, and
 * exits with 1.
 */
#include "luo.h"
#include "memory.h"
#include "relay.h"
#include "vfio.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/vfio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define SOCKET		"/run/igb"
#define SESSION		"igb"
#define IOVA		(256UL << 30)

/* registers of the data sheet, and the bits of them that matter */
#define IGB_CTRL		0x00000
#define IGB_CTRL_SLU		(1 << 6)
#define IGB_CTRL_RST		(1 << 26)
#define IGB_STATUS		0x00008
#define IGB_STATUS_LU		(1 << 1)
#define IGB_MDIC		0x00020
#define IGB_MDIC_RESTART	0x04201200	/* of the PHY's negotiation: write 0x1200 to its reg 0 */
#define IGB_RCTL		0x00100
#define IGB_RCTL_ON		0x0400801a	/* on, every address, without checksum */
#define IGB_GPIE		0x01514
#define IGB_GPIE_MSIX		(1 << 4)
#define IGB_EIMS		0x01524
#define IGB_EIAC		0x0152c
#define IGB_IVAR0		0x01700
#define IGB_IVAR_VALID		0x80
#define IGB_RDBAL		0x0c000
#define IGB_RDLEN		0x0c008
#define IGB_SRRCTL		0x0c00c
#define IGB_SRRCTL_ADVANCED	0x02000000
#define IGB_RDH			0x0c010
#define IGB_RDT			0x0c018
#define IGB_RXDCTL		0x0c028
#define IGB_RXDCTL_ON		(1 << 25)

/* a descriptor, as software and as the device writes it */
struct descriptor {
	uint64_t address;
	union {
		uint64_t zero;
		struct {
			uint32_t status;
			uint16_t length;
			uint16_t vlan;
		};
	};
};

#define DONE	3	/* descriptor and frame */

/* the memory: state, descriptors, buffers */
#define MAX_DESCRIPTORS	4096
#define BUFFER		2048
#define DESCRIPTORS	4096
#define BUFFERS		MIB
#define SIZE		(BUFFERS + MAX_DESCRIPTORS * BUFFER)

struct state {
	uint32_t descriptors;
	uint32_t next;		/* to look at */
	uint32_t clean;		/* to give back to the device */
	uint64_t frame;		/* number of the next one */
	uint64_t lost;
	uint64_t damaged;
	uint64_t out_of_order;
};

#define HEADER	14

/* after the Ethernet header */
struct numbered {
	uint64_t number;
	uint32_t size;		/* of the frame */
	uint8_t pattern[];
} __attribute__((packed));

enum { TOKEN_MEMORY = 1, TOKEN_IOMMUFD, TOKEN_DEVICE };
#define TAG	82576

static struct owner {
	int session;
	int iommufd;
	int event;
	uint64_t interrupts;
	uint32_t hwpt;
	struct vfio vfio;
	struct memory memory;
} nobody = {
	.session = -1, .iommufd = -1, .event = -1, .vfio = NO_VFIO, .memory = NO_MEMORY,
}, nic;

static struct state *state(void)
{
	return nic.memory.at;
}

static struct descriptor *descriptor(uint32_t i)
{
	return (struct descriptor *)(nic.memory.at + DESCRIPTORS) + i;
}

/* --- the device */

static const char *wait_for(unsigned int reg, uint32_t bit, uint32_t value, const char *what)
{
	const struct timespec ms = { .tv_nsec = 1000000 };

	for (int i = 0; i < 10000; i++) {
		if ((vfio_read(&nic.vfio, reg) & bit) == value)
			return NULL;
		nanosleep(&ms, NULL);
	}
	errno = ETIMEDOUT;
	return what;
}

static void give(uint32_t i)
{
	descriptor(i)->address = htole64(IOVA + BUFFERS + i * BUFFER);
	descriptor(i)->zero = 0;
}

/* One descriptor stays with software: else full and empty were the same. */
static void set_up_queue(uint32_t descriptors)
{
	struct vfio *v = &nic.vfio;

	*state() = (struct state){ .descriptors = descriptors };
	for (uint32_t i = 0; i < descriptors; i++)
		give(i);
	vfio_write64(v, IGB_RDBAL, IOVA + DESCRIPTORS);
	vfio_write(v, IGB_RDLEN, descriptors * sizeof(struct descriptor));
	vfio_write(v, IGB_SRRCTL, IGB_SRRCTL_ADVANCED);
	vfio_write(v, IGB_RXDCTL, IGB_RXDCTL_ON);
	/* vector 0, for each frame; taken back by its delivery */
	vfio_write(v, IGB_GPIE, IGB_GPIE_MSIX);
	vfio_write(v, IGB_EIAC, 1);
	vfio_write(v, IGB_IVAR0, IGB_IVAR_VALID);
	vfio_write(v, IGB_EIMS, 1);
}

static const char *receive(uint32_t descriptors)
{
	struct vfio *v = &nic.vfio;
	const char *what;

	vfio_write(v, IGB_CTRL, IGB_CTRL_RST);
	what = wait_for(IGB_CTRL, IGB_CTRL_RST, 0, "reset");
	if (what)
		return what;
	vfio_write(v, IGB_CTRL, vfio_read(v, IGB_CTRL) | IGB_CTRL_SLU);
	vfio_write(v, IGB_MDIC, IGB_MDIC_RESTART);
	what = wait_for(IGB_STATUS, IGB_STATUS_LU, IGB_STATUS_LU, "link");
	if (what)
		return what;
	set_up_queue(descriptors);
	vfio_write(v, IGB_RCTL, IGB_RCTL_ON);
	what = wait_for(IGB_RXDCTL, IGB_RXDCTL_ON, IGB_RXDCTL_ON, "queue");
	vfio_write(v, IGB_RDT, descriptors - 1);
	return what;
}

static const char *refill(char **args)
{
	struct state *s = state();

	(void)args;
	for (; s->clean != s->next; s->clean = (s->clean + 1) % s->descriptors)
		give(s->clean);
	__sync_synchronize();
	vfio_write(&nic.vfio, IGB_RDT, (s->clean + s->descriptors - 1) % s->descriptors);
	return NULL;
}

/* --- frames */

static bool intact(const struct numbered *f, uint32_t length, uint64_t number)
{
	uint32_t there = length - HEADER - sizeof(*f);

	if (length < HEADER + sizeof(*f) || le32toh(f->size) != length)
		return false;
	for (uint32_t i = 0; i < there; i++)
		if (f->pattern[i] != (uint8_t)((number + i) * 7))
			return false;
	return true;
}

static void look_at(struct state *s, const struct descriptor *d)
{
	const struct numbered *f = nic.memory.at + BUFFERS + s->next * BUFFER + HEADER;
	uint64_t number = le64toh(f->number);

	if (!intact(f, le16toh(d->length), number)) {
		s->damaged++;
		return;
	}
	if (number < s->frame) {
		s->out_of_order++;
		return;
	}
	s->lost += number - s->frame;
	s->frame = number + 1;
}

static bool done(const struct descriptor *d)
{
	return (le32toh(*(volatile uint32_t *)&d->status) & DONE) == DONE;
}

/* An interrupt is read before the frame that it announces. */
static const char *check(FILE *answer)
{
	struct state *s = state();
	uint32_t last = (s->clean + s->descriptors - 1) % s->descriptors;
	uint64_t count = 0;
	unsigned int frames = 0;

	if (nic.event >= 0 && read(nic.event, &count, 8) < 0 && errno != EAGAIN)
		return "read eventfd";
	nic.interrupts += count;
	__sync_synchronize();
	for (; s->next != last && done(descriptor(s->next)); frames++) {
		__sync_synchronize();
		look_at(s, descriptor(s->next));
		s->next = (s->next + 1) % s->descriptors;
	}
	fprintf(answer, "{\"new\": %u, \"frames\": %" PRIu64 ", \"lost\": %" PRIu64
		", \"damaged\": %" PRIu64 ", \"out_of_order\": %" PRIu64
		", \"interrupts\": %" PRIu64 ", \"head\": %u, \"link\": %s}\n",
		frames, s->frame, s->lost, s->damaged, s->out_of_order, nic.interrupts,
		vfio_read(&nic.vfio, IGB_RDH),
		vfio_read(&nic.vfio, IGB_STATUS) & IGB_STATUS_LU ? "true" : "false");
	return NULL;
}

/* --- owning it */

static const char *close_nic(char **args)
{
	(void)args;
	vfio_close(&nic.vfio);
	if (nic.event >= 0)
		close(nic.event);
	if (nic.iommufd >= 0)
		close(nic.iommufd);
	memory_close(&nic.memory);
	if (nic.session >= 0)
		close(nic.session);
	nic = nobody;
	return NULL;
}

static const char *new_table(void)
{
	uint32_t ioas;
	const char *what = ioas_alloc(nic.iommufd, 0, &ioas);

	what = what ?: ioas_map(nic.iommufd, ioas, nic.memory.file, nic.memory.size, IOVA);
	what = what ?: vfio_hwpt_alloc(&nic.vfio, ioas, &nic.hwpt);
	return what ?: vfio_attach(&nic.vfio, nic.hwpt);
}

static const char *interrupts(char **args)
{
	(void)args;
	nic.event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (nic.event < 0)
		return "eventfd";
	return vfio_irqs(&nic.vfio, VFIO_PCI_MSIX_IRQ_INDEX, 0, 1, &nic.event);
}

static const char *open_nic(char **args)
{
	uint32_t descriptors = strtoul(args[1], NULL, 0);
	const char *what = memory_create(&nic.memory, "igb", SIZE, 0);

	if (descriptors % 8 || descriptors < 8 || descriptors > MAX_DESCRIPTORS) {
		errno = EINVAL;
		return "descriptors";
	}
	what = what ?: iommufd_open(&nic.iommufd);
	what = what ?: vfio_open(&nic.vfio, args[0], nic.iommufd);
	what = what ?: new_table();
	what = what ?: vfio_start(&nic.vfio);
	what = what ?: interrupts(NULL);
	return what ?: receive(descriptors);
}

/* --- live update */

static const char *preserve(char **args)
{
	const char *what = hwpt_mark(nic.iommufd, nic.hwpt, TAG);

	(void)args;
	what = what ?: luo_create(SESSION, &nic.session);
	what = what ?: luo_preserve(nic.session, TOKEN_MEMORY, nic.memory.file);
	what = what ?: luo_preserve(nic.session, TOKEN_IOMMUFD, nic.iommufd);
	return what ?: luo_preserve(nic.session, TOKEN_DEVICE, nic.vfio.device);
}

static const char *retrieve(char **args)
{
	int file;
	const char *what = luo_retrieve_session(SESSION, &nic.session);

	(void)args;
	what = what ?: luo_retrieve(nic.session, TOKEN_MEMORY, &file);
	what = what ?: memory_adopt(&nic.memory, file);
	what = what ?: luo_retrieve(nic.session, TOKEN_IOMMUFD, &nic.iommufd);
	what = what ?: luo_retrieve(nic.session, TOKEN_DEVICE, &nic.vfio.device);
	what = what ?: vfio_bind(&nic.vfio, nic.iommufd);
	what = what ?: hwpt_find(nic.iommufd, TAG, &nic.hwpt);
	what = what ?: vfio_attach(&nic.vfio, nic.hwpt);
	return what ?: vfio_start(&nic.vfio);
}

static const char *finish(char **args)
{
	const char *what = new_table();

	(void)args;
	what = what ?: luo_finish(nic.session);
	if (what)
		return what;
	close(nic.session);
	nic.session = -1;
	return NULL;
}

/* --- commands */

static const struct command {
	const char *name;
	int args;
	bool makes;
	const char *(*run)(char **args);
} commands[] = {
	{ "open", 2, true, open_nic },
	{ "check", 0, false, NULL },
	{ "refill", 0, false, refill },
	{ "preserve", 0, false, preserve },
	{ "retrieve", 0, true, retrieve },
	{ "interrupts", 0, false, interrupts },
	{ "finish", 0, false, finish },
	{ "close", 0, false, close_nic },
};

static const char *find(const char *name, int args, const struct command **found)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		*found = &commands[i];
		if (args == (*found)->args && !strcmp(name, (*found)->name))
			return NULL;
	}
	errno = EINVAL;
	return "command";
}

static const char *run(int argc, char **argv, FILE *answer)
{
	const struct command *c;
	const char *what;
	int err;

	what = find(argv[0], argc - 1, &c);
	if (what)
		return what;
	if (!c->makes == (nic.memory.file < 0)) {
		errno = c->makes ? EBUSY : ENODEV;
		return "igb";
	}
	what = c->run ? c->run(argv + 1) : check(answer);
	if (what && c->makes) {
		/* one that fails leaves nothing behind */
		err = errno;
		close_nic(NULL);
		errno = err;
	}
	return what;
}

int main(int argc, char *argv[])
{
	nic = nobody;
	if (argc == 2 && !strcmp(argv[1], "serve"))
		return relay_serve(SOCKET, run);
	if (argc > 1)
		return relay_ask(SOCKET, argc - 1, argv + 1);
	fprintf(stderr, "usage: igb serve | COMMAND ARG...\n");
	return 2;
}
