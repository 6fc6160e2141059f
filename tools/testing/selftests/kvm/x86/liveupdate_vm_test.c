// SPDX-License-Identifier: GPL-2.0-only
/*
 * What can be preserved of a VM, what its owner can do while the host is prepared,
 * and that no vCPU runs while a live update is frozen. Without a kexec.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <linux/sizes.h>

#include <libliveupdate.h>

#include "apic.h"
#include "kvm_test_harness.h"
#include "kvm_util.h"
#include "processor.h"
#include "test_util.h"

#define PREPARE		"/sys/kernel/liveupdate/prepare"
#define DRY_RUN		"/sys/kernel/debug/liveupdate/dry_run"
#define LIST		"/sys/kernel/debug/kvm/liveupdate"

#define VM_TOKEN	1
#define MAX_CAPS	64
#define SPARE_GPA	SZ_4G
#define SPARE_SLOT	10

/* Written by the guest, read through the mapping that the test has of it */
static u64 rounds;
static u64 jumbled;

static void guest_spins(void)
{
	u64 mine = 0;

	for (;;) {
		if (READ_ONCE(rounds) != mine)
			WRITE_ONCE(jumbled, jumbled + 1);
		WRITE_ONCE(rounds, ++mine);
	}
}

/* Without interrupts it never wakes up by itself */
static void guest_halts(void)
{
	cli();
	for (;;)
		asm volatile("hlt");
}

