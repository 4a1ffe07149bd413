// SPDX-License-Identifier: GPL-2.0
/* What a watcher has shown: see kinds.h. */
#include "kinds.h"

#include <string.h>

#include "util.h"

static __u32 set_of(__u32 fence, const struct tf_blocked_key *key)
{
	const __u32 hash = hash_bytes(key, sizeof(*key)) ^ fence * 16777619U;

	return (hash ^ hash >> 16) % KINDS_SETS;
}

struct kind *kinds_find(struct kinds *k, __u32 fence, const struct tf_blocked_key *key,
			bool *ret_new)
{
	struct kind *set = k->place[set_of(fence, key)], *oldest = set;
	size_t i;

	for (i = 0; i < KINDS_WAYS; i++) {
		if (set[i].fence == fence && memcmp(&set[i].key, key, sizeof(*key)) == 0) {
			*ret_new = false;
			return &set[i];
		}
		if (!set[i].fence || (oldest->fence && set[i].last < oldest->last))
			oldest = &set[i];
	}
	*oldest = (struct kind){ .key = *key, .fence = fence };
	*ret_new = true;
	return oldest;
}

/* Fewer than before: the entry was cleared, or pushed out, and has begun anew. */
__u64 kind_count(struct kind *kind, bool is_new, const struct tf_blocked *value, __u64 since)
{
	__u64 before = value->packets < kind->packets ? 0 : kind->packets;

	if (is_new && value->first < since && value->packets)
		before = value->packets - 1;
	kind->packets = value->packets;
	if (value->last > kind->last)
		kind->last = value->last;
	return value->packets - before;
}

void kinds_settle(struct kinds *k, __u64 before, kinds_cb cb, void *data)
{
	struct kind *kind = &k->place[0][0];
	size_t i;

	for (i = 0; i < (size_t)KINDS_SETS * KINDS_WAYS; i++, kind++) {
		if (!kind->fence || !kind->open || kind->last >= before)
			continue;
		kind->open = false;
		cb(kind, data);
	}
}

void kinds_drop(struct kinds *k, __u32 fence)
{
	struct kind *kind = &k->place[0][0];
	size_t i;

	for (i = 0; i < (size_t)KINDS_SETS * KINDS_WAYS; i++, kind++) {
		if (kind->fence == fence)
			kind->fence = 0;
	}
}
