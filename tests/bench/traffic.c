// SPDX-License-Identifier: GPL-2.0
/*
 * Sends for a moment, as fast as it can, and says how much arrived at the far end, by the counters
 * of the device there, and what that cost: the time that this process and those it is told of were
 * on a processor, for each packet, megabyte or question. With SENDERS=n in the environment so many
 * send, each on a processor of its own, and only what arrives is said.
 */
#define _GNU_SOURCE
#include "traffic.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "counts.h"
#include "util.h"

enum {
	BATCH = 32,
	HEADERS = 20 + 8,
	WARM_MS = 40,
	STALL_S = 2, /* longer than that no TCP connection waits in vain */
};

struct load {
	const char *kind, *address, *device;
	int port, milliseconds, datagram;
	pid_t there;
	char **helpers; /* whose time counts, too */
	int helper_count;
};

struct result {
	__u64 done; /* by the sender: round trips, where they count */
	__u64 ns, cpu;
	struct counts arrived;
};

/* The processor time of a process. */
static __u64 cpu_of(pid_t pid)
{
	struct timespec t = {};
	clockid_t clock;

	if (clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &t))
		return 0;
	return (__u64)t.tv_sec * 1000000000 + (__u64)t.tv_nsec;
}

static __u64 cpu_of_all(const struct load *l)
{
	__u64 sum = cpu_of(0);
	int i;

	for (i = 0; i < l->helper_count; i++)
		sum += cpu_of((pid_t)atoi(l->helpers[i]));
	return sum;
}

static int open_socket(const struct load *l, struct err *e)
{
	const struct timeval stall = { .tv_sec = STALL_S };
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((__u16)l->port) };
	_cleanup_close_ int fd =
		socket(AF_INET, (l->datagram ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);
	const int one = 1, mark = TRAFFIC_MARK;

	if (fd < 0 || inet_pton(AF_INET, l->address, &to.sin_addr) != 1)
		return err_set(e, -EINVAL, "'%s' is no IPv4 address", l->address);
	setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &stall, sizeof(stall));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &stall, sizeof(stall));
	if (!l->datagram)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)))
		return err_set(e, -errno, "'%s' port %d: %s", l->address, l->port, strerror(errno));
	return TAKE_FD(fd);
}

/* A moment of one kind of traffic each; what was done counts up. A refusal is no error here: what
 * matters is what it cost, and what arrived. */

static int send_datagrams(int fd, const struct load *l, __u64 until, __u64 *done, struct err *e)
{
	static char data[1500] = { 4 }; /* WireGuard's data message */
	struct iovec io = { .iov_base = data, .iov_len = (size_t)(l->datagram - HEADERS) };
	struct mmsghdr batch[BATCH] = {};
	int i, sent;

	(void)e;
	for (i = 0; i < BATCH; i++) {
		batch[i].msg_hdr.msg_iov = &io;
		batch[i].msg_hdr.msg_iovlen = 1;
	}
	while (now_ns() < until) {
		sent = sendmmsg(fd, batch, BATCH, 0);
		*done += sent > 0 ? (__u64)sent : 1;
	}
	return 0;
}

static int send_stream(int fd, const struct load *l, __u64 until, __u64 *done, struct err *e)
{
	static char data[128 << 10];
	ssize_t sent;

	(void)l;
	while (now_ns() < until) {
		sent = send(fd, data, sizeof(data), MSG_NOSIGNAL);
		if (sent <= 0)
			return err_set(e, -errno, "the stream stalls: %s", strerror(errno));
		*done += (__u64)sent;
	}
	return 0;
}

static int ask(int fd, const struct load *l, __u64 until, __u64 *done, struct err *e)
{
	char byte = 'x';

	(void)l;
	while (now_ns() < until) {
		if (send(fd, &byte, 1, MSG_NOSIGNAL) != 1 || recv(fd, &byte, 1, 0) != 1)
			return err_set(e, -errno, "no answer: %s", strerror(errno));
		++*done;
	}
	return 0;
}

static const struct kind {
	const char *name, *unit, *cost;
	int datagram; /* bytes of a packet from its IP header on; 0: TCP */
	int (*send)(int fd, const struct load *l, __u64 until, __u64 *done, struct err *e);
	double scale; /* of the unit, in what is counted; of the cost, in ns for one of those */
} kinds[] = {
	{ "UDP 64 bytes", "packet/s", "ns/packet", 64, send_datagrams, 1 },
	{ "UDP 1400 bytes", "packet/s", "ns/packet", 1400, send_datagrams, 1 },
	{ "TCP stream", "MB/s", "ns/MB", 0, send_stream, 1e6 },
	{ "TCP questions", "answer/s", "ns/answer", 0, ask, 1 },
};

