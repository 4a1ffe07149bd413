// SPDX-License-Identifier: GPL-2.0
/*
 * What stands on a device for all fences of cgroups: that each fence a sender is in is asked, and no
 * other; that what cannot be asked drops; and what coming, going and being killed on the way leaves.
 * Sends for real; the kernel says what became of it.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>
#include <net/if.h>

#include "dispatcher.h"
#include "kernel/ground.h"
#include "loader.h"
#include "util.h"

#define MOST_STEPS 2000
#define STRIDE 11
#define TAIL_CALLS 33 /* MAX_TAIL_CALL_CNT, include/linux/bpf.h */

static int lower_name(const char *name, void *data)
{
	(void)data;
	return lower_fence(name);
}

static int lower_all(void **state)
{
	(void)state;
	return pin_each_fence(&ground.pins, lower_name, NULL);
}

/* A fence of its own name around the groups whose bit is set. */
static int up(const char *name, unsigned int groups, enum tf_mode mode, struct err *e)
{
	struct policy policy = policy_for(groups);
	struct pins where;

	policy.rodata.mode = mode;
	snprintf(policy.rodata.fence, sizeof(policy.rodata.fence), "%s", name);
	assert_int_equal(pins_of_another(&ground.pins, name, &where), 0);
	return raise_at(&where, &policy, &ground.places, e);
}

static void must_up(const char *name, unsigned int groups, enum tf_mode mode)
{
	struct err e = {};

	if (up(name, groups, mode, &e))
		fail_msg("%s: %s", name, e.text);
}

static void find_dispatcher(struct dispatcher *ret)
{
	struct err e = {};

	if (dispatcher_open(&ground.pins, policy_for(0).rodata.netns, ret, &e))
		fail_msg("%s", e.text);
}

static int count_name(const char *name, void *data)
{
	(void)name;
	++*(size_t *)data;
	return 0;
}

static size_t count_dispatchers(void)
{
	size_t count = 0;

	assert_int_equal(pin_each_dispatcher(&ground.pins, count_name, &count), 0);
	return count;
}

/* Programs at the wire hook of eth0. Where there is no tcx they are filters, which are not counted. */
static void assert_at_eth0(__u32 count)
{
	struct hook_tcx tcx;

	if (!hook_has_tcx())
		return;
	assert_int_equal(
		hook_tcx_query((int)if_nametoindex("eth0"), hooks[HOOK_WIRE].place, &tcx), 0);
	assert_int_equal(tcx.count, count);
}

static void one_program_stands_for_all_fences(void **state)
{
	(void)state;
	must_up("a", ONLY(GROUP_FENCED), TF_MODE_ENFORCE);
	must_up("b", ONLY(GROUP_FENCED), TF_MODE_OBSERVE);
	must_up("c", ONLY(GROUP_OUTSIDE), TF_MODE_OBSERVE);
	assert_at_eth0(1);
	assert_fenced(GROUP_FENCED, true);
	assert_fenced(GROUP_OUTSIDE, false);
}

/* Whichever comes first: one that passes asks the next. */
static void every_fence_must_pass(void **state)
{
	(void)state;
	must_up("watches", ONLY(GROUP_FENCED), TF_MODE_OBSERVE);
	assert_fenced(GROUP_FENCED, false);
	must_up("drops", ONLY(GROUP_FENCED), TF_MODE_ENFORCE);
	assert_fenced(GROUP_FENCED, true);
	must_up("watches too", ONLY(GROUP_FENCED), TF_MODE_OBSERVE);
	assert_fenced(GROUP_FENCED, true);
	assert_int_equal(lower_fence("watches"), 0);
	assert_fenced(GROUP_FENCED, true);
	assert_int_equal(lower_fence("drops"), 0);
	assert_fenced(GROUP_FENCED, false);
}

static void the_last_fence_takes_it_away(void **state)
{
	(void)state;
	must_up("a", ONLY(GROUP_FENCED), TF_MODE_ENFORCE);
	must_up("b", ONLY(GROUP_OUTSIDE), TF_MODE_ENFORCE);
	assert_int_equal(lower_fence("a"), 0);
	assert_fenced(GROUP_FENCED, false);
	assert_fenced(GROUP_OUTSIDE, true);
	assert_int_equal(count_dispatchers(), 1);
	assert_int_equal(lower_fence("b"), 0);
	assert_fenced(GROUP_OUTSIDE, false);
	assert_int_equal(count_dispatchers(), 0);
	assert_at_eth0(0);
}

