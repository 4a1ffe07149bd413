/* SPDX-License-Identifier: GPL-2.0 */
/*
 * verify: every way out we know, fired in a throw-away world, first without and then with a fence.
 * The judge is a sniffer on the far side of the "physical" wire; nothing else counts.
 *
 *        guest            client                       router                 server
 *     (containers)   ,--------------.            ,---------------.      ,------------------.
 *                    | wg0 10.66.0.2|            |               |      | VPN   203.0.113.7 |
 *                    | eth0 ........+------------+ down ... up   +------+ eth0  198.51.100.x|
 *                    | lan0 ...     |  the judge |  forwards     |      |       2001:db8:51::|
 *                    '--------------'  sits here '---------------'      '------------------'
 *
 * Namespaces, a child cgroup and a bpffs of our own; all of it vanishes with the process. The tunnel
 * is a tun device that verify serves itself: it wraps what it reads in WireGuard's transport message
 * (type 4, not encrypted) to the endpoint, with an fwmark as WireGuard's.
 *
 * A vector is a row of a table: how to send, and how to know the frame. It never prints, never
 * judges, and runs in a child process that is thrown away.
 *
 * In what order things happen: the world is built with its routes by eth0; [VERIFY_BEFORE: prepare();]
 * wg0 comes up and takes the default routes; the fence is raised, as by its user; [unless
 * VERIFY_TUNNEL_UP: wg0's process is killed, the device goes, the routes fall back;] [prepare();]
 * fire(). With VERIFY_BEFORE and VERIFY_TUNNEL_UP wg0 comes up before prepare().
 *
 * "tunfence verify --by SCRIPT" runs "SCRIPT up" in place of "tunfence up", and "SCRIPT down" at the
 * end, as root in the client's namespace and cgroup, with these in its environment:
 *     UPLINK=eth0 TUNNEL=wg0 TUNNEL4 TUNNEL6 TUNNEL_NET TUNNEL_NET6   the tunnel's own addresses
 *     ENDPOINT ENDPOINT6 PORT MARK        where its outer packets go, their port, their fwmark
 *     CLIENT CLIENT6 ROUTER ROUTER6 LAN_NET LAN_NET6                  the uplink's link
 *     CGROUP BPFFS STATE                  the machine's cgroup, an own bpffs, a directory for files
 * nft, iptables, ip and sysctl act on that namespace alone; /run is a tmpfs of verify's. A script must
 * not change what is not of a namespace: mounts, other cgroups, the files of the machine.
 */
#ifndef TUNFENCE_VERIFY_H
#define TUNFENCE_VERIFY_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

#include <tunfence/types.h>

/* The addresses of the world, as text; those without a name of their own are the router's. */
#define VERIFY_CLIENT4 "192.168.77.2"       /* eth0, /24 */
#define VERIFY_CLIENT6 "2001:db8:77::2"     /* eth0, /64 */
#define VERIFY_ROUTER4 "192.168.77.1"       /* default gateway; also the link's resolver */
#define VERIFY_ROUTER6 "2001:db8:77::1"
#define VERIFY_ROUTER_LINK "fe80::1"
#define VERIFY_CLIENT_MAC "02:00:00:00:77:02"
#define VERIFY_ROUTER_MAC "02:00:00:00:77:01"
#define VERIFY_VPN4 "203.0.113.7"           /* the endpoint, udp VERIFY_VPN_PORT */
#define VERIFY_VPN6 "2001:db8:113::7"       /* an endpoint too */
#define VERIFY_VPN_PORT 51820               /* also the port that the tunnel sends from */
#define VERIFY_MARK 0xca6c                  /* the tunnel's fwmark, wg-quick's usual one */
#define VERIFY_WEB4 "198.51.100.80"         /* a server out there: TCP and UDP echo on every port */
#define VERIFY_WEB6 "2001:db8:51::80"
#define VERIFY_TUNNEL4 "10.66.0.2"          /* wg0, /24; 10.66.0.1 answers behind it */
#define VERIFY_TUNNEL6 "fd66::2"            /* wg0, /64 */
#define VERIFY_LAN4 "192.168.77.50"         /* another host on the client's link, the router plays it */

/* Bytes that are in the frame and nowhere else. Long enough not to come by chance, short enough for
 * the least payload. */
#define VERIFY_TOKEN 8

