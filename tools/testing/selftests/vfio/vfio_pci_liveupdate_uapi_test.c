// SPDX-License-Identifier: GPL-2.0-only
/*
 * What can be preserved of a VFIO PCI device, what prepare wants, and what the
 * device's owner cannot do until the live update is cancelled. Without a kexec.
 */
#include <fcntl.h>
#include <unistd.h>

#include <sys/ioctl.h>
#include <sys/mman.h>

#include <linux/sizes.h>
#include <linux/vfio.h>

#include <libliveupdate.h>
#include <libvfio.h>
#include <libvfio/liveupdate.h>

#include "../kselftest_harness.h"

#define REGION_IOVA	(4UL * SZ_1G)

enum { REGION_TOKEN = 1, IOMMUFD_TOKEN, DEVICE_TOKEN };

static const char *device_bdf;

FIXTURE(vfio_pci_liveupdate_uapi_test) {
	int luo_fd;
	int session;
	int region_fd;
	u32 hwpt_id;
	struct iommu *iommu;
	struct vfio_pci_device *device;
	struct dma_region region;
};

/* A device that is ready to be preserved, but for being requested. */
FIXTURE_SETUP(vfio_pci_liveupdate_uapi_test)
{
	self->luo_fd = luo_open_device();
	ASSERT_GE(self->luo_fd, 0);
	self->session = luo_create_session(self->luo_fd, "uapi");
	ASSERT_GE(self->session, 0);

	self->iommu = iommu_init(MODE_IOMMUFD);
	self->device = vfio_pci_device_alloc(device_bdf, self->iommu);
	self->region.iova = REGION_IOVA;
	self->region_fd = liveupdate_region_create(&self->region, SZ_2M);
	iommu_map(self->iommu, &self->region);

	vfio_pci_cdev_open(self->device, device_bdf);
	self->hwpt_id = vfio_pci_liveupdate_bind(self->device);
	vfio_pci_device_setup(self->device);
}

FIXTURE_TEARDOWN(vfio_pci_liveupdate_uapi_test)
{
	/* Also after a test that has failed half-way. */
	sysfs_liveupdate_prepare(false);
	close(self->session);
	sysfs_liveupdate_request(device_bdf, false);
	vfio_pci_device_cleanup(self->device);
	iommu_cleanup(self->iommu);
	munmap(self->region.vaddr, self->region.size);
	close(self->region_fd);
	close(self->luo_fd);
}

#define SELF FIXTURE_DATA(vfio_pci_liveupdate_uapi_test)

static int mark(SELF *self)
{
	return __iommufd_hwpt_mark(self->iommu->iommufd, self->hwpt_id, 1);
}

static int preserve(SELF *self, int fd, u64 token)
{
	return luo_session_preserve_fd(self->session, fd, token);
}

/* All that the device's file has to have beside it. */
static int preserve_rest(SELF *self)
{
	int ret;

	ret = sysfs_liveupdate_request(device_bdf, true);
	if (!ret)
		ret = mark(self);
	if (!ret)
		ret = preserve(self, self->region_fd, REGION_TOKEN);
	if (!ret)
		ret = preserve(self, self->iommu->iommufd, IOMMUFD_TOKEN);

	return ret;
}

static int preserve_all(SELF *self)
{
	return preserve_rest(self) ?: preserve(self, self->device->fd, DEVICE_TOKEN);
}

static int ioctl_errno(int fd, unsigned long request, void *arg)
{
	return ioctl(fd, request, arg) ? -errno : 0;
}

static struct vfio_device_info_cap_liveupdate *find_cap(struct vfio_device_info *info)
{
	struct vfio_info_cap_header *header;
	u32 at = info->cap_offset;

	while (at) {
		VFIO_ASSERT_LE(at + sizeof(*header), info->argsz);
		header = (void *)info + at;
		if (header->id == VFIO_DEVICE_INFO_CAP_LIVEUPDATE)
			return (void *)header;
		VFIO_ASSERT_TRUE(!header->next || header->next > at);
		at = header->next;
	}

	return NULL;
}

