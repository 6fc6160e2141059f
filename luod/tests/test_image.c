// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Promise: the notes of a well-formed bzImage are found whatever its payload is
 * packed with, and a short, damaged or foreign file is refused with its own
 * errno, wherever it is cut.
 *
 * The image is made here: an ELF file with a PT_NOTE segment far behind its
 * headers, packed by libarchive's raw writer (lz4: legacy framing, as the
 * kernel build uses, with stored blocks), wrapped in a boot header.
 */
#include <archive.h>
#include <archive_entry.h>
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "image.h"
#include "tap.h"

#define ELF_LEN		(300 * 1024)
#define NOTES_AT	(200 * 1024)
#define OUT_MAX		(1024 * 1024)
#define SETUP_LEN	1024

static unsigned char elf[ELF_LEN];
static unsigned char image[OUT_MAX];
static struct notes notes;
static struct fail f;

static size_t note_put(unsigned char *p, const char *owner, uint32_t type,
		       const char *text, size_t text_len)
{
	Elf64_Nhdr hdr = {
		.n_namesz = (Elf64_Word)strlen(owner) + 1,
		.n_descsz = (Elf64_Word)text_len,
		.n_type = type,
	};
	size_t name = (hdr.n_namesz + 3u) & ~3u;

	memcpy(p, &hdr, sizeof(hdr));
	memcpy(p + sizeof(hdr), owner, hdr.n_namesz);
	memcpy(p + sizeof(hdr) + name, text, text_len);
	return sizeof(hdr) + name + ((text_len + 3) & ~(size_t)3);
}

static size_t notes_put(unsigned char *p)
{
	size_t n = note_put(p, "GNU", 3, "0123456789abcdefghij", 20);

	n += note_put(p + n, "liveupdate", NOTE_WRITES, "kvm-v1", 7);
	n += note_put(p + n, "liveupdate", NOTE_WRITES | NOTE_READS,
		      "pci-v1\0\0\0\0\0", 12);
	n += note_put(p + n, "liveupdate", NOTE_READS, "iommu-v2", 9);
	n += note_put(p + n, "liveupdate", 76, "\1\2", 2);
	return n;
}

static void elf_make(void)
{
	Elf64_Ehdr eh = {
		.e_phoff = sizeof(eh),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = 2,
	};
	Elf64_Phdr ph[2] = {
		{ .p_type = PT_LOAD, .p_offset = 4096, .p_filesz = 4096 },
		{ .p_type = PT_NOTE, .p_offset = NOTES_AT },
	};

	/* Not compressible, so that a cut payload is a cut kernel. */
	srand(1);
	for (size_t i = 0; i < sizeof(elf); i++)
		elf[i] = (unsigned char)rand();
	memcpy(eh.e_ident, ELFMAG, SELFMAG);
	eh.e_ident[EI_CLASS] = ELFCLASS64;
	eh.e_ident[EI_DATA] = ELFDATA2LSB;
	ph[1].p_filesz = notes_put(elf + NOTES_AT);
	memcpy(elf, &eh, sizeof(eh));
	memcpy(elf + sizeof(eh), ph, sizeof(ph));
}

static void le32_put(unsigned char *p, size_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (unsigned char)(v >> (8 * i));
}

static size_t pack(unsigned char *out, int (*filter)(struct archive *))
{
	struct archive *a = archive_write_new();
	struct archive_entry *e = archive_entry_new();
	size_t used = 0;

	archive_write_set_format_raw(a);
	archive_write_set_bytes_per_block(a, 0);
	filter(a);
	archive_write_open_memory(a, out, OUT_MAX - SETUP_LEN - 64, &used);
	archive_entry_set_filetype(e, AE_IFREG);
	archive_write_header(a, e);
	archive_write_data(a, elf, sizeof(elf));
	archive_entry_free(e);
	archive_write_close(a);
	archive_write_free(a);
	return used;
}

/* Legacy lz4: magic, then size and data of each block; here one literal run. */
static size_t pack_lz4_legacy(unsigned char *out)
{
	size_t n = 8, run = sizeof(elf) - 15;

	le32_put(out, 0x184c2102);
	out[n++] = 0xf0;
	for (; run >= 255; run -= 255)
		out[n++] = 255;
	out[n++] = (unsigned char)run;
	memcpy(out + n, elf, sizeof(elf));
	n += sizeof(elf);
	le32_put(out + 4, n - 8);
	return n;
}

