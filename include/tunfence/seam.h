/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the core asks of the world. The kernel program answers with helpers and maps
 * (bpf/tunfence.bpf.c); natively user/native.c answers from memory (tests) or with system calls on
 * a running fence's maps (explain). An answer that cannot be had is NULL, false, zero or an error,
 * and each of them leads to DROP.
 */
#ifndef TUNFENCE_SEAM_H
#define TUNFENCE_SEAM_H

#include <tunfence/policy.h>
#include <tunfence/types.h>

/*
 * TF_GLOBAL marks a function that the verifier checks once by itself, for all arguments, instead of
 * once more for each path that leads to it. Linux 5.10 lets such a function take the context and
 * scalars and return a scalar, so that is all they do.
 * TF_PART marks one that also takes pointers to memory, of which the verifier then knows no more than
 * their size. Kernels let it do so from 5.13 on, so it is such a function where the kernel is one that
 * has plain loads (bpf/kernel.h), and elsewhere a part of its caller.
 * TF_KEEP(x) keeps the compiler from reasoning about x across that line.
 */
#ifdef __bpf__
#ifndef TF_CTX /* a program of another type names its own */
#define TF_CTX struct __sk_buff
#endif
typedef TF_CTX tf_ctx;
#define TF_SEAM static inline __attribute__((always_inline))
#define TF_GLOBAL __attribute__((noinline))
#ifdef TF_DIRECT
#define TF_PART TF_GLOBAL
#else
#define TF_PART TF_SEAM
#endif
#define TF_KEEP(x) asm volatile("" : "+r"(x))
#else
typedef struct native tf_ctx;
#define TF_SEAM
#define TF_GLOBAL static inline
#define TF_PART static inline
#define TF_KEEP(x) (void)(x)
#endif

struct tf_packet; /* packet.h */

/* Who made a packet, as far as its socket tells. */
enum tf_owner {
	TF_OWNER_UNKNOWN = 0, /* a socket of a family that has no business here */
	TF_OWNER_KERNEL,      /* no full socket: made by the kernel, or forwarded */
	TF_OWNER_INET,        /* a stream or datagram socket of this fence's namespace */
	TF_OWNER_RAW,         /* a raw IP socket */
	TF_OWNER_PACKET,      /* AF_PACKET */
	TF_OWNER_FOREIGN,     /* an IP socket of another network namespace */
	TF_OWNER_WRAPPED,     /* the same, but routed in this fence's: what an in-kernel tunnel wraps */
	TF_OWNER_ELSEWHERE,   /* no full socket, and not routed in this fence's namespace */
};

struct tf_device {
	struct tf_name name;
	__u32 netns;         /* inode of its network namespace; 0: could not be read */
	__u32 link_header;   /* enum tf_link_header */
};

/* Whose an address is, as far as the packet's device knows. */
enum tf_whose {
	TF_WHOSE_OTHER = 0, /* another device's, nobody's, or it could not be found out */
	TF_WHOSE_OWN,
	TF_WHOSE_BROADCAST, /* of a subnet that the device has an address in */
};

/* Copies bytes of the frame, which begins where tf_begins_with_ip() says. 0, or not 0 if they are
 * not all there. */
TF_SEAM long tf_load(tf_ctx *ctx, __u32 offset, void *to, __u32 bytes);

/* The device the packet leaves or arrives by. Zeroed where it cannot be read: then it is nobody's. */
TF_SEAM void tf_load_device(tf_ctx *ctx, enum tf_plane plane, struct tf_device *to);
TF_SEAM void tf_load_kind(tf_ctx *ctx, struct tf_name *to);

/* Of the packet's device, asked now: there is nothing to go stale. */
TF_SEAM enum tf_whose tf_whose_address(tf_ctx *ctx, const struct tf_addr *addr);
TF_SEAM _Bool tf_is_own_mac(tf_ctx *ctx, const __u8 mac[6]);

