// SPDX-License-Identifier: GPL-2.0
/*
 * The kernel's half: maps, the core's seams answered with helpers, and one entry point per plane.
 * Thin on purpose: who passes is written in include/tunfence, which also runs natively.
 *
 * Maps hold one policy and are frozen before the program is attached, except live_endpoints,
 * live_hashes, question and tunnels (written by up and sync), counters, recent and fragments (written
 * here). Sizes are set by the loader to what the policy needs.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include <tunfence/arrive.h>

#include "cgroup.h"
#include "device.h"
#include "dispatcher.h"
#include "lookup.h"
#include "maps.h"
#include "note.h"

enum {
	AF_INET = 2,
	AF_INET6 = 10,
	TCP_TIME_WAIT = 6,
	TCP_LISTEN = 10,
	TCP_NEW_SYN_RECV = 12,
	CHECKSUM_PARTIAL = 3, /* include/linux/skbuff.h */
	SOCKET_DROP = 0,
	SOCKET_PASS = 1,
};

/* The two that the parser begins with, and nearly always the only ones, without asking a helper. Where
 * words cannot be loaded from any address, the verifier refuses this like the rest of TF_DIRECT. */
#ifdef TF_DIRECT

static __always_inline void copy_words(__u64 *to, const __u64 *from, __u32 count)
{
	__u32 i;

#pragma clang loop unroll(full)
	for (i = 0; i < count; i++)
		to[i] = from[i];
}

static __always_inline _Bool load_directly(tf_ctx *ctx, __u32 offset, void *to, __u32 bytes)
{
	const void *at = (const void *)(__u64)ctx->data + offset;
	const void *end = (const void *)(__u64)ctx->data_end;
	const __u32 link = TF_ETH_HEADER;

	if (__builtin_is_aligned(to, 8)) {
		if (bytes != TF_L3_BYTES || at + TF_L3_BYTES > end)
			return 0;
		copy_words(to, at, TF_L3_BYTES / 8);
		return 1;
	}
	if (bytes != link + TF_L3_BYTES || at + link + TF_L3_BYTES > end)
		return 0;
	*(__u16 *)to = *(const __u16 *)at;
	*(__u32 *)(to + 2) = *(const __u32 *)(at + 2);
	copy_words(to + 6, at + 6, 1 + TF_L3_BYTES / 8);
	return 1;
}

#else

static __always_inline _Bool load_directly(tf_ctx *ctx, __u32 offset, void *to, __u32 bytes)
{
	return 0;
}

#endif

TF_SEAM long tf_load(tf_ctx *ctx, __u32 offset, void *to, __u32 bytes)
{
	if (__builtin_constant_p(offset) && !offset && load_directly(ctx, offset, to, bytes))
		return 0;
	return bpf_skb_load_bytes(ctx, offset, to, bytes);
}

/* Checked by itself, or the verifier would follow each answer through all that comes behind. */
TF_GLOBAL __u32 load_owner(struct __sk_buff *ctx)
{
	struct bpf_sock *sk = ctx->sk;

	if (!sk)
		return TF_OWNER_KERNEL;
	sk = bpf_sk_fullsock(sk);
	if (!sk) /* a connection request's or a TIME_WAIT's mini-socket */
		return TF_OWNER_KERNEL;
	if (sk->family == AF_PACKET)
		return TF_OWNER_PACKET;
	if (sk->family != AF_INET && sk->family != AF_INET6)
		return TF_OWNER_UNKNOWN;
	return sk->type == SOCK_RAW ? TF_OWNER_RAW : TF_OWNER_INET;
}

#ifdef TF_DIRECT

/* Whether it is a program's own ordinary socket, as most are. Of a mini-socket there is no more than
 * struct sock_common. */
static __always_inline _Bool is_ordinary(const struct sock *sk)
{
	unsigned char state;
	unsigned short family;

	if (!sk)
		return 0;
	state = READ(sk, __sk_common.skc_state);
	family = READ(sk, __sk_common.skc_family);
	return state != TCP_TIME_WAIT && state != TCP_NEW_SYN_RECV &&
	       (family == AF_INET || family == AF_INET6) && READ(sk, sk_type) != SOCK_RAW;
}

/* The verifier goes where it is not likely first, and finds the likely among what it has seen. */
TF_SEAM enum tf_owner tf_load_owner(tf_ctx *ctx)
{
	if (__builtin_expect(is_ordinary(READ(skb_of(ctx), sk)), 0))
		return TF_OWNER_INET;
	return (enum tf_owner)load_owner(ctx);
}

