// SPDX-License-Identifier: GPL-2.0
/*
 * The command line, through the front door: main() itself, with commands that only look at what
 * they were given. A command runs once at most, with as many arguments as it takes; what was said
 * for an option is the word that stood there; wrong usage says so by its exit status. Words are
 * separated by newlines.
 *
 * Coverage is counted of: user/main.c
 */
#include <string.h>

#include "fuzz/fuzz.h"

#ifndef TUNFENCE_VERSION
#define TUNFENCE_VERSION "fuzz"
#endif
#define main tunfence_main
int tunfence_main(int argc, char *argv[]);
#include "../../user/main.c"
#undef main

enum {
	WORDS = 64
};

static char *words[WORDS + 1];
static int word_count, runs;

void hook_silence_libbpf(void)
{
}

/* Everything that main() and getopt print, and libFuzzer does not: it kept its own. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	stderr = fopen("/dev/null", "w");
	FUZZ_EXPECT(stderr, "/dev/null");
	return 0;
}

/* Of the command line, or behind the '=' of one of its words, or main()'s own. */
static void expect_said(const char *text, const char *own)
{
	bool said = text == own || (text && own && streq(text, own));

	for (int i = 1; i < word_count && !said; i++)
		said = text >= words[i] && text <= words[i] + strlen(words[i]);
	FUZZ_EXPECT(said, "'%s' was never said", text);
}

static int look(const struct options *o, int argc, char *argv[])
{
	const struct command *command = find_command(argv[-1]);

	FUZZ_EXPECT(++runs == 1, "run %d times", runs);
	FUZZ_EXPECT(command, "no command '%s'", argv[-1]);
	FUZZ_EXPECT(argc >= command->min && (command->max < 0 || argc <= command->max),
		    "%d arguments", argc);
	for (int i = 0; i < argc; i++)
		expect_said(argv[i], NULL);
	FUZZ_EXPECT(!argv[argc] && o->program >= -1 && o->program < word_count, "%d behind '--'",
		    o->program);
	expect_said(o->config_dir, "/etc/tunfence");
	expect_said(o->wireguard_dir, "/etc/wireguard");
	expect_said(o->socket_dir, "/var/run/wireguard");
	expect_said(o->bpffs, "/sys/fs/bpf");
	expect_said(o->run_dir, DEFAULT_RUN_DIR);
	expect_said(o->state_dir, "/var/lib/tunfence");
	expect_said(o->cgroup, NULL);
	expect_said(o->only, NULL);
	expect_said(o->output, NULL);
	return EXIT_DONE;
}

#define LOOK(name)                                                                                 \
	int cmd_##name(const struct options *o, int argc, char *argv[], struct err *e)             \
	{                                                                                          \
		(void)e;                                                                           \
		return look(o, argc, argv);                                                        \
	}
LOOK(up)
LOOK(down)
LOOK(status)
LOOK(blocked)
LOOK(watch)
LOOK(metrics)
LOOK(sync)
LOOK(check)
LOOK(explain)
LOOK(prepare)
LOOK(gate)
LOOK(run)
LOOK(admit)
LOOK(verify)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char name[] = "tunfence";
	char *text = malloc(size + 1), *rest = text, *word;
	FILE *screen = stdout;
	int r;

	FUZZ_EXPECT(text, "out of memory");
	memcpy(text, data, size);
	text[size] = '\0';
	words[0] = name;
	word_count = 1;
	while (word_count < WORDS && (word = strsep(&rest, "\n")))
		words[word_count++] = word;
	words[word_count] = NULL;
	runs = 0;
	optind = 0; /* glibc: from the beginning, all forgotten */
	stdout = stderr;
	r = tunfence_main(word_count, words);
	stdout = screen;
	FUZZ_EXPECT(r == EXIT_DONE || r == EXIT_USAGE, "exit status %d", r);
	FUZZ_EXPECT(r == EXIT_DONE || !runs, "run, but exit status %d", r);
	free(text);
	return 0;
}
