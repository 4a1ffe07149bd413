// SPDX-License-Identifier: GPL-2.0
/* A view as text and as JSON: see view.h. */
#include <netinet/in.h>
#include <net/if.h>
#include <string.h>
#include <time.h>

#include "addr.h"
#include "reason.h"
#include "view.h"

#define MANY 8 /* entries of a list before the rest is only counted */
#define MANY_NAMES 64 /* of endpoints, that are shown */

static const char *protocol_name(__u8 protocol)
{
	switch (protocol) {
	case IPPROTO_UDP:
		return "udp";
	case IPPROTO_TCP:
		return "tcp";
	default:
		return "icmpv6";
	}
}

static void print_since(const struct view *v, FILE *out)
{
	time_t since = (time_t)v->state.since;
	char text[32];
	struct tm tm;

	if (v->has_state && localtime_r(&since, &tm) &&
	    strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm))
		fprintf(out, ", since %s", text);
}

static void print_endpoints(const struct policy_endpoint *list, size_t count, __u32 number,
			    const char *how, FILE *out)
{
	char text[ADDR_TEXT_LEN];
	size_t i, shown = 0;

	for (i = 0; i < count; i++) {
		const struct tf_endpoint_key *key = &list[i].key;

		if (!(list[i].value.tunnels >> number & 1) || key->protocol == IPPROTO_ICMPV6)
			continue;
		if (shown++ < MANY)
			fprintf(out, "             endpoint %s %s%s\n", protocol_name(key->protocol),
				addr_port_format(&key->addr, tf_htons(key->port), text), how);
	}
	if (shown > MANY)
		fprintf(out, "             and %zu more\n", shown - MANY);
}

static void print_conditions(const struct tf_tunnel *t, FILE *out)
{
	fprintf(out, "             only %s", t->wireguard ? "WireGuard messages" : "by its address");
	if (t->local_port)
		fprintf(out, ", from port %u", t->local_port);
	if (t->mark)
		fprintf(out, ", with mark 0x%x", t->mark);
	if (t->uplink.text[0])
		fprintf(out, ", by %s", t->uplink.text);
	if (t->in_kernel)
		fputs(", made by the kernel", out);
	fputc('\n', out);
}

static void print_tunnels(const struct view *v, FILE *out)
{
	const struct tf_policy *p = &v->policy->rodata;
	__u32 i;

	for (i = 0; i < p->tunnel_count && i < TF_MAX_TUNNELS; i++) {
		const struct tf_tunnel *t = &p->tunnels[i];
		const struct link *link = v->here ? links_find(&v->links, t->name.text) : NULL;

		fprintf(out, "  tunnel     %s (%s), %s\n", t->name.text, t->kind.text,
			view_tunnel_is_up(v, i) ? "up" :
			link ? "down: nothing leaves but its handshake" :
			       "not there now: nothing leaves but its handshake");
		print_endpoints(v->policy->endpoints, v->policy->endpoint_count, i, "", out);
		print_endpoints(v->policy->live, v->policy->live_count, i, " (live)", out);
		print_conditions(t, out);
	}
}

/* When a name resolved last; 0: never. Kept for all names of a fence together. */
static long long resolved_at(const struct view *v, const char *host)
{
	return hosts_find(&v->last, host) ? v->last.when : 0;
}

static void print_name(const struct view *v, const char *host, void *data)
{
	FILE *out = data;
	long long when = resolved_at(v, host);
	char age[HOSTS_AGE_LEN];

	fprintf(out, "  name       %s", host);
	if (!when)
		fputs(", not resolved yet\n", out);
	else if (when < v->state.since)
		fprintf(out, " stands on its last good addresses, of %s\n", hosts_age(when, age));
	else
		fprintf(out, ", resolved %s\n", hosts_age(when, age));
}

