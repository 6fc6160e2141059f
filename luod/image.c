// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which handover formats does a kernel image understand?
 *
 * A bzImage carries a compressed vmlinux; the vmlinux carries ELF notes with
 * owner "liveupdate" (docs/interfaces.md, section 2). The payload is unpacked
 * as a stream, only as far as the last PT_NOTE segment, and nothing of it is
 * kept but the notes. What follows the payload (the size word that the kernel
 * build appends to it) is never read.
 *
 * Refusals:
 *   ENOEXEC          the file is no bzImage
 *   EBADMSG          it is one, but short or damaged
 *   ENOPKG           it has no liveupdate notes
 *   EOPNOTSUPP       the running kernel has none
 *   EPROTONOSUPPORT  the running kernel writes what the image cannot read
 *
 * No length or offset of the file is trusted: each is held against the size of
 * the file or against a fixed limit before it is used.
 */
#include <archive.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image.h"

#define NOTES_PATH	"/sys/kernel/notes"
#define NOTES_SIZE_MAX	(256u * 1024)
#define VMLINUX_MAX	(1024u * 1024 * 1024)
#define PHDR_MAX	64

/* Offsets in the x86 boot protocol's header. */
#define BOOT_HEADER_LEN	0x264
#define SETUP_SECTS	0x1f1
#define SYSSIZE		0x1f4
#define MAGIC		0x202
#define VERSION		0x206
#define PAYLOAD_OFFSET	0x248
#define PAYLOAD_LENGTH	0x24c

struct payload {
	int fd;
	uint64_t pos;
	uint64_t end;
	uint64_t unpacked;
	const char *path;
	struct fail *f;
	char buf[65536];
};

static size_t note_align(size_t len)
{
	return (len + 3) & ~(size_t)3;
}

static int note_keep(const Elf64_Nhdr *hdr, const char *desc,
		     struct notes *notes, struct fail *f)
{
	size_t len = strnlen(desc, hdr->n_descsz);
	struct note *note;

	if (!(hdr->n_type & (NOTE_WRITES | NOTE_READS)))
		return 0;
	/* The string may be followed by padding that counts. */
	if (!len || len == hdr->n_descsz || len >= NOTE_TEXT_MAX)
		return fail(f, EBADMSG, "a liveupdate note is not a string");
	for (size_t i = 0; i < len; i++)
		if (desc[i] <= ' ' || desc[i] > '~')
			return fail(f, EBADMSG,
				    "a liveupdate note is not printable");
	if (notes->count == NOTES_MAX)
		return fail(f, EBADMSG, "more than %d liveupdate notes",
			    NOTES_MAX);

	note = &notes->note[notes->count++];
	note->type = hdr->n_type;
	memcpy(note->text, desc, len + 1);
	return 0;
}

/* Adds the liveupdate notes in @buf to @notes. */
int notes_parse(const void *buf, size_t len, struct notes *notes,
		struct fail *f)
{
	static const char owner[] = "liveupdate";
	const char *p = buf;

	while (len >= sizeof(Elf64_Nhdr)) {
		size_t name, desc;
		Elf64_Nhdr hdr;

		memcpy(&hdr, p, sizeof(hdr));
		name = note_align(hdr.n_namesz);
		desc = note_align(hdr.n_descsz);
		p += sizeof(hdr);
		len -= sizeof(hdr);
		/* The last desc may come without its padding. */
		if (name > len || hdr.n_descsz > len - name)
			return fail(f, EBADMSG, "a note is cut off");
		if (hdr.n_namesz == sizeof(owner) &&
		    !memcmp(p, owner, sizeof(owner)) &&
		    note_keep(&hdr, p + name, notes, f))
			return -f->err;
		if (desc > len - name)
			break;
		p += name + desc;
		len -= name + desc;
	}
	return 0;
}

static la_ssize_t payload_read(struct archive *a, void *ctx, const void **out)
{
	struct payload *p = ctx;
	uint64_t left = p->end - p->pos;
	size_t want = left < sizeof(p->buf) ? left : sizeof(p->buf);
	ssize_t got;

	do {
		got = pread(p->fd, p->buf, want, (off_t)p->pos);
	} while (got < 0 && errno == EINTR);
	if (got < 0) {
		archive_set_error(a, errno, "%s", strerror(errno));
		return ARCHIVE_FATAL;
	}
	p->pos += (uint64_t)got;
	*out = p->buf;
	return got;
}

