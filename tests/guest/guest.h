/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the parts of the guest's one program share. */
#ifndef GUEST_H
#define GUEST_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* Says what failed, and ends this process. */
_Noreturn void die(const char *what);

/* Zeroed memory that all processes forked from now on share with this one. */
void *shared_memory(size_t size);

/* Of the kernel's command line: what follows `name`, which ends with "=". */
const char *parameter(const char *name, const char *otherwise);

uint64_t now_us(clockid_t clock);

/* Gives `ip` to the NIC of a driver, in a network of 256 addresses, and turns it on. */
void network_up(const char *driver, const char *ip);

/* Connects to IP:PORT, however long that takes; returns the socket. */
int network_call(const char *peer);

#endif
