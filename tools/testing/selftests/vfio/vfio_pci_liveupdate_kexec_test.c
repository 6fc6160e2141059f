// SPDX-License-Identifier: GPL-2.0-only
/*
 * A device that a program owns, over one kexec.
 *
 *   -s 1	takes the device, has it write memory and raise an interrupt that
 *		nobody reads, preserves it, and stays
 *   -s 2	in the incoming kernel: takes all of it back, and looks whether the
 *		device goes on and the interrupt arrives
 *
 * The host's own part is done in between and afterwards: prepare, kexec, bind the
 * device to vfio-pci again, and, when stage 2 has ended, finish.
 *
 * For devices whose libvfio driver can resume(), and for QEMU's measuring device.
 */
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <linux/sizes.h>

#include <libliveupdate.h>
#include <libvfio.h>
#include <libvfio/hlu_probe.h>
#include <libvfio/liveupdate.h>

#define SESSION_NAME		"vfio-pci"
#define STATE_SESSION_NAME	"vfio-pci-state"
#define STATE_TOKEN		999

enum { REGION_TOKEN = 1, MEMCPY_TOKEN, IOMMUFD_TOKEN, DEVICE_TOKEN };
#define HWPT_TAG		0x1a

/* The IOVAs have to be the same in both kernels. */
#define REGION_IOVA		(4UL * SZ_1G)
#define REGION_SIZE		SZ_8M
#define MEMCPY_IOVA		(5UL * SZ_1G)
#define MEMCPY_SIZE		SZ_64K

#define TIMEOUT_MS		10000

static const char *device_bdf;
static struct dma_region memcpy_region = { .iova = MEMCPY_IOVA };

static void probe_driver(struct vfio_pci_device *device)
{
	vfio_pci_driver_probe(device);
	if (!device->driver.ops && !hlu_probe_ops.probe(device))
		device->driver.ops = &hlu_probe_ops;

	if (!device->driver.ops || !device->driver.ops->resume)
		ksft_exit_skip("No driver that can resume %s\n", device_bdf);
}

static bool is_hlu_probe(struct vfio_pci_device *device)
{
	return device->driver.ops == &hlu_probe_ops;
}

static int msi_fd(struct vfio_pci_device *device)
{
	return device->msi_eventfds[device->driver.msi];
}

static bool msi_arrives(struct vfio_pci_device *device, int timeout_ms)
{
	struct pollfd pollfd = { .fd = msi_fd(device), .events = POLLIN };

	return poll(&pollfd, 1, timeout_ms) == 1;
}

static u64 read_msi(struct vfio_pci_device *device)
{
	u64 value;

	VFIO_ASSERT_TRUE(msi_arrives(device, TIMEOUT_MS), "No interrupt\n");
	VFIO_ASSERT_EQ(read(msi_fd(device), &value, sizeof(value)), sizeof(value));

	return value;
}

/* Each time with another pattern, from one half to the other. */
static void check_memcpy(struct vfio_pci_device *device, char pattern)
{
	void *src = memcpy_region.vaddr;
	u64 size = memcpy_region.size / 2;

	memset(src, pattern, size);
	memset(src + size, 0, size);

	VFIO_ASSERT_EQ(vfio_pci_driver_memcpy(device, MEMCPY_IOVA, MEMCPY_IOVA + size, size), 0);
	VFIO_ASSERT_EQ(memcmp(src, src + size, size), 0);
}

static void check_dma(struct vfio_pci_device *device, char pattern)
{
	if (!is_hlu_probe(device)) {
		check_memcpy(device, pattern);
		return;
	}

	usleep(100000);
	VFIO_ASSERT_GT(hlu_probe_check(device), 0);
}

/* That a device which runs by itself raises more is seen at its end. */
static void check_msi(struct vfio_pci_device *device)
{
	if (is_hlu_probe(device)) {
		read_msi(device);
		return;
	}

	vfio_pci_driver_send_msi(device);
	VFIO_ASSERT_EQ(read_msi(device), 1);
	VFIO_ASSERT_FALSE(msi_arrives(device, 100));
}

static void leave_msi_unread(struct vfio_pci_device *device)
{
	if (!is_hlu_probe(device))
		vfio_pci_driver_send_msi(device);

	VFIO_ASSERT_TRUE(msi_arrives(device, TIMEOUT_MS), "No interrupt\n");
}

/* --- stage 1 */

static void preserve(int luo_fd, struct vfio_pci_device *device, int region_fd, int memcpy_fd)
{
	int session = luo_create_session(luo_fd, SESSION_NAME);

	VFIO_ASSERT_GE(session, 0);
	VFIO_ASSERT_EQ(luo_session_preserve_fd(session, region_fd, REGION_TOKEN), 0);
	VFIO_ASSERT_EQ(luo_session_preserve_fd(session, memcpy_fd, MEMCPY_TOKEN), 0);
	VFIO_ASSERT_EQ(luo_session_preserve_fd(session, device->iommu->iommufd, IOMMUFD_TOKEN), 0);
	VFIO_ASSERT_EQ(luo_session_preserve_fd(session, device->fd, DEVICE_TOKEN), 0);
}

