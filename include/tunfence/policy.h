/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The policy as the kernel holds it: what is in .rodata, and the keys and values of the maps.
 *
 * A policy is never edited. A change builds a new object, freezes its maps and swaps the program
 * at each hook. Only live_endpoints, live_hashes and question are written later, by up and sync: what
 * the tunnel itself is using now, and who asks the bootstrap name server. Whatever is missing from a
 * map is not allowed. What was counted and who made which socket is carried from policy to policy.
 *
 * Names here appear in `bpftool map dump`: they are the documentation of a running fence. So ports
 * are in host byte order; addresses are in network byte order, as they are written.
 */
#ifndef TUNFENCE_POLICY_H
#define TUNFENCE_POLICY_H

#include <tunfence/decide.h>
#include <tunfence/types.h>

/* Raised when the meaning or layout of anything in this file changes. A fence of another ABI is
 * never read or edited, only replaced as a whole. */
#define TF_ABI 9

enum tf_limit {
	TF_MAX_GROUPS = 16,          /* Cgroup= and Unit= */
	TF_GROUP_ROOM = 32,          /* those, and a fence's that it replaces until they are let go */
	TF_MAX_EXEMPT = 16,          /* Cgroup= and Unit= of [Exempt], and the slice that goes with it */
	TF_MAX_TUNNELS = 16,
	TF_MAX_ENDPOINTS = 1024,     /* entries of endpoints, and of live_endpoints */
	TF_NEAR_ENDPOINTS = 4,       /* of endpoints, that the policy has as well */
	TF_MAX_DESTINATIONS = 65536, /* Destination= lines */
	TF_MAX_PREFIXES = 65552,     /* those, and the LAN's */
	TF_MAX_SERVICES = 262144,    /* ranges after nested prefixes were flattened */
	TF_RECENT_BITS = 8,          /* of an address's hash: how many are remembered, at most */
	TF_SERVICE_STEPS = 19,       /* 2^19 > TF_MAX_SERVICES: steps of the binary search */
	TF_MAX_UPLINKS = 63,         /* distinct names in Uplink= and "uplink" of rules */
	TF_MAX_INSIDE = 256,
	TF_MAX_FRAGMENTS = 4096, /* datagrams whose first fragment passed, least recently used go */
	TF_MAX_BLOCKED = 16384,  /* entries of blocked, likewise: about 4 MiB */
	TF_MAX_BLOCKED_GROUPS = 4096, /* of a fence of cgroups, of which there may be many */
	TF_QUESTION_BYTES = 64,  /* of a name that is asked for; whole words */
	TF_MAX_LISTENERS = 4,    /* who watch a fence at a time */
	TF_RING_BYTES = 256 << 10, /* of events on their way to one of them: about 800 */
	TF_CAPTURE_BYTES = 128,  /* of a packet, in an event */
};

/* A later fragment passes for this long after the first one did. The sender emits all fragments
 * of a datagram back to back; reassembly gives up after 30 s (net.ipv4.ipfrag_time). */
#define TF_FRAGMENT_NS 2000000000ULL

/* Of one kind of dropped packets there is an event when it is new, then one in this time at most. */
#define TF_EVENT_NS 1000000000ULL

/* A question is asked and answered within this time, or it never was: no later "until" counts. */
#define TF_QUESTION_NS 10000000000ULL

/* Destination ports that are name resolution's: X(NAME, port). */
#define TF_NAME_PORT_LIST(X)                                                                       \
	X(DNS, 53)                                                                                 \
	X(NETBIOS_NS, 137)                                                                         \
	X(DOT, 853)                                                                                \
	X(MDNS, 5353)                                                                              \
	X(LLMNR, 5355)

/* Every plane there is: X(NAME, name, hook). Append only: the numbers are part of the ABI. */
#define TF_PLANE_LIST(X)                                                                           \
	X(SOCKET, socket, "cgroup/skb egress")                                                     \
	X(WIRE, wire, "tcx or clsact egress")                                                      \
	X(NAMESPACE, namespace, "netfilter POST_ROUTING")                                          \
	X(INGRESS, ingress, "tcx or clsact ingress")                                               \
	X(GUARD, guard, "cgroup/setsockopt, connect, sendmsg")

