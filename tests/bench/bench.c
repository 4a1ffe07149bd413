// SPDX-License-Identifier: GPL-2.0
/*
 * The part of the bench that is written in C: one command for each thing that is measured or made.
 * See tests/bench/run, which makes the worlds and calls it.
 */
#include "bench.h"

#include <bpf/libbpf.h>
#include <stdio.h>
#include <time.h>

#include "util.h"

static const struct {
	const char *name, *arguments, *text;
	int (*run)(int argc, char *argv[], struct err *e);
} commands[] = {
#define X(name, arguments, text) { #name, arguments, text, bench_##name },
	BENCH_COMMANDS(X)
#undef X
};

static __u64 ns_of(clockid_t clock)
{
	struct timespec t = {};

	clock_gettime(clock, &t);
	return (__u64)t.tv_sec * 1000000000 + (__u64)t.tv_nsec;
}

__u64 now_ns(void)
{
	return ns_of(CLOCK_MONOTONIC);
}

__u64 spent_ns(void)
{
	return ns_of(CLOCK_THREAD_CPUTIME_ID);
}

void print_sample(const struct sample *s)
{
	printf("\"%s\",\"%s\",\"%s\",\"%s\",%s,%u,%.9g\n", s->part, s->what, s->who,
	       s->base, s->unit, s->round, s->value);
	fflush(stdout);
}

static int usage(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(stderr, "bench %s %s: %s\n", commands[i].name, commands[i].arguments,
			commands[i].text);
	return 2;
}

int main(int argc, char *argv[])
{
	struct err e = {};
	size_t i;

	libbpf_set_print(NULL);
	for (i = 0; argc > 1 && i < ARRAY_SIZE(commands); i++) {
		if (!streq(argv[1], commands[i].name))
			continue;
		if (!commands[i].run(argc - 2, argv + 2, &e))
			return 0;
		fprintf(stderr, "bench %s: %s\n", argv[1], e.text);
		return 1;
	}
	return usage();
}
