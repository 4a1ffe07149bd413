// SPDX-License-Identifier: GPL-2.0
/* A fence that is up: see fence.h. Reads only. */
#include "fence.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <net/if.h>
#include <string.h>

#include "cgroup.h"
#include "program.h"


void fence_free(struct fence *f)
{
	size_t i;

	if (!f)
		return;
	cleanup_close(&f->socket_link);
	for (i = 0; i < PROGRAM_COUNT; i++)
		cleanup_close(&f->program[i]);
	maps_close(&f->maps);
	dispatcher_close(&f->dispatcher);
	free(f);
}

__u32 fence_handle(const char *name)
{
	return hash_name(name) | 1;
}

/* Opens the maps that a program uses, by their names. One that cannot be shows later as missing. */
static int open_maps(int program_fd, struct maps *m, struct err *e)
{
	__u32 ids[PROGRAM_MAX_MAPS];
	char name[PROGRAM_NAME_LEN];
	int count = program_maps(program_fd, ids), i;
	size_t map;

	if (count < 0)
		return err_set(e, count, "the running program cannot be read: %s", strerror(-count));
	for (i = 0; i < count; i++) {
		_cleanup_close_ int fd = program_map_by_id(ids[i], name);

		for (map = 0; fd >= 0 && map < MAP_COUNT; map++) {
			if (m->fd[map] < 0 && streq(name, map_name((enum map)map)))
				m->fd[map] = TAKE_FD(fd);
		}
	}
	return 0;
}

/* What a program is to a fence. */
enum kinship {
	KIN_NONE,
	KIN_STALE,   /* the same fence's, of another policy */
	KIN_CURRENT, /* of the policy that judges at the socket hook */
};

/* Each program carries its policy, and all of one policy are bound to the same map 'tunnels'. */
static enum kinship kinship_of(const struct fence *f, int program_fd)
{
	enum kinship kinship = KIN_NONE;
	struct tf_policy policy;
	struct maps maps;

	maps_init(&maps);
	if (open_maps(program_fd, &maps, NULL) == 0 && maps.fd[MAP_RODATA] >= 0 &&
	    maps_read_constants(maps.fd[MAP_RODATA], &policy) == 0 &&
	    strncmp(policy.fence, f->name, sizeof(policy.fence)) == 0)
		kinship = maps.fd[MAP_TUNNELS] >= 0 &&
					  program_map_id(maps.fd[MAP_TUNNELS]) ==
						  program_map_id(f->maps.fd[MAP_TUNNELS]) ?
				  KIN_CURRENT :
				  KIN_STALE;
	maps_close(&maps);
	return kinship;
}

static void open_program(struct fence *f, enum program program)
{
	struct bpf_prog_info info = {};
	__u32 bytes = sizeof(info);
	_cleanup_close_ int fd = pin_open(&f->pins, "progs", programs[program].pin);

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &bytes) ||
	    !streq(info.name, programs[program].name) || kinship_of(f, fd) != KIN_CURRENT)
		return;
	f->program[program] = TAKE_FD(fd);
	f->program_id[program] = info.id;
}

static void open_programs(struct fence *f)
{
	size_t i;

	for (i = 0; i < PROGRAM_COUNT; i++)
		open_program(f, (enum program)i);
}

static int not_a_fence(const struct fence *f, const char *what, struct err *e)
{
	return err_set(e, -EBADMSG,
		       "'%s/links/socket' %s; it is not a fence of tunfence and is left alone. Remove "
		       "it, or raise the fence with 'tunfence up %s', which replaces it",
		       f->pins.own, what, f->name);
}

