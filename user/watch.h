/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Watching what fences drop, as it happens and until told to end: listens to each fence there is,
 * goes on through a new policy, and finds fences that come and go. What it hears it tells through calls;
 * prints nothing.
 */
#ifndef TUNFENCE_WATCH_H
#define TUNFENCE_WATCH_H

#include <stdbool.h>

#include "blocked.h"
#include "err.h"
#include "watch_look.h"

/* A fence that is listened to. */
struct watched {
	char name[64];
	__u32 netns;
	bool observe; /* it only watches: what it would drop has passed */
};

#define NEVER_HEARD (~0ULL)

/* Packets of one kind that were dropped. */
struct drop {
	const struct watched *fence;
	struct blocked_entry entry;   /* all of them, as 'blocked' has it */
	__u64 count;                  /* how many since the kind was told of last */
	__u64 quiet;                  /* ns since that; NEVER_HEARD: this is the first time */
	const struct tf_event *event; /* one of the packets; NULL: none is at hand */
};

struct watch_calls {
	void (*dropped)(const struct drop *drop, void *data);
	void (*lost)(const struct watched *fence, __u64 count, void *data);
	void (*came)(const struct watched *fence, void *data);
	void (*went)(const struct watched *fence, void *data);
	void (*complain)(const char *text, void *data);
	/* After each turn, and once a second. Not 0 ends the watch, and is what it returns. */
	int (*done)(void *data, struct err *e);
	void *data;
};

/* out: a descriptor whose reader may go away, which ends the watch as SIGINT and SIGTERM do; -1: there
 * is none. */
int watch_run(const struct look_place *place, int out, const struct watch_calls *calls,
	      struct err *e);

#endif
