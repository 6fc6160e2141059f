// SPDX-License-Identifier: GPL-2.0
/*
 * Selftests of devices in a live update: the ABI of the sysfs group liveupdate/
 * and what it means for a device that is kept alive. Needs root, liveupdate=on
 * and a device that can be requested: the one that DEV_LIVEUPDATE_DEVICE names
 * (its folder below /sys/bus/pci/devices), else the first PCI device whose
 * blocked_by is empty. Nothing is written to the device itself.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../kselftest.h"
#include "../kselftest_harness.h"

#include "host_files.h"

#define DEVICES	"/sys/bus/pci/devices/"
#define NOBODY	65534

static bool reads(const char *path, const char *text)
{
	return !strcmp(read_file(path), text);
}

/* The path of an attribute of a device. */
static const char *attr(const char *device, const char *name)
{
	static char path[4][512];
	static int next;

	next = (next + 1) % 4;
	snprintf(path[next], sizeof(path[next]), DEVICES "%s/liveupdate/%s",
		 device, name);

	return path[next];
}

/* The first device that is blocked, or is not; NULL when there is none. */
static const char *find_device(bool blocked, char *name, size_t size)
{
	DIR *dir = opendir(DEVICES);
	struct dirent *entry;
	bool found = false;

	while (dir && !found && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.' ||
		    access(attr(entry->d_name, "blocked_by"), F_OK))
			continue;
		found = blocked == !!*read_file(attr(entry->d_name,
						     "blocked_by"));
		if (found)
			snprintf(name, size, "%.63s", entry->d_name);
	}
	if (dir)
		closedir(dir);

	return found ? name : NULL;
}

FIXTURE(device)
{
	char name[64];
	char requested[512];
};

FIXTURE_SETUP(device)
{
	const char *named = getenv("DEV_LIVEUPDATE_DEVICE");

	if (access(SYSFS "state", F_OK))
		SKIP(return, "no /sys/kernel/liveupdate: boot with liveupdate=on");
	ASSERT_TRUE(reads(SYSFS "state", "normal\n"));
	if (named)
		snprintf(self->name, sizeof(self->name), "%s", named);
	else if (!find_device(false, self->name, sizeof(self->name)))
		SKIP(return, "no PCI device that can be requested");
	snprintf(self->requested, sizeof(self->requested), "%s",
		 attr(self->name, "requested"));
	ASSERT_EQ(access(self->requested, F_OK), 0) TH_LOG("%s", self->name);
}

FIXTURE_TEARDOWN(device)
{
	write_file(SYSFS "prepare", "0");
	write_file(self->requested, "0");
	write_file(DEBUGFS "fail_device", "\n");
}

/* Prepares the device alone. */
static int prepare(const char *requested)
{
	return write_file(requested, "1") ?: write_file(SYSFS "prepare", "1");
}

TEST_F(device, modes_are_as_documented)
{
	static const struct {
		const char *name;
		mode_t mode;
	} files[] = {
		{ "requested", 0644 },
		{ "preserved", 0444 },
		{ "reclaimed", 0444 },
		{ "blocked_by", 0444 },
	};
	struct stat st;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(files); i++) {
		ASSERT_EQ(stat(attr(self->name, files[i].name), &st), 0);
		EXPECT_EQ(st.st_mode & 07777, files[i].mode)
			TH_LOG("%s", files[i].name);
		EXPECT_EQ(st.st_uid, 0);
	}
}

TEST_F(device, only_buses_that_take_part_have_the_group)
{
	EXPECT_NE(access("/sys/devices/system/cpu/cpu0/liveupdate", F_OK), 0);
	EXPECT_NE(access("/sys/devices/virtual/tty/tty/liveupdate", F_OK), 0);
	EXPECT_NE(access("/sys/devices/platform/liveupdate", F_OK), 0);
}

TEST_F(device, request_can_be_withdrawn)
{
	EXPECT_TRUE(reads(self->requested, "0\n"));
	EXPECT_TRUE(reads(attr(self->name, "blocked_by"), ""));
	EXPECT_EQ(write_file(self->requested, "1"), 0);
	EXPECT_EQ(write_file(self->requested, "1\n"), 0);
	EXPECT_TRUE(reads(self->requested, "1\n"));
	EXPECT_EQ(write_file(self->requested, "0\n"), 0);
	EXPECT_TRUE(reads(self->requested, "0\n"));
}

