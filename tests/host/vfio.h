/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One PCI function in the hand of a program: its VFIO character device, and the
 * I/O address spaces of an iommufd.
 *
 * A function that returns a text returns NULL when all went well, else the name
 * of the step that failed, and errno.
 */
#ifndef VFIO_H
#define VFIO_H

#include <stddef.h>
#include <stdint.h>

struct vfio {
	int device;	/* /dev/vfio/devices/vfioN */
	int iommufd;
	uint32_t id;	/* of the device in the iommufd */
	volatile void *regs;
	uint64_t size;	/* of what is mapped there */
};

#define NO_VFIO	((struct vfio){ .device = -1, .iommufd = -1 })

const char *iommufd_open(int *iommufd);
/* With large pages in its tables only if `huge`. */
const char *ioas_alloc(int iommufd, int huge, uint32_t *ioas);
/* The beginning of a file. */
const char *ioas_map(int iommufd, uint32_t ioas, int file, uint64_t size, uint64_t iova);
const char *ioas_unmap(int iommufd, uint32_t ioas, uint64_t size, uint64_t iova);
const char *iommufd_destroy(int iommufd, uint32_t id);
/* Keeps a page table over a live update, and finds it again. */
const char *hwpt_mark(int iommufd, uint32_t hwpt, uint64_t tag);
const char *hwpt_find(int iommufd, uint64_t tag, uint32_t *hwpt);

/* Opens the function at a PCI address and binds it to the iommufd. */
const char *vfio_open(struct vfio *v, const char *address, int iommufd);
/* Only that: for a device file that is there already, in v->device. */
const char *vfio_bind(struct vfio *v, int iommufd);
/* A page table of its own for an address space, as the device needs it. */
const char *vfio_hwpt_alloc(const struct vfio *v, uint32_t ioas, uint32_t *hwpt);
/* `pt` is an address space or a page table; it replaces the one before. */
const char *vfio_attach(const struct vfio *v, uint32_t pt);
/* A capability of VFIO_DEVICE_GET_INFO, so many bytes of it; ENOENT: not there. */
const char *vfio_capability(const struct vfio *v, uint16_t id, void *to, size_t size);
/* Where a VFIO_PCI_*_REGION_INDEX is in the device file. */
const char *vfio_region(const struct vfio *v, uint32_t index, uint64_t *offset, uint64_t *size);
/* A BAR, which vfio_read() and vfio_write() are then about. */
const char *vfio_map(struct vfio *v, uint32_t bar);
void vfio_unmap(struct vfio *v);
/* Memory and bus master enable, unless they are on, and BAR 0. */
const char *vfio_start(struct vfio *v);
/*
 * Eventfds for vectors of a VFIO_PCI_*_IRQ_INDEX; -1 is none. With no vectors
 * at all, that kind of interrupt is turned off.
 */
const char *vfio_irqs(const struct vfio *v, uint32_t index, uint32_t first, uint32_t count,
		      const int32_t *events);
/* INTx is masked each time that it was signalled. */
const char *vfio_intx_unmask(const struct vfio *v);
/* Resets the function, when nobody else has it open. */
void vfio_close(struct vfio *v);

uint32_t vfio_read(const struct vfio *v, unsigned int reg);
uint64_t vfio_read64(const struct vfio *v, unsigned int reg);
void vfio_write(const struct vfio *v, unsigned int reg, uint32_t value);
void vfio_write64(const struct vfio *v, unsigned int reg, uint64_t value);

#endif