TEST_F(vfio_pci_liveupdate_uapi_test, info_capability)
{
	struct vfio_device_info size = { .argsz = sizeof(size) }, *info;
	struct vfio_device_info_cap_liveupdate *cap;

	ioctl_assert(self->device->fd, VFIO_DEVICE_GET_INFO, &size);
	ASSERT_TRUE(size.flags & VFIO_DEVICE_FLAGS_CAPS);

	info = calloc_assert(1, size.argsz);
	info->argsz = size.argsz;
	ioctl_assert(self->device->fd, VFIO_DEVICE_GET_INFO, info);

	cap = find_cap(info);
	ASSERT_NE(NULL, cap);
	EXPECT_EQ(1, cap->header.version);
	EXPECT_TRUE(cap->flags & VFIO_LIVEUPDATE_DMA);
	EXPECT_TRUE(cap->flags & VFIO_LIVEUPDATE_CONFIG);
	if (self->device->msix_info.count)
		EXPECT_TRUE(cap->irqs_latched & (1 << VFIO_PCI_MSIX_IRQ_INDEX));
	/* One or the other. */
	EXPECT_EQ(0, cap->irqs_latched & cap->irqs_replayed);

	free(info);
}

TEST_F(vfio_pci_liveupdate_uapi_test, preserve_and_close_session)
{
	int i;

	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, preserve_all(self));
		ASSERT_EQ(0, close(self->session));
		self->session = luo_create_session(self->luo_fd, "uapi");
		ASSERT_GE(self->session, 0);
	}

	/* The device is an ordinary one again. */
	vfio_pci_device_reset(self->device);
}

TEST_F(vfio_pci_liveupdate_uapi_test, preserve_twice)
{
	ASSERT_EQ(0, preserve_all(self));
	ASSERT_EQ(-EBUSY, preserve(self, self->device->fd, DEVICE_TOKEN + 1));
}

TEST_F(vfio_pci_liveupdate_uapi_test, preserve_not_requested)
{
	ASSERT_EQ(0, mark(self));
	ASSERT_EQ(-EACCES, preserve(self, self->device->fd, DEVICE_TOKEN));
}

TEST_F(vfio_pci_liveupdate_uapi_test, preserve_not_marked)
{
	ASSERT_EQ(0, sysfs_liveupdate_request(device_bdf, true));
	ASSERT_EQ(-ENODATA, preserve(self, self->device->fd, DEVICE_TOKEN));
}

TEST_F(vfio_pci_liveupdate_uapi_test, preserve_not_attached)
{
	struct vfio_device_detach_iommufd_pt detach = { .argsz = sizeof(detach) };

	ASSERT_EQ(0, sysfs_liveupdate_request(device_bdf, true));
	ioctl_assert(self->device->fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach);
	ASSERT_EQ(-ENOLINK, preserve(self, self->device->fd, DEVICE_TOKEN));
}

TEST_F(vfio_pci_liveupdate_uapi_test, preserve_not_bound)
{
	const char *path = vfio_pci_get_cdev_path(device_bdf);
	int fd = open(path, O_RDWR);

	/* Another opening of it: a file is bound, not a device. */
	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, sysfs_liveupdate_request(device_bdf, true));
	EXPECT_EQ(-ENOTCONN, preserve(self, fd, DEVICE_TOKEN));
	ASSERT_EQ(0, close(fd));
	free((void *)path);
}

TEST_F(vfio_pci_liveupdate_uapi_test, preserve_low_power)
{
	struct vfio_device_feature feature = {
		.argsz = sizeof(feature),
		.flags = VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY,
	};

	if (ioctl(self->device->fd, VFIO_DEVICE_FEATURE, &feature))
		SKIP(return, "The device has no low power\n");

	ASSERT_EQ(0, sysfs_liveupdate_request(device_bdf, true));
	ASSERT_EQ(0, mark(self));
	ASSERT_EQ(-EHOSTDOWN, preserve(self, self->device->fd, DEVICE_TOKEN));
}

