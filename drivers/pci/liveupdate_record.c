// SPDX-License-Identifier: GPL-2.0

/**
 * DOC: PCI live update records
 *
 * What is handed over of each preserved function, include/linux/kho/abi/pci.h,
 * and where the function hangs.
 *
 * Lifecycle: the outgoing kernel writes an entry at PREPARE and again at
 * REBOOT. The incoming kernel finds its entry by the number in the device's
 * record, reads the same registers from the function that it has found, and
 * verifies the entry (liveupdate_verify.c). All entries are gone at FINISH.
 *
 * Unhappy paths: a payload whose length does not fit its count, or that does
 * not verify, costs all functions; an entry costs its own. The reasons are for
 * administrators; no code depends on them.
 *
 * Locking: entries are read while the kernel boots, which is before FINISH can
 * drop them.
 */

#define pr_fmt(fmt) "PCI: live update: " fmt

#include <linux/err.h>
#include <linux/init.h>
#include <linux/kho/abi/luo_host.h>
#include <linux/kho/abi/pci.h>
#include <linux/liveupdate_host.h>
#include <linux/liveupdate_image.h>
#include <linux/log2.h>
#include <linux/pci.h>
#include <linux/pci-ats.h>
#include <linux/string.h>
#include <linux/xarray.h>

#include "pci.h"
#include "liveupdate.h"

LIVEUPDATE_IMAGE_NOTE(pci_note, LIVEUPDATE_NOTE_BOTH,
		      PCI_LIVEUPDATE_COMPATIBLE);

/* Bits of the command register that must come through. */
#define COMMAND_KEPT	(PCI_COMMAND_IO | PCI_COMMAND_MEMORY | \
			 PCI_COMMAND_MASTER)
/* Bridges on the way from the root, more than any path text has room for. */
#define MAX_DEPTH	32

static const struct pci_payload_ser *pci_in;
/* Number of its entry, by domain and BDF. */
static DEFINE_XARRAY(pci_in_by_bdf);

static int vf_id(struct pci_dev *vf)
{
#ifdef CONFIG_PCI_IOV
	/* an only VF needs no stride */
	if (!pci_physfn(vf)->sriov->stride)
		return 0;
#endif
	return pci_iov_vf_id(vf);
}

/**
 * pci_liveupdate_path - Where a function hangs.
 * @dev:  The function.
 * @buf:  For the text.
 * @size: Of @buf.
 *
 * Domain, root bus, then device and function number at each level, such as
 * "0000/00:02.0/00.0/vf3". Bus numbers below the root, which a kernel may give
 * anew, are not in it.
 *
 * Context: Any. The function need not be initialized.
 * Return: Length of the text, or -ENAMETOOLONG.
 */
int pci_liveupdate_path(struct device *dev, char *buf, size_t size)
{
	struct pci_dev *pdev = to_pci_dev(dev);
	struct pci_dev *pf = pci_physfn(pdev);
	struct pci_bus *bus = pf->bus;
	unsigned int depth = 0;
	u8 devfn[MAX_DEPTH];
	int len;

	devfn[depth++] = pf->devfn;
	for (; bus->self; bus = bus->self->bus) {
		if (depth == MAX_DEPTH)
			return -ENAMETOOLONG;
		devfn[depth++] = bus->self->devfn;
	}

	len = scnprintf(buf, size, "%04x/%02x:", pci_domain_nr(bus),
			bus->number);
	while (depth--)
		len += scnprintf(buf + len, size - len, "%02x.%x%s",
				 PCI_SLOT(devfn[depth]), PCI_FUNC(devfn[depth]),
				 depth ? "/" : "");
	if (pdev->is_virtfn)
		len += scnprintf(buf + len, size - len, "/vf%d", vf_id(pdev));

	/* cut off: there was no room for the last character's NUL */
	return len + 1 < size ? len : -ENAMETOOLONG;
}

static u16 read_word(struct pci_dev *dev, int pos, int reg, u16 mask)
{
	u16 val;

	if (!pos || pci_read_config_word(dev, pos + reg, &val))
		return 0;

	return val & mask;
}

static unsigned int count_bars(const struct pci_function_ser *ser)
{
	if (ser->flags & PCI_FUNCTION_SER_VF)
		return 0;

	return ser->hdr_type == PCI_HEADER_TYPE_NORMAL ? 6 : 2;
}