TEST_F(device, other_text_is_EINVAL_and_changes_nothing)
{
	static const char * const bad[] = {
		"2", "-1", "yes", "y", "1 1", "01", "11", "\n", "1\n\n",
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		EXPECT_EQ(write_file(self->requested, bad[i]), EINVAL)
			TH_LOG("text %zu", i);
	EXPECT_TRUE(reads(self->requested, "0\n"));
	ASSERT_EQ(write_file(self->requested, "1"), 0);
	EXPECT_EQ(write_file(self->requested, "off"), EINVAL);
	EXPECT_TRUE(reads(self->requested, "1\n"));
}

TEST_F(device, refused_request_says_why_and_changes_nothing)
{
	char name[64], why[512], path[512];
	int err;

	if (!find_device(true, name, sizeof(name)))
		SKIP(return, "every PCI device can be requested");
	snprintf(why, sizeof(why), "%.511s",
		 read_file(attr(name, "blocked_by")));
	err = write_file(attr(name, "requested"), "1");
	EXPECT_NE(err, 0);
	EXPECT_NE(err, EINVAL);
	EXPECT_NE(err, EBUSY);
	EXPECT_TRUE(reads(attr(name, "requested"), "0\n"));
	/* one line, and its first word is a device */
	EXPECT_EQ(strchr(why, '\n'), why + strlen(why) - 1);
	snprintf(path, sizeof(path), DEVICES "%.*s", (int)strcspn(why, " "), why);
	EXPECT_EQ(access(path, F_OK), 0) TH_LOG("%s", why);
}

TEST_F(device, wrong_state_is_EBUSY_and_changes_nothing)
{
	ASSERT_EQ(prepare(self->requested), 0);
	EXPECT_EQ(write_file(self->requested, "0"), EBUSY);
	EXPECT_EQ(write_file(self->requested, "1"), EBUSY);
	EXPECT_EQ(write_file(self->requested, "2"), EINVAL);
	EXPECT_TRUE(reads(self->requested, "1\n"));
	ASSERT_EQ(write_file(SYSFS "prepare", "0"), 0);
	EXPECT_TRUE(reads(self->requested, "1\n"));
	EXPECT_EQ(write_file(self->requested, "0"), 0);
}

/* 0, or what a process without the capability could do; runs in a child. */
static int try_without_capability(const char *requested, int inherited)
{
	int fd;

	if (write(inherited, "1", 1) != -1 || errno != EPERM)
		return 1;
	/* the owner's and the others' modes let it in */
	fd = open(requested, O_WRONLY);
	if (fd < 0)
		return 2;
	if (write(fd, "1", 1) != -1 || errno != EPERM)
		return 3;
	if (write(fd, "nonsense", 8) != -1 || errno != EPERM)
		return 4;

	return 0;
}

static int as_nobody(const char *requested, int inherited)
{
	if (setgid(NOBODY) || setuid(NOBODY))
		return 10;

	return try_without_capability(requested, inherited);
}

/* Has every capability, but not in the initial user namespace. */
static int as_root_of_a_container(const char *requested, int inherited)
{
	if (setgid(NOBODY) || setuid(NOBODY) || unshare(CLONE_NEWUSER))
		return 10;
	/* else its files in /proc stay root's */
	if (prctl(PR_SET_DUMPABLE, 1))
		return 10;
	if (write_file("/proc/self/uid_map", "0 65534 1"))
		return 11;
	if (setuid(0) || getuid())
		return 12;

	return try_without_capability(requested, inherited);
}

static void expect_refused(struct __test_metadata *_metadata,
			   const char *requested,
			   int (*as)(const char *requested, int inherited))
{
	int inherited = open(requested, O_WRONLY);
	int status;
	pid_t pid;

	ASSERT_GE(inherited, 0);
	ASSERT_EQ(chown(requested, NOBODY, NOBODY), 0);
	ASSERT_EQ(chmod(requested, 0666), 0);
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid)
		_exit(as(requested, inherited));
	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	EXPECT_EQ(status, 0) TH_LOG("step %d", WEXITSTATUS(status));
	EXPECT_TRUE(reads(requested, "0\n"));
	EXPECT_EQ(chown(requested, 0, 0), 0);
	EXPECT_EQ(chmod(requested, 0644), 0);
	close(inherited);
}

TEST_F(device, unprivileged_user_is_refused_whatever_owner_and_mode)
{
	expect_refused(_metadata, self->requested, as_nobody);
}

TEST_F(device, root_of_a_container_is_refused_whatever_owner_and_mode)
{
	expect_refused(_metadata, self->requested, as_root_of_a_container);
}

/* Whether the attribute has changed since it was read last. */
static bool woken(int fd, int timeout)
{
	struct pollfd pfd = { .fd = fd, .events = POLLPRI };
	char buf[8];

	return poll(&pfd, 1, timeout) == 1 && pfd.revents & POLLPRI &&
	       pread(fd, buf, sizeof(buf), 0) > 0;
}

