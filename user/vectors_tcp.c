// SPDX-License-Identifier: GPL-2.0
/*
 * verify's vectors: streams. Connections that begin, in every way a program can begin one, and
 * those from before the fence, which must not go on. A row of WAYS is a vector. Never judges, never
 * prints.
 */
#define _GNU_SOURCE /* SOCK_DCCP */

#include <errno.h>
#include <linux/dccp.h>
#include <linux/tls.h>
#include <netinet/tcp.h>

#include "util.h"
#include "vectors_send.h"
#include "verify.h"

#define MAPPED4 "::ffff:" VERIFY_WEB4
#define LOOPBACK4 "127.0.0.1"

#ifndef SOL_TLS
#define SOL_TLS 282 /* include/linux/socket.h */
#endif
#ifndef TCP_REPAIR_OFF_NO_WP
#define TCP_REPAIR_OFF_NO_WP -1 /* linux/tcp.h: off, and no window probe */
#endif

enum {
	PAYLOAD_BYTES = 64,
	CONNECT_MS = 2000, /* to a server that is there */
	ATTEMPT_MS = 100,  /* to one that may be fenced off */
	ORPHAN_MS = 450,   /* the first retransmission, and the second */
	SUBFLOW_MS = 300,
	TCP_FIN_FLAG = 0x01,
	TCP_RST_FLAG = 0x04,
	TCP_ROOM = 65535,
	TLS_DATA = 0x17, /* the type of a record */
};

struct way {
	const char *name;
	const char *to; /* NULL: VERIFY_WEB4 */
	int (*world)(struct shot *s);       /* what else must exist */
	int (*set)(int fd);                 /* options; 0 or the first refusal */
	int (*begin)(struct send_out *out); /* NULL: by connect() */
	int (*go_on)(struct send_out *out); /* on the old connection; NULL: by sendmsg() */
	bool (*is_it)(const struct shot *s, const __u8 *frame, size_t bytes); /* NULL: the token */
	unsigned int flags;
	int type;       /* 0: SOCK_STREAM */
	int protocol;
	bool steer;     /* asks for the uplink while the tunnel is up */
};

/* ---- options ---- */

static int set_mark(int fd)
{
	return send_option(fd, SOL_SOCKET, SO_MARK, VERIFY_MARK);
}

static int set_zerocopy(int fd)
{
	return send_option(fd, SOL_SOCKET, SO_ZEROCOPY, 1);
}

static int set_no_cookie(int fd)
{
	return send_option(fd, IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, 1);
}

/* Reset, not closed, when it is closed. */
static int set_abort(int fd)
{
	struct linger at_once = { .l_onoff = 1 };

	return send_told(0, setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)));
}

static int set_service(int fd)
{
	return send_option(fd, SOL_DCCP, DCCP_SOCKOPT_SERVICE, (int)htonl(1));
}

/* ---- to begin ---- */

static int begin_fastopen(struct send_out *out)
{
	return send_told(0, sendmsg(out->fd, &out->message, MSG_FASTOPEN | MSG_DONTWAIT));
}

/* A connection that both sides never agreed upon: the socket is told that it is established and
 * that the peer has room, and sends data at once. CAP_NET_ADMIN. */
static int begin_repaired(struct send_out *out)
{
	struct tcp_repair_window room = { .snd_wnd = TCP_ROOM, .max_window = TCP_ROOM,
					  .rcv_wnd = TCP_ROOM };
	int told = send_option(out->fd, IPPROTO_TCP, TCP_REPAIR, 1), more;

	told = send_told(told, connect(out->fd, (struct sockaddr *)&out->to, out->to_bytes));
	told = send_told(told, setsockopt(out->fd, IPPROTO_TCP, TCP_REPAIR_WINDOW, &room,
					  sizeof(room)));
	more = send_option(out->fd, IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_OFF_NO_WP);
	out->message.msg_name = NULL;
	out->message.msg_namelen = 0;
	more = send_told(more, sendmsg(out->fd, &out->message, MSG_DONTWAIT | MSG_NOSIGNAL));
	return told ? told : more;
}

