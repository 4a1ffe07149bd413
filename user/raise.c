// SPDX-License-Identifier: GPL-2.0
/* One hook raised or lowered: see raise.h. Loads nothing and decides nothing. */
#include "raise.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fence.h"
#include "program.h"
#include "reason.h"
#include "util.h"

static bool may_be_pin_of(enum hook hook, const char *name)
{
	return strncmp(name, hooks[hook].pin, strlen(hooks[hook].pin)) == 0;
}

static __u32 link_type_of(enum hook hook)
{
	switch (hooks[hook].kind) {
	case KIND_CGROUP:
	case KIND_EXEMPT:
		return HOOK_LINK_CGROUP;
	case KIND_DEVICE:
	case KIND_DISPATCHER:
		return HOOK_LINK_TCX;
	case KIND_NETFILTER:
		return HOOK_LINK_NETFILTER;
	}
	return 0;
}

/* The link pinned under this name, if it is one of the hook with a program of ours; else -ENOENT.
 * Another version's is known by the same names. */
static int open_link(const struct pins *pins, enum hook hook, const char *name,
		     struct hook_link *ret)
{
	_cleanup_close_ int fd = pin_open(pins, "links", name);
	_cleanup_close_ int program = -1;
	struct hook_link link;
	char program_name[PROGRAM_NAME_LEN];

	if (fd < 0 || hook_link_info(fd, &link) || link.type != link_type_of(hook) ||
	    link.place != hooks[hook].place)
		return -ENOENT;
	program = program_by_id(link.program_id, program_name);
	if (program < 0 || !streq(program_name, programs[hooks[hook].program].name))
		return -ENOENT;
	*ret = link;
	return TAKE_FD(fd);
}

/* PIN-DEVICE-LINK or PIN-LINK: readable, unique for ever, and without the '.' that bpffs refuses. */
static int name_pin(char out[64], enum hook hook, const struct link *device, int fd, struct err *e)
{
	struct hook_link info;
	char *c;
	int r = hook_link_info(fd, &info);

	if (r)
		return err_set(e, r, "a new link cannot be read: %s", strerror(-r));
	snprintf(out, 64, "%s%s%.*s-%u", hooks[hook].pin, device ? "-" : "", TF_NAME_LEN,
		 device ? device->name.text : "", info.id);
	for (c = out; *c; c++) {
		if (!isalnum((unsigned char)*c) && *c != '-' && *c != '_')
			*c = '_';
	}
	return 0;
}

/* A cgroup's id is unique for ever, so the place of its link is known by it. */
static void name_group_pin(char out[64], enum hook hook, __u64 cgroup_id)
{
	snprintf(out, 64, "%s-%llu", hooks[hook].pin, (unsigned long long)cgroup_id);
}

/* The pinned link at the cgroup that is wanted, or -ENOENT: it may have been taken off, or hold
 * another. Earlier versions knew but one cgroup, and gave it no number. */
static int open_cgroup_link(const struct pins *pins, enum hook hook, __u64 cgroup_id,
			    struct hook_link *ret)
{
	const char *const legacy = hooks[hook].pin;
	char name[64];
	int fd;

	name_group_pin(name, hook, cgroup_id);
	fd = open_link(pins, hook, name, ret);
	if (fd >= 0 && ret->target == cgroup_id)
		return fd;
	cleanup_close(&fd);
	fd = open_link(pins, hook, legacy, ret);
	if (fd >= 0 && ret->target == cgroup_id)
		return fd;
	cleanup_close(&fd);
	return -ENOENT;
}

