// SPDX-License-Identifier: GPL-2.0

/**
 * DOC: hlu-probe
 *
 * QEMU's hlu-probe writes a numbered and checksummed record into a ring in
 * memory at a fixed period, all by itself, and raises an interrupt every so
 * many records. So whatever happens to the device, its memory or its interrupts
 * shows in the ring. This driver gives it a ring and counts its interrupts. The
 * files are in Documentation/ABI/testing/sysfs-bus-pci-devices-hlu_probe.
 *
 * Lifecycle: arming allocates and maps a new, zeroed ring and starts the
 * device. Disarming stops it; the ring can be read until the next arming. A
 * reboot disarms it.
 *
 * Live update: PREPARE keeps the ring of an armed function and one page with
 * its settings (linux/kho/abi/hlu_probe.h); the device goes on. Nothing can be
 * set until the update is cancelled. REBOOT masks the vectors, so that the
 * device remembers what it raises; CANCEL unmasks them. The incoming kernel's
 * probe takes the memory back, compares what the page says with what the device
 * says, reclaims the device and only then allocates vectors. Up to there it
 * writes nothing to the device, and it never resets or disarms one that goes
 * on. Of the interrupts between REBOOT and there, MSI-X delivers one for each
 * vector that was raised; with MSI or INTx some may be lost.
 *
 * Unhappy paths: a ring whose bus address is not its physical one cannot be
 * kept (EOPNOTSUPP). A function whose page or ring does not verify is not
 * reclaimed: its probe fails and the driver core resets it at the end of the
 * update. If that is found out when the ring has been taken back, or after the
 * reclaim, the function is disarmed before the ring is freed.
 *
 * Locking: device lock, then hlu_probe.lock, which protects the settings, the
 * ring and the device's registers. The interrupt handlers take none: the ring
 * is freed after synchronize_irq(), and each vector has counts of its own.
 */

#include <linux/cleanup.h>
#include <linux/crc32.h>
#include <linux/dev_liveupdate.h>
#include <linux/device.h>
#include <linux/dma-mapping.h>
#include <linux/interrupt.h>
#include <linux/io.h>
#include <linux/irq.h>
#include <linux/kho/abi/hlu_probe.h>
#include <linux/kstrtox.h>
#include <linux/liveupdate_image.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/security.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#define HLU_PROBE_NAME		"hlu_probe"
#define HLU_PROBE_MIN_RECORDS	2
#define HLU_PROBE_MAX_RECORDS	65536

#ifdef CONFIG_LIVEUPDATE
LIVEUPDATE_IMAGE_NOTE(hlu_probe_note, LIVEUPDATE_NOTE_BOTH,
		      HLU_PROBE_ABI_COMPATIBLE);
#endif

struct hlu_probe;

struct hlu_probe_vector {
	struct hlu_probe *probe;
	unsigned int index;
};

/*
 * @ser is in use all the time: settings and counts need no copying when the
 * update comes. @masked: the vectors are, by REBOOT.
 */
struct hlu_probe {
	struct pci_dev *pdev;
	void __iomem *regs;
	struct mutex lock;	/* settings, ring, registers */
	struct hlu_probe_ser *ser;
	struct page *ring;
	unsigned int ring_order;
	dma_addr_t ring_dma;
	unsigned int irqs;
	bool kept;
	bool masked;
	struct hlu_probe_vector vector[HLU_PROBE_MAX_VECTORS];
};

static u32 hlu_probe_read(struct hlu_probe *p, unsigned int reg)
{
	return readl(p->regs + reg);
}

static void hlu_probe_write(struct hlu_probe *p, unsigned int reg, u32 value)
{
	writel(value, p->regs + reg);
}

/* The device may count on between the two halves. */
static u64 hlu_probe_read64(struct hlu_probe *p, unsigned int reg)
{
	u32 high, low;

	do {
		high = hlu_probe_read(p, reg + 4);
		low = hlu_probe_read(p, reg);
	} while (hlu_probe_read(p, reg + 4) != high);

	return (u64)high << 32 | low;
}

static void hlu_probe_write64(struct hlu_probe *p, unsigned int reg, u64 value)
{
	hlu_probe_write(p, reg, lower_32_bits(value));
	hlu_probe_write(p, reg + 4, upper_32_bits(value));
}

