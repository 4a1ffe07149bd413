/* SPDX-License-Identifier: GPL-2.0 */
/*
 * classify: what is true of a packet under a policy. Asks the maps, decides nothing.
 *
 * Facts are looked into in the order of the verdict table, and no further than the first that
 * settles the verdict: a packet that leaves by the tunnel is never parsed, an outer packet costs
 * no prefix lookup. A lookup that fails leaves its fact false, and false passes nothing.
 */
#ifndef TUNFENCE_FACTS_H
#define TUNFENCE_FACTS_H

#include <tunfence/decide.h>
#include <tunfence/packet.h>
#include <tunfence/policy.h>
#include <tunfence/seam.h>

/* What the hook says of a packet without looking at its bytes. */
struct tf_meta {
	enum tf_plane plane;
	__u32 bytes;      /* skb->len */
	__u32 mark;
	__u32 gso_size;   /* bytes of payload per segment; 0: one packet */
	__u32 ifindex;
	__u32 forwarded;  /* came in by another device: not made on this machine */
	enum tf_owner owner;    /* filled by tf_judge() */
	struct tf_device device;
};

/* Where IP itself calls us, frames begin with its header on every device; else with the link's. */
TF_INLINE _Bool tf_begins_with_ip(enum tf_plane plane)
{
	return plane == TF_PLANE_SOCKET || plane == TF_PLANE_NAMESPACE;
}

/* So much of a frame is made private before it is judged, if not this kernel's IP stack wrote its
 * headers: a frame of an AF_PACKET ring, or a guest's, may lie in memory its sender goes on writing
 * to. Link header, tags, IPv4 options and DHCP up to its cookie fit; headers that reach further are
 * dropped. */
#define TF_PRIVATE_BYTES 384

/* In every network namespace, and only there: drivers/net/loopback.c insists on it. */
#define TF_LOOPBACK_IFINDEX 1

/* messages.h of WireGuard: sizes of the four messages on the wire. */
enum tf_wireguard {
	TF_WG_INITIATION = 1,
	TF_WG_RESPONSE = 2,
	TF_WG_COOKIE = 3,
	TF_WG_DATA = 4,
	TF_WG_INITIATION_BYTES = 148,
	TF_WG_RESPONSE_BYTES = 92,
	TF_WG_COOKIE_BYTES = 64,
	TF_WG_DATA_MIN_BYTES = 32,
};

enum tf_port {
	TF_PORT_DHCP_SERVER = 67,
	TF_PORT_DHCP_CLIENT = 68,
	TF_PORT_DHCP6_CLIENT = 546,
	TF_PORT_DHCP6_SERVER = 547,
#define X(NAME, port) TF_PORT_##NAME = port,
	TF_NAME_PORT_LIST(X)
#undef X
};

TF_INLINE _Bool tf_is_tunnel(tf_ctx *ctx, const struct tf_policy *policy,
			     const struct tf_device *device)
{
	struct tf_name kind = {};
	__u32 i;

	if (device->netns != policy->netns)
		return 0;
	for (i = 0; i < TF_MAX_TUNNELS && i < policy->tunnel_count; i++) {
		if (!tf_name_equal(&policy->tunnels[i].name, &device->name))
			continue;
		tf_load_kind(ctx, &kind);
		return tf_name_equal(&policy->tunnels[i].kind, &kind);
	}
	return 0;
}

TF_INLINE _Bool tf_is_inside(tf_ctx *ctx, const struct tf_policy *policy,
			     const struct tf_device *device)
{
	struct tf_inside_key key = { .bits = TF_NAME_LEN * 8 };

	if (!policy->has_inside || device->netns != policy->netns)
		return 0;
	__builtin_memcpy(key.name, &device->name, TF_NAME_LEN);
	return tf_find_inside(ctx, &key);
}

/* A fence of cgroups has programs on devices, where each packet of the machine meets those of each
 * fence: so this is asked before anything else, and of the socket alone. */
TF_INLINE _Bool tf_is_nobodys(tf_ctx *ctx, const struct tf_policy *policy, enum tf_plane plane)
{
	if (plane == TF_PLANE_INGRESS && !policy->ingress)
		return 1;
	return policy->scope == TF_SCOPE_CGROUP && plane != TF_PLANE_SOCKET &&
	       !tf_in_cgroup(ctx, policy);
}

