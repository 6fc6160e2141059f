/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __KVM_GUEST_MEMFD_LUO_H__
#define __KVM_GUEST_MEMFD_LUO_H__

#include <linux/kho/abi/guest_memfd.h>
#include <linux/types.h>

#ifdef CONFIG_KVM_LIVEUPDATE

void kvm_gmem_luo_init(void);
void kvm_gmem_luo_exit(void);

u32 guest_memfd_ser_crc(const struct guest_memfd_ser *ser);
struct guest_memfd_ser *
guest_memfd_ser_get(u64 pa, bool (*preserved)(phys_addr_t phys, size_t size));

#else

static inline void kvm_gmem_luo_init(void) { }
static inline void kvm_gmem_luo_exit(void) { }

#endif /* CONFIG_KVM_LIVEUPDATE */

#endif /* __KVM_GUEST_MEMFD_LUO_H__ */
