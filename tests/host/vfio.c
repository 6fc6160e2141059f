// SPDX-License-Identifier: GPL-2.0-or-later
#include "vfio.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/iommufd.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define ON		(PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER)

const char *iommufd_open(int *iommufd)
{
	*iommufd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	return *iommufd < 0 ? "/dev/iommu" : NULL;
}

const char *ioas_alloc(int iommufd, int huge, uint32_t *ioas)
{
	struct iommu_ioas_alloc arg = { .size = sizeof(arg) };
	struct iommu_option option = {
		.size = sizeof(option),
		.option_id = IOMMU_OPTION_HUGE_PAGES,
		.op = IOMMU_OPTION_OP_SET,
		.val64 = huge,
	};

	if (ioctl(iommufd, IOMMU_IOAS_ALLOC, &arg))
		return "IOAS_ALLOC";
	*ioas = option.object_id = arg.out_ioas_id;
	return ioctl(iommufd, IOMMU_OPTION, &option) ? "IOMMU_OPTION_HUGE_PAGES" : NULL;
}

const char *ioas_map(int iommufd, uint32_t ioas, int file, uint64_t size, uint64_t iova)
{
	struct iommu_ioas_map_file arg = {
		.size = sizeof(arg),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_WRITEABLE |
			 IOMMU_IOAS_MAP_READABLE,
		.ioas_id = ioas,
		.fd = file,
		.length = size,
		.iova = iova,
	};

	return ioctl(iommufd, IOMMU_IOAS_MAP_FILE, &arg) ? "IOAS_MAP_FILE" : NULL;
}

const char *ioas_unmap(int iommufd, uint32_t ioas, uint64_t size, uint64_t iova)
{
	struct iommu_ioas_unmap arg = {
		.size = sizeof(arg),
		.ioas_id = ioas,
		.length = size,
		.iova = iova,
	};

	return ioctl(iommufd, IOMMU_IOAS_UNMAP, &arg) ? "IOAS_UNMAP" : NULL;
}

const char *iommufd_destroy(int iommufd, uint32_t id)
{
	struct iommu_destroy arg = { .size = sizeof(arg), .id = id };

	return ioctl(iommufd, IOMMU_DESTROY, &arg) ? "IOMMU_DESTROY" : NULL;
}

const char *hwpt_mark(int iommufd, uint32_t hwpt, uint64_t tag)
{
	struct iommu_hwpt_liveupdate_mark arg = {
		.size = sizeof(arg),
		.hwpt_id = hwpt,
		.tag = tag,
	};

	return ioctl(iommufd, IOMMU_HWPT_LIVEUPDATE_MARK, &arg) ? "HWPT_LIVEUPDATE_MARK" : NULL;
}

const char *hwpt_find(int iommufd, uint64_t tag, uint32_t *hwpt)
{
	struct iommu_hwpt_liveupdate_find arg = { .size = sizeof(arg), .tag = tag };

	if (ioctl(iommufd, IOMMU_HWPT_LIVEUPDATE_FIND, &arg))
		return "HWPT_LIVEUPDATE_FIND";
	*hwpt = arg.out_hwpt_id;
	return NULL;
}

/* The number of a function's character device is its driver's choice. */
static int open_device(const char *address)
{
	struct dirent *entry;
	char path[300];
	DIR *folder;
	int fd = -1;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/vfio-dev", address);
	folder = opendir(path);
	if (!folder)
		return -1;
	while ((entry = readdir(folder))) {
		if (strncmp(entry->d_name, "vfio", 4))
			continue;
		snprintf(path, sizeof(path), "/dev/vfio/devices/%s", entry->d_name);
		fd = open(path, O_RDWR | O_CLOEXEC);
		break;
	}
	closedir(folder);
	return fd;
}

const char *vfio_open(struct vfio *v, const char *address, int iommufd)
{
	v->device = open_device(address);
	return v->device < 0 ? "open VFIO device" : vfio_bind(v, iommufd);
}

const char *vfio_bind(struct vfio *v, int iommufd)
{
	struct vfio_device_bind_iommufd bind = {
		.argsz = sizeof(bind),
		.iommufd = iommufd,
	};

	v->iommufd = iommufd;
	if (ioctl(v->device, VFIO_DEVICE_BIND_IOMMUFD, &bind))
		return "BIND_IOMMUFD";
	v->id = bind.out_devid;
	return NULL;
}

const char *vfio_hwpt_alloc(const struct vfio *v, uint32_t ioas, uint32_t *hwpt)
{
	struct iommu_hwpt_alloc arg = {
		.size = sizeof(arg),
		.dev_id = v->id,
		.pt_id = ioas,
	};

	if (ioctl(v->iommufd, IOMMU_HWPT_ALLOC, &arg))
		return "HWPT_ALLOC";
	*hwpt = arg.out_hwpt_id;
	return NULL;
}

