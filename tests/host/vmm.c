// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A hostile VMM: its vCPUs run all the time, and what KVM_RUN says does not make
 * it stop. Its guests and it write down when they last ran, in a memfd that a
 * session keeps.
 *
 *   vmm serve NAME              stays, and does what the others ask it for
 *   vmm open NAME VCPUS         a VM that runs
 *   vmm look NAME               what all vCPUs have written down (JSON)
 *   vmm preserve NAME           VM and memory into a session NAME
 *   vmm cancel NAME             closes the session
 *   vmm try NAME WHAT           vcpu, cap, memslot: whether it is refused
 *   vmm retrieve NAME           in the next kernel: memory and VM, which runs
 *   vmm finish NAME
 *
 * The guest counts in a register, so a vCPU that lost its state starts anew, or
 * ends elsewhere. Every other vCPU leaves to its VMM in each round.
 */
#define _GNU_SOURCE
#include "luo.h"
#include "memory.h"
#include "relay.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <x86intrin.h>

#define MAX_VCPUS	16
#define CODE		0x1000
#define NOTES		0x2000
#define SIZE		(2 * MIB)
#define TOKEN_MEMORY	1
#define TOKEN_VM	2

/* Of each vCPU, in guest memory; the guest writes the first two. */
struct notes {
	uint64_t guest_tsc;
	uint32_t count;
	uint32_t lost;
	/* KVM_RUN: returned 0; EHOSTDOWN; something else, and what */
	uint64_t exits;
	uint64_t refused;
	uint64_t refused_tsc;
	uint32_t other;
	uint32_t error;
	uint64_t reserved;
};

/* 16-bit code: cx is whether to leave to the VMM, di where to write. */
extern const char guest_start[], guest_end[];
asm(".pushsection .rodata\n"
    "guest_start: .code16\n"
    "1: rdtsc\n"
    "	movl %eax, (%di)\n"
    "	movl %edx, 4(%di)\n"
    "	cmpl %ebx, 8(%di)\n"
    "	je 2f\n"
    "	incl 12(%di)\n"
    "2: incl %ebx\n"
    "	movl %ebx, 8(%di)\n"
    "	testw %cx, %cx\n"
    "	jz 1b\n"
    "	outb %al, $0x10\n"
    "	jmp 1b\n"
    ".code64\n"
    "guest_end: .popsection\n");

static struct {
	int kvm;
	int vm;
	int session;
	struct memory memory;
	int nr_vcpus;
	struct vcpu {
		int fd;
		struct kvm_run *run;
		pthread_t thread;
	} vcpus[MAX_VCPUS];
} vmm = { .kvm = -1, .vm = -1, .session = -1, .memory = NO_MEMORY };

static struct notes *notes(int i)
{
	return (struct notes *)((char *)vmm.memory.at + NOTES) + i;
}

static void *run_vcpu(void *arg)
{
	struct vcpu *v = arg;
	struct notes *n = notes(v - vmm.vcpus);

	for (;;) {
		if (!ioctl(v->fd, KVM_RUN, 0)) {
			n->exits++;
			if (v->run->exit_reason == KVM_EXIT_IO)
				continue;
			errno = EPROTO;
		}
		if (errno == EHOSTDOWN) {
			n->refused++;
			n->refused_tsc = __rdtsc();
		} else {
			n->other++;
			n->error = errno;
		}
	}
	return NULL;
}

static const char *set_registers(int vcpu, int i)
{
	struct kvm_regs regs = {
		.rip = CODE,
		.rflags = 2,
		.rbx = notes(i)->count,
		.rcx = i & 1,
		.rdi = NOTES + i * sizeof(struct notes),
	};
	struct kvm_sregs sregs;

	if (ioctl(vcpu, KVM_GET_SREGS, &sregs))
		return "GET_SREGS";
	sregs.cs.base = sregs.ds.base = 0;
	sregs.cs.selector = sregs.ds.selector = 0;
	if (ioctl(vcpu, KVM_SET_SREGS, &sregs))
		return "SET_SREGS";
	return ioctl(vcpu, KVM_SET_REGS, &regs) ? "SET_REGS" : NULL;
}

/* The guest's TSC is the host's. */
static const char *set_tsc(int vcpu)
{
	uint64_t offset = 0;
	struct kvm_device_attr attr = {
		.group = KVM_VCPU_TSC_CTRL,
		.attr = KVM_VCPU_TSC_OFFSET,
		.addr = (uintptr_t)&offset,
	};

	return ioctl(vcpu, KVM_SET_DEVICE_ATTR, &attr) ? "TSC_OFFSET" : NULL;
}

static const char *make_vcpu(int i)
{
	int size = ioctl(vmm.kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	struct vcpu *v = &vmm.vcpus[i];
	const char *what;

	v->fd = ioctl(vmm.vm, KVM_CREATE_VCPU, i);
	if (v->fd < 0)
		return "CREATE_VCPU";
	v->run = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, v->fd, 0);
	if (v->run == MAP_FAILED)
		return "mmap of a vCPU";
	what = set_tsc(v->fd);
	what = what ?: set_registers(v->fd, i);
	if (!what)
		errno = pthread_create(&v->thread, NULL, run_vcpu, v);
	return what ?: errno ? "thread" : NULL;
}