/* The socket hook runs in every namespace. A fence for the system belongs to one; one for a cgroup
 * follows it into any. A namespace that could not be read (0) is taken for ours. */
TF_INLINE _Bool tf_is_elsewhere(const struct tf_policy *policy, const struct tf_meta *meta)
{
	return policy->scope != TF_SCOPE_CGROUP && meta->plane == TF_PLANE_SOCKET &&
	       meta->device.netns != 0 && meta->device.netns != policy->netns;
}

/* The facts about the device. Returns whether they settle the verdict. */
TF_INLINE _Bool tf_classify_device(tf_ctx *ctx, const struct tf_policy *policy,
				   struct tf_meta *meta, struct tf_facts *f)
{
	f->observe = policy->mode == TF_MODE_OBSERVE;
	if (tf_is_nobodys(ctx, policy, meta->plane)) {
		f->out_of_scope = 1;
		return 1;
	}
	if (meta->ifindex == TF_LOOPBACK_IFINDEX) {
		f->loopback = 1;
		return 1;
	}
	tf_load_device(ctx, meta->plane, &meta->device);
	if (tf_is_elsewhere(policy, meta))
		f->out_of_scope = 1;
	else if (tf_is_tunnel(ctx, policy, &meta->device))
		f->tunnel = 1;
	else if (tf_is_inside(ctx, policy, &meta->device))
		f->inside = 1;
	else
		return 0;
	return 1;
}

/* A super-packet is cut into messages of gso_size bytes; the first speaks for all. Only data comes
 * in bulk. */
TF_INLINE _Bool tf_is_wireguard(const struct tf_packet *p, __u32 gso_size)
{
	__u32 bytes = gso_size ? gso_size : p->l4_bytes - TF_UDP_HEADER;

	if (p->protocol != TF_PROTO_UDP || !p->has_payload)
		return 0;
	if (gso_size && p->payload != TF_WG_DATA)
		return 0;
	switch (p->payload) { /* type, and three reserved bytes that are zero */
	case TF_WG_INITIATION:
		return bytes == TF_WG_INITIATION_BYTES;
	case TF_WG_RESPONSE:
		return bytes == TF_WG_RESPONSE_BYTES;
	case TF_WG_COOKIE:
		return bytes == TF_WG_COOKIE_BYTES;
	case TF_WG_DATA:
		return bytes >= TF_WG_DATA_MIN_BYTES;
	default:
		return 0;
	}
}

/* What a tunnel's conditions are held against, as the scalars that a function the verifier checks on
 * its own may take. */
struct tf_outer {
	union {
		__u64 packed;
		struct {
			__u16 tunnels;   /* that have the endpoint */
			__u16 local_port;
			__u8 by_kernel;  /* an in-kernel tunnel may have sent it */
			__u8 by_program; /* a program's tunnel may have */
			__u8 wireguard;  /* has a WireGuard message's type and length */
			__u8 arrived;    /* sent elsewhere: nothing of here marked it */
		};
	};
};

_Static_assert(sizeof(struct tf_outer) == 8, "a scalar");
_Static_assert(TF_MAX_TUNNELS <= 16, "bits of tf_outer.tunnels");

/* The owner, with other namespaces told apart. What a container's kernel makes or duplicates has no
 * socket and came in by no device, as if this one had made it; but it has no route of ours. */
TF_INLINE enum tf_owner tf_owner_by_netns(tf_ctx *ctx, const struct tf_policy *policy,
					  enum tf_owner owner)
{
	if (owner == TF_OWNER_KERNEL)
		return tf_is_routed_here(ctx, policy) ? owner : TF_OWNER_ELSEWHERE;
	if ((owner != TF_OWNER_INET && owner != TF_OWNER_RAW) || !tf_is_foreign(ctx, policy))
		return owner;
	return tf_is_routed_here(ctx, policy) ? TF_OWNER_WRAPPED : TF_OWNER_FOREIGN;
}

