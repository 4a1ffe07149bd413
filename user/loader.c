// SPDX-License-Identifier: GPL-2.0
/*
 * The life of a fence: see loader.h. Which hooks, where, in what order; raise.c does each of them.
 *
 * Planes come in the order of their table. The socket plane is first: it alone covers every
 * interface at once. What the new policy does without goes last, when all else stands.
 */
#include "loader.h"

#include <errno.h>
#include <string.h>

#include "object.h"
#include "raise.h"
#include "reason.h"

static int pin_objects(const struct pins *pins, const struct objects *o, struct err *e)
{
	const struct maps maps = objects_maps(o);
	size_t i;
	int r = 0;

	for (i = 0; !r && i < PROGRAM_COUNT; i++) {
		int fd = objects_program(o, (enum program)i);

		r = fd < 0 ? pin_drop(pins, "progs", programs[i].pin, e) :
			     pin_put(pins, "progs", programs[i].pin, fd, e);
	}
	for (i = 0; !r && i < MAP_COUNT; i++) {
		const char *name = i == MAP_RODATA ? "rodata" : map_name((enum map)i);

		/* Whoever can open a pin can write the map. */
		r = map_is_frozen((enum map)i) ? pin_put(pins, "maps", name, maps.fd[i], e) :
						 pin_drop(pins, "maps", name, e);
	}
	return r;
}

/* What a fence is raised with. */
struct raising {
	const struct pins *pins;
	const char *name;
	const struct policy *policy;
	const struct cgroups *groups, *exempt;
	const struct links *links;
	const struct dispatcher *dispatcher; /* in which the policy has a slot; NULL: it has none */
	struct err *e;
};

/* What is not found has no descriptor: a group of the fence that is replaced, until that is let go. */
static const struct cgroup *find_group(const struct raising *up, enum hook hook, __u64 id)
{
	static const struct cgroup none = { .fd = -1, .fleeting = true };
	const struct cgroups *groups = hooks[hook].kind == KIND_EXEMPT ? up->exempt : up->groups;
	size_t i;

	for (i = 0; i < groups->count; i++) {
		if (groups->list[i].id == id)
			return &groups->list[i];
	}
	return &none;
}

static int raise_groups(const struct raising *up, enum hook hook, int program_fd)
{
	__u32 i, count;
	const struct tf_group *groups = policy_groups(&up->policy->rodata, hook, &count);
	int r = 0;

	for (i = 0; !r && i < count; i++) {
		const struct cgroup *g = find_group(up, hook, groups[i].id);

		r = raise_cgroup(up->pins, hook, program_fd, g->fd, groups[i].id, up->e);
		if ((r == -ENOENT || r == -ENOLINK) && g->fleeting)
			r = 0; /* it was removed since it was found */
	}
	return r;
}

/* What is put on devices for a hook. */
struct stand {
	const struct pins *pins;
	const char *name;
	enum hook hook;
	int program;
};

/* The fence's own program; or the dispatcher, which knows the fence by then. */
static struct stand stand_of(const struct raising *up, enum hook hook, int program_fd)
{
	const struct dispatcher *d = up->dispatcher;

	if (hook == HOOK_WIRE && d)
		return (struct stand){ &d->pins, d->filter, HOOK_DISPATCHER, d->program };
	return (struct stand){ up->pins, up->name, hook, program_fd };
}

static int join_dispatcher(const struct raising *up, enum hook hook, int program_fd)
{
	if (hook != HOOK_WIRE || !up->dispatcher)
		return 0;
	return dispatcher_join(up->dispatcher, &up->policy->rodata, program_fd, up->e);
}

static int raise_devices(const struct raising *up, enum hook hook, int program_fd)
{
	const struct stand s = stand_of(up, hook, program_fd);
	size_t i;
	int r = join_dispatcher(up, hook, program_fd);

	for (i = 0; !r && i < up->links->count; i++) {
		if (link_role(up->policy, &up->links->links[i]) == ROLE_UPLINK)
			r = raise_device(s.pins, s.name, s.hook, &up->links->links[i], s.program,
					 up->e);
	}
	return r ? r : raise_strays(s.pins, s.hook, up->links, s.program, up->e);
}