static bool hlu_probe_armed(struct hlu_probe *p)
{
	return hlu_probe_read(p, HLU_PROBE_STATUS) & HLU_PROBE_STATUS_ARMED;
}

static size_t hlu_probe_ring_size(const struct hlu_probe_settings_ser *s)
{
	return s->records * sizeof(struct hlu_probe_record);
}

/*
 * The n-th interrupt of a vector, from 0, comes after this record. Interrupts
 * that merged on their way make the CPU's n smaller than the device's, so the
 * record of the CPU's n-th must be there, or one that has replaced it.
 */
static u64 hlu_probe_irq_record(const struct hlu_probe_settings_ser *s,
				unsigned int vector, u64 n)
{
	return (n * s->irq_vectors + vector + 1) * s->irq_every - 1;
}

static void hlu_probe_count(struct hlu_probe *p, unsigned int vector)
{
	const struct hlu_probe_settings_ser *s = &p->ser->settings;
	struct page *ring = READ_ONCE(p->ring);
	u64 due = hlu_probe_irq_record(s, vector, p->ser->taken[vector]++);
	struct hlu_probe_record *record;

	/* none: a late one, of before it was disarmed */
	if (!ring || !s->irq_every)
		return;
	record = page_address(ring);
	record += due & (s->records - 1);
	if (le32_to_cpu(READ_ONCE(record->magic)) != HLU_PROBE_RECORD_MAGIC ||
	    le64_to_cpu(READ_ONCE(record->sequence)) < due)
		p->ser->before_data[vector]++;
}

static irqreturn_t hlu_probe_msi(int irq, void *data)
{
	struct hlu_probe_vector *v = data;

	hlu_probe_count(v->probe, v->index);

	return IRQ_HANDLED;
}

static irqreturn_t hlu_probe_intx(int irq, void *data)
{
	struct hlu_probe_vector *v = data;
	u32 status = hlu_probe_read(v->probe, HLU_PROBE_STATUS);

	/* a device that is gone reads as all ones */
	if (status == U32_MAX || !(status & HLU_PROBE_STATUS_INTX))
		return IRQ_NONE;
	hlu_probe_write(v->probe, HLU_PROBE_INTX_ACK, 1);
	hlu_probe_count(v->probe, v->index);

	return IRQ_HANDLED;
}

static bool hlu_probe_has_intx(struct hlu_probe *p)
{
	return !p->pdev->msix_enabled && !p->pdev->msi_enabled;
}

static void hlu_probe_irq_exit(struct hlu_probe *p)
{
	while (p->irqs) {
		p->irqs--;
		pci_free_irq(p->pdev, p->irqs, &p->vector[p->irqs]);
	}
	pci_free_irq_vectors(p->pdev);
}

static int hlu_probe_irq_init(struct hlu_probe *p)
{
	unsigned int max = hlu_probe_read(p, HLU_PROBE_VECTORS);
	irq_handler_t handler;
	int count, err;

	count = pci_alloc_irq_vectors(p->pdev, 1,
				      clamp(max, 1, HLU_PROBE_MAX_VECTORS),
				      PCI_IRQ_ALL_TYPES);
	if (count < 0)
		return dev_err_probe(&p->pdev->dev, count,
				     "no interrupt vectors\n");

	handler = hlu_probe_has_intx(p) ? hlu_probe_intx : hlu_probe_msi;
	for (p->irqs = 0; p->irqs < count; p->irqs++) {
		struct hlu_probe_vector *v = &p->vector[p->irqs];

		v->probe = p;
		v->index = p->irqs;
		err = pci_request_irq(p->pdev, v->index, handler, NULL, v,
				      "%s-%u", pci_name(p->pdev), v->index);
		if (err) {
			hlu_probe_irq_exit(p);
			return err;
		}
	}

	return 0;
}

static void hlu_probe_irq_sync(struct hlu_probe *p)
{
	for (unsigned int i = 0; i < p->irqs; i++)
		synchronize_irq(pci_irq_vector(p->pdev, i));
}