/* Calls each for every name of the fence, once. */
static void for_each_name(const struct view *v,
			  void (*each)(const struct view *v, const char *host, void *data),
			  void *data)
{
	const struct config_tunnel *t = v->state.tunnels;
	const char *seen[MANY_NAMES];
	size_t i, j, k, count = 0;

	for (i = 0; i < v->state.tunnel_count; i++) {
		for (j = 0; j < t[i].endpoint_count && count < MANY_NAMES; j++) {
			for (k = 0; k < count && !streq(seen[k], t[i].endpoints[j].host); k++)
				;
			if (k < count)
				continue;
			seen[count++] = t[i].endpoints[j].host;
			each(v, t[i].endpoints[j].host, data);
		}
	}
}

static void print_bootstrap(const struct view *v, FILE *out)
{
	const struct tf_policy *p = &v->policy->rodata;
	char text[ADDR_TEXT_LEN];

	if (p->resolver_port)
		fprintf(out, "  bootstrap  tunfence alone may ask %s for the names\n",
			addr_port_format(&p->resolver, tf_htons(p->resolver_port), text));
}

static void print_group(const struct view *v, __u32 number, FILE *out)
{
	const struct view_group *g = &v->groups[number];

	if (g->path)
		fputs(g->path, out);
	else
		fprintf(out, "number %llu",
			(unsigned long long)v->policy->rodata.groups[number].id);
	fprintf(out, "%s\n",
		g->ended	     ? " (ended; its unit is started in the slice)" :
		g->held || !g->path ? "" :
				      " (gone)");
}

static void print_groups(const struct view *v, FILE *out)
{
	bool system = v->policy->rodata.scope == TF_SCOPE_SYSTEM;
	__u32 i;

	if (v->group_count == 1) {
		fprintf(out, "  socket     %s ",
			system ? "every socket below the cgroup" : "sockets of the cgroup");
		print_group(v, 0, out);
		return;
	}
	fprintf(out, "  socket     sockets of %u cgroups\n", v->group_count);
	for (i = 0; i < v->group_count; i++) {
		fputs("             ", out);
		print_group(v, i, out);
	}
}

static void print_scope(const struct view *v, FILE *out)
{
	print_groups(v, out);
	if (v->removed)
		fprintf(out, "             and what sockets are left of %u cgroup%s removed since\n",
			v->removed, v->removed == 1 ? "" : "s");
}

static void print_exempt(const struct view *v, FILE *out)
{
	const struct tf_policy *p = &v->policy->rodata;
	__u32 i;

	for (i = 0; i < v->exempt_count; i++) {
		const struct view_exempt *x = &v->exempt[i];

		fprintf(out, "  %-10s ", i ? "" : "exempt");
		if (x->path)
			fprintf(out, "programs in %s%s\n", x->path, x->there ? "" : " (gone)");
		else
			fprintf(out, "programs in number %llu\n",
				(unsigned long long)p->exempt[i].id);
	}
	if (v->exempt_count)
		fprintf(out, "             may leave by any uplink, and resolve names %s\n",
			p->exempt_names ? "there, too" : "by the tunnel only");
}

/* The interfaces of a role, each with how hook stands there; HOOK_COUNT: just their names. */
static void print_devices(const struct view *v, enum role role, enum hook hook, const char *label,
			  FILE *out)
{
	size_t i, shown = 0;

	for (i = 0; i < v->interface_count; i++) {
		const struct view_interface *in = &v->interfaces[i];

		if (in->role != role)
			continue;
		if (shown++ == 0)
			fprintf(out, "  %-10s ", label);
		else if (shown <= MANY)
			fputs(", ", out);
		if (shown > MANY)
			continue;
		fputs(in->link->name.text, out);
		if (hook != HOOK_COUNT)
			fprintf(out, " (%s)", standing_name(in->standing[hook]));
	}
	if (shown > MANY)
		fprintf(out, " and %zu more", shown - MANY);
	if (shown)
		fputc('\n', out);
}

