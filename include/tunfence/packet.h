/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The parser: bytes -> struct tf_packet. No map, no policy, no opinion; what it cannot follow to
 * the end it names, and every name but IP, ARP and EAPOL is a drop.
 *
 * Bytes are read only through tf_load(), the seam that the kernel program and the native code each
 * provide. The first load takes the link header and 56 bytes behind it, which is all that a packet
 * without tags, options or extension headers needs; those cost a further load each. The window is
 * read at constant offsets only: Linux 5.10 refuses others on the stack, and a per-CPU buffer would
 * be overwritten when a softirq runs the same program inside an interrupted one.
 *
 * The link header is the one that the device's type implies; skb->protocol is never believed, as
 * AF_PACKET senders choose it.
 */
#ifndef TUNFENCE_PACKET_H
#define TUNFENCE_PACKET_H

#include <tunfence/decide.h>
#include <tunfence/seam.h>
#include <tunfence/types.h>

enum tf_proto { /* include/uapi/linux/in.h, in6.h */
	TF_PROTO_HOPOPTS = 0,
	TF_PROTO_ICMP = 1,
	TF_PROTO_TCP = 6,
	TF_PROTO_UDP = 17,
	TF_PROTO_ROUTING = 43,
	TF_PROTO_FRAGMENT = 44,
	TF_PROTO_AH = 51,
	TF_PROTO_ICMPV6 = 58,
	TF_PROTO_NONE = 59,
	TF_PROTO_DSTOPTS = 60,
	TF_PROTO_MOBILITY = 135, /* RFC 7045 lists the rest */
	TF_PROTO_HIP = 139,
	TF_PROTO_SHIM6 = 140,
	TF_PROTO_EXPERIMENT1 = 253,
	TF_PROTO_EXPERIMENT2 = 254,
};

enum tf_ethertype { /* include/uapi/linux/if_ether.h */
	TF_ETH_IPV4 = 0x0800,
	TF_ETH_ARP = 0x0806,
	TF_ETH_8021Q = 0x8100,
	TF_ETH_IPV6 = 0x86dd,
	TF_ETH_EAPOL = 0x888e,
	TF_ETH_8021AD = 0x88a8,
	TF_ETH_QINQ1 = 0x9100,
};

enum tf_sizes {
	TF_ETH_HEADER = 14,
	TF_VLAN_TAG = 4,
	TF_MAX_VLAN_TAGS = 2,
	TF_MIN_ETH_PAYLOAD = 50, /* a minimal frame's, with one tag taken off: may be padding */
	TF_IPV4_HEADER = 20,
	TF_IPV6_HEADER = 40,
	TF_UDP_HEADER = 8,
	TF_TCP_HEADER = 20,
	TF_EXT_UNIT = 8,
	TF_MAX_EXT = 8,          /* extension headers followed; RFC 8200 knows six kinds */
	TF_MAX_IPV4_OPTIONS = 10,
	TF_L4_BYTES = 16,        /* of the transport header and payload that are looked at */
	TF_WINDOW_L3 = 16,       /* where the network header lies in the window: word-aligned */
	TF_L3_BYTES = TF_IPV6_HEADER + TF_L4_BYTES,
	TF_WINDOW = TF_WINDOW_L3 + TF_L3_BYTES,
};

enum tf_link_header {
	TF_LINK_UNKNOWN = 0, /* frames cannot be read: DROP */
	TF_LINK_ETHERNET,
	TF_LINK_NONE, /* begins with the IP header */
};

enum tf_fragment {
	TF_FRAGMENT_NONE = 0,
	TF_FRAGMENT_FIRST,
	TF_FRAGMENT_LATER,
};

