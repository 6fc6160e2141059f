/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Functions of the measuring device (QEMU's hlu-probe) that were passed through
 * to the guest, under its own driver hlu_probe. A process arms those that are there
 * or are plugged in, and looks at their rings for as long as the guest runs.
 */
#ifndef DEVICES_H
#define DEVICES_H

#include <stddef.h>

/* Before the first fork. */
void devices_start(void);

/* Looks, every two seconds and without end. */
_Noreturn void devices_watch(void);

/*
 * Numbers for an answer, over all functions, since boot:
 *
 *   probes          functions that are armed
 *   dma_records     looked at
 *   dma_missed      not there, damaged, or replaced before anybody looked
 *   dma_wrong       in another one's place, or with another one's content
 *   dma_gap_ms      longest time between two records, by the device's clock
 *   irq_raised, irq_seen
 *                   interrupts, by the device's account and by the driver's; those
 *                   that are raised while one waits merge
 *   irq_early       seen before their record
 *   irq_stuck       vectors that were raised three times since one was last seen
 */
size_t devices_answer(char *text, size_t size);

#endif
