// SPDX-License-Identifier: GPL-2.0
/*
 * verify's vectors: the same sockets by io_uring, whose requests the kernel may carry out in
 * threads of its own. Raw system calls, no library. A row of WAYS is a vector. Never judges, never
 * prints.
 */
#define _GNU_SOURCE /* splice, pipe2 */

#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/io_uring.h>
#include <poll.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "util.h"
#include "vectors_send.h"
#include "verify.h"

enum {
	ENTRIES = 4,
	PAYLOAD_BYTES = 64,
	PATIENCE_MS = 150,
	SQPOLL_IDLE_MS = 1000,
	PROBED_OPS = 256,
	FIXED_SLOT = 0,
	SOCKET_SETSOCKOPT = 3, /* SOCKET_URING_OP_SETSOCKOPT, linux/io_uring.h of 6.7 */
};

struct ring {
	int fd;
	unsigned int flags; /* of io_uring_setup() */
	unsigned int *sq_tail, *sq_mask, *sq_flags, *sq_array;
	unsigned int *cq_head, *cq_tail, *cq_mask;
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
};

struct way {
	const char *name;
	unsigned int flags;
	__u8 opcode;         /* the youngest that is needed */
	unsigned int setup;  /* IORING_SETUP_x */
	__u8 sqe_flags;
	int type;            /* of the socket; 0: SOCK_DGRAM; SOCK_RAW: AF_PACKET's */
	bool steer;          /* asks for the uplink while the tunnel is up */
	bool connect;
	bool registered;     /* the socket and its buffer belong to the ring */
	void (*fill)(struct io_uring_sqe *sqe, struct send_out *out);
	/* NULL: one request, filled by the above */
	int (*go)(const struct shot *s, struct ring *ring, struct send_out *out);
	bool (*is_it)(const struct shot *s, const __u8 *frame, size_t bytes); /* NULL: the token */
};

/* ---- a ring ---- */

static void *map(int fd, size_t bytes, off_t what)
{
	return mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, what);
}

static void *at(void *ring, __u32 offset)
{
	return (char *)ring + offset;
}

/* One mapping for both rings: every kernel since 5.4. */
static int ring_map(struct ring *r, const struct io_uring_params *p)
{
	size_t sq = p->sq_off.array + p->sq_entries * sizeof(unsigned int);
	size_t cq = p->cq_off.cqes + p->cq_entries * sizeof(struct io_uring_cqe);
	void *both = map(r->fd, sq > cq ? sq : cq, IORING_OFF_SQ_RING);

	r->sqes = map(r->fd, p->sq_entries * sizeof(*r->sqes), IORING_OFF_SQES);
	if (both == MAP_FAILED || r->sqes == MAP_FAILED)
		return -ENOMEM;
	r->sq_tail = at(both, p->sq_off.tail);
	r->sq_mask = at(both, p->sq_off.ring_mask);
	r->sq_flags = at(both, p->sq_off.flags);
	r->sq_array = at(both, p->sq_off.array);
	r->cq_head = at(both, p->cq_off.head);
	r->cq_tail = at(both, p->cq_off.tail);
	r->cq_mask = at(both, p->cq_off.ring_mask);
	r->cqes = at(both, p->cq_off.cqes);
	return 0;
}

/* Where io_uring is switched off, setup says EPERM: that is no refusal by a fence. */
static int ring_open(struct ring *r, unsigned int flags)
{
	struct io_uring_params p = { .flags = flags, .sq_thread_idle = SQPOLL_IDLE_MS };

	r->flags = flags;
	r->fd = (int)syscall(SYS_io_uring_setup, ENTRIES, &p);
	if (r->fd < 0 || !(p.features & IORING_FEAT_SINGLE_MMAP))
		return -EOPNOTSUPP;
	return ring_map(r, &p);
}

static int ring_register(const struct ring *r, unsigned int what, const void *with,
			 unsigned int count)
{
	return send_told(0, syscall(SYS_io_uring_register, r->fd, what, with, count));
}

static int ring_knows(const struct ring *r, __u8 opcode)
{
	_cleanup_free_ struct io_uring_probe *probe =
		calloc(1, sizeof(*probe) + PROBED_OPS * sizeof(probe->ops[0]));
	int error = probe ? ring_register(r, IORING_REGISTER_PROBE, probe, PROBED_OPS) : -ENOMEM;

	if (error)
		return error;
	if (opcode > probe->last_op || !(probe->ops[opcode].flags & IO_URING_OP_SUPPORTED))
		return -EOPNOTSUPP;
	return 0;
}

