// SPDX-License-Identifier: GPL-2.0
/* System calls with a program at their hook: see calls.h. Nothing leaves the loopback device. */
#include "calls.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include "bench.h"
#include "util.h"

enum {
	CALLS = 4000,
	PORT = 9,
};

struct sockets {
	int v4, v6, their4, their6;
};

static const struct sockaddr_in to4 = {
	.sin_family = AF_INET,
	.sin_port = (TF_FORCE in_port_t)tf_htons(PORT),
	.sin_addr.s_addr = (TF_FORCE in_addr_t)tf_htonl(INADDR_LOOPBACK),
};
static const struct sockaddr_in6 to6 = { .sin6_family = AF_INET6,
					 .sin6_port = (TF_FORCE in_port_t)tf_htons(PORT),
					 .sin6_addr.s6_addr[15] = 1 };

static bool connect4(const struct sockets *s)
{
	return !connect(s->v4, (const struct sockaddr *)&to4, sizeof(to4));
}

static bool connect6(const struct sockets *s)
{
	return !connect(s->v6, (const struct sockaddr *)&to6, sizeof(to6));
}

/* To a socket that nobody reads: its room fills up at once. */
static bool send4(const struct sockets *s)
{
	return sendto(s->v4, "x", 1, 0, (const struct sockaddr *)&to4, sizeof(to4)) == 1;
}

static bool send6(const struct sockets *s)
{
	return sendto(s->v6, "x", 1, 0, (const struct sockaddr *)&to6, sizeof(to6)) == 1;
}

static bool set_option(const struct sockets *s)
{
	const int one = 1;

	return !setsockopt(s->v4, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
}

static bool make_socket(const struct sockets *s)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	(void)s;
	return fd >= 0;
}

static const struct call {
	const char *name;
	enum program program;
	enum hook hook;
	bool (*call)(const struct sockets *s);
} calls[] = {
	{ "call: socket()", PROGRAM_WHO, HOOK_WHO, make_socket },
	{ "call: setsockopt()", PROGRAM_OPT, HOOK_OPT, set_option },
	{ "call: sendto() IPv4", PROGRAM_SEND4, HOOK_SEND4, send4 },
	{ "call: sendto() IPv6", PROGRAM_SEND6, HOOK_SEND6, send6 },
	{ "call: connect() IPv4", PROGRAM_CONN4, HOOK_CONN4, connect4 },
	{ "call: connect() IPv6", PROGRAM_CONN6, HOOK_CONN6, connect6 },
};

static void close_sockets(struct sockets *s)
{
	cleanup_close(&s->v4);
	cleanup_close(&s->v6);
	cleanup_close(&s->their4);
	cleanup_close(&s->their6);
}

static int open_sockets(struct sockets *s)
{
	s->v4 = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	s->v6 = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	s->their4 = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	s->their6 = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (s->v4 < 0 || s->v6 < 0 || s->their4 < 0 || s->their6 < 0)
		return -errno;
	if (bind(s->their4, (const struct sockaddr *)&to4, sizeof(to4)) ||
	    bind(s->their6, (const struct sockaddr *)&to6, sizeof(to6)))
		return -errno;
	return 0;
}

static int measure_with(int program, int cgroup_fd, const struct call *c, struct sample *s,
			struct err *e)
{
	_cleanup_(close_sockets) struct sockets sockets = { -1, -1, -1, -1 };
	_cleanup_close_ int link = hook_cgroup_attach(program, cgroup_fd, hooks[c->hook].place, e);
	__u64 start;
	int i, r = open_sockets(&sockets);

	if (link < 0)
		return link;
	if (r)
		return err_set(e, r, "no sockets: %s", strerror(-r));
	start = spent_ns();
	for (i = 0; i < CALLS; i++) {
		if (!c->call(&sockets))
			return err_set(e, -errno, "'%s' failed: %s", c->name, strerror(errno));
	}
	s->value = (double)(spent_ns() - start) / CALLS;
	print_sample(s);
	return 0;
}

static int measure_call(const struct objects *o, int cgroup_fd, const struct call *c,
			unsigned int round, struct err *e)
{
	struct sample s = { .part = "programs", .what = c->name, .who = EMPTY, .base = EMPTY,
			    .unit = "ns", .round = round };
	_cleanup_close_ int empty = empty_program(c->program);
	int ours = objects_program(o, c->program), r;

	if (ours < 0)
		return 0; /* this kernel has no such hook */
	if (empty < 0)
		return err_set(e, empty, "an empty program cannot be loaded: %s", strerror(-empty));
	r = measure_with(empty, cgroup_fd, c, &s, e);
	s.who = "tunfence";
	return r ? r : measure_with(ours, cgroup_fd, c, &s, e);
}

int measure_calls(const struct objects *o, int cgroup_fd, unsigned int round, struct err *e)
{
	size_t i;
	int r = 0;

	for (i = 0; !r && i < ARRAY_SIZE(calls); i++)
		r = measure_call(o, cgroup_fd, &calls[i], round, e);
	return r;
}
