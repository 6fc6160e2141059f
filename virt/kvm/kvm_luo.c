// SPDX-License-Identifier: GPL-2.0-only

/**
 * DOC: KVM in a live update
 *
 * A VM whose file is in a session is known to the host's barrier: none of its
 * vCPUs executes an instruction once the kernel freezes, whatever its owner (the
 * VMM) does. The next kernel makes a VM of the same kind from the file's record,
 * with its clock going on. The VMM saves and loads all the rest, such as registers
 * and memslots, by the ioctls that it has for that.
 *
 * Outgoing kernel::
 *
 *	VM --preserve--> in a session --prepare--> closed --freeze--> [jump]
 *	 ^---unpreserve--'    ^-----------cancel-----'------'
 *
 * 1. preserve: KVM looks whether the VM can come along. Nothing changes.
 * 2. prepare, before everything else: KVM_CREATE_VCPU and KVM_ENABLE_CAP of the VM
 *    are EBUSY, and so are memslots of a guest_memfd that is in no session. The set
 *    of vCPUs is final: memory for the record is set aside. Then each VM file looks
 *    whether the guest_memfds behind its memslots are in its session.
 * 3. freeze (REBOOT), before everything else: KVM_RUN is EHOSTDOWN, and vCPUs that
 *    are inside of it leave it with EHOSTDOWN. It is waited for that. A VMM that
 *    has stopped its vCPUs does not see this.
 * 4. freeze, after all devices and their interrupts: the record is filled, with
 *    every interrupt that the vCPUs have accepted by then.
 *
 * Incoming kernel: kvm_luo_incoming.c.
 *
 * What a VM's owner can do from freeze to cancel or the jump: everything but
 * KVM_RUN. After cancel KVM_RUN goes on where it was: vCPUs leave it only where a
 * signal could have made them leave.
 *
 * VMs in no session end with this kernel. debugfs kvm/liveupdate has a line for
 * each VM: the PID of the thread that created it, the VM's name (as its statistics
 * have it), "session" or "none", and that thread's name. Prepare prints a message
 * for each VM in none.
 *
 * Unhappy paths:
 *
 * - Errors of preserve: EOPNOTSUPP memory or state of the VM is encrypted or
 *   private, or it was made of other files; E2BIG more than KVM_LUO_MAX_CAPS
 *   capabilities were enabled; EIO it is dead.
 * - prepare refuses: EXDEV a guest_memfd is not in the session; ENOMEM.
 * - freeze refuses: ETIMEDOUT a vCPU did not leave KVM_RUN, because its VMM does
 *   not serve a page fault of it; EBUSY another ioctl of a vCPU does not end.
 * - Its session is closed while the host is prepared: it goes on as any VM.
 *
 * Lock order: host state, mutex of the session, kvm_luo_lock, then either kvm_lock
 * or kvm->lock and kvm->slots_lock.
 */

#define pr_fmt(fmt) "kvm: " fmt

#include <linux/cleanup.h>
#include <linux/debugfs.h>
#include <linux/err.h>
#include <linux/io.h>
#include <linux/iopoll.h>
#include <linux/kexec_handover.h>
#include <linux/kvm_host.h>
#include <linux/liveupdate.h>
#include <linux/liveupdate_host.h>
#include <linux/liveupdate_image.h>
#include <linux/module.h>
#include <linux/pid_namespace.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

#include "kvm_luo.h"

LIVEUPDATE_IMAGE_NOTE(kvm_luo_note, LIVEUPDATE_NOTE_BOTH, KVM_LUO_COMPATIBLE);

/* How long a vCPU may take to leave KVM_RUN or another ioctl */
#define KVM_LUO_STOP_US		(2 * USEC_PER_SEC)
#define KVM_LUO_POLL_US		50

/* VMs whose file is in a session */
static LIST_HEAD(kvm_luo_vms);
static DEFINE_MUTEX(kvm_luo_lock);

#define kvm_luo_for_each(_kvm)	list_for_each_entry(_kvm, &kvm_luo_vms, luo.list)

