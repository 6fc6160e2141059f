// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The guest: PID 1 and only program of the VM that has to live on.
 *
 * Things that an interruption would break, one process each:
 *
 *   pattern   fills hlu.fill per cent of the memory with words made from their
 *             address and a generation; then, chunk by chunk and without end,
 *             verifies and writes the next generation
 *   counter   adds one every 50 ms and keeps the longest gap
 *   line      a TCP connection to the peer outside the host, opened once;
 *             answers each request with what the others know and the clocks
 *   devices   passed through to the guest, if there are any: see devices.h
 *   disk      hlu.disk (/dev/vda), if there is one: see disk.h
 *   stream    over a NIC that is passed through, if told so: see stream.h
 *
 * The peer speaks first, line by line: "ping SEQ", "adjust MICROSECONDS" (adds to
 * CLOCK_REALTIME, once, when the guest has just booted), and "poweroff".
 *
 * Kernel command line: hlu.name= hlu.ip= hlu.peer=IP:PORT hlu.fill=PERCENT,
 * and of the stream hlu.nic_ip= hlu.stream=IP:PORT
 */
#define _GNU_SOURCE
#include "devices.h"
#include "disk.h"
#include "guest.h"
#include "stream.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#define CHUNK		(2UL << 20)
#define TICK_NS		50000000L
#define LINE		2048

/* Shared by these processes; each member has one writer. */
static struct shared {
	_Atomic uint64_t filled, passes, bad_words;		/* pattern */
	_Atomic uint64_t counter, max_gap_ms, went_back;	/* counter */
} *shared;

static char cmdline[4096];

_Noreturn void die(const char *what)
{
	dprintf(2, "workload: %s: %s\n", what, strerror(errno));
	sleep(1);
	exit(1);
}

void *shared_memory(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		die("mmap");
	return memory;
}

const char *parameter(const char *name, const char *otherwise)
{
	static char value[8][64];
	static int used;
	char *at = strstr(cmdline, name);
	char *out = value[used++ % 8];

	if (!at)
		return otherwise;
	at += strlen(name);
	snprintf(out, 64, "%.*s", (int)strcspn(at, " \n"), at);
	return out;
}

uint64_t now_us(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * 1000000ULL + ts.tv_nsec / 1000;
}

/* A generation's word at an address: any lost, moved or stale page shows. */
static uint64_t word(const uint64_t *at, uint64_t generation)
{
	uint64_t x = (uintptr_t)at + generation * 0x9e3779b97f4a7c15ULL;

	x ^= x >> 31;
	x *= 0xbf58476d1ce4e5b9ULL;
	return x ^ x >> 29;
}