/* Pinning again also restores a pin that somebody removed. */
int raise_cgroup(const struct pins *pins, enum hook hook, int program_fd, int cgroup_fd,
		 __u64 cgroup_id, struct err *e)
{
	struct hook_link info;
	_cleanup_close_ int link = open_cgroup_link(pins, hook, cgroup_id, &info);
	char name[64];
	int r = 0;

	if (link < 0 && cgroup_fd < 0)
		return 0;
	if (link >= 0)
		r = hook_link_update(link, program_fd, e);
	else
		link = hook_cgroup_attach(program_fd, cgroup_fd, hooks[hook].place, e);
	if (!r && link < 0)
		r = link;
	if (r)
		return err_prefix(e, "the %s plane cannot be raised (%s)",
				  plane_name(hooks[hook].plane), hooks[hook].label);
	name_group_pin(name, hook, cgroup_id);
	return pin_put(pins, "links", name, link, e);
}

/* A walk that takes the pinned links of a hook off, but for one. */
struct lowering {
	const struct pins *pins;
	enum hook hook;
	const char *keep; /* the name of a pin; NULL: none is kept */
	struct err *e;
};

static int lower_pin(const char *name, void *data)
{
	const struct lowering *l = data;
	_cleanup_close_ int fd = -1;
	struct hook_link link;

	if (!may_be_pin_of(l->hook, name) || (l->keep && streq(name, l->keep)))
		return 0;
	fd = open_link(l->pins, l->hook, name, &link);
	/* Gone or not able to: removing the pins does it. Somebody else's link that was pinned here
	 * is unpinned, but not taken off its hook. */
	if (fd >= 0)
		hook_link_detach(fd);
	return pin_drop(l->pins, "links", name, l->e);
}

int lower_links(const struct pins *pins, enum hook hook, struct err *e)
{
	struct lowering l = { .pins = pins, .hook = hook, .e = e };

	return pin_each(pins, "links", lower_pin, &l);
}

/* A walk that takes off what holds none of a policy's cgroups. */
struct letting_go {
	const struct pins *pins;
	enum hook hook;
	const struct tf_policy *policy;
	struct err *e;
};

/* Whether the pin has a place of its own: the link at a cgroup of the policy, by its proper name. */
static bool is_proper_pin(const struct letting_go *l, const char *name, __u32 link_id,
			  bool *ret_pinned_elsewhere)
{
	__u32 i, count;
	const struct tf_group *groups = policy_groups(l->policy, l->hook, &count);
	char proper[64];

	*ret_pinned_elsewhere = false;
	for (i = 0; i < count; i++) {
		struct hook_link kept;
		_cleanup_close_ int fd = -1;

		name_group_pin(proper, l->hook, groups[i].id);
		if (streq(name, proper))
			return true;
		fd = open_link(l->pins, l->hook, proper, &kept);
		*ret_pinned_elsewhere = *ret_pinned_elsewhere || (fd >= 0 && kept.id == link_id);
	}
	return false;
}

static int let_go(const char *name, void *data)
{
	const struct letting_go *l = data;
	_cleanup_close_ int fd = -1;
	struct hook_link link = {};
	bool pinned_elsewhere;

	if (!may_be_pin_of(l->hook, name))
		return 0;
	fd = open_link(l->pins, l->hook, name, &link);
	if (is_proper_pin(l, name, link.id, &pinned_elsewhere))
		return 0;
	if (fd >= 0 && !pinned_elsewhere)
		hook_link_detach(fd);
	return pin_drop(l->pins, "links", name, l->e);
}

int lower_other_cgroups(const struct pins *pins, enum hook hook, const struct tf_policy *policy,
			struct err *e)
{
	struct letting_go l = { .pins = pins, .hook = hook, .policy = policy, .e = e };

	return pin_each(pins, "links", let_go, &l);
}

int raise_netfilter(const struct pins *pins, enum hook hook, int program_fd, struct err *e)
{
	struct lowering others = { .pins = pins, .hook = hook, .e = e };
	_cleanup_close_ int link = hook_netfilter_attach(program_fd, hooks[hook].place, e);
	char name[64];
	int r;

	if (link < 0)
		return err_prefix(e, "the namespace plane cannot be raised");
	r = name_pin(name, hook, NULL, link, e);
	if (!r)
		r = pin_put(pins, "links", name, link, e);
	others.keep = name;
	return r ? r : pin_each(pins, "links", lower_pin, &others);
}

