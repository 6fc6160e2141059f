// SPDX-License-Identifier: GPL-2.0-only
/*
 * A VM goes over a live update, and its owner builds on the file that it gets back.
 *
 *   liveupdate_vm_kexec_test --stage 1	leaves a process that holds the session
 *   (prepare, kexec)
 *   liveupdate_vm_kexec_test --stage 2	in the next kernel, before finish
 *
 * The guest is real-mode code in a memfd that is in the session, too. Stage 1 saves
 * what a VMM saves, and then raises an interrupt: the saved state does not have it.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include <linux/sizes.h>

#include <libliveupdate.h>

#include "apic.h"
#include "kvm_util.h"
#include "processor.h"
#include "test_util.h"

#define SESSION		"vm-kexec"
#define STATE_SESSION	"vm-kexec-state"

enum { STATE_TOKEN = 1, MEMORY_TOKEN, VM_TOKEN };

#define MEMORY_SIZE	SZ_2M
#define COUNT_GPA	0x3000
#define SAVED		0x4000
#define CODE_GPA	0x8000
#define CODE_SIZE	64
#define VECTOR_SAVED	0x41
#define VECTOR_LATE	0x42
#define IOAPIC_PINS	24
#define MAX_VCPU_ID	64
/* More than a kexec takes, wherever */
#define MAX_BLACKOUT_NS	(600ULL * NSEC_PER_SEC)

/* What a VMM writes down of a VM */
struct saved {
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_lapic_state lapic;
	struct kvm_clock_data clock;
	u64 tsc_offset;
	u64 guest_tsc;
};

/* Real-mode code, copied into guest memory. */
#define GUEST_CODE(_name, _code)					\
static void __attribute__((naked)) _name(void)				\
{									\
	asm volatile(".code16\n\t" _code ".code64");			\
}

/*
 * The guest tells its TSC; run again, it lets interrupts come until each has come
 * once, or for long enough, and tells it again.
 */
GUEST_CODE(guest_main,
	   "rdtsc\n\t"
	   "outl %eax, $0x10\n\t"
	   "movw $0xffff, %si\n\t"
	   "sti\n\t"
	   "1: decw %si\n\t"
	   "jz 2f\n\t"
	   "cmpw $0x0101, 0x3000\n\t"
	   "jne 1b\n\t"
	   "2: cli\n\t"
	   "rdtsc\n\t"
	   "outl %eax, $0x11\n\t"
	   "hlt\n\t")

/* The end of an interrupt, at the x2APIC. */
#define EOI	"movl $0x80b, %ecx\n\t"	\
		"xorl %eax, %eax\n\t"		\
		"xorl %edx, %edx\n\t"		\
		"wrmsr\n\t"			\
		"iret\n\t"

GUEST_CODE(guest_saved, "incb 0x3000\n\t" EOI)
GUEST_CODE(guest_late, "incb 0x3001\n\t" EOI)

struct guest {
	int vm;
	int vcpu;
	struct kvm_run *run;
	void *memory;
};

static struct saved *saved_of(struct guest *g)
{
	return g->memory + SAVED;
}

static u8 count_of(struct guest *g, int i)
{
	return ((u8 *)g->memory)[COUNT_GPA + i];
}

static void map_memory(struct guest *g, int memfd)
{
	struct kvm_userspace_memory_region region = {
		.memory_size = MEMORY_SIZE,
	};

	g->memory = mmap(NULL, MEMORY_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
			 memfd, 0);
	TEST_ASSERT(g->memory != MAP_FAILED, "mmap of the memfd");
	region.userspace_addr = (uintptr_t)g->memory;
	kvm_ioctl(g->vm, KVM_SET_USER_MEMORY_REGION, &region);
}

/* The same calls in both stages, as a VMM does it that knows of nothing */
static void enable_caps(struct guest *g)
{
	struct kvm_enable_cap split = {
		.cap = KVM_CAP_SPLIT_IRQCHIP,
		.args = { IOAPIC_PINS },
	};
	struct kvm_enable_cap x2apic = {
		.cap = KVM_CAP_X2APIC_API,
		.args = { KVM_X2APIC_API_USE_32BIT_IDS },
	};

	kvm_ioctl(g->vm, KVM_ENABLE_CAP, &split);
	kvm_ioctl(g->vm, KVM_ENABLE_CAP, &x2apic);
}

/* Can be set once, so whoever sets another one learns whether it is set */
static int set_max_vcpu_id(struct guest *g, u64 max)
{
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_MAX_VCPU_ID,
		.args = { max },
	};

	return __kvm_ioctl(g->vm, KVM_ENABLE_CAP, &cap);
}

