// SPDX-License-Identifier: GPL-2.0
/* Runs of services: see services.h. Knows nothing of prefixes, names or maps. */
#include "services.h"

#include <stdlib.h>
#include <string.h>

struct services *services_new(size_t most)
{
	struct services *s = malloc(sizeof(*s) + most * sizeof(s->item[0]));

	if (!s)
		return NULL;
	s->first = SERVICES_NOT_PLACED;
	s->count = 0;
	return s;
}

void services_append(struct services *s, __u32 from, __u32 to, __u64 uplinks)
{
	struct tf_service *last = s->count ? &s->item[s->count - 1] : NULL;

	if (last && last->uplinks == uplinks && last->to + 1 == from)
		last->to = to;
	else
		s->item[s->count++] = (struct tf_service){ from, to, uplinks };
}

struct cursor {
	const struct tf_service *next;
	const struct tf_service *end;
};

/* The uplinks allowed at a point. Shortens *to to where that changes. */
static __u64 cursor_read(const struct cursor *c, __u32 at, __u32 *to)
{
	__u32 last;

	if (c->next == c->end)
		return 0;
	last = at < c->next->from ? c->next->from - 1 : c->next->to;
	if (last < *to)
		*to = last;
	return at < c->next->from ? 0 : c->next->uplinks;
}

static void cursor_pass(struct cursor *c, __u32 to)
{
	if (c->next != c->end && c->next->to <= to)
		c->next++;
}

/* n services have 2n edges, so at most 2n - 1 pieces lie between them. */
struct services *services_union(const struct services *a, const struct services *b)
{
	struct cursor x = { a->item, a->item + a->count };
	struct cursor y = { b->item, b->item + b->count };
	struct services *s = services_new(2 * ((size_t)a->count + b->count));
	__u32 at = 0, to;
	__u64 uplinks;

	while (s && (x.next != x.end || y.next != y.end)) {
		to = SERVICES_LAST_POINT;
		uplinks = cursor_read(&x, at, &to) | cursor_read(&y, at, &to);
		if (uplinks)
			services_append(s, at, to, uplinks);
		cursor_pass(&x, to);
		cursor_pass(&y, to);
		at = to + 1;
	}
	return s;
}

int services_compare(const void *a, const void *b)
{
	const struct services *x = a, *y = b;

	if (x->count != y->count)
		return x->count < y->count ? -1 : 1;
	return memcmp(x->item, y->item, x->count * sizeof(x->item[0]));
}

static int service_find(const void *a, const void *b)
{
	const struct tf_service *key = a, *s = b;

	if (key->from < s->from)
		return -1;
	return key->from > s->to;
}

bool services_covers(const struct services *outer, const struct services *inner)
{
	const struct tf_service *s, *wide;

	for (s = inner->item; s < inner->item + inner->count; s++) {
		wide = bsearch(s, outer->item, outer->count, sizeof(*s), service_find);
		if (!wide || wide->to < s->to || s->uplinks & ~wide->uplinks)
			return false;
	}
	return true;
}
