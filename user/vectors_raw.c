// SPDX-License-Identifier: GPL-2.0
/*
 * verify's vectors: ping and raw sockets (CAP_NET_RAW), whole IP headers by hand, and what parsers
 * stumble over: options, extension headers, fragments alone. A row of WAYS is a vector. Never
 * judges, never prints.
 */
#include <errno.h>
#include <netinet/in.h>

#include "bytes.h"
#include "util.h"
#include "vectors_send.h"
#include "verify.h"

#define STRANGER4 "192.0.2.77"
#define STRANGER6 "2001:db8:dead::77"

enum {
	PAYLOAD_BYTES = 64,
	PACKET_BYTES = 512,
	IP4_HEADER = 20,
	IP6_HEADER = 40,
	ECHO_HEADER = 8,
	ECHO4 = 8,
	ECHO6 = 128,
	WIREGUARD_DATA = 4,
	WIREGUARD_HEADER = 16,
	TCP_SYN_FLAG = 0x02,
	FRAGMENT_LATER = 100,     /* in units of 8 bytes */
	FRAGMENT_MORE4 = 0x2000,
	FRAGMENT_MORE6 = 1,
	EXTENSIONS = 10,          /* more than any honest packet has */
	UNKNOWN_EXTENSION = 140,  /* shim6 */
};

struct way {
	const char *name;
	const char *to;
	int (*set)(int fd);
	size_t (*build)(const struct shot *s, __u8 *to); /* NULL: the payload alone */
	unsigned int flags;
	int type;     /* 0: SOCK_RAW */
	int protocol;
	bool steer;   /* asks for the uplink while the tunnel is up */
};

/* ---- behind a header that the kernel writes ---- */

static size_t build_payload(const struct shot *s, __u8 *to)
{
	verify_payload(s, to, PAYLOAD_BYTES);
	return PAYLOAD_BYTES;
}

static size_t build_echo4(const struct shot *s, __u8 *to)
{
	__u32 sum = 0;

	memset(to, 0, ECHO_HEADER);
	to[0] = ECHO4;
	put16(to + 6, 1);
	verify_payload(s, to + ECHO_HEADER, PAYLOAD_BYTES);
	for (size_t i = 0; i < ECHO_HEADER + PAYLOAD_BYTES; i += 2)
		sum += get16(to + i);
	sum = (sum & 0xffff) + (sum >> 16);
	put16(to + 2, ~(sum + (sum >> 16)));
	return ECHO_HEADER + PAYLOAD_BYTES;
}

/* The kernel writes ICMPv6's checksum. */
static size_t build_echo6(const struct shot *s, __u8 *to)
{
	memset(to, 0, ECHO_HEADER);
	to[0] = ECHO6;
	put16(to + 6, 1);
	verify_payload(s, to + ECHO_HEADER, PAYLOAD_BYTES);
	return ECHO_HEADER + PAYLOAD_BYTES;
}

static size_t udp4_from(const struct shot *s, __u8 *to, const char *source)
{
	__u8 payload[PAYLOAD_BYTES];

	verify_payload(s, payload, sizeof(payload));
	return verify_udp4(to, source, VERIFY_WEB4, s->port, s->port, payload, sizeof(payload));
}

static size_t udp6_from(const struct shot *s, __u8 *to, const char *source)
{
	__u8 payload[PAYLOAD_BYTES];

	verify_payload(s, payload, sizeof(payload));
	return verify_udp6(to, source, VERIFY_WEB6, s->port, s->port, payload, sizeof(payload));
}

static size_t build_inner4(const struct shot *s, __u8 *to)
{
	return udp4_from(s, to, VERIFY_CLIENT4);
}

static size_t build_inner6(const struct shot *s, __u8 *to)
{
	return udp6_from(s, to, VERIFY_CLIENT6);
}

static size_t without_header(__u8 *packet, size_t bytes, size_t header)
{
	memmove(packet, packet + header, bytes - header);
	return bytes - header;
}

static size_t build_udp4(const struct shot *s, __u8 *to)
{
	return without_header(to, build_inner4(s, to), IP4_HEADER);
}

static size_t build_udp6(const struct shot *s, __u8 *to)
{
	return without_header(to, build_inner6(s, to), IP6_HEADER);
}

