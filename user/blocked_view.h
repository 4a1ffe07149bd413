/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What was dropped, as a person wants to see it: chosen, sorted by packets, put together by who sent
 * it, and printed as text or JSON. Reads no map and changes nothing.
 */
#ifndef TUNFENCE_BLOCKED_VIEW_H
#define TUNFENCE_BLOCKED_VIEW_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "addr.h"
#include "blocked.h"
#include "when.h"

/* What is asked for. */
struct blocked_choice {
	__u64 since;     /* of entries whose last packet came before, none */
	const char *app; /* of whom; NULL: of anybody */
	size_t top;      /* how many at most; 0: all */
};

struct blocked_view {
	const char *fence;
	bool observe; /* the fence only watches: it stopped nothing */
	bool here;    /* it belongs to the current network namespace */
	struct now now;
	const struct blocked *blocked;
	struct blocked_entry *rows; /* chosen, sorted; the first top of them are shown */
	size_t count, shown;
};

int blocked_view_make(const struct blocked *b, const struct blocked_choice *choice,
		      struct blocked_view *v, struct err *e);
void blocked_view_free(struct blocked_view *v); /* what it points to, not v itself */

/* The same kind of packet is dropped on one plane or another: as text, once. */
void blocked_view_merge(struct blocked_view *v, size_t top);

/* "udp 9.9.9.9:53", "tcp port 22 from 192.0.2.1". Returns buf. */
#define BLOCKED_WHERE_LEN (ADDR_TEXT_LEN + 64)
const char *blocked_where(const struct tf_blocked_key *key, char buf[BLOCKED_WHERE_LEN]);

/* Of a packet that another plane should have stopped before this one; else NULL. */
const char *blocked_oddity(const struct tf_blocked_key *key);

/* One entry, as in the whole's JSON. here: its fence belongs to this network namespace. */
json_t *blocked_entry_json(const struct blocked_entry *b, bool here, const struct now *now);

json_t *json_total(const struct counter_total *total);

void blocked_view_print(const struct blocked_view *v, FILE *out);
json_t *blocked_view_json(const struct blocked_view *v);

#endif
