/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the hlu-probe driver of one kernel tells that of the next.
 */
#ifndef _LINUX_KHO_ABI_HLU_PROBE_H
#define _LINUX_KHO_ABI_HLU_PROBE_H

#include <linux/types.h>
#include <uapi/misc/hlu_probe.h>

/**
 * DOC: hlu-probe ABI
 *
 * The driver's u64 in the handover record of an hlu-probe function is the
 * physical address of one kept page that holds a &struct hlu_probe_ser. The
 * ring of an armed function is kept too, as one block of pages.
 *
 * The settings cannot change while the function is preserved, so they are
 * checksummed. The counts go on until the last interrupt of the outgoing
 * kernel and carry no checksum; nothing depends on what they say.
 *
 * Integers are in the CPU's byte order, addresses physical. A change of any
 * structure changes the compatible string.
 */

#define HLU_PROBE_ABI_COMPATIBLE	"hlu-probe-v1"
#define HLU_PROBE_COMPAT_LEN		24

/**
 * struct hlu_probe_settings_ser - How a function was armed.
 * @ring:        Where its ring is, page aligned; 0 when it is not armed.
 * @records:     Records in the ring, a power of two.
 * @period_us:   Virtual microseconds from one record to the next.
 * @irq_every:   Records for each interrupt, 0 for none.
 * @irq_vectors: Vectors that take turns, at most HLU_PROBE_MAX_VECTORS.
 */
struct hlu_probe_settings_ser {
	u64 ring;
	u32 records;
	u32 period_us;
	u32 irq_every;
	u32 irq_vectors;
} __packed;

/**
 * struct hlu_probe_ser - One function.
 * @compatible:  HLU_PROBE_ABI_COMPATIBLE, NUL-terminated.
 * @crc:         crc32_le(~0) over @settings.
 * @reserved:    Zero.
 * @settings:    How it was armed.
 * @taken:       Interrupts that a CPU took since, by vector.
 * @before_data: Those of them whose record was not yet in the ring.
 */
struct hlu_probe_ser {
	char compatible[HLU_PROBE_COMPAT_LEN];
	u32 crc;
	u32 reserved;
	struct hlu_probe_settings_ser settings;
	u64 taken[HLU_PROBE_MAX_VECTORS];
	u64 before_data[HLU_PROBE_MAX_VECTORS];
} __packed;

#endif /* _LINUX_KHO_ABI_HLU_PROBE_H */
