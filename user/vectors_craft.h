/* SPDX-License-Identifier: GPL-2.0 */
/* Packets of any protocol by hand, v4 and v6 alike, for vectors: headers and right checksums. */
#ifndef TUNFENCE_VECTORS_CRAFT_H
#define TUNFENCE_VECTORS_CRAFT_H

#include <stdbool.h>
#include <stddef.h>

#include <tunfence/types.h>

enum craft_sizes {
	CRAFT_MAX = 4096, /* a frame, with room for the bulky ones */
	CRAFT_TCP_HEADER = 20,
	CRAFT_UDP_HEADER = 8,
	CRAFT_ARP = 28,
};

struct craft_ip {
	const char *src, *dst; /* both of one family, which is the packet's */
	__u8 protocol;
	__u8 hops;             /* 0: 64 */
	__u16 id;              /* v4 */
	__u16 fragment;        /* v4: flags and offset */
};

/* An IP header and the payload behind it, whose checksum (TCP, UDP, ICMP, ICMPv6, IGMP) is filled
 * in unless it is a fragment's. Returns the length. */
size_t craft_ip(__u8 *to, const struct craft_ip *ip, const void *payload, size_t bytes);

/* Transport headers without checksum. Return the length. */
size_t craft_tcp(__u8 *to, __u16 sport, __u16 dport, __u8 flags, __u32 seq, __u32 ack);
size_t craft_udp(__u8 *to, __u16 sport, __u16 dport, size_t payload_bytes);

/* An ARP body, CRAFT_ARP bytes: for Ethernet and IPv4. */
size_t craft_arp(__u8 *to, __u8 operation, const char *sender_mac, const char *sender,
		 const char *target);

bool craft_is_ip6(const char *address);

#endif
