// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * luoctl devices: which PCI functions stay alive over an update.
 *
 * Reads what the kernel says of every function (docs/interfaces.md, 6): the
 * ones whose folder in sysfs has a liveupdate folder take part. Needs no luod.
 * A function that is unplugged meanwhile is left out.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "luoctl.h"

#define SYSFS		"/sys"
#define PCI_DEVICES	"bus/pci/devices"

/* The first line of a file; 0, or a negative errno. */
static int line_read(int dir, const char *name, char *text, size_t size)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	ssize_t len;
	int err;

	*text = '\0';
	if (fd < 0)
		return -errno;
	len = read(fd, text, size - 1);
	err = len < 0 ? -errno : 0;
	close(fd);
	text[err ? 0 : len] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return err;
}

static int flag_read(int dir, const char *name, bool *flag)
{
	char text[8];
	int err = line_read(dir, name, text, sizeof(text));

	if (!err && strcmp(text, "0") != 0 && strcmp(text, "1") != 0)
		err = -EBADMSG;
	*flag = *text == '1';
	return err;
}

static void driver_read(int dir, char *text, size_t size)
{
	char target[NAME_MAX + 1];
	ssize_t len = readlinkat(dir, "driver", target, sizeof(target) - 1);
	const char *base;

	target[len < 0 ? 0 : len] = '\0';
	base = strrchr(target, '/');
	snprintf(text, size, "%s", base ? base + 1 : target);
}

static int device_read(int dir, struct device *dev)
{
	int err = flag_read(dir, "liveupdate/requested", &dev->requested);

	if (!err)
		err = flag_read(dir, "liveupdate/preserved", &dev->preserved);
	if (!err)
		err = flag_read(dir, "liveupdate/reclaimed", &dev->reclaimed);
	if (!err)
		err = line_read(dir, "liveupdate/blocked_by", dev->blocked_by,
				sizeof(dev->blocked_by));
	driver_read(dir, dev->driver, sizeof(dev->driver));
	return err;
}

static int devices_add(struct devices *d, int bus, const char *name,
		       struct fail *f)
{
	struct device dev = { 0 }, *more;
	int dir = openat(bus, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int err = dir < 0 ? -errno : device_read(dir, &dev);

	if (dir >= 0)
		close(dir);
	if (err == -ENOENT || err == -ENODEV)
		return 0;
	if (err)
		return fail(f, -err, "%s: liveupdate: %s", name, strerror(-err));
	more = reallocarray(d->device, d->count + 1, sizeof(dev));
	if (!more)
		return fail(f, ENOMEM, "out of memory");
	snprintf(dev.name, sizeof(dev.name), "%s", name);
	d->device = more;
	d->device[d->count++] = dev;
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct device *)a)->name,
		      ((const struct device *)b)->name);
}

void devices_free(struct devices *d)
{
	free(d->device);
	*d = (struct devices){ 0 };
}

/* All that take part, by name. EOPNOTSUPP when there are none. */
int devices_load(const char *sysfs, struct devices *d, struct fail *f)
{
	char path[512];
	struct dirent *entry;
	int err = 0;
	DIR *bus;

	*d = (struct devices){ 0 };
	snprintf(path, sizeof(path), "%s/%s", sysfs, PCI_DEVICES);
	bus = opendir(path);
	if (!bus)
		return fail(f, errno, "%s: %s", path, strerror(errno));
	while (!err && (entry = readdir(bus)))
		if (entry->d_name[0] != '.')
			err = devices_add(d, dirfd(bus), entry->d_name, f);
	closedir(bus);
	if (!err && !d->count)
		return fail(f, EOPNOTSUPP,
			    "no PCI function takes part in live updates: the running kernel cannot keep devices, or there are none");
	if (err)
		devices_free(d);
	else
		qsort(d->device, d->count, sizeof(*d->device), by_name);
	return err;
}

static const char *yes(bool flag)
{
	return flag ? "yes" : "no";
}

