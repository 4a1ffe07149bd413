// SPDX-License-Identifier: GPL-2.0
/*
 * config + world -> policy: what holds before any of it, the small tables, and the order of things.
 *
 * Never does I/O and never guesses: what does not fit or contradicts itself is an error, so that
 * the fence that stands stays. Everything is sorted and every unused byte is zero: the same input
 * gives the same policy, byte for byte.
 */
#include "compile.h"

#include <errno.h>

#include "compile_parts.h"
#include "route_exempt.h"
#include "util.h"

/* The kind whose outer packets the kernel itself sends. */
#define KIND_IN_KERNEL "wireguard"

static const struct limit limit_groups = {
	"TF_MAX_GROUPS", TF_MAX_GROUPS, "groups", "name a slice that holds several of them"
};
static const struct limit limit_exempt = {
	"TF_MAX_EXEMPT", TF_MAX_EXEMPT, "exempt groups", "name a slice that holds several of them"
};
static const struct limit limit_tunnels = {
	"TF_MAX_TUNNELS", TF_MAX_TUNNELS, "tunnels", "drop some [Tunnel] sections"
};
static const struct limit limit_destinations = {
	"TF_MAX_DESTINATIONS", TF_MAX_DESTINATIONS, "destinations", "drop some Destination= lines"
};
static const struct limit limit_inside = {
	"TF_MAX_INSIDE", TF_MAX_INSIDE, "inside patterns", "join some of Inside= as 'NAME*'"
};

int compile_nomem(struct err *e)
{
	return err_set(e, -ENOMEM, "out of memory; nothing was changed");
}

int compile_fits(const struct limit *l, size_t count, struct err *e)
{
	if (count <= l->max)
		return 0;
	return err_set(e, -E2BIG, "%zu %s are more than '%s' (%zu); %s", count, l->things, l->name,
		       l->max, l->advice);
}

void *compile_alloc(size_t count, size_t size)
{
	return calloc(count ? count : 1, size);
}

static int inside_compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct tf_inside_key));
}

static int compile_inside(const struct config *c, struct policy *p, struct err *e)
{
	size_t i, bytes;

	p->inside = compile_alloc(c->inside_count, sizeof(*p->inside));
	if (!p->inside)
		return compile_nomem(e);
	for (i = 0; i < c->inside_count; i++) {
		bytes = c->inside[i].bits / 8;
		p->inside[i].bits = c->inside[i].bits;
		memcpy(p->inside[i].name, c->inside[i].name, bytes);
	}
	qsort(p->inside, c->inside_count, sizeof(*p->inside), inside_compare);
	for (i = 0; i < c->inside_count; i++) {
		if (!i || inside_compare(&p->inside[p->inside_count - 1], &p->inside[i]))
			p->inside[p->inside_count++] = p->inside[i];
	}
	return compile_fits(&limit_inside, p->inside_count, e);
}

static int ports_compare(const void *a, const void *b)
{
	const struct config_ports *x = a, *y = b;

	if (x->protocol != y->protocol)
		return x->protocol < y->protocol ? -1 : 1;
	return (x->from > y->from) - (x->from < y->from);
}

/* Sorts and joins ranges that overlap. Returns how many are left. */
static size_t join_ports(struct config_ports *ports, size_t count)
{
	size_t i, kept = 0;

	qsort(ports, count, sizeof(*ports), ports_compare);
	for (i = 0; i < count; i++) {
		struct config_ports *last = kept ? &ports[kept - 1] : NULL;

		if (!last || last->protocol != ports[i].protocol || last->to < ports[i].from)
			ports[kept++] = ports[i];
		else if (last->to < ports[i].to)
			last->to = ports[i].to;
	}
	return kept;
}

static int compile_inbound(const struct config *c, struct policy *p, struct err *e)
{
	_cleanup_free_ struct config_ports *ports = compile_alloc(c->inbound_count, sizeof(*ports));
	size_t i, count, total = 0;
	__u32 port;

	if (!ports)
		return compile_nomem(e);
	for (i = 0; i < c->inbound_count; i++)
		ports[i] = c->inbound[i];
	count = join_ports(ports, c->inbound_count);
	for (i = 0; i < count; i++)
		total += (size_t)(ports[i].to - ports[i].from) + 1;
	p->inbound = compile_alloc(total, sizeof(*p->inbound));
	if (!p->inbound)
		return compile_nomem(e);

	for (i = 0; i < count; i++) {
		for (port = ports[i].from; port <= ports[i].to; port++) {
			struct tf_inbound_key *key = &p->inbound[p->inbound_count++];

			key->port = (__u16)port;
			key->protocol = ports[i].protocol;
		}
	}
	return 0;
}

static int tunnel_state_compare(const void *a, const void *b)
{
	const struct policy_tunnel_state *x = a, *y = b;

	return name_compare(&x->name, &y->name);
}

static int compile_tunnel_states(const struct config *c, const struct world *w, struct policy *p,
				 struct err *e)
{
	struct policy_tunnel_state *s = compile_alloc(c->tunnel_count, sizeof(*s));
	size_t i;

