// SPDX-License-Identifier: GPL-2.0
/* tunfence down: the only way to open a fence. Says what is open again, and which programs that were
 * in the fence of a cgroup go on without it. */
#include <errno.h>
#include <net/if.h>
#include <string.h>

#include "command.h"
#include "config.h"
#include "fence.h"
#include "group.h"
#include "hosts.h"
#include "loader.h"
#include "pin.h"
#include "route_exempt.h"
#include "slice.h"
#include "state.h"
#include "units.h"
#include "world.h"

/* A fence that was, while it could still be told. */
struct before {
	struct state state;
	bool of_cgroups;
	bool routed_elsewhere; /* in another network namespace */
};

static void say_what_is_open(const char *name, const struct before *before,
			     const struct links *links)
{
	const struct state *s = &before->state;
	size_t i, shown = 0, groups = before->of_cgroups ? s->group_count : 0;

	printf("fence '%s' is down: ", name);
	if (groups)
		printf("what programs in '%s'", s->groups[0]);
	if (groups > 1)
		printf(" and in %zu more groups", groups - 1);
	printf("%s", groups ? " send" : "everything");
	printf(" may leave by ");
	for (i = 0; i < links->count; i++) {
		if (!(links->links[i].flags & IFF_LOOPBACK) && links->links[i].flags & IFF_UP)
			printf("%s%s", shown++ ? ", " : "", links->links[i].name.text);
	}
	printf("%s again, as far as other fences and firewalls let it\n",
	       shown ? "" : "every interface");
}

#define MANY 8 /* programs before the rest is only counted */

struct left {
	size_t count;
	char text[MANY * 48];
};

static int note_left(pid_t pid, const char *name, void *data)
{
	struct left *left = data;
	size_t length = strlen(left->text);

	if (left->count++ < MANY)
		snprintf(left->text + length, sizeof(left->text) - length, "%s%s (%d)",
			 length ? ", " : "", name, pid);
	return 0;
}

/* They are not ended: whoever takes the fence down may want them to go on. */
static void say_what_is_left(const char *group)
{
	struct left left = {};

	group_each_process(group, note_left, &left);
	if (!left.count)
		return;
	printf("  warning    still running, and no longer fenced in: %s", left.text);
	if (left.count > MANY)
		printf(" and %zu more", left.count - MANY);
	puts("; end what must not go on");
}

/* As far as it can be told; else as of a fence of the system, with no group. */
static void look_before(const struct options *o, const struct pins *pins, const char *name,
			struct before *ret)
{
	_cleanup_fence_ struct fence *f = NULL;
	__u32 netns;

	if (fence_open(pins, name, &f, NULL))
		return;
	ret->routed_elsewhere = f->policy.exempt_count && world_netns(&netns, NULL) == 0 &&
				netns != f->policy.netns;
	ret->of_cgroups = f->policy.scope == TF_SCOPE_CGROUP;
	state_read(o->run_dir, name, &ret->state, NULL);
}

/* The slice for exempt programs first: it may lie in the other. What runs in it runs on. */
static void remove_slices(const char *name, const struct before *before)
{
	const struct state *s = &before->state;
	size_t i;

	for (i = 0; i < s->exempt_count; i++)
		slice_remove(name, SLICE_EXEMPT, s->exempt[i]);
	for (i = 0; before->of_cgroups && i < s->group_count; i++) {
		if (!slice_remove(name, SLICE_FENCED, s->groups[i]))
			say_what_is_left(s->groups[i]);
	}
}

/* While the fence still holds. */
static void take_way(const char *name, const struct before *before)
{
	struct err e = {};
	unsigned int removed;

	if (before->routed_elsewhere)
		printf("  warning    routes and rules of its exempt programs stay in the network namespace "
		       "that it was raised in; run 'tunfence down %s' there once more\n", name);

	if (route_exempt_remove(name, &removed, &e))
		printf("  warning    %s\n", e.text);
}

int cmd_down(const struct options *o, int argc, char *argv[], struct err *e)
{
	_cleanup_close_ int lock = -1;
	struct links links = {};
	struct before before = {};
	struct err warning = {};
	struct pins pins;
	int r;

	(void)argc;
	r = config_check_name(argv[0], e);
	if (!r)
		r = pins_init(&pins, o->bpffs, o->run_dir, argv[0], e);
	if (!r)
		r = pins_make_roots(&pins, e);
	if (r)
		return r;
	lock = pins_lock(&pins, e);
	if (lock < 0)
		return lock;
	look_before(o, &pins, argv[0], &before);
	take_way(argv[0], &before);
	r = links_read(&links, e);
	if (!r)
		r = loader_down(&pins, argv[0], &links, e);
	/* Also those that a 'down' left that was killed. */
	if ((!r || r == -ENOENT) && units_release(argv[0], NULL, &warning))
		printf("  warning    %s\n", warning.text);
	if (!r) {
		state_remove(o->run_dir, argv[0]);
		hosts_withdraw(o->run_dir, argv[0]);
		say_what_is_open(argv[0], &before, &links);
		remove_slices(argv[0], &before);
	}
	state_free(&before.state);
	links_free(&links);
	return r;
}