const char *vfio_attach(const struct vfio *v, uint32_t pt)
{
	struct vfio_device_attach_iommufd_pt arg = { .argsz = sizeof(arg), .pt_id = pt };

	return ioctl(v->device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &arg) ? "ATTACH_IOMMUFD_PT" : NULL;
}

const char *vfio_capability(const struct vfio *v, uint16_t id, void *to, size_t size)
{
	union {
		struct vfio_device_info info;
		char room[4096];
	} all = { .info.argsz = sizeof(all) };
	struct vfio_info_cap_header head;

	if (ioctl(v->device, VFIO_DEVICE_GET_INFO, &all))
		return "GET_INFO";
	for (uint32_t at = all.info.cap_offset; at && at + size <= sizeof(all); at = head.next) {
		memcpy(&head, all.room + at, sizeof(head));
		if (head.id != id)
			continue;
		memcpy(to, all.room + at, size);
		return NULL;
	}
	errno = ENOENT;
	return "capability of the device";
}

const char *vfio_region(const struct vfio *v, uint32_t index, uint64_t *offset, uint64_t *size)
{
	struct vfio_region_info info = { .argsz = sizeof(info), .index = index };

	if (ioctl(v->device, VFIO_DEVICE_GET_REGION_INFO, &info))
		return "GET_REGION_INFO";
	*offset = info.offset;
	*size = info.size;
	return NULL;
}

const char *vfio_map(struct vfio *v, uint32_t bar)
{
	uint64_t offset, size;
	const char *what = vfio_region(v, VFIO_PCI_BAR0_REGION_INDEX + bar, &offset, &size);
	void *regs;

	if (what)
		return what;
	regs = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, v->device, offset);
	if (regs == MAP_FAILED)
		return "map BAR";
	v->regs = regs;
	v->size = size;
	return NULL;
}

void vfio_unmap(struct vfio *v)
{
	if (v->regs)
		munmap((void *)v->regs, v->size);
	v->regs = NULL;
}

const char *vfio_start(struct vfio *v)
{
	uint64_t config, size;
	const char *what = vfio_region(v, VFIO_PCI_CONFIG_REGION_INDEX, &config, &size);
	uint16_t command;

	if (what)
		return what;
	if (pread(v->device, &command, 2, config + PCI_COMMAND) != 2)
		return "read PCI_COMMAND";
	if ((command & ON) != ON) {
		command |= ON;
		if (pwrite(v->device, &command, 2, config + PCI_COMMAND) != 2)
			return "write PCI_COMMAND";
	}
	return vfio_map(v, 0);
}

const char *vfio_irqs(const struct vfio *v, uint32_t index, uint32_t first, uint32_t count,
		      const int32_t *events)
{
	size_t size = sizeof(struct vfio_irq_set) + count * sizeof(*events);
	struct vfio_irq_set *set = calloc(1, size);
	int ret = -1;

	if (set) {
		*set = (struct vfio_irq_set){
			.argsz = size,
			.flags = VFIO_IRQ_SET_ACTION_TRIGGER |
				 (count ? VFIO_IRQ_SET_DATA_EVENTFD : VFIO_IRQ_SET_DATA_NONE),
			.index = index,
			.start = first,
			.count = count,
		};
		memcpy(set->data, events, count * sizeof(*events));
		ret = ioctl(v->device, VFIO_DEVICE_SET_IRQS, set);
		free(set);
	}
	return ret ? "SET_IRQS" : NULL;
}

const char *vfio_intx_unmask(const struct vfio *v)
{
	struct vfio_irq_set set = {
		.argsz = sizeof(set),
		.flags = VFIO_IRQ_SET_ACTION_UNMASK | VFIO_IRQ_SET_DATA_NONE,
		.index = VFIO_PCI_INTX_IRQ_INDEX,
		.count = 1,
	};

	return ioctl(v->device, VFIO_DEVICE_SET_IRQS, &set) ? "SET_IRQS unmask" : NULL;
}

void vfio_close(struct vfio *v)
{
	vfio_unmap(v);
	if (v->device >= 0)
		close(v->device);
	*v = NO_VFIO;
}

uint32_t vfio_read(const struct vfio *v, unsigned int reg)
{
	return *(volatile uint32_t *)((volatile char *)v->regs + reg);
}

uint64_t vfio_read64(const struct vfio *v, unsigned int reg)
{
	return *(volatile uint64_t *)((volatile char *)v->regs + reg);
}

void vfio_write(const struct vfio *v, unsigned int reg, uint32_t value)
{
	*(volatile uint32_t *)((volatile char *)v->regs + reg) = value;
}

void vfio_write64(const struct vfio *v, unsigned int reg, uint64_t value)
{
	vfio_write(v, reg, value);
	vfio_write(v, reg + 4, value >> 32);
}
