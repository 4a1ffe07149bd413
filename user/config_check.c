// SPDX-License-Identifier: GPL-2.0
/*
 * How the values of a configuration go together: what contradicts itself, what is said twice, what
 * could never work. Runs at the end of each [Tunnel] and at the end of the file, so that the order
 * of lines does not matter. Never touches a single value.
 */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "config_parser.h"
#include "slice.h"
#include "units.h"
#include "util.h"
#include "value.h"
#include "wgconf.h"

static int merge_listen_port(struct parser *p, struct config_tunnel *tunnel, const struct wgconf *w)
{
	if (!tunnel->listen_port)
		tunnel->listen_port = w->listen_port;
	if (!w->listen_port || w->listen_port == tunnel->listen_port)
		return 0;

	p->at = p->key_line[KEY_Tunnel_ListenPort];
	return err_set(p->e, -EINVAL,
		       "ListenPort=%u contradicts '%s', where it is %u; remove the line",
		       tunnel->listen_port, tunnel->wireguard_config, w->listen_port);
}

static int merge_mark(struct parser *p, struct config_tunnel *tunnel, const struct wgconf *w)
{
	if (!tunnel->mark)
		tunnel->mark = w->mark;
	if (!w->mark || w->mark == tunnel->mark)
		return 0;

	p->at = p->key_line[KEY_Tunnel_FwMark];
	return err_set(p->e, -EINVAL,
		       "FwMark=%#x contradicts '%s', where it is %#x; remove the line",
		       tunnel->mark, tunnel->wireguard_config, w->mark);
}

static int merge(struct parser *p, struct config_tunnel *tunnel, const struct wgconf *w)
{
	int r;

	for (size_t i = 0; i < w->endpoint_count; i++) {
		if (parser_find_endpoint(tunnel, &w->endpoints[i]))
			continue;
		r = parser_add_endpoint(p, tunnel, &w->endpoints[i]);
		if (r < 0)
			return r;
	}

	r = merge_listen_port(p, tunnel, w);
	if (r < 0)
		return r;
	return merge_mark(p, tunnel, w);
}

int config_merge_wireguard(struct parser *p, struct config_tunnel *tunnel)
{
	struct wgconf w;
	int r;

	p->at = p->key_line[KEY_Tunnel_WireGuardConfig];
	r = wgconf_read(tunnel->wireguard_config, &w, p->e);
	if (r < 0)
		return r;
	r = merge(p, tunnel, &w);
	wgconf_free(&w);
	return r;
}

static int check_endpoints(struct parser *p, const struct config_tunnel *tunnel)
{
	bool wireguard = !tunnel->kind.text[0] || streq(tunnel->kind.text, "wireguard");

	if (!tunnel->endpoint_count && !wireguard && tunnel->any_protocol) {
		p->at = tunnel->line;
		return err_set(p->e, -EINVAL,
			       "'%s' has no endpoint: nothing could ever connect; add "
			       "Endpoint=",
			       tunnel->interface.text);
	}

	for (size_t i = 0; i < tunnel->endpoint_count && !tunnel->any_protocol; i++) {
		p->at = tunnel->endpoints[i].line;
		if (tunnel->endpoints[i].protocol != IPPROTO_UDP)
			return err_set(
				p->e, -EINVAL,
				"WireGuard speaks UDP only; write 'udp', or add Protocol=any "
				"if '%s' is no WireGuard tunnel",
				tunnel->interface.text);
	}
	return 0;
}

int config_check_tunnel(struct parser *p)
{
	struct config_tunnel *tunnel = parser_tunnel(p);
	int r;

	p->at = tunnel->line;
	if (!tunnel->interface.text[0])
		return err_set(p->e, -EINVAL,
			       "[Tunnel] has no Interface=; add the name of the "
			       "tunnel's interface");

	p->at = p->key_line[KEY_Tunnel_Uplink];
	if (tf_name_equal(&tunnel->uplink, &tunnel->interface))
		return err_set(p->e, -EINVAL,
			       "'%s' cannot be its own uplink; name the interface its "
			       "outer packets leave by",
			       tunnel->uplink.text);

	if (tunnel->wireguard_config) {
		r = config_merge_wireguard(p, tunnel);
		if (r < 0)
			return r;
	}
	return check_endpoints(p, tunnel);
}

static int check_scope(struct parser *p)
{
	struct config *c = p->config;
	char own[UNIT_NAME_LEN];

	if (c->group_count && p->key_line[KEY_Fence_Scope] && c->scope == TF_SCOPE_SYSTEM) {
		p->at = c->groups[0].line;
		return err_set(p->e, -EINVAL,
			       "%s= contradicts Scope=system in line %u; remove one "
			       "of the two",
			       c->groups[0].unit ? "Unit" : "Cgroup", p->key_line[KEY_Fence_Scope]);
	}
	if (c->group_count)
		c->scope = TF_SCOPE_CGROUP;
	if (c->scope != TF_SCOPE_CGROUP || (c->group_count && !units_has_service(c)))
		return 0;
	p->at = c->group_count ? c->groups[c->group_count - 1].line : p->key_line[KEY_Fence_Scope];
	if (c->group_count == TF_MAX_GROUPS)
		return err_set(p->e, -E2BIG,
			       "more than %d groups, with the slice in which services are started; name a "
			       "slice that holds several of them, or make a second fence",
			       TF_MAX_GROUPS);
	return slice_unit(c->name, SLICE_FENCED, own, p->e); /* whether it can be named */
}

