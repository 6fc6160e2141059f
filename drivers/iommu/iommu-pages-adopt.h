/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __IOMMU_PAGES_ADOPT_H
#define __IOMMU_PAGES_ADOPT_H

#include <linux/generic_pt/iommu.h>
#include <linux/types.h>
#include <linux/xarray.h>

/**
 * struct iommu_pages_adopt - What is known about a page table being adopted
 * @from:       Who says what was handed over.
 * @seen:       What was found so far.
 * @tables:     Each page of each table found so far, by page frame number. The
 *              value is true for the first page of a table.
 * @chunks:     Large pieces of memory that the table may map, by address.
 * @block:      The handed-over block that was looked at last.
 * @block_last: Its last byte; below @block when there is none.
 */
struct iommu_pages_adopt {
	struct pt_iommu_handover *from;
	struct pt_iommu_tables seen;
	struct xarray tables;
	struct xarray chunks;
	phys_addr_t block;
	phys_addr_t block_last;
};

void iommu_pages_count(struct pt_iommu_tables *tables, u64 pa);
void iommu_pages_adopt_init(struct iommu_pages_adopt *adopt,
			    struct pt_iommu_handover *from);
int iommu_pages_adopt_refuse(struct iommu_pages_adopt *adopt, int ret,
			     const char *why, phys_addr_t where);
int iommu_pages_adopt_table(struct iommu_pages_adopt *adopt, u64 pa,
			    unsigned int size_lg2);
int iommu_pages_adopt_all_tables(struct iommu_pages_adopt *adopt);
int iommu_pages_adopt_leaf(struct iommu_pages_adopt *adopt, u64 pa,
			   unsigned int size_lg2);
int iommu_pages_adopt_take(struct iommu_pages_adopt *adopt);
void iommu_pages_adopt_destroy(struct iommu_pages_adopt *adopt);

#endif