struct tf_packet {
	struct tf_addr src, dst;
	__u32 l3_offset;  /* of the IP header in the frame */
	__u32 l4_offset;  /* of the transport header; of a later fragment, where its data begins */
	__u32 l4_bytes;   /* transport header and payload, as the headers say; UDP: its length field */
	__be32 fragment_id;
	__u16 sport, dport; /* TCP and UDP, host byte order; else 0 */
	__u32 payload;         /* UDP: first four bytes of the payload, little-endian as WireGuard's */
	__u8 has_payload;      /* there are four */
	__u8 protocol;         /* transport protocol */
	__u8 fragment;         /* enum tf_fragment */
	__u8 fragment_protocol; /* what all fragments of the datagram carry in common */
	__u8 hop_limit;        /* or TTL */
	__u8 tcp_flags;
	__u8 icmp_type, icmp_code; /* ICMP and ICMPv6 */
	__u8 extended;         /* has IPv4 options or IPv6 extension headers */
	__u8 hop_by_hop;       /* the first of them is a hop-by-hop header */
};

enum tf_tcp_flags { TF_TCP_SYN = 0x02, TF_TCP_ACK = 0x10 };

TF_INLINE __u16 tf_get16(const __u8 *p)
{
	return (__u16)(p[0] << 8 | p[1]);
}

/* Loads up to want bytes of the have that are there. Returns how many; 0 also when it failed.
 * The verifier must see 1 <= n <= want on the very register that is passed on. So the bound is
 * checked once, on n - 1, in a copy that is dead after the call: a value needed later would be kept
 * on the stack, where older kernels forget what was checked (5.10 and 6.1 refused the program). */
TF_INLINE __u32 tf_load_upto(tf_ctx *ctx, __u32 offset, void *to, __u32 want, __u32 have)
{
	__u32 bytes = have < want ? have : want;
	__u64 last = (__u64)bytes - 1;

	TF_KEEP(last);
	if (last >= want)
		return 0;
	return tf_load(ctx, offset, to, (__u32)(last + 1)) ? 0 : bytes;
}

/* Padding to the least size of an Ethernet frame is all that may stand behind a packet's end. */
TF_INLINE _Bool tf_has_trailer(__u32 bytes, __u32 have)
{
	return have > bytes && have > TF_MIN_ETH_PAYLOAD;
}

/* RFC 826 for Ethernet and IPv4. */
TF_INLINE enum tf_parse tf_parse_arp(const __u8 *arp, __u32 have)
{
	if (have < 28)
		return TF_PARSE_SHORT;
	if (tf_get16(arp) != 1 || tf_get16(arp + 2) != TF_ETH_IPV4 || arp[4] != 6 || arp[5] != 4 ||
	    tf_get16(arp + 6) < 1 || tf_get16(arp + 6) > 2)
		return TF_PARSE_BAD_HEADER;
	return tf_has_trailer(28, have) ? TF_PARSE_TRAILER : TF_PARSE_ARP;
}

/* IEEE 802.1X-2010, 11.3: version, type, length of the body. Never tagged (11.1). */
TF_INLINE enum tf_parse tf_parse_eapol(const __u8 *eapol, __u32 have, _Bool tagged)
{
	__u32 bytes;

	if (have < 4)
		return TF_PARSE_SHORT;
	bytes = 4 + (__u32)tf_get16(eapol + 2);
	if (bytes > have)
		return TF_PARSE_SHORT;
	if (tagged || eapol[0] < 1 || eapol[0] > 3 || eapol[1] > 8)
		return TF_PARSE_BAD_HEADER;
	return tf_has_trailer(bytes, have) ? TF_PARSE_TRAILER : TF_PARSE_EAPOL;
}