static int raise_hook(const struct raising *up, enum hook hook, int program_fd)
{
	switch (hooks[hook].kind) {
	case KIND_CGROUP:
	case KIND_EXEMPT:
		return raise_groups(up, hook, program_fd);
	case KIND_DEVICE:
		return raise_devices(up, hook, program_fd);
	case KIND_NETFILTER:
		return raise_netfilter(up->pins, hook, program_fd, up->e);
	case KIND_DISPATCHER: /* stands for HOOK_WIRE */
		break;
	}
	return err_set(up->e, -EINVAL, "hook '%s' is of no kind", hooks[hook].pin);
}

static int raise_hooks(const struct raising *up, const struct objects *o)
{
	size_t i;
	int r = 0;

	for (i = 0; !r && i < HOOK_COUNT; i++) {
		int program_fd = objects_program(o, hooks[i].program);

		if (program_fd >= 0 && policy_has_hook(&up->policy->rodata, (enum hook)i))
			r = raise_hook(up, (enum hook)i, program_fd);
	}
	return r;
}

/* Devices that the new policy calls tunnel or inside need no plane any more; and where it has none,
 * or the dispatcher stands for it, no device does. */
static int lower_devices(const struct raising *up, enum hook hook, bool all)
{
	size_t i;
	int r = 0;

	for (i = 0; !r && i < up->links->count; i++) {
		enum role role = link_role(up->policy, &up->links->links[i]);

		if (all || role == ROLE_TUNNEL || role == ROLE_INSIDE)
			r = lower_device(up->pins, up->name, hook, &up->links->links[i], up->e);
	}
	return r;
}

/* What is on no device of this namespace. Where the dispatcher stands for the hook it does not reach
 * devices that were moved elsewhere: they keep the fence's own program. */
static int lower_other_links(const struct raising *up, enum hook hook, int program_fd)
{
	return hook == HOOK_WIRE && up->dispatcher ?
		       raise_strays(up->pins, hook, up->links, program_fd, up->e) :
		       lower_links(up->pins, hook, up->e);
}

static int lower_rest(const struct raising *up, const struct objects *o)
{
	size_t i;
	int r = 0;

	for (i = 0; !r && i < HOOK_COUNT; i++) {
		enum hook hook = (enum hook)i;
		bool all = objects_program(o, hooks[i].program) < 0 ||
			   !policy_has_hook(&up->policy->rodata, hook) ||
			   (hook == HOOK_WIRE && up->dispatcher);

		if (hooks[i].kind == KIND_DEVICE)
			r = lower_devices(up, hook, all);
		if (!r && all)
			r = lower_other_links(up, hook, objects_program(o, hooks[i].program));
	}
	return r;
}

/* Backwards, as when a fence is lowered: the socket plane lets go last. */
static int lower_other_groups(const struct raising *up)
{
	size_t i;
	int r = 0;

	for (i = HOOK_COUNT; !r && i > 0; i--) {
		if (hook_is_of_cgroups((enum hook)(i - 1)))
			r = lower_other_cgroups(up->pins, (enum hook)(i - 1), &up->policy->rodata,
						up->e);
		else if (i - 1 == HOOK_WIRE && up->dispatcher)
			r = dispatcher_keep(up->dispatcher, &up->policy->rodata, up->e);
	}
	return r;
}

/* What stands is not taken off because this version's like of it is refused: another version's was
 * not. */
static int keep_what_stands(const struct raising *up, const struct objects *o)
{
	size_t i;

	for (i = 0; i < PROGRAM_COUNT; i++) {
		const char *said = objects_refusal(o, (enum program)i);
		_cleanup_close_ int fd = said ? pin_open(up->pins, "progs", programs[i].pin) : -1;

		if (fd >= 0)
			return err_set(up->e, -EOPNOTSUPP,
				       "this kernel refuses the program '%s' (%s), and the fence '%s' "
				       "that is up has one; it stays as it is. Please report this; "
				       "'tunfence down %s' and 'tunfence up %s' raise it without",
				       programs[i].name, said[0] ? said : "without a word",
				       up->name, up->name, up->name);
	}
	return 0;
}