static void read_ids(struct pci_dev *dev, struct pci_function_ser *ser)
{
	u8 hdr_type;

	ser->domain = pci_domain_nr(dev->bus);
	ser->bdf = pci_dev_id(dev);
	pci_read_config_dword(dev, PCI_CLASS_REVISION, &ser->class);
	pci_read_config_byte(dev, PCI_HEADER_TYPE, &hdr_type);
	ser->hdr_type = hdr_type & PCI_HEADER_TYPE_MASK;
	ser->command = read_word(dev, PCI_COMMAND, 0, COMMAND_KEPT);

	/* a VF's own registers say nothing */
	if (dev->is_virtfn) {
		ser->flags |= PCI_FUNCTION_SER_VF;
		ser->vendor = dev->vendor;
		ser->device = dev->device;
	} else {
		pci_read_config_word(dev, PCI_VENDOR_ID, &ser->vendor);
		pci_read_config_word(dev, PCI_DEVICE_ID, &ser->device);
	}
	if (ser->hdr_type == PCI_HEADER_TYPE_NORMAL) {
		pci_read_config_word(dev, PCI_SUBSYSTEM_VENDOR_ID,
				     &ser->subsystem_vendor);
		pci_read_config_word(dev, PCI_SUBSYSTEM_ID,
				     &ser->subsystem_device);
	}
}

static void read_bars(struct pci_dev *dev, struct pci_function_ser *ser)
{
	unsigned int i;

	for (i = 0; i < count_bars(ser); i++)
		pci_read_config_dword(dev, PCI_BASE_ADDRESS_0 + 4 * i,
				      &ser->bars.reg[i]);
	if (ser->flags & PCI_FUNCTION_SER_VF)
		return;
	pci_read_config_dword(dev, ser->hdr_type == PCI_HEADER_TYPE_NORMAL ?
			      PCI_ROM_ADDRESS : PCI_ROM_ADDRESS1,
			      &ser->rom_reg);
}

static void read_bridge(struct pci_dev *dev, struct pci_bridge_ser *ser)
{
	pci_read_config_dword(dev, PCI_PRIMARY_BUS, &ser->buses);
	ser->buses &= ~PCI_SEC_LATENCY_TIMER_MASK;
	pci_read_config_dword(dev, PCI_MEMORY_BASE, &ser->mem);
	pci_read_config_dword(dev, PCI_PREF_MEMORY_BASE, &ser->pref);
	pci_read_config_dword(dev, PCI_PREF_BASE_UPPER32,
			      &ser->pref_base_upper);
	pci_read_config_dword(dev, PCI_PREF_LIMIT_UPPER32,
			      &ser->pref_limit_upper);
	pci_read_config_dword(dev, PCI_IO_BASE_UPPER16, &ser->io_upper);
	pci_read_config_word(dev, PCI_IO_BASE, &ser->io);
	ser->control = read_word(dev, PCI_BRIDGE_CONTROL, 0, 0xff);
}

/* The fields of struct pci_dev may not be filled yet, so all is looked up. */
static void read_caps(struct pci_dev *dev, struct pci_caps_ser *ser)
{
	ser->pm = read_word(dev, pci_find_capability(dev, PCI_CAP_ID_PM),
			    PCI_PM_CTRL, PCI_PM_CTRL_STATE_MASK);
	ser->msi = read_word(dev, pci_find_capability(dev, PCI_CAP_ID_MSI),
			     PCI_MSI_FLAGS, PCI_MSI_FLAGS_ENABLE);
	ser->msix = read_word(dev, pci_find_capability(dev, PCI_CAP_ID_MSIX),
			      PCI_MSIX_FLAGS, PCI_MSIX_FLAGS_ENABLE);
	ser->devctl = read_word(dev, dev->pcie_cap, PCI_EXP_DEVCTL,
				PCI_EXP_DEVCTL_PAYLOAD | PCI_EXP_DEVCTL_READRQ);
	pcie_capability_read_word(dev, PCI_EXP_DEVCTL2, &ser->devctl2);
	ser->devctl2 &= PCI_EXP_DEVCTL2_ARI;
	ser->acs = read_word(dev,
			     pci_find_ext_capability(dev, PCI_EXT_CAP_ID_ACS),
			     PCI_ACS_CTRL, 0xffff);
	ser->ats = read_word(dev,
			     pci_find_ext_capability(dev, PCI_EXT_CAP_ID_ATS),
			     PCI_ATS_CTRL, 0xffff);
	ser->pasid = read_word(dev,
			       pci_find_ext_capability(dev, PCI_EXT_CAP_ID_PASID),
			       PCI_PASID_CTRL, 0xffff);
}

