/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What one kernel tells the next about a PCI device that a user has by VFIO.
 */
#ifndef _LINUX_KHO_ABI_VFIO_PCI_H
#define _LINUX_KHO_ABI_VFIO_PCI_H

#include <linux/bits.h>
#include <linux/types.h>

/**
 * DOC: VFIO PCI live update ABI
 *
 * The u64 that LUO keeps for a file of handler VFIO_PCI_LIVEUPDATE_COMPATIBLE is
 * the physical address of a &struct vfio_pci_ser, in a block that KHO preserves.
 * The record of the device in the payload of subsystem "dev" holds the same
 * address, as the driver's number: either one alone is not believed.
 *
 * The record says what its user has made of the device, as far as that cannot
 * be read from the device. Registers, BARs and DMA are described by subsystems
 * "pci" and "iommu".
 *
 * The checksum is the CRC-32 (as of crc32_le(~0, ...)) of all bytes of the
 * record behind it. A record that does not verify costs its own device.
 *
 * Integers are little endian. A change of any structure changes
 * VFIO_PCI_LIVEUPDATE_COMPATIBLE.
 */

#define VFIO_PCI_LIVEUPDATE_COMPATIBLE	"vfio-pci-v1"

#define VFIO_PCI_SER_MAX_VECTORS	2048
#define VFIO_PCI_SER_NO_IRQ		0xff

/**
 * struct vfio_pci_irqs_ser - The interrupts that a user had set up.
 * @index:    VFIO_PCI_INTX_IRQ_INDEX, VFIO_PCI_MSI_IRQ_INDEX,
 *            VFIO_PCI_MSIX_IRQ_INDEX, or VFIO_PCI_SER_NO_IRQ for none.
 * @latched:  1: the vectors are masked in the device, which latches what it
 *            wants to raise. 0: it cannot, or there are none.
 * @nr:       Number of the last armed vector, plus one; 0 when none is armed.
 * @reserved: Zero.
 * @armed:    A bit for each vector that had an eventfd.
 * @pending:  A bit for each armed vector whose eventfd had been signalled, and
 *            not read.
 */
struct vfio_pci_irqs_ser {
	u8 index;
	u8 latched;
	u16 nr;
	u32 reserved;
	u64 armed[VFIO_PCI_SER_MAX_VECTORS / 64];
	u64 pending[VFIO_PCI_SER_MAX_VECTORS / 64];
} __packed;

/* Bits of &struct vfio_pci_ser.flags. */
#define VFIO_PCI_SER_LOST		BIT(0)	/* its device was not kept */
#define VFIO_PCI_SER_RESET_WORKS	BIT(1)
#define VFIO_PCI_SER_PCI_2_3		BIT(2)	/* INTx can be masked */
#define VFIO_PCI_SER_NOINTX		BIT(3)	/* INTx is broken and hidden */
#define VFIO_PCI_SER_VIRQ_DISABLED	BIT(4)	/* the user has disabled INTx */
#define VFIO_PCI_SER_BARDIRTY		BIT(5)	/* the user has written a BAR */
#define VFIO_PCI_SER_ALL_FLAGS		GENMASK(5, 0)

#define VFIO_PCI_SER_NUM_RBARS		7

/**
 * struct vfio_pci_ser - A VFIO device file and what stands behind it.
 * @length:    Bytes of the record, @data included.
 * @crc:       Checksum.
 * @domain:    PCI domain, at most 0xffff.
 * @bdf:       Bus, device and function number.
 * @vendor:    Vendor ID, of a VF that of its PF.
 * @device:    Device ID, of a VF as its PF says.
 * @cfg_size:  Size of the configuration space, 256 or 4096.
 * @flags:     VFIO_PCI_SER_*.
 * @rbar:      BARs and ROM BAR as they were when the file was bound.
 * @state_len: Bytes of the saved state in @data; 0 for none.
 * @reserved:  Zero.
 * @irqs:      Interrupts.
 * @data:      The virtual configuration space, @cfg_size bytes, then the state
 *             that the device gets back when it is closed: a saved state as of
 *             pci_saved_state_pack().
 */
struct vfio_pci_ser {
	u32 length;
	u32 crc;
	u32 domain;
	u16 bdf;
	u16 vendor;
	u16 device;
	u16 cfg_size;
	u32 flags;
	u32 rbar[VFIO_PCI_SER_NUM_RBARS];
	u32 state_len;
	u32 reserved;
	struct vfio_pci_irqs_ser irqs;
	u8 data[];
} __packed;

#endif /* _LINUX_KHO_ABI_VFIO_PCI_H */
