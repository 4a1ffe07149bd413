// SPDX-License-Identifier: GPL-2.0
/*
 * Vectors: the way out is steered. Routes as a hostile DHCP server or router gives them, the
 * LocalNet and ServerIP attacks of TunnelCrack, rules and metrics, and uplinks that were plugged
 * in, renamed, re-created or moved a moment ago, with nobody to tell the fence. Never judges.
 *
 * What is left out: AF_PACKET, ARP, and bridged or macvlan guests on an uplink that no "tunfence
 * sync" has seen yet, or that went to a container before one did. It is a limit that the manual
 * tells.
 */
#define _GNU_SOURCE /* ip_mreqn, usleep */

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bytes.h"
#include "util.h"
#include "vectors_scene.h"

enum {
	ROOM = 256,
	PAYLOAD = 64,
	FLOWS = 32,           /* datagrams to different ports: a route with two hops uses both */
	RA_OPTION = 32,
	OPTION_PREFIX = 3,
	OPTION_ROUTE = 24,    /* RFC 4191 */
	HIGH_PREFERENCE = 8,  /* likewise */
	LIFETIME = 600,
	RA_WAIT_MS = 1000,
	IGMP_WAIT_US = 50000,
	ICMP_ECHO_REQUEST = 8,
	ICMP6_ECHO_REQUEST = 128,
	ICMP6_RA = 134,
	TCP_SYN = 2,
	TCP_RST = 4,
	STRAY_SEQUENCE = 1000,
};

#define ALL_NODES_MAC "33:33:00:00:00:01"
#define WEB6_RANGE "2001:db8:51::"
#define GROUP "239.77.77.77"
#define PLUG_NEAR_MAC "02:00:00:00:78:02"
#define PLUG_FAR_MAC "02:00:00:00:78:01"
#define PLUG_NEAR4 "192.168.78.2"
#define PLUG_FAR4 "192.168.78.1"
#define PLUG_NEAR6 "2001:db8:78::2"
#define PLUG_FAR6 "2001:db8:78::1"

/* ---- scenes ---------------------------------------------------------------------------------- */

#define VIA_ROUTER " via " VERIFY_ROUTER4 " dev eth0\n"
#define OPTION_121                                                                                 \
	"client ip route add 0.0.0.0/1" VIA_ROUTER                                                 \
	"client ip route add 128.0.0.0/1" VIA_ROUTER
/* An address in the victim's range: the victim seems to be on the link. */
#define LOCAL_NET                                                                                  \
	"client ip addr add 198.51.100.7/24 dev eth0\n"                                            \
	"client ip neigh replace " VERIFY_WEB4 " lladdr " VERIFY_ROUTER_MAC " dev eth0\n"
#define NEIGHBOUR6                                                                                 \
	"client ip neigh replace " VERIFY_WEB6 " lladdr " VERIFY_ROUTER_MAC " dev eth0\n"
#define LOCAL_NET6 "client ip addr add 2001:db8:51::7/64 dev eth0 nodad\n" NEIGHBOUR6
#define RULE(WHAT)                                                                                 \
	"client ip route add default table 77" VIA_ROUTER "client ip rule add " WHAT               \
	" lookup 77 priority 7\n"

#define ACCEPT_RA                                                                                  \
	"client set net/ipv6/conf/eth0/accept_ra 2\n"                                              \
	"client set net/ipv6/conf/eth0/autoconf 1\n"
#define ACCEPT_RA_ROUTES "?client set net/ipv6/conf/eth0/accept_ra_rt_info_max_plen 128\n"

#define RENAME                                                                                     \
	"client ip link set plug0 down\n"                                                          \
	"client ip link set plug0 name wan9\n"                                                     \
	"client ip link set wan9 up\n"                                                             \
	"client ip neigh replace 192.168.78.1 lladdr " PLUG_FAR_MAC " dev wan9\n"                  \
	"client ip route replace " VERIFY_WEB4 "/32 via 192.168.78.1 dev wan9\n"
#define MOVE_AWAY                                                                                  \
	"client ip link set plug0 netns @guest\n"                                                  \
	"guest ip addr add 192.168.78.2/24 dev plug0\n"                                            \
	"guest ip link set plug0 up\n"                                                             \
	"guest ip neigh replace 192.168.78.1 lladdr " PLUG_FAR_MAC " dev plug0\n"                  \
	"guest ip route replace " VERIFY_WEB4 "/32 via 192.168.78.1 dev plug0\n"
