/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What one kernel tells the next about a guest_memfd.
 */
#ifndef _LINUX_KHO_ABI_GUEST_MEMFD_H
#define _LINUX_KHO_ABI_GUEST_MEMFD_H

#include <linux/types.h>

/**
 * DOC: guest_memfd live update ABI
 *
 * The u64 that LUO keeps for a file of handler GUEST_MEMFD_LUO_COMPATIBLE is the
 * physical address of a &struct guest_memfd_ser, in a block that KHO preserves. The
 * folios of the file are listed as pfns.h says, in the order of their index in the
 * file and without holes. KHO knows their sizes.
 *
 * The checksum is the CRC-32 (as of crc32_le(~0, ...)) of all bytes of the record
 * behind it. A record that does not verify costs its file.
 *
 * Integers are little endian. A change of the structure changes the string.
 */

#define GUEST_MEMFD_LUO_COMPATIBLE	"guest-memfd-v1"

/**
 * struct guest_memfd_ser - A guest_memfd whose memory is shared.
 * @crc:       Checksum.
 * @reserved:  Zero.
 * @flags:     GUEST_MEMFD_FLAG_*: MMAP and INIT_SHARED.
 * @vm:        What LUO keeps for the file of its VM, see kvm.h.
 * @size:      Its size in bytes.
 * @nr_folios: How many folios it consists of.
 * @first:     Physical address of the first block of their list.
 */
struct guest_memfd_ser {
	u32 crc;
	u32 reserved;
	u64 flags;
	u64 vm;
	u64 size;
	u64 nr_folios;
	u64 first;
} __packed;

#endif /* _LINUX_KHO_ABI_GUEST_MEMFD_H */
