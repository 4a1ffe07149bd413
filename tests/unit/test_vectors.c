// SPDX-License-Identifier: GPL-2.0
/*
 * Every packet vector, judged natively: each is a test of its own. Then each cut off at every
 * length, which must open nothing. And that the committed files are what the generator writes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <tunfence/facts.h>

#include "reason.h"
#include "util.h"
#include "vectors/scene.h"
#include "vectors/vector.h"

/* The least that may be committed; a vector is added, not lost. */
#define LEAST_VECTORS 1160
#define LEAST_PER_REASON 2

static const struct scene_place place = {
	.netns = 4026531999U, .other_netns = 4026532333U, .cgroup_id = 4711, .cgroup_level = 2,
	.exempt_id = 4712, .exempt_level = 3,
};

static struct vectors vectors;
static struct scene_policies policies;

/* What the vector's policy says of its first bytes, if no more are there; all comes after what the
 * vector comes after. */
static struct tf_decision judge_cut(const struct vector *v, enum tf_plane plane, __u32 bytes)
{
	const struct policy *policy = scene_find_policy(&policies, v->policy);
	_cleanup_free_ struct scene_memory *memory = calloc(1, sizeof(*memory));
	_cleanup_shot_ struct scene_shot *whole = scene_shot_new(v, plane);
	_cleanup_shot_ struct scene_shot *shot = NULL, *before = NULL;

	assert_non_null(memory);
	assert_non_null(whole);
	if (v->after[0]) {
		before = scene_shot_new(vectors_find(&vectors, v->after), plane);
		assert_non_null(before);
		scene_judge(before, policy, &place, memory);
	}
	shot = scene_shot_with(whole, whole->frame, bytes < whole->bytes ? bytes : whole->bytes);
	assert_non_null(shot);
	return scene_judge(shot, policy, &place, memory);
}

static void complain(const struct vector *v, enum tf_plane plane, struct tf_decision got)
{
	vector_print(stdout, v);
	fail_msg("'%s' on the %s plane: expected %s %s, got %s %s", v->name,
		 plane_name(plane),
		 v->expect[plane].verdict == TF_PASS ? "pass" : "drop",
		 reason_name(v->expect[plane].reason), got.verdict == TF_PASS ? "pass" : "drop",
		 reason_name(got.reason));
}

static void judge_vector(void **state)
{
	const struct vector *v = *state;
	int plane;

	for (plane = 0; plane < TF_PLANES; plane++) {
		struct tf_decision got;

		if (!v->plane[plane])
			continue;
		got = judge_cut(v, (enum tf_plane)plane, ~0U);
		if (got.verdict != v->expect[plane].verdict ||
		    got.reason != v->expect[plane].reason)
			complain(v, (enum tf_plane)plane, got);
	}
}

static bool is_open(enum tf_reason reason)
{
	return tf_reason_verdict(reason) == TF_PASS;
}

/* Less of a packet is never more allowed. Of one with a trailer, what is left without it is. */
static void check_cut(const struct vector *v, enum tf_plane plane, __u32 bytes)
{
	enum tf_reason whole = v->expect[plane].reason, cut = judge_cut(v, plane, bytes).reason;

	if (!is_open(cut) || cut == whole || whole == TF_REASON_TRAILER)
		return;
	vector_print(stdout, v);
	fail_msg("'%s' on the %s plane is '%s', but cut off after %u bytes '%s'", v->name,
		 plane == TF_PLANE_SOCKET ? "socket" : "wire", reason_name(whole), bytes,
		 reason_name(cut));
}

static void a_packet_cut_off_anywhere_is_no_more_allowed(void **state)
{
	size_t i;
	int plane;
	__u32 bytes;

	(void)state;
	for (i = 0; i < vectors.count; i++) {
		const struct vector *v = &vectors.items[i];

		for (plane = 0; plane < TF_PLANES; plane++) {
			for (bytes = 0; v->plane[plane] && bytes < v->length + 14; bytes++)
				check_cut(v, (enum tf_plane)plane, bytes);
		}
	}
}

static void a_first_fragment_opens_nothing_on_the_other_plane(void **state)
{
	const struct vector *first = vectors_find(&vectors, "frag-first-endpoint");
	const struct vector *later = vectors_find(&vectors, "frag-later-endpoint");
	const struct policy *policy = scene_find_policy(&policies, "strict");
	int plane;

	(void)state;
	for (plane = TF_PLANE_SOCKET; plane <= TF_PLANE_WIRE; plane++) {
		_cleanup_free_ struct scene_memory *memory = calloc(1, sizeof(*memory));
		_cleanup_shot_ struct scene_shot *one = scene_shot_new(first, (enum tf_plane)plane);
		_cleanup_shot_ struct scene_shot *two = NULL;

		two = scene_shot_new(later, plane ? TF_PLANE_SOCKET : TF_PLANE_WIRE);
		assert_true(memory && one && two);
		assert_int_equal(scene_judge(one, policy, &place, memory).verdict, TF_PASS);
		assert_int_equal(scene_judge(two, policy, &place, memory).reason,
				 TF_REASON_STRAY_FRAGMENT);
	}
}