static int raise_policy(const struct raising *up, const struct fence *old)
{
	_cleanup_objects_ struct objects *o = NULL;
	int r = objects_load(up->policy, old ? &old->maps : NULL, up->dispatcher, &o, up->e);

	if (!r)
		r = keep_what_stands(up, o);
	if (!r)
		r = pins_make(up->pins, up->e);
	if (!r)
		r = pin_objects(up->pins, o, up->e);
	if (!r)
		r = raise_hooks(up, o);
	return r ? r : lower_rest(up, o);
}

static bool has_group(const struct tf_policy *p, __u64 id)
{
	__u32 i;

	for (i = 0; i < TF_GROUP_ROOM && i < p->group_count; i++) {
		if (p->groups[i].id == id)
			return true;
	}
	return false;
}

/* Adds those of the old fence that it still holds: all of them, or those whose directories are
 * gone. Such a one has no processes any more, but sockets that were handed to others or have not
 * come to their end; with the last of them the kernel lets go of it. Nothing could be put on it
 * anew. */
static int add_old_groups(struct tf_policy *p, const struct fence *old, bool all, struct err *e)
{
	__u32 i;

	if (!old || old->policy.scope != TF_SCOPE_CGROUP || p->scope != TF_SCOPE_CGROUP)
		return 0;
	for (i = 0; i < TF_GROUP_ROOM && i < old->policy.group_count; i++) {
		const struct tf_group *g = &old->policy.groups[i];

		if (has_group(p, g->id) || !fence_holds_group(old, i) ||
		    (!all && cgroup_has_directory(g->id, g->level)))
			continue;
		if (p->group_count == TF_GROUP_ROOM)
			return err_set(e, -E2BIG,
				       "fence '%s' has room for %u cgroups, and more are to be held: "
				       "those it names, those it is to let go, and those that were "
				       "removed but have sockets yet; change fewer at a time, end the "
				       "programs that such sockets were handed to, or run "
				       "'tunfence down %s' first",
				       old->name, TF_GROUP_ROOM, old->name);
		p->groups[p->group_count++] = *g;
	}
	return 0;
}

/* The new policy for the old groups too: when it stands, the new groups are fenced in on every plane,
 * and the old ones still are. A fence of the system holds every group there is anyway. */
static int raise_for_both(const struct raising *up, const struct fence *old)
{
	struct policy both = *up->policy;
	struct raising first = *up;
	int r = add_old_groups(&both.rodata, old, true, up->e);

	first.policy = &both;
	if (r || both.rodata.group_count == up->policy->rodata.group_count)
		return r;
	return raise_policy(&first, old);
}

/* A fence of cgroups has a slot, where this kernel has dispatchers, this one has room, and no cgroup is
 * too deep for it. Else its wire plane stands on each device by itself. */
static int find_slot(const struct pins *pins, const struct fence *old, struct tf_policy *p,
		     struct dispatcher *ret, struct err *e)
{
	int r;

	p->slot = 0;
	if (p->scope != TF_SCOPE_CGROUP || !dispatcher_can_tell(p) ||
	    (old && !dispatcher_can_tell(&old->policy)))
		return 0;
	r = dispatcher_make(pins, p->netns, ret, e);
	if (r)
		return r == -EOPNOTSUPP ? 0 : r;
	r = dispatcher_reserve(ret, p->fence, &p->slot, e);
	return r ? r : pins_sweep(&ret->pins, e);
}

/* A walk over the dispatchers. */
struct leaving {
	const struct pins *pins;
	const char *fence;
	bool for_good;                 /* nothing of the fence is there any more */
	const struct dispatcher *keep; /* NULL: none */
	const struct links *links;
	struct err *e;
};

static int lower_filters(const char *name, enum hook hook, const struct links *links,
			 struct err *e)
{
	const __u32 place = hooks[hook].place, handle = fence_handle(name);
	__u32 id;
	size_t i;
	int r = 0;

	for (i = 0; !r && i < links->count; i++) {
		if (hook_clsact_query(links->links[i].ifindex, place, handle, &id) == 0)
			r = hook_clsact_detach(links->links[i].ifindex, place, handle, e);
	}
	return r;
}

