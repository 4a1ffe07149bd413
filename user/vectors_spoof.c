// SPDX-License-Identifier: GPL-2.0
/*
 * Vectors: asked from outside for what is not the uplink's. The tunnel's address, by a neighbour or
 * as if from far away (CVE-2019-14899); other networks behind this machine; other routes for the
 * tunnel's own packets. What counts is what leaves by the uplink. Never judges.
 *
 * IPv6 needs no vector for the tunnel's address in a neighbour solicitation: Linux answers only for
 * addresses of the device that it came by.
 */
#define _GNU_SOURCE /* usleep */

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util.h"
#include "vectors_ask.h"
#include "vectors_scene.h"

enum {
	IP4_HEADER = 20,
	TUNNEL_XOR = 0xa5, /* what verify's tunnel does instead of encrypting */
	SETTLE_US = 20000,
	REDIRECT_TRIES = 5,
	ICMP_ECHO_REPLY = 0,
	ICMP_REDIRECT = 5,
	ICMP_ECHO_REQUEST = 8,
	ICMP6_REDIRECT = 137,
	TARGET_LINK_ADDRESS = 2, /* RFC 4861 */
	WIREGUARD_DATA = 4,
	MORE_FRAGMENTS = 0x20,
	HALF = 40, /* bytes in a first fragment */
};

#define BROADCAST_MAC "ff:ff:ff:ff:ff:ff"
#define ATTACKER4 "192.168.77.66"
#define ATTACKER_LINK "fe80::66"
#define ATTACKER_MAC "02:00:00:00:77:66"

/* ---- scenes ---------------------------------------------------------------------------------- */

#define PORT_FORWARD                                                                               \
	SCENE_BEHIND_VETH                                                                          \
	SCENE_NFT("ip", "nat hook prerouting priority -100",                                       \
		  "iifname eth0 meta l4proto udp dnat to 10.99.0.2")
#define HEED_REDIRECTS                                                                             \
	"client set net/ipv4/conf/all/accept_redirects 1\n"                                        \
	"client set net/ipv4/conf/eth0/accept_redirects 1\n"                                       \
	"client ip neigh replace " ATTACKER4 " lladdr " ATTACKER_MAC " dev eth0\n"
#define HEED_REDIRECTS6 "client set net/ipv6/conf/eth0/accept_redirects 1\n"

/* ---- how the answers look -------------------------------------------------------------------- */

/* Whether these bytes are in the frame as they look in the tunnel. */
static bool has_in_tunnel(const __u8 *frame, size_t bytes, const __u8 *what, size_t count)
{
	__u8 masked[ASK_PAYLOAD];
	size_t i;

	for (i = 0; i < count; i++)
		masked[i] = what[i] ^ TUNNEL_XOR;
	return verify_has(frame, bytes, masked, count);
}

/* A stranger who sees how much leaves when learns what was answered inside. */
static bool is_in_tunnel(const struct shot *s, const __u8 *frame, size_t bytes)
{
	return has_in_tunnel(frame, bytes, s->token, VERIFY_TOKEN);
}

static bool is_reset_in_tunnel(const struct shot *s, const __u8 *frame, size_t bytes)
{
	__be16 port = tf_htons(s->port);
	__u8 start[8]; /* of its TCP header */

	memcpy(start, &port, 2);
	memcpy(start + 2, &port, 2);
	memcpy(start + 4, s->token, 4);
	return has_in_tunnel(frame, bytes, start, sizeof(start));
}

static bool is_to_attacker(const struct shot *s, const __u8 *frame, size_t bytes)
{
	__u8 ethernet[ETH_HLEN];

	verify_ethernet(ethernet, ATTACKER_MAC, VERIFY_CLIENT_MAC, ETH_P_IP);
	return bytes > ETH_ALEN && memcmp(frame, ethernet, ETH_ALEN) == 0 &&
	       verify_has(frame, bytes, s->token, VERIFY_TOKEN);
}

/* ARP for IPv4 over Ethernet. */
struct arp {
	__be16 hardware, protocol;
	__u8 hardware_bytes, protocol_bytes;
	__be16 operation;
	__u8 sender_mac[ETH_ALEN];
	struct in_addr sender __attribute__((packed));
	__u8 target_mac[ETH_ALEN];
	struct in_addr target __attribute__((packed));
} __attribute__((packed));

