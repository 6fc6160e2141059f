/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _MM_HUGETLB_LUO_H
#define _MM_HUGETLB_LUO_H

#include <linux/kho/abi/hugetlb.h>
#include <linux/types.h>

struct hstate;
struct kho_pfns;

#ifdef CONFIG_LIVEUPDATE_MEMFD_HUGETLB

/* hugetlb_luo.c: what is kept counts in the pools */
void hugetlb_luo_find_incoming(void);
void hugetlb_luo_count_incoming(struct hstate *h);
void hugetlb_luo_keep(const struct kho_pfns *pfns, bool keep);
int hugetlb_luo_init(void);
u32 hugetlb_pool_ser_crc(const struct hugetlb_pool_ser *ser);
int hugetlb_pool_ser_check(const struct hugetlb_pool_ser *ser, size_t size,
			   u64 memory);

/* memfd_hugetlb_luo.c */
u32 memfd_hugetlb_ser_crc(const struct memfd_hugetlb_ser *ser);
struct memfd_hugetlb_ser *
memfd_hugetlb_ser_get(u64 pa, bool (*preserved)(phys_addr_t phys, size_t size));

#else

static inline void hugetlb_luo_find_incoming(void)
{
}

static inline void hugetlb_luo_count_incoming(struct hstate *h)
{
}

#endif /* CONFIG_LIVEUPDATE_MEMFD_HUGETLB */

#endif /* _MM_HUGETLB_LUO_H */