static void hlu_probe_ring_free(struct hlu_probe *p)
{
	struct page *ring = p->ring;

	if (!ring)
		return;
	WRITE_ONCE(p->ring, NULL);
	hlu_probe_irq_sync(p);
	dma_unmap_page_attrs(&p->pdev->dev, p->ring_dma,
			     PAGE_SIZE << p->ring_order, DMA_FROM_DEVICE,
			     DMA_ATTR_REQUIRE_COHERENT);
	__free_pages(ring, p->ring_order);
}

static int hlu_probe_ring_map(struct hlu_probe *p, struct page *ring,
			      unsigned int order)
{
	/* read at any time, so no bounce buffer */
	dma_addr_t dma = dma_map_page_attrs(&p->pdev->dev, ring, 0,
					    PAGE_SIZE << order, DMA_FROM_DEVICE,
					    DMA_ATTR_REQUIRE_COHERENT);

	if (dma_mapping_error(&p->pdev->dev, dma)) {
		dev_err(&p->pdev->dev,
			"the ring cannot be mapped without a bounce buffer; is there swiotlb=force?\n");
		return -EIO;
	}
	p->ring_dma = dma;
	p->ring_order = order;
	WRITE_ONCE(p->ring, ring);

	return 0;
}

static int hlu_probe_ring_alloc(struct hlu_probe *p)
{
	unsigned int order = get_order(hlu_probe_ring_size(&p->ser->settings));
	struct page *ring;
	int err;

	ring = alloc_pages(GFP_KERNEL | __GFP_ZERO | __GFP_COMP | __GFP_NOWARN,
			   order);
	if (!ring) {
		dev_err(&p->pdev->dev,
			"no %lu contiguous bytes for the ring, ask for fewer records\n",
			PAGE_SIZE << order);
		return -ENOMEM;
	}
	err = hlu_probe_ring_map(p, ring, order);
	if (err)
		__free_pages(ring, order);

	return err;
}

static void hlu_probe_disarm(struct hlu_probe *p)
{
	hlu_probe_write(p, HLU_PROBE_CONTROL, 0);
	/* the answer comes after the last record */
	hlu_probe_read(p, HLU_PROBE_STATUS);
	hlu_probe_irq_sync(p);
}

/* Nothing may change of a function that is armed or about to be handed over. */
static int hlu_probe_check_idle(struct hlu_probe *p)
{
	if (p->kept) {
		dev_warn(&p->pdev->dev,
			 "preserved for a live update, cancel that first\n");
		return -EBUSY;
	}
	if (hlu_probe_armed(p)) {
		dev_warn(&p->pdev->dev, "armed, write 0 to probe/arm first\n");
		return -EBUSY;
	}

	return 0;
}

static int hlu_probe_arm(struct hlu_probe *p)
{
	struct hlu_probe_settings_ser *s = &p->ser->settings;
	int err = hlu_probe_check_idle(p);

	if (err)
		return err;
	hlu_probe_ring_free(p);
	err = hlu_probe_ring_alloc(p);
	if (err)
		return err;
	memset(p->ser->taken, 0, sizeof(p->ser->taken));
	memset(p->ser->before_data, 0, sizeof(p->ser->before_data));

	hlu_probe_write64(p, HLU_PROBE_RING, p->ring_dma);
	hlu_probe_write(p, HLU_PROBE_RECORDS, s->records);
	hlu_probe_write(p, HLU_PROBE_PERIOD_US, s->period_us);
	hlu_probe_write(p, HLU_PROBE_IRQ_EVERY, s->irq_every);
	hlu_probe_write(p, HLU_PROBE_IRQ_VECTORS, s->irq_vectors);
	hlu_probe_write(p, HLU_PROBE_CONTROL, HLU_PROBE_CONTROL_ARM);
	if (hlu_probe_armed(p))
		return 0;

	dev_err(&p->pdev->dev, "the device refuses its settings, status %#x\n",
		hlu_probe_read(p, HLU_PROBE_STATUS));
	hlu_probe_ring_free(p);

	return -EIO;
}

struct hlu_probe_setting {
	struct device_attribute attr;
	size_t offset;
	u32 min;
	u32 max;
	bool power_of_2;
};

static u32 *hlu_probe_setting(struct device *dev, struct device_attribute *attr)
{
	struct hlu_probe_setting *setting =
		container_of(attr, struct hlu_probe_setting, attr);
	struct hlu_probe *p = dev_get_drvdata(dev);

	return (void *)&p->ser->settings + setting->offset;
}

