// SPDX-License-Identifier: GPL-2.0-or-later
#include "luo.h"

#include <fcntl.h>
#include <linux/liveupdate.h>
#include <stdio.h>
#include <sys/ioctl.h>

static int device(void)
{
	static int fd = -1;

	if (fd < 0)
		fd = open("/dev/liveupdate", O_RDWR | O_CLOEXEC);
	return fd;
}

const char *luo_create(const char *name, int *session)
{
	struct liveupdate_ioctl_create_session arg = { .size = sizeof(arg) };

	snprintf((char *)arg.name, sizeof(arg.name), "%s", name);
	if (ioctl(device(), LIVEUPDATE_IOCTL_CREATE_SESSION, &arg))
		return "CREATE_SESSION";
	*session = arg.fd;
	return NULL;
}

const char *luo_preserve(int session, uint64_t token, int fd)
{
	struct liveupdate_session_preserve_fd arg = {
		.size = sizeof(arg),
		.token = token,
		.fd = fd,
	};

	return ioctl(session, LIVEUPDATE_SESSION_PRESERVE_FD, &arg) ? "PRESERVE_FD" : NULL;
}

const char *luo_retrieve_session(const char *name, int *session)
{
	struct liveupdate_ioctl_retrieve_session arg = { .size = sizeof(arg) };

	snprintf((char *)arg.name, sizeof(arg.name), "%s", name);
	if (ioctl(device(), LIVEUPDATE_IOCTL_RETRIEVE_SESSION, &arg))
		return "RETRIEVE_SESSION";
	*session = arg.fd;
	return NULL;
}

const char *luo_retrieve(int session, uint64_t token, int *fd)
{
	struct liveupdate_session_retrieve_fd arg = { .size = sizeof(arg), .token = token };

	if (ioctl(session, LIVEUPDATE_SESSION_RETRIEVE_FD, &arg))
		return "RETRIEVE_FD";
	*fd = arg.fd;
	return NULL;
}

const char *luo_finish(int session)
{
	struct liveupdate_session_finish arg = { .size = sizeof(arg) };

	return ioctl(session, LIVEUPDATE_SESSION_FINISH, &arg) ? "SESSION_FINISH" : NULL;
}
