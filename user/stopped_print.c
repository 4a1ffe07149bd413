// SPDX-License-Identifier: GPL-2.0
/* What was stopped today, as a part of the one screen: see view_print.h. */
#include <string.h>

#include "blocked_view.h"
#include "question.h"
#include "reason.h"
#include "sender.h"
#include "text.h"
#include "view_print.h"

void put_name(FILE *out, const char *name)
{
	_cleanup_free_ char *shown = malloc(TEXT_ROOM(strlen(name)));

	fputs(shown ? text_escape(name, strlen(name), shown, TEXT_ROOM(strlen(name))) : "?", out);
}

void put_named(FILE *out, const char *words, const char *name)
{
	fputs(words, out);
	put_name(out, name);
}

/* "today", or honestly since when: what began before today is counted on. */
static const char *since(const struct stopped *s, const struct stopped_count *count,
			 char buf[WHEN_TEXT_LEN + 32])
{
	char day[WHEN_TEXT_LEN];

	if (!stopped_is_older(s, count))
		return "today";
	snprintf(buf, WHEN_TEXT_LEN + 32, "since %s", when_short(&s->now, count->first, day));
	return buf;
}

static void print_count(const struct screen *s, const char *label,
			const struct stopped_count *count, const char *way)
{
	char when[WHEN_TEXT_LEN + 32];

	if (count->packets)
		fprintf(s->out, "  %-10s %llu %s way %s %s\n", label,
			(unsigned long long)count->packets,
			count->packets == 1 ? "packet on its" : "packets on their", way,
			since(&s->v->stopped, count, when));
}

/* Of kinds that have no entry nobody knows whether they came today. */
static void print_nothing(const struct screen *s, const char *label)
{
	const struct stopped *t = &s->v->stopped;
	const char *what = !t->ever.packets    ? "nothing so far"
			   : t->missed.packets ? "nothing today that is known"
					       : "nothing today";

	fprintf(s->out, "  %-10s %s\n", label, what);
}

static void print_totals(const struct screen *s)
{
	const struct stopped *t = &s->v->stopped;
	const char *label = s->v->policy->rodata.mode == TF_MODE_OBSERVE ? "would stop" : "stopped";

	if (!t->out.packets && !t->in.packets)
		print_nothing(s, label);
	print_count(s, label, &t->out, "out");
	print_count(s, t->out.packets ? "" : label, &t->in, "in");
	if (t->missed.packets)
		fprintf(s->out,
			"             %llu packet%s of kinds that had no room, today or before\n",
			(unsigned long long)t->missed.packets, plural(t->missed.packets));
}

static void print_who(const struct screen *s, const struct stopped_sender *sender)
{
	const struct stopped *t = &s->v->stopped;
	char text[SENDER_TEXT_LEN], when[WHEN_TEXT_LEN + 32];
	struct sender who;

	sender_find(&sender->latest, s->v->here, &who);
	fprintf(s->out, "%11llu  %s%s%s", (unsigned long long)sender->count.packets, s->c.name,
		sender_text(&sender->latest, &who, text), s->c.plain);
	if (stopped_is_older(t, &sender->count))
		fprintf(s->out, " (%s)", since(t, &sender->count, when));
	fputc('\n', s->out);
}

static void print_where(const struct screen *s, const struct stopped_sender *sender)
{
	const struct blocked_entry *most = &sender->most;
	char where[BLOCKED_WHERE_LEN], name[QUESTION_TEXT_LEN];

	fprintf(s->out, "             %s", blocked_where(&most->key, where));
	if (most->key.question)
		fprintf(s->out, " asks for %s", question_format(most->value.question, name));
	fprintf(s->out, ": it %s", reason_text((enum tf_reason)most->key.reason));
	if (sender->kinds > 1)
		fprintf(s->out, "; and %zu other kind%s", sender->kinds - 1,
			plural(sender->kinds - 1));
	fputc('\n', s->out);
}

static void print_senders(const struct screen *s)
{
	const struct stopped *t = &s->v->stopped;
	bool more = t->sender_count > STOPPED_TOP;
	size_t i;

	for (i = 0; i < t->sender_count && i < STOPPED_TOP; i++) {
		print_who(s, &t->top[i]);
		print_where(s, &t->top[i]);
		more = more || t->top[i].kinds > 1;
	}
	if (more)
		fprintf(s->out, "             all of it: 'tunfence blocked %s'\n",
			s->v->fence->name);
}

static void print_round(const struct screen *s)
{
	const struct counter_total *round = &s->v->stopped.round;

	if (round->packets)
		fprintf(s->out,
			"  %sdisagree%s   %llu packet%s got past the socket plane and no further than the "
			"wire plane: somebody tries to go round the fence, or took a part of it away; "
			"'tunfence blocked %s' says who\n",
			s->c.bad, s->c.plain, (unsigned long long)round->packets,
			plural(round->packets), s->v->fence->name);
}

void stopped_print(const struct screen *s)
{
	if (!s->v->has_stopped)
		return;
	print_totals(s);
	print_senders(s);
	print_round(s);
}
