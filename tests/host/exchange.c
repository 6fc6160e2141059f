// SPDX-License-Identifier: GPL-2.0-or-later
/* Exchange of page tables under a running device. */
#define _GNU_SOURCE
#include "owner.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000ULL + ts.tv_nsec / 1000;
}

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
	const char *what = owner_new_table(o, &ioas, &hwpt);

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
		what = owner_look(o, from, &v);
		add(&sum, &v);
		from = v.first + v.count;
	}
	if (what)
		return what;
	owner_print(o, &sum);
	fprintf(answer, ", \"exchanges\": %" PRIu64 ", \"us_each\": %" PRIu64 "}\n", count,
		busy / count);
	return NULL;
}

const char *exchange_swap(struct owner *o, char **args)
{
	uint32_t ioas, hwpt;
	const char *what = owner_new_table(o, &ioas, &hwpt);

	/* an even number brings the first one back */
	what = what ?: exchange(o, strtoull(args[0], NULL, 0) * 2, hwpt, swap_once);
	what = what ?: iommufd_destroy(o->iommufd, hwpt);
	return what ?: iommufd_destroy(o->iommufd, ioas);
}

const char *exchange_renew(struct owner *o, char **args)
{
	return exchange(o, strtoull(args[0], NULL, 0), 0, renew_once);
}