static ssize_t setting_show(struct device *dev, struct device_attribute *attr,
			    char *buf)
{
	return sysfs_emit(buf, "%u\n", *hlu_probe_setting(dev, attr));
}

static ssize_t setting_store(struct device *dev, struct device_attribute *attr,
			     const char *buf, size_t count)
{
	struct hlu_probe_setting *setting =
		container_of(attr, struct hlu_probe_setting, attr);
	struct hlu_probe *p = dev_get_drvdata(dev);
	u32 value;
	int err;

	err = kstrtou32(buf, 0, &value);
	if (err)
		return err;
	if (value < setting->min || value > setting->max ||
	    (setting->power_of_2 && !is_power_of_2(value)))
		return -EINVAL;
	if (!strcmp(attr->attr.name, "irq_vectors") && value > p->irqs) {
		dev_warn(dev, "there are only %u vectors\n", p->irqs);
		return -ENOSPC;
	}
	guard(mutex)(&p->lock);
	err = hlu_probe_check_idle(p);
	if (err)
		return err;
	/* an old ring and other settings do not go together, nor in a handler */
	hlu_probe_ring_free(p);
	*hlu_probe_setting(dev, attr) = value;

	return count;
}

static struct hlu_probe_setting setting_period_us = {
	.attr = __ATTR(period_us, 0644, setting_show, setting_store),
	.offset = offsetof(struct hlu_probe_settings_ser, period_us),
	.min = 10,
	.max = 1000000,
};

static struct hlu_probe_setting setting_records = {
	.attr = __ATTR(records, 0644, setting_show, setting_store),
	.offset = offsetof(struct hlu_probe_settings_ser, records),
	.min = HLU_PROBE_MIN_RECORDS,
	.max = HLU_PROBE_MAX_RECORDS,
	.power_of_2 = true,
};

static struct hlu_probe_setting setting_irq_every = {
	.attr = __ATTR(irq_every, 0644, setting_show, setting_store),
	.offset = offsetof(struct hlu_probe_settings_ser, irq_every),
	.min = 0,
	.max = U32_MAX,
};

static struct hlu_probe_setting setting_irq_vectors = {
	.attr = __ATTR(irq_vectors, 0644, setting_show, setting_store),
	.offset = offsetof(struct hlu_probe_settings_ser, irq_vectors),
	.min = 1,
	.max = HLU_PROBE_MAX_VECTORS,
};

static ssize_t arm_show(struct device *dev, struct device_attribute *attr,
			char *buf)
{
	struct hlu_probe *p = dev_get_drvdata(dev);

	return sysfs_emit(buf, "%d\n", hlu_probe_armed(p));
}

static ssize_t arm_store(struct device *dev, struct device_attribute *attr,
			 const char *buf, size_t count)
{
	struct hlu_probe *p = dev_get_drvdata(dev);
	bool arm;
	int err;

	err = kstrtobool(buf, &arm);
	if (err)
		return err;
	guard(mutex)(&p->lock);
	if (arm) {
		err = hlu_probe_arm(p);
		return err ?: count;
	}
	if (p->kept)
		return hlu_probe_check_idle(p);
	hlu_probe_disarm(p);

	return count;
}
static DEVICE_ATTR_RW(arm);

static ssize_t sequence_show(struct device *dev, struct device_attribute *attr,
			     char *buf)
{
	struct hlu_probe *p = dev_get_drvdata(dev);

	return sysfs_emit(buf, "%llu\n",
			  hlu_probe_read64(p, HLU_PROBE_SEQUENCE));
}
static DEVICE_ATTR_RO(sequence);

static ssize_t function_show(struct device *dev, struct device_attribute *attr,
			     char *buf)
{
	struct hlu_probe *p = dev_get_drvdata(dev);

	return sysfs_emit(buf, "%u\n", hlu_probe_read(p, HLU_PROBE_FUNCTION));
}
static DEVICE_ATTR_RO(function);

static ssize_t irq_counts_show(struct device *dev,
			       struct device_attribute *attr, char *buf)
{
	struct hlu_probe *p = dev_get_drvdata(dev);
	ssize_t len = 0;

