// SPDX-License-Identifier: GPL-2.0
/*
 * The way to ask a user-space WireGuard device: wireguard.com/xplatform over a UNIX socket. Here:
 * whose socket it is, the conversation with its time limit, and the reading of the answer.
 * Never sends anything but "get=1" and a known peer's new endpoint, never keeps a secret key.
 */
#define _GNU_SOURCE /* struct ucred */

#include "wireguard_uapi.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

#include "addr.h"
#include "util.h"

enum uapi_limit {
	UAPI_TIMEOUT_MS = 5000,     /* for the whole answer */
	UAPI_MAX = 4 * 1024 * 1024, /* bytes; about ten thousand peers */
	UAPI_FIRST_SIZE = 16384,
	UAPI_VALUE = 128,           /* the longest value we read is an endpoint's */
};

/* ---- what it says ---- */

struct uapi {
	struct wireguard_device device;
	bool ended; /* errno=0 was seen */
};

static int take_listen_port(char *value, struct uapi *u)
{
	__u32 port;

	if (parse_u32(value, 0, UINT16_MAX, &port) < 0)
		return -EPROTO;

	u->device.listen_port = (__u16)port;
	return 0;
}

static int take_fwmark(char *value, struct uapi *u)
{
	return parse_u32(value, 0, UINT32_MAX, &u->device.mark) < 0 ? -EPROTO : 0;
}

static int take_peer(char *value, struct uapi *u)
{
	struct key key;

	return key_parse_hex(value, &key) < 0 ? -EPROTO : wireguard_add_peer(&u->device, &key);
}

static int take_handshake(char *value, struct uapi *u)
{
	__u32 seconds;

	if (parse_u32(value, 0, UINT32_MAX, &seconds) < 0)
		return -EPROTO;

	return wireguard_add_handshake(&u->device, seconds);
}

static int take_errno(char *value, struct uapi *u)
{
	u->ended = true;
	return streq(value, "0") ? 0 : -EPROTO;
}

/* "192.0.2.1:51820", "[2001:db8::1]:51820", "[fe80::1%eth0]:51820". The zone is dropped: rules know
 * none, and any uplink may lead to that neighbour. */
static int take_endpoint(char *value, struct uapi *u)
{
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} s = { 0 };
	char *port = strrchr(value, ':'), *end;
	__u32 number;

	if (!port || parse_u32(port + 1, 0, UINT16_MAX, &number) < 0)
		return -EPROTO;
	*port = '\0';

	if (value[0] != '[') {
		s.in.sin_family = AF_INET;
		s.in.sin_port = htons((__u16)number);
		return inet_pton(AF_INET, value, &s.in.sin_addr) == 1 ? wireguard_add_endpoint(&u->device, &s.sa)
								      : -EPROTO;
	}

	end = port - 1;
	if (*end != ']')
		return -EPROTO;
	*end = '\0';
	end = strchr(value, '%');
	if (end)
		*end = '\0';
	s.in6.sin6_family = AF_INET6;
	s.in6.sin6_port = htons((__u16)number);
	return inet_pton(AF_INET6, value + 1, &s.in6.sin6_addr) == 1
		       ? wireguard_add_endpoint(&u->device, &s.sa)
		       : -EPROTO;
}

/* The lines we read. All others, the secret keys among them, are passed over without being copied. */
static const struct {
	const char *key;
	int (*take)(char *value, struct uapi *u);
} uapi_keys[] = {
	{ "listen_port=", take_listen_port },
	{ "fwmark=", take_fwmark },
	{ "public_key=", take_peer },
	{ "endpoint=", take_endpoint },
	{ "last_handshake_time_sec=", take_handshake },
	{ "errno=", take_errno },
};

static int take_line(const char *line, size_t len, struct uapi *u)
{
	char value[UAPI_VALUE];

	if (u->ended || !memchr(line, '=', len) || memchr(line, '\0', len))
		return -EPROTO;

	for (size_t i = 0; i < ARRAY_SIZE(uapi_keys); i++) {
		size_t key = strlen(uapi_keys[i].key);

		if (len < key || memcmp(line, uapi_keys[i].key, key) != 0)
			continue;
		if (len - key >= sizeof(value))
			return -EPROTO;
		memcpy(value, line + key, len - key);
		value[len - key] = '\0';
		return uapi_keys[i].take(value, u);
	}
	return 0;
}

static void cleanup_uapi(struct uapi *u)
{
	wireguard_device_free(&u->device);
}

int wireguard_parse_uapi(const char *text, size_t len, struct wireguard_device *ret)
{
	_cleanup_(cleanup_uapi) struct uapi u = { 0 };
	int r;

	while (len && *text != '\n') {
		const char *newline = memchr(text, '\n', len);
		size_t line;

		if (!newline)
			return -EPROTO;

		line = (size_t)(newline - text);
		r = take_line(text, line, &u);
		if (r < 0)
			return r;
		text += line + 1;
		len -= line + 1;
	}
	if (len != 1 || !u.ended) /* the empty line is the last, errno=0 the one before it */
		return -EPROTO;

	*ret = u.device;
	u.device = (struct wireguard_device){ 0 };
	return 0;
}

/* ---- whom we ask ---- */

static bool netns_is(const char *path, __u32 netns)
{
	struct stat st;

	return !stat(path, &st) && st.st_ino == netns;
}