static size_t build_syn(const struct shot *s, __u8 *to)
{
	__u8 payload[PAYLOAD_BYTES];
	size_t bytes;

	verify_payload(s, payload, sizeof(payload));
	bytes = verify_tcp4(to, VERIFY_CLIENT4, VERIFY_WEB4, s->port, s->port, TCP_SYN_FLAG, 1, 0,
			    payload, sizeof(payload));
	return without_header(to, bytes, IP4_HEADER);
}

/* ---- with an IPv4 header of our own; the kernel writes its checksum and length ---- */

static size_t build_stranger4(const struct shot *s, __u8 *to)
{
	return udp4_from(s, to, STRANGER4);
}

static size_t build_from_endpoint(const struct shot *s, __u8 *to)
{
	return udp4_from(s, to, VERIFY_VPN4);
}

static size_t build_from_tunnel(const struct shot *s, __u8 *to)
{
	return udp4_from(s, to, VERIFY_TUNNEL4);
}

/* A WireGuard message, by its type and length. */
static void fill_wireguard(const struct shot *s, __u8 message[PAYLOAD_BYTES])
{
	memset(message, 0, WIREGUARD_HEADER);
	message[0] = WIREGUARD_DATA;
	verify_payload(s, message + WIREGUARD_HEADER, PAYLOAD_BYTES - WIREGUARD_HEADER);
}

/* Everything of the tunnel's outer packets but the address. */
static size_t build_endpoint_port(const struct shot *s, __u8 *to)
{
	__u8 message[PAYLOAD_BYTES];

	fill_wireguard(s, message);
	return verify_udp4(to, VERIFY_CLIENT4, VERIFY_WEB4, VERIFY_VPN_PORT, VERIFY_VPN_PORT,
			   message, sizeof(message));
}

static size_t with_options(__u8 *packet, size_t bytes, const __u8 *options, size_t more)
{
	memmove(packet + IP4_HEADER + more, packet + IP4_HEADER, bytes - IP4_HEADER);
	memcpy(packet + IP4_HEADER, options, more);
	packet[0] = (__u8)(0x40 | (IP4_HEADER + more) / 4);
	return bytes + more;
}

static size_t build_options(const struct shot *s, __u8 *to)
{
	static const __u8 nothing[] = { 1, 1, 1, 1, 1, 1, 1, 0 };

	return with_options(to, build_inner4(s, to), nothing, sizeof(nothing));
}

static size_t build_most_options(const struct shot *s, __u8 *to)
{
	static const __u8 nothing[40] = { 1, 1, 1, 1 };

	return with_options(to, build_inner4(s, to), nothing, sizeof(nothing));
}

/* A WireGuard message to the endpoint, which its options send on to the web server: loose source
 * routing, type 131, one address left. */
static size_t build_source_route(const struct shot *s, __u8 *to)
{
	static const __u8 route[] = { 131, 7, 4, 198, 51, 100, 80, 0 };
	__u8 message[PAYLOAD_BYTES];
	size_t bytes;

	fill_wireguard(s, message);
	bytes = verify_udp4(to, VERIFY_CLIENT4, VERIFY_VPN4, VERIFY_VPN_PORT, VERIFY_VPN_PORT,
			    message, sizeof(message));
	return with_options(to, bytes, route, sizeof(route));
}

static size_t build_later4(const struct shot *s, __u8 *to)
{
	size_t bytes = build_inner4(s, to);

	put16(to + 4, s->port); /* an identification that no other firing has */
	put16(to + 6, FRAGMENT_LATER);
	return bytes;
}

/* Eight bytes and more to follow, which does not: too little to hold what judges read. */
static size_t build_tiny4(const struct shot *s, __u8 *to)
{
	build_inner4(s, to);
	put16(to + 4, s->port);
	put16(to + 6, FRAGMENT_MORE4);
	memcpy(to + IP4_HEADER, s->token, sizeof(s->token));
	return IP4_HEADER + sizeof(s->token);
}

static size_t build_version0(const struct shot *s, __u8 *to)
{
	size_t bytes = build_inner4(s, to);

	to[0] = 0x05;
	return bytes;
}

/* ---- with an IPv6 header of our own ---- */

static size_t build_stranger6(const struct shot *s, __u8 *to)
{
	return udp6_from(s, to, STRANGER6);
}