	guard(mutex)(&p->lock);
	for (unsigned int i = 0; i < p->ser->settings.irq_vectors; i++)
		len += sysfs_emit_at(buf, len, "%u %llu %llu %llu\n", i,
				     hlu_probe_read64(p, HLU_PROBE_IRQ_COUNT(i)),
				     p->ser->taken[i], p->ser->before_data[i]);

	return len;
}
static DEVICE_ATTR_RO(irq_counts);

static ssize_t poke_store(struct device *dev, struct device_attribute *attr,
			  const char *buf, size_t count)
{
	struct hlu_probe *p = dev_get_drvdata(dev);
	u64 address;
	int err;

	err = security_locked_down(LOCKDOWN_PCI_ACCESS);
	if (err)
		return err;
	err = kstrtou64(buf, 0, &address);
	if (err)
		return err;
	guard(mutex)(&p->lock);
	hlu_probe_write64(p, HLU_PROBE_POKE, address);

	return count;
}
static DEVICE_ATTR_WO(poke);

static ssize_t ring_read(struct file *file, struct kobject *kobj,
			 const struct bin_attribute *attr, char *buf,
			 loff_t pos, size_t count)
{
	struct hlu_probe *p = dev_get_drvdata(kobj_to_dev(kobj));

	guard(mutex)(&p->lock);
	if (!p->ring)
		return 0;

	return memory_read_from_buffer(buf, count, &pos, page_address(p->ring),
				       hlu_probe_ring_size(&p->ser->settings));
}

static const BIN_ATTR_ADMIN_RO(ring, 0);

static struct attribute *hlu_probe_attrs[] = {
	&setting_period_us.attr.attr,
	&setting_records.attr.attr,
	&setting_irq_every.attr.attr,
	&setting_irq_vectors.attr.attr,
	&dev_attr_arm.attr,
	&dev_attr_sequence.attr,
	&dev_attr_function.attr,
	&dev_attr_irq_counts.attr,
	&dev_attr_poke.attr,
	NULL
};

static const struct bin_attribute *const hlu_probe_bin_attrs[] = {
	&bin_attr_ring,
	NULL
};

static const struct attribute_group hlu_probe_group = {
	.name = "probe",
	.attrs = hlu_probe_attrs,
	.bin_attrs = hlu_probe_bin_attrs,
};

static const struct attribute_group *hlu_probe_groups[] = {
	&hlu_probe_group,
	NULL
};

static u32 hlu_probe_crc(const struct hlu_probe_ser *ser)
{
	return crc32_le(~0, (void *)&ser->settings, sizeof(ser->settings));
}

static int hlu_probe_keep_ring(struct hlu_probe *p)
{
	struct device *dev = &p->pdev->dev;
	phys_addr_t pa;

	p->ser->settings.ring = 0;
	if (!p->ring || !hlu_probe_armed(p))
		return 0;
	pa = page_to_phys(p->ring);
	if (p->ring_dma != pa) {
		dev_err(dev,
			"the ring is at %pa but %pad on the bus, which cannot be kept yet; boot with iommu=pt\n",
			&pa, &p->ring_dma);
		return -EOPNOTSUPP;
	}
	p->ser->settings.ring = pa;

	return dev_liveupdate_keep_pages(dev, p->ring, p->ring_order);
}

static int hlu_probe_prepare(struct device *dev)
{
	struct hlu_probe *p = dev_get_drvdata(dev);
	int err;

	guard(mutex)(&p->lock);
	err = hlu_probe_keep_ring(p);
	if (err)
		return err;
	err = dev_liveupdate_keep_pages(dev, virt_to_page(p->ser), 0);
	if (err)
		return err;
	p->ser->crc = hlu_probe_crc(p->ser);
	dev_liveupdate_set_driver_data(dev, virt_to_phys(p->ser));
	p->kept = true;

	return 0;
}

/* An INTx line may be that of others, too. */
static int hlu_probe_reboot(struct device *dev)
{
	struct hlu_probe *p = dev_get_drvdata(dev);

	if (hlu_probe_has_intx(p))
		return 0;
	for (unsigned int i = 0; i < p->irqs; i++) {
		int irq = pci_irq_vector(p->pdev, i);

		/* in the device, and at once */
		irq_set_status_flags(irq, IRQ_DISABLE_UNLAZY);
		disable_irq(irq);
	}
	p->masked = true;

	return 0;
}

