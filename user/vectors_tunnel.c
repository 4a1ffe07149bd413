// SPDX-License-Identifier: GPL-2.0
/*
 * The endpoint: the one hole that a fence leaves to the world, and what else could use it. Frames
 * in the exact shape of the tunnel's own, from its own port, are no vector: they go to the VPN's
 * server and nowhere else.
 */
#include <errno.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bytes.h"
#include "util.h"
#include "vectors_craft.h"
#include "vectors_letter.h"
#include "verify.h"

#define ENDPOINT_MAPPED "::ffff:" VERIFY_VPN4

enum {
	DATA = 4,              /* WireGuard's message types */
	INITIATION = 1,
	DATA_BYTES = 96,
	SHORT_BYTES = 28,      /* a data message has 32 at least */
	WRONG_BYTES = 100,     /* an initiation has 148 */
	INDEX_AND_COUNTER = 16, /* in front of a data message's content */
	BULK = 4000,
	MORE_FRAGMENTS = 0x2000,
	IP6_HEADER = 40,
	ROUTING_BYTES = 8 + 2 * 16,
};

/* A message of WireGuard, with the token where it is encrypted data. */
static size_t put_wireguard(const struct shot *s, __u8 *to, __u8 type, size_t bytes)
{
	memset(to, 0, INDEX_AND_COUNTER);
	verify_payload(s, to + INDEX_AND_COUNTER, bytes - INDEX_AND_COUNTER);
	to[0] = type;
	to[4] = 1;
	return bytes;
}

static size_t wireguard(const struct shot *s, __u8 *to, size_t bytes)
{
	return put_wireguard(s, to, DATA, bytes ? bytes : DATA_BYTES);
}

static size_t wireguard_of_no_type(const struct shot *s, __u8 *to, size_t bytes)
{
	(void)bytes;
	return put_wireguard(s, to, DATA + 1, DATA_BYTES);
}

static size_t wireguard_reserved(const struct shot *s, __u8 *to, size_t bytes)
{
	bytes = wireguard(s, to, bytes);
	to[1] = 1;
	return bytes;
}

static size_t wireguard_of_wrong_length(const struct shot *s, __u8 *to, size_t bytes)
{
	(void)bytes;
	return put_wireguard(s, to, INITIATION, WRONG_BYTES);
}

/* The tunnel's own packet in every byte, whoever sends it. */
static size_t outer_packet(const struct shot *s, __u8 *to, size_t bytes)
{
	__u8 message[DATA_BYTES];

	(void)bytes;
	return verify_udp4(to, VERIFY_CLIENT4, VERIFY_VPN4, VERIFY_VPN_PORT, VERIFY_VPN_PORT,
			   message, wireguard(s, message, 0));
}

static size_t outer_packet6(const struct shot *s, __u8 *to, size_t bytes)
{
	__u8 message[DATA_BYTES];

	(void)bytes;
	return verify_udp6(to, VERIFY_CLIENT6, VERIFY_VPN6, VERIFY_VPN_PORT, VERIFY_VPN_PORT,
			   message, wireguard(s, message, 0));
}

static size_t outer_frame(const struct shot *s, __u8 *to, size_t bytes)
{
	size_t at = verify_ethernet(to, VERIFY_ROUTER_MAC, VERIFY_CLIENT_MAC, ETH_P_IP);

	return at + outer_packet(s, to + at, bytes);
}

static size_t outer_frame6(const struct shot *s, __u8 *to, size_t bytes)
{
	size_t at = verify_ethernet(to, VERIFY_ROUTER_MAC, VERIFY_CLIENT_MAC, ETH_P_IPV6);

	return at + outer_packet6(s, to + at, bytes);
}

/* Looks like a WireGuard message at the place where a first fragment has one. */
static size_t later_fragment(const struct shot *s, __u8 *to, size_t bytes)
{
	const struct craft_ip ip = { VERIFY_CLIENT4, VERIFY_VPN4, IPPROTO_UDP, 0, s->port, 185 };
	__u8 content[CRAFT_UDP_HEADER + DATA_BYTES];

	(void)bytes;
	craft_udp(content, VERIFY_VPN_PORT, VERIFY_VPN_PORT, DATA_BYTES);
	wireguard(s, content + CRAFT_UDP_HEADER, 0);
	return craft_ip(to, &ip, content, sizeof(content));
}

