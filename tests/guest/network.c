// SPDX-License-Identifier: GPL-2.0-or-later
#define _GNU_SOURCE
#include "guest.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define NICS	"/sys/class/net"

/* The name of the interface of a driver. */
static int find(const char *driver, char name[IFNAMSIZ])
{
	DIR *folder = opendir(NICS);
	struct dirent *entry;
	int found = 0;

	while (folder && !found && (entry = readdir(folder))) {
		char path[512], target[256];
		ssize_t n;

		snprintf(path, sizeof(path), NICS "/%s/device/driver", entry->d_name);
		n = readlink(path, target, sizeof(target) - 1);
		if (n < 0)
			continue;
		target[n] = 0;
		found = !strcmp(strrchr(target, '/') + 1, driver);
		snprintf(name, IFNAMSIZ, "%.15s", entry->d_name);
	}
	if (folder)
		closedir(folder);
	return found ? 0 : -1;
}

void network_up(const char *driver, const char *ip)
{
	struct ifreq req = { 0 };
	struct sockaddr_in *addr = (struct sockaddr_in *)&req.ifr_addr;
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	errno = ENODEV;
	if (find(driver, req.ifr_name))
		die(driver);
	addr->sin_family = AF_INET;
	inet_pton(AF_INET, ip, &addr->sin_addr);
	if (ioctl(fd, SIOCSIFADDR, &req))
		die("address of a NIC");
	inet_pton(AF_INET, "255.255.255.0", &addr->sin_addr);
	if (ioctl(fd, SIOCSIFNETMASK, &req))
		die("netmask of a NIC");
	req.ifr_flags = IFF_UP | IFF_RUNNING;
	if (ioctl(fd, SIOCSIFFLAGS, &req))
		die("NIC up");
	close(fd);
}

int network_call(const char *peer)
{
	struct sockaddr_in to = { .sin_family = AF_INET };
	const char *colon = strchr(peer, ':');
	char ip[64];
	int one = 1;

	if (!colon)
		die("IP:PORT");
	snprintf(ip, sizeof(ip), "%.*s", (int)(colon - peer), peer);
	inet_pton(AF_INET, ip, &to.sin_addr);
	to.sin_port = htons(atoi(colon + 1));
	for (;;) {
		int fd = socket(AF_INET, SOCK_STREAM, 0);

		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		if (!connect(fd, (struct sockaddr *)&to, sizeof(to)))
			return fd;
		close(fd);
		usleep(200000);
	}
}