static bool is_arp_of_tunnel(const struct shot *s, const __u8 *frame, size_t bytes)
{
	struct verify_frame f;
	struct in_addr tunnel;
	struct arp arp;

	(void)s;
	if (!verify_parse(frame, bytes, &f) || f.type != ETH_P_ARP || f.payload_bytes < sizeof(arp))
		return false;
	memcpy(&arp, f.payload, sizeof(arp));
	inet_pton(AF_INET, VERIFY_TUNNEL4, &tunnel);
	return memcmp(&arp.sender, &tunnel, sizeof(tunnel)) == 0;
}

/* ---- asked for the tunnel's address ---------------------------------------------------------- */

static int synack_from_lan(struct shot *s)
{
	return ask_tcp4(s, VERIFY_LAN4, VERIFY_TUNNEL4, ASK_SYN | ASK_ACK);
}

static int synack_from_far(struct shot *s)
{
	return ask_tcp4(s, VERIFY_WEB4, VERIFY_TUNNEL4, ASK_SYN | ASK_ACK);
}

static int syn_tunnel(struct shot *s)
{
	return ask_tcp4(s, VERIFY_LAN4, VERIFY_TUNNEL4, ASK_SYN);
}

static int udp_from_lan(struct shot *s)
{
	return ask_udp4(s, VERIFY_LAN4, VERIFY_TUNNEL4);
}

static int udp_from_far(struct shot *s)
{
	return ask_udp4(s, VERIFY_WEB4, VERIFY_TUNNEL4);
}

static int echo_tunnel4(struct shot *s)
{
	return ask_echo4(s, VERIFY_LAN4, VERIFY_TUNNEL4);
}

static int echo_tunnel6(struct shot *s)
{
	return ask_echo6(s, VERIFY_ROUTER6, VERIFY_TUNNEL6);
}

/* The address is hidden from a filter that looks at whole datagrams only. */
static int echo_fragments(struct shot *s)
{
	__u8 packet[ASK_ROOM], payload[ASK_PAYLOAD];
	struct scene_icmp echo = { .type = ICMP_ECHO_REQUEST, .payload = payload,
				   .bytes = sizeof(payload) };
	size_t bytes;
	int r;

	verify_payload(s, payload, sizeof(payload));
	bytes = scene_icmp4(packet, VERIFY_LAN4, VERIFY_TUNNEL4, &echo);
	packet[3] = IP4_HEADER + HALF;
	packet[6] = MORE_FRAGMENTS;
	scene_set_protocol4(packet, IPPROTO_ICMP);
	r = ask_packet(packet, IP4_HEADER + HALF);
	if (r)
		return r;
	memmove(packet + IP4_HEADER, packet + IP4_HEADER + HALF, bytes - IP4_HEADER - HALF);
	packet[3] = (__u8)(bytes - HALF);
	packet[6] = 0;
	packet[7] = HALF / 8;
	scene_set_protocol4(packet, IPPROTO_ICMP);
	return ask_packet(packet, bytes - HALF);
}

/* To everybody on the link, so that no MAC has to be known. */
static int udp_broadcast(struct shot *s)
{
	__u8 packet[ASK_ROOM], payload[ASK_PAYLOAD];
	int r;

	verify_payload(s, payload, sizeof(payload));
	r = scene_send_ip(SCENE_ROUTER_DEVICE, BROADCAST_MAC, VERIFY_ROUTER_MAC, packet,
			  verify_udp4(packet, VERIFY_LAN4, VERIFY_TUNNEL4, s->port, s->port,
				      payload, sizeof(payload)));
	return r ? r : ask_answer_one(s);
}

static int arp_for_tunnel(struct shot *s)
{
	struct arp arp = {
		.hardware = tf_htons(ARPHRD_ETHER),
		.protocol = tf_htons(ETH_P_IP),
		.hardware_bytes = ETH_ALEN,
		.protocol_bytes = sizeof(struct in_addr),
		.operation = tf_htons(ARPOP_REQUEST),
	};
	__u8 frame[ASK_ROOM];
	size_t at = verify_ethernet(frame, BROADCAST_MAC, VERIFY_ROUTER_MAC, ETH_P_ARP);

	(void)s;
	memcpy(arp.sender_mac, frame + ETH_ALEN, ETH_ALEN);
	inet_pton(AF_INET, VERIFY_ROUTER4, &arp.sender);
	inet_pton(AF_INET, VERIFY_TUNNEL4, &arp.target);
	memcpy(frame + at, &arp, sizeof(arp));
	return verify_send_frame(SCENE_ROUTER_DEVICE, frame, at + sizeof(arp));
}

