// SPDX-License-Identifier: GPL-2.0
/* Exempt programs of several fences: see exempt.h. */
#include "exempt.h"

#include <errno.h>

#include "fence.h"
#include "route_exempt.h"
#include "util.h"

struct comparison {
	const struct pins *pins;
	const struct tf_policy *policy;
	struct err *e;
};

/* A fence that cannot be read is of another version, which will find the same of us. */
static int compare_with(const char *name, void *data)
{
	const struct comparison *c = data;
	const struct tf_policy *p = c->policy;
	_cleanup_fence_ struct fence *f = NULL;
	struct pins pins;

	if (streq(name, p->fence) || pins_of_another(c->pins, name, &pins) ||
	    fence_peek(&pins, name, &f, NULL) || !f->policy.exempt_count)
		return 0;
	if (f->policy.exempt_mark == p->exempt_mark)
		return err_set(c->e, -EEXIST,
			       "fence '%s' marks its exempt programs with %#x already; give '%s' another "
			       "mark with Mark= in [Exempt]",
			       name, p->exempt_mark, p->fence);
	if (route_exempt_table(name) == route_exempt_table(p->fence))
		return err_set(c->e, -EEXIST,
			       "the names '%s' and '%s' give their exempt programs the same routing "
			       "table; call one of the fences something else",
			       name, p->fence);
	return 0;
}

int exempt_check_numbers(const struct pins *pins, const struct tf_policy *p, struct err *e)
{
	struct comparison c = { .pins = pins, .policy = p, .e = e };

	return p->exempt_count ? pin_each_fence(pins, compare_with, &c) : 0;
}
