// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * luoctl: luod's command line.
 *
 * Exit status: 0 done, 1 refused or failed (one line on stderr says what and
 * the errno's name), 2 wrong usage. `update` does not come back from an update
 * that works: the kernel it runs on is gone.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "image.h"
#include "luoctl.h"
#include "protocol.h"

struct load {
	const char *kernel;
	const char *initrd;
	const char *cmdline;
	bool reuse;
	int timeout;
	bool json;
};

static struct chan luod;

static int refused(const char *name, const char *reason)
{
	say("%s (%s)", reason ? reason : "no reason given",
	    name ? name : "EPROTO");
	return 1;
}

static int luod_connect(void)
{
	int err = chan_connect(&luod, luod_socket());

	if (err)
		say("%s: %s; is luod running? (%s)", luod_socket(),
		    strerror(-err), fail_name(-err));
	return err;
}

/* Sends @request and waits for its answer, NULL when there will be none. */
static struct json_object *ask(struct json_object *request)
{
	struct json_object *answer = NULL;
	int err = chan_send(&luod, request, -1);

	if (!err)
		err = chan_wait(&luod, &answer, -1);
	if (err >= 0)
		return answer;
	say("luod went away; see luoctl status (%s)", fail_name(-err));
	return NULL;
}

static int is_ok(struct json_object *answer)
{
	const char *status = msg_str(answer, "status");

	return status && !strcmp(status, "ok");
}

/* Exit status of a request that answers with nothing but a status. */
static int ask_plain(struct json_object *request)
{
	struct json_object *answer = ask(request);
	int ret = 1;

	if (is_ok(answer))
		ret = 0;
	else if (answer)
		refused(msg_str(answer, "errno"), msg_str(answer, "reason"));
	json_object_put(answer);
	return ret;
}

static int options(struct load *l, int argc, char **argv, const char *allowed)
{
	static const struct option longopts[] = {
		{ "kernel", required_argument, NULL, 'k' },
		{ "initrd", required_argument, NULL, 'i' },
		{ "cmdline", required_argument, NULL, 'c' },
		{ "reuse-cmdline", no_argument, NULL, 'r' },
		{ "timeout", required_argument, NULL, 't' },
		{ "json", no_argument, NULL, 'j' },
		{ 0 },
	};
	char *end;
	int opt;

	while ((opt = getopt_long(argc, argv, "", longopts, NULL)) != -1) {
		if (!strchr(allowed, opt))
			return 2;
		if (opt == 'k')
			l->kernel = optarg;
		else if (opt == 'i')
			l->initrd = optarg;
		else if (opt == 'c')
			l->cmdline = optarg;
		else if (opt == 'r')
			l->reuse = true;
		else if (opt == 'j')
			l->json = true;
		else
			l->timeout = (int)strtol(optarg, &end, 10);
		if (opt == 't' && (*end || l->timeout < 1))
			return 2;
	}
	return l->reuse && l->cmdline ? 2 : 0;
}

static void add_path(struct json_object *msg, const char *key, const char *path)
{
	char *full = realpath(path, NULL);

	msg_add(msg, key, full ? full : path);
	free(full);
}

static int load(const struct load *l)
{
	struct json_object *msg = msg_new("verb", "LOAD");

	add_path(msg, "kernel", l->kernel);
	if (l->initrd)
		add_path(msg, "initrd", l->initrd);
	if (l->cmdline)
		msg_add(msg, "cmdline", l->cmdline);
	return ask_plain(msg);
}

static int cmd_load(int argc, char **argv)
{
	struct load l = { 0 };

	if (options(&l, argc, argv, "icr") || optind != argc - 1)
		return 2;
	l.kernel = argv[optind];
	return luod_connect() ? 1 : load(&l);
}

/* After the ok: either this process ends with its kernel, or the news is bad. */
static int update_wait(void)
{
	struct json_object *msg;
	int err = chan_wait(&luod, &msg, -1);

	if (err < 0)
		return refused(fail_name(-err), "luod went away at the jump; see luoctl status");
	refused(msg_str(msg, "errno"), msg_str(msg, "reason"));
	json_object_put(msg);
	return 1;
}

static int cmd_update(int argc, char **argv)
{
	struct load l = { .timeout = 30 };
	struct json_object *msg;

	if (options(&l, argc, argv, "kicrt") || optind != argc ||
	    (!l.kernel && (l.initrd || l.cmdline || l.reuse)))
		return 2;
	if (luod_connect() || (l.kernel && load(&l)))
		return 1;
	msg = msg_new("verb", "UPDATE");
	json_object_object_add(msg, "timeout", json_object_new_int(l.timeout));
	return ask_plain(msg) ? 1 : update_wait();
}

static int cmd_abort(int argc, char **argv)
{
	(void)argv;
	if (argc != 1)
		return 2;
	return luod_connect() ? 1 : ask_plain(msg_new("verb", "ABORT"));
}

static void print_member(struct json_object *answer, const char *key)
{
	struct json_object *value = NULL;

	json_object_object_get_ex(answer, key, &value);
	printf("%-11s %s\n", key, !value ? "-" :
	       json_object_is_type(value, json_type_string) ?
	       json_object_get_string(value) :
	       json_object_to_json_string(value));
}

static int cmd_status(int argc, char **argv)
{
	static const char * const keys[] = {
		"state", "phase", "loaded", "clients", "sessions", "lost",
		"last_error",
	};
	struct json_object *answer;
	struct load l = { 0 };

	if (options(&l, argc, argv, "j") || optind != argc)
		return 2;
	if (luod_connect())
		return 1;
	answer = ask(msg_new("verb", "STATUS"));
	if (!is_ok(answer)) {
		refused(msg_str(answer, "errno"), msg_str(answer, "reason"));
		json_object_put(answer);
		return 1;
	}
	if (l.json)
		puts(json_object_to_json_string_ext(answer,
						    JSON_C_TO_STRING_PRETTY));
	for (size_t i = 0; !l.json && i < sizeof(keys) / sizeof(*keys); i++)
		print_member(answer, keys[i]);
	json_object_put(answer);
	return 0;
}

/* One look at luod: 0 and 1 are exit states, -1 is "not yet". */
static int wait_once(void)
{
	struct json_object *answer = NULL, *lost, *error;
	const char *state, *phase;
	int ret = -1;

	if (chan_connect(&luod, luod_socket()))
		return -1;
	if (!chan_send(&luod, msg_new("verb", "STATUS"), -1))
		chan_wait(&luod, &answer, 5000);
	state = msg_str(answer, "state");
	phase = msg_str(answer, "phase");
	if (state && phase && !strcmp(phase, "idle")) {
		ret = strcmp(state, "normal") ? -1 : 0;
		json_object_object_get_ex(answer, "lost", &lost);
		json_object_object_get_ex(answer, "last_error", &error);
		if (!ret && json_object_array_length(lost))
			ret = refused("EREMOTEIO",
				      json_object_to_json_string(lost));
		if (error)
			ret = refused(msg_str(error, "errno"),
				      msg_str(error, "reason"));
	}
	json_object_put(answer);
	chan_close(&luod);
	return ret;
}

static int cmd_wait(int argc, char **argv)
{
	struct load l = { .timeout = 120 };
	time_t end;
	int ret;

	if (options(&l, argc, argv, "t") || optind != argc)
		return 2;
	end = time(NULL) + l.timeout;
	while ((ret = wait_once()) < 0) {
		if (time(NULL) >= end)
			return refused("ETIMEDOUT", "the update has not ended; see luoctl status");
		usleep(100 * 1000);
	}
	return ret;
}

static void print_notes(const struct notes *notes)
{
	for (unsigned int i = 0; i < notes->count; i++)
		printf("%-6s %-6s %s\n",
		       notes->note[i].type & NOTE_WRITES ? "writes" : "",
		       notes->note[i].type & NOTE_READS ? "reads" : "",
		       notes->note[i].text);
}

static int cmd_check(int argc, char **argv)
{
	struct load l = { 0 };
	struct notes *image;
	struct fail f;
	int err, fd;

	if (options(&l, argc, argv, "") || optind != argc - 1)
		return 2;
	fd = open(argv[optind], O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return refused(fail_name(errno), argv[optind]);
	image = calloc(1, sizeof(*image));
	err = image ? image_check(fd, argv[optind], image, &f) :
		      fail(&f, ENOMEM, "out of memory");
	if (image)
		print_notes(image);
	free(image);
	close(fd);
	if (err)
		return refused(fail_name(f.err), f.reason);
	printf("%s can take over from the running kernel\n", argv[optind]);
	return 0;
}

static const struct command {
	const char *name;
	int (*fn)(int argc, char **argv);
	const char *args;
	const char *help;
} commands[] = {
	{ "load", cmd_load,
	  "KERNEL [--initrd F] [--reuse-cmdline | --cmdline S]",
	  "check a kernel against the running one and load it for kexec" },
	{ "update", cmd_update,
	  "[--kernel F [--initrd F] [--reuse-cmdline | --cmdline S]] [--timeout S]",
	  "replace the running kernel under its VMs; --timeout is for each phase (30)" },
	{ "abort", cmd_abort, "",
	  "cancel an update in progress, return when it is undone" },
	{ "status", cmd_status, "[--json]",
	  "show the host's state, the phase, VMs and the last error" },
	{ "wait", cmd_wait, "[--timeout S]",
	  "wait for the end of an update (120); fails when a VM is lost" },
	{ "check", cmd_check, "KERNEL",
	  "say whether KERNEL can take over from the running one (needs no luod)" },
	{ "attach", luoctl_attach,
	  "--id ID --qmp PATH [--reconnect S]",
	  "look after a QEMU during updates, in the foreground, until it ends" },
	{ "devices", luoctl_devices,
	  "[--json | --request FUNCTION | --release FUNCTION]",
	  "show or set which PCI functions stay alive over an update (needs no luod)" },
	{ "timeline", luoctl_timeline, "[--json]",
	  "show the last update's phases; --json: Chrome trace events" },
};

#define N_COMMANDS (sizeof(commands) / sizeof(*commands))

static void usage(FILE *out)
{
	fputs("usage: luoctl COMMAND [OPTION]...\n\n", out);
	for (size_t i = 0; i < N_COMMANDS; i++)
		fprintf(out, "  %-9s %s\n", commands[i].name, commands[i].help);
	fputs("\nluoctl COMMAND --help says more. LUOD_SOCKET is luod's socket ("
	      LUOD_SOCKET_PATH ").\n", out);
}

static void command_usage(const struct command *c, FILE *out)
{
	fprintf(out, "usage: luoctl %s %s\n\n%s\n", c->name, c->args, c->help);
}

static int run(const struct command *c, int argc, char **argv)
{
	int ret;

	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
			command_usage(c, stdout);
			return 0;
		}
	opterr = 0;
	chan_init(&luod, -1);
	ret = c->fn(argc, argv);
	if (ret == 2)
		command_usage(c, stderr);
	chan_close(&luod);
	return ret;
}

int main(int argc, char **argv)
{
	if (argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) {
		usage(stdout);
		return 0;
	}
	for (size_t i = 0; argc > 1 && i < N_COMMANDS; i++)
		if (!strcmp(commands[i].name, argv[1]))
			return run(&commands[i], argc - 1, argv + 1);
	usage(stderr);
	return 2;
}
