// SPDX-License-Identifier: GPL-2.0

/**
 * DOC: PCI live update verification
 *
 * No byte of an entry is trusted before it has passed here. First the entry
 * must make sense in itself: nothing that is computed from it may run out of
 * bounds, overlap, or divide by zero. Then it must agree with what the
 * function's registers say now.
 *
 * Both are computed from two structures and nothing else. They return what is
 * wrong, in words for an administrator; code only looks whether it is NULL.
 */

#include <linux/bitfield.h>
#include <linux/bits.h>
#include <linux/kho/abi/pci.h>
#include <linux/log2.h>
#include <linux/pci.h>
#include <linux/sizes.h>
#include <linux/string.h>

#include "liveupdate.h"

/* Times 65535 VFs it still fits into 64 bits. */
#define MAX_BAR_SIZE	BIT_ULL(46)

static bool bar_is_64(u32 reg)
{
	return !(reg & PCI_BASE_ADDRESS_SPACE_IO) &&
	       (reg & PCI_BASE_ADDRESS_MEM_TYPE_64);
}

/**
 * pci_liveupdate_bar_address - Where a BAR is.
 * @bars: The registers.
 * @i:    Number of the first register of the BAR.
 *
 * Context: Any.
 * Return: The address on the bus.
 */
u64 pci_liveupdate_bar_address(const struct pci_bars_ser *bars,
			       unsigned int i)
{
	u32 reg = bars->reg[i];

	if (reg & PCI_BASE_ADDRESS_SPACE_IO)
		return reg & PCI_BASE_ADDRESS_IO_MASK;
	reg &= PCI_BASE_ADDRESS_MEM_MASK;
	if (!bar_is_64(bars->reg[i]) || i + 1 == PCI_LIVEUPDATE_NUM_BARS)
		return reg;

	return (u64)bars->reg[i + 1] << 32 | reg;
}

/**
 * pci_liveupdate_masks - What BARs would read after all ones were written.
 * @bars:  The registers, checked.
 * @masks: Set, one for each register.
 *
 * Context: Any.
 */
void pci_liveupdate_masks(const struct pci_bars_ser *bars, u32 *masks)
{
	unsigned int i;
	u64 mask;

	for (i = 0; i < PCI_LIVEUPDATE_NUM_BARS; i++) {
		masks[i] = 0;
		if (!bars->size[i])
			continue;
		mask = ~(bars->size[i] - 1);
		masks[i] = lower_32_bits(mask);
		if (bars->reg[i] & PCI_BASE_ADDRESS_SPACE_IO) {
			masks[i] |= bars->reg[i] & ~PCI_BASE_ADDRESS_IO_MASK;
			continue;
		}
		masks[i] |= bars->reg[i] & ~PCI_BASE_ADDRESS_MEM_MASK;
		if (bar_is_64(bars->reg[i]))
			masks[++i] = upper_32_bits(mask);
	}
}

static const char *check_bars(const struct pci_bars_ser *bars, u64 min)
{
	unsigned int i;

	if (bars->assigned >> PCI_LIVEUPDATE_NUM_BARS)
		return "it has BARs that do not exist";

	for (i = 0; i < PCI_LIVEUPDATE_NUM_BARS; i++) {
		bool upper = i && bars->size[i - 1] && bar_is_64(bars->reg[i - 1]);
		u64 size = bars->size[i];

		if (!size && bars->assigned & BIT(i))
			return "a BAR has an address and no size";
		if (!size)
			continue;
		if (upper)
			return "a BAR is the upper half of another";
		if (!is_power_of_2(size) || size < min || size > MAX_BAR_SIZE)
			return "a BAR has no possible size";
		if (bar_is_64(bars->reg[i]) && i == PCI_LIVEUPDATE_NUM_BARS - 1)
			return "a BAR has no upper half";
		if (!bar_is_64(bars->reg[i]) && size > SZ_2G)
			return "a BAR is larger than its addresses";
		if (bars->assigned & BIT(i) && pci_liveupdate_bar_address(bars, i) & (size - 1))
			return "a BAR is not aligned to its size";
	}

	return NULL;
}

static const char *check_bridge(const struct pci_bridge_ser *ser, u16 bdf)
{
	u8 primary = FIELD_GET(PCI_PRIMARY_BUS_MASK, ser->buses);
	u8 secondary = FIELD_GET(PCI_SECONDARY_BUS_MASK, ser->buses);
	u8 subordinate = FIELD_GET(PCI_SUBORDINATE_BUS_MASK, ser->buses);

	if (primary != PCI_BUS_NUM(bdf) || secondary <= primary ||
	    subordinate < secondary)
		return "its bus numbers are impossible";

	return NULL;
}

