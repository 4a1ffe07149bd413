// SPDX-License-Identifier: GPL-2.0
/*
 * verify's vectors: datagrams by ordinary sockets, no privilege but where the row says so. A row of
 * WAYS is a vector: where to, with which options, by which call. Never judges, never prints.
 */
#define _GNU_SOURCE /* sendmmsg, struct in6_pktinfo */

#include <errno.h>
#include <linux/aio_abi.h>
#include <linux/net_tstamp.h>
#include <netinet/udp.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "util.h"
#include "vectors_send.h"
#include "verify.h"

#define GROUP4 "239.7.7.7"
#define GROUP6 "ff05::77"
#define MAPPED4 "::ffff:" VERIFY_WEB4
#define BROADCAST4 "255.255.255.255"
#define SUBNET_BROADCAST4 "192.168.77.255"

enum {
	USUAL_BYTES = 64,
	SEGMENT_BYTES = 32,
	LARGE_BYTES = SEND_MAX_BYTES, /* more than the uplink takes in one piece */
};

struct way {
	const char *name;
	const char *to;
	int (*open)(const struct way *way); /* NULL: by socket() */
	int (*set)(int fd);                 /* options; 0 or the first refusal */
	int (*send)(struct send_out *out);  /* NULL: by sendmsg() */
	size_t bytes; /* 0: the usual */
	unsigned int flags;
	int protocol; /* 0: UDP */
	bool empty;
	bool connect;
	bool steer;   /* asks for the uplink while the tunnel is up */
};

static int open_own(const struct way *way)
{
	return send_socket(way->to, SOCK_DGRAM, way->protocol);
}

/* The far side of a descriptor's passage: makes the socket and hands it over. */
static int give_socket(int channel, const struct way *way)
{
	char control[CMSG_SPACE(sizeof(int))] = {};
	char byte = 0;
	struct iovec data = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1, .msg_control = control,
				  .msg_controllen = sizeof(control) };
	struct cmsghdr *first = CMSG_FIRSTHDR(&message);
	int fd = open_own(way);

	if (fd < 0)
		return fd;
	first->cmsg_level = SOL_SOCKET;
	first->cmsg_type = SCM_RIGHTS;
	first->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(first), &fd, sizeof(fd));
	return send_told(0, sendmsg(channel, &message, 0));
}

static int take_socket(int channel)
{
	char control[CMSG_SPACE(sizeof(int))] = {};
	char byte;
	struct iovec data = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1, .msg_control = control,
				  .msg_controllen = sizeof(control) };
	const struct cmsghdr *first;
	int fd;

	if (recvmsg(channel, &message, MSG_CMSG_CLOEXEC) < 0)
		return -errno;
	first = CMSG_FIRSTHDR(&message);
	if (!first || first->cmsg_type != SCM_RIGHTS)
		return -EPROTO;
	memcpy(&fd, CMSG_DATA(first), sizeof(fd));
	return fd;
}

/* By another process, which passes it on and is gone. */
static int open_passed(const struct way *way)
{
	_cleanup_close_ int ours = -1, theirs = -1;
	int pair[2], fd;
	pid_t maker;

	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	ours = pair[0];
	theirs = pair[1];
	maker = fork();
	if (maker < 0)
		return -errno;
	if (maker == 0)
		_exit(give_socket(theirs, way) ? 1 : 0);
	close(TAKE_FD(theirs)); /* a maker that fails ends the wait */
	fd = take_socket(ours);
	waitpid(maker, NULL, 0);
	return fd;
}

/* The number of the maker's descriptor, and the maker waits until the channel is closed. */
static void keep_socket(int channel, const struct way *way)
{
	int fd = open_own(way);

	if (write(channel, &fd, sizeof(fd)) == sizeof(fd))
		(void)!read(channel, &fd, sizeof(fd));
}

static int take_from(pid_t maker, int channel)
{
	_cleanup_close_ int process = -1;
	int number, fd;

	if (read(channel, &number, sizeof(number)) != sizeof(number) || number < 0)
		return -EPROTO;
	process = (int)syscall(SYS_pidfd_open, maker, 0);
	if (process < 0)
		return -errno;
	fd = (int)syscall(SYS_pidfd_getfd, process, number, 0);
	return fd < 0 ? -errno : fd;
}