TF_INLINE enum tf_parse tf_parse_udp(const __u8 *udp, __u32 have, struct tf_packet *p)
{
	__u32 bytes = tf_get16(udp + 4);

	if (bytes < TF_UDP_HEADER)
		return TF_PARSE_BAD_HEADER;
	/* A first fragment holds less than the datagram. Otherwise the two lengths must agree:
	 * bytes between them would leave unjudged. */
	if (p->fragment == TF_FRAGMENT_NONE && bytes != p->l4_bytes)
		return TF_PARSE_BAD_HEADER;
	if (p->fragment == TF_FRAGMENT_FIRST && bytes <= p->l4_bytes)
		return TF_PARSE_BAD_HEADER;

	p->l4_bytes = bytes;
	if (have >= TF_UDP_HEADER + 4 && bytes >= TF_UDP_HEADER + 4) {
		p->payload = (__u32)udp[8] | (__u32)udp[9] << 8 | (__u32)udp[10] << 16 |
			     (__u32)udp[11] << 24;
		p->has_payload = 1;
	}
	return TF_PARSE_IP;
}

TF_INLINE enum tf_parse tf_parse_tcp(const __u8 *tcp, struct tf_packet *p)
{
	__u32 header = (__u32)(tcp[12] >> 4) * 4;

	if (header < TF_TCP_HEADER || header > p->l4_bytes)
		return TF_PARSE_BAD_HEADER;
	p->tcp_flags = tcp[13];
	return TF_PARSE_IP;
}

/* l4 holds have bytes of the transport header; p says how many there are in all. */
TF_INLINE enum tf_parse tf_parse_l4(const __u8 *l4, __u32 have, struct tf_packet *p)
{
	/* A first fragment without the whole header would let a later one bring the ports. */
	enum tf_parse too_short = p->fragment == TF_FRAGMENT_FIRST ? TF_PARSE_BAD_FRAGMENT :
								     TF_PARSE_SHORT;

	switch (p->protocol) {
	case TF_PROTO_UDP:
		if (p->l4_bytes < TF_UDP_HEADER || have < TF_UDP_HEADER)
			return too_short;
		p->sport = tf_get16(l4);
		p->dport = tf_get16(l4 + 2);
		return tf_parse_udp(l4, have, p);
	case TF_PROTO_TCP:
		if (p->l4_bytes < TF_TCP_HEADER || have < TF_L4_BYTES)
			return too_short;
		p->sport = tf_get16(l4);
		p->dport = tf_get16(l4 + 2);
		return tf_parse_tcp(l4, p);
	case TF_PROTO_ICMP:
	case TF_PROTO_ICMPV6:
		if (p->l4_bytes < 8 || have < 2)
			return too_short;
		p->icmp_type = l4[0];
		p->icmp_code = l4[1];
		return TF_PARSE_IP;
	default:
		return TF_PARSE_IP;
	}
}

/*
 * What a walk over options or extension headers found, packed into a scalar because that is what a
 * function the verifier checks on its own may return. Offsets count from the IP header.
 */
struct tf_walk {
	union {
		__u64 packed;
		struct {
			__u16 l4;          /* where the transport header begins */
			__u16 fragment_at; /* IPv6: where the fragment header lies; 0: there is none */
			__u8 parse;        /* enum tf_parse */
			__u8 protocol;     /* of the transport header; of a later fragment, what all share */
			__u8 fragment_protocol;
			__u8 fragment : 2, /* enum tf_fragment */
				hop_by_hop : 1;
		};
	};
};

_Static_assert(sizeof(struct tf_walk) == 8, "a scalar");

TF_INLINE __u64 tf_walk_failed(enum tf_parse parse)
{
	struct tf_walk walk = { .parse = (__u8)parse };

	return walk.packed;
}

/* TCP at offset 8 would overwrite the flags that were judged (RFC 1858, 4.2). */
TF_INLINE _Bool tf_is_bad_offset(__u8 protocol, __u32 fragment_offset)
{
	return protocol == TF_PROTO_TCP && fragment_offset == 1;
}

