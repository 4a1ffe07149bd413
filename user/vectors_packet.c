// SPDX-License-Identifier: GPL-2.0
/*
 * verify's vectors: frames by AF_PACKET (CAP_NET_RAW), which no IP layer sees: in every way to send
 * them, tagged, wrapped, under a false name, or to be rewritten on the way out. A row of WAYS is a
 * vector. Never judges, never prints.
 */
#define _GNU_SOURCE /* sendmmsg */

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <stddef.h>
#include <sys/ioctl.h>

#include "bytes.h"
#include "util.h"
#include "vectors_send.h"
#include "verify.h"

#define BROADCAST_MAC "ff:ff:ff:ff:ff:ff"

enum {
	FRAME_BYTES = 4096,
	PAYLOAD_BYTES = 64,
	BULK_BYTES = 3000,
	SEGMENT_BYTES = 1000,
	TAG_BYTES = 4,
	IP4_HEADER = 20,
	TCP_HEADER = 20,
	TCP_CHECKSUM = 16,          /* its place in the header */
	TCP_ACK_FLAG = 0x10,
	IP6_DESTINATION = ETH_HLEN + 24,
	CHECKSUM_FROM = 20,         /* where the false checksum begins to be summed */
	EXPERIMENTAL_TYPE = 0x88b5, /* IEEE 802, for local experiments */
};

struct way {
	const char *name;
	int (*set)(int fd);
	size_t (*build)(const struct shot *s, __u8 *to);   /* NULL: build4 */
	int (*send)(int fd, const struct msghdr *message); /* NULL: by sendmsg() */
	bool (*is_it)(const struct shot *s, const __u8 *frame, size_t bytes); /* NULL: the token */
	unsigned int flags;
	int type;     /* 0: SOCK_RAW */
	int bypass;   /* PACKET_QDISC_BYPASS, any but 0: round the queue and the wire plane */
	__u16 claims; /* the protocol that the sender names; host order */
	bool as_is;   /* eth0 writes no checksums: the kernel does, behind the wire plane */
};

/* ---- frames ---- */

static size_t packet4(const struct shot *s, __u8 *to)
{
	__u8 payload[PAYLOAD_BYTES];

	verify_payload(s, payload, sizeof(payload));
	return verify_udp4(to, VERIFY_CLIENT4, VERIFY_WEB4, s->port, s->port, payload,
			   sizeof(payload));
}

static size_t packet6(const struct shot *s, __u8 *to)
{
	__u8 payload[PAYLOAD_BYTES];

	verify_payload(s, payload, sizeof(payload));
	return verify_udp6(to, VERIFY_CLIENT6, VERIFY_WEB6, s->port, s->port, payload,
			   sizeof(payload));
}

/* A frame to the router: what lies between its addresses and the packet, then the packet. */
static size_t wrapped(const struct shot *s, __u8 *to, const void *between, size_t bytes,
		      size_t (*packet)(const struct shot *s, __u8 *to))
{
	verify_ethernet(to, VERIFY_ROUTER_MAC, VERIFY_CLIENT_MAC, 0);
	memcpy(to + 2 * ETH_ALEN, between, bytes);
	return 2 * ETH_ALEN + bytes + packet(s, to + 2 * ETH_ALEN + bytes);
}

static size_t build4(const struct shot *s, __u8 *to)
{
	return wrapped(s, to, "\x08\x00", 2, packet4);
}

static size_t build6(const struct shot *s, __u8 *to)
{
	return wrapped(s, to, "\x86\xdd", 2, packet6);
}

/* IPv6 under IPv4's name, and the other way round. */
static size_t build6_as4(const struct shot *s, __u8 *to)
{
	return wrapped(s, to, "\x08\x00", 2, packet6);
}

static size_t build4_as6(const struct shot *s, __u8 *to)
{
	return wrapped(s, to, "\x86\xdd", 2, packet4);
}

static size_t build_broadcast(const struct shot *s, __u8 *to)
{
	size_t bytes = verify_ethernet(to, BROADCAST_MAC, VERIFY_CLIENT_MAC, ETH_P_IP);

	return bytes + packet4(s, to + bytes);
}

static size_t build_vlan(const struct shot *s, __u8 *to)
{
	return wrapped(s, to, "\x81\x00\x00\x4d\x08\x00", 2 + TAG_BYTES, packet4);
}

/* VLAN 0: a priority only; receivers take the frame for an untagged one. */
static size_t build_priority(const struct shot *s, __u8 *to)
{
	return wrapped(s, to, "\x81\x00\xe0\x00\x86\xdd", 2 + TAG_BYTES, packet6);
}

