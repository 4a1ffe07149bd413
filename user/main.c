// SPDX-License-Identifier: GPL-2.0
/* The command line: the table of commands, their common options, help and exit codes. */
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include "command.h"
#include "hook.h"
#include "util.h"

static const struct command commands[] = {
	{ "up", "NAME|FILE", "raise the fence, or replace it with no packet unjudged", 1, 1, cmd_up },
	{ "down", "NAME", "open the fence: the only way", 1, 1, cmd_down },
	{ "status", "[--verbose] [NAME]",
	  "whether it is safe, what was stopped today, and what to do if not; exit 3 if not fenced",
	  0, 1, cmd_status },
	{ "blocked", "[--top N] [--since TIME] [--app NAME] [--clear] [NAME]",
	  "what would have leaked: which program sent what where, and why it was stopped", 0, 1,
	  cmd_blocked },
	{ "watch", "[--app NAME] [--pcap FILE] [--journal] [NAME]",
	  "the same as it happens, a line for each, until told to end", 0, 1, cmd_watch },
	{ "metrics", "[--output FILE] [NAME]",
	  "the fences as numbers, for Prometheus; exit 3 if not fenced", 0, 1, cmd_metrics },
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

/* Where an option goes: to a word or to a flag of struct options. */
#define TO(field) offsetof(struct options, field)

static const struct {
	const char *name;
	const char *argument; /* NULL: it has none, and sets a flag */
	size_t to;
	const char *summary;
} options_table[] = {
	{ "force", NULL, TO(force), "up: also when this cuts the SSH session you sit in" },
	{ "json", NULL, TO(json), "status, blocked, watch, explain, verify: print JSON" },
	{ "verbose", NULL, TO(verbose), "status: each hook on each device, each counter (-v)" },
	{ "follow", NULL, TO(follow), "sync: go on until SIGTERM or SIGINT, and say what changed" },
	{ "exempt", NULL, TO(exempt),
	  "run: not in the fence, but among those who may send past its tunnel" },
	{ "top", "N", TO(top), "blocked: only the N most frequent (20; 0 is all)" },
	{ "since", "TIME", TO(since),
	  "blocked: only what came since: 10min, 2h, today, 13:30, '2026-11-22 13:30'" },
	{ "app", "NAME", TO(app),
	  "blocked, watch: only of this program or unit; '*' and '?' stand for others" },
	{ "clear", NULL, TO(clear), "blocked: forget it all" },
	{ "only", "NAME", TO(only),
	  "verify: only this vector or group; 'tcp-*' means several, and so does 'ring,xdp'" },
	{ "by", "SCRIPT", TO(by), "verify: test 'SCRIPT up' instead of tunfence" },
	{ "output", "FILE", TO(output), "metrics: into this file, replaced in one step" },
	{ "journal", NULL, TO(journal),
	  "watch: the first of each kind into the journal, and no lines" },
	{ "pcap", "FILE", TO(pcap),
	  "watch: the first bytes of packets into this new file as well, for Wireshark" },
	{ "config-dir", "DIR", TO(config_dir), "where NAME.conf is (/etc/tunfence)" },
	{ "wireguard-dir", "DIR", TO(wireguard_dir), "where WireGuard's are (/etc/wireguard)" },
	{ "socket-dir", "DIR", TO(socket_dir),
	  "where user-space WireGuard listens (/var/run/wireguard)" },
	{ "cgroup", "PATH", TO(cgroup),
	  "what stands for the machine, such as a container's cgroup (the root group)" },
	{ "bpffs", "DIR", TO(bpffs), "BPF file system for the pins (/sys/fs/bpf)" },
	{ "run-dir", "DIR", TO(run_dir),
	  "for the lock and our own BPF file system (/run/tunfence)" },
	{ "state-dir", "DIR", TO(state_dir),
	  "for the last good addresses of endpoint names (/var/lib/tunfence)" },
};

enum { OPTION_FIRST = 256 }; /* what getopt returns for the first of the table */

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
		snprintf(text, sizeof(text), "--%s%s%s", options_table[i].name,
			 options_table[i].argument ? " " : "",
			 options_table[i].argument ? options_table[i].argument : "");
		printf("  %-20s %s\n", text, options_table[i].summary);
	}
	printf("  %-20s %s\n  %-20s %s\n", "--help", "print this", "--version", "print the version");
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

/* The table as getopt wants it, and the two options that are commands. */
static void list_options(struct option list[ARRAY_SIZE(options_table) + 3])
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(options_table); i++)
		list[i] = (struct option){
			.name = options_table[i].name,
			.has_arg = options_table[i].argument ? required_argument : no_argument,
			.val = OPTION_FIRST + (int)i,
		};
	list[i++] = (struct option){ "help", no_argument, NULL, 'h' };
	list[i++] = (struct option){ "version", no_argument, NULL, 'V' };
	list[i] = (struct option){};
}

static void set_option(struct options *o, size_t i, const char *word)
{
	char *to = (char *)o + options_table[i].to;

	if (options_table[i].argument)
		*(const char **)(void *)to = word;
	else
		*(bool *)to = true;
}

/* Fills o. 0, 'h', 'V' or -1 for a wrong one, which getopt has named. */
static int read_options(int argc, char *argv[], struct options *o)
{
	struct option list[ARRAY_SIZE(options_table) + 3];
	int c;

	list_options(list);
	while ((c = getopt_long(argc, argv, "hvV", list, NULL)) != -1) {
		if (c == 'v')
			o->verbose = true;
		else if (c >= OPTION_FIRST)
			set_option(o, (size_t)(c - OPTION_FIRST), optarg);
		else
			return c == 'h' || c == 'V' ? c : -1;
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
