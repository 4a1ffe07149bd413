// SPDX-License-Identifier: GPL-2.0
/*
 * What is not allowed to leave: what being refused costs the sender, as much of it as can be sent,
 * and some of it beside what is allowed, for as long as somebody changes what filters.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"
#include "counts.h"
#include "traffic.h"
#include "util.h"

enum {
	PORT_BLOCKED = 9000,
	PORTS = 1000, /* so many, of a flood: as many kinds of packets */
	BATCH = 16,
	CATCH_UP_MS = 20,
	MOST_QUEUED = 1000, /* of datagrams, in a socket that nobody reads */
	SETTLE_MS = 500, /* what is on its way has arrived by then */
};

static const char payload[36] = { 4 };

/* Without a mark: nothing about it may be what a tunnel's packets have. */
static int open_to(const char *address, struct sockaddr_in *to, struct err *e)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	*to = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(PORT_BLOCKED) };
	if (fd < 0 || inet_pton(AF_INET, address, &to->sin_addr) != 1)
		return err_set(e, -EINVAL, "'%s' is no IPv4 address", address);
	return TAKE_FD(fd);
}

static ssize_t send_to(int fd, const struct sockaddr_in *to)
{
	return sendto(fd, payload, sizeof(payload), 0, (const struct sockaddr *)to, sizeof(*to));
}

/* Returns how many were refused, and how many were not in *ret_sent. */
static __u64 send_blocked(int fd, struct sockaddr_in *to, __u64 until, __u64 *ret_sent)
{
	__u64 refused = 0;
	int i;

	*ret_sent = 0;
	while (now_ns() < until) {
		for (i = 0; i < BATCH; i++) {
			to->sin_port = htons((__u16)(PORT_BLOCKED + refused % PORTS));
			if (send_to(fd, to) < 0)
				refused++;
			else
				++*ret_sent;
		}
	}
	return refused;
}

int bench_refused(int argc, char *argv[], struct err *e)
{
	struct sample s = {};
	struct sockaddr_in to;
	_cleanup_close_ int fd = argc == 7 ? open_to(argv[5], &to, e) :
					     err_set(e, -EINVAL, "what is to be refused?");
	__u64 start, refused, sent;

	if (fd < 0)
		return fd;
	s = (struct sample){ .part = argv[0], .what = argv[1], .who = argv[2], .base = argv[3],
			     .unit = "ns", .round = (unsigned int)atoi(argv[4]) };
	start = spent_ns();
	refused = send_blocked(fd, &to, now_ns() + strtoull(argv[6], NULL, 10) * 1000000, &sent);
	if (sent || !refused)
		return err_set(e, -EACCES, "%s, %s: %llu packets were not refused", s.what, s.who,
			       sent);
	s.value = (double)(spent_ns() - start) / (double)refused;
	print_sample(&s);
	return 0;
}

int bench_flood(int argc, char *argv[], struct err *e)
{
	struct sockaddr_in to;
	_cleanup_close_ int fd = argc == 2 ? open_to(argv[0], &to, e) :
					     err_set(e, -EINVAL, "where to, and for how long?");
	__u64 start = now_ns(), refused, sent;

	if (fd < 0)
		return fd;
	refused = send_blocked(fd, &to, start + strtoull(argv[1], NULL, 10) * 1000000, &sent);
	if (sent)
		return err_set(e, -EACCES, "%llu packets were not refused", sent);
	printf("%llu %.0f\n", refused, (double)refused * 1e9 / (double)(now_ns() - start));
	return 0;
}

static bool is_told_to_end(int milliseconds)
{
	struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };

	return poll(&in, 1, milliseconds) != 0;
}

/* Until everything sent has arrived, or will not. */
static int settle(pid_t there, const char *device, __u64 wanted, int milliseconds,
		  struct counts *ret, struct err *e)
{
	__u64 until = now_ns() + (__u64)milliseconds * 1000000;
	int r;

	do {
		r = counts_read(there, device, ret, e);
	} while (!r && ret->datagrams < wanted && now_ns() < until);
	return r;
}

/* A datagram counts when it is read or has no room: so that each does, there must be none. */
static int fill_up(int fd, const struct sockaddr_in *to, pid_t there, const char *device,
		   struct counts *ret, struct err *e)
{
	struct counts before;
	int i, r = counts_read(there, device, &before, e);

	*ret = before;
	for (i = 0; !r && i < MOST_QUEUED && ret->datagrams == before.datagrams; i++) {
		send_to(fd, to);
		r = settle(there, device, before.datagrams + 1, 1, ret, e);
	}
	return r;
}

/* Prints: blocked ones sent, of these arrived, allowed ones sent, of these arrived. */
int bench_watch(int argc, char *argv[], struct err *e)
{
	struct counts before = {}, after = {};
	struct sockaddr_in wrong, right;
	_cleanup_close_ int fd = argc == 3 ? open_to(argv[0], &wrong, e) :
					     err_set(e, -EINVAL, "what address, device and process?");
	const int mark = TRAFFIC_MARK;
	_cleanup_close_ int marked = fd < 0 ? -1 : socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	__u64 blocked = 0, allowed = 0, arrived;
	int r;

	if (fd < 0)
		return fd;
	setsockopt(marked, SOL_SOCKET, SO_MARK, &mark, sizeof(mark));
	right = wrong;
	right.sin_port = htons(PORT_UDP);
	r = fill_up(marked, &right, (pid_t)atoi(argv[2]), argv[1], &before, e);
	if (r)
		return r;
	puts("ready");
	fflush(stdout);
	while (!r && !is_told_to_end(0)) {
		send_to(fd, &wrong);
		blocked++;
		allowed += send_to(marked, &right) >= 0;
		/* More at a time than the far end's queue holds would be lost there. */
		if (allowed % BATCH == 0)
			r = settle((pid_t)atoi(argv[2]), argv[1], before.datagrams + allowed,
				   CATCH_UP_MS, &after, e);
	}
	if (!r)
		r = settle((pid_t)atoi(argv[2]), argv[1], before.datagrams + allowed, SETTLE_MS,
			   &after, e);
	if (r)
		return r;
	arrived = after.datagrams - before.datagrams;
	printf("%llu %llu %llu %llu\n", blocked, after.for_nobody - before.for_nobody, allowed,
	       arrived - (after.for_nobody - before.for_nobody));
	return 0;
}