enum tf_plane {
#define X(NAME, name, hook) TF_PLANE_##NAME,
	TF_PLANE_LIST(X)
#undef X
	TF_PLANES,
};

enum tf_mode {
	TF_MODE_ENFORCE = 0, /* zero is the strict one */
	TF_MODE_OBSERVE = 1, /* judge and count, drop nothing */
};

enum tf_scope {
	TF_SCOPE_SYSTEM = 0, /* every socket, every uplink of the namespace */
	TF_SCOPE_CGROUP = 1, /* sockets made in some cgroups and their descendants */
};

/* Conditions on a tunnel's outer packets, beyond the endpoint's address, port and protocol. */
struct tf_tunnel {
	struct tf_name name;   /* interface name */
	struct tf_name kind;   /* rtnl_link_ops kind: wireguard, tun, ... */
	struct tf_name uplink; /* outer packets leave only by this device; empty: by any */
	__u32 mark;            /* skb->mark they carry; 0: any. Never enough alone */
	__u16 local_port;      /* their source port; 0: any */
	__u8 wireguard;        /* they have a WireGuard message's type and length */
	__u8 in_kernel;        /* the kernel makes them: no socket of a program may send them */
};

/* A cgroup: what is said of it is said of sockets made in it or in its descendants. */
struct tf_group {
	__u64 id;    /* inode of its directory; never used again for another */
	__u32 level; /* its depth below the root of the hierarchy */
	__u32 zero;
};

/* endpoints (frozen), live_endpoints: hash. Missing: not an endpoint, so the packet is dropped. */
struct tf_endpoint_key {
	struct tf_addr addr;
	__u16 port;    /* 0 with protocol 58 (ICMPv6): the address may be asked for and answered */
	__u8 protocol; /* IPPROTO_UDP, IPPROTO_TCP, IPPROTO_ICMPV6 */
	__u8 zero;
};

struct tf_endpoint {
	__u32 tunnels; /* bit i: an endpoint of policy.tunnels[i] */
};

/* live_hashes: array of one element. Bit h: live_endpoints may have a key with the hash h; there before
 * the key is. Without it that map, which is nearly always empty, is not asked. */
struct tf_live {
	__u64 hashes;
};

/* 2^32 by the golden ratio: all of word is in the upper bits. */
TF_INLINE __u32 tf_mix(__u32 word)
{
	return word * 0x9e3779b1U;
}

TF_INLINE __u32 tf_endpoint_hash(const struct tf_endpoint_key *key)
{
	__u32 word[5];

	__builtin_memcpy(word, key, sizeof(word));
	return tf_mix(word[0] ^ word[1] ^ word[2] ^ word[3] ^ word[4]) >> 26;
}

/* An entry of endpoints, where it is found without asking the map. */
struct tf_near_endpoint {
	struct tf_endpoint_key key;
	struct tf_endpoint value;
};

/* Everything that is one value per fence. Constants for the verifier, which prunes by them. */
struct tf_policy {
	__u32 abi;             /* TF_ABI */
	__u32 netns;           /* inode of the network namespace the fence belongs to */
	struct tf_group groups[TF_GROUP_ROOM]; /* the socket and guard planes are on each of them */
	struct tf_group exempt[TF_MAX_EXEMPT]; /* whose sockets may send past the tunnel */
	__u32 group_count;     /* at least 1 */
	__u32 exempt_count;
	__u32 exempt_mark;     /* what routes those sockets; no verdict ever reads it */
	enum tf_mode mode;
	enum tf_scope scope;
	__u32 slot;            /* its number among those the dispatcher calls (dispatcher.h); 0: its
				* wire plane stands on each device by itself */
	__u8 dhcp;             /* client messages of DHCPv4 and DHCPv6 may leave */
	__u8 has_inside;       /* map inside is not empty */
	__u8 has_prefixes;     /* map prefixes is not empty */
	__u8 has_inbound;      /* map inbound is not empty */
	__u8 ingress;          /* what comes in unasked is dropped: uplinks have the ingress plane */
	__u8 exempt_names;     /* exempt programs may resolve names past the tunnel, too */
	__u16 resolver_port;   /* of the bootstrap name server; 0: there is none */
	struct tf_addr resolver; /* tunfence alone may ask it, for its endpoints' names */
	__u32 tunnel_count;
	__u32 endpoint_count;    /* of map endpoints, which is asked only if near has not all of them */
	struct tf_near_endpoint near[TF_NEAR_ENDPOINTS];
	__u64 inside_initials[4]; /* bit c: a name that map inside has may begin with this byte */
	__u64 ipv4_initials[4];   /* likewise, an address that map prefixes covers */
	__u64 ipv6_initials[4];
	__u64 inbound_ports[4];   /* bit p: a port that map inbound has may be p modulo 256 */
	struct tf_tunnel tunnels[TF_MAX_TUNNELS];
	char fence[64];        /* its name; NUL-terminated */
};

