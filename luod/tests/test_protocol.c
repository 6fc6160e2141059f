// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Promise: whatever bytes a peer sends, in whatever pieces, each good line is
 * one message, each bad line one error, an endless line ends the connection,
 * and descriptors come with their messages and never leak.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "protocol.h"
#include "tap.h"

static struct chan us, them;

static void pair_open(void)
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds))
		exit(1);
	chan_init(&us, fds[0]);
	chan_init(&them, fds[1]);
}

static void pair_close(void)
{
	chan_close(&us);
	chan_close(&them);
}

static void put(const char *bytes, size_t len)
{
	if (write(them.fd, bytes, len) != (ssize_t)len)
		exit(1);
}

/* What becomes of one line: 1, 0 or the error. */
static int line(const char *text)
{
	struct json_object *msg;
	int ret;

	pair_open();
	put(text, strlen(text));
	chan_fill(&us);
	ret = chan_next(&us, &msg);
	json_object_put(msg);
	pair_close();
	return ret;
}

static void test_lines(void)
{
	static const char deep[] =
		"{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":"
		"{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":1"
		"}}}}}}}}}}}}}}}}}\n";
	static const char * const bad[] = {
		"\n", "x\n", "[]\n", "1\n", "null\n", "\"verb\"\n", "{\n",
		"{}}\n", "{} {}\n", "{\"a\":}\n", "{\"a\":1,}\n",
		"{\"a\":\"\xff\xfe\"}\n", "{\"a\":nan}\n", "{\"a\":tru}\n",
		deep,
	};
	bool all = true;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		if (line(bad[i]) != -EBADMSG) {
			printf("# accepted: %s", bad[i]);
			all = false;
		}
	ok(all, "malformed lines are EBADMSG");
	ok(line("{\"verb\":\"STATUS\"}\r\n") == 1, "a carriage return is nothing");
	ok(line("{\"verb\":\"STATUS\"}") == 0, "half a line is no message");
}

static void test_nul(void)
{
	static const char text[] = "{\"a\":1}\0{}\n";
	struct json_object *msg;

	pair_open();
	put(text, sizeof(text) - 1);
	chan_fill(&us);
	ok(chan_next(&us, &msg) == -EBADMSG, "nothing hides behind a NUL");
	pair_close();
}

static void test_pieces(void)
{
	static const char two[] = "{\"a\":1}\nx\n{\"b\":2}\n";
	int good = 0, bad = 0;
	struct json_object *msg;

	pair_open();
	for (size_t i = 0; i < sizeof(two) - 1; i++) {
		int ret;

		put(two + i, 1);
		chan_fill(&us);
		while ((ret = chan_next(&us, &msg))) {
			good += ret == 1;
			bad += ret == -EBADMSG;
			json_object_put(msg);
		}
	}
	ok(good == 2 && bad == 1, "byte by byte, with a bad line between");
	pair_close();
}

static void test_oversize(void)
{
	static char big[CHAN_LINE_MAX + 1];
	struct json_object *msg;
	int ret = 0;

	memset(big, ' ', sizeof(big));
	pair_open();
	for (size_t done = 0; done < sizeof(big) && !ret; done += 4096) {
		if (done < CHAN_LINE_MAX)
			put(big + done, 4096);
		ret = chan_fill(&us);
		ret = ret < 0 ? ret : chan_next(&us, &msg);
	}
	ok(ret == -EMSGSIZE, "an endless line is EMSGSIZE");
	pair_close();
}

