// SPDX-License-Identifier: GPL-2.0-or-later
/* What an owner puts into its session, and takes out of it again. */
#define _GNU_SOURCE
#include "luo.h"
#include "owner.h"

#include <errno.h>
#include <linux/vfio.h>
#include <string.h>
#include <unistd.h>

#define TAG	4711

enum { TOKEN_MEMORY = 1, TOKEN_FOREIGN, TOKEN_IOMMUFD, TOKEN_DEVICE };

const char *handover_keeps(struct owner *o, char **args)
{
	struct vfio_device_info_cap_liveupdate cap;
	const char *what = vfio_capability(&o->vfio, VFIO_DEVICE_INFO_CAP_LIVEUPDATE, &cap,
					   sizeof(cap));

	(void)args;
	if (!what)
		fprintf(answer, "{\"flags\": %u, \"latched\": %u, \"replayed\": %u}\n",
			cap.flags, cap.irqs_latched, cap.irqs_replayed);
	return what;
}

const char *handover_preserve(struct owner *o, char **args)
{
	char *all[] = { "all" };

	(void)args;
	return handover_preserve_part(o, all);
}

/* A session that ended before it had the iommufd has left the mark. */
static const char *mark(struct owner *o)
{
	const char *what = hwpt_mark(o->iommufd, o->hwpt, TAG);

	return what && errno != EALREADY ? what : NULL;
}

/* `all`, or `device` or `iommufd`: all but the other one of them. */
const char *handover_preserve_part(struct owner *o, char **args)
{
	const char *what = mark(o);

	what = what ?: luo_create(o->name, &o->session);
	what = what ?: luo_preserve(o->session, TOKEN_MEMORY, o->memory.file);
	what = what ?: luo_preserve(o->session, TOKEN_FOREIGN, o->foreign.file);
	if (!what && strcmp(args[0], "iommufd"))
		what = luo_preserve(o->session, TOKEN_DEVICE, o->vfio.device);
	if (!what && strcmp(args[0], "device"))
		what = luo_preserve(o->session, TOKEN_IOMMUFD, o->iommufd);
	return what;
}

const char *handover_cancel(struct owner *o, char **args)
{
	(void)args;
	close(o->session);
	o->session = -1;
	return NULL;
}

static const char *fetch_memory(struct owner *o, uint64_t token, struct memory *m)
{
	int file;
	const char *what = luo_retrieve(o->session, token, &file);

	return what ?: memory_adopt(m, file);
}

const char *handover_fetch(struct owner *o, char **args)
{
	const char *what = luo_retrieve_session(o->name, &o->session);

	(void)args;
	what = what ?: fetch_memory(o, TOKEN_MEMORY, &o->memory);
	what = what ?: fetch_memory(o, TOKEN_FOREIGN, &o->foreign);
	what = what ?: luo_retrieve(o->session, TOKEN_IOMMUFD, &o->iommufd);
	return what ?: luo_retrieve(o->session, TOKEN_DEVICE, &o->vfio.device);
}

const char *handover_claim(struct owner *o, char **args)
{
	const char *what = vfio_bind(&o->vfio, o->iommufd);

	(void)args;
	what = what ?: hwpt_find(o->iommufd, TAG, &o->hwpt);
	what = what ?: vfio_attach(&o->vfio, o->hwpt);
	what = what ?: vfio_start(&o->vfio);
	if (!what)
		owner_read_settings(o);
	return what;
}

const char *handover_retrieve(struct owner *o, char **args)
{
	const char *what = handover_fetch(o, args);

	return what ?: handover_claim(o, args);
}

const char *handover_replace(struct owner *o, char **args)
{
	const char *what = owner_new_table(o, &o->ioas, &o->hwpt);

	(void)args;
	return what ?: vfio_attach(&o->vfio, o->hwpt);
}

const char *handover_finish(struct owner *o, char **args)
{
	const char *what = luo_finish(o->session);

	return what ?: handover_cancel(o, args);
}
