// SPDX-License-Identifier: GPL-2.0
/*
 * The guard plane: what is refused before there is a packet. tunfence_opt stops the two ways round
 * the wire plane where they begin. The others are for the user's sake only: what cannot pass while
 * no tunnel is up fails at once instead of hanging. They never are what stops a packet, so every
 * doubt here means allow, and the planes that see packets decide.
 *
 * They hold the destination against the same maps as the core, but know no more of the packet than
 * the socket tells. Devices and their addresses are read from the kernel's own lists, a bounded
 * number of them: no map to go stale.
 */
#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include <vmlinux.h>

#define TF_CTX struct bpf_sock_addr
#include <tunfence/facts.h>

#include "blocked.h"
#include "cgroup.h"
#include "kernel.h"
#include "lookup.h"
#include "maps.h"
#include "tell.h"

enum {
	IFF_UP = 1,
	SOL_PACKET = 263,
	SOL_XDP = 283,
	PACKET_QDISC_BYPASS = 20,
	PROTO_MPTCP = 262,
	GUARD_REFUSE = 0, /* EPERM */
	GUARD_ALLOW = 1,
	MAX_DEVICES = 512, /* looked at; whoever has more is let through to the other planes */
	DEVICES_AT_ONCE = 16,
	MAX_ADDRESSES = 64, /* of each */
};

/* What the core asks of a packet. There is none yet, so there is no answer; nothing below asks. */
TF_SEAM long tf_load(tf_ctx *ctx, __u32 offset, void *to, __u32 bytes)
{
	return -1;
}

TF_SEAM void tf_load_device(tf_ctx *ctx, enum tf_plane plane, struct tf_device *to)
{
}

TF_SEAM void tf_load_kind(tf_ctx *ctx, struct tf_name *to)
{
}

TF_SEAM _Bool tf_is_foreign(tf_ctx *ctx, const struct tf_policy *p)
{
	return 1;
}

TF_SEAM __u64 tf_load_cookie(tf_ctx *ctx)
{
	return bpf_get_socket_cookie(ctx);
}

TF_SEAM _Bool tf_is_routed_here(tf_ctx *ctx, const struct tf_policy *p)
{
	return 0;
}

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

TF_SEAM _Bool tf_in_cgroup(tf_ctx *ctx, const struct tf_policy *p)
{
	return 1;
}

TF_SEAM _Bool tf_is_from_exempt(tf_ctx *ctx)
{
	return 0;
}

/* Of the program that runs now: what is refused it has just asked for. */
static __always_inline int refuse(enum tf_reason reason, struct tf_blocked_key *key)
{
	struct tf_blocked *entry;
	struct tf_who who = {};

	who_is_it(&who);
	set_who(key, &who);
	key->plane = TF_PLANE_GUARD;
	key->reason = (__u8)reason;
	if (the_policy()->mode == TF_MODE_OBSERVE)
		key->flags = TF_BLOCKED_OBSERVED;
	count_drop(TF_PLANE_GUARD, reason, 0);
	entry = count_blocked(key, who.pid, 0);
	if (entry)
		tell(NULL, NULL, key, entry, 0);
	return the_policy()->mode == TF_MODE_OBSERVE ? GUARD_ALLOW : GUARD_REFUSE;
}

static __always_inline int refuse_bypass(void)
{
	struct tf_blocked_key key = { .cgroup = cgroup_of_current() };

	return refuse(TF_REASON_BYPASS, &key);
}

/* ---- round the wire plane -------------------------------------------------------------------- */

/* Whose it is, it may be another fence's: see tf_ask_option(). */
static __always_inline _Bool is_question(const struct bpf_sockopt *ctx)
{
	return ctx->level == SOL_XDP && ctx->optname >= TF_ASK_OPTION;
}

static __always_inline _Bool is_bypass(const struct bpf_sockopt *ctx)
{
	return (ctx->level == SOL_XDP && !is_question(ctx)) ||
	       (ctx->level == SOL_PACKET && ctx->optname == PACKET_QDISC_BYPASS);
}