/* Of IP packets whose bytes and offload are the same without a link header. */
static bool is_of_both(const struct vector *v)
{
	return v->plane[TF_PLANE_WIRE] && !v->framed && !v->shared && !v->offload.checksum &&
	       v->offload.network == VECTOR_TRUE && v->offload.transport == VECTOR_TRUE &&
	       scene_find_device(v->device)->link != TF_LINK_UNKNOWN;
}

static void the_namespace_plane_judges_as_the_wire_plane(void **state)
{
	size_t i, count = 0;

	(void)state;
	assert_true(tf_begins_with_ip(TF_PLANE_NAMESPACE));
	for (i = 0; i < vectors.count; i++) {
		const struct vector *v = &vectors.items[i];
		enum tf_reason wanted = v->expect[TF_PLANE_WIRE].reason, got;

		if (!is_of_both(v))
			continue;
		count++;
		got = judge_cut(v, TF_PLANE_NAMESPACE, ~0U).reason;
		if (got != wanted)
			fail_msg("'%s' is '%s' on the namespace plane, '%s' on the wire", v->name,
				 reason_name(got), reason_name(wanted));
	}
	assert_true(count >= LEAST_VECTORS / 2);
}

/* A vector counts once for a reason, on however many planes it is given. */
static void count_reasons(const struct vector *v, unsigned int given[TF_REASON_COUNT])
{
	bool counted[TF_REASON_COUNT] = {};
	int plane;

	for (plane = 0; plane < TF_PLANES; plane++) {
		enum tf_reason reason = v->expect[plane].reason;

		if (v->plane[plane] && !counted[reason])
			given[reason]++;
		counted[reason] |= v->plane[plane];
	}
}

/* The guard plane's: it judges calls, not packets. */
static bool is_given_to_calls(unsigned int reason)
{
	return reason == TF_REASON_NO_TUNNEL || reason == TF_REASON_BYPASS;
}

static void every_reason_is_given_at_least_twice(void **state)
{
	unsigned int given[TF_REASON_COUNT] = {}, reason;
	size_t i;

	(void)state;
	assert_true(vectors.count >= LEAST_VECTORS);
	for (i = 0; i < vectors.count; i++) {
		const struct vector *v = &vectors.items[i];

		count_reasons(v, given);
	}
	/* "unknown" is what no packet is given: test_decide.c has it. */
	for (reason = TF_REASON_UNKNOWN + 1; reason < TF_REASON_COUNT; reason++) {
		if (given[reason] < LEAST_PER_REASON && !is_given_to_calls(reason))
			fail_msg("reason '%s' is given by %u vectors only",
				 reason_name((enum tf_reason)reason), given[reason]);
	}
}

static void the_files_are_what_the_generator_writes(void **state)
{
	(void)state;
	if (system("/usr/bin/python3 -c 'import scapy' 2>/dev/null"))
		skip(); /* python3-scapy is not installed */
	assert_int_equal(system(VECTOR_DIRECTORY "/generate --check"), 0);
}

static int run(void)
{
	_cleanup_free_ struct CMUnitTest *tests = calloc(vectors.count + 5, sizeof(*tests));
	const struct CMUnitTest others[] = {
		cmocka_unit_test(a_packet_cut_off_anywhere_is_no_more_allowed),
		cmocka_unit_test(a_first_fragment_opens_nothing_on_the_other_plane),
		cmocka_unit_test(the_namespace_plane_judges_as_the_wire_plane),
		cmocka_unit_test(every_reason_is_given_at_least_twice),
		cmocka_unit_test(the_files_are_what_the_generator_writes),
	};
	size_t i;

	if (!tests)
		return 1;
	for (i = 0; i < vectors.count; i++) {
		tests[i].name = vectors.items[i].name;
		tests[i].test_func = judge_vector;
		tests[i].initial_state = &vectors.items[i];
	}
	memcpy(tests + vectors.count, others, sizeof(others));
	return _cmocka_run_group_tests("vectors", tests, vectors.count + ARRAY_SIZE(others), NULL,
				       NULL);
}

int main(void)
{
	struct err e = {};
	int r = vectors_read(VECTOR_DIRECTORY, &vectors, &e);

	if (!r)
		r = scene_policies_read(&vectors, &place, &policies, &e);
	if (r)
		fprintf(stderr, "%s\n", e.text);
	else
		r = run();
	scene_policies_free(&policies);
	vectors_free(&vectors);
	return r != 0;
}
