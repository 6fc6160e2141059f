// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * monitor SOCKET COMMAND: gives a command to a QEMU's human monitor and prints
 * what that says, without the prompt. Fails when there is no such monitor, or when
 * the answer begins with "Error".
 *
 * QEMU's QMP socket is luoctl attach's alone.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PROMPT "(qemu) "

static _Noreturn void die(const char *what)
{
	perror(what);
	exit(1);
}

/* Up to the next prompt, which is left out. */
static void read_answer(int fd, char *text, size_t size)
{
	size_t len = 0;

	do {
		ssize_t n = read(fd, text + len, size - 1 - len);

		if (n <= 0)
			die("monitor: QEMU went away");
		len += n;
		text[len] = 0;
	} while (len < strlen(PROMPT) || strcmp(text + len - strlen(PROMPT), PROMPT));
	text[len - strlen(PROMPT)] = 0;
}

int main(int argc, char **argv)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	static char text[65536];
	char *answer;

	if (argc != 3) {
		fprintf(stderr, "usage: monitor SOCKET COMMAND\n");
		return 2;
	}
	snprintf(to.sun_path, sizeof(to.sun_path), "%s", argv[1]);
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)))
		die(argv[1]);
	read_answer(fd, text, sizeof(text));
	dprintf(fd, "%s\n", argv[2]);
	read_answer(fd, text, sizeof(text));
	/* what is typed is echoed, as one line */
	answer = strchr(text, '\n');
	answer = answer ? answer + 1 : text;
	fputs(answer, stdout);
	return strncmp(answer, "Error", 5) == 0;
}