/* In every namespace: a device moved away keeps its wire plane, and this with it. */
SEC("cgroup/setsockopt")
int tunfence_opt(struct bpf_sockopt *ctx)
{
	__u64 have = (__u64)ctx->optval_end - (__u64)ctx->optval;

	if (is_question(ctx) && ctx->optname == tf_ask_option(the_policy()))
		return GUARD_REFUSE;
	if (is_bypass(ctx) && refuse_bypass() == GUARD_REFUSE)
		return GUARD_REFUSE;
	/* The kernel shows us a page at most, and would refuse what is longer. 0: take the caller's
	 * own. What fits stays as it is, since another program may have changed it. */
	if (ctx->optlen > 0 && (__u64)ctx->optlen > have)
		ctx->optlen = 0;
	return GUARD_ALLOW;
}

/* ---- the socket ------------------------------------------------------------------------------ */

static __always_inline struct sock *socket_of(struct bpf_sock_addr *ctx)
{
	return READ(KERNEL_CONTEXT(struct bpf_sock_addr_kern, ctx), sk);
}

/* The destination as the two words that a function checked by itself may take. */
union destination {
	struct tf_addr addr;
	__u64 word[2];
};

static __always_inline __u8 protocol_of(struct bpf_sock_addr *ctx)
{
	return ctx->protocol == PROTO_MPTCP ? TF_PROTO_TCP : (__u8)ctx->protocol;
}

static __always_inline __u16 port_of(struct bpf_sock_addr *ctx)
{
	__u8 protocol = protocol_of(ctx);

	if (protocol != TF_PROTO_TCP && protocol != TF_PROTO_UDP)
		return 0; /* as of packets that have none */
	return tf_ntohs((TF_FORCE __be16)ctx->user_port);
}

/* ---- devices --------------------------------------------------------------------------------- */

static __always_inline struct tf_name name_of(const struct net_device *dev)
{
	struct tf_name name = {};

	read_device_name(&name, dev);
	return name;
}

static __always_inline struct tf_name kind_of(const struct net_device *dev)
{
	struct tf_name kind = {};

	read_kind(&kind, dev);
	return kind;
}

static __always_inline _Bool is_up(const struct net_device *dev)
{
	return READ(dev, flags) & IFF_UP;
}

/* Whether its name begins with the two bytes of a tunnel's, the second of which may end it: what
 * lies behind an end may be anything. Most devices need not be asked more. If one of the differences
 * is 0 their product is; that it may be 0 without one only means that more is asked. */
static __always_inline _Bool may_be_tunnel(__u64 device)
{
	const struct net_device *dev = KERNEL_CAST(struct net_device, device);
	const __u64 two = tf_le64(0xffffULL), name = load_word(&dev->name);
	const struct tf_policy *p = the_policy();
	__u64 product = 1, other;
	__u32 i;

	for (i = 0; i < TF_MAX_TUNNELS && i < p->tunnel_count; i++) {
		__builtin_memcpy(&other, &p->tunnels[i].name, sizeof(other));
		product *= (name ^ other) & two;
	}
	return !product;
}

/* The differences are joined, or each would be a branch to the verifier. */
static __always_inline _Bool is_called(const struct tf_tunnel *tunnel, const struct tf_name *name,
				       const struct tf_name *kind)
{
	__u64 a[4], b[4];

	__builtin_memcpy(a, &tunnel->name, sizeof(tunnel->name));
	__builtin_memcpy(a + 2, &tunnel->kind, sizeof(tunnel->kind));
	__builtin_memcpy(b, name, sizeof(*name));
	__builtin_memcpy(b + 2, kind, sizeof(*kind));
	return !((a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2]) | (a[3] ^ b[3]));
}

/* flags: of IFF_*, that it has to have. */
TF_GLOBAL __u32 is_tunnel(struct bpf_sock_addr *ctx, __u64 device, __u32 flags)
{
	const struct net_device *dev = KERNEL_CAST(struct net_device, device);
	const struct tf_policy *p = the_policy();
	struct tf_name name, kind;
	__u32 i;

	TF_KEEP(ctx);
	if ((READ(dev, flags) & flags) != flags)
		return 0;
	name = name_of(dev);
	kind = kind_of(dev);
	for (i = 0; i < TF_MAX_TUNNELS && i < p->tunnel_count; i++) {
		if (is_called(&p->tunnels[i], &name, &kind))
			return 1;
	}
	return 0;
}

