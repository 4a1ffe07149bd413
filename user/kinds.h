/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kinds of dropped packets that a watcher has been told of: how many of each it has shown, and of
 * which the kernel may have counted more since. A bounded table, in which the one that was quiet
 * longest makes room. Does no I/O.
 */
#ifndef TUNFENCE_KINDS_H
#define TUNFENCE_KINDS_H

#include <stdbool.h>

#include <tunfence/policy.h>

enum { KINDS_WAYS = 8, KINDS_SETS = 1024 };

struct kind {
	struct tf_blocked_key key;
	__u32 fence;   /* which one's it is; 0: the place is free */
	__u64 packets; /* so many of them are shown */
	__u64 last;    /* ns since boot: the last that is known of */
	bool open;     /* there may be more that nobody was told of */
};

struct kinds {
	struct kind place[KINDS_SETS][KINDS_WAYS];
};

/* The place of this kind, made if need be, as it was before. ret_new: it was not known. */
struct kind *kinds_find(struct kinds *k, __u32 fence, const struct tf_blocked_key *key,
			bool *ret_new);

/* How many packets are new, of so many that there are by now; 0: none. since: what was dropped
 * before is nobody's news, and of a kind that began then and is not known, only the last is. */
__u64 kind_count(struct kind *kind, bool is_new, const struct tf_blocked *value, __u64 since);

/* Calls cb for each open kind of which nothing was heard since before, and closes it. */
typedef void (*kinds_cb)(struct kind *kind, void *data);
void kinds_settle(struct kinds *k, __u64 before, kinds_cb cb, void *data);

/* Forgets those of a fence. */
void kinds_drop(struct kinds *k, __u32 fence);

#endif
