/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Fences around a fence: what leaves from a cgroup that several fences hold must pass all of them.
 * Looks at the fences that are up; changes nothing.
 */
#ifndef TUNFENCE_NESTING_H
#define TUNFENCE_NESTING_H

#include <tunfence/policy.h>

#include "err.h"
#include "fence.h"

/* A fence that holds groups of another one too. */
struct nesting {
	char fence[64];
	enum tf_scope scope;
	__u32 groups; /* how many of the inner one's */
	/* The inner one's tunnels that are neither tunnel nor inside to this one: what leaves by them
	 * it drops, unless a rule lets it pass. */
	struct tf_name strangers[TF_MAX_TUNNELS];
	__u32 stranger_count;
};

struct nestings {
	struct nesting *list;
	size_t count;
};

void nestings_free(struct nestings *n); /* what it points to, not n itself */

/* The fences that the groups of f lie in. paths: where those were, in the policy's order; one that
 * is another group by now, or gone, lies in none. */
int nestings_find(const struct fence *f, char *const *paths, size_t count, struct nestings *ret,
		  struct err *e);

#endif
