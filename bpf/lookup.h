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
	const __u32 zero = 0;
	const struct tf_live *live = bpf_map_lookup_elem(&live_hashes, &zero);

	if (!live || !(live->hashes >> tf_endpoint_hash(key) & 1))
		return NULL;
	return bpf_map_lookup_elem(&live_endpoints, key);
}

/* Of 256 bits in the policy. */
static __always_inline _Bool has_bit(const __u64 bits[4], __u8 i)
{
	return bits[i / 64] >> i % 64 & 1;
}

/* Whether a prefix covers any address that begins like this one. Joined, or each word of what tells
 * IPv4 apart would be a branch to the verifier. */
static __always_inline _Bool may_be_covered(const struct tf_addr *addr)
{
	const struct tf_policy *p = the_policy();
	const __u32 other = (TF_FORCE __u32)(tf_addr_word(addr, 0) | tf_addr_word(addr, 1) |
					     (tf_addr_word(addr, 2) ^ tf_htonl(0xffff)));

	return other ? has_bit(p->ipv6_initials, addr->byte[0]) :
		       has_bit(p->ipv4_initials, addr->byte[12]);
}

/* Where the number of its network may have been written down. NULL: that cannot be. */
static __always_inline volatile __u32 *recent_of(const __u64 addr[2])
{
	const __u32 zero = 0;
	struct tf_recent *all = bpf_map_lookup_elem(&recent, &zero);
	const __u64 mixed = addr[0] ^ addr[1];

	return all ? &all->network[tf_mix((__u32)(mixed ^ mixed >> 32)) >> (32 - TF_RECENT_BITS)] :
		     NULL;
}

/* Whether it is the longest match of an address, by what it says itself. */
static __always_inline _Bool is_match(const struct tf_network *network, const __u64 addr[2])
{
	__u64 start[2], mask[2];

	__builtin_memcpy(start, &network->addr, sizeof(start));
	__builtin_memcpy(mask, &network->mask, sizeof(mask));
	return network->prefix.leaf &&
	       !(((addr[0] & mask[0]) ^ start[0]) | ((addr[1] & mask[1]) ^ start[1]));
}

/*
 * The number in networks of an address's longest match; one that none has if there is none. word0 and
 * word1 are the address. By itself, since the stack of who asks is nearly full.
 *
 * What the trie says of an address never changes, but asking it takes as long as all the rest: so the
 * network that it found last is tried first. It matters not who wrote its number, or when, or whether
 * anyone did: networks is frozen, and one of them that is a leaf and has the address in it is the
 * longest match, there being no longer one. A number is one aligned word, so never half of one.
 */
TF_GLOBAL __u32 find_network(tf_ctx *ctx, __u64 word0, __u64 word1)
{
	const __u64 addr[2] = { word0, word1 };
	volatile __u32 *slot = recent_of(addr);
	struct tf_prefix_key key = { .bits = 128 };
	const struct tf_network *network;
	const __u32 *found;
	__u32 number = slot ? *slot : 0;

	TF_KEEP(ctx); /* the verifier wants to see it passed */
	network = bpf_map_lookup_elem(&networks, &number);
	if (network && is_match(network, addr))
		return number;
	__builtin_memcpy(&key.addr, addr, sizeof(key.addr));
	found = bpf_map_lookup_elem(&prefixes, &key);
	if (!found)
		return ~0U;
	network = bpf_map_lookup_elem(&networks, found);
	if (slot && network && network->prefix.leaf && *found != number)
		*slot = *found;
	return *found;
}

TF_SEAM const struct tf_prefix *tf_find_prefix(tf_ctx *ctx, const struct tf_prefix_key *key)
{
	const struct tf_network *network;
	__u64 addr[2];
	__u32 number;

	if (!may_be_covered(&key->addr))
		return NULL;
	__builtin_memcpy(addr, &key->addr, sizeof(addr));
	number = find_network(ctx, addr[0], addr[1]);
	network = bpf_map_lookup_elem(&networks, &number);
	return network ? &network->prefix : NULL;
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
