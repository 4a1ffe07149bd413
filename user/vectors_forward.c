// SPDX-License-Identifier: GPL-2.0
/*
 * Vectors: what others send through this machine. Containers behind veth, bridge, macvlan and
 * ipvlan, virtual machines' taps, devices stacked on the uplink. The socket is not of the fence's
 * namespace, or the device is not the uplink: a plane that looks at one alone misses it. Never
 * judges.
 */
#define _GNU_SOURCE /* unshare */

#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "util.h"
#include "vectors_scene.h"

enum {
	ROOM = 256,          /* for a frame by hand */
	PAYLOAD = 64,
	BIG = 4000,          /* more than one fragment */
	RING_BLOCK = 4096,
	RING_FRAME = 2048,
	RING_DATA = 32, /* a slot's header, aligned to 16 */
	VNET_HEADER = 10,    /* in front of each frame on a macvtap; zero: nothing special */
	FLOW_ROUNDS = 3,
	TAP_TRIES = 10,
	LOCAL_TYPE = 0x88b5, /* IEEE 802: for experiments; no IP */
};

#define ON_LINK_MAC "02:00:00:00:99:09"

/* ---- scenes ---------------------------------------------------------------------------------- */

/* A container in the container, two hops behind the uplink. */
#define NESTED                                                                                     \
	SCENE_BEHIND_VETH                                                                          \
	"guest set net/ipv4/ip_forward 1\n"                                                        \
	"guest ip link add i0 address 02:00:00:00:95:01 type veth peer name j0 netns @inner\n"     \
	"guest ip addr add 10.95.0.1/24 dev i0\n"                                                  \
	"guest ip link set i0 up\n"                                                                \
	"inner ip addr add 10.95.0.2/24 dev j0\n"                                                  \
	"inner ip link set j0 up\n"                                                                \
	"inner ip neigh replace 10.95.0.1 lladdr 02:00:00:00:95:01 dev j0\n"                       \
	"inner ip route add default via 10.95.0.1\n"

#define BRIDGE                                                                                     \
	"?client ip link add br0 type bridge forward_delay 0\n"                                    \
	"client ip link set br0 up\n"                                                              \
	"client ip link set eth0 master br0\n"
#define BRIDGED                                                                                    \
	BRIDGE                                                                                     \
	"client ip link add c0 type veth peer name g0 address " ON_LINK_MAC " netns @guest\n"      \
	"client ip link set c0 up master br0\n" SCENE_ON_LINK "client await c0\n"
/* The machine's own addresses are the bridge's now. */
#define ON_BRIDGE                                                                                  \
	BRIDGE                                                                                     \
	"client await br0\n"                                                                       \
	"client ip addr flush dev eth0\n"                                                          \
	"client ip addr add " VERIFY_CLIENT4 "/24 dev br0\n"                                       \
	"client ip addr add " VERIFY_CLIENT6 "/64 dev br0 nodad\n" SCENE_ROUTER_BY("client", "br0")

#define CHILD(LINK)                                                                                \
	"?client ip link add g0 link eth0 " LINK "\n"                                              \
	"client ip link set g0 netns @guest\n" SCENE_ON_LINK
#define MACVLAN(MODE) CHILD("address " ON_LINK_MAC " type macvlan mode " MODE)
/* No neighbours there: the container has nothing but the device. */
#define IPVLAN(MODE)                                                                               \
	"?client ip link add g0 link eth0 type ipvlan mode " MODE "\n"                             \
	"client ip link set g0 netns @guest\n"                                                     \
	"guest ip addr add 192.168.77.9/24 dev g0\n"                                               \
	"guest ip link set g0 up\n"                                                                \
	"guest ip route add default dev g0\n"