static void a_slot_without_a_judge_drops(void **state)
{
	_cleanup_dispatcher_ struct dispatcher d;
	__u32 slot;

	(void)state;
	must_up(FENCE, ONLY(GROUP_FENCED), TF_MODE_OBSERVE);
	find_dispatcher(&d);
	slot = dispatcher_slot(&d, FENCE);
	assert_true(slot > 0);
	assert_fenced(GROUP_FENCED, false);
	assert_int_equal(wire_standing(), hook_has_tcx() ? STANDING_TCX : STANDING_CLSACT);
	assert_int_equal(bpf_map_delete_elem(d.map[DISPATCHER_JUDGES], &slot), 0);
	assert_int_equal(wire_standing(), STANDING_MISSING);
	assert_false(send_from(GROUP_FENCED).frame);
	assert_fenced(GROUP_OUTSIDE, false);
	must_up(FENCE, ONLY(GROUP_FENCED), TF_MODE_OBSERVE);
	assert_fenced(GROUP_FENCED, false);
}

static void a_cgroup_that_is_no_member_shows(void **state)
{
	_cleanup_dispatcher_ struct dispatcher d;
	const __u64 id = ground.places.list[GROUP_FENCED].id;

	(void)state;
	must_up(FENCE, ONLY(GROUP_FENCED), TF_MODE_ENFORCE);
	find_dispatcher(&d);
	assert_int_equal(bpf_map_delete_elem(d.map[DISPATCHER_MEMBERS], &id), 0);
	assert_int_equal(wire_standing(), STANDING_MISSING);
	must_up(FENCE, ONLY(GROUP_FENCED), TF_MODE_ENFORCE);
	assert_true(standing_is_good(wire_standing()));
	assert_fenced(GROUP_FENCED, true);
}

/* The kernel calls no further: what has not been asked has not passed. */
static void more_fences_than_the_kernel_calls_drop(void **state)
{
	char name[16];
	int i;

	(void)state;
	for (i = 0; i < TAIL_CALLS; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		must_up(name, ONLY(GROUP_FENCED), TF_MODE_OBSERVE);
		if (i == 30) /* Linux before 5.17 on some machines: 32 */
			assert_fenced(GROUP_FENCED, false);
	}
	must_up("one too many", ONLY(GROUP_FENCED), TF_MODE_OBSERVE);
	assert_false(send_from(GROUP_FENCED).frame);
	assert_fenced(GROUP_OUTSIDE, false);
}

/* Every other slot but this one is a fence's that is there. */
static void take_all_but(const struct dispatcher *d, const char *holder, __u32 but)
{
	static const struct tf_slot nobody;
	struct tf_slot taken = {};
	__u32 slot;

	snprintf(taken.fence, sizeof(taken.fence), "%s", holder);
	for (slot = 2; slot < TF_SLOTS; slot++)
		assert_int_equal(bpf_map_update_elem(d->map[DISPATCHER_SLOTS], &slot,
						     slot == but ? &nobody : &taken, BPF_ANY),
				 0);
}

/* Both sides of each border between the words of a set. */
static void slots_far_apart_are_all_asked(void **state)
{
	static const __u32 borders[] = { 63, 64, 127, 128, 191, 192, TF_SLOTS - 1 };
	_cleanup_dispatcher_ struct dispatcher d;
	size_t i;

	(void)state;
	must_up("first", ONLY(GROUP_FENCED), TF_MODE_OBSERVE);
	find_dispatcher(&d);
	assert_int_equal(dispatcher_slot(&d, "first"), 1);
	for (i = 0; i < ARRAY_SIZE(borders); i++) {
		take_all_but(&d, "first", borders[i]);
		must_up("last", ONLY(GROUP_FENCED), TF_MODE_ENFORCE);
		assert_int_equal(dispatcher_slot(&d, "last"), borders[i]);
		assert_at_eth0(1);
		assert_fenced(GROUP_FENCED, true);
		assert_int_equal(lower_fence("last"), 0);
		assert_fenced(GROUP_FENCED, false);
	}
	take_all_but(&d, "", 2);
}