/* Puts an extension header behind the IPv6 header; its first byte becomes what was there. */
static size_t with_extension(__u8 *packet, size_t bytes, __u8 type, const __u8 *header, size_t more)
{
	memmove(packet + IP6_HEADER + more, packet + IP6_HEADER, bytes - IP6_HEADER);
	memcpy(packet + IP6_HEADER, header, more);
	packet[IP6_HEADER] = packet[6];
	packet[6] = type;
	put16(packet + 4, (unsigned int)(bytes - IP6_HEADER + more));
	return bytes + more;
}

static size_t with_padding(__u8 *packet, size_t bytes, __u8 type)
{
	static const __u8 padding[] = { 0, 0, 1, 4, 0, 0, 0, 0 };

	return with_extension(packet, bytes, type, padding, sizeof(padding));
}

static size_t build_hop_by_hop(const struct shot *s, __u8 *to)
{
	return with_padding(to, build_inner6(s, to), IPPROTO_HOPOPTS);
}

static size_t build_destination_options(const struct shot *s, __u8 *to)
{
	return with_padding(to, build_inner6(s, to), IPPROTO_DSTOPTS);
}

static size_t build_unknown_extension(const struct shot *s, __u8 *to)
{
	return with_padding(to, build_inner6(s, to), UNKNOWN_EXTENSION);
}

static size_t build_many_extensions(const struct shot *s, __u8 *to)
{
	size_t bytes = build_inner6(s, to);

	for (int i = 0; i < EXTENSIONS; i++)
		bytes = with_padding(to, bytes, IPPROTO_DSTOPTS);
	return bytes;
}

/* By way of one more address, 2001:db8:113::7: type 0 is deprecated, type 4 is SRv6's. */
static size_t with_route(__u8 *packet, size_t bytes, __u8 type)
{
	const __u8 route[] = { 0, 2, type, 1, 0, 0, 0, 0,
			       0x20, 0x01, 0x0d, 0xb8, 0x01, 0x13, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7 };

	return with_extension(packet, bytes, IPPROTO_ROUTING, route, sizeof(route));
}

static size_t build_route0(const struct shot *s, __u8 *to)
{
	return with_route(to, build_inner6(s, to), 0);
}

static size_t build_route4(const struct shot *s, __u8 *to)
{
	return with_route(to, build_inner6(s, to), 4);
}

static size_t with_fragment(const struct shot *s, __u8 *packet, size_t bytes, unsigned int place)
{
	__u8 header[8] = {};

	put16(header + 2, place);
	put16(header + 6, s->port);
	return with_extension(packet, bytes, IPPROTO_FRAGMENT, header, sizeof(header));
}

static size_t build_atomic6(const struct shot *s, __u8 *to)
{
	return with_fragment(s, to, build_inner6(s, to), 0);
}

static size_t build_later6(const struct shot *s, __u8 *to)
{
	return with_fragment(s, to, build_inner6(s, to), FRAGMENT_LATER * 8);
}

static size_t build_tiny6(const struct shot *s, __u8 *to)
{
	build_inner6(s, to);
	memcpy(to + IP6_HEADER, s->token, sizeof(s->token));
	return with_fragment(s, to, IP6_HEADER + sizeof(s->token), FRAGMENT_MORE6);
}

/* Says that nothing follows, and something does. */
static size_t build_no_next(const struct shot *s, __u8 *to)
{
	size_t bytes = build_inner6(s, to);

	to[6] = IPPROTO_NONE;
	return bytes;
}

/* ---- the table ---- */

