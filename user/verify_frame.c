// SPDX-License-Identifier: GPL-2.0
/*
 * Packets and frames by hand, and a loose reading of what the judge saw: see verify.h. Pure: no
 * sockets. Written without a look at the fence's own parser, as a judge must be.
 */
#define _GNU_SOURCE /* memmem */

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <stdlib.h>
#include <string.h>

#include "addr.h"
#include "bytes.h"
#include "verify.h"

enum {
	ETHERNET = 14,
	IP4_HEADER = 20,
	IP6_HEADER = 40,
	UDP_HEADER = 8,
	TCP_HEADER = 20,
	HOPS = 64,
	TCP_WINDOW = 8192,
	IP4_OFFSET = 0x1fff, /* the bits of a fragment's offset */
};

/* An IPv4 header; what follows is length bytes long. Returns the pseudo header's sum. */
static __u32 ip4_header(__u8 *to, const char *src, const char *dst, __u8 protocol, size_t length)
{
	memset(to, 0, IP4_HEADER);
	to[0] = 0x45;
	put16(to + 2, (unsigned int)(IP4_HEADER + length));
	to[8] = HOPS;
	to[9] = protocol;
	inet_pton(AF_INET, src, to + 12);
	inet_pton(AF_INET, dst, to + 16);
	put16(to + 10, fold16(sum16(to, IP4_HEADER, 0)));
	return sum16(to + 12, 8, (__u32)(protocol + length));
}

static __u32 ip6_header(__u8 *to, const char *src, const char *dst, __u8 protocol, size_t length)
{
	memset(to, 0, IP6_HEADER);
	to[0] = 0x60;
	put16(to + 4, (unsigned int)length);
	to[6] = protocol;
	to[7] = HOPS;
	inet_pton(AF_INET6, src, to + 8);
	inet_pton(AF_INET6, dst, to + 24);
	return sum16(to + 8, 32, (__u32)(protocol + length));
}

static void udp_header(__u8 *to, __u32 pseudo, __u16 sport, __u16 dport, const void *payload,
		       size_t bytes)
{
	unsigned int check;

	put16(to, sport);
	put16(to + 2, dport);
	put16(to + 4, (unsigned int)(UDP_HEADER + bytes));
	put16(to + 6, 0);
	if (bytes)
		memcpy(to + UDP_HEADER, payload, bytes);
	check = fold16(sum16(to, UDP_HEADER + bytes, pseudo));
	put16(to + 6, check ? check : 0xffff); /* zero says: no checksum */
}

size_t verify_udp4(__u8 *to, const char *src, const char *dst, __u16 sport, __u16 dport,
		   const void *payload, size_t bytes)
{
	__u32 pseudo = ip4_header(to, src, dst, IPPROTO_UDP, UDP_HEADER + bytes);

	udp_header(to + IP4_HEADER, pseudo, sport, dport, payload, bytes);
	return IP4_HEADER + UDP_HEADER + bytes;
}

size_t verify_udp6(__u8 *to, const char *src, const char *dst, __u16 sport, __u16 dport,
		   const void *payload, size_t bytes)
{
	__u32 pseudo = ip6_header(to, src, dst, IPPROTO_UDP, UDP_HEADER + bytes);

	udp_header(to + IP6_HEADER, pseudo, sport, dport, payload, bytes);
	return IP6_HEADER + UDP_HEADER + bytes;
}

size_t verify_tcp4(__u8 *to, const char *src, const char *dst, __u16 sport, __u16 dport, __u8 flags,
		   __u32 seq, __u32 ack, const void *payload, size_t bytes)
{
	__u32 pseudo = ip4_header(to, src, dst, IPPROTO_TCP, TCP_HEADER + bytes);
	__u8 *tcp = to + IP4_HEADER;

	memset(tcp, 0, TCP_HEADER);
	put16(tcp, sport);
	put16(tcp + 2, dport);
	put32(tcp + 4, seq);
	put32(tcp + 8, ack);
	tcp[12] = TCP_HEADER / 4 << 4;
	tcp[13] = flags;
	put16(tcp + 14, TCP_WINDOW);
	if (bytes)
		memcpy(tcp + TCP_HEADER, payload, bytes);
	put16(tcp + 16, fold16(sum16(tcp, TCP_HEADER + bytes, pseudo)));
	return IP4_HEADER + TCP_HEADER + bytes;
}

/* Six bytes of "02:00:00:00:77:02"; zeros for what is no MAC. */
static void put_mac(__u8 *to, const char *text)
{
	size_t i;

	memset(to, 0, ETH_ALEN);
	for (i = 0; i < ETH_ALEN; i++) {
		char *end;

		to[i] = (__u8)strtoul(text, &end, 16);
		if (*end != ':')
			return;
		text = end + 1;
	}
}

