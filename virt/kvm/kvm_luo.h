/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Live updates of virtual machines, inside of KVM.
 */
#ifndef __KVM_LUO_H__
#define __KVM_LUO_H__ 1

#include <linux/errno.h>
#include <linux/types.h>

struct file;
struct kvm;
struct kvm_enable_cap;
struct liveupdate_session;

#ifdef CONFIG_KVM_LIVEUPDATE

/* For kvm_main.c: kvm_luo.c */
int kvm_luo_init(struct module *module);
void kvm_luo_exit(void);
void kvm_luo_destroy_vm(struct kvm *kvm);
int kvm_luo_note_cap(struct kvm *kvm, const struct kvm_enable_cap *cap);
bool kvm_luo_closed(struct kvm *kvm);

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

#else /* CONFIG_KVM_LIVEUPDATE */

static inline int kvm_luo_init(struct module *module)
{
	return 0;
}

static inline void kvm_luo_exit(void) { }
static inline void kvm_luo_destroy_vm(struct kvm *kvm) { }

static inline int kvm_luo_note_cap(struct kvm *kvm,
				   const struct kvm_enable_cap *cap)
{
	return 0;
}

static inline bool kvm_luo_closed(struct kvm *kvm)
{
	return false;
}

#endif /* CONFIG_KVM_LIVEUPDATE */

/*
 * guest_memfd_luo.c, called by kvm_luo.c.
 *
 * preserved: whether a guest_memfd is in a session. From the host's prepare on a
 *            VM whose file is in a session gets no memslot (EBUSY, see
 *            kvm_luo_closed()) of a guest_memfd that is in none.
 */
#ifdef CONFIG_LIVEUPDATE_GUEST_MEMFD
bool kvm_gmem_luo_preserved(struct file *file);
#else
static inline bool kvm_gmem_luo_preserved(struct file *file)
{
	return false;
}
#endif

#endif /* __KVM_LUO_H__ */