static void guest_exits(void)
{
	for (;;)
		GUEST_SYNC(0);
}

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	int ret = 0;

	TEST_ASSERT(fd >= 0, "open %s", path);
	if (write(fd, text, strlen(text)) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

FIXTURE(liveupdate_vm) {
	int luo_fd;
	int session;
	struct kvm_vm *vm;
	struct kvm_vcpu *vcpu;
};

FIXTURE_SETUP(liveupdate_vm)
{
	if (access(PREPARE, W_OK) || access(DRY_RUN, W_OK))
		SKIP(return, "needs root, liveupdate=on and debugfs");
	self->luo_fd = luo_open_device();
	ASSERT_GE(self->luo_fd, 0);
	self->session = luo_create_session(self->luo_fd, "vm");
	ASSERT_GE(self->session, 0);
	self->vm = vm_create_with_one_vcpu(&self->vcpu, guest_spins);
}

FIXTURE_TEARDOWN(liveupdate_vm)
{
	/* Also after a test that has failed half-way */
	write_file(PREPARE, "0");
	close(self->session);
	kvm_vm_free(self->vm);
	close(self->luo_fd);
}

#define SELF FIXTURE_DATA(liveupdate_vm)

static int preserve(SELF *self)
{
	return luo_session_preserve_fd(self->session, self->vm->fd, VM_TOKEN);
}

static int enable_cap(struct kvm_vm *vm, u64 halt_poll_ns)
{
	return __vm_enable_cap(vm, KVM_CAP_HALT_POLL, halt_poll_ns) ? -errno : 0;
}

static int create_vcpu(struct kvm_vm *vm, unsigned long id)
{
	int fd = __vm_ioctl(vm, KVM_CREATE_VCPU, (void *)id);

	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

static int set_memslot(struct kvm_vm *vm, size_t size, void *hva, int gmem)
{
	u32 flags = gmem >= 0 ? KVM_MEM_GUEST_MEMFD : 0;

	return __vm_set_user_memory_region2(vm, SPARE_SLOT, flags, SPARE_GPA,
					    size, hva, gmem, 0) ? -errno : 0;
}

/* What the list of VMs says of the one that this process has */
static bool listed_as(const char *what)
{
	char line[256], wanted[64];
	bool found = false;
	FILE *list = fopen(LIST, "r");

	TEST_ASSERT(list, "open " LIST);
	snprintf(wanted, sizeof(wanted), "%d kvm-%d %s ", getpid(), getpid(), what);
	while (fgets(line, sizeof(line), list))
		found |= !strncmp(line, wanted, strlen(wanted));
	fclose(list);
	return found;
}

TEST_F(liveupdate_vm, preserved_once)
{
	int other = luo_create_session(self->luo_fd, "other");

	ASSERT_GE(other, 0);
	EXPECT_TRUE(listed_as("none"));
	ASSERT_EQ(preserve(self), 0);
	EXPECT_TRUE(listed_as("session"));
	EXPECT_EQ(luo_session_preserve_fd(self->session, self->vm->fd, VM_TOKEN + 1),
		  -EBUSY);
	EXPECT_EQ(luo_session_preserve_fd(other, self->vm->fd, VM_TOKEN), -EBUSY);
	close(self->session);
	EXPECT_TRUE(listed_as("none"));
	EXPECT_EQ(luo_session_preserve_fd(other, self->vm->fd, VM_TOKEN), 0);
	close(other);
}

TEST_F(liveupdate_vm, not_a_vm)
{
	EXPECT_EQ(luo_session_preserve_fd(self->session, self->vcpu->fd, VM_TOKEN),
		  -ENOENT);
	EXPECT_EQ(luo_session_preserve_fd(self->session, self->vm->kvm_fd, VM_TOKEN),
		  -ENOENT);
}

TEST_F(liveupdate_vm, private_memory)
{
	struct kvm_vm *vm;

	if (!(kvm_check_cap(KVM_CAP_VM_TYPES) & BIT(KVM_X86_SW_PROTECTED_VM)))
		SKIP(return, "no software-protected VMs");
	vm = vm_create_barebones_type(KVM_X86_SW_PROTECTED_VM);
	EXPECT_EQ(luo_session_preserve_fd(self->session, vm->fd, VM_TOKEN),
		  -EOPNOTSUPP);
	kvm_vm_free(vm);
}

TEST_F(liveupdate_vm, too_many_capabilities)
{
	struct kvm_vm *vm = vm_create_barebones();
	int i;

	for (i = 0; i < MAX_CAPS; i++) {
		ASSERT_EQ(enable_cap(vm, i), 0);
		/* The same again needs no room */
		ASSERT_EQ(enable_cap(vm, i), 0);
	}
	ASSERT_EQ(luo_session_preserve_fd(self->session, vm->fd, VM_TOKEN), 0);
	close(self->session);
	self->session = luo_create_session(self->luo_fd, "again");
	ASSERT_EQ(enable_cap(vm, MAX_CAPS), 0);
	EXPECT_EQ(luo_session_preserve_fd(self->session, vm->fd, VM_TOKEN), -E2BIG);
	kvm_vm_free(vm);
}

TEST_F(liveupdate_vm, closed_while_prepared)
{
	struct kvm_vm *other = vm_create_barebones();
	void *page = mmap(NULL, SZ_4K, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(page, MAP_FAILED);
	ASSERT_EQ(preserve(self), 0);
	ASSERT_EQ(write_file(PREPARE, "1"), 0);
	EXPECT_EQ(create_vcpu(self->vm, 1), -EBUSY);
	EXPECT_EQ(enable_cap(self->vm, 0), -EBUSY);
	EXPECT_EQ(luo_session_preserve_fd(self->session, other->fd, VM_TOKEN + 1),
		  -EBUSY);
	/* A guest moves a BAR */
	EXPECT_EQ(set_memslot(self->vm, SZ_4K, page, -1), 0);
	EXPECT_EQ(set_memslot(self->vm, 0, page, -1), 0);
	/* VMs in no session are not concerned */
	EXPECT_EQ(create_vcpu(other, 1), 0);

	ASSERT_EQ(write_file(PREPARE, "0"), 0);
	EXPECT_EQ(create_vcpu(self->vm, 1), 0);
	EXPECT_EQ(enable_cap(self->vm, 0), 0);
	kvm_vm_free(other);
	munmap(page, SZ_4K);
}

TEST_F(liveupdate_vm, open_when_its_session_is_closed)
{
	ASSERT_EQ(preserve(self), 0);
	ASSERT_EQ(write_file(PREPARE, "1"), 0);
	close(self->session);
	EXPECT_EQ(create_vcpu(self->vm, 1), 0);
	ASSERT_EQ(write_file(DRY_RUN, "1"), 0);
	self->session = luo_create_session(self->luo_fd, "again");
	EXPECT_EQ(preserve(self), 0);
}

TEST_F(liveupdate_vm, guest_memfd_of_no_session)
{
	void *page = mmap(NULL, SZ_2M, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	u64 flags = GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED;
	int gmem;

	if ((vm_check_cap(self->vm, KVM_CAP_GUEST_MEMFD_FLAGS) & flags) != flags)
		SKIP(return, "no shared guest_memfd");
	ASSERT_NE(page, MAP_FAILED);
	gmem = vm_create_guest_memfd(self->vm, SZ_2M, flags);
	ASSERT_EQ(preserve(self), 0);

	ASSERT_EQ(set_memslot(self->vm, SZ_2M, page, gmem), 0);
	EXPECT_EQ(write_file(PREPARE, "1"), -EXDEV);
	ASSERT_EQ(set_memslot(self->vm, 0, page, -1), 0);
	ASSERT_EQ(write_file(PREPARE, "1"), 0);
	EXPECT_EQ(set_memslot(self->vm, SZ_2M, page, gmem), -EBUSY);
	ASSERT_EQ(write_file(PREPARE, "0"), 0);
	EXPECT_EQ(set_memslot(self->vm, SZ_2M, page, gmem), 0);
	close(gmem);
	munmap(page, SZ_2M);
}

struct runner {
	struct kvm_vcpu *vcpu;
	pthread_t thread;
	/* Returns of KVM_RUN: all, with EHOSTDOWN, with another errno */
	u64 returns;
	u64 refused;
	int error;
	bool stop;
};

static void *run_on(void *arg)
{
	struct runner *r = arg;

	while (!READ_ONCE(r->stop)) {
		int ret = __vcpu_run(r->vcpu) ? errno : 0;

		WRITE_ONCE(r->returns, r->returns + 1);
		if (ret == EHOSTDOWN)
			WRITE_ONCE(r->refused, r->refused + 1);
		else if (ret && ret != EINTR)
			WRITE_ONCE(r->error, ret);
	}
	return NULL;
}

static void runner_start(struct runner *r, struct kvm_vcpu *vcpu)
{
	*r = (struct runner){ .vcpu = vcpu };
	TEST_ASSERT(!pthread_create(&r->thread, NULL, run_on, r), "thread");
}

static void ignore(int signal)
{
}

static void runner_stop(struct runner *r)
{
	struct timespec until;

	WRITE_ONCE(r->stop, true);
	/* A signal that comes before KVM_RUN is in vain */
	do {
		pthread_kill(r->thread, SIGUSR1);
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec++;
	} while (pthread_timedjoin_np(r->thread, NULL, &until));
}

static void wait_for_more(u64 *what)
{
	u64 old = READ_ONCE(*what);

	while (READ_ONCE(*what) == old)
		sched_yield();
}

TEST_F_TIMEOUT(liveupdate_vm, vcpus_leave_when_frozen, 120)
{
	void (*guests[])(void) = { guest_spins, guest_halts, guest_exits };
	struct kvm_vcpu *vcpus[ARRAY_SIZE(guests)];
	struct runner runners[ARRAY_SIZE(guests)];
	struct kvm_vm *vm;
	u64 *counter;
	int i, round;

	signal(SIGUSR1, ignore);
	vm = vm_create_with_vcpus(ARRAY_SIZE(guests), guest_spins, vcpus);
	counter = addr_gva2hva(vm, (gva_t)&rounds);
	for (i = 0; i < ARRAY_SIZE(guests); i++) {
		vcpu_arch_set_entry_point(vcpus[i], guests[i]);
		runner_start(&runners[i], vcpus[i]);
	}
	ASSERT_EQ(luo_session_preserve_fd(self->session, vm->fd, VM_TOKEN), 0);

	for (round = 0; round < 5; round++) {
		wait_for_more(counter);
		wait_for_more(&runners[2].returns);
		ASSERT_EQ(write_file(PREPARE, "1"), 0);
		wait_for_more(counter);
		ASSERT_EQ(write_file(DRY_RUN, "1"), 0);
		/* Each of them was inside of KVM_RUN, or tried to get there */
		wait_for_more(counter);
	}
	for (i = 0; i < ARRAY_SIZE(guests); i++)
		runner_stop(&runners[i]);

	EXPECT_GE(runners[0].refused, round);
	EXPECT_GE(runners[1].refused, 1);
	for (i = 0; i < ARRAY_SIZE(guests); i++)
		EXPECT_EQ(runners[i].error, 0);
	/* Registers were what they had been, whenever it was stopped */
	EXPECT_EQ(*(u64 *)addr_gva2hva(vm, (gva_t)&jumbled), 0);
	kvm_vm_free(vm);
}

int main(int argc, char *argv[])
{
	return test_harness_run(argc, argv);
}
