// SPDX-License-Identifier: GPL-2.0
/*
 * What the kernel sends by itself: no program asks for it, and most of it has no socket. Each is
 * provoked by a packet from outside (the router), and the main ones once more by the same packet
 * coming in by a side door: a device plugged in a moment ago, where nobody judges what arrives.
 *
 * Left out: netconsole and pktgen, which belong to the whole machine and not to a namespace.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util.h"
#include "vectors_craft.h"
#include "vectors_letter.h"
#include "vectors_provoke.h"
#include "verify.h"

#define TUNNEL_NEIGHBOUR "192.168.77.99"

enum {
	FIN = 0x01, /* of a TCP header */
	SYN = 0x02,
	RST = 0x04,
	ACK = 0x10,
	ICMP_REDIRECT4 = 5,
	IGMP3_JOINED = 4, /* RFC 3376, 4.2.12: kinds of records */
	IGMP3_LEFT = 3,
	IGMP2_JOINED = 0x16, /* RFC 2236, 2.1: types of messages */
	IGMP2_LEFT = 0x17,
	CONTENT = 64,
	PEER_S = 3, /* room for a second SYN: a link that has just come up may lose the first */
	RETRY_MS = 3000,
};

static bool is_tcp(const struct shot *s, const __u8 *frame, size_t bytes, struct verify_frame *f)
{
	return verify_parse(frame, bytes, f) && f->protocol == IPPROTO_TCP && f->dport == s->port;
}

static bool is_reset(const struct shot *s, const __u8 *frame, size_t bytes)
{
	struct verify_frame f;

	return is_tcp(s, frame, bytes, &f) && f.tcp_flags & RST;
}

static bool is_acceptance(const struct shot *s, const __u8 *frame, size_t bytes)
{
	struct verify_frame f;

	return is_tcp(s, frame, bytes, &f) && f.tcp_flags == (SYN | ACK);
}

static bool is_acknowledgement(const struct shot *s, const __u8 *frame, size_t bytes)
{
	struct verify_frame f;

	return is_tcp(s, frame, bytes, &f) && f.tcp_flags == ACK;
}

static bool is_end(const struct shot *s, const __u8 *frame, size_t bytes)
{
	struct verify_frame f;

	return is_tcp(s, frame, bytes, &f) && f.tcp_flags & (FIN | RST);
}

static bool is_redirect(const struct shot *s, const __u8 *frame, size_t bytes)
{
	struct verify_frame f;

	(void)s;
	return verify_parse(frame, bytes, &f) && f.protocol == IPPROTO_ICMP &&
	       f.icmp_type == ICMP_REDIRECT4;
}

/* A group of the shot's own. Never 224.0.0.x, which nobody reports. */
static void group_of(const struct shot *s, __u8 group[4])
{
	group[0] = 239;
	memcpy(group + 1, s->token, 3);
}

/* RFC 3376, 4.2: an IGMPv3 record of this kind for the shot's group. */
static bool has_record(const struct shot *s, const __u8 *frame, size_t bytes, __u8 kind)
{
	__u8 record[8] = { kind };
	struct verify_frame f;

	group_of(s, record + 4);
	return verify_parse(frame, bytes, &f) && f.protocol == IPPROTO_IGMP &&
	       verify_has(frame, bytes, record, sizeof(record));
}

static bool is_join3(const struct shot *s, const __u8 *frame, size_t bytes)
{
	return has_record(s, frame, bytes, IGMP3_JOINED);
}

static bool is_leave3(const struct shot *s, const __u8 *frame, size_t bytes)
{
	return has_record(s, frame, bytes, IGMP3_LEFT);
}

/* RFC 2236, 2: an IGMPv2 message of this type. */
static bool is_message(const struct shot *s, const __u8 *frame, size_t bytes, __u8 type)
{
	struct verify_frame f;
	__u8 group[4];

	group_of(s, group);
	return verify_parse(frame, bytes, &f) && f.protocol == IPPROTO_IGMP &&
	       f.payload_bytes >= 8 && f.payload[0] == type && !memcmp(f.payload + 4, group, 4);
}

static bool is_join2(const struct shot *s, const __u8 *frame, size_t bytes)
{
	return is_message(s, frame, bytes, IGMP2_JOINED);
}

static bool is_leave2(const struct shot *s, const __u8 *frame, size_t bytes)
{
	return is_message(s, frame, bytes, IGMP2_LEFT);
}