static void read_sriov(struct pci_dev *dev, struct pci_sriov_ser *ser)
{
	int pos = pci_find_ext_capability(dev, PCI_EXT_CAP_ID_SRIOV);
	unsigned int i;

	if (!pos)
		return;
	pci_read_config_word(dev, pos + PCI_SRIOV_CTRL, &ser->ctrl);
	pci_read_config_word(dev, pos + PCI_SRIOV_INITIAL_VF, &ser->initial);
	pci_read_config_word(dev, pos + PCI_SRIOV_TOTAL_VF, &ser->total);
	pci_read_config_word(dev, pos + PCI_SRIOV_NUM_VF, &ser->num);
	pci_read_config_word(dev, pos + PCI_SRIOV_VF_OFFSET, &ser->offset);
	pci_read_config_word(dev, pos + PCI_SRIOV_VF_STRIDE, &ser->stride);
	pci_read_config_word(dev, pos + PCI_SRIOV_VF_DID, &ser->vf_device);
	pci_read_config_dword(dev, pos + PCI_SRIOV_SYS_PGSIZE,
			      &ser->page_size);
	for (i = 0; i < PCI_LIVEUPDATE_NUM_BARS; i++)
		pci_read_config_dword(dev, pos + PCI_SRIOV_BAR + 4 * i,
				      &ser->bars.reg[i]);
}

/**
 * pci_liveupdate_read - What a function's registers say.
 * @dev: The function. Its bus, number, PCIe capability and size of
 *       configuration space are known.
 * @ser: Filled; what cannot be read stays 0.
 *
 * Context: Any. Only reads.
 */
void pci_liveupdate_read(struct pci_dev *dev, struct pci_function_ser *ser)
{
	memset(ser, 0, sizeof(*ser));
	ser->flags = PCI_FUNCTION_SER_VALID;
	read_ids(dev, ser);
	read_bars(dev, ser);
	if (ser->hdr_type == PCI_HEADER_TYPE_BRIDGE)
		read_bridge(dev, &ser->bridge);
	read_caps(dev, &ser->caps);
	if (!dev->is_virtfn)
		read_sriov(dev, &ser->sriov);
}

static int record_bar(struct pci_dev *dev, struct pci_bars_ser *bars, int i,
		      int resno, resource_size_t size)
{
	struct resource *res = &dev->resource[resno];
	struct pci_bus_region region;

	/* what Enhanced Allocation or a quirk has fixed is found again */
	if (!res->flags || pci_liveupdate_fixed_by_others(dev, resno))
		return 0;
	if (!is_power_of_2(size)) {
		pci_err(dev, "%s %pR: size is no power of two\n",
			pci_resource_name(dev, resno), res);
		return -EINVAL;
	}
	bars->size[i] = size;
	if (!res->parent)
		return 0;

	pcibios_resource_to_bus(dev->bus, &region, res);
	if (region.start != pci_liveupdate_bar_address(bars, i)) {
		pci_err(dev, "%s %pR: the register holds another address\n",
			pci_resource_name(dev, resno), res);
		return -EINVAL;
	}
	bars->assigned |= BIT(i);

	return 0;
}

static void record_rom(struct pci_dev *dev, struct pci_function_ser *ser)
{
	struct resource *res = &dev->resource[PCI_ROM_RESOURCE];
	struct pci_bus_region region;

	if (!res->flags || res->flags & IORESOURCE_ROM_SHADOW ||
	    !is_power_of_2(resource_size(res)))
		return;
	ser->rom_size = resource_size(res);
	if (!res->parent)
		return;
	pcibios_resource_to_bus(dev->bus, &region, res);
	ser->rom_start = region.start;
	ser->flags |= PCI_FUNCTION_SER_ROM_PLACED;
}

static int record_bars(struct pci_dev *dev, struct pci_function_ser *ser)
{
	unsigned int i;
	int err;

	for (i = 0; i < count_bars(ser); i++) {
		err = record_bar(dev, &ser->bars, i, i,
				 resource_size(&dev->resource[i]));
		if (err)
			return err;
	}
	if (!dev->is_virtfn)
		record_rom(dev, ser);

	return 0;
}

#ifdef CONFIG_PCI_IOV
static int record_sriov(struct pci_dev *dev, struct pci_sriov_ser *ser)
{
	unsigned int i;
	int err, resno;

	if (!dev->is_physfn)
		return 0;
	for (i = 0; i < PCI_LIVEUPDATE_NUM_BARS; i++) {
		resno = pci_resource_num_from_vf_bar(i);
		err = record_bar(dev, &ser->bars, i, resno,
				 pci_iov_resource_size(dev, resno));
		if (err)
			return err;
	}
	ser->last_bus = dev->sriov->max_VF_buses;
	ser->autoprobe = dev->sriov->drivers_autoprobe;

	return 0;
}
#else
static int record_sriov(struct pci_dev *dev, struct pci_sriov_ser *ser)
{
	return 0;
}
#endif