static size_t build_qinq(const struct shot *s, __u8 *to)
{
	return wrapped(s, to, "\x88\xa8\x00\x4d\x81\x00\x00\x4e\x08\x00", 2 + 2 * TAG_BYTES,
		       packet4);
}

static size_t build_tags(const struct shot *s, __u8 *to)
{
	return wrapped(s, to, "\x81\x00\x00\x4d\x81\x00\x00\x4e\x81\x00\x00\x4f\x08\x00",
		       2 + 3 * TAG_BYTES, packet4);
}

static size_t build_mpls(const struct shot *s, __u8 *to)
{
	return wrapped(s, to, "\x88\x47\x00\x01\x01\x40", 6, packet4);
}

/* A session's data, 0x5e bytes of PPP that say IPv4. */
static size_t build_pppoe(const struct shot *s, __u8 *to)
{
	return wrapped(s, to, "\x88\x64\x11\x00\x00\x01\x00\x5e\x00\x21", 10, packet4);
}

static size_t build_experimental(const struct shot *s, __u8 *to)
{
	size_t bytes = verify_ethernet(to, VERIFY_ROUTER_MAC, VERIFY_CLIENT_MAC, EXPERIMENTAL_TYPE);

	return bytes + packet4(s, to + bytes);
}

/* 802.3: a length where the type would be; then LLC, SNAP and IPv4's type. */
static size_t build_snap(const struct shot *s, __u8 *to)
{
	return wrapped(s, to, "\x00\x64\xaa\xaa\x03\x00\x00\x00\x08\x00", 10, packet4);
}

/* LLC's own number for IP, 6. */
static size_t build_llc(const struct shot *s, __u8 *to)
{
	return wrapped(s, to, "\x00\x5f\x06\x06\x03", 5, packet4);
}

/* In this machine's byte order, as AF_PACKET takes it. */
static __virtio16 virtio16(unsigned int value)
{
	return (TF_FORCE __virtio16)(__u16)value;
}

/* A TCP segment that is to be cut into several. */
static size_t build_bulk(const struct shot *s, __u8 *to)
{
	struct virtio_net_hdr offload = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
		.hdr_len = virtio16(ETH_HLEN + IP4_HEADER + TCP_HEADER),
		.gso_size = virtio16(SEGMENT_BYTES),
		.csum_start = virtio16(ETH_HLEN + IP4_HEADER),
		.csum_offset = virtio16(TCP_CHECKSUM),
	};
	__u8 payload[BULK_BYTES];
	size_t bytes = sizeof(offload);

	verify_payload(s, payload, sizeof(payload));
	memcpy(to, &offload, bytes);
	bytes += verify_ethernet(to + bytes, VERIFY_ROUTER_MAC, VERIFY_CLIENT_MAC, ETH_P_IP);
	return bytes + verify_tcp4(to + bytes, VERIFY_CLIENT4, VERIFY_WEB4, s->port, s->port,
				   TCP_ACK_FLAG, 1, 1, payload, sizeof(payload));
}

/* The last two bytes such that the checksum from "from" on will be wanted. */
static void balance(__u8 *frame, size_t bytes, size_t from, unsigned int wanted)
{
	__u32 sum = 0;

	put16(frame + bytes - 2, 0);
	for (size_t i = from; i < bytes; i += 2)
		sum += get16(frame + i);
	put16(frame + bytes - 2, ((~wanted & 0xffff) + 0xffff * 2 - sum % 0xffff) % 0xffff);
}

/* A neighbour solicitation, as it is allowed, whose checksum is to be written over the first two
 * bytes of its destination: there the frame becomes one to the web server. */
static size_t build_rewritten(const struct shot *s, __u8 *to)
{
	struct virtio_net_hdr offload = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.csum_start = virtio16(CHECKSUM_FROM),
		.csum_offset = virtio16(IP6_DESTINATION - CHECKSUM_FROM),
	};
	size_t bytes = send_solicitation(s, to + sizeof(offload));

	balance(to + sizeof(offload), bytes, CHECKSUM_FROM, 0x2001);
	memcpy(to, &offload, sizeof(offload));
	return sizeof(offload) + bytes;
}

static bool is_to_web6(const struct shot *s, const __u8 *frame, size_t bytes)
{
	struct verify_frame f;

	return verify_parse(frame, bytes, &f) && verify_is_addr(&f.dst, VERIFY_WEB6) &&
	       verify_has(frame, bytes, s->token, sizeof(s->token));
}

/* ---- sockets ---- */

static int set_virtio(int fd)
{
	return send_option(fd, SOL_PACKET, PACKET_VNET_HDR, 1);
}

static int set_mark(int fd)
{
	return send_option(fd, SOL_SOCKET, SO_MARK, VERIFY_MARK);
}