static void create_vcpu(struct guest *g, int kvm_fd)
{
	const int max = 256;
	struct kvm_cpuid2 *cpuid = calloc(1, sizeof(*cpuid) +
					     max * sizeof(cpuid->entries[0]));

	cpuid->nent = max;
	kvm_ioctl(kvm_fd, KVM_GET_SUPPORTED_CPUID, cpuid);
	g->vcpu = __kvm_ioctl(g->vm, KVM_CREATE_VCPU, (void *)0);
	TEST_ASSERT(g->vcpu >= 0, KVM_IOCTL_ERROR(KVM_CREATE_VCPU, g->vcpu));
	kvm_ioctl(g->vcpu, KVM_SET_CPUID2, cpuid);
	g->run = mmap(NULL, __kvm_ioctl(kvm_fd, KVM_GET_VCPU_MMAP_SIZE, NULL),
		      PROT_READ | PROT_WRITE, MAP_SHARED, g->vcpu, 0);
	TEST_ASSERT(g->run != MAP_FAILED, "mmap of the vCPU");
	free(cpuid);
}

static void tsc_offset(struct guest *g, unsigned long request, u64 *offset)
{
	struct kvm_device_attr attr = {
		.group = KVM_VCPU_TSC_CTRL,
		.attr = KVM_VCPU_TSC_OFFSET,
		.addr = (uintptr_t)offset,
	};

	TEST_ASSERT(!ioctl(g->vcpu, request, &attr), "TSC offset");
}

/* As the guest has it at this moment */
static u64 tsc_msr(struct guest *g, unsigned long request, u64 value)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} msrs = {
		.head.nmsrs = 1,
		.entry = { .index = MSR_IA32_TSC, .data = value },
	};

	TEST_ASSERT(ioctl(g->vcpu, request, &msrs) == 1, "TSC");
	return msrs.entry.data;
}

static void raise_irq(struct guest *g, int vector)
{
	struct kvm_msi msi = { .address_lo = 0xfee00000, .data = vector };

	TEST_ASSERT(__kvm_ioctl(g->vm, KVM_SIGNAL_MSI, &msi) > 0,
		    "vector 0x%x is accepted", vector);
}

/* The answer of the guest at a port: the lower half of its TSC */
static u32 run_to(struct guest *g, int port)
{
	TEST_ASSERT(!__kvm_ioctl(g->vcpu, KVM_RUN, NULL), "KVM_RUN");
	TEST_ASSERT(g->run->exit_reason == KVM_EXIT_IO && g->run->io.port == port,
		    "exit %d at port 0x%x, not at 0x%x", g->run->exit_reason,
		    g->run->io.port, port);
	return *(u32 *)((void *)g->run + g->run->io.data_offset);
}

/* The instruction that the guest has left at is not over before that. */
static void complete_exit(struct guest *g)
{
	g->run->immediate_exit = 1;
	TEST_ASSERT(__kvm_ioctl(g->vcpu, KVM_RUN, NULL) == -1 && errno == EINTR,
		    "KVM_RUN does not enter the guest");
	g->run->immediate_exit = 0;
}

static void set_code(struct guest *g, u64 gpa, void (*code)(void))
{
	memcpy(g->memory + gpa, code, CODE_SIZE);
}

static void set_vector(struct guest *g, int vector, void (*handler)(void))
{
	u16 *entry = g->memory + vector * 4;

	entry[0] = CODE_GPA + vector * CODE_SIZE;
	entry[1] = 0;
	set_code(g, entry[0], handler);
}

static void build_guest(struct guest *g)
{
	struct kvm_regs regs = { .rip = CODE_GPA, .rflags = 2, .rsp = 0x2000 };
	struct kvm_lapic_state lapic;
	struct kvm_sregs sregs;

	set_code(g, CODE_GPA, guest_main);
	set_vector(g, VECTOR_SAVED, guest_saved);
	set_vector(g, VECTOR_LATE, guest_late);

	kvm_ioctl(g->vcpu, KVM_GET_SREGS, &sregs);
	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	sregs.apic_base |= X2APIC_ENABLE;
	kvm_ioctl(g->vcpu, KVM_SET_SREGS, &sregs);
	kvm_ioctl(g->vcpu, KVM_SET_REGS, &regs);
	kvm_ioctl(g->vcpu, KVM_GET_LAPIC, &lapic);
	*(u32 *)&lapic.regs[APIC_SPIV] = APIC_SPIV_APIC_ENABLED | 0xff;
	kvm_ioctl(g->vcpu, KVM_SET_LAPIC, &lapic);
	/* So that a clock that is new does not look like one that goes on */
	tsc_msr(g, KVM_SET_MSRS, 1ULL << 50);
	kvm_ioctl(g->vm, KVM_SET_CLOCK,
		  &(struct kvm_clock_data){ .clock = 1000 * NSEC_PER_SEC });
}

static void save(struct guest *g)
{
	struct saved *s = saved_of(g);

	complete_exit(g);
	kvm_ioctl(g->vcpu, KVM_GET_REGS, &s->regs);
	kvm_ioctl(g->vcpu, KVM_GET_SREGS, &s->sregs);
	kvm_ioctl(g->vcpu, KVM_GET_LAPIC, &s->lapic);
	tsc_offset(g, KVM_GET_DEVICE_ATTR, &s->tsc_offset);
	s->guest_tsc = tsc_msr(g, KVM_GET_MSRS, 0);
	kvm_ioctl(g->vm, KVM_GET_CLOCK, &s->clock);
}