/* IPv4 options (RFC 791): only those that choose a route matter. */
TF_INLINE enum tf_parse tf_parse_ipv4_options(tf_ctx *ctx, __u32 at, __u32 end)
{
	__u8 option[2] = {};
	int i;

	for (i = 0; i < TF_MAX_IPV4_OPTIONS; i++) {
		if (at >= end)
			return TF_PARSE_IP;
		if (tf_load(ctx, at, option, 1))
			return TF_PARSE_SHORT;
		if (option[0] == 0) /* end of options */
			return TF_PARSE_IP;
		if (option[0] == 1) { /* no operation: the only other one without a length */
			at++;
			continue;
		}
		if (option[0] == 131 || option[0] == 137) /* loose, strict source route */
			return TF_PARSE_SOURCE_ROUTE;
		if (at + 2 > end || tf_load(ctx, at, option, 2))
			return TF_PARSE_BAD_HEADER;
		if (option[1] < 2 || at + option[1] > end)
			return TF_PARSE_BAD_HEADER;
		at += option[1];
	}
	return at >= end ? TF_PARSE_IP : TF_PARSE_BAD_HEADER;
}

/* An IPv4 header of header bytes at offset in the frame; flags is its flags and fragment offset
 * field. Returns a struct tf_walk. */
TF_GLOBAL __u64 tf_walk_ipv4(tf_ctx *ctx, __u32 offset, __u32 header, __u32 flags, __u32 protocol)
{
	struct tf_walk walk = {
		.l4 = (__u16)header,
		.parse = TF_PARSE_IP,
		.protocol = (__u8)protocol,
		.fragment_protocol = (__u8)protocol,
	};
	enum tf_parse options;

	options = tf_parse_ipv4_options(ctx, offset + TF_IPV4_HEADER, offset + header);
	if (options != TF_PARSE_IP)
		return tf_walk_failed(options);
	if (tf_is_bad_offset((__u8)protocol, flags & 0x1fff))
		return tf_walk_failed(TF_PARSE_BAD_FRAGMENT);
	if (flags & 0x1fff)
		walk.fragment = TF_FRAGMENT_LATER;
	else if (flags & 0x2000) /* more fragments */
		walk.fragment = TF_FRAGMENT_FIRST;
	return walk.packed;
}

/* Headers that say "another header follows". Those we cannot follow are not among them. */
TF_INLINE _Bool tf_is_extension(__u8 next)
{
	return next == TF_PROTO_HOPOPTS || next == TF_PROTO_ROUTING || next == TF_PROTO_FRAGMENT ||
	       next == TF_PROTO_AH || next == TF_PROTO_DSTOPTS;
}

TF_INLINE _Bool tf_is_unknown_extension(__u8 next)
{
	return next == TF_PROTO_MOBILITY || next == TF_PROTO_HIP || next == TF_PROTO_SHIM6 ||
	       next == TF_PROTO_EXPERIMENT1 || next == TF_PROTO_EXPERIMENT2;
}

/* Length in bytes of the extension header of type next, whose first bytes are ext. The type is the
 * current header's own, never that of the one it announces. */
TF_INLINE __u32 tf_extension_bytes(__u8 next, const __u8 *ext)
{
	if (next == TF_PROTO_FRAGMENT)
		return TF_EXT_UNIT; /* RFC 8200, 4.5: fixed; its second byte is reserved */
	if (next == TF_PROTO_AH)
		return ((__u32)ext[1] + 2) * 4; /* RFC 4302, 2.2: in 4-byte units, less 2 */
	return ((__u32)ext[1] + 1) * TF_EXT_UNIT;
}

/* RFC 8200, 4.5. Returns whether the walk ends here: a later fragment, or an error. */
TF_INLINE _Bool tf_walk_fragment(const __u8 *ext, struct tf_walk *walk)
{
	__u32 field = tf_get16(ext + 2);

	if (walk->fragment_at) {
		walk->parse = TF_PARSE_EXT_CHAIN;
		return 1;
	}
	walk->fragment_at = walk->l4;
	walk->fragment_protocol = ext[0];
	walk->protocol = ext[0];
	if (tf_is_bad_offset(ext[0], field >> 3)) {
		walk->parse = TF_PARSE_BAD_FRAGMENT;
		return 1;
	}
	if (field >> 3) {
		walk->l4 += TF_EXT_UNIT;
		walk->fragment = TF_FRAGMENT_LATER;
		walk->parse = TF_PARSE_IP;
		return 1;
	}
	if (field & 1) /* else an atomic fragment, RFC 6946: the whole packet */
		walk->fragment = TF_FRAGMENT_FIRST;
	return 0;
}

