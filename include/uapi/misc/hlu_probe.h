/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * hlu-probe: QEMU's PCIe device that measures what happens to a device. All
 * registers are little endian and 32 bits wide; a 64-bit register is two of
 * them, low half first.
 */
#ifndef _UAPI_MISC_HLU_PROBE_H
#define _UAPI_MISC_HLU_PROBE_H

#include <linux/types.h>

#define HLU_PROBE_VENDOR	0x1234
#define HLU_PROBE_DEVICE_PF	0x4c50
#define HLU_PROBE_DEVICE_VF	0x4c56

/* BAR 0, 4 KiB: these registers. BAR 2, 4 KiB: MSI-X table, PBA at 0x800. */
#define HLU_PROBE_BAR_REGS	0
#define HLU_PROBE_BAR_MSIX	2
#define HLU_PROBE_PBA_OFFSET	0x800
#define HLU_PROBE_MAX_VECTORS	64

#define HLU_PROBE_ID		0x000	/* RO: HLU_PROBE_ID_VALUE */
#define HLU_PROBE_ID_VALUE	0x50554c48U
#define HLU_PROBE_VERSION	0x004	/* RO: 1 */
#define HLU_PROBE_FUNCTION	0x008	/* RO: 0 for the PF, n for its VF n (from 1) */
#define HLU_PROBE_VECTORS	0x00c	/* RO: vectors there are, 1 for INTx */

/*
 * To be written while not armed; the device ignores writes while it is. The
 * owner only reads the ring then: the device counts a record as out of order
 * when it no longer finds the one before where it wrote it.
 */
#define HLU_PROBE_RING		0x010	/* RW, 64 bit: bus address, 64-byte aligned */
#define HLU_PROBE_RECORDS	0x018	/* RW: records, a power of two, 2 to 65536 */
#define HLU_PROBE_PERIOD_US	0x01c	/* RW: virtual us between records, 10 to 1000000 */
#define HLU_PROBE_IRQ_EVERY	0x020	/* RW: records for each interrupt, or 0 */
#define HLU_PROBE_IRQ_VECTORS	0x024	/* RW: vectors to take turns, 1 to VECTORS */

#define HLU_PROBE_CONTROL	0x028	/* RW */
#define HLU_PROBE_CONTROL_ARM	0x1	/* 0 to 1: start at sequence 0 */
#define HLU_PROBE_STATUS	0x02c	/* RO */
#define HLU_PROBE_STATUS_ARMED	0x1
#define HLU_PROBE_STATUS_INTX	0x2	/* INTx is asserted */
#define HLU_PROBE_STATUS_BAD	0x4	/* ARM was refused: a setting is out of range */
#define HLU_PROBE_INTX_ACK	0x030	/* WO: any write deasserts INTx */
#define HLU_PROBE_SEQUENCE	0x038	/* RO, 64 bit: of the next record */

/*
 * One record to any address, at once, also while not armed. It has SEQUENCE but
 * does not use it up; counted apart from those of the ring.
 */
#define HLU_PROBE_POKE		0x040	/* WO, 64 bit: writing the high half writes */

/* Since the function was armed, without POKE; reading changes nothing. */
#define HLU_PROBE_DMA_TRIED	0x050	/* RO, 64 bit */
#define HLU_PROBE_DMA_FAILED	0x058	/* RO, 64 bit */
#define HLU_PROBE_IRQ_COUNT(v)	(0x100 + 8 * (v))	/* RO, 64 bit: raised on vector v */

#define HLU_PROBE_NO_VECTOR	0xffffffffU
#define HLU_PROBE_RECORD_MAGIC	0x524c4c48U

/**
 * struct hlu_probe_record - What the device writes into slot sequence % records.
 * @magic:     HLU_PROBE_RECORD_MAGIC.
 * @function:  Register FUNCTION of who wrote it.
 * @sequence:  From 0, one more with each record.
 * @time_ns:   The device's virtual clock at the write.
 * @due_ns:    The virtual time at which it was due.
 * @vector:    The vector raised right after it, or HLU_PROBE_NO_VECTOR.
 * @reserved:  Zero.
 * @irq_count: Interrupts raised on @vector, this one included; else 0.
 * @pad:       Zero.
 * @crc:       CRC-32 (IEEE 802.3) over all that is before it.
 */
struct hlu_probe_record {
	__le32 magic;
	__le32 function;
	__le64 sequence;
	__le64 time_ns;
	__le64 due_ns;
	__le32 vector;
	__le32 reserved;
	__le64 irq_count;
	__u8 pad[12];
	__le32 crc;
};

#endif /* _UAPI_MISC_HLU_PROBE_H */
