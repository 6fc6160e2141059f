/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LUOD_IMAGE_H
#define LUOD_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "fail.h"

/* A note's type is a mask of these. */
#define NOTE_WRITES	1
#define NOTE_READS	2
#define NOTES_MAX	128
#define NOTE_TEXT_MAX	96

/* The handover formats a kernel writes and reads. */
struct notes {
	unsigned int count;
	struct note {
		uint32_t type;
		char text[NOTE_TEXT_MAX];
	} note[NOTES_MAX];
};

int notes_parse(const void *buf, size_t len, struct notes *notes,
		struct fail *f);
int notes_of_image(int fd, const char *path, struct notes *notes,
		   struct fail *f);
int notes_of_running(struct notes *notes, struct fail *f);
int notes_compare(const struct notes *running, const struct notes *image,
		  const char *path, struct fail *f);
int image_check(int fd, const char *path, struct notes *image, struct fail *f);

#endif
