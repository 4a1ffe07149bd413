// SPDX-License-Identifier: GPL-2.0
/*
 * A view as the one screen to look at: see view.h. Says first whether it is safe and last what to
 * do, if anything is not well. Fits 80 columns and 24 lines when all is well; on a terminal longer
 * lines are wrapped, in a pipe each is one line. What was stopped is stopped_print.c's.
 */
#define _GNU_SOURCE /* open_memstream */
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#include "addr.h"
#include "colour.h"
#include "reason.h"
#include "text.h"
#include "view.h"
#include "view_print.h"

#define MANY 8 /* entries of a list before the rest is only counted */
#define FEW  3 /* lines of a kind, likewise, where not all is asked for */

/* ---- is it safe ------------------------------------------------------------------------------ */

static void print_tunnel_names(const struct screen *s)
{
	const struct tf_policy *p = &s->v->policy->rodata;
	__u32 i;

	for (i = 0; i < p->tunnel_count && i < FEW; i++) {
		fputs(i ? ", " : "", s->out);
		put_name(s->out, p->tunnels[i].name.text);
	}
	if (p->tunnel_count > FEW)
		fprintf(s->out, " and %u more", p->tunnel_count - FEW);
}

static bool has_tunnel_up(const struct view *v)
{
	__u32 i;

	for (i = 0; i < v->policy->rodata.tunnel_count && i < TF_MAX_TUNNELS; i++) {
		if (view_tunnel_is_up(v, i))
			return true;
	}
	return false;
}

static void print_safe(const struct screen *s)
{
	const bool system = s->v->policy->rodata.scope == TF_SCOPE_SYSTEM, up = has_tunnel_up(s->v);

	fprintf(s->out, "%sfenced%s: %snothing leaves %s but ", s->c.good, s->c.plain,
		up ? "" : "no tunnel is up, so ", system ? "this machine" : "its programs");
	if (up) {
		fputs("by ", s->out);
		print_tunnel_names(s);
		fputs(", or ", s->out);
	}
	fputs("as allowed below\n", s->out);
}

static void print_unsafe(const struct screen *s, const char *what, const char *why)
{
	fprintf(s->out, "%s%s%s: %s\n", s->c.bad, what, s->c.plain, why);
}

static void print_verdict(const struct screen *s)
{
	fprintf(s->out, "%s: ", s->v->fence->name);
	if (s->v->safe)
		print_safe(s);
	else if (s->v->policy->rodata.mode == TF_MODE_OBSERVE)
		print_unsafe(s, "OBSERVING, NOT FENCED",
			     "what it would stop leaves, and is counted");
	else if (!s->v->here)
		print_unsafe(s, "NOT FENCED HERE", "it is the fence of another network namespace");
	else
		print_unsafe(s, "NOT FULLY FENCED",
			     "something may leave, or come in, that should not");
}

static void print_since(const struct screen *s)
{
	time_t since = (time_t)s->v->state.since;
	char text[32];
	struct tm tm;

	if (s->v->has_state && localtime_r(&since, &tm) &&
	    strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm))
		fprintf(s->out, "  since      %s\n", text);
}

/* ---- what is up ------------------------------------------------------------------------------ */

static void print_endpoints(const struct policy_endpoint *list, size_t count, __u32 number,
			    const char *how, const struct screen *s)
{
	const size_t most = s->all ? MANY : FEW;
	FILE *out = s->out;
	char text[ADDR_TEXT_LEN];
	size_t i, shown = 0;

	for (i = 0; i < count; i++) {
		const struct tf_endpoint_key *key = &list[i].key;

		if (!(list[i].value.tunnels >> number & 1) || key->protocol == IPPROTO_ICMPV6)
			continue;
		if (shown++ < most)
			fprintf(out, "             endpoint %s %s%s\n",
				view_protocol(key->protocol),
				addr_port_format(&key->addr, tf_htons(key->port), text), how);
	}
	if (shown > most)
		fprintf(out, "             and %zu more\n", shown - most);
}

static void print_conditions(const struct tf_tunnel *t, FILE *out)
{
	fprintf(out, "             only %s", t->wireguard ? "WireGuard messages" : "by its address");
	if (t->local_port)
		fprintf(out, ", from port %u", t->local_port);
	if (t->mark)
		fprintf(out, ", with mark 0x%x", t->mark);
	if (t->uplink.text[0])
		put_named(out, ", by ", t->uplink.text);
	if (t->in_kernel)
		fputs(", made by the kernel", out);
	fputc('\n', out);
}

