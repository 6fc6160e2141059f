/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What others do to PCI functions in a live update.
 */
#ifndef _LINUX_PCI_LIVEUPDATE_H
#define _LINUX_PCI_LIVEUPDATE_H

#include <linux/errno.h>
#include <linux/types.h>

struct pci_dev;
struct pci_saved_state;

#ifdef CONFIG_LIVEUPDATE
void pci_liveupdate_lose(struct pci_dev *dev, const char *why);
#else
static inline void pci_liveupdate_lose(struct pci_dev *dev, const char *why) { }
#endif

/* For drivers that depend on CONFIG_LIVEUPDATE */
size_t pci_saved_state_pack(const struct pci_saved_state *state, void *buf);
bool pci_saved_state_check(const void *buf, size_t len);
struct pci_saved_state *pci_saved_state_unpack(const void *buf, size_t len);

#if defined(CONFIG_LIVEUPDATE) && defined(CONFIG_PCI_MSI)
bool pci_liveupdate_latches_msi(struct pci_dev *dev, bool msix);
bool pci_liveupdate_can_hold_msi(struct pci_dev *dev);
int pci_liveupdate_hold_msi(struct pci_dev *dev, unsigned long *masked);
void pci_liveupdate_release_msi(struct pci_dev *dev,
				const unsigned long *masked);
bool pci_liveupdate_adopt_msi(struct pci_dev *dev);
void pci_liveupdate_drop_msi(struct pci_dev *dev);
#else
static inline bool pci_liveupdate_latches_msi(struct pci_dev *dev, bool msix)
{
	return false;
}

static inline bool pci_liveupdate_can_hold_msi(struct pci_dev *dev)
{
	return false;
}

static inline int pci_liveupdate_hold_msi(struct pci_dev *dev,
					  unsigned long *masked)
{
	return -EOPNOTSUPP;
}

static inline void pci_liveupdate_release_msi(struct pci_dev *dev,
					      const unsigned long *masked) { }

static inline bool pci_liveupdate_adopt_msi(struct pci_dev *dev)
{
	return false;
}

static inline void pci_liveupdate_drop_msi(struct pci_dev *dev) { }
#endif

#endif /* _LINUX_PCI_LIVEUPDATE_H */
