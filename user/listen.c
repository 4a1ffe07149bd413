// SPDX-License-Identifier: GPL-2.0
/*
 * Listening to a fence: see listen.h. Leases lie in memory that is shared with the kernel's programs
 * and with whoever else listens, so they are read and written as atomics: of two that want a slot at
 * once, one gets it.
 */
#include "listen.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <sys/mman.h>

#include "program.h"
#include "when.h"

struct listener {
	struct tf_leases *leases;
	int leases_fd, listeners_fd, blocked_fd, ring_fd;
	struct ring_buffer *ring;
	__u32 slot;
	__u64 taken; /* as it was written into the lease; 0: there is none */
	__u64 lost;  /* as it was in the lease the last time */
	listener_cb cb;
	void *data;
	unsigned int turn; /* events of this turn */
};

static __u64 get(const __u64 *from)
{
	return __atomic_load_n(from, __ATOMIC_ACQUIRE);
}

static void set(__u64 *to, __u64 value)
{
	__atomic_store_n(to, value, __ATOMIC_RELEASE);
}

/* Whether it still was as it is said to have been. */
static bool swap(__u64 *to, __u64 from, __u64 value)
{
	return __atomic_compare_exchange_n(to, &from, value, false, __ATOMIC_ACQ_REL,
					   __ATOMIC_ACQUIRE);
}

static struct tf_lease *lease_of(const struct listener *l)
{
	return &l->leases->slot[l->slot];
}

/* The slot first, then the ring buffer: nobody may believe that it is heard who is not. */
static void give_back(struct listener *l)
{
	if (!l->taken || !swap(&lease_of(l)->taken, l->taken, l->taken + 1))
		return;
	set(&lease_of(l)->until, 0);
	bpf_map_delete_elem(l->listeners_fd, &l->slot);
	set(&lease_of(l)->taken, 0);
}

void listener_close(struct listener *l)
{
	if (!l)
		return;
	if (l->leases)
		give_back(l);
	ring_buffer__free(l->ring);
	if (l->leases)
		munmap(l->leases, sizeof(*l->leases));
	cleanup_close(&l->leases_fd);
	cleanup_close(&l->listeners_fd);
	cleanup_close(&l->blocked_fd);
	cleanup_close(&l->ring_fd);
	free(l);
}

static int map_leases(struct listener *l, struct err *e)
{
	void *at = mmap(NULL, sizeof(*l->leases), PROT_READ | PROT_WRITE, MAP_SHARED, l->leases_fd,
			0);

	if (at == MAP_FAILED)
		return err_set(e, -errno, "map 'leases' cannot be mapped: %s", strerror(errno));
	l->leases = at;
	return 0;
}

/* Programs that began with an old ring buffer are done with it when the new one is in its place. */
static int begin(struct listener *l, struct err *e)
{
	if (bpf_map_update_elem(l->listeners_fd, &l->slot, &l->ring_fd, BPF_ANY))
		return err_set(e, -errno, "map 'listeners' cannot be written: %s", strerror(errno));
	l->lost = get(&lease_of(l)->lost);
	set(&lease_of(l)->until, l->taken);
	return 0;
}

static int take_slot(struct listener *l, struct err *e)
{
	const __u64 now = now_read().boot;
	__u64 taken;

	for (l->slot = 0; l->slot < TF_MAX_LISTENERS; l->slot++) {
		taken = get(&lease_of(l)->taken);
		if (taken > now || !swap(&lease_of(l)->taken, taken, now + TF_LEASE_NS))
			continue;
		l->taken = now + TF_LEASE_NS;
		return begin(l, e);
	}
	return err_set(e, -EBUSY,
		       "%d already watch this fence, and it has no room for more; end one of them, "
		       "or wait %llu seconds for one that was killed",
		       TF_MAX_LISTENERS, TF_LEASE_NS / 1000000000ULL);
}

static int one_event(void *data, void *record, size_t bytes)
{
	struct listener *l = data;

	if (bytes >= sizeof(struct tf_event))
		l->cb(record, l->data);
	return ++l->turn < LISTENER_TURN ? 0 : -EAGAIN;
}

static int make_ring(struct listener *l, struct err *e)
{
	l->ring_fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "ring", 0, 0, TF_RING_BYTES, NULL);
	if (l->ring_fd >= 0)
		l->ring = ring_buffer__new(l->ring_fd, one_event, l, NULL);
	return l->ring ? 0 : err_set(e, -errno, "no ring buffer can be made: %s", strerror(errno));
}

int listener_open(struct maps *m, struct listener **ret, struct err *e)
{
	_cleanup_listener_ struct listener *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return err_set(e, -ENOMEM, "out of memory");
	l->ring_fd = -1;
	l->leases_fd = TAKE_FD(m->fd[MAP_LEASES]);
	l->listeners_fd = TAKE_FD(m->fd[MAP_LISTENERS]);
	l->blocked_fd = TAKE_FD(m->fd[MAP_BLOCKED]);
	r = map_leases(l, e);
	if (!r)
		r = make_ring(l, e);
	if (!r)
		r = take_slot(l, e);
	if (!r)
		*ret = TAKE_PTR(l);
	return r;
}

bool listener_hears(const struct listener *l, const struct maps *m)
{
	return program_map_id(l->leases_fd) == program_map_id(m->fd[MAP_LEASES]);
}

int listener_fd(const struct listener *l)
{
	return ring_buffer__epoll_fd(l->ring);
}

int listener_renew(struct listener *l)
{
	const __u64 until = now_read().boot + TF_LEASE_NS;

	if (!swap(&lease_of(l)->taken, l->taken, until)) {
		l->taken = 0;
		return -ESTALE;
	}
	l->taken = until;
	set(&lease_of(l)->until, until);
	return 0;
}

int listener_take(struct listener *l, listener_cb cb, void *data, struct err *e)
{
	int r;

	l->cb = cb;
	l->data = data;
	l->turn = 0;
	r = ring_buffer__consume(l->ring);
	if (r < 0 && r != -EAGAIN)
		return err_set(e, r, "events cannot be read: %s", strerror(-r));
	return 0;
}

__u64 listener_lost(struct listener *l)
{
	const __u64 lost = get(&lease_of(l)->lost), before = l->lost;

	l->lost = lost;
	return lost - before;
}

int listener_recall(const struct listener *l, const struct tf_blocked_key *key,
		    struct tf_blocked *ret)
{
	return bpf_map_lookup_elem(l->blocked_fd, key, ret) ? -errno : 0;
}