/* An in-kernel tunnel's outer packets never pass the socket hook, and at the others carry the socket
 * of whatever they wrap: there AF_PACKET gives itself away, and a packet that another namespace
 * routed (a macvlan child's, say), which our socket hook does not judge. */
TF_INLINE _Bool tf_kernel_may_send(enum tf_plane plane, enum tf_owner owner)
{
	return plane != TF_PLANE_SOCKET && owner != TF_OWNER_PACKET &&
	       owner != TF_OWNER_UNKNOWN && owner != TF_OWNER_FOREIGN &&
	       owner != TF_OWNER_ELSEWHERE;
}

/* A user-space tunnel's come from an ordinary socket of this namespace and from nothing else. */
TF_INLINE _Bool tf_program_may_send(enum tf_owner owner)
{
	return owner == TF_OWNER_INET;
}

/* Differences are looked at, not values: what the verifier learned of a value by one tunnel it would
 * carry on to the next, and tell apart all that it may have learned. */
TF_INLINE _Bool tf_is_outer_of(const struct tf_tunnel *tunnel, __u64 packed, __u32 mark,
			       const __u64 device[2])
{
	struct tf_outer o = { .packed = packed };
	__u64 uplink[2], other_device;
	__u32 other_mark = mark ^ tunnel->mark;

	__builtin_memcpy(uplink, &tunnel->uplink, sizeof(uplink));
	other_device = (device[0] ^ uplink[0]) | (device[1] ^ uplink[1]);
	TF_KEEP(o.packed);
	TF_KEEP(other_mark);
	TF_KEEP(other_device);
	if (!(tunnel->in_kernel ? o.by_kernel : o.by_program))
		return 0;
	if (tunnel->local_port && tunnel->local_port != o.local_port)
		return 0;
	if (tunnel->mark && other_mark && !o.arrived)
		return 0;
	if ((uplink[0] || uplink[1]) && other_device)
		return 0;
	return !tunnel->wireguard || o.wireguard;
}

/* device: the two words of its name. */
TF_GLOBAL __u32 tf_is_outer_of_any(tf_ctx *ctx, __u64 packed, __u32 mark, __u64 device0,
				   __u64 device1)
{
	const struct tf_policy *policy = tf_policy_of(ctx);
	const __u64 device[2] = { device0, device1 };
	struct tf_outer outer = { .packed = packed };
	__u32 i;

	TF_KEEP(ctx); /* the verifier wants to see it passed */
	for (i = 0; i < TF_MAX_TUNNELS && i < policy->tunnel_count; i++) {
		if (outer.tunnels >> i & 1 &&
		    tf_is_outer_of(&policy->tunnels[i], packed, mark, device))
			return 1;
	}
	return 0;
}

/* The tunnels that have this endpoint by configuration, and those that have it now. */
TF_INLINE __u32 tf_configured_at(tf_ctx *ctx, const struct tf_endpoint_key *key)
{
	const struct tf_endpoint *endpoint = tf_find_endpoint(ctx, key);

	return endpoint ? endpoint->tunnels : 0;
}

TF_INLINE __u32 tf_live_at(tf_ctx *ctx, const struct tf_endpoint_key *key)
{
	const struct tf_endpoint *endpoint = tf_find_live(ctx, key);

	return endpoint ? endpoint->tunnels : 0;
}

/* Either; those of now are not asked where they add none. */
TF_INLINE __u32 tf_tunnels_at(tf_ctx *ctx, const struct tf_endpoint_key *key)
{
	__u32 tunnels = tf_configured_at(ctx, key);

	if (tunnels == (1U << tf_policy_of(ctx)->tunnel_count) - 1)
		return tunnels;
	return tunnels | tf_live_at(ctx, key);
}