static size_t later_fragment6(const struct shot *s, __u8 *to, size_t bytes)
{
	const struct craft_ip ip = { .src = VERIFY_CLIENT6, .dst = VERIFY_VPN6,
				     .protocol = IPPROTO_FRAGMENT };
	__u8 content[8 + DATA_BYTES] = { IPPROTO_UDP };

	(void)bytes;
	put16(content + 2, 185 << 3);
	put16(content + 6, s->port);
	wireguard(s, content + 8, 0);
	return craft_ip(to, &ip, content, sizeof(content));
}

/* Ports and nothing more: what they lead to comes with the next fragment. */
static size_t tiny_fragment(const struct shot *s, __u8 *to, size_t bytes)
{
	const struct craft_ip ip = { VERIFY_CLIENT4, VERIFY_VPN4, IPPROTO_UDP, 0, s->port,
				     MORE_FRAGMENTS };
	__u8 header[CRAFT_UDP_HEADER];

	(void)bytes;
	craft_udp(header, VERIFY_VPN_PORT, VERIFY_VPN_PORT, DATA_BYTES);
	return craft_ip(to, &ip, header, sizeof(header));
}

static bool is_tiny_fragment(const struct shot *s, const __u8 *frame, size_t bytes)
{
	struct verify_frame f;

	return verify_parse(frame, bytes, &f) && f.protocol == IPPROTO_UDP &&
	       verify_is_addr(&f.dst, VERIFY_VPN4) &&
	       get16(frame + ETH_HLEN + 4) == s->port;
}

static size_t ping(const struct shot *s, __u8 *to, size_t bytes)
{
	const struct craft_ip ip = { .src = VERIFY_CLIENT4, .dst = VERIFY_VPN4,
				     .protocol = IPPROTO_ICMP };
	__u8 echo[64] = { 8 };

	(void)bytes;
	verify_payload(s, echo + 8, sizeof(echo) - 8);
	return craft_ip(to, &ip, echo, sizeof(echo));
}

static size_t ping6(const struct shot *s, __u8 *to, size_t bytes)
{
	(void)bytes;
	memset(to, 0, 64);
	to[0] = 128;
	verify_payload(s, to + 8, 56);
	return 64;
}

/* A whole packet to a stranger, handed to the VPN's server to unpack. */
static size_t packet_in_packet(const struct shot *s, __u8 *to, size_t bytes)
{
	const struct craft_ip ip = { .src = VERIFY_CLIENT4, .dst = VERIFY_VPN4,
				     .protocol = IPPROTO_IPIP };
	__u8 inner[128], content[64];

	(void)bytes;
	verify_payload(s, content, sizeof(content));
	bytes = verify_udp4(inner, VERIFY_CLIENT4, VERIFY_WEB4, s->port, 9, content,
			    sizeof(content));
	return craft_ip(to, &ip, inner, bytes);
}

/* RFC 8754: to the endpoint first, from there to a stranger. Not yet there: one segment is left. */
static size_t segment_route6(const struct shot *s, __u8 *to, size_t bytes)
{
	const struct craft_ip ip = { .src = VERIFY_CLIENT6, .dst = VERIFY_VPN6,
				     .protocol = IPPROTO_ROUTING };
	__u8 udp[IP6_HEADER + CRAFT_UDP_HEADER + DATA_BYTES], message[DATA_BYTES];
	__u8 content[ROUTING_BYTES + sizeof(udp) - IP6_HEADER] = { IPPROTO_UDP, 4, 4, 1, 1 };

	(void)bytes;
	verify_udp6(udp, VERIFY_CLIENT6, VERIFY_WEB6, VERIFY_VPN_PORT, VERIFY_VPN_PORT, message,
		    wireguard(s, message, 0));
	memcpy(content + 8, udp + 24, 16); /* last first: the list is written backwards */
	outer_packet6(s, to, 0);
	memcpy(content + 24, to + 24, 16);
	memcpy(content + ROUTING_BYTES, udp + IP6_HEADER, sizeof(udp) - IP6_HEADER);
	return craft_ip(to, &ip, content, sizeof(content));
}

/* RFC 791: by the endpoint to a stranger, in the shape and from the port of the tunnel. */
static int loose_route(struct shot *s)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	__u8 option[8] = { 131, 7, 4 }, message[DATA_BYTES];
	__u32 mark = VERIFY_MARK;
	struct sockaddr_storage at;
	socklen_t length;

	if (fd < 0)
		return -errno;
	verify_sockaddr(VERIFY_VPN4, 0, &at);
	memcpy(option + 3, &((struct sockaddr_in *)&at)->sin_addr, 4);
	if (setsockopt(fd, IPPROTO_IP, IP_OPTIONS, option, sizeof(option)) < 0)
		return -errno;
	(void)setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark));
	length = verify_sockaddr("0.0.0.0", VERIFY_VPN_PORT, &at);
	(void)bind(fd, (struct sockaddr *)&at, length);
	length = verify_sockaddr(VERIFY_WEB4, VERIFY_VPN_PORT, &at);
	if (sendto(fd, message, wireguard(s, message, 0), 0, (struct sockaddr *)&at, length) < 0)
		return -errno;
	return 0;
}

