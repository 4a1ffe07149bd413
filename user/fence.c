// SPDX-License-Identifier: GPL-2.0
/* A fence that is up: see fence.h. Reads only. */
#include "fence.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <net/if.h>
#include <string.h>

#include "cgroup.h"

#define MAX_PROGRAM_MAPS 64

void fence_free(struct fence *f)
{
	if (!f)
		return;
	cleanup_close(&f->socket_link);
	cleanup_close(&f->wire_program);
	maps_close(&f->maps);
	free(f);
}

__u32 fence_handle(const char *name)
{
	__u32 hash = 2166136261U; /* FNV-1a */

	for (; *name; name++)
		hash = (hash ^ (__u8)*name) * 16777619U;
	return hash | 1;
}

int program_by_id(__u32 id, char ret_name[16])
{
	struct bpf_prog_info info = {};
	__u32 bytes = sizeof(info);
	_cleanup_close_ int fd = bpf_prog_get_fd_by_id(id);

	if (fd < 0)
		return -errno;
	if (bpf_obj_get_info_by_fd(fd, &info, &bytes))
		return -errno;
	memcpy(ret_name, info.name, 16);
	return TAKE_FD(fd);
}

/* Opens the maps that a program uses, by their names. */
static int open_maps(int program_fd, struct maps *m, struct err *e)
{
	__u32 ids[MAX_PROGRAM_MAPS], bytes, i;
	struct bpf_prog_info info = {
		.nr_map_ids = MAX_PROGRAM_MAPS,
		.map_ids = (__u64)(unsigned long)ids,
	};
	size_t map;

	bytes = sizeof(info);
	if (bpf_obj_get_info_by_fd(program_fd, &info, &bytes))
		return err_set(e, -errno, "the running program cannot be read: %s",
			       strerror(errno));
	for (i = 0; i < info.nr_map_ids && i < MAX_PROGRAM_MAPS; i++) {
		struct bpf_map_info map_info = {};
		_cleanup_close_ int fd = bpf_map_get_fd_by_id(ids[i]);

		bytes = sizeof(map_info);
		if (fd < 0 || bpf_obj_get_info_by_fd(fd, &map_info, &bytes))
			continue; /* shows below as missing */
		for (map = 0; map < MAP_COUNT; map++) {
			if (m->fd[map] < 0 && streq(map_info.name, map_name((enum map)map))) {
				m->fd[map] = TAKE_FD(fd);
				break;
			}
		}
	}
	return 0;
}

static __u32 map_id(int fd)
{
	struct bpf_map_info info = {};
	__u32 bytes = sizeof(info);

	return bpf_obj_get_info_by_fd(fd, &info, &bytes) ? 0 : info.id;
}

/* The wire program pinned in one place: only if it belongs to the same object as the socket
 * program. */
static void open_wire_program(struct fence *f, enum pin_home home)
{
	struct bpf_prog_info info = {};
	__u32 bytes = sizeof(info);
	struct maps maps;
	_cleanup_close_ int fd = pin_open(&f->pins, home, "progs", "wire");

	if (f->wire_program >= 0 || fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &bytes) ||
	    !streq(info.name, PROGRAM_WIRE))
		return;
	maps_init(&maps);
	if (open_maps(fd, &maps, NULL) == 0 && maps.fd[MAP_RODATA] >= 0 &&
	    map_id(maps.fd[MAP_RODATA]) == map_id(f->maps.fd[MAP_RODATA])) {
		f->wire_program = TAKE_FD(fd);
		f->wire_program_id = info.id;
	}
	maps_close(&maps);
}

static int not_a_fence(const struct fence *f, enum pin_home home, const char *what, struct err *e)
{
	return err_set(e, -EBADMSG,
		       "'%s/links/socket' %s; it is not a fence of tunfence and is left alone. Remove "
		       "it, or raise the fence with 'tunfence up %s', which replaces it",
		       pin_home_path(&f->pins, home), what, f->name);
}

static int read_policy(struct fence *f, enum pin_home home, struct err *e)
{
	struct bpf_map_info info = {};
	__u32 bytes = sizeof(info);
	const __u32 zero = 0;
	size_t map;

	for (map = 0; map < MAP_COUNT; map++) {
		if (f->maps.fd[map] < 0)
			return err_set(e, -ESTALE,
				       "fence '%s' was raised by another version of tunfence (it has "
				       "no map '%s'); it goes on working as it is. Replace it with "
				       "'tunfence up %s'",
				       f->name, map_name((enum map)map), f->name);
	}
	if (bpf_obj_get_info_by_fd(f->maps.fd[MAP_RODATA], &info, &bytes) ||
	    info.value_size != sizeof(f->policy) ||
	    bpf_map_lookup_elem(f->maps.fd[MAP_RODATA], &zero, &f->policy) ||
	    f->policy.abi != TF_ABI)
		return err_set(e, -ESTALE,
			       "fence '%s' was raised by another version of tunfence; it goes on "
			       "working as it is. Replace it with 'tunfence up %s'",
			       f->name, f->name);
	if (strncmp(f->policy.fence, f->name, sizeof(f->policy.fence)) != 0)
		return not_a_fence(f, home, "belongs to a fence of another name", e);
	return 0;
}

