// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A client of luod that is as slow as a test wants: it stops an update at a
 * phase of the test's choosing.
 *
 *   holdup ID    writes to /run/holdup/ID: "subscribed", then the name of each
 *                event; answers READY to START_PRESERVATION and FREEZE once
 *                /run/holdup/ID.EVENT.go exists, FAILED once ID.EVENT.fail does.
 *                After an update it claims its session and says READY.
 *
 * It preserves nothing. Descriptors that come with a message fall away.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define FOLDER "/run/holdup"

static const char *id;
static FILE *from, *notes;

static void note(const char *text)
{
	fprintf(notes, "%s\n", text);
	fflush(notes);
}

/* `more` is the rest of the object, such as the event that is answered. */
static void say(const char *verb, const char *more)
{
	char text[256];
	int len = snprintf(text, sizeof(text), "{\"verb\":\"%s\",\"id\":\"%s\"%s}\n",
			   verb, id, more);

	if (write(fileno(from), text, len) != len) {
		perror("holdup: write");
		exit(1);
	}
}

static bool there(const char *event, const char *what)
{
	char path[256];

	snprintf(path, sizeof(path), FOLDER "/%s.%s.%s", id, event, what);
	return !access(path, F_OK);
}

/* Waits for the test's word; a message that comes first goes before it. */
static void decide(const char *event)
{
	char more[128];

	while (!there(event, "go") && !there(event, "fail")) {
		char peek;

		if (recv(fileno(from), &peek, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 || errno != EAGAIN)
			return;
		usleep(10000);
	}
	snprintf(more, sizeof(more), ",\"event\":\"%s\"%s", event,
		 there(event, "go") ? "" : ",\"reason\":\"holdup was told to fail\"");
	say(there(event, "go") ? "READY" : "FAILED", more);
}

int main(int argc, char *argv[])
{
	struct sockaddr_un at = { .sun_family = AF_UNIX, .sun_path = "/run/luod/liveupdate.sock" };
	char line[65536], path[128];
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	if (argc != 2)
		return 2;
	id = argv[1];
	mkdir(FOLDER, 0755);
	snprintf(path, sizeof(path), FOLDER "/%s", id);
	notes = fopen(path, "w");
	if (!notes || connect(fd, (struct sockaddr *)&at, sizeof(at))) {
		perror("holdup");
		return 1;
	}
	from = fdopen(fd, "r+");
	setvbuf(from, NULL, _IONBF, 0);
	say("SUBSCRIBE", "");
	while (fgets(line, sizeof(line), from)) {
		/* events with their quotes, for reasons name some, too */
		if (strstr(line, "\"incoming\"") && strstr(line, "true")) {
			note("incoming");
			say("CLAIM", "");
			say("READY", "");
		} else if (strstr(line, "\"START_PRESERVATION\"")) {
			note("START_PRESERVATION");
			decide("START_PRESERVATION");
		} else if (strstr(line, "\"FREEZE\"")) {
			note("FREEZE");
			decide("FREEZE");
		} else if (strstr(line, "\"CANCEL\"")) {
			note("CANCEL");
			say("READY", ",\"event\":\"CANCEL\"");
		} else if (strstr(line, "error")) {
			note(line);
		} else {
			note("ok");
		}
	}
	note("end");
	return 0;
}
