// SPDX-License-Identifier: GPL-2.0
/*
 * The bootstrap name server asked: see resolve.h. One socket, which the fence knows by its cookie and
 * lets out for seconds; every name's A and AAAA at once. libresolv makes the queries and takes the
 * answers apart. An answer counts if it comes from the server (the socket is connected), to a query
 * that is open, by number and question.
 */
#include "resolve.h"

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <resolv.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>

#include "fault.h"
#include "util.h"

enum {
	MOST_NAMES = 64, /* asked in one go */
	TRIES = 2,
	TRY_MS = 2000,
	STANDS_MS = TRIES * TRY_MS + 1000, /* how long the question does, should we die */
	QUERY_BYTES = 512,   /* RFC 1035, 4.2.1 */
	ANSWER_BYTES = 4096, /* nobody was told that more than 512 would fit */
};

_Static_assert(STANDS_MS * 1000000ULL <= TF_QUESTION_NS, "or it would not count");

struct query {
	struct resolve_name *name;
	ns_type type;
	__u16 id;
	bool done;
};

struct asking {
	const struct resolve_server *server;
	struct __res_state resolver; /* libresolv's */
	int fd;
	struct query queries[2 * MOST_NAMES];
	size_t count;
};

static __u64 now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (__u64)t.tv_sec * 1000000000 + (__u64)t.tv_nsec;
}

static void note_why(struct asking *a, const char *why)
{
	size_t i;

	for (i = 0; i < a->count; i++) {
		struct resolve_name *n = a->queries[i].name;

		if (!n->count)
			snprintf(n->why, sizeof(n->why), "the bootstrap name server: %s", why);
	}
}

/* ---- the socket ------------------------------------------------------------------------------ */

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static socklen_t address_of(const struct resolve_server *server, union address *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (tf_addr_is_v4(&server->addr)) {
		ret->v4.sin_family = AF_INET;
		ret->v4.sin_port = htons(server->port);
		memcpy(&ret->v4.sin_addr, server->addr.byte + 12, 4);
		return sizeof(ret->v4);
	}
	ret->v6.sin6_family = AF_INET6;
	ret->v6.sin6_port = htons(server->port);
	memcpy(&ret->v6.sin6_addr, server->addr.byte, 16);
	return sizeof(ret->v6);
}

/* At a port that the kernel picks at random. The cookie is its own for ever. */
static int open_socket(sa_family_t family, struct tf_question *ret)
{
	union address here = { .any.sa_family = family };
	socklen_t bytes = sizeof(here), cookie_bytes = sizeof(ret->cookie);
	_cleanup_close_ int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	const int on = 1;

	if (fd < 0)
		return -errno;
	/* A test's impostor wants the same port. */
	if (fault_is("share-port") && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)))
		return -errno;
	if (bind(fd, &here.any, sizeof(here)) || getsockname(fd, &here.any, &bytes) ||
	    getsockopt(fd, SOL_SOCKET, SO_COOKIE, &ret->cookie, &cookie_bytes))
		return -errno;
	/* The same place in both. */
	ret->local_port = ntohs(here.v4.sin_port);
	return TAKE_FD(fd);
}

/* Puts the question before the socket is connected, which the fence looks at too. */
static int open_question(struct asking *a)
{
	struct tf_question question = {};
	union address to;
	socklen_t bytes = address_of(a->server, &to);
	int r;

	a->fd = open_socket(to.any.sa_family, &question);
	if (a->fd < 0)
		return a->fd;
	question.until = now_ns() + STANDS_MS * 1000000ULL;
	r = a->server->put_question(&question, a->server->data);
	if (r)
		return r;
	return connect(a->fd, &to.any, bytes) ? -errno : 0;
}

/* ---- questions and answers ------------------------------------------------------------------- */

static struct query *find_query(struct asking *a, __u16 id)
{
	size_t i;

	for (i = 0; i < a->count; i++) {
		if (a->queries[i].id == id)
			return &a->queries[i];
	}
	return NULL;
}

/* A number that no other query has. False: there is no randomness to be had. */
static bool add_query(struct asking *a, struct resolve_name *name, ns_type type)
{
	__u16 id;

	do {
		if (getrandom(&id, sizeof(id), GRND_NONBLOCK) != sizeof(id))
			return false;
	} while (find_query(a, id));
	a->queries[a->count++] = (struct query){ .name = name, .type = type, .id = id };
	return true;
}

static int send_query(struct asking *a, const struct query *q)
{
	__u8 text[QUERY_BYTES];
	int bytes = res_nmkquery(&a->resolver, ns_o_query, q->name->host, ns_c_in, q->type, NULL, 0,
				 NULL, text, sizeof(text));

	if (bytes < NS_HFIXEDSZ)
		return -EINVAL;
	ns_put16(q->id, text);
	return send(a->fd, text, (size_t)bytes, MSG_NOSIGNAL) == bytes ? 0 : -errno;
}

/* As names of hosts are: no case, and a dot at the end says nothing. */
static bool is_same_name(const char *a, const char *b)
{
	size_t a_bytes = strlen(a), b_bytes = strlen(b);

	a_bytes -= a_bytes && a[a_bytes - 1] == '.';
	b_bytes -= b_bytes && b[b_bytes - 1] == '.';
	return a_bytes == b_bytes && strncasecmp(a, b, a_bytes) == 0;
}

