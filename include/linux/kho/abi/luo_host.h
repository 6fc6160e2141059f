/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What one kernel tells the next about a host-wide live update.
 */
#ifndef _LINUX_KHO_ABI_LUO_HOST_H
#define _LINUX_KHO_ABI_LUO_HOST_H

#include <linux/types.h>

/**
 * DOC: Live update host state ABI
 *
 * The KHO subtree LUO_HOST_KHO_ENTRY_NAME is one page that holds a
 * &struct luo_host_ser. The outgoing kernel fills it inside reboot(2), after
 * every subsystem has frozen; the incoming kernel trusts no byte of it before
 * magic, version, bounds and checksums have been checked.
 *
 * The timeline is a second page, a &struct luo_timeline_ser. It is written up
 * to the last instruction of the outgoing kernel and therefore carries no
 * checksum: its reader bounds the count and drops names that are not
 * printable, and nothing depends on what it says.
 *
 * Integers are little endian, addresses physical. A change of any structure
 * changes its compatible string.
 */

/* Name of the KHO subtree. */
#define LUO_HOST_KHO_ENTRY_NAME		"LUO-host"

#define LUO_HOST_ABI_COMPATIBLE		"luo-host-v1"
#define LUO_TIMELINE_ABI_COMPATIBLE	"luo-timeline-v1"

#define LUO_HOST_COMPAT_LEN		24
#define LUO_HOST_MAGIC			0x484f554cU	/* "LUOH" */
#define LUO_PAYLOAD_NAME_LEN		32
#define LUO_PAYLOAD_COMPAT_LEN		48
#define LUO_HOST_MAX_PAYLOADS		32
/* A payload is one physically contiguous allocation of the buddy allocator. */
#define LUO_PAYLOAD_MAX_LEN		(4UL << 20)

/**
 * struct luo_payload_ser - What one subsystem hands over.
 * @name:       The subsystem, NUL-terminated.
 * @compatible: Version of the data's layout, NUL-terminated.
 * @pa:         Physical address of the data, page aligned, preserved by KHO.
 * @len:        Bytes, 1 to LUO_PAYLOAD_MAX_LEN.
 * @crc:        crc32_le(~0) over the data.
 * @reserved:   Zero.
 */
struct luo_payload_ser {
	char name[LUO_PAYLOAD_NAME_LEN];
	char compatible[LUO_PAYLOAD_COMPAT_LEN];
	u64 pa;
	u64 len;
	u32 crc;
	u32 reserved;
} __packed;

/* Values of &struct luo_host_ser.state. */
#define LUO_HOST_SER_NONE	0	/* a kexec without prepare */
#define LUO_HOST_SER_FROZEN	1	/* prepared and frozen: an update */

/**
 * struct luo_host_ser - Head of the handover.
 * @compatible:  LUO_HOST_ABI_COMPATIBLE, NUL-terminated.
 * @magic:       LUO_HOST_MAGIC.
 * @crc:         crc32_le(~0) over all that follows, up to the last payload.
 * @state:       LUO_HOST_SER_*.
 * @count:       Entries in @payloads, at most LUO_HOST_MAX_PAYLOADS.
 * @timeline_pa: Physical address of the &struct luo_timeline_ser, or 0.
 * @payloads:    One entry for each subsystem that hands something over.
 */
struct luo_host_ser {
	char compatible[LUO_HOST_COMPAT_LEN];
	u32 magic;
	u32 crc;
	u32 state;
	u32 count;
	u64 timeline_pa;
	struct luo_payload_ser payloads[LUO_HOST_MAX_PAYLOADS];
} __packed;

#define LUO_STAMP_NAME_LEN	40

/**
 * struct luo_stamp_ser - One moment of an update.
 * @name: "who:what", NUL-terminated, printable, no blanks.
 * @tsc:  The CPU's time stamp counter, which kexec does not reset.
 */
struct luo_stamp_ser {
	char name[LUO_STAMP_NAME_LEN];
	u64 tsc;
} __packed;

#define LUO_TIMELINE_MAX_STAMPS	84

/**
 * struct luo_timeline_ser - The moments of an update, in order of writing.
 * @compatible: LUO_TIMELINE_ABI_COMPATIBLE, NUL-terminated.
 * @tsc_khz:    Frequency of the counter in kHz.
 * @count:      Entries in @stamps, at most LUO_TIMELINE_MAX_STAMPS.
 * @stamps:     The moments.
 */
struct luo_timeline_ser {
	char compatible[LUO_HOST_COMPAT_LEN];
	u32 tsc_khz;
	u32 count;
	struct luo_stamp_ser stamps[LUO_TIMELINE_MAX_STAMPS];
} __packed;

#endif /* _LINUX_KHO_ABI_LUO_HOST_H */
