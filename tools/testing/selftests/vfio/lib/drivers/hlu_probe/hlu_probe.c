// SPDX-License-Identifier: GPL-2.0-only
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <linux/compiler.h>
#include <linux/io.h>
#include <linux/kernel.h>
#include <linux/pci_regs.h>
#include <asm/barrier.h>

#include <misc/hlu_probe.h>

#include <libvfio/hlu_probe.h>
#include <libvfio/vfio_pci_device.h>

#define MSIX_VECTOR	0
/* A record each ms, for 65 s; an interrupt each 16 ms. */
#define PERIOD_US	1000
#define RECORDS		65536
#define IRQ_EVERY	16

struct hlu_probe {
	void *bar0;
	u64 checked;	/* number of the next record to look at */
	struct hlu_probe_record ring[RECORDS] __aligned(64);
};

static struct hlu_probe *to_hlu_probe(struct vfio_pci_device *device)
{
	return (struct hlu_probe *)device->driver.region.vaddr;
}

static u64 hlu_probe_read64(struct hlu_probe *probe, u32 reg)
{
	u64 low = readl(probe->bar0 + reg);

	return low | (u64)readl(probe->bar0 + reg + 4) << 32;
}

static int hlu_probe_probe(struct vfio_pci_device *device)
{
	if (!vfio_pci_device_match(device, HLU_PROBE_VENDOR, HLU_PROBE_DEVICE_PF))
		return -EINVAL;

	return 0;
}

static void hlu_probe_take(struct vfio_pci_device *device)
{
	struct hlu_probe *probe = to_hlu_probe(device);

	VFIO_ASSERT_GE(device->driver.region.size, sizeof(*probe));

	probe->bar0 = device->bars[HLU_PROBE_BAR_REGS].vaddr;
	device->driver.msi = MSIX_VECTOR;
	vfio_pci_msix_enable(device, MSIX_VECTOR, 1);
}

static void hlu_probe_init(struct vfio_pci_device *device)
{
	struct hlu_probe *probe = to_hlu_probe(device);
	iova_t ring = to_iova(device, probe->ring);

	hlu_probe_take(device);
	probe->checked = 0;
	memset(probe->ring, 0, sizeof(probe->ring));

	vfio_pci_cmd_set(device, PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY);
	writel(0, probe->bar0 + HLU_PROBE_CONTROL);
	writel((u32)ring, probe->bar0 + HLU_PROBE_RING);
	writel((u32)(ring >> 32), probe->bar0 + HLU_PROBE_RING + 4);
	writel(RECORDS, probe->bar0 + HLU_PROBE_RECORDS);
	writel(PERIOD_US, probe->bar0 + HLU_PROBE_PERIOD_US);
	writel(IRQ_EVERY, probe->bar0 + HLU_PROBE_IRQ_EVERY);
	writel(1, probe->bar0 + HLU_PROBE_IRQ_VECTORS);
	writel(HLU_PROBE_CONTROL_ARM, probe->bar0 + HLU_PROBE_CONTROL);
	VFIO_ASSERT_EQ(readl(probe->bar0 + HLU_PROBE_STATUS), HLU_PROBE_STATUS_ARMED);
}

/* What was checked so far is in the region. */
static void hlu_probe_resume(struct vfio_pci_device *device)
{
	struct hlu_probe *probe = to_hlu_probe(device);

	hlu_probe_take(device);
	VFIO_ASSERT_EQ(readl(probe->bar0 + HLU_PROBE_STATUS), HLU_PROBE_STATUS_ARMED);
}

static void hlu_probe_remove(struct vfio_pci_device *device)
{
	writel(0, to_hlu_probe(device)->bar0 + HLU_PROBE_CONTROL);
	vfio_pci_msix_disable(device);
}

/* CRC-32 of IEEE 802.3 */
static u32 hlu_probe_crc(const struct hlu_probe_record *record)
{
	const u8 *byte = (const u8 *)record;
	u32 crc = ~0U;
	size_t i;
	int bit;

	for (i = 0; i < offsetof(struct hlu_probe_record, crc); i++) {
		crc ^= byte[i];
		for (bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320U : 0);
	}

	return ~crc;
}

u64 hlu_probe_check(struct vfio_pci_device *device)
{
	struct hlu_probe *probe = to_hlu_probe(device);
	u64 next = hlu_probe_read64(probe, HLU_PROBE_SEQUENCE);
	u64 count = next - probe->checked;

	VFIO_ASSERT_LT(count, RECORDS, "The ring has come round, look earlier\n");
	VFIO_ASSERT_EQ(hlu_probe_read64(probe, HLU_PROBE_DMA_FAILED), 0);

	/* The records were written before the device gave this number. */
	rmb();

	for (; probe->checked < next; probe->checked++) {
		struct hlu_probe_record record = probe->ring[probe->checked % RECORDS];

		VFIO_ASSERT_EQ(le32_to_cpu(record.magic), HLU_PROBE_RECORD_MAGIC);
		VFIO_ASSERT_EQ(le64_to_cpu(record.sequence), probe->checked);
		VFIO_ASSERT_EQ(le32_to_cpu(record.crc), hlu_probe_crc(&record));
	}

	return count;
}

u64 hlu_probe_interrupts(struct vfio_pci_device *device)
{
	return hlu_probe_read64(to_hlu_probe(device), HLU_PROBE_IRQ_COUNT(MSIX_VECTOR));
}

const struct vfio_pci_driver_ops hlu_probe_ops = {
	.name = "hlu_probe",
	.probe = hlu_probe_probe,
	.init = hlu_probe_init,
	.resume = hlu_probe_resume,
	.remove = hlu_probe_remove,
};