enum verify_place { VERIFY_CLIENT, VERIFY_ROUTER, VERIFY_SERVER, VERIFY_PLACES };

/* Switches of a vector. */
enum verify_flags {
	VERIFY_TUNNEL_UP = 1, /* wg0 is up and works; else it was killed and the routes fell back */
	VERIFY_BEFORE = 2,    /* prepare() happens before the fence is raised: an old socket, an old flow */
	VERIFY_AT_ROUTER = 4, /* fire() runs on the far side: what is looked for is the client's answer */
	/* Only BPF LSM can stop it. Where that is not live the vector is "not tested (needs BPF LSM,
	 * which is not live here: known to leak)": a limit that is told, never "held". */
	VERIFY_NEEDS_LSM = 8,
};

/* One firing of one vector, in a child process of its own. */
struct shot {
	const struct verify_world *world;
	const char *name;
	__u8 token[VERIFY_TOKEN]; /* random, new for each firing */
	__u16 port;               /* host order; 20000 and up, new for each firing */
	void *data;               /* prepare()'s, for fire() and is_it() */
	int fd;                   /* likewise; -1 */
};

/*
 * prepare (may be NULL): what must exist first, in the same process; 0 or -errno. -EOPNOTSUPP (and
 *     -EPROTONOSUPPORT, -ENOENT, -ENOSYS and the like): this kernel cannot, the vector is "not tested".
 * fire: sends, once. 0, or the -errno that the sender was told. Both of them run in the client's
 *     namespace and cgroup (VERIFY_AT_ROUTER: fire in the router's namespace, outside the cgroup).
 *     Bounded: at most some packets and some 100 ms. Being refused is no reason to stop trying: a
 *     vector goes on as an attacker would (setsockopt refused: send all the same).
 * is_it (may be NULL: the frame holds the token): whether a frame seen by the judge, as sent by the
 *     client, is this vector's. Called in the parent, with the child's token and port but without
 *     data: use token, port and constants only. The frame begins with its Ethernet header; a VLAN tag
 *     that the kernel took off is back in its place.
 */
struct vector {
	const char *name;    /* as in "udp-connected": lower case, unique, for tables and --only */
	const char *summary; /* what is tried, one line for a person */
	unsigned int flags;
	unsigned int linger_ms; /* how long after fire() the frame may take; 0: it is sent at once */
	int (*prepare)(struct shot *s);
	int (*fire)(struct shot *s);
	bool (*is_it)(const struct shot *s, const __u8 *frame, size_t bytes);
};

struct vector_group {
	const char *name;
	const struct vector *vectors;
	size_t count;
};

/* X(name, what its vectors are): one table in each vectors_NAME.c, in the order of the output. */
#define VERIFY_GROUPS(X)                                                                           \
	X(socket, "datagrams by any program's socket")                                             \
	X(tcp, "streams: TCP, MPTCP, SCTP, DCCP; connections from before the fence")               \
	X(uring, "sockets by io_uring")                                                            \
	X(raw, "ping and raw sockets, headers by hand")                                            \
	X(packet, "frames by AF_PACKET")                                                           \
	X(ring, "frames by AF_PACKET's rings")                                                     \
	X(xdp, "frames by AF_XDP")                                                                 \
	X(kernel, "what the kernel sends by itself")                                               \
	X(name, "DNS and its relatives")                                                           \
	X(plumbing, "look-alikes of DHCP, ND, MLD, ARP and EAPOL that carry data")                 \
	X(forward, "forwarded, bridged, containers")                                               \
	X(side, "copied by the machine's own rules; side tunnels")                                 \
	X(route, "routes that were steered, new uplinks")                                          \
	X(tunnel, "the endpoint's hole")                                                           \
	X(impostor, "who else passes for the tunnel; the tunnel goes away")                        \
	X(inbound, "asked from outside: what does the client say")                                 \
	X(spoof, "asked from outside for the tunnel's address, other networks, other routes")

#define X(name, text) extern const struct vector_group vectors_##name;
VERIFY_GROUPS(X)
#undef X

/* For vectors. All of them give 0 or -errno, descriptors or -errno. */

/* Enters a place's network namespace, for the rest of this child's life. */
int verify_enter(const struct shot *s, enum verify_place place);

/* Runs "ip ..." in a place, as a child; output is thrown away. -EIO: it failed. -ENOENT: there is no
 * such tool. The line is split at its blanks; no shell, no quotes. */