static size_t pack_none(unsigned char *out)
{
	memcpy(out, elf, sizeof(elf));
	return sizeof(elf);
}

/* Puts header and size word around @len packed bytes; the image's length. */
static size_t wrap(size_t len)
{
	size_t size;

	le32_put(image + SETUP_LEN + len, sizeof(elf));
	len += 4;
	size = SETUP_LEN + ((len + 15) & ~(size_t)15);
	memset(image, 0, SETUP_LEN);
	image[0x1f1] = 1;
	le32_put(image + 0x1f4, (size - SETUP_LEN) / 16);
	memcpy(image + 0x202, "HdrS", 4);
	image[0x206] = 0x0f;
	image[0x207] = 0x02;
	le32_put(image + 0x24c, len);
	return size;
}

static int check(const void *buf, size_t len)
{
	int err, fd = memfd_create("image", MFD_CLOEXEC);

	if (write(fd, buf, len) != (ssize_t)len)
		err = -EIO;
	else
		err = notes_of_image(fd, "image", &notes, &f);
	close(fd);
	return err;
}

static bool has(uint32_t type, const char *text)
{
	for (unsigned int i = 0; i < notes.count; i++)
		if ((notes.note[i].type & type) &&
		    !strcmp(notes.note[i].text, text))
			return true;
	return false;
}

static void test_good(const char *name, size_t size)
{
	char text[64];

	snprintf(text, sizeof(text), "%s: notes found", name);
	if (!ok(!check(image, size) && notes.count == 3 &&
		has(NOTE_WRITES, "pci-v1") && has(NOTE_READS, "pci-v1") &&
		has(NOTE_READS, "iommu-v2") && !has(NOTE_WRITES, "iommu-v2"),
		text))
		printf("# %u notes, %s\n", notes.count, f.reason);
}

static void test_cut(const char *name, size_t size)
{
	bool all = true;
	char text[64];

	for (int i = 0; i < 16; i++)
		if (check(image, size * (size_t)i / 16) !=
		    (i ? -EBADMSG : -ENOEXEC)) {
			printf("# cut at %d/16: %s\n", i, f.reason);
			all = false;
		}
	snprintf(text, sizeof(text), "%s: refused when cut at every 1/16", name);
	ok(all, text);

	/* The same with a header that was made to fit. */
	all = true;
	for (int i = 1; i < 10; i++) {
		size_t setup = SETUP_LEN + (size - SETUP_LEN) * (size_t)i / 16;

		le32_put(image + 0x1f4, 0);
		le32_put(image + 0x24c, setup - SETUP_LEN);
		all &= check(image, setup) == -EBADMSG;
	}
	snprintf(text, sizeof(text), "%s: refused when the payload is cut", name);
	ok(all, text);
}

static void test_damage(void)
{
	size_t size = wrap(pack(image + SETUP_LEN, archive_write_add_filter_gzip));
	bool sane = true;

	le32_put(image + 0x248, 0xfffffff0);
	ok(check(image, size) == -EBADMSG, "payload offset outside the file");
	wrap(size - SETUP_LEN);
	le32_put(image + 0x24c, 0xffffffff);
	ok(check(image, size) == -EBADMSG, "payload length outside the file");
	le32_put(image + 0x24c, 0);
	ok(check(image, size) == -EBADMSG, "empty payload");
	wrap(size - SETUP_LEN - 64);
	le32_put(image + 0x1f4, 0x10000);
	ok(check(image, size) == -EBADMSG, "cut behind the payload");

	srand(2);
	for (int i = 0; i < 300; i++) {
		size = wrap(i % 2 ? pack_none(image + SETUP_LEN) :
				    pack_lz4_legacy(image + SETUP_LEN));
		for (int j = 0; j < 20; j++)
			image[(i % 4 < 2 ? 0 : SETUP_LEN) +
			      rand() % (i % 4 < 2 ? SETUP_LEN : 200)] =
				(unsigned char)rand();
		check(image, size);
		sane &= notes.count <= NOTES_MAX;
	}
	ok(sane, "300 images with damaged headers do no harm");
}