/* Of the only tunnel: its conditions one after the other, and none that it has not. */
TF_INLINE _Bool tf_is_outer_of_only(tf_ctx *ctx, const struct tf_policy *policy,
				    const struct tf_meta *meta, const struct tf_packet *p,
				    const struct tf_endpoint_key *key)
{
	const struct tf_tunnel *tunnel = &policy->tunnels[0];
	struct tf_outer outer = { /* but for what is asked below */
		.tunnels = (__u16)tf_tunnels_at(ctx, key),
		.local_port = p->sport,
		.by_kernel = 1,
		.by_program = 1,
		.wireguard = 1,
	};
	enum tf_owner owner;
	__u64 device[2];

	__builtin_memcpy(device, &meta->device.name, sizeof(device));
	if (!(outer.tunnels & 1) || !tf_is_outer_of(tunnel, outer.packed, meta->mark, device))
		return 0;
	if (tunnel->wireguard && !tf_is_wireguard(p, meta->gso_size))
		return 0;
	owner = tf_owner_by_netns(ctx, policy, meta->owner);
	return tunnel->in_kernel ? tf_kernel_may_send(meta->plane, owner) :
				   tf_program_may_send(owner);
}

/* Of any tunnel that has the endpoint. Those that have it by configuration are asked first: a packet of
 * theirs, like most, then costs no lookup of those that have it now. */
TF_INLINE _Bool tf_is_outer_at(tf_ctx *ctx, const struct tf_endpoint_key *key,
			       const struct tf_meta *meta, struct tf_outer outer, __u32 mark)
{
	__u64 device[2];

	__builtin_memcpy(device, &meta->device.name, sizeof(device));
	outer.tunnels = (__u16)tf_configured_at(ctx, key);
	if (outer.tunnels && tf_is_outer_of_any(ctx, outer.packed, mark, device[0], device[1]))
		return 1;
	outer.tunnels = (__u16)tf_live_at(ctx, key);
	return outer.tunnels && tf_is_outer_of_any(ctx, outer.packed, mark, device[0], device[1]);
}

TF_INLINE _Bool tf_is_outer_of_several(tf_ctx *ctx, const struct tf_policy *policy,
				       const struct tf_meta *meta, const struct tf_packet *p,
				       const struct tf_endpoint_key *key)
{
	enum tf_owner owner = tf_owner_by_netns(ctx, policy, meta->owner);
	const struct tf_outer outer = {
		.local_port = p->sport,
		.by_kernel = tf_kernel_may_send(meta->plane, owner),
		.by_program = tf_program_may_send(owner),
		.wireguard = tf_is_wireguard(p, meta->gso_size),
	};

	return tf_is_outer_at(ctx, key, meta, outer, meta->mark);
}

/* An endpoint's address and port, and all the conditions of a tunnel that has it. */
TF_INLINE _Bool tf_is_outer(tf_ctx *ctx, const struct tf_policy *policy,
			    const struct tf_meta *meta, const struct tf_packet *p)
{
	struct tf_endpoint_key key = { .addr = p->dst, .port = p->dport, .protocol = p->protocol };

	if (meta->forwarded)
		return 0;
	if (p->protocol != TF_PROTO_UDP && p->protocol != TF_PROTO_TCP)
		return 0;
	if (policy->tunnel_count == 1)
		return tf_is_outer_of_only(ctx, policy, meta, p, &key);
	return tf_is_outer_of_several(ctx, policy, meta, p, &key);
}

TF_INLINE _Bool tf_is_link_local(const struct tf_addr *a) /* fe80::/10 */
{
	return a->byte[0] == 0xfe && (a->byte[1] & 0xc0) == 0x80;
}

TF_INLINE _Bool tf_is_link_multicast(const struct tf_addr *a) /* ff02::/16 */
{
	return a->byte[0] == 0xff && a->byte[1] == 0x02;
}

TF_INLINE _Bool tf_is_unspecified(const struct tf_addr *a)
{
	return !tf_addr_word(a, 0) && !tf_addr_word(a, 1) && !tf_addr_word(a, 2) &&
	       !tf_addr_word(a, 3);
}

/* Whether it is ICMP of its own IP version: the other is no ICMP to whoever receives it. */
TF_INLINE _Bool tf_is_icmp4(const struct tf_packet *p)
{
	return p->protocol == TF_PROTO_ICMP && tf_addr_is_v4(&p->dst);
}

TF_INLINE _Bool tf_is_icmp6(const struct tf_packet *p)
{
	return p->protocol == TF_PROTO_ICMPV6 && !tf_addr_is_v4(&p->dst);
}

