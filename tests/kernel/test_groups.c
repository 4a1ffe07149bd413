// SPDX-License-Identifier: GPL-2.0
/*
 * A fence of several cgroups, raised by the loader: what a second list of groups leaves fenced, also
 * when it is killed after any of its steps. Sends for real from two groups, by a UDP socket and by
 * AF_PACKET; the kernel says what became of it.
 */
#define _GNU_SOURCE /* pipe2 */

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>
#include <net/if.h>

#include "kernel/ground.h"
#include "kernel/object.h"
#include "nesting.h"
#include "sockets.h"
#include "util.h"
#include "world.h"

#define AROUND "two"   /* of the system, with another tunnel as well */
#define OTHER "kernel" /* of the system, whose wg0 is of another kind */
#define MOST_STEPS 2000
#define STRIDE 17 /* each step takes two raises of the fence */

/* Raises the fence around the groups whose bit is set. */
static int up(unsigned int groups, struct err *e)
{
	const struct policy policy = policy_for(groups);

	return raise_at(&ground.pins, &policy, &ground.places, e);
}

static void must_up(unsigned int groups)
{
	struct err e = {};

	if (up(groups, &e))
		fail_msg("%s", e.text);
}

static int lower(void **state)
{
	(void)state;
	return lower_fence(FENCE) || lower_fence(AROUND) || lower_fence(OTHER);
}

static size_t count_links(enum hook hook)
{
	_cleanup_fence_ struct fence *f = NULL;
	size_t held = 0;
	__u32 i;

	assert_int_equal(fence_open(&ground.pins, FENCE, &f, NULL), 0);
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
	assert_int_equal(pin_each(&ground.pins, "links", count_pin, &one), 0);
	must_up(BOTH);
	assert_int_equal(pin_each(&ground.pins, "links", count_pin, &two), 0);
	must_up(ONLY(GROUP_OUTSIDE));
	assert_int_equal(pin_each(&ground.pins, "links", count_pin, &again), 0);
	assert_true(two >= one + 6);
	assert_int_equal(again, one);
}

static void rename_link(const char *from, const char *to)
{
	char old[PATH_MAX + 64], new[PATH_MAX + 64];

	snprintf(old, sizeof(old), "%s/links/%s", ground.pins.own, from);
	snprintf(new, sizeof(new), "%s/links/%s", ground.pins.own, to);
	if (access(old, F_OK) == 0)
		assert_int_equal(rename(old, new), 0);
}

static __u32 socket_link_id(void)
{
	_cleanup_fence_ struct fence *f = NULL;

	assert_int_equal(fence_open(&ground.pins, FENCE, &f, NULL), 0);
	return f->socket.id;
}

/* An earlier version's pins have no number: its links are taken over, and none is let go. */
static void links_of_an_earlier_version_are_taken_over(void **state)
{
	size_t before = 0, after = 0, i;
	char name[64];
	__u32 id;

	(void)state;
	must_up(ONLY(GROUP_FENCED));
	pin_each(&ground.pins, "links", count_pin, &before);
	id = socket_link_id();
	for (i = 0; i < HOOK_COUNT; i++) {
		snprintf(name, sizeof(name), "%s-%llu", hooks[i].pin,
			 (unsigned long long)ground.sandbox.fenced.id);
		if (hooks[i].kind == KIND_CGROUP)
			rename_link(name, hooks[i].pin);
	}
	assert_int_equal(pin_open(&ground.pins, "links", name), -ENOENT);
	assert_int_equal(socket_link_id(), id);
	assert_fenced(GROUP_FENCED, true);
	must_up(ONLY(GROUP_FENCED));
	pin_each(&ground.pins, "links", count_pin, &after);
	assert_int_equal(after, before);
	assert_int_equal(socket_link_id(), id);
	assert_int_equal(count_links(HOOK_SOCKET), 1);
	assert_int_equal(pin_open(&ground.pins, "links", hooks[HOOK_SOCKET].pin), -ENOENT);
	assert_fenced(GROUP_FENCED, true);
	must_up(ONLY(GROUP_OUTSIDE));
	assert_fenced(GROUP_FENCED, false);
}

static int check(__u32 group, const char *path)
{
	_cleanup_fence_ struct fence *f = NULL;
	struct err e = {};
	int r = fence_open(&ground.pins, FENCE, &f, &e);

	if (!r)
		r = fence_check_group(f, group, path, &e);
	if (r)
		assert_non_null(strstr(e.text, path));
	return r;
}

/* As a unit's that is restarted: another group at the same path, which is not fenced. The fence can
 * be opened even if its other groups go too. */