static void test_elf(void)
{
	Elf64_Phdr *ph = (Elf64_Phdr *)(elf + sizeof(Elf64_Ehdr));
	Elf64_Ehdr *eh = (Elf64_Ehdr *)elf;

	ph[1].p_offset = 8;
	ok(check(image, wrap(pack_none(image + SETUP_LEN))) == -EBADMSG,
	   "notes before the headers' end");
	ph[1].p_offset = ~0ull - 8;
	ok(check(image, wrap(pack_none(image + SETUP_LEN))) == -EBADMSG,
	   "notes at the end of the address space");
	elf_make();
	ph[1].p_filesz = ~0ull;
	ok(check(image, wrap(pack_none(image + SETUP_LEN))) == -EBADMSG,
	   "notes of endless size");
	elf_make();
	eh->e_phnum = 0xffff;
	ok(check(image, wrap(pack_none(image + SETUP_LEN))) == -EBADMSG,
	   "too many program headers");
	elf_make();
	eh->e_phnum = 0;
	ok(check(image, wrap(pack_none(image + SETUP_LEN))) == -ENOPKG,
	   "a kernel without notes is told apart");
	elf_make();
	elf[0] = 0;
	ok(check(image, wrap(pack_none(image + SETUP_LEN))) == -EBADMSG,
	   "payload is no ELF file");
	elf_make();
}

static void test_notes(void)
{
	static unsigned char buf[65536];
	static const char text[] = "x-v1";
	size_t n, full = notes_put(buf);
	bool sane = true;

	notes.count = 0;
	for (n = full - 4; n; n--)
		if (n % 4)
			sane &= !notes_parse(buf, n, &notes, &f) ||
				f.err == EBADMSG;
	ok(sane, "notes cut anywhere");
	notes.count = 0;
	n = note_put(buf, "liveupdate", NOTE_READS, text, 4);
	ok(notes_parse(buf, n, &notes, &f) == -EBADMSG, "string without NUL");
	n = note_put(buf, "liveupdate", NOTE_READS, "\33[2J", 5);
	ok(notes_parse(buf, n, &notes, &f) == -EBADMSG, "string for a terminal");
	n = note_put(buf, "liveupdate", NOTE_READS, "", 1);
	ok(notes_parse(buf, n, &notes, &f) == -EBADMSG, "empty string");
	for (n = 0; n < 200 * 28;)
		n += note_put(buf + n, "liveupdate", NOTE_READS, text, 5);
	notes.count = 0;
	ok(notes_parse(buf, n, &notes, &f) == -EBADMSG, "too many notes");
}

static void test_compare(void)
{
	static struct notes running;
	static unsigned char buf[1024];
	size_t n = note_put(buf, "liveupdate", NOTE_WRITES, "iommu-v2", 9);

	check(image, wrap(pack_none(image + SETUP_LEN)));
	notes_parse(buf, n, &running, &f);
	ok(!notes_compare(&running, &notes, "image", &f),
	   "all that is written can be read");
	n = note_put(buf, "liveupdate", NOTE_WRITES, "iommu-v3", 9);
	notes_parse(buf, n, &running, &f);
	ok(notes_compare(&running, &notes, "image", &f) == -EPROTONOSUPPORT &&
	   strstr(f.reason, " iommu-v3;"), "what cannot be read is named");
	n = note_put(buf, "liveupdate", NOTE_WRITES, "kvm-v1", 7);
	running.count = 0;
	notes_parse(buf, n, &running, &f);
	ok(notes_compare(&running, &notes, "image", &f) == -EPROTONOSUPPORT,
	   "writing a format does not mean reading it");
}

static void test_foreign(void)
{
	memset(image, 0, sizeof(image));
	ok(check(image, 0) == -ENOEXEC, "empty file");
	ok(check(image, 4096) == -ENOEXEC, "zeroes");
	ok(check(elf, sizeof(elf)) == -ENOEXEC, "bare ELF file");
	wrap(0);
	memcpy(image + 0x202, "HdrX", 4);
	ok(check(image, 4096) == -ENOEXEC, "wrong magic");
}

int main(void)
{
	elf_make();
	test_good("gzip", wrap(pack(image + SETUP_LEN,
				    archive_write_add_filter_gzip)));
	test_good("xz", wrap(pack(image + SETUP_LEN,
				  archive_write_add_filter_xz)));
	test_good("zstd", wrap(pack(image + SETUP_LEN,
				    archive_write_add_filter_zstd)));
	test_good("none", wrap(pack_none(image + SETUP_LEN)));
	test_good("lz4", wrap(pack_lz4_legacy(image + SETUP_LEN)));
	test_cut("lz4", wrap(pack_lz4_legacy(image + SETUP_LEN)));
	test_cut("gzip", wrap(pack(image + SETUP_LEN,
				   archive_write_add_filter_gzip)));
	test_damage();
	test_elf();
	test_notes();
	test_compare();
	test_foreign();
	return tap_done();
}
