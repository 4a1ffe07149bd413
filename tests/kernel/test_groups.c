// SPDX-License-Identifier: GPL-2.0
/*
 * A fence of several cgroups, raised by the loader: what a second list of groups leaves fenced, also
 * when it is killed after any of its steps. Sends for real from two groups, by a UDP socket and by
 * AF_PACKET; the kernel says what became of it.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cmocka.h>
#include <net/if.h>

#include "fence.h"
#include "kernel/object.h"
#include "kernel/sandbox.h"
#include "loader.h"
#include "util.h"
#include "vectors/scene.h"
#include "vectors/vector.h"

#define FENCE "cgroup" /* the policy of this name says so */
#define MOST_STEPS 2000
#define STRIDE 17 /* each step takes two raises of the fence */

static struct sandbox sandbox;
static struct vectors vectors;
static struct scene_policies policies;
static struct pins pins;
static struct cgroups places; /* GROUP_* */

enum group {
	GROUP_FENCED = 0,
	GROUP_OUTSIDE = 1,
	GROUPS,
};

/* What got out of a group. */
struct sent {
	bool udp, frame;
};

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

static struct sent send_from(enum group group)
{
	struct sent sent;

	assert_int_equal(sandbox_sit(&sandbox, false, group == GROUP_OUTSIDE, NULL), 0);
	sent.udp = send_udp();
	sent.frame = send_frame();
	return sent;
}

static void assert_fenced(enum group group, bool fenced)
{
	struct sent sent = send_from(group);

	assert_int_equal(sent.udp, !fenced);
	assert_int_equal(sent.frame, !fenced);
}

/* Raises the fence around the groups whose bit is set. */
static int up(unsigned int groups, struct err *e)
{
	struct policy policy = *scene_find_policy(&policies, FENCE);
	struct links links = {};
	bool replaced;
	size_t i;
	int r = links_read(&links, e);

	policy.rodata.group_count = 0;
	for (i = 0; i < GROUPS; i++) {
		if (groups >> i & 1)
			policy.rodata.groups[policy.rodata.group_count++] =
				(struct tf_group){ .id = places.list[i].id,
						   .level = places.list[i].level };
	}
	if (!r)
		r = loader_up(&pins, FENCE, &policy, &places, &links, &replaced, e);
	links_free(&links);
	return r;
}

static void must_up(unsigned int groups)
{
	struct err e = {};

	if (up(groups, &e))
		fail_msg("%s", e.text);
}

#define ONLY(group) (1U << (group))
#define BOTH (ONLY(GROUP_FENCED) | ONLY(GROUP_OUTSIDE))

static int lower(void **state)
{
	struct links links = {};
	int r = links_read(&links, NULL);

	(void)state;
	if (!r)
		r = loader_down(&pins, FENCE, &links, NULL);
	links_free(&links);
	return r == -ENOENT ? 0 : r;
}

static size_t count_links(enum hook hook)
{
	_cleanup_fence_ struct fence *f = NULL;
	size_t held = 0;
	__u32 i;

	assert_int_equal(fence_open(&pins, FENCE, &f, NULL), 0);
	for (i = 0; i < fence_group_count(f); i++)
		held += fence_standing_at(f, hook, i) == STANDING_LINK;
	return held;
}

static void each_group_is_held(void **state)
{
	(void)state;
	assert_fenced(GROUP_FENCED, false);
	must_up(ONLY(GROUP_FENCED));
	assert_fenced(GROUP_FENCED, true);
	assert_fenced(GROUP_OUTSIDE, false);
	must_up(BOTH);
	assert_fenced(GROUP_FENCED, true);
	assert_fenced(GROUP_OUTSIDE, true);
	assert_int_equal(count_links(HOOK_SOCKET), 2);
	assert_int_equal(count_links(HOOK_OPT), 2);
	must_up(ONLY(GROUP_OUTSIDE));
	assert_fenced(GROUP_FENCED, false);
	assert_fenced(GROUP_OUTSIDE, true);
	assert_int_equal(lower(NULL), 0);
	assert_fenced(GROUP_FENCED, false);
	assert_fenced(GROUP_OUTSIDE, false);
}

static int count_pin(const char *name, void *data)
{
	(void)name;
	++*(size_t *)data;
	return 0;
}

static void pins_of_groups_come_and_go(void **state)
{
	size_t one = 0, two = 0, again = 0;

	(void)state;
	must_up(ONLY(GROUP_FENCED));
	assert_int_equal(pin_each(&pins, "links", count_pin, &one), 0);
	must_up(BOTH);
	assert_int_equal(pin_each(&pins, "links", count_pin, &two), 0);
	must_up(ONLY(GROUP_OUTSIDE));
	assert_int_equal(pin_each(&pins, "links", count_pin, &again), 0);
	assert_true(two >= one + 6);
	assert_int_equal(again, one);
}

