// SPDX-License-Identifier: GPL-2.0-or-later
/* The owner's side of the interrupts of its function. */
#define _GNU_SOURCE
#include "owner.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* In the incoming kernel, too: the counts go on where they stood. */
const char *interrupts_vectors(struct owner *o, char **args)
{
	struct vectors *v = &o->vectors;

	v->vfio = &o->vfio;
	v->settings = &o->ring;
	v->ring = o->memory.at;
	v->counts = (void *)((char *)o->memory.at + COUNTS);
	return vectors_open(v, args[0], strtoul(args[1], NULL, 0), strtoul(args[2], NULL, 0));
}

const char *interrupts_give(struct owner *o, char **args)
{
	return vectors_give(&o->vectors, strtoul(args[0], NULL, 0), strtoul(args[1], NULL, 0));
}

const char *interrupts_take(struct owner *o, char **args)
{
	return vectors_take(&o->vectors, strtoul(args[0], NULL, 0), strtoul(args[1], NULL, 0));
}

/* In the device's own table, as a driver in a guest would. */
static const char *set_mask(struct owner *o, uint32_t vector, bool on)
{
	unsigned int at = vector * PCI_MSIX_ENTRY_SIZE + PCI_MSIX_ENTRY_VECTOR_CTRL;
	struct vfio table = o->vfio;
	const char *what = vfio_map(&table, HLU_PROBE_BAR_MSIX);
	uint32_t control;

	if (what)
		return what;
	control = vfio_read(&table, at) & ~PCI_MSIX_ENTRY_CTRL_MASKBIT;
	vfio_write(&table, at, control | (on ? PCI_MSIX_ENTRY_CTRL_MASKBIT : 0));
	/* the answer comes after the write */
	vfio_read(&table, at);
	vfio_unmap(&table);
	return NULL;
}

const char *interrupts_mask(struct owner *o, char **args)
{
	return set_mask(o, strtoul(args[0], NULL, 0), true);
}

const char *interrupts_unmask(struct owner *o, char **args)
{
	return set_mask(o, strtoul(args[0], NULL, 0), false);
}

const char *interrupts_pause(struct owner *o, char **args)
{
	(void)args;
	vectors_pause(&o->vectors);
	return NULL;
}

const char *interrupts_resume(struct owner *o, char **args)
{
	(void)args;
	return vectors_resume(&o->vectors);
}

static void print_counts(const struct vectors *v, const char *name, size_t at)
{
	fprintf(answer, "\"%s\": [", name);
	for (uint32_t i = 0; i < v->number; i++)
		fprintf(answer, "%s%" PRIu64, i ? ", " : "",
			*(const uint64_t *)((const char *)&v->counts[i] + at));
	fprintf(answer, "], ");
}

const char *interrupts_counts(struct owner *o, char **args)
{
	const struct vectors *v = &o->vectors;

	(void)args;
	fprintf(answer, "{");
	print_counts(v, "signals", offsetof(struct vector_counts, signals));
	print_counts(v, "seen", offsetof(struct vector_counts, seen));
	print_counts(v, "early", offsetof(struct vector_counts, early));
	fprintf(answer, "\"raised\": [");
	for (uint32_t i = 0; i < v->number; i++)
		fprintf(answer, "%s%" PRIu64, i ? ", " : "",
			vfio_read64(&o->vfio, HLU_PROBE_IRQ_COUNT(i)));
	fprintf(answer, "]}\n");
	return NULL;
}

/* The first time it asks to be told of them. */
const char *interrupts_errors(struct owner *o, char **args)
{
	eventfd_t count = 0;

	(void)args;
	if (o->errors < 0) {
		const char *what;

		o->errors = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		what = o->errors < 0 ? "eventfd" :
		       vfio_irqs(&o->vfio, VFIO_PCI_ERR_IRQ_INDEX, 0, 1, &o->errors);
		if (what)
			return what;
	}
	eventfd_read(o->errors, &count);
	fprintf(answer, "{\"errors\": %" PRIu64 "}\n", count);
	return NULL;
}
