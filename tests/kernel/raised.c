// SPDX-License-Identifier: GPL-2.0
/* Test runs of raised policies: see raised.h. */
#include "kernel/raised.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "link.h"
#include "loader.h"
#include "pin.h"
#include "util.h"

enum { REFUSED_BYTES = 14 + 40 }; /* test runs of less than its headers may be refused */

const enum tf_plane raised_planes[RAISED_PLANES] = {
	TF_PLANE_SOCKET, TF_PLANE_WIRE, TF_PLANE_INGRESS,
};

/* Where their programs are pinned. */
static const char *const pins_of_planes[RAISED_PLANES] = { "socket", "wire", "in" };

/* ---- one run --------------------------------------------------------------------------------- */

static bool says_ip(const __u8 *ethernet)
{
	unsigned int type = (unsigned int)ethernet[12] << 8 | ethernet[13];

	return type == TF_ETH_IPV4 || type == TF_ETH_IPV6;
}

/* Who a test run on the wire will say has sent the frame; on the socket plane we choose. */
static enum tf_owner kernel_owner(const struct scene_shot *s)
{
	enum tf_owner inet = s->foreign ? TF_OWNER_FOREIGN : TF_OWNER_INET;

	if (s->plane != TF_PLANE_SOCKET)
		return s->bytes >= RAISED_HEADER && says_ip(s->frame) ? inet : TF_OWNER_UNKNOWN;
	return s->owner == TF_OWNER_UNKNOWN || s->bytes < REFUSED_BYTES - RAISED_HEADER ?
		       TF_OWNER_UNKNOWN : inet;
}

void raised_make_expressible(struct scene_shot *s)
{
	static const __u8 none[6];

	s->owner = kernel_owner(s);
	s->shared = s->tagged = false;
	if (s->plane == TF_PLANE_INGRESS)
		s->exempt = false; /* nobody waits for it */
	if (s->question == VECTOR_OWN)
		s->question = VECTOR_OTHER;
	s->mac = s->device->ethernet ? scene_mac : none;
	s->offload = (struct tf_offload){ .network = RAISED_HEADER, .transport = 0xffff,
					  .ethertype = VECTOR_TRUE };
}

/* The socket hook is given the packet behind a header that says who the owner is. */
__u32 raised_input(const struct scene_shot *s, __u8 to[RAISED_BYTES])
{
	__u32 header = s->plane == TF_PLANE_SOCKET ? RAISED_HEADER : 0;

	memset(to, 0, RAISED_HEADER);
	if (header && kernel_owner(s) == TF_OWNER_UNKNOWN) {
		to[12] = 0x88; /* local experimental */
		to[13] = 0xb5;
	} else if (header) {
		to[12] = s->frame[0] >> 4 == 6 ? 0x86 : 0x08;
		to[13] = s->frame[0] >> 4 == 6 ? 0xdd : 0x00;
	}
	if (s->bytes)
		memcpy(to + header, s->frame, s->bytes);
	return header + s->bytes;
}

static __u64 now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (__u64)t.tv_sec * 1000000000 + (__u64)t.tv_nsec;
}

/* With a cookie that no socket has. */
static int put_question(const struct raised *f, enum vector_question question)
{
	const struct tf_question q = scene_question(question, ~1ULL - 1, now_ns());
	int fd = f->fence->maps.fd[MAP_QUESTION];
	const __u32 key = 0;
	int r;

	if (question != VECTOR_NO_QUESTION)
		return bpf_map_update_elem(fd, &key, &q, BPF_ANY);
	r = bpf_map_delete_elem(fd, &key);
	return r == -ENOENT ? 0 : r;
}

/* PASS of the socket hook is 1; of the others NEXT, which is -1, and DROP is SHOT, which is 2. */
static int verdict_of(enum tf_plane plane, __u32 retval, enum tf_verdict *ret)
{
	const __u32 pass = plane == TF_PLANE_SOCKET ? 1 : (__u32)-1;
	const __u32 drop = plane == TF_PLANE_SOCKET ? 0 : 2;

	if (retval != pass && retval != drop)
		return -EPROTO;
	*ret = retval == pass ? TF_PASS : TF_DROP;
	return 1;
}

int raised_run(const struct raised *f, const struct scene_shot *s, enum tf_verdict *ret)
{
	struct __sk_buff context = {
		.mark = s->mark,
		.ifindex = s->ifindex,
		.ingress_ifindex = s->forwarded,
		.gso_size = s->gso_size,
		.gso_segs = s->gso_size ? 2 : 0,
	};
	__u8 data[RAISED_BYTES];
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = data, .data_size_in = raised_input(s, data),
		    .ctx_in = &context, .ctx_size_in = sizeof(context));
	int r = put_question(f, s->question);

	if (r)
		return r;
	r = bpf_prog_test_run_opts(f->program[s->plane], &opts);
	if (r == -EINVAL && opts.data_size_in < REFUSED_BYTES)
		return 0;
	return r ? r : verdict_of(s->plane, opts.retval, ret);
}

