// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The journal of an update in its blackout, on disk: which VMs are under way.
 *
 * Written before guests are stopped, removed when they are let go again or have
 * arrived. When a host boots cold and finds one, it went down in the blackout,
 * and the VMs in it are lost. A journal of the same boot is left over from a
 * luod that died; its VMs were let go.
 *
 * A journal that cannot be written is logged and costs only that report.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fail.h"
#include "journal.h"
#include "protocol.h"


static const char *journal_path(char *path, size_t size)
{
	const char *dir = getenv("STATE_DIRECTORY");

	if (!dir || !*dir)
		dir = "/var/lib/luod";
	mkdir(dir, 0700);
	snprintf(path, size, "%s/update.json", dir);
	return path;
}

static void boot_id(char *id, size_t size)
{
	FILE *in = fopen("/proc/sys/kernel/random/boot_id", "re");

	id[0] = '\0';
	if (in && fgets(id, (int)size, in))
		id[strcspn(id, "\n")] = '\0';
	if (in)
		fclose(in);
}

/* Takes @sessions. */
void journal_write(struct json_object *sessions)
{
	char path[256], id[64];
	struct json_object *journal;
	const char *text;
	int fd;

	boot_id(id, sizeof(id));
	journal = msg_new("boot", id);
	json_object_object_add(journal, "sessions", sessions);
	text = json_object_to_json_string(journal);
	fd = open(journal_path(path, sizeof(path)),
		  O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, text, strlen(text)) < 0 || fsync(fd))
		say("%s: %s; a power cut would go unreported", path,
		    strerror(errno));
	if (fd >= 0)
		close(fd);
	json_object_put(journal);
}

void journal_drop(void)
{
	char path[256];

	unlink(journal_path(path, sizeof(path)));
}

/* At a start in state normal: the ids that a crash took, or NULL. */
struct json_object *journal_lost(void)
{
	struct json_object *journal, *sessions = NULL;
	char path[256], id[64];
	const char *boot;

	journal = json_object_from_file(journal_path(path, sizeof(path)));
	boot = msg_str(journal, "boot");
	boot_id(id, sizeof(id));
	if (boot && strcmp(boot, id) != 0 &&
	    json_object_object_get_ex(journal, "sessions", &sessions) &&
	    json_object_is_type(sessions, json_type_array))
		json_object_get(sessions);
	else
		sessions = NULL;
	json_object_put(journal);
	journal_drop();
	return sessions;
}
