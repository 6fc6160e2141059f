// SPDX-License-Identifier: GPL-2.0-only

/**
 * DOC: Memory of a page table that the previous kernel built
 *
 * After a live update devices go on translating through page tables that the
 * previous kernel has preserved. Before this kernel relies on such a table it
 * proves that nothing in it leads out of the memory that was handed over. The
 * walk through the table depends on the format, see
 * generic_pt/iommu_pt_liveupdate.h. Here is what does not: which memory may be a
 * table, and which memory may be mapped.
 *
 * 1. iommu_pages_adopt_table() for each table, before it is read: handed over as a
 *    block of exactly the size of a table, and not seen before. So a walk ends,
 *    and nobody frees a page twice.
 * 2. iommu_pages_adopt_all_tables(): they are the ones that the previous kernel
 *    has preserved as this table. A page that a guest writes is handed over, too,
 *    but is no table.
 * 3. iommu_pages_adopt_leaf() for each mapped piece: each byte of it handed over,
 *    and no part of a table of this domain.
 * 4. iommu_pages_adopt_take(): each table is taken from KHO.
 *
 * Steps 1 to 3 only read, and write nothing but their own notes. A table that is
 * refused is left as it was found.
 *
 * Cost: a table is one insertion into an xarray. A small leaf is one look at the
 * block that it lies in, or none when it is the block of the leaf before. Large
 * leaves are proven in chunks of 2 MiB, each once however often it is mapped, so
 * an entry costs at most 512 looks and each page of the host is looked at once.
 * The notes need a few bytes for each table and for each chunk.
 *
 * Unhappy paths: memory that KHO does not give although it was there in step 1
 * means that somebody else has taken it meanwhile. The tables that were taken are
 * then leaked, because the device still walks them.
 *
 * Locks: none. A caller adopts one table at a time, before anything that the
 * table maps can be restored.
 */

#include <linux/bug.h>
#include <linux/crc32.h>
#include <linux/kexec_handover.h>
#include <linux/mm.h>

#include "iommu-pages.h"
#include "iommu-pages-adopt.h"

#define ADOPT_CHUNK_LG2		21

static bool adopt_kho_find(struct pt_iommu_handover *from, phys_addr_t pa,
			   phys_addr_t *start, unsigned int *order)
{
	return kho_find_preserved(pa, start, order);
}

static void *adopt_kho_restore(struct pt_iommu_handover *from, phys_addr_t pa)
{
	return iommu_pages_restore(pa);
}

/**
 * pt_iommu_handover_init - Adopt page tables from KHO
 * @from: To be filled in.
 *
 * A caller that knows better which memory a table may map, like the memory of one
 * session, can put its own find() over the one set here.
 */
void pt_iommu_handover_init(struct pt_iommu_handover *from)
{
	*from = (struct pt_iommu_handover){
		.find = adopt_kho_find,
		.restore = adopt_kho_restore,
	};
}
EXPORT_SYMBOL_GPL(pt_iommu_handover_init);

/**
 * iommu_pages_count - Note one more table
 * @tables: The tables noted so far, top down.
 * @pa: The physical address of the table.
 */
void iommu_pages_count(struct pt_iommu_tables *tables, u64 pa)
{
	__le64 addr = cpu_to_le64(pa);

	tables->nr++;
	tables->crc = crc32_le(tables->crc, (u8 *)&addr, sizeof(addr));
}
EXPORT_SYMBOL_GPL(iommu_pages_count);

/**
 * iommu_pages_adopt_init - Start to adopt a page table
 * @adopt: To be filled in.
 * @from: Who says what was handed over.
 */
void iommu_pages_adopt_init(struct iommu_pages_adopt *adopt,
			    struct pt_iommu_handover *from)
{
	xa_init(&adopt->tables);
	xa_init(&adopt->chunks);
	adopt->from = from;
	adopt->seen = (struct pt_iommu_tables){};
	adopt->block = 1;
	adopt->block_last = 0;
}
EXPORT_SYMBOL_GPL(iommu_pages_adopt_init);

/**
 * iommu_pages_adopt_refuse - Say why a page table is refused
 * @adopt: The page table being adopted.
 * @ret: The errno.
 * @why: What is wrong.
 * @where: The physical address that it is about.
 *
 * Return: @ret.
 */
int iommu_pages_adopt_refuse(struct iommu_pages_adopt *adopt, int ret,
			     const char *why, phys_addr_t where)
{
	adopt->from->why = why;
	adopt->from->where = where;
	return ret;
}
EXPORT_SYMBOL_GPL(iommu_pages_adopt_refuse);

/* Not a mere cast: the formats of some IOMMUs have more bits than the host */
static bool adopt_find(struct iommu_pages_adopt *adopt, u64 pa,
		       phys_addr_t *start, unsigned int *order)
{
	return pa == (phys_addr_t)pa &&
	       adopt->from->find(adopt->from, pa, start, order);
}

/**
 * iommu_pages_adopt_table - Prove that a table is memory that was handed over
 * @adopt: The page table being adopted.
 * @pa: Where an entry, or the record of the domain, says that the table is.
 * @size_lg2: The size of the table.
 *
 * The caller may read the table when this succeeds.
 *
 * Context: May sleep.
 * Return: 0; -EFAULT when it was not handed over as a table; -ELOOP when another
 * entry points to it as well; -ENOMEM.
 */
