// SPDX-License-Identifier: GPL-2.0
/*
 * Attachment points: see hook.h. Debian 12's libbpf and headers know neither tcx nor netfilter
 * links, so their calls are made by number; the numbers are the kernel's ABI
 * (include/uapi/linux/bpf.h of Linux 6.6).
 */
#include "hook.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fault.h"
#include "util.h"

enum {
	NETFILTER = 45,   /* enum bpf_attach_type */
	MPROG_BEFORE = 8, /* BPF_F_BEFORE: relative to nothing, in front of all */
	LOOPBACK = 1,
	CLSACT_PRIORITY = 1,
	POST_ROUTING = 4,
	/* "tf" and zeros. Far behind address translation (100) and all that is known by name, so that
	 * what is judged is what leaves; in front of the confirmation of connections (INT_MAX). No
	 * other hook may have the priority of a BPF one, so each link of each fence takes the next. */
	PRIORITY_FIRST = 0x74660000,
	PRIORITIES = 1024,
};

#define LSM_LIST "/sys/kernel/security/lsm"

/* union bpf_attr's member for BPF_PROG_QUERY as of Linux 6.6. */
struct query_attr {
	__u32 target;
	__u32 attach_type;
	__u32 query_flags;
	__u32 attach_flags;
	__u64 prog_ids;
	__u32 count;
	__u32 zero;
	__u64 prog_attach_flags;
	__u64 link_ids;
	__u64 link_attach_flags;
	__u64 revision;
};

/* The one for BPF_LINK_CREATE, for a tcx or a netfilter link. */
struct link_create_attr {
	__u32 prog_fd;
	__u32 target;
	__u32 attach_type;
	__u32 flags;
	union {
		struct {
			__u32 relative_fd;
			__u32 zero;
			__u64 expected_revision;
		} tcx;
		struct {
			__u32 family;
			__u32 hook;
			__s32 priority;
			__u32 flags;
		} netfilter;
	};
};

/* struct bpf_link_info as far as the links of a fence fill it. */
struct link_info {
	__u32 type;
	__u32 id;
	__u32 program_id;
	__u32 zero;
	union {
		struct {
			__u64 id;
			__u32 attach_type;
		} cgroup;
		struct {
			__u32 ifindex;
			__u32 attach_type;
		} tcx;
		struct {
			__u32 family;
			__u32 hook;
			__s32 priority;
			__u32 flags;
		} netfilter;
		__u8 room[64];
	};
};

static int bpf_call(enum bpf_cmd command, void *attr, size_t bytes)
{
	long r = syscall(__NR_bpf, command, attr, bytes);

	return r < 0 ? -errno : (int)r;
}

static int query(int ifindex, __u32 place, struct hook_tcx *ret)
{
	struct query_attr attr = {
		.target = (__u32)ifindex,
		.attach_type = place,
		.prog_ids = (__u64)(unsigned long)ret->program_ids,
		.link_ids = (__u64)(unsigned long)ret->link_ids,
		.count = HOOK_MAX_PROGRAMS,
	};
	int r = bpf_call(BPF_PROG_QUERY, &attr, sizeof(attr));

	ret->count = r ? 0 : attr.count;
	return r;
}

void hook_silence_libbpf(void)
{
	libbpf_set_print(NULL);
}

bool hook_has_tcx(void)
{
	struct hook_tcx state;

	return !fault_is("no-tcx") && query(LOOPBACK, AT_TCX_EGRESS, &state) == 0;
}

bool hook_has_lsm(void)
{
	_cleanup_fclose_ FILE *f = fopen(LSM_LIST, "re");
	char list[256] = "", *save = NULL, *name;

	if (fault_is("no-lsm") || !f || !fgets(list, sizeof(list), f))
		return false;
	for (name = strtok_r(list, ",\n", &save); name; name = strtok_r(NULL, ",\n", &save)) {
		if (streq(name, "bpf"))
			return true;
	}
	return false;
}

int hook_tcx_query(int ifindex, __u32 place, struct hook_tcx *ret)
{
	struct hook_tcx state = {};
	int r = query(ifindex, place, &state);

	if (r)
		return r;
	*ret = state;
	return 0;
}