static bool is_question_of(ns_msg *m, const struct query *q)
{
	ns_rr rr;

	return ns_msg_getflag(*m, ns_f_qr) && ns_msg_getflag(*m, ns_f_opcode) == ns_o_query &&
	       ns_msg_count(*m, ns_s_qd) == 1 && ns_parserr(m, ns_s_qd, 0, &rr) == 0 &&
	       is_same_name(ns_rr_name(rr), q->name->host) && ns_rr_type(rr) == q->type &&
	       ns_rr_class(rr) == ns_c_in;
}

static void take_address(struct resolve_name *name, const ns_rr *rr)
{
	struct tf_addr addr;

	if (ns_rr_type(*rr) == ns_t_a && ns_rr_rdlen(*rr) == 4)
		tf_addr_set_v4(&addr, ns_rr_rdata(*rr));
	else if (ns_rr_type(*rr) == ns_t_aaaa && ns_rr_rdlen(*rr) == 16)
		memcpy(&addr, ns_rr_rdata(*rr), 16);
	else
		return;
	if (ns_rr_type(*rr) == ns_t_a || !tf_addr_is_v4(&addr))
		resolve_add(name, &addr);
}

/* The addresses of the name, or of what it is another name of. */
static void take_records(ns_msg *m, const struct query *q)
{
	char name[NS_MAXDNAME];
	ns_rr rr;
	int i;

	snprintf(name, sizeof(name), "%s", q->name->host);
	for (i = 0; i < ns_msg_count(*m, ns_s_an); i++) {
		if (ns_parserr(m, ns_s_an, i, &rr))
			return;
		if (ns_rr_class(rr) != ns_c_in || !is_same_name(ns_rr_name(rr), name))
			continue;
		if (ns_rr_type(rr) == q->type)
			take_address(q->name, &rr);
		else if (ns_rr_type(rr) == ns_t_cname &&
			 ns_name_uncompress(ns_msg_base(*m), ns_msg_end(*m), ns_rr_rdata(rr), name,
					    sizeof(name)) < 0)
			return;
	}
}

/* A server that failed may do better when it is asked again. */
static void take_answer(struct asking *a, const __u8 *text, int bytes)
{
	struct query *q;
	ns_msg m;
	int code;

	if (ns_initparse(text, bytes, &m))
		return;
	q = find_query(a, ns_msg_id(m));
	if (!q || q->done || !is_question_of(&m, q))
		return;
	code = ns_msg_getflag(m, ns_f_rcode);
	q->done = code == ns_r_noerror || code == ns_r_nxdomain;
	if (code == ns_r_noerror)
		take_records(&m, q);
	if (q->name->count)
		q->name->source = RESOLVE_BOOTSTRAP;
}

static size_t count_open(const struct asking *a)
{
	size_t i, open = 0;

	for (i = 0; i < a->count; i++)
		open += !a->queries[i].done;
	return open;
}

/* Sends what is open. 0: one at least is on its way. */
static int send_open(struct asking *a)
{
	int r = -ENETUNREACH, error;
	size_t i;

	for (i = 0; i < a->count; i++) {
		if (a->queries[i].done)
			continue;
		error = send_query(a, &a->queries[i]);
		if (!error || r)
			r = error;
	}
	return r;
}

static void take_answers(struct asking *a, __u64 deadline)
{
	struct pollfd fd = { .fd = a->fd, .events = POLLIN };
	__u8 text[ANSWER_BYTES];
	__u64 now;

	while (count_open(a) && (now = now_ns()) < deadline) {
		int ready = poll(&fd, 1, (int)((deadline - now) / 1000000) + 1);
		ssize_t bytes = ready > 0 ? recv(a->fd, text, sizeof(text), 0) : 0;

		if (bytes > 0)
			take_answer(a, text, (int)bytes);
		else if (ready > 0 && errno != EAGAIN && errno != EINTR)
			return; /* the network says that there is nobody */
	}
}

static void ask(struct asking *a)
{
	int try, r = open_question(a);

	for (try = 0; !r && try < TRIES && count_open(a); try++) {
		r = send_open(a);
		if (!r)
			take_answers(a, now_ns() + TRY_MS * 1000000ULL);
	}
	note_why(a, r ? strerror(-r) : count_open(a) ? "no answer" : "it knows no address");
	if (a->fd >= 0)
		a->server->put_question(NULL, a->server->data);
}

void resolve_by_server(struct resolve_name *names, size_t count,
		       const struct resolve_server *server)
{
	struct asking a = { .server = server, .fd = -1 };
	size_t i;

	for (i = 0; i < count && a.count + 2 <= ARRAY_SIZE(a.queries); i++) {
		if (!resolve_is_fresh(&names[i]) &&
		    (!add_query(&a, &names[i], ns_t_a) || !add_query(&a, &names[i], ns_t_aaaa)))
			break;
	}
	if (!a.count || res_ninit(&a.resolver))
		return;
	ask(&a);
	cleanup_close(&a.fd);
	res_nclose(&a.resolver);
}
