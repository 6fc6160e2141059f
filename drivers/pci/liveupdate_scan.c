// SPDX-License-Identifier: GPL-2.0

/**
 * DOC: PCI enumeration in the incoming kernel
 *
 * Enumeration finds out what a function is by writing to it: it switches
 * decoding off, sizes BARs, disables MSI, stops VFs, renumbers buses, moves
 * windows. To a function that is doing DMA for a running VM all that is a
 * disaster. For a preserved function it is replaced by what is here.
 *
 * Lifecycle of a preserved function while the kernel boots:
 *
 * 1. pci_liveupdate_adopt(), before its first configuration write: the record
 *    is found, and the fence (liveupdate_fence.c) closes.
 * 2. pci_liveupdate_verify(), when its extended configuration space can be
 *    read: entry and registers must agree.
 * 3. BARs, windows, bus numbers and SR-IOV are taken over as they are. Only
 *    what registers do not tell comes from the entry.
 * 4. pci_liveupdate_claim(), when the whole tree is known and before anything
 *    is assigned: its resources are claimed and immovable.
 * 5. VFs are made when their PF is added (iov.c), and pass 1 to 3 as well.
 *    Drivers are offered a VF once its PF is reclaimed.
 *
 * Unhappy paths: a function that does not pass is lost: the fence opens, its
 * bus mastering goes off, and enumeration treats it like any other. With a
 * bridge, all below it is lost. Step 4 comes too late for step 3 to be undone,
 * but the function is quiet, and nothing of it has been moved. A function that
 * still masters the bus and has no record was preserved by the outgoing kernel,
 * and its record did not arrive: bus mastering off.
 *
 * Locking: enumeration is serialised by its callers. It has ended before FINISH
 * can come; a function that shows up later is not taken over.
 */

#include <linux/kernel.h>
#include <linux/kho/abi/pci.h>
#include <linux/liveupdate_host.h>
#include <linux/pci.h>

#include "pci.h"
#include "liveupdate.h"

static void quiet(struct pci_dev *dev)
{
	u16 cmd;

	pci_read_config_word(dev, PCI_COMMAND, &cmd);
	if (!PCI_POSSIBLE_ERROR(cmd) && cmd & PCI_COMMAND_MASTER)
		pci_write_config_word(dev, PCI_COMMAND,
				      cmd & ~PCI_COMMAND_MASTER);
}

/**
 * pci_liveupdate_lose - Treat a preserved function like any other.
 * @dev: The function. It has no driver yet.
 * @why: The reason, for an administrator.
 *
 * Context: Process context; enumeration, or the probe of its IOMMU.
 */
void pci_liveupdate_lose(struct pci_dev *dev, const char *why)
{
	pci_liveupdate_detach(dev);
	quiet(dev);
	pci_liveupdate_lost(dev, why);
}

static const char *why_not(struct pci_dev *dev)
{
	struct pci_dev *up = dev->is_virtfn ? pci_physfn(dev) : dev->bus->self;

	if (system_state >= SYSTEM_RUNNING)
		return "it came back too late";
	if (up && !pci_liveupdate_preserved(up))
		return dev->is_virtfn ? "its PF is lost" :
					"the bridge above it is lost";
	if (!pci_liveupdate_entry(dev))
		return "it has no PCI entry";

	return NULL;
}

/**
 * pci_liveupdate_adopt - Find out whether a function was preserved.
 * @dev: The function: its bus, number, parent and name are known, and nothing
 *       was written to it.
 *
 * Context: Process context, may sleep.
 */
void pci_liveupdate_adopt(struct pci_dev *dev)
{
	const char *why;
	int err;

	if (liveupdate_state() != LIVEUPDATE_STATE_UPDATED)
		return;

	err = dev_liveupdate_adopt(&dev->dev);
	if (err || !dev_liveupdate_incoming(&dev->dev)) {
		quiet(dev);
		return;
	}

	why = why_not(dev);
	if (!why && pci_liveupdate_attach(dev, PCI_LIVEUPDATE_FENCE_ALL))
		why = "no memory";
	if (why)
		pci_liveupdate_lose(dev, why);
}

/**
 * pci_liveupdate_verify - Compare a preserved function with its entry.
 * @dev: The function; the size of its configuration space is known.
 *
 * Context: Process context, may sleep.
 */