static int read_policy(struct fence *f, struct err *e)
{
	size_t map;

	for (map = 0; map < MAP_COUNT; map++) {
		if (f->maps.fd[map] < 0)
			return err_set(e, -ESTALE,
				       "fence '%s' was raised by another version of tunfence (it has "
				       "no map '%s'); it goes on working as it is. Replace it with "
				       "'tunfence up %s'",
				       f->name, map_name((enum map)map), f->name);
	}
	if (maps_read_constants(f->maps.fd[MAP_RODATA], &f->policy) || f->policy.abi != TF_ABI)
		return err_set(e, -ESTALE,
			       "fence '%s' was raised by another version of tunfence; it goes on "
			       "working as it is. Replace it with 'tunfence up %s'",
			       f->name, f->name);
	if (strncmp(f->policy.fence, f->name, sizeof(f->policy.fence)) != 0)
		return not_a_fence(f, "belongs to a fence of another name", e);
	return 0;
}

/* A walk over the pins of the socket plane: there is one for each cgroup. After a replace that did
 * not come to its end they may run different programs; the newer one is pinned beside them. */
struct socket_search {
	const struct pins *pins;
	__u32 newest;      /* id of the program that is pinned; 0: none */
	int fd;            /* found; -1: none */
	struct hook_link link;
	const char *wrong; /* what else is there; NULL: nothing */
	int failed;        /* why one could not be opened; 0: all could */
};

static __u32 pinned_program_id(const struct pins *pins, enum program program)
{
	struct bpf_prog_info info = {};
	__u32 bytes = sizeof(info);
	_cleanup_close_ int fd = pin_open(pins, "progs", programs[program].pin);

	return fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &bytes) ? 0 : info.id;
}

static int look_at_socket(const char *name, void *data)
{
	struct socket_search *s = data;
	const char *pin = hooks[HOOK_SOCKET].pin;
	_cleanup_close_ int fd = -1, program = -1;
	struct hook_link link;
	char program_name[PROGRAM_NAME_LEN];

	if (strncmp(name, pin, strlen(pin)) != 0)
		return 0;
	fd = pin_open(s->pins, "links", name);
	if (fd == -EBADMSG)
		s->wrong = "is not a link";
	else if (fd < 0)
		s->failed = fd;
	if (fd < 0)
		return 0;
	if (hook_link_info(fd, &link) || link.type != HOOK_LINK_CGROUP) {
		s->wrong = "is not a link to a cgroup";
		return 0;
	}
	program = program_by_id(link.program_id, program_name);
	if (program == -EPERM || program == -EACCES)
		s->failed = program;
	if (program < 0 || !streq(program_name, programs[PROGRAM_SOCKET].name)) {
		s->wrong = "runs a program that is not tunfence's";
		return 0;
	}
	if (s->fd < 0 || link.program_id == s->newest) {
		cleanup_close(&s->fd);
		s->fd = TAKE_FD(fd);
		s->link = link;
	}
	return link.program_id == s->newest;
}

/* Directories without a link are what is left when somebody took away what held the fence. */
static int no_fence(const struct pins *pins, const char *name, struct err *e)
{
	if (access(pins->own, F_OK) && access(pins->shown, F_OK))
		return err_set(e, -ENOENT, "there is no fence '%s'", name);
	return err_set(e, -ENOENT,
		       "nothing holds fence '%s' any more: '%s/links/socket' is gone; run 'tunfence up "
		       "%s'",
		       name, pins->own, name);
}

static int open_socket(struct fence *f, struct err *e)
{
	const struct pins *pins = &f->pins;
	struct socket_search s = { .pins = pins, .newest = pinned_program_id(pins, PROGRAM_SOCKET),
				   .fd = -1 };

	pin_each(pins, "links", look_at_socket, &s);
	f->socket_link = s.fd;
	f->socket = s.link;
	if (s.fd >= 0)
		return 0;
	if (s.failed)
		return err_set(e, s.failed, "'%s/links/socket' cannot be opened: %s", pins->own,
			       strerror(-s.failed));
	return s.wrong ? not_a_fence(f, s.wrong, e) : no_fence(pins, f->name, e);
}

