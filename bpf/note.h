/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Who sent an sk_buff that is dropped, and the entry for it. For programs whose context is struct
 * __sk_buff; of a drop alone, so what passes costs nothing.
 */
#ifndef TUNFENCE_NOTE_H
#define TUNFENCE_NOTE_H

#include "device.h"
#include "question.h"
#include "tell_packet.h"

enum {
	AF_PACKET = 17,
	SOCK_RAW = 3,
};

__u32 in_a_group(struct __sk_buff *ctx);

/* Whether the socket itself sent this, and not a tunnel of the kernel's that wraps what it sent and
 * goes on carrying it along. */
static __always_inline _Bool is_its_own(struct bpf_sock *sk, const struct drop *drop)
{
	if (!drop->protocol || sk->type == SOCK_RAW || sk->family == AF_PACKET)
		return 1;
	return sk->protocol == drop->protocol && (!drop->sport || sk->src_port == drop->sport);
}

static __always_inline _Bool is_of_kernel(struct __sk_buff *ctx)
{
	const struct sock *sk = READ(skb_of(ctx), sk);

	return sk && READ_BITS(sk, sk_kern_sock);
}

/* A socket that nobody has been remembered of. What AF_PACKET sends comes here while its sender runs;
 * but a device above may have kept it for a while, so that has to be of the same cgroup. */
static __always_inline __u32 set_stranger(struct __sk_buff *ctx, struct bpf_sock *sk,
					  struct tf_blocked_key *key)
{
	struct tf_who who = {};

	key->uid = bpf_get_socket_uid(ctx);
	if (sk->family != AF_PACKET) {
		key->sender = is_of_kernel(ctx) ? TF_SENDER_KERNEL : TF_SENDER_OLDER;
		return 0;
	}
	if (!key->cgroup || cgroup_of_current() != key->cgroup)
		return 0;
	who_is_it(&who);
	set_who(key, &who);
	return who.pid;
}

/* No full socket: the answer to a connection request is its listener's. */
static __always_inline __u32 set_no_socket(struct __sk_buff *ctx, struct bpf_sock *sk,
					   struct tf_blocked_key *key)
{
	struct tf_who *who = NULL;

	key->from = ctx->ingress_ifindex;
	key->sender = key->from ? TF_SENDER_FORWARDED : TF_SENDER_KERNEL;
	if (sk)
		sk = bpf_get_listener_sock(sk);
	if (sk)
		who = bpf_sk_storage_get(&owners, sk, NULL, 0);
	if (!who)
		return 0;
	set_who(key, who);
	return who->pid;
}

/* Fills in who sent it. Returns the process; 0: not known. */
static __always_inline __u32 set_sender(struct __sk_buff *ctx, const struct drop *drop,
					struct tf_blocked_key *key)
{
	struct bpf_sock *any = ctx->sk, *sk = any ? bpf_sk_fullsock(any) : NULL;
	struct tf_who *who;

	if (!sk)
		return set_no_socket(ctx, any, key);
	if (!is_its_own(sk, drop)) {
		key->sender = TF_SENDER_KERNEL;
		return 0;
	}
	key->cgroup = bpf_skb_cgroup_id(ctx);
	who = bpf_sk_storage_get(&owners, sk, NULL, 0);
	if (!who)
		return set_stranger(ctx, sk, key);
	set_who(key, who);
	return who->pid;
}

/* Whether the socket plane should have dropped it and never came to: it is what a program's own socket
 * of this namespace and of a fenced cgroup sent, as it left the IP stack. */
static __always_inline _Bool is_round(struct __sk_buff *ctx, const struct drop *drop)
{
	return (drop->reason == TF_REASON_NOT_ALLOWED || drop->reason == TF_REASON_NAME_LOOKUP) &&
	       tf_load_owner(ctx) == TF_OWNER_INET && !is_of_kernel(ctx) &&
	       netns_of_socket(ctx) == the_policy()->netns &&
	       in_a_group(ctx) && !is_relayed(ctx, 0);
}

/* Behind the link header, which a frame has on planes of devices. */
static __always_inline void capture(void *context, struct tf_event *event)
{
	struct __sk_buff *ctx = context;
	const struct net_device *dev = device_of(ctx);
	enum tf_link_header link = TF_LINK_NONE;
	__u32 at = 0;

	event->ifindex = ctx->ifindex;
	if (!tf_begins_with_ip((enum tf_plane)event->key.plane))
		link = link_header_of(READ(dev, type));
	if (link == TF_LINK_UNKNOWN)
		return;
	if (link == TF_LINK_ETHERNET) {
		at = TF_ETH_HEADER;
		bpf_skb_load_bytes(ctx, at - 2, &event->ethertype, sizeof(event->ethertype));
	}
	if (at < event->length)
		event->captured = tf_load_upto(ctx, at, event->packet, sizeof(event->packet),
					       event->length - at);
}

/* addr: of the other end, in two words. more: the plane, and above it what question_of() says. */
TF_GLOBAL __u32 note_drop(struct __sk_buff *ctx, __u64 addr0, __u64 addr1, __u64 packed, __u64 more)
{
	const struct drop drop = { .packed = packed };
	struct tf_blocked_key key = {
		.uid = TF_NO_UID,
		.question = (__u32)(more >> 32),
		.port = drop.port,
		.protocol = drop.protocol,
		.plane = (__u8)more,
		.reason = drop.reason,
	};
	struct tf_blocked *entry;
	__u32 pid = 0;

	__builtin_memcpy(key.addr.byte, &addr0, sizeof(addr0));
	__builtin_memcpy(key.addr.byte + 8, &addr1, sizeof(addr1));
	read_device_name(&key.device, device_of(ctx));
	if (key.plane == TF_PLANE_INGRESS)
		key.sender = TF_SENDER_NETWORK;
	else
		pid = set_sender(ctx, &drop, &key);
	if (the_policy()->mode == TF_MODE_OBSERVE)
		key.flags = TF_BLOCKED_OBSERVED;
	else if (key.plane == TF_PLANE_WIRE && key.sender != TF_SENDER_KERNEL &&
		 is_round(ctx, &drop)) {
		key.flags = TF_BLOCKED_ROUND;
		count_surely_at(TF_COUNTER_ROUND, ctx->len);
	}
	entry = count_blocked(&key, pid, ctx->len);
	if (entry && key.question)
		keep_question(ctx, entry, &drop, ctx->len);
	if (entry)
		tell(ctx, tell_packet, &key, entry, ctx->len);
	return 0;
}

static __always_inline void note(struct __sk_buff *ctx, const struct tf_meta *meta,
				 enum tf_plane plane, const struct tf_packet *packet,
				 enum tf_reason reason)
{
	const struct tf_addr *addr = plane == TF_PLANE_INGRESS ? &packet->src : &packet->dst;
	const struct drop drop = { .packed = drop_of(packet, reason) };
	__u64 more = plane, word[2];

	if (may_be_question(&drop))
		more |= (__u64)question_of(ctx, drop.packed, meta->bytes) << 32;
	__builtin_memcpy(word, addr, sizeof(word));
	note_drop(ctx, word[0], word[1], drop.packed, more);
}

#endif
