// SPDX-License-Identifier: GPL-2.0-only
/*
 * The files of iommufds on both sides of a live update. Two stages; prepare, the
 * kexec in between and finish are up to whoever runs them:
 *
 *	iommufd_liveupdate_kexec -t preserve	stays in the background
 *	iommufd_liveupdate_kexec -t retrieve	in the incoming kernel
 *
 * The HWPTs are those of mock devices, and none of them comes through: what a
 * device does on a table that did takes a device. Each iommufd is retrieved with
 * another allocation failing, for a retrieve that failed is not tried again.
 */

#define __EXPORTED_HEADERS__
#include <fcntl.h>
#include <linux/liveupdate.h>
#include <linux/vfio.h>

#include "iommufd_utils.h"

#define SESSION		"iommufd-kexec"
/* More than a retrieve has allocations */
#define FILES		32
#define MFD_TOKEN	FILES
#define FAIL_NTH	"/proc/thread-self/fail-nth"
#define FAILSLAB	"/sys/kernel/debug/failslab/ignore-gfp-wait"

static __attribute__((constructor)) void setup_buffers(void)
{
	PAGE_SIZE = sysconf(_SC_PAGE_SIZE);
	BUFFER_SIZE = 16 * PAGE_SIZE;
	mfd_buffer = memfd_mmap(BUFFER_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
				&mfd);
	assert(mfd_buffer != MAP_FAILED);
}

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int ret;

	if (fd < 0)
		return -1;
	ret = write(fd, text, strlen(text)) < 0 ? -1 : 0;
	close(fd);
	return ret;
}

static int mark(int fd, __u32 hwpt_id, __u64 tag)
{
	struct iommu_hwpt_liveupdate_mark cmd = {
		.size = sizeof(cmd),
		.hwpt_id = hwpt_id,
		.tag = tag,
	};

	return ioctl(fd, IOMMU_HWPT_LIVEUPDATE_MARK, &cmd);
}

static int find(int fd, __u64 tag)
{
	struct iommu_hwpt_liveupdate_find cmd = {
		.size = sizeof(cmd),
		.tag = tag,
	};

	return ioctl(fd, IOMMU_HWPT_LIVEUPDATE_FIND, &cmd);
}

static int preserve(int session, int fd, __u64 token)
{
	struct liveupdate_session_preserve_fd cmd = {
		.size = sizeof(cmd),
		.fd = fd,
		.token = token,
	};

	return ioctl(session, LIVEUPDATE_SESSION_PRESERVE_FD, &cmd);
}

static int retrieve(int session, __u64 token)
{
	struct liveupdate_session_retrieve_fd cmd = {
		.size = sizeof(cmd),
		.token = token,
	};

	return ioctl(session, LIVEUPDATE_SESSION_RETRIEVE_FD, &cmd) ? -1 : cmd.fd;
}

FIXTURE(kexec)
{
	int fd;
	int dev;
};

FIXTURE_SETUP(kexec)
{
	self->dev = open("/dev/liveupdate", O_RDWR | O_CLOEXEC);
	if (self->dev < 0)
		SKIP(return, "the kernel takes no part in live updates");
}

FIXTURE_TEARDOWN(kexec)
{
	close(self->dev);
}

TEST_F(kexec, preserve)
{
	struct liveupdate_ioctl_create_session cmd = {
		.size = sizeof(cmd),
		.name = SESSION,
	};
	__u32 ioas_id, stdev_id, hwpt_id;
	int fd, i;

	ASSERT_EQ(0, ioctl(self->dev, LIVEUPDATE_IOCTL_CREATE_SESSION, &cmd));
	for (i = 0; i != FILES; i++) {
		fd = open("/dev/iommu", O_RDWR);
		ASSERT_NE(-1, fd);
		self->fd = fd;
		test_ioctl_ioas_alloc(&ioas_id);
		test_cmd_mock_domain(ioas_id, &stdev_id, &hwpt_id, NULL);
		ASSERT_EQ(0, _test_ioctl_ioas_map_file(fd, ioas_id, mfd, 0,
						       BUFFER_SIZE, &(__u64){ 0 },
						       IOMMU_IOAS_MAP_READABLE));
		ASSERT_EQ(0, mark(fd, hwpt_id, i));
		ASSERT_EQ(0, preserve(cmd.fd, fd, i));
	}
	ASSERT_EQ(0, preserve(cmd.fd, mfd, MFD_TOKEN));

	if (fork())
		_exit(KSFT_PASS);
	/* Holds the session, and nothing that somebody waits for */
	setsid();
	for (fd = 0; fd != 3; fd++)
		dup2(open("/dev/null", O_RDWR), fd);
	for (;;)
		pause();
}