/* The hooks of a plane that are not on devices: those there are, then those the kernel lacks. */
static void print_hooks(const struct view *v, enum tf_plane plane, FILE *out)
{
	size_t i, there = 0, absent = 0;

	fprintf(out, "  %-10s ", plane_name(plane));
	for (i = 0; i < HOOK_COUNT; i++) {
		if (hooks[i].plane != plane || v->standing[i] == STANDING_ABSENT ||
		    !policy_has_hook(&v->policy->rodata, (enum hook)i))
			continue;
		fprintf(out, "%s%s", there++ ? ", " : "", hooks[i].label);
		if (v->standing[i] != STANDING_LINK)
			fprintf(out, " (%s)", standing_name(v->standing[i]));
	}
	for (i = 0; i < HOOK_COUNT; i++) {
		if (hooks[i].plane == plane && v->standing[i] == STANDING_ABSENT &&
		    policy_has_hook(&v->policy->rodata, (enum hook)i))
			fprintf(out, "%s%s", absent++ ? ", " : there ? "; " : "", hooks[i].label);
	}
	fprintf(out, "%s\n", absent ? " not on this kernel" : "");
}

/* What these fences hold must pass them as well. */
static void print_nestings(const struct view *v, FILE *out)
{
	size_t i;

	for (i = 0; i < v->around.count; i++) {
		const struct nesting *n = &v->around.list[i];

		fprintf(out, "  within     fence '%s'%s", n->fence,
			n->scope == TF_SCOPE_SYSTEM ? " of the system" : "");
		if (n->groups < v->group_count)
			fprintf(out, ", %u of the %u cgroups", n->groups, v->group_count);
		fputs(": what leaves must pass both\n", out);
	}
}

static void print_planes(const struct view *v, FILE *out)
{
	const struct tf_policy *p = &v->policy->rodata;

	print_scope(v, out);
	print_nestings(v, out);
	print_devices(v, ROLE_UPLINK, HOOK_WIRE, "wire", out);
	if (v->here && p->scope == TF_SCOPE_SYSTEM)
		print_hooks(v, TF_PLANE_NAMESPACE, out);
	if (p->ingress)
		print_devices(v, ROLE_UPLINK, HOOK_IN, "ingress", out);
	else if (p->scope == TF_SCOPE_SYSTEM)
		fputs("  ingress    whoever reaches this machine may come in (Inbound=accept)\n", out);
	print_hooks(v, TF_PLANE_GUARD, out);
	print_devices(v, ROLE_INSIDE, HOOK_COUNT, "inside", out);
}

static void print_lan(const struct policy *p, FILE *out)
{
	char text[ADDR_TEXT_LEN];
	const struct prefix *outer = NULL;
	struct prefix prefix, last = {};
	size_t i, shown = 0;

	for (i = 0; i < p->prefix_count; i++) {
		if (!p->prefixes[i].value.lan)
			continue;
		prefix = (struct prefix){ .addr = p->prefixes[i].key.addr,
					  .bits = p->prefixes[i].key.bits };
		if (outer && prefix_covers(outer, &prefix))
			continue;
		last = prefix;
		outer = &last;
		if (shown++ < MANY)
			fprintf(out, "%s %s", shown == 1 ? "; LAN" : ",",
				prefix_format(&prefix, text));
	}
	if (shown > MANY)
		fprintf(out, " and %zu more", shown - MANY);
}

/* The ports of a protocol, runs of them as FROM-TO. */
static void print_inbound(const struct policy *p, __u8 protocol, FILE *out)
{
	size_t i, end, shown = 0;

	for (i = 0; i < p->inbound_count; i = end) {
		end = i + 1;
		if (p->inbound[i].protocol != protocol)
			continue;
		while (end < p->inbound_count && p->inbound[end].protocol == protocol &&
		       p->inbound[end].port == p->inbound[end - 1].port + 1)
			end++;
		if (shown == 0)
			fprintf(out, "; inbound %s port", protocol_name(protocol));
		if (shown++ >= MANY)
			continue;
		fprintf(out, " %u", p->inbound[i].port);
		if (end - i > 1)
			fprintf(out, "-%u", p->inbound[end - 1].port);
	}
	if (shown > MANY)
		fprintf(out, " and %zu more", shown - MANY);
}

