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

TF_SEAM const struct tf_prefix *tf_find_prefix(tf_ctx *ctx, const struct tf_prefix_key *key)
{
	return bpf_map_lookup_elem(&prefixes, key);
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
	const struct tf_policy *p = the_policy();
	__u8 initial = (__u8)key->name[0];

	if (!(p->inside_initials[initial / 64] >> initial % 64 & 1))
		return 0;
	return bpf_map_lookup_elem(&inside, key) != NULL;
}

TF_SEAM _Bool tf_find_inbound(tf_ctx *ctx, const struct tf_inbound_key *key)
{
	return bpf_map_lookup_elem(&inbound, key) != NULL;
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
