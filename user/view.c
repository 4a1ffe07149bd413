// SPDX-License-Identifier: GPL-2.0
/* What there is to see of a fence: see view.h. Gathers; print.c formats. */
#define _GNU_SOURCE /* vasprintf */
#include "view.h"

#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <string.h>

#include "cgroup.h"
#include "group.h"
#include "reason.h"
#include "text.h"
#include "units.h"
#include "wireguard.h"
#include "world.h"

#define MANY_NAMES 64 /* of endpoints, that are shown */

void view_free(struct view *v)
{
	size_t i;

	if (!v)
		return;
	policy_free(v->policy);
	links_free(&v->links);
	free(v->interfaces);
	state_free(&v->state);
	hosts_free(&v->last);
	nestings_free(&v->around);
	for (i = 0; i < v->problem_count; i++)
		free(v->problems[i].text);
	free(v->problems);
	free(v);
}

/* What is unsafe first; of that, what "up" mends, since it mends what "sync" does as well. */
static int urgency(const struct view_problem *p)
{
	return p->unsafe ? 2 + (p->remedy != REMEDY_SYNC) : 0;
}

/* Behind those that are as urgent. */
static void put_problem(struct view *v, struct view_problem problem)
{
	size_t i;

	for (i = v->problem_count++; i && urgency(&v->problems[i - 1]) < urgency(&problem); i--)
		v->problems[i] = v->problems[i - 1];
	v->problems[i] = problem;
}

/* NULL: out of memory. */
static char *format_problem(const char *format, va_list args)
{
	_cleanup_free_ char *text = NULL;
	char *shown;

	if (vasprintf(&text, format, args) < 0) {
		text = NULL;
		return NULL;
	}
	shown = malloc(TEXT_ROOM(strlen(text)));
	if (shown)
		text_escape(text, strlen(text), shown, TEXT_ROOM(strlen(text)));
	return shown;
}

