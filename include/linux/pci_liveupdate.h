/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What others do to PCI functions in a live update.
 */
#ifndef _LINUX_PCI_LIVEUPDATE_H
#define _LINUX_PCI_LIVEUPDATE_H

struct pci_dev;

#ifdef CONFIG_LIVEUPDATE
void pci_liveupdate_lose(struct pci_dev *dev, const char *why);
#else
static inline void pci_liveupdate_lose(struct pci_dev *dev, const char *why) { }
#endif

#endif /* _LINUX_PCI_LIVEUPDATE_H */
