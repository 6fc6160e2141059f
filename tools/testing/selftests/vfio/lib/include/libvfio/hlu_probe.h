/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SELFTESTS_VFIO_LIB_INCLUDE_LIBVFIO_HLU_PROBE_H
#define SELFTESTS_VFIO_LIB_INCLUDE_LIBVFIO_HLU_PROBE_H

#include <libvfio/vfio_pci_driver.h>

/*
 * QEMU's measuring device writes records into memory and raises interrupts by
 * itself, and does nothing else: it has no way to copy memory, or to send one MSI
 * that is asked for. So this driver is not one of those that
 * vfio_pci_driver_probe() chooses from; tests of what goes on by itself name it.
 */
extern const struct vfio_pci_driver_ops hlu_probe_ops;

/*
 * Looks at the records since the last check: all that the device had to write
 * must be there, whole and in its place.
 *
 * Returns the number of records.
 */
u64 hlu_probe_check(struct vfio_pci_device *device);

/* Interrupts that the device has raised since it was started. */
u64 hlu_probe_interrupts(struct vfio_pci_device *device);

#endif /* SELFTESTS_VFIO_LIB_INCLUDE_LIBVFIO_HLU_PROBE_H */
