// SPDX-License-Identifier: GPL-2.0
/* The life of a fence: see loader.h. The only file that knows the skeleton. */
#include "loader.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "fault.h"
#include "tunfence.skel.h"

/* What libbpf said last: the reason why an object was refused. */
static char libbpf_said[512];

static int remember_libbpf(enum libbpf_print_level level, const char *format, va_list args)
{
	if (level == LIBBPF_WARN && !libbpf_said[0])
		vsnprintf(libbpf_said, sizeof(libbpf_said), format, args);
	libbpf_said[strcspn(libbpf_said, "\n")] = '\0';
	return 0;
}

static void skeleton_cleanup(struct tunfence_bpf **skeleton)
{
	if (*skeleton)
		tunfence_bpf__destroy(*skeleton);
}

static void size_maps(struct tunfence_bpf *s, const struct policy *p)
{
	const struct {
		struct bpf_map *map;
		size_t count;
	} sizes[] = {
		{ s->maps.endpoints, p->endpoint_count },
		{ s->maps.live_endpoints, TF_MAX_ENDPOINTS },
		{ s->maps.prefixes, p->prefix_count },
		{ s->maps.services, p->service_count },
		{ s->maps.uplinks, p->uplink_count },
		{ s->maps.inside, p->inside_count },
		{ s->maps.inbound, p->inbound_count },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) /* a map has room for one at least */
		bpf_map__set_max_entries(sizes[i].map, sizes[i].count ? (__u32)sizes[i].count : 1);
}

static struct maps skeleton_maps(const struct tunfence_bpf *s)
{
	struct maps m = { .fd = {
		[MAP_RODATA] = bpf_map__fd(s->maps.rodata),
		[MAP_ENDPOINTS] = bpf_map__fd(s->maps.endpoints),
		[MAP_LIVE] = bpf_map__fd(s->maps.live_endpoints),
		[MAP_PREFIXES] = bpf_map__fd(s->maps.prefixes),
		[MAP_SERVICES] = bpf_map__fd(s->maps.services),
		[MAP_UPLINKS] = bpf_map__fd(s->maps.uplinks),
		[MAP_INSIDE] = bpf_map__fd(s->maps.inside),
		[MAP_INBOUND] = bpf_map__fd(s->maps.inbound),
		[MAP_FRAGMENTS] = bpf_map__fd(s->maps.fragments),
		[MAP_COUNTERS] = bpf_map__fd(s->maps.counters),
		[MAP_TUNNELS] = bpf_map__fd(s->maps.tunnels),
	} };

	return m;
}

/* tunnels is for display and no program refers to it; bound to one, it is found and lives with it.
 * Likewise whatever map the verifier saw no use of. */
static int bind_tunnels(const struct tunfence_bpf *s, struct err *e)
{
	int fd = bpf_map__fd(s->maps.tunnels);

	if (bpf_prog_bind_map(bpf_program__fd(s->progs.tunfence_socket), fd, NULL) ||
	    bpf_prog_bind_map(bpf_program__fd(s->progs.tunfence_wire), fd, NULL) ||
	    bpf_prog_bind_map(bpf_program__fd(s->progs.tunfence_in), fd, NULL))
		return err_set(e, -errno, "map 'tunnels' cannot be bound to the program: %s",
			       strerror(errno));
	return 0;
}

/* A new object with the policy in it, frozen, attached nowhere. Counts on in counters_fd if that is
 * given. */
static int load(const struct policy *policy, int counters_fd, struct tunfence_bpf **ret,
		struct err *e)
{
	_cleanup_(skeleton_cleanup) struct tunfence_bpf *s = NULL;
	struct maps maps;
	int r;

	libbpf_said[0] = '\0';
	libbpf_set_print(remember_libbpf);
	s = tunfence_bpf__open();
	if (!s)
		return err_set(e, -errno, "the BPF object cannot be opened: %s", libbpf_said);
	memcpy((void *)&s->rodata->policy, &policy->rodata, sizeof(policy->rodata));
	size_maps(s, policy);
	if (counters_fd >= 0 && bpf_map__reuse_fd(s->maps.counters, counters_fd))
		return err_set(e, -errno, "the counters cannot be carried on: %s", libbpf_said);

	r = tunfence_bpf__load(s);
	fault_step();
	if (r == -EPERM || r == -EACCES)
		return err_set(e, r,
			       "the kernel refuses the BPF program (%s); run this as root, with "
			       "CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON at least%s%s",
			       strerror(-r), libbpf_said[0] ? ": " : "", libbpf_said);
	if (r)
		return err_set(e, r, "the kernel refuses the BPF program (%s): %s", strerror(-r),
			       libbpf_said);