static void where_no_slot_is_free_a_fence_stands_by_itself(void **state)
{
	_cleanup_dispatcher_ struct dispatcher d;

	(void)state;
	must_up("first", ONLY(GROUP_FENCED), TF_MODE_OBSERVE);
	find_dispatcher(&d);
	take_all_but(&d, "first", TF_SLOTS);
	must_up("more", ONLY(GROUP_OUTSIDE), TF_MODE_ENFORCE);
	assert_int_equal(dispatcher_slot(&d, "more"), 0);
	assert_at_eth0(2);
	assert_fenced(GROUP_OUTSIDE, true);
	/* When there is one it moves, and stays fenced when there is none again. */
	take_all_but(&d, "", 2);
	must_up("more", ONLY(GROUP_OUTSIDE), TF_MODE_ENFORCE);
	assert_at_eth0(1);
	assert_fenced(GROUP_OUTSIDE, true);
	assert_fenced(GROUP_FENCED, false);
}

static void a_kernel_without_it_has_a_program_for_each(void **state)
{
	(void)state;
	setenv("TUNFENCE_FAULT", "no-dispatcher", 1);
	must_up("a", ONLY(GROUP_FENCED), TF_MODE_ENFORCE);
	must_up("b", ONLY(GROUP_OUTSIDE), TF_MODE_ENFORCE);
	unsetenv("TUNFENCE_FAULT");
	assert_int_equal(count_dispatchers(), 0);
	assert_at_eth0(2);
	assert_fenced(GROUP_FENCED, true);
	must_up("a", ONLY(GROUP_FENCED), TF_MODE_ENFORCE);
	must_up("b", ONLY(GROUP_OUTSIDE), TF_MODE_ENFORCE);
	assert_at_eth0(1);
	assert_fenced(GROUP_FENCED, true);
	assert_fenced(GROUP_OUTSIDE, true);
}

static void up_puts_it_in_front_again(void **state)
{
	int link;

	(void)state;
	if (!hook_has_tcx())
		skip();
	must_up(FENCE, ONLY(GROUP_FENCED), TF_MODE_ENFORCE);
	assert_at_eth0(1);
	link = attach_next();
	assert_true(link >= 0);
	assert_int_equal(wire_standing(), STANDING_BEHIND);
	assert_fenced(GROUP_FENCED, true);
	must_up(FENCE, ONLY(GROUP_FENCED), TF_MODE_ENFORCE);
	assert_int_equal(wire_standing(), STANDING_TCX);
	assert_at_eth0(2);
	assert_fenced(GROUP_FENCED, true);
	hook_link_detach(link);
	close(link);
}

/* What the kernel would empty if nobody held it is held out of everybody's reach. */
static void pins_that_are_shown_hold_nothing(void **state)
{
	char command[PATH_MAX + 16];

	(void)state;
	must_up(FENCE, ONLY(GROUP_FENCED), TF_MODE_OBSERVE);
	must_up("drops", ONLY(GROUP_OUTSIDE), TF_MODE_ENFORCE);
	snprintf(command, sizeof(command), "rm -r '%s'/*", ground.pins.shown_root);
	assert_int_equal(system(command), 0);
	assert_fenced(GROUP_FENCED, false);
	assert_fenced(GROUP_OUTSIDE, true);
	must_up(FENCE, ONLY(GROUP_FENCED), TF_MODE_ENFORCE);
	assert_fenced(GROUP_FENCED, true);
}

