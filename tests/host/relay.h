/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A program that stays, and does what it is asked by short-lived ones: the
 * commands of a shell script that need a state.
 */
#ifndef RELAY_H
#define RELAY_H

#include <stdio.h>

/*
 * What a command does: prints its answer. Returns NULL, or the name of the step
 * that failed, and errno.
 */
typedef const char *relay_fn(int argc, char **argv, FILE *answer);

/* Both return an exit status. */
int relay_serve(const char *path, relay_fn *run);
int relay_ask(const char *path, int argc, char **argv);

#endif