size_t verify_ethernet(__u8 *to, const char *dst, const char *src, __u16 type)
{
	put_mac(to, dst);
	put_mac(to + ETH_ALEN, src);
	put16(to + 2 * ETH_ALEN, type);
	return ETHERNET;
}

void verify_payload(const struct shot *s, __u8 *to, size_t bytes)
{
	size_t i;

	for (i = 0; i < bytes; i++)
		to[i] = i < VERIFY_TOKEN ? s->token[i] : 'x';
}

socklen_t verify_sockaddr(const char *address, __u16 port, struct sockaddr_storage *to)
{
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)to;
	struct sockaddr_in *four = (struct sockaddr_in *)to;

	memset(to, 0, sizeof(*to));
	if (inet_pton(AF_INET, address, &four->sin_addr) == 1) {
		four->sin_family = AF_INET;
		four->sin_port = htons(port);
		return sizeof(*four);
	}
	inet_pton(AF_INET6, address, &six->sin6_addr);
	six->sin6_family = AF_INET6;
	six->sin6_port = htons(port);
	return sizeof(*six);
}

/* What is behind the IP header. A later fragment has no transport header. */
static void parse_transport(const __u8 *at, size_t bytes, bool later, struct verify_frame *f)
{
	size_t header = 0;

	f->payload = at;
	f->payload_bytes = bytes;
	if (later)
		return;
	if ((f->protocol == IPPROTO_ICMP || f->protocol == IPPROTO_ICMPV6) && bytes)
		f->icmp_type = at[0];
	if (f->protocol == IPPROTO_UDP && bytes >= UDP_HEADER)
		header = UDP_HEADER;
	if (f->protocol == IPPROTO_TCP && bytes >= TCP_HEADER)
		header = (size_t)(at[12] >> 4) * 4;
	if (!header)
		return;
	f->sport = (__u16)get16(at);
	f->dport = (__u16)get16(at + 2);
	if (f->protocol == IPPROTO_TCP)
		f->tcp_flags = at[13];
	if (header < TCP_HEADER && f->protocol == IPPROTO_TCP)
		header = TCP_HEADER;
	if (header > bytes)
		header = bytes;
	f->payload = at + header;
	f->payload_bytes = bytes - header;
}

static void parse_ip4(const __u8 *at, size_t bytes, struct verify_frame *f)
{
	size_t header, length;

	if (bytes < IP4_HEADER || at[0] >> 4 != 4)
		return;
	header = (size_t)(at[0] & 15) * 4;
	length = get16(at + 2);
	if (length > bytes || length < IP4_HEADER) /* GSO's length may be anything: take what came */
		length = bytes;
	f->protocol = at[9];
	tf_addr_set_v4(&f->src, at + 12);
	tf_addr_set_v4(&f->dst, at + 16);
	if (header >= IP4_HEADER && header <= length)
		parse_transport(at + header, length - header, get16(at + 6) & IP4_OFFSET, f);
}

static void parse_ip6(const __u8 *at, size_t bytes, struct verify_frame *f)
{
	size_t length;

	if (bytes < IP6_HEADER || at[0] >> 4 != 6)
		return;
	length = get16(at + 4);
	if (!length || length > bytes - IP6_HEADER)
		length = bytes - IP6_HEADER;
	f->protocol = at[6];
	memcpy(f->src.byte, at + 8, sizeof(f->src.byte));
	memcpy(f->dst.byte, at + 24, sizeof(f->dst.byte));
	parse_transport(at + IP6_HEADER, length, false, f);
}

bool verify_parse(const __u8 *frame, size_t bytes, struct verify_frame *to)
{
	struct verify_frame f = {};
	size_t at = ETHERNET;

	if (bytes < ETHERNET)
		return false;
	f.type = (__u16)get16(frame + 2 * ETH_ALEN);
	while ((f.type == ETH_P_8021Q || f.type == ETH_P_8021AD) && at + 4 <= bytes) {
		f.type = (__u16)get16(frame + at + 2);
		at += 4;
	}
	f.payload = frame + at;
	f.payload_bytes = bytes - at;
	if (f.type == ETH_P_IP)
		parse_ip4(frame + at, bytes - at, &f);
	else if (f.type == ETH_P_IPV6)
		parse_ip6(frame + at, bytes - at, &f);
	*to = f;
	return true;
}

bool verify_has(const __u8 *frame, size_t bytes, const void *what, size_t what_bytes)
{
	return memmem(frame, bytes, what, what_bytes) != NULL;
}

bool verify_is_addr(const struct tf_addr *addr, const char *text)
{
	struct tf_addr other;

	return addr_parse(text, &other, NULL) == 0 && memcmp(addr, &other, sizeof(other)) == 0;
}
