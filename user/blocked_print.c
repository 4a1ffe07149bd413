// SPDX-License-Identifier: GPL-2.0
/*
 * What was dropped, as text and as JSON: see blocked_view.h. Names come from whoever sent the packets,
 * and are made fit to be shown before they get here or right here.
 */
#include <netinet/in.h>
#include <string.h>

#include "blocked_view.h"
#include "colour.h"
#include "question.h"
#include "reason.h"
#include "sender.h"
#include "text.h"
#include "util.h"

enum { TO_WIDTH = 38 }; /* of the column; what is longer has a line of its own */

static const char *protocol_text(__u8 protocol, char buf[16])
{
	switch (protocol) {
	case IPPROTO_TCP:
		return "tcp";
	case IPPROTO_UDP:
		return "udp";
	case IPPROTO_ICMP:
		return "icmp";
	case IPPROTO_ICMPV6:
		return "icmpv6";
	case IPPROTO_IGMP:
		return "igmp";
	case IPPROTO_GRE:
		return "gre";
	case IPPROTO_SCTP:
		return "sctp";
	default:
		snprintf(buf, 16, "ip/%u", protocol);
		return buf;
	}
}

static bool has_addr(const struct tf_blocked_key *key)
{
	static const struct tf_addr none;

	return !tf_addr_equal(&key->addr, &none);
}

const char *blocked_where(const struct tf_blocked_key *key, char to[BLOCKED_WHERE_LEN])
{
	char addr[ADDR_TEXT_LEN], number[16];
	const char *protocol = protocol_text(key->protocol, number);

	if (!has_addr(key))
		snprintf(to, BLOCKED_WHERE_LEN, "%s",
			 key->plane == TF_PLANE_GUARD ? "a socket" : "no IP packet");
	else if (key->plane == TF_PLANE_INGRESS && key->port)
		snprintf(to, BLOCKED_WHERE_LEN, "%s port %u from %s", protocol, key->port,
			 addr_format(&key->addr, addr));
	else if (key->plane == TF_PLANE_INGRESS)
		snprintf(to, BLOCKED_WHERE_LEN, "%s from %s", protocol,
			 addr_format(&key->addr, addr));
	else if (key->port)
		snprintf(to, BLOCKED_WHERE_LEN, "%s %s", protocol,
			 addr_port_format(&key->addr, tf_htons(key->port), addr));
	else
		snprintf(to, BLOCKED_WHERE_LEN, "%s %s", protocol, addr_format(&key->addr, addr));
	return to;
}

const char *blocked_oddity(const struct tf_blocked_key *key)
{
	return key->flags & TF_BLOCKED_ROUND ? "got past the socket plane" : NULL;
}

static void print_row(const struct blocked_view *v, const struct blocked_entry *b, FILE *out)
{
	char to[BLOCKED_WHERE_LEN], when[WHEN_TEXT_LEN], name[QUESTION_TEXT_LEN];
	char device[TEXT_ROOM(TF_NAME_LEN)];

	blocked_where(&b->key, to);
	text_escape(b->key.device.text, TF_NAME_LEN, device, sizeof(device));
	fprintf(out, "%9llu  %-8s  %-*s ", (unsigned long long)b->value.packets,
		when_short(&v->now, b->value.last, when), TO_WIDTH, to);
	if (strlen(to) > TO_WIDTH)
		fprintf(out, "\n%*s", 9 + 2 + 8 + 2 + TO_WIDTH + 1, "");
	fprintf(out, "%-6s %s\n", device[0] ? device : "-",
		reason_name((enum tf_reason)b->key.reason));
	if (b->key.question)
		fprintf(out, "%21sasks for %s\n", "", question_format(b->value.question, name));
	if (blocked_oddity(&b->key))
		fprintf(out, "%21s%s\n", "", blocked_oddity(&b->key));
}

/* The first of the shown rows with the same sender as this one, which may be itself. */
static size_t first_of(const struct blocked_view *v, size_t row)
{
	size_t i;

	for (i = 0; i < row && !sender_is_same(&v->rows[i].key, &v->rows[row].key); i++)
		;
	return i;
}

/* The process that sent last speaks for all of that name. */
static void print_sender(const struct blocked_view *v, size_t first, FILE *out)
{
	const struct colours c = colours_for(out);
	struct blocked_entry latest = v->rows[first];
	char text[SENDER_TEXT_LEN];
	struct sender s;
	size_t i;

	for (i = first; i < v->shown; i++) {
		if (v->rows[i].value.last > latest.value.last &&
		    sender_is_same(&v->rows[i].key, &latest.key))
			latest = v->rows[i];
	}
	sender_find(&latest, v->here, &s);
	fprintf(out, "\n%s%s%s\n", c.name, sender_text(&latest, &s, text), c.plain);
}

static void print_groups(const struct blocked_view *v, FILE *out)
{
	size_t i, j;

	for (i = 0; i < v->shown; i++) {
		if (first_of(v, i) != i)
			continue;
		print_sender(v, i, out);
		for (j = i; j < v->shown; j++) {
			if (first_of(v, j) == i)
				print_row(v, &v->rows[j], out);
		}
	}
}

static void print_reasons(const struct blocked_view *v, FILE *out)
{
	bool used[TF_REASON_COUNT] = {};
	size_t i;

	for (i = 0; i < v->shown; i++) {
		if (v->rows[i].key.reason < TF_REASON_COUNT)
			used[v->rows[i].key.reason] = true;
	}
	fputc('\n', out);
	for (i = 0; i < TF_REASON_COUNT; i++) {
		if (used[i])
			fprintf(out, "%s: it %s\n", reason_name((enum tf_reason)i),
				reason_text((enum tf_reason)i));
	}
}