/* X(name, flags, summary, how...) */
#define WAYS(X)                                                                                    \
	X("ping", 0, "ping by an unprivileged socket", .to = VERIFY_WEB4, .type = SOCK_DGRAM,      \
	  .protocol = IPPROTO_ICMP, .build = build_echo4)                                          \
	X("ping6", 0, "ping over IPv6 by an unprivileged socket", .to = VERIFY_WEB6,               \
	  .type = SOCK_DGRAM, .protocol = IPPROTO_ICMPV6, .build = build_echo6)                    \
	X("raw-ping", 0, "ping by a raw socket", .to = VERIFY_WEB4, .protocol = IPPROTO_ICMP,      \
	  .build = build_echo4)                                                                    \
	X("raw-ping6", 0, "ping over IPv6 by a raw socket", .to = VERIFY_WEB6,                     \
	  .protocol = IPPROTO_ICMPV6, .build = build_echo6)                                        \
	X("raw-99", 0, "IP protocol 99", .to = VERIFY_WEB4, .protocol = 99)                        \
	X("raw6-99", 0, "IP protocol 99 over IPv6", .to = VERIFY_WEB6, .protocol = 99)             \
	X("raw-udp", 0, "UDP by a raw socket", .to = VERIFY_WEB4, .protocol = IPPROTO_UDP,         \
	  .build = build_udp4)                                                                     \
	X("raw6-udp", 0, "UDP over IPv6 by a raw socket", .to = VERIFY_WEB6,                       \
	  .protocol = IPPROTO_UDP, .build = build_udp6)                                            \
	X("raw-tcp", 0, "TCP's SYN with data by a raw socket", .to = VERIFY_WEB4,                  \
	  .protocol = IPPROTO_TCP, .build = build_syn)                                             \
	X("raw-ipip", 0, "IPv4 in IPv4 by a raw socket", .to = VERIFY_WEB4,                        \
	  .protocol = IPPROTO_IPIP, .build = build_inner4)                                         \
	X("raw-sit", 0, "IPv6 in IPv4 by a raw socket", .to = VERIFY_WEB4,                         \
	  .protocol = IPPROTO_IPV6, .build = build_inner6)                                         \
	X("raw-before", VERIFY_BEFORE, "a raw socket from before the fence", .to = VERIFY_WEB4,    \
	  .protocol = 99)                                                                          \
	X("hdrincl", 0, "an IPv4 header by hand", .to = VERIFY_WEB4, .protocol = IPPROTO_RAW,      \
	  .build = build_inner4)                                                                   \
	X("hdrincl-before", VERIFY_BEFORE, "the same, the socket from before the fence",           \
	  .to = VERIFY_WEB4, .protocol = IPPROTO_RAW, .build = build_inner4)                       \
	X("hdrincl-bind-device", VERIFY_TUNNEL_UP, "the same, past the tunnel",                    \
	  .to = VERIFY_WEB4, .protocol = IPPROTO_RAW, .build = build_inner4,                       \
	  .set = send_bind_device, .steer = true)                                                  \
	X("hdrincl-stranger", 0, "a stranger's source address", .to = VERIFY_WEB4,                 \
	  .protocol = IPPROTO_RAW, .build = build_stranger4)                                       \
	X("hdrincl-from-endpoint", 0, "the endpoint's address as source", .to = VERIFY_WEB4,       \
	  .protocol = IPPROTO_RAW, .build = build_from_endpoint)                                   \
	X("hdrincl-from-tunnel", 0, "the tunnel's address as source", .to = VERIFY_WEB4,           \
	  .protocol = IPPROTO_RAW, .build = build_from_tunnel)                                     \
	X("hdrincl-endpoint-port", 0, "a WireGuard message between the tunnel's ports, elsewhere", \
	  .to = VERIFY_WEB4, .protocol = IPPROTO_RAW, .build = build_endpoint_port)                \
	X("hdrincl-options", 0, "IPv4 options", .to = VERIFY_WEB4, .protocol = IPPROTO_RAW,        \
	  .build = build_options)                                                                  \
	X("hdrincl-most-options", 0, "as many IPv4 options as there may be", .to = VERIFY_WEB4,    \
	  .protocol = IPPROTO_RAW, .build = build_most_options)                                    \
	X("hdrincl-source-route", 0, "the endpoint as a stop on the way, by source routing",       \
	  .to = VERIFY_VPN4, .protocol = IPPROTO_RAW, .build = build_source_route)                 \
	X("hdrincl-later-fragment", 0, "a later IPv4 fragment alone", .to = VERIFY_WEB4,           \
	  .protocol = IPPROTO_RAW, .build = build_later4)                                          \
	X("hdrincl-tiny-fragment", 0, "a first IPv4 fragment of 8 bytes", .to = VERIFY_WEB4,       \
	  .protocol = IPPROTO_RAW, .build = build_tiny4)                                           \
	X("hdrincl-version-0", 0, "an IPv4 header that says version 0", .to = VERIFY_WEB4,         \
	  .protocol = IPPROTO_RAW, .build = build_version0)                                        \
	X("hdrincl6-ipv4", 0, "an IPv4 packet by an IPv6 socket", .to = VERIFY_WEB6,               \
	  .protocol = IPPROTO_RAW, .build = build_inner4)                                          \
	X("hdrincl6", 0, "an IPv6 header by hand", .to = VERIFY_WEB6, .protocol = IPPROTO_RAW,     \
	  .build = build_inner6)                                                                   \
	X("hdrincl6-stranger", 0, "a stranger's IPv6 source address", .to = VERIFY_WEB6,           \
	  .protocol = IPPROTO_RAW, .build = build_stranger6)                                       \
	X("hdrincl6-hop-by-hop", 0, "IPv6 hop-by-hop options", .to = VERIFY_WEB6,                  \
	  .protocol = IPPROTO_RAW, .build = build_hop_by_hop)                                      \
	X("hdrincl6-destination", 0, "IPv6 destination options", .to = VERIFY_WEB6,                \
	  .protocol = IPPROTO_RAW, .build = build_destination_options)                             \
	X("hdrincl6-many", 0, "ten IPv6 extension headers", .to = VERIFY_WEB6,                     \
	  .protocol = IPPROTO_RAW, .build = build_many_extensions)                                 \
	X("hdrincl6-unknown", 0, "an unknown IPv6 extension header", .to = VERIFY_WEB6,            \
	  .protocol = IPPROTO_RAW, .build = build_unknown_extension)                               \
	X("hdrincl6-route-0", 0, "an IPv6 routing header, type 0", .to = VERIFY_WEB6,              \
	  .protocol = IPPROTO_RAW, .build = build_route0)                                          \
	X("hdrincl6-route-4", 0, "an IPv6 routing header, SRv6", .to = VERIFY_WEB6,                \
	  .protocol = IPPROTO_RAW, .build = build_route4)                                          \
	X("hdrincl6-atomic", 0, "an IPv6 fragment that is whole", .to = VERIFY_WEB6,               \
	  .protocol = IPPROTO_RAW, .build = build_atomic6)                                         \
	X("hdrincl6-later-fragment", 0, "a later IPv6 fragment alone", .to = VERIFY_WEB6,          \
	  .protocol = IPPROTO_RAW, .build = build_later6)                                          \
	X("hdrincl6-tiny-fragment", 0, "a first IPv6 fragment of 8 bytes", .to = VERIFY_WEB6,      \
	  .protocol = IPPROTO_RAW, .build = build_tiny6)                                           \
	X("hdrincl6-no-next", 0, "IPv6 data behind 'no next header'", .to = VERIFY_WEB6,           \
	  .protocol = IPPROTO_RAW, .build = build_no_next)

