// SPDX-License-Identifier: GPL-2.0
/* What was dropped, chosen and sorted: see blocked_view.h. How it is printed is blocked_print.c's. */
#include "blocked_view.h"

#include <errno.h>
#include <string.h>

#include "sender.h"
#include "util.h"

/* Most packets first; of as many, the latest; then by what they are, that no two outputs differ. */
static int compare_rows(const void *a, const void *b)
{
	const struct blocked_entry *x = a, *y = b;

	if (x->value.packets != y->value.packets)
		return x->value.packets < y->value.packets ? 1 : -1;
	if (x->value.last != y->value.last)
		return x->value.last < y->value.last ? 1 : -1;
	return memcmp(&x->key, &y->key, sizeof(x->key));
}

static size_t how_many(size_t count, size_t top)
{
	return top && top < count ? top : count;
}

static bool is_chosen(const struct blocked_entry *b, const struct blocked_choice *choice, bool here)
{
	struct sender s;

	if (!b->value.packets || b->value.last < choice->since)
		return false;
	if (!choice->app)
		return true;
	sender_find(b, here, &s);
	return sender_is_meant(&s, choice->app);
}

int blocked_view_make(const struct blocked *b, const struct blocked_choice *choice,
		      struct blocked_view *v, struct err *e)
{
	size_t i;

	v->rows = calloc(b->count + 1, sizeof(*v->rows));
	if (!v->rows)
		return err_set(e, -ENOMEM, "out of memory");
	v->blocked = b;
	for (i = 0; i < b->count; i++) {
		if (is_chosen(&b->list[i], choice, v->here))
			v->rows[v->count++] = b->list[i];
	}
	qsort(v->rows, v->count, sizeof(*v->rows), compare_rows);
	v->shown = how_many(v->count, choice->top);
	return 0;
}

void blocked_view_free(struct blocked_view *v)
{
	free(v->rows);
	v->rows = NULL;
}

/* Alike but for the plane. */
static int compare_kinds(const void *a, const void *b)
{
	struct tf_blocked_key x = ((const struct blocked_entry *)a)->key;
	struct tf_blocked_key y = ((const struct blocked_entry *)b)->key;

	x.plane = y.plane = 0;
	return memcmp(&x, &y, sizeof(x));
}

/* A packet is stopped once, so what planes stopped adds up; but a fence that only watches counts it on
 * each that it passes. */
static void put_together(struct tf_blocked *to, const struct tf_blocked *more, bool observe)
{
	if (!observe) {
		to->packets += more->packets;
		to->bytes += more->bytes;
	} else if (more->packets > to->packets) {
		to->packets = more->packets;
		to->bytes = more->bytes;
	}
	if (more->first < to->first)
		to->first = more->first;
	if (more->last > to->last) {
		to->last = more->last;
		to->pid = more->pid;
	}
}

void blocked_view_merge(struct blocked_view *v, size_t top)
{
	size_t i, count = 0;

	qsort(v->rows, v->count, sizeof(*v->rows), compare_kinds);
	for (i = 0; i < v->count; i++) {
		if (count && compare_kinds(&v->rows[count - 1], &v->rows[i]) == 0)
			put_together(&v->rows[count - 1].value, &v->rows[i].value,
				     v->rows[i].key.flags & TF_BLOCKED_OBSERVED);
		else
			v->rows[count++] = v->rows[i];
	}
	v->count = count;
	qsort(v->rows, v->count, sizeof(*v->rows), compare_rows);
	v->shown = how_many(v->count, top);
}
