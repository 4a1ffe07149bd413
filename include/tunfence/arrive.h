/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What arrives on an uplink: the facts about it, and its judge. Mirrors facts.h and judge.h, whose
 * words it uses; like them it asks the maps and the device, and decides nothing itself.
 *
 * Nothing here remembers what was asked, but for tunfence's own question: an answer is told from a
 * question by its ports, flags and type, and what cannot be told apart is a question.
 */
#ifndef TUNFENCE_ARRIVE_H
#define TUNFENCE_ARRIVE_H

#include <tunfence/judge.h>

enum tf_icmp { /* RFC 792, RFC 4443, RFC 4861, RFC 2710 */
	TF_ICMP_ECHO_REPLY = 0,
	TF_ICMP_UNREACHABLE = 3,
	TF_ICMP_REDIRECT = 5,
	TF_ICMP_TIME_EXCEEDED = 11,
	TF_ICMP_PARAMETER = 12,
	TF_ICMP_TIMESTAMP_REPLY = 14,
	TF_ICMP6_UNREACHABLE = 1, /* then packet too big, time exceeded */
	TF_ICMP6_PARAMETER = 4,
	TF_ICMP6_ECHO_REPLY = 129,
	TF_ICMP6_LISTENER_QUERY = 130,
	TF_ICMP6_ADVERTISEMENT = 134, /* a router's */
	TF_ICMP6_SOLICITATION = 135,  /* a neighbour's, as the next */
	TF_ICMP6_NEIGHBOUR = 136,
	TF_ICMP6_REDIRECT = 137,
	TF_ICMP_HEADER = 8,
};

/* From the transport header on, what may be looked at: DHCP's cookie lies farthest. */
#define TF_ARRIVED_BYTES (TF_UDP_HEADER + 240)

TF_INLINE _Bool tf_is_redirect(const struct tf_packet *p)
{
	if (p->fragment == TF_FRAGMENT_LATER)
		return 0;
	return (tf_is_icmp4(p) && p->icmp_type == TF_ICMP_REDIRECT) ||
	       (tf_is_icmp6(p) && p->icmp_type == TF_ICMP6_REDIRECT);
}

TF_INLINE _Bool tf_is_multicast(const struct tf_addr *a)
{
	return tf_addr_is_v4(a) ? a->byte[12] >> 4 == 0xe : a->byte[0] == 0xff;
}

/*
 * Whether its destination is none of the device's. Linux takes a packet for any address of the
 * machine by any device; so a neighbour could learn the tunnel's address, and then about the
 * connections inside it (CVE-2019-14899). TCP knows no broadcast, and has no excuse.
 */
TF_INLINE _Bool tf_is_other_address(tf_ctx *ctx, const struct tf_meta *meta,
				    const struct tf_packet *p)
{
	_Bool many = tf_is_multicast(&p->dst) || tf_is_limited_broadcast(&p->dst);
	enum tf_whose whose;

	if (!many) {
		whose = tf_whose_address(ctx, &p->dst);
		if (whose == TF_WHOSE_OWN)
			return 0;
		many = whose == TF_WHOSE_BROADCAST;
	}
	if (many && p->protocol != TF_PROTO_TCP)
		return 0;
	return !tf_is_relayed(ctx, meta->plane);
}

/* RFC 2131, 4.1: an answer comes to the limited broadcast address, to the address it gives (yiaddr),
 * or to one the client has. */
TF_INLINE _Bool tf_is_dhcp4_answer(tf_ctx *ctx, const struct tf_packet *p, _Bool other_address)
{
	__u8 given[4] = {};

	if (p->sport != TF_PORT_DHCP_SERVER || p->dport != TF_PORT_DHCP_CLIENT)
		return 0;
	if (!tf_addr_is_v4(&p->dst) || !tf_is_bootp(ctx, p, 2))
		return 0;
	if (!other_address)
		return 1;
	if (tf_load(ctx, p->l4_offset + TF_UDP_HEADER + 16, given, sizeof(given)))
		return 0;
	return given[0] == p->dst.byte[12] && given[1] == p->dst.byte[13] &&
	       given[2] == p->dst.byte[14] && given[3] == p->dst.byte[15];
}

