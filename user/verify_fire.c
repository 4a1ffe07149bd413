// SPDX-License-Identifier: GPL-2.0
/*
 * One firing: a world, a child in its client and cgroup that prepares and fires, and the judge's
 * count. Keeps worlds that are still as they were built.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "verify_world.h"

enum {
	FIRST_PORT = 20000,
	PORTS = 10000,        /* and back to the first: below the ephemeral ones */
	PATIENCE_MS = 15000,  /* for prepare() and for fire(), on the busiest machine */
	LOOK_AGAIN_MS = 20,
};

/* What the child is asked to do, one byte each; it answers with an int. */
enum request { PREPARE = 'p', FIRE = 'f' };

/* A firing's child. */
struct gunner {
	pid_t pid;
	int channel;
};

static int is_namespace(int fd, ino_t machine)
{
	struct stat here, there;

	if (stat("/proc/self/ns/net", &here) < 0 || fstat(fd, &there) < 0)
		return -errno;
	return here.st_ino == there.st_ino && here.st_ino != machine ? 0 : -EXDEV;
}

/* Whether this process is in the cgroup: its last two directories are ours alone. */
static int is_in_cgroup(const char *cgroup)
{
	_cleanup_fclose_ FILE *lines = fopen("/proc/self/cgroup", "re");
	_cleanup_free_ char *line = NULL;
	const char *last = strrchr(cgroup, '/');
	size_t size = 0, length;

	while (last > cgroup && *--last != '/')
		;
	length = strlen(last);
	while (lines && getline(&line, &size, lines) > 0) {
		size_t end = strcspn(line, "\n");

		if (strncmp(line, "0::", 3) == 0 && end > length &&
		    strncmp(line + end - length, last, length) == 0)
			return 0;
	}
	return -EXDEV;
}

static int take_position(const struct verify_run *run, const struct verify_world *w)
{
	const struct rlimit none = {};
	int r;

	setrlimit(RLIMIT_CORE, &none);
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	r = verify_join(w->cgroup);
	if (!r)
		r = verify_enter_fd(w->places[VERIFY_CLIENT]);
	if (!r)
		r = is_namespace(w->places[VERIFY_CLIENT], run->machine);
	return r ? r : is_in_cgroup(w->cgroup);
}

static int fire(const struct verify_run *run, const struct vector *v, struct shot *s)
{
	int r = 0;

	if (v->flags & VERIFY_AT_ROUTER) {
		r = verify_join(run->cgroup);
		if (!r)
			r = verify_enter(s, VERIFY_ROUTER);
	}
	return r ? r : v->fire(s);
}

/* The child's life. It stays after the last answer, with its sockets open, until it is killed. */
static void __attribute__((noreturn)) serve(const struct verify_run *run, const struct vector *v,
					    struct shot *s, int channel)
{
	int answer = take_position(run, s->world);
	char request;

	if (write(channel, &answer, sizeof(answer)) != sizeof(answer) || answer)
		_exit(1);
	while (read(channel, &request, 1) == 1) {
		answer = request == FIRE ? fire(run, v, s) : v->prepare ? v->prepare(s) : 0;
		if (write(channel, &answer, sizeof(answer)) != sizeof(answer))
			break;
	}
	_exit(0);
}

/* 0 and *ret, -ETIMEDOUT, or -EPIPE if the child died. */
static int hear(const struct gunner *g, int *ret)
{
	struct pollfd fd = { .fd = g->channel, .events = POLLIN };
	int answer;

	if (poll(&fd, 1, PATIENCE_MS) == 0)
		return -ETIMEDOUT;
	if (read(g->channel, &answer, sizeof(answer)) != sizeof(answer))
		return -EPIPE;
	*ret = answer > 0 ? 0 : answer;
	return 0;
}

static int ask(const struct gunner *g, enum request what, int *ret)
{
	char byte = (char)what;

	return write(g->channel, &byte, 1) == 1 ? hear(g, ret) : -EPIPE;
}

