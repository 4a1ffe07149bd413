/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a fence has dropped, by who sent it where: read from the kernel's maps, and cleared there.
 * Prints nothing and asks nobody else: who a process or a cgroup is now is sender.c's.
 */
#ifndef TUNFENCE_BLOCKED_H
#define TUNFENCE_BLOCKED_H

#include <tunfence/policy.h>

#include "err.h"
#include "maps.h"

struct blocked_entry {
	struct tf_blocked_key key;
	struct tf_blocked value;
};

struct blocked {
	struct blocked_entry *list;
	size_t count;
	size_t room;
	struct counter_total stopped; /* all that was dropped since it was cleared */
	struct counter_total missed;  /* of that, what is in no entry of list: it had no room */
	struct counter_total round;   /* of that, what the socket plane should have stopped */
};

void blocked_free(struct blocked *b); /* what it points to, not b itself */
#define _cleanup_blocked_ __attribute__((cleanup(blocked_free)))

int blocked_read(const struct maps *m, struct blocked *ret, struct err *e);

/* Forgets all entries; counters go on, and what they said is remembered as cleared. */
int blocked_clear(const struct maps *m, size_t *ret_count, struct err *e);

#endif