static void print_head(const struct blocked_view *v, FILE *out)
{
	const struct counter_total *all = &v->blocked->stopped;

	if (!all->packets)
		fprintf(out, "%s: nothing %s so far\n", v->fence,
			v->observe ? "would have been stopped" : "was stopped");
	else
		fprintf(out, "%s: %llu packet%s %s%s\n", v->fence,
			(unsigned long long)all->packets, plural(all->packets),
			v->observe ? "would have been " : "", "stopped");
	if (all->packets && v->observe)
		fputs("the fence only observes: they left, and each plane has counted them\n", out);
	if (all->packets && !v->shown)
		fputs("none of them is of what was asked for\n", out);
}

static void print_rest(const struct blocked_view *v, FILE *out)
{
	const struct colours c = colours_for(out);
	const struct counter_total *missed = &v->blocked->missed, *round = &v->blocked->round;

	if (v->shown < v->count)
		fprintf(out, "and %zu more kinds of packets; '--top 0' prints all\n",
			v->count - v->shown);
	if (missed->packets)
		fprintf(out, "%llu packet%s of other kinds had no room here; 'tunfence status' counts them\n",
			(unsigned long long)missed->packets, plural(missed->packets));
	if (round->packets)
		fprintf(out,
			"%sattention:%s %llu packet%s got past the socket plane and no further than the wire\n"
			"plane: somebody tries to go round the fence, or took a part of it away; see\n"
			"'tunfence status'\n",
			c.bad, c.plain, (unsigned long long)round->packets, plural(round->packets));
}

void blocked_view_print(const struct blocked_view *v, FILE *out)
{
	const struct colours c = colours_for(out);

	print_head(v, out);
	if (v->shown) {
		fprintf(out, "\n%s%9s  %-8s  %-*s %-6s %s%s\n", c.faint, "PACKETS", "LAST",
			TO_WIDTH, "TO", "BY", "WHY", c.plain);
		print_groups(v, out);
		print_reasons(v, out);
	}
	print_rest(v, out);
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static void json_sender(json_t *j, bool here, const struct blocked_entry *b)
{
	struct sender s;

	sender_find(b, here, &s);
	json_object_set_new(j, "sender", json_string(sender_name((enum tf_sender)b->key.sender)));
	if (b->key.sender == TF_SENDER_PROGRAM) {
		json_object_set_new(j, "program", json_string(s.program));
		json_object_set_new(j, "pid", json_integer(b->value.pid));
		json_object_set_new(j, "running", s.may_run ? json_boolean(s.runs) : json_null());
	}
	if (b->key.uid != TF_NO_UID) {
		json_object_set_new(j, "uid", json_integer(b->key.uid));
		json_object_set_new(j, "user", json_string(s.user));
	}
	if (b->key.cgroup) {
		json_object_set_new(j, "cgroup_id", json_integer((json_int_t)b->key.cgroup));
		json_object_set_new(j, "cgroup", json_string(s.cgroup));
		json_object_set_new(j, "unit", json_string(s.unit));
	}
	if (b->key.from) {
		json_object_set_new(j, "from_ifindex", json_integer(b->key.from));
		json_object_set_new(j, "from", json_string(s.from));
	}
}

static void json_packet(json_t *j, const struct blocked_entry *b)
{
	char addr[ADDR_TEXT_LEN], number[16], name[QUESTION_TEXT_LEN];

	if (has_addr(&b->key)) {
		json_object_set_new(j, "protocol",
				    json_string(protocol_text(b->key.protocol, number)));
		json_object_set_new(j, "address", json_string(addr_format(&b->key.addr, addr)));
		json_object_set_new(j, "port", json_integer(b->key.port));
	}
	if (b->key.question)
		json_object_set_new(j, "question",
				    json_string(question_format(b->value.question, name)));
}

json_t *blocked_entry_json(const struct blocked_entry *b, bool here, const struct now *now)
{
	char device[TEXT_ROOM(TF_NAME_LEN)];
	json_t *j = json_object();

	json_sender(j, here, b);
	json_packet(j, b);
	text_escape(b->key.device.text, TF_NAME_LEN, device, sizeof(device));
	json_object_set_new(j, "device", json_string(device));
	json_object_set_new(j, "plane", json_string(plane_name((enum tf_plane)b->key.plane)));
	json_object_set_new(j, "reason", json_string(reason_name((enum tf_reason)b->key.reason)));
	json_object_set_new(j, "observed", json_boolean(b->key.flags & TF_BLOCKED_OBSERVED));
	json_object_set_new(j, "round", json_boolean(b->key.flags & TF_BLOCKED_ROUND));
	json_object_set_new(j, "packets", json_integer((json_int_t)b->value.packets));
	json_object_set_new(j, "bytes", json_integer((json_int_t)b->value.bytes));
	json_object_set_new(j, "first", json_integer(when_real(now, b->value.first)));
	json_object_set_new(j, "last", json_integer(when_real(now, b->value.last)));
	return j;
}

json_t *json_total(const struct counter_total *total)
{
	return json_pack("{s:I, s:I}", "packets", (json_int_t)total->packets, "bytes",
			 (json_int_t)total->bytes);
}

json_t *blocked_view_json(const struct blocked_view *v)
{
	const struct blocked *b = v->blocked;
	json_t *array = json_array();
	size_t i;

	for (i = 0; i < v->shown; i++)
		json_array_append_new(array, blocked_entry_json(&v->rows[i], v->here, &v->now));
	return json_pack("{s:s, s:b, s:I, s:I, s:o, s:o, s:o, s:o}", "name", v->fence, "observing",
			 v->observe, "room", (json_int_t)b->room, "used", (json_int_t)b->count,
			 "stopped", json_total(&b->stopped), "missed", json_total(&b->missed),
			 "round", json_total(&b->round), "blocked", array);
}
