// SPDX-License-Identifier: GPL-2.0
/*
 * The processes that serve a world: both ends of the tunnel, and the echo out there. Each ends when
 * it is killed, and the tunnel's device with it, as with wireguard-go. Never prints.
 */
#define _GNU_SOURCE /* accept4 */

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "verify_world.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262 /* include/uapi/linux/in.h */
#endif

enum {
	BUFFER = 65536,
	HEADER = 16,     /* of WireGuard's transport message: type, receiver, counter */
	TAG = 16,        /* its authentication tag; here only its length counts */
	TRANSPORT = 4,   /* its type */
	MASK = 0xa5,     /* what verify's tokens may not look like outside the tunnel */
	ECHO_EVENTS = 16,
	BACKLOG = 16,
};

/* One end of the tunnel. */
struct end {
	int tun, udp[2];             /* IPv4, IPv6 */
	struct sockaddr_storage peer;
	socklen_t peer_length;       /* 0: not known yet */
	int by;                      /* which of udp[] to send by */
	__u8 buffer[HEADER + BUFFER + TAG];
};

static int open_tun(const char *name)
{
	struct ifreq request = { .ifr_flags = IFF_TUN | IFF_NO_PI };
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	strcpy(request.ifr_name, name);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &request) < 0)
		_exit(errno);
	return fd;
}

static int open_bound(int type, int protocol, const char *address, __u16 port)
{
	struct sockaddr_storage to;
	socklen_t length = verify_sockaddr(address, port, &to);
	int on = 1, fd = socket(to.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (to.ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&to, length) < 0) {
		close(fd);
		return -EADDRNOTAVAIL;
	}
	return fd;
}

/* A packet from the device goes out as a transport message: padded to 16 bytes, not encrypted but
 * masked, so that a token sent into the tunnel is not seen outside. */
static void wrap(struct end *end)
{
	__u8 *packet = end->buffer + HEADER;
	ssize_t n = read(end->tun, packet, BUFFER - HEADER - TAG);
	size_t i, length = ((size_t)(n > 0 ? n : 0) + 15) & ~(size_t)15;

	if (n <= 0 || !end->peer_length)
		return;
	memset(packet + n, 0, length - (size_t)n + TAG);
	for (i = 0; i < length; i++)
		packet[i] ^= MASK;
	memset(end->buffer, 0, HEADER);
	end->buffer[0] = TRANSPORT;
	sendto(end->udp[end->by], end->buffer, HEADER + length + TAG, 0,
	       (struct sockaddr *)&end->peer, end->peer_length);
}

/* The other way. learns: answers go to where this came from. */
static void unwrap(struct end *end, int by, bool learns)
{
	struct sockaddr_storage from;
	socklen_t length = sizeof(from);
	ssize_t i, n = recvfrom(end->udp[by], end->buffer, sizeof(end->buffer), 0,
				(struct sockaddr *)&from, &length);

	if (n <= HEADER + TAG || end->buffer[0] != TRANSPORT)
		return;
	if (learns) {
		end->peer = from;
		end->peer_length = length;
		end->by = by;
	}
	for (i = HEADER; i < n - TAG; i++)
		end->buffer[i] ^= MASK;
	if (write(end->tun, end->buffer + HEADER, (size_t)(n - HEADER - TAG)) < 0)
		return; /* what is no packet is lost, as in any tunnel */
}

static void __attribute__((noreturn)) serve_end(struct end *end, int ready, bool learns)
{
	struct pollfd fds[] = {
		{ .fd = end->tun, .events = POLLIN },
		{ .fd = end->udp[0], .events = POLLIN },
		{ .fd = end->udp[1], .events = POLLIN },
	};

	if (write(ready, "", 1) != 1)
		_exit(EIO);
	while (poll(fds, ARRAY_SIZE(fds), -1) >= 0 || errno == EINTR) {
		if (fds[0].revents)
			wrap(end);
		if (fds[1].revents)
			unwrap(end, 0, learns);
		if (fds[2].revents)
			unwrap(end, 1, learns);
	}
	_exit(errno);
}

