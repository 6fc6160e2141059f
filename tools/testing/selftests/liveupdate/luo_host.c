// SPDX-License-Identifier: GPL-2.0
/*
 * Selftests of the host-wide live update state: the ABI of
 * /sys/kernel/liveupdate, the rules about files that need prepare, and the dry
 * run of a reboot. Needs root, liveupdate=on and, for devices and injected
 * failures, CONFIG_LIVEUPDATE_TEST.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/liveupdate.h>

#include <libliveupdate.h>

#include "../kselftest.h"
#include "../kselftest_harness.h"

#include "host_files.h"

#define DEVICE	"/dev/liveupdate_test"

static bool state_is(const char *state)
{
	char *text = read_file(SYSFS "state");

	return !strncmp(text, state, strlen(state)) &&
	       !strcmp(text + strlen(state), "\n");
}

FIXTURE(host)
{
	int dev;
	int session;
};

FIXTURE_SETUP(host)
{
	if (access(SYSFS "state", F_OK))
		SKIP(return, "no /sys/kernel/liveupdate: boot with liveupdate=on");
	ASSERT_TRUE(state_is("normal"));
	self->dev = open("/dev/liveupdate", O_RDWR);
	ASSERT_GE(self->dev, 0);
	self->session = luo_create_session(self->dev, "selftest");
	ASSERT_GE(self->session, 0);
}

FIXTURE_TEARDOWN(host)
{
	write_file(SYSFS "prepare", "0");
	close(self->session);
	close(self->dev);
}

TEST_F(host, modes_are_as_documented)
{
	static const struct {
		const char *path;
		mode_t mode;
	} files[] = {
		{ SYSFS "state", 0444 },
		{ SYSFS "prepare", 0200 },
		{ SYSFS "finish", 0200 },
		{ SYSFS "timeline", 0600 },
	};
	struct stat st;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(files); i++) {
		ASSERT_EQ(stat(files[i].path, &st), 0);
		EXPECT_EQ(st.st_mode & 07777, files[i].mode)
			TH_LOG("%s", files[i].path);
	}
}

TEST_F(host, other_text_is_EINVAL_and_changes_nothing)
{
	static const char * const bad[] = {
		"2", "", "-1", "yes", "1 1", "01", "11", "\n", "1\n\n",
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		/* a write of nothing is no write */
		if (!*bad[i])
			continue;
		EXPECT_EQ(write_file(SYSFS "prepare", bad[i]), EINVAL);
		EXPECT_EQ(write_file(SYSFS "finish", bad[i]), EINVAL);
	}
	EXPECT_EQ(write_file(SYSFS "finish", "0"), EINVAL);
	EXPECT_TRUE(state_is("normal"));
}

TEST_F(host, wrong_state_is_EBUSY_and_changes_nothing)
{
	EXPECT_EQ(write_file(SYSFS "prepare", "0"), EBUSY);
	EXPECT_EQ(write_file(SYSFS "finish", "1"), EBUSY);
	EXPECT_TRUE(state_is("normal"));

	ASSERT_EQ(write_file(SYSFS "prepare", "1"), 0);
	EXPECT_EQ(write_file(SYSFS "prepare", "1"), EBUSY);
	EXPECT_EQ(write_file(SYSFS "finish", "1\n"), EBUSY);
	EXPECT_EQ(write_file(SYSFS "timeline", "begin"), EBUSY);
	EXPECT_TRUE(state_is("prepared"));
	EXPECT_EQ(write_file(SYSFS "prepare", "0\n"), 0);
	EXPECT_TRUE(state_is("normal"));
}