/* Out of another process, which did not pass it: pidfd_getfd(). */
static int open_taken(const struct way *way)
{
	int pair[2], fd;
	pid_t maker;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	maker = fork();
	if (maker == 0) {
		close(pair[0]);
		keep_socket(pair[1], way);
		_exit(0);
	}
	close(pair[1]);
	fd = maker < 0 ? -errno : take_from(maker, pair[0]);
	close(pair[0]);
	if (maker > 0)
		waitpid(maker, NULL, 0);
	return fd;
}

/* ---- options ---- */

static int set_broadcast(int fd)
{
	return send_option(fd, SOL_SOCKET, SO_BROADCAST, 1);
}

static int set_group4(int fd)
{
	struct ip_mreqn by = { .imr_ifindex = verify_ifindex(SEND_UPLINK) };

	return send_told(0, setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &by, sizeof(by)));
}

static int set_group6(int fd)
{
	return send_option(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, verify_ifindex(SEND_UPLINK));
}

static int set_unicast4(int fd)
{
	int index = (int)htonl((__u32)verify_ifindex(SEND_UPLINK));

	return send_option(fd, IPPROTO_IP, IP_UNICAST_IF, index);
}

static int set_unicast6(int fd)
{
	int index = (int)htonl((__u32)verify_ifindex(SEND_UPLINK));

	return send_option(fd, IPPROTO_IPV6, IPV6_UNICAST_IF, index);
}

static int set_mark(int fd)
{
	return send_option(fd, SOL_SOCKET, SO_MARK, VERIFY_MARK);
}

static int set_direct(int fd)
{
	return send_option(fd, SOL_SOCKET, SO_DONTROUTE, 1);
}

static int set_segments(int fd)
{
	return send_option(fd, SOL_UDP, UDP_SEGMENT, SEGMENT_BYTES);
}

static int set_zerocopy(int fd)
{
	return send_option(fd, SOL_SOCKET, SO_ZEROCOPY, 1);
}

/* Speaks as the tunnel's own address, which this machine may not have any more. */
static int set_tunnel_source(int fd)
{
	int told = send_option(fd, IPPROTO_IP, IP_TRANSPARENT, 1);
	struct sockaddr_storage from;
	socklen_t bytes = verify_sockaddr(VERIFY_TUNNEL4, 0, &from);

	return send_told(told, bind(fd, (struct sockaddr *)&from, bytes));
}

/* Record route: an option that hides nothing, but moves the ports. */
static int set_ip_options(int fd)
{
	static const __u8 record_route[] = { 7, 11, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0 };

	return send_told(0, setsockopt(fd, IPPROTO_IP, IP_OPTIONS, record_route,
				       sizeof(record_route)));
}

/* Extension headers of padding; CAP_NET_RAW. */
static int set_destination_options(int fd)
{
	static const __u8 padding[] = { 0, 0, 1, 4, 0, 0, 0, 0 };

	return send_told(0, setsockopt(fd, IPPROTO_IPV6, IPV6_DSTOPTS, padding, sizeof(padding)));
}

static int set_hop_options(int fd)
{
	static const __u8 padding[] = { 0, 0, 1, 4, 0, 0, 0, 0 };

	return send_told(0, setsockopt(fd, IPPROTO_IPV6, IPV6_HOPOPTS, padding, sizeof(padding)));
}

/* Is connected to this machine, which no fence minds. */
static int set_connected_home(int fd)
{
	struct sockaddr_storage home;
	socklen_t bytes = verify_sockaddr(VERIFY_CLIENT4, 9, &home);

	return send_told(0, connect(fd, (struct sockaddr *)&home, bytes));
}

static int set_transmit_time(int fd)
{
	struct sock_txtime by = { .clockid = CLOCK_MONOTONIC };

	return send_told(0, setsockopt(fd, SOL_SOCKET, SO_TXTIME, &by, sizeof(by)));
}

/* ---- calls ---- */

static int send_direct(struct send_out *out)
{
	return send_told(0, sendmsg(out->fd, &out->message, MSG_DONTROUTE));
}

static int send_many(struct send_out *out)
{
	struct mmsghdr both[2] = { { .msg_hdr = out->message }, { .msg_hdr = out->message } };

	return send_told(0, sendmmsg(out->fd, both, ARRAY_SIZE(both), 0));
}

static int send_segments(struct send_out *out)
{
	__u16 bytes = SEGMENT_BYTES;

	send_control(out, SOL_UDP, UDP_SEGMENT, &bytes, sizeof(bytes));
	return send_message(out);
}

/* In two pieces: the first waits for the second. */
static int send_corked(struct send_out *out)
{
	int told;

	out->data.iov_len /= 2;
	told = send_told(0, sendmsg(out->fd, &out->message, MSG_MORE));
	return send_told(told, sendmsg(out->fd, &out->message, 0));
}