int raised_recount(struct raised *f)
{
	return maps_read_counters(f->fence->maps.fd[MAP_COUNTERS], f->seen, NULL);
}

/* One counter alone: cheaper than all of them. */
static int count_of(const struct raised *f, enum tf_plane plane, enum tf_reason reason, __u64 *ret)
{
	static struct tf_counter *per_cpu;
	static int cpus;
	__u32 key = (__u32)plane * TF_REASON_COUNT + (__u32)reason;
	int cpu, r;

	if (!per_cpu) {
		cpus = libbpf_num_possible_cpus();
		per_cpu = cpus > 0 ? calloc((size_t)cpus, sizeof(*per_cpu)) : NULL;
	}
	if (!per_cpu)
		return -ENOMEM;
	r = bpf_map_lookup_elem(f->fence->maps.fd[MAP_COUNTERS], &key, per_cpu);
	for (cpu = 0, *ret = 0; cpu < cpus; cpu++)
		*ret += per_cpu[cpu].packets;
	return r;
}

/* All of them: which has changed? */
static int find_reason(struct raised *f, enum tf_plane plane, enum tf_reason *ret)
{
	unsigned int reason, changes = 0;
	counter_table now;
	int r = maps_read_counters(f->fence->maps.fd[MAP_COUNTERS], now, NULL);

	if (r)
		return r;
	for (reason = 0; reason < TF_REASON_COUNT; reason++) {
		if (now[plane][reason].packets == f->seen[plane][reason].packets)
			continue;
		*ret = (enum tf_reason)reason;
		changes++;
	}
	memcpy(f->seen, now, sizeof(now));
	return changes == 1 ? 0 : -ERANGE;
}

int raised_reason(struct raised *f, enum tf_plane plane, enum tf_reason guess, enum tf_reason *ret)
{
	__u64 packets;
	int r = count_of(f, plane, guess, &packets);

	if (r)
		return r;
	if (packets != f->seen[plane][guess].packets + 1)
		return find_reason(f, plane, ret);
	f->seen[plane][guess].packets = packets;
	*ret = guess;
	return 0;
}

int raised_forget(struct raised *f)
{
	int fd = f->fence->maps.fd[MAP_FRAGMENTS];
	struct tf_fragment_key key;
	int r = 0;

	while (!r && bpf_map_get_next_key(fd, NULL, &key) == 0)
		r = bpf_map_delete_elem(fd, &key);
	f->memory.count = 0;
	return r;
}

/* ---- raising --------------------------------------------------------------------------------- */

static int open_programs(struct raised *f, const struct pins *pins, struct err *e)
{
	size_t i;

	for (i = 0; i < RAISED_PLANES; i++) {
		int fd = pin_open(pins, "progs", pins_of_planes[i]);

		if (fd < 0)
			return err_set(e, -ENOENT, "fence '%s' has no program '%s'", f->name,
				       pins_of_planes[i]);
		f->program[raised_planes[i]] = fd;
	}
	return 0;
}

static int raise_fence(const struct sandbox *box, struct raised *f, const struct links *links,
		       struct err *e)
{
	const struct cgroups groups = { .list = (struct cgroup *)&box->fenced, .count = 1 };
	const struct cgroups none = {};
	struct pins pins;
	bool replaced;
	int r = pins_init(&pins, box->bpffs, box->run, f->name, e);

	if (!r)
		r = pins_make_roots(&pins, e);
	if (!r)
		r = loader_up(&pins, f->name, f->policy, &groups, &none, links, &replaced, e);
	if (!r)
		r = fence_open(&pins, f->name, &f->fence, e);
	if (r)
		return err_prefix(e, "fence '%s'", f->name);
	r = open_programs(f, &pins, e);
	if (!r && raised_recount(f))
		r = err_set(e, -EIO, "the counters of '%s' cannot be read", f->name);
	return r;
}

int raised_all(const struct sandbox *box, const struct scene_policies *policies,
	       struct raised **ret, struct err *e)
{
	struct raised *list = calloc(policies->count + 1, sizeof(*list));
	struct links links = {};
	size_t i;
	int r = list ? links_read(&links, e) : err_set(e, -ENOMEM, "out of memory");

	/* Each is judged by itself: fences around the same cgroup would ask one another. A caller that
	 * wants more faults names this one, too. */
	setenv("TUNFENCE_FAULT", "no-dispatcher", 0);
	for (i = 0; list && i < policies->count; i++) {
		list[i].name = policies->items[i].name;
		list[i].policy = policies->items[i].policy;
		memset(list[i].program, -1, sizeof(list[i].program));
		if (!r)
			r = raise_fence(box, &list[i], &links, e);
	}
	links_free(&links);
	if (r)
		raised_free(list, policies->count);
	else
		*ret = list;
	return r;
}

void raised_free(struct raised *list, size_t count)
{
	size_t i, plane;

	for (i = 0; list && i < count; i++) {
		fence_free(list[i].fence);
		for (plane = 0; plane < RAISED_PLANES; plane++)
			cleanup_close(&list[i].program[raised_planes[plane]]);
	}
	free(list);
}
