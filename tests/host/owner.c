// SPDX-License-Identifier: GPL-2.0-or-later
#define _GNU_SOURCE
#include "owner.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Also after an open that went wrong half-way. */
const char *owner_close(struct owner *o, char **args)
{
	(void)args;
	vectors_close(&o->vectors);
	vfio_close(&o->vfio);
	if (o->errors >= 0)
		close(o->errors);
	if (o->iommufd >= 0)
		close(o->iommufd);
	memory_close(&o->memory);
	memory_close(&o->foreign);
	if (o->session >= 0)
		close(o->session);
	*o = NO_OWNER;
	return NULL;
}

const char *owner_new_table(struct owner *o, uint32_t *ioas, uint32_t *hwpt)
{
	const char *what = ioas_alloc(o->iommufd, o->huge, ioas);

	what = what ?: ioas_map(o->iommufd, *ioas, o->memory.file, o->memory.size, IOVA);
	return what ?: vfio_hwpt_alloc(&o->vfio, *ioas, hwpt);
}

static const char *take(struct owner *o, const char *address)
{
	const char *what = iommufd_open(&o->iommufd);

	what = what ?: vfio_open(&o->vfio, address, o->iommufd);
	what = what ?: owner_new_table(o, &o->ioas, &o->hwpt);
	what = what ?: vfio_attach(&o->vfio, o->hwpt);
	return what ?: vfio_start(&o->vfio);
}

const char *owner_open(struct owner *o, char **args)
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

const char *owner_where(struct owner *o, char **args)
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
const char *owner_map_more(struct owner *o, char **args)
{
	struct memory more;
	const char *what = memory_create(&more, "more", MIB, 0);

	(void)args;
	what = what ?: ioas_map(o->iommufd, o->ioas, more.file, more.size, IOVA + o->memory.size);
	memory_close(&more);
	return what;
}

const char *owner_map_less(struct owner *o, char **args)
{
	(void)args;
	return ioas_unmap(o->iommufd, o->ioas, MIB, IOVA + o->memory.size);
}

/* --- the device */

const char *owner_disarm(struct owner *o, char **args)
{
	(void)args;
	vfio_write(&o->vfio, HLU_PROBE_CONTROL, 0);
	return NULL;
}

void owner_read_settings(struct owner *o)
{
	o->ring = (struct ring_settings){
		.function = vfio_read(&o->vfio, HLU_PROBE_FUNCTION),
		.period_us = vfio_read(&o->vfio, HLU_PROBE_PERIOD_US),
		.records = vfio_read(&o->vfio, HLU_PROBE_RECORDS),
		.irq_every = vfio_read(&o->vfio, HLU_PROBE_IRQ_EVERY),
		.irq_vectors = vfio_read(&o->vfio, HLU_PROBE_IRQ_VECTORS),
	};
}

const char *owner_arm(struct owner *o, char **args)
{
	const struct vfio *v = &o->vfio;

	owner_disarm(o, NULL);
	vectors_pause(&o->vectors);
	vectors_clear(&o->vectors);
	memset(o->memory.at, 0, RING_SIZE);
	vfio_write64(v, HLU_PROBE_RING, IOVA);
	vfio_write(v, HLU_PROBE_PERIOD_US, strtoul(args[0], NULL, 0));
	vfio_write(v, HLU_PROBE_RECORDS, strtoul(args[1], NULL, 0));
	vfio_write(v, HLU_PROBE_IRQ_EVERY, strtoul(args[2], NULL, 0));
	vfio_write(v, HLU_PROBE_IRQ_VECTORS, strtoul(args[3], NULL, 0));
	owner_read_settings(o);
	vfio_write(v, HLU_PROBE_CONTROL, HLU_PROBE_CONTROL_ARM);
	if (vfio_read(v, HLU_PROBE_STATUS) & HLU_PROBE_STATUS_ARMED)
		return vectors_resume(&o->vectors);
	errno = EINVAL;
	return "arm";
}

const char *owner_poke(struct owner *o, char **args)
{
	vfio_write64(&o->vfio, HLU_PROBE_POKE, strtoull(args[0], NULL, 0));
	/* the answer comes after the write */
	vfio_read(&o->vfio, HLU_PROBE_STATUS);
	return NULL;
}

const char *owner_look(struct owner *o, uint64_t from, struct ring_verdict *v)
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

void owner_print(struct owner *o, const struct ring_verdict *v)
{
	fprintf(answer, "{");
	ring_print(answer, &o->ring,
		   vfio_read(&o->vfio, HLU_PROBE_STATUS) & HLU_PROBE_STATUS_ARMED, v);
	fprintf(answer, ", \"dma_failed\": %" PRIu64 ", \"pattern_ok\": %s, \"foreign_ok\": %s",
		vfio_read64(&o->vfio, HLU_PROBE_DMA_FAILED),
		memory_whole(&o->memory, PATTERN) ? "true" : "false",
		memory_whole(&o->foreign, 0) ? "true" : "false");
}

const char *owner_check(struct owner *o, char **args)
{
	struct ring_verdict v;
	const char *what = owner_look(o, strtoull(args[0], NULL, 0), &v);

	if (!what) {
		owner_print(o, &v);
		fprintf(answer, "}\n");
	}
	return what;
}
