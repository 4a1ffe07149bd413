// SPDX-License-Identifier: GPL-2.0
/* The command line: the table of commands, their common options, help and exit codes. */
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <string.h>

#include "command.h"
#include "hook.h"
#include "util.h"

static const struct command commands[] = {
	{ "up", "NAME|FILE", "raise the fence, or replace it with no packet unjudged", 1, 1, cmd_up },
	{ "down", "NAME", "open the fence: the only way", 1, 1, cmd_down },
	{ "status", "[NAME]", "what is fenced, how, and what was stopped; exit 3 if not fenced", 0, 1,
	  cmd_status },
	{ "metrics", "[--output FILE] [NAME]",
	  "the same as numbers, for Prometheus; exit 3 if not fenced", 0, 1, cmd_metrics },
	{ "sync", "[--follow] [NAME]",
	  "follow the world: endpoints that moved, interfaces that came", 0, 1,
	  cmd_sync },
	{ "check", "FILE", "read a configuration and say what is wrong; changes nothing", 1, 1,
	  cmd_check },
	{ "explain",
	  "[in] PROTOCOL ADDRESS[:PORT] [from|to [ADDRESS][:PORT]] [dev NAME] [mark N] [plane NAME] "
	  "[fence NAME] [cgroup PATH]",
	  "what the fence says of such a packet that leaves or comes in, and why", 2, -1,
	  cmd_explain },
	{ "run", "[--exempt] NAME -- PROGRAM [ARGUMENT...]",
	  "start a program inside a fence of a cgroup, as yourself; not unless it is up", 1, -1,
	  cmd_run },
	{ "verify", "[--only NAME] [--by SCRIPT]",
	  "fire every leak we know in a throw-away world, unfenced and fenced; exit 1 on a leak", 0,
	  0, cmd_verify },
	{ "prepare", "", "make the mounts that hold fences; for units, whose sandbox cannot", 0, 0,
	  cmd_prepare },
	{ "gate", "NAME|DIR...", "pass once these fences stand, or say what to do; for units", 1, -1,
	  cmd_gate },
	{ "admit", "", "move who is connected to standard input into a fence; for units", 0, 0,
	  cmd_admit },
	{ "version", "", "print the version", 0, 0, cmd_version },
	{ "help", "[COMMAND]", "print this, or how a command is used", 0, 1, cmd_help },
};

enum {
	OPT_FOLLOW = 256,
	OPT_EXEMPT,
	OPT_CONFIG_DIR,
	OPT_WIREGUARD_DIR,
	OPT_SOCKET_DIR,
	OPT_BPFFS,
	OPT_RUN_DIR,
	OPT_STATE_DIR,
	OPT_CGROUP,
	OPT_ONLY,
	OPT_BY,
	OPT_OUTPUT,
};

static const struct {
	struct option option;
	const char *argument;
	const char *summary;
} options_table[] = {
	{ { "force", no_argument, NULL, 'f' }, NULL,
	  "up: also when this cuts the SSH session you sit in" },
	{ { "json", no_argument, NULL, 'j' }, NULL, "status, explain, verify: print JSON" },
	{ { "follow", no_argument, NULL, OPT_FOLLOW }, NULL,
	  "sync: go on until SIGTERM or SIGINT, and say what changed" },
	{ { "exempt", no_argument, NULL, OPT_EXEMPT }, NULL,
	  "run: not in the fence, but among those who may send past its tunnel" },
	{ { "only", required_argument, NULL, OPT_ONLY }, "NAME",
	  "verify: only this vector or group; 'tcp-*' means several, and so does 'ring,xdp'" },
	{ { "by", required_argument, NULL, OPT_BY }, "SCRIPT",
	  "verify: test 'SCRIPT up' instead of tunfence" },
	{ { "output", required_argument, NULL, OPT_OUTPUT }, "FILE",
	  "metrics: into this file, replaced in one step" },
	{ { "config-dir", required_argument, NULL, OPT_CONFIG_DIR }, "DIR",
	  "where NAME.conf is (/etc/tunfence)" },
	{ { "wireguard-dir", required_argument, NULL, OPT_WIREGUARD_DIR }, "DIR",
	  "where WireGuard's are (/etc/wireguard)" },
	{ { "socket-dir", required_argument, NULL, OPT_SOCKET_DIR }, "DIR",
	  "where user-space WireGuard listens (/var/run/wireguard)" },
	{ { "cgroup", required_argument, NULL, OPT_CGROUP }, "PATH",
	  "what stands for the machine, such as a container's cgroup (the root group)" },
	{ { "bpffs", required_argument, NULL, OPT_BPFFS }, "DIR",
	  "BPF file system for the pins (/sys/fs/bpf)" },
	{ { "run-dir", required_argument, NULL, OPT_RUN_DIR }, "DIR",
	  "for the lock and our own BPF file system (/run/tunfence)" },
	{ { "state-dir", required_argument, NULL, OPT_STATE_DIR }, "DIR",
	  "for the last good addresses of endpoint names (/var/lib/tunfence)" },
	{ { "help", no_argument, NULL, 'h' }, NULL, "print this" },
	{ { "version", no_argument, NULL, 'V' }, NULL, "print the version" },
};

int command_failed(const struct err *e)
{
	fprintf(stderr, "tunfence: %s\n", e->text[0] ? e->text : "failed");
	return EXIT_FAILED;
}

static const struct command *find_command(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		if (streq(commands[i].name, name))
			return &commands[i];
	}
	return NULL;
}