int fence_peek(const struct pins *pins, const char *name, struct fence **ret, struct err *e)
{
	_cleanup_fence_ struct fence *f = calloc(1, sizeof(*f));
	_cleanup_close_ int program = -1;
	char program_name[PROGRAM_NAME_LEN];
	size_t i;
	int r;

	if (!f)
		return err_set(e, -ENOMEM, "out of memory");
	for (i = 0; i < PROGRAM_COUNT; i++)
		f->program[i] = -1;
	maps_init(&f->maps);
	dispatcher_init(&f->dispatcher);
	f->pins = *pins;
	snprintf(f->name, sizeof(f->name), "%s", name);

	r = open_socket(f, e);
	if (r)
		return r;
	program = program_by_id(f->socket.program_id, program_name);
	if (program < 0)
		return err_set(e, program, "the program of fence '%s' cannot be opened: %s", name,
			       strerror(-program));
	r = open_maps(program, &f->maps, e);
	if (!r)
		r = read_policy(f, e);
	if (r)
		return r;
	*ret = TAKE_PTR(f);
	return 0;
}

int fence_open(const struct pins *pins, const char *name, struct fence **ret, struct err *e)
{
	struct fence *f;
	int r = fence_peek(pins, name, &f, e);

	if (r)
		return r;
	open_programs(f);
	if (f->policy.slot) /* without one its wire plane shows as missing */
		dispatcher_open(pins, f->policy.netns, &f->dispatcher, NULL);
	*ret = f;
	return 0;
}

__u32 fence_group_count(const struct fence *f)
{
	return f->policy.group_count < TF_GROUP_ROOM ? f->policy.group_count : TF_GROUP_ROOM;
}

bool fence_has_groups(const struct fence *f, size_t said)
{
	const struct tf_group *g = f->policy.groups;
	size_t i;

	for (i = said; i < fence_group_count(f); i++) {
		if (cgroup_has_directory(g[i].id, g[i].level))
			return false;
	}
	return said <= fence_group_count(f);
}

bool fence_holds_group(const struct fence *f, __u32 group)
{
	enum standing standing = fence_standing_at(f, HOOK_SOCKET, group);

	return standing == STANDING_LINK || standing == STANDING_STALE;
}

int fence_check_group(const struct fence *f, __u32 group, const char *path, struct err *e)
{
	struct cgroup now = { .fd = -1 };
	bool same;

	if (fence_holds_group(f, group) && cgroup_open(path, &now, NULL) == 0) {
		same = now.id == f->policy.groups[group].id;
		cgroup_close(&now);
		if (same)
			return 0;
	}
	return err_set(e, -ENOENT,
		       "the socket plane of '%s' does not hold the cgroup '%s' any more (it was removed "
		       "or made anew, or somebody took the plane off); run 'tunfence up %s'",
		       f->name, path, f->name);
}

static bool is_tunnel(const struct tf_policy *p, const struct link *link)
{
	__u32 i;

	for (i = 0; i < TF_MAX_TUNNELS && i < p->tunnel_count; i++) {
		if (tf_name_equal(&p->tunnels[i].name, &link->name))
			return tf_name_equal(&p->tunnels[i].kind, &link->kind);
	}
	return false;
}

enum role link_role(const struct policy *p, const struct link *link)
{
	struct native n = { .data = p };
	struct tf_inside_key key = { .bits = TF_NAME_LEN * 8 };

	memcpy(key.name, link->name.text, TF_NAME_LEN);
	if (link->flags & IFF_LOOPBACK)
		return ROLE_LOOPBACK;
	if (is_tunnel(&p->rodata, link))
		return ROLE_TUNNEL;
	if (policy_tables.inside(&n, &key))
		return ROLE_INSIDE;
	return ROLE_UPLINK;
}

const char *role_name(enum role role)
{
	switch (role) {
	case ROLE_UPLINK:
		return "uplink";
	case ROLE_LOOPBACK:
		return "loopback";
	case ROLE_TUNNEL:
		return "tunnel";
	case ROLE_INSIDE:
		return "inside";
	}
	return "unknown";
}

const struct tf_group *policy_groups(const struct tf_policy *p, enum hook hook, __u32 *ret_count)
{
	if (hooks[hook].kind == KIND_EXEMPT) {
		*ret_count = p->exempt_count < TF_MAX_EXEMPT ? p->exempt_count : TF_MAX_EXEMPT;
		return p->exempt;
	}
	*ret_count = p->group_count < TF_GROUP_ROOM ? p->group_count : TF_GROUP_ROOM;
	return p->groups;
}