/* The mode lets the child in, the missing capability keeps it out. */
TEST_F(host, writes_need_the_capability_whatever_the_mode)
{
	int prepare = open(SYSFS "prepare", O_WRONLY);
	int finish = open(SYSFS "finish", O_WRONLY);
	int timeline = open(SYSFS "timeline", O_WRONLY);
	int status;
	pid_t pid;

	ASSERT_GE(prepare, 0);
	ASSERT_GE(finish, 0);
	ASSERT_GE(timeline, 0);
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		if (setgid(65534) || setuid(65534))
			_exit(10);
		if (write(prepare, "1", 1) != -1 || errno != EPERM)
			_exit(1);
		if (write(finish, "1", 1) != -1 || errno != EPERM)
			_exit(2);
		if (write(timeline, "a:b", 3) != -1 || errno != EPERM)
			_exit(3);
		if (open(SYSFS "prepare", O_WRONLY) != -1 || errno != EACCES)
			_exit(4);
		_exit(0);
	}
	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	EXPECT_EQ(status, 0);
	EXPECT_TRUE(state_is("normal"));
	close(prepare);
	close(finish);
	close(timeline);
}

/* Root of a user namespace has every capability, but not here. */
TEST_F(host, root_of_a_user_namespace_is_refused)
{
	int prepare = open(SYSFS "prepare", O_WRONLY);
	int status;
	pid_t pid;

	ASSERT_GE(prepare, 0);
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		if (unshare(CLONE_NEWUSER))
			_exit(10);
		if (write(prepare, "1", 1) != -1 || errno != EPERM)
			_exit(1);
		_exit(0);
	}
	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	EXPECT_EQ(status, 0);
	close(prepare);
}

static int poll_state(int fd, int timeout)
{
	struct pollfd pfd = { .fd = fd, .events = POLLPRI };
	char buf[16];

	if (poll(&pfd, 1, timeout) != 1 || !(pfd.revents & POLLPRI))
		return 0;
	/* a read re-arms */
	return pread(fd, buf, sizeof(buf), 0) > 0;
}

TEST_F(host, poll_wakes_up_on_every_change)
{
	char buf[16];
	int fd = open(SYSFS "state", O_RDONLY);

	ASSERT_GE(fd, 0);
	ASSERT_GT(pread(fd, buf, sizeof(buf), 0), 0);
	EXPECT_EQ(poll_state(fd, 0), 0);
	ASSERT_EQ(write_file(SYSFS "prepare", "1"), 0);
	EXPECT_EQ(poll_state(fd, 2000), 1);
	EXPECT_EQ(poll_state(fd, 0), 0);
	EXPECT_EQ(write_file(SYSFS "prepare", "1"), EBUSY);
	EXPECT_EQ(poll_state(fd, 0), 0);
	ASSERT_EQ(write_file(SYSFS "prepare", "0"), 0);
	EXPECT_EQ(poll_state(fd, 2000), 1);
	close(fd);
}

static int test_file(void)
{
	return open(DEVICE, O_RDWR);
}

TEST_F(host, prepared_closes_the_set_of_devices_but_not_of_memory)
{
	int device = test_file();
	int late = test_file();
	int memfd = memfd_create("late", 0);

	if (device < 0)
		SKIP(return, "needs CONFIG_LIVEUPDATE_TEST");
	ASSERT_GE(memfd, 0);
	EXPECT_EQ(luo_session_preserve_fd(self->session, device, 1), 0);
	ASSERT_EQ(write_file(SYSFS "prepare", "1"), 0);
	EXPECT_EQ(luo_session_preserve_fd(self->session, late, 2), -EBUSY);
	EXPECT_EQ(luo_session_preserve_fd(self->session, memfd, 3), 0);
	ASSERT_EQ(write_file(SYSFS "prepare", "0"), 0);
	EXPECT_EQ(luo_session_preserve_fd(self->session, late, 2), 0);
	close(device);
	close(late);
	close(memfd);
}

static void expect_calls(struct __test_metadata *_metadata, const char *calls)
{
	EXPECT_STREQ(read_file(DEBUGFS "test/calls"), calls);
}

static void clear_calls(void)
{
	close(open(DEBUGFS "test/calls", O_WRONLY));
}

