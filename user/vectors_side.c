// SPDX-License-Identifier: GPL-2.0
/*
 * Vectors: packets in other clothes. Copied or redirected by the machine's own rules (tc, nft,
 * iptables), or wrapped into a side tunnel that was made on the machine: what leaves by the uplink
 * is the kernel's, with other addresses and headers than the program chose. Never judges.
 */
#include <stdlib.h>

#include "util.h"
#include "vectors_scene.h"

#define SIDE_FAR4 "10.98.0.9" /* behind a side tunnel */
#define SIDE_FAR6 "fd98::9"
#define SPI "0x74666573"

/* ---- scenes ---------------------------------------------------------------------------------- */

/* The far end of a side tunnel plays no part: its packets are seen before they get there. */
#define SIDE_UP                                                                                    \
	"client ip addr add 10.98.0.1/24 dev side0\n"                                              \
	"client ip link set side0 up\n"
#define SIDE_6                                                                                     \
	"client ip addr add fd98::1/64 dev side0 nodad\n"
#define SIDE(LINK) "?client ip link add side0 " LINK "\n" SIDE_UP
#define SIDE_ETHERNET(LINK)                                                                        \
	SIDE(LINK) "client ip neigh replace " SIDE_FAR4 " lladdr 02:00:00:00:98:09 dev side0\n"
#define ENDS4 "local " VERIFY_CLIENT4 " remote " VERIFY_WEB4
#define ENDS6 "local " VERIFY_CLIENT6 " remote " VERIFY_WEB6
/* In UDP: once the fence is up the kernel's own connect() is refused, and ip(8) with it. */
#define L2TP(ENCAP)                                                                                \
	"?client ip l2tp add tunnel tunnel_id 1 peer_tunnel_id 1 encap " ENCAP " " ENDS4 "\n"      \
	"?client ip l2tp add session name side0 tunnel_id 1 session_id 1 peer_session_id 1\n"      \
	SIDE_UP                                                                                    \
	"client ip neigh replace " SIDE_FAR4 " lladdr 02:00:00:00:98:09 dev side0\n"
/* What it wraps cannot be read: its SPI tells it. */
#define ESP(MODE, EXTRA)                                                                           \
	"?client ip xfrm state add src " VERIFY_CLIENT4 " dst " VERIFY_WEB4 " proto esp spi "      \
	SPI " mode " MODE " auth hmac(sha1) 0x0011223344556677889900112233445566778899"            \
	" enc cbc(aes) 0x00112233445566778899001122334455" EXTRA "\n"
#define ESP_POLICY(TO, MODE, EXTRA)                                                                \
	"client ip xfrm policy add dir out dst " TO " tmpl src " VERIFY_CLIENT4 " dst "            \
	VERIFY_WEB4 " proto esp mode " MODE EXTRA "\n"

#define TC_REDIRECT(DEVICE, WHERE, ACTION)                                                         \
	"?client tc qdisc add dev " DEVICE " clsact\n"                                             \
	"?client tc filter add dev " DEVICE " " WHERE " protocol all u32 match u32 0 0"            \
	" action mirred " ACTION "\n"

/* By nft: what comes from the container; copies of what leaves by a device. */
#define NFT_OF_CONTAINER(ACTION)                                                                   \
	SCENE_BEHIND_VETH SCENE_NFT("netdev", "filter hook ingress device c0 priority 0", ACTION)
#define NFT_COPY(DEVICE)                                                                           \
	SCENE_NFT("ip", "filter hook output priority 0",                                           \
		  "oifname " DEVICE " dup to " VERIFY_ROUTER4 " device eth0")

/* ---- senders --------------------------------------------------------------------------------- */

static int side_udp4(struct shot *s)
{
	return scene_udp(s, SIDE_FAR4);
}

static int side_udp6(struct shot *s)
{
	return scene_udp(s, SIDE_FAR6);
}

static int loopback_udp4(struct shot *s)
{
	return scene_udp(s, "127.0.0.1");
}

static int guest_side_udp4(struct shot *s)
{
	int r = scene_enter(s, SCENE_GUEST);

	return r ? r : scene_udp(s, SIDE_FAR4);
}

static bool is_esp(const struct shot *s, const __u8 *frame, size_t bytes)
{
	__be32 spi = tf_htonl((__u32)strtoul(SPI, NULL, 16));

	(void)s;
	return verify_has(frame, bytes, &spi, sizeof(spi));
}

/* ---- the lists ------------------------------------------------------------------------------- */

static int prepare(struct shot *s);

