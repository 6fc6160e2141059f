/* SPDX-License-Identifier: GPL-2.0 */
/*
 * PCI's part of a live update, inside of drivers/pci.
 */
#ifndef DRIVERS_PCI_LIVEUPDATE_H
#define DRIVERS_PCI_LIVEUPDATE_H

#include <linux/dev_liveupdate.h>
#include <linux/jump_label_ratelimit.h>
#include <linux/pci.h>
#include <linux/pci_liveupdate.h>

struct pci_bars_ser;
struct pci_function_ser;
struct pci_payload_ser;

extern const struct dev_liveupdate_bus pci_liveupdate_bus;

#ifdef CONFIG_LIVEUPDATE

/**
 * enum pci_liveupdate_fence - Which configuration writes are kept away.
 * @PCI_LIVEUPDATE_FENCE_NONE:   None.
 * @PCI_LIVEUPDATE_FENCE_BRIDGE: Those that change what a bridge forwards.
 * @PCI_LIVEUPDATE_FENCE_ALL:    All, until the function is reclaimed.
 */
enum pci_liveupdate_fence {
	PCI_LIVEUPDATE_FENCE_NONE,
	PCI_LIVEUPDATE_FENCE_BRIDGE,
	PCI_LIVEUPDATE_FENCE_ALL,
};

/**
 * struct pci_liveupdate - What PCI remembers of a function in an update.
 * @node:     In the list of all of them.
 * @dev:      The function.
 * @index:    Of its entry in the payload that goes out.
 * @fence:    An enum pci_liveupdate_fence.
 * @attached: The function is preserved.
 * @awake:    A reference keeps it from being suspended.
 * @unused:   It had no driver before the update.
 * @msi_held: Whatever is written, its MSI and MSI-X vectors stay masked.
 * @msi_kept: MSI or MSI-X may be enabled, with masked vectors, since the
 *            previous kernel: enabling it must not disable it first.
 * @fixed:    Resources that are immovable because of the update.
 * @fenced:   Configuration writes that were kept away.
 *
 * Allocated when the function is first preserved, freed with it, so that the
 * fence can look at it without a lock.
 */
struct pci_liveupdate {
	struct list_head node;
	struct pci_dev *dev;
	u32 index;
	u8 fence;
	bool attached;
	bool awake;
	bool unused;
	bool msi_held;
	bool msi_kept;
	u32 fixed;
	atomic_t fenced;
};

/* May be read while another CPU preserves the function for the first time. */
static inline struct pci_liveupdate *
pci_liveupdate_state(const struct pci_dev *dev)
{
	/* pairs with the release in get_state() */
	return smp_load_acquire(&dev->liveupdate);
}

extern struct static_key_false_deferred pci_liveupdate_key;
extern struct list_head pci_liveupdate_functions;
extern struct mutex pci_liveupdate_lock;

/* msi/liveupdate.c */
static inline bool pci_liveupdate_msi_held(const struct pci_dev *dev)
{
	struct pci_liveupdate *lu = pci_liveupdate_state(dev);

	return lu && READ_ONCE(lu->msi_held);
}

bool pci_liveupdate_msi_kept(struct pci_dev *dev);
bool pci_liveupdate_msix_kept(struct pci_dev *dev);

/* liveupdate.c */
int pci_liveupdate_attach(struct pci_dev *dev, enum pci_liveupdate_fence fence);
void pci_liveupdate_detach(struct pci_dev *dev);
void pci_liveupdate_fix(struct pci_dev *dev, int resno);
bool pci_liveupdate_fixed_by_others(struct pci_dev *dev, int resno);
void pci_liveupdate_hold(struct pci_dev *dev);
void pci_liveupdate_lost(struct pci_dev *dev, const char *why);
void pci_liveupdate_lost_below(struct pci_bus *bus, const char *why);
int pci_liveupdate_busy(struct pci_dev *dev);
void pci_liveupdate_release(struct pci_dev *dev);

/* liveupdate_record.c */
int pci_liveupdate_path(struct device *dev, char *buf, size_t size);
int pci_liveupdate_record(struct pci_dev *dev, struct pci_function_ser *ser);
void pci_liveupdate_read(struct pci_dev *dev, struct pci_function_ser *ser);
int pci_liveupdate_count(const struct pci_payload_ser *payload, size_t len);
const struct pci_function_ser *pci_liveupdate_entry(struct pci_dev *dev);
bool pci_liveupdate_recorded(struct pci_bus *bus, unsigned int busnr,
			     unsigned int devfn);
void pci_liveupdate_drop_records(void);

