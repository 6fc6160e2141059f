// SPDX-License-Identifier: GPL-2.0

/**
 * DOC: Verification of IOMMU live update records
 *
 * Nothing that the outgoing kernel wrote is trusted. Here is what can be said
 * of a payload (include/linux/kho/abi/iommu.h) by looking at it alone: lengths,
 * bounds, reserved fields, references. The top page of a table must be memory
 * that was handed over. Whether its other pages are, and whether an entry is
 * what hardware has, the IOMMU's driver finds out.
 *
 * Unhappy paths:
 *
 * - The payload's head does not verify: nothing of it is used.
 * - A domain does not verify: the functions in it are lost.
 * - A function or one of its entries does not verify: it is lost.
 *
 * Of the functions that claim one place all are lost, because it cannot be told
 * whose record that is.
 */

#include <linux/align.h>
#include <linux/ctype.h>
#include <linux/errno.h>
#include <linux/mm.h>
#include <linux/string.h>

#include "liveupdate.h"

static bool is_text(const char *s, size_t size)
{
	size_t len = strnlen(s, size);
	size_t i;

	if (!len || len == size)
		return false;
	for (i = 0; i < len; i++) {
		if (!isascii(s[i]) || !isgraph(s[i]))
			return false;
	}

	return !memchr_inv(s + len, 0, size - len);
}

/**
 * iommu_lu_open - Find the records in a payload.
 * @view:    Filled; @preserved is the caller's.
 * @payload: The payload.
 * @len:     Its bytes.
 *
 * Context: Any.
 * Return: 0; -EMSGSIZE when the length does not agree with the counts; -E2BIG
 *         for counts out of bounds; -EBADMSG for a damaged head.
 */
int iommu_lu_open(struct iommu_lu_view *view, const void *payload, size_t len)
{
	const struct iommu_payload_ser *head = payload;

	if (len < sizeof(*head))
		return -EMSGSIZE;
	if (head->nr_domains > IOMMU_LIVEUPDATE_MAX_DOMAINS ||
	    head->nr_functions > IOMMU_LIVEUPDATE_MAX_FUNCTIONS ||
	    head->nr_entries > IOMMU_LIVEUPDATE_MAX_ENTRIES)
		return -E2BIG;
	if (head->reserved || !is_text(head->hw, sizeof(head->hw)))
		return -EBADMSG;
	if (len != iommu_lu_size(head->nr_domains, head->nr_functions,
				 head->nr_entries))
		return -EMSGSIZE;

	view->head = head;
	view->domains = (const void *)(head + 1);
	view->functions = (const void *)(view->domains + head->nr_domains);
	view->entries = (const void *)(view->functions + head->nr_functions);

	return 0;
}

/* Each level translates 9 bits above the 12 of a page. */
static bool size_ok(const struct iommu_domain_ser *ser)
{
	unsigned int bits = 12 + 9 * (ser->top_level + 1);

	if (ser->vasz_lg2 <= PAGE_SHIFT)
		return false;
	/* levels are added while the domain is used, up to six */
	if (ser->format == IOMMU_DOMAIN_SER_AMDV1)
		return ser->top_level <= 5 && ser->vasz_lg2 <= 64;

	return ser->top_level >= 2 && ser->top_level <= 4 &&
	       ser->vasz_lg2 <= bits;
}

/**
 * iommu_lu_check_domain - Whether the record of a domain can be believed.
 * @view:  The payload.
 * @index: The domain, within bounds.
 *
 * Context: Any.
 * Return: NULL, or what is wrong with it.
 */
const char *iommu_lu_check_domain(const struct iommu_lu_view *view, u32 index)
{
	const struct iommu_domain_ser *ser = &view->domains[index];

	if (ser->format != IOMMU_DOMAIN_SER_VTDSS &&
	    ser->format != IOMMU_DOMAIN_SER_AMDV1)
		return "its page table has an unknown format";
	if (ser->flags & ~IOMMU_DOMAIN_SER_FORCE_SNOOP ||
	    memchr_inv(ser->reserved, 0, sizeof(ser->reserved)))
		return "its domain has unknown flags";
	if (!size_ok(ser))
		return "its page table has an impossible size";
	if (!PAGE_ALIGNED(ser->top) || !view->preserved(ser->top, PAGE_SIZE))
		return "its page table was not handed over";

	return NULL;
}

static u32 count_entries(const struct iommu_lu_view *view, u32 function)
{
	u32 count = 0, i;

	for (i = 0; i < view->head->nr_entries; i++)
		count += view->entries[i].function == function;

	return count;
}

static bool is_alone(const struct iommu_lu_view *view, u32 index)
{
	const struct iommu_function_ser *ser = &view->functions[index];
	u32 i;

	for (i = 0; i < view->head->nr_functions; i++) {
		if (i != index && view->functions[i].bdf == ser->bdf &&
		    view->functions[i].segment == ser->segment)
			return false;
	}

	return true;
}

/**
 * iommu_lu_check_function - Whether the record of a function can be believed.
 * @view:  The payload.
 * @index: The function, within bounds.
 *
 * Its entries are counted, not looked at.
 *
 * Context: Any.
 * Return: NULL, or what is wrong with it.
 */
const char *iommu_lu_check_function(const struct iommu_lu_view *view, u32 index)
{
	const struct iommu_function_ser *ser = &view->functions[index];
	bool has_entries = true;

	switch (ser->domain) {
	case IOMMU_FUNCTION_SER_NONE:
	case IOMMU_FUNCTION_SER_BLOCKED:
		has_entries = false;
		break;
	case IOMMU_FUNCTION_SER_IDENTITY:
		break;
	default:
		if (ser->domain >= view->head->nr_domains)
			return "its domain was not handed over";
	}
	if (ser->segment > U16_MAX)
		return "its segment is impossible";
	if (has_entries != !!ser->nr_entries ||
	    ser->nr_entries != count_entries(view, index))
		return "entries of it are missing or too many";
	if (!is_alone(view, index))
		return "several records claim to be of it";

	return NULL;
}

/**
 * iommu_lu_check_entry - Whether the record of an entry can be believed.
 * @view:  The payload.
 * @index: The entry, within bounds.
 *
 * Context: Any.
 * Return: NULL, or what is wrong with it.
 */
const char *iommu_lu_check_entry(const struct iommu_lu_view *view, u32 index)
{
	const struct iommu_entry_ser *ser = &view->entries[index];

	if (ser->function >= view->head->nr_functions)
		return "an entry is of no function";
	if (ser->segment != view->functions[ser->function].segment)
		return "an entry of it is in another segment";
	if (ser->reserved || !ser->unit || !PAGE_ALIGNED(ser->unit))
		return "an entry of it is of no IOMMU";

	return NULL;
}