/* From one group to the other. Returns whether it was killed. */
static bool up_until(int step)
{
	char text[12];
	int status;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		snprintf(text, sizeof(text), "%d", step);
		setenv("TUNFENCE_FAULT", text, 1);
		_exit(up(ONLY(GROUP_OUTSIDE), NULL) != 0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
	return WIFSIGNALED(status);
}

static void no_step_frees_the_old_group_before_the_new_one_is_fenced(void **state)
{
	bool killed = true, both_held = false;
	int step;

	(void)state;
	for (step = 1; killed && step < MOST_STEPS; step += STRIDE) {
		struct sent old, new;

		must_up(ONLY(GROUP_FENCED));
		killed = up_until(step);
		old = send_from(GROUP_FENCED);
		new = send_from(GROUP_OUTSIDE);
		if ((old.udp || old.frame) && (new.udp || new.frame))
			fail_msg("step %d: from the old group%s%s, from the new one%s%s", step,
				 old.udp ? " UDP" : "", old.frame ? " AF_PACKET" : "",
				 new.udp ? " UDP" : "", new.frame ? " AF_PACKET" : "");
		both_held = both_held || !(old.udp || old.frame || new.udp || new.frame);
	}
	assert_true(both_held && step > 100 && !killed);
	assert_fenced(GROUP_FENCED, false);
	assert_fenced(GROUP_OUTSIDE, true);
}

/* At the wire hook of eth0, until they are closed: programs that pass on to the next. */
static size_t fill_tcx(int links[HOOK_MAX_PROGRAMS])
{
	const struct bpf_insn next[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = -1 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	const int eth0 = (int)if_nametoindex("eth0");
	size_t i;

	for (i = 0; i < HOOK_MAX_PROGRAMS; i++) {
		_cleanup_close_ int program = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "next", "GPL",
							    next, ARRAY_SIZE(next), NULL);

		assert_true(program >= 0);
		links[i] = hook_tcx_attach(program, eth0, hooks[HOOK_WIRE].place, NULL);
		if (links[i] < 0)
			break;
	}
	return i;
}

static enum standing wire_standing(void)
{
	_cleanup_fence_ struct fence *f = NULL;

	assert_int_equal(fence_open(&pins, FENCE, &f, NULL), 0);
	return fence_standing_on(f, HOOK_WIRE, (int)if_nametoindex("eth0"));
}

static void where_tcx_is_full_there_is_a_filter(void **state)
{
	const __u32 place = hooks[HOOK_WIRE].place, handle = fence_handle(FENCE);
	const int eth0 = (int)if_nametoindex("eth0");
	int links[HOOK_MAX_PROGRAMS];
	__u32 id;
	size_t i, count;

	(void)state;
	if (!hook_has_tcx())
		skip();
	count = fill_tcx(links);
	assert_true(count >= 32 && count < HOOK_MAX_PROGRAMS);
	must_up(ONLY(GROUP_FENCED));
	assert_int_equal(wire_standing(), STANDING_CLSACT);
	assert_fenced(GROUP_FENCED, true);
	assert_fenced(GROUP_OUTSIDE, false);
	for (i = 0; i < count; i++) {
		hook_link_detach(links[i]);
		close(links[i]);
	}
	must_up(ONLY(GROUP_FENCED));
	assert_int_equal(wire_standing(), STANDING_TCX);
	assert_int_equal(hook_clsact_query(eth0, place, handle, &id), -ENOENT);
	assert_fenced(GROUP_FENCED, true);
}

static int open_places(struct err *e)
{
	static struct cgroup list[GROUPS];
	char path[4200];

	places = (struct cgroups){ .list = list, .count = GROUPS };
	list[GROUP_FENCED] = sandbox.fenced;
	snprintf(path, sizeof(path), "%s/outside", sandbox.cgroup_path);
	return cgroup_open(path, &list[GROUP_OUTSIDE], e);
}

/* In a process of its own, whose end takes the namespaces and every fence with it. */
static int inside(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(each_group_is_held, lower),
		cmocka_unit_test_teardown(pins_of_groups_come_and_go, lower),
		cmocka_unit_test_teardown(where_tcx_is_full_there_is_a_filter, lower),
		cmocka_unit_test_teardown(no_step_frees_the_old_group_before_the_new_one_is_fenced,
					  lower),
	};
	struct err e = {};
	int r = sandbox_enter(&sandbox, &e);

	if (!r)
		r = vectors_read(VECTOR_DIRECTORY, &vectors, &e);
	if (!r)
		r = scene_policies_read(&vectors, &sandbox.place, &policies, &e);
	if (!r)
		r = open_places(&e);
	if (!r)
		r = pins_init(&pins, sandbox.bpffs, sandbox.run, FENCE, &e);
	if (!r)
		r = pins_make_roots(&pins, &e);
	if (!r && !(run_ip("link set eth0 up") && run_ip("route add default dev eth0")))
		r = err_set(&e, -EIO, "ip failed");
	if (r)
		fprintf(stderr, "%s\n", e.text);
	else
		r = cmocka_run_group_tests(tests, NULL, NULL);
	scene_policies_free(&policies);
	vectors_free(&vectors);
	cgroup_close(&places.list[GROUP_FENCED]);
	cgroup_close(&places.list[GROUP_OUTSIDE]);
	return r != 0;
}

int main(void)
{
	return sandbox_main(&sandbox, "test_groups", inside);
}