/* X(name, summary, flags, prepare, fire, is_it, scene) */
#define COPIED(X)                                                                                  \
	X("tc-redirect", "tc sends a container's frames out of the uplink",                        \
	  0, prepare, scene_guest_udp4, NULL,                                                      \
	  SCENE_BEHIND_VETH TC_REDIRECT("c0", "ingress", "egress redirect dev eth0"))              \
	X("tc-inject", "tc makes them come in by the uplink, to be routed out again",              \
	  0, prepare, scene_guest_udp4, NULL,                                                      \
	  SCENE_BEHIND_VETH TC_REDIRECT("c0", "ingress", "ingress redirect dev eth0")              \
	  "client ip link set eth0 address " SCENE_GATE_MAC "\n")                                  \
	X("tc-copy-loopback", "tc copies what stays on this machine",                              \
	  0, prepare, loopback_udp4, NULL, TC_REDIRECT("lo", "egress", "egress mirror dev eth0"))  \
	X("tc-copy-tunnel", "tc copies what goes into the tunnel",                                 \
	  VERIFY_TUNNEL_UP, prepare, scene_udp4, NULL,                                             \
	  TC_REDIRECT("wg0", "egress", "egress mirror dev eth0"))                                  \
	X("nft-redirect", "nft sends a container's packets out of the uplink",                     \
	  0, prepare, scene_guest_udp4, NULL,                                                      \
	  NFT_OF_CONTAINER("fwd ip to " VERIFY_ROUTER4 " device eth0"))                            \
	X("nft-copy-container", "nft copies a container's frames",                                 \
	  0, prepare, scene_guest_udp4, NULL, NFT_OF_CONTAINER("dup to eth0"))                     \
	X("nft-copy-loopback", "nft copies what stays on this machine",                            \
	  0, prepare, loopback_udp4, NULL, NFT_COPY("lo"))                                         \
	X("nft-copy-tunnel", "nft copies what goes into the tunnel",                               \
	  VERIFY_TUNNEL_UP, prepare, scene_udp4, NULL, NFT_COPY("wg0"))                            \
	X("tee-tunnel", "iptables copies what goes into the tunnel (TEE)",                         \
	  VERIFY_TUNNEL_UP, prepare, scene_udp4, NULL,                                             \
	  "?client iptables -t mangle -A OUTPUT -o wg0 -j TEE --gateway " VERIFY_ROUTER4 "\n")