/* RFC 8415, 7.1 to 7.3: advertise, reply, reconfigure; between link-local addresses. */
TF_INLINE _Bool tf_is_dhcp6_answer(const struct tf_packet *p, _Bool other_address)
{
	__u32 type = p->payload & 0xff;

	if (p->sport != TF_PORT_DHCP6_SERVER || p->dport != TF_PORT_DHCP6_CLIENT)
		return 0;
	if (other_address || !tf_is_link_local(&p->src) || !tf_is_link_local(&p->dst))
		return 0;
	return p->has_payload && (type == 2 || type == 7 || type == 10);
}

TF_INLINE _Bool tf_is_dhcp_answer(tf_ctx *ctx, const struct tf_packet *p, _Bool other_address)
{
	if (p->protocol != TF_PROTO_UDP || p->fragment)
		return 0;
	return tf_is_dhcp4_answer(ctx, p, other_address) || tf_is_dhcp6_answer(p, other_address);
}

/* Neighbour solicitation and advertisement, router advertisement (RFC 4861, 4.2 to 4.4, 6.1.2, 7.1;
 * RFC 6980: never fragmented), multicast listener query (RFC 2710, RFC 3810, 5.1). */
TF_INLINE _Bool tf_is_neighbour_in(tf_ctx *ctx, const struct tf_packet *p)
{
	if (!tf_is_icmp6(p) || p->fragment || p->icmp_code != 0)
		return 0;

	switch (p->icmp_type) {
	case TF_ICMP6_LISTENER_QUERY:
		return p->l4_bytes >= 24 && tf_is_link_local(&p->src) &&
		       tf_is_listener_message(ctx, p);
	case TF_ICMP6_ADVERTISEMENT:
		return p->hop_limit == 255 && !p->extended && p->l4_bytes >= 16 &&
		       tf_is_link_local(&p->src);
	case TF_ICMP6_SOLICITATION:
	case TF_ICMP6_NEIGHBOUR:
		return p->hop_limit == 255 && !p->extended && p->l4_bytes >= 24;
	default:
		return 0;
	}
}

/* The kinds of ICMP that quote the packet they are about. */
TF_INLINE _Bool tf_is_icmp_error(const struct tf_packet *p)
{
	if (p->fragment)
		return 0;
	if (tf_is_icmp4(p))
		return p->icmp_type == TF_ICMP_UNREACHABLE ||
		       p->icmp_type == TF_ICMP_TIME_EXCEEDED || p->icmp_type == TF_ICMP_PARAMETER;
	return tf_is_icmp6(p) && p->icmp_type >= TF_ICMP6_UNREACHABLE &&
	       p->icmp_type <= TF_ICMP6_PARAMETER;
}

/* The transport header's first bytes, where ports are the sender's and then the receiver's. */
TF_INLINE void tf_take_quoted(__u8 protocol, const __u8 *l4, struct tf_packet *p)
{
	_Bool ports = protocol == TF_PROTO_TCP || protocol == TF_PROTO_UDP;

	p->protocol = protocol;
	p->dport = ports ? tf_get16(l4) : 0;
	p->sport = ports ? tf_get16(l4 + 2) : 0;
}

/*
 * Makes of an ICMP error the packet it would be if whom the quoted packet was sent to had answered.
 * Whether it did: the quote must be complete, with nothing between its IP header and its ports, no
 * later fragment, and sent by whom the error came to.
 */
TF_INLINE _Bool tf_unwrap_error(tf_ctx *ctx, struct tf_packet *p)
{
	__u8 ip[TF_IPV6_HEADER + TF_ICMP_HEADER] = {};
	__u32 want = tf_addr_is_v4(&p->dst) ? TF_IPV4_HEADER + 8 : TF_IPV6_HEADER + 8, have;
	struct tf_addr from;

	have = tf_load_upto(ctx, p->l4_offset + TF_ICMP_HEADER, ip, sizeof(ip),
			    p->l4_bytes - TF_ICMP_HEADER);
	if (have < want)
		return 0;
	if (want == TF_IPV4_HEADER + 8) {
		if (ip[0] != 0x45 || tf_get16(ip + 6) & 0x1fff)
			return 0;
		tf_addr_set_v4(&from, ip + 12);
		tf_addr_set_v4(&p->src, ip + 16);
		tf_take_quoted(ip[9], ip + TF_IPV4_HEADER, p);
	} else {
		if (ip[0] >> 4 != 6 || tf_is_extension(ip[6]))
			return 0;
		__builtin_memcpy(&from, ip + 8, sizeof(from));
		__builtin_memcpy(&p->src, ip + 24, sizeof(p->src));
		tf_take_quoted(ip[6], ip + TF_IPV6_HEADER, p);
	}
	return tf_addr_equal(&from, &p->dst);
}