static __always_inline _Bool is_inside(struct bpf_sock_addr *ctx, const struct net_device *dev)
{
	const struct tf_policy *p = the_policy();
	struct tf_device device = { .name = name_of(dev), .netns = p->netns };

	return tf_is_inside(ctx, p, &device);
}

/* Packets may leave by a vrf's other ports. */
static __always_inline _Bool is_vrf(const struct net_device *dev)
{
	const struct tf_name vrf = { "vrf" };
	struct tf_name kind = kind_of(dev);

	return tf_name_equal(&kind, &vrf);
}

static __always_inline __u64 ntoh64(__u64 x)
{
	const __be32 first = (TF_FORCE __be32)x, second = (TF_FORCE __be32)(x >> 32);

	return (__u64)tf_ntohl(first) << 32 | tf_ntohl(second);
}

/* Addresses as their two words. */
static __always_inline _Bool same_prefix(const __u64 *a, const __u64 *b, __u32 bits)
{
	__u64 high = ntoh64(a[0] ^ b[0]), low = ntoh64(a[1] ^ b[1]);

	if (bits == 0)
		return 1;
	if (bits <= 64)
		return high >> (64 - bits) == 0;
	return bits <= 128 && high == 0 && low >> (128 - bits) == 0;
}

/* Where a list's element leads. Places in the kernel are numbers here: a function that is checked by
 * itself takes nothing that was read as a pointer. */
static __always_inline __u64 next_of(__u64 place)
{
	return load_word(&((const struct list_head *)place)->next);
}

/* Whether dst is an address of the device or, if subnets, in one of its subnets. What such a loop
 * does with each takes one way only, or is a function by itself: the verifier goes through a loop as
 * often as it may run, and once more for each way it takes in there. */
static __always_inline _Bool has_ipv4(const struct net_device *dev, __u32 dst, _Bool subnets)
{
	const struct in_ifaddr *ifa = READ(dev, ip_ptr, ifa_list);
	__u32 whole = subnets ? 0 : ~0U;
	int i;

	TF_KEEP(whole); /* or there would be a loop for each */
	for (i = 0; i < MAX_ADDRESSES; i++) {
		if (!ifa)
			return 0;
		if (!((READ(ifa, ifa_local) ^ dst) & (READ(ifa, ifa_mask) | whole)))
			return 1;
		ifa = READ(ifa, ifa_next);
	}
	return 1;
}

TF_GLOBAL __u32 is_at_ipv6(struct bpf_sock_addr *ctx, __u64 address, __u64 dst0, __u64 dst1,
			   __u32 subnets)
{
	const struct inet6_ifaddr *ifa = KERNEL_CAST(struct inet6_ifaddr, address);
	__u64 dst[2] = { dst0, dst1 }, own[2] = {};

	TF_KEEP(ctx);
	load_words(own, &ifa->addr, 2);
	return same_prefix(own, dst, subnets ? READ(ifa, prefix_len) : 128);
}

static __always_inline _Bool has_ipv6(struct bpf_sock_addr *ctx, const struct net_device *dev,
				      __u64 dst0, __u64 dst1, _Bool subnets)
{
	const struct inet6_dev *ip6 = (const void *)load_word(&dev->ip6_ptr);
	const __u64 end = (__u64)&ip6->addr_list;
	__u64 at = next_of(end), ifa;
	int i;

	for (i = 0; i < MAX_ADDRESSES; i++) {
		if (!at || at == end)
			return 0;
		ifa = at - bpf_core_field_offset(struct inet6_ifaddr, if_list);
		if (is_at_ipv6(ctx, ifa, dst0, dst1, subnets))
			return 1;
		at = next_of(at);
	}
	return 1;
}

