// SPDX-License-Identifier: GPL-2.0
/* tunfence down: the only way to open a fence. Says what is open again, and which programs that were
 * in the fence of a cgroup go on without it. */
#include <net/if.h>
#include <string.h>

#include "command.h"
#include "config.h"
#include "fence.h"
#include "group.h"
#include "hosts.h"
#include "loader.h"
#include "pin.h"
#include "slice.h"
#include "state.h"

static void say_what_is_open(const char *name, const struct state *s, const struct links *links)
{
	size_t i, shown = 0;

	printf("fence '%s' is down: ", name);
	if (s->group_count)
		printf("what programs in '%s'", s->groups[0]);
	if (s->group_count > 1)
		printf(" and in %zu more groups", s->group_count - 1);
	printf("%s", s->group_count ? " send" : "everything");
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

/* With the groups of a fence of cgroups, while they can still be told; else with none. */
static void find_groups(const struct options *o, const struct pins *pins, const char *name,
			struct state *ret)
{
	_cleanup_fence_ struct fence *f = NULL;

	if (fence_open(pins, name, &f, NULL) == 0 && f->policy.scope == TF_SCOPE_CGROUP)
		state_read(o->run_dir, name, ret, NULL);
}

int cmd_down(const struct options *o, int argc, char *argv[], struct err *e)
{
	_cleanup_close_ int lock = -1;
	struct links links = {};
	struct state before = {};
	struct pins pins;
	size_t i;
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
	find_groups(o, &pins, argv[0], &before);
	r = links_read(&links, e);
	if (!r)
		r = loader_down(&pins, argv[0], &links, e);
	if (!r) {
		state_remove(o->run_dir, argv[0]);
		hosts_withdraw(o->run_dir, argv[0]);
		say_what_is_open(argv[0], &before, &links);
		for (i = 0; i < before.group_count; i++) {
			if (!slice_remove(argv[0], SLICE_FENCED, before.groups[i]))
				say_what_is_left(before.groups[i]);
		}
	}
	state_free(&before);
	links_free(&links);
	return r;
}