/* A fence of cgroups has no namespace plane: what is forwarded has no socket, and all that sockets of
 * its cgroups send goes by the socket plane too, on every interface; but each packet of the machine
 * would meet this plane of each fence. */
bool policy_has_hook(const struct tf_policy *p, enum hook hook)
{
	if (hooks[hook].kind == KIND_DISPATCHER)
		return false;
	if (hooks[hook].kind == KIND_EXEMPT)
		return p->exempt_count > 0;
	if (hooks[hook].plane == TF_PLANE_NAMESPACE)
		return p->scope == TF_SCOPE_SYSTEM;
	return hooks[hook].plane != TF_PLANE_INGRESS || p->ingress;
}

/* What the program with this id is, if it is one for this hook. */
static enum kinship kinship_of_id(const struct fence *f, __u32 program_id, enum program program)
{
	char name[PROGRAM_NAME_LEN];
	_cleanup_close_ int fd = -1;

	if (f->program_id[program] && program_id == f->program_id[program])
		return KIN_CURRENT;
	fd = program_by_id(program_id, name);
	return fd >= 0 && streq(name, programs[program].name) ? kinship_of(f, fd) : KIN_NONE;
}

/* Programs of other fences in front do no harm: they pass on or drop. */
static bool is_tunfence(__u32 program_id)
{
	char name[PROGRAM_NAME_LEN];
	_cleanup_close_ int fd = program_by_id(program_id, name);

	return fd >= 0 && program_find(name) < PROGRAM_COUNT;
}

/* What stands on devices for a hook: programs of the fence, or the dispatcher that is everybody's. */
static enum kinship kinship_on(const struct fence *f, enum hook hook, __u32 program_id)
{
	if (hooks[hook].kind == KIND_DISPATCHER)
		return dispatcher_is(&f->dispatcher, program_id) ? KIN_CURRENT : KIN_NONE;
	return kinship_of_id(f, program_id, hooks[hook].program);
}

static enum standing standing_at_tcx(const struct fence *f, enum hook hook, int ifindex)
{
	bool behind = false;
	struct hook_tcx tcx;
	__u32 i;

	if (!hook_has_tcx() || hook_tcx_query(ifindex, hooks[hook].place, &tcx))
		return STANDING_MISSING;
	for (i = 0; i < tcx.count; i++) {
		switch (kinship_on(f, hook, tcx.program_ids[i])) {
		case KIN_CURRENT:
			return behind ? STANDING_BEHIND : STANDING_TCX;
		case KIN_STALE:
			return STANDING_STALE;
		case KIN_NONE:
			behind = behind || !is_tunfence(tcx.program_ids[i]);
		}
	}
	return STANDING_MISSING;
}

static enum standing standing_at(const struct fence *f, enum hook hook, const char *name,
				 int ifindex)
{
	enum standing standing = standing_at_tcx(f, hook, ifindex);
	__u32 id;

	if (standing != STANDING_MISSING ||
	    hook_clsact_query(ifindex, hooks[hook].place, fence_handle(name), &id))
		return standing;
	switch (kinship_on(f, hook, id)) {
	case KIN_CURRENT:
		return STANDING_CLSACT;
	case KIN_STALE:
		return STANDING_STALE;
	case KIN_NONE:
		break;
	}
	return STANDING_MISSING;
}

bool fence_is_dispatched(const struct fence *f)
{
	const struct dispatcher *d = &f->dispatcher;

	return d->program >= 0 && dispatcher_has(d, &f->policy) &&
	       kinship_of_id(f, dispatcher_judge(d, f->policy.slot), PROGRAM_WIRE) == KIN_CURRENT;
}

/* Judged by an earlier policy it is stale, even where the dispatcher stands well. */
static enum standing standing_in_dispatcher(const struct fence *f, int ifindex)
{
	const struct dispatcher *d = &f->dispatcher;

