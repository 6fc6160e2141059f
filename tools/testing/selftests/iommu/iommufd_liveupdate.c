// SPDX-License-Identifier: GPL-2.0-only
/*
 * An iommufd in the outgoing kernel of a live update: marks, what they freeze,
 * preserving in a session, and the proof that devices reach nothing but memory
 * of the session. What comes out on the other side takes a kexec: that half is
 * not tested here. Failing allocations are, in iommufd_fail_nth.c.
 *
 * The tests of sessions need liveupdate=on, and the host state normal. They
 * prepare the host and cancel that at once.
 */

#define __EXPORTED_HEADERS__
#include <linux/liveupdate.h>
#include <linux/vfio.h>

#include "iommufd_utils.h"

#define PREPARE		"/sys/kernel/liveupdate/prepare"
#define IOVA		MOCK_APERTURE_START
#define TAG		0x1234567890abcdefULL

static __attribute__((constructor)) void setup_buffers(void)
{
	PAGE_SIZE = sysconf(_SC_PAGE_SIZE);
	BUFFER_SIZE = 16 * PAGE_SIZE;

	buffer = mmap(NULL, BUFFER_SIZE, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert(buffer != MAP_FAILED);
	mfd_buffer = memfd_mmap(BUFFER_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
				&mfd);
	assert(mfd_buffer != MAP_FAILED);
}

static int mark(int fd, __u32 hwpt_id, __u64 tag, __u32 flags)
{
	struct iommu_hwpt_liveupdate_mark cmd = {
		.size = sizeof(cmd),
		.flags = flags,
		.hwpt_id = hwpt_id,
		.tag = tag,
	};

	return ioctl(fd, IOMMU_HWPT_LIVEUPDATE_MARK, &cmd);
}

static int find(int fd, __u64 tag, __u32 flags)
{
	struct iommu_hwpt_liveupdate_find cmd = {
		.size = sizeof(cmd),
		.flags = flags,
		.tag = tag,
	};

	return ioctl(fd, IOMMU_HWPT_LIVEUPDATE_FIND, &cmd);
}

/* A new session, or -1 */
static int create_session_named(const char *name)
{
	struct liveupdate_ioctl_create_session cmd = { .size = sizeof(cmd) };
	int dev = open("/dev/liveupdate", O_RDWR | O_CLOEXEC);
	int ret;

	if (dev < 0)
		return -1;
	snprintf((char *)cmd.name, sizeof(cmd.name), "%s", name);
	ret = ioctl(dev, LIVEUPDATE_IOCTL_CREATE_SESSION, &cmd);
	close(dev);
	return ret ? -1 : cmd.fd;
}

static int create_session(void)
{
	return create_session_named("iommufd-selftest");
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

static int write_prepare(const char *what)
{
	int fd = open(PREPARE, O_WRONLY | O_CLOEXEC);
	int ret, err;

	if (fd < 0)
		return -1;
	ret = write(fd, what, 1) == 1 ? 0 : -1;
	err = errno;
	close(fd);
	errno = err;
	return ret;
}

FIXTURE(liveupdate)
{
	int fd;
	int session;
	__u32 ioas_id;
	__u32 stdev_id;
	__u32 idev_id;
	__u32 auto_hwpt_id;
	__u32 hwpt_id;
};

FIXTURE_SETUP(liveupdate)
{
	self->session = -1;
	self->fd = open("/dev/iommu", O_RDWR);
	ASSERT_NE(-1, self->fd);
	test_ioctl_ioas_alloc(&self->ioas_id);
	test_cmd_mock_domain(self->ioas_id, &self->stdev_id,
			     &self->auto_hwpt_id, &self->idev_id);
	test_cmd_hwpt_alloc(self->idev_id, self->ioas_id, 0, &self->hwpt_id);
	test_ioctl_ioas_map_fixed_file(mfd, 0, BUFFER_SIZE, IOVA);

	if (mark(self->fd, self->hwpt_id, TAG, IOMMU_HWPT_LIVEUPDATE_UNMARK) &&
	    errno == ENOTTY)
		SKIP(return, "the kernel takes no part in live updates");
}

FIXTURE_TEARDOWN(liveupdate)
{
	if (self->session >= 0)
		close(self->session);
	teardown_iommufd(self->fd, _metadata);
}

TEST_F(liveupdate, mark)
{
	ASSERT_EQ(0, mark(self->fd, self->hwpt_id, TAG, 0));
	EXPECT_ERRNO(EALREADY, mark(self->fd, self->hwpt_id, TAG, 0));
	EXPECT_ERRNO(EALREADY, mark(self->fd, self->hwpt_id, TAG + 1, 0));
	EXPECT_ERRNO(EBUSY, _test_ioctl_destroy(self->fd, self->hwpt_id));

	/* One that a device uses, made by the kernel */
	EXPECT_ERRNO(EEXIST, mark(self->fd, self->auto_hwpt_id, TAG, 0));
	ASSERT_EQ(0, mark(self->fd, self->auto_hwpt_id, TAG + 1, 0));

	ASSERT_EQ(0, mark(self->fd, self->hwpt_id, 0,
			  IOMMU_HWPT_LIVEUPDATE_UNMARK));
	EXPECT_ERRNO(ENODATA, mark(self->fd, self->hwpt_id, 0,
				   IOMMU_HWPT_LIVEUPDATE_UNMARK));
	test_ioctl_destroy(self->hwpt_id);
	/* The other one is still marked when the iommufd is closed */
}

TEST_F(liveupdate, mark_tags)
{
	int fd = self->fd;
	__u32 other_ioas, other_stdev, other_hwpt;

	/* Any number is a tag */
	ASSERT_EQ(0, mark(self->fd, self->hwpt_id, 0, 0));
	ASSERT_EQ(0, mark(self->fd, self->auto_hwpt_id, UINT64_MAX, 0));

	/* An iommufd does not know of the tags of another */
	self->fd = open("/dev/iommu", O_RDWR);
	ASSERT_NE(-1, self->fd);
	test_ioctl_ioas_alloc(&other_ioas);
	test_cmd_mock_domain(other_ioas, &other_stdev, &other_hwpt, NULL);
	ASSERT_EQ(0, mark(self->fd, other_hwpt, 0, 0));
	teardown_iommufd(self->fd, _metadata);
	self->fd = fd;

	/* Given back, and free for another HWPT */
	ASSERT_EQ(0, mark(self->fd, self->hwpt_id, 0,
			  IOMMU_HWPT_LIVEUPDATE_UNMARK));
	EXPECT_ERRNO(EEXIST, mark(self->fd, self->hwpt_id, UINT64_MAX, 0));
	ASSERT_EQ(0, mark(self->fd, self->hwpt_id, 0, 0));
}

TEST_F(liveupdate, mark_outlives_device)
{
	/* The mark keeps what the kernel would destroy with its last device */
	ASSERT_EQ(0, mark(self->fd, self->auto_hwpt_id, TAG, 0));
	test_ioctl_destroy(self->stdev_id);
	EXPECT_ERRNO(EALREADY, mark(self->fd, self->auto_hwpt_id, TAG, 0));
	ASSERT_EQ(0, mark(self->fd, self->auto_hwpt_id, 0,
			  IOMMU_HWPT_LIVEUPDATE_UNMARK));
	EXPECT_ERRNO(ENOENT, mark(self->fd, self->auto_hwpt_id, TAG, 0));
}

TEST_F(liveupdate, mark_refused)
{
	struct iommu_hwpt_selftest data = { .iotlb = IOMMU_TEST_IOTLB_DEFAULT };
	struct iommu_hwpt_liveupdate_mark cmd = {
		.size = sizeof(cmd),
		.hwpt_id = self->hwpt_id,
		.__reserved = 1,
	};
	__u32 parent_id, nested_id, fault_id, fault_fd, iopf_id, dirty_id;

	EXPECT_ERRNO(ENOENT, mark(self->fd, 0xffffff, TAG, 0));
	EXPECT_ERRNO(EINVAL, mark(self->fd, self->ioas_id, TAG, 0));
	EXPECT_ERRNO(EINVAL, mark(self->fd, self->idev_id, TAG, 0));
	EXPECT_ERRNO(EOPNOTSUPP, mark(self->fd, self->hwpt_id, TAG, 2));
	EXPECT_ERRNO(EOPNOTSUPP,
		     ioctl(self->fd, IOMMU_HWPT_LIVEUPDATE_MARK, &cmd));
	cmd.size = offsetof(struct iommu_hwpt_liveupdate_mark, tag);
	EXPECT_ERRNO(EINVAL, ioctl(self->fd, IOMMU_HWPT_LIVEUPDATE_MARK, &cmd));

	test_cmd_hwpt_alloc(self->idev_id, self->ioas_id,
			    IOMMU_HWPT_ALLOC_NEST_PARENT, &parent_id);
	test_cmd_hwpt_alloc_nested(self->idev_id, parent_id, 0, &nested_id,
				   IOMMU_HWPT_DATA_SELFTEST, &data,
				   sizeof(data));
	EXPECT_ERRNO(EINVAL, mark(self->fd, nested_id, TAG, 0));
	test_ioctl_destroy(nested_id);
	test_ioctl_destroy(parent_id);

	test_cmd_hwpt_alloc(self->idev_id, self->ioas_id,
			    IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &dirty_id);
	EXPECT_ERRNO(EOPNOTSUPP, mark(self->fd, dirty_id, TAG, 0));
	test_ioctl_destroy(dirty_id);

	test_ioctl_fault_alloc(&fault_id, &fault_fd);
	test_cmd_hwpt_alloc_iopf(self->idev_id, self->ioas_id, fault_id,
				 IOMMU_HWPT_FAULT_ID_VALID, &iopf_id,
				 IOMMU_HWPT_DATA_NONE, NULL, 0);
	EXPECT_ERRNO(EPROTONOSUPPORT, mark(self->fd, iopf_id, TAG, 0));
	test_ioctl_destroy(iopf_id);
	close(fault_fd);
	test_ioctl_destroy(fault_id);

	/* None of these has frozen anything */
	test_ioctl_ioas_unmap(IOVA, BUFFER_SIZE);
}

TEST_F(liveupdate, freeze)
{
	struct iommu_ioas_change_process change = { .size = sizeof(change) };
	struct iommu_ioas_copy copy = {
		.size = sizeof(copy),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_WRITEABLE |
			 IOMMU_IOAS_MAP_READABLE,
		.dst_ioas_id = self->ioas_id,
		.src_ioas_id = self->ioas_id,
		.length = BUFFER_SIZE,
		.dst_iova = 2 * IOVA,
		.src_iova = IOVA,
	};
	__u32 other_ioas, other_hwpt;
	__u64 iova;

	ASSERT_EQ(0, mark(self->fd, self->hwpt_id, TAG, 0));
	ASSERT_EQ(0, mark(self->fd, self->auto_hwpt_id, TAG + 1, 0));

	test_err_ioctl_ioas_map(EBUSY, mfd_buffer, PAGE_SIZE, &iova);
	test_err_ioctl_ioas_map_fixed(EBUSY, mfd_buffer, PAGE_SIZE, 2 * IOVA);
	test_err_ioctl_ioas_map_file(EBUSY, mfd, 0, PAGE_SIZE, &iova);
	test_err_ioctl_ioas_unmap(EBUSY, IOVA, BUFFER_SIZE);
	test_err_ioctl_ioas_unmap(EBUSY, 0, UINT64_MAX);
	EXPECT_ERRNO(EBUSY, ioctl(self->fd, IOMMU_IOAS_COPY, &copy));
	EXPECT_ERRNO(EBUSY, ioctl(self->fd, IOMMU_IOAS_CHANGE_PROCESS, &change));
	EXPECT_ERRNO(EBUSY, _test_ioctl_destroy(self->fd, self->ioas_id));

	/* What a device is attached to is another matter */
	test_cmd_mock_domain_replace(self->stdev_id, self->hwpt_id);
	test_cmd_mock_domain_replace(self->stdev_id, self->auto_hwpt_id);
	test_cmd_hwpt_alloc(self->idev_id, self->ioas_id, 0, &other_hwpt);
	test_ioctl_destroy(other_hwpt);

	/* And so is any other IOAS */
	test_ioctl_ioas_alloc(&other_ioas);
	copy.dst_ioas_id = other_ioas;
	ASSERT_EQ(0, ioctl(self->fd, IOMMU_IOAS_COPY, &copy));
	test_ioctl_ioas_unmap_id(other_ioas, 2 * IOVA, BUFFER_SIZE);
	test_ioctl_destroy(other_ioas);

	/* Frozen until the last mark is gone */
	ASSERT_EQ(0, mark(self->fd, self->hwpt_id, 0,
			  IOMMU_HWPT_LIVEUPDATE_UNMARK));
	test_err_ioctl_ioas_unmap(EBUSY, IOVA, BUFFER_SIZE);
	ASSERT_EQ(0, mark(self->fd, self->auto_hwpt_id, 0,
			  IOMMU_HWPT_LIVEUPDATE_UNMARK));
	test_ioctl_ioas_unmap(IOVA, BUFFER_SIZE);
}

TEST_F(liveupdate, freeze_vfio_compat)
{
	struct iommu_vfio_ioas set = {
		.size = sizeof(set),
		.op = IOMMU_VFIO_IOAS_SET,
		.ioas_id = self->ioas_id,
	};
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uintptr_t)buffer,
		.size = BUFFER_SIZE,
		.iova = 2 * IOVA,
	};
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap),
		.size = BUFFER_SIZE,
		.iova = IOVA,
	};

	ASSERT_EQ(0, ioctl(self->fd, IOMMU_VFIO_IOAS, &set));
	ASSERT_EQ(0, mark(self->fd, self->hwpt_id, TAG, 0));
	EXPECT_ERRNO(EBUSY, ioctl(self->fd, VFIO_IOMMU_MAP_DMA, &map));
	EXPECT_ERRNO(EBUSY, ioctl(self->fd, VFIO_IOMMU_UNMAP_DMA, &unmap));
	unmap.flags = VFIO_DMA_UNMAP_FLAG_ALL;
	unmap.iova = 0;
	unmap.size = 0;
	EXPECT_ERRNO(EBUSY, ioctl(self->fd, VFIO_IOMMU_UNMAP_DMA, &unmap));

	ASSERT_EQ(0, mark(self->fd, self->hwpt_id, 0,
			  IOMMU_HWPT_LIVEUPDATE_UNMARK));
	ASSERT_EQ(0, ioctl(self->fd, VFIO_IOMMU_UNMAP_DMA, &unmap));
	ASSERT_EQ(BUFFER_SIZE, unmap.size);
}