static int ring_enter(const struct ring *r)
{
	unsigned int flags = 0;

	if (r->flags & IORING_SETUP_SQPOLL) {
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		if (!(__atomic_load_n(r->sq_flags, __ATOMIC_RELAXED) & IORING_SQ_NEED_WAKEUP))
			return 0; /* the kernel's thread is at it */
		flags = IORING_ENTER_SQ_WAKEUP;
	}
	return send_told(0, syscall(SYS_io_uring_enter, r->fd, 1, 0, flags, NULL, 0));
}

/* Carries out one request. What became of it: 0, -errno, or -EINPROGRESS if that takes long. */
static int ring_run(struct ring *r, const struct io_uring_sqe *request)
{
	unsigned int tail = *r->sq_tail, slot = tail & *r->sq_mask, head = *r->cq_head;
	struct pollfd done = { .fd = r->fd, .events = POLLIN };
	int error, result;

	r->sqes[slot] = *request;
	r->sq_array[slot] = slot;
	__atomic_store_n(r->sq_tail, tail + 1, __ATOMIC_RELEASE);
	error = ring_enter(r);
	if (error)
		return error;
	if (head == __atomic_load_n(r->cq_tail, __ATOMIC_ACQUIRE))
		poll(&done, 1, PATIENCE_MS);
	if (head == __atomic_load_n(r->cq_tail, __ATOMIC_ACQUIRE))
		return -EINPROGRESS;
	result = r->cqes[head & *r->cq_mask].res;
	__atomic_store_n(r->cq_head, head + 1, __ATOMIC_RELEASE);
	return result < 0 ? result : 0;
}

/* ---- requests ---- */

static __u64 pointer(const void *to)
{
	return (__u64)(uintptr_t)to;
}

static void fill_send(struct io_uring_sqe *sqe, struct send_out *out)
{
	sqe->opcode = IORING_OP_SEND;
	sqe->addr = pointer(out->payload);
	sqe->len = (__u32)out->data.iov_len;
}

static void fill_send_zerocopy(struct io_uring_sqe *sqe, struct send_out *out)
{
	fill_send(sqe, out);
	sqe->opcode = IORING_OP_SEND_ZC;
	sqe->addr2 = pointer(&out->to);
	sqe->addr_len = (__u16)out->to_bytes;
}

static void fill_sendmsg(struct io_uring_sqe *sqe, struct send_out *out)
{
	sqe->opcode = IORING_OP_SENDMSG;
	sqe->addr = pointer(&out->message);
	sqe->len = 1;
}

static void fill_sendmsg_zerocopy(struct io_uring_sqe *sqe, struct send_out *out)
{
	fill_sendmsg(sqe, out);
	sqe->opcode = IORING_OP_SENDMSG_ZC;
}

static void fill_connect(struct io_uring_sqe *sqe, struct send_out *out)
{
	sqe->opcode = IORING_OP_CONNECT;
	sqe->addr = pointer(&out->to);
	sqe->off = out->to_bytes;
}

static void fill_write(struct io_uring_sqe *sqe, struct send_out *out)
{
	fill_send(sqe, out);
	sqe->opcode = IORING_OP_WRITE;
}

static void fill_write_fixed(struct io_uring_sqe *sqe, struct send_out *out)
{
	fill_send(sqe, out);
	sqe->opcode = IORING_OP_WRITE_FIXED;
}

/* setsockopt() as a command: the fields have these names from 6.7 on. */
static int ring_setsockopt(struct ring *ring, int fd, int level, int option, const void *value,
			   __u32 bytes)
{
	struct io_uring_sqe sqe = { .opcode = IORING_OP_URING_CMD, .fd = fd,
				    .file_index = bytes, .addr3 = pointer(value) };
	__u32 which[2] = { (__u32)level, (__u32)option };

	sqe.cmd_op = SOCKET_SETSOCKOPT;
	memcpy(&sqe.addr, which, sizeof(which));
	return ring_run(ring, &sqe);
}

static int go_spliced(const struct shot *s, struct ring *ring, struct send_out *out)
{
	struct io_uring_sqe sqe = { .opcode = IORING_OP_SPLICE, .fd = out->fd,
				    .splice_off_in = (__u64)-1, .off = (__u64)-1,
				    .len = (__u32)out->data.iov_len };
	_cleanup_close_ int reader = -1, writer = -1;
	int ends[2], told;

	(void)s;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	reader = ends[0];
	writer = ends[1];
	sqe.splice_fd_in = reader;
	told = send_told(0, vmsplice(writer, &out->data, 1, 0));
	return told ? told : ring_run(ring, &sqe);
}