/* A router or neighbour is asked on the link; an endpoint that lives on it may also be spoken to by
 * its own address. Any other global address could be a carrier for data. */
TF_INLINE _Bool tf_is_neighbour_destination(tf_ctx *ctx, const struct tf_packet *p)
{
	struct tf_endpoint_key key = { .addr = p->dst, .protocol = TF_PROTO_ICMPV6 };

	return tf_is_link_local(&p->dst) || tf_is_link_multicast(&p->dst) ||
	       tf_tunnels_at(ctx, &key) != 0;
}

/* What all listener messages have in common: a hop limit that keeps them on the link, and one
 * hop-by-hop header with a router alert (RFC 2711) and nothing else. */
TF_INLINE _Bool tf_is_listener_message(tf_ctx *ctx, const struct tf_packet *p)
{
	__u8 ext[TF_EXT_UNIT] = {};

	if (p->hop_limit != 1 || !p->hop_by_hop || p->dst.byte[0] != 0xff)
		return 0;
	if (!tf_is_link_local(&p->src) && !tf_is_unspecified(&p->src))
		return 0;
	if (p->l4_offset != p->l3_offset + TF_IPV6_HEADER + TF_EXT_UNIT ||
	    tf_load(ctx, p->l3_offset + TF_IPV6_HEADER, ext, sizeof(ext)))
		return 0;
	return ext[2] == 5 && ext[3] == 2 && ext[4] == 0 && ext[5] == 0;
}

/* Neighbour and router solicitation, neighbour advertisement (RFC 4861, 4.1, 4.3, 4.4; RFC 6980:
 * never fragmented), multicast listener reports (RFC 2710, RFC 3810, 5.2). */
TF_INLINE _Bool tf_is_neighbour(tf_ctx *ctx, const struct tf_packet *p)
{
	if (!tf_is_icmp6(p) || p->fragment || p->icmp_code != 0)
		return 0;

	switch (p->icmp_type) {
	case 133: /* router solicitation, with a link-layer address option at most */
		return p->hop_limit == 255 && !p->extended && p->l4_bytes <= 8 + 16 &&
		       tf_is_link_multicast(&p->dst);
	case 135: /* neighbour solicitation */
	case 136: /* neighbour advertisement; options: link-layer address, nonce */
		return p->hop_limit == 255 && !p->extended && p->l4_bytes >= 24 &&
		       p->l4_bytes <= 24 + 32 && tf_is_neighbour_destination(ctx, p);
	case 131: /* MLDv1 report: to the group itself */
	case 132: /* MLDv1 done */
		return p->l4_bytes == 24 && tf_is_listener_message(ctx, p);
	case 143: /* MLDv2 report: 20 bytes a group, and room for 16 */
		return p->l4_bytes <= 8 + 16 * 20 && tf_is_listener_message(ctx, p);
	default:
		return 0;
	}
}

/* A BOOTP message (op 1: request, 2: reply), told from data by DHCP's magic cookie. */
TF_INLINE _Bool tf_is_bootp(tf_ctx *ctx, const struct tf_packet *p, __u8 op)
{
	__u8 cookie[4] = {};

	if (p->extended || !p->has_payload || (p->payload & 0xff) != op)
		return 0;
	if (p->l4_bytes < TF_UDP_HEADER + 240 ||
	    tf_load(ctx, p->l4_offset + TF_UDP_HEADER + 236, cookie, sizeof(cookie)))
		return 0;
	return cookie[0] == 99 && cookie[1] == 130 && cookie[2] == 83 && cookie[3] == 99;
}

TF_INLINE _Bool tf_is_limited_broadcast(const struct tf_addr *a)
{
	return tf_addr_is_v4(a) && tf_addr_word(a, 3) == tf_htonl(0xffffffff);
}

/* RFC 2131: a client's request, to the limited broadcast address.
 * A unicast renewal is not let out: any host would do as its destination. The client falls back to
 * broadcast before its lease ends (4.4.5). */
TF_INLINE _Bool tf_is_dhcp4(tf_ctx *ctx, const struct tf_packet *p)
{
	if (p->sport != TF_PORT_DHCP_CLIENT || p->dport != TF_PORT_DHCP_SERVER)
		return 0;
	return tf_is_limited_broadcast(&p->dst) && tf_is_bootp(ctx, p, 1);
}