/* For kernels that cannot list sockets: where the process lives that began to listen. */
static bool peer_lives_here(int fd, __u32 netns)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);
	char path[64];

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 || peer.pid <= 0)
		return false;

	snprintf(path, sizeof(path), "/proc/%d/ns/net", peer.pid);
	return netns_is(path, netns);
}

static int check_owner(int fd, const char *path, __u32 netns, struct err *e)
{
	int r = netns_is("/proc/self/ns/net", netns) ? wireguard_socket_is_here(path) : 0;

	if (r > 0 || (r < 0 && peer_lives_here(fd, netns)))
		return 0;
	return err_set(e, -EXDEV,
		       "socket '%s' was not made in this network namespace, so it speaks for another "
		       "interface of that name; give one of the two another name", path);
}

/* ---- the conversation ---- */

/* Bytes that may hold keys: wiped before they are given back. */
struct secret {
	char *data;
	size_t len, size;
};

static void secret_free(struct secret *s)
{
	if (s->data)
		explicit_bzero(s->data, s->size);
	free(s->data);
}

static int secret_grow(struct secret *s)
{
	struct secret more = { .len = s->len, .size = s->size ? 2 * s->size : UAPI_FIRST_SIZE };

	if (more.size > UAPI_MAX)
		return -EFBIG;
	more.data = malloc(more.size);
	if (!more.data)
		return -ENOMEM;

	if (s->data)
		memcpy(more.data, s->data, s->len);
	secret_free(s);
	*s = more;
	return 0;
}

static long long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static int wait_readable(int fd, long long deadline)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	long long left;
	int n;

	do {
		left = deadline - now_ms();
		n = left > 0 ? poll(&p, 1, (int)left) : 0;
	} while (n < 0 && errno == EINTR);

	if (n < 0)
		return -errno;
	return n ? 0 : -ETIMEDOUT;
}

/* Reads up to the empty line, which ends an answer; the daemon keeps the connection open. */
static int receive_answer(int fd, struct secret *s)
{
	long long deadline = now_ms() + UAPI_TIMEOUT_MS;
	ssize_t n;
	int r;

	do {
		r = s->len == s->size ? secret_grow(s) : 0;
		if (!r)
			r = wait_readable(fd, deadline);
		if (r < 0)
			return r;

		n = recv(fd, s->data + s->len, s->size - s->len, 0);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		if (n == 0)
			return -EPROTO; /* hung up in the middle */
		if (n > 0)
			s->len += (size_t)n;
	} while (s->len < 2 || memcmp(s->data + s->len - 2, "\n\n", 2) != 0);
	return 0;
}

static int converse(int fd, const char *question, struct wireguard_device *ret)
{
	_cleanup_(secret_free) struct secret answer = { 0 };
	int r;

	if (send(fd, question, strlen(question), MSG_NOSIGNAL) != (ssize_t)strlen(question))
		return -EPROTO;

	r = receive_answer(fd, &answer);
	return r < 0 ? r : wireguard_parse_uapi(answer.data, answer.len, ret);
}

static int ask(const char *interface, const char *socket_dir, __u32 netns, const char *question,
	       struct wireguard_device *ret, struct err *e)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = -1;
	int n, r;

	n = snprintf(to.sun_path, sizeof(to.sun_path), "%s/%s.sock", socket_dir, interface);
	if (n < 0 || (size_t)n >= sizeof(to.sun_path))
		return err_set(e, -ENAMETOOLONG, "the path of '%s.sock' in '%s' is too long for a "
			       "socket; choose a shorter directory", interface, socket_dir);

	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_set(e, -errno, "cannot make a socket: %s", strerror(errno));

	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0) {
		r = errno == ENOENT || errno == ENOTDIR || errno == ECONNREFUSED ? -ENODEV : -errno;
		return err_set(e, r, "no WireGuard program answers at '%s': %s; start it, or run "
			       "this as root", to.sun_path, strerror(errno));
	}

	r = check_owner(fd, to.sun_path, netns, e);
	if (r < 0)
		return r;

	r = converse(fd, question, ret);
	if (r < 0)
		return err_set(e, r, "the answer of WireGuard at '%s' cannot be used: %s; try 'wg show "
			       "%s'", to.sun_path, strerror(-r), interface);
	return 0;
}

int wireguard_read_uapi(const char *interface, const char *socket_dir, __u32 netns,
			struct wireguard_device *ret, struct err *e)
{
	return ask(interface, socket_dir, netns, "get=1\n\n", ret, e);
}

void wireguard_format_set(const struct wireguard_peer *peer, char text[WIREGUARD_SET_SIZE])
{
	char key[KEY_HEX_LEN], endpoint[ADDR_TEXT_LEN];

	snprintf(text, WIREGUARD_SET_SIZE,
		 "set=1\npublic_key=%s\nupdate_only=true\nendpoint=%s\n\n",
		 key_format_hex(&peer->key, key),
		 addr_port_format(&peer->endpoint.addr, peer->endpoint.port, endpoint));
}

int wireguard_set_uapi(const char *interface, const char *socket_dir, __u32 netns,
		       const struct wireguard_peer *peer, struct err *e)
{
	_cleanup_(wireguard_device_free) struct wireguard_device nothing = { 0 };
	char text[WIREGUARD_SET_SIZE];

	wireguard_format_set(peer, text);
	return ask(interface, socket_dir, netns, text, &nothing, e);
}
