// SPDX-License-Identifier: GPL-2.0
/*
 * The C library asked for names: see resolve.h. getaddrinfo() takes the time that resolv.conf and
 * NSS modules like, and cannot be told to stop; so each call is in a child of its own, which ends
 * with us or at the deadline.
 */
#define _GNU_SOURCE /* pipe2 */
#include "resolve.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include "util.h"

enum {
	CHILDREN = 8,       /* at a time */
	DEADLINE_MS = 5000, /* for all: whoever holds the lock is not to be waited for much longer */
};

/* What a child writes, in one piece. */
struct answer {
	int error; /* EAI_*; 0: resolved */
	int system_error;
	size_t count;
	struct tf_addr addrs[RESOLVE_ADDRS];
};

_Static_assert(sizeof(struct answer) <= 512, "not more than POSIX's PIPE_BUF");

struct child {
	pid_t pid;
	int fd; /* to read its answer from; -1: there is no child here */
	struct resolve_name *name;
};

/* A run through all names. */
struct run {
	struct resolve_name *names;
	size_t count, next; /* next: the first that no child was asked about */
	struct child children[CHILDREN];
	long long deadline;
};

const struct resolve_name *resolve_find(const struct resolve_name *names, size_t count,
					const char *host)
{
	size_t i;

	for (i = 0; i < count; i++) {
		if (strcasecmp(names[i].host, host) == 0)
			return &names[i];
	}
	return NULL;
}

void resolve_add(struct resolve_name *n, const struct tf_addr *addr)
{
	size_t i;

	for (i = 0; i < n->count; i++) {
		if (tf_addr_equal(&n->addrs[i], addr))
			return;
	}
	if (n->count < RESOLVE_ADDRS)
		n->addrs[n->count++] = *addr;
}

static long long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (long long)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void ask_libc(const char *host, struct answer *ret)
{
	/* One socket type, so that each address comes once; ports are put in by who asked. */
	const struct addrinfo hints = {
		.ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_DGRAM,
		.ai_flags = AI_NUMERICSERV,
	};
	struct addrinfo *list = NULL, *at;

	/* Our own last answers (user/nss) are no news. */
	setenv("TUNFENCE_NO_NSS", "1", 1);
	ret->error = getaddrinfo(host, "0", &hints, &list);
	ret->system_error = errno;
	for (at = list; !ret->error && at && ret->count < RESOLVE_ADDRS; at = at->ai_next) {
		if (addr_from_sockaddr(at->ai_addr, &ret->addrs[ret->count], NULL) == 0)
			ret->count++;
	}
	if (list)
		freeaddrinfo(list);
}

static void be_child(const char *host, int fd, pid_t parent)
{
	struct answer answer = {};
	ssize_t n;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	ask_libc(host, &answer);
	n = write(fd, &answer, sizeof(answer));
	_exit(n == (ssize_t)sizeof(answer) ? 0 : 1);
}

static int child_start(struct child *c, struct resolve_name *name)
{
	const pid_t parent = getpid();
	int ends[2], r;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	c->pid = fork();
	if (c->pid == 0)
		be_child(name->host, ends[1], parent);
	r = c->pid < 0 ? -errno : 0;
	close(ends[1]);
	if (r) {
		close(ends[0]);
		return r;
	}
	c->fd = ends[0];
	c->name = name;
	return 0;
}

/* Who was asked before has said why already. */
static void note_why(struct resolve_name *n, const char *why)
{
	if (n->why[0])
		return;
	snprintf(n->why, sizeof(n->why), "%s", why);
}

/* What there is of addresses, or why there is none. */
static void take_answer(struct resolve_name *n, const struct answer *a)
{
	size_t i;

	if (a->error) {
		note_why(n, a->error == EAI_SYSTEM ? strerror(a->system_error) :
						     gai_strerror(a->error));
		return;
	}
	if (!a->count || a->count > RESOLVE_ADDRS) {
		note_why(n, "neither an IPv4 nor an IPv6 address");
		return;
	}
	for (i = 0; i < a->count; i++)
		resolve_add(n, &a->addrs[i]);
	n->source = RESOLVE_LIBC;
	n->why[0] = '\0';
}

/* Whoever has said nothing by now never will. */
static void child_end(struct child *c)
{
	struct answer a = {};

	kill(c->pid, SIGKILL);
	waitpid(c->pid, NULL, 0);
	if (read(c->fd, &a, sizeof(a)) == (ssize_t)sizeof(a))
		take_answer(c->name, &a);
	else
		note_why(c->name, "no answer");
	close(c->fd);
	c->fd = -1;
}

/* The next name that needs asking. NULL: none is left, or there is no time for it. */
static struct resolve_name *next_name(struct run *r)
{
	while (r->next < r->count) {
		struct resolve_name *n = &r->names[r->next++];

		if (resolve_is_fresh(n))
			continue;
		if (now_ms() < r->deadline)
			return n;
		note_why(n, "no answer");
	}
	return NULL;
}

/* Fills the free places. Returns how many children there are. */
static size_t start_some(struct run *r)
{
	size_t i, running = 0;

	for (i = 0; i < CHILDREN; i++) {
		struct child *c = &r->children[i];
		struct resolve_name *n;

		while (c->fd < 0 && (n = next_name(r))) {
			int error = child_start(c, n);

			if (error)
				note_why(n, strerror(-error));
		}
		running += c->fd >= 0;
	}
	return running;
}

/* Until one has answered, or the time is up for all. */
static void wait_for_some(struct run *r)
{
	struct pollfd fds[CHILDREN];
	long long left = r->deadline - now_ms();
	int ready;
	size_t i;

	for (i = 0; i < CHILDREN; i++)
		fds[i] = (struct pollfd){ .fd = r->children[i].fd, .events = POLLIN };
	ready = poll(fds, CHILDREN, left > 0 ? (int)left : 0);
	if (ready < 0 && errno == EINTR)
		return;
	for (i = 0; i < CHILDREN; i++) {
		if (r->children[i].fd >= 0 && (ready <= 0 || fds[i].revents))
			child_end(&r->children[i]);
	}
}

void resolve_by_libc(struct resolve_name *names, size_t count)
{
	struct run r = { .names = names, .count = count, .deadline = now_ms() + DEADLINE_MS };
	size_t i;

	for (i = 0; i < CHILDREN; i++)
		r.children[i].fd = -1;
	while (start_some(&r) > 0)
		wait_for_some(&r);
}