/* Runs act() in a child that is killed after so many steps. Returns whether it was. */
static bool killed_at(int step, int (*act)(void))
{
	char text[12];
	int status;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		snprintf(text, sizeof(text), "%d", step);
		setenv("TUNFENCE_FAULT", text, 1);
		_exit(act() != 0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
	return WIFSIGNALED(status);
}

static int lower_b(void)
{
	return lower_fence("b");
}

static int raise_b(void)
{
	return up("b", ONLY(GROUP_FENCED), TF_MODE_ENFORCE, NULL);
}

/* As the watcher does it, of whatever is left. */
static void heal_b(void)
{
	_cleanup_fence_ struct fence *f = NULL;
	_cleanup_policy_ struct policy *policy = NULL;
	const struct cgroups none = {};
	struct links links = {};
	struct pins where;
	int raised;

	assert_int_equal(pins_of_another(&ground.pins, "b", &where), 0);
	if (fence_open(&where, "b", &f, NULL))
		return;
	assert_int_equal(maps_read(&f->maps, &policy, NULL), 0);
	assert_int_equal(links_read(&links, NULL), 0);
	loader_heal(f, policy, &ground.places, &none, &links, &raised, NULL);
	links_free(&links);
}

/* What 'down' left when it was killed, and what somebody made of it: another fence comes meanwhile,
 * and the watcher puts right what it finds. */
static void half_a_fence_gets_nobody_elses_slot(void **state)
{
	_cleanup_dispatcher_ struct dispatcher d;
	int released;

	(void)state;
	must_up("watches", ONLY(GROUP_OUTSIDE), TF_MODE_OBSERVE);
	find_dispatcher(&d);
	for (released = 0; released < 2; released++) {
		assert_int_equal(raise_b(), 0);
		assert_int_equal(dispatcher_leave(&d, "b", NULL), 0);
		if (released)
			assert_int_equal(dispatcher_release(&d, "b", NULL), 0);
		must_up("c", ONLY(GROUP_OUTSIDE), TF_MODE_ENFORCE);
		heal_b();
		assert_fenced(GROUP_OUTSIDE, true);
		assert_int_equal(lower_b(), 0);
		assert_fenced(GROUP_OUTSIDE, true);
		assert_fenced(GROUP_FENCED, false);
		assert_int_equal(lower_fence("c"), 0);
	}
}

/* Whatever is left of a fence, others that come and go meanwhile are held, and it can be raised or
 * taken down like a whole one. */
static void killed_on_the_way_it_holds_the_others(void **state)
{
	int (*const acts[])(void) = { raise_b, lower_b };
	bool killed = true;
	int step;
	size_t i;

	(void)state;
	for (step = 1; killed && step < MOST_STEPS; step += STRIDE) {
		killed = false;
		for (i = 0; i < ARRAY_SIZE(acts); i++) {
			must_up("watches", ONLY(GROUP_OUTSIDE), TF_MODE_OBSERVE);
			if (acts[i] == lower_b)
				assert_int_equal(raise_b(), 0);
			killed = killed_at(step, acts[i]) || killed;
			must_up("c", ONLY(GROUP_OUTSIDE), TF_MODE_ENFORCE);
			heal_b();
			assert_fenced(GROUP_OUTSIDE, true);
			assert_int_equal(lower_b(), 0);
			assert_fenced(GROUP_FENCED, false);
			assert_fenced(GROUP_OUTSIDE, true);
			assert_int_equal(lower_fence("c"), 0);
			assert_int_equal(lower_fence("watches"), 0);
			assert_int_equal(count_dispatchers(), 0);
		}
	}
	assert_true(step > 40 && !killed);
}

/* In a process of its own, whose end takes the namespaces and every fence with it. */
static int inside(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(one_program_stands_for_all_fences, lower_all),
		cmocka_unit_test_teardown(every_fence_must_pass, lower_all),
		cmocka_unit_test_teardown(the_last_fence_takes_it_away, lower_all),
		cmocka_unit_test_teardown(a_slot_without_a_judge_drops, lower_all),
		cmocka_unit_test_teardown(a_cgroup_that_is_no_member_shows, lower_all),
		cmocka_unit_test_teardown(more_fences_than_the_kernel_calls_drop, lower_all),
		cmocka_unit_test_teardown(slots_far_apart_are_all_asked, lower_all),
		cmocka_unit_test_teardown(where_no_slot_is_free_a_fence_stands_by_itself, lower_all),
		cmocka_unit_test_teardown(up_puts_it_in_front_again, lower_all),
		cmocka_unit_test_teardown(pins_that_are_shown_hold_nothing, lower_all),
		cmocka_unit_test_teardown(half_a_fence_gets_nobody_elses_slot, lower_all),
		cmocka_unit_test_teardown(killed_on_the_way_it_holds_the_others, lower_all),
		/* Counts this process's steps, which its children would count on from. */
		cmocka_unit_test_teardown(a_kernel_without_it_has_a_program_for_each, lower_all),
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
	return sandbox_main(&ground.sandbox, "test_dispatcher", inside);
}