/* The uplink is a port of another device. It goes down for that, and forgets its routes. */
#define ENSLAVED(NAME, LINK)                                                                       \
	"?client ip link add " NAME " " LINK "\n"                                                  \
	"client ip link set eth0 down\n"                                                           \
	"client ip link set eth0 master " NAME "\n"                                                \
	"client ip link set eth0 up\n"                                                             \
	"client ip link set " NAME " up\n"                                                         \
	"client await " NAME "\n"                                                                  \
	"client ip addr flush dev eth0\n"                                                          \
	"client ip addr add " VERIFY_CLIENT4 "/24 dev " NAME "\n"                                  \
	"client ip neigh replace " VERIFY_ROUTER4 " lladdr " VERIFY_ROUTER_MAC " dev " NAME "\n"   \
	"client ip route replace " VERIFY_WEB4 "/32 via " VERIFY_ROUTER4 " dev " NAME "\n"

/* A device whose other end is a program's descriptor. */
#define ROUTED_TUN(NAME, MODE)                                                                     \
	SCENE_FORWARDING                                                                           \
	"?client ip tuntap add dev " NAME " mode " MODE "\n"                                       \
	"client ip addr add 10.96.0.1/24 dev " NAME "\n"                                           \
	"client ip link set " NAME " up\n"

/* The router knows the way to the container; that it comes from the same side does not matter. */
#define ROUTE_BACK "router ip route replace 10.99.0.0/24 via " VERIFY_CLIENT4 "\n"
#define FLOWTABLE                                                                                  \
	"?client nft add table ip f\n"                                                             \
	"?client nft add flowtable ip f t { hook ingress priority 0 ; devices = { c0, eth0 } ;"    \
	" }\n"                                                                                     \
	"?client nft add chain ip f c { type filter hook forward priority 0 ; }\n"                 \
	"?client nft add rule ip f c flow add @t\n"

/* ---- senders --------------------------------------------------------------------------------- */

static int inner_udp4(struct shot *s)
{
	int r = scene_enter(s, SCENE_INNER);

	return r ? r : scene_udp(s, VERIFY_WEB4);
}

/* More than fits into a frame: the client forwards fragments, and only the first has ports. */
static int guest_big_udp4(struct shot *s)
{
	_cleanup_close_ int fd = -1;
	struct sockaddr_storage to;
	socklen_t length = verify_sockaddr(VERIFY_WEB4, s->port, &to);
	__u8 payload[BIG];
	int r = scene_enter(s, SCENE_GUEST);

	if (r)
		return r;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	verify_payload(s, payload, sizeof(payload));
	memcpy(payload + sizeof(payload) - VERIFY_TOKEN, s->token, VERIFY_TOKEN);
	if (sendto(fd, payload, sizeof(payload), 0, (struct sockaddr *)&to, length) < 0)
		return -errno;
	return 0;
}

/* A UDP datagram in a frame, by hand. */
static size_t udp_frame(const struct shot *s, __u8 frame[ROOM], const char *to, const char *from,
			const char *source)
{
	__u8 payload[PAYLOAD];
	size_t bytes = verify_ethernet(frame, to, from, ETH_P_IP);

	verify_payload(s, payload, sizeof(payload));
	return bytes + verify_udp4(frame + bytes, source, VERIFY_WEB4, s->port, s->port, payload,
				   sizeof(payload));
}

/* A frame of a protocol of its own: rules for IP never see it. */
static int on_link_stranger(struct shot *s)
{
	__u8 frame[ROOM];
	size_t bytes = verify_ethernet(frame, VERIFY_ROUTER_MAC, ON_LINK_MAC, LOCAL_TYPE);
	int r = scene_enter(s, SCENE_GUEST);

	verify_payload(s, frame + bytes, PAYLOAD);
	return r ? r : verify_send_frame("g0", frame, bytes + PAYLOAD);
}

static int bridge_frame(struct shot *s)
{
	__u8 frame[ROOM];
	size_t bytes = udp_frame(s, frame, VERIFY_ROUTER_MAC, ON_LINK_MAC, "192.168.77.9");

	return verify_send_frame("br0", frame, bytes);
}