int iommu_pages_adopt_table(struct iommu_pages_adopt *adopt, u64 pa,
			    unsigned int size_lg2)
{
	unsigned int want = get_order(1UL << size_lg2);
	unsigned int order;
	phys_addr_t start;
	int ret;

	if (!adopt_find(adopt, pa, &start, &order) || start != pa ||
	    order != want)
		return iommu_pages_adopt_refuse(adopt, -EFAULT,
						"table not handed over", pa);

	for (unsigned long i = 0; i < 1UL << order; i++) {
		ret = xa_insert(&adopt->tables, PHYS_PFN(pa) + i,
				xa_mk_value(!i), GFP_KERNEL);
		if (ret == -EBUSY)
			return iommu_pages_adopt_refuse(adopt, -ELOOP,
							"table used twice", pa);
		if (ret)
			return iommu_pages_adopt_refuse(adopt, ret,
							"out of memory", pa);
	}
	iommu_pages_count(&adopt->seen, pa);

	return 0;
}
EXPORT_SYMBOL_GPL(iommu_pages_adopt_table);

/**
 * iommu_pages_adopt_all_tables - Prove that no table is another one
 * @adopt: The page table being adopted, all tables are known.
 *
 * Return: 0; -EBADMSG when they are not what the previous kernel has preserved.
 */
int iommu_pages_adopt_all_tables(struct iommu_pages_adopt *adopt)
{
	struct pt_iommu_tables *want = &adopt->from->tables;

	if (adopt->seen.nr != want->nr || adopt->seen.crc != want->crc)
		return iommu_pages_adopt_refuse(adopt, -EBADMSG,
						"tables are not the ones on record",
						0);
	return 0;
}
EXPORT_SYMBOL_GPL(iommu_pages_adopt_all_tables);

/* Step over one block: @pa lies in one that is handed over and no table */
static int adopt_block(struct iommu_pages_adopt *adopt, u64 pa)
{
	unsigned int order;
	phys_addr_t start;

	if (pa >= adopt->block && pa <= adopt->block_last)
		return 0;

	if (!adopt_find(adopt, pa, &start, &order))
		return iommu_pages_adopt_refuse(adopt, -EADDRNOTAVAIL,
						"mapped memory not handed over",
						pa);
	/* A table is a block of its own */
	if (xa_load(&adopt->tables, PHYS_PFN(start)))
		return iommu_pages_adopt_refuse(adopt, -EADDRINUSE,
						"table maps a table", pa);

	adopt->block = start;
	adopt->block_last = start + (PAGE_SIZE << order) - 1;

	return 0;
}

static int adopt_blocks(struct iommu_pages_adopt *adopt, u64 pa, u64 last)
{
	int ret;

	do {
		ret = adopt_block(adopt, pa);
		if (ret)
			return ret;
		pa = (u64)adopt->block_last + 1;
	} while (pa <= last);

	return 0;
}

static int adopt_chunk(struct iommu_pages_adopt *adopt, u64 pa)
{
	unsigned long index = pa >> ADOPT_CHUNK_LG2;
	int ret;

	if (xa_load(&adopt->chunks, index))
		return 0;

	ret = adopt_blocks(adopt, pa, pa + BIT_ULL(ADOPT_CHUNK_LG2) - 1);
	if (ret)
		return ret;

	ret = xa_err(xa_store(&adopt->chunks, index, xa_mk_value(1),
			      GFP_KERNEL));
	if (ret)
		return iommu_pages_adopt_refuse(adopt, ret, "out of memory", pa);
	cond_resched();

	return 0;
}

/**
 * iommu_pages_adopt_leaf - Prove that a device may reach mapped memory
 * @adopt: The page table being adopted.
 * @pa: The start of the memory, aligned to its size.
 * @size_lg2: The size of the memory.
 *
 * Context: May sleep. All tables are known.
 * Return: 0; -EADDRNOTAVAIL when not all of it was handed over; -EADDRINUSE when a
 * part of it is a table; -ENOMEM.
 */
int iommu_pages_adopt_leaf(struct iommu_pages_adopt *adopt, u64 pa,
			   unsigned int size_lg2)
{
	u64 last = pa + (BIT_ULL(size_lg2) - 1);
	int ret;

	if (size_lg2 < ADOPT_CHUNK_LG2)
		return adopt_blocks(adopt, pa, last);

	/* Ends at the first chunk that is not memory, however large the leaf */
	for (; pa < last; pa += BIT_ULL(ADOPT_CHUNK_LG2)) {
		ret = adopt_chunk(adopt, pa);
		if (ret)
			return ret;
	}

	return 0;
}
EXPORT_SYMBOL_GPL(iommu_pages_adopt_leaf);

/**
 * iommu_pages_adopt_take - Take the tables over
 * @adopt: The page table being adopted, proven.
 *
 * Context: May sleep.
 * Return: 0; -EIO when somebody has taken a table since it was proven.
 */
int iommu_pages_adopt_take(struct iommu_pages_adopt *adopt)
{
	struct pt_iommu_handover *from = adopt->from;
	unsigned long pfn;
	void *first;

	xa_for_each(&adopt->tables, pfn, first) {
		if (!xa_to_value(first))
			continue;
		if (WARN_ON_ONCE(!from->restore(from, PFN_PHYS(pfn))))
			return iommu_pages_adopt_refuse(adopt, -EIO,
							"table was taken",
							PFN_PHYS(pfn));
		cond_resched();
	}

	return 0;
}
EXPORT_SYMBOL_GPL(iommu_pages_adopt_take);

/**
 * iommu_pages_adopt_destroy - Forget what was noted
 * @adopt: The page table that was adopted, or refused.
 */
void iommu_pages_adopt_destroy(struct iommu_pages_adopt *adopt)
{
	xa_destroy(&adopt->tables);
	xa_destroy(&adopt->chunks);
}
EXPORT_SYMBOL_GPL(iommu_pages_adopt_destroy);