/* Unpacks @len bytes to @out, or to nowhere. */
static int payload_unpack(struct archive *a, struct payload *p, void *out,
			  uint64_t len)
{
	while (len) {
		char nowhere[16384];
		size_t want = len;
		la_ssize_t got;

		if (!out && want > sizeof(nowhere))
			want = sizeof(nowhere);
		got = archive_read_data(a, out ? out : (void *)nowhere, want);
		if (got <= 0)
			return fail(p->f, EBADMSG,
				    "%s: the kernel in it is damaged or cut off (%s); copy it again",
				    p->path, got && archive_error_string(a) ?
				    archive_error_string(a) : "end of data");
		if (out)
			out = (char *)out + got;
		len -= (uint64_t)got;
		p->unpacked += (uint64_t)got;
	}
	return 0;
}

/* Goes to @offset of the unpacked vmlinux and reads @len bytes there. */
static int payload_read_at(struct archive *a, struct payload *p,
			   uint64_t offset, void *out, size_t len)
{
	if (offset < p->unpacked || offset > VMLINUX_MAX)
		return fail(p->f, EBADMSG,
			    "%s: the kernel in it has a bad offset; copy it again",
			    p->path);
	if (payload_unpack(a, p, NULL, offset - p->unpacked))
		return -p->f->err;
	return payload_unpack(a, p, out, len);
}

static int segment_notes(struct archive *a, struct payload *p,
			 const Elf64_Phdr *ph, struct notes *notes)
{
	char *buf;
	int err;

	if (ph->p_filesz > NOTES_SIZE_MAX)
		return fail(p->f, EBADMSG,
			    "%s: the kernel in it has a bad note segment; copy it again",
			    p->path);
	buf = malloc(ph->p_filesz + 1);
	if (!buf)
		return fail(p->f, ENOMEM, "%s: out of memory", p->path);

	err = payload_read_at(a, p, ph->p_offset, buf, ph->p_filesz);
	if (!err)
		err = notes_parse(buf, ph->p_filesz, notes, p->f);
	free(buf);
	return err;
}

static int vmlinux_notes(struct archive *a, struct payload *p,
			 struct notes *notes)
{
	Elf64_Phdr ph[PHDR_MAX] = { 0 };
	Elf64_Ehdr eh;

	if (payload_unpack(a, p, &eh, sizeof(eh)))
		return -p->f->err;
	if (memcmp(eh.e_ident, ELFMAG, SELFMAG) ||
	    eh.e_ident[EI_CLASS] != ELFCLASS64 ||
	    eh.e_ident[EI_DATA] != ELFDATA2LSB ||
	    eh.e_phentsize != sizeof(*ph) || eh.e_phnum > PHDR_MAX)
		return fail(p->f, EBADMSG,
			    "%s: the kernel in it is no usable ELF file; copy it again",
			    p->path);
	if (payload_read_at(a, p, eh.e_phoff, ph, eh.e_phnum * sizeof(*ph)))
		return -p->f->err;

	for (int i = 0; i < eh.e_phnum; i++)
		if (ph[i].p_type == PT_NOTE && segment_notes(a, p, &ph[i], notes))
			return -p->f->err;
	return 0;
}

static int payload_notes(struct payload *p, struct notes *notes)
{
	struct archive *a = archive_read_new();
	struct archive_entry *entry;
	int err;

	if (!a)
		return fail(p->f, ENOMEM, "%s: out of memory", p->path);
	/* Named one by one: "all" would run programs found in PATH. */
	archive_read_support_filter_gzip(a);
	archive_read_support_filter_bzip2(a);
	archive_read_support_filter_lzma(a);
	archive_read_support_filter_xz(a);
	archive_read_support_filter_lz4(a);
	archive_read_support_filter_zstd(a);
	archive_read_support_format_raw(a);

	if (archive_read_open(a, p, NULL, payload_read, NULL) ||
	    archive_read_next_header(a, &entry))
		err = fail(p->f, EBADMSG,
			   "%s: the kernel in it cannot be unpacked (%s); copy it again",
			   p->path, archive_error_string(a) ?
			   archive_error_string(a) : "no data");
	else
		err = vmlinux_notes(a, p, notes);
	archive_read_free(a);
	return err;
}

