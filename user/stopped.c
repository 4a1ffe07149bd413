// SPDX-License-Identifier: GPL-2.0
/* What was stopped today: see stopped.h. */
#include "stopped.h"

#include <string.h>

#include "blocked_view.h"
#include "util.h"

static void add(struct stopped_count *to, const struct tf_blocked *more)
{
	if (!to->packets || more->first < to->first)
		to->first = more->first;
	if (more->last > to->last)
		to->last = more->last;
	to->packets += more->packets;
	to->bytes += more->bytes;
}

/* In the order of senders: those of one stand together (see sender_is_same). */
static int compare_senders(const void *a, const void *b)
{
	const struct tf_blocked_key *x = &((const struct blocked_entry *)a)->key;
	const struct tf_blocked_key *y = &((const struct blocked_entry *)b)->key;

	if (x->sender != y->sender)
		return x->sender < y->sender ? -1 : 1;
	if (x->cgroup != y->cgroup)
		return x->cgroup < y->cgroup ? -1 : 1;
	if (x->uid != y->uid)
		return x->uid < y->uid ? -1 : 1;
	if (x->from != y->from)
		return x->from < y->from ? -1 : 1;
	return memcmp(x->comm, y->comm, sizeof(x->comm));
}

/* Of as many packets, who sent later. */
static bool is_before(const struct stopped_sender *a, const struct stopped_sender *b)
{
	if (a->count.packets != b->count.packets)
		return a->count.packets > b->count.packets;
	return a->count.last > b->count.last;
}

static void put_in_its_place(struct stopped *s, const struct stopped_sender *sender)
{
	size_t i = s->sender_count < STOPPED_TOP ? s->sender_count : STOPPED_TOP;

	s->sender_count++;
	for (; i && is_before(sender, &s->top[i - 1]); i--) {
		if (i < STOPPED_TOP)
			s->top[i] = s->top[i - 1];
	}
	if (i < STOPPED_TOP)
		s->top[i] = *sender;
}

/* How many entries of the list, from the first on, are of its sender. */
static size_t take_sender(const struct blocked_entry *list, size_t count,
			  struct stopped_sender *ret)
{
	size_t i;

	*ret = (struct stopped_sender){ .latest = list[0], .most = list[0] };
	for (i = 0; i < count && compare_senders(&list[i], &list[0]) == 0; i++) {
		add(&ret->count, &list[i].value);
		if (list[i].value.last > ret->latest.value.last)
			ret->latest = list[i];
		if (list[i].value.packets > ret->most.value.packets)
			ret->most = list[i];
	}
	ret->kinds = i;
	return i;
}

static void sum_up(struct blocked_entry *list, size_t count, struct stopped *s)
{
	struct stopped_sender sender;
	size_t i, taken;

	for (i = 0; i < count; i++)
		add(list[i].key.sender == TF_SENDER_NETWORK ? &s->in : &s->out, &list[i].value);
	qsort(list, count, sizeof(*list), compare_senders);
	for (i = 0; i < count; i += taken) {
		taken = take_sender(list + i, count - i, &sender);
		if (list[i].key.sender != TF_SENDER_NETWORK)
			put_in_its_place(s, &sender);
	}
}

int stopped_make(const struct blocked *b, const struct now *now, struct stopped *ret, struct err *e)
{
	struct stopped s = { .now = *now,
			     .ever = b->stopped,
			     .missed = b->missed,
			     .round = b->round,
			     .used = b->count,
			     .room = b->room };
	struct blocked_choice choice = {};
	struct blocked_view v = {};
	int r = when_parse("today", now, &s.midnight, e);

	choice.since = s.midnight;
	if (!r)
		r = blocked_view_make(b, &choice, &v, e);
	if (r)
		return r;
	blocked_view_merge(&v, 0);
	sum_up(v.rows, v.count, &s);
	blocked_view_free(&v);
	*ret = s;
	return 0;
}