TEST_F(host, dry_run_freezes_and_brings_all_back)
{
	int device = test_file();

	if (device < 0)
		SKIP(return, "needs CONFIG_LIVEUPDATE_TEST");
	ASSERT_EQ(luo_session_preserve_fd(self->session, device, 1), 0);
	EXPECT_EQ(write_file(DEBUGFS "dry_run", "1"), EBUSY);
	clear_calls();
	ASSERT_EQ(write_file(SYSFS "prepare", "1"), 0);
	EXPECT_EQ(write_file(DEBUGFS "dry_run", "2"), EINVAL);
	EXPECT_EQ(write_file(DEBUGFS "dry_run", "1"), 0);
	EXPECT_TRUE(state_is("normal"));
	expect_calls(_metadata,
		     "subsystem prepare\nfile freeze\nsubsystem reboot\n"
		     "subsystem cancel\nfile unfreeze\n");
	/* sessions are usable again */
	EXPECT_EQ(luo_session_preserve_fd(self->session, device, 2), -EBUSY);
	close(device);
}

TEST_F(host, late_failure_unfreezes_files_and_can_be_retried)
{
	int device = test_file();

	if (device < 0)
		SKIP(return, "needs CONFIG_LIVEUPDATE_TEST");
	ASSERT_EQ(luo_session_preserve_fd(self->session, device, 1), 0);
	clear_calls();
	ASSERT_EQ(write_file(SYSFS "prepare", "1"), 0);
	ASSERT_EQ(write_file(DEBUGFS "test/fail_reboot", "5"), 0);
	EXPECT_EQ(write_file(DEBUGFS "dry_run", "1"), EIO);
	EXPECT_TRUE(state_is("normal"));
	expect_calls(_metadata,
		     "subsystem prepare\nfile freeze\nsubsystem reboot\n"
		     "subsystem cancel\nfile unfreeze\n");
	ASSERT_EQ(write_file(SYSFS "prepare", "1"), 0);
	EXPECT_EQ(write_file(DEBUGFS "dry_run", "1"), 0);
	close(device);
}

TEST_F(host, file_that_cannot_freeze_cancels_everybody)
{
	int device = test_file();

	if (device < 0)
		SKIP(return, "needs CONFIG_LIVEUPDATE_TEST");
	ASSERT_EQ(luo_session_preserve_fd(self->session, device, 1), 0);
	clear_calls();
	ASSERT_EQ(write_file(SYSFS "prepare", "1"), 0);
	ASSERT_EQ(write_file(DEBUGFS "test/fail_freeze", "12"), 0);
	EXPECT_EQ(write_file(DEBUGFS "dry_run", "1"), ENOMEM);
	EXPECT_TRUE(state_is("normal"));
	expect_calls(_metadata, "subsystem prepare\nfile freeze\n"
				"subsystem cancel\n");
	close(device);
}

TEST_F(host, refused_prepare_returns_the_errno_of_who_refused)
{
	if (write_file(DEBUGFS "test/fail_prepare", "28"))
		SKIP(return, "needs CONFIG_LIVEUPDATE_TEST");
	EXPECT_EQ(write_file(SYSFS "prepare", "1"), ENOSPC);
	EXPECT_TRUE(state_is("normal"));
	EXPECT_EQ(write_file(SYSFS "prepare", "1"), 0);
}

static pid_t fork_prepare(void)
{
	pid_t pid = fork();

	if (!pid)
		_exit(write_file(SYSFS "prepare", "1"));

	return pid;
}

static long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);

	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* What a killed writer gets is EINTR, which only its parent can witness. */
TEST_F(host, writer_that_waits_can_be_killed)
{
	long start = now_ms();
	pid_t first, second;
	int status;

	if (write_file(DEBUGFS "test/slow_prepare", "3000"))
		SKIP(return, "needs CONFIG_LIVEUPDATE_TEST");
	clear_calls();
	first = fork_prepare();
	while (!strstr(read_file(DEBUGFS "test/calls"), "prepare") &&
	       now_ms() - start < 2000)
		usleep(1000);
	second = fork_prepare();
	usleep(100000);
	EXPECT_EQ(waitpid(second, &status, WNOHANG), 0);
	kill(second, SIGKILL);
	EXPECT_EQ(waitpid(second, &status, 0), second);
	EXPECT_TRUE(WIFSIGNALED(status));
	/* the first is not through: it was the kill that ended the wait */
	EXPECT_EQ(waitpid(first, &status, WNOHANG), 0);
	EXPECT_EQ(waitpid(first, &status, 0), first);
	EXPECT_EQ(status, 0);
	EXPECT_TRUE(state_is("prepared"));
	EXPECT_EQ(write_file(DEBUGFS "test/slow_prepare", "0"), 0);
}

