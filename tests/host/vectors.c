// SPDX-License-Identifier: GPL-2.0-or-later
#define _GNU_SOURCE
#include "vectors.h"

#include <errno.h>
#include <linux/vfio.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static uint64_t next_record(void *arg)
{
	const struct vectors *v = arg;

	return vfio_read64(v->vfio, HLU_PROBE_SEQUENCE);
}

/*
 * The device counts an interrupt after it wrote the record, and before it raises
 * the interrupt: whatever it has counted by now must be in memory.
 */
static void look(struct vectors *v, uint32_t vector)
{
	struct vector_counts *c = &v->counts[vector];
	uint64_t raised = vfio_read64(v->vfio, HLU_PROBE_IRQ_COUNT(vector));

	if (raised && !ring_announces(v->ring, v->settings, vector, raised, next_record, v))
		c->early++;
	c->seen = raised;
}

static void handle(struct vectors *v, uint32_t vector)
{
	uint64_t signals;

	if (read(v->event[vector], &signals, sizeof(signals)) != sizeof(signals))
		return;
	v->counts[vector].signals += signals;
	if (v->index == VFIO_PCI_INTX_IRQ_INDEX)
		vfio_write(v->vfio, HLU_PROBE_INTX_ACK, 0);
	look(v, vector);
	if (v->index == VFIO_PCI_INTX_IRQ_INDEX)
		vfio_intx_unmask(v->vfio);
}

static void *wait_for_signals(void *arg)
{
	struct pollfd polled[MAX_VECTORS + 1];
	struct vectors *v = arg;

	for (uint32_t i = 0; i < v->number; i++)
		polled[i] = (struct pollfd){ .fd = v->event[i], .events = POLLIN };
	polled[v->number] = (struct pollfd){ .fd = v->stop, .events = POLLIN };
	while (poll(polled, v->number + 1, -1) > 0) {
		if (polled[v->number].revents)
			break;
		for (uint32_t i = 0; i < v->number; i++)
			if (polled[i].revents)
				handle(v, i);
	}
	return NULL;
}

void vectors_pause(struct vectors *v)
{
	if (!v->runs)
		return;
	eventfd_write(v->stop, 1);
	pthread_join(v->thread, NULL);
	close(v->stop);
	v->stop = -1;
	v->runs = false;
}

const char *vectors_resume(struct vectors *v)
{
	if (v->runs || !v->number)
		return NULL;
	v->stop = eventfd(0, EFD_CLOEXEC);
	if (v->stop < 0)
		return "eventfd";
	errno = pthread_create(&v->thread, NULL, wait_for_signals, v);
	v->runs = !errno;
	return errno ? "thread" : NULL;
}

/* Only the first `heard` of them get an eventfd. */
static const char *change(struct vectors *v, uint32_t first, uint32_t number, uint32_t heard)
{
	const char *what;

	if (first + number > v->number) {
		errno = ERANGE;
		return "vectors";
	}
	vectors_pause(v);
	for (uint32_t i = 0; i < number; i++) {
		int *event = &v->event[first + i];

		if (*event >= 0)
			close(*event);
		*event = i < heard ? eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) : -1;
	}
	what = vfio_irqs(v->vfio, v->index, first, number, v->event + first);
	return what ?: vectors_resume(v);
}

const char *vectors_give(struct vectors *v, uint32_t first, uint32_t number)
{
	return change(v, first, number, number);
}

const char *vectors_take(struct vectors *v, uint32_t first, uint32_t number)
{
	return change(v, first, number, 0);
}

static const char *index_of(const char *kind, uint32_t *index)
{
	static const char *const kinds[] = {
		[VFIO_PCI_INTX_IRQ_INDEX] = "intx",
		[VFIO_PCI_MSI_IRQ_INDEX] = "msi",
		[VFIO_PCI_MSIX_IRQ_INDEX] = "msix",
	};

	for (*index = 0; *index < sizeof(kinds) / sizeof(kinds[0]); ++*index)
		if (!strcmp(kinds[*index], kind))
			return NULL;
	errno = EINVAL;
	return "kind of interrupt";
}

const char *vectors_open(struct vectors *v, const char *kind, uint32_t number, uint32_t heard)
{
	const char *what = index_of(kind, &v->index);

	if (!what && (!number || number > MAX_VECTORS || v->number)) {
		errno = EINVAL;
		what = "vectors";
	}
	if (what)
		return what;
	memset(v->event, -1, sizeof(v->event));
	v->number = number;
	what = change(v, 0, number, heard);
	if (what)
		vectors_close(v);
	return what;
}

void vectors_clear(struct vectors *v)
{
	uint64_t signals;

	for (uint32_t i = 0; i < v->number; i++)
		while (v->event[i] >= 0 && read(v->event[i], &signals, sizeof(signals)) > 0)
			;
	if (v->counts)
		memset(v->counts, 0, MAX_VECTORS * sizeof(*v->counts));
}

void vectors_close(struct vectors *v)
{
	vectors_pause(v);
	for (uint32_t i = 0; i < v->number; i++)
		if (v->event[i] >= 0)
			close(v->event[i]);
	v->number = 0;
}