static void hlu_probe_cancel(struct device *dev)
{
	struct hlu_probe *p = dev_get_drvdata(dev);

	for (unsigned int i = 0; p->masked && i < p->irqs; i++)
		enable_irq(pci_irq_vector(p->pdev, i));
	p->masked = false;
	guard(mutex)(&p->lock);
	p->kept = false;
}

static const struct dev_liveupdate_cbs hlu_probe_liveupdate = {
	.prepare = hlu_probe_prepare,
	.reboot = hlu_probe_reboot,
	.cancel = hlu_probe_cancel,
};

static bool hlu_probe_ser_ok(struct hlu_probe *p)
{
	const struct hlu_probe_settings_ser *s = &p->ser->settings;

	return !strncmp(p->ser->compatible, HLU_PROBE_ABI_COMPATIBLE,
			sizeof(p->ser->compatible)) &&
	       p->ser->crc == hlu_probe_crc(p->ser) &&
	       is_power_of_2(s->records) &&
	       s->records >= HLU_PROBE_MIN_RECORDS &&
	       s->records <= HLU_PROBE_MAX_RECORDS &&
	       s->irq_vectors && s->irq_vectors <= HLU_PROBE_MAX_VECTORS;
}

/* The device itself says where it writes, and it must be there. */
static bool hlu_probe_agrees(struct hlu_probe *p)
{
	const struct hlu_probe_settings_ser *s = &p->ser->settings;

	if (!s->ring)
		return !hlu_probe_armed(p);

	return hlu_probe_armed(p) &&
	       hlu_probe_read64(p, HLU_PROBE_RING) == s->ring &&
	       hlu_probe_read(p, HLU_PROBE_RECORDS) == s->records &&
	       hlu_probe_read(p, HLU_PROBE_IRQ_EVERY) == s->irq_every &&
	       hlu_probe_read(p, HLU_PROBE_IRQ_VECTORS) == s->irq_vectors;
}

static int hlu_probe_take_ring(struct hlu_probe *p)
{
	const struct hlu_probe_settings_ser *s = &p->ser->settings;
	unsigned int order;
	struct page *ring;
	int err;

	if (!s->ring)
		return 0;
	ring = dev_liveupdate_take_pages(&p->pdev->dev, s->ring, &order);
	if (!ring || order != get_order(hlu_probe_ring_size(s))) {
		dev_err(&p->pdev->dev, "its ring was not handed over\n");
		err = -ENODATA;
		goto err_free;
	}
	err = hlu_probe_ring_map(p, ring, order);
	if (err)
		goto err_free;
	if (p->ring_dma == s->ring)
		return 0;
	dev_err(&p->pdev->dev, "its ring is not where it was on the bus; boot with iommu=pt\n");

	return -EOPNOTSUPP;

err_free:
	if (ring) {
		hlu_probe_disarm(p);
		__free_pages(ring, order);
	}

	return err;
}

/* The page with the settings: the old kernel's, or a new one. */
static int hlu_probe_ser_init(struct hlu_probe *p)
{
	struct device *dev = &p->pdev->dev;
	struct hlu_probe_settings_ser *s;
	unsigned int order;
	struct page *page;

	if (dev_liveupdate_incoming(dev)) {
		page = dev_liveupdate_take_pages(dev,
						 dev_liveupdate_driver_data(dev),
						 &order);
		if (!page)
			return dev_err_probe(dev, -ENODATA,
					     "its settings were not handed over\n");
		p->ser = page_address(page);
		return 0;
	}

	BUILD_BUG_ON(sizeof(*p->ser) > PAGE_SIZE);
	p->ser = (void *)get_zeroed_page(GFP_KERNEL);
	if (!p->ser)
		return -ENOMEM;
	strscpy_pad(p->ser->compatible, HLU_PROBE_ABI_COMPATIBLE);
	s = &p->ser->settings;
	s->records = 4096;
	s->period_us = 1000;
	s->irq_every = 16;
	s->irq_vectors = 1;

	return 0;
}