/* Where a router behind an inside device may lead: its routes cannot be seen from here. */
static __always_inline _Bool is_private(const struct tf_addr *a)
{
	__u32 ipv4 = tf_ntohl(tf_addr_word(a, 3));

	if (!tf_addr_is_v4(a))
		return (a->byte[0] & 0xfe) == 0xfc || tf_is_link_local(a) || a->byte[0] == 0xff;
	return ipv4 >> 24 == 10 || ipv4 >> 20 == 0xac1 || ipv4 >> 16 == 0xc0a8 ||
	       ipv4 >> 22 == 0x191 /* 100.64/10 */ || ipv4 >> 16 == 0xa9fe ||
	       ipv4 >> 28 == 0xe || ipv4 == 0xffffffff;
}

static __always_inline _Bool leads_to(struct bpf_sock_addr *ctx, const struct net_device *dev,
				      __u64 dst0, __u64 dst1)
{
	union destination dst = { .word = { dst0, dst1 } };
	_Bool behind = is_up(dev) && is_inside(ctx, dev);

	if (behind && is_private(&dst.addr))
		return 1;
	if (tf_addr_is_v4(&dst.addr))
		return has_ipv4(dev, (__u32)(dst1 >> 32), behind);
	return has_ipv6(ctx, dev, dst0, dst1, behind);
}

/* What is asked of each device, but for the usual: whether it is a tunnel that is up. */
enum question {
	IS_HARMLESS, /* it has the index in the first word, and is no uplink */
	LEADS_TO,    /* the destination is its own address, or lies behind an inside device */
};

TF_GLOBAL __u32 answer(struct bpf_sock_addr *ctx, __u64 device, __u32 what, __u64 dst0,
		       __u64 dst1)
{
	const struct net_device *dev = KERNEL_CAST(struct net_device, device);

	if (what == LEADS_TO)
		return leads_to(ctx, dev, dst0, dst1);
	if ((__u32)READ(dev, ifindex) != (__u32)dst0)
		return 0;
	return (__u32)dst0 == TF_LOOPBACK_IFINDEX || is_tunnel(ctx, device, 0) ||
	       is_inside(ctx, dev) || is_vrf(dev);
}

enum { NO_DEVICE = 0, YES = 1 }; /* where a device was expected */

/* Before the first device of the socket's namespace, and behind its last. */
static __always_inline __u64 devices_of(struct bpf_sock_addr *ctx)
{
	const struct sock *sk = socket_of(ctx);
	const struct net *net = (const void *)load_word(&sk->__sk_common.skc_net.net);

	return (__u64)&net->dev_base_head;
}

/* What is asked of the devices from this place of their list on, so many at once: YES, NO_DEVICE if
 * they came to an end, or the place of the next. */
static __always_inline __u64 any_of_some(struct bpf_sock_addr *ctx, __u64 place, _Bool for_tunnel,
					 __u32 what, __u64 dst0, __u64 dst1)
{
	const __u64 end = devices_of(ctx);
	__u64 device;
	int i;

	for (i = 0; i < DEVICES_AT_ONCE; i++) {
		if (!place || place == end)
			return NO_DEVICE;
		device = place - bpf_core_field_offset(struct net_device, dev_list);
		if (for_tunnel ? may_be_tunnel(device) && is_tunnel(ctx, device, IFF_UP) :
				 answer(ctx, device, what, dst0, dst1))
			return YES;
		place = next_of(place);
	}
	return place;
}

TF_GLOBAL __u64 any_tunnel_of_some(struct bpf_sock_addr *ctx, __u64 place)
{
	return any_of_some(ctx, place, 1, 0, 0, 0);
}

TF_GLOBAL __u64 any_other_of_some(struct bpf_sock_addr *ctx, __u64 place, __u32 what, __u64 dst0,
				  __u64 dst1)
{
	return any_of_some(ctx, place, 0, what, dst0, dst1);
}

