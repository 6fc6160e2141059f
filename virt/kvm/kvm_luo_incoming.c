// SPDX-License-Identifier: GPL-2.0-only

/**
 * DOC: VMs that come out of a live update
 *
 * A VM is created from its record when somebody retrieves its file, or before that
 * a guest_memfd that belongs to it. It is of the type that it was, the
 * capabilities that its owner had enabled are enabled in the same order, and its
 * clock is where it would be had it never stopped. It has no vCPU, no memslot and
 * no device: the VMM makes those, with the calls that it makes for every VM.
 *
 * - Enabling a capability again with the same arguments succeeds and does nothing,
 *   for those that can be enabled once, such as KVM_CAP_SPLIT_IRQCHIP.
 * - A vCPU of an id that the VM had gets the interrupts that its predecessor had
 *   accepted and not delivered, right before it first runs. The VMM may have saved
 *   them as well, then they are one and the same.
 * - A vCPU's TSC is the VMM's: the host's TSC is not reset by a kexec, so with the
 *   same KVM_VCPU_TSC_OFFSET it goes on.
 *
 * Unhappy paths:
 *
 * - Errors of retrieve: EFAULT, EMSGSIZE, EILSEQ, EUCLEAN the record is damaged; else
 *   the errno of creating the VM or of enabling a capability in this kernel. A
 *   failed retrieve is final: that VM is lost, the others are not.
 * - A record that nobody wants is freed by finish.
 *
 * Lock order: mutex of the session, kvm_luo_in_lock, kvm->lock.
 */

#define pr_fmt(fmt) "kvm: " fmt

#include <linux/cleanup.h>
#include <linux/crc32.h>
#include <linux/err.h>
#include <linux/io.h>
#include <linux/kexec_handover.h>
#include <linux/kvm_host.h>
#include <linux/liveupdate.h>
#include <linux/slab.h>

#include "kvm_luo.h"
#include "kvm_mm.h"

/* A VM that was created of a record, until the file's finish */
struct kvm_luo_in {
	struct list_head list;
	struct kvm_luo_ser *ser;
	struct kvm *kvm;
};

static LIST_HEAD(kvm_luo_ins);
static DEFINE_MUTEX(kvm_luo_in_lock);

/**
 * kvm_luo_ser_crc - The checksum that a record should have.
 * @ser: The record; its length is right.
 *
 * Context: Any.
 * Return: The checksum.
 */
u32 kvm_luo_ser_crc(const struct kvm_luo_ser *ser)
{
	size_t start = offsetofend(struct kvm_luo_ser, crc);

	return crc32_le(~0, (const u8 *)ser + start, ser->length - start);
}

static size_t kvm_luo_ser_length(u32 nr_caps, u32 nr_vcpus)
{
	return sizeof(struct kvm_luo_ser) +
	       nr_caps * sizeof(struct kvm_luo_cap_ser) +
	       nr_vcpus * sizeof(struct kvm_luo_vcpu_ser);
}

static bool kvm_luo_ser_length_valid(const struct kvm_luo_ser *ser)
{
	return ser->length >= kvm_luo_ser_length(0, 0) &&
	       ser->length <= kvm_luo_ser_length(KVM_LUO_MAX_CAPS,
						 KVM_MAX_VCPUS);
}

static bool kvm_luo_ser_data_valid(struct kvm_luo_ser *ser)
{
	u32 i;

	if (ser->nr_caps > KVM_LUO_MAX_CAPS || ser->nr_vcpus > KVM_MAX_VCPUS ||
	    ser->length != kvm_luo_ser_length(ser->nr_caps, ser->nr_vcpus))
		return false;

	for (i = 0; i < ser->nr_caps; i++) {
		if (kvm_luo_ser_caps(ser)[i].reserved ||
		    kvm_luo_cap_of_file(kvm_luo_ser_caps(ser)[i].cap))
			return false;
	}
	for (i = 0; i < ser->nr_vcpus; i++) {
		const struct kvm_luo_vcpu_ser *vcpu = &kvm_luo_ser_vcpus(ser)[i];

		if (vcpu->id >= KVM_MAX_VCPU_IDS || vcpu->reserved ||
		    !kvm_arch_luo_check_vcpu(vcpu))
			return false;
	}
	return true;
}

/**
 * kvm_luo_ser_get - Find and verify a record.
 * @pa:        Where it is said to be.
 * @preserved: kho_is_preserved(), or the stand-in of a test.
 *
 * Context: Any.
 * Return: The record, or an ERR_PTR: -EFAULT not in preserved memory; -EMSGSIZE
 *         wrong length; -EILSEQ wrong checksum; -EUCLEAN a wrong field.
 */
struct kvm_luo_ser *kvm_luo_ser_get(u64 pa, bool (*preserved)(phys_addr_t phys,
							      size_t size))
{
	struct kvm_luo_ser *ser = phys_to_virt(pa);

	if (!IS_ALIGNED(pa, PAGE_SIZE) || !preserved(pa, sizeof(*ser)))
		return ERR_PTR(-EFAULT);
	if (!kvm_luo_ser_length_valid(ser) || !preserved(pa, ser->length))
		return ERR_PTR(-EMSGSIZE);
	if (ser->crc != kvm_luo_ser_crc(ser))
		return ERR_PTR(-EILSEQ);
	if (ser->reserved || !kvm_luo_ser_data_valid(ser))
		return ERR_PTR(-EUCLEAN);
	return ser;
}