static void stage_1(int luo_fd)
{
	struct iommu *iommu = iommu_init(MODE_IOMMUFD);
	struct vfio_pci_device *device = vfio_pci_device_alloc(device_bdf, iommu);
	struct dma_region *region = &device->driver.region;
	int region_fd, memcpy_fd;
	u32 hwpt_id;

	create_state_file(luo_fd, STATE_SESSION_NAME, STATE_TOKEN, 2);

	region->iova = REGION_IOVA;
	region_fd = liveupdate_region_create(region, REGION_SIZE);
	memcpy_fd = liveupdate_region_create(&memcpy_region, MEMCPY_SIZE);
	iommu_map(iommu, region);
	iommu_map(iommu, &memcpy_region);

	vfio_pci_cdev_open(device, device_bdf);
	hwpt_id = vfio_pci_liveupdate_bind(device);
	vfio_pci_device_setup(device);
	probe_driver(device);

	vfio_pci_driver_init(device);
	check_dma(device, '1');
	check_msi(device);

	VFIO_ASSERT_EQ(sysfs_liveupdate_request(device_bdf, true), 0);
	VFIO_ASSERT_EQ(__iommufd_hwpt_mark(iommu->iommufd, hwpt_id, HWPT_TAG), 0);
	preserve(luo_fd, device, region_fd, memcpy_fd);
	check_dma(device, '2');
	leave_msi_unread(device);

	close(luo_fd);
	daemonize_and_wait();
}

/* --- stage 2 */

static int retrieve(int session, u64 token)
{
	int fd = luo_session_retrieve_fd(session, token);

	VFIO_ASSERT_GE(fd, 0, "Token %lu\n", token);
	return fd;
}

static void check_plain_open(void)
{
	const char *path = vfio_pci_get_cdev_path(device_bdf);

	VFIO_ASSERT_EQ(open(path, O_RDWR), -1, "A plain open of a preserved device succeeded\n");
	VFIO_ASSERT_EQ(errno, EBUSY);
	free((void *)path);
}

/* Nothing of this writes to the device, but for its MSI-X table. */
static struct vfio_pci_device *take_back(int session)
{
	struct iommu *iommu = iommu_init_iommufd(retrieve(session, IOMMUFD_TOKEN));
	struct vfio_pci_device *device = vfio_pci_device_alloc(device_bdf, iommu);
	struct dma_region *region = &device->driver.region;

	region->iova = REGION_IOVA;
	liveupdate_region_adopt(region, retrieve(session, REGION_TOKEN));
	liveupdate_region_adopt(&memcpy_region, retrieve(session, MEMCPY_TOKEN));
	iommu_map(iommu, region);
	iommu_map(iommu, &memcpy_region);

	device->fd = retrieve(session, DEVICE_TOKEN);
	check_plain_open();
	vfio_pci_liveupdate_reclaim(device, HWPT_TAG);
	vfio_pci_device_setup(device);
	probe_driver(device);

	return device;
}

/* The one that nobody has read in stage 1, or later ones of the same vector. */
static void check_pending_msi(struct vfio_pci_device *device)
{
	u64 count = read_msi(device);

	if (is_hlu_probe(device))
		return;

	VFIO_ASSERT_EQ(count, 1);
	VFIO_ASSERT_FALSE(msi_arrives(device, 100), "The interrupt came twice\n");
}

static void finish(int session)
{
	VFIO_ASSERT_EQ(luo_session_finish(session), 0);
	VFIO_ASSERT_EQ(close(session), 0);
}

static void stage_2(int luo_fd, int state_session)
{
	struct vfio_pci_device *device;
	int session, stage;

	restore_and_read_stage(state_session, STATE_TOKEN, &stage);
	VFIO_ASSERT_EQ(stage, 2);

	check_plain_open();
	session = luo_retrieve_session(luo_fd, SESSION_NAME);
	VFIO_ASSERT_GE(session, 0);
	device = take_back(session);

	vfio_pci_driver_resume(device);
	check_pending_msi(device);
	check_dma(device, '3');
	check_msi(device);

	vfio_pci_liveupdate_attach(device);
	check_dma(device, '4');
	check_msi(device);

	finish(session);
	finish(state_session);
	check_dma(device, '5');
	check_msi(device);

	ksft_print_msg("--- VFIO PCI KEXEC TEST PASSED ---\n");
}

int main(int argc, char *argv[])
{
	device_bdf = vfio_selftests_get_bdf(&argc, argv);

	return luo_test(argc, argv, STATE_SESSION_NAME, stage_1, stage_2);
}
