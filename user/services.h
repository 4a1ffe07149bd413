/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A run: the services one prefix allows, as the services map holds them.
 *
 * Sorted and disjoint; adjacent services differ in their uplinks. So equal sets of allowed packets
 * are equal runs, in whatever order they were put together.
 */
#ifndef TUNFENCE_SERVICES_H
#define TUNFENCE_SERVICES_H

#include <stdbool.h>
#include <stddef.h>

#include <tunfence/policy.h>

#define SERVICES_LAST_POINT tf_service_point(0xff, 0xffff)
#define SERVICES_NOT_PLACED (~0U)

struct services {
	__u32 first; /* index into policy.services, or SERVICES_NOT_PLACED */
	__u32 count;
	struct tf_service item[];
};

/* Empty, with room for so many services. To be freed with free(). NULL: out of memory. */
struct services *services_new(size_t most);

/* from must be behind all there is. */
void services_append(struct services *s, __u32 from, __u32 to, __u64 uplinks);

/* What either allows. NULL: out of memory. */
struct services *services_union(const struct services *a, const struct services *b);

/* Whether inner adds nothing to outer. May say no where it does add nothing; never the reverse. */
bool services_covers(const struct services *outer, const struct services *inner);

/* 0 if they allow the same. */
int services_compare(const void *a, const void *b);

#endif
