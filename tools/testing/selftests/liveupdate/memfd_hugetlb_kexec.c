// SPDX-License-Identifier: GPL-2.0
/*
 * A memfd of huge pages over a kexec, in two stages as luo_kexec_simple: its data,
 * its pages in the pool before and after it is retrieved, and a mapping of it that
 * reserves nothing more.
 */

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <libliveupdate.h>

#define STATE_SESSION_NAME	"memfd_hugetlb_state"
#define STATE_TOKEN		999
#define SESSION_NAME		"memfd_hugetlb"
#define TOKEN			0x2d
#define PAGES			4
#define PAGE_2M			(2UL << 20)
#define SIZE			(PAGES * PAGE_2M)
#define HUGETLB			0x0004U		/* MFD_HUGETLB */

static long pool(const char *name)
{
	char text[4096] = "";
	int fd = open("/proc/meminfo", O_RDONLY);
	char *at;

	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		fail_exit("/proc/meminfo");
	close(fd);
	at = strstr(text, name);
	if (!at)
		fail_exit("no %s in /proc/meminfo", name);

	return strtol(at + strlen(name), NULL, 10);
}

static void expect_pool(const char *when, long nr, long free, long resv, long surplus)
{
	if (pool("HugePages_Total:") != nr || pool("HugePages_Free:") != free ||
	    pool("HugePages_Rsvd:") != resv || pool("HugePages_Surp:") != surplus)
		fail_exit("%s: %ld pages, %ld free, %ld reserved, %ld surplus", when,
			  pool("HugePages_Total:"), pool("HugePages_Free:"),
			  pool("HugePages_Rsvd:"), pool("HugePages_Surp:"));
}

static unsigned long *map(int fd)
{
	unsigned long *at = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (at == MAP_FAILED)
		fail_exit("mmap");

	return at;
}

static void run_stage_1(int luo_fd)
{
	int fd, session, nr;
	unsigned long *at;
	size_t i;

	create_state_file(luo_fd, STATE_SESSION_NAME, STATE_TOKEN, 2);

	nr = open("/proc/sys/vm/nr_hugepages", O_WRONLY);
	if (nr < 0 || write(nr, "4\n", 2) != 2)
		fail_exit("set up the pool");
	close(nr);
	expect_pool("[STAGE 1] at first", PAGES, PAGES, 0, 0);

	fd = syscall(__NR_memfd_create, "memfd_hugetlb_kexec", HUGETLB);
	if (fd < 0 || ftruncate(fd, SIZE))
		fail_exit("memfd");
	at = map(fd);
	for (i = 0; i < SIZE / sizeof(*at); i++)
		at[i] = i + 1;
	expect_pool("[STAGE 1] filled", PAGES, 0, 0, 0);

	session = luo_create_session(luo_fd, SESSION_NAME);
	if (session < 0 || luo_session_preserve_fd(session, fd, TOKEN))
		fail_exit("preserve");

	close(luo_fd);
	daemonize_and_wait();
}

static void run_stage_2(int luo_fd, int state_session)
{
	int fd, session, stage;
	unsigned long *at;
	size_t i;

	restore_and_read_stage(state_session, STATE_TOKEN, &stage);
	if (stage != 2)
		fail_exit("Expected stage 2, but state file contains %d", stage);

	/* nobody has asked this kernel for any */
	expect_pool("[STAGE 2] not retrieved", PAGES, 0, 0, PAGES);

	session = luo_retrieve_session(luo_fd, SESSION_NAME);
	if (session < 0)
		fail_exit("luo_retrieve_session");
	fd = luo_session_retrieve_fd(session, TOKEN);
	if (fd < 0)
		fail_exit("luo_session_retrieve_fd");
	at = map(fd);
	expect_pool("[STAGE 2] mapped", PAGES, 0, 0, PAGES);
	for (i = 0; i < SIZE / sizeof(*at); i++) {
		if (at[i] != i + 1)
			fail_exit("word %zu is %#lx", i, at[i]);
	}

	munmap(at, SIZE);
	close(fd);
	expect_pool("[STAGE 2] held by the session", PAGES, 0, 0, PAGES);
	if (luo_session_finish(session) < 0)
		fail_exit("finish");
	close(session);
	expect_pool("[STAGE 2] finished", 0, 0, 0, 0);

	if (luo_session_finish(state_session) < 0)
		fail_exit("finish of the state");
	close(state_session);

	ksft_print_msg("\n--- MEMFD_HUGETLB KEXEC TEST PASSED ---\n");
}

int main(int argc, char *argv[])
{
	return luo_test(argc, argv, STATE_SESSION_NAME, run_stage_1, run_stage_2);
}