void pci_liveupdate_verify(struct pci_dev *dev)
{
	const struct pci_function_ser *ser;
	struct pci_function_ser found;
	const char *why;

	if (!pci_liveupdate_preserved(dev))
		return;

	ser = pci_liveupdate_entry(dev);
	why = pci_liveupdate_check(ser);
	if (!why) {
		pci_liveupdate_read(dev, &found);
		why = pci_liveupdate_compare(ser, &found);
	}
	if (why) {
		pci_liveupdate_lose(dev, why);
		return;
	}
	dev->liveupdate->unused = ser->flags & PCI_FUNCTION_SER_NO_DRIVER;
}

/**
 * pci_liveupdate_bar_masks - The sizes of a preserved function's BARs.
 * @dev:  The function, verified.
 * @bars: Set as __pci_size_stdbars() would, six of them.
 * @rom:  Set as for the ROM BAR.
 *
 * Context: While the kernel boots.
 */
void pci_liveupdate_bar_masks(struct pci_dev *dev, u32 *bars, u32 *rom)
{
	const struct pci_function_ser *ser = pci_liveupdate_entry(dev);

	pci_liveupdate_masks(&ser->bars, bars);
	*rom = ser->rom_size ? ~((u32)ser->rom_size - 1) : 0;
}

/**
 * pci_liveupdate_vf_bar_masks - The sizes of the BARs of a preserved PF's VFs.
 * @dev:  The PF, verified.
 * @bars: Set as __pci_size_stdbars() would, six of them.
 *
 * Context: While the kernel boots.
 */
void pci_liveupdate_vf_bar_masks(struct pci_dev *dev, u32 *bars)
{
	pci_liveupdate_masks(&pci_liveupdate_entry(dev)->sriov.bars, bars);
}

/**
 * pci_liveupdate_windows - Which windows a preserved bridge has.
 * @bridge: The bridge, verified.
 *
 * Context: While the kernel boots.
 */
void pci_liveupdate_windows(struct pci_dev *bridge)
{
	u32 flags = pci_liveupdate_entry(bridge)->flags;

	bridge->io_window = !!(flags & PCI_FUNCTION_SER_IO_WINDOW);
	bridge->pref_window = !!(flags & PCI_FUNCTION_SER_PREF_WINDOW);
	bridge->pref_64_window = !!(flags & PCI_FUNCTION_SER_PREF_64);
}

/**
 * pci_liveupdate_intx_broken - Whether a preserved function cannot mask INTx.
 * @dev: The function, verified.
 *
 * Context: While the kernel boots.
 * Return: What the outgoing kernel found out.
 */
bool pci_liveupdate_intx_broken(struct pci_dev *dev)
{
	return pci_liveupdate_entry(dev)->flags & PCI_FUNCTION_SER_INTX_BROKEN;
}

/**
 * pci_liveupdate_uses_sriov - Whether a PF's SR-IOV capability can be used.
 * @dev: The PF, verified.
 *
 * Context: While the kernel boots.
 * Return: False when the previous kernel made nothing of it: what cannot be
 *         read from it is not known.
 */
bool pci_liveupdate_uses_sriov(struct pci_dev *dev)
{
	return pci_liveupdate_entry(dev)->flags & PCI_FUNCTION_SER_SRIOV;
}

/**
 * pci_liveupdate_sriov - What was handed over of a PF's SR-IOV capability.
 * @dev:       The PF, verified.
 * @last_bus:  Set to the highest bus number that its VFs can use.
 * @autoprobe: Set to whether drivers are probed for its VFs.
 *
 * Context: While the kernel boots.
 */
void pci_liveupdate_sriov(struct pci_dev *dev, u8 *last_bus, bool *autoprobe)
{
	const struct pci_sriov_ser *ser = &pci_liveupdate_entry(dev)->sriov;

	*last_bus = ser->last_bus;
	*autoprobe = ser->autoprobe;
}

/**
 * pci_liveupdate_buses_taken - Whether bus numbers belong to a preserved bridge.
 * @bus:         The bus that is scanned.
 * @bridge:      A bridge on it, not preserved.
 * @secondary:   First bus number that it claims.
 * @subordinate: Last bus number that it claims.
 *
 * Context: Enumeration; all functions on @bus are known.
 * Return: Whether a preserved bridge next to it has one of these numbers.
 */
bool pci_liveupdate_buses_taken(struct pci_bus *bus, struct pci_dev *bridge,
				u8 secondary, u8 subordinate)
{
	struct pci_dev *dev;
	u8 first, last;

	for_each_pci_bridge(dev, bus) {
		if (dev == bridge || !pci_liveupdate_preserved(dev))
			continue;
		pci_read_config_byte(dev, PCI_SECONDARY_BUS, &first);
		pci_read_config_byte(dev, PCI_SUBORDINATE_BUS, &last);
		if (secondary <= last && subordinate >= first)
			return true;
	}

	return false;
}

