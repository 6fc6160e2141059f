// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Promise: every function that takes part is listed with what the kernel says
 * of it, no other is, and a refused request says why.
 */
#include <errno.h>
#include <ftw.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "luoctl.h"
#include "tap.h"

static char root[] = "/tmp/test_devices.XXXXXX";
static struct devices d;
static struct fail f;

static void at(char *path, size_t size, const char *name, const char *file)
{
	snprintf(path, size, "%s/bus/pci/devices/%s%s%s", root, name,
		 file ? "/" : "", file ? file : "");
}

static void folder(const char *name, const char *file)
{
	char path[256];

	at(path, sizeof(path), name, file);
	if (mkdir(path, 0755))
		perror(path);
}

static void put(const char *name, const char *file, const char *text)
{
	char path[256];
	FILE *out;

	at(path, sizeof(path), name, file);
	out = fopen(path, "w");
	if (!out || fputs(text, out) < 0 || fclose(out))
		perror(path);
}

static void function(const char *name, const char *driver, const char *flags,
		     const char *blocked_by)
{
	static const char * const files[] = {
		"liveupdate/requested", "liveupdate/preserved",
		"liveupdate/reclaimed",
	};
	char path[256], target[64];

	folder(name, NULL);
	folder(name, "liveupdate");
	for (int i = 0; i < 3; i++)
		put(name, files[i], flags[i] == '1' ? "1\n" : "0\n");
	put(name, "liveupdate/blocked_by", blocked_by);
	if (!driver)
		return;
	at(path, sizeof(path), name, "driver");
	snprintf(target, sizeof(target), "../../drivers/%s", driver);
	if (symlink(target, path))
		perror(path);
}

static void tree(void)
{
	static const char * const folders[] = { "bus", "bus/pci", "bus/pci/devices" };
	char path[64];

	if (!mkdtemp(root))
		perror(root);
	for (int i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/%s", root, folders[i]);
		if (mkdir(path, 0755))
			perror(path);
	}
}

static char *render(void (*fn)(const struct devices *, FILE *))
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	fn(&d, out);
	fclose(out);
	return text;
}

static void test_none(void)
{
	ok(devices_load("/nowhere", &d, &f) == -ENOENT, "no sysfs");
	ok(devices_load(root, &d, &f) == -EOPNOTSUPP, "no function");
	folder("0000:00:1f.0", NULL);
	ok(devices_load(root, &d, &f) == -EOPNOTSUPP && !d.count,
	   "no function that takes part");
}

static void test_load(void)
{
	function("0000:02:00.1", "hlu_probe", "110", "");
	function("0000:00:02.0", "e1000e", "000", "e1000e cannot keep it\n");
	function("0000:01:00.0", NULL, "001", "\n");
	ok(!devices_load(root, &d, &f) && d.count == 3, "all that take part");
	ok(!strcmp(d.device[0].name, "0000:00:02.0") &&
	   !strcmp(d.device[1].name, "0000:01:00.0") &&
	   !strcmp(d.device[2].name, "0000:02:00.1"), "by name");
	ok(!strcmp(d.device[2].driver, "hlu_probe"), "driver");
	ok(!*d.device[1].driver, "no driver");
	ok(d.device[2].requested && d.device[2].preserved &&
	   !d.device[2].reclaimed, "requested and preserved");
	ok(!d.device[1].requested && !d.device[1].preserved &&
	   d.device[1].reclaimed, "reclaimed");
	ok(!strcmp(d.device[0].blocked_by, "e1000e cannot keep it"), "blocked by");
	ok(!*d.device[1].blocked_by && !*d.device[2].blocked_by, "not blocked");
}

static void test_table(void)
{
	char *text = render(devices_table);

	ok(strstr(text, "function      driver          requested  preserved  reclaimed  blocked by\n"),
	   "head");
	ok(strstr(text, "0000:00:02.0  e1000e          no         no         no         e1000e cannot keep it\n"),
	   "a line with a reason");
	ok(strstr(text, "0000:01:00.0  -               no         no         yes        -\n"),
	   "a line without driver and reason");
	free(text);
}

static void test_json(void)
{
	char *text = render(devices_json);
	struct json_object *all = json_tokener_parse(text);
	struct json_object *first = json_object_array_get_idx(all, 0);
	struct json_object *last = json_object_array_get_idx(all, 2);

	ok(json_object_array_length(all) == 3, "one object a function");
	ok(!strcmp(json_object_get_string(json_object_object_get(last, "function")),
		   "0000:02:00.1") &&
	   json_object_get_boolean(json_object_object_get(last, "requested")) &&
	   json_object_get_boolean(json_object_object_get(last, "preserved")) &&
	   !json_object_get_boolean(json_object_object_get(last, "reclaimed")) &&
	   !json_object_object_get(last, "blocked_by"), "members");
	ok(!strcmp(json_object_get_string(json_object_object_get(first, "blocked_by")),
		   "e1000e cannot keep it"), "reason");
	json_object_put(all);
	free(text);
	devices_free(&d);
}

static void test_bad(void)
{
	put("0000:01:00.0", "liveupdate/preserved", "maybe\n");
	ok(devices_load(root, &d, &f) == -EBADMSG && strstr(f.reason, "0000:01:00.0"),
	   "what is no flag is refused by name");
	put("0000:01:00.0", "liveupdate/preserved", "0\n");
}

static bool requested(const char *name)
{
	bool found = false;

	if (devices_load(root, &d, &f))
		return false;
	for (size_t i = 0; i < d.count; i++)
		if (!strcmp(d.device[i].name, name))
			found = d.device[i].requested;
	devices_free(&d);
	return found;
}

static void test_request(void)
{
	char path[256];

	ok(!device_request(root, "0000:01:00.0", true, &f) &&
	   requested("0000:01:00.0"), "request");
	ok(!device_request(root, "0000:01:00.0", false, &f) &&
	   !requested("0000:01:00.0"), "release");
	ok(device_request(root, "0000:09:00.0", true, &f) == -ENOENT &&
	   strstr(f.reason, "0000:09:00.0"), "no such function");

	/* a folder cannot be written: stands for any refusal of the kernel */
	at(path, sizeof(path), "0000:00:02.0", "liveupdate/requested");
	unlink(path);
	mkdir(path, 0755);
	ok(device_request(root, "0000:00:02.0", true, &f) == -EISDIR &&
	   !strcmp(f.reason, "0000:00:02.0: cannot be requested: e1000e cannot keep it"),
	   "a refusal says what blocks it");
	ok(device_request(root, "0000:00:02.0", false, &f) == -EISDIR &&
	   strstr(f.reason, "cannot be released: Is a directory"),
	   "a release is not blocked by it");
}

static int forget(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

int main(void)
{
	tree();
	test_none();
	test_load();
	test_table();
	test_json();
	test_bad();
	test_request();
	nftw(root, forget, 8, FTW_DEPTH | FTW_PHYS);
	return tap_done();
}
