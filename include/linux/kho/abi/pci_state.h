/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How a saved state of a PCI function is written down for the next kernel.
 */
#ifndef _LINUX_KHO_ABI_PCI_STATE_H
#define _LINUX_KHO_ABI_PCI_STATE_H

#include <linux/types.h>

/**
 * DOC: PCI saved state ABI
 *
 * What pci_store_saved_state() returns, as a part of another record, whose
 * compatible string and checksum stand for it: a &struct pci_state_ser, whose
 * capabilities fill it up to its end.
 *
 * Integers are little endian.
 */

/**
 * struct pci_cap_state_ser - What is saved of one capability.
 * @nr:       Capability ID.
 * @extended: 1 for an extended capability, else 0.
 * @size:     Bytes in @data, at least 1.
 * @data:     As drivers/pci saves it for this capability.
 */
struct pci_cap_state_ser {
	u16 nr;
	u16 extended;
	u32 size;
	u8 data[];
} __packed;

/**
 * struct pci_state_ser - A saved state.
 * @config: The first 64 bytes of the configuration space.
 * @caps:   Any number of &struct pci_cap_state_ser, one after the other.
 */
struct pci_state_ser {
	u32 config[16];
	u8 caps[];
} __packed;

#endif /* _LINUX_KHO_ABI_PCI_STATE_H */