	maps = skeleton_maps(s);
	if (counters_fd < 0)
		r = maps_label_counters(maps.fd[MAP_COUNTERS], e);
	if (!r)
		r = maps_fill(&maps, policy, e);
	if (!r)
		r = maps_freeze(&maps, e);
	if (!r)
		r = bind_tunnels(s, e);
	if (!r)
		*ret = TAKE_PTR(s);
	return r;
}

static int pin_object(const struct pins *pins, const struct tunfence_bpf *s, struct err *e)
{
	const struct maps maps = skeleton_maps(s);
	size_t i;
	int r;

	r = pin_put(pins, "progs", "socket", bpf_program__fd(s->progs.tunfence_socket), e);
	if (!r)
		r = pin_put(pins, "progs", "wire", bpf_program__fd(s->progs.tunfence_wire), e);
	if (!r)
		r = pin_put(pins, "progs", "in", bpf_program__fd(s->progs.tunfence_in), e);
	for (i = 0; !r && i < MAP_COUNT; i++)
		r = pin_put(pins, "maps", i == MAP_RODATA ? "rodata" : map_name((enum map)i),
			    maps.fd[i], e);
	return r;
}

/* A link of ours at the cgroup the policy wants, in either place, or -ENOENT. */
static int open_socket_link(const struct pins *pins, __u64 cgroup_id)
{
	enum pin_home home;

	for (home = PIN_OWN; home < PIN_HOMES; home++) {
		_cleanup_close_ int fd = pin_open(pins, home, "links", "socket");
		_cleanup_close_ int program = -1;
		struct hook_link link;
		char name[16];

		if (fd < 0 || hook_link_info(fd, &link) || link.type != HOOK_LINK_CGROUP ||
		    link.target != cgroup_id)
			continue;
		program = program_by_id(link.program_id, name);
		if (program >= 0 && streq(name, PROGRAM_SOCKET))
			return TAKE_FD(fd);
	}
	return -ENOENT;
}

/* The socket plane: swapped where it is, or attached anew and pinned over what was there. Pinning
 * again also restores a pin that somebody removed. */
static int raise_socket(const struct pins *pins, const struct policy *policy, int program_fd,
			int cgroup_fd, struct err *e)
{
	_cleanup_close_ int link = open_socket_link(pins, policy->rodata.cgroup_id);
	int r;

	if (link >= 0) {
		r = hook_link_update(link, program_fd, e);
		if (r)
			return r;
	} else {
		link = hook_cgroup_attach(program_fd, cgroup_fd, e);
		if (link < 0)
			return link;
	}
	return pin_put(pins, "links", "socket", link, e);
}

/* A wire link that is pinned: found by walking the pins, identified by the kernel's number. */
struct wire_pin {
	const struct pins *pins;
	__u32 id;    /* wanted */
	int fd;      /* found; -1: not (yet) */
	char name[PATH_MAX];
};

static int match_wire_pin(const char *name, void *data)
{
	struct wire_pin *pin = data;
	struct hook_link link;
	enum pin_home home;

	for (home = PIN_OWN; home < PIN_HOMES; home++) {
		_cleanup_close_ int fd = pin_open(pin->pins, home, "links", name);

		if (fd < 0 || hook_link_info(fd, &link) || link.type != HOOK_LINK_TCX ||
		    link.id != pin->id)
			continue;
		pin->fd = TAKE_FD(fd);
		snprintf(pin->name, sizeof(pin->name), "%s", name);
		return 1;
	}
	return 0;
}

/* Of the links at a device's hook, the one that this fence pinned. An ifindex alone proves nothing:
 * a device moved to another namespace keeps its link and may have the same one there. */
static struct wire_pin find_wire_pin(const struct pins *pins, const struct hook_tcx *tcx)
{
	struct wire_pin pin = { .pins = pins, .fd = -1 };
	__u32 i;

	for (i = 0; i < tcx->count && pin.fd < 0; i++) {
		pin.id = tcx->link_ids[i];
		if (pin.id)
			pin_each(pins, "links", match_wire_pin, &pin);
	}
	return pin;
}

/* wire-DEVICE-LINK: readable, unique for ever, and without the '.' that bpffs refuses. */
static int wire_pin_name(char out[64], const struct link *link, int fd)
{
	struct hook_link info;
	char *c;
	int r = hook_link_info(fd, &info);

	if (r)
		return r;
	snprintf(out, 64, "wire-%.*s-%u", TF_NAME_LEN, link->name.text, info.id);
	for (c = out; *c; c++) {
		if (!isalnum((unsigned char)*c) && *c != '-' && *c != '_')
			*c = '_';
	}
	return 0;
}