/* When its peer was last heard of, if that can be told. */
static void print_handshake(const struct screen *s, __u32 number)
{
	const long long when = s->v->handshake[number];
	char age[WHEN_TEXT_LEN];

	if (when == 0)
		fputs(", no handshake yet", s->out);
	else if (when > 0)
		fprintf(s->out, ", last handshake %s ago",
			when_long_ago((long long)time(NULL) - when, age));
}

static void print_tunnels(const struct screen *s)
{
	const struct policy *p = s->v->policy;
	__u32 i;

	for (i = 0; i < p->rodata.tunnel_count && i < TF_MAX_TUNNELS; i++) {
		const struct tf_tunnel *t = &p->rodata.tunnels[i];
		const struct link *link =
			s->v->here ? links_find(&s->v->links, t->name.text) : NULL;

		put_named(s->out, "  tunnel     ", t->name.text);
		put_named(s->out, " (", t->kind.text);
		fprintf(s->out, "), %s",
			view_tunnel_is_up(s->v, i) ? "up"
			: link			   ? "down"
						   : "not there now");
		if (s->v->safe && !view_tunnel_is_up(s->v, i))
			fputs(": nothing leaves but its handshake", s->out);
		print_handshake(s, i);
		fputc('\n', s->out);
		print_endpoints(p->endpoints, p->endpoint_count, i, "", s);
		print_endpoints(p->live, p->live_count, i, " (live)", s);
		if (s->all)
			print_conditions(t, s->out);
	}
}

/* Those that are as they should be only where all is asked for. */
static void print_name(const struct view *v, const char *host, void *data)
{
	const struct screen *s = data;
	long long when = view_resolved_at(v, host);
	const bool fresh = when && when >= v->state.since;
	char age[HOSTS_AGE_LEN];

	if (fresh && !s->all)
		return;
	put_named(s->out, "  name       ", host);
	if (!when)
		fputs(", not resolved yet\n", s->out);
	else
		fprintf(s->out,
			fresh ? ", resolved %s\n" : " stands on its last good addresses, of %s\n",
			hosts_age(when, age));
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
		put_name(out, g->path);
	else
		fprintf(out, "number %llu",
			(unsigned long long)v->policy->rodata.groups[number].id);
	fprintf(out, "%s\n",
		g->ended	     ? " (ended; its unit is started in the slice)" :
		g->held || !g->path ? "" :
				      " (gone)");
}

static void print_groups(const struct screen *s)
{
	const struct view *v = s->v;
	bool system = v->policy->rodata.scope == TF_SCOPE_SYSTEM;
	__u32 i, most = s->all ? v->group_count : FEW;

	if (v->group_count == 1) {
		fprintf(s->out, "  socket     %s ",
			system ? "every socket below the cgroup" : "sockets of the cgroup");
		print_group(v, 0, s->out);
		return;
	}
	fprintf(s->out, "  socket     sockets of %u cgroups\n", v->group_count);
	for (i = 0; i < v->group_count && i < most; i++) {
		fputs("             ", s->out);
		print_group(v, i, s->out);
	}
	if (i < v->group_count)
		fprintf(s->out, "             and %u more\n", v->group_count - i);
}

static void print_scope(const struct screen *s)
{
	const __u32 removed = s->v->removed;

	print_groups(s);
	if (removed)
		fprintf(s->out,
			"             and what sockets are left of %u cgroup%s removed since\n",
			removed, removed == 1 ? "" : "s");
}

static void print_exempt(const struct screen *s)
{
	const struct view *v = s->v;
	const struct tf_policy *p = &v->policy->rodata;
	__u32 i, most = s->all ? v->exempt_count : FEW;

	for (i = 0; i < v->exempt_count && i < most; i++) {
		const struct view_exempt *x = &v->exempt[i];

		fprintf(s->out, "  %-10s programs in ", i ? "" : "exempt");
		if (x->path)
			put_name(s->out, x->path);
		else
			fprintf(s->out, "number %llu", (unsigned long long)p->exempt[i].id);
		fputs(x->path && !x->there ? " (gone)\n" : "\n", s->out);
	}
	if (i < v->exempt_count)
		fprintf(s->out, "             and in %u more\n", v->exempt_count - i);
	if (v->exempt_count)
		fprintf(s->out, "             may leave by any uplink, and resolve names %s\n",
			p->exempt_names ? "there, too" : "by the tunnel only");
}

