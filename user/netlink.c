// SPDX-License-Identifier: GPL-2.0
/*
 * Netlink transport: see netlink.h. Owns sockets, sequence numbers, retries and the bounds of
 * messages and attributes; knows no family but the controller that numbers the others.
 * Every answer ends in NLMSG_DONE or NLMSG_ERROR. One that does not, or that is cut, out of turn or
 * not the kernel's, is an error as a whole: no part of it is used.
 */
#include "netlink.h"

#include <errno.h>
#include <linux/genetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "util.h"

enum netlink_limit {
	NETLINK_ATTEMPTS = 8,
	NETLINK_TIMEOUT_S = 5,   /* of silence */
	NETLINK_BUFFER = 65536,  /* the kernel's dumps come in datagrams of 32 KiB at most */
	NETLINK_HEADER = sizeof(struct nlmsghdr),
	NETLINK_DATAGRAMS = 256, /* heard at a time, so that a storm ends nobody's patience */
};

/* Messages and attributes begin at multiples of four bytes. */
static size_t padded(size_t len)
{
	return (len + 3) & ~(size_t)3;
}

static void cleanup_socket(struct mnl_socket **socket)
{
	if (*socket)
		mnl_socket_close(*socket);
}

/* The number an NLMSG_ERROR or NLMSG_DONE begins with: 0 or a negative errno. */
static int final_code(const struct nlmsghdr *message)
{
	int code;

	if (mnl_nlmsg_get_payload_len(message) < sizeof(code))
		return -EPROTO;

	memcpy(&code, mnl_nlmsg_get_payload(message), sizeof(code));
	return code > 0 ? -EPROTO : code;
}

/* An answer on its way to who asked. */
struct answer {
	__u32 sequence, port;
	netlink_cb cb;
	void *data;
};

/* One message, its bounds known to be good. As netlink_walk. */
static int take_message(const struct nlmsghdr *message, void *data)
{
	const struct answer *a = data;
	int r;

	if (message->nlmsg_seq != a->sequence || message->nlmsg_pid != a->port)
		return -EPROTO;
	if (message->nlmsg_flags & NLM_F_DUMP_INTR)
		return -EINTR;

	switch (message->nlmsg_type) {
	case NLMSG_NOOP:
		return 0;
	case NLMSG_OVERRUN:
		return -ENOBUFS;
	case NLMSG_ERROR:
	case NLMSG_DONE:
		r = final_code(message);
		return r < 0 ? r : 1;
	default:
		return a->cb(message, a->data);
	}
}

int netlink_messages(const void *datagram, size_t len, netlink_cb cb, void *data)
{
	const char *at = datagram;
	int r;

	if (len < NETLINK_HEADER)
		return -EPROTO;

	while (len) {
		const struct nlmsghdr *message = (const void *)at;
		size_t step;

		if (len < NETLINK_HEADER || message->nlmsg_len < NETLINK_HEADER ||
		    message->nlmsg_len > len)
			return -EPROTO;

		r = cb(message, data);
		if (r)
			return r;

		step = padded(message->nlmsg_len);
		if (step > len) /* the last message need not be padded */
			step = len;
		at += step;
		len -= step;
	}
	return 0;
}

int netlink_walk(const void *datagram, size_t len, __u32 sequence, __u32 port, netlink_cb cb,
		 void *data)
{
	struct answer answer = { .sequence = sequence, .port = port, .cb = cb, .data = data };

	return netlink_messages(datagram, len, take_message, &answer);
}

/* One datagram from the kernel into buffer; its length or -errno. */
static ssize_t receive(int fd, void *buffer, size_t size)
{
	struct sockaddr_nl from = { 0 };
	struct iovec iov = { .iov_base = buffer, .iov_len = size };
	struct msghdr message = {
		.msg_name = &from,
		.msg_namelen = sizeof(from),
		.msg_iov = &iov,
		.msg_iovlen = 1,
	};
	ssize_t n;

	do
		n = recvmsg(fd, &message, 0);
	while (n < 0 && errno == EINTR);

	if (n < 0)
		return errno == EAGAIN ? -ETIMEDOUT : -errno;
	if (message.msg_flags & MSG_TRUNC)
		return -EMSGSIZE;
	if (message.msg_namelen != sizeof(from) || from.nl_pid != 0) /* not the kernel */
		return -EPROTO;
	return n;
}