static int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static void test_fds(void)
{
	int before = count_fds(), fd = memfd_create("x", MFD_CLOEXEC), got;
	struct json_object *msg;
	char buf[2] = "";

	pair_open();
	ok(write(fd, "y", 1) == 1, "something to recognise it by");
	chan_send(&them, msg_new("event", "A"), -1);
	chan_send(&them, msg_new("event", "B"), fd);
	ok(chan_wait(&us, &msg, 1000) == 1 && !strcmp(msg_str(msg, "event"), "A"),
	   "first message");
	json_object_put(msg);
	ok(chan_wait(&us, &msg, 1000) == 1 && !strcmp(msg_str(msg, "event"), "B"),
	   "second message");
	json_object_put(msg);
	got = chan_take_fd(&us);
	ok(got >= 0 && pread(got, buf, 1, 0) == 1 && buf[0] == 'y',
	   "its descriptor came with it");
	close(got);
	ok(chan_take_fd(&us) == -1, "and no other");

	for (int i = 0; i < 20; i++) {
		chan_send(&them, msg_new("event", "C"), fd);
		chan_wait(&us, &msg, 1000);
		json_object_put(msg);
	}
	close(fd);
	pair_close();
	ok(count_fds() == before, "surplus descriptors do not leak");
}

static void test_peer(void)
{
	struct json_object *msg;
	int err = 0;

	pair_open();
	ok(chan_wait(&us, &msg, 10) == -ETIMEDOUT, "silence is ETIMEDOUT");
	for (int i = 0; i < 100000 && !err; i++)
		err = chan_send(&us, msg_new("event", "FREEZE"), -1);
	ok(err == -EAGAIN, "a peer that does not read does not block us");
	chan_close(&them);
	ok(chan_send(&us, msg_new("event", "FREEZE"), -1) == -EPIPE,
	   "a dead peer is EPIPE, not a signal");
	ok(chan_wait(&us, &msg, 1000) == -ECONNRESET, "its end is ECONNRESET");
	pair_close();
}

static void test_fuzz(void)
{
	static const char some[] = "{}[]\":,\\u0041tfn1-e \n\r\t\0ab";
	struct json_object *msg;
	char bytes[512];

	srand(3);
	pair_open();
	for (int i = 0; i < 20000; i++) {
		size_t len = 1 + (size_t)rand() % sizeof(bytes);
		int ret;

		for (size_t j = 0; j < len; j++)
			bytes[j] = some[(size_t)rand() % (sizeof(some) - 1)];
		if (i % 4 == 0)
			memset(bytes + len / 2, rand() % 128, 1);
		put(bytes, len);
		ret = chan_fill(&us);
		while (ret > 0 && (ret = chan_next(&us, &msg))) {
			ret = ret == -EMSGSIZE ? ret : 1;
			json_object_put(msg);
		}
		if (ret < 0)
			us.len = us.seen = 0;
	}
	ok(true, "20000 random writes do no harm");
	pair_close();
}

static void test_id(void)
{
	ok(id_valid("vm-1_a.B") && id_valid("x") &&
	   id_valid("0123456789012345678901234567890123456789"), "good ids");
	ok(!id_valid(NULL) && !id_valid("") && !id_valid("luod") &&
	   !id_valid("a b") && !id_valid("a/b") && !id_valid("\xc3\xa4") &&
	   !id_valid("01234567890123456789012345678901234567890"), "bad ids");
}

static void test_members(void)
{
	struct json_object *msg = json_tokener_parse(
		"{\"s\":\"x\",\"n\":7,\"b\":true,\"f\":1.5}");

	ok(!strcmp(msg_str(msg, "s"), "x") && !msg_str(msg, "n") &&
	   !msg_str(msg, "none"), "a string is a string");
	ok(msg_int(msg, "n", 1) == 7 && msg_int(msg, "none", 1) == 1 &&
	   msg_int(msg, "s", 1) == -1 && msg_int(msg, "f", 1) == -1,
	   "a number is a number");
	ok(msg_true(msg, "b") && !msg_true(msg, "n") && !msg_true(NULL, "b"),
	   "true is true");
	json_object_put(msg);
}

int main(void)
{
	test_lines();
	test_nul();
	test_pieces();
	test_oversize();
	test_fds();
	test_peer();
	test_fuzz();
	test_id();
	test_members();
	return tap_done();
}
