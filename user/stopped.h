/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a fence has stopped today and who sent most of it: of all that blocked knows as much as fits
 * a screen. Reads no map and prints nothing.
 *
 * An entry counts from its first packet on, which may be older than today; which of its packets are
 * of today nobody knows. So what is said of today has the time of the first packet it counts.
 */
#ifndef TUNFENCE_STOPPED_H
#define TUNFENCE_STOPPED_H

#include <stdbool.h>
#include <stddef.h>

#include "blocked.h"
#include "err.h"
#include "when.h"

enum { STOPPED_TOP = 3 };

/* Of the entries whose last packet came today. */
struct stopped_count {
	__u64 packets, bytes;
	__u64 first, last; /* ns since boot */
};

struct stopped_sender {
	struct blocked_entry latest; /* the one that was added to last: who it is now */
	struct blocked_entry most;   /* the one with most packets: where to, and why not */
	struct stopped_count count;
	size_t kinds; /* of packets: how many entries */
};

struct stopped {
	struct now now;
	__u64 midnight;           /* ns since boot; 0: today began before the machine did */
	struct stopped_count out; /* what was to leave */
	struct stopped_count in;  /* what came in unasked: it has no sender here */
	struct stopped_sender top[STOPPED_TOP]; /* of what was to leave, most packets first */
	size_t sender_count;
	struct counter_total ever;   /* since the fence was raised, or blocked cleared */
	struct counter_total missed; /* of that, what is in no entry: nobody knows when it came */
	struct counter_total round;  /* of that, what the socket plane should have stopped */
	size_t used, room;           /* entries */
};

int stopped_make(const struct blocked *b, const struct now *now, struct stopped *ret,
		 struct err *e);

/* Whether it counts packets of before today, too. */
static inline bool stopped_is_older(const struct stopped *s, const struct stopped_count *count)
{
	return count->packets && count->first < s->midnight;
}

#endif