static void pattern(void)
{
	struct sysinfo info;
	uint64_t *mem, per_chunk = CHUNK / sizeof(uint64_t);
	size_t size, chunks;
	useconds_t pause;

	sysinfo(&info);
	size = info.totalram / 100 * atoi(parameter("hlu.fill=", "33")) * info.mem_unit;
	chunks = size / CHUNK ? size / CHUNK : 1;
	mem = mmap(NULL, chunks * CHUNK, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (mem == MAP_FAILED)
		die("mmap");
	madvise(mem, chunks * CHUNK, MADV_HUGEPAGE);	/* fewer nested faults */
	for (uint64_t i = 0; i < chunks * per_chunk; i++)
		mem[i] = word(&mem[i], 0);
	shared->filled = chunks * CHUNK;

	/* in no hurry: every wakeup costs the emulator a millisecond */
	pause = 300000 / chunks < 10000 ? 10000 : 300000 / chunks;
	setpriority(PRIO_PROCESS, 0, 10);
	for (uint64_t generation = 0;; generation++) {
		for (size_t c = 0; c < chunks; c++) {
			uint64_t *at = mem + c * per_chunk, *end = at + per_chunk;

			for (; at < end; at++) {
				if (*at != word(at, generation))
					shared->bad_words++;
				*at = word(at, generation + 1);
			}
			usleep(pause);
		}
		shared->passes++;
	}
}

static void counter(void)
{
	const struct timespec tick = { 0, TICK_NS };
	uint64_t last = now_us(CLOCK_MONOTONIC), mine = 0;

	for (;;) {
		uint64_t now, gap;

		clock_nanosleep(CLOCK_MONOTONIC, 0, &tick, NULL);
		now = now_us(CLOCK_MONOTONIC);
		gap = (now - last) / 1000;
		if (now < last || shared->counter != mine)
			shared->went_back++;
		else if (gap > shared->max_gap_ms)
			shared->max_gap_ms = gap;
		last = now;
		shared->counter = ++mine;
	}
}

static void say(int fd, const char *format, ...)
{
	char line[LINE];
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (len >= LINE)
		len = LINE - 1;
	for (char *at = line; len > 0;) {
		ssize_t n = write(fd, at, len);

		if (n < 0 && errno != EINTR)
			return;		/* the reader sees the end, too */
		if (n > 0) {
			at += n;
			len -= n;
		}
	}
}

/* Kernel messages that a healthy guest does not have, as "problem TEXT" lines. */
static void say_problems(int fd, int kmsg)
{
	static const char * const signs[] = {
		"WARNING:", "BUG:", "Oops", "Call Trace", "soft lockup", "hung_task",
		"blocked for more", "detected stall", "self-detected", "unstable", "I/O error",
		"NETDEV WATCHDOG", "timeout", "timed out", "stuck", "Unit Hang", "Reset adapter",
		"Link is Down",
	};
	char record[2048];
	ssize_t n;

	while ((n = read(kmsg, record, sizeof(record) - 1)) > 0) {
		char *text;
		bool bad;

		record[n] = 0;
		record[strcspn(record, "\n")] = 0;
		text = strchr(record, ';');
		if (!text)
			continue;
		bad = (atoi(record) & 7) <= 2;
		for (size_t i = 0; i < sizeof(signs) / sizeof(*signs); i++)
			bad |= strstr(text, signs[i]) != NULL;
		if (bad)
			say(fd, "problem %.400s\n", text + 1);
	}
}

static void answer(int fd, int kmsg, char *request)
{
	long long number = 0;

	if (sscanf(request, "adjust %lld", &number) == 1) {
		uint64_t now = now_us(CLOCK_REALTIME) + number;
		struct timespec ts = { now / 1000000, now % 1000000 * 1000 };

		clock_settime(CLOCK_REALTIME, &ts);
	} else if (!strcmp(request, "poweroff")) {
		sync();
		reboot(RB_POWER_OFF);
	} else if (sscanf(request, "ping %lld", &number) == 1) {
		uint64_t real = now_us(CLOCK_REALTIME);
		char devices[LINE / 2], disk[LINE / 4], stream[LINE / 4];

		devices_answer(devices, sizeof(devices));
		disk_answer(disk, sizeof(disk));
		stream_answer(stream, sizeof(stream));
		say_problems(fd, kmsg);
		say(fd, "pong seq=%lld real_us=%" PRIu64 " mono_us=%" PRIu64
		    " boot_us=%" PRIu64 " filled=%" PRIu64 " passes=%" PRIu64
		    " bad=%" PRIu64 " counter=%" PRIu64 " max_gap_ms=%" PRIu64
		    " went_back=%" PRIu64 "%s%s%s\n", number, real,
		    now_us(CLOCK_MONOTONIC), now_us(CLOCK_BOOTTIME), shared->filled,
		    shared->passes, shared->bad_words, shared->counter,
		    shared->max_gap_ms, shared->went_back, devices, disk, stream);
	}
}

static void line(void)
{
	const char *name = parameter("hlu.name=", "vm");
	int kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
	char boot_id[64] = "?", in[LINE];
	struct utsname u;
	int fd, id = open("/proc/sys/kernel/random/boot_id", O_RDONLY);

	if (read(id, boot_id, sizeof(boot_id) - 1) > 0)
		boot_id[strcspn(boot_id, "\n")] = 0;
	uname(&u);
	for (;;) {
		size_t len = 0;
		ssize_t n;

		fd = network_call(parameter("hlu.peer=", "10.0.2.2:1"));
		say(fd, "hello %s %s %s\n", name, boot_id, u.release);
		while ((n = read(fd, in + len, sizeof(in) - 1 - len)) > 0) {
			char *eol;

			len += n;
			in[len] = 0;
			while ((eol = strchr(in, '\n'))) {
				*eol = 0;
				answer(fd, kmsg, in);
				len -= eol + 1 - in;
				memmove(in, eol + 1, len + 1);
			}
		}
		close(fd);
	}
}

static void start(void (*work)(void))
{
	switch (fork()) {
	case -1:
		die("fork");
	case 0:
		work();
		exit(1);
	}
}

int main(void)
{
	int fd;

	mount("proc", "/proc", "proc", 0, NULL);
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	fd = open("/proc/cmdline", O_RDONLY);
	if (fd < 0 || read(fd, cmdline, sizeof(cmdline) - 1) < 0)
		die("/proc/cmdline");
	close(fd);
	signal(SIGPIPE, SIG_IGN);
	shared = shared_memory(sizeof(*shared));
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	network_up("virtio_net", parameter("hlu.ip=", "10.0.2.16"));
	devices_start();
	disk_start();
	stream_start();
	start(devices_watch);
	start(disk_work);
	start(stream_work);
	start(pattern);
	start(counter);
	line();
	return 0;
}
