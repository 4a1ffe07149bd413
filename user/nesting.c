// SPDX-License-Identifier: GPL-2.0
/* Fences around a fence: see nesting.h. */
#include "nesting.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cgroup.h"
#include "compile.h"
#include "maps.h"
#include "util.h"

void nestings_free(struct nestings *n)
{
	free(n->list);
	*n = (struct nestings){};
}

struct search {
	const struct fence *inner;
	char *const *paths;
	size_t path_count;
	struct nestings found;
};

/* A fence of the system has nothing to say in other namespaces; those of cgroups have in all. */
static bool may_meet(const struct tf_policy *a, const struct tf_policy *b)
{
	return a->netns == b->netns ||
	       (a->scope == TF_SCOPE_CGROUP && b->scope == TF_SCOPE_CGROUP);
}

static bool is_within(const struct cgroup *group, const struct fence *outer)
{
	__u32 i;

	for (i = 0; i < fence_group_count(outer); i++) {
		const struct cgroup there = { .id = outer->policy.groups[i].id,
					      .level = outer->policy.groups[i].level };

		if (cgroup_is_within(group, &there))
			return true;
	}
	return false;
}

static __u32 count_groups(const struct search *s, const struct fence *outer)
{
	__u32 i, count = 0;

	for (i = 0; i < fence_group_count(s->inner) && i < s->path_count; i++) {
		struct cgroup group;

		if (cgroup_open(s->paths[i], &group, NULL))
			continue;
		count += group.id == s->inner->policy.groups[i].id && is_within(&group, outer);
		cgroup_close(&group);
	}
	return count;
}

static int find_strangers(const struct fence *inner, const struct fence *outer,
			  struct nesting *n, struct err *e)
{
	_cleanup_policy_ struct policy *p = NULL;
	int r = maps_read(&outer->maps, &p, e);
	__u32 i;

	for (i = 0; !r && i < TF_MAX_TUNNELS && i < inner->policy.tunnel_count; i++) {
		const struct tf_tunnel *t = &inner->policy.tunnels[i];
		const struct link link = { .name = t->name, .kind = t->kind };

		if (link_role(p, &link) == ROLE_UPLINK)
			n->strangers[n->stranger_count++] = t->name;
	}
	return r;
}

/* One that cannot be opened says so where it is shown itself. */
static int look_at(const char *name, void *data)
{
	struct search *s = data;
	_cleanup_fence_ struct fence *outer = NULL;
	struct nesting n = {}, *more;
	struct pins pins;

	if (streq(name, s->inner->name) || pins_of_another(&s->inner->pins, name, &pins) ||
	    fence_peek(&pins, name, &outer, NULL) ||
	    !may_meet(&s->inner->policy, &outer->policy))
		return 0;
	n.groups = count_groups(s, outer);
	if (!n.groups)
		return 0;
	snprintf(n.fence, sizeof(n.fence), "%s", outer->name);
	n.scope = outer->policy.scope;
	if (find_strangers(s->inner, outer, &n, NULL))
		return 0;
	more = reallocarray(s->found.list, s->found.count + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	s->found.list = more;
	more[s->found.count++] = n;
	return 0;
}

int nestings_find(const struct fence *f, char *const *paths, size_t count, struct nestings *ret,
		  struct err *e)
{
	struct search s = { .inner = f, .paths = paths, .path_count = count };
	int r = pin_each_fence(&f->pins, look_at, &s);

	if (r < 0) {
		nestings_free(&s.found);
		return err_set(e, r, "the fences in '%s' cannot be looked at: %s", f->pins.own_root,
			       strerror(-r));
	}
	*ret = s.found;
	return 0;
}
