/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest's disk, /dev/vda: block after block is written, past the page cache,
 * with words that tell the block and the round, flushed, read back and looked at;
 * then the next round. tests/lib/disk.py looks at the same file from outside.
 */
#ifndef DISK_H
#define DISK_H

#include <stddef.h>

/* Before the first fork. */
void disk_start(void);

/* Without end; without a disk nothing happens. */
_Noreturn void disk_work(void);

/*
 * Numbers for an answer: blocks written and read back, those that were found
 * wrong, requests that failed, and the longest of all requests.
 */
size_t disk_answer(char *text, size_t size);

#endif