/* ---- the planes ------------------------------------------------------------------------------ */

/* How well something stands, of what there is to stand. */
struct whole {
	bool stands, missing;
};

static void look_at(enum standing standing, struct whole *w)
{
	if (standing == STANDING_ABSENT)
		return;
	w->stands = w->stands || standing_is_good(standing);
	w->missing = w->missing || !standing_is_good(standing);
}

static void look_at_hook(const struct view *v, enum hook hook, struct whole *w)
{
	size_t i;

	if (!policy_has_hook(&v->policy->rodata, hook) || hooks[hook].kind == KIND_DISPATCHER ||
	    (hooks[hook].kind == KIND_NETFILTER && !v->here) ||
	    (hooks[hook].kind == KIND_EXEMPT && !v->marks))
		return;
	if (hooks[hook].kind != KIND_DEVICE) {
		look_at(v->standing[hook], w);
		return;
	}
	for (i = 0; i < v->interface_count; i++) {
		if (v->interfaces[i].role == ROLE_UPLINK)
			look_at(v->interfaces[i].standing[hook], w);
	}
}

static struct whole plane_is_whole(const struct view *v, enum tf_plane plane)
{
	struct whole w = {};
	size_t i;

	for (i = 0; i < HOOK_COUNT; i++) {
		if (hooks[i].plane == plane)
			look_at_hook(v, (enum hook)i, &w);
	}
	return w;
}

static bool planes_are_whole(const struct view *v)
{
	__u32 i;

	for (i = 0; i < TF_PLANES; i++) {
		if (plane_is_whole(v, (enum tf_plane)i).missing)
			return false;
	}
	return true;
}

/* Whole planes by their names, else the hooks. */
static void print_absent(const struct screen *s)
{
	const struct tf_policy *p = &s->v->policy->rodata;
	const char *last = NULL, *name;
	size_t i;

	for (i = 0; i < HOOK_COUNT; i++) {
		if (!policy_has_hook(p, (enum hook)i) || hooks[i].kind == KIND_DEVICE ||
		    (hooks[i].kind == KIND_NETFILTER && !s->v->here) ||
		    s->v->standing[i] != STANDING_ABSENT)
			continue;
		name = plane_is_whole(s->v, hooks[i].plane).stands ? hooks[i].label
								   : plane_name(hooks[i].plane);
		if (!last || !streq(last, name))
			fprintf(s->out, "%s%s", last ? ", " : "; ", name);
		last = name;
	}
	fputs(last ? " not on this kernel\n" : "\n", s->out);
}