_Static_assert(TF_IPV6_HEADER + TF_MAX_EXT * 256 * TF_EXT_UNIT < 1 << 16, "struct tf_walk's l4");

/* One extension header of a walk that has come to l4, where protocol begins. What else the walk says
 * at its end is known when parse is, and the walk goes on until then. By itself, or the verifier would
 * follow each kind of header through each that may come behind it. */
TF_GLOBAL __u64 tf_walk_extension(tf_ctx *ctx, __u32 offset, __u32 bytes, __u64 packed)
{
	struct tf_walk walk = { .packed = packed };
	__u8 next = walk.protocol, ext[TF_EXT_UNIT] = {};

	if (next == TF_PROTO_ROUTING)
		return tf_walk_failed(TF_PARSE_SOURCE_ROUTE);
	/* Between fragment and transport header, a later fragment could overlap the latter. */
	if (walk.fragment)
		return tf_walk_failed(TF_PARSE_BAD_FRAGMENT);
	/* RFC 8200, 4.1: only directly behind the IPv6 header */
	if (next == TF_PROTO_HOPOPTS && walk.l4 != TF_IPV6_HEADER)
		return tf_walk_failed(TF_PARSE_EXT_CHAIN);
	if ((__u32)walk.l4 + TF_EXT_UNIT > bytes ||
	    tf_load(ctx, offset + walk.l4, ext, sizeof(ext)))
		return tf_walk_failed(TF_PARSE_SHORT);
	if (next == TF_PROTO_FRAGMENT && tf_walk_fragment(ext, &walk))
		return walk.packed;
	walk.l4 += (__u16)tf_extension_bytes(next, ext);
	walk.protocol = ext[0];
	return walk.packed;
}

/* An IPv6 packet of bytes at offset in the frame, whose fixed header announces next. Follows the
 * chain to the transport header. Returns a struct tf_walk. */
TF_GLOBAL __u64 tf_walk_ipv6(tf_ctx *ctx, __u32 offset, __u32 bytes, __u32 first)
{
	struct tf_walk walk = { .l4 = TF_IPV6_HEADER, .protocol = (__u8)first };
	int i;

	for (i = 0; i < TF_MAX_EXT && tf_is_extension(walk.protocol); i++) {
		walk.packed = tf_walk_extension(ctx, offset, bytes, walk.packed);
		if (walk.parse != TF_PARSE_NONE)
			return walk.packed;
	}
	if (tf_is_extension(walk.protocol) || tf_is_unknown_extension(walk.protocol))
		return tf_walk_failed(TF_PARSE_EXT_CHAIN);
	if (walk.l4 > bytes)
		return tf_walk_failed(walk.fragment ? TF_PARSE_BAD_FRAGMENT : TF_PARSE_SHORT);
	walk.parse = TF_PARSE_IP;
	walk.hop_by_hop = first == TF_PROTO_HOPOPTS;
	return walk.packed;
}

/* What a walk found, and the transport header it led to. l3 is the IP header's offset in the frame,
 * bytes the packet's length from there. */
TF_PART __u32 tf_parse_walked(tf_ctx *ctx, __u64 packed, __u32 l3, __u32 bytes,
			      struct tf_packet *p)
{
	struct tf_walk walk = { .packed = packed };
	__u8 l4[TF_L4_BYTES] = {};
	__u32 have;

