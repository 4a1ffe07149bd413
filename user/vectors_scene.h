/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Scenes: for vectors that need containers, devices or routes. A scene is a text, in the row of its
 * vector: what to build before it is fired, one line each.
 *
 *     [?]PLACE TOOL WORD...       run a tool: ip, tc, nft, ...; no shell, no quotes
 *     [?]PLACE set NAME VALUE     a sysctl, as in "net/ipv4/ip_forward"
 *     PLACE plug NAME             one more link to the router, just plugged in
 *     client await NAME           until the client's device is at work: verify_await_device()
 *
 * PLACE is client, router, guest (a container's namespace) or inner (a container in the container);
 * the latter are made when first named. "@guest" and the like as a word is the path of that
 * namespace. A line that starts with '?' asks for what not every machine has: if it fails, the
 * vector is not tested. Any other line that fails is a mistake of ours.
 */
#ifndef TUNFENCE_VECTORS_SCENE_H
#define TUNFENCE_VECTORS_SCENE_H

#include "verify.h"

struct scene {
	const char *vector; /* its name */
	const char *text;
};

/* A namespace that a scene made. */
enum scene_place { SCENE_GUEST, SCENE_INNER, SCENE_PLACES };

/* Builds the scene of the shot's vector. 0, -EOPNOTSUPP or -ENOENT if a '?' line failed, else
 * -errno. Afterwards s->data knows the namespaces. */
int scene_build(struct shot *s, const struct scene *scenes, size_t count);

/* Runs more lines in a scene that was built. */
int scene_run(const struct shot *s, const char *text);

/* Enters a namespace that the scene made. -EINVAL: it made none. */
int scene_enter(const struct shot *s, enum scene_place place);

/*
 * A group is one list: X(name, summary, flags, prepare, fire, is_it, scene). What is forwarded
 * takes its time, so all of them linger.
 */
#define SCENE_VECTOR(NAME, SUMMARY, FLAGS, PREPARE, FIRE, IS_IT, TEXT)                             \
	{ .name = (NAME),                                                                          \
	  .summary = (SUMMARY),                                                                    \
	  .flags = (FLAGS),                                                                        \
	  .linger_ms = SCENE_LINGER_MS,                                                            \
	  .prepare = (PREPARE),                                                                    \
	  .fire = (FIRE),                                                                          \
	  .is_it = (IS_IT) },
#define SCENE_TEXT(NAME, SUMMARY, FLAGS, PREPARE, FIRE, IS_IT, TEXT)                               \
	{ .vector = (NAME), .text = (TEXT) },

enum { SCENE_LINGER_MS = 20 };

/* Pieces of scenes. Neighbours are told, so that the first packet is not a question. */
#define SCENE_FORWARDING                                                                           \
	"client set net/ipv4/ip_forward 1\n"                                                       \
	"client set net/ipv6/conf/all/forwarding 1\n"

/* What a container behind a veth has: 10.99.0.2 and fd99::2, by g0; the client's end is c0. */
#define SCENE_GUEST_MAC "02:00:00:00:99:02"
#define SCENE_GATE_MAC "02:00:00:00:99:01"
#define SCENE_BEHIND_VETH                                                                          \
	SCENE_FORWARDING                                                                           \
	"client ip link add c0 address " SCENE_GATE_MAC " type veth peer name g0 address "         \
	SCENE_GUEST_MAC " netns @guest\n"                                                          \
	"client ip addr add 10.99.0.1/24 dev c0\n"                                                 \
	"client ip addr add fd99::1/64 dev c0 nodad\n"                                             \
	"client ip link set c0 up\n"                                                               \
	"guest ip addr add 10.99.0.2/24 dev g0\n"                                                  \
	"guest ip addr add fd99::2/64 dev g0 nodad\n"                                              \
	"guest ip link set g0 up\n"                                                                \
	"guest ip neigh replace 10.99.0.1 lladdr " SCENE_GATE_MAC " dev g0\n"                      \
	"guest ip neigh replace fd99::1 lladdr " SCENE_GATE_MAC " dev g0\n"                        \
	"client ip neigh replace 10.99.0.2 lladdr " SCENE_GUEST_MAC " dev c0\n"                    \
	"client ip neigh replace fd99::2 lladdr " SCENE_GUEST_MAC " dev c0\n"                      \
	"guest ip route add default via 10.99.0.1\n"                                               \
	"guest ip route add default via fd99::1\n"

/* Far-away addresses by way of the router on this device: it has just got its addresses. */
#define SCENE_ROUTER_BY(PLACE, DEVICE)                                                             \
	PLACE " ip neigh replace " VERIFY_ROUTER4 " lladdr " VERIFY_ROUTER_MAC " dev " DEVICE "\n" \
	PLACE " ip neigh replace " VERIFY_ROUTER6 " lladdr " VERIFY_ROUTER_MAC " dev " DEVICE "\n" \
	PLACE " ip route replace default via " VERIFY_ROUTER4 " dev " DEVICE "\n"                  \
	PLACE " ip route replace default via " VERIFY_ROUTER6 " dev " DEVICE "\n"

/* A container whose g0 is on the physical link itself. */
#define SCENE_ON_LINK                                                                              \
	"guest ip addr add 192.168.77.9/24 dev g0\n"                                               \
	"guest ip addr add 2001:db8:77::9/64 dev g0 nodad\n"                                       \
	"guest ip link set g0 up\n"                                                                \
	SCENE_ROUTER_BY("guest", "g0")

/* A rule of the client's own packet filter. */
#define SCENE_NFT(TABLE, CHAIN_TYPE, RULE)                                                         \
	"?client nft add table " TABLE " t\n"                                                      \
	"?client nft add chain " TABLE " t c { type " CHAIN_TYPE " ; }\n"                          \
	"?client nft add rule " TABLE " t c " RULE "\n"

/* A device on top of the uplink which has a way to the web server of its own. */
#define SCENE_STACKED(NAME, LINK)                                                                  \
	"?client ip link add " LINK "\n"                                                           \
	"client ip addr add 10.97.0.2/24 dev " NAME "\n"                                           \
	"client ip link set " NAME " up\n"                                                         \
	"client ip neigh replace 10.97.0.1 lladdr " VERIFY_ROUTER_MAC " dev " NAME "\n"            \
	"client ip route replace " VERIFY_WEB4 "/32 via 10.97.0.1 dev " NAME "\n"

/* A second way out, plug0, that came a moment ago; the router knows no more of it than its MAC. */
#define SCENE_PLUG_ADDRESSES                                                                       \
	"router ip link set far-plug0 address 02:00:00:00:78:01 up\n"                              \
	"client ip addr add 192.168.78.2/24 dev plug0\n"                                           \
	"client ip addr add 2001:db8:78::2/64 dev plug0 nodad\n"                                   \
	"client ip link set plug0 address 02:00:00:00:78:02 up\n"                                  \
	"client ip neigh replace 192.168.78.1 lladdr 02:00:00:00:78:01 dev plug0\n"                \
	"client ip neigh replace 2001:db8:78::1 lladdr 02:00:00:00:78:01 dev plug0\n"
#define SCENE_PLUG_ROUTES                                                                          \
	"client ip route replace " VERIFY_WEB4 "/32 via 192.168.78.1 dev plug0\n"                  \
	"client ip route replace " VERIFY_WEB6 "/128 via 2001:db8:78::1 dev plug0\n"
#define SCENE_PLUG "client plug plug0\n" SCENE_PLUG_ADDRESSES SCENE_PLUG_ROUTES

/* A datagram with the token to the shot's port of an address. */
int scene_udp(const struct shot *s, const char *to);

/* To a port of the web server, from an address or by a device that one chose; NULL chooses none. */
int scene_udp_from(const struct shot *s, const char *source, const char *device, __u16 port);

/* For fire(): to the shot's port of the web server, by the client itself or by a container. */
int scene_udp4(struct shot *s);
int scene_udp6(struct shot *s);
int scene_guest_udp4(struct shot *s);
int scene_guest_udp6(struct shot *s);

/* The router's end of the client's eth0. */
#define SCENE_ROUTER_DEVICE "client"

/* Sends an IP packet in a frame. */
int scene_send_ip(const char *device, const char *to_mac, const char *from_mac, const __u8 *packet,
		  size_t bytes);

/* ICMP by hand, checksums right; each returns the packet's length. */
struct scene_icmp {
	__u8 type, code;
	__u8 rest[4]; /* of the header */
	const void *payload;
	size_t bytes;
};

size_t scene_icmp4(__u8 *to, const char *src, const char *dst, const struct scene_icmp *icmp);
size_t scene_icmp6(__u8 *to, const char *src, const char *dst, const struct scene_icmp *icmp);

/* Makes an IPv4 packet one of another protocol. */
void scene_set_protocol4(__u8 *ip, __u8 protocol);

#endif
