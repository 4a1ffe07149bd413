/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The three functions in their order: parse, classify, decide. The same for every plane, in the
 * kernel and natively.
 */
#ifndef TUNFENCE_JUDGE_H
#define TUNFENCE_JUDGE_H

#include <tunfence/decide.h>
#include <tunfence/facts.h>
#include <tunfence/packet.h>
#include <tunfence/policy.h>
#include <tunfence/seam.h>

/* Where a transport protocol's checksum lies in its header. 0: it has none that is offloaded. */
TF_INLINE __u32 tf_checksum_offset(__u8 protocol)
{
	switch (protocol) {
	case TF_PROTO_TCP:
		return 16;
	case TF_PROTO_UDP:
		return 6;
	case TF_PROTO_ICMPV6:
		return 2;
	default:
		return 0;
	}
}

/* What tf_is_rewritten() must know of a packet, as the scalar that it may take. */
struct tf_parsed {
	union {
		__u64 packed;
		struct {
			__u16 l3_offset, l4_offset;
			__u8 parse;    /* enum tf_parse */
			__u8 protocol;
			__u8 fragment; /* enum tf_fragment */
			__u8 gso;
		};
	};
};

_Static_assert(sizeof(struct tf_parsed) == 8, "a scalar");

/* The ethertype that the frame itself says: in its link header, or else by its IP version. */
TF_INLINE __u32 tf_outermost(tf_ctx *ctx, __u32 l3_offset)
{
	__u8 type[2] = {};

	if (tf_load(ctx, l3_offset < TF_ETH_HEADER ? 0 : TF_ETH_HEADER - sizeof(type), type,
		    sizeof(type)))
		return 0;
	if (l3_offset >= TF_ETH_HEADER)
		return tf_get16(type);
	return type[0] >> 4 == 6 ? TF_ETH_IPV6 : TF_ETH_IPV4;
}

/*
 * Whether a frame with foreign headers will not be on the wire what it was here. AF_PACKET senders
 * and guests may ask for a checksum to be written at any offset and for segmentation by headers
 * other than those that were parsed: over a destination address, that makes an allowed frame
 * another one.
 */
TF_GLOBAL __u32 tf_is_rewritten(tf_ctx *ctx, __u32 bytes, __u64 packed)
{
	struct tf_parsed p = { .packed = packed };
	__u32 judged = p.l4_offset + TF_L4_BYTES, field = tf_checksum_offset(p.protocol);
	struct tf_offload offload = {};

	tf_load_offload(ctx, &offload);
	if (p.parse != TF_PARSE_IP)
		return offload.checksum || p.gso;
	if (bytes > TF_PRIVATE_BYTES && judged > TF_PRIVATE_BYTES)
		return 1;
	if (p.gso && (offload.network != p.l3_offset || offload.transport != p.l4_offset ||
		      offload.ethertype != tf_outermost(ctx, p.l3_offset)))
		return 1;
	if (!offload.checksum)
		return 0;
	if (p.fragment == TF_FRAGMENT_LATER || offload.checksum_at >= bytes)
		return 1;
	return offload.checksum_at < judged &&
	       (!field || offload.checksum_at != p.l4_offset + field);
}

/* The same of a packet, as far as it was parsed. */
TF_PART __u32 tf_parse_if_kept(tf_ctx *ctx, const struct tf_meta *meta, const struct tf_packet *p,
			       __u32 parse)
{
	struct tf_parsed parsed = {};

	if (!meta || !p)
		return TF_PARSE_REWRITTEN;
	parsed.l3_offset = (__u16)p->l3_offset;
	parsed.l4_offset = (__u16)p->l4_offset;
	parsed.parse = (__u8)parse;
	parsed.protocol = p->protocol;
	parsed.fragment = p->fragment;
	parsed.gso = meta->gso_size != 0;
	return tf_is_rewritten(ctx, meta->bytes, parsed.packed) ? TF_PARSE_REWRITTEN : parse;
}

TF_INLINE enum tf_parse tf_parse(tf_ctx *ctx, const struct tf_meta *meta, struct tf_packet *p)
{
	enum tf_link_header link = (enum tf_link_header)meta->device.link_header;
	enum tf_parse parse;

	/* Segments are cut by the protocol that the sender of a socket like AF_PACKET names. */
	if (meta->gso_size && meta->owner != TF_OWNER_INET && meta->owner != TF_OWNER_KERNEL)
		return TF_PARSE_REWRITTEN;
	if (tf_begins_with_ip(meta->plane))
		link = TF_LINK_NONE;
	parse = tf_parse_frame(ctx, link, meta->bytes, meta->gso_size != 0, p);
	/* What the socket plane sees, and what a program's own socket made, this kernel's IP stack
	 * wrote the headers of. */
	if (meta->plane == TF_PLANE_SOCKET || meta->owner == TF_OWNER_INET)
		return parse;
	return (enum tf_parse)tf_parse_if_kept(ctx, meta, p, parse);
}

TF_INLINE void tf_remember(tf_ctx *ctx, const struct tf_meta *meta, const struct tf_packet *p,
			   enum tf_reason reason)
{
	struct tf_fragment_key key = tf_fragment_key_of(meta, p);

	key.exempt = reason == TF_REASON_EXEMPT && meta->plane != TF_PLANE_INGRESS;
	tf_remember_fragment(ctx, &key);
}

TF_PART __u32 tf_remember_part(tf_ctx *ctx, const struct tf_meta *meta, const struct tf_packet *p,
			       __u32 reason)
{
	TF_KEEP(ctx);
	if (meta && p)
		tf_remember(ctx, meta, p, (enum tf_reason)reason);
	return 0;
}

/* What follows the first fragment passes with it: only if that passed on its own merit. What arrives
 * does not say whom it is for, but in the first fragment. */
TF_INLINE void tf_note_fragment(tf_ctx *ctx, const struct tf_meta *meta, const struct tf_packet *p,
				enum tf_reason reason)
{
	if (p->fragment == TF_FRAGMENT_FIRST && tf_reason_verdict(reason) == TF_PASS)
		tf_remember_part(ctx, meta, p, reason);
}

/* What leaves. meta.device and owner are filled here, and packet, which is zeroed, as far as it was
 * looked at. The plane is a constant to the compiler before
 * a helper has seen meta, and no helper that a plane has not may be left in its program. */
TF_INLINE struct tf_decision tf_judge(tf_ctx *ctx, const struct tf_policy *policy,
				      struct tf_meta *meta, struct tf_packet *packet)
{
	struct tf_facts facts = {};
	const enum tf_plane plane = meta->plane;
	struct tf_decision decision;

	if (tf_classify_device(ctx, policy, meta, &facts))
		return decide(&facts);

	meta->owner = tf_load_owner(ctx);
	facts.parse = tf_is_shared(ctx, plane) ? TF_PARSE_REWRITTEN : tf_parse(ctx, meta, packet);
	if (facts.parse == TF_PARSE_IP)
		tf_classify_packet(ctx, policy, meta, packet, &facts);
	else if (facts.parse == TF_PARSE_ARP && packet->l3_offset == TF_ETH_HEADER) /* no VLAN's */
		facts.foreign_arp = tf_is_foreign_arp(ctx, packet->l3_offset) != 0;
	decision = decide(&facts);

	tf_note_fragment(ctx, meta, packet, decision.reason);
	return decision;
}

#endif