/* A packet that comes in belongs to no cgroup until a socket takes it, which is behind the plane
 * that could drop it. */
static int check_inbound(struct parser *p)
{
	const struct config *c = p->config;

	if (c->scope != TF_SCOPE_CGROUP || c->inbound_accept || !p->key_line[KEY_Allow_Inbound])
		return 0;
	p->at = p->key_line[KEY_Allow_Inbound];
	return err_set(p->e, -EINVAL,
		       "Inbound=drop does not go with a cgroup: what comes in is not yet anybody's "
		       "where it could be dropped; remove the line, or use Scope=system");
}

/* Tunfence's resolver is not in the cgroup: nothing of it is judged, so nothing needs to be let out. */
static int check_bootstrap(struct parser *p)
{
	if (p->config->scope != TF_SCOPE_CGROUP || !p->config->bootstrap_port)
		return 0;
	p->at = p->key_line[KEY_Fence_BootstrapDNS];
	return err_set(p->e, -EINVAL,
		       "BootstrapDNS= does not go with a cgroup: tunfence is not in it, and asks the "
		       "machine's resolver; remove the line, or use Scope=system");
}

/* The tunnel's outer packets and exempt programs' are routed alike, but are not the same. */
static int check_exempt(struct parser *p)
{
	const struct config *c = p->config;
	char own[UNIT_NAME_LEN];

	if (!c->exempt.any)
		return 0;
	p->at = p->key_line[KEY_Exempt_Mark];
	for (size_t i = 0; i < c->tunnel_count; i++)
		if (c->exempt.mark && c->exempt.mark == c->tunnels[i].mark)
			return err_set(p->e, -EINVAL,
				       "%#x is the mark of the outer packets of '%s' already; write "
				       "another, or remove the line",
				       c->exempt.mark, c->tunnels[i].interface.text);
	p->at = p->section_line[SECTION_Exempt];
	return slice_unit(c->name, SLICE_EXEMPT, own, p->e); /* whether it can be named */
}

/* name is what the fence must judge (a tunnel, an uplink): no pattern may open it. */
static int check_not_inside(struct parser *p, const struct tf_name *name, const char *what)
{
	const struct config *c = p->config;
	char buf[VALUE_INSIDE_LEN];

	for (size_t i = 0; name->text[0] && i < c->inside_count; i++) {
		p->at = p->inside_line[i];
		if (value_inside_matches(&c->inside[i], name))
			return err_set(p->e, -EINVAL,
				       "'%s' matches the %s '%s', which is not inside; "
				       "write a pattern that does not",
				       value_inside_format(&c->inside[i], buf), what, name->text);
	}
	return 0;
}

static int check_inside(struct parser *p)
{
	const struct config *c = p->config;
	int r = 0;

	for (size_t i = 0; !r && i < c->tunnel_count; i++) {
		r = check_not_inside(p, &c->tunnels[i].interface, "tunnel");
		if (!r)
			r = check_not_inside(p, &c->tunnels[i].uplink, "uplink");
	}
	for (size_t i = 0; !r && i < c->destination_count; i++)
		r = check_not_inside(p, &c->destinations[i].uplink, "uplink");
	return r;
}

static int by_rule_and_line(const void *a, const void *b)
{
	const struct config_destination *x = *(const struct config_destination *const *)a;
	const struct config_destination *y = *(const struct config_destination *const *)b;
	int r = value_destination_compare(x, y);

	return r ? r : (x->line > y->line) - (x->line < y->line);
}

/* The first line of the file that repeats an earlier one. Sorted: there may be 65536. */
static int check_destinations(struct parser *p)
{
	const struct config *c = p->config;
	_cleanup_free_ const struct config_destination **sorted = NULL;
	unsigned int first = 0;

	p->at = 0;
	if (!c->destination_count)
		return 0;
	sorted = calloc(c->destination_count, sizeof(*sorted));
	if (!sorted)
		return parser_no_memory(p);
	for (size_t i = 0; i < c->destination_count; i++)
		sorted[i] = &c->destinations[i];
	qsort(sorted, c->destination_count, sizeof(*sorted), by_rule_and_line);

	for (size_t i = 1; i < c->destination_count; i++) {
		if (value_destination_compare(sorted[i - 1], sorted[i]))
			continue;
		if (p->at && p->at < sorted[i]->line)
			continue;
		p->at = sorted[i]->line;
		first = sorted[i - 1]->line;
	}
	if (!p->at)
		return 0;
	return err_set(p->e, -EEXIST,
		       "the same destination is in line %u already; remove one of the "
		       "two",
		       first);
}

int config_check(struct parser *p)
{
	int r;

	p->at = 0;
	if (!p->config->tunnel_count)
		return err_set(p->e, -EINVAL, "no [Tunnel] section; add one with Interface=");

	r = check_scope(p);
	if (r < 0)
		return r;
	r = check_inbound(p);
	if (r < 0)
		return r;
	r = check_bootstrap(p);
	if (r < 0)
		return r;
	r = check_exempt(p);
	if (r < 0)
		return r;
	r = check_inside(p);
	if (r < 0)
		return r;
	return check_destinations(p);
}
