// SPDX-License-Identifier: GPL-2.0
/*
 * Packets by hand for vectors: see vectors_craft.h. Pure: no sockets. Shares nothing with the
 * fence's own parser, whose mistakes it is there to find.
 */
#include "vectors_craft.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <string.h>

#include "bytes.h"
#include "verify.h"

enum {
	IP4_HEADER = 20,
	IP6_HEADER = 40,
	HOPS = 64,
	WINDOW = 8192,
};

bool craft_is_ip6(const char *address)
{
	return strchr(address, ':') != NULL;
}

/* Both return the pseudo header's part of a checksum. */
static __u32 put_ip4(__u8 *to, const struct craft_ip *ip, size_t bytes)
{
	memset(to, 0, IP4_HEADER);
	to[0] = 0x45;
	put16(to + 2, (unsigned int)(IP4_HEADER + bytes));
	put16(to + 4, ip->id);
	put16(to + 6, ip->fragment);
	to[8] = ip->hops ? ip->hops : HOPS;
	to[9] = ip->protocol;
	inet_pton(AF_INET, ip->src, to + 12);
	inet_pton(AF_INET, ip->dst, to + 16);
	put16(to + 10, fold16(sum16(to, IP4_HEADER, 0)));
	return sum16(to + 12, 8, (__u32)(ip->protocol + bytes));
}

static __u32 put_ip6(__u8 *to, const struct craft_ip *ip, size_t bytes)
{
	memset(to, 0, IP6_HEADER);
	to[0] = 0x60;
	put16(to + 4, (unsigned int)bytes);
	to[6] = ip->protocol;
	to[7] = ip->hops ? ip->hops : HOPS;
	inet_pton(AF_INET6, ip->src, to + 8);
	inet_pton(AF_INET6, ip->dst, to + 24);
	return sum16(to + 8, 32, (__u32)(ip->protocol + bytes));
}

/* Where a transport header has its checksum; 0: nowhere. */
static size_t checksum_at(__u8 protocol)
{
	switch (protocol) {
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
	case IPPROTO_IGMP:
		return 2;
	case IPPROTO_TCP:
		return 16;
	case IPPROTO_UDP:
		return 6;
	default:
		return 0;
	}
}

size_t craft_ip(__u8 *to, const struct craft_ip *ip, const void *payload, size_t bytes)
{
	bool six = craft_is_ip6(ip->src);
	size_t header = six ? IP6_HEADER : IP4_HEADER, at = checksum_at(ip->protocol);
	__u32 pseudo = six ? put_ip6(to, ip, bytes) : put_ip4(to, ip, bytes);
	__u8 *transport = to + header;

	memcpy(transport, payload, bytes);
	if (!at || at + 2 > bytes || ip->fragment)
		return header + bytes;
	if (ip->protocol == IPPROTO_ICMP || ip->protocol == IPPROTO_IGMP)
		pseudo = 0;
	put16(transport + at, 0);
	put16(transport + at, fold16(sum16(transport, bytes, pseudo)));
	return header + bytes;
}

size_t craft_tcp(__u8 *to, __u16 sport, __u16 dport, __u8 flags, __u32 seq, __u32 ack)
{
	memset(to, 0, CRAFT_TCP_HEADER);
	put16(to, sport);
	put16(to + 2, dport);
	put32(to + 4, seq);
	put32(to + 8, ack);
	to[12] = CRAFT_TCP_HEADER / 4 << 4;
	to[13] = flags;
	put16(to + 14, WINDOW);
	return CRAFT_TCP_HEADER;
}

size_t craft_udp(__u8 *to, __u16 sport, __u16 dport, size_t payload_bytes)
{
	put16(to, sport);
	put16(to + 2, dport);
	put16(to + 4, (unsigned int)(CRAFT_UDP_HEADER + payload_bytes));
	put16(to + 6, 0);
	return CRAFT_UDP_HEADER;
}

size_t craft_arp(__u8 *to, __u8 operation, const char *sender_mac, const char *sender,
		 const char *target)
{
	__u8 ethernet[ETH_HLEN];

	memset(to, 0, CRAFT_ARP);
	put16(to, 1);
	put16(to + 2, ETH_P_IP);
	to[4] = ETH_ALEN;
	to[5] = sizeof(struct in_addr);
	to[7] = operation;
	verify_ethernet(ethernet, sender_mac, sender_mac, 0);
	memcpy(to + 8, ethernet, ETH_ALEN);
	inet_pton(AF_INET, sender, to + 14);
	inet_pton(AF_INET, target, to + 24);
	return CRAFT_ARP;
}