/* Corked, and let go by the option: nothing is sent by a send call. */
static int send_uncorked(struct send_out *out)
{
	int told = send_option(out->fd, SOL_UDP, UDP_CORK, 1), more;

	told = send_told(told, sendmsg(out->fd, &out->message, 0));
	more = send_option(out->fd, SOL_UDP, UDP_CORK, 0);
	return told ? told : more;
}

/* Linux's own asynchronous write, io_submit(). */
static int send_aio(struct send_out *out)
{
	struct iocb write_it = { .aio_lio_opcode = IOCB_CMD_PWRITE,
				 .aio_fildes = (__u32)out->fd,
				 .aio_buf = (__u64)(uintptr_t)out->payload,
				 .aio_nbytes = out->data.iov_len };
	struct timespec patience = { .tv_nsec = 100 * 1000 * 1000 };
	struct iocb *list[] = { &write_it };
	struct io_event done = {};
	aio_context_t context = 0;
	int told;

	if (syscall(SYS_io_setup, 1, &context) < 0)
		return -errno;
	told = send_told(0, syscall(SYS_io_submit, context, 1, list));
	if (!told && syscall(SYS_io_getevents, context, 1, 1, &done, &patience) == 1 &&
	    done.res < 0)
		told = (int)done.res;
	syscall(SYS_io_destroy, context);
	return told;
}

static int send_pktinfo4(struct send_out *out)
{
	struct in_pktinfo by = { .ipi_ifindex = verify_ifindex(SEND_UPLINK) };

	send_control(out, IPPROTO_IP, IP_PKTINFO, &by, sizeof(by));
	return send_message(out);
}

static int send_pktinfo6(struct send_out *out)
{
	struct in6_pktinfo by = { .ipi6_ifindex = (unsigned int)verify_ifindex(SEND_UPLINK) };

	send_control(out, IPPROTO_IPV6, IPV6_PKTINFO, &by, sizeof(by));
	return send_message(out);
}

static int send_marked(struct send_out *out)
{
	__u32 mark = VERIFY_MARK;

	send_control(out, SOL_SOCKET, SO_MARK, &mark, sizeof(mark));
	return send_message(out);
}

static int send_scoped(struct send_out *out)
{
	((struct sockaddr_in6 *)&out->to)->sin6_scope_id = (__u32)verify_ifindex(SEND_UPLINK);
	return send_message(out);
}

static int send_timed(struct send_out *out)
{
	struct timespec now;
	__u64 when;

	clock_gettime(CLOCK_MONOTONIC, &now);
	when = (__u64)now.tv_sec * 1000000000 + (__u64)now.tv_nsec;
	send_control(out, SOL_SOCKET, SCM_TXTIME, &when, sizeof(when));
	return send_message(out);
}

/* ---- the table ---- */

