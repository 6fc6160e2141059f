/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What one kernel tells the next about a preserved iommufd.
 */
#ifndef _LINUX_KHO_ABI_IOMMUFD_H
#define _LINUX_KHO_ABI_IOMMUFD_H

#include <linux/types.h>

/**
 * DOC: iommufd live update ABI
 *
 * The u64 that LUO keeps for a file of handler IOMMUFD_LIVEUPDATE_COMPATIBLE is
 * the physical address of a &struct iommufd_ser, in a block that KHO preserves.
 * It names the page tables that the file owned. The tables themselves are
 * described by subsystem "iommu", see iommu.h.
 *
 * A checksum is the CRC-32 (as of crc32_le(~0, ...)) of all bytes of its
 * structure in front of it. A head that does not verify costs all tables of
 * the file; an entry costs its own.
 *
 * Integers are little endian. A change of any structure changes
 * IOMMUFD_LIVEUPDATE_COMPATIBLE.
 */

#define IOMMUFD_LIVEUPDATE_COMPATIBLE	"iommufd-v1"

/**
 * struct iommufd_hwpt_ser - One HWPT that was marked.
 * @tag:      By which its user finds it again, unique in the file.
 * @domain:   Index of its table, from iommu_liveupdate_preserve_domain().
 * @reserved: Zero.
 * @crc:      Checksum.
 */
struct iommufd_hwpt_ser {
	u64 tag;
	u32 domain;
	u32 reserved;
	u32 crc;
} __packed;

/**
 * struct iommufd_ser - A preserved iommufd.
 * @count: Number of @hwpts, at least 1.
 * @crc:   Checksum.
 * @hwpts: The HWPTs that were marked.
 */
struct iommufd_ser {
	u32 count;
	u32 crc;
	struct iommufd_hwpt_ser hwpts[];
} __packed;

#endif /* _LINUX_KHO_ABI_IOMMUFD_H */