static int receive_answer(const struct mnl_socket *socket, __u32 sequence, bool sensitive,
			  netlink_cb cb, void *data)
{
	_Alignas(struct nlmsghdr) char buffer[NETLINK_BUFFER];
	ssize_t n;
	int r;

	do {
		n = receive(mnl_socket_get_fd(socket), buffer, sizeof(buffer));
		r = n < 0 ? (int)n
			  : netlink_walk(buffer, (size_t)n, sequence,
					 mnl_socket_get_portid(socket), cb, data);
	} while (!r);

	if (sensitive)
		explicit_bzero(buffer, sizeof(buffer));
	return r < 0 ? r : 0;
}

/* A new socket for each attempt: nothing of an answer given up can be mistaken for the next. */
static int exchange_once(int bus, struct nlmsghdr *request, bool sensitive, netlink_cb cb,
			 void *data)
{
	struct timeval timeout = { .tv_sec = NETLINK_TIMEOUT_S };
	_cleanup_(cleanup_socket) struct mnl_socket *socket = NULL;

	socket = mnl_socket_open2(bus, SOCK_CLOEXEC);
	if (!socket)
		return -errno;
	if (mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0)
		return -errno;
	if (setsockopt(mnl_socket_get_fd(socket), SOL_SOCKET, SO_RCVTIMEO, &timeout,
		       sizeof(timeout)) < 0)
		return -errno;

	request->nlmsg_pid = mnl_socket_get_portid(socket);
	if (mnl_socket_sendto(socket, request, request->nlmsg_len) < 0)
		return -errno;

	return receive_answer(socket, request->nlmsg_seq, sensitive, cb, data);
}

int netlink_exchange(int bus, struct nlmsghdr *request, bool sensitive, netlink_cb cb,
		     netlink_reset_cb reset, void *data)
{
	int r = -EINTR;

	request->nlmsg_flags |= NLM_F_REQUEST;
	if ((request->nlmsg_flags & NLM_F_DUMP) != NLM_F_DUMP)
		request->nlmsg_flags |= NLM_F_ACK; /* so that every answer has a last message */

	for (__u32 attempt = 1; attempt <= NETLINK_ATTEMPTS && r == -EINTR; attempt++) {
		if (reset)
			reset(data);
		request->nlmsg_seq = attempt;
		r = exchange_once(bus, request, sensitive, cb, data);
	}
	return r;
}

int netlink_listen(int bus, unsigned int groups)
{
	struct sockaddr_nl local = { .nl_family = AF_NETLINK, .nl_groups = groups };
	_cleanup_close_ int fd = -1;

	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, bus);
	if (fd < 0 || bind(fd, (struct sockaddr *)&local, sizeof(local)) < 0)
		return -errno;
	return TAKE_FD(fd);
}

/* What cannot be read may have been the news that counts. */
int netlink_hear(int fd, netlink_cb cb, void *data)
{
	_Alignas(struct nlmsghdr) char buffer[NETLINK_BUFFER];
	bool missed = false;

	for (int i = 0; i < NETLINK_DATAGRAMS; i++) {
		ssize_t n = receive(fd, buffer, sizeof(buffer));

		if (n == -ETIMEDOUT) /* no more */
			break;
		if (n < 0 && n != -ENOBUFS && n != -EMSGSIZE && n != -EPROTO)
			return (int)n;
		if (n < 0 || netlink_messages(buffer, (size_t)n, cb, data) < 0)
			missed = true;
	}
	return missed ? -ENOBUFS : 0;
}

static int walk_attributes(const char *at, size_t len, netlink_attribute_cb cb, void *data)
{
	int r;

	while (len) {
		const struct nlattr *attribute = (const void *)at;
		size_t step;

		if (len < sizeof(*attribute) || attribute->nla_len < sizeof(*attribute) ||
		    attribute->nla_len > len)
			return -EPROTO;

		r = cb(attribute, data);
		if (r)
			return r;

		step = padded(attribute->nla_len);
		if (step > len) /* the last attribute need not be padded */
			step = len;
		at += step;
		len -= step;
	}
	return 0;
}