/* X(name, flags, summary, how...) */
#define WAYS(X)                                                                                    \
	X("udp-unconnected", 0, "UDP by sendto()", .to = VERIFY_WEB4)                              \
	X("udp6-unconnected", 0, "UDP over IPv6 by sendto()", .to = VERIFY_WEB6)                   \
	X("udp-connected", 0, "UDP, connected", .to = VERIFY_WEB4, .connect = true)                \
	X("udp6-connected", 0, "UDP over IPv6, connected", .to = VERIFY_WEB6, .connect = true)     \
	X("udp-v4mapped", 0, "UDP over IPv4 by an IPv6 socket", .to = MAPPED4)                     \
	X("udp-v4mapped-connected", 0, "the same, connected", .to = MAPPED4, .connect = true)      \
	X("udp-reconnected", 0, "UDP connected to this machine sends elsewhere",               \
	  .to = VERIFY_WEB4, .set = set_connected_home)                                            \
	X("udp-empty", 0, "UDP without payload", .to = VERIFY_WEB4, .empty = true)                 \
	X("udp-large", 0, "UDP in fragments", .to = VERIFY_WEB4, .bytes = LARGE_BYTES)             \
	X("udp6-large", 0, "UDP over IPv6 in fragments", .to = VERIFY_WEB6, .bytes = LARGE_BYTES)  \
	X("udp-lan", 0, "UDP to a host of the local network", .to = VERIFY_LAN4)                   \
	X("udp-dontroute", 0, "the same by SO_DONTROUTE", .to = VERIFY_LAN4, .set = set_direct)    \
	X("udp-msg-dontroute", 0, "the same by MSG_DONTROUTE", .to = VERIFY_LAN4,                  \
	  .send = send_direct)                                                                     \
	X("udp6-link-local", 0, "UDP to the router's link-local address",                          \
	  .to = VERIFY_ROUTER_LINK, .send = send_scoped)                                           \
	X("udp-multicast", 0, "UDP to a multicast group", .to = GROUP4, .set = set_group4)         \
	X("udp6-multicast", 0, "UDP to an IPv6 multicast group", .to = GROUP6, .set = set_group6)  \
	X("udp-broadcast", 0, "UDP to 255.255.255.255", .to = BROADCAST4, .set = set_broadcast)    \
	X("udp-subnet-broadcast", 0, "UDP to the network's broadcast address",                     \
	  .to = SUBNET_BROADCAST4, .set = set_broadcast)                                           \
	X("udp-sendmmsg", 0, "UDP by sendmmsg()", .to = VERIFY_WEB4, .send = send_many)            \
	X("udp-gso", 0, "UDP in segments, by UDP_SEGMENT", .to = VERIFY_WEB4, .set = set_segments) \
	X("udp6-gso", 0, "UDP over IPv6 in segments", .to = VERIFY_WEB6, .set = set_segments)      \
	X("udp-gso-cmsg", 0, "UDP in segments, by a control message", .to = VERIFY_WEB4,           \
	  .send = send_segments)                                                                   \
	X("udp-zerocopy", 0, "UDP by MSG_ZEROCOPY", .to = VERIFY_WEB4, .set = set_zerocopy,        \
	  .send = send_zerocopy)                                                                   \
	X("udp-more", 0, "UDP in two pieces by MSG_MORE", .to = VERIFY_WEB4, .send = send_corked)  \
	X("udp-corked", 0, "UDP let go by UDP_CORK", .to = VERIFY_WEB4, .send = send_uncorked)     \
	X("udp-txtime", 0, "UDP with a time of transmission", .to = VERIFY_WEB4,                   \
	  .set = set_transmit_time, .send = send_timed)                                            \
	X("udp-bind-device", VERIFY_TUNNEL_UP, "SO_BINDTODEVICE to the uplink past the tunnel",    \
	  .to = VERIFY_WEB4, .set = send_bind_device, .steer = true)                               \
	X("udp6-bind-device", VERIFY_TUNNEL_UP, "the same over IPv6", .to = VERIFY_WEB6,           \
	  .set = send_bind_device, .steer = true)                                                  \
	X("udp-pktinfo", VERIFY_TUNNEL_UP, "IP_PKTINFO by the uplink past the tunnel",             \
	  .to = VERIFY_WEB4, .send = send_pktinfo4, .steer = true)                                 \
	X("udp6-pktinfo", VERIFY_TUNNEL_UP, "IPV6_PKTINFO by the uplink past the tunnel",          \
	  .to = VERIFY_WEB6, .send = send_pktinfo6, .steer = true)                                 \
	X("udp-unicast-if", VERIFY_TUNNEL_UP, "IP_UNICAST_IF by the uplink past the tunnel",       \
	  .to = VERIFY_WEB4, .set = set_unicast4, .steer = true)                                   \
	X("udp6-unicast-if", VERIFY_TUNNEL_UP, "IPV6_UNICAST_IF by the uplink past the tunnel",    \
	  .to = VERIFY_WEB6, .set = set_unicast6, .steer = true)                                   \
	X("udp-mark", VERIFY_TUNNEL_UP, "the tunnel's own mark by SO_MARK (CAP_NET_RAW)",          \
	  .to = VERIFY_WEB4, .set = set_mark, .steer = true)                                       \
	X("udp-mark-cmsg", VERIFY_TUNNEL_UP, "the tunnel's own mark by a control message",         \
	  .to = VERIFY_WEB4, .send = send_marked, .steer = true)                                   \
	X("udp-mark-down", 0, "the tunnel's own mark while it is down", .to = VERIFY_WEB4,         \
	  .set = set_mark)                                                                         \
	X("udp-tunnel-source", 0, "UDP from the tunnel's address by IP_TRANSPARENT",               \
	  .to = VERIFY_WEB4, .set = set_tunnel_source)                                             \
	X("udp-ip-options", 0, "UDP with IPv4 options", .to = VERIFY_WEB4, .set = set_ip_options)  \
	X("udp6-hop-options", 0, "UDP behind hop-by-hop options", .to = VERIFY_WEB6,               \
	  .set = set_hop_options)                                                                  \
	X("udp6-destination-options", 0, "UDP behind destination options", .to = VERIFY_WEB6,      \
	  .set = set_destination_options)                                                          \
	X("udplite", 0, "UDP-Lite", .to = VERIFY_WEB4, .protocol = IPPROTO_UDPLITE)                \
	X("udplite6", 0, "UDP-Lite over IPv6", .to = VERIFY_WEB6, .protocol = IPPROTO_UDPLITE)     \
	X("udp-before", VERIFY_BEFORE, "a UDP socket from before the fence", .to = VERIFY_WEB4)    \
	X("udp6-connected-before", VERIFY_BEFORE, "UDP over IPv6 connected before the fence",      \
	  .to = VERIFY_WEB6, .connect = true)                                                      \
	X("udp-connected-before", VERIFY_BEFORE, "UDP connected before the fence",                 \
	  .to = VERIFY_WEB4, .connect = true)                                                      \
	X("udp-write", VERIFY_BEFORE, "the same by write()", .to = VERIFY_WEB4, .connect = true,   \
	  .send = send_write)                                                                      \
	X("udp-sendfile", VERIFY_BEFORE, "the same by sendfile()", .to = VERIFY_WEB4,              \
	  .connect = true, .send = send_sendfile)                                                  \
	X("udp-splice", VERIFY_BEFORE, "the same by vmsplice() and splice()", .to = VERIFY_WEB4,   \
	  .connect = true, .send = send_splice)                                                    \
	X("udp-aio", VERIFY_BEFORE, "the same by io_submit()", .to = VERIFY_WEB4,                  \
	  .connect = true, .send = send_aio)                                                       \
	X("udp-passed", VERIFY_BEFORE, "another process's socket, passed by SCM_RIGHTS",           \
	  .to = VERIFY_WEB4, .open = open_passed)                                                  \
	X("udp-taken", VERIFY_BEFORE, "another process's socket, taken by pidfd_getfd()",          \
	  .to = VERIFY_WEB4, .open = open_taken)

