// SPDX-License-Identifier: GPL-2.0
/*
 * Parse, classify and decide together, for every packet of up to 128 bytes that leaves, and every
 * small policy. The theorem: enforcing, not out of scope, not loopback, not tunnel, not inside, a
 * packet passes only for a reason that its own bytes and the policy have. What the bytes say is read
 * here a second time, and as simply as can be: where IP begins, and the address it is sent to.
 */
#include "prove/world.h"

#include <tunfence/judge.h>

/* Each pair of a beginning and a shape is proved by itself: all at once are more than a solver can do
 * in an hour. Every packet has one of each; tests/prove/run takes the names from here. */
enum begins {
	BEGINS_SOCKET, /* with IP, on the plane of that name */
	BEGINS_NAMESPACE,
	BEGINS_BARE, /* of the wire plane, as the rest: on a device without link headers */
	BEGINS_UNTAGGED, /* behind a link header, */
	BEGINS_TAGGED, /* and a VLAN tag, */
	BEGINS_TWICE_TAGGED, /* or more */
	BEGINS_UNREADABLE, /* a link header that is not known */
};

enum shape {
	SHAPE_V4,
	SHAPE_V4_MORE, /* options, a fragment, or too short to tell */
	SHAPE_V6,
	SHAPE_V6_MORE, /* extension headers, or too short */
	SHAPE_NEITHER,
};

/* What is at those places in the frame that no header before them moves. */
struct raw {
	enum begins begins;
	enum shape shape;
	__u32 ethertype, l3;
	bool ip, six;
	struct tf_addr to;
	bool plain;          /* no options, no extension headers, no fragment: */
	__u8 protocol;
	__u16 sport, dport;
};

static __u16 word(const struct native *n, __u32 at)
{
	return at + 1 < n->bytes ? (__u16)(n->frame[at] << 8 | n->frame[at + 1]) : 0;
}

static bool is_tag(__u32 ethertype)
{
	return ethertype == 0x8100 || ethertype == 0x88a8 || ethertype == 0x9100;
}

static void read_address(const struct native *n, struct raw *r)
{
	__u32 at = r->l3 + (r->six ? 24 : 16 - 12), i;

	r->to = (struct tf_addr){};
	for (i = 0; i < 16; i++) {
		if (!r->six && i < 12)
			r->to.byte[i] = i < 10 ? 0 : 0xff;
		else
			r->to.byte[i] = at + i < n->bytes ? n->frame[at + i] : 0;
	}
}

static enum begins begins_of(const struct raw *r, const struct native *n,
			     const struct tf_meta *meta)
{
	if (meta->plane != TF_PLANE_WIRE)
		return meta->plane == TF_PLANE_SOCKET ? BEGINS_SOCKET : BEGINS_NAMESPACE;
	if (n->device.link_header == TF_LINK_NONE)
		return BEGINS_BARE;
	if (n->device.link_header != TF_LINK_ETHERNET)
		return BEGINS_UNREADABLE;
	return r->l3 == 14 ? BEGINS_UNTAGGED : r->l3 == 18 ? BEGINS_TAGGED : BEGINS_TWICE_TAGGED;
}

static enum shape shape_of(const struct raw *r, const struct native *n)
{
	const bool plain = r->plain && n->bytes > r->l3 + 8;

	if (!r->ip)
		return SHAPE_NEITHER;
	if (r->six)
		return plain ? SHAPE_V6 : SHAPE_V6_MORE;
	return plain ? SHAPE_V4 : SHAPE_V4_MORE;
}

static struct raw read_raw(const struct native *n, const struct tf_meta *meta)
{
	struct raw r = {};
	__u8 first;
	__u32 l4;

	if (meta->plane == TF_PLANE_WIRE && n->device.link_header == TF_LINK_ETHERNET) {
		r.l3 = 14;
		r.ethertype = word(n, 12);
		for (; is_tag(r.ethertype) && r.l3 < 22; r.l3 += 4)
			r.ethertype = word(n, r.l3 + 2);
	}
	first = r.l3 < n->bytes ? n->frame[r.l3] : 0;
	r.six = first >> 4 == 6;
	r.ip = (first >> 4 == 4 && (!r.l3 || r.ethertype == 0x0800)) ||
	       (r.six && (!r.l3 || r.ethertype == 0x86dd));
	read_address(n, &r);
	r.protocol = r.l3 + 9 < n->bytes ? n->frame[r.l3 + (r.six ? 6 : 9)] : 0;
	r.plain = r.six ? !tf_is_extension(r.protocol) :
			  first == 0x45 && !(word(n, r.l3 + 6) & 0x3fff);
	l4 = r.l3 + (r.six ? 40 : 20);
	r.sport = word(n, l4);
	r.dport = word(n, l4 + 2);
	r.begins = begins_of(&r, n, meta);
	r.shape = shape_of(&r, n);
	return r;
}