static const char *check_sriov(const struct pci_function_ser *ser)
{
	const struct pci_sriov_ser *sriov = &ser->sriov;
	u64 last;

	if (!(ser->flags & PCI_FUNCTION_SER_SRIOV))
		return sriov->ctrl & PCI_SRIOV_CTRL_VFE ?
		       "it has VFs that nobody enabled" : NULL;
	if (ser->hdr_type != PCI_HEADER_TYPE_NORMAL ||
	    ser->flags & PCI_FUNCTION_SER_VF)
		return "it cannot have VFs";
	if (sriov->last_bus < PCI_BUS_NUM(ser->bdf))
		return "its VFs are on impossible buses";
	if (!(sriov->ctrl & PCI_SRIOV_CTRL_VFE))
		return check_bars(&sriov->bars, PAGE_SIZE);

	if (!sriov->num || sriov->num > sriov->total ||
	    sriov->initial > sriov->total)
		return "its number of VFs is impossible";
	if (!sriov->offset || (sriov->num > 1 && !sriov->stride))
		return "its VFs have no numbers of their own";
	last = ser->bdf + sriov->offset + (u64)sriov->stride * (sriov->num - 1);
	if (last > U16_MAX || PCI_BUS_NUM(last) > sriov->last_bus)
		return "its VFs are on impossible buses";

	return check_bars(&sriov->bars, PAGE_SIZE);
}

/**
 * pci_liveupdate_check - Whether an entry makes sense in itself.
 * @ser: The entry.
 *
 * Context: Any.
 * Return: NULL, or what is wrong with it.
 */
const char *pci_liveupdate_check(const struct pci_function_ser *ser)
{
	const char *why;

	if (!(ser->flags & PCI_FUNCTION_SER_VALID))
		return "its entry is empty";
	if (ser->domain > U16_MAX)
		return "its domain has no lasting number";
	if (ser->hdr_type != PCI_HEADER_TYPE_NORMAL &&
	    ser->hdr_type != PCI_HEADER_TYPE_BRIDGE)
		return "its header type is not supported";
	if (ser->rom_size && (!is_power_of_2(ser->rom_size) ||
			      ser->rom_size > SZ_2G ||
			      ser->rom_start & (ser->rom_size - 1)))
		return "its ROM has no possible place";

	why = check_bars(&ser->bars, 4);
	if (!why && ser->hdr_type == PCI_HEADER_TYPE_BRIDGE)
		why = check_bridge(&ser->bridge, ser->bdf);

	return why ?: check_sriov(ser);
}

static const char *compare_ids(const struct pci_function_ser *ser,
			       const struct pci_function_ser *found)
{
	if (ser->domain != found->domain || ser->bdf != found->bdf ||
	    (ser->flags ^ found->flags) & PCI_FUNCTION_SER_VF)
		return "it is at another address";
	if (ser->vendor != found->vendor || ser->device != found->device)
		return "another device is in its place";
	if (ser->subsystem_vendor != found->subsystem_vendor ||
	    ser->subsystem_device != found->subsystem_device)
		return "its subsystem ID differs";
	if (ser->class != found->class)
		return "its class or revision differs";
	if (ser->hdr_type != found->hdr_type)
		return "its header type differs";

	return NULL;
}

/**
 * pci_liveupdate_compare - Whether a function is the one in its entry.
 * @ser:   The entry.
 * @found: What its registers say now.
 *
 * Context: Any.
 * Return: NULL, or the first difference.
 */
const char *pci_liveupdate_compare(const struct pci_function_ser *ser,
				   const struct pci_function_ser *found)
{
	const char *why = compare_ids(ser, found);

	if (why)
		return why;
	if (ser->command != found->command)
		return "it was reset on the way: its command register differs";
	if (memcmp(ser->bars.reg, found->bars.reg, sizeof(ser->bars.reg)))
		return "it was reset on the way: its BARs differ";
	if (ser->rom_reg != found->rom_reg)
		return "its ROM BAR differs";
	if (memcmp(&ser->bridge, &found->bridge, sizeof(ser->bridge)))
		return "its bus numbers or windows differ";
	if (memcmp(&ser->caps, &found->caps, sizeof(ser->caps)))
		return "its capabilities are not set up as they were";
	if (memcmp(ser->sriov.bars.reg, found->sriov.bars.reg,
		   sizeof(ser->sriov.bars.reg)))
		return "its VF BARs differ";
	if (memcmp(&ser->sriov.page_size, &found->sriov.page_size,
		   offsetof(struct pci_sriov_ser, last_bus) -
		   offsetof(struct pci_sriov_ser, page_size)))
		return "its SR-IOV capability is not set up as it was";

	return NULL;
}