/* RFC 8415, 7.1 to 7.3: a client's message from its link-local address to all agents on the link. */
TF_INLINE _Bool tf_is_dhcp6(const struct tf_packet *p)
{
	if (p->sport != TF_PORT_DHCP6_CLIENT || p->dport != TF_PORT_DHCP6_SERVER)
		return 0;
	if (!tf_is_link_local(&p->src))
		return 0;
	if (tf_addr_word(&p->dst, 0) != tf_htonl(0xff020000) || tf_addr_word(&p->dst, 1) ||
	    tf_addr_word(&p->dst, 2) || tf_addr_word(&p->dst, 3) != tf_htonl(0x00010002))
		return 0;
	if (!p->has_payload)
		return 0;
	switch (p->payload & 0xff) {
	case 1: /* solicit */
	case 3: /* request */
	case 4: /* confirm */
	case 5: /* renew */
	case 6: /* rebind */
	case 8: /* release */
	case 9: /* decline */
	case 11: /* information-request */
		return 1;
	default:
		return 0;
	}
}

TF_INLINE _Bool tf_is_dhcp(tf_ctx *ctx, const struct tf_packet *p)
{
	if (p->protocol != TF_PROTO_UDP || p->fragment)
		return 0;
	return tf_is_dhcp4(ctx, p) || tf_is_dhcp6(p);
}

/* The cookie of the socket that may ask the bootstrap name server from this port now; 0: none may. */
TF_GLOBAL __u64 tf_asker(tf_ctx *ctx, __u32 local_port)
{
	const struct tf_question *question = tf_find_question(ctx);
	__u64 now = tf_now(ctx), until, cookie;

	TF_KEEP(ctx); /* the verifier wants to see it passed */
	if (!question || question->local_port != local_port)
		return 0;
	until = question->until;
	cookie = question->cookie;
	return now < until && until - now <= TF_QUESTION_NS ? cookie : 0;
}

/* RFC 1035, 4.1.1: the third byte begins with QR, which an answer has, and OPCODE, which is 0. */
TF_INLINE _Bool tf_is_dns(const struct tf_packet *p, _Bool answer)
{
	return p->has_payload && (p->payload >> 16 & 0xf8) == (answer ? 0x80 : 0);
}

/* A query to the bootstrap name server by the very socket that tunfence asks with. Whoever else has
 * its port has another socket; what is forwarded, or made by AF_PACKET or a raw socket, has none that
 * counts. */
TF_INLINE _Bool tf_is_bootstrap(tf_ctx *ctx, const struct tf_policy *policy,
				const struct tf_meta *meta, const struct tf_packet *p)
{
	__u64 cookie;

	if (!policy->resolver_port || p->dport != policy->resolver_port ||
	    !tf_addr_equal(&p->dst, &policy->resolver))
		return 0;
	if (p->protocol != TF_PROTO_UDP || p->fragment || meta->gso_size || meta->forwarded ||
	    !tf_is_dns(p, 0))
		return 0;
	if (tf_owner_by_netns(ctx, policy, meta->owner) != TF_OWNER_INET)
		return 0;
	cookie = tf_asker(ctx, p->sport);
	return cookie && tf_load_cookie(ctx) == cookie;
}

TF_INLINE _Bool tf_is_name_port(__u16 port)
{
	switch (port) {
#define X(NAME, number) case number:
		TF_NAME_PORT_LIST(X)
#undef X
		return 1;
	default:
		return 0;
	}
}

/* Ports are those of UDP and TCP; of other protocols they are 0. */
TF_INLINE _Bool tf_is_name_lookup(const struct tf_packet *p)
{
	return tf_is_name_port(p->dport);
}

/* What an exempt program's own socket sends from the fence's own namespace: of another's, a container's
 * say, the packets count as forwarded. What an in-kernel tunnel wraps has its sender's socket still,
 * and holds nothing of anybody else's. */