/* ---- what each reason needs ------------------------------------------------------------------ */

static bool is_by_tunnel(const struct native *n)
{
	const struct tf_policy *p = &n->policy;
	__u32 i;

	for (i = 0; i < p->tunnel_count; i++) {
		if (tf_name_equal(&p->tunnels[i].name, &n->device.name) &&
		    tf_name_equal(&p->tunnels[i].kind, &n->kind))
			return n->device.netns == p->netns;
	}
	return false;
}

/* The endpoint's address, and its port where that is easy to see. */
static bool is_to(const struct raw *r, const struct tf_endpoint_key *key, __u32 tunnels)
{
	if (!tunnels || !tf_addr_equal(&r->to, &key->addr))
		return false;
	return !r->plain || (r->protocol == key->protocol && r->dport == key->port);
}

static bool is_to_endpoint(const struct native *n, const struct raw *r)
{
	return is_to(r, &n->endpoint_key, n->endpoint.tunnels) ||
	       is_to(r, &n->live_key, n->live.tunnels);
}

static bool is_to_address_of_endpoint(const struct native *n, const struct raw *r)
{
	return tf_addr_equal(&r->to, &n->endpoint_key.addr) ||
	       tf_addr_equal(&r->to, &n->live_key.addr);
}

static bool is_local_or_many(const struct tf_addr *a)
{
	return a->byte[0] == 0xff || (a->byte[0] == 0xfe && a->byte[1] >> 6 == 2);
}

static bool tells_own_address(const struct native *n)
{
	static const struct tf_addr none = { .byte = { [10] = 0xff, 0xff } };
	struct tf_addr told = none;
	__u32 i;

	for (i = 0; i < 6; i++) {
		if (n->frame[14 + 8 + i] != n->mac[i])
			return true; /* not as its own */
	}
	for (i = 0; i < 4; i++)
		told.byte[12 + i] = n->frame[14 + 14 + i];
	return n->relayed || tf_addr_equal(&told, &none) ||
	       (tf_addr_equal(&told, &n->own) && !n->own_is_broadcast);
}

static bool is_name_port(__u16 port)
{
	return port == 53 || port == 137 || port == 853 || port == 5353 || port == 5355;
}

static bool resolves_names(const struct raw *r)
{
	return r->plain && (r->protocol == TF_PROTO_TCP || r->protocol == TF_PROTO_UDP) &&
	       is_name_port(r->dport);
}

static bool is_served(const struct native *n, const struct raw *r, const struct tf_service *s)
{
	bool ports = r->protocol == TF_PROTO_TCP || r->protocol == TF_PROTO_UDP;
	__u32 point = (__u32)r->protocol << 16 | (ports ? r->dport : 0);
	bool by = s->uplinks == TF_ANY_UPLINK ||
		  tf_name_equal(&n->device.name, &n->uplink_name);

	return by && (!r->plain || (s->from <= point && point <= s->to));
}

static bool is_destination(const struct native *n, const struct raw *r)
{
	if (!n->policy.has_prefixes || !n->prefix.count || resolves_names(r) ||
	    !tf_addr_equal(&r->to, &n->prefix_of))
		return false;
	return is_served(n, r, &n->service[0]) || is_served(n, r, &n->service[1]);
}

static bool is_asked(const struct native *n)
{
	return n->is_asked && n->cookie && n->cookie == n->question.cookie &&
	       n->now < n->question.until;
}