static void print_allowed(const struct view *v, FILE *out)
{
	const struct policy *p = v->policy;
	size_t i, rules = 0;

	for (i = 0; i < p->prefix_count; i++)
		rules += p->prefixes[i].value.count != 0;
	fprintf(out, "  allowed    %s", p->rodata.dhcp ? "ARP, ND, DHCP" : "ARP, ND");
	print_lan(p, out);
	print_inbound(p, IPPROTO_TCP, out);
	print_inbound(p, IPPROTO_UDP, out);
	if (rules)
		fprintf(out, "; %zu destination prefix%s", rules, rules == 1 ? "" : "es");
	fputc('\n', out);
}

static void print_counters(const struct view *v, FILE *out)
{
	__u32 plane, reason;
	bool any = false;

	for (reason = 0; reason < TF_REASON_COUNT; reason++) {
		if (tf_reason_verdict((enum tf_reason)reason) != TF_DROP)
			continue;
		for (plane = 0; plane < TF_PLANES; plane++) {
			const struct counter_total *c = &v->counters[plane][reason];

			if (!c->packets)
				continue;
			fprintf(out, "  %-10s %llu packet%s on the %s plane: %s, %s\n",
				any				      ? "" :
				v->policy->rodata.mode ? "would stop" :
							 "stopped",
				(unsigned long long)c->packets, c->packets == 1 ? "" : "s",
				plane_name((enum tf_plane)plane),
				reason_name((enum tf_reason)reason),
				reason_text((enum tf_reason)reason));
			any = true;
		}
	}
	if (!any)
		fputs("  stopped    nothing so far\n", out);
}

void view_print(const struct view *v, FILE *out)
{
	size_t i;

	fprintf(out, "%s: %s", v->fence->name,
		v->policy->rodata.mode == TF_MODE_OBSERVE ? "OBSERVING, NOT FENCED" :
		!v->here				   ? "fence of another namespace" :
		v->safe					   ? "fenced" :
							     "NOT FULLY FENCED");
	print_since(v, out);
	fputc('\n', out);
	print_tunnels(v, out);
	for_each_name(v, print_name, out);
	print_bootstrap(v, out);
	print_exempt(v, out);
	print_planes(v, out);
	print_allowed(v, out);
	print_counters(v, out);
	for (i = 0; i < v->problem_count; i++)
		fprintf(out, "  attention  %s\n", v->problems[i]);
}

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
			json_array_append_new(
				array, json_pack("{s:s, s:s, s:i, s:s}", "protocol",
						 protocol_name(end->key.protocol), "address",
						 addr_format(&end->key.addr, text), "port",
						 end->key.port, "source",
						 lists[l].source));
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
			json_pack("{s:s, s:s, s:i, s:b, s:b, s:i, s:I, s:s, s:o}", "name",
				  t->name.text, "kind", t->kind.text, "ifindex",
				  link ? link->ifindex : 0, "up",
				  view_tunnel_is_up(v, i),
				  "wireguard", t->wireguard, "local_port", t->local_port,
				  "mark", (json_int_t)t->mark, "uplink", t->uplink.text, "endpoints",
				  json_endpoints(v->policy, i)));
	}
	return array;
}

static void json_name(const struct view *v, const char *host, void *data)
{
	long long when = resolved_at(v, host);

	json_array_append_new(data, json_pack("{s:s, s:I, s:b}", "name", host, "resolved",
					      (json_int_t)when, "last_good",
					      when && when < v->state.since));
}

static json_t *json_names(const struct view *v)
{
	json_t *array = json_array();

	for_each_name(v, json_name, array);
	return array;
}

