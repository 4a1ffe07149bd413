// SPDX-License-Identifier: GPL-2.0
/*
 * The kernel's verdict and the native one are the same. Every policy of the vectors is raised by
 * the real loader; every vector, and then many mutated ones, is given to the programs of its hooks
 * by BPF_PROG_TEST_RUN. The reason is read off the counters. No packet leaves, or could.
 *
 * A test run has a socket of its own making: of this process's namespace and cgroup, and of family
 * INET or INET6 if the Ethernet header says so, else of none; it offloads nothing and has no VLAN
 * tag, asks nobody anything, and nobody waits for what arrives. Vectors that need another owner, an
 * offload, a tag, a socket to arrive for or the one that asks the bootstrap name server are native
 * only, and named.
 *
 * All of that twice: by the programs that the loader prefers, which read the kernel by plain loads
 * where it lets them, and by those that it falls back to.
 *
 * TUNFENCE_SEED=N and TUNFENCE_PACKETS=N change the mutated packets.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cmocka.h>

#include <tunfence/policy.h>

#include "direct.skel.h"
#include "guard.skel.h"
#include "guard_direct.skel.h"
#include "kernel/raised.h"
#include "kernel/sandbox.h"
#include "listen.h"
#include "maps.h"
#include "program.h"
#include "reason.h"
#include "tunfence.skel.h"
#include "util.h"
#include "vectors/mutate.h"
#include "vectors/scene.h"
#include "vectors/vector.h"

enum {
	DEFAULT_SEED = 20240229,
	DEFAULT_PACKETS = 100000,
	FALLBACK_PACKETS = 20000,
	BATCH = 500,
};

static bool fallback; /* it is told that this kernel has no plain loads */
static struct sandbox sandbox;
static struct vectors vectors;
static struct scene_policies policies;
static struct raised *fences;

static struct raised *find_raised(const char *policy)
{
	size_t i;

	for (i = 0; i < policies.count; i++) {
		if (streq(fences[i].name, policy))
			return &fences[i];
	}
	return NULL;
}

/* ---- one run --------------------------------------------------------------------------------- */

/* 1: the verdict is there; 0: the kernel refuses so short a frame. */
static int run(const struct raised *f, const struct scene_shot *s, enum tf_verdict *ret)
{
	int r = raised_run(f, s, ret);

	if (r < 0)
		fail_msg("a test run on '%s' failed: %s", f->name, strerror(-r));
	return r;
}