/* A socket that never has a descriptor: made, connected and used in a slot of the ring. */
static int go_slot(const struct shot *s, struct ring *ring, struct send_out *out)
{
	struct io_uring_sqe make = { .opcode = IORING_OP_SOCKET, .fd = AF_INET, .off = SOCK_DGRAM,
				     .file_index = FIXED_SLOT + 1 };
	struct io_uring_sqe join = { .fd = FIXED_SLOT, .flags = IOSQE_FIXED_FILE }, use = join;
	int empty = -1, told, sent;

	(void)s;
	told = ring_register(ring, IORING_REGISTER_FILES, &empty, 1);
	if (!told)
		told = ring_run(ring, &make);
	fill_connect(&join, out);
	fill_send(&use, out);
	if (!told)
		told = ring_run(ring, &join);
	sent = ring_run(ring, &use);
	return told ? told : sent;
}

static int go_bound(const struct shot *s, struct ring *ring, struct send_out *out)
{
	struct io_uring_sqe sqe = { .fd = out->fd };
	int told = ring_setsockopt(ring, out->fd, SOL_SOCKET, SO_BINDTODEVICE, SEND_UPLINK,
				   sizeof(SEND_UPLINK));
	int sent;

	(void)s;
	fill_sendmsg(&sqe, out);
	sent = ring_run(ring, &sqe);
	return told ? told : sent;
}

/* A frame past the queue and the wire plane, if a command may do what setsockopt() may not. */
static int go_bypass(const struct shot *s, struct ring *ring, struct send_out *out)
{
	static const int yes = 1;
	struct sockaddr_ll where = { .sll_family = AF_PACKET, .sll_halen = ETH_ALEN,
				     .sll_ifindex = verify_ifindex(SEND_UPLINK) };
	struct io_uring_sqe sqe = { .fd = out->fd };
	__u8 payload[PAYLOAD_BYTES];
	size_t bytes;
	int told, sent;

	verify_payload(s, payload, sizeof(payload));
	bytes = verify_ethernet(out->payload, VERIFY_ROUTER_MAC, VERIFY_CLIENT_MAC, ETH_P_IP);
	bytes += verify_udp4(out->payload + bytes, VERIFY_CLIENT4, VERIFY_WEB4, s->port, s->port,
			     payload, sizeof(payload));
	out->data.iov_len = bytes;
	out->message.msg_name = &where;
	out->message.msg_namelen = sizeof(where);
	told = ring_setsockopt(ring, out->fd, SOL_PACKET, PACKET_QDISC_BYPASS, &yes, sizeof(yes));
	fill_sendmsg(&sqe, out);
	sent = ring_run(ring, &sqe);
	return told ? told : sent;
}

/* ---- the table ---- */

/* X(name, flags, opcode, summary, how...) */
#define WAYS(X)                                                                                    \
	X("uring-sendmsg", 0, IORING_OP_SENDMSG, "UDP by io_uring's sendmsg",                      \
	  .fill = fill_sendmsg)                                                                    \
	X("uring-send", VERIFY_BEFORE, IORING_OP_SEND, "connected before, io_uring's send",        \
	  .connect = true, .fill = fill_send)                                                      \
	X("uring-write", VERIFY_BEFORE, IORING_OP_WRITE, "connected before, io_uring's write",     \
	  .connect = true, .fill = fill_write)                                                     \
	X("uring-splice", VERIFY_BEFORE, IORING_OP_SPLICE, "connected before, io_uring's splice",  \
	  .connect = true, .go = go_spliced)                                                       \
	X("uring-send-zc", 0, IORING_OP_SEND_ZC, "UDP by io_uring's send without copy",            \
	  .fill = fill_send_zerocopy)                                                              \
	X("uring-sendmsg-zc", 0, IORING_OP_SENDMSG_ZC, "UDP by its sendmsg without copy",          \
	  .fill = fill_sendmsg_zerocopy)                                                           \
	X("uring-sqpoll", 0, IORING_OP_SENDMSG, "UDP by io_uring's polling thread",                \
	  .setup = IORING_SETUP_SQPOLL, .fill = fill_sendmsg)                                      \
	X("uring-worker", 0, IORING_OP_SENDMSG, "UDP by io_uring's worker threads",                \
	  .sqe_flags = IOSQE_ASYNC, .fill = fill_sendmsg)                                          \
	X("uring-registered", 0, IORING_OP_WRITE_FIXED, "a registered socket, a registered buffer",\
	  .connect = true, .registered = true, .fill = fill_write_fixed)                           \
	X("uring-slot", 0, IORING_OP_SOCKET, "a socket without a descriptor", .go = go_slot)       \
	X("uring-connect", 0, IORING_OP_CONNECT, "TCP by io_uring's connect",                      \
	  .type = SOCK_STREAM, .fill = fill_connect, .is_it = send_is_syn)                         \
	X("uring-connect-worker", 0, IORING_OP_CONNECT, "TCP by io_uring's worker threads",        \
	  .type = SOCK_STREAM, .sqe_flags = IOSQE_ASYNC, .fill = fill_connect,                     \
	  .is_it = send_is_syn)                                                                    \
	X("uring-bind-device", VERIFY_TUNNEL_UP, IORING_OP_URING_CMD,                              \
	  "SO_BINDTODEVICE by io_uring past the tunnel", .steer = true, .go = go_bound)            \
	X("uring-bypass", 0, IORING_OP_URING_CMD, "PACKET_QDISC_BYPASS by io_uring",               \
	  .type = SOCK_RAW, .go = go_bypass)                                                       \
	X("uring-before", VERIFY_BEFORE, IORING_OP_WRITE_FIXED,                                    \
	  "a ring from before the fence, its socket and buffer registered", .connect = true,       \
	  .registered = true, .fill = fill_write_fixed)                                            \
	X("uring-sqpoll-before", VERIFY_BEFORE, IORING_OP_SENDMSG,                                 \
	  "a ring's polling thread from before the fence", .setup = IORING_SETUP_SQPOLL,           \
	  .fill = fill_sendmsg)