/* Devices of the software, and their pins, are no part of a live update */
TEST_F(liveupdate, freeze_access)
{
	char *tmp = malloc(PAGE_SIZE);
	struct iommu_test_cmd rw = {
		.size = sizeof(rw),
		.op = IOMMU_TEST_OP_ACCESS_RW,
		.access_rw = { .iova = IOVA, .length = PAGE_SIZE,
			       .uptr = (uintptr_t)tmp },
	};
	__u32 access_id;

	ASSERT_NE(NULL, tmp);
	ASSERT_EQ(0, mark(self->fd, self->hwpt_id, TAG, 0));
	test_cmd_create_access(self->ioas_id, &access_id,
			       MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES);
	rw.id = access_id;
	ASSERT_EQ(0, ioctl(self->fd,
			   _IOMMU_TEST_CMD(IOMMU_TEST_OP_ACCESS_RW), &rw));
	test_cmd_destroy_access(access_id);
	free(tmp);
}

TEST_F(liveupdate, find_refused)
{
	struct iommu_hwpt_liveupdate_find cmd = {
		.size = offsetof(struct iommu_hwpt_liveupdate_find, tag),
	};

	/* It did not come out of a session */
	EXPECT_ERRNO(ENOTTY, find(self->fd, TAG, 0));
	EXPECT_ERRNO(EOPNOTSUPP, find(self->fd, TAG, 1));
	EXPECT_ERRNO(EINVAL, ioctl(self->fd, IOMMU_HWPT_LIVEUPDATE_FIND, &cmd));
	ASSERT_EQ(0, mark(self->fd, self->hwpt_id, TAG, 0));
	EXPECT_ERRNO(ENOTTY, find(self->fd, TAG, 0));
}

