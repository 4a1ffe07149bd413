// SPDX-License-Identifier: GPL-2.0
/*
 * Vectors: asked from outside. What comes in unasked, for the uplink's own address: does the
 * machine answer, open a connection, report an error? What counts is the answer on the wire. Never
 * judges.
 */
#define _GNU_SOURCE /* ip_mreqn, usleep */

#include <arpa/inet.h>
#include <errno.h>
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
	REASSEMBLY_US = 1300000, /* a little more than the scene's ipfrag_time */
	IGMP_WAIT_US = 200000,   /* twice what the query allows */
	ICMP_TIMESTAMP = 13,
	ICMP_TIMESTAMP_REPLY = 14,
	IGMP_QUERY = 0x11,
	UNKNOWN_PROTOCOL = 253,  /* RFC 3692: for experiments */
	WIREGUARD_DATA = 4,
	MORE_FRAGMENTS = 0x20,
};

#define GROUP "239.77.77.78"

/* ---- scenes ---------------------------------------------------------------------------------- */

#define SHORT_REASSEMBLY "client set net/ipv4/ipfrag_time 1\n"

/* ---- how the answers look -------------------------------------------------------------------- */

/* It gives back four bytes of ours. */
static bool is_timestamp(const struct shot *s, const __u8 *frame, size_t bytes)
{
	struct verify_frame f;

	return verify_parse(frame, bytes, &f) && f.protocol == IPPROTO_ICMP &&
	       f.icmp_type == ICMP_TIMESTAMP_REPLY && verify_has(frame, bytes, s->token, 4);
}

static bool is_igmp(const struct shot *s, const __u8 *frame, size_t bytes)
{
	struct verify_frame f;
	struct in_addr group;

	(void)s;
	inet_pton(AF_INET, GROUP, &group);
	return verify_parse(frame, bytes, &f) && f.protocol == IPPROTO_IGMP &&
	       verify_has(frame, bytes, &group, sizeof(group));
}

/* ---- asked for the uplink's address ---------------------------------------------------------- */

static int syn_uplink(struct shot *s)
{
	return ask_tcp4(s, VERIFY_LAN4, VERIFY_CLIENT4, ASK_SYN);
}

/* Its kernel makes the packets; whether it gets through does not matter. */
static int connect_uplink6(struct shot *s)
{
	struct sockaddr_storage to;
	socklen_t length = verify_sockaddr(VERIFY_CLIENT6, s->port, &to);

	s->fd = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->fd < 0)
		return -errno;
	if (connect(s->fd, (struct sockaddr *)&to, length) < 0 && errno != EINPROGRESS)
		return -errno;
	return 0;
}

static int udp_uplink4(struct shot *s)
{
	return ask_udp4(s, VERIFY_LAN4, VERIFY_CLIENT4);
}

static int udp_uplink6(struct shot *s)
{
	return ask_udp6(s, VERIFY_ROUTER6, VERIFY_CLIENT6);
}

static int echo_uplink4(struct shot *s)
{
	return ask_echo4(s, VERIFY_LAN4, VERIFY_CLIENT4);
}

static int echo_uplink6(struct shot *s)
{
	return ask_echo6(s, VERIFY_ROUTER6, VERIFY_CLIENT6);
}

static int echo_all_nodes(struct shot *s)
{
	return ask_echo6(s, VERIFY_ROUTER_LINK, "ff02::1");
}

static int timestamp_uplink(struct shot *s)
{
	__u8 packet[ASK_ROOM], payload[12];
	struct scene_icmp question = { .type = ICMP_TIMESTAMP, .payload = payload,
				       .bytes = sizeof(payload) };

	verify_payload(s, payload, sizeof(payload));
	return ask_packet(packet, scene_icmp4(packet, VERIFY_LAN4, VERIFY_CLIENT4, &question));
}

static int unknown_protocol4(struct shot *s)
{
	__u8 packet[ASK_ROOM], payload[ASK_PAYLOAD];
	size_t bytes;

	verify_payload(s, payload, sizeof(payload));
	bytes = verify_udp4(packet, VERIFY_LAN4, VERIFY_CLIENT4, s->port, s->port, payload,
			    sizeof(payload));
	scene_set_protocol4(packet, UNKNOWN_PROTOCOL);
	return ask_packet(packet, bytes);
}

static int unknown_protocol6(struct shot *s)
{
	__u8 packet[ASK_ROOM], payload[ASK_PAYLOAD];
	size_t bytes;

	verify_payload(s, payload, sizeof(payload));
	bytes = verify_udp6(packet, VERIFY_ROUTER6, VERIFY_CLIENT6, s->port, s->port, payload,
			    sizeof(payload));
	packet[6] = UNKNOWN_PROTOCOL;
	return ask_packet(packet, bytes);
}

/* A first fragment, and no other: the receiver says when it has waited long enough. */
static int first_fragment(struct shot *s)
{
	__u8 packet[ASK_ROOM], payload[ASK_PAYLOAD];
	size_t bytes;
	int r;

	verify_payload(s, payload, sizeof(payload));
	bytes = verify_udp4(packet, VERIFY_LAN4, VERIFY_CLIENT4, s->port, s->port, payload,
			    sizeof(payload));
	packet[6] = MORE_FRAGMENTS;
	scene_set_protocol4(packet, IPPROTO_UDP); /* for the checksum */
	r = ask_packet(packet, bytes - (bytes - IP4_HEADER) % 8);
	usleep(REASSEMBLY_US);
	return r;
}