static bool is_assigned(struct pci_dev *dev, int resno)
{
	const struct pci_function_ser *ser = pci_liveupdate_entry(dev);
	const struct resource *res = &dev->resource[resno];

	if (resno < PCI_STD_NUM_BARS)
		return ser->bars.assigned & BIT(resno);
	if (resno == PCI_ROM_RESOURCE)
		return ser->flags & PCI_FUNCTION_SER_ROM_PLACED;
	if (pci_resource_is_iov(resno))
		return ser->sriov.bars.assigned &
		       BIT(pci_resource_num_to_vf_bar(resno));

	return !(res->flags & (IORESOURCE_UNSET | IORESOURCE_DISABLED));
}

/* The register of a ROM that is off need not hold its address. */
static void place_rom(struct pci_dev *dev)
{
	const struct pci_function_ser *ser = pci_liveupdate_entry(dev);
	struct resource *res = &dev->resource[PCI_ROM_RESOURCE];
	struct pci_bus_region region = {
		.start = ser->rom_start,
		.end = ser->rom_start + ser->rom_size - 1,
	};

	if (res->flags && ser->flags & PCI_FUNCTION_SER_ROM_PLACED)
		pcibios_bus_to_resource(dev->bus, res, &region);
}

static int claim(struct pci_dev *dev, int resno)
{
	struct resource *res = &dev->resource[resno];

	if (!res->flags || res->parent ||
	    pci_liveupdate_fixed_by_others(dev, resno))
		return 0;
	/* a ROM without an address gets one only in this kernel's mind */
	if (resno == PCI_ROM_RESOURCE && !is_assigned(dev, resno))
		return 0;

	if (is_assigned(dev, resno)) {
		int err = pci_claim_resource(dev, resno);

		if (err)
			return err;
	} else if (!pci_resource_is_bridge_win(resno)) {
		resource_set_range(res, 0, resource_size(res));
		res->flags |= IORESOURCE_UNSET;
	}
	pci_liveupdate_fix(dev, resno);

	return 0;
}

static int claim_all(struct pci_dev *dev)
{
	int resno, err;

	/* not every architecture reads windows while it scans */
	if (dev->subordinate && !dev->resource[PCI_BRIDGE_MEM_WINDOW].flags)
		pci_read_bridge_bases(dev->subordinate);
	place_rom(dev);
	for (resno = 0; resno < PCI_NUM_RESOURCES; resno++) {
		err = claim(dev, resno);
		if (err)
			return err;
	}

	return 0;
}

static int lose_claimed(struct pci_dev *dev, void *unused)
{
	if (!pci_liveupdate_preserved(dev))
		return 0;
	pci_liveupdate_detach(dev);
	pci_iov_stop_vfs(dev);
	pci_liveupdate_lose(dev, "its address space, or that of a bridge above it, is not free");

	return 0;
}

/**
 * pci_liveupdate_claim - Claim what preserved functions have.
 * @bus: The bus that was scanned; its own windows are known.
 *
 * From the top down, before anything is assigned to any other function.
 *
 * Context: Enumeration.
 */
void pci_liveupdate_claim(struct pci_bus *bus)
{
	struct pci_dev *dev;

	if (liveupdate_state() != LIVEUPDATE_STATE_UPDATED ||
	    system_state >= SYSTEM_RUNNING)
		return;

	list_for_each_entry(dev, &bus->devices, bus_list) {
		if (!pci_liveupdate_preserved(dev))
			continue;
		if (claim_all(dev)) {
			lose_claimed(dev, NULL);
			if (dev->subordinate)
				pci_walk_bus(dev->subordinate, lose_claimed,
					     NULL);
		} else if (dev->subordinate) {
			pci_liveupdate_claim(dev->subordinate);
		}
	}
}

/**
 * pci_liveupdate_probe - Whether a driver may be offered a function now.
 * @dev: The function.
 *
 * Drivers of VFs rely on the driver of the PF.
 *
 * Context: Process context.
 * Return: 0; -EPROBE_DEFER for a VF whose PF is not reclaimed yet.
 */
int pci_liveupdate_probe(struct pci_dev *dev)
{
	struct device *pf = &pci_physfn(dev)->dev;

	if (!dev->is_virtfn || !dev_liveupdate_incoming(pf) ||
	    to_pci_dev(pf)->liveupdate->unused)
		return 0;

	return dev_liveupdate_reclaimed(pf) ? 0 : -EPROBE_DEFER;
}