TEST_F(liveupdate, preserve)
{
	self->session = create_session();
	if (self->session < 0)
		SKIP(return, "no session can be created");

	EXPECT_ERRNO(ENODATA, preserve(self->session, self->fd, 1));
	ASSERT_EQ(0, mark(self->fd, self->hwpt_id, TAG, 0));
	ASSERT_EQ(0, preserve(self->session, self->fd, 1));
	EXPECT_ERRNO(EBUSY, preserve(self->session, self->fd, 2));

	/* The set of marks is closed */
	EXPECT_ERRNO(EBUSY, mark(self->fd, self->auto_hwpt_id, TAG + 1, 0));
	EXPECT_ERRNO(EBUSY, mark(self->fd, self->hwpt_id, 0,
				 IOMMU_HWPT_LIVEUPDATE_UNMARK));
	test_err_ioctl_ioas_unmap(EBUSY, IOVA, BUFFER_SIZE);
	EXPECT_ERRNO(ENOTTY, find(self->fd, TAG, 0));

	/* All is undone with the session, and can be done again */
	close(self->session);
	self->session = -1;
	EXPECT_ERRNO(ENODATA, mark(self->fd, self->hwpt_id, 0,
				   IOMMU_HWPT_LIVEUPDATE_UNMARK));
	test_ioctl_ioas_unmap(IOVA, BUFFER_SIZE);
	test_ioctl_ioas_map_fixed_file(mfd, 0, BUFFER_SIZE, IOVA);
	self->session = create_session();
	ASSERT_LE(0, self->session);
	ASSERT_EQ(0, mark(self->fd, self->hwpt_id, TAG, 0));
	ASSERT_EQ(0, preserve(self->session, self->fd, 1));
}

