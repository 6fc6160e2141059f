// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * limit run KIB COMMAND...   becomes COMMAND, which may lock so much memory, root or
 *                            not
 * limit none PID             from now on that process may lock as much as it wants
 */
#define _GNU_SOURCE
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

static int set(pid_t pid, rlim_t bytes)
{
	struct rlimit limit = { bytes, bytes };

	return prlimit(pid, RLIMIT_MEMLOCK, &limit, NULL);
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "none")) {
		if (!set(atoi(argv[2]), RLIM_INFINITY))
			return 0;
	} else if (argc > 3 && !strcmp(argv[1], "run")) {
		/* with it root is not limited; what is executed does not get it */
		if (!prctl(PR_CAPBSET_DROP, CAP_IPC_LOCK) && !set(0, atol(argv[2]) << 10))
			execvp(argv[3], argv + 3);
	}
	perror("limit");
	return 1;
}
