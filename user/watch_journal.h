/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What was dropped, for the journal: the first packet of each kind, and again after an hour of quiet.
 * No more than so many lines a minute; of the rest it is told how many there were.
 */
#ifndef TUNFENCE_WATCH_JOURNAL_H
#define TUNFENCE_WATCH_JOURNAL_H

#include "journal.h"
#include "watch.h"

#define JOURNAL_QUIET_NS 3600000000000ULL

struct watch_journal {
	int fd;
	__u32 netns; /* the current one */
	struct journal_limit limit;
	unsigned long long lost; /* events that nobody was told of yet */
	__u64 told_lost;         /* ns since boot: when somebody was told last */
};

void watch_journal_drop(struct watch_journal *j, const struct drop *drop);
void watch_journal_lost(struct watch_journal *j, unsigned long long count);

/* Once in a while: says what was held back. */
void watch_journal_tick(struct watch_journal *j);

#endif