/* From an endpoint's address and port, all other conditions of a tunnel that has it met. Of a quoted
 * packet no payload is there to be looked at. */
TF_INLINE _Bool tf_is_outer_in(tf_ctx *ctx, const struct tf_meta *meta, const struct tf_packet *p,
			       _Bool quoted)
{
	struct tf_endpoint_key key = { .addr = p->src, .port = p->sport, .protocol = p->protocol };
	const struct tf_outer outer = {
		.local_port = p->dport,
		.by_kernel = 1,
		.by_program = 1,
		.wireguard = quoted || tf_is_wireguard(p, meta->gso_size),
		.arrived = 1,
	};

	if (p->protocol != TF_PROTO_UDP && p->protocol != TF_PROTO_TCP)
		return 0;
	if (!quoted && tf_is_opening(p))
		return 0;
	return tf_is_outer_at(ctx, &key, meta, outer, 0);
}

TF_INLINE _Bool tf_is_inbound_in(tf_ctx *ctx, const struct tf_policy *policy,
				 const struct tf_packet *p)
{
	struct tf_inbound_key key = { .port = p->dport, .protocol = p->protocol };

	if (!policy->has_inbound)
		return 0;
	return (p->protocol == TF_PROTO_TCP || p->protocol == TF_PROTO_UDP) &&
	       tf_find_inbound(ctx, &key);
}

/* What the bootstrap name server answers while it is asked, to the port it is asked from. */
TF_INLINE _Bool tf_is_bootstrap_answer(tf_ctx *ctx, const struct tf_policy *policy,
				       const struct tf_packet *p)
{
	if (!policy->resolver_port || p->sport != policy->resolver_port ||
	    !tf_addr_equal(&p->src, &policy->resolver))
		return 0;
	return p->protocol == TF_PROTO_UDP && !p->fragment && tf_is_dns(p, 1) &&
	       tf_asker(ctx, p->dport) != 0;
}

/* Whether it can be the answer to something, as far as its protocol says which is which. */
TF_INLINE _Bool tf_is_answer(const struct tf_packet *p)
{
	if (p->protocol == TF_PROTO_ICMP)
		return p->icmp_type == TF_ICMP_ECHO_REPLY ||
		       p->icmp_type == TF_ICMP_TIMESTAMP_REPLY;
	if (p->protocol == TF_PROTO_ICMPV6)
		return p->icmp_type == TF_ICMP6_ECHO_REPLY;
	return !tf_is_opening(p);
}

/* As far as it can be told: a bridge's port, say, has no address, and its bridge is asked too. */
TF_INLINE _Bool tf_is_to_many(tf_ctx *ctx, const struct tf_packet *p)
{
	return tf_is_multicast(&p->dst) || tf_is_limited_broadcast(&p->dst) ||
	       tf_whose_address(ctx, &p->dst) == TF_WHOSE_BROADCAST;
}

/* What will be taken by an exempt program's socket that asked for it, as far as sockets are known by
 * their ports, and by no other: what is sent to many reaches every socket at its port. In the fence's
 * own namespace. */
TF_INLINE _Bool tf_is_exempt_in(tf_ctx *ctx, const struct tf_policy *policy,
				const struct tf_meta *meta, const struct tf_packet *p)
{
	if (!policy->exempt_count || meta->device.netns != policy->netns)
		return 0;
	if (p->protocol != TF_PROTO_TCP && p->protocol != TF_PROTO_UDP)
		return 0;
	return !tf_is_to_many(ctx, p) && tf_is_for_exempt(ctx, p);
}