#else

TF_SEAM enum tf_owner tf_load_owner(tf_ctx *ctx)
{
	return (enum tf_owner)load_owner(ctx);
}

#endif

TF_SEAM _Bool tf_is_foreign(tf_ctx *ctx, const struct tf_policy *p)
{
	return netns_of_socket(ctx) != p->netns;
}

TF_SEAM __u64 tf_load_cookie(tf_ctx *ctx)
{
	return bpf_get_socket_cookie(ctx);
}

/* The route is still there at tc egress. AF_PACKET has none; a macvlan child's is its namespace's. */
TF_SEAM _Bool tf_is_routed_here(tf_ctx *ctx, const struct tf_policy *p)
{
	unsigned long dst = READ(skb_of(ctx), _skb_refdst) & ~1UL;

	if (!dst)
		return load_owner(ctx) == TF_OWNER_KERNEL && is_port(ctx);
	return READ(KERNEL_CAST(struct dst_entry, dst), dev, nd_net.net, ns.inum) == p->netns;
}

TF_SEAM void tf_load_offload(tf_ctx *ctx, struct tf_offload *to)
{
	struct sk_buff *skb = skb_of(ctx);
	__u32 headroom;

	headroom = (__u32)(READ(skb, data) - READ(skb, head));
	to->checksum = READ_BITS(skb, ip_summed) == CHECKSUM_PARTIAL;
	to->checksum_at = READ(skb, csum_start) + READ(skb, csum_offset) -
			  headroom;
	to->network = READ(skb, network_header) - headroom;
	to->transport = READ(skb, transport_header) - headroom;
	to->ethertype = tf_ntohs((TF_FORCE __be16)ctx->protocol);
}

static __always_inline struct tf_meta meta_of(struct __sk_buff *ctx, enum tf_plane plane)
{
	struct tf_meta meta = {
		.plane = plane,
		.bytes = ctx->len,
		.mark = ctx->mark,
		.gso_size = ctx->gso_size,
		.ifindex = ctx->ifindex,
		.forwarded = ctx->ingress_ifindex,
	};

	return meta;
}

/* So much of a packet is judged at most, and has to be in the skb's own memory. */
static __always_inline __u32 judged_bytes(struct __sk_buff *ctx)
{
	return ctx->len < TF_PRIVATE_BYTES ? ctx->len : TF_PRIVATE_BYTES;
}

/* Copies it there, if not this kernel's IP stack wrote it. Not 0: that failed. */
TF_GLOBAL __u32 is_shared(struct __sk_buff *ctx)
{
	if (load_owner(ctx) == TF_OWNER_INET)
		return 0;
	return bpf_skb_pull_data(ctx, judged_bytes(ctx)) != 0;
}

/* What comes to the socket hook this kernel's IP stack wrote. */
TF_SEAM _Bool tf_is_shared(tf_ctx *ctx, enum tf_plane plane)
{
	__u64 linear = (__u64)ctx->data_end - (__u64)ctx->data;

	return plane != TF_PLANE_SOCKET && linear < judged_bytes(ctx) && is_shared(ctx);
}

/* Not asked at the socket hook, which is attached to the scope's cgroups and sees nothing else. */
TF_GLOBAL __u32 in_a_group(struct __sk_buff *ctx)
{
	const struct tf_policy *p = the_policy();
	__u32 i;

	for (i = 0; i < TF_GROUP_ROOM && i < p->group_count; i++) {
		if (bpf_skb_ancestor_cgroup_id(ctx, p->groups[i].level) == p->groups[i].id)
			return 1;
	}
	return 0;
}

TF_SEAM _Bool tf_in_cgroup(tf_ctx *ctx, const struct tf_policy *p)
{
	return in_a_group(ctx) != 0;
}

TF_GLOBAL __u32 is_from_exempt(struct __sk_buff *ctx)
{
	const struct tf_policy *p = the_policy();
	__u32 i;

	for (i = 0; i < TF_MAX_EXEMPT && i < p->exempt_count; i++) {
		if (bpf_skb_ancestor_cgroup_id(ctx, p->exempt[i].level) == p->exempt[i].id)
			return 1;
	}
	return 0;
}

TF_SEAM _Bool tf_is_from_exempt(tf_ctx *ctx)
{
	return is_from_exempt(ctx) != 0;
}