static int udp_answered(struct shot *s)
{
	int r = udp_uplink4(s);

	return r ? r : ask_answer_one(s);
}

/* As if from the endpoint, in the tunnel's shape, to the port that the killed tunnel had. */
static int endpoint_to_nobody(struct shot *s)
{
	__u8 packet[ASK_ROOM], payload[ASK_PAYLOAD] = { WIREGUARD_DATA };

	memcpy(payload + 16, s->token, VERIFY_TOKEN);
	return ask_packet(packet, verify_udp4(packet, VERIFY_VPN4, VERIFY_CLIENT4, VERIFY_VPN_PORT,
				       VERIFY_VPN_PORT, payload, sizeof(payload)));
}

static int ask_membership(struct shot *s)
{
	__u8 packet[ASK_ROOM];
	struct scene_icmp query = { .type = IGMP_QUERY, .code = 1 }; /* to be answered in 0.1 s */
	size_t bytes = scene_icmp4(packet, VERIFY_ROUTER4, "224.0.0.1", &query);
	int r;

	(void)s;
	packet[8] = 1; /* it stays on the link */
	scene_set_protocol4(packet, IPPROTO_IGMP); /* of the same shape */
	r = scene_send_ip(SCENE_ROUTER_DEVICE, "01:00:5e:00:00:01", VERIFY_ROUTER_MAC, packet,
			  bytes);
	usleep(IGMP_WAIT_US);
	return r;
}

/* ---- what must be there first ---------------------------------------------------------------- */

static int prepare(struct shot *s);

static int join_group(struct shot *s)
{
	struct ip_mreqn group = { .imr_ifindex = verify_ifindex("eth0") };
	int r = ask_listen_udp4(s);

	if (r)
		return r;
	inet_pton(AF_INET, GROUP, &group.imr_multiaddr);
	if (setsockopt(s->fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof(group)) < 0)
		return -errno;
	return 0;
}

/* ---- the lists ------------------------------------------------------------------------------- */

#define OUTSIDE VERIFY_AT_ROUTER
#define OUTSIDE_UP (VERIFY_AT_ROUTER | VERIFY_TUNNEL_UP)

/* X(name, summary, flags, prepare, fire, is_it, scene) */
#define UPLINK(X)                                                                                  \
	X("in-tcp-open", "a stranger connects to a program",                                       \
	  OUTSIDE, ask_listen4, syn_uplink, ask_is_accepted, NULL)                                 \
	X("in-tcp6-open", "a stranger connects to a program, IPv6",                                \
	  OUTSIDE, ask_listen6, connect_uplink6, ask_is_accepted, NULL)                            \
	X("in-tcp-closed", "a stranger connects to nobody",                                        \
	  OUTSIDE, prepare, syn_uplink, ask_is_reset, NULL)                                        \
	X("in-tcp6-closed", "a stranger connects to nobody, IPv6",                                 \
	  OUTSIDE, prepare, connect_uplink6, ask_is_reset, NULL)                                   \
	X("in-udp-open", "a datagram, which a program answers",                                    \
	  OUTSIDE, ask_listen_udp4, udp_answered, NULL, NULL)                                      \
	X("in-udp-closed", "a datagram for nobody",                                                \
	  OUTSIDE, prepare, udp_uplink4, NULL, NULL)                                               \
	X("in-udp6-closed", "a datagram for nobody, IPv6",                                         \
	  OUTSIDE, prepare, udp_uplink6, NULL, NULL)                                               \
	X("in-echo4", "a ping",                                                                    \
	  OUTSIDE, prepare, echo_uplink4, NULL, NULL)                                              \
	X("in-echo6", "a ping, IPv6",                                                              \
	  OUTSIDE, prepare, echo_uplink6, NULL, NULL)                                              \
	X("in-echo6-all", "a ping to all nodes of the link",                                       \
	  OUTSIDE, prepare, echo_all_nodes, NULL, NULL)                                            \
	X("in-timestamp", "what time is it? (ICMP)",                                               \
	  OUTSIDE, prepare, timestamp_uplink, is_timestamp, NULL)                                  \
	X("in-protocol4", "a protocol that nobody knows",                                          \
	  OUTSIDE, prepare, unknown_protocol4, NULL, NULL)                                         \
	X("in-protocol6", "a protocol that nobody knows, IPv6",                                    \
	  OUTSIDE, prepare, unknown_protocol6, NULL, NULL)                                         \
	X("in-fragment", "a fragment whose others never come",                                     \
	  OUTSIDE, prepare, first_fragment, NULL, SHORT_REASSEMBLY)                                \
	X("in-igmp-query", "which groups are you in?",                                             \
	  OUTSIDE | VERIFY_BEFORE, join_group, ask_membership, is_igmp, NULL)                      \
	X("in-endpoint", "as if from the endpoint, while the tunnel is gone",                      \
	  OUTSIDE, prepare, endpoint_to_nobody, NULL, NULL)

#define VECTORS(X) UPLINK(X)

static const struct scene scenes[] = { VECTORS(SCENE_TEXT) };

static int prepare(struct shot *s)
{
	return scene_build(s, scenes, ARRAY_SIZE(scenes));
}

static const struct vector vectors[] = { VECTORS(SCENE_VECTOR) };

const struct vector_group vectors_inbound = {
	.name = "inbound",
	.vectors = vectors,
	.count = ARRAY_SIZE(vectors),
};