/* Who else than a tunnel's may be at the other end. */
TF_INLINE void tf_classify_other_sender(tf_ctx *ctx, const struct tf_policy *policy,
					const struct tf_meta *meta, const struct tf_packet *p,
					struct tf_facts *f)
{
	f->neighbour = !f->icmp_error && tf_is_neighbour_in(ctx, p);
	if (f->neighbour)
		return;
	f->inbound = tf_is_inbound_in(ctx, policy, p);
	if (f->inbound)
		return;
	f->bootstrap = !f->icmp_error && tf_is_bootstrap_answer(ctx, policy, p);
	if (f->bootstrap)
		return;
	f->name_lookup = tf_is_name_port(p->sport) || tf_is_name_port(p->dport);
	if (f->name_lookup && !policy->exempt_names)
		return;
	f->exempt = tf_is_exempt_in(ctx, policy, meta, p);
	f->name_lookup = f->name_lookup && !f->exempt;
	if (f->name_lookup || f->exempt)
		return;
	tf_classify_other_end(ctx, policy, meta, &p->src, tf_service_point(p->protocol, p->sport),
			      f);
	f->destination = f->destination && (f->icmp_error || tf_is_answer(p));
}

/* As tf_rest_part(). */
TF_PART __u32 tf_sender_part(tf_ctx *ctx, const struct tf_meta *meta, const struct tf_packet *p,
			     struct tf_facts *f)
{
	if (meta && p && f)
		tf_classify_other_sender(ctx, tf_policy_of(ctx), meta, p, f);
	return 0;
}

/* Who may be at the other end, of the packet itself or of the one it quotes. */
TF_INLINE void tf_classify_sender(tf_ctx *ctx, const struct tf_meta *meta,
				  const struct tf_packet *p, struct tf_facts *f)
{
	f->endpoint = tf_is_outer_in(ctx, meta, p, f->icmp_error);
	if (!f->endpoint)
		tf_sender_part(ctx, meta, p, f);
}

/* The facts about an IP packet that arrived, parsed. p becomes what it quotes if it is an error. */
TF_INLINE void tf_classify_arrived(tf_ctx *ctx, const struct tf_policy *policy,
				   const struct tf_meta *meta, struct tf_packet *p,
				   struct tf_facts *f)
{
	f->redirect = tf_is_redirect(p);
	if (f->redirect)
		return;
	f->other_address = tf_is_other_address(ctx, meta, p);
	f->dhcp = policy->dhcp && tf_is_dhcp_answer(ctx, p, f->other_address);
	if (f->dhcp || f->other_address)
		return;
	if (p->fragment == TF_FRAGMENT_LATER) {
		struct tf_fragment_key key = tf_fragment_key_of(meta, p);

		f->later_fragment = 1;
		f->fragment_passed = tf_find_fragment(ctx, &key);
		return;
	}
	f->icmp_error = tf_is_icmp_error(p);
	if (!f->icmp_error || tf_unwrap_error(ctx, p))
		tf_classify_sender(ctx, meta, p, f);
}

/* Checksums and segmentation are behind a packet that arrives, so it is not asked whether it will be
 * rewritten; but what is judged must lie where its sender cannot reach. */
TF_INLINE enum tf_parse tf_parse_arrived(tf_ctx *ctx, const struct tf_meta *meta,
					 struct tf_packet *p)
{
	enum tf_parse parse;

	if (tf_is_shared(ctx, meta->plane))
		return TF_PARSE_REWRITTEN;
	parse = tf_parse_frame(ctx, (enum tf_link_header)meta->device.link_header, meta->bytes,
			       meta->gso_size != 0, p);
	if (meta->bytes > TF_PRIVATE_BYTES && p->l4_offset + TF_ARRIVED_BYTES > TF_PRIVATE_BYTES)
		return TF_PARSE_REWRITTEN;
	return parse;
}

/* What arrives. meta.device is filled here, and packet, which is zeroed: of an error in the end what
 * it quotes. */
TF_INLINE struct tf_decision tf_judge_arrived(tf_ctx *ctx, const struct tf_policy *policy,
					      struct tf_meta *meta, struct tf_packet *packet)
{
	struct tf_facts facts = {};
	struct tf_decision decision;

	if (tf_classify_device(ctx, policy, meta, &facts))
		return decide_in(&facts);
	facts.parse = tf_parse_arrived(ctx, meta, packet);
	if (facts.parse == TF_PARSE_IP)
		tf_classify_arrived(ctx, policy, meta, packet, &facts);
	decision = decide_in(&facts);
	tf_note_fragment(ctx, meta, packet, decision.reason);
	return decision;
}

#endif