static void load(struct guest *g)
{
	struct saved *s = saved_of(g);

	kvm_ioctl(g->vcpu, KVM_SET_SREGS, &s->sregs);
	kvm_ioctl(g->vcpu, KVM_SET_LAPIC, &s->lapic);
	kvm_ioctl(g->vcpu, KVM_SET_REGS, &s->regs);
	tsc_offset(g, KVM_SET_DEVICE_ATTR, &s->tsc_offset);
}

static void stage_1(int luo_fd)
{
	int kvm_fd = open_kvm_dev_path_or_exit();
	int session, memfd;
	struct guest g;

	g.vm = __kvm_ioctl(kvm_fd, KVM_CREATE_VM, NULL);
	TEST_ASSERT(g.vm >= 0, KVM_IOCTL_ERROR(KVM_CREATE_VM, g.vm));
	memfd = memfd_create("vm-kexec", 0);
	TEST_ASSERT(memfd >= 0 && !ftruncate(memfd, MEMORY_SIZE), "memfd");
	enable_caps(&g);
	TEST_ASSERT(!set_max_vcpu_id(&g, MAX_VCPU_ID), "maximum of vCPU ids");
	map_memory(&g, memfd);
	create_vcpu(&g, kvm_fd);
	build_guest(&g);

	run_to(&g, 0x10);
	raise_irq(&g, VECTOR_SAVED);
	save(&g);
	raise_irq(&g, VECTOR_LATE);

	session = luo_create_session(luo_fd, SESSION);
	TEST_ASSERT(session >= 0, "session");
	TEST_ASSERT(!luo_session_preserve_fd(session, memfd, MEMORY_TOKEN), "memfd");
	TEST_ASSERT(!luo_session_preserve_fd(session, g.vm, VM_TOKEN), "VM");
	create_state_file(luo_fd, STATE_SESSION, STATE_TOKEN, 2);
	daemonize_and_wait();
}

static void check_clock(struct guest *g)
{
	const struct saved *s = saved_of(g);
	struct kvm_clock_data now;
	u64 passed, ticks;

	kvm_ioctl(g->vm, KVM_GET_CLOCK, &now);
	passed = now.clock - s->clock.clock;
	TEST_ASSERT(now.clock > s->clock.clock && passed < MAX_BLACKOUT_NS,
		    "clock from %llu to %llu", s->clock.clock, now.clock);

	/* By the TSC, whose frequency is known in both kernels, it is the same */
	ticks = tsc_msr(g, KVM_GET_MSRS, 0) - s->guest_tsc;
	passed = passed / 1000 * __kvm_ioctl(g->vcpu, KVM_GET_TSC_KHZ, NULL) / 1000;
	TEST_ASSERT(llabs((s64)(ticks - passed)) < ticks / 100,
		    "%lu ticks of the TSC, %lu by the clock", ticks, passed);
	pr_info("the clock went on by %llu ms\n",
		(now.clock - s->clock.clock) / 1000000);
}

static void check_twice_is_refused(int session)
{
	int again = luo_session_retrieve_fd(session, VM_TOKEN);

	/* The same file, not another VM */
	TEST_ASSERT(again >= 0, "retrieve again");
	close(again);
	TEST_ASSERT(luo_session_retrieve_fd(session, VM_TOKEN + 1) == -ENOENT,
		    "a token that nobody has given");
}

static void stage_2(int luo_fd, int state_session)
{
	int kvm_fd = open_kvm_dev_path_or_exit();
	int session = luo_retrieve_session(luo_fd, SESSION);
	int memfd, stage;
	struct guest g;

	restore_and_read_stage(state_session, STATE_TOKEN, &stage);
	TEST_ASSERT(stage == 2 && session >= 0, "stage %d, session %d", stage, session);
	g.vm = luo_session_retrieve_fd(session, VM_TOKEN);
	TEST_ASSERT(g.vm >= 0, "retrieve the VM: %d", g.vm);
	check_twice_is_refused(session);
	memfd = luo_session_retrieve_fd(session, MEMORY_TOKEN);
	TEST_ASSERT(memfd >= 0, "retrieve the memfd: %d", memfd);

	TEST_ASSERT(set_max_vcpu_id(&g, MAX_VCPU_ID + 1) == -1 && errno == EINVAL,
		    "a capability that was enabled is enabled");
	enable_caps(&g);
	map_memory(&g, memfd);
	create_vcpu(&g, kvm_fd);
	load(&g);
	check_clock(&g);
	TEST_ASSERT(!count_of(&g, 0) && !count_of(&g, 1), "no interrupt yet");
	run_to(&g, 0x11);
	TEST_ASSERT(count_of(&g, 0) == 1, "the interrupt that was saved: %d times",
		    count_of(&g, 0));
	TEST_ASSERT(count_of(&g, 1) == 1, "the interrupt that came late: %d times",
		    count_of(&g, 1));

	TEST_ASSERT(!luo_session_finish(session), "finish");
	TEST_ASSERT(!luo_session_finish(state_session), "finish");
	pr_info("KVM LIVEUPDATE KEXEC TEST PASSED\n");
}

int main(int argc, char *argv[])
{
	return luo_test(argc, argv, STATE_SESSION, stage_1, stage_2);
}
