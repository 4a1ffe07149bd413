/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The maps of a fence, and its constants. Each object file declares them all; the loader makes them
 * once and hands them to every object, so that all planes share one policy and one set of counters.
 */
#ifndef TUNFENCE_MAPS_H
#define TUNFENCE_MAPS_H

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include <tunfence/policy.h>

const volatile struct tf_policy policy = {};

/* What a new entry of blocked begins as: there is no room for it on the stack. */
static const volatile struct tf_blocked blank = {};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_RDONLY_PROG);
	__type(key, struct tf_endpoint_key);
	__type(value, struct tf_endpoint);
} endpoints SEC(".maps"), live_endpoints SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_RDONLY_PROG);
	__type(key, __u32);
	__type(value, struct tf_live);
} live_hashes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_RDONLY_PROG);
	__type(key, struct tf_prefix_key);
	__type(value, __u32);
} prefixes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_RDONLY_PROG);
	__type(key, __u32);
	__type(value, struct tf_network);
} networks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct tf_recent);
} recent SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_RDONLY_PROG);
	__type(key, __u32);
	__type(value, struct tf_service);
} services SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_RDONLY_PROG);
	__type(key, struct tf_name);
	__type(value, struct tf_uplink);
} uplinks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_RDONLY_PROG);
	__type(key, struct tf_inside_key);
	__type(value, __u32);
} inside SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_RDONLY_PROG);
	__type(key, struct tf_inbound_key);
	__type(value, __u32);
} inbound SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH); /* an element is replaced in one step */
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_RDONLY_PROG);
	__type(key, __u32);
	__type(value, struct tf_question);
} question SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, TF_MAX_FRAGMENTS);
	__type(key, struct tf_fragment_key);
	__type(value, __u64); /* when the first fragment passed, ns since boot */
} fragments SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, TF_COUNTERS);
	__type(key, __u32);
	__type(value, struct tf_counter);
} counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE); /* goes with its socket */
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE); /* an accepted socket has its listener's */
	__type(key, int);
	__type(value, struct tf_who);
} owners SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1);
	__type(key, struct tf_blocked_key);
	__type(value, struct tf_blocked);
} blocked SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, TF_COUNTERS);
	__type(key, __u32);
	__type(value, struct tf_cleared);
} cleared SEC(".maps");

struct ring {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, TF_RING_BYTES);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, TF_MAX_LISTENERS);
	__type(key, __u32);
	__array(values, struct ring);
} listeners SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct tf_leases);
} leases SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, TF_MAX_TUNNELS);
	__type(key, struct tf_name);
	__type(value, struct tf_tunnel_state);
} tunnels SEC(".maps");

/* The verifier knows the frozen values and prunes by them; the compiler must not guess at them. */
static __always_inline const struct tf_policy *the_policy(void)
{
	const struct tf_policy *p = (const struct tf_policy *)&policy;

	asm volatile("" : "+r"(p));
	return p;
}

static __always_inline void count(enum tf_plane plane, enum tf_reason reason, __u32 bytes)
{
	__u32 key = plane * TF_REASON_COUNT + reason;
	struct tf_counter *counter = bpf_map_lookup_elem(&counters, &key);

	if (!counter)
		return;
	counter->packets++;
	counter->bytes += bytes;
}

#endif
