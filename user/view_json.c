// SPDX-License-Identifier: GPL-2.0
/*
 * A view as JSON: see view.h. Scripts read it: a field that is there keeps its name and its
 * meaning. Names that others chose may have any bytes, and JSON is UTF-8: they go through
 * json_text().
 */
#include <netinet/in.h>

#include "addr.h"
#include "blocked_view.h"
#include "json_text.h"
#include "reason.h"
#include "view.h"

static json_t *json_endpoints(const struct policy *p, __u32 number)
{
	const struct {
		const struct policy_endpoint *list;
		size_t count;
		const char *source;
	} lists[] = {
		{ p->endpoints, p->endpoint_count, "policy" },
		{ p->live, p->live_count, "live" },
	};
	json_t *array = json_array();
	char text[ADDR_TEXT_LEN];
	size_t l, i;

	for (l = 0; l < ARRAY_SIZE(lists); l++) {
		for (i = 0; i < lists[l].count; i++) {
			const struct policy_endpoint *end = &lists[l].list[i];

			if (!(end->value.tunnels >> number & 1) ||
			    end->key.protocol == IPPROTO_ICMPV6)
				continue;
			json_array_append_new(array,
					      json_pack("{s:s, s:s, s:i, s:s}", "protocol",
							view_protocol(end->key.protocol), "address",
							addr_format(&end->key.addr, text), "port",
							end->key.port, "source", lists[l].source));
		}
	}
	return array;
}

static json_t *json_tunnels(const struct view *v)
{
	const struct tf_policy *p = &v->policy->rodata;
	json_t *array = json_array();
	__u32 i;

	for (i = 0; i < p->tunnel_count && i < TF_MAX_TUNNELS; i++) {
		const struct tf_tunnel *t = &p->tunnels[i];
		const struct link *link = v->here ? links_find(&v->links, t->name.text) : NULL;

		json_array_append_new(
			array,
			json_pack(
				"{s:o, s:o, s:i, s:b, s:b, s:i, s:I, s:o, s:o, s:o}", "name",
				json_text(t->name.text), "kind", json_text(t->kind.text), "ifindex",
				link ? link->ifindex : 0, "up", view_tunnel_is_up(v, i),
				"wireguard", t->wireguard, "local_port", t->local_port, "mark",
				(json_int_t)t->mark, "uplink", json_text(t->uplink.text),
				"endpoints", json_endpoints(v->policy, i), "last_handshake",
				v->handshake[i] < 0 ? json_null() : json_integer(v->handshake[i])));
	}
	return array;
}

static void json_name(const struct view *v, const char *host, void *data)
{
	long long when = view_resolved_at(v, host);

	json_array_append_new(data, json_pack("{s:o, s:I, s:b}", "name", json_text(host),
					      "resolved", (json_int_t)when, "last_good",
					      when && when < v->state.since));
}

static json_t *json_names(const struct view *v)
{
	json_t *array = json_array();

	view_each_name(v, json_name, array);
	return array;
}

static json_t *json_interfaces(const struct view *v)
{
	json_t *array = json_array(), *object;
	size_t i, j;

	for (i = 0; i < v->interface_count; i++) {
		const struct view_interface *in = &v->interfaces[i];

		object = json_pack("{s:o, s:i, s:s}", "name", json_text(in->link->name.text),
				   "ifindex", in->link->ifindex, "role", role_name(in->role));
		for (j = 0; in->role == ROLE_UPLINK && j < HOOK_COUNT; j++) {
			if (hooks[j].kind == KIND_DEVICE &&
			    policy_has_hook(&v->policy->rodata, (enum hook)j))
				json_object_set_new(object, hooks[j].label,
						    json_string(standing_name(in->standing[j])));
		}
		json_array_append_new(array, object);
	}
	return array;
}

static json_t *json_hooks(const struct view *v)
{
	json_t *array = json_array();
	size_t i;

	for (i = 0; i < HOOK_COUNT; i++) {
		if (hooks[i].kind == KIND_DEVICE || (hooks[i].kind == KIND_NETFILTER && !v->here) ||
		    !policy_has_hook(&v->policy->rodata, (enum hook)i))
			continue;
		json_array_append_new(array,
				      json_pack("{s:s, s:s, s:s}", "plane",
						plane_name(hooks[i].plane), "hook", hooks[i].label,
						"state", standing_name(v->standing[i])));
	}
	return array;
}

static json_t *json_counters(const struct view *v)
{
	json_t *array = json_array();
	__u32 plane, reason;

	for (plane = 0; plane < TF_PLANES; plane++) {
		for (reason = 0; reason < TF_REASON_COUNT; reason++) {
			const struct counter_total *c = &v->counters[plane][reason];
			enum tf_reason why = (enum tf_reason)reason;

			if (!c->packets)
				continue;
			json_array_append_new(array,
					      json_pack("{s:s, s:s, s:s, s:I, s:I}", "plane",
							plane_name((enum tf_plane)plane), "reason",
							reason_name(why), "verdict",
							verdict_name(tf_reason_verdict(why)),
							"packets", (json_int_t)c->packets, "bytes",
							(json_int_t)c->bytes));
		}
	}
	return array;
}

