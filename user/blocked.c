// SPDX-License-Identifier: GPL-2.0
/*
 * The map of what was dropped: see blocked.h. Counters are read before it, so that what comes in the
 * meantime is never taken for something that did not fit.
 */
#include "blocked.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "util.h"

void blocked_free(struct blocked *b)
{
	free(b->list);
	b->list = NULL;
	b->count = 0;
}

static void add(struct counter_total *to, __u64 packets, __u64 bytes)
{
	to->packets += packets;
	to->bytes += bytes;
}

/* Never below nothing: what is read one after the other need not fit together. */
static void subtract(struct counter_total *from, __u64 packets, __u64 bytes)
{
	from->packets -= packets < from->packets ? packets : from->packets;
	from->bytes -= bytes < from->bytes ? bytes : from->bytes;
}

static int room_of(int map_fd, size_t *ret, struct err *e)
{
	struct bpf_map_info info = {};
	__u32 bytes = sizeof(info);

	if (bpf_obj_get_info_by_fd(map_fd, &info, &bytes))
		return err_set(e, -errno, "map 'blocked' cannot be read: %s", strerror(errno));
	*ret = info.max_entries;
	return 0;
}

/* Keys and values apart, as the kernel gives them: for room entries. */
struct columns {
	struct tf_blocked_key *keys;
	struct tf_blocked *values;
	size_t room, count;
};

static void columns_free(struct columns *c)
{
	free(c->keys);
	free(c->values);
}

typedef int (*batch)(int fd, void *in, void *out, void *keys, void *values, __u32 *count,
		     const struct bpf_map_batch_opts *opts);

/* Bucket by bucket, each at once: no entry twice, none that was there all the time left out. What
 * comes meanwhile may find no room here. */
static int read_all(int fd, batch next, struct columns *c, struct err *e)
{
	__u64 position = 0; /* the kernel's own, of four bytes */
	void *in = NULL;
	__u32 count;
	int r = 0;

	while (!r && c->count < c->room) {
		count = (__u32)(c->room - c->count);
		r = next(fd, in, &position, c->keys + c->count, c->values + c->count, &count, NULL);
		if (r && errno != ENOENT && errno != ENOSPC)
			return err_set(e, -errno, "map 'blocked' cannot be read: %s",
				       strerror(errno));
		c->count += count;
		in = &position;
	}
	return 0;
}

static int read_columns(int fd, batch next, struct columns *c, struct err *e)
{
	int r = room_of(fd, &c->room, e);

	if (r)
		return r;
	c->keys = calloc(c->room + 1, sizeof(*c->keys));
	c->values = calloc(c->room + 1, sizeof(*c->values));
	if (!c->keys || !c->values)
		return err_set(e, -ENOMEM, "out of memory");
	return read_all(fd, next, c, e);
}

/* All that was dropped, whatever is cleared. */
static int read_stopped(const struct maps *m, counter_table ret, struct counter_total *ret_round,
			struct err *e)
{
	int r = maps_read_counters(m->fd[MAP_COUNTERS], ret, e);

	return r ? r : maps_read_round(m->fd[MAP_COUNTERS], ret_round, e);
}

static int read_cleared(const struct maps *m, __u32 key, struct tf_cleared *ret, struct err *e)
{
	if (bpf_map_lookup_elem(m->fd[MAP_CLEARED], &key, ret))
		return err_set(e, -errno, "map 'cleared' cannot be read: %s", strerror(errno));
	return 0;
}

static bool is_drop(__u32 key)
{
	return tf_reason_verdict((enum tf_reason)(key % TF_REASON_COUNT)) == TF_DROP;
}

/* Sums up the counters of what is dropped, less what is cleared. */
static int sum_up(const struct maps *m, counter_table stopped, struct blocked *b, struct err *e)
{
	const struct counter_total *all = &stopped[0][0];
	struct tf_cleared cleared;
	struct counter_total left;
	__u32 key;
	int r = 0;

	for (key = 0; !r && key < TF_COUNTER_ROUND; key++) {
		if (!is_drop(key) || !all[key].packets)
			continue;
		r = read_cleared(m, key, &cleared, e);
		left = all[key];
		subtract(&left, cleared.packets, cleared.bytes);
		add(&b->stopped, left.packets, left.bytes);
	}
	if (!r)
		r = read_cleared(m, TF_COUNTER_ROUND, &cleared, e);
	subtract(&b->round, cleared.packets, cleared.bytes);
	return r;
}

int blocked_read(const struct maps *m, struct blocked *ret, struct err *e)
{
	_cleanup_(columns_free) struct columns c = {};
	_cleanup_blocked_ struct blocked b = {};
	counter_table stopped;
	size_t i;
	int r = read_stopped(m, stopped, &b.round, e);

	if (!r)
		r = sum_up(m, stopped, &b, e);
	if (!r)
		r = read_columns(m->fd[MAP_BLOCKED], bpf_map_lookup_batch, &c, e);
	if (r)
		return r;
	b.list = calloc(c.count + 1, sizeof(*b.list));
	if (!b.list)
		return err_set(e, -ENOMEM, "out of memory");
	b.count = c.count;
	b.room = c.room;
	b.missed = b.stopped;
	for (i = 0; i < c.count; i++) {
		b.list[i] = (struct blocked_entry){ .key = c.keys[i], .value = c.values[i] };
		subtract(&b.missed, c.values[i].packets, c.values[i].bytes);
	}
	*ret = b;
	b.list = NULL;
	return 0;
}

/* What each counter said, or what was said of it and is now forgotten, if that is more. */
static int write_cleared(const struct maps *m, __u32 key, const struct counter_total *counter,
			 const struct counter_total *gone, struct err *e)
{
	struct tf_cleared cleared = {};
	int r = read_cleared(m, key, &cleared, e);

	if (r)
		return r;
	cleared.packets += gone->packets;
	cleared.bytes += gone->bytes;
	if (cleared.packets < counter->packets)
		cleared = (struct tf_cleared){ counter->packets, counter->bytes };
	if (bpf_map_update_elem(m->fd[MAP_CLEARED], &key, &cleared, BPF_ANY))
		return err_set(e, -errno, "map 'cleared' cannot be written: %s", strerror(errno));
	return 0;
}

int blocked_clear(const struct maps *m, size_t *ret_count, struct err *e)
{
	const struct counter_total none = {};
	_cleanup_(columns_free) struct columns c = {};
	counter_table stopped, gone = {};
	struct counter_total round;
	__u32 key;
	size_t i;
	int r = read_stopped(m, stopped, &round, e);

	if (!r)
		r = read_columns(m->fd[MAP_BLOCKED], bpf_map_lookup_and_delete_batch, &c, e);
	if (r)
		return r;
	for (i = 0; i < c.count; i++) {
		if (c.keys[i].plane < TF_PLANES && c.keys[i].reason < TF_REASON_COUNT)
			add(&gone[c.keys[i].plane][c.keys[i].reason], c.values[i].packets,
			    c.values[i].bytes);
	}
	for (key = 0; !r && key < TF_COUNTER_ROUND; key++) {
		if (is_drop(key))
			r = write_cleared(m, key, &(&stopped[0][0])[key], &(&gone[0][0])[key], e);
	}
	if (!r)
		r = write_cleared(m, TF_COUNTER_ROUND, &round, &none, e);
	if (!r)
		*ret_count = c.count;
	return r;
}