/* Whether the IP that speaks through this frame is not the device's own: the device is a port of a
 * bridge or bond, the frame has a VLAN tag or is to another host. Where it is judged again, or is
 * nobody's. */
TF_SEAM _Bool tf_is_relayed(tf_ctx *ctx, enum tf_plane plane);

/* Never one that another namespace makes a difference to: that costs more to find out, so it is asked
 * only where it matters. */
TF_SEAM enum tf_owner tf_load_owner(tf_ctx *ctx); /* a scalar the verifier knows nothing of */
TF_SEAM _Bool tf_is_foreign(tf_ctx *ctx, const struct tf_policy *policy);

/* The cookie of the full socket that sends it; 0: there is none, or it could not be read. */
TF_SEAM __u64 tf_load_cookie(tf_ctx *ctx);

/* Whether the packet has a route of this fence's namespace. The port of a bridge or bond may see what
 * has no socket without its route: its master has judged that already. */
TF_SEAM _Bool tf_is_routed_here(tf_ctx *ctx, const struct tf_policy *policy);

/* The policy, for functions that the verifier checks by themselves. */
TF_SEAM const struct tf_policy *tf_policy_of(tf_ctx *ctx);

/* What the kernel or the device will still write into a frame when it has been judged. Offsets in
 * the frame; they may lie outside it, since AF_PACKET senders choose them. */
struct tf_offload {
	__u32 checksum;    /* not 0: two bytes are yet to be written at checksum_at */
	__u32 checksum_at;
	__u32 network;     /* where segmentation believes the IP and transport headers */
	__u32 transport;
	__u32 ethertype;   /* by which it finds them; chosen by AF_PACKET senders as well */
};

TF_SEAM void tf_load_offload(tf_ctx *ctx, struct tf_offload *to);

/* Whether who sends a frame may go on writing to the bytes that will be judged. What can be done
 * against that is done here, so it is asked before any of them is loaded. */
TF_SEAM _Bool tf_is_shared(tf_ctx *ctx, enum tf_plane plane);

/* Planes of a namespace or device: whether the packet's socket was made in one of the scope's cgroups,
 * or below it. */
TF_SEAM _Bool tf_in_cgroup(tf_ctx *ctx, const struct tf_policy *policy);

/* Whether the packet's full socket, or the one that it arrives for, was made in one of the policy's
 * exempt groups, or below it. A mark says nothing: anybody who may can set one. */
TF_SEAM _Bool tf_is_from_exempt(tf_ctx *ctx);
TF_SEAM _Bool tf_is_for_exempt(tf_ctx *ctx, const struct tf_packet *p);

/* Lookups. Pointers are good until the next call. */
TF_SEAM const struct tf_endpoint *tf_find_endpoint(tf_ctx *ctx, const struct tf_endpoint_key *key);
TF_SEAM const struct tf_endpoint *tf_find_live(tf_ctx *ctx, const struct tf_endpoint_key *key);
TF_SEAM const struct tf_prefix *tf_find_prefix(tf_ctx *ctx, const struct tf_prefix_key *key);
TF_SEAM const struct tf_service *tf_find_service(tf_ctx *ctx, __u32 index);
TF_SEAM const struct tf_uplink *tf_find_uplink(tf_ctx *ctx, const struct tf_name *name);
TF_SEAM _Bool tf_find_inside(tf_ctx *ctx, const struct tf_inside_key *key);
TF_SEAM _Bool tf_find_inbound(tf_ctx *ctx, const struct tf_inbound_key *key);

/* What tunfence asks the bootstrap name server now, and when now is, in ns since boot. */
TF_SEAM const struct tf_question *tf_find_question(tf_ctx *ctx);
TF_SEAM __u64 tf_now(tf_ctx *ctx);

/* The memory of first fragments that passed; forgets after TF_FRAGMENT_NS. */
TF_SEAM _Bool tf_find_fragment(tf_ctx *ctx, const struct tf_fragment_key *key);
TF_SEAM void tf_remember_fragment(tf_ctx *ctx, const struct tf_fragment_key *key);

#endif
