// SPDX-License-Identifier: GPL-2.0
/* Packets and the policy that they are judged by: see frames.h. Checksums nobody looks at are 0. */
#include "frames.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "util.h"
#include "vectors/scene.h"

enum {
	ETHERNET = 14,
	IP4 = 20,
	IP6 = 40,
	UDP = 8,
	WG_PORT = 51820,
	SERVICE_PORT = 7000, /* of every rule */
	SOME_PORT = 40000,
	ARP_BYTES = 28,
	BOOTP_BYTES = 300 - IP4 - UDP,
};

const struct frame_row frames[FRAME_KINDS] = {
#define X(NAME, name_, device_, leaves_, arrives_)                                                 \
	[FRAME_##NAME] = { .name = name_, .device = device_, .leaves = TF_REASON_##leaves_,        \
			   .arrives = TF_REASON_##arrives_ },
	FRAMES(X)
#undef X
};

static const __u32 own = 0x0a000002;      /* eth0's 10.0.0.2 */
static const __u32 endpoint = 0xcb007107; /* 203.0.113.7 */
static const __u32 nobody = 0xc6336401;   /* 198.51.100.1 */
static const __u32 on_lan = 0xc0a80109;   /* 192.168.1.9 */
static const __u32 own_on_lan = 0xc0a80102;
static const __u32 first_rule = 0x64400000; /* 100.64.0.0, and so many above it */

static void put16(__u8 *to, __u32 value)
{
	to[0] = (__u8)(value >> 8);
	to[1] = (__u8)value;
}

static void put32(__u8 *to, __u32 value)
{
	put16(to, value >> 16);
	put16(to + 2, value);
}

static __u8 *put_ethernet(__u8 *to, __u32 type)
{
	memcpy(to, scene_mac, 6);
	memcpy(to + 6, scene_mac, 6);
	put16(to + 12, type);
	return to + ETHERNET;
}

/* Returns where its payload belongs. */
static __u8 *put_ip4(__u8 *to, __u8 protocol, __u32 source, __u32 destination, __u32 bytes)
{
	to[0] = 0x45;
	put16(to + 2, IP4 + bytes);
	to[8] = 64;
	to[9] = protocol;
	put32(to + 12, source);
	put32(to + 16, destination);
	return to + IP4;
}

/* A packet with ports, as it leaves; or from there, as it arrives. */
struct flow {
	__u32 here, there;
	__u16 port, their_port;
	__u8 protocol;
	bool arrives;
};

static __u32 put_flow(__u8 *to, const struct flow *f)
{
	const __u32 bytes = f->protocol == TF_PROTO_TCP ? 20 : UDP + 32;
	__u8 *l4 = put_ip4(put_ethernet(to, TF_ETH_IPV4), f->protocol,
			   f->arrives ? f->there : f->here, f->arrives ? f->here : f->there, bytes);

	put16(l4, f->arrives ? f->their_port : f->port);
	put16(l4 + 2, f->arrives ? f->port : f->their_port);
	if (f->protocol == TF_PROTO_TCP) {
		l4[12] = 5 << 4;
		l4[13] = TF_TCP_ACK;
	} else {
		put16(l4 + 4, bytes);
		l4[UDP] = 4; /* WireGuard's data */
	}
	return ETHERNET + IP4 + bytes;
}

static __u32 put_arp(__u8 *to, bool arrives)
{
	__u8 *arp = put_ethernet(to, TF_ETH_ARP);

	put16(arp, 1);
	put16(arp + 2, TF_ETH_IPV4);
	arp[4] = 6;
	arp[5] = 4;
	put16(arp + 6, arrives ? 2 : 1);
	memcpy(arp + 8, scene_mac, 6);
	arp[8] = arrives ? 0x06 : scene_mac[0]; /* another's */
	put32(arp + 14, arrives ? 0x0a000001 : own);
	put32(arp + 24, arrives ? own : 0x0a000001);
	return ETHERNET + ARP_BYTES;
}

/* fe80::2 asks for fe80::1. */
static __u32 put_neighbour(__u8 *to)
{
	__u8 *ip = put_ethernet(to, TF_ETH_IPV6), *icmp = ip + IP6;

	ip[0] = 0x60;
	put16(ip + 4, 24);
	ip[6] = TF_PROTO_ICMPV6;
	ip[7] = 255;
	put16(ip + 8, 0xfe80);
	ip[23] = 2;
	put16(ip + 24, 0xff02);
	ip[24 + 11] = 1;
	ip[24 + 12] = 0xff;
	ip[24 + 15] = 1;
	icmp[0] = 135;
	put16(icmp + 8, 0xfe80);
	icmp[8 + 15] = 1;
	return ETHERNET + IP6 + 24;
}

static __u32 put_dhcp(__u8 *to)
{
	const __u32 bytes = UDP + BOOTP_BYTES;
	__u8 *udp = put_ip4(put_ethernet(to, TF_ETH_IPV4), TF_PROTO_UDP, 0, 0xffffffff, bytes);

	put16(udp, 68);
	put16(udp + 2, 67);
	put16(udp + 4, bytes);
	udp[UDP] = 1;
	put32(udp + UDP + 236, 0x63825363);
	return ETHERNET + IP4 + bytes;
}

/* Of the rules, one here and one there. */
static __u32 rule_of(__u32 i, __u32 rules)
{
	return first_rule + (__u32)((__u64)i * rules / FRAME_COUNT);
}

__u32 frame_make(enum frame kind, __u32 i, __u32 rules, bool arrives, __u8 to[FRAME_BYTES])
{
	struct flow flow = { .here = own, .there = nobody, .port = (__u16)(SOME_PORT + i),
			     .their_port = 9, .protocol = TF_PROTO_UDP, .arrives = arrives };

	memset(to, 0, FRAME_BYTES);
	switch (kind) {
	case FRAME_ARP:
		return put_arp(to, arrives);
	case FRAME_NEIGHBOUR:
		return put_neighbour(to);
	case FRAME_DHCP:
		return put_dhcp(to);
	case FRAME_ENDPOINT:
		flow.there = endpoint;
		flow.their_port = WG_PORT;
		break;
	case FRAME_LAN:
		flow.here = own_on_lan;
		flow.there = on_lan;
		break;
	case FRAME_INBOUND:
		flow.port = 22;
		flow.protocol = TF_PROTO_TCP;
		break;
	case FRAME_RULE:
		flow.there = rule_of(i, rules);
		flow.their_port = SERVICE_PORT;
		break;
	case FRAME_LOOKUP:
		flow.their_port = 53;
		break;
	case FRAME_LOOPBACK:
	case FRAME_TUNNEL:
	case FRAME_INSIDE:
	case FRAME_OTHER:
	case FRAME_KINDS:
		break;
	}
	return put_flow(to, &flow);
}

int bench_config(const char *path, __u32 rules)
{
	_cleanup_fclose_ FILE *file = fopen(path, "we");
	__u32 i;

	if (!file)
		return -errno;
	fputs("[Tunnel]\nInterface=wg0\nKind=" SCENE_KIND "\nEndpoint=203.0.113.7:51820\n", file);
	if (rules)
		fputs("[Allow]\nDHCP=yes\nLAN=yes\nInboundTCP=22\nInside=lan0 br-*\n", file);
	for (i = 0; i < rules; i++) {
		__u32 addr = first_rule + i;

		fprintf(file, "Destination=udp %u.%u.%u.%u port %u\n", addr >> 24, addr >> 16 & 255,
			addr >> 8 & 255, addr & 255, SERVICE_PORT);
	}
	return ferror(file) || fflush(file) ? -EIO : 0;
}