TEST_F(liveupdate, preserve_refused)
{
	int other, copy, null;

	self->session = create_session();
	if (self->session < 0)
		SKIP(return, "no session can be created");
	other = create_session_named("iommufd-selftest-2");
	ASSERT_LE(0, other);
	copy = dup(self->fd);
	ASSERT_LE(0, copy);
	null = open("/dev/null", O_RDWR);
	ASSERT_LE(0, null);

	ASSERT_EQ(0, mark(self->fd, self->hwpt_id, TAG, 0));
	ASSERT_EQ(0, preserve(self->session, self->fd, 1));
	EXPECT_ERRNO(EEXIST, preserve(self->session, mfd, 1));
	EXPECT_ERRNO(EBUSY, preserve(self->session, copy, 2));
	EXPECT_ERRNO(EBUSY, preserve(other, self->fd, 1));
	EXPECT_ERRNO(ENOENT, preserve(other, null, 2));

	close(null);
	close(copy);
	close(other);
	/* The refusals took nothing away from the first session */
	EXPECT_ERRNO(EBUSY, mark(self->fd, self->hwpt_id, 0,
				 IOMMU_HWPT_LIVEUPDATE_UNMARK));
}

TEST_F(liveupdate, preserve_outlives_user)
{
	self->session = create_session();
	if (self->session < 0)
		SKIP(return, "no session can be created");
	ASSERT_EQ(0, mark(self->fd, self->hwpt_id, TAG, 0));
	ASSERT_EQ(0, preserve(self->session, self->fd, 1));
	ASSERT_EQ(0, preserve(self->session, mfd, 2));

	/* The session holds it: its proof still has a table to read */
	ASSERT_EQ(0, close(self->fd));
	ASSERT_EQ(0, write_prepare("1"));
	ASSERT_EQ(0, write_prepare("0"));
	close(self->session);
	self->session = -1;

	self->fd = open("/dev/iommu", O_RDWR);
	ASSERT_NE(-1, self->fd);
}