/* A link that is pinned: found by walking the pins, identified by the kernel's number. */
struct device_pin {
	const struct pins *pins;
	enum hook hook;
	__u32 id;    /* wanted */
	int fd;      /* found; -1: not (yet) */
	char name[64];
};

static int match_device_pin(const char *name, void *data)
{
	struct device_pin *pin = data;
	struct hook_link link;
	_cleanup_close_ int fd = open_link(pin->pins, pin->hook, name, &link);

	if (fd < 0 || link.id != pin->id)
		return 0;
	pin->fd = TAKE_FD(fd);
	snprintf(pin->name, sizeof(pin->name), "%s", name);
	return 1;
}

/* Of the links at a device's hook, the one that this fence pinned. An ifindex alone proves nothing:
 * a device moved to another namespace keeps its link and may have the same one there. */
static struct device_pin find_device_pin(const struct pins *pins, enum hook hook,
					 const struct hook_tcx *tcx)
{
	struct device_pin pin = { .pins = pins, .hook = hook, .fd = -1 };
	__u32 i;

	for (i = 0; i < tcx->count && pin.fd < 0; i++) {
		pin.id = tcx->link_ids[i];
		if (pin.id)
			pin_each(pins, "links", match_device_pin, &pin);
	}
	return pin;
}

/* The links of this fence at a device's hook, but for one, are taken off. */
static int lower_other_tcx(const struct pins *pins, enum hook hook, const struct link *link,
			   __u32 keep, struct err *e)
{
	struct device_pin pin = { .pins = pins, .hook = hook, .fd = -1 };
	struct hook_tcx tcx;
	__u32 i;
	int r = hook_tcx_query(link->ifindex, hooks[hook].place, &tcx);

	for (i = 0; !r && i < tcx.count; i++) {
		pin.id = tcx.link_ids[i];
		if (!pin.id || pin.id == keep ||
		    pin_each(pins, "links", match_device_pin, &pin) <= 0)
			continue;
		hook_link_detach(pin.fd);
		cleanup_close(&pin.fd);
		r = pin_drop(pins, "links", pin.name, e);
	}
	return r;
}

/* In front of what is there. An older link goes when the new one is pinned: until then both judge. */
static int raise_tcx_first(const struct pins *pins, enum hook hook, const struct link *link,
			   int program_fd, struct err *e)
{
	_cleanup_close_ int fd = hook_tcx_attach(program_fd, link->ifindex, hooks[hook].place, e);
	struct hook_link new;
	char name[64];
	int r;

	if (fd < 0)
		return fd;
	r = hook_link_info(fd, &new);
	if (r)
		return err_set(e, r, "a new link cannot be read: %s", strerror(-r));
	r = name_pin(name, hook, link, fd, e);
	if (!r)
		r = pin_put(pins, "links", name, fd, e);
	return r ? r : lower_other_tcx(pins, hook, link, new.id, e);
}

static int raise_tcx(const struct pins *pins, enum hook hook, const struct link *link,
		     int program_fd, struct err *e)
{
	_cleanup_close_ int fd = -1;
	struct hook_tcx tcx = {};
	struct device_pin pin;
	int r;

	r = hook_tcx_query(link->ifindex, hooks[hook].place, &tcx);
	if (r)
		return err_set(e, r, "%s", strerror(-r));
	pin = find_device_pin(pins, hook, &tcx);
	fd = pin.fd;
	if (fd < 0)
		return raise_tcx_first(pins, hook, link, program_fd, e);
	/* Somebody has come in front. A hook takes a program but once: if it is the one that is there
	 * already, it stays where it is. */
	if (pin.id != tcx.link_ids[0]) {
		r = raise_tcx_first(pins, hook, link, program_fd, e);
		if (r != -EEXIST)
			return r;
	}
	r = hook_link_update(fd, program_fd, e);
	if (!r)
		r = pin_put(pins, "links", pin.name, fd, e);
	return r ? r : lower_other_tcx(pins, hook, link, pin.id, e);
}

