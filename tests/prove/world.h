/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The world that the verdict is proved in: the core's seams, answered by values that the prover is
 * free to choose, and that stay what they are as a frozen map does. Each table has one entry, which
 * may be any: what is proved of it holds for each entry of a larger one. A harness begins with this,
 * and is one translation unit with the core.
 *
 * Only what the prover must see is asserted here: that bytes are copied within what there is.
 */
#ifndef TESTS_PROVE_WORLD_H
#define TESTS_PROVE_WORLD_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* In one piece, not by the prover's own memcpy(), which is a loop. */
#define prove_block(to, from, bytes)                                                               \
	({                                                                                         \
		typedef struct {                                                                   \
			__u8 byte[bytes];                                                          \
		} block_;                                                                          \
		*(block_ *)(to) = *(const block_ *)(from);                                         \
	})
#define __builtin_memcpy(to, from, bytes) prove_block(to, from, bytes)

#include <tunfence/packet.h>
#include <tunfence/seam.h>

#define PROVE_BYTES 128
#define PROVE_HEADER 10
#define PROVE_WINDOW 72

/* By itself: the prover looks through the whole of an object for what lies at an unknown offset. */
struct frame {
	__u8 byte[PROVE_BYTES];
};

/* One packet and all that can be asked about it. Truths are bytes: nonzero is true. */
struct native {
	const __u8 *frame;
	__u32 bytes;
	struct tf_device device;
	struct tf_name kind;
	struct tf_addr own;        /* the one address of the device */
	__u8 own_is_broadcast;
	__u8 mac[6];
	__u8 relayed, shared, foreign, routed_here, in_cgroup, exempt, for_exempt;
	__u8 owner;
	struct tf_offload offload;
	__u64 cookie, now;
	__u8 remembered, remembered_exempt; /* the first fragment of this one is */
	struct tf_policy policy;
	struct tf_endpoint_key endpoint_key, live_key;
	struct tf_endpoint endpoint, live;
	struct tf_addr prefix_of;  /* the address that the prefix has */
	struct tf_prefix prefix;
	struct tf_service service[2];
	struct tf_name uplink_name;
	struct tf_uplink uplink;
	__u8 inside;
	struct tf_inbound_key inbound;
	__u8 is_asked;
	struct tf_question question;
};

__u8 nondet_byte(void);
__u32 nondet_number(void);
struct native nondet_native(void);
struct frame nondet_frame(void);

static bool is_same_endpoint(const struct tf_endpoint_key *a, const struct tf_endpoint_key *b)
{
	return tf_addr_equal(&a->addr, &b->addr) && a->port == b->port &&
	       a->protocol == b->protocol;
}

/* Goes round a known number of times, not as often as there are bytes: so the prover need not tell
 * apart how often that was. */
static void copy_upto(__u8 *to, const __u8 *from, __u32 bytes, __u32 rounds)
{
	__u32 i;

	for (i = 0; i < rounds; i++) {
		if (i < bytes)
			to[i] = from[i];
	}
}

/* What is loaded at once is a header's beginning or a window, and fits where it goes. A window is put
 * together first: it goes to an array of other things than bytes, where each alone is dear. */
static void prove_copy(__u8 *to, const __u8 *from, __u32 bytes)
{
	const __u32 room = (__u32)(__CPROVER_OBJECT_SIZE(to) - __CPROVER_POINTER_OFFSET(to));
	__u8 window[PROVE_WINDOW];

	assert(bytes <= room && bytes <= PROVE_WINDOW);
	switch (room) {
	case TF_ETH_HEADER + TF_L3_BYTES:
		prove_block(window, to, TF_ETH_HEADER + TF_L3_BYTES);
		copy_upto(window, from, bytes, TF_ETH_HEADER + TF_L3_BYTES);
		prove_block(to, window, TF_ETH_HEADER + TF_L3_BYTES);
		return;
	case TF_L3_BYTES:
		prove_block(window, to, TF_L3_BYTES);
		copy_upto(window, from, bytes, TF_L3_BYTES);
		prove_block(to, window, TF_L3_BYTES);
		return;
	case TF_L4_BYTES:
		copy_upto(to, from, bytes, TF_L4_BYTES);
		return;
	default:
		assert(bytes <= PROVE_HEADER);
		copy_upto(to, from, bytes, room < PROVE_HEADER ? room : PROVE_HEADER);
	}
}

