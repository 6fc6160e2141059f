// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Promise: a timeline is read completely or refused, and the table and the
 * trace show its times, its lanes and each VM's blackout.
 */
#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "luoctl.h"
#include "tap.h"

static struct timeline t;
static struct fail f;

static int parse(const char *text)
{
	FILE *in = fmemopen((void *)text, strlen(text), "r");
	int err = timeline_parse(in, &t, &f);

	fclose(in);
	return err;
}

static char *render(void (*fn)(const struct timeline *, FILE *))
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	fn(&t, out);
	fclose(out);
	return text;
}

static const char good[] =
	"tsc_khz 2000000\n"
	"4000000000 luod:begin\n"
	"4002000000 luod:freeze\n"
	"4010000000 kernel:jump\n"
	/* measured: made later than the moment it stands for */
	"4004000000 vm1:stop\n"
	"4020000000 kernel:start\n"
	"4024000000 vm1:run\n"
	"4026000000 odd\n";

static void test_parse(void)
{
	static const char * const bad[] = {
		"", "\n", "tsc_khz\n", "tsc_khz 0\n", "tsc_khz x\n",
		"tsc_khz 1 \n", "tsc_khz 1\n\n", "tsc_khz 1\n5\n",
		"tsc_khz 1\n5 \n", "tsc_khz 1\n-5 a\n", "tsc_khz 1\n5 a b\n",
		"tsc_khz 1\nx a\n", "tsc_khz 1\n5 a",
		"tsc_khz 1\n99999999999999999999999 a\n",
		"tsc_khz 1\n5 0123456789012345678901234567890123456789\n",
	};
	static char many[16 * (STAMPS_MAX + 4)] = "tsc_khz 1\n";
	bool all = true;

	ok(!parse(good) && t.count == 7 && t.tsc_khz == 2000000, "all is read");
	ok(!strcmp(t.stamp[2].name, "vm1:stop"), "stamps are put in order of time");
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		if (parse(bad[i]) != -EBADMSG) {
			printf("# accepted: %s\n", bad[i]);
			all = false;
		}
	ok(all, "what is no timeline is refused");
	for (int i = 0; i <= STAMPS_MAX; i++)
		memcpy(many + 10 + (size_t)i * 6, "1 a:b\n", 6);
	ok(parse(many) == -EBADMSG, "too many stamps");
}

static void test_table(void)
{
	char *text;

	parse(good);
	text = render(timeline_table);
	ok(strstr(text, "       0.000        0.000  luod "), "begins at zero");
	ok(strstr(text, "       2.000        1.000  vm1 "), "time and step");
	ok(strstr(text, "blackout of vm1: 10.000 ms\n"), "blackout");
	free(text);
	parse("tsc_khz 1\n");
	text = render(timeline_table);
	ok(strstr(text, "what") && !strstr(text, "blackout"), "empty timeline");
	free(text);
}

static struct json_object *find(struct json_object *trace, const char *name,
				const char *tid)
{
	for (size_t i = 0; i < json_object_array_length(trace); i++) {
		struct json_object *e = json_object_array_get_idx(trace, i);

		if (!strcmp(name, json_object_get_string(
			    json_object_object_get(e, "name"))) &&
		    !strcmp(tid, json_object_get_string(
			    json_object_object_get(e, "tid"))))
			return e;
	}
	return NULL;
}

static double number(struct json_object *e, const char *key)
{
	return json_object_get_double(json_object_object_get(e, key));
}

static void test_trace(void)
{
	struct json_object *trace;
	char *text;

	parse(good);
	text = render(timeline_trace);
	trace = json_tokener_parse(text);
	ok(json_object_array_length(trace) == 8, "one event a stamp, and blackout");
	ok(number(find(trace, "begin", "luod"), "dur") == 1000,
	   "a slice lasts until the next stamp of its lane");
	ok(number(find(trace, "stop", "vm1"), "dur") == 10000,
	   "not of another lane");
	ok(number(find(trace, "blackout", "vm1"), "ts") == 2000 &&
	   number(find(trace, "blackout", "vm1"), "dur") == 10000, "blackout");
	ok(find(trace, "odd", "-") != NULL, "a stamp of nobody");
	json_object_put(trace);
	free(text);
}

int main(void)
{
	test_parse();
	test_table();
	test_trace();
	return tap_done();
}