static void a_group_made_anew_is_another(void **state)
{
	struct policy policy = *scene_find_policy(&ground.policies, FENCE);
	struct cgroup list[2] = { { .fd = -1 }, ground.places.list[GROUP_OUTSIDE] };
	const struct cgroups groups = { .list = list, .count = 2 };
	char inner[4200];
	__u32 i;

	(void)state;
	snprintf(inner, sizeof(inner), "%s/inner", ground.sandbox.fenced.path);
	assert_int_equal(mkdir(inner, 0755), 0);
	assert_int_equal(cgroup_open(inner, &list[0], NULL), 0);
	policy.rodata.group_count = 2;
	for (i = 0; i < 2; i++)
		policy.rodata.groups[i] =
			(struct tf_group){ .id = list[i].id, .level = list[i].level };
	assert_int_equal(raise_at(&ground.pins, &policy, &groups, NULL), 0);
	assert_int_equal(check(0, inner), 0);
	assert_int_equal(check(1, list[1].path), 0);
	assert_int_equal(check(0, list[1].path), -ENOENT);

	cgroup_close(&list[0]);
	assert_int_equal(rmdir(inner), 0);
	assert_int_equal(check(0, inner), -ENOENT);
	assert_int_equal(check(1, list[1].path), 0);
	assert_int_equal(mkdir(inner, 0755), 0);
	assert_int_equal(check(0, inner), -ENOENT);
	assert_int_equal(check(1, list[1].path), 0);
	assert_fenced(GROUP_OUTSIDE, true);
	assert_int_equal(rmdir(inner), 0);
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

/* ---- what is said of groups ---- */

static void a_group_inside_another_is_left_to_it(void **state)
{
	char inner[4200], mount[4096], *paths[3];
	struct config_group said[3];
	struct config c = { .name = FENCE, .scope = TF_SCOPE_CGROUP, .groups = said, .group_count = 3 };
	const struct world_options options = {};
	_cleanup_world_ struct world *w = NULL;
	struct err e = {};
	size_t i;

	(void)state;
	assert_int_equal(cgroup_find_mount(mount, NULL), 0);
	snprintf(inner, sizeof(inner), "%s/inner", ground.sandbox.fenced.path);
	assert_int_equal(mkdir(inner, 0755), 0);
	paths[0] = inner;
	paths[1] = ground.places.list[GROUP_OUTSIDE].path;
	paths[2] = ground.sandbox.fenced.path;
	for (i = 0; i < ARRAY_SIZE(said); i++)
		said[i] = (struct config_group){ .cgroup = paths[i] + strlen(mount) };
	i = (size_t)world_read(&c, &options, &w, &e);
	rmdir(inner);
	assert_int_equal(i, 0);
	assert_int_equal(w->groups.count, 2);
	assert_int_equal(w->groups.list[0].id, ground.places.list[GROUP_OUTSIDE].id);
	assert_int_equal(w->groups.list[1].id, ground.places.list[GROUP_FENCED].id);
	assert_int_equal(w->warning_count, 1);
	assert_non_null(strstr(w->warnings[0], inner));
}

/* Around all groups there are here. */
static void raise_around(const char *name)
{
	struct policy policy = *scene_find_policy(&ground.policies, name);
	struct cgroups whole = { .count = 1 };
	struct cgroup parent;
	struct err e = {};
	struct pins where;

	assert_int_equal(cgroup_open(ground.sandbox.cgroup_path, &parent, &e), 0);
	whole.list = &parent;
	policy.rodata.groups[0] = (struct tf_group){ .id = parent.id, .level = parent.level };
	assert_int_equal(pins_of_another(&ground.pins, name, &where), 0);
	if (raise_at(&where, &policy, &whole, &e))
		fail_msg("%s", e.text);
	cgroup_close(&parent);
}

static struct nestings nestings_of(const char *name, char *const *paths, size_t count)
{
	_cleanup_fence_ struct fence *f = NULL;
	struct nestings found = {};
	struct pins where;

	assert_int_equal(pins_of_another(&ground.pins, name, &where), 0);
	assert_int_equal(fence_open(&where, name, &f, NULL), 0);
	assert_int_equal(nestings_find(f, paths, count, &found, NULL), 0);
	return found;
}

static void fences_around_a_fence_are_found(void **state)
{
	char *const paths[] = { ground.places.list[0].path, ground.places.list[1].path }, *const around[] = {
		ground.sandbox.cgroup_path
	};
	struct nestings found;

	(void)state;
	must_up(BOTH);
	found = nestings_of(FENCE, paths, 2);
	assert_int_equal(found.count, 0);
	raise_around(AROUND);
	found = nestings_of(FENCE, paths, 2);
	assert_int_equal(found.count, 1);
	assert_string_equal(found.list[0].fence, AROUND);
	assert_int_equal(found.list[0].scope, TF_SCOPE_SYSTEM);
	assert_int_equal(found.list[0].groups, 2);
	assert_int_equal(found.list[0].stranger_count, 0);
	nestings_free(&found);
	found = nestings_of(FENCE, around, 1); /* not where the policy says */
	assert_int_equal(found.count, 0);
	found = nestings_of(AROUND, around, 1);
	assert_int_equal(found.count, 0);
	assert_int_equal(lower_fence(AROUND), 0);
	raise_around(OTHER);
	found = nestings_of(FENCE, paths, 2);
	assert_int_equal(found.count, 1);
	assert_int_equal(found.list[0].stranger_count, 1);
	assert_string_equal(found.list[0].strangers[0].text, "wg0");
	nestings_free(&found);
}

/* A process in the fenced group, with a socket that it made there or brought along. */
static pid_t start_holder(enum group made_in)
{
	int ready[2];
	char byte;
	pid_t child;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (sandbox_sit(&ground.sandbox, false, made_in == GROUP_OUTSIDE, NULL) ||
		    socket(AF_INET, SOCK_DGRAM, 0) < 0 || socket(AF_PACKET, SOCK_RAW, 0) < 0 ||
		    socket(AF_UNIX, SOCK_DGRAM, 0) < 0 || sandbox_sit(&ground.sandbox, false, false, NULL) ||
		    write(ready[1], "x", 1) != 1)
			_exit(1);
		pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return child;
}

static void who_holds_a_socket_from_elsewhere_is_named(void **state)
{
	struct socket_holders holders;
	struct policy policy = *scene_find_policy(&ground.policies, FENCE);
	pid_t own, stranger;

	(void)state;
	assert_int_equal(sandbox_sit(&ground.sandbox, false, true, NULL), 0);
	raise_around(AROUND); /* its guard answers other questions */
	must_up(ONLY(GROUP_FENCED));
	policy.rodata.groups[0].id = ground.sandbox.fenced.id;
	own = start_holder(GROUP_FENCED);
	stranger = start_holder(GROUP_OUTSIDE);
	assert_int_equal(sockets_find_strangers(ground.sandbox.fenced.path, &policy.rodata, &holders, NULL),
			 0);
	kill(own, SIGKILL);
	kill(stranger, SIGKILL);
	waitpid(own, NULL, 0);
	waitpid(stranger, NULL, 0);
	assert_int_equal(holders.count, 1);
	assert_int_equal(holders.list[0].pid, stranger);
}

/* ---- at the devices ---- */

/* At the wire hook of eth0, until they are closed: programs that pass on to the next. */
static size_t fill_tcx(int links[HOOK_MAX_PROGRAMS])
{
	size_t i;

	for (i = 0; i < HOOK_MAX_PROGRAMS; i++) {
		links[i] = attach_next();
		if (links[i] < 0)
			break;
	}
	return i;
}

static void where_tcx_is_full_there_is_a_filter(void **state)
{
	const __u32 place = hooks[HOOK_WIRE].place;
	const int eth0 = (int)if_nametoindex("eth0");
	int links[HOOK_MAX_PROGRAMS];
	struct dispatcher d;
	__u32 id;
	size_t i, count;

	(void)state;
	if (!hook_has_tcx())
		skip();
	dispatcher_init(&d);
	assert_int_equal(dispatcher_find(&d, &ground.pins, policy_for(0).rodata.netns), 0);
	count = fill_tcx(links);
	assert_true(count >= 32 && count < HOOK_MAX_PROGRAMS);
	must_up(ONLY(GROUP_FENCED));
	assert_int_equal(wire_standing(), STANDING_CLSACT);
	assert_int_equal(hook_clsact_query(eth0, place, fence_handle(d.filter), &id), 0);
	assert_fenced(GROUP_FENCED, true);
	assert_fenced(GROUP_OUTSIDE, false);
	for (i = 0; i < count; i++) {
		hook_link_detach(links[i]);
		close(links[i]);
	}
	must_up(ONLY(GROUP_FENCED));
	assert_int_equal(wire_standing(), STANDING_TCX);
	assert_int_equal(hook_clsact_query(eth0, place, fence_handle(d.filter), &id), -ENOENT);
	assert_fenced(GROUP_FENCED, true);
}

/* In a process of its own, whose end takes the namespaces and every fence with it. */
static int inside(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(each_group_is_held, lower),
		cmocka_unit_test_teardown(pins_of_groups_come_and_go, lower),
		cmocka_unit_test_teardown(links_of_an_earlier_version_are_taken_over, lower),
		cmocka_unit_test_teardown(a_group_made_anew_is_another, lower),
		cmocka_unit_test(a_group_inside_another_is_left_to_it),
		cmocka_unit_test_teardown(fences_around_a_fence_are_found, lower),
		cmocka_unit_test_teardown(who_holds_a_socket_from_elsewhere_is_named, lower),
		cmocka_unit_test_teardown(where_tcx_is_full_there_is_a_filter, lower),
		cmocka_unit_test_teardown(no_step_frees_the_old_group_before_the_new_one_is_fenced,
					  lower),
	};
	struct err e = {};
	int r = ground_enter(&e);

	if (r)
		fprintf(stderr, "%s\n", e.text);
	else
		r = cmocka_run_group_tests(tests, NULL, NULL);
	ground_leave();
	return r != 0;
}

int main(void)
{
	cmocka_set_test_filter(getenv("TUNFENCE_TEST")); /* one, or all of them */
	return sandbox_main(&ground.sandbox, "test_groups", inside);
}
