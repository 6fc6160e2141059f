// SPDX-License-Identifier: GPL-2.0-or-later
#define _GNU_SOURCE
#include "stream.h"
#include "guest.h"

#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define COUNTERS	"/proc/net/netstat"
#define RTO_MIN		"/proc/sys/net/ipv4/tcp_rto_min_us"
/* In an emulator of an emulator a round trip may take longer than Linux's 200 ms. */
#define RTO_MIN_US	"2000000"

static struct shared {
	_Atomic uint64_t bytes, wrong, calls, retrans, gap_ms;
} *shared;

/* tests/lib/stream.py has the same. */
static uint8_t byte_at(uint64_t place)
{
	return place * 7 + (place >> 8) * 13;
}

void stream_start(void)
{
	int fd = open(RTO_MIN, O_WRONLY);

	if (fd < 0 || write(fd, RTO_MIN_US, strlen(RTO_MIN_US)) < 0)
		die(RTO_MIN);
	close(fd);
	shared = shared_memory(sizeof(*shared));
}

static void look_at_connection(int fd)
{
	struct tcp_info info = { 0 };
	socklen_t size = sizeof(info);

	if (!getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size))
		shared->retrans = info.tcpi_total_retrans;
}

static int send_back(int fd, const uint8_t *data, ssize_t size)
{
	while (size > 0) {
		ssize_t n = write(fd, data, size);

		if (n <= 0)
			return -1;
		data += n;
		size -= n;
	}
	return 0;
}

static void serve(int fd)
{
	uint64_t place = 0, last = now_us(CLOCK_MONOTONIC);
	uint8_t data[16384];
	ssize_t n;

	while ((n = read(fd, data, sizeof(data))) > 0) {
		uint64_t now = now_us(CLOCK_MONOTONIC);

		if ((now - last) / 1000 > shared->gap_ms)
			shared->gap_ms = (now - last) / 1000;
		last = now;
		for (ssize_t i = 0; i < n; i++)
			shared->wrong += data[i] != byte_at(place + i);
		place += n;
		shared->bytes += n;
		if (send_back(fd, data, n))
			return;
		look_at_connection(fd);
	}
}

void stream_work(void)
{
	const char *peer = parameter("hlu.stream=", NULL);

	if (!peer)
		for (;;)
			pause();
	network_up("igb", parameter("hlu.nic_ip=", "10.0.3.16"));
	for (;;) {
		int fd = network_call(peer);

		shared->calls++;
		serve(fd);
		close(fd);
	}
}

/*
 * "TcpExt: NAME..." and then "TcpExt: NUMBER...": the number of that place. There
 * may be none in a kernel that does not count.
 */
static uint64_t counter(const char *name)
{
	char names[8192], values[8192], *n, *v, *next_name, *next_value;
	FILE *file = fopen(COUNTERS, "re");
	uint64_t found = 0;

	while (file && fgets(names, sizeof(names), file) && fgets(values, sizeof(values), file)) {
		n = strtok_r(names, " \n", &next_name);
		v = strtok_r(values, " \n", &next_value);
		while (n && v) {
			if (!strcmp(n, name))
				found = strtoull(v, NULL, 10);
			n = strtok_r(NULL, " \n", &next_name);
			v = strtok_r(NULL, " \n", &next_value);
		}
	}
	if (file)
		fclose(file);
	return found;
}

size_t stream_answer(char *text, size_t size)
{
	return snprintf(text, size, " stream_bytes=%" PRIu64 " stream_wrong=%" PRIu64
			" stream_calls=%" PRIu64 " stream_retrans=%" PRIu64
			" stream_gap_ms=%" PRIu64 " tcp_timeouts=%" PRIu64,
			shared->bytes, shared->wrong, shared->calls, shared->retrans,
			shared->gap_ms, counter("TCPTimeouts"));
}