static int raise_tcx(const struct pins *pins, const struct link *link, int program_fd,
		     struct err *e)
{
	_cleanup_close_ int fd = -1;
	struct hook_tcx tcx = {};
	struct wire_pin pin;
	char name[64];
	int r;

	r = hook_tcx_query(link->ifindex, &tcx);
	if (r)
		return err_set(e, r, "%s", strerror(-r));
	pin = find_wire_pin(pins, &tcx);
	fd = pin.fd;
	if (fd >= 0) {
		r = hook_link_update(fd, program_fd, e);
		return r ? r : pin_put(pins, "links", pin.name, fd, e);
	}
	fd = hook_tcx_attach(program_fd, link->ifindex, e);
	if (fd < 0)
		return fd;
	r = wire_pin_name(name, link, fd);
	return r ? err_set(e, r, "%s", strerror(-r)) : pin_put(pins, "links", name, fd, e);
}

/* The wire plane on one uplink. One that vanished meanwhile needs none. */
static int raise_wire(const struct pins *pins, const char *fence, const struct link *link,
		      int program_fd, struct err *e)
{
	int r = hook_has_tcx() ? raise_tcx(pins, link, program_fd, e) :
				 hook_clsact_attach(program_fd, link->ifindex, fence_handle(fence),
						    e);

	if (r == -ENODEV)
		return 0;
	return r ? err_prefix(e, "the wire plane cannot be raised on '%s'", link->name.text) : 0;
}

static int raise_wires(const struct pins *pins, const char *fence, const struct policy *policy,
		       const struct links *links, int program_fd, struct err *e)
{
	size_t i;
	int r = 0;

	for (i = 0; !r && i < links->count; i++) {
		if (link_role(policy, &links->links[i]) == ROLE_UPLINK)
			r = raise_wire(pins, fence, &links->links[i], program_fd, e);
	}
	return r;
}

/* Pinned wire links on no device of this namespace: whose device is gone, they go; whose device
 * was moved away, they get the new program and stay. */
struct stray {
	const struct pins *pins;
	const struct links *links;
	int program_fd;
	struct err *e;
};

static bool is_on_a_device(__u32 link_id, const struct links *links)
{
	struct hook_tcx tcx;
	size_t i;
	__u32 j;

	for (i = 0; i < links->count; i++) {
		if (hook_tcx_query(links->links[i].ifindex, &tcx))
			continue;
		for (j = 0; j < tcx.count; j++) {
			if (tcx.link_ids[j] == link_id)
				return true;
		}
	}
	return false;
}

static int tend_stray_at(const struct stray *s, enum pin_home home, const char *name)
{
	_cleanup_close_ int fd = pin_open(s->pins, home, "links", name);
	struct hook_link link;

	if (fd < 0 || hook_link_info(fd, &link) || link.type != HOOK_LINK_TCX)
		return 0;
	if (link.target == 0)
		return pin_drop(s->pins, "links", name, s->e);
	if (is_on_a_device(link.id, s->links))
		return 0;
	return hook_link_update(fd, s->program_fd, s->e);
}

static int tend_stray(const char *name, void *data)
{
	int r = tend_stray_at(data, PIN_OWN, name);

	return r ? r : tend_stray_at(data, PIN_SHOWN, name);
}

/* Devices that the new policy calls tunnel or inside need no wire plane any more. Last of all. */
static int lower_wire(const struct pins *pins, const char *fence, const struct link *link,
		      struct err *e)
{
	struct hook_tcx tcx;
	struct wire_pin pin;
	__u32 id;
	int r;

	if (hook_has_tcx() && hook_tcx_query(link->ifindex, &tcx) == 0) {
		pin = find_wire_pin(pins, &tcx);
		if (pin.fd >= 0) {
			r = hook_link_detach(pin.fd);
			close(pin.fd);
			return r ? err_set(e, r, "the wire plane cannot be taken off '%s': %s",
					   link->name.text, strerror(-r)) :
				   pin_drop(pins, "links", pin.name, e);
		}
	}
	if (hook_clsact_query(link->ifindex, fence_handle(fence), &id) == 0)
		return hook_clsact_detach(link->ifindex, fence_handle(fence), e);
	return 0;
}

