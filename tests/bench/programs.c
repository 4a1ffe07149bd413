// SPDX-License-Identifier: GPL-2.0
/*
 * What one run of each program costs on each path, by BPF_PROG_TEST_RUN, beside an empty program at
 * the same hook that is given the same packets. Every path is first seen to be the one it is said
 * to be, by the fence's own counters. Attaches nothing and sends nothing.
 *
 * The kernel's test run costs something itself, with the empty program too: the difference of the
 * two is what our program adds.
 */
#include "bench.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "calls.h"
#include "frames.h"
#include "kernel/object.h"
#include "kernel/sandbox.h"
#include "measure/policy.h"
#include "object.h"
#include "util.h"

enum {
	RUNS = 40000, /* of a program on one packet */
	ETHERNET = 14,
	POST_ROUTING = 4, /* enum nf_inet_hooks */
};

/* So many rules have the policies; the second is what all other paths are measured with. */
static const __u32 sizes[] = { 0, 10, 100, 1000, 10000, 65536 };
#define USUAL 1

static struct sandbox sandbox;
static struct objects *objects[ARRAY_SIZE(sizes)];
static unsigned int rounds;

/* Where a packet is judged. */
static const struct place {
	const char *name;
	enum program program;
	enum tf_plane plane;
} places[] = {
	{ "socket", PROGRAM_SOCKET, TF_PLANE_SOCKET },
	{ "wire", PROGRAM_WIRE, TF_PLANE_WIRE },
	{ "namespace", PROGRAM_NS, TF_PLANE_NAMESPACE },
	{ "ingress", PROGRAM_IN, TF_PLANE_INGRESS },
};

static enum tf_reason expected(const struct place *at, enum frame kind)
{
	return at->plane == TF_PLANE_INGRESS ? frames[kind].arrives : frames[kind].leaves;
}

/* IP's own hooks never see ARP; loopback and tunnels have no programs on them. A test run at
 * netfilter's hook knows the loopback device, or none, and no socket: so what needs one is not what
 * it should be there. */
static bool comes_here(const struct place *at, enum frame kind)
{
	const bool fenced = !streq(frames[kind].device, "lo") && !streq(frames[kind].device, "wg0");

	switch (at->plane) {
	case TF_PLANE_SOCKET:
		return kind != FRAME_ARP && kind != FRAME_DHCP;
	case TF_PLANE_NAMESPACE:
		return kind == FRAME_LOOPBACK || kind == FRAME_LAN || kind == FRAME_RULE ||
		       kind == FRAME_LOOKUP || kind == FRAME_OTHER;
	case TF_PLANE_WIRE:
	case TF_PLANE_INGRESS:
		return fenced && expected(at, kind) != TF_REASON_UNKNOWN;
	case TF_PLANE_GUARD:
	case TF_PLANES:
		break;
	}
	return false;
}

static __u32 index_of(const char *device)
{
	size_t i;

	for (i = 0; i < scene_device_count; i++) {
		if (streq(scene_devices[i].name, device))
			return (__u32)sandbox.ifindex[0][i];
	}
	return 0;
}

/* The beginning of struct nf_hook_state, include/linux/netfilter.h: of a packet that leaves. */
struct netfilter_state {
	__u8 hook, family;
	__u64 pointers[5];
};

/* The test run wants an Ethernet header and takes it off where IP's own hooks are; but netfilter's,
 * if no device is named, begins with IP's. */
static int run(int program, const struct place *at, enum frame kind, __u32 i, __u32 rules,
	       int repeat)
{
	struct __sk_buff skb = { .ifindex = index_of(frames[kind].device) };
	struct netfilter_state state = { .hook = POST_ROUTING, .family = AT_IPV4 };
	__u8 data[FRAME_BYTES];
	__u32 bytes = frame_make(kind, i, rules, at->plane == TF_PLANE_INGRESS, data);
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = data, .data_size_in = bytes,
		    .ctx_in = &skb, .ctx_size_in = sizeof(skb), .repeat = repeat);

	if (at->plane == TF_PLANE_NAMESPACE && kind == FRAME_LOOPBACK) {
		options.ctx_in = &state;
		options.ctx_size_in = sizeof(state);
	} else if (at->plane == TF_PLANE_NAMESPACE) {
		options.ctx_in = NULL;
		options.ctx_size_in = 0;
		options.data_in = data + ETHERNET;
		options.data_size_in = bytes - ETHERNET;
	}
	return bpf_prog_test_run_opts(program, &options);
}

/* Nanoseconds for one packet, of all the kind has in turn. */
static int measure(int program, const struct place *at, enum frame kind, __u32 rules, double *ret)
{
	__u64 start = spent_ns();
	__u32 i;
	int r = 0;

	for (i = 0; !r && i < FRAME_COUNT; i++)
		r = run(program, at, kind, i, rules, RUNS / FRAME_COUNT);
	*ret = (double)(spent_ns() - start) / RUNS;
	return r;
}

/* What the bench says of a path must be what the program does. */
static int check_path(const struct place *at, enum frame kind, size_t size, struct err *e)
{
	const struct maps maps = objects_maps(objects[size]);
	const enum tf_reason reason = expected(at, kind);
	__u64 before = object_count(&maps, at->plane, reason), seen;
	__u32 i;
	int r = 0;

	for (i = 0; !r && i < FRAME_COUNT; i++)
		r = run(objects_program(objects[size], at->program), at, kind, i, sizes[size], 1);
	if (r)
		return err_set(e, r, "a test run of '%s' failed: %s", programs[at->program].name,
			       strerror(-r));
	seen = object_count(&maps, at->plane, reason) - before;
	if (seen != FRAME_COUNT)
		return err_set(e, -EBADMSG,
			       "%u of %u packets '%s' at the %s hook are what they should be",
			       (unsigned int)seen, FRAME_COUNT, frames[kind].name, at->name);
	return 0;
}