#define MOVE_BACK                                                                                  \
	"client ip link set plug0 netns @guest\n"                                                  \
	"guest ip link set plug0 netns @client\n" SCENE_PLUG_ADDRESSES SCENE_PLUG_ROUTES
#define RECREATE "client ip link del plug0\n" SCENE_PLUG

/* ---- senders --------------------------------------------------------------------------------- */

/* The endpoint's own address has a route past the tunnel; here it is asked for something else. */
static int udp_to_endpoint(struct shot *s)
{
	return scene_udp(s, VERIFY_VPN4);
}

static int udp_from_uplink(struct shot *s)
{
	return scene_udp_from(s, VERIFY_CLIENT4, NULL, s->port);
}

static int udp_bound_to_plug(struct shot *s)
{
	return scene_udp_from(s, NULL, "plug0", s->port);
}

/* Each port hashes to one of the two hops. */
static int udp_to_many_ports(struct shot *s)
{
	int i, r, refused = 0;

	for (i = 0; i < FLOWS; i++) {
		r = scene_udp_from(s, NULL, NULL, (__u16)(s->port + i));
		if (r)
			refused = r;
	}
	return refused;
}

/* ---- router advertisements: the router sends real ones --------------------------------------- */

/* The range of the web server is on this link, and an address in it is to be had. */
static size_t prefix_option(__u8 to[RA_OPTION])
{
	memset(to, 0, RA_OPTION);
	to[0] = OPTION_PREFIX;
	to[1] = 4; /* times eight bytes */
	to[2] = 64;
	to[3] = 0xc0;
	put32(to + 4, LIFETIME);
	put32(to + 8, LIFETIME);
	inet_pton(AF_INET6, WEB6_RANGE, to + 16);
	return 32;
}

/* The way to it is by this router, which is a very good one. */
static size_t route_option(__u8 to[RA_OPTION])
{
	memset(to, 0, RA_OPTION);
	to[0] = OPTION_ROUTE;
	to[1] = 3;
	to[2] = 64;
	to[3] = HIGH_PREFERENCE;
	put32(to + 4, LIFETIME);
	inet_pton(AF_INET6, WEB6_RANGE, to + 8);
	return 24;
}

/* From the router's link-local address to all nodes; it is no default router. */
static int send_ra(size_t (*put_option)(__u8 to[RA_OPTION]))
{
	__u8 packet[ROOM], body[8 + RA_OPTION] = {}; /* reachable and retransmit time: not said */
	struct scene_icmp ra = {
		.type = ICMP6_RA,
		.rest = { 64 },
		.payload = body,
		.bytes = 8 + put_option(body + 8),
	};

	return scene_send_ip(SCENE_ROUTER_DEVICE, ALL_NODES_MAC, VERIFY_ROUTER_MAC, packet,
			     scene_icmp6(packet, VERIFY_ROUTER_LINK, "ff02::1", &ra));
}

/* Whether the kernel would take another source than the tunnel's. */
static bool is_steered(struct shot *s)
{
	struct sockaddr_storage tunnel, source, to;
	socklen_t length = verify_sockaddr(VERIFY_WEB6, s->port, &to);
	_cleanup_close_ int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	verify_sockaddr(VERIFY_TUNNEL6, 0, &tunnel);
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, length) < 0)
		return false;
	length = sizeof(source);
	if (getsockname(fd, (struct sockaddr *)&source, &length) < 0)
		return false;
	return memcmp(&((struct sockaddr_in6 *)&source)->sin6_addr,
		      &((struct sockaddr_in6 *)&tunnel)->sin6_addr, sizeof(struct in6_addr)) != 0;
}

static int advertise(struct shot *s, size_t (*put_option)(__u8 to[RA_OPTION]))
{
	int r = verify_enter(s, VERIFY_ROUTER), back;

	if (!r)
		r = send_ra(put_option);
	back = verify_enter(s, VERIFY_CLIENT);
	if (r || back)
		return r ? r : back;
	verify_until(is_steered, s, RA_WAIT_MS); /* if it was not heeded, the packet shows it */
	return scene_udp(s, VERIFY_WEB6);
}

static int ra_route(struct shot *s)
{
	return advertise(s, route_option);
}

static int ra_prefix(struct shot *s)
{
	return advertise(s, prefix_option);
}

