// SPDX-License-Identifier: GPL-2.0
/*
 * Sends the letters of vectors_letter.h. Runs in a firing's own process, whose end closes what is
 * left open here. A refused option is no reason to stop: the packet is sent all the same.
 */
#include "vectors_letter.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util.h"
#include "vectors_craft.h"

enum {
	SMALL = 64,        /* a body that nobody said the size of */
	SEGMENT_SOCKOPT = 103, /* UDP_SEGMENT, include/uapi/linux/udp.h */
};

/* RFC 2711: next header and length are the kernel's to write and zero; alert value 0 is MLD. */
static const __u8 router_alert[8] = { 0, 0, 5, 2, 0, 0, 1, 0 };

static int open_socket(const struct letter *letter)
{
	int family = craft_is_ip6(letter->to) ? AF_INET6 : AF_INET;

	switch (letter->kind) {
	case LETTER_UDP:
		return socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	case LETTER_TCP:
		return socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	case LETTER_ICMP6:
		return socket(family, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMPV6);
	case LETTER_RAW:
		return socket(family, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
	case LETTER_FRAME:
		break;
	}
	errno = EINVAL;
	return -1;
}

static void set(int fd, int level, int option, int value)
{
	(void)setsockopt(fd, level, option, &value, sizeof(value));
}

static void set_options(int fd, const struct letter *letter)
{
	bool six = craft_is_ip6(letter->to);

	set(fd, SOL_SOCKET, SO_BROADCAST, 1);
	if (letter->device)
		(void)setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, letter->device,
				 (socklen_t)strlen(letter->device));
	if (letter->mark)
		set(fd, SOL_SOCKET, SO_MARK, (int)letter->mark);
	if (letter->segment)
		set(fd, SOL_UDP, SEGMENT_SOCKOPT, letter->segment);
	if (letter->hops && six) {
		set(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, letter->hops);
		set(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, letter->hops);
	}
	if (letter->alert)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_HOPOPTS, router_alert,
				 sizeof(router_alert));
}

static void bind_source(const struct shot *s, int fd, const struct letter *letter)
{
	const char *any = craft_is_ip6(letter->to) ? "::" : "0.0.0.0";
	__u16 port = letter->kind == LETTER_TCP ? s->port : letter->from_port;
	struct sockaddr_storage from;
	socklen_t length = verify_sockaddr(letter->from ? letter->from : any, port, &from);

	set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (letter->from || port)
		(void)bind(fd, (struct sockaddr *)&from, length);
}

static socklen_t address_of(const struct shot *s, const struct letter *letter,
			    struct sockaddr_storage *to)
{
	bool raw = letter->kind == LETTER_ICMP6 || letter->kind == LETTER_RAW;
	__u16 port = letter->port ? letter->port : s->port;
	socklen_t length = verify_sockaddr(letter->to, raw ? 0 : port, to);
	int index;

	if (to->ss_family == AF_INET6 && letter->device) {
		index = verify_ifindex(letter->device);
		((struct sockaddr_in6 *)to)->sin6_scope_id = index > 0 ? (__u32)index : 0;
	}
	return length;
}

static size_t write_body(const struct shot *s, const struct letter *letter, __u8 *to)
{
	size_t bytes = letter->bytes ? letter->bytes : SMALL;

	if (letter->body)
		return letter->body(s, to, letter->bytes);
	if (bytes > CRAFT_MAX)
		bytes = CRAFT_MAX;
	verify_payload(s, to, bytes);
	return bytes;
}

int letter_send(const struct shot *s, const struct letter *letter)
{
	__u8 body[CRAFT_MAX];
	size_t bytes = write_body(s, letter, body);
	_cleanup_close_ int fd = -1;
	struct sockaddr_storage to;
	socklen_t length;

	if (letter->kind == LETTER_FRAME)
		return verify_send_frame(letter->device ? letter->device : "eth0", body, bytes);
	fd = open_socket(letter);
	if (fd < 0)
		return -errno;
	set_options(fd, letter);
	bind_source(s, fd, letter);
	length = address_of(s, letter, &to);
	/* A connection lives until this process ends, or its first segment would be its last. */
	if (letter->kind == LETTER_TCP)
		return connect(TAKE_FD(fd), (struct sockaddr *)&to, length) < 0 &&
				       errno != EINPROGRESS ? -errno : 0;
	return sendto(fd, body, bytes, 0, (struct sockaddr *)&to, length) < 0 ? -errno : 0;
}

bool letter_is_it(const struct shot *s, const __u8 *frame, size_t bytes)
{
	struct verify_frame f;

	if (verify_has(frame, bytes, s->token, sizeof(s->token)))
		return true;
	return verify_parse(frame, bytes, &f) && f.protocol == IPPROTO_TCP && f.sport == s->port;
}