TF_INLINE _Bool tf_is_exempt(tf_ctx *ctx, const struct tf_policy *policy,
			     const struct tf_meta *meta)
{
	if (!policy->exempt_count || meta->forwarded)
		return 0;
	if (meta->owner == TF_OWNER_KERNEL || meta->owner == TF_OWNER_UNKNOWN)
		return 0;
	return tf_is_from_exempt(ctx) && !tf_is_foreign(ctx, policy);
}

/* Of count services from first on, how many begin at or before point. They are sorted. */
TF_GLOBAL __u32 tf_search_services(tf_ctx *ctx, __u32 first, __u32 count, __u32 point)
{
	const struct tf_service *service;
	__u32 below = 0, step;
	int i;

	TF_KEEP(ctx); /* the verifier wants to see it passed, though no lookup needs it */
	for (i = TF_SERVICE_STEPS - 1; i >= 0; i--) {
		step = 1U << i;
		if (below + step > count)
			continue;
		service = tf_find_service(ctx, first + below + step - 1);
		if (service) /* added without a branch, whose two ways the verifier would go */
			below += (__u32)(((__u64)service->from - point - 1) >> 63) << i;
	}
	return below;
}

TF_INLINE _Bool tf_is_by_uplink(tf_ctx *ctx, __u64 uplinks, const struct tf_name *device)
{
	const struct tf_uplink *uplink;

	if (uplinks == TF_ANY_UPLINK)
		return 1;
	uplink = tf_find_uplink(ctx, device);
	return uplink && uplink->number < TF_MAX_UPLINKS && uplinks >> uplink->number & 1;
}

TF_INLINE _Bool tf_is_served(tf_ctx *ctx, const struct tf_meta *meta, __u32 point, __u32 first,
			     __u32 count)
{
	__u32 below = tf_search_services(ctx, first, count, point);
	const struct tf_service *service;

	if (!below)
		return 0;
	service = tf_find_service(ctx, first + below - 1);
	return service && point <= service->to &&
	       tf_is_by_uplink(ctx, service->uplinks, &meta->device.name);
}

/* other: the other end's address; point: the service there, see tf_service_point(). */
TF_INLINE void tf_classify_other_end(tf_ctx *ctx, const struct tf_policy *policy,
				     const struct tf_meta *meta, const struct tf_addr *other,
				     __u32 point, struct tf_facts *f)
{
	struct tf_prefix_key key = { .bits = 128, .addr = *other };
	const struct tf_prefix *prefix;
	__u32 first, count;

	if (!policy->has_prefixes)
		return;
	prefix = tf_find_prefix(ctx, &key);
	if (!prefix)
		return;
	f->lan = prefix->lan != 0;
	first = prefix->first;
	count = prefix->count;
	if (count)
		f->destination = tf_is_served(ctx, meta, point, first, count);
}

/* A bare SYN is a question, whatever port it comes from. */
TF_INLINE _Bool tf_is_opening(const struct tf_packet *p)
{
	return p->protocol == TF_PROTO_TCP &&
	       (p->tcp_flags & (TF_TCP_SYN | TF_TCP_ACK)) == TF_TCP_SYN;
}

/* An answer leaves from the service's own port, by a socket of this machine or as the kernel's
 * part in its connection. */
TF_INLINE _Bool tf_is_inbound(tf_ctx *ctx, const struct tf_policy *policy,
			      const struct tf_meta *meta, const struct tf_packet *p)
{
	struct tf_inbound_key key = { .port = p->sport, .protocol = p->protocol };
	enum tf_owner owner;

	if (!policy->has_inbound || meta->forwarded)
		return 0;
	if (p->protocol != TF_PROTO_TCP && p->protocol != TF_PROTO_UDP)
		return 0;
	if (tf_is_opening(p) || !tf_find_inbound(ctx, &key))
		return 0;
	owner = tf_owner_by_netns(ctx, policy, meta->owner);
	return owner == TF_OWNER_INET ||
	       (owner == TF_OWNER_KERNEL && p->protocol == TF_PROTO_TCP);
}