static const char *set_memslot(int slot, uint64_t address)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.guest_phys_addr = address,
		.memory_size = vmm.memory.size,
		.userspace_addr = (uintptr_t)vmm.memory.at,
	};

	return ioctl(vmm.vm, KVM_SET_USER_MEMORY_REGION, &region) ? "memslot" : NULL;
}

static const char *start(int nr_vcpus)
{
	const char *what = set_memslot(0, 0);

	vmm.nr_vcpus = nr_vcpus;
	errno = 0;
	for (int i = 0; !what && i < nr_vcpus; i++)
		what = make_vcpu(i);
	return what;
}

static const char *open_kvm(void)
{
	vmm.kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	return vmm.kvm < 0 ? "/dev/kvm" : NULL;
}

static const char *do_open(char **args, FILE *out)
{
	const char *what = open_kvm();

	(void)out;
	what = what ?: memory_create(&vmm.memory, "vmm", SIZE, 0);
	if (what)
		return what;
	memcpy((char *)vmm.memory.at + CODE, guest_start, guest_end - guest_start);
	vmm.vm = ioctl(vmm.kvm, KVM_CREATE_VM, 0);
	return vmm.vm < 0 ? "CREATE_VM" : start(atoi(args[1]));
}

static const char *do_look(char **args, FILE *out)
{
	(void)args;
	fputc('[', out);
	for (int i = 0; i < MAX_VCPUS && notes(i)->guest_tsc; i++) {
		const struct notes *n = notes(i);

		fprintf(out, "%s{\"guest_tsc\": %" PRIu64 ", \"count\": %u, \"lost\": %u"
			", \"exits\": %" PRIu64 ", \"refused\": %" PRIu64
			", \"refused_tsc\": %" PRIu64 ", \"other\": %u, \"error\": %u}",
			i ? ", " : "", n->guest_tsc, n->count, n->lost, n->exits,
			n->refused, n->refused_tsc, n->other, n->error);
	}
	fputs("]\n", out);
	return NULL;
}

static const char *do_preserve(char **args, FILE *out)
{
	const char *what = luo_create(args[0], &vmm.session);

	(void)out;
	what = what ?: luo_preserve(vmm.session, TOKEN_MEMORY, vmm.memory.file);
	return what ?: luo_preserve(vmm.session, TOKEN_VM, vmm.vm);
}

static const char *do_cancel(char **args, FILE *out)
{
	(void)args;
	(void)out;
	close(vmm.session);
	vmm.session = -1;
	return NULL;
}

static const char *try_cap(void)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_EXCEPTION_PAYLOAD };

	return ioctl(vmm.vm, KVM_ENABLE_CAP, &cap) ? "ENABLE_CAP" : NULL;
}

static const char *try_vcpu(void)
{
	return ioctl(vmm.vm, KVM_CREATE_VCPU, MAX_VCPUS) < 0 ? "CREATE_VCPU" : NULL;
}

/* As a VMM does it whose guest moves a BAR, and back */
static const char *try_memslot(void)
{
	struct kvm_userspace_memory_region none = { .slot = 1 };
	const char *what = set_memslot(1, 1UL << 32);

	if (!what && ioctl(vmm.vm, KVM_SET_USER_MEMORY_REGION, &none))
		what = "no memslot";
	return what;
}

static const char *do_try(char **args, FILE *out)
{
	(void)out;
	if (!strcmp(args[1], "cap"))
		return try_cap();
	if (!strcmp(args[1], "vcpu"))
		return try_vcpu();
	if (!strcmp(args[1], "memslot"))
		return try_memslot();
	errno = EINVAL;
	return "what to try";
}

/* Nobody has written down what the vCPUs' registers were, but for the count. */
static const char *do_retrieve(char **args, FILE *out)
{
	const char *what = open_kvm();
	int file;

	what = what ?: luo_retrieve_session(args[0], &vmm.session);
	what = what ?: luo_retrieve(vmm.session, TOKEN_MEMORY, &file);
	what = what ?: memory_adopt(&vmm.memory, file);
	what = what ?: luo_retrieve(vmm.session, TOKEN_VM, &vmm.vm);
	if (what)
		return what;
	do_look(args, out);
	for (int i = 0; i < MAX_VCPUS; i++)
		vmm.nr_vcpus += !!notes(i)->guest_tsc;
	return start(vmm.nr_vcpus);
}

static const char *do_finish(char **args, FILE *out)
{
	(void)args;
	(void)out;
	return luo_finish(vmm.session);
}

static const struct command {
	const char *name;
	int args;
	const char *(*run)(char **args, FILE *out);
} commands[] = {
	{ "open", 2, do_open },
	{ "look", 1, do_look },
	{ "preserve", 1, do_preserve },
	{ "cancel", 1, do_cancel },
	{ "try", 2, do_try },
	{ "retrieve", 1, do_retrieve },
	{ "finish", 1, do_finish },
};

static const char *run(int argc, char **argv, FILE *out)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (argc == commands[i].args + 1 && !strcmp(argv[0], commands[i].name))
			return commands[i].run(argv + 1, out);
	}
	errno = EINVAL;
	return "command";
}

int main(int argc, char *argv[])
{
	char path[64];

	if (argc < 3) {
		fprintf(stderr, "usage: vmm serve NAME | COMMAND NAME [ARG]\n");
		return 2;
	}
	snprintf(path, sizeof(path), "/run/vmm-%s", argv[2]);
	if (!strcmp(argv[1], "serve"))
		return relay_serve(path, run);
	return relay_ask(path, argc - 1, argv + 1);
}