static const struct way ways[] = {
#define X(title, when, text, ...) { .name = title, .flags = when, __VA_ARGS__ },
	WAYS(X)
#undef X
};

static const struct way *way_of(const struct shot *s)
{
	return &ways[send_row(&vectors_raw, s)];
}

/* Every group may ping: only then there are ping sockets, and many distributions say so. */
static int allow_ping(const struct shot *s)
{
	return verify_sysctl(s, VERIFY_CLIENT, "net/ipv4/ping_group_range", "0 2147483647");
}

static int prepare(struct shot *s)
{
	const struct way *way = way_of(s);
	int error = 0;

	if (way->type == SOCK_DGRAM)
		error = allow_ping(s);
	else if (way->steer)
		error = send_steer(s);
	if (error)
		return error;
	s->fd = send_socket(way->to, way->type ? way->type : SOCK_RAW, way->protocol);
	return s->fd < 0 ? s->fd : 0;
}

static int fire(struct shot *s)
{
	const struct way *way = way_of(s);
	int told = way->set ? way->set(s->fd) : 0;
	__u8 packet[PACKET_BYTES];
	struct sockaddr_storage to;
	socklen_t to_bytes = verify_sockaddr(way->to, 0, &to); /* raw IPv6 sockets want no port */
	size_t bytes = (way->build ? way->build : build_payload)(s, packet);

	return send_told(told, sendto(s->fd, packet, bytes, 0, (struct sockaddr *)&to, to_bytes));
}

static const struct vector vectors[] = {
#define X(title, when, text, ...)                                                                  \
	{ .name = title, .summary = text, .flags = when, .prepare = prepare, .fire = fire },
	WAYS(X)
#undef X
};

const struct vector_group vectors_raw = { "raw", vectors, ARRAY_SIZE(vectors) };