/* ---- uplinks that changed a moment ago ------------------------------------------------------- */

static int frame_by(const struct shot *s, const char *device)
{
	__u8 frame[ROOM], payload[PAYLOAD];
	size_t bytes = verify_ethernet(frame, PLUG_FAR_MAC, PLUG_NEAR_MAC, ETH_P_IP);

	verify_payload(s, payload, sizeof(payload));
	bytes += verify_udp4(frame + bytes, PLUG_NEAR4, VERIFY_WEB4, s->port, s->port, payload,
			     sizeof(payload));
	return verify_send_frame(device, frame, bytes);
}

static int renamed_udp(struct shot *s)
{
	int r = scene_run(s, RENAME);

	return r ? r : scene_udp(s, VERIFY_WEB4);
}

static int renamed_frame(struct shot *s)
{
	int r = scene_run(s, RENAME);

	return r ? r : frame_by(s, "wan9");
}

static int moved_udp(struct shot *s)
{
	int r = scene_run(s, MOVE_AWAY);

	return r ? r : scene_guest_udp4(s);
}

static int moved_frame(struct shot *s)
{
	int r = scene_run(s, MOVE_AWAY);

	if (!r)
		r = scene_enter(s, SCENE_GUEST);
	return r ? r : frame_by(s, "plug0");
}

static int returned_udp(struct shot *s)
{
	int r = scene_run(s, MOVE_BACK);

	return r ? r : scene_udp(s, VERIFY_WEB4);
}

static int returned_frame(struct shot *s)
{
	int r = scene_run(s, MOVE_BACK);

	return r ? r : frame_by(s, "plug0");
}

static int recreated_udp(struct shot *s)
{
	int r = scene_run(s, RECREATE);

	return r ? r : scene_udp(s, VERIFY_WEB4);
}

/* The container comes after the fence too, so that nothing stops its packet where it comes in. */
static int recreated_guest_udp(struct shot *s)
{
	int r = scene_run(s, RECREATE SCENE_BEHIND_VETH);

	return r ? r : scene_guest_udp4(s);
}

