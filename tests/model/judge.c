// SPDX-License-Identifier: GPL-2.0
/*
 * Makes packets, judges them by the program's own code, and says what it judged, for the model to
 * judge again. With "kernel" the programs in the kernel judge those, too, that a test run can
 * express; that needs root, and is done in a sandbox.
 *
 *     judge native|kernel SEED PACKETS [FILE.conf ...]
 *
 * The policies are the vectors' and the files'. On standard output first the world in words, a line
 * each, up to "end"; then a struct record for each packet, and its bytes. The same seed gives the
 * same packets, but for when first fragments are forgotten.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernel/raised.h"
#include "kernel/sandbox.h"
#include "reason.h"
#include "util.h"
#include "vectors/mutate.h"
#include "vectors/scene.h"
#include "vectors/vector.h"

enum {
	BATCH = 500, /* between two times that all forget the first fragments */
	NOT_JUDGED = 255,
};

enum flag {
	FLAG_OUTSIDE = 1,
	FLAG_EXEMPT = 2,
	FLAG_FOREIGN = 4,
	FLAG_SHARED = 8,
	FLAG_TAGGED = 16,
};

/* As tests/model/differential unpacks it. */
struct record {
	__u8 forget; /* all of this is zero, and both sides have forgotten the first fragments */
	__u8 policy, plane, device, owner, flags, question, host;
	__u8 native_verdict, native_reason, kernel_verdict, kernel_reason;
	__u32 mark, gso_size, forwarded;
	__u32 checksum, checksum_at, network, transport, ethertype;
	__u32 bytes;
};

_Static_assert(sizeof(struct record) == 12 + 9 * 4, "padding");

/* The batch's seat, which all of its test runs share. */
struct seat {
	bool foreign, outside, exempt;
};

static struct sandbox sandbox = {
	.place = {
		.netns = 4026531999U, .other_netns = 4026532333U, .cgroup_id = 4711,
		.cgroup_level = 2, .exempt_id = 4712, .exempt_level = 3,
	},
};
static struct vectors vectors;
static struct scene_policies policies;
static struct raised *fences; /* in the kernel; NULL: none are */
static struct scene_memory *memories;
static __u64 seed, packets;
static char **files;

static int out_of_memory(struct err *e)
{
	return err_set(e, -ENOMEM, "out of memory");
}

/* ---- packets --------------------------------------------------------------------------------- */

static __u32 below(__u32 limit)
{
	return mutate_below(&seed, limit);
}

static bool one_in(__u32 count)
{
	return below(count) == 0;
}

/* Any bytes, which look like an IP packet now and then. */
static __u32 fill(__u8 *to, bool ethernet)
{
	__u32 bytes = below(200), l3 = ethernet ? RAISED_HEADER : 0, i;
	bool six = one_in(2);

	for (i = 0; i < bytes; i++)
		to[i] = (__u8)below(256);
	if (bytes <= l3 || one_in(8))
		return bytes;
	to[l3] = six ? 0x60 : 0x45;
	if (ethernet) {
		to[12] = six ? 0x86 : 0x08;
		to[13] = six ? 0xdd : 0x00;
	}
	return bytes;
}

/* A vector's on one of the planes, changed; or any bytes in its place. NULL: it goes not there. */
static struct scene_shot *new_shot(const struct vector *v)
{
	const struct vector *w = &vectors.items[below((__u32)vectors.count)];
	enum tf_plane plane = raised_planes[below(RAISED_PLANES)];
	_cleanup_shot_ struct scene_shot *base = NULL;
	__u8 any[200];
	struct mutated m;
	bool ethernet;
	__u32 bytes;

	if ((!v->plane[plane] && !one_in(8)) || (v->framed && plane == TF_PLANE_SOCKET))
		return NULL;
	base = scene_shot_new(v, plane);
	if (!base)
		return NULL;
	ethernet = base->device->ethernet && plane != TF_PLANE_SOCKET;
	if (one_in(16)) {
		bytes = fill(any, ethernet);
		mutate(&seed, any, bytes, w->bytes, w->length, ethernet, &m);
	} else {
		mutate(&seed, base->frame, base->bytes, w->bytes, w->length, ethernet, &m);
	}
	return scene_shot_with(base, m.bytes, m.length);
}