/* One frame by a memory-mapped ring, past the queueing disciplines where the kernel lets us. */
static int send_by_ring(const char *device, const void *frame, size_t bytes)
{
	_cleanup_close_ int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	struct tpacket_req ring = {
		.tp_block_size = RING_BLOCK,
		.tp_block_nr = 1,
		.tp_frame_size = RING_FRAME,
		.tp_frame_nr = RING_BLOCK / RING_FRAME,
	};
	struct sockaddr_ll to = { .sll_family = AF_PACKET,
				  .sll_ifindex = verify_ifindex(device) };
	struct tpacket_hdr *slot;
	int yes = 1;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &yes, sizeof(yes)); /* refused: go on */
	if (setsockopt(fd, SOL_PACKET, PACKET_TX_RING, &ring, sizeof(ring)) < 0)
		return -errno;
	slot = mmap(NULL, RING_BLOCK, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (slot == MAP_FAILED)
		return -errno;
	memcpy((char *)slot + RING_DATA, frame, bytes);
	slot->tp_len = (unsigned int)bytes;
	slot->tp_status = TP_STATUS_SEND_REQUEST;
	to.sll_protocol = tf_htons(ETH_P_IP);
	if (sendto(fd, NULL, 0, 0, (struct sockaddr *)&to, sizeof(to)) < 0)
		return -errno;
	return 0;
}

/* By a container behind a veth. */
static int send_routed(const struct shot *s, int (*send_by)(const char *, const void *, size_t))
{
	__u8 frame[ROOM];
	size_t bytes = udp_frame(s, frame, SCENE_GATE_MAC, SCENE_GUEST_MAC, "10.99.0.2");
	int r = scene_enter(s, SCENE_GUEST);

	return r ? r : send_by("g0", frame, bytes);
}

/* By a container that is on the link itself. */
static int send_on_link(const struct shot *s, int (*send_by)(const char *, const void *, size_t))
{
	__u8 frame[ROOM];
	size_t bytes = udp_frame(s, frame, VERIFY_ROUTER_MAC, ON_LINK_MAC, "192.168.77.9");
	int r = scene_enter(s, SCENE_GUEST);

	return r ? r : send_by("g0", frame, bytes);
}

static int routed_frame(struct shot *s)
{
	return send_routed(s, verify_send_frame);
}

static int routed_ring(struct shot *s)
{
	return send_routed(s, send_by_ring);
}

static int on_link_frame(struct shot *s)
{
	return send_on_link(s, verify_send_frame);
}

static int on_link_ring(struct shot *s)
{
	return send_on_link(s, send_by_ring);
}

/* ---- virtual machines: their end of a tap is a descriptor ------------------------------------ */

/* Takes an existing device of this kind. */
static int open_tun(const char *device, int flags)
{
	_cleanup_close_ int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	struct ifreq request = { .ifr_flags = (short)(flags | IFF_NO_PI) };

	if (fd < 0)
		return -errno;
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", device);
	if (ioctl(fd, TUNSETIFF, &request) < 0)
		return -errno;
	return TAKE_FD(fd);
}

static int write_frame(int fd, const void *frame, size_t bytes)
{
	return write(fd, frame, bytes) < 0 ? -errno : 0;
}

/* A bridge's port works a moment after somebody has taken the tap: some tries. */
static int tap_frame(struct shot *s)
{
	const struct timespec pause = { .tv_nsec = 20000000 };
	__u8 frame[ROOM];
	size_t bytes = udp_frame(s, frame, VERIFY_ROUTER_MAC, ON_LINK_MAC, "192.168.77.9");
	_cleanup_close_ int fd = open_tun("tap0", IFF_TAP);
	int i, r = fd < 0 ? fd : 0;

	for (i = 0; !r && i < TAP_TRIES; i++) {
		nanosleep(&pause, NULL);
		r = write_frame(fd, frame, bytes);
	}
	return r;
}

static int routed_tap_frame(struct shot *s)
{
	__u8 frame[ROOM];
	size_t bytes = udp_frame(s, frame, SCENE_GATE_MAC, SCENE_GUEST_MAC, "10.96.0.2");
	_cleanup_close_ int fd = open_tun("tap0", IFF_TAP);

	return fd < 0 ? fd : write_frame(fd, frame, bytes);
}