static uint32_t le32_at(const unsigned char *p)
{
	return p[0] | p[1] << 8 | p[2] << 16 | (uint32_t)p[3] << 24;
}

/* Finds the payload; a file shorter than its own header says is truncated. */
static int payload_find(struct payload *p)
{
	unsigned char h[BOOT_HEADER_LEN];
	uint64_t setup, size;
	struct stat st;

	if (fstat(p->fd, &st))
		return fail(p->f, errno, "%s: %s", p->path, strerror(errno));
	if (!S_ISREG(st.st_mode) ||
	    pread(p->fd, h, sizeof(h), 0) != (ssize_t)sizeof(h) ||
	    memcmp(h + MAGIC, "HdrS", 4) ||
	    (h[VERSION] | h[VERSION + 1] << 8) < 0x208)
		return fail(p->f, ENOEXEC,
			    "%s is not a kernel; give a bzImage", p->path);

	size = (uint64_t)st.st_size;
	setup = ((h[SETUP_SECTS] ? h[SETUP_SECTS] : 4) + 1ull) * 512;
	p->pos = setup + le32_at(h + PAYLOAD_OFFSET);
	p->end = p->pos + le32_at(h + PAYLOAD_LENGTH);
	if (setup + le32_at(h + SYSSIZE) * 16ull > size || p->end > size ||
	    p->pos == p->end)
		return fail(p->f, EBADMSG, "%s is cut off; copy it again",
			    p->path);
	return 0;
}

int notes_of_image(int fd, const char *path, struct notes *notes,
		   struct fail *f)
{
	struct payload *p = calloc(1, sizeof(*p));
	int err;

	if (!p)
		return fail(f, ENOMEM, "%s: out of memory", path);
	notes->count = 0;
	p->fd = fd;
	p->path = path;
	p->f = f;
	err = payload_find(p);
	if (!err)
		err = payload_notes(p, notes);
	if (!err && !notes->count)
		err = fail(f, ENOPKG,
			   "%s has no liveupdate notes; give a kernel built with hlu",
			   path);
	free(p);
	return err;
}

int notes_of_running(struct notes *notes, struct fail *f)
{
	int fd = open(NOTES_PATH, O_RDONLY | O_CLOEXEC);
	char *buf = malloc(NOTES_SIZE_MAX);
	size_t len = 0;
	ssize_t got = 0;
	int err = 0;

	notes->count = 0;
	while (fd >= 0 && buf && len < NOTES_SIZE_MAX) {
		got = read(fd, buf + len, NOTES_SIZE_MAX - len);
		if (got <= 0)
			break;
		len += (size_t)got;
	}
	if (fd >= 0 && buf && got >= 0)
		err = notes_parse(buf, len, notes, f);
	if (!err && !notes->count)
		err = fail(f, EOPNOTSUPP,
			   "the running kernel has no liveupdate notes; boot one built with hlu first");
	free(buf);
	if (fd >= 0)
		close(fd);
	return err;
}

static bool notes_have(const struct notes *notes, uint32_t type,
		       const char *text)
{
	for (unsigned int i = 0; i < notes->count; i++)
		if ((notes->note[i].type & type) &&
		    !strcmp(notes->note[i].text, text))
			return true;
	return false;
}

/* Every string that the running kernel writes, the image must read. */
int notes_compare(const struct notes *running, const struct notes *image,
		  const char *path, struct fail *f)
{
	char missing[256] = "";
	size_t len = 0;

	for (unsigned int i = 0; i < running->count; i++) {
		const struct note *note = &running->note[i];

		if (!(note->type & NOTE_WRITES) ||
		    notes_have(image, NOTE_READS, note->text))
			continue;
		len += (size_t)snprintf(missing + len, sizeof(missing) - len,
					" %s", note->text);
		if (len >= sizeof(missing))
			break;
	}
	if (!len)
		return 0;
	return fail(f, EPROTONOSUPPORT,
		    "%s cannot read what the running kernel writes:%s; give a kernel that can, or reboot",
		    path, missing);
}

int image_check(int fd, const char *path, struct notes *image, struct fail *f)
{
	struct notes *running = malloc(sizeof(*running));
	int err;

	if (!running)
		return fail(f, ENOMEM, "%s: out of memory", path);
	err = notes_of_image(fd, path, image, f);
	if (!err)
		err = notes_of_running(running, f);
	if (!err)
		err = notes_compare(running, image, path, f);
	free(running);
	return err;
}
