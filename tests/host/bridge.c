// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * bridge add BRIDGE: makes a bridge.  bridge join BRIDGE LINK: adds a port.
 * (busybox's ip cannot, and Debian's brings a dozen libraries.)
 */
#include <errno.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

int main(int argc, char *argv[])
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	struct ifreq req = { 0 };
	int err = -1;

	if (argc == 3 && !strcmp(argv[1], "add")) {
		err = ioctl(fd, SIOCBRADDBR, argv[2]);
	} else if (argc == 4 && !strcmp(argv[1], "join")) {
		snprintf(req.ifr_name, IFNAMSIZ, "%s", argv[2]);
		req.ifr_ifindex = if_nametoindex(argv[3]);
		err = ioctl(fd, SIOCBRADDIF, &req);
	} else {
		fprintf(stderr, "usage: bridge add BRIDGE | bridge join BRIDGE LINK\n");
		return 2;
	}
	if (err) {
		fprintf(stderr, "bridge: %s %s: %s\n", argv[1], argv[argc - 1], strerror(errno));
		return 1;
	}
	return 0;
}
