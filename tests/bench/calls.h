/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a system call costs with each of the guard's programs at its hook, beside an empty one:
 * there is no test run for these.
 */
#ifndef TESTS_BENCH_CALLS_H
#define TESTS_BENCH_CALLS_H

#include "err.h"
#include "object.h"

/* Attaches them one by one to the cgroup, in which this process is, and takes them off again. */
int measure_calls(const struct objects *o, int cgroup_fd, unsigned int round, struct err *e);

#endif
