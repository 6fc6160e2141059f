/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Live updates of virtual machines, inside of KVM.
 */
#ifndef __KVM_LUO_H__
#define __KVM_LUO_H__ 1

#include <linux/errno.h>
#include <linux/kho/abi/kvm.h>
#include <linux/kvm_host.h>
#include <linux/types.h>

struct liveupdate_file_op_args;
struct liveupdate_session;

#ifdef CONFIG_KVM_LIVEUPDATE

/* For kvm_main.c: kvm_luo.c */
bool kvm_luo_available(void);
int kvm_luo_init(struct dentry *debugfs_dir);
void kvm_luo_exit(void);
void kvm_luo_destroy_vm(struct kvm *kvm);
bool kvm_luo_has_cap(struct kvm *kvm, const struct kvm_enable_cap *cap);
void kvm_luo_note_cap(struct kvm *kvm, const struct kvm_enable_cap *cap);
int kvm_luo_may_run(struct kvm_vcpu *vcpu);

/*
 * From the host's prepare to cancel or the jump a VM whose file is in a session
 * is closed: it gets no vCPU, no capability, and no memslot of a guest_memfd that
 * is in no session (EBUSY). Other memslots come and go as ever: guests move the BARs of
 * their devices, and no VMM survives it when KVM refuses to follow. Stable with
 * kvm->lock or kvm->slots_lock held.
 */
static inline bool kvm_luo_closed(struct kvm *kvm)
{
	return READ_ONCE(kvm->luo.closed);
}

/*
 * For guest_memfd_luo.c, in the outgoing kernel.
 *
 * has_vm:    in .prepare: whether the VM's file is in the same session.
 * vm_record: in .freeze: the number that stands for the VM in this update, to be
 *            written into the record of a guest_memfd. Valid from the host's
 *            prepare to its cancel, 0 otherwise.
 *
 * In the incoming kernel:
 *
 * get_vm:    in .retrieve: the VM of such a number. It is created when nobody has
 *            retrieved its file yet, so that files come in any order. The caller
 *            gets a reference. ERR_PTR when the VM's record is bad.
 */
bool kvm_luo_session_has_vm(struct liveupdate_session *session,
			    struct kvm *kvm);
u64 kvm_luo_vm_record(struct kvm *kvm);
struct kvm *kvm_luo_get_vm(u64 record);

/* kvm_luo_incoming.c, called by kvm_luo.c */
u32 kvm_luo_ser_crc(const struct kvm_luo_ser *ser);
struct kvm_luo_ser *kvm_luo_ser_get(u64 pa, bool (*preserved)(phys_addr_t phys,
							      size_t size));
int kvm_luo_retrieve(struct liveupdate_file_op_args *args);
void kvm_luo_finish(struct liveupdate_file_op_args *args);

/* With a file descriptor as argument, which means nothing to another kernel */
static inline bool kvm_luo_cap_of_file(u32 cap)
{
	return cap == KVM_CAP_SGX_ATTRIBUTE ||
	       cap == KVM_CAP_VM_COPY_ENC_CONTEXT_FROM ||
	       cap == KVM_CAP_VM_MOVE_ENC_CONTEXT_FROM;
}

static inline struct kvm_luo_cap_ser *kvm_luo_ser_caps(struct kvm_luo_ser *ser)
{
	return (void *)ser->data;
}

static inline struct kvm_luo_vcpu_ser *
kvm_luo_ser_vcpus(struct kvm_luo_ser *ser)
{
	return (void *)(kvm_luo_ser_caps(ser) + ser->nr_caps);
}

/*
 * Of the architecture.
 *
 * can_preserve: whether nothing of the VM is tied to this boot of the host. Its
 *               owner is told by the caller.
 * save:         in reboot(2), no vCPU runs: type and clock.
 * save_vcpu:    the same: pending interrupts. vcpu->mutex is held, and the vCPU
 *               is loaded.
 * restore:      the VM was just created, as of the type that was saved. @ser has
 *               been checked.
 * check_vcpu:   the parser. Whether @ser can be believed.
 */
bool kvm_arch_luo_can_preserve(struct kvm *kvm);
void kvm_arch_luo_save(struct kvm *kvm, struct kvm_luo_ser *ser);
void kvm_arch_luo_save_vcpu(struct kvm_vcpu *vcpu,
			    struct kvm_luo_vcpu_ser *ser);
void kvm_arch_luo_restore(struct kvm *kvm, const struct kvm_luo_ser *ser);
bool kvm_arch_luo_check_vcpu(const struct kvm_luo_vcpu_ser *ser);

#else /* CONFIG_KVM_LIVEUPDATE */

static inline bool kvm_luo_available(void)
{
	return false;
}

static inline int kvm_luo_init(struct dentry *debugfs_dir)
{
	return 0;
}

static inline void kvm_luo_exit(void) { }
static inline void kvm_luo_destroy_vm(struct kvm *kvm) { }

static inline bool kvm_luo_has_cap(struct kvm *kvm,
				   const struct kvm_enable_cap *cap)
{
	return false;
}

static inline void kvm_luo_note_cap(struct kvm *kvm,
				    const struct kvm_enable_cap *cap) { }

static inline int kvm_luo_may_run(struct kvm_vcpu *vcpu)
{
	return 0;
}

static inline bool kvm_luo_closed(struct kvm *kvm)
{
	return false;
}

#endif /* CONFIG_KVM_LIVEUPDATE */

#endif /* __KVM_LUO_H__ */