static int send_many(int fd, const struct msghdr *message)
{
	struct mmsghdr both[2] = { { .msg_hdr = *message }, { .msg_hdr = *message } };

	return send_told(0, sendmmsg(fd, both, ARRAY_SIZE(both), 0));
}

/* By write(), on a socket that is bound to the uplink. */
static int send_written(int fd, const struct msghdr *message)
{
	int told = send_told(0, bind(fd, message->msg_name, message->msg_namelen));

	return send_told(told, write(fd, message->msg_iov->iov_base, message->msg_iov->iov_len));
}

/* The address is a device's name. */
static int send_old(int fd, const struct msghdr *message)
{
	struct sockaddr_pkt where = { .spkt_family = AF_PACKET, .spkt_device = SEND_UPLINK,
				      .spkt_protocol = (TF_FORCE __be16)htons(ETH_P_IP) };
	struct msghdr old = { .msg_name = &where, .msg_namelen = sizeof(where),
			      .msg_iov = message->msg_iov, .msg_iovlen = 1 };

	return send_told(0, sendmsg(fd, &old, 0));
}

/* ---- the table ---- */

/* X(name, flags, summary, how...) */
#define WAYS(X)                                                                                    \
	X("packet-raw", 0, "a frame with IPv4", .claims = ETH_P_IP)                                \
	X("packet-raw6", 0, "a frame with IPv6", .claims = ETH_P_IPV6, .build = build6)            \
	X("packet-dgram", 0, "an IPv4 packet, the kernel makes the frame", .type = SOCK_DGRAM,     \
	  .claims = ETH_P_IP, .build = packet4)                                                    \
	X("packet-dgram6", 0, "an IPv6 packet, the kernel makes the frame", .type = SOCK_DGRAM,    \
	  .claims = ETH_P_IPV6, .build = packet6)                                                  \
	X("packet-sendmmsg", 0, "frames by sendmmsg()", .claims = ETH_P_IP, .send = send_many)     \
	X("packet-write", 0, "a frame by write()", .claims = ETH_P_IP, .send = send_written)       \
	X("packet-old", 0, "a frame by SOCK_PACKET, of Linux 2.0", .type = SOCK_PACKET,            \
	  .claims = ETH_P_IP, .send = send_old)                                                    \
	X("packet-mark", 0, "a frame with the tunnel's mark", .claims = ETH_P_IP, .set = set_mark) \
	X("packet-before", VERIFY_BEFORE, "a socket from before the fence", .claims = ETH_P_IP)    \
	X("packet-claims-nothing", 0, "IPv4 whose sender names no protocol")                       \
	X("packet-claims-arp", 0, "IPv4 whose sender says that it is ARP", .claims = ETH_P_ARP)    \
	X("packet-claims-eapol", 0, "IPv6 whose sender says that it is EAPOL",                     \
	  .claims = ETH_P_PAE, .build = build6)                                                    \
	X("packet-claims-ipv6", 0, "IPv4 whose sender says that it is IPv6", .claims = ETH_P_IPV6) \
	X("packet-6-as-4", 0, "IPv6 under IPv4's ethertype", .build = build6_as4)                  \
	X("packet-4-as-6", 0, "IPv4 under IPv6's ethertype", .build = build4_as6)                  \
	X("packet-broadcast", 0, "IPv4 to everybody's Ethernet address", .build = build_broadcast) \
	X("packet-vlan", 0, "IPv4 behind a VLAN tag", .build = build_vlan)                         \
	X("packet-priority-tag", 0, "IPv6 behind a tag of VLAN 0", .build = build_priority)        \
	X("packet-qinq", 0, "IPv4 behind two tags", .build = build_qinq)                           \
	X("packet-three-tags", 0, "IPv4 behind three tags", .build = build_tags)                   \
	X("packet-claims-vlan", 0, "a tagged frame whose sender says so", .claims = ETH_P_8021Q,   \
	  .build = build_vlan)                                                                     \
	X("packet-mpls", 0, "IPv4 behind an MPLS label", .build = build_mpls)                      \
	X("packet-pppoe", 0, "IPv4 in a PPPoE session", .build = build_pppoe)                      \
	X("packet-snap", 0, "IPv4 in 802.3 with LLC and SNAP", .build = build_snap)                \
	X("packet-llc", 0, "IPv4 in 802.3 with LLC", .build = build_llc)                           \
	X("packet-experimental", 0, "IPv4 under an experimental ethertype",                        \
	  .build = build_experimental)                                                             \
	X("packet-gso", 0, "a frame to be segmented, by PACKET_VNET_HDR", .claims = ETH_P_IP,      \
	  .set = set_virtio, .build = build_bulk)                                                  \
	X("packet-rewritten", 0, "a checksum over the destination, by PACKET_VNET_HDR",            \
	  .as_is = true, .set = set_virtio, .build = build_rewritten, .is_it = is_to_web6)         \
	X("packet-bypass", 0, "a frame past the queue, by PACKET_QDISC_BYPASS",                    \
	  .claims = ETH_P_IP, .bypass = 1)                                                      \
	X("packet-bypass-256", 0, "the same, asked for by a number whose first byte is 0",         \
	  .claims = ETH_P_IP, .bypass = 256)                                                       \
	X("packet-bypass6", 0, "the same with IPv6", .claims = ETH_P_IPV6, .bypass = 1,         \
	  .build = build6)                                                                         \
	X("packet-bypass-dgram", 0, "the same, the kernel makes the frame", .type = SOCK_DGRAM,    \
	  .claims = ETH_P_IP, .bypass = 1, .build = packet4)                                    \
	X("packet-bypass-sendmmsg", 0, "the same by sendmmsg()", .claims = ETH_P_IP,               \
	  .bypass = 1, .send = send_many)                                                       \
	X("packet-bypass-before", VERIFY_BEFORE | VERIFY_NEEDS_LSM,                                \
	  "past the queue, by a socket from before the fence", .claims = ETH_P_IP, .bypass = 1)

