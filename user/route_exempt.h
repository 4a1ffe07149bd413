/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The way past the tunnel for a fence's exempt programs: a routing table of tunfence's own with
 * copies of the main table's routes, but for the tunnels', and rules that lead whatever carries the
 * fence's mark into it. The way is no leave: who passes is for the policy to say, by cgroup. What is
 * missing here leads into the tunnel.
 *
 * All of it is told from other people's by the protocol number and the table's, both of which follow
 * from the fence's name alone: what an earlier run, or an earlier version, left is found and goes.
 */
#ifndef TUNFENCE_ROUTE_EXEMPT_H
#define TUNFENCE_ROUTE_EXEMPT_H

#include <stdbool.h>

#include <tunfence/policy.h>

#include "err.h"
#include "link.h"

/* What it took. */
struct route_told {
	unsigned int changed; /* routes and rules that came or went */
	unsigned int refused; /* routes that could not be copied: what they lead to goes another way */
	char why[256];        /* about one of those */
	bool behind;          /* others' rules leave no room in front of them */
};

/* What a fence's exempt programs are marked with, unless the configuration says otherwise. Of a
 * name's hash: the low bits, without those that Kubernetes and Tailscale look at in others' marks. */
__u32 route_exempt_mark(const char *fence);

/* The number of the fence's routing table. */
__u32 route_exempt_table(const char *fence);

/* Makes table and rules of the current network namespace what they should be now, for the exempt
 * programs of this policy; one without them has neither. */
int route_exempt_make(const struct tf_policy *p, const struct links *links,
		      struct route_told *ret, struct err *e);

/* Takes all of it away: rules first. *ret_removed: how much there was. */
int route_exempt_remove(const char *fence, unsigned int *ret_removed, struct err *e);

/* Whether the kernel drops what comes in by this device when its answers would leave by another
 * (rp_filter=1): then exempt programs get none. What cannot be told is no. */
bool route_is_strict(const char *device);

#endif