/* Whether the packet may pass for this reason. */
static bool is_sound(enum tf_reason reason, const struct native *n, const struct tf_meta *meta,
		     const struct raw *r)
{
	const struct tf_policy *p = &n->policy;
	const bool own = !meta->forwarded;

	switch (reason) {
	case TF_REASON_OUT_OF_SCOPE:
		return p->scope == TF_SCOPE_CGROUP ? !n->in_cgroup :
						     n->device.netns != p->netns;
	case TF_REASON_LOOPBACK:
		return meta->ifindex == 1;
	case TF_REASON_TUNNEL:
		return is_by_tunnel(n);
	case TF_REASON_INSIDE:
		return p->has_inside && n->inside && n->device.netns == p->netns;
	case TF_REASON_ARP:
		return r->ethertype == 0x0806 && (r->l3 != 14 || tells_own_address(n));
	case TF_REASON_EAPOL:
		return r->ethertype == 0x888e;
	case TF_REASON_ENDPOINT:
		return own && r->ip && is_to_endpoint(n, r);
	case TF_REASON_FRAGMENT:
		return r->ip && !r->plain &&
		       (n->remembered || (n->remembered_exempt && n->exempt && !n->foreign));
	case TF_REASON_NEIGHBOUR:
		return own && r->six &&
		       (is_local_or_many(&r->to) || is_to_address_of_endpoint(n, r));
	case TF_REASON_DHCP:
		return own && p->dhcp && r->ip && (r->six ? is_local_or_many(&r->to) :
							    tf_is_limited_broadcast(&r->to));
	case TF_REASON_BOOTSTRAP:
		return own && p->resolver_port && tf_addr_equal(&r->to, &p->resolver) &&
		       is_asked(n);
	case TF_REASON_EXEMPT:
		return own && p->exempt_count && n->exempt && !n->foreign && r->ip &&
		       (p->exempt_names || !resolves_names(r));
	case TF_REASON_DESTINATION:
		return r->ip && is_destination(n, r);
	case TF_REASON_LAN:
		return r->ip && p->has_prefixes && n->prefix.lan && !resolves_names(r) &&
		       tf_addr_equal(&r->to, &n->prefix_of);
	case TF_REASON_INBOUND:
		return own && p->has_inbound && r->ip && !resolves_names(r) &&
		       (!r->plain || (r->protocol == n->inbound.protocol &&
				      r->sport == n->inbound.port));
	default:
		return false; /* nothing passes for it */
	}
}

static void assume_small(struct native *n, struct tf_meta *meta)
{
	__CPROVER_assume(n->bytes <= PROVE_BYTES);
	__CPROVER_assume(n->policy.tunnel_count <= 2);
	__CPROVER_assume(n->prefix.first == 0 && n->prefix.count <= 2);
	__CPROVER_assume(n->owner <= TF_OWNER_PACKET); /* as tf_load_owner() tells them apart */
	__CPROVER_assume(meta->plane == TF_PLANE_SOCKET || meta->plane == TF_PLANE_WIRE ||
			 meta->plane == TF_PLANE_NAMESPACE);
	__CPROVER_assume(n->policy.mode == TF_MODE_ENFORCE);
	__CPROVER_assume(n->device.netns != 0);
}

/* A value that follows from the case, as a constant: what it rules out is then not even looked at. */
#define KNOWN(place, value) (assert((place) == (value)), (place) = (value))

static void spell_out(struct native *n, __u8 *frame, struct tf_meta *meta)
{
	const __u32 l3 = BEGINS == BEGINS_UNTAGGED ? 14 : BEGINS == BEGINS_TAGGED ? 18 :
			 BEGINS == BEGINS_TWICE_TAGGED ? 22 : 0;

	KNOWN(meta->plane, BEGINS == BEGINS_SOCKET ? TF_PLANE_SOCKET :
			   BEGINS == BEGINS_NAMESPACE ? TF_PLANE_NAMESPACE : TF_PLANE_WIRE);
	if (BEGINS == BEGINS_BARE)
		KNOWN(n->device.link_header, TF_LINK_NONE);
	if (l3)
		KNOWN(n->device.link_header, TF_LINK_ETHERNET);
	if (l3 && SHAPE != SHAPE_NEITHER) {
		KNOWN(frame[l3 - 2], SHAPE < SHAPE_V6 ? 0x08 : 0x86);
		KNOWN(frame[l3 - 1], SHAPE < SHAPE_V6 ? 0x00 : 0xdd);
	}
	if (SHAPE == SHAPE_V4) {
		KNOWN(frame[l3], 0x45);
		KNOWN(frame[l3 + 7], 0);
	}
}

void prove_judge(void)
{
	struct frame frame = nondet_frame();
	struct native n = nondet_native();
	struct tf_meta meta = {
		.plane = (enum tf_plane)nondet_byte(),
		.bytes = n.bytes,
		.mark = nondet_number(),
		.gso_size = nondet_number(),
		.ifindex = nondet_number(),
		.forwarded = nondet_number(),
	};
	struct tf_packet packet = {};
	struct tf_decision d;
	struct raw raw;

	n.frame = frame.byte;
	assume_small(&n, &meta);
	raw = read_raw(&n, &meta);
	__CPROVER_assume(raw.begins == BEGINS && raw.shape == SHAPE);
	spell_out(&n, frame.byte, &meta);
	d = tf_judge(&n, &n.policy, &meta, &packet);
	assert(d.verdict == tf_reason_verdict(d.reason));
	assert(d.verdict == TF_DROP || is_sound(d.reason, &n, &meta, &raw));
}
