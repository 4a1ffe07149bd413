// SPDX-License-Identifier: GPL-2.0
/*
 * What the tables of verify's vectors share: sockets made ready, messages, routes by the uplink.
 * It opens what it is asked for and sends nothing by itself.
 */
#define _GNU_SOURCE /* splice, pipe2, memfd_create */

#include "vectors_send.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>

#include "util.h"

#define DISGUISED6 "ff02:db8:51::80" /* VERIFY_WEB6 but for its first two bytes */

enum {
	STEER_METRIC = 4242,
	STEER_TABLE = 4242,
	STEER_PREFERENCE = 100,
	TCP_SYN_FLAG = 0x02,
	UDP_HEADER = 8,
	IP6_HEADER = 40,
	IP6_NEXT = 6, /* places in the header */
	IP6_HOPS = 7,
	ND_SOLICITATION = 135, /* ICMPv6's type, RFC 4861 */
	ND_SOLICITATION_BYTES = 24,
	ND_NONCE = 14, /* an option, RFC 3971 */
	ND_NONCE_BYTES = 32,
	ND_HOPS = 255,
};

size_t send_row(const struct vector_group *group, const struct shot *s)
{
	size_t i = 0;

	while (i + 1 < group->count && !streq(group->vectors[i].name, s->name))
		i++;
	return i;
}

int send_told(int so_far, long result)
{
	if (so_far)
		return so_far;
	return result < 0 ? -errno : 0;
}

int send_socket(const char *address, int type, int protocol)
{
	int family = strchr(address, ':') ? AF_INET6 : AF_INET;
	int fd = socket(family, type | SOCK_CLOEXEC, protocol);

	return fd < 0 ? -errno : fd;
}

void send_prepare(struct send_out *to, const struct shot *s, int fd, const char *address,
		  size_t bytes)
{
	memset(to, 0, sizeof(*to));
	to->fd = fd;
	to->to_bytes = verify_sockaddr(address, s->port, &to->to);
	verify_payload(s, to->payload, bytes);
	to->data = (struct iovec){ .iov_base = to->payload, .iov_len = bytes };
	to->message = (struct msghdr){
		.msg_name = &to->to,
		.msg_namelen = to->to_bytes,
		.msg_iov = &to->data,
		.msg_iovlen = 1,
	};
}

void send_control(struct send_out *out, int level, int type, const void *data, size_t bytes)
{
	struct cmsghdr *first = &out->control.first;

	first->cmsg_level = level;
	first->cmsg_type = type;
	first->cmsg_len = CMSG_LEN(bytes);
	memcpy(CMSG_DATA(first), data, bytes);
	out->message.msg_control = first;
	out->message.msg_controllen = CMSG_SPACE(bytes);
}

int send_option(int fd, int level, int option, int value)
{
	return send_told(0, setsockopt(fd, level, option, &value, sizeof(value)));
}

int send_bind_device(int fd)
{
	return send_told(0, setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, SEND_UPLINK,
				       sizeof(SEND_UPLINK)));
}

int send_connect(int fd, const char *address, __u16 port, int milliseconds)
{
	struct pollfd ready = { .fd = fd, .events = POLLOUT };
	struct sockaddr_storage to;
	socklen_t bytes = verify_sockaddr(address, port, &to);
	socklen_t error_bytes = sizeof(int);
	int flags = fcntl(fd, F_GETFL), error = 0;

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	error = send_told(0, connect(fd, (struct sockaddr *)&to, bytes));
	if (error == -EINPROGRESS && poll(&ready, 1, milliseconds) > 0 &&
	    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &error_bytes) == 0)
		error = -error;
	return send_told(error, fcntl(fd, F_SETFL, flags));
}

int send_message(struct send_out *out)
{
	return send_told(0, sendmsg(out->fd, &out->message, 0));
}

int send_write(struct send_out *out)
{
	return send_told(0, write(out->fd, out->payload, out->data.iov_len));
}

int send_zerocopy(struct send_out *out)
{
	return send_told(0, sendmsg(out->fd, &out->message, MSG_ZEROCOPY));
}

int send_sendfile(struct send_out *out)
{
	_cleanup_close_ int file = memfd_create("tunfence-verify", MFD_CLOEXEC);
	off_t from = 0;

	if (file < 0 || write(file, out->payload, out->data.iov_len) < 0)
		return -errno;
	return send_told(0, sendfile(out->fd, file, &from, out->data.iov_len));
}

/* The pages go from this process to a pipe and from there to the socket; nothing is written. */
int send_splice(struct send_out *out)
{
	_cleanup_close_ int reader = -1, writer = -1;
	int ends[2], told;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	reader = ends[0];
	writer = ends[1];
	told = send_told(0, vmsplice(writer, &out->data, 1, 0));
	return send_told(told, splice(reader, NULL, out->fd, NULL, out->data.iov_len,
				      SPLICE_F_NONBLOCK));
}

int send_steer(const struct shot *s)
{
	int error = 0;

	/* The world may have such a default route already: then this one stands behind it. */
	error |= verify_ip(s, VERIFY_CLIENT, "route replace default via %s dev %s metric %d",
			   VERIFY_ROUTER4, SEND_UPLINK, STEER_METRIC);
	error |= verify_ip(s, VERIFY_CLIENT, "-6 route replace default via %s dev %s metric %d",
			   VERIFY_ROUTER_LINK, SEND_UPLINK, STEER_METRIC);
	error |= verify_ip(s, VERIFY_CLIENT, "route replace default via %s dev %s table %d",
			   VERIFY_ROUTER4, SEND_UPLINK, STEER_TABLE);
	error |= verify_ip(s, VERIFY_CLIENT, "rule add fwmark %d table %d pref %d", VERIFY_MARK,
			   STEER_TABLE, STEER_PREFERENCE);
	return error ? -EIO : 0;
}

size_t send_solicitation(const struct shot *s, __u8 *to)
{
	size_t bytes = verify_ethernet(to, VERIFY_ROUTER_MAC, VERIFY_CLIENT_MAC, ETH_P_IPV6);
	__u8 body[ND_SOLICITATION_BYTES + ND_NONCE_BYTES] = {};
	struct sockaddr_storage router;

	body[0] = ND_SOLICITATION;
	verify_sockaddr(VERIFY_ROUTER_LINK, 0, &router);
	memcpy(body + 8, &((struct sockaddr_in6 *)&router)->sin6_addr, sizeof(struct in6_addr));
	body[ND_SOLICITATION_BYTES] = ND_NONCE;
	body[ND_SOLICITATION_BYTES + 1] = ND_NONCE_BYTES / 8;
	verify_payload(s, body + ND_SOLICITATION_BYTES + 2, ND_NONCE_BYTES - 2);
	/* A datagram's IPv6 header of the right length serves, with ICMPv6 for UDP. */
	verify_udp6(to + bytes, VERIFY_CLIENT6, DISGUISED6, 0, 0, body,
		    sizeof(body) - UDP_HEADER);
	to[bytes + IP6_NEXT] = IPPROTO_ICMPV6;
	to[bytes + IP6_HOPS] = ND_HOPS;
	memcpy(to + bytes + IP6_HEADER, body, sizeof(body));
	return bytes + IP6_HEADER + sizeof(body);
}

bool send_is_syn(const struct shot *s, const __u8 *frame, size_t bytes)
{
	struct verify_frame f;

	return verify_parse(frame, bytes, &f) && f.protocol == IPPROTO_TCP && f.dport == s->port &&
	       (f.tcp_flags & TCP_SYN_FLAG);
}
