// SPDX-License-Identifier: GPL-2.0
/*
 * What the programs remember of destinations, in the map recent, makes no difference but to time.
 * All of it is overwritten with every number there could be and some that there could not, as a race
 * or a stray write might, and every packet is judged as it is by the trie alone.
 *
 * That it is used at all shows in a policy that contradicts itself: it has a prefix twice, of which
 * the trie knows the second; a remembered number leads to the first. No configuration makes that.
 *
 * And live_hashes has whatever live_endpoints has, and no more than that.
 *
 * All of that twice, as in test_run.c: by plain loads and by what the loader falls back to.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <tunfence/policy.h>

#include "kernel/raised.h"
#include "kernel/sandbox.h"
#include "util.h"
#include "vectors/scene.h"
#include "vectors/vector.h"

#define RULES VECTOR_DIRECTORY "/policies/rules.conf"
#define SLOTS (1 << TF_RECENT_BITS)
#define NOWHERE 0xffffffffU /* no network has this number, so the trie is asked */

enum { HONEST, CONTRADICTING };

static bool fallback;
static struct sandbox sandbox;
static struct vectors vectors;
static struct scene_policies policies;
static struct raised *fences;
static int fillers[2] = { -1, -1 }; /* programs that overwrite the memory of each fence */

/* ---- the memory ------------------------------------------------------------------------------ */

/* Since the map is frozen: a program that writes skb->mark to all of it. */
static int load_filler(const struct maps *m)
{
	const int fd = m->fd[MAP_RECENT];
	struct bpf_insn program[SLOTS + 5] = {
		{ BPF_LDX | BPF_MEM | BPF_W, 6, 1, offsetof(struct __sk_buff, mark), 0 },
		{ BPF_LD | BPF_IMM | BPF_DW, 2, BPF_PSEUDO_MAP_VALUE, 0, fd },
	};
	size_t i, count = 3; /* the address takes two */

	for (i = 0; i < SLOTS; i++)
		program[count++] = (struct bpf_insn){ BPF_STX | BPF_MEM | BPF_W, 2, 6,
						      (__s16)(i * sizeof(__u32)), 0 };
	program[count++] = (struct bpf_insn){ BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 0 };
	program[count++] = (struct bpf_insn){ BPF_JMP | BPF_EXIT, 0, 0, 0, 0 };
	return bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "fill", "GPL", program, count, NULL);
}

static void fill(size_t fence, __u32 number)
{
	struct __sk_buff context = { .mark = number };
	__u8 data[64] = {};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = data, .data_size_in = sizeof(data),
		    .ctx_in = &context, .ctx_size_in = sizeof(context));

	assert_int_equal(bpf_prog_test_run_opts(fillers[fence], &opts), 0);
}

static struct tf_recent memory_of(size_t fence)
{
	struct tf_recent all;
	const __u32 zero = 0;

	assert_int_equal(
		bpf_map_lookup_elem(fences[fence].fence->maps.fd[MAP_RECENT], &zero, &all), 0);
	return all;
}

/* How many slots are not as they were filled; the last of those. */
static size_t changed(size_t fence, __u32 filled, __u32 *ret)
{
	const struct tf_recent all = memory_of(fence);
	size_t i, count = 0;

	for (i = 0; i < SLOTS; i++) {
		if (all.network[i] == filled)
			continue;
		*ret = all.network[i];
		count++;
	}
	return count;
}

/* ---- a packet -------------------------------------------------------------------------------- */

static struct scene_shot *shot_of(const struct vector *v, enum tf_plane plane)
{
	struct scene_shot *s = scene_shot_new(v, plane);

	assert_non_null(s);
	s->ifindex = (__u32)sandbox.ifindex[0][s->device - scene_devices];
	raised_make_expressible(s);
	return s;
}

/* TF_REASON_UNKNOWN: the kernel refuses so short a frame. */
static struct tf_decision judge(size_t fence, const struct scene_shot *s, enum tf_reason guess)
{
	struct tf_decision d = {};
	int r = raised_run(&fences[fence], s, &d.verdict);

	assert_true(r >= 0);
	if (r)
		assert_int_equal(raised_reason(&fences[fence], s->plane, guess, &d.reason), 0);
	return d;
}

static enum tf_verdict verdict_on(size_t fence, const char *vector, enum tf_plane plane)
{
	_cleanup_shot_ struct scene_shot *s = shot_of(vectors_find(&vectors, vector), plane);

	return judge(fence, s, TF_REASON_DESTINATION).verdict;
}

/* ---- the tests ------------------------------------------------------------------------------- */

/* By the trie alone, then with each number in each slot, then with what that left there. */
static enum tf_verdict must_be_alike(const struct vector *v, enum tf_plane plane, __u32 networks)
{
	_cleanup_shot_ struct scene_shot *s = shot_of(v, plane);
	const __u32 strays[] = { networks, networks + 1, 0x7fffffff, 0x80000000, NOWHERE };
	struct tf_decision wanted, got;
	__u32 i, turn;

