/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What one kernel tells the next about the devices that stay alive.
 */
#ifndef _LINUX_KHO_ABI_DEV_LIVEUPDATE_H
#define _LINUX_KHO_ABI_DEV_LIVEUPDATE_H

#include <linux/types.h>

/**
 * DOC: Live update device ABI
 *
 * The payload of subsystem DEV_LIVEUPDATE_SUBSYSTEM is one &struct
 * dev_liveupdate_set_ser. Its records stand in the order of PREPARE: a device
 * before all that it hangs on. The incoming kernel finishes them from the last
 * to the first.
 *
 * The payload's checksum is verified before it is read; every field of every
 * record is verified as well. A record that does not verify costs its own
 * device only.
 *
 * Integers are little endian, addresses physical, strings printable ASCII and
 * padded with NUL, at least one. A change of any structure changes the
 * compatible string.
 */

#define DEV_LIVEUPDATE_SUBSYSTEM	"dev"
#define DEV_LIVEUPDATE_ABI_COMPATIBLE	"dev-v1"

#define DEV_LIVEUPDATE_BUS_LEN		32
#define DEV_LIVEUPDATE_PATH_LEN		128
#define DEV_LIVEUPDATE_DRIVER_LEN	48
#define DEV_LIVEUPDATE_MAX_PAGES	4

/**
 * struct dev_liveupdate_pages_ser - Memory that a device keeps.
 * @pa:       Physical address, aligned to its size, preserved by KHO.
 * @order:    Its size is PAGE_SIZE << @order.
 * @reserved: Zero.
 */
struct dev_liveupdate_pages_ser {
	u64 pa;
	u32 order;
	u32 reserved;
} __packed;

/**
 * struct dev_liveupdate_ser - One preserved device.
 * @bus:         Name of its bus.
 * @path:        Where it hangs, as its bus writes that. Unique on the bus.
 * @driver:      Name of its driver; empty when it has none and its bus alone
 *               keeps it.
 * @driver_data: For the driver.
 * @bus_data:    For the bus.
 * @nr_pages:    Entries in @pages, at most DEV_LIVEUPDATE_MAX_PAGES.
 * @reserved:    Zero.
 * @pages:       Memory that the device may be writing to right now.
 */
struct dev_liveupdate_ser {
	char bus[DEV_LIVEUPDATE_BUS_LEN];
	char path[DEV_LIVEUPDATE_PATH_LEN];
	char driver[DEV_LIVEUPDATE_DRIVER_LEN];
	u64 driver_data;
	u64 bus_data;
	u32 nr_pages;
	u32 reserved;
	struct dev_liveupdate_pages_ser pages[DEV_LIVEUPDATE_MAX_PAGES];
} __packed;

/**
 * struct dev_liveupdate_set_ser - All preserved devices.
 * @count:    Entries in @devices. There may be room for more, of devices that were
 *            lost after PREPARE.
 * @reserved: Zero.
 * @devices:  In the order of PREPARE.
 */
struct dev_liveupdate_set_ser {
	u32 count;
	u32 reserved;
	struct dev_liveupdate_ser devices[];
} __packed;

#endif /* _LINUX_KHO_ABI_DEV_LIVEUPDATE_H */