/* Whether the answer is yes of any device of the socket's namespace; yes if there are too many. */
static __always_inline _Bool any_of_all(struct bpf_sock_addr *ctx, _Bool for_tunnel, __u32 what,
					__u64 dst0, __u64 dst1)
{
	__u64 at;
	int i;

	if (!bpf_core_field_exists(struct net, dev_base_head) ||
	    !bpf_core_field_exists(struct net_device, dev_list))
		return 1; /* kept some other way */
	at = next_of(devices_of(ctx));
	for (i = 0; i < MAX_DEVICES / DEVICES_AT_ONCE; i++) {
		at = for_tunnel ? any_tunnel_of_some(ctx, at) :
				  any_other_of_some(ctx, at, what, dst0, dst1);
		if (at == NO_DEVICE)
			return 0;
		if (at == YES)
			return 1;
	}
	return 1;
}

static __always_inline _Bool any_tunnel_is_up(struct bpf_sock_addr *ctx)
{
	return any_of_all(ctx, 1, 0, 0, 0);
}

TF_GLOBAL __u32 any_device(struct bpf_sock_addr *ctx, __u32 what, __u64 dst0, __u64 dst1)
{
	return any_of_all(ctx, 0, what, dst0, dst1);
}

/* ---- the destination ------------------------------------------------------------------------- */

/* This machine itself, without looking at its devices. */
static __always_inline _Bool is_loopback(const struct tf_addr *a)
{
	if (tf_addr_is_v4(a))
		return a->byte[12] == 127 || !tf_addr_word(a, 3);
	return !tf_addr_word(a, 0) && !tf_addr_word(a, 1) && !tf_addr_word(a, 2) &&
	       (tf_addr_word(a, 3) == tf_htonl(1) || !tf_addr_word(a, 3));
}

static __always_inline _Bool is_dhcp(__u8 protocol, __u16 port)
{
	return the_policy()->dhcp && protocol == TF_PROTO_UDP &&
	       (port == TF_PORT_DHCP_SERVER || port == TF_PORT_DHCP6_SERVER);
}

/* By any uplink: which one it will be is not known yet. */
static __always_inline _Bool is_destination(struct bpf_sock_addr *ctx,
					    const struct tf_packet *packet)
{
	struct tf_prefix_key key = { .bits = 128, .addr = packet->dst };
	__u32 point = tf_service_point(packet->protocol, packet->dport), first, below;
	const struct tf_prefix *prefix = tf_find_prefix(ctx, &key);
	const struct tf_service *service;

	if (!prefix)
		return 0;
	if (prefix->lan)
		return 1;
	first = prefix->first;
	below = tf_search_services(ctx, first, prefix->count, point);
	if (!below)
		return 0;
	service = tf_find_service(ctx, first + below - 1);
	return service && point <= service->to;
}

/* A datagram from the port of an allowed service. */
static __always_inline _Bool is_answer(struct bpf_sock_addr *ctx, __u8 protocol)
{
	struct tf_inbound_key key = { .protocol = protocol };

	if (protocol != TF_PROTO_UDP)
		return 0;
	key.port = READ(socket_of(ctx), __sk_common.skc_num);
	return tf_find_inbound(ctx, &key);
}

/* Tunfence's own socket, to the bootstrap name server. */
static __always_inline _Bool is_bootstrap(struct bpf_sock_addr *ctx,
					  const struct tf_packet *packet)
{
	const struct tf_policy *p = the_policy();
	__u64 cookie;

	if (!p->resolver_port || packet->dport != p->resolver_port ||
	    packet->protocol != TF_PROTO_UDP || !tf_addr_equal(&packet->dst, &p->resolver))
		return 0;
	cookie = tf_asker(ctx, READ(socket_of(ctx), __sk_common.skc_num));
	return cookie && tf_load_cookie(ctx) == cookie;
}

static __always_inline _Bool is_exempt(struct bpf_sock_addr *ctx)
{
	const struct tf_policy *p = the_policy();

	return p->exempt_count && is_in_exempt(cgroup_of_socket(socket_of(ctx)), p);
}

