// SPDX-License-Identifier: GPL-2.0-or-later
#define _GNU_SOURCE
#include "relay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define MAX_TEXT	16384
#define MAX_ARGS	8

static int failed(FILE *out, const char *what)
{
	fprintf(out, "%s: %s: %s (%s)\n", program_invocation_short_name, what,
		strerrorname_np(errno), strerror(errno));
	return 1;
}

/* A request is arguments, each with its NUL; an answer, a status and a text. */
static void serve_one(int client, relay_fn *run)
{
	char request[MAX_TEXT], *argv[MAX_ARGS], *text;
	ssize_t n = recv(client, request, sizeof(request) - 1, 0);
	const char *what;
	FILE *answer;
	size_t size;
	int argc = 0;

	if (n <= 0)
		return;
	request[n] = '\0';
	for (char *at = request; at < request + n && argc < MAX_ARGS; at += strlen(at) + 1)
		argv[argc++] = at;
	answer = open_memstream(&text, &size);
	if (!answer)
		return;
	fputc('0', answer);
	what = run(argc, argv, answer);
	if (what)
		failed(answer, what);
	fclose(answer);
	if (what)
		text[0] = '1';
	send(client, text, size, MSG_NOSIGNAL);
	free(text);
}

static int open_socket(const char *path, struct sockaddr_un *at)
{
	*at = (struct sockaddr_un){ .sun_family = AF_UNIX };
	snprintf(at->sun_path, sizeof(at->sun_path), "%s", path);
	return socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
}

int relay_serve(const char *path, relay_fn *run)
{
	struct sockaddr_un at;
	int listener = open_socket(path, &at);

	unlink(path);
	if (bind(listener, (struct sockaddr *)&at, sizeof(at)) || listen(listener, 8))
		return failed(stderr, path);
	for (;;) {
		int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

		if (client < 0)
			return failed(stderr, "accept");
		serve_one(client, run);
		close(client);
	}
}

int relay_ask(const char *path, int argc, char **argv)
{
	char text[MAX_TEXT];
	struct sockaddr_un at;
	int server = open_socket(path, &at);
	size_t size = 0;
	ssize_t n;

	for (int i = 0; i < argc && size + strlen(argv[i]) < sizeof(text); i++)
		size += snprintf(text + size, sizeof(text) - size, "%s", argv[i]) + 1;
	if (connect(server, (struct sockaddr *)&at, sizeof(at)))
		return failed(stderr, path);
	if (send(server, text, size, 0) < 0)
		return failed(stderr, "send");
	n = recv(server, text, sizeof(text), 0);
	if (n <= 0)
		return failed(stderr, "no answer");
	fwrite(text + 1, 1, n - 1, text[0] == '0' ? stdout : stderr);
	return text[0] != '0';
}