static int open_at(const struct pins *pins, enum pin_home home, const char *name,
		   struct fence **ret, struct err *e)
{
	_cleanup_fence_ struct fence *f = calloc(1, sizeof(*f));
	_cleanup_close_ int program = -1;
	char program_name[16];
	int r;

	if (!f)
		return err_set(e, -ENOMEM, "out of memory");
	f->wire_program = -1;
	maps_init(&f->maps);
	f->pins = *pins;
	snprintf(f->name, sizeof(f->name), "%s", name);

	f->socket_link = pin_open(pins, home, "links", "socket");
	if (f->socket_link == -ENOENT)
		return err_set(e, -ENOENT, "there is no fence '%s'", name);
	if (f->socket_link == -EBADMSG)
		return not_a_fence(f, home, "is not a link", e);
	if (f->socket_link < 0)
		return err_set(e, f->socket_link, "'%s/links/socket' cannot be opened: %s",
			       pin_home_path(pins, home), strerror(-f->socket_link));
	r = hook_link_info(f->socket_link, &f->socket);
	if (r || f->socket.type != HOOK_LINK_CGROUP)
		return not_a_fence(f, home, "is not a link to a cgroup", e);
	program = program_by_id(f->socket.program_id, program_name);
	if (program < 0)
		return err_set(e, program, "the program of fence '%s' cannot be opened: %s", name,
			       strerror(-program));
	if (!streq(program_name, PROGRAM_SOCKET))
		return not_a_fence(f, home, "runs a program that is not tunfence's", e);

	r = open_maps(program, &f->maps, e);
	if (!r)
		r = read_policy(f, home, e);
	if (r)
		return r;
	open_wire_program(f, PIN_OWN);
	open_wire_program(f, PIN_SHOWN);
	*ret = TAKE_PTR(f);
	return 0;
}

int fence_open(const struct pins *pins, const char *name, struct fence **ret, struct err *e)
{
	struct err own = {};
	int r = open_at(pins, PIN_OWN, name, ret, &own);

	if (r == 0)
		return 0;
	if (r != -ENOENT && open_at(pins, PIN_SHOWN, name, ret, NULL) == 0)
		return 0;
	if (r == -ENOENT)
		return open_at(pins, PIN_SHOWN, name, ret, e);
	return err_set(e, r, "%s", own.text);
}

int fence_check_cgroup(const struct fence *f, const char *path, struct err *e)
{
	struct cgroup now = { .fd = -1 };
	bool same;

	if (f->socket.target == f->policy.cgroup_id && cgroup_open(path, &now, NULL) == 0) {
		same = now.id == f->policy.cgroup_id;
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

/* Whether a program is this fence's, of whatever policy: told by the policy it carries. */
static bool is_ours(const struct fence *f, __u32 program_id)
{
	struct tf_policy policy = {};
	const __u32 zero = 0;
	struct maps maps;
	char name[16];
	bool ours = false;
	_cleanup_close_ int fd = program_by_id(program_id, name);

	if (fd < 0 || !streq(name, PROGRAM_WIRE))
		return false;
	maps_init(&maps);
	if (open_maps(fd, &maps, NULL) == 0 && maps.fd[MAP_RODATA] >= 0 &&
	    bpf_map_lookup_elem(maps.fd[MAP_RODATA], &zero, &policy) == 0)
		ours = strncmp(policy.fence, f->name, sizeof(policy.fence)) == 0;
	maps_close(&maps);
	return ours;
}

/* Programs of other fences in front do no harm: they pass on or drop. */
static bool is_tunfence(__u32 program_id)
{
	char name[16];
	_cleanup_close_ int fd = program_by_id(program_id, name);

	return fd >= 0 && streq(name, PROGRAM_WIRE);
}

enum wire fence_wire(const struct fence *f, int ifindex)
{
	bool behind = false;
	struct hook_tcx tcx;
	__u32 i, id;

	if (hook_has_tcx() && hook_tcx_query(ifindex, &tcx) == 0) {
		for (i = 0; i < tcx.count; i++) {
			if (f->wire_program_id && tcx.program_ids[i] == f->wire_program_id)
				return behind ? WIRE_TCX_BEHIND : WIRE_TCX;
			if (is_ours(f, tcx.program_ids[i]))
				return WIRE_STALE;
			behind = behind || !is_tunfence(tcx.program_ids[i]);
		}
	}
	if (hook_clsact_query(ifindex, fence_handle(f->name), &id) == 0) {
		if (f->wire_program_id && id == f->wire_program_id)
			return WIRE_CLSACT;
		if (is_ours(f, id))
			return WIRE_STALE;
	}
	return WIRE_MISSING;
}

const char *wire_name(enum wire wire)
{
	switch (wire) {
	case WIRE_MISSING:
		return "missing";
	case WIRE_TCX:
		return "tcx";
	case WIRE_TCX_BEHIND:
		return "tcx-behind";
	case WIRE_CLSACT:
		return "clsact";
	case WIRE_STALE:
		return "stale";
	}
	return "unknown";
}
