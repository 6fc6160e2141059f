/* SPDX-License-Identifier: GPL-2.0 */
/*
 * ELF notes by which a kernel image tells what it can hand over and take over.
 */
#ifndef _LINUX_LIVEUPDATE_IMAGE_H
#define _LINUX_LIVEUPDATE_IMAGE_H

#include <linux/compiler.h>
#include <linux/elf.h>
#include <linux/types.h>

#define LIVEUPDATE_NOTE_OWNER	"liveupdate"
/* The note's type is a mask of these. */
#define LIVEUPDATE_NOTE_WRITES	1
#define LIVEUPDATE_NOTE_READS	2
#define LIVEUPDATE_NOTE_BOTH	3

/* An ELF note: name and description are padded to four bytes. */
struct liveupdate_image_note {
	struct elf64_note head;
	char owner[12];
	char compatible[48];
} __packed __aligned(4);

/**
 * LIVEUPDATE_IMAGE_NOTE - This kernel writes or reads a handover format.
 * @_id:         An identifier, unique in the file.
 * @_type:       LIVEUPDATE_NOTE_WRITES, LIVEUPDATE_NOTE_READS, or both.
 * @_compatible: The format's compatible string, at most 47 characters.
 */
#define LIVEUPDATE_IMAGE_NOTE(_id, _type, _compatible)			\
	static const struct liveupdate_image_note _id			\
	__used __section(".note.liveupdate") = {			\
		.head = {						\
			.n_namesz = sizeof(LIVEUPDATE_NOTE_OWNER),	\
			.n_descsz = 48,					\
			.n_type = _type,				\
		},							\
		.owner = LIVEUPDATE_NOTE_OWNER,				\
		.compatible = _compatible,				\
	}

#endif /* _LINUX_LIVEUPDATE_IMAGE_H */
