// SPDX-License-Identifier: GPL-2.0
/*
 * The core's seams, natively: see native.h. The scans over a policy are as plain as can be, being
 * what the kernel's maps are compared with.
 */
#include "native.h"

#include <string.h>

#include <tunfence/arrive.h>

#include "compile.h"

long tf_load(tf_ctx *n, __u32 offset, void *to, __u32 bytes)
{
	if (offset > n->bytes || bytes > n->bytes - offset)
		return -1;
	memcpy(to, n->frame + offset, bytes);
	return 0;
}

void tf_load_device(tf_ctx *n, enum tf_plane plane, struct tf_device *to)
{
	*to = n->device;
	if (tf_begins_with_ip(plane))
		to->link_header = 0;
}

void tf_load_kind(tf_ctx *n, struct tf_name *to)
{
	*to = n->kind;
}

enum tf_whose tf_whose_address(tf_ctx *n, const struct tf_addr *addr)
{
	size_t i;

	for (i = 0; i < n->address_count; i++) {
		if (tf_addr_equal(&n->addresses[i].addr, addr))
			return n->addresses[i].whose;
	}
	return TF_WHOSE_OTHER;
}

_Bool tf_is_own_mac(tf_ctx *n, const __u8 mac[6])
{
	return memcmp(n->mac, mac, sizeof(n->mac)) == 0;
}

_Bool tf_is_relayed(tf_ctx *n, enum tf_plane plane)
{
	(void)plane;
	return n->relayed;
}

_Bool tf_is_shared(tf_ctx *n, enum tf_plane plane)
{
	(void)plane;
	return n->shared;
}

static bool is_foreign(const struct native *n)
{
	return n->owner == TF_OWNER_FOREIGN || n->owner == TF_OWNER_WRAPPED;
}

enum tf_owner tf_load_owner(tf_ctx *n)
{
	if (n->owner == TF_OWNER_ELSEWHERE)
		return TF_OWNER_KERNEL;
	return is_foreign(n) ? TF_OWNER_INET : n->owner;
}

_Bool tf_is_foreign(tf_ctx *n, const struct tf_policy *policy)
{
	(void)policy;
	return is_foreign(n);
}

_Bool tf_is_routed_here(tf_ctx *n, const struct tf_policy *policy)
{
	(void)policy;
	return n->owner == TF_OWNER_WRAPPED || n->owner == TF_OWNER_KERNEL;
}

const struct tf_policy *tf_policy_of(tf_ctx *n)
{
	return n->policy;
}

void tf_load_offload(tf_ctx *n, struct tf_offload *to)
{
	*to = n->offload;
}

_Bool tf_in_cgroup(tf_ctx *n, const struct tf_policy *policy)
{
	(void)policy;
	return n->in_cgroup;
}

_Bool tf_is_from_exempt(tf_ctx *n)
{
	return n->exempt;
}

_Bool tf_is_for_exempt(tf_ctx *n, const struct tf_packet *p)
{
	(void)p;
	return n->exempt;
}

const struct tf_endpoint *tf_find_endpoint(tf_ctx *n, const struct tf_endpoint_key *key)
{
	return n->tables->endpoint(n, key);
}

const struct tf_endpoint *tf_find_live(tf_ctx *n, const struct tf_endpoint_key *key)
{
	return n->tables->live(n, key);
}

const struct tf_prefix *tf_find_prefix(tf_ctx *n, const struct tf_prefix_key *key)
{
	return n->tables->prefix(n, key);
}

const struct tf_service *tf_find_service(tf_ctx *n, __u32 index)
{
	return n->tables->service(n, index);
}

const struct tf_uplink *tf_find_uplink(tf_ctx *n, const struct tf_name *name)
{
	return n->tables->uplink(n, name);
}

_Bool tf_find_inside(tf_ctx *n, const struct tf_inside_key *key)
{
	return n->tables->inside(n, key);
}

_Bool tf_find_inbound(tf_ctx *n, const struct tf_inbound_key *key)
{
	return n->tables->inbound(n, key);
}