#define SIDE_TUNNELS(X)                                                                            \
	X("side-ipip", "another tunnel, made on this machine: IPIP",                               \
	  0, prepare, side_udp4, NULL, SIDE("type ipip " ENDS4))                                   \
	X("side-gre", "GRE",                                                                       \
	  0, prepare, side_udp4, NULL, SIDE("type gre " ENDS4))                                    \
	X("side-gretap", "GRE, Ethernet",                                                          \
	  0, prepare, side_udp4, NULL, SIDE_ETHERNET("type gretap " ENDS4))                        \
	X("side-sit", "6in4",                                                                      \
	  0, prepare, side_udp6, NULL, SIDE("type sit " ENDS4) SIDE_6)                             \
	X("side-ip6tnl", "IPv4 in IPv6",                                                           \
	  0, prepare, side_udp4, NULL, SIDE("type ip6tnl mode any " ENDS6))                        \
	X("side-ip6gre", "GRE over IPv6",                                                          \
	  0, prepare, side_udp4, NULL, SIDE("type ip6gre " ENDS6))                                 \
	X("side-vxlan", "VXLAN",                                                                   \
	  0, prepare, side_udp4, NULL, SIDE_ETHERNET("type vxlan id 7 dstport 4789 " ENDS4))       \
	X("side-vxlan6", "VXLAN over IPv6",                                                        \
	  0, prepare, side_udp4, NULL, SIDE_ETHERNET("type vxlan id 7 dstport 4789 " ENDS6))       \
	X("side-vxlan-guest", "VXLAN, for a container",                                            \
	  0, prepare, guest_side_udp4, NULL,                                                       \
	  SCENE_BEHIND_VETH SIDE_ETHERNET("type vxlan id 7 dstport 4789 " ENDS4))                  \
	X("side-geneve", "GENEVE",                                                                 \
	  0, prepare, side_udp4, NULL, SIDE_ETHERNET("type geneve id 7 remote " VERIFY_WEB4))      \
	X("side-fou", "IPIP in UDP (FOU)",                                                         \
	  0, prepare, side_udp4, NULL,                                                             \
	  "?client modprobe -q fou\n?client ip fou add port 5555 ipproto 4\n"                      \
	  SIDE("type ipip " ENDS4 " encap fou encap-sport auto encap-dport 5555"))                 \
	X("side-gue", "IPIP in UDP (GUE)",                                                         \
	  0, prepare, side_udp4, NULL,                                                             \
	  "?client modprobe -q fou\n?client ip fou add port 5556 gue\n"                            \
	  SIDE("type ipip " ENDS4 " encap gue encap-sport auto encap-dport 5556"))                 \
	X("side-l2tp-udp", "L2TP in UDP, made before the fence",                                   \
	  VERIFY_BEFORE, prepare, side_udp4, NULL,                                                 \
	  L2TP("udp udp_sport 1701 udp_dport 1701"))                                               \
	X("side-l2tp-ip", "L2TP in IP",                                                            \
	  0, prepare, side_udp4, NULL, L2TP("ip"))                                                 \
	X("side-esp", "ESP, transport mode",                                                       \
	  0, prepare, scene_udp4, is_esp,                                                          \
	  ESP("transport", "") ESP_POLICY(VERIFY_WEB4 "/32", "transport", ""))                     \
	X("side-esp-tunnel", "ESP, tunnel mode",                                                   \
	  0, prepare, side_udp4, is_esp,                                                           \
	  ESP("tunnel", "") ESP_POLICY(SIDE_FAR4 "/32", "tunnel", ""))                             \
	X("side-esp-udp", "ESP in UDP",                                                            \
	  0, prepare, side_udp4, is_esp,                                                           \
	  ESP("tunnel", " encap espinudp 4500 4500 0.0.0.0")                                       \
	  ESP_POLICY(SIDE_FAR4 "/32", "tunnel", ""))                                               \
	X("side-xfrm", "ESP by an xfrm device",                                                    \
	  0, prepare, side_udp4, is_esp,                                                           \
	  SIDE("type xfrm dev eth0 if_id 7") ESP("tunnel", " if_id 7")                             \
	  ESP_POLICY(SIDE_FAR4 "/32", "tunnel", " if_id 7"))                                       \
	X("side-mpls", "a route that puts an MPLS label on",                                       \
	  0, prepare, side_udp4, NULL,                                                             \
	  "?client ip route add " SIDE_FAR4 "/32 encap mpls 100 via inet " VERIFY_ROUTER4          \
	  " dev eth0\n")                                                                           \
	X("side-srv6", "a route that wraps into SRv6",                                             \
	  0, prepare, side_udp6, NULL,                                                             \
	  "?client ip -6 route add " SIDE_FAR6 "/128 encap seg6 mode encap segs " VERIFY_WEB6      \
	  " dev eth0\n")                                                                           \
	X("side-srv6-v4", "the same with IPv4 in it",                                              \
	  0, prepare, side_udp4, NULL,                                                             \
	  "?client ip route add " SIDE_FAR4 "/32 encap seg6 mode encap segs " VERIFY_WEB6          \
	  " dev eth0\n")                                                                           \
	X("side-srv6-inline", "a route that inserts an SRv6 header",                               \
	  0, prepare, side_udp6, NULL,                                                             \
	  "?client ip -6 route add " SIDE_FAR6 "/128 encap seg6 mode inline segs " VERIFY_WEB6     \
	  " dev eth0\n")                                                                           \
	X("side-lwtunnel", "a route that wraps into VXLAN",                                        \
	  0, prepare, side_udp4, NULL,                                                             \
	  SIDE_ETHERNET("type vxlan external dstport 4789") "?client ip route add " SIDE_FAR4      \
	  "/32 encap ip id 7 dst " VERIFY_WEB4 " dev side0\n")                                     \
	X("side-macsec", "MACsec without encryption",                                              \
	  0, prepare, scene_udp4, NULL,                                                            \
	  SCENE_STACKED("ms0", "link eth0 ms0 type macsec encrypt off")                            \
	  "client ip macsec add ms0 tx sa 0 pn 1 on key 00 00112233445566778899aabbccddeeff\n")

#define VECTORS(X) COPIED(X) SIDE_TUNNELS(X)

static const struct scene scenes[] = { VECTORS(SCENE_TEXT) };

static int prepare(struct shot *s)
{
	return scene_build(s, scenes, ARRAY_SIZE(scenes));
}

static const struct vector vectors[] = { VECTORS(SCENE_VECTOR) };

const struct vector_group vectors_side = {
	.name = "side",
	.vectors = vectors,
	.count = ARRAY_SIZE(vectors),
};