/* Whether a socket is in scope can be asked of the guard plane, by an option of AF_XDP's that there
 * will never be: EPERM if it is; else what the socket says of an option it does not know. */
#define TF_ASK_OPTION 0x40000000

TF_INLINE __s32 tf_ask_option(const struct tf_policy *policy)
{
	return (__s32)(TF_ASK_OPTION | (policy->groups[0].id & (TF_ASK_OPTION - 1)));
}

/* prefixes: longest-prefix match on the destination; the number of the match in networks. The compiler
 * has copied the services of every covering prefix into each longer one, so the longest match alone
 * decides. Missing: not allowed. */
struct tf_prefix_key {
	__u32 bits; /* of addr that count; an IPv4 prefix /n has 96 + n */
	struct tf_addr addr;
};

struct tf_prefix {
	__u32 first; /* index into services */
	__u32 count; /* 0: no Destination rule covers it */
	__u32 lan;   /* covered by a LAN range the configuration allows */
	__u32 leaf;  /* covers no longer prefix: is the longest match of every address in it */
};

/* networks: array. Each prefix once more, such that whether an address is in it can be seen. */
struct tf_network {
	struct tf_addr addr;
	struct tf_addr mask;
	struct tf_prefix prefix;
} __attribute__((aligned(8)));

/* recent: array of one element, written by the programs. For some addresses that were asked for of late,
 * the number of their prefix in networks. Nobody trusts it: whatever is here, the network with this
 * number is looked at, and is the answer only if it is a leaf and the address is in it. */
struct tf_recent {
	__u32 network[1 << TF_RECENT_BITS];
};

/* services: sorted, disjoint ranges over (protocol << 16 | destination port, host order), a run
 * of them for each distinct prefix list. Protocols without ports use port 0. */
struct tf_service {
	__u32 from;
	__u32 to;
	__u64 uplinks; /* bit i: by the uplink whose number is i; all ones: by any device */
};

#define TF_ANY_UPLINK (~0ULL)

TF_INLINE __u32 tf_service_point(__u8 protocol, __u16 port)
{
	return (__u32)protocol << 16 | port;
}

/* uplinks: device name -> its number in tf_service.uplinks. Missing: matches no bit. */
struct tf_uplink {
	__u32 number;
};

/* inside: longest-prefix match on the device name, NUL included for a whole name. */
struct tf_inside_key {
	__u32 bits;
	char name[TF_NAME_LEN];
};

/* inbound: local ports whose answers may leave and whose questions may come in. */
struct tf_inbound_key {
	__u16 port;
	__u8 protocol;
	__u8 zero;
};

/* fragments: least-recently-used hash, written by the program. Missing: the fragment is dropped. */
struct tf_fragment_key {
	struct tf_addr src, dst;
	__be32 id;      /* IPv4: identification in the low half; IPv6: the fragment header's */
	__u32 ifindex;  /* of the device the first one passed */
	__u8 protocol;  /* IPv4 protocol, or the fragment header's next header */
	__u8 plane;     /* enum tf_plane */
	__u8 exempt;    /* it passed for its sender's sake: what others send does not continue it */
	__u8 zero;
};

/* question: hash of one element, key 0; written by tunfence around each question that it asks the
 * bootstrap name server. Missing, or not now: nobody asks. */
struct tf_question {
	__u64 cookie;     /* of the socket that asks: no other ever has it */
	__u64 until;      /* ns since boot, as bpf_ktime_get_ns() */
	__u16 local_port;
	__u16 zero[3];
};

