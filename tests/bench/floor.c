// SPDX-License-Identifier: GPL-2.0
/*
 * The floor: empty programs at every hook at which a fence has one. What is left to a fence to be
 * faster than that is nothing. For drops, one program that drops where a fence drops first, and
 * looks at a mark alone. Holds them until its standard input ends.
 */
#include "bench.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cgroup.h"
#include "traffic.h"
#include "util.h"

enum {
	CLSACT_HANDLE = 1,
};

static int attach_device(int program, const char *device, __u32 place, struct err *e)
{
	int ifindex = (int)if_nametoindex(device);

	if (!ifindex)
		return err_set(e, -errno, "there is no device '%s'", device);
	if (hook_has_tcx())
		return hook_tcx_attach(program, ifindex, place, e);
	return hook_clsact_attach(program, ifindex, place, CLSACT_HANDLE, e);
}

/* The descriptors are kept: they are what keeps the programs where they are. */
static int attach(enum hook hook, const struct cgroup *cgroup, const char *device, struct err *e)
{
	const struct hook_row *row = &hooks[hook];
	int program = empty_program(row->program), r;

	if (program < 0)
		return row->program == PROGRAM_LSM || programs[row->program].optional ?
			       0 : err_set(e, program, "no empty program: %s", strerror(-program));
	switch (row->kind) {
	case KIND_CGROUP:
		r = hook_cgroup_attach(program, cgroup->fd, row->place, e);
		break;
	case KIND_DEVICE:
		r = attach_device(program, device, row->place, e);
		break;
	case KIND_NETFILTER:
		r = hook_netfilter_attach(program, row->place, e);
		break;
	case KIND_EXEMPT:     /* only with exempt programs */
	case KIND_DISPATCHER: /* only with fences of cgroups */
	default:
		r = 0;
	}
	return programs[row->program].optional ? 0 : r;
}

static int hold(void)
{
	char byte;

	puts("ready");
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	return 0;
}

int bench_wall(int argc, char *argv[], struct err *e)
{
	_cleanup_(cgroup_close) struct cgroup cgroup = { .fd = -1 };
	_cleanup_close_ int program = dropping_program(TRAFFIC_MARK), link = -1;
	int r;

	if (argc != 1)
		return err_set(e, -EINVAL, "which cgroup?");
	if (program < 0)
		return err_set(e, program, "no program that drops: %s", strerror(-program));
	r = cgroup_open(argv[0], &cgroup, e);
	if (r)
		return r;
	link = hook_cgroup_attach(program, cgroup.fd, hooks[HOOK_SOCKET].place, e);
	return link < 0 ? link : hold();
}

int bench_floor(int argc, char *argv[], struct err *e)
{
	_cleanup_(cgroup_close) struct cgroup cgroup = { .fd = -1 };
	enum hook hook;
	int r;

	if (argc != 2)
		return err_set(e, -EINVAL, "which cgroup and device?");
	r = cgroup_open(argv[0], &cgroup, e);
	for (hook = 0; r >= 0 && hook < HOOK_COUNT; hook++)
		r = attach(hook, &cgroup, argv[1], e);
	return r < 0 ? r : hold();
}
