/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What one kernel tells the next about the PCI functions that it keeps alive.
 */
#ifndef _LINUX_KHO_ABI_PCI_H
#define _LINUX_KHO_ABI_PCI_H

#include <linux/bits.h>
#include <linux/types.h>

/**
 * DOC: PCI live update ABI
 *
 * The payload of subsystem PCI_LIVEUPDATE_NAME is a &struct pci_payload_ser.
 * The record of a device in the payload of subsystem "dev" holds, as the bus's
 * number, the index of its entry here.
 *
 * Most of an entry are registers as the outgoing kernel last read them. The
 * incoming kernel reads them again and takes a function over only when they
 * agree; it never writes them. What cannot be read without writing, such as
 * the sizes of BARs, is used as it stands here, after its bounds are checked.
 *
 * Integers are little endian, addresses those of the PCI bus. A change of any
 * structure changes PCI_LIVEUPDATE_COMPATIBLE.
 */

#define PCI_LIVEUPDATE_NAME		"pci"
#define PCI_LIVEUPDATE_COMPATIBLE	"pci-v1"

#define PCI_LIVEUPDATE_NUM_BARS		6

/**
 * struct pci_bars_ser - Six base address registers.
 * @reg:      The registers.
 * @size:     Bytes of the BAR that starts at this register, a power of two; 0
 *            for none, and for the upper half of a 64-bit BAR.
 * @assigned: Bit n: the BAR at register n has an address.
 */
struct pci_bars_ser {
	u32 reg[PCI_LIVEUPDATE_NUM_BARS];
	u64 size[PCI_LIVEUPDATE_NUM_BARS];
	u32 assigned;
} __packed;

/**
 * struct pci_bridge_ser - What a bridge forwards.
 * @buses:            Primary, secondary and subordinate bus number, from bit 0.
 * @mem:              Memory base and limit.
 * @pref:             Prefetchable memory base and limit.
 * @pref_base_upper:  Upper half of the prefetchable base.
 * @pref_limit_upper: Upper half of the prefetchable limit.
 * @io_upper:         Upper halves of I/O base and limit.
 * @io:               I/O base and limit.
 * @control:          Bridge control, lower byte.
 */
struct pci_bridge_ser {
	u32 buses;
	u32 mem;
	u32 pref;
	u32 pref_base_upper;
	u32 pref_limit_upper;
	u32 io_upper;
	u16 io;
	u16 control;
} __packed;

/**
 * struct pci_caps_ser - Controls of capabilities; 0 without the capability.
 * @pm:      Power state.
 * @msi:     Message control, the enable bit.
 * @msix:    Message control, the enable bit.
 * @devctl:  PCIe device control, payload and read request sizes.
 * @devctl2: PCIe device control 2, ARI forwarding.
 * @acs:     ACS control.
 * @ats:     ATS control.
 * @pasid:   PASID control.
 */
struct pci_caps_ser {
	u16 pm;
	u16 msi;
	u16 msix;
	u16 devctl;
	u16 devctl2;
	u16 acs;
	u16 ats;
	u16 pasid;
} __packed;

/**
 * struct pci_sriov_ser - The SR-IOV capability; all 0 without it.
 * @bars:      VF BARs; @size is that of one VF.
 * @page_size: System page size.
 * @ctrl:      SR-IOV control.
 * @initial:   InitialVFs.
 * @total:     TotalVFs.
 * @num:       NumVFs.
 * @offset:    First VF offset.
 * @stride:    VF stride.
 * @vf_device: Device ID of the VFs.
 * @last_bus:  Highest bus number that any number of VFs can use.
 * @autoprobe: Whether drivers are probed for new VFs.
 */
struct pci_sriov_ser {
	struct pci_bars_ser bars;
	u32 page_size;
	u16 ctrl;
	u16 initial;
	u16 total;
	u16 num;
	u16 offset;
	u16 stride;
	u16 vf_device;
	u8 last_bus;
	u8 autoprobe;
} __packed;

/* Bits of &struct pci_function_ser.flags. */
#define PCI_FUNCTION_SER_VALID		BIT(0)	/* not a hole */
#define PCI_FUNCTION_SER_VF		BIT(1)
#define PCI_FUNCTION_SER_NO_DRIVER	BIT(2)	/* kept, but nobody used it */
#define PCI_FUNCTION_SER_INTX_BROKEN	BIT(3)	/* INTx cannot be masked */
#define PCI_FUNCTION_SER_IO_WINDOW	BIT(4)	/* bridge has one */
#define PCI_FUNCTION_SER_PREF_WINDOW	BIT(5)	/* bridge has one */
#define PCI_FUNCTION_SER_PREF_64	BIT(6)	/* that is 64 bits wide */
#define PCI_FUNCTION_SER_ROM_PLACED	BIT(7)	/* ROM has an address */
#define PCI_FUNCTION_SER_SRIOV		BIT(8)	/* VFs can be had of it */

/**
 * struct pci_function_ser - One function.
 * @flags:            PCI_FUNCTION_SER_*.
 * @domain:           PCI domain, at most 0xffff.
 * @bdf:              Bus, device and function number.
 * @command:          I/O, memory and bus master enable of the command register.
 * @vendor:           Vendor ID; of a VF, that of its PF.
 * @device:           Device ID; of a VF, as its PF says.
 * @subsystem_vendor: Subsystem vendor ID; 0 for a bridge.
 * @subsystem_device: Subsystem device ID; 0 for a bridge.
 * @class:            Class code and revision.
 * @hdr_type:         Header type without the multi-function bit.
 * @reserved:         Zero.
 * @bars:             Base address registers; a bridge has the first two.
 * @rom_reg:          Expansion ROM base address register.
 * @rom_start:        Address that is set aside for the ROM, if it is placed.
 * @rom_size:         Bytes of the ROM, a power of two; 0 for none.
 * @bridge:           Of a bridge; else 0.
 * @caps:             Capabilities.
 * @sriov:            SR-IOV capability of a PF.
 */
struct pci_function_ser {
	u32 flags;
	u32 domain;
	u16 bdf;
	u16 command;
	u16 vendor;
	u16 device;
	u16 subsystem_vendor;
	u16 subsystem_device;
	u32 class;
	u8 hdr_type;
	u8 reserved[3];
	struct pci_bars_ser bars;
	u32 rom_reg;
	u64 rom_start;
	u64 rom_size;
	struct pci_bridge_ser bridge;
	struct pci_caps_ser caps;
	struct pci_sriov_ser sriov;
} __packed;

/**
 * struct pci_payload_ser - The functions that are kept.
 * @count:     Entries in @functions; the payload's length must agree.
 * @reserved:  Zero.
 * @functions: One for each function; holes are all 0.
 */
struct pci_payload_ser {
	u32 count;
	u32 reserved;
	struct pci_function_ser functions[];
} __packed;

#endif /* _LINUX_KHO_ABI_PCI_H */