TEST_F(vfio_pci_liveupdate_uapi_test, prepare_and_cancel)
{
	ASSERT_EQ(0, preserve_all(self));
	ASSERT_EQ(0, sysfs_liveupdate_prepare(true));
	ASSERT_EQ(0, sysfs_liveupdate_prepare(false));
	ASSERT_EQ(0, sysfs_liveupdate_prepare(true));
	ASSERT_EQ(0, sysfs_liveupdate_prepare(false));
}

TEST_F(vfio_pci_liveupdate_uapi_test, prepare_without_iommufd)
{
	ASSERT_EQ(0, sysfs_liveupdate_request(device_bdf, true));
	ASSERT_EQ(0, mark(self));
	ASSERT_EQ(0, preserve(self, self->region_fd, REGION_TOKEN));
	ASSERT_EQ(0, preserve(self, self->device->fd, DEVICE_TOKEN));
	ASSERT_EQ(-EXDEV, sysfs_liveupdate_prepare(true));
}

TEST_F(vfio_pci_liveupdate_uapi_test, prepare_no_longer_requested)
{
	ASSERT_EQ(0, preserve_all(self));
	ASSERT_EQ(0, sysfs_liveupdate_request(device_bdf, false));
	ASSERT_EQ(-EACCES, sysfs_liveupdate_prepare(true));
}

TEST_F(vfio_pci_liveupdate_uapi_test, prepare_file_in_no_session)
{
	ASSERT_EQ(0, preserve_rest(self));
	ASSERT_EQ(-EBADFD, sysfs_liveupdate_prepare(true));
}

TEST_F(vfio_pci_liveupdate_uapi_test, prepared_is_not_disturbed)
{
	struct vfio_device_attach_iommufd_pt attach = {
		.argsz = sizeof(attach),
		.pt_id = self->iommu->ioas_id,
	};
	struct vfio_device_detach_iommufd_pt detach = { .argsz = sizeof(detach) };
	struct vfio_device_feature feature = {
		.argsz = sizeof(feature),
		.flags = VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY,
	};
	int fd = self->device->fd;

	ASSERT_EQ(0, preserve_all(self));
	ASSERT_EQ(0, sysfs_liveupdate_prepare(true));

	EXPECT_EQ(-EBUSY, __vfio_pci_device_reset(self->device));
	EXPECT_EQ(-EBUSY, ioctl_errno(fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach));
	EXPECT_EQ(-EBUSY, ioctl_errno(fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach));
	EXPECT_EQ(-EBUSY, ioctl_errno(fd, VFIO_DEVICE_FEATURE, &feature));

	/* Its owner's guest still runs. */
	vfio_pci_msix_enable(self->device, 0, 1);
	vfio_pci_irq_trigger(self->device, VFIO_PCI_MSIX_IRQ_INDEX, 0);
	vfio_pci_msix_disable(self->device);
	vfio_pci_cmd_set(self->device, PCI_COMMAND_MASTER);

	ASSERT_EQ(0, sysfs_liveupdate_prepare(false));
	vfio_pci_device_reset(self->device);
}

/* No iommufd is behind it that could be preserved. */
TEST(preserve_group)
{
	struct iommu *iommu = iommu_init(MODE_IOMMUFD_COMPAT_TYPE1V2);
	struct vfio_pci_device *device = vfio_pci_device_init(device_bdf, iommu);
	int luo_fd = luo_open_device();
	int session = luo_create_session(luo_fd, "group");

	ASSERT_GE(session, 0);
	EXPECT_EQ(0, sysfs_liveupdate_request(device_bdf, true));
	EXPECT_EQ(-EINVAL, luo_session_preserve_fd(session, device->fd, DEVICE_TOKEN));
	EXPECT_EQ(0, sysfs_liveupdate_request(device_bdf, false));

	close(session);
	close(luo_fd);
	vfio_pci_device_cleanup(device);
	iommu_cleanup(iommu);
}

int main(int argc, char *argv[])
{
	int luo_fd;

	device_bdf = vfio_selftests_get_bdf(&argc, argv);

	luo_fd = luo_open_device();
	if (luo_fd < 0)
		ksft_exit_skip("Failed to open %s: %s\n", LUO_DEVICE, strerror(errno));
	close(luo_fd);

	return test_harness_run(argc, argv);
}