static void vary_offload(struct scene_shot *s)
{
	static const __u32 offsets[] = { VECTOR_TRUE, VECTOR_TRUE, 0, 14, 18, 20, 34, 40, 54 };

	if (one_in(2)) {
		s->offload.checksum = 1;
		s->offload.checksum_at = below(one_in(4) ? 1600 : 80);
	}
	s->offload.network = offsets[below(ARRAY_SIZE(offsets))];
	s->offload.transport = offsets[below(ARRAY_SIZE(offsets))];
	s->offload.ethertype = one_in(4) ? TF_ETH_IPV4 : VECTOR_TRUE;
}

/* Other circumstances than the vector's, now and then. */
static void vary(struct scene_shot *s, const struct seat *seat)
{
	static const __u32 marks[] = { 0, 2, 0xca6c, 100 };
	static const __u32 sizes[] = { 0, 0, 1, 31, 32, 64, 92, 148, 149, 1400 };

	s->foreign = seat->foreign;
	s->outside = seat->outside;
	s->exempt = seat->exempt;
	if (one_in(8))
		s->device = &scene_devices[below((__u32)scene_device_count)];
	if (one_in(8))
		s->mark = marks[below(ARRAY_SIZE(marks))];
	if (one_in(8))
		s->gso_size = sizes[below(ARRAY_SIZE(sizes))];
	if (one_in(16))
		s->forwarded = 3;
	if (one_in(4))
		s->owner = (enum tf_owner)below(TF_OWNER_ELSEWHERE + 1);
	if (one_in(8))
		vary_offload(s);
	if (one_in(4))
		s->question = (enum vector_question)below(VECTOR_FAR + 1);
	s->shared = one_in(64);
	s->tagged = s->tagged || one_in(32);
}

static __u32 l3_of(const struct scene_shot *s)
{
	return s->device->ethernet && s->plane != TF_PLANE_SOCKET ? RAISED_HEADER : 0;
}

/* Where the packet says which part of a datagram it is; 0: it does not. */
static __u32 fragment_field(const struct scene_shot *s)
{
	__u32 l3 = l3_of(s);
	const __u8 *ip = s->frame + l3;

	if (s->bytes >= l3 + 20 && ip[0] >> 4 == 4)
		return l3 + 6;
	return s->bytes >= l3 + 48 && ip[0] >> 4 == 6 && ip[6] == TF_PROTO_FRAGMENT ? l3 + 42 : 0;
}

/* The first part of a datagram, or one behind it: eight bytes further, or sixteen. */
static void make_fragment(struct scene_shot *s, __u32 at, bool first)
{
	bool six = s->frame[l3_of(s)] >> 4 == 6;

	s->frame[at] = first && !six ? 0x20 : 0;
	s->frame[at + 1] = six ? (first ? 1 : 8) : (first ? 0 : 2);
}

/* ---- verdicts -------------------------------------------------------------------------------- */

static int write_record(const struct record *r, const __u8 *frame)
{
	if (fwrite(r, sizeof(*r), 1, stdout) != 1)
		return -EPIPE;
	return r->bytes && fwrite(frame, r->bytes, 1, stdout) != 1 ? -EPIPE : 0;
}

static struct record record_of(const struct scene_shot *s, size_t policy, struct tf_decision native)
{
	return (struct record){
		.policy = (__u8)policy,
		.plane = (__u8)s->plane,
		.device = (__u8)(s->device - scene_devices),
		.owner = (__u8)s->owner,
		.flags = (__u8)((s->outside ? FLAG_OUTSIDE : 0) | (s->exempt ? FLAG_EXEMPT : 0) |
				(s->foreign ? FLAG_FOREIGN : 0) | (s->shared ? FLAG_SHARED : 0) |
				(s->tagged ? FLAG_TAGGED : 0)),
		.question = (__u8)s->question,
		.host = (__u8)scene_host(s),
		.native_verdict = (__u8)native.verdict,
		.native_reason = (__u8)native.reason,
		.kernel_verdict = NOT_JUDGED,
		.kernel_reason = NOT_JUDGED,
		.mark = s->mark,
		.gso_size = s->gso_size,
		.forwarded = s->forwarded,
		.checksum = s->offload.checksum,
		.checksum_at = s->offload.checksum_at,
		.network = s->offload.network,
		.transport = s->offload.transport,
		.ethertype = s->offload.ethertype,
		.bytes = s->bytes,
	};
}