/* ARP whose sender has the tunnel's address. */
static bool is_tunnel_arp(const struct shot *s, const __u8 *frame, size_t bytes)
{
	struct verify_frame f;
	struct in_addr tunnel;

	(void)s;
	inet_pton(AF_INET, VERIFY_TUNNEL4, &tunnel);
	return verify_parse(frame, bytes, &f) && f.type == ETH_P_ARP &&
	       f.payload_bytes >= CRAFT_ARP && !memcmp(f.payload + 14, &tunnel, sizeof(tunnel));
}

static int listen_at(struct shot *s)
{
	struct sockaddr_storage at;
	socklen_t length = verify_sockaddr("::", s->port, &at);

	s->fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (s->fd < 0 || bind(s->fd, (struct sockaddr *)&at, length) < 0)
		return -errno;
	return listen(s->fd, 4) < 0 ? -errno : 0;
}

/* An established connection to the server, which has nothing left to say. */
static int connect_to_server(struct shot *s)
{
	static struct provoke_flow flow; /* fire() runs in the same process */
	const struct timeval limit = { .tv_sec = PEER_S };
	struct sockaddr_storage at;
	socklen_t length = verify_sockaddr(VERIFY_WEB4, s->port, &at);

	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (s->fd < 0)
		return -errno;
	(void)setsockopt(s->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	(void)setsockopt(s->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (connect(s->fd, (struct sockaddr *)&at, length) < 0)
		return -errno;
	length = sizeof(at);
	if (getsockname(s->fd, (struct sockaddr *)&at, &length) < 0)
		return -errno;
	flow.port = ntohs(((struct sockaddr_in *)&at)->sin_port);
	s->data = &flow;
	return 0;
}

/* The side that closes first remembers the connection when it is over. */
static int finish(struct shot *s)
{
	int r = connect_to_server(s);
	char byte;

	if (r)
		return r;
	if (shutdown(s->fd, SHUT_WR) < 0 || recv(s->fd, &byte, 1, 0) < 0)
		return -errno;
	close(TAKE_FD(s->fd));
	return 0;
}

/* The server hears nothing of what is sent now: it will be sent again, and again. */
static int send_unheard(struct shot *s)
{
	const int every = 1; /* at a steady pace at first, not at ever longer intervals */
	__u8 payload[CONTENT];
	int r = connect_to_server(s);

	if (!r)
		r = verify_ip(s, VERIFY_ROUTER, "route add blackhole " VERIFY_WEB4 "/32");
	if (r)
		return r;
	verify_payload(s, payload, sizeof(payload));
	(void)setsockopt(s->fd, IPPROTO_TCP, TCP_THIN_LINEAR_TIMEOUTS, &every, sizeof(every));
	return send(s->fd, payload, sizeof(payload), 0) < 0 ? -errno : 0;
}

static __u32 retransmissions(const struct shot *s)
{
	struct tcp_info info = {};
	socklen_t length = sizeof(info);

	(void)getsockopt(s->fd, IPPROTO_TCP, TCP_INFO, &info, &length);
	return info.tcpi_total_retrans;
}

static bool has_retransmitted(struct shot *s)
{
	const __u32 *before = s->data;

	return retransmissions(s) > *before;
}

/* However long the fence took to come: silence counts only once the kernel has tried. */
static int await_retransmission(struct shot *s)
{
	static __u32 before;

	before = retransmissions(s);
	s->data = &before;
	return verify_until(has_retransmitted, s, RETRY_MS);
}

static int keep_alive(struct shot *s)
{
	const int one = 1;

	if (setsockopt(s->fd, IPPROTO_TCP, TCP_KEEPIDLE, &one, sizeof(one)) < 0 ||
	    setsockopt(s->fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one)) < 0)
		return -errno;
	return 0;
}

static int orphan(struct shot *s)
{
	close(TAKE_FD(s->fd));
	return 0;
}

static int abort_flow(struct shot *s)
{
	const struct linger now = { .l_onoff = 1 };

	(void)setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	return orphan(s);
}

static int forward4(struct shot *s)
{
	int r = verify_sysctl(s, VERIFY_CLIENT, "net/ipv4/ip_forward", "1");

	return r ? r : verify_ip(s, VERIFY_CLIENT, "neigh replace " VERIFY_LAN4 " lladdr "
				 VERIFY_ROUTER_MAC " dev eth0 nud permanent");
}

static int forward6(struct shot *s)
{
	return verify_sysctl(s, VERIFY_CLIENT, "net/ipv6/conf/all/forwarding", "1");
}

static int membership(struct shot *s, int option)
{
	struct ip_mreqn group = { .imr_ifindex = verify_ifindex("eth0") };

	group_of(s, (__u8 *)&group.imr_multiaddr);
	if (s->fd < 0)
		s->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (s->fd < 0 || setsockopt(s->fd, IPPROTO_IP, option, &group, sizeof(group)) < 0)
		return -errno;
	return 0;
}

static int join(struct shot *s)
{
	return membership(s, IP_ADD_MEMBERSHIP);
}

static int leave(struct shot *s)
{
	return membership(s, IP_DROP_MEMBERSHIP);
}

static int speak_igmp2(struct shot *s)
{
	return verify_sysctl(s, VERIFY_CLIENT, "net/ipv4/conf/eth0/force_igmp_version", "2");
}

static int join_igmp2(struct shot *s)
{
	int r = speak_igmp2(s);

	return r ? r : join(s);
}

/* Who has the tunnel's address? */
static int ask_for_tunnel(struct shot *s)
{
	__u8 frame[ETH_HLEN + CRAFT_ARP];

	(void)s;
	verify_ethernet(frame, "ff:ff:ff:ff:ff:ff", VERIFY_ROUTER_MAC, ETH_P_ARP);
	craft_arp(frame + ETH_HLEN, 1, VERIFY_ROUTER_MAC, VERIFY_ROUTER4, VERIFY_TUNNEL4);
	return verify_send_frame(PROVOKE_DEVICE, frame, sizeof(frame));
}

/* As a program that announces an address says it; both of the body's addresses are the same. */
static int announce_tunnel(struct shot *s)
{
	__u8 frame[ETH_HLEN + CRAFT_ARP];

	(void)s;
	verify_ethernet(frame, "ff:ff:ff:ff:ff:ff", VERIFY_CLIENT_MAC, ETH_P_ARP);
	craft_arp(frame + ETH_HLEN, 1, VERIFY_CLIENT_MAC, VERIFY_TUNNEL4, VERIFY_TUNNEL4);
	return verify_send_frame("eth0", frame, sizeof(frame));
}

/* The kernel's question for a neighbour names the sender of the packet that is to go there. */
static int ask_as_tunnel(struct shot *s)
{
	static const struct letter letter = { .to = TUNNEL_NEIGHBOUR, .from = VERIFY_TUNNEL4,
					      .device = "eth0" };

	return letter_send(s, &letter);
}

/* What the router sends, and what of it also comes in by the side door. */
#define BY_SIDE_DOOR(X)                                                                            \
	X(stray4) X(stray6) X(opening4) X(opening6) X(old_segment) X(second_opening)               \
	X(closed_udp4) X(closed_udp6) X(echo4) X(echo6) X(unknown4)

#define X(packet)                                                                                  \
	static int router_##packet(struct shot *s)                                                 \
	{                                                                                          \
		return provoke_by_router(s, provoke_##packet);                                     \
	}
PROVOKE_PACKETS(X)
#undef X

#define X(packet)                                                                                  \
	static int side_##packet(struct shot *s)                                                   \
	{                                                                                          \
		return provoke_by_side_door(s, provoke_##packet);                                  \
	}
BY_SIDE_DOOR(X)
#undef X

#define OLD_AT_ROUTER (VERIFY_BEFORE | VERIFY_AT_ROUTER)

static const struct vector vectors[] = {
	{ "reset", "RST for a stray segment", VERIFY_AT_ROUTER, 0, NULL, router_stray4, is_reset },
	{ "reset6", "RST for a stray segment by IPv6", VERIFY_AT_ROUTER, 0, NULL, router_stray6,
	  is_reset },
	{ "reset-side", "RST for a stray segment that came another way", 0, 0, NULL, side_stray4,
	  is_reset },
	{ "reset6-side", "RST for a stray IPv6 segment that came another way", 0, 0, NULL,
	  side_stray6, is_reset },
	{ "syn-ack", "SYN-ACK of a listener", VERIFY_AT_ROUTER, 0, listen_at, router_opening4,
	  is_acceptance },
	{ "syn-ack6", "SYN-ACK of a listener by IPv6", VERIFY_AT_ROUTER, 0, listen_at,
	  router_opening6, is_acceptance },
	{ "syn-ack-side", "SYN-ACK for a SYN that came another way", 0, 0, listen_at,
	  side_opening4, is_acceptance },
	{ "syn-ack6-side", "SYN-ACK for an IPv6 SYN that came another way", 0, 0, listen_at,
	  side_opening6, is_acceptance },
	{ "time-wait", "ACK of a socket in TIME_WAIT", OLD_AT_ROUTER, 0, finish,
	  router_old_segment, is_acknowledgement },
	{ "time-wait-side", "ACK of a socket in TIME_WAIT to what came another way",
	  VERIFY_BEFORE, 0, finish, side_old_segment, is_acknowledgement },
	{ "challenge", "challenge ACK of a connection from before the fence", OLD_AT_ROUTER, 0,
	  connect_to_server, router_second_opening, is_acknowledgement },
	{ "challenge-side", "challenge ACK for a SYN that came another way", VERIFY_BEFORE, 0,
	  connect_to_server, side_second_opening, is_acknowledgement },
	{ "keepalive", "keepalive of a connection from before the fence", VERIFY_BEFORE, 1300,
	  connect_to_server, keep_alive, is_acknowledgement },
	{ "retransmission", "data from before the fence, sent again", VERIFY_BEFORE, 0,
	  send_unheard, await_retransmission, NULL },
	{ "orphan", "FIN of a connection from before the fence", VERIFY_BEFORE, 0,
	  connect_to_server, orphan, is_end },
	{ "orphan-reset", "RST of a connection from before the fence", VERIFY_BEFORE, 0,
	  connect_to_server, abort_flow, is_end },
	{ "unreachable", "ICMP port unreachable", VERIFY_AT_ROUTER, 0, NULL, router_closed_udp4,
	  NULL },
	{ "unreachable6", "ICMPv6 port unreachable", VERIFY_AT_ROUTER, 0, NULL,
	  router_closed_udp6, NULL },
	{ "unreachable-side", "ICMP port unreachable for what came another way", 0, 0, NULL,
	  side_closed_udp4, NULL },
	{ "unreachable6-side", "ICMPv6 port unreachable for what came another way", 0, 0, NULL,
	  side_closed_udp6, NULL },
	{ "protocol", "ICMP protocol unreachable", VERIFY_AT_ROUTER, 0, NULL, router_unknown4,
	  NULL },
	{ "protocol-side", "ICMP protocol unreachable for what came another way", 0, 0, NULL,
	  side_unknown4, NULL },
	{ "parameter", "ICMP parameter problem", VERIFY_AT_ROUTER, 0, NULL, router_bad_option4,
	  NULL },
	{ "parameter6", "ICMPv6 parameter problem", VERIFY_AT_ROUTER, 0, NULL, router_unknown6,
	  NULL },
	{ "echo", "ICMP echo reply", VERIFY_AT_ROUTER, 0, NULL, router_echo4, NULL },
	{ "echo6", "ICMPv6 echo reply", VERIFY_AT_ROUTER, 0, NULL, router_echo6, NULL },
	{ "echo-side", "ICMP echo reply to what came another way", 0, 0, NULL, side_echo4, NULL },
	{ "echo6-side", "ICMPv6 echo reply to what came another way", 0, 0, NULL, side_echo6,
	  NULL },
	{ "echo6-to-all", "ICMPv6 echo reply to a ping of all nodes", VERIFY_AT_ROUTER, 0, NULL,
	  router_echo6_to_all, NULL },
	{ "timestamp", "ICMP timestamp reply", VERIFY_AT_ROUTER, 0, NULL, router_timestamp4,
	  NULL },
	{ "time-exceeded", "ICMP time exceeded, by a machine that forwards", VERIFY_AT_ROUTER, 0,
	  forward4, router_dying4, NULL },
	{ "time-exceeded6", "ICMPv6 time exceeded, by a machine that forwards", VERIFY_AT_ROUTER, 0,
	  forward6, router_dying6, NULL },
	{ "redirect", "ICMP redirect, by a machine that forwards", VERIFY_AT_ROUTER, 0, forward4,
	  router_detour4, is_redirect },
	{ "igmp-join", "IGMPv3 report of a group joined", 0, 100, NULL, join, is_join3 },
	{ "igmp-leave", "IGMPv3 report of a group left", VERIFY_BEFORE, 100, join, leave,
	  is_leave3 },
	{ "igmp2-join", "IGMPv2 report of a group joined", 0, 100, speak_igmp2, join, is_join2 },
	{ "igmp2-leave", "IGMPv2 message of a group left", VERIFY_BEFORE, 100, join_igmp2, leave,
	  is_leave2 },
	{ "igmp2-answer", "IGMPv2 report that a query asks for", OLD_AT_ROUTER, 300, join_igmp2,
	  router_group_query, is_join2 },
	{ "arp-answer", "ARP answer for the tunnel's address", VERIFY_AT_ROUTER | VERIFY_TUNNEL_UP,
	  0, NULL, ask_for_tunnel, is_tunnel_arp },
	{ "arp-announcement", "ARP announcement of the tunnel's address", VERIFY_TUNNEL_UP, 0, NULL,
	  announce_tunnel, is_tunnel_arp },
	{ "arp-question", "ARP question that names the tunnel's address", VERIFY_TUNNEL_UP, 0, NULL,
	  ask_as_tunnel, is_tunnel_arp },
};

const struct vector_group vectors_kernel = { "kernel", vectors, ARRAY_SIZE(vectors) };
