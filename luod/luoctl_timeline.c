// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * luoctl timeline: the last update's stamps, for people and for trace viewers.
 *
 * The table shows each stamp with its time since the first one and since the
 * one before it; then the blackout of each VM, from its `stop` to its `run`.
 * --json is an array of Chrome trace events: a lane (tid) for each WHO, in it a
 * slice from each stamp to the next one, and a slice `blackout` for a VM.
 */
#include <getopt.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "luoctl.h"

static double ms_between(const struct timeline *t, const struct stamp *from,
			 const struct stamp *to)
{
	return (double)(int64_t)(to->tsc - from->tsc) / (double)t->tsc_khz;
}

/* "WHO:WHAT" -> length of WHO, and WHAT; a stamp without who has length 0. */
static size_t stamp_split(const struct stamp *stamp, const char **what)
{
	const char *colon = strchr(stamp->name, ':');

	*what = colon ? colon + 1 : stamp->name;
	return colon ? (size_t)(colon - stamp->name) : 0;
}

static bool same_who(const struct stamp *a, const struct stamp *b)
{
	const char *what;
	size_t len = stamp_split(a, &what);

	return len == stamp_split(b, &what) && !memcmp(a->name, b->name, len);
}

/* The next stamp of the same who, with the given WHAT if that is not NULL. */
static const struct stamp *stamp_next(const struct timeline *t,
				      const struct stamp *from,
				      const char *wanted)
{
	const char *what;

	for (const struct stamp *s = from + 1; s < t->stamp + t->count; s++) {
		stamp_split(s, &what);
		if (same_who(from, s) && (!wanted || !strcmp(what, wanted)))
			return s;
	}
	return NULL;
}

/* The end of the blackout that begins with @stop, if it does begin there. */
static const struct stamp *blackout_end(const struct timeline *t,
					const struct stamp *stop)
{
	const char *what;

	stamp_split(stop, &what);
	return strcmp(what, "stop") ? NULL : stamp_next(t, stop, "run");
}

void timeline_table(const struct timeline *t, FILE *out)
{
	const struct stamp *s;
	const char *what;

	fprintf(out, "%12s %12s  %-28s %s\n", "ms", "step", "who", "what");
	for (s = t->stamp; s < t->stamp + t->count; s++) {
		int len = (int)stamp_split(s, &what);

		fprintf(out, "%12.3f %12.3f  %-28.*s %s\n",
			ms_between(t, t->stamp, s),
			s == t->stamp ? 0 : ms_between(t, s - 1, s), len,
			s->name, what);
	}
	for (s = t->stamp; s < t->stamp + t->count; s++) {
		const struct stamp *end = blackout_end(t, s);

		if (end)
			fprintf(out, "blackout of %.*s: %.3f ms\n",
				(int)stamp_split(s, &what), s->name,
				ms_between(t, s, end));
	}
}

static void trace_add(struct json_object *trace, const struct timeline *t,
		      const char *name, const struct stamp *from,
		      const struct stamp *to)
{
	struct json_object *e = json_object_new_object();
	const char *what;
	size_t len = stamp_split(from, &what);

	json_object_object_add(e, "name", json_object_new_string(name));
	json_object_object_add(e, "ph", json_object_new_string(to ? "X" : "i"));
	json_object_object_add(e, "ts", json_object_new_double(
			       ms_between(t, t->stamp, from) * 1000));
	if (to)
		json_object_object_add(e, "dur", json_object_new_double(
				       ms_between(t, from, to) * 1000));
	else
		json_object_object_add(e, "s", json_object_new_string("t"));
	json_object_object_add(e, "pid", json_object_new_string("update"));
	json_object_object_add(e, "tid", json_object_new_string_len(
			       len ? from->name : "-", len ? (int)len : 1));
	json_object_array_add(trace, e);
}

void timeline_trace(const struct timeline *t, FILE *out)
{
	struct json_object *trace = json_object_new_array();
	const char *what;

	for (const struct stamp *s = t->stamp; s < t->stamp + t->count; s++) {
		const struct stamp *end = blackout_end(t, s);

		stamp_split(s, &what);
		trace_add(trace, t, what, s, stamp_next(t, s, NULL));
		if (end)
			trace_add(trace, t, "blackout", s, end);
	}
	fprintf(out, "%s\n", json_object_to_json_string_ext(trace,
						JSON_C_TO_STRING_PRETTY));
	json_object_put(trace);
}

int luoctl_timeline(int argc, char **argv)
{
	static const struct option longopts[] = {
		{ "json", no_argument, NULL, 'j' },
		{ 0 },
	};
	struct timeline *t;
	bool json = false;
	struct fail f;
	int err, opt;

	while ((opt = getopt_long(argc, argv, "", longopts, NULL)) != -1) {
		if (opt != 'j')
			return 2;
		json = true;
	}
	if (optind != argc)
		return 2;
	t = malloc(sizeof(*t));
	if (!t)
		return 1;
	err = timeline_load(t, &f);
	if (err)
		say("%s (%s)", f.reason, fail_name(f.err));
	else if (json)
		timeline_trace(t, stdout);
	else
		timeline_table(t, stdout);
	free(t);
	return err ? 1 : 0;
}
