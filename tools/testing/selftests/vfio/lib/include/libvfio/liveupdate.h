/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SELFTESTS_VFIO_LIB_INCLUDE_LIBVFIO_LIVEUPDATE_H
#define SELFTESTS_VFIO_LIB_INCLUDE_LIBVFIO_LIVEUPDATE_H

#include <stdbool.h>

#include <libvfio/iommu.h>
#include <libvfio/vfio_pci_device.h>

/*
 * What an owner of a device needs for a live update, beside the sessions of
 * lib/libliveupdate. Functions return 0 or a negative errno, or they assert.
 */

/* An administrator's part: the device may stay alive. */
int sysfs_liveupdate_request(const char *bdf, bool requested);
/* prepare, and its cancel, of the whole host. */
int sysfs_liveupdate_prepare(bool prepare);

/*
 * Binds an open device file to an iommufd, and attaches it to a page table that
 * can be kept, of the IOAS of device->iommu. Returns its HWPT.
 */
u32 vfio_pci_liveupdate_bind(struct vfio_pci_device *device);
/* Only the second half of it; the device may run on another table until then. */
u32 vfio_pci_liveupdate_attach(struct vfio_pci_device *device);

int __iommufd_hwpt_mark(int iommufd, u32 hwpt_id, u64 tag);

/*
 * The incoming kernel: device->fd is the retrieved file, and device->iommu has the
 * retrieved iommufd. The device is bound, and is on its old page table.
 */
void vfio_pci_liveupdate_reclaim(struct vfio_pci_device *device, u64 tag);

/* A memfd that is mapped here, and for DMA. */
int liveupdate_region_create(struct dma_region *region, u64 size);
void liveupdate_region_adopt(struct dma_region *region, int memfd);

#endif /* SELFTESTS_VFIO_LIB_INCLUDE_LIBVFIO_LIVEUPDATE_H */
