// SPDX-License-Identifier: GPL-2.0
/*
 * Selftests of memfds of huge pages in a session: what can be preserved, what is
 * refused, and that nothing of a cancelled update is left behind. Needs root,
 * liveupdate=on, and 8 free huge pages of the default size, which it asks for.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/liveupdate.h>

#include <libliveupdate.h>

#include "../kselftest.h"
#include "../kselftest_harness.h"

#define PAGES	8UL
#define TOKEN	1

static long read_number(const char *path, const char *name)
{
	char line[256];
	long value = -1;
	FILE *f = fopen(path, "r");

	while (f && fgets(line, sizeof(line), f)) {
		if (!strncmp(line, name, strlen(name)))
			value = strtol(line + strlen(name), NULL, 10);
	}
	if (f)
		fclose(f);

	return value;
}

static long pool(const char *name)
{
	return read_number("/proc/meminfo", name);
}

static int set_pool(unsigned long pages)
{
	FILE *f = fopen("/proc/sys/vm/nr_hugepages", "w");
	int r;

	if (!f)
		return -1;
	r = fprintf(f, "%lu\n", pages) < 0;
	return fclose(f) || r ? -1 : 0;
}

FIXTURE(hugetlb)
{
	int dev;
	int session;
	int fd;
	size_t page;
	long pages_before;
};

FIXTURE_SETUP(hugetlb)
{
	self->dev = open("/dev/liveupdate", O_RDWR | O_CLOEXEC);
	if (self->dev < 0)
		SKIP(return, "no /dev/liveupdate: boot with liveupdate=on");
	self->pages_before = pool("HugePages_Total:");
	if (set_pool(self->pages_before + PAGES) ||
	    pool("HugePages_Total:") != self->pages_before + (long)PAGES)
		SKIP(return, "no %lu more huge pages", PAGES);
	self->page = pool("Hugepagesize:") << 10;
	self->session = luo_create_session(self->dev, "hugetlb");
	ASSERT_GE(self->session, 0);
	self->fd = memfd_create("hugetlb", MFD_HUGETLB | MFD_ALLOW_SEALING);
	ASSERT_GE(self->fd, 0);
	ASSERT_EQ(ftruncate(self->fd, PAGES * self->page), 0);
}

FIXTURE_TEARDOWN(hugetlb)
{
	close(self->session);
	close(self->fd);
	EXPECT_EQ(set_pool(self->pages_before), 0);
	EXPECT_EQ(pool("HugePages_Total:"), self->pages_before);
	EXPECT_EQ(pool("HugePages_Rsvd:"), 0);
	close(self->dev);
}

TEST_F(hugetlb, fills_holes)
{
	long free = pool("HugePages_Free:");

	ASSERT_EQ(luo_session_preserve_fd(self->session, self->fd, TOKEN), 0);
	EXPECT_EQ(pool("HugePages_Free:"), free - (long)PAGES);
	EXPECT_EQ(pool("HugePages_Rsvd:"), 0);
}

TEST_F(hugetlb, no_page_for_a_hole)
{
	long free = pool("HugePages_Free:");

	ASSERT_EQ(ftruncate(self->fd, (free + 1) * self->page), 0);
	EXPECT_EQ(luo_session_preserve_fd(self->session, self->fd, TOKEN), -ENOMEM);
	/* it is not frozen */
	ASSERT_EQ(ftruncate(self->fd, self->page), 0);
	EXPECT_EQ(luo_session_preserve_fd(self->session, self->fd, TOKEN), 0);
}

TEST_F(hugetlb, empty)
{
	ASSERT_EQ(ftruncate(self->fd, 0), 0);
	EXPECT_EQ(luo_session_preserve_fd(self->session, self->fd, TOKEN), 0);
}

TEST_F(hugetlb, frozen_until_cancel)
{
	int punch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;

	ASSERT_EQ(luo_session_preserve_fd(self->session, self->fd, TOKEN), 0);
	EXPECT_EQ(ftruncate(self->fd, 0), -1);
	EXPECT_EQ(errno, EPERM);
	EXPECT_EQ(ftruncate(self->fd, (PAGES + 1) * self->page), -1);
	EXPECT_EQ(errno, EPERM);
	EXPECT_EQ(fallocate(self->fd, punch, 0, self->page), -1);
	EXPECT_EQ(errno, EPERM);
	EXPECT_EQ(fallocate(self->fd, 0, 0, self->page), -1);
	EXPECT_EQ(errno, EPERM);
	/* of its own size */
	EXPECT_EQ(ftruncate(self->fd, PAGES * self->page), 0);

	close(self->session);
	self->session = -1;
	EXPECT_EQ(fallocate(self->fd, punch, 0, self->page), 0);
	EXPECT_EQ(fallocate(self->fd, 0, 0, self->page), 0);
	EXPECT_EQ(ftruncate(self->fd, 0), 0);
}

/* Guests run on. */
TEST_F(hugetlb, can_be_written)
{
	char *at = mmap(NULL, PAGES * self->page, PROT_READ | PROT_WRITE,
				 MAP_SHARED, self->fd, 0);
	unsigned long i;

	ASSERT_NE(at, MAP_FAILED);
	ASSERT_EQ(luo_session_preserve_fd(self->session, self->fd, TOKEN), 0);
	for (i = 0; i < PAGES; i++)
		at[i * self->page] = i + 1;
	for (i = 0; i < PAGES; i++)
		EXPECT_EQ(at[i * self->page], (char)(i + 1));
	munmap(at, PAGES * self->page);
}

TEST_F(hugetlb, twice)
{
	int other = luo_create_session(self->dev, "other");

	ASSERT_GE(other, 0);
	ASSERT_EQ(luo_session_preserve_fd(self->session, self->fd, TOKEN), 0);
	EXPECT_EQ(luo_session_preserve_fd(self->session, self->fd, TOKEN), -EEXIST);
	EXPECT_EQ(luo_session_preserve_fd(self->session, self->fd, TOKEN + 1), -EBUSY);
	EXPECT_EQ(luo_session_preserve_fd(other, self->fd, TOKEN), -EBUSY);
	close(other);
}

TEST_F(hugetlb, again_after_cancel)
{
	int i;

	for (i = 0; i < 3; i++) {
		close(self->session);
		self->session = luo_create_session(self->dev, "hugetlb");
		ASSERT_GE(self->session, 0);
		ASSERT_EQ(luo_session_preserve_fd(self->session, self->fd, TOKEN), 0);
	}
}

/* A file of a mount has a name, and limits that this kernel alone knows of. */
TEST_F(hugetlb, not_a_memfd)
{
	char path[] = "/tmp/hugetlb_XXXXXX";
	char file[64];
	int fd;

	ASSERT_NE(mkdtemp(path), NULL);
	ASSERT_EQ(mount("none", path, "hugetlbfs", 0, NULL), 0);
	snprintf(file, sizeof(file), "%s/file", path);
	fd = open(file, O_RDWR | O_CREAT, 0600);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(luo_session_preserve_fd(self->session, fd, TOKEN), -ENOENT);
	EXPECT_EQ(unlink(file), 0);
	EXPECT_EQ(luo_session_preserve_fd(self->session, fd, TOKEN), -ENOENT);
	close(fd);
	EXPECT_EQ(umount(path), 0);
	rmdir(path);
}

TEST_HARNESS_MAIN