/* To a server on this machine, which names its other address: the kernel goes there by itself. */
static int begin_subflow(struct send_out *out)
{
	int told = send_connect(out->fd, LOOPBACK4,
				ntohs(((struct sockaddr_in *)&out->to)->sin_port), CONNECT_MS);

	out->message.msg_name = NULL;
	out->message.msg_namelen = 0;
	return send_told(told, sendmsg(out->fd, &out->message, MSG_DONTWAIT | MSG_NOSIGNAL));
}

/* ---- to go on, or to end ---- */

static int send_urgent(struct send_out *out)
{
	return send_told(0, sendmsg(out->fd, &out->message, MSG_OOB | MSG_NOSIGNAL));
}

static int end(struct send_out *out)
{
	return send_told(0, close(out->fd));
}

/* What is not acknowledged when its socket is closed, the kernel goes on sending. */
static int send_and_end(struct send_out *out)
{
	int told = send_message(out);

	return send_told(told, close(out->fd));
}

/* In records that the kernel encrypts: with keys that anyone knows. */
static int send_encrypted(struct send_out *out)
{
	struct tls12_crypto_info_aes_gcm_128 keys = {
		.info = { .version = TLS_1_2_VERSION, .cipher_type = TLS_CIPHER_AES_GCM_128 },
	};
	int told = send_told(0, setsockopt(out->fd, SOL_TLS, TLS_TX, &keys, sizeof(keys)));
	int sent = send_message(out);

	return told ? told : sent;
}

/* ---- what must exist ---- */

static int world_tls(struct shot *s)
{
	static const char name[] = "tls";

	return send_told(0, setsockopt(s->fd, IPPROTO_TCP, TCP_ULP, name, sizeof(name)));
}

/* A server on this machine that tells its clients of one more address: the web server's. */
static int world_subflow(struct shot *s)
{
	struct sockaddr_storage at;
	socklen_t bytes = verify_sockaddr(LOOPBACK4, s->port, &at);
	int server, error;

	error = verify_ip(s, VERIFY_CLIENT, "mptcp limits set subflow 2 add_addr_accepted 2");
	if (!error)
		error = verify_ip(s, VERIFY_CLIENT, "mptcp endpoint add %s signal", VERIFY_WEB4);
	if (error)
		return -EOPNOTSUPP;
	close(s->fd); /* it knows the limits of the time when it was made */
	s->fd = send_socket(LOOPBACK4, SOCK_STREAM, IPPROTO_MPTCP);
	server = send_socket(LOOPBACK4, SOCK_STREAM, IPPROTO_MPTCP); /* for this process's life */
	if (s->fd < 0 || server < 0)
		return -EOPNOTSUPP;
	error = send_told(0, bind(server, (struct sockaddr *)&at, bytes));
	return send_told(error, listen(server, 1));
}

/* ---- what tells ---- */

static bool is_tcp_with(const struct shot *s, const __u8 *frame, size_t bytes, unsigned int flags)
{
	struct verify_frame f;

	return verify_parse(frame, bytes, &f) && f.protocol == IPPROTO_TCP && f.dport == s->port &&
	       (f.tcp_flags & flags);
}

static bool is_end(const struct shot *s, const __u8 *frame, size_t bytes)
{
	return is_tcp_with(s, frame, bytes, TCP_FIN_FLAG | TCP_RST_FLAG);
}

static bool is_tls(const struct shot *s, const __u8 *frame, size_t bytes)
{
	struct verify_frame f;

	return verify_parse(frame, bytes, &f) && f.protocol == IPPROTO_TCP && f.dport == s->port &&
	       f.payload_bytes > 5 && f.payload[0] == TLS_DATA;
}

/* The first subflow never leaves this machine: what goes to the web server is the other. */
static bool is_subflow(const struct shot *s, const __u8 *frame, size_t bytes)
{
	struct verify_frame f;

	return verify_parse(frame, bytes, &f) && f.protocol == IPPROTO_TCP && f.dport == s->port &&
	       verify_is_addr(&f.dst, VERIFY_WEB4);
}

/* Protocols whose header begins with ports, as TCP's. */
static bool is_to_port(const struct shot *s, const __u8 *frame, size_t bytes, __u8 protocol)
{
	__u16 port = htons(s->port);
	struct verify_frame f;

	return verify_parse(frame, bytes, &f) && f.protocol == protocol &&
	       verify_has(frame, bytes, &port, sizeof(port));
}

