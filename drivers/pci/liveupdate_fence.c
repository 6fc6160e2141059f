// SPDX-License-Identifier: GPL-2.0

/**
 * DOC: PCI configuration write fence
 *
 * Keeps configuration writes away from preserved functions, whoever issues
 * them: enumeration, quirks, sysfs, setpci. It is the net under the places that
 * know of preserved functions and do not write to them.
 *
 *	function	outgoing, from PREPARE	incoming, up to reclaim	up to FINISH
 *	endpoint	none			all			none
 *	bridge		what it forwards	all			what it forwards
 *
 * "What it forwards" are bus numbers, windows, bridge control, ACS, ARI, the
 * power state, link disable, slot power, and command bits that would go off.
 * Only these bits of a write are held back: a port's driver goes on with its
 * interrupts and error reporting.
 *
 * A write that is held back does not fail, because its callers do not expect
 * that; one from user space does (EBUSY). It is counted for each function
 * (debugfs liveupdate/pci_fence), traced (liveupdate_config_write) and, at a
 * limited rate, logged.
 *
 * Config accesses that bypass drivers/pci are not seen: those of firmware
 * (AML), and of arch code that has no struct pci_dev yet.
 *
 * Locking: none on the way of a write. A function's &struct pci_liveupdate is
 * freed with the function. Without any preserved function in the system the
 * fence is a static branch that is not taken.
 */

#include <linux/bits.h>
#include <linux/debugfs.h>
#include <linux/init.h>
#include <linux/pci.h>
#include <linux/seq_file.h>

#include "pci.h"
#include "liveupdate.h"

#define CREATE_TRACE_POINTS
#include <trace/events/pci_liveupdate.h>

DEFINE_STATIC_KEY_DEFERRED_FALSE(pci_liveupdate_key, HZ);

/**
 * pci_liveupdate_bridge_keeps - What a preserved bridge keeps of a register.
 * @dev: The bridge.
 * @reg: The register, a multiple of four.
 *
 * Context: Any.
 * Return: The bits of the dword that stay as they are.
 */
u32 pci_liveupdate_bridge_keeps(const struct pci_dev *dev, int reg)
{
	switch (reg) {
	case PCI_COMMAND:
		return PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
	case PCI_PRIMARY_BUS:
	case PCI_MEMORY_BASE:
	case PCI_PREF_MEMORY_BASE:
	case PCI_PREF_BASE_UPPER32:
	case PCI_PREF_LIMIT_UPPER32:
	case PCI_IO_BASE_UPPER16:
		return ~0U;
	case PCI_IO_BASE:
		return 0xffff;
	case PCI_INTERRUPT_LINE:	/* and bridge control */
		return 0xffff0000;
	}

	if (dev->pm_cap && reg == dev->pm_cap + PCI_PM_CTRL)
		return PCI_PM_CTRL_STATE_MASK;
	if (dev->acs_cap && reg == dev->acs_cap + PCI_ACS_CAP)
		return 0xffff0000;	/* ACS control */
	if (!dev->pcie_cap)
		return 0;
	if (reg == dev->pcie_cap + PCI_EXP_DEVCTL2)
		return PCI_EXP_DEVCTL2_ARI;
	if (reg == dev->pcie_cap + PCI_EXP_LNKCTL)
		return PCI_EXP_LNKCTL_LD;
	if (reg == dev->pcie_cap + PCI_EXP_SLTCTL)
		return PCI_EXP_SLTCTL_PCC;

	return 0;
}

static void note(const struct pci_dev *dev, int where, int size, u32 val)
{
	atomic_inc(&dev->liveupdate->fenced);
	trace_liveupdate_config_write(pci_name(dev), where, size, val);
	dev_info_ratelimited(&dev->dev,
			     "live update: configuration write %#x to %#x (%d bytes) kept away\n",
			     val, where, size);
}

static u32 read_register(const struct pci_dev *dev, int where, int size)
{
	u32 dword = 0;
	u16 word = 0;
	u8 byte = 0;

	switch (size) {
	case 1:
		pci_read_config_byte(dev, where, &byte);
		return byte;
	case 2:
		pci_read_config_word(dev, where, &word);
		return word;
	default:
		pci_read_config_dword(dev, where, &dword);
		return dword;
	}
}

static bool bridge_fenced(const struct pci_dev *dev, int where, int size,
			  u32 *val)
{
	u32 mask = GENMASK(size * 8 - 1, 0);
	u32 keep, now, wanted;

	keep = pci_liveupdate_bridge_keeps(dev, ALIGN_DOWN(where, 4));
	keep = (keep >> (8 * (where & 3))) & mask;
	if (!keep)
		return false;

	now = read_register(dev, where, size) & keep;
	wanted = ALIGN_DOWN(where, 4) == PCI_COMMAND ? *val | now :
						       (*val & ~keep) | now;
	if (wanted == *val)
		return false;

	note(dev, where, size, *val);
	*val = wanted;

	return keep == mask;
}

static enum pci_liveupdate_fence fence_of(const struct pci_dev *dev)
{
	struct pci_liveupdate *lu = pci_liveupdate_state(dev);
	enum pci_liveupdate_fence fence;

	if (!lu)
		return PCI_LIVEUPDATE_FENCE_NONE;
	fence = READ_ONCE(lu->fence);
	if (fence != PCI_LIVEUPDATE_FENCE_ALL ||
	    !dev_liveupdate_reclaimed(&lu->dev->dev))
		return fence;

	return dev->hdr_type == PCI_HEADER_TYPE_BRIDGE ?
	       PCI_LIVEUPDATE_FENCE_BRIDGE : PCI_LIVEUPDATE_FENCE_NONE;
}

bool __pci_liveupdate_fenced(const struct pci_dev *dev, int where, int size,
			     u32 *val)
{
	switch (fence_of(dev)) {
	case PCI_LIVEUPDATE_FENCE_ALL:
		note(dev, where, size, *val);
		return true;
	case PCI_LIVEUPDATE_FENCE_BRIDGE:
		return bridge_fenced(dev, where, size, val);
	default:
		return false;
	}
}

static int pci_fence_show(struct seq_file *m, void *unused)
{
	struct pci_liveupdate *lu;

	guard(mutex)(&pci_liveupdate_lock);
	list_for_each_entry(lu, &pci_liveupdate_functions, node)
		seq_printf(m, "%s %d\n", pci_name(lu->dev),
			   atomic_read(&lu->fenced));

	return 0;
}
DEFINE_SHOW_ATTRIBUTE(pci_fence);

static int __init pci_liveupdate_debugfs(void)
{
	struct dentry *dir = debugfs_lookup("liveupdate", NULL);

	if (!dir)
		return 0;
	debugfs_create_file("pci_fence", 0400, dir, NULL, &pci_fence_fops);
	dput(dir);

	return 0;
}
late_initcall_sync(pci_liveupdate_debugfs);
