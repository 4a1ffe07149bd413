// SPDX-License-Identifier: GPL-2.0
/*
 * What was dropped just now, in words: see watch_view.h. Columns begin where they should as far as
 * what stands before them lets them: a long name costs the next ones their blanks first.
 */
#include "watch_view.h"

#include <string.h>

#include "addr.h"
#include "blocked_view.h"
#include "question.h"
#include "reason.h"
#include "text.h"
#include "util.h"

/* Where each begins; the whole is 80 wide with a count of four digits. */
enum column {
	COLUMN_PROGRAM = 9,
	COLUMN_TO = 22,
	COLUMN_BY = 54,
	COLUMN_WHY = 61,
	COLUMN_COUNT = 74,
};

struct line {
	FILE *out;
	const struct colours *c;
	size_t at; /* characters so far */
};

/* As a terminal shows them: text is UTF-8, of characters that take one place, or nearly. */
static size_t width_of(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

static void put(struct line *l, const char *colour, const char *text)
{
	fprintf(l->out, "%s%s%s", colour, text, colour[0] ? l->c->plain : "");
	l->at += width_of(text);
}

static void go_to(struct line *l, enum column column)
{
	do {
		fputc(' ', l->out);
		l->at++;
	} while (l->at < (size_t)column);
}

/* In brackets what is no program's name. */
static void put_sender(struct line *l, const struct blocked_entry *b, const struct sender *s)
{
	char text[TEXT_ROOM(TF_NAME_LEN) + 16];

	switch ((enum tf_sender)b->key.sender) {
	case TF_SENDER_PROGRAM:
		put(l, l->c->name, s->program[0] ? s->program : "[no name]");
		return;
	case TF_SENDER_FORWARDED:
		snprintf(text, sizeof(text), "[%s]", s->from[0] ? s->from : "forwarded");
		put(l, "", text);
		return;
	case TF_SENDER_OLDER:
		put(l, "", "[older]");
		return;
	case TF_SENDER_KERNEL:
		put(l, "", "[kernel]");
		return;
	case TF_SENDER_NETWORK:
		put(l, "", "[network]");
		return;
	case TF_SENDER_UNKNOWN:
	case TF_SENDER_COUNT:
		break;
	}
	put(l, "", "[unknown]");
}

/* A question says more than the port that it goes to. */
static void put_where(struct line *l, const struct blocked_entry *b)
{
	char where[BLOCKED_WHERE_LEN], addr[ADDR_TEXT_LEN], name[QUESTION_TEXT_LEN];

	if (!b->key.question) {
		put(l, "", blocked_where(&b->key, where));
		return;
	}
	put(l, "", b->key.port == TF_PORT_DNS	? "dns " :
			   b->key.port == TF_PORT_MDNS ? "mdns " :
							 "llmnr ");
	put(l, "", addr_format(&b->key.addr, addr));
	put(l, "", " ");
	put(l, l->c->name, question_format(b->value.question, name));
}

/* Below the packet, in the words of 'blocked'. */
static void put_oddity(struct line *l, const char *text)
{
	l->at = 0;
	go_to(l, COLUMN_TO);
	put(l, l->c->bad, text);
	fputc('\n', l->out);
}

static void put_time(struct line *l, __u64 boot)
{
	const struct now now = now_read();
	char when[WHEN_TEXT_LEN];

	put(l, l->c->faint, when_short(&now, boot, when));
}

static bool is_here(const struct watched *fence, const struct watch_style *style)
{
	return fence->netns == style->netns;
}

void watch_view_head(const struct watch_style *style, FILE *out)
{
	struct line l = { .out = out, .c = &style->colours };

	put(&l, l.c->faint, "TIME");
	go_to(&l, COLUMN_PROGRAM);
	put(&l, l.c->faint, "PROGRAM");
	go_to(&l, COLUMN_TO);
	put(&l, l.c->faint, "TO");
	go_to(&l, COLUMN_BY);
	put(&l, l.c->faint, "BY");
	go_to(&l, COLUMN_WHY);
	put(&l, l.c->faint, "WHY");
	go_to(&l, COLUMN_COUNT);
	put(&l, l.c->faint, style->fences ? "COUNT FENCE" : "COUNT");
	fputc('\n', out);
}

void watch_view_drop(const struct drop *drop, const struct watch_style *style, FILE *out)
{
	struct line l = { .out = out, .c = &style->colours };
	const struct blocked_entry *b = &drop->entry;
	char device[TEXT_ROOM(TF_NAME_LEN)], count[32];
	struct sender s;

	sender_find(b, is_here(drop->fence, style), &s);
	text_escape(b->key.device.text, TF_NAME_LEN, device, sizeof(device));
	snprintf(count, sizeof(count), "x%llu", (unsigned long long)drop->count);
	put_time(&l, b->value.last);
	go_to(&l, COLUMN_PROGRAM);
	put_sender(&l, b, &s);
	go_to(&l, COLUMN_TO);
	put_where(&l, b);
	go_to(&l, COLUMN_BY);
	put(&l, "", device[0] ? device : "-");
	go_to(&l, COLUMN_WHY);
	put(&l, drop->fence->observe ? l.c->notice : l.c->bad,
	    reason_name((enum tf_reason)b->key.reason));
	go_to(&l, COLUMN_COUNT);
	put(&l, "", count);
	if (style->fences) {
		put(&l, "", " ");
		put(&l, "", drop->fence->name);
	}
	fputc('\n', out);
	if (blocked_oddity(&b->key))
		put_oddity(&l, blocked_oddity(&b->key));
}

void watch_view_note(const struct watched *fence, const char *text,
		     const struct watch_style *style, FILE *out)
{
	struct line l = { .out = out, .c = &style->colours };

	put_time(&l, now_read().boot);
	go_to(&l, COLUMN_PROGRAM);
	put(&l, l.c->notice, fence->name);
	put(&l, l.c->notice, ": ");
	put(&l, l.c->notice, text);
	fputc('\n', out);
}

json_t *watch_view_json(const struct drop *drop, const struct watch_style *style)
{
	const struct now now = now_read();
	json_t *j = json_pack("{s:i, s:s, s:s, s:I}", "version", 1, "event", "blocked", "fence",
			      drop->fence->name, "count", (json_int_t)drop->count);
	json_t *entry = blocked_entry_json(&drop->entry, is_here(drop->fence, style), &now);

	json_object_update(j, entry);
	json_decref(entry);
	if (drop->event)
		json_object_set_new(j, "length", json_integer(drop->event->length));
	return j;
}

const char *watch_view_text(const struct drop *drop, const struct sender *s,
			    char buf[WATCH_TEXT_LEN])
{
	const struct blocked_entry *b = &drop->entry;
	char who[SENDER_TEXT_LEN], where[BLOCKED_WHERE_LEN], name[QUESTION_TEXT_LEN];
	char device[TEXT_ROOM(TF_NAME_LEN)];
	const char *oddity = blocked_oddity(&b->key);

	text_escape(b->key.device.text, TF_NAME_LEN, device, sizeof(device));
	snprintf(buf, WATCH_TEXT_LEN, "%s: %s%s%s%s%s %s: it %s%s%s", sender_text(b, s, who),
		 blocked_where(&b->key, where), device[0] ? " by " : "", device,
		 b->key.question ? ", asking for " : "",
		 b->key.question ? question_format(b->value.question, name) : "",
		 drop->fence->observe ? "would have been stopped" : "was stopped",
		 reason_text((enum tf_reason)b->key.reason), oddity ? ", and " : "",
		 oddity ? oddity : "");
	return buf;
}
