// SPDX-License-Identifier: GPL-2.0
/*
 * The namespace plane: a netfilter program at POST_ROUTING, for IPv4 and IPv6 alike. It sees every
 * IP packet that leaves the namespace by any device, forwarded and kernel-made ones too, before it
 * is fragmented, segmented or given a link header; so a device that the wire plane has not reached
 * yet is fenced already.
 *
 * Needs Linux 6.4. An object of its own, loaded only where it can be. Who passes is written in
 * include/tunfence; here the core's seams are answered for this context, which has no helpers of an
 * skb's: fields are plain loads, which every kernel has that has this hook. So are bytes where the
 * parser begins; others are read through a dynptr, which knows of fragments.
 */
#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#define TF_CTX struct bpf_nf_ctx
#define TF_DIRECT
#include <tunfence/judge.h>

#include "cgroup.h"
#include "kernel.h"
#include "lookup.h"
#include "maps.h"
#include "question.h"
#include "tell_packet.h"

enum {
	AF_INET = 2,
	AF_INET6 = 10,
	AF_PACKET = 17,
	SOCK_RAW = 3,
	TCP_TIME_WAIT = 6,
	TCP_NEW_SYN_RECV = 12,
	CHECKSUM_PARTIAL = 3, /* include/linux/skbuff.h */
	NETFILTER_DROP = 0,
	NETFILTER_ACCEPT = 1,
};

extern int bpf_dynptr_from_skb(struct sk_buff *skb, __u64 flags, struct bpf_dynptr *to) __ksym;

/* By the kernel's name of the context: a relocation knows no typedef's. */
static __always_inline struct sk_buff *skb_of(struct bpf_nf_ctx *ctx)
{
	return KERNEL_CAST(struct sk_buff, ctx->skb);
}

static __always_inline struct net_device *device_of(struct bpf_nf_ctx *ctx)
{
	return KERNEL_CAST(struct nf_hook_state, ctx->state)->out;
}

/* In a frame of its own: the verifier lets nothing of variable size be written near a dynptr. */
static __attribute__((noinline)) long load_bytes(struct bpf_nf_ctx *ctx, __u32 offset, void *to,
						 __u32 bytes)
{
	struct bpf_dynptr packet;

	if (bpf_dynptr_from_skb(ctx->skb, 0, &packet))
		return -1;
	return bpf_dynptr_read(to, bytes, &packet, offset, 0);
}

/* The window that the parser begins with, if all of it lies in the skb's own memory. That is what
 * len and data_len say; where they make no sense it is as if nothing lay there. */
static __always_inline _Bool load_directly(struct bpf_nf_ctx *ctx, void *to)
{
	struct sk_buff *skb = skb_of(ctx);
	__u32 len = skb->len, data_len = skb->data_len;

	if (data_len > len || len - data_len < TF_L3_BYTES)
		return 0;
	load_words(to, skb->data, TF_L3_BYTES / 8);
	return 1;
}

TF_SEAM long tf_load(tf_ctx *ctx, __u32 offset, void *to, __u32 bytes)
{
	if (__builtin_constant_p(offset) && !offset && __builtin_is_aligned(to, 8) &&
	    bytes == TF_L3_BYTES && load_directly(ctx, to))
		return 0;
	return load_bytes(ctx, offset, to, bytes);
}

TF_SEAM void tf_load_device(tf_ctx *ctx, enum tf_plane plane, struct tf_device *to)
{
	struct net_device *dev = device_of(ctx);

	read_device_name(&to->name, dev);
	to->netns = dev->nd_net.net->ns.inum;
}

TF_SEAM void tf_load_kind(tf_ctx *ctx, struct tf_name *to)
{
	read_kind(to, device_of(ctx));
}

/* What only frames with a link header are asked, and none of them comes here. */
TF_SEAM enum tf_whose tf_whose_address(tf_ctx *ctx, const struct tf_addr *addr)
{
	return TF_WHOSE_OTHER;
}

TF_SEAM _Bool tf_is_own_mac(tf_ctx *ctx, const __u8 mac[6])
{
	return 1;
}

TF_SEAM _Bool tf_is_relayed(tf_ctx *ctx, enum tf_plane plane)
{
	return 0;
}