static bool is_sctp(const struct shot *s, const __u8 *frame, size_t bytes)
{
	return is_to_port(s, frame, bytes, IPPROTO_SCTP);
}

static bool is_dccp(const struct shot *s, const __u8 *frame, size_t bytes)
{
	return is_to_port(s, frame, bytes, IPPROTO_DCCP);
}

/* ---- the table ---- */

/* X(name, flags, linger, summary, how...) */
#define WAYS(X)                                                                                    \
	X("tcp-connect", 0, 0, "TCP, a connection begins", .is_it = send_is_syn)                   \
	X("tcp6-connect", 0, 0, "TCP over IPv6, a connection begins", .to = VERIFY_WEB6,           \
	  .is_it = send_is_syn)                                                                    \
	X("tcp-v4mapped", 0, 0, "TCP over IPv4 by an IPv6 socket", .to = MAPPED4,                  \
	  .is_it = send_is_syn)                                                                    \
	X("tcp-lan", 0, 0, "TCP to a host of the local network", .to = VERIFY_LAN4,                \
	  .is_it = send_is_syn)                                                                    \
	X("tcp-bind-device", VERIFY_TUNNEL_UP, 0, "TCP by SO_BINDTODEVICE past the tunnel",        \
	  .set = send_bind_device, .steer = true, .is_it = send_is_syn)                            \
	X("tcp6-bind-device", VERIFY_TUNNEL_UP, 0, "the same over IPv6", .to = VERIFY_WEB6,        \
	  .set = send_bind_device, .steer = true, .is_it = send_is_syn)                            \
	X("tcp-mark", VERIFY_TUNNEL_UP, 0, "TCP with the tunnel's own mark past the tunnel",       \
	  .set = set_mark, .steer = true, .is_it = send_is_syn)                                    \
	X("tcp-fastopen", 0, 0, "TCP fast open asks for a cookie", .begin = begin_fastopen,        \
	  .is_it = send_is_syn)                                                                    \
	X("tcp-fastopen-data", 0, 0, "TCP fast open, data in the first segment",                   \
	  .set = set_no_cookie, .begin = begin_fastopen)                                           \
	X("tcp6-fastopen-data", 0, 0, "the same over IPv6", .to = VERIFY_WEB6,                     \
	  .set = set_no_cookie, .begin = begin_fastopen)                                           \
	X("tcp-repair", 0, 0, "TCP data without a handshake, by TCP_REPAIR",                       \
	  .begin = begin_repaired)                                                                 \
	X("mptcp-connect", 0, 0, "Multipath TCP, a connection begins", .protocol = IPPROTO_MPTCP,  \
	  .is_it = send_is_syn)                                                                    \
	X("mptcp-subflow", 0, SUBFLOW_MS, "Multipath TCP, the kernel adds a subflow by itself",    \
	  .protocol = IPPROTO_MPTCP, .world = world_subflow, .begin = begin_subflow,               \
	  .is_it = is_subflow)                                                                     \
	X("sctp-connect", 0, 0, "SCTP, an association begins", .protocol = IPPROTO_SCTP,           \
	  .is_it = is_sctp)                                                                        \
	X("dccp-connect", 0, 0, "DCCP, a connection begins", .type = SOCK_DCCP,                    \
	  .protocol = IPPROTO_DCCP, .set = set_service, .is_it = is_dccp)                          \
	X("tcp-before", VERIFY_BEFORE, 0, "data on a TCP connection from before the fence",        \
	  .to = VERIFY_WEB4)                                                                       \
	X("tcp6-before", VERIFY_BEFORE, 0, "the same over IPv6", .to = VERIFY_WEB6)                \
	X("tcp-v4mapped-before", VERIFY_BEFORE, 0, "the same over IPv4 by an IPv6 socket",         \
	  .to = MAPPED4)                                                                           \
	X("mptcp-before", VERIFY_BEFORE, 0, "data on a Multipath TCP connection from before",      \
	  .protocol = IPPROTO_MPTCP)                                                               \
	X("tcp-zerocopy-before", VERIFY_BEFORE, 0, "an old connection by MSG_ZEROCOPY",            \
	  .set = set_zerocopy, .go_on = send_zerocopy)                                             \
	X("tcp-sendfile-before", VERIFY_BEFORE, 0, "an old connection by sendfile()",              \
	  .go_on = send_sendfile)                                                                  \
	X("tcp-splice-before", VERIFY_BEFORE, 0, "an old connection by vmsplice() and splice()",   \
	  .go_on = send_splice)                                                                    \
	X("tcp-urgent-before", VERIFY_BEFORE, 0, "urgent data on an old connection",               \
	  .go_on = send_urgent)                                                                    \
	X("tls-before", VERIFY_BEFORE, 0, "an old connection that the kernel encrypts (kTLS)",     \
	  .world = world_tls, .go_on = send_encrypted, .is_it = is_tls)                            \
	X("tcp-close-before", VERIFY_BEFORE, ORPHAN_MS, "an old connection is closed: FIN",        \
	  .go_on = end, .is_it = is_end)                                                           \
	X("tcp6-close-before", VERIFY_BEFORE, ORPHAN_MS, "the same over IPv6", .to = VERIFY_WEB6,  \
	  .go_on = end, .is_it = is_end)                                                           \
	X("tcp-abort-before", VERIFY_BEFORE, 0, "an old connection is aborted: RST",               \
	  .set = set_abort, .go_on = end, .is_it = is_end)                                         \
	X("tcp-orphan-before", VERIFY_BEFORE, ORPHAN_MS, "an old connection's last data, closed",  \
	  .go_on = send_and_end)

