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
	DEVICES_AT_ONCE = 32,
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
	return BPF_CORE_READ((struct bpf_sock_addr_kern *)(void *)ctx, sk);
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

	bpf_core_read_str(name.text, sizeof(name.text), &dev->name);
	return name;
}

static __always_inline struct tf_name kind_of(const struct net_device *dev)
{
	const char *text = BPF_CORE_READ(dev, rtnl_link_ops, kind);
	struct tf_name kind = {};

	if (text)
		bpf_probe_read_kernel_str(kind.text, sizeof(kind.text), text);
	return kind;
}

static __always_inline _Bool is_up(const struct net_device *dev)
{
	return BPF_CORE_READ(dev, flags) & IFF_UP;
}

TF_GLOBAL __u32 is_tunnel(struct bpf_sock_addr *ctx, __u64 device)
{
	const struct net_device *dev = (const void *)device;
	const struct tf_policy *p = the_policy();
	struct tf_name name = name_of(dev), kind;
	__u32 i;

	TF_KEEP(ctx);
	for (i = 0; i < TF_MAX_TUNNELS && i < p->tunnel_count; i++) {
		if (!tf_name_equal(&p->tunnels[i].name, &name))
			continue;
		kind = kind_of(dev);
		return tf_name_equal(&p->tunnels[i].kind, &kind);
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

/* Whether it is the address or, if subnets, lies in its subnet. By itself, as all that a loop does with
 * each: the verifier goes through a loop as often as it may run, and once more for each way it takes
 * in there. */
TF_GLOBAL __u32 is_at_ipv4(struct bpf_sock_addr *ctx, __u64 address, __u32 dst, __u32 subnets)
{
	const struct in_ifaddr *ifa = (const void *)address;
	__u32 other = BPF_CORE_READ(ifa, ifa_local) ^ dst;

	TF_KEEP(ctx);
	return !other || (subnets && !(other & BPF_CORE_READ(ifa, ifa_mask)));
}

TF_GLOBAL __u32 is_at_ipv6(struct bpf_sock_addr *ctx, __u64 address, __u64 dst0, __u64 dst1,
			   __u32 subnets)
{
	const struct inet6_ifaddr *ifa = (const void *)address;
	__u64 dst[2] = { dst0, dst1 }, own[2] = {};

	TF_KEEP(ctx);
	bpf_core_read(own, sizeof(own), &ifa->addr);
	return same_prefix(own, dst, subnets ? BPF_CORE_READ(ifa, prefix_len) : 128);
}

/* Whether dst is an address of the device or, if subnets, in one of its subnets. */
TF_GLOBAL __u32 has_ipv4(struct bpf_sock_addr *ctx, __u64 device, __u32 dst, __u32 subnets)
{
	const struct net_device *dev = (const void *)device;
	struct in_ifaddr *ifa = BPF_CORE_READ(dev, ip_ptr, ifa_list);
	int i;

	for (i = 0; i < MAX_ADDRESSES; i++) {
		if (!ifa)
			return 0;
		if (is_at_ipv4(ctx, (__u64)ifa, dst, subnets))
			return 1;
		ifa = BPF_CORE_READ(ifa, ifa_next);
	}
	return 1;
}

TF_GLOBAL __u32 has_ipv6(struct bpf_sock_addr *ctx, __u64 device, __u64 dst0, __u64 dst1,
			 __u32 subnets)
{
	const struct net_device *dev = (const void *)device;
	struct inet6_dev *ip6 = BPF_CORE_READ(dev, ip6_ptr);
	struct list_head *at = BPF_CORE_READ(ip6, addr_list.next);
	struct inet6_ifaddr *ifa = NULL;
	int i;

	for (i = 0; i < MAX_ADDRESSES; i++) {
		if (!at || at == &ip6->addr_list)
			return 0;
		ifa = (void *)at - bpf_core_field_offset(ifa->if_list);
		if (is_at_ipv6(ctx, (__u64)ifa, dst0, dst1, subnets))
			return 1;
		at = BPF_CORE_READ(at, next);
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

/* What is asked of each device. */
enum question {
	IS_TUNNEL_UP,
	IS_HARMLESS, /* it has the index in the first word, and is no uplink */
	LEADS_TO,    /* the destination is its own address, or lies behind an inside device */
};

TF_GLOBAL __u32 leads_to(struct bpf_sock_addr *ctx, __u64 device, __u64 dst0, __u64 dst1)
{
	const struct net_device *dev = (const void *)device;
	union destination dst = { .word = { dst0, dst1 } };
	_Bool behind = is_up(dev) && is_inside(ctx, dev);

	if (behind && is_private(&dst.addr))
		return 1;
	if (tf_addr_is_v4(&dst.addr))
		return has_ipv4(ctx, device, (__u32)(dst1 >> 32), behind);
	return has_ipv6(ctx, device, dst0, dst1, behind);
}

TF_GLOBAL __u32 answer(struct bpf_sock_addr *ctx, __u64 device, __u32 what, __u64 dst0,
		       __u64 dst1)
{
	const struct net_device *dev = (const void *)device;

	switch ((enum question)what) {
	case IS_TUNNEL_UP:
		return is_tunnel(ctx, device) && is_up(dev);
	case IS_HARMLESS:
		if ((__u32)BPF_CORE_READ(dev, ifindex) != (__u32)dst0)
			return 0;
		return (__u32)dst0 == TF_LOOPBACK_IFINDEX || is_tunnel(ctx, device) ||
		       is_inside(ctx, dev) || is_vrf(dev);
	case LEADS_TO:
		return leads_to(ctx, device, dst0, dst1);
	}
	return 1;
}

enum { NO_DEVICE = 0, YES = 1 }; /* where a device was expected */

/* What is asked of the devices from this place of their list on, so many at once: YES, NO_DEVICE if
 * they came to an end, or the place of the next. */
TF_GLOBAL __u64 any_of_some(struct bpf_sock_addr *ctx, __u64 place, __u32 what, __u64 dst0,
			    __u64 dst1)
{
	struct net *net = BPF_CORE_READ(socket_of(ctx), __sk_common.skc_net.net);
	struct list_head *at = (void *)place;
	struct net_device *dev = NULL;
	int i;

	for (i = 0; i < DEVICES_AT_ONCE; i++) {
		if (!at || at == &net->dev_base_head)
			return NO_DEVICE;
		dev = (void *)at - bpf_core_field_offset(dev->dev_list);
		if (answer(ctx, (__u64)dev, what, dst0, dst1))
			return YES;
		at = BPF_CORE_READ(at, next);
	}
	return (__u64)at;
}

/* Whether the answer is yes of any device of the socket's namespace; yes if there are too many. */
TF_GLOBAL __u32 any_device(struct bpf_sock_addr *ctx, __u32 what, __u64 dst0, __u64 dst1)
{
	struct net *net = BPF_CORE_READ(socket_of(ctx), __sk_common.skc_net.net);
	struct net_device *dev = NULL;
	__u64 at;
	int i;

	if (!bpf_core_field_exists(net->dev_base_head) || !bpf_core_field_exists(dev->dev_list))
		return 1; /* kept some other way */
	at = (__u64)BPF_CORE_READ(net, dev_base_head.next);
	for (i = 0; i < MAX_DEVICES / DEVICES_AT_ONCE; i++) {
		at = any_of_some(ctx, at, what, dst0, dst1);
		if (at == NO_DEVICE)
			return 0;
		if (at == YES)
			return 1;
	}
	return 1;
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
	key.port = BPF_CORE_READ(socket_of(ctx), __sk_common.skc_num);
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
	cookie = tf_asker(ctx, BPF_CORE_READ(socket_of(ctx), __sk_common.skc_num));
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
		.cgroup = BPF_CORE_READ(cgroup_of_socket(socket_of(ctx)), kn, id),
		.addr = dst.addr,
		.port = port_of(ctx),
		.protocol = protocol_of(ctx),
	};

	return (__u32)refuse(TF_REASON_NO_TUNNEL, &key);
}

static __always_inline _Bool may_pass(struct bpf_sock_addr *ctx, const union destination *dst)
{
	__u64 dst0 = dst->word[0], dst1 = dst->word[1];
	struct sock *sk = socket_of(ctx);
	struct net *net = BPF_CORE_READ(sk, __sk_common.skc_net.net);
	int bound = BPF_CORE_READ(sk, __sk_common.skc_bound_dev_if);

	/* Another namespace's sockets are out of a system fence's scope, and a cgroup fence's
	 * packets meet its socket plane there. */
	if (BPF_CORE_READ(net, ns.inum) != the_policy()->netns)
		return 1;
	if (any_device(ctx, bound ? IS_HARMLESS : IS_TUNNEL_UP, (__u32)bound, 0))
		return 1;
	/* Of sends that go by a tunnel that is up nothing is remembered, so they cost no more. */
	remember_who(ctx->sk);
	return is_loopback(&dst->addr) || is_allowed(ctx, dst0, dst1) ||
	       any_device(ctx, LEADS_TO, dst0, dst1);
}

static __always_inline int judge_ipv4(struct bpf_sock_addr *ctx)
{
	union destination dst;
	__u32 ipv4 = ctx->user_ip4;

	tf_addr_set_v4(&dst.addr, &ipv4);
	if (may_pass(ctx, &dst) || refuse_to_go(ctx, dst.word[0], dst.word[1]) == GUARD_ALLOW)
		return GUARD_ALLOW;
	return GUARD_REFUSE;
}

static __always_inline int judge_ipv6(struct bpf_sock_addr *ctx)
{
	union destination dst = { .word = {
		ctx->user_ip6[0] | (__u64)ctx->user_ip6[1] << 32,
		ctx->user_ip6[2] | (__u64)ctx->user_ip6[3] << 32,
	} };

	if (may_pass(ctx, &dst) || refuse_to_go(ctx, dst.word[0], dst.word[1]) == GUARD_ALLOW)
		return GUARD_ALLOW;
	return GUARD_REFUSE;
}

SEC("cgroup/connect4")
int tunfence_conn4(struct bpf_sock_addr *ctx)
{
	remember_who(ctx->sk);
	return judge_ipv4(ctx);
}

SEC("cgroup/connect6")
int tunfence_conn6(struct bpf_sock_addr *ctx)
{
	remember_who(ctx->sk);
	return judge_ipv6(ctx);
}

SEC("cgroup/sendmsg4")
int tunfence_send4(struct bpf_sock_addr *ctx)
{
	return judge_ipv4(ctx);
}

SEC("cgroup/sendmsg6")
int tunfence_send6(struct bpf_sock_addr *ctx)
{
	return judge_ipv6(ctx);
}

char _license[] SEC("license") = "GPL";