TEST_F(device, preserved_can_be_read_and_polled)
{
	int fd = open(attr(self->name, "preserved"), O_RDONLY);
	char buf[8];

	ASSERT_GE(fd, 0);
	ASSERT_GT(pread(fd, buf, sizeof(buf), 0), 0);
	EXPECT_FALSE(woken(fd, 0));
	EXPECT_TRUE(reads(attr(self->name, "preserved"), "0\n"));

	ASSERT_EQ(prepare(self->requested), 0);
	EXPECT_TRUE(woken(fd, 2000));
	EXPECT_TRUE(reads(attr(self->name, "preserved"), "1\n"));
	EXPECT_TRUE(reads(attr(self->name, "reclaimed"), "0\n"));

	ASSERT_EQ(write_file(SYSFS "prepare", "0"), 0);
	EXPECT_TRUE(woken(fd, 2000));
	EXPECT_TRUE(reads(attr(self->name, "preserved"), "0\n"));
	close(fd);
}

TEST_F(device, preserved_device_cannot_be_unbound)
{
	char unbind[512], driver[256];

	snprintf(driver, sizeof(driver), DEVICES "%s/driver", self->name);
	snprintf(unbind, sizeof(unbind), "%s/unbind", driver);
	if (access(unbind, F_OK))
		SKIP(return, "the driver has no unbind");
	ASSERT_EQ(prepare(self->requested), 0);
	EXPECT_EQ(write_file(unbind, self->name), EBUSY);
	EXPECT_EQ(access(driver, F_OK), 0);
}

TEST_F(device, injected_fault_undoes_prepare)
{
	char line[128];

	snprintf(line, sizeof(line), "prepare %s bus 28\n", self->name);
	if (write_file(DEBUGFS "fail_device", line))
		SKIP(return, "no liveupdate/fail_device in debugfs");
	EXPECT_TRUE(reads(DEBUGFS "fail_device", line));
	EXPECT_EQ(prepare(self->requested), ENOSPC);
	EXPECT_TRUE(reads(SYSFS "state", "normal\n"));
	EXPECT_TRUE(reads(attr(self->name, "preserved"), "0\n"));
	EXPECT_TRUE(reads(DEBUGFS "fail_device", ""));
	EXPECT_EQ(write_file(SYSFS "prepare", "1"), 0);
}

TEST_F(device, injected_fault_undoes_reboot)
{
	char line[128];

	snprintf(line, sizeof(line), "reboot %s driver 5\n", self->name);
	if (write_file(DEBUGFS "fail_device", line))
		SKIP(return, "no liveupdate/fail_device in debugfs");
	ASSERT_EQ(prepare(self->requested), 0);
	EXPECT_EQ(write_file(DEBUGFS "dry_run", "1"), EIO);
	EXPECT_TRUE(reads(SYSFS "state", "normal\n"));
	EXPECT_TRUE(reads(attr(self->name, "preserved"), "0\n"));
	ASSERT_EQ(write_file(SYSFS "prepare", "1"), 0);
	EXPECT_EQ(write_file(DEBUGFS "dry_run", "1"), 0);
	EXPECT_TRUE(reads(attr(self->name, "preserved"), "0\n"));
}

TEST_F(device, bad_faults_are_EINVAL)
{
	static const char * const bad[] = {
		"prepare", "prepare x driver", "finish x driver 5",
		"prepare x card 5", "prepare x bus 0", "prepare x bus 9999",
		"prepare x bus 5 5",
	};
	size_t i;

	if (access(DEBUGFS "fail_device", F_OK))
		SKIP(return, "no liveupdate/fail_device in debugfs");
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		EXPECT_EQ(write_file(DEBUGFS "fail_device", bad[i]), EINVAL)
			TH_LOG("text %zu", i);
	EXPECT_TRUE(reads(DEBUGFS "fail_device", ""));
}

/* Where the event of a part of a device is in the trace; NULL: nowhere. */
static const char *traced(const char *trace, const char *event,
			  const char *device, const char *part)
{
	char line[128];

	snprintf(line, sizeof(line), "liveupdate_device: %s %s %s err=0", event,
		 device, part);

	return strstr(trace, line);
}

TEST_F(device, trace_shows_bus_after_driver_and_cancel_in_reverse)
{
	const char *trace, *prepare_bus, *cancel_bus, *driver;

	if (trace_start())
		SKIP(return, "no tracing of events");
	ASSERT_EQ(prepare(self->requested), 0);
	ASSERT_EQ(write_file(SYSFS "prepare", "0"), 0);
	trace = read_file(TRACING "trace");
	prepare_bus = traced(trace, "prepare", self->name, "bus");
	cancel_bus = traced(trace, "cancel", self->name, "bus");
	ASSERT_NE(prepare_bus, NULL);
	ASSERT_NE(cancel_bus, NULL);
	EXPECT_LT(prepare_bus, cancel_bus);
	/* a driver may leave out either */
	driver = traced(trace, "prepare", self->name, "driver");
	if (driver)
		EXPECT_LT(driver, prepare_bus);
	driver = traced(trace, "cancel", self->name, "driver");
	if (driver)
		EXPECT_GT(driver, cancel_bus);
	EXPECT_EQ(trace_stop(), 0);
}

TEST_HARNESS_MAIN
