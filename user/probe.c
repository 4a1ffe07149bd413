// SPDX-License-Identifier: GPL-2.0
/* An imagined packet: see probe.h. Its bytes pass through the same parser as a real one's. */
#include "probe.h"

#include <errno.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <string.h>

#include <tunfence/facts.h>

#include "bytes.h"

#define MAX_PACKET 256

/* Writes the transport header and payload; returns their bytes. */
static __u32 build_transport(const struct probe *p, bool v4, __u8 *at)
{
	__u32 bytes;

	switch (p->protocol) {
	case IPPROTO_UDP:
		bytes = TF_UDP_HEADER + (p->wireguard ? TF_WG_INITIATION_BYTES : 32);
		put16(at, p->sport);
		put16(at + 2, p->dport);
		put16(at + 4, bytes);
		at[8] = p->wireguard ? TF_WG_INITIATION : 0;
		return bytes;
	case IPPROTO_TCP:
		put16(at, p->sport);
		put16(at + 2, p->dport);
		at[12] = TF_TCP_HEADER / 4 << 4;
		at[13] = p->syn ? TF_TCP_SYN : TF_TCP_ACK;
		return TF_TCP_HEADER;
	default:
		at[0] = v4 ? 8 : 128; /* echo request */
		return 8;
	}
}

/* Writes an IP packet; returns its bytes. */
static __u32 build(const struct probe *p, __u8 *at)
{
	bool v4 = tf_addr_is_v4(&p->dst);
	__u8 protocol = p->protocol == IPPROTO_ICMP && !v4 ? IPPROTO_ICMPV6 : p->protocol;
	__u32 header = v4 ? TF_IPV4_HEADER : TF_IPV6_HEADER;
	__u32 bytes = header + build_transport(p, v4, at + header);

	if (v4) {
		at[0] = 0x45;
		put16(at + 2, bytes);
		at[8] = 64;
		at[9] = protocol;
		memcpy(at + 12, p->src.byte + 12, 4);
		memcpy(at + 16, p->dst.byte + 12, 4);
	} else {
		at[0] = 0x60;
		put16(at + 4, bytes - header);
		at[6] = protocol;
		at[7] = 64;
		memcpy(at + 8, &p->src, 16);
		memcpy(at + 24, &p->dst, 16);
	}
	return bytes;
}

int probe_judge(const struct probe *p, const struct tf_policy *policy,
		const struct native_tables *tables, const void *data, struct tf_decision *ret,
		struct err *e)
{
	__u8 packet[MAX_PACKET] = {};
	struct native n = {
		.frame = packet,
		.owner = p->owner ? p->owner : TF_OWNER_INET,
		.in_cgroup = !p->outside,
		.exempt = p->exempt,
		.addresses = p->addresses,
		.address_count = p->address_count,
		.tables = tables,
		.data = data,
		/* The frame is built without a link header, whatever the device's is. */
		.device = { .netns = policy->netns, .link_header = TF_LINK_NONE },
	};
	struct tf_meta meta = { .plane = p->plane, .mark = p->mark };

	if (tf_addr_is_v4(&p->src) != tf_addr_is_v4(&p->dst))
		return err_set(e, -EINVAL,
			       "source and destination are not of one family; give both as IPv4 or "
			       "both as IPv6");
	if (p->link) {
		n.device.name = p->link->name;
		n.kind = p->link->kind;
		meta.ifindex = p->link->flags & IFF_LOOPBACK ? TF_LOOPBACK_IFINDEX :
							       (__u32)p->link->ifindex;
	}
	n.bytes = build(p, packet);
	meta.bytes = n.bytes;
	*ret = native_judge(&n, policy, &meta);
	return 0;
}