#define refuse(_kvm, _errno, _fmt, ...)					\
({									\
	pr_warn("VM %s cannot be kept over a live update: " _fmt "\n",	\
		(_kvm)->stats_id, ##__VA_ARGS__);			\
	_errno;								\
})

static bool kvm_luo_same_cap(const struct kvm_luo_cap_ser *ser,
			     const struct kvm_enable_cap *cap)
{
	return ser->cap == cap->cap &&
	       !memcmp(ser->args, cap->args, sizeof(ser->args));
}

static bool __kvm_luo_has_cap(struct kvm *kvm, const struct kvm_enable_cap *cap)
{
	u32 i;

	lockdep_assert_held(&kvm->lock);
	for (i = 0; i < kvm->luo.nr_caps; i++) {
		if (kvm_luo_same_cap(&kvm->luo.caps[i], cap))
			return true;
	}
	return false;
}

/**
 * kvm_luo_has_cap - Whether a VM came out of a live update with a capability.
 * @kvm: The VM.
 * @cap: The capability and its arguments.
 *
 * Some can be enabled only once. A VMM enables what it needs in every VM, and need
 * not know that this one has it already.
 *
 * Context: Process context, may sleep.
 * Return: true when there is nothing to do.
 */
bool kvm_luo_has_cap(struct kvm *kvm, const struct kvm_enable_cap *cap)
{
	if (!kvm->luo.retrieved || cap->flags)
		return false;

	guard(mutex)(&kvm->lock);
	return __kvm_luo_has_cap(kvm, cap);
}

/**
 * kvm_luo_note_cap - Remember a capability that was enabled.
 * @kvm: The VM.
 * @cap: The capability and its arguments.
 *
 * Context: Process context, may sleep.
 */
void kvm_luo_note_cap(struct kvm *kvm, const struct kvm_enable_cap *cap)
{
	struct kvm_luo_cap_ser *caps;

	if (!liveupdate_enabled())
		return;

	guard(mutex)(&kvm->lock);
	if (__kvm_luo_has_cap(kvm, cap))
		return;

	caps = NULL;
	if (kvm->luo.nr_caps < KVM_LUO_MAX_CAPS)
		caps = krealloc_array(kvm->luo.caps, kvm->luo.nr_caps + 1,
				      sizeof(*caps), GFP_KERNEL_ACCOUNT);
	if (!caps) {
		kvm->luo.caps_lost = true;
		return;
	}

	kvm->luo.caps = caps;
	caps += kvm->luo.nr_caps++;
	caps->cap = cap->cap;
	caps->reserved = 0;
	memcpy(caps->args, cap->args, sizeof(caps->args));
}

/**
 * kvm_luo_destroy_vm - Forget a VM that is being destroyed.
 * @kvm: The VM; its file is in no session.
 *
 * Context: Nobody else has the VM.
 */
void kvm_luo_destroy_vm(struct kvm *kvm)
{
	kfree(kvm->luo.caps);
}

static bool kvm_luo_made_of_files(struct kvm *kvm)
{
	u32 i;

	lockdep_assert_held(&kvm->lock);
	for (i = 0; i < kvm->luo.nr_caps; i++) {
		if (kvm_luo_cap_of_file(kvm->luo.caps[i].cap))
			return true;
	}
	return false;
}

static int kvm_luo_check(struct kvm *kvm)
{
	guard(mutex)(&kvm->lock);
	if (kvm->vm_dead)
		return refuse(kvm, -EIO, "it is dead, close it");
	if (kvm_arch_has_private_mem(kvm) || !kvm_arch_luo_can_preserve(kvm))
		return refuse(kvm, -EOPNOTSUPP,
			      "its memory is private or its state encrypted, shut it down");
	if (kvm_luo_made_of_files(kvm))
		return refuse(kvm, -EOPNOTSUPP,
			      "a capability of it is tied to another file, shut it down");
	if (kvm->luo.caps_lost)
		return refuse(kvm, -E2BIG,
			      "more than %d capabilities were enabled, shut it down",
			      KVM_LUO_MAX_CAPS);
	return 0;
}

static bool kvm_luo_can_preserve(struct liveupdate_file_handler *handler,
				 struct file *file)
{
	return file_is_kvm(file);
}

static int kvm_luo_preserve(struct liveupdate_file_op_args *args)
{
	struct kvm *kvm = args->file->private_data;
	int r = kvm_luo_check(kvm);

	if (r)
		return r;

	guard(mutex)(&kvm_luo_lock);
	list_add_tail(&kvm->luo.list, &kvm_luo_vms);
	kvm->luo.preserved = true;
	return 0;
}

/* Back to a VM that may do everything */
static void kvm_luo_reopen(struct kvm *kvm)
{
	lockdep_assert_held(&kvm_luo_lock);
	WRITE_ONCE(kvm->luo.frozen, false);
	WRITE_ONCE(kvm->luo.closed, false);
	kho_unpreserve_free(kvm->luo.ser);
	kvm->luo.ser = NULL;
}

static void kvm_luo_unpreserve(struct liveupdate_file_op_args *args)
{
	struct kvm *kvm = args->file->private_data;

	guard(mutex)(&kvm_luo_lock);
	kvm_luo_reopen(kvm);
	kvm->luo.preserved = false;
	list_del(&kvm->luo.list);
}

static bool kvm_luo_is_file(struct file *file, void *data)
{
	return file == data;
}

static bool kvm_luo_is_file_of(struct file *file, void *data)
{
	return file_is_kvm(file) && file->private_data == data;
}

/**
 * kvm_luo_session_has_vm - Whether a VM's file is in a session.
 * @session: The session, from the arguments of a .prepare() op.
 * @kvm:     The VM.
 *
 * Context: Inside a .prepare() op.
 * Return: Whether it is.
 */
bool kvm_luo_session_has_vm(struct liveupdate_session *session,
			    struct kvm *kvm)
{
	return liveupdate_session_find_file(session, kvm_luo_is_file_of, kvm);
}

static int kvm_luo_file_prepare(struct liveupdate_file_op_args *args)
{
	struct kvm *kvm = args->file->private_data;
	struct kvm_memory_slot *slot;
	int i, bkt;

	guard(mutex)(&kvm->slots_lock);
	for (i = 0; i < kvm_arch_nr_memslot_as_ids(kvm); i++) {
		kvm_for_each_memslot(slot, bkt, __kvm_memslots(kvm, i)) {
			if (!kvm_slot_has_gmem(slot) || !slot->gmem.file)
				continue;
			if (!liveupdate_session_find_file(args->session,
							  kvm_luo_is_file,
							  slot->gmem.file))
				return refuse(kvm, -EXDEV,
					      "preserve the guest_memfd of memslot %d in the same session",
					      slot->id);
		}
	}
	return 0;
}

/* kvm_luo_subsys has prepared, and has the record filled at the very end */
static int kvm_luo_file_freeze(struct liveupdate_file_op_args *args)
{
	struct kvm *kvm = args->file->private_data;

	args->serialized_data = kvm_luo_vm_record(kvm);
	return 0;
}

static const struct liveupdate_file_ops kvm_luo_file_ops = {
	.can_preserve = kvm_luo_can_preserve,
	.preserve = kvm_luo_preserve,
	.unpreserve = kvm_luo_unpreserve,
	.prepare = kvm_luo_file_prepare,
	.freeze = kvm_luo_file_freeze,
	.retrieve = kvm_luo_retrieve,
	.finish = kvm_luo_finish,
	.owner = THIS_MODULE,
	.needs_prepare = true,
};

static struct liveupdate_file_handler kvm_luo_handler = {
	.ops = &kvm_luo_file_ops,
	.compatible = KVM_LUO_COMPATIBLE,
};

/**
 * kvm_luo_vm_record - The number that stands for a VM in this update.
 * @kvm: The VM.
 *
 * Context: Inside a .freeze() op.
 * Return: The number, or 0 when the VM's file is in no session.
 */
u64 kvm_luo_vm_record(struct kvm *kvm)
{
	return kvm->luo.ser ? virt_to_phys(kvm->luo.ser) : 0;
}

static struct kvm_luo_ser *kvm_luo_ser_alloc(u32 nr_caps, u32 nr_vcpus)
{
	size_t length = sizeof(struct kvm_luo_ser) +
			nr_caps * sizeof(struct kvm_luo_cap_ser) +
			nr_vcpus * sizeof(struct kvm_luo_vcpu_ser);
	struct kvm_luo_ser *ser = kho_alloc_preserve(length);

	if (IS_ERR(ser))
		return ser;
	ser->length = length;
	ser->nr_caps = nr_caps;
	ser->nr_vcpus = nr_vcpus;
	return ser;
}

static int kvm_luo_close(struct kvm *kvm)
{
	struct kvm_luo_ser *ser;

	guard(mutex)(&kvm->lock);
	guard(mutex)(&kvm->slots_lock);
	ser = kvm_luo_ser_alloc(kvm->luo.nr_caps,
				atomic_read(&kvm->online_vcpus));
	if (IS_ERR(ser))
		return PTR_ERR(ser);

	memcpy(kvm_luo_ser_caps(ser), kvm->luo.caps,
	       ser->nr_caps * sizeof(struct kvm_luo_cap_ser));
	kvm->luo.ser = ser;
	WRITE_ONCE(kvm->luo.closed, true);
	return 0;
}

/* The name of the thread that created a VM, if it is still there */
static const char *kvm_luo_owner(struct kvm *kvm, char comm[TASK_COMM_LEN])
{
	struct task_struct *task;

	guard(rcu)();
	task = find_task_by_pid_ns(kvm->userspace_pid, &init_pid_ns);
	strscpy_pad(comm, task ? task->comm : "?", TASK_COMM_LEN);
	return comm;
}

static void kvm_luo_warn_of_others(void)
{
	char comm[TASK_COMM_LEN];
	struct kvm *kvm;

	guard(mutex)(&kvm_lock);
	list_for_each_entry(kvm, &vm_list, vm_list) {
		if (!kvm->luo.preserved)
			pr_warn("VM %s (%s) is in no session, it ends with this kernel: preserve its file, or shut it down\n",
				kvm->stats_id, kvm_luo_owner(kvm, comm));
	}
}

static void kvm_luo_cancel(struct liveupdate_subsystem *sub)
{
	struct kvm *kvm;

	guard(mutex)(&kvm_luo_lock);
	kvm_luo_for_each(kvm)
		kvm_luo_reopen(kvm);
}

static int kvm_luo_prepare(struct liveupdate_subsystem *sub)
{
	struct kvm *kvm;
	int r = 0;

	scoped_guard(mutex, &kvm_luo_lock) {
		kvm_luo_for_each(kvm) {
			r = kvm_luo_close(kvm);
			if (r)
				break;
		}
		if (!r)
			kvm_luo_warn_of_others();
	}
	if (r)
		kvm_luo_cancel(sub);
	return r;
}

/**
 * kvm_luo_may_run - Whether a vCPU may run.
 * @vcpu: The vCPU; its wants_to_run is set.
 *
 * Either this sees that the VM is frozen, or the freezer sees wants_to_run.
 *
 * Context: KVM_RUN.
 * Return: 0 or -EHOSTDOWN.
 */
int kvm_luo_may_run(struct kvm_vcpu *vcpu)
{
	/* Pairs with smp_mb() in kvm_luo_stop() */
	smp_mb();
	return kvm_luo_frozen(vcpu->kvm) ? -EHOSTDOWN : 0;
}

/* The request makes vCPUs leave the guest, and wakes those that wait */
static void kvm_luo_stop(struct kvm *kvm)
{
	WRITE_ONCE(kvm->luo.frozen, true);
	/* Pairs with smp_mb() in kvm_luo_may_run() */
	smp_mb();
	kvm_make_all_cpus_request(kvm, KVM_REQ_UNBLOCK);
}

static int kvm_luo_wait(struct kvm *kvm)
{
	struct kvm_vcpu *vcpu;
	unsigned long i;
	bool runs;

	kvm_for_each_vcpu(i, vcpu, kvm) {
		if (read_poll_timeout(READ_ONCE, runs, !runs, KVM_LUO_POLL_US,
				      KVM_LUO_STOP_US, false,
				      vcpu->wants_to_run))
			return refuse(kvm, -ETIMEDOUT,
				      "vCPU %d does not stop, its VMM has to serve its page faults",
				      vcpu->vcpu_id);
	}
	return 0;
}

static int kvm_luo_reboot(struct liveupdate_subsystem *sub)
{
	struct kvm *kvm;
	int r;

	guard(mutex)(&kvm_luo_lock);
	/* All at once: a blackout must not grow with their number */
	kvm_luo_for_each(kvm)
		kvm_luo_stop(kvm);
	kvm_luo_for_each(kvm) {
		r = kvm_luo_wait(kvm);
		if (r)
			return r;
	}
	return 0;
}

static int kvm_luo_save_vcpu(struct kvm_vcpu *vcpu,
			     struct kvm_luo_vcpu_ser *ser)
{
	bool locked;

	/* An ioctl may wait for memory that the VMM has to provide */
	if (read_poll_timeout(mutex_trylock, locked, locked, KVM_LUO_POLL_US,
			      KVM_LUO_STOP_US, false, &vcpu->mutex))
		return refuse(vcpu->kvm, -EBUSY,
			      "an ioctl of vCPU %d does not end, its VMM has to end it",
			      vcpu->vcpu_id);

	vcpu_load(vcpu);
	ser->id = vcpu->vcpu_id;
	ser->reserved = 0;
	kvm_arch_luo_save_vcpu(vcpu, ser);
	vcpu_put(vcpu);
	mutex_unlock(&vcpu->mutex);
	return 0;
}

static int kvm_luo_save(struct kvm *kvm)
{
	struct kvm_luo_ser *ser = kvm->luo.ser;
	struct kvm_luo_vcpu_ser *vcpus = kvm_luo_ser_vcpus(ser);
	struct kvm_vcpu *vcpu;
	unsigned long i;
	int r;

	kvm_for_each_vcpu(i, vcpu, kvm) {
		r = kvm_luo_save_vcpu(vcpu, &vcpus[i]);
		if (r)
			return r;
	}
	kvm_arch_luo_save(kvm, ser);
	ser->crc = kvm_luo_ser_crc(ser);
	return 0;
}

static int kvm_luo_late_reboot(struct liveupdate_subsystem *sub)
{
	struct kvm *kvm;
	int r;

	guard(mutex)(&kvm_luo_lock);
	kvm_luo_for_each(kvm) {
		r = kvm_luo_save(kvm);
		if (r)
			return r;
	}
	return 0;
}

static const struct liveupdate_subsystem_ops kvm_luo_ops = {
	.prepare = kvm_luo_prepare,
	.reboot = kvm_luo_reboot,
	.cancel = kvm_luo_cancel,
};

static struct liveupdate_subsystem kvm_luo_subsys = {
	.name = "kvm",
	.prio = LIVEUPDATE_PRIO_BEFORE_DEVICES,
	.ops = &kvm_luo_ops,
	.owner = THIS_MODULE,
};

/* No device raises an interrupt any more */
static const struct liveupdate_subsystem_ops kvm_luo_late_ops = {
	.reboot = kvm_luo_late_reboot,
};

static struct liveupdate_subsystem kvm_luo_late_subsys = {
	.name = "kvm-interrupts",
	.prio = LIVEUPDATE_PRIO_AFTER_DEVICES,
	.ops = &kvm_luo_late_ops,
	.owner = THIS_MODULE,
};

static int kvm_luo_list_show(struct seq_file *m, void *unused)
{
	char comm[TASK_COMM_LEN];
	struct kvm *kvm;

	guard(mutex)(&kvm_lock);
	list_for_each_entry(kvm, &vm_list, vm_list)
		seq_printf(m, "%d %s %s %s\n", kvm->userspace_pid,
			   kvm->stats_id,
			   kvm->luo.preserved ? "session" : "none",
			   kvm_luo_owner(kvm, comm));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(kvm_luo_list);

/**
 * kvm_luo_available - Whether the files of VMs can be preserved.
 *
 * Context: Any.
 * Return: Whether they can.
 */
bool kvm_luo_available(void)
{
	return liveupdate_enabled();
}

/**
 * kvm_luo_init - Let VMs take part in live updates.
 * @debugfs_dir: KVM's folder.
 *
 * Context: Initcall, before there is a VM.
 * Return: 0, also when live update is off, or an errno.
 */
int kvm_luo_init(struct dentry *debugfs_dir)
{
	int r;

	if (!liveupdate_enabled())
		return 0;

	r = liveupdate_register_subsystem(&kvm_luo_subsys);
	if (r)
		return r;
	r = liveupdate_register_subsystem(&kvm_luo_late_subsys);
	if (r)
		goto err_subsys;
	r = liveupdate_register_file_handler(&kvm_luo_handler);
	if (r)
		goto err_late;

	debugfs_create_file("liveupdate", 0400, debugfs_dir, NULL,
			    &kvm_luo_list_fops);
	return 0;

err_late:
	liveupdate_unregister_subsystem(&kvm_luo_late_subsys);
err_subsys:
	liveupdate_unregister_subsystem(&kvm_luo_subsys);
	return r;
}

/**
 * kvm_luo_exit - Undo kvm_luo_init().
 *
 * Context: There is no VM any more.
 */
void kvm_luo_exit(void)
{
	liveupdate_unregister_file_handler(&kvm_luo_handler);
	liveupdate_unregister_subsystem(&kvm_luo_late_subsys);
	liveupdate_unregister_subsystem(&kvm_luo_subsys);
}