/* A problem that cannot be noted for want of memory still makes the fence unsafe. */
static void problem(struct view *v, bool unsafe, enum remedy remedy, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

static void problem(struct view *v, bool unsafe, enum remedy remedy, const char *format, ...)
{
	struct view_problem *more = reallocarray(v->problems, v->problem_count + 1, sizeof(*more));
	struct view_problem p = { .unsafe = unsafe, .remedy = remedy };
	va_list args;

	if (unsafe)
		v->safe = false;
	if (!more)
		return;
	v->problems = more;
	va_start(args, format);
	p.text = format_problem(format, args);
	va_end(args);
	if (p.text)
		put_problem(v, p);
}

int view_problems(const struct view *v, struct err *e)
{
	char text[sizeof(e->text)] = "";
	size_t i, length = 0;

	for (i = 0; i < v->problem_count && length < sizeof(text); i++)
		length += (size_t)snprintf(text + length, sizeof(text) - length, "%s%s",
					   i ? "; " : "", v->problems[i].text);
	return err_set(e, -EAGAIN, "%s", text[0] ? text : "out of memory");
}

bool view_tunnel_is_up(const struct view *v, __u32 number)
{
	const struct tf_tunnel *t = &v->policy->rodata.tunnels[number];
	const struct link *link = v->here ? links_find(&v->links, t->name.text) : NULL;

	return link && link->flags & IFF_UP && tf_name_equal(&link->kind, &t->kind);
}

const char *view_protocol(__u8 protocol)
{
	switch (protocol) {
	case IPPROTO_UDP:
		return "udp";
	case IPPROTO_TCP:
		return "tcp";
	default:
		return "icmpv6";
	}
}

long long view_resolved_at(const struct view *v, const char *host)
{
	return hosts_find(&v->last, host) ? v->last.when : 0;
}

void view_each_name(const struct view *v,
		    void (*each)(const struct view *v, const char *host, void *data), void *data)
{
	const struct config_tunnel *t = v->state.tunnels;
	const char *seen[MANY_NAMES];
	size_t i, j, k, count = 0;

	for (i = 0; i < v->state.tunnel_count; i++) {
		for (j = 0; j < t[i].endpoint_count && count < MANY_NAMES; j++) {
			for (k = 0; k < count && !streq(seen[k], t[i].endpoints[j].host); k++)
				;
			if (k < count)
				continue;
			seen[count++] = t[i].endpoints[j].host;
			each(v, t[i].endpoints[j].host, data);
		}
	}
}

/* What happens without a hook. */
static const char *const without[HOOK_COUNT] = {
	[HOOK_SOCKET] = "what programs send is not judged by their sockets",
	[HOOK_WIRE] = "forwarded, bridged and AF_PACKET frames leave by it unjudged",
	[HOOK_NS4] = "forwarded IPv4 packets leave unjudged by an interface that has just come",
	[HOOK_NS6] = "forwarded IPv6 packets leave unjudged by an interface that has just come",
	[HOOK_IN] = "what comes in by it unasked is not dropped",
	[HOOK_OPT] = "programs may ask to send past the wire plane",
	[HOOK_LSM] = "a program that asked before the fence came sends past the wire plane",
	[HOOK_CONN4] = "what cannot pass hangs instead of failing at once",
	[HOOK_CONN6] = "what cannot pass hangs instead of failing at once",
	[HOOK_SEND4] = "what cannot pass is refused later than it could be",
	[HOOK_SEND6] = "what cannot pass is refused later than it could be",
	[HOOK_MARK] = "what exempt programs open is not led past the tunnel",
};

/* Notes what is wrong with a hook, if anything is. device: NULL for one of a cgroup's or the
 * namespace's. where: the cgroup, if there are several; else the fence. */
static void look_at_hook(struct view *v, enum hook hook, enum standing standing,
			 const char *device, const char *where)
{
	const char *plane = plane_name(hooks[hook].plane), *fence = v->fence->name;
	char what[PATH_MAX];

	if (device)
		snprintf(what, sizeof(what), "the %s plane on %s", plane, device);
	else
		snprintf(what, sizeof(what), "the %s plane (%s) of %s", plane, hooks[hook].label,
			 where);
	switch (standing) {
	case STANDING_LINK:
	case STANDING_TCX:
	case STANDING_CLSACT:
	case STANDING_ABSENT:
		break;
	case STANDING_MISSING:
		problem(v, hooks[hook].opens, REMEDY_SYNC,
			"%s is missing: %s; run 'tunfence sync %s'", what, without[hook], fence);
		break;
	case STANDING_STALE:
		problem(v, true, REMEDY_UP,
			"%s still judges by an earlier policy; run 'tunfence up %s' again", what,
			fence);
		break;
	case STANDING_BEHIND:
		problem(v, true, REMEDY_UP,
			"another program stands in front of %s and may let packets pass it by "
			"('bpftool net show dev %s'); run 'tunfence up %s' to stand first again",
			what, device, fence);
		break;
	}
}

static void look_at_device(struct view *v, struct view_interface *in)
{
	size_t i;

	for (i = 0; i < HOOK_COUNT; i++) {
		enum hook hook = (enum hook)i;

		if (hooks[i].kind != KIND_DEVICE || !policy_has_hook(&v->policy->rodata, hook))
			continue;
		in->standing[i] = fence_standing_on(v->fence, hook, in->link->ifindex);
		look_at_hook(v, hook, in->standing[i], in->link->name.text, NULL);
	}
}

static int look_at_interfaces(struct view *v, struct err *e)
{
	size_t i;

	v->interfaces = calloc(v->links.count + 1, sizeof(*v->interfaces));
	if (!v->interfaces)
		return err_set(e, -ENOMEM, "out of memory");
	for (i = 0; i < v->links.count; i++) {
		struct view_interface *view = &v->interfaces[v->interface_count++];

		view->link = &v->links.links[i];
		view->role = link_role(v->policy, view->link);
		if (view->role != ROLE_UPLINK)
			continue;
		look_at_device(v, view);
	}
	return 0;
}

static void look_at_tunnel(struct view *v, __u32 number)
{
	const struct tf_tunnel *t = &v->policy->rodata.tunnels[number];
	const struct link *link = links_find(&v->links, t->name.text);
	const char *fence = v->fence->name;
	bool reachable = false;
	size_t i;

	for (i = 0; i < v->policy->endpoint_count; i++)
		reachable = reachable || v->policy->endpoints[i].value.tunnels >> number & 1;
	for (i = 0; i < v->policy->live_count; i++)
		reachable = reachable || v->policy->live[i].value.tunnels >> number & 1;
	if (!reachable)
		problem(v, false, REMEDY_SYNC,
			"no endpoint of %s is known, so it cannot connect; run 'tunfence sync %s' "
			"when it is up, or give it an Endpoint=",
			t->name.text, fence);
	if (link && !tf_name_equal(&link->kind, &t->kind))
		problem(v, false, REMEDY_UP,
			"%s is of kind '%s', the fence expects '%s': nothing passes through it; if it "
			"is the tunnel, run 'tunfence up %s' or set Kind=",
			t->name.text, link->kind.text[0] ? link->kind.text : "hardware",
			t->kind.text, fence);
}

/* What does not open the fence, but would let somebody open it who could not else; and what people
 * look for in vain. */
static void look_at_pins(struct view *v, const char *run_dir)
{
	const struct fence *f = v->fence;

	if (!pins_are_covered())
		problem(v, false, REMEDY_SYNC,
			"nothing covers '%s': whoever is root there, without any capability, can open "
			"the fence; run 'tunfence sync %s'",
			run_dir, f->name);
	if (pins_are_shown(&f->pins))
		problem(v, false, REMEDY_UP,
			"an earlier version left links in '%s/links': whoever is root there, without any "
			"capability, can open the fence; run 'tunfence up %s'",
			f->pins.shown, f->name);
	if (access(f->pins.shown, F_OK))
		problem(v, false, REMEDY_UP,
			"'%s' is gone: the fence does not need it, but 'bpftool' finds nothing; run "
			"'tunfence up %s' to restore it",
			f->pins.shown, f->name);
}

/* What a group's hooks are like does not matter when it is gone. */
static void look_at_group(struct view *v, __u32 number)
{
	const struct fence *f = v->fence;
	struct view_group *g = &v->groups[number];
	struct err e = {};
	size_t i;

	g->path = v->has_state && number < v->state.group_count ? v->state.groups[number] : NULL;
	g->held = g->path ? fence_check_group(f, number, g->path, &e) == 0 :
			    fence_holds_group(f, number) && f->policy.scope == TF_SCOPE_SYSTEM;
	g->ended = !g->held && g->path && state_is_fleeting(&v->state, g->path) &&
		   access(g->path, F_OK) < 0;
	if (g->ended)
		return;
	if (!g->held && g->path)
		problem(v, true, REMEDY_UP, "%s", e.text);
	else if (!g->held)
		problem(v, true, REMEDY_UP,
			"it cannot be told whether the socket plane of %s still holds its cgroup; run "
			"'tunfence up %s'",
			f->name, f->name);
	for (i = 0; i < HOOK_COUNT; i++) {
		enum hook hook = (enum hook)i;

		if (hooks[i].kind != KIND_CGROUP)
			continue;
		g->standing[i] = fence_standing_at(f, hook, number);
		if (g->held)
			look_at_hook(v, hook, g->standing[i], NULL,
				     g->path && v->group_count > 1 ? g->path : f->name);
		if (number == 0 || standing_is_good(v->standing[i]))
			v->standing[i] = g->standing[i];
	}
}

/* Where it will be started next, and where it runs now if not in the slice, which is the first. */
static void look_at_unit(struct view *v, const char *unit)
{
	const char *fence = v->fence->name, *slice = v->groups[0].path;
	struct cgroup now = { .fd = -1 };
	bool held = false;
	__u32 i;

	if (!units_is_moved(fence, unit))
		problem(v, true, REMEDY_UP,
			"nothing makes systemd start '%s' in the slice of %s any more, and elsewhere it "
			"is not fenced; run 'tunfence up %s'",
			unit, fence, fence);
	if (cgroup_open_unit(unit, slice, &now, NULL))
		return;
	for (i = 0; !held && i < v->group_count; i++)
		held = v->groups[i].held &&
		       group_is_below(now.path, v->fence->policy.groups[i].id);
	if (!held)
		problem(v, true, REMEDY_UP,
			"'%s' is in '%s', which %s does not hold: it was started while nothing made "
			"systemd start it in the slice; run 'tunfence up %s'",
			unit, now.path, fence, fence);
	cgroup_close(&now);
}

/* More than were said, or fewer: a replace is under way, or did not come to its end. */
static void look_at_groups(struct view *v)
{
	const __u32 said = (__u32)v->state.group_count;
	size_t j;
	__u32 i;

	v->group_count = fence_group_count(v->fence);
	if (v->has_state && said && fence_has_groups(v->fence, said)) {
		v->removed = v->group_count - said;
		v->group_count = said;
	}
	for (i = 0; i < v->group_count; i++)
		look_at_group(v, i);
	for (j = 0; j < v->state.unit_count; j++)
		look_at_unit(v, v->state.units[j]);
	if (v->has_state && v->state.group_count != v->group_count)
		problem(v, true, REMEDY_UP,
			"%s holds %u cgroups, but was raised for %zu: a replace was interrupted; run "
			"'tunfence up %s'",
			v->fence->name, v->group_count, v->state.group_count, v->fence->name);
}

static bool is_still_there(const char *path, __u64 id)
{
	struct cgroup now = { .fd = -1 };
	bool same;

	if (cgroup_open(path, &now, NULL))
		return false;
	same = now.id == id;
	cgroup_close(&now);
	return same;
}

/* Of a group that is gone, the program went with it. */
static void look_at_mark(struct view *v, __u32 number)
{
	const struct view_exempt *x = &v->exempt[number];
	const enum standing now = fence_standing_at(v->fence, HOOK_MARK, number);

	if (!x->there)
		return;
	look_at_hook(v, HOOK_MARK, now, NULL, x->path);
	if (!v->marks++ || standing_is_good(v->standing[HOOK_MARK]))
		v->standing[HOOK_MARK] = now;
}

/* No danger: whose group is another now is fenced. */
static void look_at_exempt(struct view *v)
{
	const struct tf_policy *p = &v->fence->policy;
	__u32 i;

	v->exempt_count = p->exempt_count < TF_MAX_EXEMPT ? p->exempt_count : TF_MAX_EXEMPT;
	for (i = 0; i < v->exempt_count; i++) {
		struct view_exempt *x = &v->exempt[i];

		x->path = v->has_state && v->state.exempt_count == v->exempt_count ?
				  v->state.exempt[i] : NULL;
		x->there = x->path && is_still_there(x->path, p->exempt[i].id);
		look_at_mark(v, i);
		if (x->path && !x->there)
			problem(v, false, REMEDY_UP,
				"the cgroup '%s' was removed or made anew, and what runs in it now is not "
				"exempt; run 'tunfence up %s'",
				x->path, v->fence->name);
	}
}

static int look_around(struct view *v, struct err *e)
{
	size_t i;
	__u32 j;
	int r = v->has_state ? nestings_find(v->fence, v->state.groups, v->state.group_count,
					     &v->around, e) : 0;

	for (i = 0; !r && i < v->around.count; i++) {
		const struct nesting *n = &v->around.list[i];

		for (j = 0; j < n->stranger_count; j++)
			problem(v, false, REMEDY_WORDS,
				"%s is no tunnel of fence '%s', in which this one lies: of what leaves by "
				"it only that passes which '%s' allows as well; make it a [Tunnel] of both",
				n->strangers[j].text, n->fence, n->fence);
	}
	return r;
}

/* Programs that are pinned beside another policy's links: a replace did not come to its end. */
static bool was_interrupted(const struct fence *f)
{
	size_t i;

	for (i = 0; i < PROGRAM_COUNT; i++) {
		if (f->program[i] < 0 && !programs[i].optional)
			return true;
	}
	return false;
}

static void look_at_links(struct view *v)
{
	const struct fence *f = v->fence;
	size_t i;

	look_at_groups(v);
	for (i = 0; i < HOOK_COUNT; i++) {
		enum hook hook = (enum hook)i;

		if (hooks[i].kind != KIND_NETFILTER ||
		    !policy_has_hook(&v->policy->rodata, hook))
			continue;
		/* Another namespace's hooks cannot be seen from here. */
		if (!v->here)
			continue;
		v->standing[i] = fence_standing(f, hook);
		look_at_hook(v, hook, v->standing[i], NULL, f->name);
	}
	if (was_interrupted(f))
		problem(v, true, REMEDY_UP,
			"a replace of %s was interrupted; both policies apply; run 'tunfence up %s'",
			f->name, f->name);
}

/* Whoever may not read them, or finds them not to be believed, is told what up and sync would say. */
static void look_at_names(struct view *v, const char *state_dir)
{
	struct err said = {};

	if (v->has_state && v->state.tunnel_count &&
	    hosts_read(state_dir, v->fence->name, &v->last, &said))
		problem(v, false, REMEDY_WORDS, "%s", said.text);
}

int view_read(const struct fence *f, const char *run_dir, const char *state_dir,
	      struct view **ret, struct err *e)
{
	_cleanup_view_ struct view *v = calloc(1, sizeof(*v));
	__u32 netns, i;
	int r;

	if (!v)
		return err_set(e, -ENOMEM, "out of memory");
	v->fence = f;
	v->safe = true;
	for (i = 0; i < TF_MAX_TUNNELS; i++)
		v->handshake[i] = -1;
	r = maps_read(&f->maps, &v->policy, e);
	if (!r)
		r = maps_read_counters(f->maps.fd[MAP_COUNTERS], v->counters, e);
	if (!r)
		r = links_read(&v->links, e);
	if (!r)
		r = world_netns(&netns, e);
	if (r)
		return r;
	v->has_state = state_read(run_dir, f->name, &v->state, NULL) == 0;

	if (v->policy->rodata.mode == TF_MODE_OBSERVE)
		problem(v, true, REMEDY_WORDS,
			"%s only observes: it drops nothing; to stop what it counts, say Mode=enforce "
			"and run 'tunfence up %s'",
			f->name, f->name);
	v->here = netns == v->policy->rodata.netns;
	if (!v->here) {
		problem(v, true, REMEDY_WORDS,
			"%s belongs to another network namespace (inode %u); it does not fence this one",
			f->name, v->policy->rodata.netns);
	} else {
		r = look_at_interfaces(v, e);
		if (r)
			return r;
		for (i = 0; i < v->policy->rodata.tunnel_count && i < TF_MAX_TUNNELS; i++)
			look_at_tunnel(v, i);
	}
	look_at_links(v);
	look_at_exempt(v);
	look_at_pins(v, run_dir);
	look_at_names(v, state_dir);
	r = look_around(v, e);
	if (r)
		return r;
	*ret = TAKE_PTR(v);
	return 0;
}

/* A device that does not answer has told nothing, which is not "never". */
static long long ask_tunnel(const struct view *v, const struct tf_tunnel *t, const char *socket_dir)
{
	struct wireguard_device device = {};
	long long when;

	if (!t->wireguard || !v->here || !links_find(&v->links, t->name.text) ||
	    wireguard_read(t->name.text, t->kind.text, socket_dir, v->policy->rodata.netns, &device,
			   NULL))
		return -1;
	when = device.last_handshake;
	wireguard_device_free(&device);
	return when;
}

void view_ask_tunnels(struct view *v, const char *socket_dir)
{
	const struct tf_policy *p = &v->policy->rodata;
	__u32 i;

	for (i = 0; i < p->tunnel_count && i < TF_MAX_TUNNELS; i++)
		v->handshake[i] = ask_tunnel(v, &p->tunnels[i], socket_dir);
}

void view_look_closer(struct view *v, const char *socket_dir)
{
	const struct now now = now_read();
	_cleanup_blocked_ struct blocked b = {};
	struct err said = {};
	int r = blocked_read(&v->fence->maps, &b, &said);

	view_ask_tunnels(v, socket_dir);
	if (!r)
		r = stopped_make(&b, &now, &v->stopped, &said);
	v->has_stopped = !r;
	if (r)
		problem(v, false, REMEDY_WORDS, "what was stopped is not known: %s", said.text);
}
