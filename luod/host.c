// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The host: the kernel's update state in sysfs, kexec_file_load(2) and
 * reboot(2).
 *
 * Nothing here decides anything; a kernel's refusal comes back as its errno.
 * host_jump() returns only when the kernel refused to go.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/kexec.h>
#include <linux/reboot.h>

#include "host.h"

#define SYSFS	"/sys/kernel/liveupdate/"

static const char * const state_names[] = {
	[HOST_NONE] = "none",
	[HOST_NORMAL] = "normal",
	[HOST_PREPARED] = "prepared",
	[HOST_UPDATED] = "updated",
};

static int file_read(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got;

	if (fd < 0)
		return -errno;
	got = read(fd, buf, size - 1);
	if (got < 0)
		got = -errno;
	close(fd);
	if (got < 0)
		return (int)got;
	buf[got] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
	return 0;
}

static int file_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int err = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		err = -errno;
	close(fd);
	return err;
}

enum host_state host_state(void)
{
	char buf[32];

	if (!file_read(SYSFS "state", buf, sizeof(buf)))
		for (int i = HOST_NORMAL; i <= HOST_UPDATED; i++)
			if (!strcmp(buf, state_names[i]))
				return (enum host_state)i;
	return HOST_NONE;
}

const char *host_state_name(void)
{
	return state_names[host_state()];
}

int host_sync(void)
{
	sync();
	return 0;
}

/* The first sync is done while guests run, so that the last one is short. */
int host_prepare(void)
{
	sync();
	return file_write(SYSFS "prepare", "1");
}

/* EBUSY: there is nothing to cancel. */
int host_cancel(void)
{
	int err = file_write(SYSFS "prepare", "0");

	return err == -EBUSY || err == -ENOENT ? 0 : err;
}

int host_finish(void)
{
	return file_write(SYSFS "finish", "1");
}

/* A missing @cmdline is the running kernel's, a missing @initrd none. */
int host_load(int kernel, const char *initrd, const char *cmdline,
	      struct fail *f)
{
	unsigned long flags = initrd ? 0 : KEXEC_FILE_NO_INITRAMFS;
	char running[4096];
	int fd = -1, err = 0;

	if (!cmdline) {
		err = file_read("/proc/cmdline", running, sizeof(running));
		if (err)
			return fail(f, -err, "/proc/cmdline: %s", strerror(-err));
		cmdline = running;
	}
	if (initrd) {
		fd = open(initrd, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return fail(f, errno, "initrd %s: %s", initrd,
				    strerror(errno));
	}
	if (syscall(SYS_kexec_file_load, kernel, fd, strlen(cmdline) + 1,
		    cmdline, flags))
		err = fail(f, errno,
			   "kexec_file_load: %s; the kernel log says more",
			   strerror(errno));
	if (fd >= 0)
		close(fd);
	return err;
}

bool host_loaded(void)
{
	char buf[8];

	if (file_read("/sys/kernel/kexec/loaded", buf, sizeof(buf)) &&
	    file_read("/sys/kernel/kexec_loaded", buf, sizeof(buf)))
		return false;
	return !strcmp(buf, "1");
}

int host_jump(void)
{
	reboot((int)LINUX_REBOOT_CMD_KEXEC);
	return -errno;
}