/* liveupdate_verify.c */
u64 pci_liveupdate_bar_address(const struct pci_bars_ser *bars, unsigned int i);
void pci_liveupdate_masks(const struct pci_bars_ser *bars, u32 *masks);
const char *pci_liveupdate_check(const struct pci_function_ser *ser);
const char *pci_liveupdate_compare(const struct pci_function_ser *ser,
				   const struct pci_function_ser *found);

/* liveupdate_scan.c */
void pci_liveupdate_adopt(struct pci_dev *dev);
void pci_liveupdate_verify(struct pci_dev *dev);
void pci_liveupdate_bar_masks(struct pci_dev *dev, u32 *bars, u32 *rom);
void pci_liveupdate_vf_bar_masks(struct pci_dev *dev, u32 *bars);
void pci_liveupdate_windows(struct pci_dev *bridge);
bool pci_liveupdate_intx_broken(struct pci_dev *dev);
bool pci_liveupdate_uses_sriov(struct pci_dev *dev);
void pci_liveupdate_sriov(struct pci_dev *dev, u8 *last_bus, bool *autoprobe);
bool pci_liveupdate_buses_taken(struct pci_bus *bus, struct pci_dev *bridge,
				u8 secondary, u8 subordinate);
void pci_liveupdate_claim(struct pci_bus *bus);
int pci_liveupdate_probe(struct pci_dev *dev);

/* liveupdate_fence.c */
u32 pci_liveupdate_bridge_keeps(const struct pci_dev *dev, int reg);
bool __pci_liveupdate_fenced(const struct pci_dev *dev, int where, int size,
			     u32 *val);

/**
 * pci_liveupdate_fenced - Whether a configuration write is kept away.
 * @dev:   The function.
 * @where: Register.
 * @size:  Bytes: 1, 2 or 4.
 * @val:   What is to be written; some bits of it may be changed.
 *
 * Context: Any, not under pci_lock.
 * Return: true when nothing must be written.
 */
static inline bool pci_liveupdate_fenced(const struct pci_dev *dev, int where,
					 int size, u32 *val)
{
	return static_branch_unlikely(&pci_liveupdate_key.key) &&
	       __pci_liveupdate_fenced(dev, where, size, val);
}

#else /* CONFIG_LIVEUPDATE */

static inline bool pci_liveupdate_msi_held(const struct pci_dev *dev)
{
	return false;
}

static inline bool pci_liveupdate_msi_kept(struct pci_dev *dev)
{
	return false;
}

static inline bool pci_liveupdate_msix_kept(struct pci_dev *dev)
{
	return false;
}

static inline void pci_liveupdate_hold(struct pci_dev *dev) { }
static inline void pci_liveupdate_lost(struct pci_dev *dev, const char *why) { }
static inline void pci_liveupdate_lost_below(struct pci_bus *bus,
					     const char *why) { }

static inline int pci_liveupdate_busy(struct pci_dev *dev)
{
	return 0;
}

static inline void pci_liveupdate_release(struct pci_dev *dev) { }

static inline bool pci_liveupdate_recorded(struct pci_bus *bus,
					   unsigned int busnr,
					   unsigned int devfn)
{
	return false;
}

static inline void pci_liveupdate_adopt(struct pci_dev *dev) { }
static inline void pci_liveupdate_verify(struct pci_dev *dev) { }
static inline void pci_liveupdate_bar_masks(struct pci_dev *dev, u32 *bars,
					    u32 *rom) { }
static inline void pci_liveupdate_vf_bar_masks(struct pci_dev *dev,
					       u32 *bars) { }
static inline void pci_liveupdate_windows(struct pci_dev *bridge) { }

static inline bool pci_liveupdate_uses_sriov(struct pci_dev *dev)
{
	return true;
}

static inline void pci_liveupdate_sriov(struct pci_dev *dev, u8 *last_bus,
					bool *autoprobe) { }

static inline bool pci_liveupdate_intx_broken(struct pci_dev *dev)
{
	return false;
}

static inline bool pci_liveupdate_buses_taken(struct pci_bus *bus,
					      struct pci_dev *bridge,
					      u8 secondary, u8 subordinate)
{
	return false;
}

static inline void pci_liveupdate_claim(struct pci_bus *bus) { }

static inline int pci_liveupdate_probe(struct pci_dev *dev)
{
	return 0;
}

static inline bool pci_liveupdate_fenced(const struct pci_dev *dev, int where,
					 int size, u32 *val)
{
	return false;
}

#endif /* CONFIG_LIVEUPDATE */

#endif /* DRIVERS_PCI_LIVEUPDATE_H */