int hook_cgroup_attach(int program_fd, int cgroup_fd, __u32 attach_type, struct err *e)
{
	int fd = bpf_link_create(program_fd, cgroup_fd, (enum bpf_attach_type)attach_type, NULL);

	fault_step();
	if (fd < 0)
		return err_set(e, -errno, "a program cannot be attached to the cgroup: %s",
			       strerror(errno));
	return fd;
}

static const char *direction(__u32 place)
{
	return place == AT_TCX_EGRESS ? "egress" : "ingress";
}

/* enum bpf_attach_type's of cgroups as of Linux 6.12, which is more than Debian 12's headers have. */
static const __u32 cgroup_places[] = {
	0,  1,  2,  3,  6,  8,  9,  10, 11, 12, 13, 14, 15, 18, 19, 20,
	21, 22, 29, 30, 31, 32, 34, 43, 49, 50, 51, 52, 53,
};

/* Only counted: BPF_LSM_CGROUP would want more room to list them. A hook that this kernel has not has
 * no programs. */
static int count_programs(int cgroup_fd, __u32 place)
{
	__u32 count = 0;

	if (bpf_prog_query(cgroup_fd, (enum bpf_attach_type)place, 0, NULL, NULL, &count) == 0)
		return count > 0;
	return errno == EINVAL || errno == EOPNOTSUPP ? 0 : -errno;
}

static int has_named(int cgroup_fd, __u32 place, const char *program)
{
	__u32 ids[HOOK_MAX_PROGRAMS], count = HOOK_MAX_PROGRAMS, bytes, i;

	if (bpf_prog_query(cgroup_fd, (enum bpf_attach_type)place, 0, NULL, ids, &count))
		return errno == EINVAL || errno == EOPNOTSUPP ? 0 : -errno;
	for (i = 0; i < count; i++) {
		struct bpf_prog_info info = {};
		_cleanup_close_ int fd = bpf_prog_get_fd_by_id(ids[i]);

		bytes = sizeof(info);
		if (fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &bytes) == 0 &&
		    streq(info.name, program))
			return 1;
	}
	return 0;
}

int hook_cgroup_has(int cgroup_fd, const char *program)
{
	size_t i;
	int r;

	if (program)
		return has_named(cgroup_fd, BPF_CGROUP_INET_EGRESS, program);
	for (i = 0; i < ARRAY_SIZE(cgroup_places); i++) {
		r = count_programs(cgroup_fd, cgroup_places[i]);
		if (r)
			return r;
	}
	return 0;
}

int hook_tcx_attach(int program_fd, int ifindex, __u32 place, struct err *e)
{
	struct link_create_attr attr = {
		.prog_fd = (__u32)program_fd,
		.target = (__u32)ifindex,
		.attach_type = place,
		.flags = MPROG_BEFORE,
	};
	int fd = bpf_call(BPF_LINK_CREATE, &attr, sizeof(attr));

	fault_step();
	if (fd < 0)
		return err_set(e, fd, "tcx %s of interface %d: %s", direction(place), ifindex,
			       strerror(-fd));
	return fd;
}

static int netfilter_attach_at(int program_fd, __u32 family, __s32 priority)
{
	struct link_create_attr attr = {
		.prog_fd = (__u32)program_fd,
		.attach_type = NETFILTER,
		.netfilter = { .family = family, .hook = POST_ROUTING, .priority = priority },
	};

	return bpf_call(BPF_LINK_CREATE, &attr, sizeof(attr));
}

int hook_netfilter_attach(int program_fd, __u32 family, struct err *e)
{
	int fd = -EBUSY, i;

	for (i = 0; fd == -EBUSY && i < PRIORITIES; i++)
		fd = netfilter_attach_at(program_fd, family, PRIORITY_FIRST + i);
	fault_step();
	if (fd < 0)
		return err_set(e, fd, "netfilter POST_ROUTING of %s: %s",
			       family == AT_IPV4 ? "IPv4" : "IPv6", strerror(-fd));
	return fd;
}

/* The link itself does not tell, so its priority is asked for: two cannot have the same. If it was
 * free, what stood there for that moment was a program of the fence. */