	p->tunnels = s;
	if (!s)
		return compile_nomem(e);
	p->tunnel_count = c->tunnel_count;
	for (i = 0; i < c->tunnel_count; i++) {
		s[i].name = c->tunnels[i].interface;
		memcpy(s[i].value.kind, w->tunnels[i].kind.text, sizeof(s[i].value.kind));
		s[i].value.netns = w->netns;
		s[i].value.ifindex = (__u32)w->tunnels[i].ifindex;
	}
	qsort(s, c->tunnel_count, sizeof(*s), tunnel_state_compare);
	return 0;
}

static struct tf_tunnel compile_tunnel(const struct config_tunnel *c, const struct world_tunnel *w)
{
	struct tf_tunnel tunnel = {
		.name = c->interface,
		.kind = w->kind,
		.uplink = c->uplink,
		.mark = c->mark,
		.local_port = c->listen_port,
		.wireguard = !c->any_protocol,
		.in_kernel = strncmp(w->kind.text, KIND_IN_KERNEL, TF_NAME_LEN) == 0,
	};

	return tunnel;
}

static void compile_groups(const struct cgroups *from, struct tf_group *to)
{
	size_t i;

	for (i = 0; i < from->count; i++)
		to[i] = (struct tf_group){ .id = from->list[i].id, .level = from->list[i].level };
}

static void add_bit(__u64 bits[4], unsigned int bit)
{
	bits[bit / 64 % 4] |= 1ULL << bit % 64;
}

/* Every first byte that an address in the prefix may have. ::/0 has no IPv4 addresses. */
static void add_prefix(const struct prefix *prefix, struct tf_policy *ro)
{
	const bool v4 = prefix_is_v4(prefix);
	const unsigned int skipped = v4 ? TF_V4_MAPPED_PREFIX : 0, bits = prefix->bits - skipped;
	const unsigned int many = 1U << (bits < 8 ? 8 - bits : 0);
	const unsigned int first = prefix->addr.byte[skipped / 8] / many * many;
	unsigned int i;

	for (i = 0; i < many; i++)
		add_bit(v4 ? ro->ipv4_initials : ro->ipv6_initials, first + i);
}

/* A pattern has at least one character. */
static void compile_bits(const struct config *c, struct tf_policy *ro)
{
	__u32 port;
	size_t i;

	for (i = 0; i < c->inside_count; i++)
		add_bit(ro->inside_initials, (__u8)c->inside[i].name[0]);
	for (i = 0; i < c->destination_count; i++)
		add_prefix(&c->destinations[i].prefix, ro);
	for (i = 0; i < c->lan_count; i++)
		add_prefix(&c->lan[i], ro);
	for (i = 0; i < c->inbound_count; i++) {
		for (port = c->inbound[i].from; port <= c->inbound[i].to; port++)
			add_bit(ro->inbound_ports, port);
	}
}

static void compile_rodata(const struct config *c, const struct world *w, struct tf_policy *ro)
{
	size_t i;

	ro->abi = TF_ABI;
	ro->netns = w->netns;
	ro->group_count = (__u32)w->groups.count;
	compile_groups(&w->groups, ro->groups);
	ro->exempt_count = (__u32)w->exempt.count;
	compile_groups(&w->exempt, ro->exempt);
	if (w->exempt.count)
		ro->exempt_mark = c->exempt.mark ? c->exempt.mark : route_exempt_mark(c->name);
	ro->exempt_names = c->exempt.names && w->exempt.count;
	ro->mode = c->mode;
	ro->scope = c->scope;
	ro->dhcp = c->dhcp;
	ro->has_inside = c->inside_count > 0;
	compile_bits(c, ro);
	ro->has_prefixes = c->destination_count + c->lan_count > 0;
	ro->has_inbound = c->inbound_count > 0;
	ro->ingress = c->scope == TF_SCOPE_SYSTEM && !c->inbound_accept;
	ro->resolver = c->bootstrap;
	ro->resolver_port = c->bootstrap_port;
	ro->tunnel_count = (__u32)c->tunnel_count;
	for (i = 0; i < c->tunnel_count; i++)
		ro->tunnels[i] = compile_tunnel(&c->tunnels[i], &w->tunnels[i]);
	memcpy(ro->fence, c->name, strnlen(c->name, sizeof(ro->fence) - 1));
}

/* Whatever runs is in the hierarchy's root, or below it. */
static int check_exempt(const struct world *w, struct err *e)
{
	size_t i;

	for (i = 0; i < w->exempt.count; i++) {
		if (!w->exempt.list[i].level)
			return err_set(e, -EINVAL,
				       "'%s' holds every cgroup there is, and exempt it would open the "
				       "fence; name groups below it",
				       w->exempt.list[i].path);
	}
	return compile_fits(&limit_exempt, w->exempt.count, e);
}