/* counters: per CPU, one per plane and reason. plane and reason say which, for the reader. */
struct tf_counter {
	enum tf_plane plane;
	enum tf_reason reason;
	__u64 packets;
	__u64 bytes; /* as skb->len: with the link header on the wire plane */
};

/* Behind those of the planes and reasons: packets on the wire plane that the socket plane should have
 * stopped. They are counted under their reason, too. */
#define TF_COUNTER_ROUND (TF_PLANES * TF_REASON_COUNT)
/* Events that a listener had no room for. The packets are counted under their reason all the same. */
#define TF_COUNTER_LOST (TF_COUNTER_ROUND + 1)
#define TF_COUNTERS (TF_COUNTER_LOST + 1)

/* owners: socket storage. Which program made a socket, or connected it last. No verdict reads it. */
struct tf_who {
	__u32 pid; /* of the process, as the machine numbers it */
	__u32 uid;
	char comm[TF_NAME_LEN]; /* the process's name, and not one that a thread of its has */
};

/* What is known of who sent a packet that was dropped: X(NAME, name). Append only. */
#define TF_SENDERS(X)                                                                              \
	X(UNKNOWN, unknown)                                                                        \
	X(PROGRAM, program)     /* comm, pid and uid say which */                                  \
	X(OLDER, older)         /* its socket was there before the fence: uid, no program */       \
	X(KERNEL, kernel)       /* no program's socket */                                          \
	X(FORWARDED, forwarded) /* came in by the device with the index "from" */                  \
	X(NETWORK, network)     /* it arrived, and addr is where from */

enum tf_sender {
#define X(NAME, name) TF_SENDER_##NAME,
	TF_SENDERS(X)
#undef X
	TF_SENDER_COUNT,
};

enum tf_blocked_flag {
	TF_BLOCKED_OBSERVED = 1, /* the fence only watched: they passed */
	TF_BLOCKED_ROUND = 2,    /* the socket plane should have stopped them */
};

#define TF_NO_UID (~0U)

/* blocked: least-recently-used hash, written by the programs when they drop, emptied by people.
 * Missing: it did not fit; counters has it all the same. */
struct tf_blocked_key {
	__u64 cgroup;          /* of the socket; 0: none that is known */
	struct tf_addr addr;   /* where to; what arrived: where from. Zeroed: not an IP packet */
	struct tf_name device; /* empty: there was none yet */
	char comm[TF_NAME_LEN];
	__u32 uid;             /* TF_NO_UID: not known */
	__u32 from;            /* index of the device it came in by */
	__u32 question;        /* of a name that is asked for: tells names apart; 0: none */
	__u16 port;            /* that it was for */
	__u8 protocol;
	__u8 plane;            /* enum tf_plane */
	__u8 reason;           /* enum tf_reason */
	__u8 sender;           /* enum tf_sender */
	__u8 flags;            /* enum tf_blocked_flag */
	__u8 zero[5];
};

struct tf_blocked {
	__u64 packets;
	__u64 bytes;
	__u64 first, last; /* ns since boot, time asleep included; as of the clock's last tick */
	__u64 told;        /* likewise: when somebody was told of it last; 0: never */
	__u32 pid;         /* of the last */
	__u32 tick;        /* that last is of */
	char question[TF_QUESTION_BYTES]; /* the name as in the packet; may be longer than this */
};

/* leases: array of one element, mapped into the memory of those who listen. Who takes a slot puts its
 * ring buffer into that slot of listeners, and renews the lease again and again: so one that was
 * killed costs nothing soon. No verdict reads them. */
struct tf_lease {
	__u64 until; /* ns since boot, time asleep included; past: nobody listens */
	__u64 taken; /* likewise; past: the slot is free. The programs do not look at it */
	__u64 lost;  /* events that its ring buffer had no room for */
};

#define TF_LEASE_NS 5000000000ULL

struct tf_leases {
	struct tf_lease slot[TF_MAX_LISTENERS];
};

