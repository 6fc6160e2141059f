// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The plain way into another kernel, without luod:
 *
 *   kexec load KERNEL INITRD [CMDLINE]   CMDLINE: default is the running one
 *   kexec unload
 *   kexec exec                           reboot(LINUX_REBOOT_CMD_KEXEC)
 *
 * A failure prints the errno's name and number, and exits with 1.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/kexec.h>
#include <linux/reboot.h>
#include <stdio.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <unistd.h>

static int failed(const char *what)
{
	fprintf(stderr, "kexec: %s: %s (%s)\n", what, strerrorname_np(errno), strerror(errno));
	return 1;
}

static int load(const char *kernel, const char *initrd, const char *cmdline)
{
	char running[4096];
	int kernel_fd = open(kernel, O_RDONLY | O_CLOEXEC);
	int initrd_fd = open(initrd, O_RDONLY | O_CLOEXEC);

	if (kernel_fd < 0)
		return failed(kernel);
	if (initrd_fd < 0)
		return failed(initrd);
	if (!cmdline) {
		int fd = open("/proc/cmdline", O_RDONLY);
		ssize_t n = fd < 0 ? -1 : read(fd, running, sizeof(running) - 1);

		if (n < 1)
			return failed("/proc/cmdline");
		running[n] = 0;
		running[strcspn(running, "\n")] = 0;
		cmdline = running;
		close(fd);
	}
	if (syscall(SYS_kexec_file_load, kernel_fd, initrd_fd,
		    strlen(cmdline) + 1, cmdline, 0L))
		return failed("kexec_file_load");
	return 0;
}

int main(int argc, char *argv[])
{
	if ((argc == 4 || argc == 5) && !strcmp(argv[1], "load"))
		return load(argv[2], argv[3], argv[4]);
	if (argc == 2 && !strcmp(argv[1], "unload"))
		return syscall(SYS_kexec_file_load, -1, -1, 0L, NULL,
			       (long)KEXEC_FILE_UNLOAD) ? failed("unload") : 0;
	if (argc == 2 && !strcmp(argv[1], "exec"))
		return reboot(LINUX_REBOOT_CMD_KEXEC) ? failed("reboot") : 0;
	fprintf(stderr, "usage: kexec load KERNEL INITRD [CMDLINE] | unload | exec\n");
	return 2;
}