/* ---- asked to pass on ------------------------------------------------------------------------ */

static int echo_guest(struct shot *s)
{
	return ask_echo4(s, VERIFY_LAN4, "10.99.0.2");
}

static int ask_forwarded_port(struct shot *s)
{
	return ask_udp4(s, VERIFY_LAN4, VERIFY_CLIENT4);
}

static int through_client(struct shot *s)
{
	return ask_udp4(s, VERIFY_LAN4, VERIFY_WEB4);
}

/* ---- told to take another route -------------------------------------------------------------- */

/* The embedded packet is one that the kernel answers for by itself: an echo reply. */
static int send_redirect4(void)
{
	__u8 packet[ASK_ROOM], cause[ASK_ROOM];
	struct scene_icmp reply = { .type = ICMP_ECHO_REPLY };
	struct scene_icmp redirect = { .type = ICMP_REDIRECT, .code = 1, .payload = cause };

	redirect.bytes = scene_icmp4(cause, VERIFY_CLIENT4, VERIFY_VPN4, &reply);
	inet_pton(AF_INET, ATTACKER4, redirect.rest);
	return ask_packet(packet, scene_icmp4(packet, VERIFY_ROUTER4, VERIFY_CLIENT4, &redirect));
}

static int send_redirect6(void)
{
	__u8 packet[ASK_ROOM], body[40] = {}, ethernet[ETH_HLEN];
	struct scene_icmp redirect = { .type = ICMP6_REDIRECT, .payload = body,
				       .bytes = sizeof(body) };

	inet_pton(AF_INET6, ATTACKER_LINK, body);
	inet_pton(AF_INET6, VERIFY_VPN6, body + 16);
	body[32] = TARGET_LINK_ADDRESS;
	body[33] = 1; /* times eight bytes */
	verify_ethernet(ethernet, ATTACKER_MAC, VERIFY_ROUTER_MAC, ETH_P_IPV6);
	memcpy(body + 34, ethernet, ETH_ALEN);
	return ask_packet(packet,
			  scene_icmp6(packet, VERIFY_ROUTER_LINK, VERIFY_CLIENT6, &redirect));
}