static json_t *json_interfaces(const struct view *v)
{
	json_t *array = json_array(), *object;
	size_t i, j;

	for (i = 0; i < v->interface_count; i++) {
		const struct view_interface *in = &v->interfaces[i];

		object = json_pack("{s:s, s:i, s:s}", "name", in->link->name.text, "ifindex",
				   in->link->ifindex, "role", role_name(in->role));
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
		json_array_append_new(array, json_pack("{s:s, s:s, s:s}", "plane",
						       plane_name(hooks[i].plane), "hook",
						       hooks[i].label, "state",
						       standing_name(v->standing[i])));
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
			json_array_append_new(
				array, json_pack("{s:s, s:s, s:s, s:I, s:I}", "plane",
						 plane_name((enum tf_plane)plane), "reason",
						 reason_name(why), "verdict",
						 verdict_name(tf_reason_verdict(why)), "packets",
						 (json_int_t)c->packets, "bytes",
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

		json_array_append_new(
			array, json_pack("{s:s, s:I, s:b, s:b}", "path", g->path ? g->path : "",
					 "id", (json_int_t)v->policy->rodata.groups[i].id, "held",
					 g->held, "ended", g->ended));
	}
	return array;
}

static json_t *json_exempt(const struct view *v)
{
	json_t *array = json_array();
	__u32 i;

	for (i = 0; i < v->exempt_count; i++) {
		const struct view_exempt *x = &v->exempt[i];

		json_array_append_new(
			array, json_pack("{s:s, s:I, s:b}", "path", x->path ? x->path : "", "id",
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
			json_array_append_new(strangers, json_string(n->strangers[j].text));
		json_array_append_new(array,
				      json_pack("{s:s, s:s, s:I, s:o}", "fence", n->fence, "scope",
						n->scope == TF_SCOPE_SYSTEM ? "system" : "cgroup",
						"cgroups", (json_int_t)n->groups, "no_tunnel_of_it",
						strangers));
	}
	return array;
}

json_t *view_json(const struct view *v)
{
	const struct tf_policy *p = &v->policy->rodata;
	const char *first = v->group_count && v->groups[0].path ? v->groups[0].path : "";
	json_t *problems = json_array();
	char text[ADDR_TEXT_LEN];
	size_t i;

	for (i = 0; i < v->problem_count; i++)
		json_array_append_new(problems, json_string(v->problems[i]));
	return json_pack("{s:s, s:s, s:s, s:b, s:b, s:I, s:s, s:I, s:I, s:s, s:I, s:o, s:o, s:b, s:o, s:o, s:o, "
			 "s:o, s:o, s:o, s:s, s:o, s:s, s:I}",
			 "name", v->fence->name, "mode",
			 p->mode == TF_MODE_OBSERVE ? "observe" : "enforce", "scope",
			 p->scope == TF_SCOPE_CGROUP ? "cgroup" : "system", "fenced", v->safe,
			 "here", v->here, "netns", (json_int_t)p->netns, "cgroup", first, "since",
			 (json_int_t)(v->has_state ? v->state.since : 0), "looked",
			 (json_int_t)(v->has_state ? v->state.looked : 0), "config",
			 v->has_state ? v->state.config : "", "cgroup_id",
			 (json_int_t)p->groups[0].id, "cgroups", json_groups(v), "within",
			 json_nestings(v), "ingress",
			 p->ingress, "tunnels", json_tunnels(v), "names", json_names(v), "hooks", json_hooks(v), "interfaces", json_interfaces(v),
			 "counters", json_counters(v), "problems", problems, "bootstrap_dns",
			 p->resolver_port ? addr_port_format(&p->resolver, tf_htons(p->resolver_port),
							     text) : "",
			 "exempt", json_exempt(v), "exempt_dns",
			 p->exempt_names ? "uplink" : "tunnel", "removed_cgroups",
			 (json_int_t)v->removed);
}