TEST_F(liveupdate, attach)
{
	__u32 other_ioas, other_hwpt;

	self->session = create_session();
	if (self->session < 0)
		SKIP(return, "no session can be created");
	test_ioctl_ioas_alloc(&other_ioas);
	test_cmd_hwpt_alloc(self->idev_id, other_ioas, 0, &other_hwpt);
	test_cmd_mock_domain_replace(self->stdev_id, self->hwpt_id);
	ASSERT_EQ(0, mark(self->fd, self->hwpt_id, TAG, 0));
	ASSERT_EQ(0, preserve(self->session, self->fd, 1));
	ASSERT_EQ(0, preserve(self->session, mfd, 2));

	/* A device that is not kept itself comes and goes as it likes */
	test_cmd_mock_domain_replace(self->stdev_id, other_hwpt);
	test_cmd_mock_domain_replace(self->stdev_id, self->hwpt_id);
	ASSERT_EQ(0, write_prepare("1"));
	test_cmd_mock_domain_replace(self->stdev_id, other_hwpt);
	test_cmd_mock_domain_replace(self->stdev_id, self->hwpt_id);
	test_err_mock_domain_replace(ENOENT, self->stdev_id, 0xffffff);
	EXPECT_ERRNO(EBUSY, _test_ioctl_destroy(self->fd, self->hwpt_id));
	test_ioctl_destroy(self->stdev_id);
	ASSERT_EQ(0, write_prepare("0"));

	/* What was kept outlives its last device, and goes with its session */
	EXPECT_ERRNO(EBUSY, _test_ioctl_destroy(self->fd, self->hwpt_id));
	close(self->session);
	self->session = -1;
	test_ioctl_destroy(self->hwpt_id);
}