/* The kernel reports the membership by itself. */
static int join_group(struct shot *s)
{
	struct ip_mreqn group = { .imr_ifindex = verify_ifindex("plug0") };

	s->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (s->fd < 0)
		return -errno;
	inet_pton(AF_INET, GROUP, &group.imr_multiaddr);
	if (setsockopt(s->fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof(group)) < 0)
		return -errno;
	usleep(IGMP_WAIT_US); /* the socket must live as long as it takes the kernel */
	return 0;
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

/* Asked from the far end of the new link. */
static int ask_plug(const __u8 *packet, size_t bytes)
{
	return scene_send_ip("far-plug0", PLUG_NEAR_MAC, PLUG_FAR_MAC, packet, bytes);
}

static int ask_echo4(struct shot *s)
{
	__u8 packet[ROOM], payload[PAYLOAD];
	struct scene_icmp echo = { .type = ICMP_ECHO_REQUEST, .payload = payload,
				   .bytes = sizeof(payload) };

	verify_payload(s, payload, sizeof(payload));
	return ask_plug(packet, scene_icmp4(packet, PLUG_FAR4, PLUG_NEAR4, &echo));
}

static int ask_echo6(struct shot *s)
{
	__u8 packet[ROOM], payload[PAYLOAD];
	struct scene_icmp echo = { .type = ICMP6_ECHO_REQUEST, .payload = payload,
				   .bytes = sizeof(payload) };

	verify_payload(s, payload, sizeof(payload));
	return ask_plug(packet, scene_icmp6(packet, PLUG_FAR6, PLUG_NEAR6, &echo));
}

static int ask_udp(struct shot *s)
{
	__u8 packet[ROOM], payload[PAYLOAD];

	verify_payload(s, payload, sizeof(payload));
	return ask_plug(packet, verify_udp4(packet, PLUG_FAR4, PLUG_NEAR4, s->port, s->port,
					    payload, sizeof(payload)));
}

static int ask_tcp(struct shot *s)
{
	__u8 packet[ROOM];

	return ask_plug(packet, verify_tcp4(packet, PLUG_FAR4, PLUG_NEAR4, s->port, s->port,
					    TCP_SYN, STRAY_SEQUENCE, 0, NULL, 0));
}

static bool is_reset(const struct shot *s, const __u8 *frame, size_t bytes)
{
	struct verify_frame f;

	return verify_parse(frame, bytes, &f) && f.protocol == IPPROTO_TCP &&
	       f.tcp_flags & TCP_RST && f.sport == s->port && f.dport == s->port;
}

/* ---- the lists ------------------------------------------------------------------------------- */

static int prepare(struct shot *s);

/* X(name, summary, flags, prepare, fire, is_it, scene) */
#define STEERED(X)                                                                                 \
	X("route-option-121", "DHCP gives two routes of /1",                                       \
	  VERIFY_TUNNEL_UP, prepare, scene_udp4, NULL, OPTION_121)                                 \
	X("route-host", "a route for one host",                                                    \
	  VERIFY_TUNNEL_UP, prepare, scene_udp4, NULL,                                             \
	  "client ip route add " VERIFY_WEB4 "/32" VIA_ROUTER)                                     \
	X("route-host6", "a route for one host, IPv6",                                             \
	  VERIFY_TUNNEL_UP, prepare, scene_udp6, NULL,                                             \
	  "client ip route add " VERIFY_WEB6 "/128 via " VERIFY_ROUTER6 " dev eth0\n")             \
	X("route-metric", "a default route that is preferred",                                     \
	  VERIFY_TUNNEL_UP, prepare, scene_udp4, NULL,                                             \
	  "client ip route prepend default" VIA_ROUTER)                                            \
	X("route-tunnel-down", "the tunnel's device goes down, its routes with it",                \
	  VERIFY_TUNNEL_UP, prepare, scene_udp4, NULL, "client ip link set wg0 down\n")            \
	X("route-blackhole", "the blackhole that held it is gone",                                 \
	  0, prepare, scene_udp4, NULL,                                                            \
	  "client ip route add blackhole default metric 1\n"                                       \
	  "client ip route del blackhole default metric 1\n")                                      \
	X("route-rule", "a policy rule for one host",                                              \
	  VERIFY_TUNNEL_UP, prepare, scene_udp4, NULL, RULE("to " VERIFY_WEB4))                    \
	X("route-rule-main", "a policy rule before all others",                                    \
	  VERIFY_TUNNEL_UP, prepare, scene_udp4, NULL, RULE("from all"))                           \
	X("route-source", "a policy rule for the uplink's address, and a socket bound to it",      \
	  VERIFY_TUNNEL_UP, prepare, udp_from_uplink, NULL, RULE("from " VERIFY_CLIENT4))          \
	X("route-multipath", "two hops, one is the tunnel",                                        \
	  VERIFY_TUNNEL_UP, prepare, udp_to_many_ports, NULL,                                      \
	  "client set net/ipv4/fib_multipath_hash_policy 1\n"                                      \
	  "client ip route add " VERIFY_WEB4 "/32 nexthop via " VERIFY_ROUTER4                     \
	  " dev eth0 nexthop dev wg0\n")                                                           \
	X("route-onlink", "a gateway that is on no link",                                          \
	  VERIFY_TUNNEL_UP, prepare, scene_udp4, NULL,                                             \
	  "client ip neigh replace 203.0.113.99 lladdr " VERIFY_ROUTER_MAC " dev eth0\n"           \
	  "client ip route add " VERIFY_WEB4 "/32 via 203.0.113.99 dev eth0 onlink\n")             \
	X("route-nexthop", "a route by a nexthop object",                                          \
	  VERIFY_TUNNEL_UP, prepare, scene_udp4, NULL,                                             \
	  "?client ip nexthop add id 77" VIA_ROUTER "client ip route add " VERIFY_WEB4             \
	  "/32 nhid 77\n")                                                                         \
	X("localnet-udp4", "LocalNet: the victim's range is the link's",                           \
	  VERIFY_TUNNEL_UP, prepare, scene_udp4, NULL, LOCAL_NET)                                  \
	X("localnet-udp6", "LocalNet: the victim's range is the link's, IPv6",                     \
	  VERIFY_TUNNEL_UP, prepare, scene_udp6, NULL, LOCAL_NET6)                                 \
	X("serverip-udp", "ServerIP: what else goes to the endpoint's address",                    \
	  VERIFY_TUNNEL_UP, prepare, udp_to_endpoint, NULL, NULL)                                  \
	X("ra-route", "a router advertises a route",                                               \
	  VERIFY_TUNNEL_UP, prepare, ra_route, NULL, ACCEPT_RA ACCEPT_RA_ROUTES)                   \
	X("ra-prefix", "a router says that the victim is on the link",                             \
	  VERIFY_TUNNEL_UP, prepare, ra_prefix, NULL, ACCEPT_RA NEIGHBOUR6)

#define FRESH(X)                                                                                   \
	X("plug-udp4", "a new uplink: the machine's own socket",                                   \
	  0, prepare, scene_udp4, NULL, SCENE_PLUG)                                                \
	X("plug-udp6", "a new uplink: the machine's own socket, IPv6",                             \
	  0, prepare, scene_udp6, NULL, SCENE_PLUG)                                                \
	X("plug-bound", "a new uplink: a socket bound to it while the tunnel is up",               \
	  VERIFY_TUNNEL_UP, prepare, udp_bound_to_plug, NULL, SCENE_PLUG)                          \
	X("plug-forward4", "a new uplink: a container's packet, routed to it",                     \
	  0, prepare, scene_guest_udp4, NULL, SCENE_BEHIND_VETH SCENE_PLUG)                        \
	X("plug-forward6", "a new uplink: a container's packet, IPv6",                             \
	  0, prepare, scene_guest_udp6, NULL, SCENE_BEHIND_VETH SCENE_PLUG)                        \
	X("plug-igmp", "a new uplink: the kernel reports a membership (IGMP)",                     \
	  0, prepare, join_group, is_igmp, SCENE_PLUG)                                             \
	X("plug-echo4", "a new uplink: a ping is answered",                                        \
	  VERIFY_AT_ROUTER, prepare, ask_echo4, NULL, SCENE_PLUG)                                  \
	X("plug-echo6", "a new uplink: a ping is answered, IPv6",                                  \
	  VERIFY_AT_ROUTER, prepare, ask_echo6, NULL, SCENE_PLUG)                                  \
	X("plug-unreachable", "a new uplink: an error for a closed UDP port",                      \
	  VERIFY_AT_ROUTER, prepare, ask_udp, NULL, SCENE_PLUG)                                    \
	X("plug-reset", "a new uplink: a reset for a closed TCP port",                             \
	  VERIFY_AT_ROUTER, prepare, ask_tcp, is_reset, SCENE_PLUG)

#define CHANGED(X)                                                                                 \
	X("renamed-udp4", "an uplink is renamed",                                                  \
	  VERIFY_BEFORE, prepare, renamed_udp, NULL, SCENE_PLUG)                                   \
	X("renamed-frame", "an uplink is renamed: a frame by AF_PACKET",                           \
	  VERIFY_BEFORE, prepare, renamed_frame, NULL, SCENE_PLUG)                                 \
	X("moved-udp4", "an uplink moves into a container, which uses it",                         \
	  VERIFY_BEFORE, prepare, moved_udp, NULL, SCENE_PLUG)                                     \
	X("moved-frame", "an uplink moves into a container: a frame by AF_PACKET",                 \
	  VERIFY_BEFORE, prepare, moved_frame, NULL, SCENE_PLUG)                                   \
	X("returned-udp4", "an uplink moves into a container and back",                            \
	  VERIFY_BEFORE, prepare, returned_udp, NULL, SCENE_PLUG)                                  \
	X("returned-frame", "an uplink moves and comes back: a frame by AF_PACKET",                \
	  VERIFY_BEFORE, prepare, returned_frame, NULL, SCENE_PLUG)                                \
	X("recreated-udp4", "an uplink is deleted and made again",                                 \
	  VERIFY_BEFORE, prepare, recreated_udp, NULL, SCENE_PLUG)                                 \
	X("recreated-forward", "an uplink is made again: a container's packet",                    \
	  VERIFY_BEFORE, prepare, recreated_guest_udp, NULL, SCENE_PLUG)

#define VECTORS(X) STEERED(X) FRESH(X) CHANGED(X)

static const struct scene scenes[] = { VECTORS(SCENE_TEXT) };

static int prepare(struct shot *s)
{
	return scene_build(s, scenes, ARRAY_SIZE(scenes));
}

static const struct vector vectors[] = { VECTORS(SCENE_VECTOR) };

const struct vector_group vectors_route = {
	.name = "route",
	.vectors = vectors,
	.count = ARRAY_SIZE(vectors),
};