static int routed_tun_packet(struct shot *s)
{
	__u8 frame[ROOM];
	size_t bytes = udp_frame(s, frame, SCENE_GATE_MAC, SCENE_GUEST_MAC, "10.96.0.2");
	_cleanup_close_ int fd = open_tun("tun9", IFF_TUN);

	return fd < 0 ? fd : write_frame(fd, frame + ETH_HLEN, bytes - ETH_HLEN);
}

/* Opens a macvtap device's end. Its number is in sysfs, which shows the network namespace that it
 * was mounted from; the node needs a file system that takes devices. Both are for this process. */
static int open_macvtap(const char *device)
{
	_cleanup_fclose_ FILE *f = NULL;
	char path[64], text[32], *minor;
	unsigned int major, number;
	int fd;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("sysfs", "/sys", "sysfs", 0, NULL) < 0)
		return -errno;
	snprintf(path, sizeof(path), "/sys/class/macvtap/tap%d/dev", verify_ifindex(device));
	f = fopen(path, "re");
	if (!f)
		return -errno;
	if (!fgets(text, sizeof(text), f))
		return -EIO;
	major = (unsigned int)strtoul(text, &minor, 10);
	if (*minor != ':')
		return -EINVAL;
	number = (unsigned int)strtoul(minor + 1, NULL, 10);
	if (mount("tmpfs", "/sys", "tmpfs", 0, NULL) < 0 ||
	    mknod("/sys/tap", S_IFCHR | 0600, makedev(major, number)) < 0)
		return -errno;
	fd = open("/sys/tap", O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int macvtap_frame(struct shot *s)
{
	__u8 frame[VNET_HEADER + ROOM] = {};
	size_t bytes = udp_frame(s, frame + VNET_HEADER, VERIFY_ROUTER_MAC, ON_LINK_MAC,
				 "192.168.77.9");
	_cleanup_close_ int fd = open_macvtap("mt0");

	return fd < 0 ? fd : write_frame(fd, frame, VNET_HEADER + bytes);
}

/* ---- senders that need more than a socket ---------------------------------------------------- */

/* A flow that its tables know: the server has answered, so later packets take the short cut. */
static int guest_flow(struct shot *s)
{
	_cleanup_close_ int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	struct timeval patience = { .tv_sec = 1 };
	struct sockaddr_storage to;
	socklen_t length = verify_sockaddr(VERIFY_WEB4, s->port, &to);
	char answer[PAYLOAD];
	int i, r = scene_enter(s, SCENE_GUEST);

	if (r)
		return r;
	s->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (s->fd < 0 || connect(s->fd, (struct sockaddr *)&to, length) < 0 ||
	    setsockopt(s->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0)
		return -errno;
	for (i = 0; i < FLOW_ROUNDS; i++) {
		if (send(s->fd, "hello", 5, 0) < 0 || recv(s->fd, answer, sizeof(answer), 0) < 0)
			return -errno;
	}
	return verify_enter_fd(home);
}

static int send_on(struct shot *s)
{
	__u8 payload[PAYLOAD];

	verify_payload(s, payload, sizeof(payload));
	return send(s->fd, payload, sizeof(payload), 0) < 0 ? -errno : 0;
}

static int vrf_udp4(struct shot *s)
{
	return scene_udp_from(s, NULL, "vrf0", s->port);
}

/* ---- the lists ------------------------------------------------------------------------------- */

static int prepare(struct shot *s);
static int prepare_flow(struct shot *s);

/* X(name, summary, flags, prepare, fire, is_it, scene) */
#define ROUTED(X)                                                                                  \
	X("forward-udp4", "a container behind a veth sends, the machine routes",                   \
	  0, prepare, scene_guest_udp4, NULL, SCENE_BEHIND_VETH)                                   \
	X("forward-udp6", "a container behind a veth sends IPv6",                                  \
	  0, prepare, scene_guest_udp6, NULL, SCENE_BEHIND_VETH)                                   \
	X("forward-fragments", "a container sends a datagram in fragments",                        \
	  0, prepare, guest_big_udp4, NULL, SCENE_BEHIND_VETH)                                     \
	X("forward-frame", "a container makes the whole frame itself",                             \
	  0, prepare, routed_frame, NULL, SCENE_BEHIND_VETH)                                       \
	X("forward-ring", "a container sends by a mapped ring",                                    \
	  0, prepare, routed_ring, NULL, SCENE_BEHIND_VETH)                                        \
	X("forward-nested", "a container in the container",                                        \
	  0, prepare, inner_udp4, NULL, NESTED)                                                    \
	X("forward-old-flow", "the flow was there before the fence",                               \
	  VERIFY_BEFORE, prepare_flow, send_on, NULL, SCENE_BEHIND_VETH ROUTE_BACK)                \
	X("forward-flowtable", "the flow takes a short cut past the rules (flowtable)",            \
	  VERIFY_BEFORE, prepare_flow, send_on, NULL, SCENE_BEHIND_VETH ROUTE_BACK FLOWTABLE)      \
	X("forward-marked", "a container's packet gets the tunnel's mark on its way",              \
	  0, prepare, scene_guest_udp4, NULL,                                                      \
	  SCENE_BEHIND_VETH                                                                        \
	  SCENE_NFT("ip", "filter hook prerouting priority -150", "meta mark set 0xca6c"))         \
	X("masquerade-nft", "a container's packet gets this machine's address (nft)",              \
	  0, prepare, scene_guest_udp4, NULL,                                                      \
	  SCENE_BEHIND_VETH                                                                        \
	  SCENE_NFT("ip", "nat hook postrouting priority 100", "oifname eth0 masquerade"))         \
	X("masquerade-iptables", "a container's packet gets this machine's address (iptables)",    \
	  0, prepare, scene_guest_udp4, NULL,                                                      \
	  SCENE_BEHIND_VETH "?client iptables -t nat -A POSTROUTING -o eth0 -j MASQUERADE\n")      \
	X("forward-tap", "a virtual machine's tap, routed",                                        \
	  0, prepare, routed_tap_frame, NULL,                                                      \
	  ROUTED_TUN("tap0", "tap") "client ip link set tap0 address " SCENE_GATE_MAC "\n")        \
	X("forward-tun", "another program's tun, routed",                                          \
	  0, prepare, routed_tun_packet, NULL, ROUTED_TUN("tun9", "tun"))

#define BRIDGED_AND_STACKED(X)                                                                     \
	X("bridge-udp4", "a container on a bridge with the uplink",                                \
	  0, prepare, scene_guest_udp4, NULL, BRIDGED)                                             \
	X("bridge-udp6", "a container on a bridge with the uplink, IPv6",                          \
	  0, prepare, scene_guest_udp6, NULL, BRIDGED)                                             \
	X("bridge-frame", "a bridged container makes the frame itself",                            \
	  0, prepare, on_link_frame, NULL, BRIDGED)                                                \
	X("bridge-ring", "a bridged container sends by a mapped ring",                             \
	  0, prepare, on_link_ring, NULL, BRIDGED)                                                 \
	X("bridge-stranger", "a bridged container's frame that is no IP",                          \
	  0, prepare, on_link_stranger, NULL, BRIDGED)                                             \
	X("bridge-tap", "a virtual machine's tap on the bridge",                                   \
	  0, prepare, tap_frame, NULL,                                                             \
	  BRIDGE "?client ip tuntap add dev tap0 mode tap\n"                                       \
	  "client ip link set tap0 up master br0\n")                                               \
	X("bridge-own-udp4", "the machine's own packet, its address on the bridge",                \
	  0, prepare, scene_udp4, NULL, ON_BRIDGE)                                                 \
	X("bridge-own-frame", "a frame out of the bridge",                                         \
	  0, prepare, bridge_frame, NULL, ON_BRIDGE)                                               \
	X("macvlan-bridge", "a container's macvlan, mode bridge",                                  \
	  0, prepare, scene_guest_udp4, NULL, MACVLAN("bridge"))                                   \
	X("macvlan-udp6", "a container's macvlan, IPv6",                                           \
	  0, prepare, scene_guest_udp6, NULL, MACVLAN("bridge"))                                   \
	X("macvlan-private", "a container's macvlan, mode private",                                \
	  0, prepare, scene_guest_udp4, NULL, MACVLAN("private"))                                  \
	X("macvlan-vepa", "a container's macvlan, mode vepa",                                      \
	  0, prepare, scene_guest_udp4, NULL, MACVLAN("vepa"))                                     \
	X("macvlan-passthru", "a container's macvlan, mode passthru",                              \
	  0, prepare, scene_guest_udp4, NULL, CHILD("type macvlan mode passthru"))                 \
	X("macvlan-frame", "a container on a macvlan makes the frame itself",                      \
	  0, prepare, on_link_frame, NULL, MACVLAN("bridge"))                                      \
	X("macvlan-ring", "a container on a macvlan sends by a mapped ring",                       \
	  0, prepare, on_link_ring, NULL, MACVLAN("bridge"))                                       \
	X("macvlan-stranger", "a frame from a macvlan that is no IP",                              \
	  0, prepare, on_link_stranger, NULL, MACVLAN("bridge"))                                   \
	X("macvlan-own", "a macvlan of the machine itself",                                        \
	  0, prepare, scene_udp4, NULL,                                                            \
	  SCENE_STACKED("m0", "m0 link eth0 type macvlan mode bridge"))                            \
	X("macvtap", "a virtual machine's macvtap",                                                \
	  0, prepare, macvtap_frame, NULL,                                                         \
	  "?client ip link add mt0 link eth0 address " ON_LINK_MAC " type macvtap mode bridge\n"   \
	  "client ip link set mt0 up\n")                                                           \
	X("ipvlan-l2", "a container's ipvlan, mode l2",                                            \
	  0, prepare, scene_guest_udp4, NULL, CHILD("type ipvlan mode l2"))                        \
	X("ipvlan-l3", "a container's ipvlan, mode l3",                                            \
	  0, prepare, scene_guest_udp4, NULL, IPVLAN("l3"))                                        \
	X("ipvlan-l3s", "a container's ipvlan, mode l3s",                                          \
	  0, prepare, scene_guest_udp4, NULL, IPVLAN("l3s"))                                       \
	X("vlan-own", "a VLAN device on the uplink",                                               \
	  0, prepare, scene_udp4, NULL, SCENE_STACKED("v0", "v0 link eth0 type vlan id 7"))        \
	X("vlan-guest", "a VLAN device on the uplink, in a container",                             \
	  0, prepare, scene_guest_udp4, NULL, CHILD("type vlan id 7"))                             \
	X("bond", "the uplink is a port of a bond",                                                \
	  0, prepare, scene_udp4, NULL, ENSLAVED("bond0", "type bond mode active-backup"))         \
	X("vrf", "the uplink is in a VRF",                                                         \
	  0, prepare, vrf_udp4, NULL,                                                              \
	  "?client ip link add vrf0 type vrf table 77\n"                                           \
	  "client ip link set vrf0 up\n"                                                           \
	  "client ip link set eth0 master vrf0\n"                                                  \
	  "client ip neigh replace " VERIFY_ROUTER4 " lladdr " VERIFY_ROUTER_MAC " dev eth0\n"     \
	  "client ip route replace default via " VERIFY_ROUTER4 " dev eth0 table 77\n")

#define VECTORS(X) ROUTED(X) BRIDGED_AND_STACKED(X)

static const struct scene scenes[] = { VECTORS(SCENE_TEXT) };

static int prepare(struct shot *s)
{
	return scene_build(s, scenes, ARRAY_SIZE(scenes));
}

static int prepare_flow(struct shot *s)
{
	int r = prepare(s);

	return r ? r : guest_flow(s);
}

static const struct vector vectors[] = { VECTORS(SCENE_VECTOR) };

const struct vector_group vectors_forward = {
	.name = "forward",
	.vectors = vectors,
	.count = ARRAY_SIZE(vectors),
};