TEST_F(host, closed_session_leaves_prepared)
{
	int session = luo_create_session(self->dev, "dies");
	int device = test_file();

	if (device < 0)
		SKIP(return, "needs CONFIG_LIVEUPDATE_TEST");
	ASSERT_GE(session, 0);
	ASSERT_EQ(luo_session_preserve_fd(session, device, 1), 0);
	ASSERT_EQ(write_file(SYSFS "prepare", "1"), 0);
	close(session);
	EXPECT_TRUE(state_is("prepared"));
	EXPECT_EQ(write_file(DEBUGFS "dry_run", "1"), 0);
	close(device);
}

TEST_F(host, tracepoints_tell_states_and_calls)
{
	char *text;

	if (trace_start())
		SKIP(return, "no tracing of events");
	ASSERT_EQ(write_file(SYSFS "prepare", "1"), 0);
	ASSERT_EQ(write_file(SYSFS "prepare", "0"), 0);
	text = read_file(TRACING "trace");
	EXPECT_NE(strstr(text, "liveupdate_state: normal -> prepared"), NULL);
	EXPECT_NE(strstr(text, "liveupdate_state: prepared -> normal"), NULL);
	EXPECT_NE(strstr(text, "liveupdate_stamp: kernel:prepare"), NULL);
	if (!access(DEVICE, F_OK))
		EXPECT_NE(strstr(text, "liveupdate_call_end: prepare test err=0"),
			  NULL);
	EXPECT_EQ(trace_stop(), 0);
}

TEST_F(host, timeline_keeps_stamps_in_order)
{
	char *text, *a, *b;

	ASSERT_EQ(write_file(SYSFS "timeline", "begin"), 0);
	EXPECT_EQ(write_file(SYSFS "timeline", "selftest:a\n"), 0);
	EXPECT_EQ(write_file(SYSFS "timeline", "selftest:b 42"), 0);
	text = read_file(SYSFS "timeline");
	EXPECT_EQ(strncmp(text, "tsc_khz ", 8), 0);
	a = strstr(text, " selftest:a\n");
	b = strstr(text, "\n42 selftest:b\n");
	ASSERT_NE(a, NULL);
	ASSERT_NE(b, NULL);
	EXPECT_LT(a, b);
	ASSERT_EQ(write_file(SYSFS "timeline", "begin"), 0);
	EXPECT_EQ(strstr(read_file(SYSFS "timeline"), "selftest"), NULL);
}

TEST_F(host, timeline_refuses_bad_and_too_many_stamps)
{
	int i, err = 0;

	EXPECT_EQ(write_file(SYSFS "timeline", "a b"), EINVAL);
	EXPECT_EQ(write_file(SYSFS "timeline", "a 1 2"), EINVAL);
	EXPECT_EQ(write_file(SYSFS "timeline", "a\tb"), EINVAL);
	EXPECT_EQ(write_file(SYSFS "timeline", "\n"), EINVAL);
	EXPECT_EQ(write_file(SYSFS "timeline",
			     "0123456789012345678901234567890123456789"),
		  EINVAL);

	ASSERT_EQ(write_file(SYSFS "timeline", "begin"), 0);
	for (i = 0; i < 1000 && !err; i++)
		err = write_file(SYSFS "timeline", "selftest:full");
	EXPECT_EQ(err, ENOSPC);
	EXPECT_LT(i, 100);
	EXPECT_EQ(write_file(SYSFS "timeline", "begin"), 0);
}

TEST_HARNESS_MAIN
