/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the two halves of iommufd's live update share.
 */
#ifndef __IOMMUFD_LIVEUPDATE_H
#define __IOMMUFD_LIVEUPDATE_H

#include <linux/kho/abi/iommufd.h>
#include <linux/types.h>

#include "iommufd_private.h"

struct liveupdate_file_op_args;
struct liveupdate_session;

/* Physical addresses from @start up to, but not including, @end */
struct iommufd_range {
	u64 start;
	u64 end;
};

/* @end is that of the range that was added last */
struct iommufd_ranges {
	struct iommufd_range *v;
	size_t count;
	u64 end;
};

/* Outgoing kernel: liveupdate.c */
u32 iommufd_hwpt_ser_crc(const struct iommufd_hwpt_ser *ser);
u32 iommufd_ser_crc(const struct iommufd_ser *ser);

/* Its proof: liveupdate_proof.c */
int iommufd_ranges_add(void *data, phys_addr_t pa, u64 len);
void iommufd_ranges_sort(struct iommufd_ranges *ranges);
int iommufd_ranges_get(struct iommufd_ranges *ranges,
		       struct liveupdate_session *session);
u64 iommufd_ranges_cover(const struct iommufd_ranges *ranges, u64 pa, u64 len);
int iommufd_prove(struct iommufd_hwpt_paging *hwpt_paging,
		  const struct iommufd_ranges *ranges);

/* Incoming kernel: liveupdate_incoming.c */
struct iommufd_ser *iommufd_ser_get(u64 pa, bool (*preserved)(phys_addr_t phys,
							      size_t size));
bool iommufd_hwpt_ser_valid(const struct iommufd_hwpt_ser *ser);
struct file *iommufd_file_create(void);
void iommufd_incoming_free(struct iommufd_ctx *ictx);
int iommufd_liveupdate_retrieve(struct liveupdate_file_op_args *args);
bool iommufd_liveupdate_can_finish(struct liveupdate_file_op_args *args);
void iommufd_liveupdate_finish(struct liveupdate_file_op_args *args);

#endif /* __IOMMUFD_LIVEUPDATE_H */