	if (fence_is_dispatched(f))
		return standing_at(f, HOOK_DISPATCHER, d->filter, ifindex);
	return d->program >= 0 && kinship_of_id(f, dispatcher_judge(d, f->policy.slot),
						PROGRAM_WIRE) == KIN_STALE ?
		       STANDING_STALE :
		       STANDING_MISSING;
}

enum standing fence_standing_on(const struct fence *f, enum hook hook, int ifindex)
{
	return hook == HOOK_WIRE && f->policy.slot ? standing_in_dispatcher(f, ifindex) :
						     standing_at(f, hook, f->name, ifindex);
}

/* A walk over the pins of a hook. */
struct search {
	const struct fence *f;
	enum hook hook;
	__u64 cgroup_id; /* of hooks of a cgroup */
	enum standing best;
};

/* Whether a link of the hook's kind and place does what it should, not counting its program. */
static bool is_in_place(enum hook hook, __u64 cgroup_id, const struct hook_link *link)
{
	char name[PROGRAM_NAME_LEN];
	_cleanup_close_ int program = -1;

	if (link->place != hooks[hook].place)
		return false;
	if (hook_is_of_cgroups(hook))
		return link->type == HOOK_LINK_CGROUP && link->target == cgroup_id;
	if (link->type != HOOK_LINK_NETFILTER)
		return false;
	program = program_by_id(link->program_id, name);
	return program >= 0 && hook_netfilter_is_live(link, program);
}

static int look_at_pin(const char *name, void *data)
{
	struct search *s = data;
	const struct hook_row *row = &hooks[s->hook];
	_cleanup_close_ int fd = -1;
	struct hook_link link;
	enum kinship kinship;

	if (strncmp(name, row->pin, strlen(row->pin)) != 0)
		return 0;
	fd = pin_open(&s->f->pins, "links", name);
	if (fd < 0 || hook_link_info(fd, &link))
		return 0;
	kinship = kinship_of_id(s->f, link.program_id, row->program);
	if (kinship == KIN_NONE || !is_in_place(s->hook, s->cgroup_id, &link))
		return 0;
	s->best = kinship == KIN_CURRENT ? STANDING_LINK : STANDING_STALE;
	return s->best == STANDING_LINK;
}

/* A program that may be lacking and was not pinned could not be loaded. */
static enum standing search(struct search *s)
{
	enum program program = hooks[s->hook].program;

	pin_each(&s->f->pins, "links", look_at_pin, s);
	if (s->best == STANDING_MISSING && programs[program].optional &&
	    s->f->program[program] < 0)
		return STANDING_ABSENT;
	return s->best;
}

enum standing fence_standing(const struct fence *f, enum hook hook)
{
	struct search s = { .f = f, .hook = hook };

	return search(&s);
}

enum standing fence_standing_at(const struct fence *f, enum hook hook, __u32 group)
{
	__u32 count;
	const struct tf_group *groups = policy_groups(&f->policy, hook, &count);
	struct search s = { .f = f, .hook = hook };

	if (group >= count)
		return STANDING_MISSING;
	s.cgroup_id = groups[group].id;

	return search(&s);
}

bool standing_is_good(enum standing standing)
{
	switch (standing) {
	case STANDING_LINK:
	case STANDING_TCX:
	case STANDING_CLSACT:
	case STANDING_ABSENT:
		return true;
	case STANDING_MISSING:
	case STANDING_BEHIND:
	case STANDING_STALE:
		break;
	}
	return false;
}

const char *standing_name(enum standing standing)
{
	switch (standing) {
	case STANDING_MISSING:
		return "missing";
	case STANDING_LINK:
		return "attached";
	case STANDING_TCX:
		return "tcx";
	case STANDING_BEHIND:
		return "tcx-behind";
	case STANDING_CLSACT:
		return "clsact";
	case STANDING_STALE:
		return "stale";
	case STANDING_ABSENT:
		return "not on this kernel";
	}
	return "unknown";
}
