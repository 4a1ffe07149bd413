// SPDX-License-Identifier: GPL-2.0
/*
 * What systemd's RestrictNetworkInterfaces= does to a unit, in our own words: of the packets that
 * the sockets of a cgroup send or get, those on a device whose index is listed pass. For the
 * comparison only; nothing of tunfence uses it.
 *
 * A user's tunnel is no part of the restricted unit: it is the kernel's or another unit's. In the
 * world of verify it shares the unit's cgroup, so its sockets are told apart one by one.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, __u32); /* ifindex */
	__type(value, __u8);
} allowed SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, __u64); /* socket cookie */
	__type(value, __u8);
} elsewhere SEC(".maps");

static __always_inline int is_allowed(struct __sk_buff *skb)
{
	__u64 cookie = bpf_get_socket_cookie(skb);
	__u32 ifindex = skb->ifindex;

	return bpf_map_lookup_elem(&allowed, &ifindex) || bpf_map_lookup_elem(&elsewhere, &cookie);
}

SEC("cgroup_skb/egress") int restrict_out(struct __sk_buff *skb)
{
	return is_allowed(skb);
}

SEC("cgroup_skb/ingress") int restrict_in(struct __sk_buff *skb)
{
	return is_allowed(skb);
}

char _license[] SEC("license") = "GPL";