int verify_ip(const struct shot *s, enum verify_place place, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Any other tool: "nft add rule ...", "tc ...". */
int verify_run(const struct shot *s, enum verify_place place, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* name as in "net/ipv4/ip_forward". */
int verify_sysctl(const struct shot *s, enum verify_place place, const char *name,
		  const char *value);

/* A world is used again for the next vector while it is as it was built. All functions here take
 * note of what they change; say so yourself where you change it by other means (ioctl, netlink, a
 * daemon). Worlds of VERIFY_BEFORE and VERIFY_AT_ROUTER are never used again. */
void verify_touched(const struct shot *s);

/* One more link to the router, as if it had just been plugged in: a veth pair whose far end,
 * "far-NAME", is in the router and watched by the judge like that of eth0. Both are down and have no
 * address yet. name has up to 11 characters. */
int verify_new_uplink(const struct shot *s, const char *name);

/* A fresh network namespace (a container), up to four for each firing; a descriptor to it. */
int verify_new_namespace(const struct shot *s);
int verify_enter_fd(int namespace_fd);
int verify_ip_fd(int namespace_fd, const char *format, ...) __attribute__((format(printf, 2, 3)));
int verify_run_fd(int namespace_fd, const char *format, ...) __attribute__((format(printf, 2, 3)));
int verify_sysctl_fd(int namespace_fd, const char *name, const char *value);

/* For "ip link set DEVICE netns PATH": the namespace as seen by tools that this process starts. */
#define VERIFY_PATH 48
const char *verify_namespace_path(int namespace_fd, char to[VERIFY_PATH]);
const char *verify_place_path(const struct shot *s, enum verify_place place, char to[VERIFY_PATH]);
/* Forks; the child enters the namespace, calls the function and ends. What it returned. */
int verify_in(int namespace_fd, int (*function)(struct shot *s), struct shot *s);

/* family: AF_INET or AF_INET6. The address as text and a port; returns the length. */
socklen_t verify_sockaddr(const char *address, __u16 port, struct sockaddr_storage *to);
int verify_ifindex(const char *device); /* in the current namespace */
/* Until a device of the current namespace sends, and a bridge that it is a port of forwards: the
 * kernel sees to that a moment after both ends of a cable are up. 0, or -ETIMEDOUT. */
int verify_await_device(const char *device);

/* Payload: the token, then filled up to bytes. */
void verify_payload(const struct shot *s, __u8 *to, size_t bytes);

/* Packets by hand; each returns the length. Checksums are right. */
size_t verify_udp4(__u8 *to, const char *src, const char *dst, __u16 sport, __u16 dport,
		   const void *payload, size_t bytes);
size_t verify_udp6(__u8 *to, const char *src, const char *dst, __u16 sport, __u16 dport,
		   const void *payload, size_t bytes);
size_t verify_tcp4(__u8 *to, const char *src, const char *dst, __u16 sport, __u16 dport, __u8 flags,
		   __u32 seq, __u32 ack, const void *payload, size_t bytes);
/* An Ethernet header in front: MACs as text. */
size_t verify_ethernet(__u8 *to, const char *dst, const char *src, __u16 type);

/* Sends a whole frame by AF_PACKET, SOCK_RAW, out of the device. */
int verify_send_frame(const char *device, const void *frame, size_t bytes);

/* Polls function(s) until it is true, at most this long. 0, or -ETIMEDOUT. */
int verify_until(bool (*function)(struct shot *s), struct shot *s, unsigned int milliseconds);

/* For is_it(). Parsed loosely: Ethernet, tags, IPv4 or IPv6 without extension headers. */
struct verify_frame {
	__u16 type;        /* ethertype behind tags */
	__u8 protocol;
	struct tf_addr src, dst; /* IPv4 as mapped */
	__u16 sport, dport;
	__u8 tcp_flags;
	__u8 icmp_type;
	const __u8 *payload; /* behind the transport header (UDP, TCP: 20 bytes at least) */
	size_t payload_bytes;
};
bool verify_parse(const __u8 *frame, size_t bytes, struct verify_frame *to);
bool verify_has(const __u8 *frame, size_t bytes, const void *what, size_t what_bytes);
bool verify_is_addr(const struct tf_addr *addr, const char *text);

#endif