	if (walk.parse != TF_PARSE_IP)
		return walk.parse;
	if (!p)
		return TF_PARSE_NONE;
	p->extended = 1;
	p->hop_by_hop = walk.hop_by_hop;
	p->fragment = walk.fragment;
	p->protocol = walk.protocol;
	p->fragment_protocol = walk.fragment_protocol;
	if (walk.fragment_at && tf_load(ctx, l3 + walk.fragment_at + 4, &p->fragment_id, 4))
		return TF_PARSE_SHORT;
	p->l4_offset = l3 + walk.l4;
	if (p->fragment == TF_FRAGMENT_LATER)
		return TF_PARSE_IP;
	if (walk.l4 > bytes)
		return TF_PARSE_SHORT;
	p->l4_bytes = bytes - walk.l4;
	have = tf_load_upto(ctx, p->l4_offset, l4, sizeof(l4), p->l4_bytes);
	return tf_parse_l4(l4, have, p);
}

/* The transport header where it usually is, directly behind an IP header of header bytes at ip. */
TF_INLINE enum tf_parse tf_parse_usual(const __u8 *ip, __u32 have, __u32 header, __u32 l3,
				       __u32 bytes, struct tf_packet *p)
{
	p->l4_offset = l3 + header;
	p->l4_bytes = bytes - header;
	return tf_parse_l4(ip + header, (have < bytes ? have : bytes) - header, p);
}

/* ip: the network header and what follows it, have bytes; it lies at offset l3 in the frame, of
 * which left bytes remain from there. */
TF_INLINE enum tf_parse tf_parse_ipv4(tf_ctx *ctx, const __u8 *ip, __u32 have, __u32 l3, __u32 left,
				      _Bool gso, struct tf_packet *p)
{
	__u32 header = (__u32)(ip[0] & 0x0f) * 4, bytes = tf_get16(ip + 2), flags = tf_get16(ip + 6);

	if (have < TF_IPV4_HEADER)
		return TF_PARSE_SHORT;
	if (bytes == 0 && gso) /* BIG TCP: longer than the field can say */
		bytes = left;
	if (header < TF_IPV4_HEADER || bytes < header)
		return TF_PARSE_BAD_HEADER;
	if (bytes > left)
		return TF_PARSE_SHORT;
	if (tf_has_trailer(bytes, left))
		return TF_PARSE_TRAILER;

	tf_addr_set_v4(&p->src, ip + 12);
	tf_addr_set_v4(&p->dst, ip + 16);
	p->hop_limit = ip[8];
	p->fragment_id = tf_htonl(tf_get16(ip + 4));

	/* Options, more fragments, or a fragment offset. */
	if (header > TF_IPV4_HEADER || flags & 0x3fff)
		return (enum tf_parse)tf_parse_walked(
			ctx, tf_walk_ipv4(ctx, l3, header, flags, ip[9]), l3, bytes, p);
	p->protocol = ip[9];
	return tf_parse_usual(ip, have, TF_IPV4_HEADER, l3, bytes, p);
}

TF_INLINE enum tf_parse tf_parse_ipv6(tf_ctx *ctx, const __u8 *ip, __u32 have, __u32 l3, __u32 left,
				      _Bool gso, struct tf_packet *p)
{
	__u32 bytes = TF_IPV6_HEADER + (__u32)tf_get16(ip + 4);

	if (have < TF_IPV6_HEADER)
		return TF_PARSE_SHORT;
	if (bytes == TF_IPV6_HEADER && gso) /* BIG TCP: a jumbogram, RFC 2675 */
		bytes = left;
	if (bytes > left)
		return TF_PARSE_SHORT;
	if (tf_has_trailer(bytes, left))
		return TF_PARSE_TRAILER;

	__builtin_memcpy(&p->src, ip + 8, 16);
	__builtin_memcpy(&p->dst, ip + 24, 16);
	/* Never on a wire (RFC 4291, 2.5.5.2); here they would match the rules for IPv4. */
	if (tf_addr_is_v4(&p->src) || tf_addr_is_v4(&p->dst))
		return TF_PARSE_BAD_HEADER;
	p->hop_limit = ip[7];

	if (tf_is_extension(ip[6]) || tf_is_unknown_extension(ip[6]))
		return (enum tf_parse)tf_parse_walked(ctx, tf_walk_ipv6(ctx, l3, bytes, ip[6]), l3,
						      bytes, p);
	p->protocol = ip[6];
	return tf_parse_usual(ip, have, TF_IPV6_HEADER, l3, bytes, p);
}

