// SPDX-License-Identifier: GPL-2.0-only
/*
 * What can be preserved of a guest_memfd, and what its owner can do with it then.
 * Without a kexec: see liveupdate_vm_kexec_test.c.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include <linux/falloc.h>
#include <linux/sizes.h>

#include <libliveupdate.h>

#include "kvm_test_harness.h"
#include "kvm_util.h"
#include "test_util.h"

#define PREPARE		"/sys/kernel/liveupdate/prepare"

#define VM_TOKEN	1
#define GMEM_TOKEN	2
#define SHARED		(GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED)
#define PUNCH		(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)

static int prepare(const char *text)
{
	int fd = open(PREPARE, O_WRONLY);
	int ret = 0;

	TEST_ASSERT(fd >= 0, "open %s", PREPARE);
	if (write(fd, text, strlen(text)) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

FIXTURE(gmem) {
	int luo_fd;
	int session;
	struct kvm_vm *vm;
	int fd;
};

FIXTURE_SETUP(gmem)
{
	if (access(PREPARE, W_OK))
		SKIP(return, "needs root and liveupdate=on");
	self->luo_fd = luo_open_device();
	ASSERT_GE(self->luo_fd, 0);
	self->session = luo_create_session(self->luo_fd, "gmem");
	ASSERT_GE(self->session, 0);
	self->vm = vm_create_barebones();
	self->fd = __vm_create_guest_memfd(self->vm, SZ_2M, SHARED);
	ASSERT_GE(self->fd, 0);
}

FIXTURE_TEARDOWN(gmem)
{
	/* Also after a test that has failed half-way */
	prepare("0");
	close(self->session);
	close(self->fd);
	kvm_vm_free(self->vm);
	close(self->luo_fd);
}

#define SELF FIXTURE_DATA(gmem)

static int preserve(SELF *self)
{
	return luo_session_preserve_fd(self->session, self->fd, GMEM_TOKEN);
}

static int preserve_vm(SELF *self, int session)
{
	return luo_session_preserve_fd(session, self->vm->fd, VM_TOKEN);
}

TEST_F(gmem, with_its_vm)
{
	ASSERT_EQ(preserve(self), 0);
	ASSERT_EQ(preserve_vm(self, self->session), 0);
	EXPECT_EQ(prepare("1"), 0);
	EXPECT_EQ(prepare("0"), 0);
	/* and again */
	EXPECT_EQ(prepare("1"), 0);
	EXPECT_EQ(prepare("0"), 0);
}

TEST_F(gmem, without_its_vm)
{
	ASSERT_EQ(preserve(self), 0);
	EXPECT_EQ(prepare("1"), -EXDEV);
}

TEST_F(gmem, its_vm_in_a_foreign_session)
{
	int other = luo_create_session(self->luo_fd, "other");

	ASSERT_GE(other, 0);
	ASSERT_EQ(preserve(self), 0);
	ASSERT_EQ(preserve_vm(self, other), 0);
	EXPECT_EQ(prepare("1"), -EXDEV);
	close(other);
}

TEST_F(gmem, twice)
{
	ASSERT_EQ(preserve(self), 0);
	EXPECT_EQ(luo_session_preserve_fd(self->session, self->fd, GMEM_TOKEN + 1),
		  -EBUSY);
}

TEST_F(gmem, not_while_prepared)
{
	ASSERT_EQ(preserve_vm(self, self->session), 0);
	ASSERT_EQ(prepare("1"), 0);
	EXPECT_EQ(preserve(self), -EBUSY);
}

/* Memory that QEMU cannot map is not kept, be it private or not. */
TEST_F(gmem, not_shared)
{
	const u64 flags[] = { 0, GUEST_MEMFD_FLAG_INIT_SHARED, GUEST_MEMFD_FLAG_MMAP };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		int fd = __vm_create_guest_memfd(self->vm, SZ_2M, flags[i]);

		ASSERT_GE(fd, 0);
		EXPECT_EQ(luo_session_preserve_fd(self->session, fd, GMEM_TOKEN),
			  -EOPNOTSUPP);
		close(fd);
	}
}

TEST_F(gmem, frozen_until_cancel)
{
	ASSERT_EQ(fallocate(self->fd, PUNCH, 0, SZ_4K), 0);
	ASSERT_EQ(preserve(self), 0);
	EXPECT_EQ(fallocate(self->fd, PUNCH, 0, SZ_4K), -1);
	EXPECT_EQ(errno, EPERM);
	/* it is there already */
	EXPECT_EQ(fallocate(self->fd, FALLOC_FL_KEEP_SIZE, 0, SZ_2M), 0);

	close(self->session);
	self->session = -1;
	EXPECT_EQ(fallocate(self->fd, PUNCH, 0, SZ_4K), 0);
}

/* Guests run on. */
TEST_F(gmem, can_be_written)
{
	u64 *at = mmap(NULL, SZ_2M, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd, 0);
	size_t i;

	ASSERT_NE((void *)at, MAP_FAILED);
	at[0] = 1;
	ASSERT_EQ(preserve(self), 0);
	EXPECT_EQ(at[0], 1);
	/* what was not there before is zero */
	for (i = SZ_4K / sizeof(*at); i < SZ_2M / sizeof(*at); i++)
		ASSERT_EQ(at[i], 0);
	at[i - 1] = 2;
	EXPECT_EQ(at[i - 1], 2);
	munmap(at, SZ_2M);
}

int main(int argc, char *argv[])
{
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_GUEST_MEMFD));
	TEST_REQUIRE((kvm_check_cap(KVM_CAP_GUEST_MEMFD_FLAGS) & SHARED) == SHARED);

	return test_harness_run(argc, argv);
}