static void record_flags(struct pci_dev *dev, struct pci_function_ser *ser)
{
	if (!dev->driver)
		ser->flags |= PCI_FUNCTION_SER_NO_DRIVER;
	if (dev->is_physfn)
		ser->flags |= PCI_FUNCTION_SER_SRIOV;
	if (dev->broken_intx_masking)
		ser->flags |= PCI_FUNCTION_SER_INTX_BROKEN;
	if (dev->io_window)
		ser->flags |= PCI_FUNCTION_SER_IO_WINDOW;
	if (dev->pref_window)
		ser->flags |= PCI_FUNCTION_SER_PREF_WINDOW;
	if (dev->pref_64_window)
		ser->flags |= PCI_FUNCTION_SER_PREF_64;
}

/**
 * pci_liveupdate_record - Write down a function of this kernel.
 * @dev: The function, enumerated and with its resources assigned.
 * @ser: Filled.
 *
 * Context: Process context, pci_lock_rescan_remove() held.
 * Return: 0; -EINVAL with a message when what this kernel believes of the
 *         function is not what its registers say, or no record can hold it.
 */
int pci_liveupdate_record(struct pci_dev *dev, struct pci_function_ser *ser)
{
	const char *why;
	int err;

	pci_liveupdate_read(dev, ser);
	record_flags(dev, ser);
	err = record_bars(dev, ser);
	if (!err)
		err = record_sriov(dev, &ser->sriov);
	if (err)
		return err;

	why = pci_liveupdate_check(ser);
	if (!why)
		return 0;
	pci_err(dev, "cannot be described to the next kernel: %s\n", why);

	return -EINVAL;
}

/**
 * pci_liveupdate_count - Whether a payload's length fits.
 * @payload: The payload.
 * @len:     Its length.
 *
 * Context: Any.
 * Return: The number of entries, or -EMSGSIZE.
 */
int pci_liveupdate_count(const struct pci_payload_ser *payload, size_t len)
{
	if (len < sizeof(*payload) ||
	    payload->count > LUO_PAYLOAD_MAX_LEN / sizeof(payload->functions[0]) ||
	    len != struct_size(payload, functions, payload->count))
		return -EMSGSIZE;

	return payload->count;
}

static unsigned long bdf_key(u32 domain, u16 bdf)
{
	return (unsigned long)domain << 16 | bdf;
}

/**
 * pci_liveupdate_entry - What was handed over of a function.
 * @dev: The function; its record has been found.
 *
 * Context: While the kernel boots.
 * Return: The entry, not checked; NULL when there is none.
 */
const struct pci_function_ser *pci_liveupdate_entry(struct pci_dev *dev)
{
	u64 index = dev_liveupdate_bus_data(&dev->dev);

	if (!pci_in || index >= pci_in->count)
		return NULL;

	return &pci_in->functions[index];
}

/**
 * pci_liveupdate_recorded - Whether a function is in the records.
 * @bus:   A bus in its domain.
 * @busnr: Its bus number.
 * @devfn: Its device and function number.
 *
 * For what has no struct pci_dev yet.
 *
 * Context: While the kernel boots.
 * Return: Whether it is.
 */
bool pci_liveupdate_recorded(struct pci_bus *bus, unsigned int busnr,
			     unsigned int devfn)
{
	return xa_load(&pci_in_by_bdf, bdf_key(pci_domain_nr(bus),
					       PCI_DEVID(busnr, devfn)));
}

/**
 * pci_liveupdate_drop_records - No entry is needed any more.
 *
 * Context: FINISH.
 */
void pci_liveupdate_drop_records(void)
{
	pci_in = NULL;
	xa_destroy(&pci_in_by_bdf);
}

static int __init index_records(const struct pci_payload_ser *payload,
				unsigned int count)
{
	const struct pci_function_ser *ser;
	unsigned int i;
	int err;

	for (i = 0; i < count; i++) {
		ser = &payload->functions[i];
		if (!(ser->flags & PCI_FUNCTION_SER_VALID) ||
		    ser->domain > U16_MAX)
			continue;
		err = xa_err(xa_store(&pci_in_by_bdf,
				      bdf_key(ser->domain, ser->bdf),
				      xa_mk_value(i), GFP_KERNEL));
		if (err)
			return err;
	}

	return 0;
}

static int __init pci_liveupdate_load(void)
{
	const struct pci_payload_ser *payload;
	size_t len;
	int err;

	payload = liveupdate_payload_get(PCI_LIVEUPDATE_NAME,
					 PCI_LIVEUPDATE_COMPATIBLE, &len);
	if (payload == ERR_PTR(-ENOENT))
		return 0;

	err = IS_ERR(payload) ? PTR_ERR(payload) :
				pci_liveupdate_count(payload, len);
	if (err > 0)
		err = index_records(payload, err);
	if (err) {
		pr_err("the functions that the outgoing kernel kept are lost, their entries cannot be read: %pe\n",
		       ERR_PTR(err));
		pci_liveupdate_drop_records();
		return err;
	}
	pci_in = payload;

	return 0;
}
core_initcall(pci_liveupdate_load);