/* What the tunnel would send, from its port: the fence lets it out. To whose hands? */
static int send_as_tunnel(const struct shot *s, const char *to)
{
	struct sockaddr_storage address, own;
	socklen_t length = verify_sockaddr(to, VERIFY_VPN_PORT, &address);
	socklen_t own_length = verify_sockaddr(address.ss_family == AF_INET ? "0.0.0.0" : "::",
					       VERIFY_VPN_PORT, &own);
	_cleanup_close_ int fd = socket(address.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	__u8 payload[ASK_PAYLOAD] = { WIREGUARD_DATA };

	memcpy(payload + 16, s->token, VERIFY_TOKEN);
	if (fd < 0 || bind(fd, (struct sockaddr *)&own, own_length) < 0 ||
	    sendto(fd, payload, sizeof(payload), 0, (struct sockaddr *)&address, length) < 0)
		return -errno;
	return 0;
}

/* The router's word may take a moment: some tries. */
static int redirected(const struct shot *s, int (*redirect)(void), const char *to)
{
	int i, r = verify_enter(s, VERIFY_ROUTER);

	if (!r)
		r = redirect();
	if (!r)
		r = verify_enter(s, VERIFY_CLIENT);
	for (i = 0; !r && i < REDIRECT_TRIES; i++) {
		r = send_as_tunnel(s, to);
		usleep(SETTLE_US);
	}
	return r;
}

static int redirected4(struct shot *s)
{
	verify_touched(s); /* the exception stays */
	return redirected(s, send_redirect4, VERIFY_VPN4);
}

static int redirected6(struct shot *s)
{
	verify_touched(s);
	return redirected(s, send_redirect6, VERIFY_VPN6);
}

/* ---- what must be there first ---------------------------------------------------------------- */

static int prepare(struct shot *s);

static int prepare_tcp(struct shot *s)
{
	int r = prepare(s);

	return r ? r : ask_listen4(s);
}

static int prepare_udp(struct shot *s)
{
	int r = prepare(s);

	return r ? r : ask_listen_udp4(s);
}

/* ---- the lists ------------------------------------------------------------------------------- */

#define OUTSIDE VERIFY_AT_ROUTER
#define OUTSIDE_UP (VERIFY_AT_ROUTER | VERIFY_TUNNEL_UP)

/* X(name, summary, flags, prepare, fire, is_it, scene) */
#define TUNNEL_ADDRESS(X)                                                                          \
	X("in-tunnel-synack", "CVE-2019-14899: a SYN-ACK from the link for the tunnel's address",  \
	  OUTSIDE_UP, prepare, synack_from_lan, ask_is_reset, NULL)                                \
	X("in-tunnel-synack-far", "a SYN-ACK as if from far away: the reset is in the tunnel",     \
	  OUTSIDE_UP, prepare, synack_from_far, is_reset_in_tunnel, NULL)                          \
	X("in-tunnel-tcp-open", "a neighbour connects to the tunnel's address",                    \
	  OUTSIDE_UP, prepare_tcp, syn_tunnel, ask_is_accepted, NULL)                              \
	X("in-tunnel-udp", "a neighbour's datagram for the tunnel's address",                      \
	  OUTSIDE_UP, prepare, udp_from_lan, NULL, NULL)                                           \
	X("in-tunnel-udp-far", "a datagram as if from far away: the error is in the tunnel",       \
	  OUTSIDE_UP, prepare, udp_from_far, is_in_tunnel, NULL)                                   \
	X("in-tunnel-broadcast", "a datagram for it in a broadcast frame, and a program answers",  \
	  OUTSIDE_UP, prepare_udp, udp_broadcast, NULL, NULL)                                      \
	X("in-tunnel-echo4", "a ping for the tunnel's address",                                    \
	  OUTSIDE_UP, prepare, echo_tunnel4, NULL, NULL)                                           \
	X("in-tunnel-echo6", "a ping for the tunnel's address, IPv6",                              \
	  OUTSIDE_UP, prepare, echo_tunnel6, NULL, NULL)                                           \
	X("in-tunnel-fragments", "a ping for the tunnel's address, in fragments",                  \
	  OUTSIDE_UP, prepare, echo_fragments, NULL, NULL)                                         \
	X("in-tunnel-arp", "who has the tunnel's address? (ARP)",                                  \
	  OUTSIDE_UP, prepare, arp_for_tunnel, is_arp_of_tunnel, NULL)

#define PASSED_ON(X)                                                                               \
	X("in-forward-guest", "a ping for a container behind the machine",                         \
	  OUTSIDE, prepare, echo_guest, NULL, SCENE_BEHIND_VETH)                                   \
	X("in-forward-back", "a packet for the Internet, to be routed out again",                  \
	  OUTSIDE, prepare, through_client, NULL, SCENE_FORWARDING)                                \
	X("in-forward-tunnel", "a packet for the Internet, into the tunnel: a stranger uses it",   \
	  OUTSIDE_UP, prepare, through_client, is_in_tunnel, SCENE_FORWARDING)                     \
	X("in-port-forward", "a port that is a container's",                                       \
	  OUTSIDE, prepare, ask_forwarded_port, NULL, PORT_FORWARD)                                \
	X("in-redirect4", "an ICMP redirect steers the tunnel's own packets",                      \
	  0, prepare, redirected4, is_to_attacker, HEED_REDIRECTS)                                 \
	X("in-redirect6", "a neighbour discovery redirect steers them",                            \
	  0, prepare, redirected6, is_to_attacker, HEED_REDIRECTS6)

#define VECTORS(X) TUNNEL_ADDRESS(X) PASSED_ON(X)

static const struct scene scenes[] = { VECTORS(SCENE_TEXT) };

static int prepare(struct shot *s)
{
	return scene_build(s, scenes, ARRAY_SIZE(scenes));
}

static const struct vector vectors[] = { VECTORS(SCENE_VECTOR) };

const struct vector_group vectors_spoof = {
	.name = "spoof",
	.vectors = vectors,
	.count = ARRAY_SIZE(vectors),
};