/* A connection request's and a TIME_WAIT's mini-socket have no more than struct sock_common. */
static __always_inline _Bool is_full(const struct sock *sk)
{
	unsigned char state = sk->__sk_common.skc_state;

	return state != TCP_TIME_WAIT && state != TCP_NEW_SYN_RECV;
}

/* Checked by itself, or the verifier would follow each answer through all that comes behind. */
TF_GLOBAL __u32 load_owner(struct bpf_nf_ctx *ctx)
{
	struct sock *sk = skb_of(ctx)->sk;
	unsigned short family;

	if (!sk || !is_full(sk))
		return TF_OWNER_KERNEL;
	family = sk->__sk_common.skc_family;
	if (family == AF_PACKET)
		return TF_OWNER_PACKET;
	if (family != AF_INET && family != AF_INET6)
		return TF_OWNER_UNKNOWN;
	return sk->sk_type == SOCK_RAW ? TF_OWNER_RAW : TF_OWNER_INET;
}

/* A program's own ordinary socket has most of what leaves. As in tunfence.bpf.c, that is what the
 * verifier is to look into last. */
static __always_inline _Bool is_ordinary(const struct sock *sk)
{
	unsigned short family;

	if (!sk || !is_full(sk))
		return 0;
	family = sk->__sk_common.skc_family;
	return (family == AF_INET || family == AF_INET6) && sk->sk_type != SOCK_RAW;
}

TF_SEAM enum tf_owner tf_load_owner(tf_ctx *ctx)
{
	if (__builtin_expect(is_ordinary(skb_of(ctx)->sk), 0))
		return TF_OWNER_INET;
	return (enum tf_owner)load_owner(ctx);
}

TF_SEAM _Bool tf_is_foreign(tf_ctx *ctx, const struct tf_policy *p)
{
	const struct sock *sk = skb_of(ctx)->sk;
	const struct net *net = sk ? sk->__sk_common.skc_net.net : 0;

	return !net || net->ns.inum != p->netns;
}

TF_SEAM __u64 tf_load_cookie(tf_ctx *ctx)
{
	struct sock *sk = skb_of(ctx)->sk;

	return sk && is_full(sk) ? (__u64)sk->__sk_common.skc_cookie.counter : 0;
}

TF_SEAM _Bool tf_is_routed_here(tf_ctx *ctx, const struct tf_policy *p)
{
	unsigned long dst = skb_of(ctx)->_skb_refdst & ~1UL;

	return dst && KERNEL_CAST(struct dst_entry, dst)->dev->nd_net.net->ns.inum == p->netns;
}

/* In a union with what is no pointer. */
static __always_inline const struct sock *listener_of_request(const struct sock *sk)
{
	return KERNEL_CAST(struct sock, sk->__sk_common.skc_listener);
}

/* As a helper of skb programs has it: the socket's own, or that of a request's listener. */
static __always_inline struct cgroup *cgroup_of(const struct sock *sk)
{
	if (!sk)
		return NULL;
	if (sk->__sk_common.skc_state == TCP_NEW_SYN_RECV)
		return cgroup_of_socket(listener_of_request(sk));
	return is_full(sk) ? cgroup_of_socket(sk) : NULL;
}

TF_GLOBAL __u32 in_a_group(struct bpf_nf_ctx *ctx)
{
	const struct cgroup *cgroup = cgroup_of(skb_of(ctx)->sk);
	const struct tf_policy *p = the_policy();
	__u32 i;

	for (i = 0; cgroup && i < TF_GROUP_ROOM && i < p->group_count; i++) {
		if (is_within(cgroup, &p->groups[i]))
			return 1;
	}
	return 0;
}

TF_SEAM _Bool tf_in_cgroup(tf_ctx *ctx, const struct tf_policy *p)
{
	return in_a_group(ctx) != 0;
}

TF_GLOBAL __u32 is_from_exempt(struct bpf_nf_ctx *ctx)
{
	const struct sock *sk = skb_of(ctx)->sk;

	return sk && is_full(sk) && is_in_exempt(cgroup_of_socket(sk), the_policy());
}