static const struct kind *find_kind(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (streq(kinds[i].name, name))
			return &kinds[i];
	}
	return NULL;
}

static void stay_on(int processor)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)processor, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static int senders(void)
{
	const char *text = getenv("SENDERS");

	return text ? atoi(text) : 0;
}

/* Those that send beside this process, until it ends. */
static void start_others(const struct kind *kind, const struct load *l)
{
	int i;

	for (i = 1; i < senders(); i++) {
		__u64 done = 0;
		int fd;

		if (fork())
			continue;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		stay_on(i);
		fd = open_socket(l, NULL);
		if (fd >= 0)
			kind->send(fd, l, ~0ULL, &done, NULL);
		_exit(1);
	}
	if (senders())
		stay_on(0);
}

static int run(const struct kind *kind, const struct load *l, struct result *ret, struct err *e)
{
	_cleanup_close_ int fd = open_socket(l, e);
	struct counts before, after = {};
	__u64 start, cpu, warm = 0;
	int r;

	if (fd < 0)
		return fd;
	start_others(kind, l);
	r = kind->send(fd, l, now_ns() + WARM_MS * 1000000ULL, &warm, e);
	if (!r)
		r = counts_read(l->there, l->device, &before, e);
	if (r)
		return r;
	*ret = (struct result){};
	start = now_ns();
	cpu = cpu_of_all(l);
	r = kind->send(fd, l, start + (__u64)l->milliseconds * 1000000, &ret->done, e);
	if (!r)
		r = counts_read(l->there, l->device, &after, e);
	ret->ns = now_ns() - start;
	ret->cpu = cpu_of_all(l) - cpu;
	ret->arrived.bytes = after.bytes - before.bytes;
	ret->arrived.packets = after.packets - before.packets;
	return r;
}

/* How much of what counts arrived. */
static double amount(const struct kind *kind, const struct result *r)
{
	if (kind->send == ask)
		return (double)r->done;
	if (kind->datagram)
		return (double)r->arrived.packets;
	return (double)r->arrived.bytes / kind->scale;
}

static void print(const struct kind *kind, const struct result *r, struct sample *s)
{
	double arrived = amount(kind, r);
	char what[96];

	s->value = arrived * 1e9 / (double)r->ns;
	s->unit = kind->unit;
	print_sample(s);
	if (senders())
		return;
	snprintf(what, sizeof(what), "%s: CPU", s->what);
	s->what = what;
	s->unit = kind->cost;
	s->value = (double)r->cpu / arrived;
	print_sample(s);
}

int bench_traffic(int argc, char *argv[], struct err *e)
{
	struct sample s = {};
	struct result result = {};
	const struct kind *kind = argc > 10 ? find_kind(argv[5]) : NULL;
	struct load l;
	int r;

	if (!kind)
		return err_set(e, -EINVAL, "what traffic?");
	s = (struct sample){ .part = argv[0], .what = argv[1], .who = argv[2], .base = argv[3],
			     .round = (unsigned int)atoi(argv[4]) };
	l = (struct load){ .kind = argv[5], .address = argv[6], .port = atoi(argv[7]),
			   .device = argv[8], .there = (pid_t)atoi(argv[9]),
			   .milliseconds = atoi(argv[10]), .datagram = kind->datagram,
			   .helpers = argv + 11, .helper_count = argc - 11 };
	r = run(kind, &l, &result, e);
	if (!r && amount(kind, &result) < 1)
		r = err_set(e, -EIO, "nothing arrives");
	if (r)
		return err_prefix(e, "%s, %s", s.what, s.who);
	print(kind, &result, &s);
	return 0;
}

/* What no filter may let through, so that none is measured that does not filter. */
int bench_blocked(int argc, char *argv[], struct err *e)
{
	struct counts before = {}, after = {};
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(9999) };
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int i, r;

	if (fd < 0 || argc != 3 || inet_pton(AF_INET, argv[0], &to.sin_addr) != 1)
		return err_set(e, -EINVAL, "what address, device and process?");
	r = counts_read((pid_t)atoi(argv[2]), argv[1], &before, e);
	for (i = 0; !r && i < BATCH; i++)
		sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof(to));
	if (!r)
		r = counts_read((pid_t)atoi(argv[2]), argv[1], &after, e);
	if (!r && after.datagrams != before.datagrams)
		r = err_set(e, -EACCES, "%llu of %d packets leaked",
			    after.datagrams - before.datagrams, BATCH);
	return r;
}
