// SPDX-License-Identifier: GPL-2.0
/*
 * Where the tunnels' outer packets go: as configured, as live devices say, as names resolved.
 * Never believes an address that cannot be the far end of a tunnel.
 */
#include <errno.h>
#include <netinet/in.h>

#include "compile_parts.h"
#include "util.h"

static const struct limit limit_endpoints = {
	"TF_MAX_ENDPOINTS", TF_MAX_ENDPOINTS, "endpoints (an IPv6 one counts twice)",
	"drop some Endpoint= lines or peers"
};
static const struct limit limit_live = {
	"TF_MAX_ENDPOINTS", TF_MAX_ENDPOINTS, "live endpoints (an IPv6 one counts twice)",
	"drop some peers or names in Endpoint="
};

/* Never the far end of a tunnel. A live device may well say so (a relay on this machine, a peer
 * that has not been heard of yet); loopback needs no rule. */
static const struct prefix never_endpoints[] = {
	{ .bits = 128 },                                                  /* :: */
	{ .addr.byte = { [15] = 1 }, .bits = 128 },                       /* ::1 */
	{ .addr.byte = { 0xff }, .bits = 8 },                             /* ff00::/8 */
	{ .addr.byte = { [10] = 0xff, 0xff }, .bits = 128 },              /* 0.0.0.0 */
	{ .addr.byte = { [10] = 0xff, 0xff, 127 }, .bits = 104 },         /* 127.0.0.0/8 */
	{ .addr.byte = { [10] = 0xff, 0xff, 224 }, .bits = 100 },         /* 224.0.0.0/4 */
	{ .addr.byte = { [10] = 0xff, 0xff, 255, 255, 255, 255 }, .bits = 128 },
};

struct endpoints {
	struct policy_endpoint *items;
	size_t count;
};

bool compile_can_be_endpoint(const struct tf_addr *addr)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(never_endpoints); i++) {
		if (prefix_contains(&never_endpoints[i], addr))
			return false;
	}
	return true;
}

/* At most two entries: what is sent to the address, and, for one that may be on the link, the
 * question where it is. */
static void endpoints_add(struct endpoints *s, const struct tf_addr *addr, __be16 port,
			  __u8 protocol, size_t tunnel)
{
	struct policy_endpoint item = {
		.key = { .addr = *addr, .port = tf_ntohs(port), .protocol = protocol },
		.value.tunnels = 1U << tunnel,
	};

	if (!port || !compile_can_be_endpoint(addr))
		return;
	s->items[s->count++] = item;
	if (tf_addr_is_v4(addr))
		return;
	item.key.port = 0;
	item.key.protocol = IPPROTO_ICMPV6;
	s->items[s->count++] = item;
}

static int endpoint_compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct tf_endpoint_key));
}

/* Sorts, and joins the tunnels of equal keys. */
static int endpoints_finish(struct endpoints *s, const struct limit *limit, struct err *e)
{
	size_t i, kept = 0;

	qsort(s->items, s->count, sizeof(*s->items), endpoint_compare);
	for (i = 0; i < s->count; i++) {
		if (kept && !endpoint_compare(&s->items[kept - 1], &s->items[i]))
			s->items[kept - 1].value.tunnels |= s->items[i].value.tunnels;
		else
			s->items[kept++] = s->items[i];
	}
	s->count = kept;
	return compile_fits(limit, kept, e);
}

/* The first few into the policy, too. */
static void keep_near(const struct endpoints *s, struct tf_policy *ro)
{
	size_t i;

	ro->endpoint_count = (__u32)s->count;
	for (i = 0; i < s->count && i < TF_NEAR_ENDPOINTS; i++) {
		ro->near[i].key = s->items[i].key;
		ro->near[i].value = s->items[i].value;
	}
}

/* Those given as addresses in the configuration. */
int compile_literals(const struct config *c, struct policy *p, struct err *e)
{
	struct endpoints s = {};
	size_t i, j, most = 0;
	int r;

	for (i = 0; i < c->tunnel_count; i++)
		most += 2 * c->tunnels[i].endpoint_count;
	s.items = p->endpoints = compile_alloc(most, sizeof(*s.items));
	if (!s.items)
		return compile_nomem(e);

	for (i = 0; i < c->tunnel_count; i++) {
		for (j = 0; j < c->tunnels[i].endpoint_count; j++) {
			const struct config_endpoint *from = &c->tunnels[i].endpoints[j];

			if (from->literal)
				endpoints_add(&s, &from->addr, tf_htons(from->port),
					      from->protocol, i);
		}
	}
	r = endpoints_finish(&s, &limit_endpoints, e);
	p->endpoint_count = s.count;
	keep_near(&s, &p->rodata);
	return r;
}

/* A device of another kind than configured is not the tunnel: its peers are not believed. */
static void add_world_endpoints(struct endpoints *s, const struct world_tunnel *from, size_t tunnel)
{
	size_t i;

	for (i = 0; i < from->resolved_count; i++)
		endpoints_add(s, &from->resolved[i].addr, from->resolved[i].port,
			      from->resolved[i].protocol, tunnel);
	if (!from->answered || from->kind_mismatch)
		return;
	for (i = 0; i < from->device.endpoint_count; i++)
		endpoints_add(s, &from->device.endpoints[i].addr, from->device.endpoints[i].port,
			      IPPROTO_UDP, tunnel);
}

/* Drops what the literal endpoints say already. */
static void skip_literals(struct endpoints *s, const struct policy *p)
{
	const struct policy_endpoint *known;
	size_t i, kept = 0;

	for (i = 0; i < s->count; i++) {
		known = bsearch(&s->items[i], p->endpoints, p->endpoint_count, sizeof(*known),
				endpoint_compare);
		if (!known || s->items[i].value.tunnels & ~known->value.tunnels)
			s->items[kept++] = s->items[i];
	}
	s->count = kept;
}

int compile_live_endpoints(const struct world *w, struct policy *p, struct err *e)
{
	struct endpoints s = {};
	size_t i, most = 0;
	int r;

	for (i = 0; i < w->tunnel_count; i++)
		most += 2 * (w->tunnels[i].resolved_count + w->tunnels[i].device.endpoint_count);
	s.items = p->live = compile_alloc(most, sizeof(*s.items));
	if (!s.items)
		return compile_nomem(e);

	for (i = 0; i < w->tunnel_count; i++)
		add_world_endpoints(&s, &w->tunnels[i], i);
	skip_literals(&s, p);
	r = endpoints_finish(&s, &limit_live, e);
	p->live_count = s.count;
	return r;
}
