/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What one kernel tells the next about a virtual machine.
 */
#ifndef _LINUX_KHO_ABI_KVM_H
#define _LINUX_KHO_ABI_KVM_H

#include <linux/types.h>

/**
 * DOC: KVM live update ABI
 *
 * The u64 that LUO keeps for a file of handler KVM_LUO_COMPATIBLE is the physical
 * address of a &struct kvm_luo_ser, in a block that KHO preserves. It describes a
 * VM as its owner had set it up by its file, and what only the kernel knows of it
 * when it is replaced. Everything else is its owner's to save: registers, memory
 * slots, devices.
 *
 * The checksum is the CRC-32 (as of crc32_le(~0, ...)) of all bytes of the record
 * behind it. A record that does not verify costs its own VM.
 *
 * Integers are little endian. A change of any structure changes
 * KVM_LUO_COMPATIBLE.
 */

#define KVM_LUO_COMPATIBLE	"kvm-v1"

/* A VM of which more was enabled is not preserved. */
#define KVM_LUO_MAX_CAPS	64

/**
 * struct kvm_luo_cap_ser - A capability that was enabled for the VM.
 * @cap:      KVM_CAP_*.
 * @reserved: Zero.
 * @args:     Its arguments, as given to KVM_ENABLE_CAP.
 */
struct kvm_luo_cap_ser {
	u32 cap;
	u32 reserved;
	u64 args[4];
} __packed;

/**
 * struct kvm_luo_vcpu_ser - A vCPU.
 * @id:       As given to KVM_CREATE_VCPU.
 * @reserved: Zero.
 * @pending:  x86: a bit for each edge-triggered vector that its local APIC had
 *            accepted, and not yet delivered. Vectors below 16 do not exist.
 */
struct kvm_luo_vcpu_ser {
	u32 id;
	u32 reserved;
	u64 pending[4];
} __packed;

/**
 * struct kvm_luo_ser - A VM.
 * @length:   Bytes of the record, @data included.
 * @crc:      Checksum.
 * @type:     As given to KVM_CREATE_VM.
 * @clock:    x86: the VM's clock (KVM_GET_CLOCK) in nanoseconds.
 * @tsc:      x86: the host's TSC at that moment. A kexec does not reset it.
 * @tsc_khz:  x86: its frequency; 0 when it is not known.
 * @nr_caps:  Number of capabilities.
 * @nr_vcpus: Number of vCPUs.
 * @reserved: Zero.
 * @data:     @nr_caps of &struct kvm_luo_cap_ser in the order in which they were
 *            enabled, then @nr_vcpus of &struct kvm_luo_vcpu_ser.
 */
struct kvm_luo_ser {
	u32 length;
	u32 crc;
	u64 type;
	u64 clock;
	u64 tsc;
	u32 tsc_khz;
	u32 nr_caps;
	u32 nr_vcpus;
	u32 reserved;
	u8 data[];
} __packed;

#endif /* _LINUX_KHO_ABI_KVM_H */