/* Too short a frame for a test run is judged by the other two alone. */
static int ask_kernel(struct raised *f, const struct scene_shot *s, struct record *r)
{
	enum tf_reason reason = (enum tf_reason)r->native_reason;
	enum tf_verdict verdict;
	int status = raised_run(f, s, &verdict);

	if (status != 1)
		return status;
	status = raised_reason(f, s->plane, reason, &reason);
	r->kernel_verdict = (__u8)verdict;
	r->kernel_reason = (__u8)reason;
	return status;
}

/* Two devices of one name have different numbers; loopback has the same everywhere. */
static __u32 number_of(const struct scene_shot *s)
{
	size_t device = (size_t)(s->device - scene_devices);

	if (fences)
		return (__u32)sandbox.ifindex[s->foreign][device];
	return device ? (__u32)device + 1 + 100 * s->foreign : 1;
}

static int judge(struct scene_shot *s, size_t policy)
{
	struct scene_memory *memory = fences ? &fences[policy].memory : &memories[policy];
	struct tf_decision native;
	struct record record;
	int r = 0;

	s->ifindex = number_of(s);
	if (fences)
		raised_make_expressible(s);
	native = scene_judge(s, policies.items[policy].policy, &sandbox.place, memory);
	record = record_of(s, policy, native);
	if (fences)
		r = ask_kernel(&fences[policy], s, &record);
	return r ? r : write_record(&record, s->frame);
}

static int forget_all(void)
{
	const struct record forget = { .forget = 1 };
	size_t i;
	int r = 0;

	for (i = 0; !r && i < policies.count; i++) {
		if (fences)
			r = raised_forget(&fences[i]);
		else
			memories[i].count = 0;
	}
	return r ? r : write_record(&forget, NULL);
}

/* ---- batches --------------------------------------------------------------------------------- */

static size_t policy_of(const struct vector *v)
{
	size_t i;

	for (i = 0; one_in(2) && i < policies.count; i++) {
		if (streq(policies.items[i].name, v->policy))
			return i;
	}
	return below((__u32)policies.count);
}

/* A vector as it is, but where, how and by whom the other shot is sent. */
static struct scene_shot *shot_on(const struct vector *v, const struct scene_shot *as)
{
	_cleanup_shot_ struct scene_shot *plain = scene_shot_new(v, as->plane);

	return plain ? scene_shot_with(as, plain->frame, plain->bytes) : NULL;
}

/* What comes before, if anything does: what the vector comes after, or the first fragment. */
static int judge_before(const struct vector *v, struct scene_shot *s, size_t policy)
{
	_cleanup_shot_ struct scene_shot *before = NULL;
	__u32 field = fragment_field(s);

	if (v->after[0] && one_in(2)) {
		before = shot_on(vectors_find(&vectors, v->after), s);
	} else if (field && one_in(16)) {
		before = scene_shot_with(s, s->frame, s->bytes);
		if (before)
			make_fragment(before, field, true);
		make_fragment(s, field, false);
	}
	return before ? judge(before, policy) : 0;
}