static int lower_others(const struct pins *pins, const char *fence, const struct policy *policy,
			const struct links *links, struct err *e)
{
	size_t i;
	int r = 0;

	for (i = 0; !r && i < links->count; i++) {
		enum role role = link_role(policy, &links->links[i]);

		if (role == ROLE_TUNNEL || role == ROLE_INSIDE)
			r = lower_wire(pins, fence, &links->links[i], e);
	}
	return r;
}

int loader_up(const struct pins *pins, const char *name, const struct policy *policy,
	      int cgroup_fd, const struct links *links, bool *ret_replaced, struct err *e)
{
	_cleanup_(skeleton_cleanup) struct tunfence_bpf *s = NULL;
	_cleanup_fence_ struct fence *old = NULL;
	struct stray stray = { .pins = pins, .links = links, .e = e };
	bool replaced;
	int r;

	/* What cannot be opened as a fence is replaced without being read. */
	r = fence_open(pins, name, &old, NULL);
	replaced = r == 0 || r == -ESTALE;
	if (old && old->policy.netns != policy->rodata.netns)
		return err_set(e, -EXDEV,
			       "fence '%s' was raised in another network namespace; run this there, or "
			       "'tunfence down %s' first",
			       name, name);

	r = load(policy, old ? old->maps.fd[MAP_COUNTERS] : -1, &s, e);
	if (!r)
		r = pins_make(pins, e);
	if (!r)
		r = pin_object(pins, s, e);
	if (!r)
		r = raise_socket(pins, policy, bpf_program__fd(s->progs.tunfence_socket), cgroup_fd,
				 e);
	stray.program_fd = s ? bpf_program__fd(s->progs.tunfence_wire) : -1;
	if (!r)
		r = raise_wires(pins, name, policy, links, stray.program_fd, e);
	if (!r)
		r = pin_each(pins, "links", tend_stray, &stray);
	if (!r)
		r = lower_others(pins, name, policy, links, e);
	if (!r)
		r = pins_sweep(pins, e);
	if (!r)
		*ret_replaced = replaced;
	return r;
}

int loader_attach_wire(const struct fence *f, const struct policy *policy,
		       const struct links *links, int *ret_attached, struct err *e)
{
	int attached = 0, r = 0;
	size_t i;

	if (f->wire_program < 0)
		return err_set(e, -ESTALE,
			       "the wire program of fence '%s' is not pinned beside it (a replace was "
			       "interrupted, or somebody removed it); run 'tunfence up %s' again",
			       f->name, f->name);
	for (i = 0; !r && i < links->count; i++) {
		const struct link *link = &links->links[i];
		enum wire wire;

		if (link_role(policy, link) != ROLE_UPLINK)
			continue;
		wire = fence_wire(f, link->ifindex);
		if (wire != WIRE_MISSING && wire != WIRE_STALE)
			continue;
		r = raise_wire(&f->pins, f->name, link, f->wire_program, e);
		attached++;
	}
	if (!r)
		*ret_attached = attached;
	return r;
}

static void detach_at(const struct stray *s, enum pin_home home, const char *name)
{
	_cleanup_close_ int fd = pin_open(s->pins, home, "links", name);
	_cleanup_close_ int program = -1;
	struct hook_link link;
	char program_name[16];

	if (fd < 0 || hook_link_info(fd, &link))
		return;
	program = program_by_id(link.program_id, program_name);
	/* Somebody else's link that was pinned here is unpinned, but not taken off its hook. */
	if (program >= 0 &&
	    (streq(program_name, PROGRAM_SOCKET) || streq(program_name, PROGRAM_WIRE)))
		hook_link_detach(fd); /* gone or not able to: removing the pins does it */
}

static int detach_link(const char *name, void *data)
{
	detach_at(data, PIN_OWN, name);
	detach_at(data, PIN_SHOWN, name);
	return 0;
}

static bool has_directory(const struct pins *p)
{
	return access(p->own, F_OK) == 0 || access(p->shown, F_OK) == 0;
}

int loader_down(const struct pins *pins, const char *name, const struct links *links,
		struct err *e)
{
	struct stray s = { .pins = pins, .links = links, .e = e };
	__u32 id;
	size_t i;
	int r = 0;

	if (!has_directory(pins))
		return err_set(e, -ENOENT, "there is no fence '%s'; 'tunfence status' lists those "
			       "there are", name);
	/* The wire first: half done, the socket plane still holds. */
	for (i = 0; !r && i < links->count; i++) {
		if (hook_clsact_query(links->links[i].ifindex, fence_handle(name), &id) == 0)
			r = hook_clsact_detach(links->links[i].ifindex, fence_handle(name), e);
	}
	if (!r)
		r = pin_each(pins, "links", detach_link, &s);
	return r ? r : pins_remove(pins, e);
}