static const struct way ways[] = {
#define X(title, when, op, text, ...) { .name = title, .flags = when, .opcode = op, __VA_ARGS__ },
	WAYS(X)
#undef X
};

/* What prepare() leaves for fire(). */
struct made {
	struct ring ring;
	struct send_out out;
};

static const struct way *way_of(const struct shot *s)
{
	return &ways[send_row(&vectors_uring, s)];
}

/* Whether the command is known is seen by trying it on what no fence minds. */
static int try_setsockopt(struct ring *ring)
{
	_cleanup_close_ int fd = send_socket(VERIFY_WEB4, SOCK_DGRAM, 0);
	static const int yes = 1;

	if (fd < 0)
		return fd;
	return ring_setsockopt(ring, fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes))
		       ? -EOPNOTSUPP : 0;
}

/* Refused, the sender goes on: what was told first, or 0. */
static int make_ready(const struct shot *s, const struct way *way, struct made *m)
{
	struct iovec buffer = { .iov_base = m->out.payload, .iov_len = sizeof(m->out.payload) };
	int told = way->connect ? send_connect(s->fd, VERIFY_WEB4, s->port, 0) : 0, more;

	if (!way->registered)
		return told;
	more = ring_register(&m->ring, IORING_REGISTER_BUFFERS, &buffer, 1);
	if (!more)
		more = ring_register(&m->ring, IORING_REGISTER_FILES, &s->fd, 1);
	return told ? told : more;
}

static int prepare(struct shot *s)
{
	const struct way *way = way_of(s);
	struct made *m = calloc(1, sizeof(*m)); /* for this process's life: the kernel reads it */
	int error;

	if (!m)
		return -ENOMEM;
	s->data = m;
	error = ring_open(&m->ring, way->setup);
	if (!error)
		error = ring_knows(&m->ring, way->opcode);
	if (!error && way->opcode == IORING_OP_URING_CMD)
		error = try_setsockopt(&m->ring);
	if (!error && way->steer)
		error = send_steer(s);
	if (error)
		return error;
	if (way->type == SOCK_RAW)
		s->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	else
		s->fd = send_socket(VERIFY_WEB4, way->type ? way->type : SOCK_DGRAM, 0);
	if (s->fd < 0)
		return -EOPNOTSUPP;
	send_prepare(&m->out, s, s->fd, VERIFY_WEB4, PAYLOAD_BYTES);
	return way->flags & VERIFY_BEFORE ? make_ready(s, way, m) : 0;
}

static int fire(struct shot *s)
{
	const struct way *way = way_of(s);
	struct made *m = s->data;
	struct io_uring_sqe sqe = { .fd = s->fd, .flags = way->sqe_flags };
	int told = way->flags & VERIFY_BEFORE ? 0 : make_ready(s, way, m), sent;

	if (way->go)
		return way->go(s, &m->ring, &m->out);
	way->fill(&sqe, &m->out);
	if (way->registered) {
		sqe.fd = FIXED_SLOT;
		sqe.flags |= IOSQE_FIXED_FILE;
	}
	sent = ring_run(&m->ring, &sqe);
	return told ? told : sent;
}

static bool is_it(const struct shot *s, const __u8 *frame, size_t bytes)
{
	const struct way *way = way_of(s);

	if (way->is_it)
		return way->is_it(s, frame, bytes);
	return verify_has(frame, bytes, s->token, sizeof(s->token));
}

static const struct vector vectors[] = {
#define X(title, when, op, text, ...)                                                              \
	{ .name = title, .summary = text, .flags = when,                                           \
	  .prepare = prepare, .fire = fire, .is_it = is_it },
	WAYS(X)
#undef X
};

const struct vector_group vectors_uring = { "uring", vectors, ARRAY_SIZE(vectors) };