/* With all that it started: they are of its process group, and of the world's cgroup. */
static void gunner_end(struct gunner *g)
{
	if (g->pid > 0) {
		kill(-g->pid, SIGKILL);
		kill(g->pid, SIGKILL);
		waitpid(g->pid, NULL, 0);
		while (waitpid(-g->pid, NULL, 0) > 0) /* orphans come to us, the first process */
			;
	}
	cleanup_close(&g->channel);
	g->pid = 0;
}

static int gunner_start(const struct verify_run *run, const struct vector *v, struct shot *s,
			struct gunner *g, struct err *e)
{
	int ends[2], answer = 0, r;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return err_set(e, -errno, "cannot make a socket pair: %s", strerror(errno));
	g->channel = ends[0];
	g->pid = fork();
	if (g->pid == 0) {
		close(ends[0]);
		serve(run, v, s, ends[1]);
	}
	close(ends[1]);
	if (g->pid < 0)
		return err_set(e, -errno, "cannot fork: %s", strerror(errno));
	r = hear(g, &answer);
	if (!r)
		r = answer;
	if (r)
		return err_set(e, r, "a child cannot enter the client's network and cgroup: %s",
			       strerror(-r));
	return 0;
}

/* ---- worlds ---------------------------------------------------------------------------------- */

static int fence_and_kill(struct verify_run *run, struct verify_world *w, bool fenced, bool up,
			  struct err *e)
{
	int r = fenced ? verify_fence_raise(run, w, e) : 0;

	if (!r && !up)
		verify_tunnel_kill(w);
	return r;
}

static struct verify_world **slot(struct verify_run *run, const struct vector *v, bool fenced)
{
	return &run->kept[fenced][!!(v->flags & VERIFY_TUNNEL_UP)];
}

/* A world in the state that the vector wants; of VERIFY_BEFORE: still before the fence. */
static struct verify_world *get_world(struct verify_run *run, const struct vector *v, bool fenced,
				      struct err *e)
{
	_cleanup_verify_world_ struct verify_world *w = NULL;
	bool up = v->flags & VERIFY_TUNNEL_UP, before = v->flags & VERIFY_BEFORE;

	if (!before && *slot(run, v, fenced))
		return TAKE_PTR(*slot(run, v, fenced));
	w = verify_world_new(run, e);
	if (!w || ((up || !before) && verify_tunnel_up(w, e)) ||
	    (!before && fence_and_kill(run, w, fenced, up, e)))
		return NULL;
	return TAKE_PTR(w);
}

static void end_world(struct verify_run *run, struct verify_world *w)
{
	if (w)
		verify_fence_lower(run, w);
	verify_world_free(w);
}

static void put_world(struct verify_run *run, const struct vector *v, bool fenced,
		      struct verify_world *w, bool again)
{
	struct verify_world **kept = slot(run, v, fenced);

	if (again && !w->notes->touched && !*kept &&
	    !(v->flags & (VERIFY_BEFORE | VERIFY_AT_ROUTER)))
		*kept = w;
	else
		end_world(run, w);
}

void verify_worlds_free(struct verify_run *run)
{
	size_t i;

	for (i = 0; i < 4; i++) {
		end_world(run, run->kept[i / 2][i % 2]);
		run->kept[i / 2][i % 2] = NULL;
	}
}

int verify_tunnel_check(struct verify_run *run, bool fenced, struct err *e)
{
	static const struct vector with_tunnel = { .flags = VERIFY_TUNNEL_UP };
	struct verify_world *w = get_world(run, &with_tunnel, fenced, e);
	bool works = w && verify_tunnel_works(w);

	if (!w)
		return -EIO;
	put_world(run, &with_tunnel, fenced, w, true);
	if (works)
		return 0;
	return fenced ? err_set(e, -ENOTCONN, "the fence blocks the tunnel: no page comes through") :
			err_set(e, -ENOTCONN,
				"verify's own tunnel does not work without a fence either; does "
				"another firewall of this machine reach into new namespaces?");
}

