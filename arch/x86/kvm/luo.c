// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is x86's of a VM in a live update: its clock, and interrupts that its local
 * APICs had accepted. See virt/kvm/kvm_luo.c.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/bitmap.h>
#include <linux/kvm_host.h>
#include <linux/math64.h>
#include <asm/tsc.h>

#include "../../../virt/kvm/kvm_luo.h"
#include "lapic.h"
#include "x86.h"

/* Vectors 0 to 15 are exceptions' */
#define FIRST_VECTOR	16
#define NR_VECTOR_REGS	(256 / 32)

/**
 * kvm_arch_luo_can_preserve - Whether a VM is not tied to this boot of the host.
 * @kvm: The VM.
 *
 * Context: kvm->lock held.
 * Return: false for all kinds of encrypted VMs, whose keys the firmware has.
 */
bool kvm_arch_luo_can_preserve(struct kvm *kvm)
{
	return kvm->arch.vm_type == KVM_X86_DEFAULT_VM &&
	       !kvm->arch.has_protected_state && !kvm->arch.mem_enc_used;
}

/**
 * kvm_arch_luo_save - Write down a VM's type and clock.
 * @kvm: The VM.
 * @ser: Its record.
 *
 * Context: In reboot(2), no vCPU runs.
 */
void kvm_arch_luo_save(struct kvm *kvm, struct kvm_luo_ser *ser)
{
	ser->type = kvm->arch.vm_type;
	ser->tsc_khz = tsc_khz;

	/* Of one moment */
	guard(irqsave)();
	ser->clock = get_kvmclock_ns(kvm);
	ser->tsc = rdtsc_ordered();
}

/**
 * kvm_arch_luo_restore - Let a VM's clock go on.
 * @kvm: The VM.
 * @ser: Its record.
 *
 * By the host's TSC, which a kexec does not touch: CLOCK_REALTIME of the next
 * kernel begins with a clock that counts seconds.
 *
 * Context: Process context, nobody else has the VM.
 */
void kvm_arch_luo_restore(struct kvm *kvm, const struct kvm_luo_ser *ser)
{
	struct kvm_clock_data data = { .clock = ser->clock };
	u64 now = rdtsc_ordered();
	u32 rest;

	/* Firmware that did reset it costs the time in between */
	if (ser->tsc_khz && now > ser->tsc) {
		data.clock += div_u64_rem(now - ser->tsc, ser->tsc_khz, &rest) *
			      NSEC_PER_MSEC;
		data.clock += div_u64((u64)rest * NSEC_PER_MSEC, ser->tsc_khz);
	}
	kvm_set_clock(kvm, &data);
}

/**
 * kvm_arch_luo_save_vcpu - Write down what a local APIC has accepted.
 * @vcpu: The vCPU.
 * @ser:  Its part of the record.
 *
 * Level-triggered interrupts are left out: their devices still raise them.
 *
 * Context: In reboot(2). vcpu->mutex is held, the vCPU is loaded.
 */
void kvm_arch_luo_save_vcpu(struct kvm_vcpu *vcpu,
			    struct kvm_luo_vcpu_ser *ser)
{
	u32 pending[NR_VECTOR_REGS] = {};
	int i;

	if (lapic_in_kernel(vcpu)) {
		struct kvm_lapic *apic = vcpu->arch.apic;

		kvm_x86_call(sync_pir_to_irr)(vcpu);
		for (i = 0; i < NR_VECTOR_REGS; i++)
			pending[i] = kvm_lapic_get_reg(apic, APIC_IRR + i * 0x10) &
				     ~kvm_lapic_get_reg(apic, APIC_TMR + i * 0x10);
	}
	pending[0] &= ~GENMASK(FIRST_VECTOR - 1, 0);
	memcpy(ser->pending, pending, sizeof(ser->pending));
}

/**
 * kvm_arch_luo_check_vcpu - Whether a vCPU's part of a record can be believed.
 * @ser: The part.
 *
 * Context: Any.
 * Return: Whether it can.
 */
bool kvm_arch_luo_check_vcpu(const struct kvm_luo_vcpu_ser *ser)
{
	return !(ser->pending[0] & GENMASK_ULL(FIRST_VECTOR - 1, 0));
}

/**
 * kvm_arch_luo_create_vcpu - Look what a new vCPU's predecessor had accepted.
 * @vcpu: The vCPU.
 *
 * Context: kvm->lock held.
 */
void kvm_arch_luo_create_vcpu(struct kvm_vcpu *vcpu)
{
	struct kvm_luo_ser *ser = vcpu->kvm->luo.in;
	u32 i;

	lockdep_assert_held(&vcpu->kvm->lock);
	if (!ser)
		return;
	for (i = 0; i < ser->nr_vcpus; i++) {
		const struct kvm_luo_vcpu_ser *old = &kvm_luo_ser_vcpus(ser)[i];

		if (old->id == vcpu->vcpu_id)
			memcpy(vcpu->arch.luo_pending, old->pending,
			       sizeof(old->pending));
	}
}

/**
 * kvm_arch_vcpu_run_pid_change - A vCPU is about to run in a task for the first time.
 * @vcpu: The vCPU.
 *
 * By now its local APIC is as its VMM wants it to be. What is delivered here is
 * pending there already, or came after the VMM had saved it.
 *
 * Context: KVM_RUN, vcpu->mutex held.
 * Return: 0.
 */
int kvm_arch_vcpu_run_pid_change(struct kvm_vcpu *vcpu)
{
	unsigned long vector;

	for_each_set_bit(vector, vcpu->arch.luo_pending, 256) {
		struct kvm_lapic_irq irq = {
			.vector = vector,
			.delivery_mode = APIC_DM_FIXED,
			.level = 1,
		};

		if (lapic_in_kernel(vcpu))
			kvm_apic_set_irq(vcpu, &irq, NULL);
	}
	bitmap_zero(vcpu->arch.luo_pending, 256);
	return 0;
}