/* True when an allocation failed meanwhile */
static bool retrieve_nth(struct __test_metadata *_metadata, int session,
			 int token, int *fd)
{
	int err, again, nth_fd;
	char buf[16] = {};

	nth_fd = open(FAIL_NTH, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, nth_fd);
	snprintf(buf, sizeof(buf), "%d", token + 1);
	ASSERT_LT(0, pwrite(nth_fd, buf, strlen(buf), 0));
	*fd = retrieve(session, token);
	err = errno;

	/* Reading can be what fails, and says so */
	memset(buf, 0, sizeof(buf));
	if (pread(nth_fd, buf, sizeof(buf) - 1, 0) < 0)
		buf[0] = '1';
	/* The first may fail; then there is nothing to turn off any more */
	if (pwrite(nth_fd, "0", 1, 0) != 1)
		ASSERT_EQ(1, pwrite(nth_fd, "0", 1, 0));
	close(nth_fd);
	if (atoi(buf)) {
		EXPECT_LE(0, *fd);
		return false;
	}
	if (*fd >= 0)
		return true;

	/* Lost for good, or it did not come as far as the file */
	again = retrieve(session, token);
	if (again >= 0)
		*fd = again;
	else
		EXPECT_EQ(err, errno);
	return true;
}

/* A retrieved iommufd is one like any other, but for what it came with */
static void check_retrieved(struct __test_metadata *_metadata,
			    struct _test_data_kexec *self, int session, int token)
{
	__u32 ioas_id, stdev_id, hwpt_id;
	int again;

	again = retrieve(session, token);
	ASSERT_LE(0, again);
	close(again);
	EXPECT_ERRNO(ENOENT, find(self->fd, token));
	EXPECT_ERRNO(ENOENT, find(self->fd, FILES));
	test_ioctl_ioas_alloc(&ioas_id);
	test_cmd_mock_domain(ioas_id, &stdev_id, &hwpt_id, NULL);
	ASSERT_EQ(0, mark(self->fd, hwpt_id, token));
	EXPECT_ERRNO(EINVAL, preserve(session, self->fd, FILES + 1));
	test_ioctl_destroy(stdev_id);
}

TEST_F(kexec, retrieve)
{
	struct liveupdate_ioctl_retrieve_session cmd = {
		.size = sizeof(cmd),
		.name = SESSION,
	};
	struct liveupdate_session_finish finish = { .size = sizeof(finish) };
	int fds[FILES], i, swept = 0;
	bool sweep;

	ASSERT_EQ(0, ioctl(self->dev, LIVEUPDATE_IOCTL_RETRIEVE_SESSION, &cmd));
	EXPECT_ERRNO(ENOENT, retrieve(cmd.fd, FILES + 1));

	sweep = !write_file(FAILSLAB, "N");
	for (i = 0; i != FILES; i++) {
		if (sweep) {
			sweep = retrieve_nth(_metadata, cmd.fd, i, &fds[i]);
			swept += sweep;
		} else {
			fds[i] = retrieve(cmd.fd, i);
			ASSERT_LE(0, fds[i]);
		}
		self->fd = fds[i];
		if (fds[i] >= 0)
			check_retrieved(_metadata, self, cmd.fd, i);
	}
	TH_LOG("%d allocations of a retrieve failed, one after the other", swept);
	ASSERT_FALSE(sweep);

	ASSERT_EQ(0, ioctl(cmd.fd, LIVEUPDATE_SESSION_FINISH, &finish));
	for (i = 0; i != FILES; i++) {
		if (fds[i] < 0)
			continue;
		EXPECT_ERRNO(ENOTTY, find(fds[i], i));
		close(fds[i]);
	}
}

TEST_HARNESS_MAIN