/* By the socket's address, as a number: the verifier wants to see ctx passed. */
TF_GLOBAL __u32 is_exempt_socket(struct __sk_buff *ctx, __u64 sk)
{
	TF_KEEP(ctx);
	return is_in_exempt(cgroup_of_socket(KERNEL_CAST(struct sock, sk)), the_policy());
}

/* What is held by reference cannot be read beyond the fields that everybody sees; its address can,
 * from where it lies. */
static __always_inline __u64 address_of(struct bpf_sock *sk)
{
	__u64 address = 0;

	bpf_probe_read_kernel(&address, sizeof(address), &sk);
	return address;
}

/* The socket that would get the packet. Of a listening one it is not the program that has asked. */
static __always_inline _Bool is_for_exempt(struct __sk_buff *ctx, struct bpf_sock_tuple *tuple,
					   __u32 size, __u8 protocol)
{
	struct bpf_sock *sk;
	_Bool exempt;

	sk = protocol == TF_PROTO_TCP ?
		     bpf_sk_lookup_tcp(ctx, tuple, size, BPF_F_CURRENT_NETNS, 0) :
		     bpf_sk_lookup_udp(ctx, tuple, size, BPF_F_CURRENT_NETNS, 0);
	if (!sk)
		return 0;
	exempt = (protocol == TF_PROTO_UDP || sk->state != TCP_LISTEN) &&
		 is_exempt_socket(ctx, address_of(sk));
	bpf_sk_release(sk);
	return exempt;
}

TF_SEAM _Bool tf_is_for_exempt(tf_ctx *ctx, const struct tf_packet *p)
{
	struct bpf_sock_tuple tuple = {};

	if (tf_addr_is_v4(&p->dst)) {
		tuple.ipv4.saddr = tf_addr_word(&p->src, 3);
		tuple.ipv4.daddr = tf_addr_word(&p->dst, 3);
		tuple.ipv4.sport = tf_htons(p->sport);
		tuple.ipv4.dport = tf_htons(p->dport);
		return is_for_exempt(ctx, &tuple, sizeof(tuple.ipv4), p->protocol);
	}
	__builtin_memcpy(tuple.ipv6.saddr, &p->src, sizeof(tuple.ipv6.saddr));
	__builtin_memcpy(tuple.ipv6.daddr, &p->dst, sizeof(tuple.ipv6.daddr));
	tuple.ipv6.sport = tf_htons(p->sport);
	tuple.ipv6.dport = tf_htons(p->dport);
	return is_for_exempt(ctx, &tuple, sizeof(tuple.ipv6), p->protocol);
}

static __always_inline enum tf_verdict counted(struct __sk_buff *ctx, const struct tf_meta *meta,
					       enum tf_plane plane, const struct tf_packet *packet,
					       struct tf_decision decision)
{
	if (is_drop(decision)) {
		count_drop(plane, decision.reason, meta->bytes);
		note(ctx, meta, plane, packet, decision.reason);
	} else {
		count(plane, decision.reason, meta->bytes);
	}
	return decision.verdict;
}

SEC("cgroup_skb/egress")
int tunfence_socket(struct __sk_buff *ctx)
{
	struct tf_meta meta = meta_of(ctx, TF_PLANE_SOCKET);
	struct tf_packet packet = {};
	struct tf_decision decision = tf_judge(ctx, the_policy(), &meta, &packet);

	return counted(ctx, &meta, TF_PLANE_SOCKET, &packet, decision) == TF_PASS ? SOCKET_PASS :
										    SOCKET_DROP;
}

SEC("tc")
int tunfence_wire(struct __sk_buff *ctx)
{
	const struct tf_policy *p = the_policy();
	struct tf_meta meta = meta_of(ctx, TF_PLANE_WIRE);
	struct tf_packet packet = {};
	struct tf_decision decision = tf_judge(ctx, p, &meta, &packet);

	if (counted(ctx, &meta, TF_PLANE_WIRE, &packet, decision) != TF_PASS)
		return WIRE_DROP;
	return p->slot ? ask_next(ctx, p->slot) : WIRE_PASS;
}

SEC("tc")
int tunfence_in(struct __sk_buff *ctx)
{
	struct tf_meta meta = meta_of(ctx, TF_PLANE_INGRESS);
	struct tf_packet packet = {};
	struct tf_decision decision = tf_judge_arrived(ctx, the_policy(), &meta, &packet);

	return counted(ctx, &meta, TF_PLANE_INGRESS, &packet, decision) == TF_PASS ? WIRE_PASS :
										     WIRE_DROP;
}

char _license[] SEC("license") = "GPL";