/* ---- a firing -------------------------------------------------------------------------------- */

static int new_shot(struct verify_run *run, const struct vector *v, const struct verify_world *w,
		    struct shot *s, struct err *e)
{
	*s = (struct shot){
		.world = w,
		.name = v->name,
		.port = (__u16)(FIRST_PORT + run->shots++ % PORTS),
		.fd = -1,
	};
	if (getrandom(s->token, sizeof(s->token), 0) != sizeof(s->token))
		return err_set(e, -EIO, "no random bytes: %s", strerror(errno));
	return verify_open_port(w, s->port, e);
}

static __u64 now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (__u64)t.tv_sec * 1000 + (__u64)t.tv_nsec / 1000000;
}

/* Counts until the frame's time is over; once seen without a fence there is nothing to wait for. */
static int count_frames(const struct verify_world *w, struct verify_count *count, bool fenced,
			struct err *e)
{
	const struct timespec pause = { .tv_nsec = LOOK_AGAIN_MS * 1000000L };
	__u64 end = now_ms() + count->vector->linger_ms;
	int r;

	for (;;) {
		bool over = now_ms() >= end;

		r = verify_settle(w, count, e);
		if (r || over || (!fenced && count->frames))
			return r;
		nanosleep(&pause, NULL);
	}
}

/* Who did not get to its end may not have got to its shot: no verdict. */
static int no_answer(const struct vector *v, const char *what, int r, struct err *e)
{
	return err_set(e, r, "%s of '%s' %s", what, v->name, r == -ETIMEDOUT ? "hangs" : "died");
}

/* prepare(), and around it the fence where the vector is older than that. */
static int prepare(struct verify_run *run, const struct vector *v, bool fenced,
		   struct verify_world *w, const struct gunner *g, struct verify_shot *ret,
		   struct err *e)
{
	bool up = v->flags & VERIFY_TUNNEL_UP;
	int r = ask(g, PREPARE, &ret->prepared);

	if (r)
		return no_answer(v, "prepare()", r, e);
	if (ret->prepared || !(v->flags & VERIFY_BEFORE))
		return 0;
	if (!up)
		r = verify_tunnel_up(w, e);
	return r ? r : fence_and_kill(run, w, fenced, up, e);
}

static int shoot(struct verify_run *run, const struct vector *v, bool fenced,
		 struct verify_world *w, struct gunner *g, struct verify_shot *ret, struct err *e)
{
	struct shot s;
	struct verify_count count = { .vector = v, .shot = &s };
	int r = new_shot(run, v, w, &s, e);

	if (!r)
		r = gunner_start(run, v, &s, g, e);
	if (r)
		return r;
	verify_sniffer_drain(w);
	r = prepare(run, v, fenced, w, g, ret, e);
	if (r || ret->prepared)
		return r;
	if (v->flags & VERIFY_BEFORE)
		verify_sniffer_drain(w); /* what it sent before the fence is no leak */
	r = ask(g, FIRE, &ret->told);
	if (r)
		return no_answer(v, "fire()", r, e);
	r = count_frames(w, &count, fenced, e);
	ret->frames = count.frames;
	return r;
}

int verify_fire(struct verify_run *run, const struct vector *v, bool fenced,
		struct verify_shot *ret, struct err *e)
{
	struct verify_world *w = get_world(run, v, fenced, e);
	struct gunner g = { .channel = -1 };
	struct verify_shot shot = {};
	int r;

	if (!w)
		return -EIO;
	r = shoot(run, v, fenced, w, &g, &shot, e);
	gunner_end(&g);
	put_world(run, v, fenced, w, !r);
	if (!r)
		*ret = shot;
	return r;
}
