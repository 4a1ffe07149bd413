/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the kernel says of the device of an sk_buff: its name and kind, its addresses, and whether it
 * is a port of another. Read from the device at each question, never remembered.
 *
 * Functions that walk a list are checked by themselves, and stop after so many entries: what they
 * have not found by then is not there, which is the stricter answer.
 */
#ifndef TUNFENCE_DEVICE_H
#define TUNFENCE_DEVICE_H

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include <tunfence/facts.h>
#include <tunfence/seam.h>

#include "kernel.h"

enum {
	ARPHRD_ETHER = 1,
	ARPHRD_PPP = 512,
	ARPHRD_RAWIP = 519,
	ARPHRD_TUNNEL = 768,
	ARPHRD_TUNNEL6 = 769,
	ARPHRD_SIT = 776,
	ARPHRD_NONE = 0xfffe,
	IFF_SLAVE = 1 << 11,         /* include/uapi/linux/if.h: of a bond */
	IFF_BRIDGE_PORT = 1 << 9,    /* enum netdev_priv_flags of include/linux/netdevice.h */
	IFF_OVS_DATAPATH = 1 << 10,
	IFF_TEAM_PORT = 1 << 13,
	IFF_ANY_PORT = IFF_BRIDGE_PORT | IFF_OVS_DATAPATH | IFF_TEAM_PORT,
	PACKET_HOST = 0,             /* include/uapi/linux/if_packet.h */
	PACKET_OTHERHOST = 3,
	VLAN_VID_MASK = 0x0fff,
	MAX_ADDRESSES = 64,          /* of one device and family, that are looked through */
};

static __always_inline struct sk_buff *skb_of(struct __sk_buff *ctx)
{
	return KERNEL_CONTEXT(struct sk_buff, ctx);
}

static __always_inline struct net_device *device_of(struct __sk_buff *ctx)
{
	return READ(skb_of(ctx), dev);
}

/* Of the packet's socket, a mini-socket's too. 0: it has none. */
static __always_inline __u32 netns_of_socket(struct __sk_buff *ctx)
{
	const struct sock *sk = READ(skb_of(ctx), sk);
	const struct net *net = sk ? READ(sk, __sk_common.skc_net.net) : 0;

	return net ? READ(net, ns.inum) : 0;
}

/* include/uapi/linux/if_arp.h. Types not listed are dropped: their frames cannot be read. */
static __always_inline enum tf_link_header link_header_of(unsigned short type)
{
	switch (type) {
	case ARPHRD_ETHER:
		return TF_LINK_ETHERNET;
	case ARPHRD_PPP:
	case ARPHRD_RAWIP:
	case ARPHRD_TUNNEL:
	case ARPHRD_TUNNEL6:
	case ARPHRD_SIT:
	case ARPHRD_NONE:
		return TF_LINK_NONE;
	default:
		return TF_LINK_UNKNOWN;
	}
}

TF_SEAM void tf_load_device(tf_ctx *ctx, enum tf_plane plane, struct tf_device *to)
{
	struct net_device *dev = device_of(ctx);

	read_device_name(&to->name, dev);
	to->netns = READ(dev, nd_net.net, ns.inum);
	if (!tf_begins_with_ip(plane))
		to->link_header = link_header_of(READ(dev, type));
}

TF_SEAM void tf_load_kind(tf_ctx *ctx, struct tf_name *to)
{
	read_kind(to, device_of(ctx));
}

/* Network byte order. */
TF_GLOBAL __u32 whose_v4(struct __sk_buff *ctx, __u32 addr)
{
	struct in_ifaddr *ifa = READ(device_of(ctx), ip_ptr, ifa_list);
	int i;

	if (!addr) /* no broadcast address is 0 as well */
		return TF_WHOSE_OTHER;
	for (i = 0; i < MAX_ADDRESSES && ifa; i++) {
		if (READ(ifa, ifa_local) == addr)
			return TF_WHOSE_OWN;
		if (READ(ifa, ifa_broadcast) == addr)
			return TF_WHOSE_BROADCAST;
		ifa = READ(ifa, ifa_next);
	}
	return TF_WHOSE_OTHER;
}

/* The address in two words, as it lies in memory. */
TF_GLOBAL __u32 whose_v6(struct __sk_buff *ctx, __u64 addr0, __u64 addr1)
{
	struct inet6_dev *idev = READ(device_of(ctx), ip6_ptr);
	struct list_head *at = READ(idev, addr_list.next);
	int i;

	for (i = 0; i < MAX_ADDRESSES && at; i++) {
		struct inet6_ifaddr *ifa =
			KERNEL_CAST(struct inet6_ifaddr,
				    (void *)at - bpf_core_field_offset(struct inet6_ifaddr, if_list));
		__u64 addr[2] = {}, other;

		if (at == __builtin_preserve_access_index(&idev->addr_list))
			return TF_WHOSE_OTHER;
		bpf_core_read(addr, sizeof(addr), &ifa->addr);
		other = (addr[0] ^ addr0) | (addr[1] ^ addr1);
		TF_KEEP(other); /* two branches would be twice the way at each address */
		if (!other)
			return TF_WHOSE_OWN;
		at = READ(at, next);
	}
	return TF_WHOSE_OTHER;
}

TF_SEAM enum tf_whose tf_whose_address(tf_ctx *ctx, const struct tf_addr *addr)
{
	__u64 word[2];

	if (tf_addr_is_v4(addr))
		return (enum tf_whose)whose_v4(ctx, (TF_FORCE __u32)tf_addr_word(addr, 3));
	__builtin_memcpy(word, addr, sizeof(word));
	return (enum tf_whose)whose_v6(ctx, word[0], word[1]);
}

TF_SEAM _Bool tf_is_own_mac(tf_ctx *ctx, const __u8 mac[6])
{
	const unsigned char *own = READ(device_of(ctx), dev_addr);
	__u16 a[3] = {}, b[3];

	bpf_probe_read_kernel(a, sizeof(a), own);
	__builtin_memcpy(b, mac, sizeof(b));
	return a[0] == b[0] && a[1] == b[1] && a[2] == b[2];
}

/* Its frames are its master's. A bond's says so in the flags everybody sees. */
static __always_inline _Bool is_port(struct __sk_buff *ctx)
{
	struct net_device *dev = device_of(ctx);

	return READ_BITS(dev, priv_flags) & IFF_ANY_PORT ||
	       READ(dev, flags) & IFF_SLAVE;
}

/* Tag 0 is no VLAN: such frames are the device's own. Of multicast frames a master leaves some to
 * its port's own IP (01:80:c2:00:00:0x), so no broadcast or multicast frame counts as relayed. */
TF_GLOBAL __u32 is_relayed(struct __sk_buff *ctx, __u32 arrived)
{
	if (ctx->vlan_present && ctx->vlan_tci & VLAN_VID_MASK)
		return 1;
	if (arrived && ctx->pkt_type != PACKET_HOST)
		return ctx->pkt_type == PACKET_OTHERHOST;
	return is_port(ctx);
}

TF_SEAM _Bool tf_is_relayed(tf_ctx *ctx, enum tf_plane plane)
{
	return is_relayed(ctx, plane == TF_PLANE_INGRESS) != 0;
}

#endif