void verify_serve_tun(int ready)
{
	static struct end end;
	int i, mark = VERIFY_MARK;

	end.tun = open_tun(VERIFY_TUNNEL);
	end.udp[0] = open_bound(SOCK_DGRAM, 0, "0.0.0.0", VERIFY_VPN_PORT);
	end.udp[1] = open_bound(SOCK_DGRAM, 0, "::", VERIFY_VPN_PORT);
	end.peer_length = verify_sockaddr(VERIFY_VPN4, VERIFY_VPN_PORT, &end.peer);
	if (end.udp[0] < 0)
		_exit(-end.udp[0]);
	for (i = 0; i < 2; i++)
		setsockopt(end.udp[i], SOL_SOCKET, SO_MARK, &mark, sizeof(mark));
	serve_end(&end, ready, false);
}

void verify_serve_peer(int ready)
{
	static struct end end;

	end.tun = open_tun(VERIFY_PEER_TUNNEL);
	end.udp[0] = open_bound(SOCK_DGRAM, 0, VERIFY_VPN4, VERIFY_VPN_PORT);
	end.udp[1] = open_bound(SOCK_DGRAM, 0, VERIFY_VPN6, VERIFY_VPN_PORT);
	if (end.udp[0] < 0)
		_exit(-end.udp[0]);
	serve_end(&end, ready, true);
}

/* ---- the echo ------------------------------------------------------------------------------- */

enum role { ROLE_CHANNEL, ROLE_LISTENER, ROLE_DATAGRAM, ROLE_STREAM };

static void watch(int set, int fd, enum role role)
{
	struct epoll_event event = { .events = EPOLLIN,
				     .data.u64 = (__u64)role << 32 | (__u32)fd };

	if (fd >= 0 && epoll_ctl(set, EPOLL_CTL_ADD, fd, &event) < 0)
		close(fd);
}

/* One address's port: UDP, and TCP that also speaks MPTCP and fast open where the kernel can. */
static void open_port(int set, const char *address, __u16 port)
{
	int queue = BACKLOG, fd = open_bound(SOCK_STREAM, IPPROTO_MPTCP, address, port);

	watch(set, open_bound(SOCK_DGRAM, 0, address, port), ROLE_DATAGRAM);
	if (fd < 0)
		fd = open_bound(SOCK_STREAM, 0, address, port);
	if (fd < 0)
		return;
	setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN, &queue, sizeof(queue));
	if (listen(fd, BACKLOG) < 0)
		close(fd);
	else
		watch(set, fd, ROLE_LISTENER);
}

static void open_ports(int set, __u16 port)
{
	open_port(set, VERIFY_WEB4, port);
	open_port(set, VERIFY_WEB6, port);
}

static void echo(int fd, enum role role)
{
	static __u8 buffer[BUFFER];
	struct sockaddr_storage from;
	socklen_t length = sizeof(from);
	ssize_t n;

	n = recvfrom(fd, buffer, sizeof(buffer), 0, (struct sockaddr *)&from, &length);
	if (n >= 0 && role == ROLE_DATAGRAM)
		n = sendto(fd, buffer, (size_t)n, 0, (struct sockaddr *)&from, length);
	else if (n > 0)
		n = send(fd, buffer, (size_t)n, MSG_NOSIGNAL);
	if (role == ROLE_STREAM && (n == 0 || (n < 0 && errno != EAGAIN)))
		close(fd);
}

static void serve_event(int set, int fd, enum role role)
{
	__u16 port;

	switch (role) {
	case ROLE_CHANNEL:
		if (read(fd, &port, sizeof(port)) != sizeof(port))
			_exit(0);
		open_ports(set, port);
		if (write(fd, "", 1) != 1)
			_exit(EIO);
		break;
	case ROLE_LISTENER:
		watch(set, accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), ROLE_STREAM);
		break;
	case ROLE_DATAGRAM:
	case ROLE_STREAM:
		echo(fd, role);
		break;
	}
}

void verify_serve_echo(int channel)
{
	static const __u16 always[] = { 9, 53, 80, 123, 443, 853 };
	struct epoll_event events[ECHO_EVENTS];
	int i, n, set = epoll_create1(EPOLL_CLOEXEC);
	size_t p;

	watch(set, channel, ROLE_CHANNEL);
	for (p = 0; p < ARRAY_SIZE(always); p++)
		open_ports(set, always[p]);
	if (write(channel, "", 1) != 1)
		_exit(EIO);
	for (;;) {
		n = epoll_wait(set, events, ECHO_EVENTS, -1);
		for (i = 0; i < n; i++)
			serve_event(set, (int)(__u32)events[i].data.u64,
				    (enum role)(events[i].data.u64 >> 32));
	}
}
