// SPDX-License-Identifier: GPL-2.0
/*
 * verify's vectors: frames by AF_PACKET's transmit rings (CAP_NET_RAW), which are memory that their
 * sender shares with the kernel and may go on writing to. A row of WAYS is a vector. Never judges,
 * never prints.
 */
#define _GNU_SOURCE /* sched_setaffinity */

#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#include "util.h"
#include "vectors_send.h"
#include "verify.h"

enum {
	SLOTS = 4,
	SLOT_BYTES = 2048,
	RING_BYTES = SLOTS * SLOT_BYTES,
	PAYLOAD_BYTES = 64,
	CHANGING_ROUNDS = 128,
	CHANGING_FRAMES = 8,         /* in a round */
	CHANGING_PAUSE_NS = 1000000, /* the other process gets its share of the processors */
	START_MS = 500,
	STEP_SPINS = 37,
	MOST_SPINS = 4000, /* some microseconds */
	IP6_DESTINATION = 24, /* its place in the header */
};

struct way {
	const char *name;
	unsigned int flags;
	int version;   /* TPACKET_V1... */
	bool bypass;   /* PACKET_QDISC_BYPASS: round the queue, and the wire plane */
	bool loss;     /* PACKET_LOSS: a frame that fails does not stop the ring */
	bool changing; /* another process keeps writing to the frame */
};

/* ---- frames ---- */

static size_t build_udp(const struct shot *s, __u8 *to)
{
	size_t bytes = verify_ethernet(to, VERIFY_ROUTER_MAC, VERIFY_CLIENT_MAC, ETH_P_IP);
	__u8 payload[PAYLOAD_BYTES];

	verify_payload(s, payload, sizeof(payload));
	return bytes + verify_udp4(to + bytes, VERIFY_CLIENT4, VERIFY_WEB4, s->port, s->port,
				   payload, sizeof(payload));
}

/* ---- the ring ---- */

/* Where a slot's frame begins. */
static size_t header_bytes(int version)
{
	size_t bytes = version == TPACKET_V1   ? sizeof(struct tpacket_hdr)
		       : version == TPACKET_V2 ? sizeof(struct tpacket2_hdr)
					       : sizeof(struct tpacket3_hdr);

	return (bytes + TPACKET_ALIGNMENT - 1) / TPACKET_ALIGNMENT * TPACKET_ALIGNMENT;
}

static void offer(void *slot, int version, size_t bytes)
{
	struct tpacket_hdr *v1 = slot;
	struct tpacket2_hdr *v2 = slot;
	struct tpacket3_hdr *v3 = slot;

	switch (version) {
	case TPACKET_V1:
		v1->tp_len = (unsigned int)bytes;
		__atomic_store_n(&v1->tp_status, TP_STATUS_SEND_REQUEST, __ATOMIC_RELEASE);
		break;
	case TPACKET_V2:
		v2->tp_len = (__u32)bytes;
		__atomic_store_n(&v2->tp_status, TP_STATUS_SEND_REQUEST, __ATOMIC_RELEASE);
		break;
	default:
		v3->tp_len = (__u32)bytes;
		__atomic_store_n(&v3->tp_status, TP_STATUS_SEND_REQUEST, __ATOMIC_RELEASE);
		break;
	}
}

/* The ring without what a fence may refuse. */
static int map_ring(struct shot *s, const struct way *way)
{
	struct tpacket_req3 request = { .tp_block_size = SLOT_BYTES * 2, .tp_block_nr = SLOTS / 2,
					.tp_frame_size = SLOT_BYTES, .tp_frame_nr = SLOTS };
	socklen_t bytes = way->version == TPACKET_V3 ? sizeof(request) : sizeof(struct tpacket_req);
	struct sockaddr_ll where = { .sll_family = AF_PACKET,
				     .sll_protocol = (TF_FORCE __be16)htons(ETH_P_IP),
				     .sll_ifindex = verify_ifindex(SEND_UPLINK) };
	int error = send_option(s->fd, SOL_PACKET, PACKET_VERSION, way->version);

	if (!error && way->loss)
		error = send_option(s->fd, SOL_PACKET, PACKET_LOSS, 1);
	error = send_told(error, setsockopt(s->fd, SOL_PACKET, PACKET_TX_RING, &request, bytes));
	if (error)
		return error;
	s->data = mmap(NULL, RING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, s->fd, 0);
	if (s->data == MAP_FAILED)
		return -errno;
	return send_told(0, bind(s->fd, (struct sockaddr *)&where, sizeof(where)));
}

static int set_bypass(int fd, const struct way *way)
{
	return way->bypass ? send_option(fd, SOL_PACKET, PACKET_QDISC_BYPASS, 1) : 0;
}

static int send_slot(const struct shot *s, const struct way *way, size_t slot, size_t bytes)
{
	offer((__u8 *)s->data + slot * SLOT_BYTES, way->version, bytes);
	return send_told(0, send(s->fd, NULL, 0, 0));
}

/* ---- a frame that changes while it is sent ---- */

/* This process to one processor of two, the first or the other: to change what another reads at the
 * same time. Where there is but one, nothing is done. */
static void take_processor(bool first)
{
	cpu_set_t all, one;
	int taken = 0;

	CPU_ZERO(&one);
	if (sched_getaffinity(0, sizeof(all), &all) < 0)
		return;
	for (size_t i = 0; i < CPU_SETSIZE && taken < (first ? 1 : 2); i++) {
		if (!CPU_ISSET(i, &all))
			continue;
		CPU_ZERO(&one);
		CPU_SET(i, &one);
		taken++;
	}
	sched_setaffinity(0, sizeof(one), &one);
}