/* Without a fence it only costs time. */
static int lower_dispatcher(const struct dispatcher *d, const struct links *links, struct err *e)
{
	int r = lower_filters(d->filter, HOOK_DISPATCHER, links, e);

	if (!r)
		r = lower_links(&d->pins, HOOK_DISPATCHER, e);
	return r ? r : pins_remove(&d->pins, e);
}

static int leave_dispatcher(const char *name, void *data)
{
	const struct leaving *l = data;
	_cleanup_dispatcher_ struct dispatcher d;
	__u32 netns;
	int r;

	dispatcher_init(&d);
	if (dispatcher_netns(name, &netns) || (l->keep && streq(name, l->keep->name)))
		return 0;
	r = dispatcher_open(l->pins, netns, &d, l->e);
	if (r == -ENOENT && dispatcher_find(&d, l->pins, netns) == 0)
		return pins_remove(&d.pins, l->e); /* a run was killed while it made or removed it */
	if (!r)
		r = dispatcher_leave(&d, l->fence, l->e);
	if (!r && l->for_good)
		r = dispatcher_release(&d, l->fence, l->e);
	if (!r && l->for_good && dispatcher_is_empty(&d))
		r = lower_dispatcher(&d, l->links, l->e);
	return r;
}

/* The fence is in no dispatcher any more but the one that is kept. */
static int leave_dispatchers(struct leaving *l)
{
	int r = pin_each_dispatcher(l->pins, leave_dispatcher, l);

	return r && l->e && !l->e->code ? err_set(l->e, r, "'%s' cannot be read: %s", l->pins->own_root,
					   strerror(-r)) :
				   r;
}

int loader_up(const struct pins *pins, const char *name, const struct policy *policy,
	      const struct cgroups *groups, const struct cgroups *exempt,
	      const struct links *links, bool *ret_replaced, struct err *e)
{
	struct policy own = *policy;
	struct raising up = { .pins = pins, .name = name, .policy = &own,
			      .groups = groups, .exempt = exempt, .links = links, .e = e };
	struct leaving others = { .pins = pins, .fence = name, .for_good = true,
				  .links = links, .e = e };
	_cleanup_dispatcher_ struct dispatcher dispatcher;
	_cleanup_fence_ struct fence *old = NULL;
	bool replaced;
	int r = pins_adopt(pins, e);

	dispatcher_init(&dispatcher);

	if (r)
		return r;
	/* What cannot be opened as a fence is replaced without being read. */
	r = fence_open(pins, name, &old, NULL);
	replaced = r == 0 || r == -ESTALE;
	if (old && old->policy.netns != policy->rodata.netns)
		return err_set(e, -EXDEV,
			       "fence '%s' was raised in another network namespace; run this there, or "
			       "'tunfence down %s' first",
			       name, name);

	r = add_old_groups(&own.rodata, old, false, e);
	if (!r)
		r = find_slot(pins, old, &own.rodata, &dispatcher, e);
	up.dispatcher = others.keep = own.rodata.slot ? &dispatcher : NULL;
	if (!r)
		r = raise_for_both(&up, old);
	if (!r)
		r = raise_policy(&up, old);
	if (!r)
		r = lower_other_groups(&up);
	if (!r)
		r = leave_dispatchers(&others);
	if (!r)
		r = pins_sweep(pins, e);
	if (!r)
		*ret_replaced = replaced;
	return r;
}

static bool needs_healing(enum standing standing)
{
	return standing == STANDING_MISSING || standing == STANDING_STALE;
}

static int heal_devices(const struct fence *f, const struct raising *up, enum hook hook,
			int program_fd, int *raised)
{
	const struct stand s = stand_of(up, hook, program_fd);
	size_t i;
	int r = 0;

	if (hook == HOOK_WIRE && up->dispatcher && !fence_is_dispatched(f)) {
		r = join_dispatcher(up, hook, program_fd);
		*raised += 1;
	}
	for (i = 0; !r && i < up->links->count; i++) {
		const struct link *link = &up->links->links[i];

		if (link_role(up->policy, link) != ROLE_UPLINK ||
		    !needs_healing(fence_standing_on(f, hook, link->ifindex)))
			continue;
		r = raise_device(s.pins, s.name, s.hook, link, s.program, up->e);
		*raised += 1;
	}
	return r ? r : raise_strays(s.pins, s.hook, up->links, s.program, up->e);
}

