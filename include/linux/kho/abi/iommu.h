/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What one kernel tells the next about the DMA translation that stays on.
 */
#ifndef _LINUX_KHO_ABI_IOMMU_H
#define _LINUX_KHO_ABI_IOMMU_H

#include <linux/bits.h>
#include <linux/types.h>

/**
 * DOC: IOMMU live update ABI
 *
 * The payload of subsystem IOMMU_LIVEUPDATE_NAME is a &struct
 * iommu_payload_ser, and behind it, without gaps: @nr_domains of &struct
 * iommu_domain_ser, @nr_functions of &struct iommu_function_ser, @nr_entries
 * of &struct iommu_entry_ser.
 *
 * A domain is a page table that iommufd keeps. A function is a preserved PCI
 * function behind an IOMMU. An entry is what the IOMMU finds for one requester
 * ID of a function.
 *
 * Table pages are preserved by KHO and are not listed: who adopts a table
 * walks it, and takes it only when every page of it, and all memory that it
 * maps, was handed over. Nor are the pages listed by which hardware finds an
 * entry; the hardware's own root pointer leads to them. An entry is taken over
 * only when hardware has the very words that stand here.
 *
 * A record that does not verify costs the functions that refer to it. Nobody
 * else is affected: records refer to each other by index, and a function says
 * how many entries it has.
 *
 * Integers are little endian, addresses physical. A change of any structure
 * changes IOMMU_LIVEUPDATE_COMPATIBLE.
 */

#define IOMMU_LIVEUPDATE_NAME		"iommu"
#define IOMMU_LIVEUPDATE_COMPATIBLE	"iommu-v1"

#define IOMMU_LIVEUPDATE_HW_LEN		16
#define IOMMU_LIVEUPDATE_WORDS		10

#define IOMMU_LIVEUPDATE_MAX_DOMAINS	4096
#define IOMMU_LIVEUPDATE_MAX_FUNCTIONS	4096
#define IOMMU_LIVEUPDATE_MAX_ENTRIES	16384

/* &struct iommu_domain_ser.format */
#define IOMMU_DOMAIN_SER_VTDSS		1	/* VT-d second stage */
#define IOMMU_DOMAIN_SER_AMDV1		2	/* AMD-Vi v1 */

/* Bits of &struct iommu_domain_ser.flags */
#define IOMMU_DOMAIN_SER_FORCE_SNOOP	BIT(0)	/* no-snoop is overridden */

/**
 * struct iommu_domain_ser - One page table.
 * @top:       Its top page.
 * @format:    IOMMU_DOMAIN_SER_VTDSS or IOMMU_DOMAIN_SER_AMDV1; 0 for a hole, all
 *             of which is 0.
 * @flags:     IOMMU_DOMAIN_SER_FORCE_SNOOP or 0.
 * @top_level: Level of the top page; leaves of the smallest size are level 0.
 * @vasz_lg2:  Bits of an IOVA.
 * @reserved:  Zero.
 * @nr_tables: Number of its pages.
 * @crc:       CRC32 of their addresses, see &struct pt_iommu_tables.
 */
struct iommu_domain_ser {
	u64 top;
	u32 format;
	u32 flags;
	u8 top_level;
	u8 vasz_lg2;
	u8 reserved[6];
	u32 nr_tables;
	u32 crc;
} __packed;

/* Special values of &struct iommu_function_ser.domain */
#define IOMMU_FUNCTION_SER_IDENTITY	0xffffffff	/* not translated */
#define IOMMU_FUNCTION_SER_BLOCKED	0xfffffffe	/* has an owner, no table */
#define IOMMU_FUNCTION_SER_NONE		0xfffffffd	/* does no DMA, or is lost */

/**
 * struct iommu_function_ser - One preserved PCI function.
 * @segment:    Its PCI segment, at most 0xffff.
 * @bdf:        Its bus, device and function number.
 * @nr_entries: How many entries it has. At least one when @domain is an index
 *              or IOMMU_FUNCTION_SER_IDENTITY, else 0.
 * @domain:     Index of its domain, or IOMMU_FUNCTION_SER_*.
 */
struct iommu_function_ser {
	u32 segment;
	u16 bdf;
	u16 nr_entries;
	u32 domain;
} __packed;

/**
 * struct iommu_entry_ser - What an IOMMU finds for one requester ID.
 * @unit:      The IOMMU, by the physical address of its registers.
 * @segment:   PCI segment that the IOMMU looks after, that of the function.
 * @function:  Index of the function.
 * @rid:       The requester ID.
 * @domain_id: Tag by which the IOMMU caches what it finds.
 * @reserved:  Zero.
 * @words:     The entry as hardware reads it. The IOMMU's driver says which
 *             word is what; 0 for words that it does not use.
 */
struct iommu_entry_ser {
	u64 unit;
	u32 segment;
	u32 function;
	u16 rid;
	u16 domain_id;
	u32 reserved;
	u64 words[IOMMU_LIVEUPDATE_WORDS];
} __packed;

/**
 * struct iommu_payload_ser - What stays on.
 * @hw:           The kind of IOMMU, printable ASCII padded with NUL.
 * @nr_domains:   Domains.
 * @nr_functions: Functions.
 * @nr_entries:   Entries. The payload's length must agree.
 * @reserved:     Zero.
 */
struct iommu_payload_ser {
	char hw[IOMMU_LIVEUPDATE_HW_LEN];
	u32 nr_domains;
	u32 nr_functions;
	u32 nr_entries;
	u32 reserved;
} __packed;

#endif /* _LINUX_KHO_ABI_IOMMU_H */