/* Never returns: turns the destination of every slot's frame into the web server's and back. Ends
 * with its parent. */
static void __attribute__((noreturn)) keep_changing(__u8 *ring, size_t place, pid_t parent)
{
	static const __u8 destination[][2] = { { 0x20, 0x01 }, { 0xff, 0x02 } };

	take_processor(false);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(0);
	for (size_t turn = 0;; turn++) {
		for (size_t i = 0; i < SLOTS; i++)
			memcpy(ring + i * SLOT_BYTES + place, destination[turn % 2],
			       sizeof(destination[0]));
		/* Each stays for a while, up to as long as a judge takes, and ever another one. */
		for (volatile size_t wait = turn * STEP_SPINS % MOST_SPINS; wait; wait--)
			;
	}
}

static size_t changing_place(void)
{
	return header_bytes(TPACKET_V2) + ETH_HLEN + IP6_DESTINATION;
}

static bool is_changing(struct shot *s)
{
	const __u8 *first = (__u8 *)s->data + changing_place();

	return __atomic_load_n(first, __ATOMIC_RELAXED) != 0xff;
}

static int send_changing(struct shot *s, const struct way *way, size_t bytes)
{
	const struct timespec pause = { .tv_nsec = CHANGING_PAUSE_NS };
	int told, more;
	pid_t parent = getpid(), changer = fork();

	if (changer < 0)
		return -errno;
	if (changer == 0)
		keep_changing(s->data, changing_place(), parent);
	take_processor(true);
	told = verify_until(is_changing, s, START_MS);
	for (size_t i = 0; i < (size_t)CHANGING_ROUNDS * CHANGING_FRAMES; i++) {
		if (i % CHANGING_FRAMES == 0)
			nanosleep(&pause, NULL);
		more = send_slot(s, way, i % SLOTS, bytes);
		told = told ? told : more;
	}
	kill(changer, SIGKILL);
	waitpid(changer, NULL, 0);
	return told;
}

/* ---- the table ---- */

/* X(name, flags, summary, how...) */
#define WAYS(X)                                                                                    \
	X("ring-v1", 0, "a transmit ring, TPACKET_V1", .version = TPACKET_V1)                      \
	X("ring-v2", 0, "a transmit ring, TPACKET_V2", .version = TPACKET_V2)                      \
	X("ring-v3", 0, "a transmit ring, TPACKET_V3", .version = TPACKET_V3)                      \
	X("ring-loss", 0, "a transmit ring with PACKET_LOSS", .version = TPACKET_V2, .loss = true) \
	X("ring-changing", 0, "a ring whose frame becomes another while it is sent",               \
	  .version = TPACKET_V2, .changing = true)                                                 \
	X("ring-before", VERIFY_BEFORE, "a ring from before the fence", .version = TPACKET_V2)     \
	X("ring-v1-bypass", 0, "a transmit ring past the queue, TPACKET_V1",                       \
	  .version = TPACKET_V1, .bypass = true)                                                   \
	X("ring-v2-bypass", 0, "a transmit ring past the queue, TPACKET_V2",                       \
	  .version = TPACKET_V2, .bypass = true)                                                   \
	X("ring-v3-bypass", 0, "a transmit ring past the queue, TPACKET_V3",                       \
	  .version = TPACKET_V3, .bypass = true)                                                   \
	X("ring-bypass-before", VERIFY_BEFORE | VERIFY_NEEDS_LSM,                                  \
	  "past the queue, by a ring from before the fence", .version = TPACKET_V2, .bypass = true)

static const struct way ways[] = {
#define X(title, when, text, ...) { .name = title, .flags = when, __VA_ARGS__ },
	WAYS(X)
#undef X
};

static const struct way *way_of(const struct shot *s)
{
	return &ways[send_row(&vectors_ring, s)];
}

static int prepare(struct shot *s)
{
	const struct way *way = way_of(s);
	int error;

	s->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (s->fd < 0)
		return -errno;
	error = map_ring(s, way);
	if (!error && (way->flags & VERIFY_BEFORE))
		error = set_bypass(s->fd, way);
	return error;
}

static int fire(struct shot *s)
{
	const struct way *way = way_of(s);
	int told = way->flags & VERIFY_BEFORE ? 0 : set_bypass(s->fd, way), sent;
	size_t (*build)(const struct shot *s, __u8 *to) = way->changing ? send_solicitation
									: build_udp;
	size_t bytes = 0;

	for (size_t i = 0; i < SLOTS; i++)
		bytes = build(s, (__u8 *)s->data + i * SLOT_BYTES + header_bytes(way->version));
	sent = way->changing ? send_changing(s, way, bytes) : send_slot(s, way, 0, bytes);
	return told ? told : sent;
}

/* The frame that changes holds the token as it is allowed, too: only its destination tells. */
static bool is_it(const struct shot *s, const __u8 *frame, size_t bytes)
{
	struct verify_frame f;

	if (!verify_has(frame, bytes, s->token, sizeof(s->token)))
		return false;
	return !way_of(s)->changing ||
	       (verify_parse(frame, bytes, &f) && verify_is_addr(&f.dst, VERIFY_WEB6));
}

static const struct vector vectors[] = {
#define X(title, when, text, ...)                                                                  \
	{ .name = title, .summary = text, .flags = when,                                           \
	  .prepare = prepare, .fire = fire, .is_it = is_it },
	WAYS(X)
#undef X
};

const struct vector_group vectors_ring = { "ring", vectors, ARRAY_SIZE(vectors) };
