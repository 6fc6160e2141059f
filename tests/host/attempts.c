// SPDX-License-Identifier: GPL-2.0-or-later
/* What an owner, or somebody in its place, may want while it cannot be had. */
#define _GNU_SOURCE
#include "owner.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

const char *attempt_reset(struct owner *o, char **args)
{
	(void)args;
	return ioctl(o->vfio.device, VFIO_DEVICE_RESET) ? "RESET" : NULL;
}

const char *attempt_hot_reset(struct owner *o, char **args)
{
	/* of an iommufd's devices: they are the proof */
	struct vfio_pci_hot_reset arg = { .argsz = sizeof(arg) };

	(void)args;
	return ioctl(o->vfio.device, VFIO_DEVICE_PCI_HOT_RESET, &arg) ? "HOT_RESET" : NULL;
}

static const char *find_capability(struct owner *o, uint8_t id, uint64_t *at)
{
	uint64_t config, size;
	const char *what = vfio_region(&o->vfio, VFIO_PCI_CONFIG_REGION_INDEX, &config, &size);
	uint8_t head[2] = { 0 };
	uint8_t next;

	if (what || pread(o->vfio.device, &next, 1, config + PCI_CAPABILITY_LIST) != 1)
		return what ?: "read config";
	for (; next; next = head[1]) {
		*at = config + next;
		if (pread(o->vfio.device, head, 2, *at) != 2)
			return "read config";
		if (head[0] == id)
			return NULL;
	}
	errno = ENOENT;
	return "capability";
}

static const char *set_bits(struct owner *o, uint8_t id, unsigned int offset, uint16_t bits)
{
	uint64_t at;
	const char *what = find_capability(o, id, &at);
	uint16_t value;

	if (what || pread(o->vfio.device, &value, 2, at + offset) != 2)
		return what ?: "read config";
	value |= bits;
	return pwrite(o->vfio.device, &value, 2, at + offset) == 2 ? NULL : "write config";
}

const char *attempt_flr(struct owner *o, char **args)
{
	(void)args;
	return set_bits(o, PCI_CAP_ID_EXP, PCI_EXP_DEVCTL, PCI_EXP_DEVCTL_BCR_FLR);
}

const char *attempt_d3(struct owner *o, char **args)
{
	(void)args;
	return set_bits(o, PCI_CAP_ID_PM, PCI_PM_CTRL, PCI_PM_CTRL_STATE_MASK);
}

const char *attempt_low_power(struct owner *o, char **args)
{
	struct vfio_device_feature arg = {
		.argsz = sizeof(arg),
		.flags = VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY,
	};

	(void)args;
	return ioctl(o->vfio.device, VFIO_DEVICE_FEATURE, &arg) ? "LOW_POWER_ENTRY" : NULL;
}

const char *attempt_detach(struct owner *o, char **args)
{
	struct vfio_device_detach_iommufd_pt arg = { .argsz = sizeof(arg) };

	(void)args;
	return ioctl(o->vfio.device, VFIO_DEVICE_DETACH_IOMMUFD_PT, &arg) ?
	       "DETACH_IOMMUFD_PT" : NULL;
}

const char *attempt_bind(struct owner *o, char **args)
{
	struct vfio stranger = o->vfio;
	int iommufd;
	const char *what = iommufd_open(&iommufd);

	(void)args;
	if (what)
		return what;
	what = vfio_bind(&stranger, iommufd);
	close(iommufd);
	return what;
}

/* BAR 0 by a new mapping, and a byte of config space that is the owner's alone. */
const char *attempt_touch(struct owner *o, char **args)
{
	struct vfio again = o->vfio;
	const char *what = vfio_map(&again, HLU_PROBE_BAR_REGS);
	uint64_t config, size;
	uint8_t line = 0x47, found = 0;

	(void)args;
	if (what)
		return what;
	if (vfio_read(&again, HLU_PROBE_ID) != HLU_PROBE_ID_VALUE)
		what = "BAR";
	vfio_unmap(&again);
	what = what ?: vfio_region(&o->vfio, VFIO_PCI_CONFIG_REGION_INDEX, &config, &size);
	if (what)
		return what;
	if (pwrite(o->vfio.device, &line, 1, config + PCI_INTERRUPT_LINE) != 1)
		return "write config";
	if (pread(o->vfio.device, &found, 1, config + PCI_INTERRUPT_LINE) == 1 && found == line)
		return NULL;
	return "read config";
}

static const char *get_device(struct owner *o, int group, const char *address)
{
	if (ioctl(group, VFIO_GROUP_SET_CONTAINER, &o->iommufd))
		return "SET_CONTAINER";
	if (ioctl(o->iommufd, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))
		return "SET_IOMMU";
	o->vfio.device = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, address);
	return o->vfio.device < 0 ? "GET_DEVICE_FD" : NULL;
}

/* The path to a device that there was before character devices. */
const char *attempt_group(struct owner *o, char **args)
{
	const char *what = "open group";
	char path[300], group[256];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group", args[0]);
	n = readlink(path, group, sizeof(group) - 1);
	if (n < 0)
		return "iommu_group";
	group[n] = '\0';
	snprintf(path, sizeof(path), "/dev/vfio/%s", strrchr(group, '/') + 1);
	/* as that of an iommufd: close takes it */
	o->iommufd = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (o->iommufd >= 0 && fd >= 0)
		what = get_device(o, fd, args[0]);
	if (fd >= 0) {
		int err = errno;

		/* the device holds it, if there is one */
		close(fd);
		errno = err;
	}
	return what;
}