static int hlu_probe_take_over(struct hlu_probe *p)
{
	struct device *dev = &p->pdev->dev;
	int err;

	if (!hlu_probe_ser_ok(p))
		return dev_err_probe(dev, -EBADMSG,
				     "the settings handed over do not verify\n");
	if (!hlu_probe_agrees(p))
		return dev_err_probe(dev, -ESTALE,
				     "not armed as the outgoing kernel left it\n");
	err = hlu_probe_take_ring(p);

	return err ?: dev_liveupdate_reclaim(dev);
}

static int hlu_probe_start(struct hlu_probe *p)
{
	bool incoming = dev_liveupdate_incoming(&p->pdev->dev);
	int err;

	if (hlu_probe_read(p, HLU_PROBE_ID) != HLU_PROBE_ID_VALUE)
		return dev_err_probe(&p->pdev->dev, -ENODEV,
				     "not an hlu-probe, or it is gone\n");
	if (!incoming)
		hlu_probe_disarm(p);
	pci_set_master(p->pdev);
	err = hlu_probe_ser_init(p);
	if (err)
		return err;
	if (incoming)
		err = hlu_probe_take_over(p);
	if (!err)
		err = hlu_probe_irq_init(p);
	if (!err)
		return 0;

	if (p->ring)
		hlu_probe_disarm(p);
	hlu_probe_ring_free(p);
	free_page((unsigned long)p->ser);

	return err;
}

/* In the incoming kernel this finds all bits as it wants them. */
static int hlu_probe_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct hlu_probe *p;
	int err;

	p = devm_kzalloc(&pdev->dev, sizeof(*p), GFP_KERNEL);
	if (!p)
		return -ENOMEM;
	p->pdev = pdev;
	pci_set_drvdata(pdev, p);
	err = devm_mutex_init(&pdev->dev, &p->lock);
	if (err)
		return err;

	err = pci_enable_device(pdev);
	if (err)
		return err;
	err = pci_request_mem_regions(pdev, HLU_PROBE_NAME);
	if (err)
		goto err_disable;
	p->regs = pci_iomap(pdev, HLU_PROBE_BAR_REGS, 0);
	if (!p->regs) {
		err = -ENOMEM;
		goto err_release;
	}
	err = dma_set_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(64));
	if (err)
		goto err_unmap;
	err = hlu_probe_start(p);
	if (!err)
		return 0;

err_unmap:
	pci_iounmap(pdev, p->regs);
err_release:
	pci_release_mem_regions(pdev);
err_disable:
	pci_disable_device(pdev);

	return err;
}

static void hlu_probe_shutdown(struct pci_dev *pdev)
{
	struct hlu_probe *p = pci_get_drvdata(pdev);

	hlu_probe_disarm(p);
	hlu_probe_irq_exit(p);
}

static void hlu_probe_remove(struct pci_dev *pdev)
{
	struct hlu_probe *p = pci_get_drvdata(pdev);

	pci_disable_sriov(pdev);
	hlu_probe_shutdown(pdev);
	hlu_probe_ring_free(p);
	free_page((unsigned long)p->ser);
	pci_iounmap(pdev, p->regs);
	pci_release_mem_regions(pdev);
	pci_disable_device(pdev);
}

static const struct pci_device_id hlu_probe_ids[] = {
	{ PCI_DEVICE(HLU_PROBE_VENDOR, HLU_PROBE_DEVICE_PF) },
	{ PCI_DEVICE(HLU_PROBE_VENDOR, HLU_PROBE_DEVICE_VF) },
	{ }
};
MODULE_DEVICE_TABLE(pci, hlu_probe_ids);

static struct pci_driver hlu_probe_driver = {
	.name			= HLU_PROBE_NAME,
	.id_table		= hlu_probe_ids,
	.probe			= hlu_probe_probe,
	.remove			= hlu_probe_remove,
	.shutdown		= hlu_probe_shutdown,
	.sriov_configure	= pci_sriov_configure_simple,
	.dev_groups		= hlu_probe_groups,
	.driver.liveupdate	= &hlu_probe_liveupdate,
};
module_pci_driver(hlu_probe_driver);

MODULE_DESCRIPTION("QEMU hlu-probe, the device that measures live updates");
MODULE_LICENSE("GPL");