static const char *who_of(enum frame kind, size_t size, char *buffer, size_t bytes)
{
	if (kind != FRAME_RULE && kind != FRAME_OTHER)
		return "tunfence";
	snprintf(buffer, bytes, "tunfence %u rules", sizes[size]);
	return buffer;
}

/* The same as a point of a curve. */
static void print_growth(const struct sample *of, const struct place *at, __u32 rules)
{
	struct sample s = *of;
	char what[64];

	snprintf(what, sizeof(what), "a packet that one of so many rules=%u allows", rules);
	s.part = "growth";
	s.what = what;
	s.who = at->name;
	s.base = "-";
	print_sample(&s);
}

static int measure_one(const struct place *at, enum frame kind, size_t size, unsigned int round,
		       struct err *e)
{
	char what[64], who[32];
	struct sample s = { .part = "programs", .what = what, .base = EMPTY, .unit = "ns",
			    .round = round };
	int r = check_path(at, kind, size, e);

	if (r)
		return r;
	snprintf(what, sizeof(what), "%s: %s", at->name, frames[kind].name);
	s.who = who_of(kind, size, who, sizeof(who));
	r = measure(objects_program(objects[size], at->program), at, kind, sizes[size], &s.value);
	if (!r)
		print_sample(&s);
	if (!r && kind == FRAME_RULE)
		print_growth(&s, at, sizes[size]);
	return r ? err_set(e, r, "a test run failed: %s", strerror(-r)) : 0;
}

static int measure_empty(const struct place *at, enum frame kind, int empty, unsigned int round,
			 struct err *e)
{
	char what[64];
	struct sample s = { .part = "programs", .what = what, .who = EMPTY, .base = EMPTY,
			    .unit = "ns", .round = round };
	int r = measure(empty, at, kind, sizes[USUAL], &s.value);

	if (r)
		return err_set(e, r, "a test run of an empty program failed: %s", strerror(-r));
	snprintf(what, sizeof(what), "%s: %s", at->name, frames[kind].name);
	print_sample(&s);
	return 0;
}

/* How long the list is matters to rules and to what none of them allows. */
static int measure_path(const struct place *at, enum frame kind, int empty, unsigned int round,
			struct err *e)
{
	int r = measure_empty(at, kind, empty, round, e);
	size_t i;

	if (kind != FRAME_RULE && kind != FRAME_OTHER)
		return r ? r : measure_one(at, kind, USUAL, round, e);
	for (i = kind == FRAME_RULE; !r && i < ARRAY_SIZE(sizes); i++)
		r = measure_one(at, kind, i, round, e);
	return r;
}

static int measure_place(const struct place *at, unsigned int round, struct err *e)
{
	_cleanup_close_ int empty = empty_program(at->program);
	enum frame kind;
	int r = 0;

	if (objects_program(objects[USUAL], at->program) < 0)
		return 0; /* this kernel has no such hook */
	if (empty < 0)
		return err_set(e, empty, "an empty program cannot be loaded: %s", strerror(-empty));
	for (kind = 0; !r && kind < FRAME_KINDS; kind++) {
		if (comes_here(at, kind))
			r = measure_path(at, kind, empty, round, e);
	}
	return r;
}

static int load(size_t size, struct err *e)
{
	_cleanup_policy_ struct policy *policy = NULL;
	char path[128];
	int r;

	snprintf(path, sizeof(path), "%s/wg0.conf", sandbox.run);
	r = bench_config(path, sizes[size]);
	if (r)
		return err_set(e, r, "'%s': %s", path, strerror(-r));
	r = policy_of_config(path, &policy, e);
	return r ? r : objects_load(policy, NULL, NULL, &objects[size], e);
}

static int measure_all(struct err *e)
{
	unsigned int round;
	size_t i;
	int r = mkdir(sandbox.run, 0700) ? err_set(e, -errno, "'%s': %s", sandbox.run,
						   strerror(errno)) : 0;

	for (i = 0; !r && i < ARRAY_SIZE(sizes); i++)
		r = load(i, e);
	for (round = 0; !r && round < rounds; round++) {
		for (i = 0; !r && i < ARRAY_SIZE(places); i++)
			r = measure_place(&places[i], round, e);
		if (!r)
			r = measure_calls(objects[USUAL], sandbox.fenced.fd, round, e);
	}
	return r;
}

static int inside(void)
{
	struct err e = {};
	size_t i;
	int r = sandbox_enter(&sandbox, &e);

	if (!r)
		r = sandbox_sit(&sandbox, false, false, &e);
	if (!r && !run_ip("link set lo up"))
		r = err_set(&e, -EIO, "the loopback device cannot be brought up");
	if (!r)
		r = measure_all(&e);
	if (r)
		fprintf(stderr, "bench programs: %s\n", e.text);
	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		objects_free(objects[i]);
	return r != 0;
}

int bench_programs(int argc, char *argv[], struct err *e)
{
	rounds = argc > 0 ? (unsigned int)strtoul(argv[0], NULL, 10) : 0;
	if (!rounds)
		return err_set(e, -EINVAL, "how many rounds?");
	return sandbox_main(&sandbox, "bench", inside) ? err_set(e, -EIO, "not measured") : 0;
}
