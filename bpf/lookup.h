/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The core's lookups, answered from the fence's maps: the same for every object and every kind of
 * context. What is not in a map, or could not be looked up, is NULL or false.
 */
#ifndef TUNFENCE_LOOKUP_H
#define TUNFENCE_LOOKUP_H

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include <tunfence/seam.h>

#include "maps.h"

TF_SEAM const struct tf_policy *tf_policy_of(tf_ctx *ctx)
{
	return the_policy();
}

/* A hash to look up costs as much as all else that is asked of most outer packets: so the first few
 * are constants. The differences are joined, or each would be a branch to the verifier. */
static __always_inline _Bool is_at(const struct tf_near_endpoint *near,
				   const struct tf_endpoint_key *key)
{
	__u32 a[5], b[5];

	TF_KEEP(key); /* what was read of it last time would be kept on the stack */
	__builtin_memcpy(a, &near->key, sizeof(a));
	__builtin_memcpy(b, key, sizeof(b));
	return !((a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2]) | (a[3] ^ b[3]) | (a[4] ^ b[4]));
}

TF_SEAM const struct tf_endpoint *tf_find_endpoint(tf_ctx *ctx, const struct tf_endpoint_key *key)
{
	const struct tf_policy *p = the_policy();
	__u32 i;

#pragma clang loop unroll(full)
	for (i = 0; i < TF_NEAR_ENDPOINTS; i++) {
		if (i < p->endpoint_count && is_at(&p->near[i], key))
			return &p->near[i].value;
	}
	return p->endpoint_count > TF_NEAR_ENDPOINTS ? bpf_map_lookup_elem(&endpoints, key) : NULL;
}

TF_SEAM const struct tf_endpoint *tf_find_live(tf_ctx *ctx, const struct tf_endpoint_key *key)
{
	return bpf_map_lookup_elem(&live_endpoints, key);
}

/* Of 256 bits in the policy. */
static __always_inline _Bool has_bit(const __u64 bits[4], __u8 i)
{
	return bits[i / 64] >> i % 64 & 1;
}

/* Whether a prefix covers any address that begins like this one. */
static __always_inline _Bool may_be_covered(const struct tf_addr *addr)
{
	const struct tf_policy *p = the_policy();

	return tf_addr_is_v4(addr) ? has_bit(p->ipv4_initials, addr->byte[12]) :
				     has_bit(p->ipv6_initials, addr->byte[0]);
}

/* Where the number of its network may have been written down. NULL: that cannot be. */
static __always_inline volatile __u32 *recent_of(const struct tf_addr *addr)
{
	const __u32 zero = 0;
	struct tf_recent *all = bpf_map_lookup_elem(&recent, &zero);
	__u32 mixed = (TF_FORCE __u32)(tf_addr_word(addr, 0) ^ tf_addr_word(addr, 1) ^
				       tf_addr_word(addr, 2) ^ tf_addr_word(addr, 3));

	mixed *= 0x9e3779b1U; /* 2^32 by the golden ratio: all of the address is in the upper bits */
	return all ? &all->network[mixed >> (32 - TF_RECENT_BITS)] : NULL;
}

/* Whether it is the longest match of an address, by what it says itself. */
static __always_inline _Bool is_match(const struct tf_network *network, const struct tf_addr *addr)
{
	__u32 a[4], m[4], x[4];

	__builtin_memcpy(a, &network->addr, sizeof(a));
	__builtin_memcpy(m, &network->mask, sizeof(m));
	__builtin_memcpy(x, addr, sizeof(x));
	return network->prefix.leaf && !(((x[0] & m[0]) ^ a[0]) | ((x[1] & m[1]) ^ a[1]) |
					 ((x[2] & m[2]) ^ a[2]) | ((x[3] & m[3]) ^ a[3]));
}

/*
 * What the trie says of an address never changes, but asking it takes as long as all the rest: so the
 * network that it found last is tried first. It matters not who wrote its number, or when, or whether
 * anyone did: networks is frozen, and one of them that is a leaf and has the address in it is the
 * longest match, there being no longer one. A number is one aligned word, so never half of one.
 */
TF_SEAM const struct tf_prefix *tf_find_prefix(tf_ctx *ctx, const struct tf_prefix_key *key)
{
	const struct tf_network *network;
	volatile __u32 *slot;
	__u32 last, *number;

	if (!may_be_covered(&key->addr))
		return NULL;
	slot = recent_of(&key->addr);
	if (!slot)
		return NULL;
	last = *slot;
	network = bpf_map_lookup_elem(&networks, &last);
	if (network && is_match(network, &key->addr))
		return &network->prefix;
	number = bpf_map_lookup_elem(&prefixes, key);
	network = number ? bpf_map_lookup_elem(&networks, number) : NULL;
	if (!network)
		return NULL;
	if (network->prefix.leaf && last != *number)
		*slot = *number;
	return &network->prefix;
}

TF_SEAM const struct tf_service *tf_find_service(tf_ctx *ctx, __u32 index)
{
	return bpf_map_lookup_elem(&services, &index);
}

TF_SEAM const struct tf_uplink *tf_find_uplink(tf_ctx *ctx, const struct tf_name *name)
{
	return bpf_map_lookup_elem(&uplinks, name);
}

TF_SEAM _Bool tf_find_inside(tf_ctx *ctx, const struct tf_inside_key *key)
{
	return has_bit(the_policy()->inside_initials, (__u8)key->name[0]) &&
	       bpf_map_lookup_elem(&inside, key) != NULL;
}

TF_SEAM _Bool tf_find_inbound(tf_ctx *ctx, const struct tf_inbound_key *key)
{
	return has_bit(the_policy()->inbound_ports, (__u8)key->port) &&
	       bpf_map_lookup_elem(&inbound, key) != NULL;
}

TF_SEAM const struct tf_question *tf_find_question(tf_ctx *ctx)
{
	__u32 key = 0;

	return bpf_map_lookup_elem(&question, &key);
}

TF_SEAM __u64 tf_now(tf_ctx *ctx)
{
	return bpf_ktime_get_ns();
}

TF_SEAM _Bool tf_find_fragment(tf_ctx *ctx, const struct tf_fragment_key *key)
{
	__u64 *when = bpf_map_lookup_elem(&fragments, key);

	return when && bpf_ktime_get_ns() - *when < TF_FRAGMENT_NS;
}

/* When this fails the later fragments are dropped. */
TF_SEAM void tf_remember_fragment(tf_ctx *ctx, const struct tf_fragment_key *key)
{
	__u64 now = bpf_ktime_get_ns();

	bpf_map_update_elem(&fragments, key, &now, BPF_ANY);
}

#endif
