/* SPDX-License-Identifier: GPL-2.0 */
/* Between the files that make a policy, and for them alone: compile.c asks, the others compute. */
#ifndef TUNFENCE_COMPILE_PARTS_H
#define TUNFENCE_COMPILE_PARTS_H

#include <string.h>

#include "compile.h"

/* One of the limits of policy.h. */
struct limit {
	const char *name;
	size_t max;
	const char *things;
	const char *advice;
};

/* 0, or -E2BIG if count is more than l->max. */
int compile_fits(const struct limit *l, size_t count, struct err *e);
int compile_nomem(struct err *e);

/* Zeroed; never NULL for zero elements. */
void *compile_alloc(size_t count, size_t size);

static inline bool name_empty(const struct tf_name *name)
{
	return !name->text[0];
}

static inline int name_compare(const struct tf_name *a, const struct tf_name *b)
{
	return memcmp(a, b, sizeof(*a));
}

/* policy.endpoints, then policy.live, which leaves out what the former say. */
int compile_literals(const struct config *c, struct policy *p, struct err *e);
int compile_live_endpoints(const struct world *w, struct policy *p, struct err *e);

/* policy.uplinks, then policy.prefixes and policy.services, which use their numbers. */
int compile_uplinks(const struct config *c, struct policy *p, struct err *e);
int compile_prefixes(const struct config *c, struct policy *p, struct err *e);

#endif