struct finder {
	const struct netlink_rule *rules;
	size_t rule_count;
	const struct nlattr **found;
};

/* Files attribute under the rule that names it. */
static int take_attribute(const struct nlattr *attribute, void *data)
{
	const struct finder *f = data;
	__u16 len = mnl_attr_get_payload_len(attribute);

	for (size_t i = 0; i < f->rule_count; i++) {
		if (mnl_attr_get_type(attribute) != f->rules[i].type)
			continue;
		if (f->found[i] || len < f->rules[i].min || len > f->rules[i].max)
			return -EPROTO;
		f->found[i] = attribute;
		return 0;
	}
	return 0;
}

static int find_attributes(const char *at, size_t len, const struct netlink_rule *rules,
			   size_t rule_count, const struct nlattr **found)
{
	struct finder f = { .rules = rules, .rule_count = rule_count, .found = found };

	for (size_t i = 0; i < rule_count; i++)
		found[i] = NULL;
	return walk_attributes(at, len, take_attribute, &f);
}

int netlink_attributes(const struct nlmsghdr *message, size_t header,
		       const struct netlink_rule *rules, size_t rule_count,
		       const struct nlattr **found)
{
	size_t len = mnl_nlmsg_get_payload_len(message);

	header = padded(header);
	if (len < header)
		return -EPROTO;

	return find_attributes((const char *)mnl_nlmsg_get_payload(message) + header, len - header,
			       rules, rule_count, found);
}

int netlink_nested(const struct nlattr *nest, const struct netlink_rule *rules, size_t rule_count,
		   const struct nlattr **found)
{
	return find_attributes(mnl_attr_get_payload(nest), mnl_attr_get_payload_len(nest), rules,
			       rule_count, found);
}

int netlink_each(const struct nlattr *nest, netlink_attribute_cb cb, void *data)
{
	return walk_attributes(mnl_attr_get_payload(nest), mnl_attr_get_payload_len(nest), cb,
			       data);
}

int netlink_name(const struct nlattr *attribute, struct tf_name *ret)
{
	const char *text = mnl_attr_get_payload(attribute);
	size_t len = strnlen(text, mnl_attr_get_payload_len(attribute));

	if (!len)
		return -EPROTO;
	if (len > TF_NAME_LEN - 1)
		len = TF_NAME_LEN - 1;

	*ret = (struct tf_name){ 0 };
	memcpy(ret->text, text, len);
	return 0;
}

static int take_family(const struct nlmsghdr *message, void *data)
{
	static const struct netlink_rule rules[] = {
		{ CTRL_ATTR_FAMILY_ID, sizeof(__u16), sizeof(__u16) },
	};
	const struct nlattr *found[ARRAY_SIZE(rules)];
	int *family = data;
	int r;

	if (message->nlmsg_type != GENL_ID_CTRL)
		return -EPROTO;

	r = netlink_attributes(message, sizeof(struct genlmsghdr), rules, ARRAY_SIZE(rules), found);
	if (r < 0)
		return r;
	if (!found[0])
		return -EPROTO;

	*family = mnl_attr_get_u16(found[0]);
	return 0;
}

int netlink_family(const char *name)
{
	_Alignas(struct nlmsghdr) char buffer[128] = { 0 };
	struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
	struct genlmsghdr *header;
	int family = -EPROTO; /* for an answer without a message */
	int r;

	request->nlmsg_type = GENL_ID_CTRL;
	header = mnl_nlmsg_put_extra_header(request, sizeof(*header));
	header->cmd = CTRL_CMD_GETFAMILY;
	header->version = 1;
	if (!mnl_attr_put_strz_check(request, sizeof(buffer), CTRL_ATTR_FAMILY_NAME, name))
		return -ENOENT; /* no family's name is that long */

	r = netlink_exchange(NETLINK_GENERIC, request, false, take_family, NULL, &family);
	return r < 0 ? r : family;
}