	fill(HONEST, NOWHERE);
	wanted = judge(HONEST, s, v->expect[plane].reason);
	for (i = 0; i < networks + ARRAY_SIZE(strays); i++) {
		fill(HONEST, i < networks ? i : strays[i - networks]);
		for (turn = 0; turn < 2; turn++) {
			got = judge(HONEST, s, wanted.reason);
			if (got.verdict != wanted.verdict || got.reason != wanted.reason)
				fail_msg("'%s' on plane %u: reason %u instead of %u with %u of %u in "
					 "each slot", v->name, plane, got.reason, wanted.reason, i,
					 networks);
		}
	}
	return wanted.verdict;
}

static void whatever_is_remembered_changes_no_verdict(void **state)
{
	const __u32 networks = (__u32)fences[HONEST].policy->prefix_count;
	size_t i, plane, passed = 0, dropped = 0;

	(void)state;
	assert_true(networks > 10);
	for (i = 0; i < vectors.count * RAISED_PLANES; i++) {
		const struct vector *v = &vectors.items[i / RAISED_PLANES];

		plane = raised_planes[i % RAISED_PLANES];
		if (!v->plane[plane] || !streq(v->policy, "rules") || v->after[0])
			continue;
		assert_int_equal(raised_forget(&fences[HONEST]), 0);
		if (must_be_alike(v, (enum tf_plane)plane, networks) == TF_PASS)
			passed++;
		else
			dropped++;
	}
	print_message("%zu passed, %zu dropped, each with %u networks\n", passed, dropped, networks);
	assert_true(passed > 50 && dropped > 50);
}

static void a_leaf_is_remembered(void **state)
{
	const struct policy *p = fences[HONEST].policy;
	enum tf_plane plane;

	(void)state;
	for (plane = TF_PLANE_SOCKET; plane <= TF_PLANE_WIRE; plane++) {
		__u32 number = 0;

		fill(HONEST, NOWHERE);
		assert_int_equal(verdict_on(HONEST, "to-ntp", plane), TF_PASS); /* 192.0.2.123 */
		assert_int_equal(changed(HONEST, NOWHERE, &number), 1);
		assert_true(number < p->prefix_count);
		assert_int_equal(p->prefixes[number].key.bits, 128);
		assert_int_equal(p->prefixes[number].key.addr.byte[15], 123);
		assert_int_equal(verdict_on(HONEST, "to-ntp", plane), TF_PASS);
		assert_int_equal(changed(HONEST, NOWHERE, &number), 1);
	}
}

/* Those of 198.51.100.192/26, or each would make the next forgotten. */
static void neighbours_have_places_of_their_own(void **state)
{
	_cleanup_shot_ struct scene_shot *s =
		shot_of(vectors_find(&vectors, "to-ntp"), TF_PLANE_SOCKET);
	static const __u8 network[] = { 198, 51, 100 };
	__u32 number = 0;
	unsigned int i;

	(void)state;
	fill(HONEST, NOWHERE);
	memcpy(s->frame + 16, network, sizeof(network));
	for (i = 192; i < 256; i++) {
		s->frame[19] = (__u8)i;
		assert_int_equal(judge(HONEST, s, TF_REASON_DESTINATION).verdict, TF_PASS);
	}
	assert_in_range(changed(HONEST, NOWHERE, &number), 48, 64);
}

/* A longer one within it may be the match of another address with the same slot. */
static void what_covers_others_is_not_remembered(void **state)
{
	enum tf_plane plane;

	(void)state;
	for (plane = TF_PLANE_SOCKET; plane <= TF_PLANE_WIRE; plane++) {
		__u32 number = 0;

		fill(HONEST, NOWHERE);
		assert_int_equal(verdict_on(HONEST, "to-ntp-neighbour", plane), TF_DROP);
		assert_int_equal(changed(HONEST, NOWHERE, &number), 0);
	}
}

static void what_is_remembered_is_asked_first(void **state)
{
	enum tf_plane plane;

	(void)state;
	for (plane = TF_PLANE_SOCKET; plane <= TF_PLANE_WIRE; plane++) {
		__u32 number = 0;

		fill(CONTRADICTING, 0); /* a leaf that allows it */
		assert_int_equal(verdict_on(CONTRADICTING, "to-ntp", plane), TF_PASS);
		fill(CONTRADICTING, 1); /* what the trie knows, and is no leaf */
		assert_int_equal(verdict_on(CONTRADICTING, "to-ntp", plane), TF_DROP);
		fill(CONTRADICTING, NOWHERE);
		assert_int_equal(verdict_on(CONTRADICTING, "to-ntp", plane), TF_DROP);
		assert_int_equal(changed(CONTRADICTING, NOWHERE, &number), 0);
	}
}

/* The endpoints from the addresses' last byte: so many, from first on. */
static struct policy live_from(__u32 first, size_t count, struct policy_endpoint *list)
{
	const struct policy p = { .live = list, .live_count = count };
	size_t i;