#define ENDPOINT .to = VERIFY_VPN4, .port = VERIFY_VPN_PORT
#define ENDPOINT6 .to = VERIFY_VPN6, .port = VERIFY_VPN_PORT
#define MARKED .mark = VERIFY_MARK
#define AS_TUNNEL ENDPOINT, MARKED, .from_port = VERIFY_VPN_PORT
#define RAW .kind = LETTER_RAW, .to = VERIFY_VPN4
#define RAW6 .kind = LETTER_RAW, .to = VERIFY_VPN6
#define FRAME .kind = LETTER_FRAME

#define ENDPOINT_LETTERS(X)                                                                        \
	X("endpoint-plain", endpoint_plain, 0, "plain data to the endpoint's port", ENDPOINT)      \
	X("endpoint-plain-up", endpoint_plain_up, VERIFY_TUNNEL_UP,                                \
	  "plain data to the endpoint's port, while the tunnel is up", ENDPOINT)                   \
	X("endpoint-plain6", endpoint_plain6, 0, "plain data to the endpoint's port by IPv6",      \
	  ENDPOINT6)                                                                               \
	X("endpoint-plain-mapped", endpoint_mapped, 0,                                             \
	  "plain data to the endpoint by an IPv6 socket", .to = ENDPOINT_MAPPED,                   \
	  .port = VERIFY_VPN_PORT)                                                                 \
	X("endpoint-plain-marked", endpoint_marked, VERIFY_TUNNEL_UP,                              \
	  "plain data to the endpoint with the tunnel's mark", ENDPOINT, MARKED)                   \
	X("endpoint-plain-port", endpoint_plain_port, 0,                                           \
	  "plain data to the endpoint from the dead tunnel's port", AS_TUNNEL)                     \
	X("endpoint-plain-bulk", endpoint_bulk, 0,                                                 \
	  "plain data to the endpoint, in fragments", AS_TUNNEL, .bytes = BULK)                    \
	X("endpoint-plain-gso", endpoint_gso, 0,                                                   \
	  "plain data to the endpoint, cut by the kernel", AS_TUNNEL, .bytes = BULK,               \
	  .segment = 1200)                                                                         \
	X("endpoint-shape", endpoint_shape, 0,                                                     \
	  "WireGuard's shape to the endpoint from another port", ENDPOINT, MARKED,                 \
	  .body = wireguard)                                                                       \
	X("endpoint-shape-up", endpoint_shape_up, VERIFY_TUNNEL_UP,                                \
	  "WireGuard's shape from another port, while the tunnel is up",                           \
	  ENDPOINT, MARKED, .body = wireguard)                                                     \
	X("endpoint-shape6", endpoint_shape6, 0,                                                   \
	  "WireGuard's shape to the endpoint by IPv6 from another port", ENDPOINT6, MARKED,        \
	  .body = wireguard)                                                                       \
	X("endpoint-shape-gso", endpoint_shape_gso, 0,                                             \
	  "WireGuard's shape from another port, cut by the kernel", ENDPOINT,                      \
	  MARKED, .body = wireguard, .bytes = BULK, .segment = 1200)                               \
	X("endpoint-shape-bulk", endpoint_shape_bulk, 0,                                           \
	  "WireGuard's shape from another port, in fragments", ENDPOINT,                           \
	  MARKED, .body = wireguard, .bytes = BULK)                                                \
	X("endpoint-short", endpoint_short, 0, "less than a WireGuard message, from its port",     \
	  AS_TUNNEL, .body = wireguard, .bytes = SHORT_BYTES)                                      \
	X("endpoint-type", endpoint_type, 0, "no known WireGuard message, from its port",          \
	  AS_TUNNEL, .body = wireguard_of_no_type)                                                 \
	X("endpoint-reserved", endpoint_reserved, 0, "a WireGuard message with reserved bits set", \
	  AS_TUNNEL, .body = wireguard_reserved)                                                   \
	X("endpoint-length", endpoint_length, 0, "a WireGuard handshake of another length",        \
	  AS_TUNNEL, .body = wireguard_of_wrong_length)                                            \
	X("endpoint-raw", endpoint_raw, 0, "the tunnel's very packet, by a raw socket", RAW,       \
	  .body = outer_packet)                                                                    \
	X("endpoint-raw-up", endpoint_raw_up, VERIFY_TUNNEL_UP,                                    \
	  "the tunnel's very packet, by a raw socket, while the tunnel is up",                     \
	  RAW, MARKED, .body = outer_packet)                                                       \
	X("endpoint-raw6", endpoint_raw6, 0,                                                       \
	  "the tunnel's very IPv6 packet, by a raw socket", RAW6, .body = outer_packet6)           \
	X("endpoint-frame", endpoint_frame, 0, "the tunnel's very packet, by AF_PACKET", FRAME,    \
	  .body = outer_frame)                                                                     \
	X("endpoint-frame-up", endpoint_frame_up, VERIFY_TUNNEL_UP,                                \
	  "the tunnel's very packet, by AF_PACKET, while the tunnel is up",                        \
	  FRAME, .body = outer_frame)                                                              \
	X("endpoint-frame6", endpoint_frame6, 0,                                                   \
	  "the tunnel's very IPv6 packet, by AF_PACKET", FRAME, .body = outer_frame6)              \
	X("endpoint-later-fragment", endpoint_later, 0,                                            \
	  "a later fragment to the endpoint, alone", RAW, .body = later_fragment)                  \
	X("endpoint-later-fragment6", endpoint_later6, 0,                                          \
	  "a later IPv6 fragment to the endpoint, alone", RAW6,                                    \
	  .body = later_fragment6)                                                                 \
	X("endpoint-ping", endpoint_ping, 0, "a ping of the endpoint", RAW, .body = ping)          \
	X("endpoint-ping6", endpoint_ping6, 0, "a ping of the endpoint by IPv6",                   \
	  .kind = LETTER_ICMP6, .to = VERIFY_VPN6, .body = ping6)                                  \
	X("endpoint-ipip", endpoint_ipip, 0, "a packet in a packet to the endpoint", RAW,          \
	  .body = packet_in_packet)                                                                \
	X("endpoint-segment-route6", endpoint_srv6, 0, "by the endpoint to a stranger (SRv6)",     \
	  RAW6, .body = segment_route6)                                                            \
	X("serverip-web", serverip_web, VERIFY_TUNNEL_UP,                                          \
	  "ServerIP: a page of the endpoint's own address", .to = VERIFY_VPN4, .port = 80,         \
	  .kind = LETTER_TCP)                                                                      \
	X("serverip-web6", serverip_web6, VERIFY_TUNNEL_UP,                                        \
	  "ServerIP: a page of the endpoint's own IPv6 address",                                   \
	  .to = VERIFY_VPN6, .port = 443, .kind = LETTER_TCP)                                      \
	X("serverip-same-port", serverip_port, 0, "TCP to the endpoint's UDP port", ENDPOINT,      \
	  .kind = LETTER_TCP)                                                                      \
	X("serverip-dns", serverip_dns, VERIFY_TUNNEL_UP, "DNS to the endpoint's address",         \
	  .to = VERIFY_VPN4, .port = 53)                                                           \
	X("tunnel-source", tunnel_source, VERIFY_TUNNEL_UP,                                        \
	  "from the tunnel's address, bound to the uplink", .to = VERIFY_WEB4,                     \
	  .from = VERIFY_TUNNEL4, .device = "eth0")                                                \
	X("tunnel-source6", tunnel_source6, VERIFY_TUNNEL_UP,                                      \
	  "from the tunnel's IPv6 address, bound to the uplink",                                   \
	  .to = VERIFY_WEB6, .from = VERIFY_TUNNEL6, .device = "eth0")                             \
	X("bulk", bulk, 0, "a large datagram to a stranger, in fragments", .to = VERIFY_WEB4,      \
	  .bytes = BULK)                                                                           \
	X("bulk6", bulk6, 0,                                                                       \
	  "a large IPv6 datagram to a stranger, in fragments", .to = VERIFY_WEB6, .bytes = BULK)

ENDPOINT_LETTERS(LETTER_FUNCTION)

static int send_tiny_fragment(struct shot *s)
{
	static const struct letter letter = { RAW, .body = tiny_fragment };

	return letter_send(s, &letter);
}

static const struct vector vectors[] = {
	ENDPOINT_LETTERS(LETTER_ROW)
	{ "endpoint-tiny-fragment", "a first fragment to the endpoint that ends behind its ports",
	  0, 0, NULL, send_tiny_fragment, is_tiny_fragment },
	{ "endpoint-loose-route", "by the endpoint to a stranger (loose source route)", 0, 0, NULL,
	  loose_route, NULL },
};

const struct vector_group vectors_tunnel = { "tunnel", vectors, ARRAY_SIZE(vectors) };