static json_t *json_groups(const struct view *v)
{
	json_t *array = json_array();
	__u32 i;

	for (i = 0; i < v->group_count; i++) {
		const struct view_group *g = &v->groups[i];

		json_array_append_new(array,
				      json_pack("{s:o, s:I, s:b, s:b}", "path", json_text(g->path),
						"id", (json_int_t)v->policy->rodata.groups[i].id,
						"held", g->held, "ended", g->ended));
	}
	return array;
}

static json_t *json_exempt(const struct view *v)
{
	json_t *array = json_array();
	__u32 i;

	for (i = 0; i < v->exempt_count; i++) {
		const struct view_exempt *x = &v->exempt[i];

		json_array_append_new(array,
				      json_pack("{s:o, s:I, s:b}", "path", json_text(x->path), "id",
						(json_int_t)v->policy->rodata.exempt[i].id, "there",
						x->there));
	}
	return array;
}

static json_t *json_nestings(const struct view *v)
{
	json_t *array = json_array(), *strangers;
	size_t i;
	__u32 j;

	for (i = 0; i < v->around.count; i++) {
		const struct nesting *n = &v->around.list[i];

		strangers = json_array();
		for (j = 0; j < n->stranger_count; j++)
			json_array_append_new(strangers, json_text(n->strangers[j].text));
		json_array_append_new(array,
				      json_pack("{s:s, s:s, s:I, s:o}", "fence", n->fence, "scope",
						n->scope == TF_SCOPE_SYSTEM ? "system" : "cgroup",
						"cgroups", (json_int_t)n->groups, "no_tunnel_of_it",
						strangers));
	}
	return array;
}

static json_t *json_count(const struct stopped *s, const struct stopped_count *count)
{
	json_t *first =
		count->packets ? json_integer(when_real(&s->now, count->first)) : json_null();

	return json_pack("{s:I, s:I, s:o, s:b}", "packets", (json_int_t)count->packets, "bytes",
			 (json_int_t)count->bytes, "first", first, "older",
			 stopped_is_older(s, count));
}

/* Who sent most, and of what most. */
static json_t *json_senders(const struct view *v)
{
	const struct now *now = &v->stopped.now;
	json_t *array = json_array(), *j;
	size_t i;

	for (i = 0; i < STOPPED_TOP && i < v->stopped.sender_count; i++) {
		const struct stopped_sender *sender = &v->stopped.top[i];

		j = json_count(&v->stopped, &sender->count);
		json_object_set_new(j, "kinds", json_integer((json_int_t)sender->kinds));
		json_object_set_new(j, "who", blocked_entry_json(&sender->latest, v->here, now));
		json_object_set_new(j, "most", blocked_entry_json(&sender->most, v->here, now));
		json_array_append_new(array, j);
	}
	return array;
}

/* null: that is not known. */
static json_t *json_stopped(const struct view *v)
{
	const struct stopped *s = &v->stopped;

	if (!v->has_stopped)
		return json_null();
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:I, s:I, s:I, s:o}", "today",
			 json_count(s, &s->out), "today_in", json_count(s, &s->in), "ever",
			 json_total(&s->ever), "missed", json_total(&s->missed), "round",
			 json_total(&s->round), "used", (json_int_t)s->used, "room",
			 (json_int_t)s->room, "senders", (json_int_t)s->sender_count, "top",
			 json_senders(v));
}

json_t *view_json(const struct view *v)
{
	const struct tf_policy *p = &v->policy->rodata;
	const char *first = v->group_count && v->groups[0].path ? v->groups[0].path : NULL;
	json_t *problems = json_array();
	char text[ADDR_TEXT_LEN];
	size_t i;

	for (i = 0; i < v->problem_count; i++)
		json_array_append_new(problems, json_string(v->problems[i].text));
	return json_pack(
		"{s:s, s:s, s:s, s:b, s:b, s:I, s:o, s:I, s:I, s:o, s:I, s:o, s:o, s:b, s:o, "
		"s:o, s:o, s:o, s:o, s:o, s:s, s:o, s:s, s:I, s:o}",
		"name", v->fence->name, "mode", p->mode == TF_MODE_OBSERVE ? "observe" : "enforce",
		"scope", p->scope == TF_SCOPE_CGROUP ? "cgroup" : "system", "fenced", v->safe,
		"here", v->here, "netns", (json_int_t)p->netns, "cgroup", json_text(first), "since",
		(json_int_t)(v->has_state ? v->state.since : 0), "looked",
		(json_int_t)(v->has_state ? v->state.looked : 0), "config",
		json_text(v->has_state ? v->state.config : NULL), "cgroup_id",
		(json_int_t)p->groups[0].id, "cgroups", json_groups(v), "within", json_nestings(v),
		"ingress", p->ingress, "tunnels", json_tunnels(v), "names", json_names(v), "hooks",
		json_hooks(v), "interfaces", json_interfaces(v), "counters", json_counters(v),
		"problems", problems, "bootstrap_dns",
		p->resolver_port ? addr_port_format(&p->resolver, tf_htons(p->resolver_port), text)
				 : "",
		"exempt", json_exempt(v), "exempt_dns", p->exempt_names ? "uplink" : "tunnel",
		"removed_cgroups", (json_int_t)v->removed, "stopped", json_stopped(v));
}