long tf_load(tf_ctx *n, __u32 offset, void *to, __u32 bytes)
{
	if (offset > n->bytes || bytes > n->bytes - offset)
		return -1;
	prove_copy(to, n->frame + offset, bytes);
	return 0;
}

void tf_load_device(tf_ctx *n, enum tf_plane plane, struct tf_device *to)
{
	(void)plane;
	*to = n->device;
}

void tf_load_kind(tf_ctx *n, struct tf_name *to)
{
	*to = n->kind;
}

enum tf_whose tf_whose_address(tf_ctx *n, const struct tf_addr *addr)
{
	if (!tf_addr_equal(addr, &n->own))
		return TF_WHOSE_OTHER;
	return n->own_is_broadcast ? TF_WHOSE_BROADCAST : TF_WHOSE_OWN;
}

_Bool tf_is_own_mac(tf_ctx *n, const __u8 mac[6])
{
	__u32 i;

	for (i = 0; i < 6; i++) {
		if (mac[i] != n->mac[i])
			return 0;
	}
	return 1;
}

_Bool tf_is_relayed(tf_ctx *n, enum tf_plane plane)
{
	(void)plane;
	return n->relayed != 0;
}

enum tf_owner tf_load_owner(tf_ctx *n)
{
	return (enum tf_owner)n->owner;
}

_Bool tf_is_foreign(tf_ctx *n, const struct tf_policy *policy)
{
	(void)policy;
	return n->foreign != 0;
}

__u64 tf_load_cookie(tf_ctx *n)
{
	return n->cookie;
}

_Bool tf_is_routed_here(tf_ctx *n, const struct tf_policy *policy)
{
	(void)policy;
	return n->routed_here != 0;
}

const struct tf_policy *tf_policy_of(tf_ctx *n)
{
	return &n->policy;
}

void tf_load_offload(tf_ctx *n, struct tf_offload *to)
{
	*to = n->offload;
}

_Bool tf_is_shared(tf_ctx *n, enum tf_plane plane)
{
	(void)plane;
	return n->shared != 0;
}

_Bool tf_in_cgroup(tf_ctx *n, const struct tf_policy *policy)
{
	(void)policy;
	return n->in_cgroup != 0;
}

_Bool tf_is_from_exempt(tf_ctx *n)
{
	return n->exempt != 0;
}

_Bool tf_is_for_exempt(tf_ctx *n, const struct tf_packet *p)
{
	(void)p;
	return n->for_exempt != 0;
}

const struct tf_endpoint *tf_find_endpoint(tf_ctx *n, const struct tf_endpoint_key *key)
{
	return is_same_endpoint(key, &n->endpoint_key) ? &n->endpoint : NULL;
}

const struct tf_endpoint *tf_find_live(tf_ctx *n, const struct tf_endpoint_key *key)
{
	return is_same_endpoint(key, &n->live_key) ? &n->live : NULL;
}

const struct tf_prefix *tf_find_prefix(tf_ctx *n, const struct tf_prefix_key *key)
{
	return key->bits == 128 && tf_addr_equal(&key->addr, &n->prefix_of) ? &n->prefix : NULL;
}

const struct tf_service *tf_find_service(tf_ctx *n, __u32 index)
{
	return index < 2 ? &n->service[index] : NULL;
}

const struct tf_uplink *tf_find_uplink(tf_ctx *n, const struct tf_name *name)
{
	return tf_name_equal(name, &n->uplink_name) ? &n->uplink : NULL;
}

_Bool tf_find_inside(tf_ctx *n, const struct tf_inside_key *key)
{
	(void)key;
	return n->inside != 0;
}

_Bool tf_find_inbound(tf_ctx *n, const struct tf_inbound_key *key)
{
	return key->port == n->inbound.port && key->protocol == n->inbound.protocol;
}

const struct tf_question *tf_find_question(tf_ctx *n)
{
	return n->is_asked ? &n->question : NULL;
}

__u64 tf_now(tf_ctx *n)
{
	return n->now;
}

_Bool tf_find_fragment(tf_ctx *n, const struct tf_fragment_key *key)
{
	return (key->exempt ? n->remembered_exempt : n->remembered) != 0;
}

void tf_remember_fragment(tf_ctx *n, const struct tf_fragment_key *key)
{
	(void)n;
	(void)key;
}

#endif