static int kvm_luo_restore_caps(struct kvm *kvm, struct kvm_luo_ser *ser)
{
	const struct kvm_luo_cap_ser *caps = kvm_luo_ser_caps(ser);
	u32 i;
	int r;

	for (i = 0; i < ser->nr_caps; i++) {
		struct kvm_enable_cap cap = { .cap = caps[i].cap };

		memcpy(cap.args, caps[i].args, sizeof(cap.args));
		r = kvm_vm_ioctl_enable_cap_generic(kvm, &cap);
		if (r) {
			pr_err("capability %u of a VM cannot be enabled in this kernel: %pe\n",
			       cap.cap, ERR_PTR(r));
			return r;
		}
		kvm_luo_note_cap(kvm, &cap);
	}
	return 0;
}

static struct kvm *kvm_luo_create(struct kvm_luo_ser *ser)
{
	char name[32];
	struct kvm *kvm;
	int r;

	/* In place of the file descriptor, which is not known yet */
	snprintf(name, sizeof(name), "luo%llx", virt_to_phys(ser));
	kvm = kvm_create_vm(ser->type, name);
	if (IS_ERR(kvm))
		return kvm;

	r = kvm_luo_restore_caps(kvm, ser);
	if (r) {
		kvm_put_kvm(kvm);
		return ERR_PTR(r);
	}
	kvm_arch_luo_restore(kvm, ser);
	kvm->luo.in = ser;
	kvm->luo.retrieved = true;
	return kvm;
}

static struct kvm_luo_in *kvm_luo_find_in(u64 record)
{
	struct kvm_luo_in *in;

	lockdep_assert_held(&kvm_luo_in_lock);
	list_for_each_entry(in, &kvm_luo_ins, list) {
		if (virt_to_phys(in->ser) == record)
			return in;
	}
	return NULL;
}

static struct kvm *kvm_luo_add_in(struct kvm_luo_ser *ser)
{
	struct kvm_luo_in *in = kzalloc_obj(*in);
	struct kvm *kvm;

	if (!in)
		return ERR_PTR(-ENOMEM);
	kvm = kvm_luo_create(ser);
	if (IS_ERR(kvm)) {
		kfree(in);
		return kvm;
	}
	in->ser = ser;
	in->kvm = kvm;
	list_add_tail(&in->list, &kvm_luo_ins);
	return kvm;
}

/**
 * kvm_luo_get_vm - The VM of a record, created if nobody has asked for it yet.
 * @record: What kvm_luo_vm_record() had said in the outgoing kernel.
 *
 * Context: Inside a .retrieve() op.
 * Return: The VM with a reference, or an ERR_PTR as listed at the top.
 */
struct kvm *kvm_luo_get_vm(u64 record)
{
	struct kvm_luo_ser *ser;
	struct kvm_luo_in *in;
	struct kvm *kvm;

	guard(mutex)(&kvm_luo_in_lock);
	in = kvm_luo_find_in(record);
	if (in) {
		kvm_get_kvm(in->kvm);
		return in->kvm;
	}

	ser = kvm_luo_ser_get(record, kho_is_preserved);
	if (IS_ERR(ser)) {
		pr_err("record of a VM cannot be believed (%pe): the VM is lost, start it anew\n",
		       ser);
		return ERR_CAST(ser);
	}
	kvm = kvm_luo_add_in(ser);
	if (!IS_ERR(kvm))
		kvm_get_kvm(kvm);
	return kvm;
}

/**
 * kvm_luo_retrieve - Make a file of a record.
 * @args: See &struct liveupdate_file_ops.
 *
 * Context: Process context, mutex of the session held.
 * Return: 0, or an errno as listed at the top of this file.
 */
int kvm_luo_retrieve(struct liveupdate_file_op_args *args)
{
	struct kvm *kvm = kvm_luo_get_vm(args->serialized_data);
	struct file *file;

	if (IS_ERR(kvm))
		return PTR_ERR(kvm);

	/* Takes over the reference */
	file = kvm_create_vm_file(kvm);
	if (IS_ERR(file)) {
		kvm_put_kvm(kvm);
		return PTR_ERR(file);
	}
	args->file = file;
	return 0;
}

static void kvm_luo_forget(struct kvm_luo_in *in)
{
	/* No more vCPU looks for its interrupts there */
	scoped_guard(mutex, &in->kvm->lock)
		in->kvm->luo.in = NULL;
	list_del(&in->list);
	kvm_put_kvm(in->kvm);
	kfree(in);
}

/**
 * kvm_luo_finish - Free a record.
 * @args: See &struct liveupdate_file_ops.
 *
 * Context: Process context, mutex of the session held.
 */
void kvm_luo_finish(struct liveupdate_file_op_args *args)
{
	struct kvm_luo_ser *ser;
	struct kvm_luo_in *in;

	guard(mutex)(&kvm_luo_in_lock);
	in = kvm_luo_find_in(args->serialized_data);
	if (in)
		kvm_luo_forget(in);

	ser = kvm_luo_ser_get(args->serialized_data, kho_is_preserved);
	if (!IS_ERR(ser))
		kho_restore_free(ser);
}