static const struct way ways[] = {
#define X(title, when, text, ...) { .name = title, .flags = when, __VA_ARGS__ },
	WAYS(X)
#undef X
};

static const struct way *way_of(const struct shot *s)
{
	return &ways[send_row(&vectors_packet, s)];
}

/* As on hardware that cannot: eth0 writes no checksums. */
static int switch_checksums_off(const struct shot *s, int fd)
{
	struct ethtool_value off = { .cmd = ETHTOOL_STXCSUM };
	struct ifreq request = { .ifr_name = SEND_UPLINK, .ifr_data = (void *)&off };

	verify_touched(s);
	return send_told(0, ioctl(fd, SIOCETHTOOL, &request));
}

/* Refused, the sender goes on: what was told first, or 0. */
static int make_ready(int fd, const struct way *way)
{
	int told = way->bypass ? send_option(fd, SOL_PACKET, PACKET_QDISC_BYPASS, way->bypass) : 0;
	int more = way->set ? way->set(fd) : 0;

	return told ? told : more;
}

static int prepare(struct shot *s)
{
	const struct way *way = way_of(s);

	s->fd = socket(AF_PACKET, (way->type ? way->type : SOCK_RAW) | SOCK_CLOEXEC, 0);
	if (s->fd < 0)
		return -errno;
	if (way->as_is && switch_checksums_off(s, s->fd))
		return -EOPNOTSUPP;
	return way->flags & VERIFY_BEFORE ? make_ready(s->fd, way) : 0;
}

static int fire(struct shot *s)
{
	const struct way *way = way_of(s);
	struct sockaddr_ll where = { .sll_family = AF_PACKET, .sll_halen = ETH_ALEN,
				     .sll_protocol = (TF_FORCE __be16)htons(way->claims),
				     .sll_ifindex = verify_ifindex(SEND_UPLINK) };
	__u8 frame[FRAME_BYTES], mac[ETH_HLEN];
	struct iovec data = { .iov_base = frame };
	struct msghdr message = { .msg_name = &where, .msg_namelen = sizeof(where),
				  .msg_iov = &data, .msg_iovlen = 1 };
	int told = way->flags & VERIFY_BEFORE ? 0 : make_ready(s->fd, way), sent;

	verify_ethernet(mac, VERIFY_ROUTER_MAC, VERIFY_CLIENT_MAC, 0);
	memcpy(where.sll_addr, mac, ETH_ALEN);
	data.iov_len = (way->build ? way->build : build4)(s, frame);
	sent = way->send ? way->send(s->fd, &message) : send_told(0, sendmsg(s->fd, &message, 0));
	return told ? told : sent;
}

static bool is_it(const struct shot *s, const __u8 *frame, size_t bytes)
{
	const struct way *way = way_of(s);

	if (way->is_it)
		return way->is_it(s, frame, bytes);
	return verify_has(frame, bytes, s->token, sizeof(s->token));
}

static const struct vector vectors[] = {
#define X(title, when, text, ...)                                                                  \
	{ .name = title, .summary = text, .flags = when,                                           \
	  .prepare = prepare, .fire = fire, .is_it = is_it },
	WAYS(X)
#undef X
};

const struct vector_group vectors_packet = { "packet", vectors, ARRAY_SIZE(vectors) };