static int heal_groups(const struct fence *f, const struct raising *up, enum hook hook,
		       int program_fd, int *raised)
{
	__u32 i, count;
	const struct tf_group *groups = policy_groups(&up->policy->rodata, hook, &count);
	int r = 0;

	for (i = 0; !r && i < count; i++) {
		int fd = find_group(up, hook, groups[i].id)->fd;

		if (fd < 0 || !needs_healing(fence_standing_at(f, hook, i)))
			continue;
		r = raise_cgroup(up->pins, hook, program_fd, fd, groups[i].id, up->e);
		*raised += 1;
	}
	return r;
}

static int heal_hook(const struct fence *f, const struct raising *up, enum hook hook, int *raised)
{
	int program_fd = f->program[hooks[hook].program];

	if (program_fd < 0 && programs[hooks[hook].program].optional)
		return 0;
	if (program_fd < 0)
		return err_set(up->e, -ESTALE,
			       "the %s program of fence '%s' is not pinned beside it (a replace was "
			       "interrupted, or somebody removed it); run 'tunfence up %s' again",
			       plane_name(hooks[hook].plane), f->name, f->name);
	if (hook == HOOK_WIRE && up->policy->rodata.slot && !up->dispatcher)
		return err_set(up->e, -ESTALE,
			       "the dispatcher that calls fence '%s' is gone (somebody removed its pins); "
			       "run 'tunfence up %s' again",
			       f->name, f->name);
	if (hooks[hook].kind == KIND_DEVICE)
		return heal_devices(f, up, hook, program_fd, raised);
	if (hook_is_of_cgroups(hook))
		return heal_groups(f, up, hook, program_fd, raised);
	if (!needs_healing(fence_standing(f, hook)))
		return 0;
	*raised += 1;
	return raise_hook(up, hook, program_fd);
}

int loader_heal(const struct fence *f, const struct policy *policy, const struct cgroups *groups,
		const struct cgroups *exempt, const struct links *links, int *ret_raised,
		struct err *e)
{
	struct policy own = *policy;
	const struct raising up = { .pins = &f->pins, .name = f->name, .policy = &own,
				    .groups = groups, .exempt = exempt, .links = links, .e = e,
				    .dispatcher = f->dispatcher.program >= 0 ? &f->dispatcher : NULL };
	int raised = 0, r = 0;
	size_t i;

	own.rodata = f->policy; /* with what the loader added to the configuration's */
	for (i = 0; !r && i < HOOK_COUNT; i++) {
		if (policy_has_hook(&policy->rodata, (enum hook)i))
			r = heal_hook(f, &up, (enum hook)i, &raised);
	}
	if (!r)
		*ret_raised = raised;
	return r;
}

static bool has_directory(const struct pins *p)
{
	return access(p->own, F_OK) == 0 || access(p->shown, F_OK) == 0;
}

/* Backwards: half done, the socket plane still holds. */
int loader_down(const struct pins *pins, const char *name, const struct links *links,
		struct err *e)
{
	struct leaving all = { .pins = pins, .fence = name, .links = links, .e = e };
	size_t i;
	int r = 0;

	if (!has_directory(pins))
		return err_set(e, -ENOENT, "there is no fence '%s'; 'tunfence status' lists those "
			       "there are", name);
	r = pins_adopt(pins, e);
	for (i = HOOK_COUNT; !r && i > 0; i--) {
		enum hook hook = (enum hook)(i - 1);

		if (hook == HOOK_WIRE)
			r = leave_dispatchers(&all);
		if (!r && hooks[hook].kind == KIND_DEVICE)
			r = lower_filters(name, hook, links, e);
		if (!r)
			r = lower_links(pins, hook, e);
	}
	if (!r)
		r = pins_remove(pins, e);
	all.for_good = true;
	return r ? r : leave_dispatchers(&all);
}