	for (i = 0; i < count; i++) {
		const __u8 addr[] = { 203, 0, 113, (__u8)(first + i) };

		list[i] = (struct policy_endpoint){ .key.port = 51820, .key.protocol = TF_PROTO_UDP,
						    .value.tunnels = 1 };
		tf_addr_set_v4(&list[i].key.addr, addr);
	}
	return p;
}

static __u64 live_hashes(void)
{
	struct tf_live live;
	const __u32 zero = 0;

	assert_int_equal(bpf_map_lookup_elem(fences[HONEST].fence->maps.fd[MAP_LIVE_HASHES], &zero,
					     &live), 0);
	return live.hashes;
}

/* One to 203.0.113.7, which the configuration names, sent to the others as well. */
static void live_endpoints_come_and_go(void **state)
{
	static const __u32 first[] = { 20, 30, 40, 41, 39, 20, 220 };
	static const size_t count[] = { 10, 20, 1, 0, 3, 60, 30 };
	_cleanup_shot_ struct scene_shot *s =
		shot_of(vectors_find(&vectors, "outer-initiation"), TF_PLANE_SOCKET);
	struct policy_endpoint list[64];
	size_t i;
	__u32 last;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(first); i++) {
		const struct policy p = live_from(first[i], count[i], list);

		assert_int_equal(maps_write_live(&fences[HONEST].fence->maps, &p, NULL), 0);
		for (last = 8; last < 255; last++) {
			s->frame[19] = (__u8)last;
			assert_int_equal(judge(HONEST, s, TF_REASON_ENDPOINT).verdict,
					 last >= first[i] && last < first[i] + count[i] ? TF_PASS :
											  TF_DROP);
		}
		assert_true((size_t)__builtin_popcountll(live_hashes()) <= count[i]);
	}
}

/* ---- the program ----------------------------------------------------------------------------- */

/* 192.0.2.0/24 twice: allowed whatever it is for, and not at all. */
static void contradict(struct policy *p)
{
	struct policy_prefix twice = { .key.bits = TF_V4_MAPPED_PREFIX + 24 };
	static const __u8 ipv4[] = { 192, 0, 2, 0 };

	tf_addr_set_v4(&twice.key.addr, ipv4);
	p->prefixes[0] = p->prefixes[1] = twice;
	p->prefixes[0].value = (struct tf_prefix){ .count = 1, .leaf = 1 };
	p->prefix_count = 2;
	p->services[0] = (struct tf_service){ .to = tf_service_point(255, 65535),
					      .uplinks = TF_ANY_UPLINK };
}

static int prepare(struct err *e)
{
	size_t i;
	int r = vectors_read(VECTOR_DIRECTORY, &vectors, e);

	if (!r)
		r = scene_policies_add(RULES, "rules", &sandbox.place, &policies, e);
	if (!r)
		r = scene_policies_add(RULES, "contradicting", &sandbox.place, &policies, e);
	if (r)
		return r;
	contradict(policies.items[CONTRADICTING].policy);
	r = raised_all(&sandbox, &policies, &fences, e);
	for (i = 0; !r && i < ARRAY_SIZE(fillers); i++) {
		fillers[i] = load_filler(&fences[i].fence->maps);
		r = fillers[i] < 0 ? err_set(e, fillers[i], "the memory cannot be overwritten") : 0;
	}
	return r ? r : sandbox_sit(&sandbox, false, false, e);
}

static int inside(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whatever_is_remembered_changes_no_verdict),
		cmocka_unit_test(a_leaf_is_remembered),
		cmocka_unit_test(neighbours_have_places_of_their_own),
		cmocka_unit_test(what_covers_others_is_not_remembered),
		cmocka_unit_test(what_is_remembered_is_asked_first),
		cmocka_unit_test(live_endpoints_come_and_go),
	};
	struct err e = {};
	size_t i;
	int r = sandbox_enter(&sandbox, &e);

	if (fallback)
		setenv("TUNFENCE_FAULT", "no-dispatcher,no-direct", 1);
	if (!r)
		r = prepare(&e);
	if (r)
		fprintf(stderr, "%s\n", e.text);
	else
		r = _cmocka_run_group_tests(fallback ? "lookup, by probe reads" : "lookup", tests,
					    ARRAY_SIZE(tests), NULL, NULL);
	for (i = 0; i < ARRAY_SIZE(fillers); i++)
		cleanup_close(&fillers[i]);
	raised_free(fences, policies.count);
	scene_policies_free(&policies);
	vectors_free(&vectors);
	cgroup_close(&sandbox.fenced);
	cgroup_close(&sandbox.exempt);
	return r != 0;
}

int main(void)
{
	int preferred;

	cmocka_set_test_filter(getenv("TUNFENCE_TEST")); /* one, or all of them */
	preferred = sandbox_main(&sandbox, "test_lookup", inside);
	fallback = true;
	return sandbox_main(&sandbox, "test_lookup", inside) || preferred;
}