static int judge_one(const struct seat *seat, bool *done)
{
	const struct vector *v = &vectors.items[below((__u32)vectors.count)];
	_cleanup_shot_ struct scene_shot *s = new_shot(v);
	struct seat own = { one_in(4), one_in(4), one_in(4) };
	size_t policy = policy_of(v);
	int r;

	*done = s != NULL;
	if (!s)
		return 0;
	vary(s, fences ? seat : &own);
	r = judge_before(v, s, policy);
	return r ? r : judge(s, policy);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* A test run sits where this process does. */
static int sit_down(struct seat *seat, struct err *e)
{
	*seat = (struct seat){ .foreign = one_in(4), .outside = one_in(4) };
	seat->exempt = !seat->outside && one_in(4);
	if (!fences)
		return 0;
	return seat->exempt ? sandbox_sit_exempt(&sandbox, seat->foreign, e) :
			      sandbox_sit(&sandbox, seat->foreign, seat->outside, e);
}

/* The kernel forgets after two seconds, the others never: so all do, long before. */
static int run_batch(struct err *e)
{
	double forgotten = now();
	struct seat seat;
	int r = sit_down(&seat, e), count;
	bool done;

	if (r)
		return r;
	r = forget_all();
	for (count = 0; !r && count < BATCH; count += done) {
		if (now() - forgotten > 1) {
			forgotten = now();
			r = forget_all();
		}
		if (!r)
			r = judge_one(&seat, &done);
	}
	return r ? err_set(e, r, "a packet was not judged: %s", strerror(-r)) : 0;
}

/* ---- the program ----------------------------------------------------------------------------- */

static void print_addresses(const char *word, const char *const list[SCENE_ADDRESSES])
{
	size_t i;

	for (i = 0; i < SCENE_ADDRESSES; i++) {
		if (list[i])
			printf(" %s=%s", word, list[i]);
	}
}

static void print_world(void)
{
	size_t i;

	for (i = 0; i < scene_device_count; i++) {
		const struct scene_device *d = &scene_devices[i];

		printf("device %s link=%d port=%d", d->name, (int)d->link, d->port);
		print_addresses("own", d->own);
		print_addresses("broadcast", d->broadcast);
		putchar('\n');
	}
	for (i = 0; i < policies.count; i++)
		printf("policy %s\n", policies.items[i].name);
	for (i = 0; i < TF_REASON_COUNT; i++)
		printf("reason %s\n", reason_name((enum tf_reason)i));
	printf("end\n");
}

/* "/tmp/x/random-1.conf": its policy is called random-1. */
static int add_file(const char *path, struct err *e)
{
	const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
	char name[VECTOR_NAME_LEN];

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(base, "."), base);
	return scene_policies_add(path, name, &sandbox.place, &policies, e);
}

static int read_all(struct err *e)
{
	int r = vectors_read(VECTOR_DIRECTORY, &vectors, e);
	char **file;

	if (!r)
		r = scene_policies_read(&vectors, &sandbox.place, &policies, e);
	for (file = files; !r && *file; file++)
		r = add_file(*file, e);
	if (!r && policies.count > 255)
		r = err_set(e, -E2BIG, "more than 255 policies");
	memories = calloc(policies.count + 1, sizeof(*memories));
	return !r && !memories ? out_of_memory(e) : r;
}

static int work(bool kernel)
{
	struct err e = {};
	int r = kernel ? sandbox_enter(&sandbox, &e) : 0;
	__u64 done;

	if (!r)
		r = read_all(&e);
	if (!r && kernel)
		r = raised_all(&sandbox, &policies, &fences, &e);
	if (!r)
		print_world();
	for (done = 0; !r && done < packets; done += BATCH)
		r = run_batch(&e);
	if (r)
		fprintf(stderr, "judge: %s\n", e.text);
	raised_free(fences, policies.count);
	free(memories);
	scene_policies_free(&policies);
	vectors_free(&vectors);
	return r || fflush(stdout);
}

static int in_kernel(void)
{
	return work(true);
}

int main(int argc, char **argv)
{
	bool kernel = argc > 1 && streq(argv[1], "kernel");

	if (argc < 4 || (!kernel && !streq(argv[1], "native"))) {
		fprintf(stderr, "usage: judge native|kernel SEED PACKETS [FILE.conf ...]\n");
		return 2;
	}
	seed = mutate_seed(strtoull(argv[2], NULL, 10));
	packets = strtoull(argv[3], NULL, 10);
	files = argv + 4;
	return kernel ? sandbox_main(&sandbox, "judge", in_kernel) : work(false);
}
