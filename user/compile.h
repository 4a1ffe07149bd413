/* SPDX-License-Identifier: GPL-2.0 */
/*
 * config + world -> policy: the content of every map, computed without I/O. The same input always
 * gives the same policy, byte for byte.
 */
#ifndef TUNFENCE_COMPILE_H
#define TUNFENCE_COMPILE_H

#include <tunfence/policy.h>

#include "config.h"
#include "world.h"

struct policy_endpoint {
	struct tf_endpoint_key key;
	struct tf_endpoint value;
};

struct policy_prefix {
	struct tf_prefix_key key;
	struct tf_prefix value;
};

struct policy_uplink {
	struct tf_name name;
	struct tf_uplink value;
};

struct policy_tunnel_state {
	struct tf_name name;
	struct tf_tunnel_state value;
};

struct policy {
	struct tf_policy rodata;
	struct policy_endpoint *endpoints; /* literal, from the configuration */
	size_t endpoint_count;
	struct policy_endpoint *live; /* from live devices and resolved names */
	size_t live_count;
	struct policy_prefix *prefixes;
	size_t prefix_count;
	struct tf_service *services;
	size_t service_count;
	struct policy_uplink *uplinks;
	size_t uplink_count;
	struct tf_inside_key *inside;
	size_t inside_count;
	struct tf_inbound_key *inbound;
	size_t inbound_count;
	struct policy_tunnel_state *tunnels;
	size_t tunnel_count;
};

void policy_free(struct policy *p);
static inline void policy_cleanup(struct policy **p)
{
	policy_free(*p);
}
#define _cleanup_policy_ _cleanup_(policy_cleanup)

/* Whether it is among the live ones. */
bool policy_has_live(const struct policy *p, const struct tf_endpoint_key *key);

/* -E2BIG with the limit's name and what to shorten when something does not fit. */
int compile(const struct config *c, const struct world *w, struct policy **ret, struct err *e);

/* Whether an address can be the far end of a tunnel at all. */
bool compile_can_be_endpoint(const struct tf_addr *addr);

/* Only what sync may refresh, live endpoints and tunnel states; rules are left out. rodata is there
 * to compare: the bits in live number this configuration's tunnels, so they mean something only to
 * a fence whose rodata names the same tunnels in the same order. */
int compile_live(const struct config *c, const struct world *w, struct policy **ret,
		 struct err *e);

#endif