int command_usage(const char *name, const char *format, ...)
{
	const struct command *command = find_command(name);
	va_list args;

	fputs("tunfence: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	if (command)
		fprintf(stderr, "usage: tunfence %s %s\n", command->name, command->arguments);
	else
		fputs("'tunfence help' lists the commands\n", stderr);
	return EXIT_USAGE;
}

int cmd_version(const struct options *o, int argc, char *argv[], struct err *e)
{
	(void)o, (void)argc, (void)argv, (void)e;
	printf("tunfence %s\n", TUNFENCE_VERSION);
	return EXIT_DONE;
}

static void print_help(void)
{
	char text[64];
	size_t i;

	puts("usage: tunfence COMMAND [ARGUMENTS] [OPTIONS]\n\ncommands:");
	for (i = 0; i < ARRAY_SIZE(commands); i++)
		printf("  %-10s %s\n", commands[i].name, commands[i].summary);
	puts("\noptions:");
	for (i = 0; i < ARRAY_SIZE(options_table); i++) {
		snprintf(text, sizeof(text), "--%s%s%s", options_table[i].option.name,
			 options_table[i].argument ? " " : "",
			 options_table[i].argument ? options_table[i].argument : "");
		printf("  %-20s %s\n", text, options_table[i].summary);
	}
	puts("\nexit status: 0 done, 1 failed, 2 wrong usage, 3 not fenced (status, metrics)");
}

int cmd_help(const struct options *o, int argc, char *argv[], struct err *e)
{
	const struct command *command;

	(void)o, (void)e;
	if (argc == 0) {
		print_help();
		return EXIT_DONE;
	}
	command = find_command(argv[0]);
	if (!command)
		return command_usage("", "there is no command '%s'", argv[0]);
	printf("usage: tunfence %s %s\n%s\n", command->name, command->arguments, command->summary);
	return EXIT_DONE;
}

/* getopt moves words about, and forgets where "--" was. */
static int count_behind_dashes(int argc, char *argv[])
{
	int i;

	for (i = 1; i < argc; i++) {
		if (streq(argv[i], "--"))
			return argc - i - 1;
	}
	return -1;
}

/* Fills o. 0, 'h', 'V' or -1 for a wrong one, which getopt has named. */
static int read_options(int argc, char *argv[], struct options *o)
{
	struct option list[ARRAY_SIZE(options_table) + 1] = {};
	size_t i;
	int c;

	for (i = 0; i < ARRAY_SIZE(options_table); i++)
		list[i] = options_table[i].option;
	while ((c = getopt_long(argc, argv, "hV", list, NULL)) != -1) {
		switch (c) {
		case 'f':
			o->force = true;
			break;
		case 'j':
			o->json = true;
			break;
		case OPT_EXEMPT:
			o->exempt = true;
			break;
		case OPT_FOLLOW:
			o->follow = true;
			break;
		case OPT_CONFIG_DIR:
			o->config_dir = optarg;
			break;
		case OPT_WIREGUARD_DIR:
			o->wireguard_dir = optarg;
			break;
		case OPT_SOCKET_DIR:
			o->socket_dir = optarg;
			break;
		case OPT_BPFFS:
			o->bpffs = optarg;
			break;
		case OPT_RUN_DIR:
			o->run_dir = optarg;
			break;
		case OPT_STATE_DIR:
			o->state_dir = optarg;
			break;
		case OPT_CGROUP:
			o->cgroup = optarg;
			break;
		case OPT_ONLY:
			o->only = optarg;
			break;
		case OPT_BY:
			o->by = optarg;
			break;
		case OPT_OUTPUT:
			o->output = optarg;
			break;
		case 'h':
		case 'V':
			return c;
		default:
			return -1;
		}
	}
	return 0;
}

static int run(const struct command *command, const struct options *o, int argc, char *argv[])
{
	struct err e = {};
	int r;

	if (argc < command->min)
		return command_usage(command->name, "'%s' needs an argument", command->name);
	if (command->max >= 0 && argc > command->max)
		return command_usage(command->name, "'%s' does not take '%s'", command->name,
				     argv[command->max]);
	r = command->run(o, argc, argv, &e);
	if (r >= 0)
		return r;
	command_failed(&e);
	if ((r == -EPERM || r == -EACCES) && geteuid() != 0)
		fputs("tunfence: only root may do this; try 'sudo'\n", stderr);
	return EXIT_FAILED;
}

int main(int argc, char *argv[])
{
	struct options o = {
		.config_dir = "/etc/tunfence",
		.wireguard_dir = "/etc/wireguard",
		.socket_dir = "/var/run/wireguard",
		.bpffs = "/sys/fs/bpf",
		.run_dir = DEFAULT_RUN_DIR,
		.state_dir = "/var/lib/tunfence",
		.program = count_behind_dashes(argc, argv),
	};
	const struct command *command;

	hook_silence_libbpf();
	switch (read_options(argc, argv, &o)) {
	case 0:
		break;
	case 'h':
		print_help();
		return EXIT_DONE;
	case 'V':
		return cmd_version(&o, 0, NULL, NULL);
	default:
		fputs("'tunfence help' lists the options\n", stderr);
		return EXIT_USAGE;
	}
	if (optind == argc)
		return command_usage("", "no command given");
	command = find_command(argv[optind]);
	if (!command)
		return command_usage("", "there is no command '%s'", argv[optind]);
	return run(command, &o, argc - optind - 1, argv + optind + 1);
}