/* In the order of the verdict. */
TF_GLOBAL __u32 is_allowed(struct bpf_sock_addr *ctx, __u64 dst0, __u64 dst1)
{
	union destination dst = { .word = { dst0, dst1 } };
	struct tf_packet packet = {
		.dst = dst.addr,
		.dport = port_of(ctx),
		.protocol = protocol_of(ctx),
	};
	struct tf_endpoint_key key = {
		.addr = dst.addr,
		.port = packet.dport,
		.protocol = packet.protocol,
	};

	if (tf_tunnels_at(ctx, &key) || is_dhcp(packet.protocol, packet.dport))
		return 1;
	if (is_bootstrap(ctx, &packet))
		return 1;
	if (is_exempt(ctx) && (the_policy()->exempt_names || !tf_is_name_lookup(&packet)))
		return 1;
	if (tf_is_name_lookup(&packet))
		return 0;
	return is_destination(ctx, &packet) || is_answer(ctx, packet.protocol);
}

/* ---- the verdict ----------------------------------------------------------------------------- */

/* Devices by their index are not looked up for a name here: most sockets are bound to none. */
TF_GLOBAL __u32 refuse_to_go(struct bpf_sock_addr *ctx, __u64 dst0, __u64 dst1)
{
	union destination dst = { .word = { dst0, dst1 } };
	struct tf_blocked_key key = {
		.cgroup = READ(cgroup_of_socket(socket_of(ctx)), kn, id),
		.addr = dst.addr,
		.port = port_of(ctx),
		.protocol = protocol_of(ctx),
	};

	return (__u32)refuse(TF_REASON_NO_TUNNEL, &key);
}

/* known: who it is has been remembered. */
static __always_inline _Bool may_pass(struct bpf_sock_addr *ctx, const union destination *dst,
				      _Bool known)
{
	__u64 dst0 = dst->word[0], dst1 = dst->word[1];
	struct sock *sk = socket_of(ctx);
	int bound = READ(sk, __sk_common.skc_bound_dev_if);

	/* Another namespace's sockets are out of a system fence's scope, and a cgroup fence's
	 * packets meet its socket plane there. */
	if (READ(sk, __sk_common.skc_net.net, ns.inum) != the_policy()->netns)
		return 1;
	if (is_loopback(&dst->addr))
		return 1;
	if (bound ? any_device(ctx, IS_HARMLESS, (__u32)bound, 0) : any_tunnel_is_up(ctx))
		return 1;
	/* Of sends that go by a tunnel that is up, or nowhere, nothing is remembered, so they cost
	 * no more. */
	if (!known)
		remember_who(ctx->sk);
	return is_allowed(ctx, dst0, dst1) || any_device(ctx, LEADS_TO, dst0, dst1);
}

static __always_inline int judge_ipv4(struct bpf_sock_addr *ctx, _Bool known)
{
	union destination dst;
	__u32 ipv4 = ctx->user_ip4;

	tf_addr_set_v4(&dst.addr, &ipv4);
	if (may_pass(ctx, &dst, known) ||
	    refuse_to_go(ctx, dst.word[0], dst.word[1]) == GUARD_ALLOW)
		return GUARD_ALLOW;
	return GUARD_REFUSE;
}

static __always_inline int judge_ipv6(struct bpf_sock_addr *ctx, _Bool known)
{
	union destination dst = { .word = {
		ctx->user_ip6[0] | (__u64)ctx->user_ip6[1] << 32,
		ctx->user_ip6[2] | (__u64)ctx->user_ip6[3] << 32,
	} };

	if (may_pass(ctx, &dst, known) ||
	    refuse_to_go(ctx, dst.word[0], dst.word[1]) == GUARD_ALLOW)
		return GUARD_ALLOW;
	return GUARD_REFUSE;
}

SEC("cgroup/connect4")
int tunfence_conn4(struct bpf_sock_addr *ctx)
{
	remember_who(ctx->sk);
	return judge_ipv4(ctx, 1);
}

SEC("cgroup/connect6")
int tunfence_conn6(struct bpf_sock_addr *ctx)
{
	remember_who(ctx->sk);
	return judge_ipv6(ctx, 1);
}

SEC("cgroup/sendmsg4")
int tunfence_send4(struct bpf_sock_addr *ctx)
{
	return judge_ipv4(ctx, 0);
}

SEC("cgroup/sendmsg6")
int tunfence_send6(struct bpf_sock_addr *ctx)
{
	return judge_ipv6(ctx, 0);
}

char _license[] SEC("license") = "GPL";
