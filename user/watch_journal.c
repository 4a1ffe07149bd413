// SPDX-License-Identifier: GPL-2.0
/*
 * What was dropped, for the journal: see watch_journal.h. Fields have what 'blocked --json' has, and
 * that is fit to be shown. An entry that the journal does not take is gone: 'blocked' has it.
 */
#include "watch_journal.h"

#include <string.h>

#include "blocked_view.h"
#include "util.h"
#include "watch_view.h"
#include "when.h"

enum { PRIORITY_WARNING = 4, PRIORITY_NOTICE = 5 };

/* Every field there is, and what it is called in JSON. */
static const struct {
	const char *field, *name;
} fields[] = {
	{ "TUNFENCE_REASON", "reason" },     { "TUNFENCE_PLANE", "plane" },
	{ "TUNFENCE_SENDER", "sender" },     { "TUNFENCE_APP", "program" },
	{ "TUNFENCE_PID", "pid" },           { "TUNFENCE_UID", "uid" },
	{ "TUNFENCE_UNIT", "unit" },         { "TUNFENCE_PROTOCOL", "protocol" },
	{ "TUNFENCE_ADDRESS", "address" },   { "TUNFENCE_PORT", "port" },
	{ "TUNFENCE_DEVICE", "device" },     { "TUNFENCE_NAME", "question" },
	{ "TUNFENCE_FROM", "from" },
};

static void begin(struct journal_entry *entry, int priority, const char *message)
{
	journal_put(entry, "MESSAGE", message);
	journal_put(entry, "SYSLOG_IDENTIFIER", "tunfence");
	journal_put_number(entry, "PRIORITY", (unsigned long long)priority);
}

static void put_fields(struct journal_entry *entry, const json_t *j)
{
	const json_t *value;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(fields); i++) {
		value = json_object_get(j, fields[i].name);
		if (json_is_string(value) && json_string_value(value)[0])
			journal_put(entry, fields[i].field, json_string_value(value));
		else if (json_is_integer(value))
			journal_put_number(entry, fields[i].field,
					   (unsigned long long)json_integer_value(value));
	}
}

/* Somebody went round, or would have: that is no mere habit of a program. */
static int priority_of(const struct tf_blocked_key *key)
{
	return key->flags & TF_BLOCKED_ROUND || key->reason == TF_REASON_BYPASS ? PRIORITY_WARNING :
										  PRIORITY_NOTICE;
}

void watch_journal_drop(struct watch_journal *j, const struct drop *drop)
{
	const bool here = drop->fence->netns == j->netns;
	const struct now now = now_read();
	struct journal_entry entry = {};
	char text[WATCH_TEXT_LEN];
	struct sender s;
	json_t *json;

	if (drop->quiet < JOURNAL_QUIET_NS ||
	    !journal_may(&j->limit, drop->entry.key.cgroup, now.boot))
		return;
	sender_find(&drop->entry, here, &s);
	begin(&entry, priority_of(&drop->entry.key), watch_view_text(drop, &s, text));
	journal_put(&entry, "TUNFENCE_FENCE", drop->fence->name);
	json = blocked_entry_json(&drop->entry, here, &now);
	put_fields(&entry, json);
	json_decref(json);
	journal_send(j->fd, &entry);
}

void watch_journal_lost(struct watch_journal *j, unsigned long long count)
{
	j->lost += count;
}

static void say_number(const struct watch_journal *j, const char *field, unsigned long long number,
		       const char *message)
{
	struct journal_entry entry = {};
	char text[128];

	snprintf(text, sizeof(text), "%llu %s; see 'tunfence blocked'", number, message);
	begin(&entry, PRIORITY_NOTICE, text);
	journal_put_number(&entry, field, number);
	journal_send(j->fd, &entry);
}

void watch_journal_tick(struct watch_journal *j)
{
	const __u64 now = now_read().boot;
	const unsigned long long held = journal_held(&j->limit, now);

	if (held)
		say_number(j, "TUNFENCE_HELD", held, "more kinds of packets were stopped");
	if (!j->lost || (j->told_lost && now - j->told_lost < JOURNAL_INTERVAL_NS))
		return;
	say_number(j, "TUNFENCE_LOST", j->lost, "events lost, so kinds of packets may be missing here");
	j->told_lost = now;
	j->lost = 0;
}