static int check_world(const struct config *c, const struct world *w, struct err *e)
{
	int r;

	if (w->tunnel_count != c->tunnel_count)
		return err_set(e, -EINVAL,
			       "fence '%s' has %zu tunnels but %zu were looked at; run it again",
			       c->name, c->tunnel_count, w->tunnel_count);
	if (!w->groups.count)
		return err_set(e, -EINVAL, "fence '%s' has no cgroup to hold; run it again",
			       c->name);
	r = compile_fits(&limit_groups, w->groups.count, e);
	if (!r)
		r = check_exempt(w, e);
	return r ? r : compile_fits(&limit_tunnels, c->tunnel_count, e);
}

/* Hardware has no kind, and neither has a device that could not be read: a tunnel without one would
 * open both. */
static int check_kinds(const struct config *c, const struct world *w, struct err *e)
{
	size_t i;

	for (i = 0; i < c->tunnel_count; i++) {
		if (name_empty(&c->tunnels[i].interface) || name_empty(&w->tunnels[i].kind))
			return err_set(e, -EINVAL,
				       "tunnel '%.16s' is no virtual interface and would open what "
				       "it fences; name the tunnel's own interface in Interface=, "
				       "or say its Kind=", c->tunnels[i].interface.text);
	}
	return 0;
}

static int check_rules(const struct config *c, struct err *e)
{
	size_t i;

	for (i = 0; i < c->destination_count; i++) {
		const struct config_destination *d = &c->destinations[i];

		if (d->prefix.bits > 128 || (!d->any_protocol && d->from > d->to))
			return err_set(e, -EINVAL,
				       "Destination= of line %u ('ports %u-%u', prefix length %u) "
				       "makes no sense; write the smaller port first",
				       d->line, d->from, d->to, d->prefix.bits);
	}
	for (i = 0; i < c->lan_count; i++) {
		if (c->lan[i].bits > 128)
			return err_set(e, -EINVAL, "LAN= has a prefix of '%u' bits; at most 128",
				       c->lan[i].bits);
	}
	for (i = 0; i < c->inbound_count; i++) {
		if (c->inbound[i].from > c->inbound[i].to)
			return err_set(e, -EINVAL,
				       "inbound ports '%u-%u' run backwards; write the smaller "
				       "first", c->inbound[i].from, c->inbound[i].to);
	}
	for (i = 0; i < c->inside_count; i++) {
		if (!c->inside[i].bits || c->inside[i].bits % 8 ||
		    c->inside[i].bits > TF_NAME_LEN * 8)
			return err_set(e, -EINVAL,
				       "Inside= '%.16s' matches no name or every one; name fewer",
				       c->inside[i].name);
	}
	return compile_fits(&limit_destinations, c->destination_count, e);
}

void policy_free(struct policy *p)
{
	if (!p)
		return;
	free(p->endpoints);
	free(p->live);
	free(p->prefixes);
	free(p->services);
	free(p->uplinks);
	free(p->inside);
	free(p->inbound);
	free(p->tunnels);
	free(p);
}

bool policy_has_live(const struct policy *p, const struct tf_endpoint_key *key)
{
	size_t i;

	for (i = 0; i < p->live_count; i++) {
		if (memcmp(&p->live[i].key, key, sizeof(*key)) == 0)
			return true;
	}
	return false;
}

static int compile_rules(const struct config *c, struct policy *p, struct err *e)
{
	int r = compile_uplinks(c, p, e);

	if (!r)
		r = compile_prefixes(c, p, e);
	if (!r)
		r = compile_inside(c, p, e);
	if (!r)
		r = compile_inbound(c, p, e);
	return r;
}

/* Literal endpoints too: what they say is not said again. */
static int compile_facts(const struct config *c, const struct world *w, struct policy *p,
			 struct err *e)
{
	int r = compile_literals(c, p, e);

	if (!r)
		r = compile_live_endpoints(w, p, e);
	if (!r)
		r = compile_tunnel_states(c, w, p, e);
	return r;
}

int compile(const struct config *c, const struct world *w, struct policy **ret, struct err *e)
{
	_cleanup_policy_ struct policy *p = compile_alloc(1, sizeof(*p));
	int r;

	if (!p)
		return compile_nomem(e);
	r = check_world(c, w, e);
	if (!r)
		r = check_kinds(c, w, e);
	if (!r)
		r = check_rules(c, e);
	if (!r)
		r = compile_facts(c, w, p, e);
	if (!r)
		r = compile_rules(c, p, e);
	if (r)
		return r;

	compile_rodata(c, w, &p->rodata);
	*ret = TAKE_PTR(p);
	return 0;
}

int compile_live(const struct config *c, const struct world *w, struct policy **ret,
		 struct err *e)
{
	_cleanup_policy_ struct policy *p = compile_alloc(1, sizeof(*p));
	int r;

	if (!p)
		return compile_nomem(e);
	r = check_world(c, w, e);
	if (!r)
		r = compile_facts(c, w, p, e);
	if (r)
		return r;

	compile_rodata(c, w, &p->rodata);
	*ret = TAKE_PTR(p);
	return 0;
}