const struct tf_question *tf_find_question(tf_ctx *n)
{
	return &n->question;
}

__u64 tf_now(tf_ctx *n)
{
	return n->now;
}

__u64 tf_load_cookie(tf_ctx *n)
{
	return n->cookie;
}

_Bool tf_find_fragment(tf_ctx *n, const struct tf_fragment_key *key)
{
	return key->exempt ? n->exempt_passed : n->fragment_passed;
}

void tf_remember_fragment(tf_ctx *n, const struct tf_fragment_key *key)
{
	n->remembered = true;
	n->remembered_exempt = key->exempt;
}

struct tf_decision native_judge(struct native *n, const struct tf_policy *policy,
				struct tf_meta *meta)
{
	struct tf_packet packet = {};

	n->policy = policy;
	return meta->plane == TF_PLANE_INGRESS ? tf_judge_arrived(n, policy, meta, &packet) :
						 tf_judge(n, policy, meta, &packet);
}

/* Whether the first bits of a and b are the same. */
static bool same_bits(const void *a, const void *b, __u32 bits)
{
	const __u8 *x = a, *y = b;
	__u8 mask = (__u8)(0xff00 >> bits % 8);

	if (memcmp(x, y, bits / 8) != 0)
		return false;
	return bits % 8 == 0 || (x[bits / 8] & mask) == (y[bits / 8] & mask);
}

static const struct tf_endpoint *scan_endpoints(const struct policy_endpoint *list, size_t count,
						const struct tf_endpoint_key *key)
{
	size_t i;

	for (i = 0; i < count; i++) {
		if (memcmp(&list[i].key, key, sizeof(*key)) == 0)
			return &list[i].value;
	}
	return NULL;
}

static const struct tf_endpoint *policy_endpoint(struct native *n,
						 const struct tf_endpoint_key *key)
{
	const struct policy *p = n->data;

	return scan_endpoints(p->endpoints, p->endpoint_count, key);
}

static const struct tf_endpoint *policy_live(struct native *n, const struct tf_endpoint_key *key)
{
	const struct policy *p = n->data;

	return scan_endpoints(p->live, p->live_count, key);
}

static const struct tf_prefix *policy_prefix(struct native *n, const struct tf_prefix_key *key)
{
	const struct policy *p = n->data;
	const struct policy_prefix *best = NULL;
	size_t i;

	for (i = 0; i < p->prefix_count; i++) {
		const struct policy_prefix *prefix = &p->prefixes[i];

		if (same_bits(&prefix->key.addr, &key->addr, prefix->key.bits) &&
		    (!best || prefix->key.bits > best->key.bits))
			best = prefix;
	}
	return best ? &best->value : NULL;
}

static const struct tf_service *policy_service(struct native *n, __u32 index)
{
	const struct policy *p = n->data;

	return index < p->service_count ? &p->services[index] : NULL;
}

static const struct tf_uplink *policy_uplink(struct native *n, const struct tf_name *name)
{
	const struct policy *p = n->data;
	size_t i;

	for (i = 0; i < p->uplink_count; i++) {
		if (tf_name_equal(&p->uplinks[i].name, name))
			return &p->uplinks[i].value;
	}
	return NULL;
}

static bool policy_inside(struct native *n, const struct tf_inside_key *key)
{
	const struct policy *p = n->data;
	size_t i;

	for (i = 0; i < p->inside_count; i++) {
		if (same_bits(p->inside[i].name, key->name, p->inside[i].bits))
			return true;
	}
	return false;
}

static bool policy_inbound(struct native *n, const struct tf_inbound_key *key)
{
	const struct policy *p = n->data;
	size_t i;

	for (i = 0; i < p->inbound_count; i++) {
		if (memcmp(&p->inbound[i], key, sizeof(*key)) == 0)
			return true;
	}
	return false;
}

const struct native_tables policy_tables = {
	.endpoint = policy_endpoint,
	.live = policy_live,
	.prefix = policy_prefix,
	.service = policy_service,
	.uplink = policy_uplink,
	.inside = policy_inside,
	.inbound = policy_inbound,
};