TF_SEAM _Bool tf_is_from_exempt(tf_ctx *ctx)
{
	return is_from_exempt(ctx) != 0;
}

TF_SEAM void tf_load_offload(tf_ctx *ctx, struct tf_offload *to)
{
	struct sk_buff *skb = skb_of(ctx);
	__u32 headroom = (__u32)(skb->data - skb->head);

	to->checksum = READ_BITS(skb, ip_summed) == CHECKSUM_PARTIAL;
	to->checksum_at = skb->csum_start + skb->csum_offset - headroom;
	to->network = skb->network_header - headroom;
	to->transport = skb->transport_header - headroom;
	to->ethertype = tf_ntohs((__be16)skb->protocol);
}

/* An IP packet's headers as far as its ports; 0: cannot be told without following extensions. */
static __always_inline __u32 header_bytes(const __u8 *ip)
{
	if (ip[0] >> 4 == 4)
		return (__u32)(ip[0] & 0x0f) * 4 + TF_UDP_HEADER;
	if (ip[6] == TF_PROTO_TCP || ip[6] == TF_PROTO_UDP || ip[6] == TF_PROTO_ICMPV6)
		return TF_IPV6_HEADER + TF_UDP_HEADER;
	return 0;
}

/* Whether what would be judged may lie in memory that its sender goes on writing to: not this
 * kernel's IP stack wrote it, and it is not in the skb's own memory. Nothing can be copied here, so
 * that is a drop. */
TF_GLOBAL __u32 is_shared(struct bpf_nf_ctx *ctx)
{
	__u32 len = skb_of(ctx)->len, data_len = skb_of(ctx)->data_len, headers;
	__u8 ip[TF_EXT_UNIT] = {};

	if (load_owner(ctx) == TF_OWNER_INET)
		return 0;
	if (data_len > len || tf_load(ctx, 0, ip, sizeof(ip)))
		return 1;
	headers = header_bytes(ip);
	return !headers || len - data_len < headers;
}

TF_SEAM _Bool tf_is_shared(tf_ctx *ctx, enum tf_plane plane)
{
	return skb_of(ctx)->data_len && is_shared(ctx);
}

static __always_inline __u32 gso_size_of(struct sk_buff *skb)
{
	return KERNEL_CAST(struct skb_shared_info, skb->head + skb->end)->gso_size;
}

/* ---- what was dropped ------------------------------------------------------------------------ */

enum {
	MAX_STORAGES = 32, /* of one socket, that are looked through */
};

/* In a function of its own, for where a kernel has no such fields: see cgroup.h. */
static __attribute__((noinline)) __u64 find_who(const struct sock *sk)
{
	const void *map = &owners;
	struct bpf_local_storage_elem *elem;
	__u64 at = load_word(&READ(sk, sk_bpf_storage)->list.first);
	const __u64 ours = load_word(&map);
	int i;

	for (i = 0; i < MAX_STORAGES && at; i++) {
		elem = (void *)at - bpf_core_field_offset(elem->snode);
		if (load_word(&elem->sdata.smap) == ours)
			return (__u64)elem + bpf_core_field_offset(elem->sdata.data);
		at = load_word(&((const struct hlist_node *)at)->next);
	}
	return 0;
}

/* Programs of this type have no helper for a socket's storage: so it is read as it lies there. */
static __always_inline _Bool load_who(const struct sock *sk, struct tf_who *who)
{
	const struct bpf_local_storage_elem *elem = NULL;
	__u64 at = 0, word[sizeof(*who) / 8] = {};

	if (bpf_core_field_exists(sk->sk_bpf_storage) && bpf_core_field_exists(elem->snode) &&
	    bpf_core_field_exists(elem->sdata.data))
		at = find_who(sk);
	if (at)
		load_words(word, (const void *)at, sizeof(word) / 8);
	__builtin_memcpy(who, word, sizeof(*who));
	return who->pid != 0;
}

/* A connection request's answer is its listener's. NULL: no program has one. */
static __always_inline const struct sock *listener_of(const struct sock *sk)
{
	if (!sk || is_full(sk))
		return sk;
	return sk->__sk_common.skc_state == TCP_NEW_SYN_RECV ?
		       listener_of_request(sk) : NULL;
}

