// SPDX-License-Identifier: GPL-2.0
/* Two cgroups of a sandbox, and what gets out of them: see ground.h. */
#include "kernel/ground.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>
#include <net/if.h>

#include "kernel/object.h"
#include "loader.h"
#include "util.h"

struct ground ground;

static bool send_udp(void)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(9) };

	assert_true(fd >= 0);
	assert_int_equal(inet_pton(AF_INET, "198.51.100.1", &to.sin_addr), 1);
	return sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)) == 1;
}

/* Of a kind that no fence lets out. */
static bool send_frame(void)
{
	_cleanup_close_ int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	const struct sockaddr_ll to = { .sll_family = AF_PACKET,
					.sll_ifindex = (int)if_nametoindex("eth0") };
	__u8 frame[60] = { 2, [6] = 2, [12] = 0x88, [13] = 0xb5 };

	assert_true(fd >= 0 && to.sll_ifindex > 0);
	return sendto(fd, frame, sizeof(frame), 0, (const struct sockaddr *)&to, sizeof(to)) > 0;
}

struct sent send_from(enum group group)
{
	struct sent sent;

	assert_int_equal(sandbox_sit(&ground.sandbox, false, group == GROUP_OUTSIDE, NULL), 0);
	sent.udp = send_udp();
	sent.frame = send_frame();
	return sent;
}

void assert_fenced(enum group group, bool fenced)
{
	struct sent sent = send_from(group);

	assert_int_equal(sent.udp, !fenced);
	assert_int_equal(sent.frame, !fenced);
}

int raise_at(const struct pins *where, const struct policy *policy, const struct cgroups *groups,
		 struct err *e)
{
	const struct cgroups none = {};
	struct links links = {};
	bool replaced;
	int r = links_read(&links, e);

	if (!r)
		r = loader_up(where, policy->rodata.fence, policy, groups, &none, &links, &replaced, e);
	links_free(&links);
	return r;
}

struct policy policy_for(unsigned int groups)
{
	struct policy policy = *scene_find_policy(&ground.policies, FENCE);
	size_t i;

	policy.rodata.group_count = 0;
	for (i = 0; i < GROUPS; i++) {
		if (groups >> i & 1)
			policy.rodata.groups[policy.rodata.group_count++] =
				(struct tf_group){ .id = ground.places.list[i].id,
						   .level = ground.places.list[i].level };
	}
	return policy;
}

int lower_fence(const char *name)
{
	struct links links = {};
	struct pins where;
	int r = links_read(&links, NULL);

	if (!r)
		r = pins_of_another(&ground.pins, name, &where);
	if (!r)
		r = loader_down(&where, name, &links, NULL);
	links_free(&links);
	return r == -ENOENT ? 0 : r;
}

enum standing wire_standing(void)
{
	_cleanup_fence_ struct fence *f = NULL;

	assert_int_equal(fence_open(&ground.pins, FENCE, &f, NULL), 0);
	return fence_standing_on(f, HOOK_WIRE, (int)if_nametoindex("eth0"));
}

int attach_next(void)
{
	const struct bpf_insn next[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = -1 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	_cleanup_close_ int program = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "next", "GPL", next,
						    ARRAY_SIZE(next), NULL);

	assert_true(program >= 0);
	return hook_tcx_attach(program, (int)if_nametoindex("eth0"), hooks[HOOK_WIRE].place, NULL);
}

static int open_places(struct err *e)
{
	static struct cgroup list[GROUPS];
	char path[4200];

	ground.places = (struct cgroups){ .list = list, .count = GROUPS };
	list[GROUP_FENCED] = ground.sandbox.fenced;
	snprintf(path, sizeof(path), "%s/" SANDBOX_OUTSIDE, ground.sandbox.cgroup_path);
	return cgroup_open(path, &list[GROUP_OUTSIDE], e);
}

int ground_enter(struct err *e)
{
	int r = sandbox_enter(&ground.sandbox, e);

	if (!r)
		r = vectors_read(VECTOR_DIRECTORY, &ground.vectors, e);
	if (!r)
		r = scene_policies_read(&ground.vectors, &ground.sandbox.place, &ground.policies, e);
	if (!r)
		r = open_places(e);
	if (!r)
		r = pins_init(&ground.pins, ground.sandbox.bpffs, ground.sandbox.run, FENCE, e);
	if (!r)
		r = pins_make_roots(&ground.pins, e);
	if (!r && !(run_ip("link set eth0 up") && run_ip("route add default dev eth0")))
		r = err_set(e, -EIO, "ip failed");
	return r;
}

void ground_leave(void)
{
	scene_policies_free(&ground.policies);
	vectors_free(&ground.vectors);
	cgroup_close(&ground.places.list[GROUP_FENCED]);
	cgroup_close(&ground.places.list[GROUP_OUTSIDE]);
}