static const struct way ways[] = {
#define X(title, when, text, ...) { .name = title, .flags = when, __VA_ARGS__ },
	WAYS(X)
#undef X
};

static const struct way *way_of(const struct shot *s)
{
	return &ways[send_row(&vectors_socket, s)];
}

/* Refused, the sender goes on: what was told first, or 0. */
static int make_ready(const struct shot *s, const struct way *way, bool *ret_connected)
{
	int told = way->set ? way->set(s->fd) : 0, connected;

	if (!way->connect)
		return told;
	connected = send_connect(s->fd, way->to, s->port, 0);
	*ret_connected = connected == 0;
	return told ? told : connected;
}

static int prepare(struct shot *s)
{
	const struct way *way = way_of(s);
	bool connected;
	int error;

	error = way->steer ? send_steer(s) : 0;
	if (error)
		return error;
	s->fd = way->open ? way->open(way) : open_own(way);
	if (s->fd < 0)
		return s->fd;
	return way->flags & VERIFY_BEFORE ? make_ready(s, way, &connected) : 0;
}

static int fire(struct shot *s)
{
	const struct way *way = way_of(s);
	bool connected = way->connect;
	struct send_out out;
	int told = 0, sent;

	if (!(way->flags & VERIFY_BEFORE))
		told = make_ready(s, way, &connected);
	send_prepare(&out, s, s->fd, way->to,
		     way->empty ? 0 : way->bytes ? way->bytes : USUAL_BYTES);
	if (connected)
		out.message.msg_name = NULL, out.message.msg_namelen = 0;
	sent = way->send ? way->send(&out) : send_message(&out);
	return told ? told : sent;
}

/* The token; without payload only the port tells. */
static bool is_it(const struct shot *s, const __u8 *frame, size_t bytes)
{
	struct verify_frame f;

	if (!way_of(s)->empty)
		return verify_has(frame, bytes, s->token, sizeof(s->token));
	return verify_parse(frame, bytes, &f) && f.protocol == IPPROTO_UDP && f.dport == s->port;
}

static const struct vector vectors[] = {
#define X(title, when, text, ...)                                                                  \
	{ .name = title, .summary = text, .flags = when,                                           \
	  .prepare = prepare, .fire = fire, .is_it = is_it },
	WAYS(X)
#undef X
};

const struct vector_group vectors_socket = { "socket", vectors, ARRAY_SIZE(vectors) };
