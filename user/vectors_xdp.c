// SPDX-License-Identifier: GPL-2.0
/*
 * verify's vectors: frames by AF_XDP (CAP_NET_RAW), which go to the driver and meet neither queue
 * nor tc. Its rings are made by options that the guard plane refuses. A row of WAYS is a vector.
 * Never judges, never prints.
 */
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_xdp.h>
#include <poll.h>
#include <stdint.h>
#include <sys/mman.h>

#include "util.h"
#include "vectors_send.h"
#include "verify.h"

enum {
	CHUNK_BYTES = 4096,
	CHUNKS = 4,
	RING_ENTRIES = 4,
	PAYLOAD_BYTES = 64,
	POLL_MS = 50,
};

/* When the fence is raised. */
enum stage { NOTHING_MADE, RINGS_MADE, BOUND };

struct way {
	const char *name;
	unsigned int flags;
	enum stage before;
	bool polled; /* poll() makes the kernel send, as a send call would */
};

/* What the sender has got so far. */
struct made {
	__u8 *chunks;
	__u8 *ring;
	struct xdp_mmap_offsets at;
};

static int set_ring(int fd, int which)
{
	return send_option(fd, SOL_XDP, which, RING_ENTRIES);
}

/* Every refusal is passed over: what was told first, or 0. */
static int make_rings(int fd, struct made *m)
{
	struct xdp_umem_reg memory = { .addr = (__u64)(uintptr_t)m->chunks,
				       .len = (__u64)CHUNK_BYTES * CHUNKS,
				       .chunk_size = CHUNK_BYTES };
	socklen_t bytes = sizeof(m->at);
	static const int rings[] = { XDP_UMEM_FILL_RING, XDP_UMEM_COMPLETION_RING, XDP_TX_RING };
	int told = send_told(0, setsockopt(fd, SOL_XDP, XDP_UMEM_REG, &memory, sizeof(memory)));
	int more;

	for (size_t i = 0; i < ARRAY_SIZE(rings); i++) {
		more = set_ring(fd, rings[i]);
		told = told ? told : more;
	}
	told = send_told(told, getsockopt(fd, SOL_XDP, XDP_MMAP_OFFSETS, &m->at, &bytes));
	m->ring = mmap(NULL, m->at.tx.desc + RING_ENTRIES * sizeof(struct xdp_desc),
		       PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, XDP_PGOFF_TX_RING);
	return told || m->ring != MAP_FAILED ? told : -errno;
}

/* Before Linux 5.11 poll() sends for sockets only that say they will ask for it. */
static int bind_uplink(int fd)
{
	struct sockaddr_xdp where = { .sxdp_family = AF_XDP,
				      .sxdp_flags = XDP_COPY | XDP_USE_NEED_WAKEUP,
				      .sxdp_ifindex = (__u32)verify_ifindex(SEND_UPLINK) };

	return send_told(0, bind(fd, (struct sockaddr *)&where, sizeof(where)));
}

static void offer(const struct shot *s, struct made *m)
{
	__u32 *producer = (void *)(m->ring + m->at.tx.producer);
	struct xdp_desc *first = (void *)(m->ring + m->at.tx.desc);
	__u8 payload[PAYLOAD_BYTES];
	size_t bytes;

	verify_payload(s, payload, sizeof(payload));
	bytes = verify_ethernet(m->chunks, VERIFY_ROUTER_MAC, VERIFY_CLIENT_MAC, ETH_P_IP);
	bytes += verify_udp4(m->chunks + bytes, VERIFY_CLIENT4, VERIFY_WEB4, s->port, s->port,
			     payload, sizeof(payload));
	*first = (struct xdp_desc){ .addr = 0, .len = (__u32)bytes };
	__atomic_store_n(producer, 1, __ATOMIC_RELEASE);
}

/* ---- the table ---- */

/* X(name, flags, summary, how...) */
#define WAYS(X)                                                                                    \
	X("xdp", 0, "a frame by AF_XDP", .before = NOTHING_MADE)                                   \
	X("xdp-poll", 0, "the same, sent by poll()", .before = NOTHING_MADE, .polled = true)       \
	X("xdp-before", VERIFY_BEFORE | VERIFY_NEEDS_LSM, "by a socket from before the fence",     \
	  .before = BOUND)                                                                         \
	X("xdp-poll-before", VERIFY_BEFORE | VERIFY_NEEDS_LSM, "the same by poll(), past sendmsg", \
	  .before = BOUND, .polled = true)                                                         \
	X("xdp-bind-later", VERIFY_BEFORE | VERIFY_NEEDS_LSM,                                      \
	  "rings from before the fence, bound to the uplink now", .before = RINGS_MADE)

static const struct way ways[] = {
#define X(title, when, text, ...) { .name = title, .flags = when, __VA_ARGS__ },
	WAYS(X)
#undef X
};

static const struct way *way_of(const struct shot *s)
{
	return &ways[send_row(&vectors_xdp, s)];
}

static int prepare(struct shot *s)
{
	const struct way *way = way_of(s);
	struct made *m = calloc(1, sizeof(*m)); /* for this process's life */
	int error = 0;

	if (!m)
		return -ENOMEM;
	s->data = m;
	verify_touched(s); /* the uplink's queue stays busy for a while after the socket's end */
	s->fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (s->fd < 0)
		return -errno;
	m->chunks = mmap(NULL, (size_t)CHUNK_BYTES * CHUNKS, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (m->chunks == MAP_FAILED)
		return -errno;
	if (way->before >= RINGS_MADE)
		error = make_rings(s->fd, m);
	if (!error && way->before >= BOUND)
		error = bind_uplink(s->fd);
	return error;
}

static int fire(struct shot *s)
{
	const struct way *way = way_of(s);
	struct pollfd writable = { .fd = s->fd, .events = POLLOUT };
	struct made *m = s->data;
	int told = way->before < RINGS_MADE ? make_rings(s->fd, m) : 0, more;

	more = way->before < BOUND ? bind_uplink(s->fd) : 0;
	told = told ? told : more;
	if (m->ring == MAP_FAILED)
		return told;
	offer(s, m);
	if (way->polled)
		more = send_told(0, poll(&writable, 1, POLL_MS));
	else
		more = send_told(0, sendto(s->fd, NULL, 0, MSG_DONTWAIT, NULL, 0));
	return told ? told : more;
}

static const struct vector vectors[] = {
#define X(title, when, text, ...)                                                                  \
	{ .name = title, .summary = text, .flags = when, .prepare = prepare, .fire = fire },
	WAYS(X)
#undef X
};

const struct vector_group vectors_xdp = { "xdp", vectors, ARRAY_SIZE(vectors) };
