// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Prints this machine's TSC frequency in kHz. The emulated host reads the same
 * counter, but measures it with emulated timers while it boots, up to 0.2 %
 * wrong; a physical host knows it to some millionths. So the harness tells.
 */
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <x86intrin.h>

/* The pair read in the shortest time out of many: no interruption in between. */
static void read_both(uint64_t *tsc, uint64_t *ns)
{
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < 1000; i++) {
		uint64_t before = __rdtsc();
		struct timespec ts;
		uint64_t after;

		clock_gettime(CLOCK_MONOTONIC_RAW, &ts);
		after = __rdtsc();
		if (after - before >= best)
			continue;
		best = after - before;
		*tsc = before + best / 2;
		*ns = ts.tv_sec * 1000000000ULL + ts.tv_nsec;
	}
}

int main(void)
{
	const struct timespec pause = { 0, 300000000 };
	uint64_t tsc[2], ns[2];

	read_both(&tsc[0], &ns[0]);
	nanosleep(&pause, NULL);
	read_both(&tsc[1], &ns[1]);
	printf("%.0f\n", (double)(tsc[1] - tsc[0]) * 1e6 / (double)(ns[1] - ns[0]));
	return 0;
}