void devices_table(const struct devices *d, FILE *out)
{
	fprintf(out, "%-12s  %-14s  %-9s  %-9s  %-9s  %s\n", "function",
		"driver", "requested", "preserved", "reclaimed", "blocked by");
	for (const struct device *dev = d->device; dev < d->device + d->count; dev++)
		fprintf(out, "%-12s  %-14s  %-9s  %-9s  %-9s  %s\n", dev->name,
			*dev->driver ? dev->driver : "-", yes(dev->requested),
			yes(dev->preserved), yes(dev->reclaimed),
			*dev->blocked_by ? dev->blocked_by : "-");
}

static struct json_object *text_or_null(const char *text)
{
	return *text ? json_object_new_string(text) : NULL;
}

void devices_json(const struct devices *d, FILE *out)
{
	struct json_object *all = json_object_new_array();

	for (const struct device *dev = d->device; dev < d->device + d->count; dev++) {
		struct json_object *o = json_object_new_object();

		json_object_object_add(o, "function", json_object_new_string(dev->name));
		json_object_object_add(o, "driver", text_or_null(dev->driver));
		json_object_object_add(o, "requested", json_object_new_boolean(dev->requested));
		json_object_object_add(o, "preserved", json_object_new_boolean(dev->preserved));
		json_object_object_add(o, "reclaimed", json_object_new_boolean(dev->reclaimed));
		json_object_object_add(o, "blocked_by", text_or_null(dev->blocked_by));
		json_object_array_add(all, o);
	}
	fprintf(out, "%s\n", json_object_to_json_string_ext(all, JSON_C_TO_STRING_PRETTY));
	json_object_put(all);
}

/*
 * Asks the kernel to keep a function, or no longer to. The errno is the
 * kernel's, the reason what it says in blocked_by, if anything.
 */
int device_request(const char *sysfs, const char *name, bool on, struct fail *f)
{
	char path[512], why[BLOCKED_BY_MAX];
	int err = 0, dir, fd;

	snprintf(path, sizeof(path), "%s/%s/%s/liveupdate", sysfs, PCI_DEVICES, name);
	dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return fail(f, errno, "%s: there is no such function, or it does not take part in live updates",
			    name);
	fd = openat(dir, "requested", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, on ? "1" : "0", 1) < 0)
		err = errno;
	if (fd >= 0)
		close(fd);
	if (err) {
		line_read(dir, "blocked_by", why, sizeof(why));
		fail(f, err, "%s: cannot be %s: %s", name,
		     on ? "requested" : "released", on && *why ? why : strerror(err));
	}
	close(dir);
	return -err;
}

static int devices_show(bool json)
{
	struct devices d;
	struct fail f;

	if (devices_load(SYSFS, &d, &f)) {
		say("%s (%s)", f.reason, fail_name(f.err));
		return 1;
	}
	if (json)
		devices_json(&d, stdout);
	else
		devices_table(&d, stdout);
	devices_free(&d);
	return 0;
}

int luoctl_devices(int argc, char **argv)
{
	static const struct option longopts[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "request", required_argument, NULL, 'r' },
		{ "release", required_argument, NULL, 'l' },
		{ 0 },
	};
	const char *name = NULL;
	bool json = false, on = false;
	struct fail f;
	int opt;

	while ((opt = getopt_long(argc, argv, "", longopts, NULL)) != -1) {
		if (opt == 'j') {
			json = true;
		} else if ((opt == 'r' || opt == 'l') && !name) {
			name = optarg;
			on = opt == 'r';
		} else {
			return 2;
		}
	}
	if (optind != argc || (name && (json || !*name || *name == '.' ||
					strchr(name, '/'))))
		return 2;
	if (!name)
		return devices_show(json);
	if (!device_request(SYSFS, name, on, &f))
		return 0;
	say("%s (%s)", f.reason, fail_name(f.err));
	return 1;
}
