/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The long-running sync: waits for what the kernel tells and for the clock, and has the work done by
 * a process of its own each time. So nothing that this one learned can be stale, it stays in the
 * mount namespace that it began in, where it sees what is mounted later, and a pass that fails,
 * hangs or dies takes nothing with it.
 */
#ifndef TUNFENCE_FOLLOW_H
#define TUNFENCE_FOLLOW_H

#include "err.h"

/* The passes there are. Each has at most one process; they may run side by side. */
enum follow_job {
	FOLLOW_FACTS, /* hooks and live endpoints: quick */
	FOLLOW_NAMES, /* names: waits for whoever is asked */
	FOLLOW_JOBS,
};

/* What a pass found, in memory that it shares with who waits for it. */
struct follow_report {
	unsigned int names;   /* endpoints given by name */
	unsigned int routed;  /* fences whose exempt programs have routes to be kept */
	unsigned int wanting; /* of those names: without an address, or their peer is lost */
	char complaints[16384]; /* a line each */
};

/* Adds a line, as far as there is room. */
void follow_complain(struct follow_report *report, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

struct follow_calls {
	/* In the pass's own process; prints what changed. */
	void (*pass)(enum follow_job job, struct follow_report *report, const void *data);
	/* A complaint that the same pass did not have the last time. */
	void (*complain)(const char *line);
	const void *data;
};

/* Returns when told to end, by SIGTERM or SIGINT. */
int follow_run(const struct follow_calls *calls, struct err *e);

#endif