TF_INLINE _Bool tf_is_vlan(__u16 ethertype)
{
	return ethertype == TF_ETH_8021Q || ethertype == TF_ETH_8021AD || ethertype == TF_ETH_QINQ1;
}

/* Looks through VLAN tags. *l3 is the offset behind the link header. */
TF_INLINE enum tf_parse tf_parse_tags(tf_ctx *ctx, __u32 bytes, __u16 *ethertype, __u32 *l3)
{
	__u8 tag[TF_VLAN_TAG] = {};
	int i;

	for (i = 0; i < TF_MAX_VLAN_TAGS && tf_is_vlan(*ethertype); i++) {
		if (*l3 + TF_VLAN_TAG > bytes || tf_load(ctx, *l3, tag, sizeof(tag)))
			return TF_PARSE_SHORT;
		*ethertype = tf_get16(tag + 2);
		*l3 += TF_VLAN_TAG;
	}
	return TF_PARSE_IP;
}

/*
 * The whole frame: bytes long, beginning with the given kind of link header; gso if it stands for
 * several segments. p must be zeroed. What is not TF_PARSE_IP leaves p half filled.
 */
TF_INLINE enum tf_parse tf_parse_frame(tf_ctx *ctx, enum tf_link_header link, __u32 bytes,
				       _Bool gso, struct tf_packet *p)
{
	__u64 words[TF_WINDOW / 8] = {};
	__u8 *window = (__u8 *)words;
	__u8 *l3 = window + TF_WINDOW_L3;
	__u32 offset = 0, have;
	__u16 ethertype;

	if (link == TF_LINK_ETHERNET) {
		__u8 *eth = l3 - TF_ETH_HEADER;

		offset = TF_ETH_HEADER;
		have = tf_load_upto(ctx, 0, eth, TF_ETH_HEADER + TF_L3_BYTES, bytes);
		if (have < TF_ETH_HEADER)
			return TF_PARSE_SHORT;
		have -= TF_ETH_HEADER;
		ethertype = tf_get16(eth + 12);
		if (tf_is_vlan(ethertype)) {
			if (tf_parse_tags(ctx, bytes, &ethertype, &offset) != TF_PARSE_IP)
				return TF_PARSE_SHORT;
			have = tf_load_upto(ctx, offset, l3, TF_L3_BYTES, bytes - offset);
		}
	} else if (link == TF_LINK_NONE) {
		have = tf_load_upto(ctx, 0, l3, TF_L3_BYTES, bytes);
		ethertype = l3[0] >> 4 == 6 ? TF_ETH_IPV6 : TF_ETH_IPV4;
	} else {
		return TF_PARSE_LINK_TYPE;
	}
	if (have == 0)
		return TF_PARSE_SHORT;

	p->l3_offset = offset;
	if (ethertype == TF_ETH_ARP)
		return tf_parse_arp(l3, bytes - offset);
	if (ethertype == TF_ETH_EAPOL)
		return tf_parse_eapol(l3, bytes - offset, offset != TF_ETH_HEADER);
	if (ethertype != TF_ETH_IPV4 && ethertype != TF_ETH_IPV6)
		return TF_PARSE_ETHERTYPE;
	if (l3[0] >> 4 != (ethertype == TF_ETH_IPV4 ? 4 : 6))
		return TF_PARSE_BAD_VERSION;
	if (ethertype == TF_ETH_IPV4)
		return tf_parse_ipv4(ctx, l3, have, offset, bytes - offset, gso, p);
	return tf_parse_ipv6(ctx, l3, have, offset, bytes - offset, gso, p);
}

#endif
