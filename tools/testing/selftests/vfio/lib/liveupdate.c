// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <linux/iommufd.h>
#include <linux/limits.h>
#include <linux/types.h>
#include <linux/vfio.h>

#include <libvfio.h>
#include <libvfio/liveupdate.h>

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	int ret = 0;

	if (fd < 0)
		return -errno;

	if (write(fd, text, strlen(text)) < 0)
		ret = -errno;

	close(fd);
	return ret;
}

int sysfs_liveupdate_request(const char *bdf, bool requested)
{
	char path[PATH_MAX];

	snprintf_assert(path, sizeof(path), "/sys/bus/pci/devices/%s/liveupdate/requested", bdf);
	return write_file(path, requested ? "1" : "0");
}

int sysfs_liveupdate_prepare(bool prepare)
{
	return write_file("/sys/kernel/liveupdate/prepare", prepare ? "1" : "0");
}

int __iommufd_hwpt_mark(int iommufd, u32 hwpt_id, u64 tag)
{
	struct iommu_hwpt_liveupdate_mark args = {
		.size = sizeof(args),
		.hwpt_id = hwpt_id,
		.tag = tag,
	};

	if (ioctl(iommufd, IOMMU_HWPT_LIVEUPDATE_MARK, &args))
		return -errno;

	return 0;
}

static u32 iommufd_hwpt_find(int iommufd, u64 tag)
{
	struct iommu_hwpt_liveupdate_find args = {
		.size = sizeof(args),
		.tag = tag,
	};

	ioctl_assert(iommufd, IOMMU_HWPT_LIVEUPDATE_FIND, &args);
	return args.out_hwpt_id;
}

/* The type of table that can be kept has to be asked for where there are two. */
static u32 iommufd_hwpt_alloc(int iommufd, u32 dev_id, u32 ioas_id)
{
	struct iommu_hwpt_alloc args = {
		.size = sizeof(args),
		.flags = IOMMU_HWPT_ALLOC_NEST_PARENT,
		.dev_id = dev_id,
		.pt_id = ioas_id,
	};

	if (!ioctl(iommufd, IOMMU_HWPT_ALLOC, &args))
		return args.out_hwpt_id;

	VFIO_ASSERT_EQ(errno, EOPNOTSUPP);
	args.flags = 0;
	ioctl_assert(iommufd, IOMMU_HWPT_ALLOC, &args);
	return args.out_hwpt_id;
}

static u32 bind_iommufd(struct vfio_pci_device *device)
{
	struct vfio_device_bind_iommufd args = {
		.argsz = sizeof(args),
		.iommufd = device->iommu->iommufd,
	};

	ioctl_assert(device->fd, VFIO_DEVICE_BIND_IOMMUFD, &args);
	return args.out_devid;
}

static void attach_iommufd_pt(struct vfio_pci_device *device, u32 pt_id)
{
	struct vfio_device_attach_iommufd_pt args = {
		.argsz = sizeof(args),
		.pt_id = pt_id,
	};

	ioctl_assert(device->fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &args);
}

u32 vfio_pci_liveupdate_attach(struct vfio_pci_device *device)
{
	struct iommu *iommu = device->iommu;
	u32 hwpt_id;

	hwpt_id = iommufd_hwpt_alloc(iommu->iommufd, device->iommufd_devid, iommu->ioas_id);
	attach_iommufd_pt(device, hwpt_id);

	return hwpt_id;
}

u32 vfio_pci_liveupdate_bind(struct vfio_pci_device *device)
{
	device->iommufd_devid = bind_iommufd(device);
	return vfio_pci_liveupdate_attach(device);
}

void vfio_pci_liveupdate_reclaim(struct vfio_pci_device *device, u64 tag)
{
	device->iommufd_devid = bind_iommufd(device);
	attach_iommufd_pt(device, iommufd_hwpt_find(device->iommu->iommufd, tag));
}

static void region_map(struct dma_region *region, int memfd)
{
	region->vaddr = mmap(NULL, region->size, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
	VFIO_ASSERT_NE(region->vaddr, MAP_FAILED);
}

int liveupdate_region_create(struct dma_region *region, u64 size)
{
	int memfd = memfd_create("liveupdate", 0);

	VFIO_ASSERT_GE(memfd, 0);
	VFIO_ASSERT_EQ(ftruncate(memfd, size), 0);

	region->size = size;
	region_map(region, memfd);

	return memfd;
}

void liveupdate_region_adopt(struct dma_region *region, int memfd)
{
	struct stat stat;

	VFIO_ASSERT_EQ(fstat(memfd, &stat), 0);

	region->size = stat.st_size;
	region_map(region, memfd);
}