static const struct way ways[] = {
#define X(title, when, wait, text, ...) { .name = title, .flags = when, __VA_ARGS__ },
	WAYS(X)
#undef X
};

static const struct way *way_of(const struct shot *s)
{
	return &ways[send_row(&vectors_tcp, s)];
}

static const char *server_of(const struct way *way)
{
	return way->to ? way->to : VERIFY_WEB4;
}

/* From before the fence: options and the connection, which must work. */
static int prepare_old(struct shot *s, const struct way *way)
{
	int error = way->set ? way->set(s->fd) : 0;

	if (!error)
		error = send_connect(s->fd, server_of(way), s->port, CONNECT_MS);
	return error == -EINPROGRESS ? -ETIMEDOUT : error;
}

static int prepare(struct shot *s)
{
	const struct way *way = way_of(s);
	int error;

	error = way->steer ? send_steer(s) : 0;
	if (error)
		return error;
	s->fd = send_socket(server_of(way), way->type ? way->type : SOCK_STREAM, way->protocol);
	if (s->fd < 0)
		return s->fd;
	if (way->flags & VERIFY_BEFORE)
		error = prepare_old(s, way);
	return !error && way->world ? way->world(s) : error;
}

static int fire(struct shot *s)
{
	const struct way *way = way_of(s);
	struct send_out out;
	int told, begun;

	send_prepare(&out, s, s->fd, server_of(way), PAYLOAD_BYTES);
	if (way->flags & VERIFY_BEFORE) {
		out.message.msg_name = NULL;
		out.message.msg_namelen = 0;
		return way->go_on ? way->go_on(&out) : send_message(&out);
	}
	told = way->set ? way->set(s->fd) : 0;
	begun = way->begin ? way->begin(&out)
			   : send_connect(s->fd, server_of(way), s->port, ATTEMPT_MS);
	return told ? told : begun;
}

static bool is_it(const struct shot *s, const __u8 *frame, size_t bytes)
{
	const struct way *way = way_of(s);

	if (way->is_it)
		return way->is_it(s, frame, bytes);
	return verify_has(frame, bytes, s->token, sizeof(s->token));
}

static const struct vector vectors[] = {
#define X(title, when, wait, text, ...)                                                            \
	{ .name = title, .summary = text, .flags = when, .linger_ms = wait,                        \
	  .prepare = prepare, .fire = fire, .is_it = is_it },
	WAYS(X)
#undef X
};

const struct vector_group vectors_tcp = { "tcp", vectors, ARRAY_SIZE(vectors) };