/* What is in a listener's ring buffer: one packet that was dropped, and how many of its kind were. */
struct tf_event {
	__u64 time; /* ns since boot, time asleep included */
	struct tf_blocked_key key;
	__u64 packets, bytes, first; /* of this kind so far, as in blocked */
	__u32 pid;
	__u32 length;     /* of this packet, as skb->len */
	__u32 ifindex;    /* of its device; 0: there was no packet yet */
	__u32 captured;   /* bytes in packet; 0: there was none, or it cannot be read */
	__be16 ethertype; /* of its frame; 0: it had no link header */
	__u16 zero[3];
	char question[TF_QUESTION_BYTES];
	__u8 packet[TF_CAPTURE_BYTES]; /* behind the link header */
};

/* cleared: array, as counters. What of it people have seen and cleared away. */
struct tf_cleared {
	__u64 packets;
	__u64 bytes;
};

/* tunnels: for display. Written by up and sync; no verdict reads it. */
struct tf_tunnel_state {
	char kind[TF_NAME_LEN];
	__u32 netns;
	__u32 ifindex; /* 0: there is no such interface now */
};

_Static_assert(sizeof(struct tf_name) == 16, "two words");
_Static_assert(sizeof(struct tf_addr) == 16, "padding");
_Static_assert(sizeof(struct tf_tunnel) == 16 + 16 + 16 + 4 + 2 + 1 + 1, "padding");
_Static_assert(sizeof(struct tf_group) == 8 + 4 + 4, "padding");
_Static_assert(sizeof(struct tf_policy) ==
	       4 + 4 + (TF_GROUP_ROOM + TF_MAX_EXEMPT) * sizeof(struct tf_group) + 4 + 4 + 4 + 4 +
		       4 + 4 + 8 + 16 + 4 + 4 +
		       TF_NEAR_ENDPOINTS * sizeof(struct tf_near_endpoint) + 4 * 32 +
		       TF_MAX_TUNNELS * sizeof(struct tf_tunnel) + 64,
	       "padding");
_Static_assert(sizeof(struct tf_endpoint_key) == 16 + 2 + 1 + 1, "padding");
_Static_assert(sizeof(struct tf_near_endpoint) == 20 + 4, "padding");
_Static_assert(sizeof(struct tf_live) == 8, "as many bits as there are hashes");
_Static_assert(sizeof(struct tf_prefix_key) == 4 + 16, "padding");
_Static_assert(sizeof(struct tf_prefix) == 4 + 4 + 4 + 4, "padding");
_Static_assert(sizeof(struct tf_network) == 16 + 16 + 16, "padding");
_Static_assert(sizeof(struct tf_service) == 4 + 4 + 8, "padding");
_Static_assert(sizeof(struct tf_inside_key) == 4 + 16, "padding");
_Static_assert(sizeof(struct tf_inbound_key) == 2 + 1 + 1, "padding");
_Static_assert(sizeof(struct tf_fragment_key) == 16 + 16 + 4 + 4 + 1 + 1 + 1 + 1, "padding");
_Static_assert(sizeof(struct tf_question) == 8 + 8 + 2 + 6, "padding");
_Static_assert(sizeof(struct tf_counter) == 4 + 4 + 8 + 8, "padding");
_Static_assert(sizeof(struct tf_who) == 4 + 4 + 16, "padding");
_Static_assert(sizeof(struct tf_blocked_key) == 8 + 16 + 16 + 16 + 4 + 4 + 4 + 2 + 5 + 5, "padding");
_Static_assert(sizeof(struct tf_blocked) == 8 + 8 + 8 + 8 + 8 + 4 + 4 + TF_QUESTION_BYTES, "padding");
_Static_assert(sizeof(struct tf_lease) == 8 + 8 + 8, "padding");
_Static_assert(sizeof(struct tf_event) == 8 + sizeof(struct tf_blocked_key) + 3 * 8 + 4 * 4 + 2 + 6 +
						  TF_QUESTION_BYTES + TF_CAPTURE_BYTES,
	       "padding");
_Static_assert(sizeof(struct tf_cleared) == 8 + 8, "padding");
_Static_assert(sizeof(struct tf_tunnel_state) == 16 + 4 + 4, "padding");
_Static_assert((1 << TF_SERVICE_STEPS) > TF_MAX_SERVICES, "the search must reach every service");

#endif
