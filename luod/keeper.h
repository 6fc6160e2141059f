/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LUOD_KEEPER_H
#define LUOD_KEEPER_H

#define KEPT_NAME_MAX	64
#define KEPT_MAX	1024

/* A session descriptor and its name. */
struct kept {
	int fd;
	char name[KEPT_NAME_MAX];
};

/* The keeper itself: respawns @worker until that ends by itself. */
int keeper_run(int (*worker)(int keeper, void *ctx), void *ctx);

/* For the worker; @keeper is its end of the socket. */
int keeper_receive(int keeper, struct kept *kept, int max);
int keeper_put(int keeper, const char *name, int fd);
int keeper_drop(int keeper, const char *name);

#endif