static __always_inline void set_socket(const struct sock *sk, struct tf_blocked_key *key)
{
	key->cgroup = READ(cgroup_of_socket(sk), kn, id);
	if (READ_BITS(sk, sk_kern_sock)) {
		key->sender = TF_SENDER_KERNEL;
		return;
	}
	key->uid = READ(sk, sk_uid.val);
	key->sender = TF_SENDER_OLDER;
}

/* iif: of the device it came in by. Returns the process; 0: not known. */
static __always_inline __u32 set_sender(const struct sock *sk, __u32 iif,
					struct tf_blocked_key *key)
{
	struct tf_who who = {};

	sk = listener_of(sk);
	if (!sk) {
		key->from = iif;
		key->sender = key->from ? TF_SENDER_FORWARDED : TF_SENDER_KERNEL;
		return 0;
	}
	set_socket(sk, key);
	if (!load_who(sk, &who))
		return 0;
	set_who(key, &who);
	return who.pid;
}

static __always_inline void capture(void *context, struct tf_event *event)
{
	struct bpf_nf_ctx *ctx = context;
	__u32 at = 0;

	TF_KEEP(at); /* it is not the window of the parser */
	event->ifindex = (__u32)device_of(ctx)->ifindex;
	event->captured =
		tf_load_upto(ctx, at, event->packet, sizeof(event->packet), event->length);
}

/* As note_drop() of other planes. */
TF_GLOBAL __u32 note_drop(struct bpf_nf_ctx *ctx, __u64 addr0, __u64 addr1, __u64 packed,
			  __u32 asked)
{
	const struct drop drop = { .packed = packed };
	struct tf_blocked_key key = {
		.uid = TF_NO_UID,
		.question = asked,
		.port = drop.port,
		.protocol = drop.protocol,
		.plane = TF_PLANE_NAMESPACE,
		.reason = drop.reason,
	};
	struct sk_buff *skb = skb_of(ctx);
	__u32 bytes = skb->len, pid;
	struct tf_blocked *entry;

	__builtin_memcpy(key.addr.byte, &addr0, sizeof(addr0));
	__builtin_memcpy(key.addr.byte + 8, &addr1, sizeof(addr1));
	read_device_name(&key.device, device_of(ctx));
	pid = set_sender(skb->sk, (__u32)skb->skb_iif, &key);
	if (the_policy()->mode == TF_MODE_OBSERVE)
		key.flags = TF_BLOCKED_OBSERVED;
	entry = count_blocked(&key, pid, bytes);
	if (entry && asked)
		keep_question(ctx, entry, &drop, bytes);
	if (entry)
		tell(ctx, tell_packet, &key, entry, bytes);
	return 0;
}

static __always_inline void note(struct bpf_nf_ctx *ctx, const struct tf_meta *meta,
				 const struct tf_packet *packet, enum tf_reason reason)
{
	__u64 packed = drop_of(packet, reason), word[2];
	__u32 asked = question_of(ctx, packed, meta->bytes);

	__builtin_memcpy(word, &packet->dst, sizeof(word));
	note_drop(ctx, word[0], word[1], packed, asked);
}

SEC("netfilter")
int tunfence_ns(struct bpf_nf_ctx *ctx)
{
	struct sk_buff *skb = skb_of(ctx);
	struct tf_meta meta = {
		.plane = TF_PLANE_NAMESPACE,
		.bytes = skb->len,
		.mark = skb->mark,
		.gso_size = gso_size_of(skb),
		.ifindex = (__u32)device_of(ctx)->ifindex,
		.forwarded = (__u32)skb->skb_iif,
	};
	struct tf_packet packet = {};
	struct tf_decision decision = tf_judge(ctx, the_policy(), &meta, &packet);

	if (is_drop(decision)) {
		count_drop(TF_PLANE_NAMESPACE, decision.reason, meta.bytes);
		note(ctx, &meta, &packet, decision.reason);
	} else {
		count(TF_PLANE_NAMESPACE, decision.reason, meta.bytes);
	}
	return decision.verdict == TF_PASS ? NETFILTER_ACCEPT : NETFILTER_DROP;
}

char _license[] SEC("license") = "GPL";