static void recount(struct raised *f)
{
	assert_int_equal(raised_recount(f), 0);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void forget(struct raised *f)
{
	assert_int_equal(raised_forget(f), 0);
}

static void complain(const struct raised *f, const struct scene_shot *s, struct tf_decision wanted,
		     struct tf_decision got)
{
	struct vector v = { .framed = s->device->ethernet && s->plane != TF_PLANE_SOCKET };

	snprintf(v.name, sizeof(v.name), "mismatch");
	snprintf(v.policy, sizeof(v.policy), "%s", f->name);
	snprintf(v.device, sizeof(v.device), "%s", s->device->name);
	v.plane[s->plane] = true;
	v.expect[s->plane] = wanted;
	v.mark = s->mark;
	v.gso_size = s->gso_size;
	v.forwarded = s->forwarded;
	v.owner = s->owner;
	v.outside = s->outside;
	v.exempt = s->exempt;
	v.foreign = s->foreign;
	v.question = s->question;
	v.bytes = s->frame;
	v.length = s->bytes;
	vector_print(stdout, &v);
	fail_msg("the kernel says %s %s", got.verdict == TF_PASS ? "pass" : "drop",
		 reason_name(got.reason));
}

/* Runs the shot and compares. False: the kernel refuses so short a frame. */
static bool must_be(struct raised *f, const struct scene_shot *s, struct tf_decision wanted)
{
	struct tf_decision got = {};

	if (!run(f, s, &got.verdict))
		return false;
	assert_int_equal(raised_reason(f, s->plane, wanted.reason, &got.reason), 0);
	if (got.verdict != wanted.verdict || got.reason != wanted.reason)
		complain(f, s, wanted, got);
	return true;
}

/* ---- the vectors ----------------------------------------------------------------------------- */

/* The shot of a vector here, as a test run makes it. */
static struct scene_shot *shot_here(const struct vector *v, enum tf_plane plane)
{
	struct scene_shot *s = scene_shot_new(v, plane);

	assert_non_null(s);
	s->ifindex = (__u32)sandbox.ifindex[s->foreign][s->device - scene_devices];
	raised_make_expressible(s);
	return s;
}

/* Natively; here: what a test run makes of it, and of what it comes after. */
static struct tf_decision judge_natively(const struct vector *v, enum tf_plane plane, bool here)
{
	const struct policy *policy = scene_find_policy(&policies, v->policy);
	const struct vector *const row[] = {
		v->after[0] ? vectors_find(&vectors, v->after) : NULL, v
	};
	_cleanup_free_ struct scene_memory *memory = calloc(1, sizeof(*memory));
	struct tf_decision d = {};
	size_t i;

	assert_non_null(memory);
	for (i = 0; i < ARRAY_SIZE(row); i++) {
		_cleanup_shot_ struct scene_shot *s = row[i] ? scene_shot_new(row[i], plane) : NULL;

		if (!row[i])
			continue;
		assert_non_null(s);
		if (here)
			raised_make_expressible(s);
		d = scene_judge(s, policy, &sandbox.place, memory);
	}
	return d;
}

/* Whether what a test run makes of it is as good as the vector: natively nothing changes. */
static bool is_expressible(const struct vector *v, enum tf_plane plane)
{
	struct tf_decision a = judge_natively(v, plane, false), b = judge_natively(v, plane, true);

	return a.verdict == b.verdict && a.reason == b.reason;
}

static void sit_for(bool foreign, bool outside, bool exempt)
{
	int r = exempt ? sandbox_sit_exempt(&sandbox, foreign, NULL) :
			 sandbox_sit(&sandbox, foreign, outside, NULL);

	assert_int_equal(r, 0);
}

static void judge_on(const struct vector *v, enum tf_plane plane)
{
	_cleanup_shot_ struct scene_shot *shot = shot_here(v, plane), *before = NULL;
	struct raised *f = find_raised(v->policy);
	enum tf_verdict ignored;

	forget(f);
	if (v->after[0]) {
		before = shot_here(vectors_find(&vectors, v->after), plane);
		sit_for(before->foreign, before->outside, before->exempt);
		assert_int_equal(run(f, before, &ignored), 1);
		recount(f);
	}
	sit_for(v->foreign, v->outside, v->exempt);
	if (!must_be(f, shot, v->expect[plane]))
		print_message("refused: '%s', %u bytes, on the %s plane\n", v->name, shot->bytes,
			      plane_name(plane));
}

static void judge_vector(void **state)
{
	const struct vector *v = *state;
	int plane;

	for (plane = 0; plane < TF_PLANES; plane++) {
		if (v->plane[plane] && is_expressible(v, (enum tf_plane)plane))
			judge_on(v, (enum tf_plane)plane);
	}
}

/* ---- mutated packets ------------------------------------------------------------------------- */

static __u64 number_from(const char *variable, __u64 otherwise)
{
	const char *text = getenv(variable);

	return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

/* Other circumstances than the vector's, now and then. The seat is the whole batch's. */
static void vary(struct scene_shot *s, __u64 *random, bool foreign, bool outside, bool exempt)
{
	static const __u32 marks[] = { 0, 2, 0xca6c };
	static const __u32 sizes[] = { 0, 0, 1, 31, 32, 64, 92, 148, 149, 1400 };

	s->foreign = foreign;
	s->outside = outside;
	s->exempt = exempt;
	if (mutate_below(random, 8) == 0)
		s->device = &scene_devices[mutate_below(random, (__u32)scene_device_count)];
	if (mutate_below(random, 8) == 0)
		s->mark = marks[mutate_below(random, ARRAY_SIZE(marks))];
	if (mutate_below(random, 8) == 0)
		s->gso_size = sizes[mutate_below(random, ARRAY_SIZE(sizes))];
	if (mutate_below(random, 16) == 0)
		s->forwarded = 3;
	s->owner = mutate_below(random, 8) ? TF_OWNER_INET : TF_OWNER_UNKNOWN;
	s->ifindex = (__u32)sandbox.ifindex[foreign][s->device - scene_devices];
}

struct tally {
	__u32 reasons[TF_REASON_COUNT];
	__u32 refused;
};

/* A vector as it is, but where, how and by whom the other shot is sent. */
static struct scene_shot *shot_on(const struct vector *v, const struct scene_shot *as)
{
	_cleanup_shot_ struct scene_shot *plain = scene_shot_new(v, as->plane);

	assert_non_null(plain);
	return scene_shot_with(as, plain->frame, plain->bytes);
}

/* A vector on one of its planes, changed. NULL: this one has no such plane. */
static struct scene_shot *mutated(__u64 *random, const struct vector **ret_from)
{
	const struct vector *v = &vectors.items[mutate_below(random, (__u32)vectors.count)];
	const struct vector *w = &vectors.items[mutate_below(random, (__u32)vectors.count)];
	enum tf_plane plane = raised_planes[mutate_below(random, RAISED_PLANES)];
	_cleanup_shot_ struct scene_shot *base = NULL;
	struct mutated m;

	if (!v->plane[plane])
		return NULL;
	base = scene_shot_new(v, plane);
	assert_non_null(base);
	*ret_from = v;
	mutate(random, base->frame, base->bytes, w->bytes, w->length,
	       base->device->ethernet && plane != TF_PLANE_SOCKET, &m);
	return scene_shot_with(base, m.bytes, m.length);
}

/* Both sides judge it and agree. */
static void judge_both(struct raised *f, struct scene_shot *s, struct tally *t)
{
	struct tf_decision native;

	raised_make_expressible(s);
	native = scene_judge(s, f->policy, &sandbox.place, &f->memory);
	if (must_be(f, s, native))
		t->reasons[native.reason]++;
	else
		t->refused++;
}

/* The kernel forgets after two seconds, the native side never: so both do, long before. */
static double forget_all(void)
{
	size_t i;

	for (i = 0; i < policies.count; i++)
		forget(&fences[i]);
	return now();
}

static void run_batch(__u64 *random, struct tally *t)
{
	bool foreign = mutate_below(random, 4) == 0, outside = mutate_below(random, 4) == 0;
	bool exempt = !outside && mutate_below(random, 4) == 0;
	double forgotten = forget_all();
	size_t i;

	sit_for(foreign, outside, exempt);
	for (i = 0; i < BATCH;) {
		const struct vector *from;
		_cleanup_shot_ struct scene_shot *s = mutated(random, &from), *before = NULL;
		struct raised *f;

		if (!s)
			continue;
		i++;
		if (now() - forgotten > 1)
			forgotten = forget_all();
		f = mutate_below(random, 3) ? find_raised(from->policy) :
					      &fences[mutate_below(random, (__u32)policies.count)];
		vary(s, random, foreign, outside, exempt);
		if (from->after[0] && mutate_below(random, 2)) {
			before = shot_on(vectors_find(&vectors, from->after), s);
			judge_both(f, before, t);
		}
		judge_both(f, s, t);
	}
}

static void mutated_packets_are_judged_alike(void **state)
{
	__u64 seed = number_from("TUNFENCE_SEED", DEFAULT_SEED), random = mutate_seed(seed);
	__u64 packets = number_from("TUNFENCE_PACKETS",
			    fallback ? FALLBACK_PACKETS : DEFAULT_PACKETS), done;
	struct tally t = {};
	__u32 reason;
	size_t i;

	(void)state;
	for (i = 0; i < policies.count; i++)
		recount(&fences[i]);
	print_message("TUNFENCE_SEED=%llu TUNFENCE_PACKETS=%llu\n", (unsigned long long)seed,
		      (unsigned long long)packets);
	for (done = 0; done < packets; done += BATCH)
		run_batch(&random, &t);
	print_message("%u frames too short for a test run\n", t.refused);
	for (reason = TF_REASON_UNKNOWN + 1; reason < TF_REASON_COUNT; reason++) {
		if (reason == TF_REASON_NO_TUNNEL || reason == TF_REASON_BYPASS)
			continue; /* given to calls, not to packets */
		print_message("%8u %s\n", t.reasons[reason], reason_name((enum tf_reason)reason));
		if (packets >= DEFAULT_PACKETS) /* mutants that never get there test nothing */
			assert_int_not_equal(t.reasons[reason], 0);
	}
}

/* ---- what only time shows -------------------------------------------------------------------- */

static enum tf_verdict run_one(const struct raised *f, const struct scene_shot *s)
{
	enum tf_verdict verdict = TF_DROP;

	assert_int_equal(run(f, s, &verdict), 1);
	return verdict;
}

static void a_first_fragment_is_forgotten_after_two_seconds(void **state)
{
	const struct timespec tick = { .tv_nsec = 20000000 };
	const struct vector *first = vectors_find(&vectors, "frag-first-endpoint");
	const struct vector *later = vectors_find(&vectors, "frag-later-endpoint");
	struct raised *f = find_raised("strict");
	enum tf_plane plane;

	(void)state;
	assert_int_equal(sandbox_sit(&sandbox, false, false, NULL), 0);
	for (plane = TF_PLANE_SOCKET; plane <= TF_PLANE_WIRE; plane++) {
		_cleanup_shot_ struct scene_shot *one = shot_here(first, plane);
		_cleanup_shot_ struct scene_shot *two = shot_here(later, plane);
		double start = now();

		forget(f);
		assert_int_equal(run_one(f, one), TF_PASS);
		while (run_one(f, two) == TF_PASS) {
			assert_true(now() - start < 6);
			nanosleep(&tick, NULL);
		}
		assert_true(now() - start > 1.99);
	}
}

/* A first fragment of one plane, device or fence opens nothing on another. */
static void a_first_fragment_passes_nothing_elsewhere(void **state)
{
	const struct vector *first = vectors_find(&vectors, "frag-first-endpoint");
	const struct vector *later = vectors_find(&vectors, "frag-later-endpoint");
	struct raised *f = find_raised("strict"), *other = find_raised("home");
	enum tf_plane plane;

	(void)state;
	assert_int_equal(sandbox_sit(&sandbox, false, false, NULL), 0);
	for (plane = TF_PLANE_SOCKET; plane <= TF_PLANE_WIRE; plane++) {
		_cleanup_shot_ struct scene_shot *one = shot_here(first, plane);
		_cleanup_shot_ struct scene_shot *two = shot_here(later, plane);
		_cleanup_shot_ struct scene_shot *elsewhere = NULL;

		elsewhere = shot_here(later, plane == TF_PLANE_SOCKET ? TF_PLANE_WIRE :
									TF_PLANE_SOCKET);
		forget(f);
		forget(other);
		assert_int_equal(run_one(f, two), TF_DROP);
		assert_int_equal(run_one(f, one), TF_PASS);
		assert_int_equal(run_one(f, two), TF_PASS);
		assert_int_equal(run_one(f, elsewhere), TF_DROP);
		assert_int_equal(run_one(other, two), TF_DROP);
		two->ifindex++;
		assert_int_equal(run_one(f, two), TF_DROP);
	}
}

/* ---- who listens ----------------------------------------------------------------------------- */

static int listen_to(const struct raised *f, struct listener **ret)
{
	static const enum map needed[] = { MAP_BLOCKED, MAP_LISTENERS, MAP_LEASES };
	struct maps m;
	size_t i;
	int r;

	maps_init(&m);
	for (i = 0; i < ARRAY_SIZE(needed); i++)
		m.fd[needed[i]] = dup(f->fence->maps.fd[needed[i]]);
	r = listener_open(&m, ret, NULL);
	maps_close(&m);
	return r;
}

struct heard {
	size_t count;
	struct tf_event last;
};

static void hear(const struct tf_event *event, void *data)
{
	struct heard *heard = data;

	heard->count++;
	heard->last = *event;
}

static struct heard take(struct listener *l)
{
	struct heard heard = {};

	assert_int_equal(listener_take(l, hear, &heard, NULL), 0);
	return heard;
}

/* The event counts its own packet, like the entry it is of. */
static void must_be_counted(const struct raised *f, const struct tf_event *event)
{
	struct tf_blocked entry;

	assert_int_equal(
		bpf_map_lookup_elem(f->fence->maps.fd[MAP_BLOCKED], &event->key, &entry), 0);
	assert_int_equal(event->packets, entry.packets);
	assert_int_equal(event->bytes, entry.bytes);
}

/* The event is of this very packet, whatever link header is before it. */
static void must_be_of(const struct tf_event *event, const struct scene_shot *s)
{
	const __u32 header = s->plane == TF_PLANE_SOCKET ? 0 : RAISED_HEADER;
	const __u32 bytes = s->bytes - header;

	assert_int_equal(event->key.plane, s->plane);
	assert_int_equal(event->key.reason, TF_REASON_NAME_LOOKUP);
	assert_int_equal(event->key.port, 53);
	assert_int_equal(event->length, s->bytes);
	assert_int_equal(event->captured, bytes < TF_CAPTURE_BYTES ? bytes : TF_CAPTURE_BYTES);
	assert_memory_equal(event->packet, s->frame + header, event->captured);
	assert_int_equal(tf_ntohs(event->ethertype), header ? TF_ETH_IPV4 : 0);
}

static void who_listens_is_told_once_a_second(void **state)
{
	const struct timespec tick = { .tv_nsec = 20000000 };
	struct raised *f = find_raised("port53");
	size_t i;

	(void)state;
	assert_int_equal(sandbox_sit(&sandbox, false, false, NULL), 0);
	for (i = 0; i < RAISED_PLANES - 1; i++) { /* a question that leaves */
		_cleanup_shot_ struct scene_shot *s =
			shot_here(vectors_find(&vectors, "name-dns-udp"), raised_planes[i]);
		_cleanup_listener_ struct listener *l = NULL;
		struct heard first, next;
		double start = now();

		run_one(f, s); /* nobody listens */
		assert_int_equal(listen_to(f, &l), 0);
		assert_int_equal(run_one(f, s), TF_DROP);
		first = take(l);
		assert_int_equal(first.count, 1);
		must_be_of(&first.last, s);
		must_be_counted(f, &first.last);
		for (next = take(l); !next.count; next = take(l)) {
			assert_true(now() - start < 6);
			assert_int_equal(run_one(f, s), TF_DROP);
			nanosleep(&tick, NULL);
		}
		assert_true(next.last.time - first.last.time >= TF_EVENT_NS);
		assert_true(next.last.packets > first.last.packets + 5);
	}
}

static void who_does_not_renew_is_not_told(void **state)
{
	const struct timespec tick = { .tv_nsec = 200000000 };
	struct raised *f = find_raised("port53");
	_cleanup_shot_ struct scene_shot *s =
		shot_here(vectors_find(&vectors, "name-dns-udp"), TF_PLANE_SOCKET);
	struct listener *l[TF_MAX_LISTENERS], *more = NULL;
	double start = now();
	size_t i;

	(void)state;
	for (i = 0; i < TF_MAX_LISTENERS; i++)
		assert_int_equal(listen_to(f, &l[i]), 0);
	assert_int_equal(listen_to(f, &more), -EBUSY);
	listener_close(l[2]); /* gives its place back */
	assert_int_equal(listen_to(f, &l[2]), 0);
	while (now() - start < 6) {
		assert_int_equal(listener_renew(l[0]), 0);
		nanosleep(&tick, NULL);
	}
	assert_int_equal(run_one(f, s), TF_DROP);
	assert_int_equal(take(l[0]).count, 1);
	for (i = 1; i < TF_MAX_LISTENERS; i++)
		assert_int_equal(take(l[i]).count, 0);
	assert_int_equal(listen_to(f, &more), 0); /* one of those places */
	assert_int_equal(listener_renew(l[1]), -ESTALE);
	listener_close(more);
	for (i = 0; i < TF_MAX_LISTENERS; i++)
		listener_close(l[i]);
}

/* The best of some batches: others use this machine too. */
static double nanoseconds_per_run(const struct raised *f, const struct scene_shot *s)
{
	struct __sk_buff context = { .ifindex = s->ifindex };
	__u8 data[RAISED_BYTES], out[sizeof(data)];
	double best = 1e9;
	int batch;

	for (batch = 0; batch < 15; batch++) {
		LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = data, .data_out = out,
			    .data_size_in = raised_input(s, data), .data_size_out = sizeof(out),
			    .ctx_in = &context, .ctx_size_in = sizeof(context), .repeat = 100000);

		assert_int_equal(bpf_prog_test_run_opts(f->program[s->plane], &opts), 0);
		best = opts.duration < best ? opts.duration : best;
	}
	return best;
}

static void listening_costs(void **state)
{
	static const char *const what[] = { "name-dns-udp", "name-dns-tcp" };
	struct raised *f = find_raised("port53");
	size_t i;

	(void)state;
	if (!getenv("TUNFENCE_BENCH"))
		skip();
	assert_int_equal(sandbox_sit(&sandbox, false, false, NULL), 0);
	for (i = 0; i < 2 * ARRAY_SIZE(what); i++) {
		_cleanup_shot_ struct scene_shot *s =
			shot_here(vectors_find(&vectors, what[i / 2]), raised_planes[i % 2]);
		_cleanup_listener_ struct listener *l = NULL;
		double without = nanoseconds_per_run(f, s);

		assert_int_equal(listen_to(f, &l), 0);
		print_message("%s, %s: %.0f ns dropped, %+.0f while somebody listens\n", what[i / 2],
			      plane_name(s->plane), without, nanoseconds_per_run(f, s) - without);
	}
}

/* ---- which programs --------------------------------------------------------------------------- */

struct tag {
	__u8 byte[BPF_TAG_SIZE];
};

static struct tag tag_of(int program)
{
	struct bpf_prog_info info = {};
	__u32 bytes = sizeof(info);
	struct tag tag;

	assert_int_equal(bpf_obj_get_info_by_fd(program, &info, &bytes), 0);
	memcpy(tag.byte, info.tag, sizeof(tag.byte));
	return tag;
}

typedef const void *elf_bytes_fn(size_t *bytes);

/* Of a program in an object. False: this kernel refuses the object. */
static bool load_tag(elf_bytes_fn *elf_bytes, enum program program, struct tag *ret)
{
	size_t bytes;
	const void *elf = elf_bytes(&bytes);
	struct bpf_object *o = bpf_object__open_mem(elf, bytes, NULL);
	bool loaded;

	assert_non_null(o);
	loaded = bpf_object__load(o) == 0;
	if (loaded)
		*ret = tag_of(bpf_program__fd(
			bpf_object__find_program_by_name(o, programs[program].name)));
	bpf_object__close(o);
	return loaded;
}

/* False: this kernel has no plain loads. */
static bool must_prefer(enum program program, elf_bytes_fn *direct_bytes, elf_bytes_fn *bytes)
{
	const struct tag raised = tag_of(fences[0].fence->program[program]);
	struct tag probing, direct;

	assert_true(load_tag(bytes, program, &probing));
	if (fallback) {
		assert_memory_equal(&raised, &probing, sizeof(raised));
		return true;
	}
	if (!load_tag(direct_bytes, program, &direct))
		return false;
	assert_memory_equal(&raised, &direct, sizeof(raised));
	assert_memory_not_equal(&direct, &probing, sizeof(direct));
	return true;
}

static void plain_loads_are_preferred(void **state)
{
	bool socket = must_prefer(PROGRAM_SOCKET, tunfence_direct_bpf__elf_bytes,
				  tunfence_bpf__elf_bytes);
	bool guard = must_prefer(PROGRAM_SEND4, tunfence_guard_direct_bpf__elf_bytes,
				 tunfence_guard_bpf__elf_bytes);

	(void)state;
	if (socket && guard)
		return;
	/* Who has netfilter programs (6.4) has plain loads (6.2). */
	assert_true(fences[0].fence->program[PROGRAM_NS] < 0);
	skip();
}

/* The number of the constants of a program, which are its object's; 0: it has none. */
static __u32 constants_of(enum program program)
{
	__u32 maps[PROGRAM_MAX_MAPS], found = 0;
	int i, count = program_maps(fences[0].fence->program[program], maps);
	char name[PROGRAM_NAME_LEN];

	for (i = 0; i < count; i++) {
		_cleanup_close_ int fd = program_map_by_id(maps[i], name);

		if (fd >= 0 && streq(name, map_name(MAP_RODATA)))
			found = maps[i];
	}
	return found;
}

/* The second time there are many: see inside(). */
static void few_processors_load_fewer_objects(void **state)
{
	const bool many = fallback || sysconf(_SC_NPROCESSORS_ONLN) > 2;
	const __u32 leaving = constants_of(PROGRAM_SOCKET), arriving = constants_of(PROGRAM_IN);

	(void)state;
	assert_true(leaving && arriving);
	assert_int_equal(constants_of(PROGRAM_WIRE), leaving);
	assert_true((leaving != arriving) == many);
}

/* ---- the program ----------------------------------------------------------------------------- */

static bool is_native_only(const struct vector *v)
{
	int plane;

	for (plane = 0; plane < TF_PLANES; plane++) {
		if (v->plane[plane] && is_expressible(v, (enum tf_plane)plane))
			return false;
	}
	return true;
}

/* What only time shows is the same whoever reads the kernel. */
static int test_all(void)
{
	_cleanup_free_ struct CMUnitTest *tests = calloc(vectors.count + 8, sizeof(*tests));
	const struct CMUnitTest others[] = {
		cmocka_unit_test(plain_loads_are_preferred),
		cmocka_unit_test(few_processors_load_fewer_objects),
		cmocka_unit_test(a_first_fragment_passes_nothing_elsewhere),
		cmocka_unit_test(mutated_packets_are_judged_alike),
		cmocka_unit_test(who_listens_is_told_once_a_second),
		cmocka_unit_test(listening_costs),
	}, slow[] = {
		cmocka_unit_test(a_first_fragment_is_forgotten_after_two_seconds),
		cmocka_unit_test(who_does_not_renew_is_not_told),
	};
	size_t i, count = 0;

	if (!tests)
		return 1;
	for (i = 0; i < vectors.count; i++) {
		if (is_native_only(&vectors.items[i])) {
			print_message("native only: '%s'\n", vectors.items[i].name);
			continue;
		}
		tests[count].name = vectors.items[i].name;
		tests[count].test_func = judge_vector;
		tests[count++].initial_state = &vectors.items[i];
	}
	memcpy(tests + count, others, sizeof(others));
	count += ARRAY_SIZE(others);
	if (!fallback) {
		memcpy(tests + count, slow, sizeof(slow));
		count += ARRAY_SIZE(slow);
	}
	return _cmocka_run_group_tests(fallback ? "kernel, by probe reads" : "kernel", tests, count,
				       NULL, NULL);
}

/* In a process of its own, whose end takes the namespaces and every fence with it. */
static int inside(void)
{
	struct err e = {};
	int r = sandbox_enter(&sandbox, &e);

	if (fallback)
		setenv("TUNFENCE_FAULT", "no-dispatcher,no-direct,many-processors", 1);
	if (!r)
		r = vectors_read(VECTOR_DIRECTORY, &vectors, &e);
	if (!r)
		r = scene_policies_read(&vectors, &sandbox.place, &policies, &e);
	if (!r)
		r = raised_all(&sandbox, &policies, &fences, &e);
	if (r)
		fprintf(stderr, "%s\n", e.text);
	else
		r = test_all();
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
	preferred = sandbox_main(&sandbox, "test_run", inside);
	fallback = true;
	return sandbox_main(&sandbox, "test_run", inside) || preferred;
}