/* The filter of a fence that has found room at tcx would go on judging by an earlier policy. */
static int lower_filter(const char *fence, enum hook hook, const struct link *link, struct err *e)
{
	const __u32 place = hooks[hook].place, handle = fence_handle(fence);
	__u32 id;

	return hook_clsact_query(link->ifindex, place, handle, &id) == 0 ?
		       hook_clsact_detach(link->ifindex, place, handle, e) :
		       0;
}

/* tcx takes 63 programs on a device, of all fences together (-ERANGE). Filters are asked behind them,
 * and there may be any number. */
int raise_device(const struct pins *pins, const char *fence, enum hook hook,
		 const struct link *link, int program_fd, struct err *e)
{
	int r = hook_has_tcx() ? raise_tcx(pins, hook, link, program_fd, e) : -ERANGE;

	if (!r)
		r = lower_filter(fence, hook, link, e);
	else if (r == -ERANGE)
		r = hook_clsact_attach(program_fd, link->ifindex, hooks[hook].place,
				       fence_handle(fence), e);
	if (r == -ENODEV)
		return 0;
	return r ? err_prefix(e, "the %s plane cannot be raised on '%s'",
			      plane_name(hooks[hook].plane), link->name.text) :
		   0;
}

struct stray {
	const struct pins *pins;
	enum hook hook;
	const struct links *links;
	int program_fd;
	struct err *e;
};

static bool is_on_a_device(__u32 link_id, __u32 place, const struct links *links)
{
	struct hook_tcx tcx;
	size_t i;
	__u32 j;

	for (i = 0; i < links->count; i++) {
		if (hook_tcx_query(links->links[i].ifindex, place, &tcx))
			continue;
		for (j = 0; j < tcx.count; j++) {
			if (tcx.link_ids[j] == link_id)
				return true;
		}
	}
	return false;
}

static int raise_stray(const char *name, void *data)
{
	const struct stray *s = data;
	_cleanup_close_ int fd = -1;
	struct hook_link link;

	if (!may_be_pin_of(s->hook, name))
		return 0;
	fd = open_link(s->pins, s->hook, name, &link);
	if (fd < 0)
		return 0;
	if (link.target == 0)
		return pin_drop(s->pins, "links", name, s->e);
	if (is_on_a_device(link.id, link.place, s->links))
		return 0;
	return hook_link_update(fd, s->program_fd, s->e);
}

int raise_strays(const struct pins *pins, enum hook hook, const struct links *links,
		 int program_fd, struct err *e)
{
	struct stray s = {
		.pins = pins, .hook = hook, .links = links, .program_fd = program_fd, .e = e
	};

	return pin_each(pins, "links", raise_stray, &s);
}

int lower_device(const struct pins *pins, const char *fence, enum hook hook,
		 const struct link *link, struct err *e)
{
	const __u32 place = hooks[hook].place, handle = fence_handle(fence);
	struct device_pin pin = { .fd = -1 };
	struct hook_tcx tcx;
	__u32 id;
	int r;

	if (hook_has_tcx() && hook_tcx_query(link->ifindex, place, &tcx) == 0)
		pin = find_device_pin(pins, hook, &tcx);
	if (pin.fd >= 0) {
		r = hook_link_detach(pin.fd);
		close(pin.fd);
		return r ? err_set(e, r, "the %s plane cannot be taken off '%s': %s",
				   plane_name(hooks[hook].plane), link->name.text, strerror(-r)) :
			   pin_drop(pins, "links", pin.name, e);
	}
	if (hook_clsact_query(link->ifindex, place, handle, &id) == 0)
		return hook_clsact_detach(link->ifindex, place, handle, e);
	return 0;
}