TF_INLINE struct tf_fragment_key tf_fragment_key_of(const struct tf_meta *meta,
						    const struct tf_packet *p)
{
	struct tf_fragment_key key = {
		.src = p->src,
		.dst = p->dst,
		.id = p->fragment_id,
		.ifindex = meta->ifindex,
		.protocol = p->fragment_protocol,
		.plane = (__u8)meta->plane,
	};

	return key;
}

/* Whether the first fragment passed: by itself, or for the sake of the sender that this has, too. */
TF_INLINE _Bool tf_is_continued(tf_ctx *ctx, const struct tf_policy *policy,
				const struct tf_meta *meta, const struct tf_packet *p)
{
	struct tf_fragment_key key = tf_fragment_key_of(meta, p);

	if (tf_find_fragment(ctx, &key))
		return 1;
	key.exempt = 1;
	return tf_is_exempt(ctx, policy, meta) && tf_find_fragment(ctx, &key);
}

TF_PART __u32 tf_is_continued_part(tf_ctx *ctx, const struct tf_meta *meta,
				   const struct tf_packet *p)
{
	return meta && p && tf_is_continued(ctx, tf_policy_of(ctx), meta, p);
}

/*
 * RFC 826: an ARP packet's sender says its hardware address at 8 and its IPv4 address at 14. Asked
 * by anyone on the link, Linux tells every address of the machine, the tunnel's too; so who speaks
 * for the device may tell only the device's. Guests behind it have hardware addresses of their own.
 */
TF_GLOBAL __u32 tf_is_foreign_arp(tf_ctx *ctx, __u32 offset)
{
	struct tf_addr addr;
	__u8 sender[10] = {};

	if (tf_load(ctx, offset + 8, sender, sizeof(sender)))
		return 1;
	if (!tf_is_own_mac(ctx, sender) || tf_is_relayed(ctx, TF_PLANE_WIRE))
		return 0;
	tf_addr_set_v4(&addr, sender + 6);
	return tf_addr_word(&addr, 3) && tf_whose_address(ctx, &addr) != TF_WHOSE_OWN;
}

/* What else may let a packet leave that is no tunnel's. */
TF_INLINE void tf_classify_rest(tf_ctx *ctx, const struct tf_policy *policy,
				const struct tf_meta *meta, const struct tf_packet *p,
				struct tf_facts *f)
{
	f->neighbour = !meta->forwarded && tf_is_neighbour(ctx, p);
	if (f->neighbour)
		return;
	f->dhcp = policy->dhcp && !meta->forwarded && tf_is_dhcp(ctx, p);
	if (f->dhcp)
		return;
	f->bootstrap = tf_is_bootstrap(ctx, policy, meta, p);
	if (f->bootstrap)
		return;
	f->name_lookup = tf_is_name_lookup(p);
	if (f->name_lookup && !policy->exempt_names)
		return;
	f->exempt = tf_is_exempt(ctx, policy, meta);
	f->name_lookup = f->name_lookup && !f->exempt;
	if (f->name_lookup || f->exempt)
		return;
	tf_classify_other_end(ctx, policy, meta, &p->dst, tf_service_point(p->protocol, p->dport), f);
	if (f->destination || f->lan)
		return;
	f->inbound = tf_is_inbound(ctx, policy, meta, p);
}

/* The pointers are never NULL, but the verifier wants to see it. Else no fact is there, and that is a
 * drop. */
TF_PART __u32 tf_rest_part(tf_ctx *ctx, const struct tf_meta *meta, const struct tf_packet *p,
			   struct tf_facts *f)
{
	if (meta && p && f)
		tf_classify_rest(ctx, tf_policy_of(ctx), meta, p, f);
	return 0;
}

/* The facts about an IP packet, parsed. */
TF_INLINE void tf_classify_packet(tf_ctx *ctx, const struct tf_policy *policy,
				  const struct tf_meta *meta, const struct tf_packet *p,
				  struct tf_facts *f)
{
	if (p->fragment == TF_FRAGMENT_LATER) {
		f->later_fragment = 1;
		f->fragment_passed = tf_is_continued_part(ctx, meta, p) != 0;
		return;
	}
	f->endpoint = tf_is_outer(ctx, policy, meta, p);
	if (!f->endpoint)
		tf_rest_part(ctx, meta, p, f);
}

#endif