bool hook_netfilter_is_live(const struct hook_link *link, int program_fd)
{
	int fd = netfilter_attach_at(program_fd, link->place, link->priority);

	if (fd >= 0)
		close(fd);
	return fd == -EBUSY;
}

int hook_link_update(int link_fd, int program_fd, struct err *e)
{
	int r = bpf_link_update(link_fd, program_fd, NULL);

	fault_step();
	if (r < 0)
		return err_set(e, -errno, "the program of a link cannot be replaced: %s",
			       strerror(errno));
	return 0;
}

int hook_link_info(int link_fd, struct hook_link *ret)
{
	struct link_info info = {};
	__u32 bytes = sizeof(info);

	if (bpf_obj_get_info_by_fd(link_fd, &info, &bytes) < 0)
		return -errno;
	*ret = (struct hook_link){
		.id = info.id,
		.type = info.type,
		.program_id = info.program_id,
	};
	switch (info.type) {
	case HOOK_LINK_CGROUP:
		ret->target = info.cgroup.id;
		ret->place = info.cgroup.attach_type;
		break;
	case HOOK_LINK_TCX:
		ret->target = info.tcx.ifindex;
		ret->place = info.tcx.attach_type;
		break;
	case HOOK_LINK_NETFILTER:
		ret->place = info.netfilter.family;
		ret->priority = info.netfilter.priority;
		break;
	default:
		break;
	}
	return 0;
}

int hook_link_detach(int link_fd)
{
	int r = bpf_link_detach(link_fd);

	fault_step();
	return r < 0 ? -errno : 0;
}

/* libbpf insists that the padding is clear too, so no initialiser will do. */
static void clsact_of(int ifindex, __u32 place, __u32 handle, struct bpf_tc_hook *hook,
		      struct bpf_tc_opts *opts)
{
	memset(hook, 0, sizeof(*hook));
	hook->sz = sizeof(*hook);
	hook->ifindex = ifindex;
	hook->attach_point = place == AT_TCX_EGRESS ? BPF_TC_EGRESS : BPF_TC_INGRESS;

	memset(opts, 0, sizeof(*opts));
	opts->sz = sizeof(*opts);
	opts->handle = handle;
	opts->priority = CLSACT_PRIORITY;
}

int hook_clsact_attach(int program_fd, int ifindex, __u32 place, __u32 handle, struct err *e)
{
	struct bpf_tc_hook hook;
	struct bpf_tc_opts opts;
	int r;

	clsact_of(ifindex, place, handle, &hook, &opts);
	opts.prog_fd = program_fd;
	opts.flags = BPF_TC_F_REPLACE;
	r = bpf_tc_hook_create(&hook);
	fault_step();
	if (r && r != -EEXIST)
		return err_set(e, r, "clsact qdisc of interface %d: %s", ifindex, strerror(-r));
	r = bpf_tc_attach(&hook, &opts);
	fault_step();
	if (r)
		return err_set(e, r,
			       "clsact %s filter of interface %d: %s; is priority 1 held by a filter "
			       "of another kind ('tc filter show')?",
			       direction(place), ifindex, strerror(-r));
	return 0;
}

int hook_clsact_query(int ifindex, __u32 place, __u32 handle, __u32 *ret_program_id)
{
	struct bpf_tc_hook hook;
	struct bpf_tc_opts opts;

	clsact_of(ifindex, place, handle, &hook, &opts);
	if (bpf_tc_query(&hook, &opts)) /* no qdisc gives EINVAL, no filter ENOENT */
		return -ENOENT;
	*ret_program_id = opts.prog_id;
	return 0;
}

int hook_clsact_detach(int ifindex, __u32 place, __u32 handle, struct err *e)
{
	struct bpf_tc_hook hook;
	struct bpf_tc_opts opts;
	int r;

	clsact_of(ifindex, place, handle, &hook, &opts);
	r = bpf_tc_detach(&hook, &opts);
	fault_step();
	if (r && r != -ENOENT)
		return err_set(e, r, "clsact %s filter of interface %d cannot be removed: %s",
			       direction(place), ifindex, strerror(-r));
	return 0;
}
