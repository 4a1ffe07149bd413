/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the bench's commands share. Each prints one line for each thing it measured once:
 *
 *     "part","what","who","base",unit,round,value
 *
 * "who" does "what"; its ratio is to what "base" needed for the same thing in the same round. The
 * report (tests/bench/report) reads nothing else.
 */
#ifndef TESTS_BENCH_H
#define TESTS_BENCH_H

#include "err.h"
#include "planes.h"

#define EMPTY "empty program" /* who needs the least that a program at the same hook can need */

struct sample {
	const char *part, *what, *who, *base, *unit;
	unsigned int round;
	double value;
};

void print_sample(const struct sample *s);

__u64 now_ns(void);   /* on the clock */
__u64 spent_ns(void); /* by this thread: what others do meanwhile does not count */

/* Loads a program for the same hooks that does nothing but pass. A descriptor; -ENOTSUP: what it is
 * for cannot be left out, such as an LSM hook; or -errno. */
int empty_program(enum program like);

/* One for the socket hook that drops whatever has not this mark. */
int dropping_program(__u32 mark);

/* X(name, what it is given, what it does). A command returns 0 or -errno, and what to say in e. */
#define BENCH_COMMANDS(X)                                                                          \
	X(programs, "ROUNDS", "a run of each program on each path, and of an empty one")           \
	X(floor, "CGROUP DEVICE", "empty programs at all hooks of a fence, until stdin ends")       \
	X(wall, "CGROUP", "a program that drops what has no mark, until stdin ends")     \
	X(serve, "", "the far end of traffic, until stdin ends")                                   \
	X(traffic, "PART WHAT WHO BASE ROUND KIND ADDRESS PORT DEVICE SERVER MS [PROCESS ...]",    \
	  "sends for so long; what arrived by the device of the process SERVER, and its cost")     \
	X(blocked, "ADDRESS DEVICE SERVER", "fails if what is not allowed arrives")                 \
	X(refused, "PART WHAT WHO BASE ROUND ADDRESS MS", "what it costs to be refused")            \
	X(flood, "ADDRESS MS", "sends what is not allowed, and says how much that was")             \
	X(watch, "ADDRESS DEVICE SERVER", "sends what is allowed and what is not until stdin ends, " \
	  "and says how much of either was sent, and arrived")                                      \
	X(run, "PART WHAT WHO BASE ROUND COMMAND ...", "runs it: how long that takes")              \
	X(memory, "PART WHAT WHO BASE ROUND DIRECTORY", "what the maps and programs below it take")

#define X(name, arguments, text) int bench_##name(int argc, char *argv[], struct err *e);
BENCH_COMMANDS(X)
#undef X

#endif