static void print_whole_planes(const struct screen *s)
{
	size_t shown = 0;
	__u32 i;

	for (i = 0; i < TF_PLANES; i++) {
		if (plane_is_whole(s->v, (enum tf_plane)i).stands)
			fprintf(s->out, "%s%s", shown++ ? ", " : "  planes     ",
				plane_name((enum tf_plane)i));
	}
	if (shown)
		print_absent(s);
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
		put_name(out, in->link->name.text);
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

/* Each hook, and those on devices for each device. */
static void print_planes(const struct screen *s)
{
	const struct tf_policy *p = &s->v->policy->rodata;

	print_devices(s->v, ROLE_UPLINK, HOOK_WIRE, "wire", s->out);
	if (s->v->here && p->scope == TF_SCOPE_SYSTEM)
		print_hooks(s->v, TF_PLANE_NAMESPACE, s->out);
	if (p->ingress)
		print_devices(s->v, ROLE_UPLINK, HOOK_IN, "ingress", s->out);
	print_hooks(s->v, TF_PLANE_GUARD, s->out);
}

static void print_reach(const struct screen *s)
{
	const struct tf_policy *p = &s->v->policy->rodata;
	const bool details = s->all || !planes_are_whole(s->v);

	if (details || p->scope == TF_SCOPE_CGROUP)
		print_scope(s);
	print_nestings(s->v, s->out);
	if (details)
		print_planes(s);
	else
		print_whole_planes(s);
	if (!p->ingress && p->scope == TF_SCOPE_SYSTEM)
		fputs("  ingress    whoever reaches this machine may come in (Inbound=accept)\n",
		      s->out);
	print_devices(s->v, ROLE_INSIDE, HOOK_COUNT, "inside", s->out);
}

/* ---- what is allowed ------------------------------------------------------------------------- */

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
			fprintf(out, "; inbound %s port", view_protocol(protocol));
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

static void print_counters(const struct screen *s)
{
	__u32 plane, reason;
	size_t shown = 0;

	for (reason = 0; reason < TF_REASON_COUNT; reason++) {
		if (tf_reason_verdict((enum tf_reason)reason) != TF_DROP)
			continue;
		for (plane = 0; plane < TF_PLANES; plane++) {
			const struct counter_total *c = &s->v->counters[plane][reason];

			if (!c->packets)
				continue;
			fprintf(s->out, "  %-10s %llu packet%s on the %s plane: %s, %s\n",
				shown++ ? "" : "counted", (unsigned long long)c->packets,
				c->packets == 1 ? "" : "s", plane_name((enum tf_plane)plane),
				reason_name((enum tf_reason)reason),
				reason_text((enum tf_reason)reason));
		}
	}
}

/* ---- what to do ------------------------------------------------------------------------------ */

/* To be pasted; who asked by sudo needs it again. NULL: there is none. */
static const char *command_of(const struct view_problem *p)
{
	switch (p->remedy) {
	case REMEDY_SYNC:
		return "tunfence sync";
	case REMEDY_UP:
		return "tunfence up";
	case REMEDY_WORDS:
		break;
	}
	return NULL;
}

static void print_first(const struct screen *s, const struct view_problem *p)
{
	const char *command = command_of(p);

	fprintf(s->out, "  %sdo first%s   ", p->unsafe ? s->c.bad : s->c.name, s->c.plain);
	if (command)
		fprintf(s->out, "%s%s%s %s%s\n             ", s->c.name,
			getenv("SUDO_USER") ? "sudo " : "", command, s->v->fence->name, s->c.plain);
	fprintf(s->out, "%s\n", p->text);
}

static void print_problems(const struct screen *s)
{
	const struct view *v = s->v;
	const size_t most = s->all ? v->problem_count : FEW;
	size_t i;

	if (v->problem_count)
		print_first(s, &v->problems[0]);
	for (i = 1; i < v->problem_count && i < most; i++)
		fprintf(s->out, "  attention  %s\n", v->problems[i].text);
	if (i < v->problem_count)
		fprintf(s->out, "             and %zu more: 'tunfence status %s --verbose'\n",
			v->problem_count - i, v->fence->name);
}

/* ---- all of it ------------------------------------------------------------------------------- */

static void print_screen(struct screen *s)
{
	print_verdict(s);
	print_since(s);
	print_tunnels(s);
	view_each_name(s->v, print_name, s);
	print_bootstrap(s->v, s->out);
	print_exempt(s);
	print_reach(s);
	print_allowed(s->v, s->out);
	stopped_print(s);
	if (s->all)
		print_counters(s);
	print_problems(s);
}

enum { INDENT = 13, WIDTH = 80, LEAST_WIDTH = 40 };

static size_t width_of(FILE *terminal)
{
	struct winsize size = {};

	if (ioctl(fileno(terminal), TIOCGWINSZ, &size) || size.ws_col < LEAST_WIDTH)
		return WIDTH;
	return size.ws_col;
}

/* In a pipe a line is a line, for whoever looks for words in it. */
static void put_wrapped(const char *text, FILE *out)
{
	_cleanup_free_ char *wrapped =
		isatty(fileno(out)) ? text_wrap(text, width_of(out), INDENT) : NULL;

	fputs(wrapped ? wrapped : text, out);
}

void view_print(const struct view *v, bool all, FILE *out)
{
	_cleanup_free_ char *text = NULL;
	size_t size;
	struct screen s = {
		.v = v, .all = all, .c = colours_for(out), .out = open_memstream(&text, &size)
	};

	if (s.out) {
		print_screen(&s);
		fclose(s.out);
	}
	if (text)
		put_wrapped(text, out);
	else
		fprintf(out, "%s: NOT KNOWN TO BE FENCED: out of memory\n", v->fence->name);
}