/* All is closed between prepare and cancel */
TEST_F(liveupdate, prepared)
{
	self->session = create_session();
	if (self->session < 0)
		SKIP(return, "no session can be created");
	ASSERT_EQ(0, mark(self->fd, self->hwpt_id, TAG, 0));
	ASSERT_EQ(0, preserve(self->session, self->fd, 1));
	ASSERT_EQ(0, preserve(self->session, mfd, 2));
	ASSERT_EQ(0, write_prepare("1"));

	test_err_ioctl_ioas_unmap(EBUSY, IOVA, BUFFER_SIZE);
	EXPECT_ERRNO(EBUSY, mark(self->fd, self->auto_hwpt_id, TAG + 1, 0));
	EXPECT_ERRNO(EBUSY, mark(self->fd, self->hwpt_id, 0,
				 IOMMU_HWPT_LIVEUPDATE_UNMARK));
	EXPECT_ERRNO(ENOTTY, find(self->fd, TAG, 0));

	ASSERT_EQ(0, write_prepare("0"));
	test_err_ioctl_ioas_unmap(EBUSY, IOVA, BUFFER_SIZE);
}

TEST_F(liveupdate, proof)
{
	self->session = create_session();
	if (self->session < 0)
		SKIP(return, "no session can be created");
	ASSERT_EQ(0, mark(self->fd, self->hwpt_id, TAG, 0));
	ASSERT_EQ(0, preserve(self->session, self->fd, 1));

	/* Its memory is not in the session, and then it is */
	EXPECT_ERRNO(EINVAL, write_prepare("1"));
	ASSERT_EQ(0, preserve(self->session, mfd, 2));
	ASSERT_EQ(0, write_prepare("1"));
	ASSERT_EQ(0, write_prepare("0"));
}

TEST_F(liveupdate, proof_anonymous)
{
	self->session = create_session();
	if (self->session < 0)
		SKIP(return, "no session can be created");
	test_ioctl_ioas_map_fixed(buffer, PAGE_SIZE, 2 * IOVA);
	ASSERT_EQ(0, mark(self->fd, self->hwpt_id, TAG, 0));
	ASSERT_EQ(0, preserve(self->session, mfd, 2));
	ASSERT_EQ(0, preserve(self->session, self->fd, 1));
	EXPECT_ERRNO(EINVAL, write_prepare("1"));
}

/* What stands for a BAR of another device */
TEST_F(liveupdate, proof_dmabuf)
{
	int dfd;

	self->session = create_session();
	if (self->session < 0)
		SKIP(return, "no session can be created");
	test_cmd_get_dmabuf(BUFFER_SIZE, &dfd);
	ASSERT_EQ(0, _test_ioctl_ioas_map_file(self->fd, self->ioas_id, dfd, 0,
					       BUFFER_SIZE, &(__u64){ 2 * IOVA },
					       IOMMU_IOAS_MAP_FIXED_IOVA |
					       IOMMU_IOAS_MAP_WRITEABLE |
					       IOMMU_IOAS_MAP_READABLE));
	ASSERT_EQ(0, mark(self->fd, self->hwpt_id, TAG, 0));
	ASSERT_EQ(0, preserve(self->session, mfd, 2));
	ASSERT_EQ(0, preserve(self->session, self->fd, 1));
	EXPECT_ERRNO(EINVAL, write_prepare("1"));
	close(dfd);
}

/* One HWPT of many is enough, whether devices use it or not */
TEST_F(liveupdate, proof_second_hwpt)
{
	__u32 other_ioas, other_hwpt;

	self->session = create_session();
	if (self->session < 0)
		SKIP(return, "no session can be created");
	test_ioctl_ioas_alloc(&other_ioas);
	test_cmd_hwpt_alloc(self->idev_id, other_ioas, 0, &other_hwpt);
	test_ioctl_ioas_map_id(other_ioas, buffer, PAGE_SIZE,
			       &(__u64){ 2 * IOVA });
	ASSERT_EQ(0, mark(self->fd, self->hwpt_id, TAG, 0));
	ASSERT_EQ(0, mark(self->fd, other_hwpt, TAG + 1, 0));
	ASSERT_EQ(0, preserve(self->session, mfd, 2));
	ASSERT_EQ(0, preserve(self->session, self->fd, 1));
	EXPECT_ERRNO(EINVAL, write_prepare("1"));
}

TEST_F(liveupdate, proof_other_session)
{
	int other;

	self->session = create_session();
	if (self->session < 0)
		SKIP(return, "no session can be created");
	other = create_session_named("iommufd-selftest-2");
	ASSERT_LE(0, other);

	ASSERT_EQ(0, mark(self->fd, self->hwpt_id, TAG, 0));
	ASSERT_EQ(0, preserve(other, mfd, 2));
	ASSERT_EQ(0, preserve(self->session, self->fd, 1));
	EXPECT_ERRNO(EINVAL, write_prepare("1"));

	/* In the same session it may */
	close(other);
	ASSERT_EQ(0, preserve(self->session, mfd, 2));
	ASSERT_EQ(0, write_prepare("1"));
	ASSERT_EQ(0, write_prepare("0"));
}

TEST_HARNESS_MAIN
