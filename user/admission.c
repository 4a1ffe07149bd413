// SPDX-License-Identifier: GPL-2.0
/*
 * The answering end of an admission: see admission.h. Runs as root, and anybody may talk to it, so:
 *
 *   - what is said to it is one short message within a deadline, and is nothing but a fence's name,
 *     with one word in front of it or none;
 *   - it moves the process that connected, which the kernel names, and no other: the process is
 *     held by ptrace meanwhile, so that its number cannot become another's;
 *   - it moves it into the fence's own slice only: another group may mean more than a fence to
 *     whoever looks at groups (systemd, journald, firewalls, limits);
 *   - leaving a group must not free of anything: it refuses if a program is attached to a group that
 *     the process would leave, be it another fence's, systemd's (IPAddressDeny=) or somebody
 *     else's, or if the process is a service's or a container's and not of a user's session;
 *   - it makes exempt of a fence only for those whom the fence's configuration names, and nothing
 *     that a fence of cgroups holds;
 *   - in the end it looks whether all is as it should be, and only then says so.
 */
#define _GNU_SOURCE /* struct ucred */
#include "admission.h"

#include <errno.h>
#include <poll.h>
#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/types.h>
#include <unistd.h>

#include "addr.h"
#include "cgroup.h"
#include "config.h"
#include "fence.h"
#include "group.h"
#include "slice.h"
#include "state.h"
#include "systemd.h"
#include "view.h"

#define REQUEST_S 5 /* for the name to come */
#define UID "Uid:\t"  /* a line of /proc/PID/status; the real one comes first */

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* include/uapi/asm-generic/socket.h of Linux 6.5 */
#endif

/* One request being answered. */
struct request {
	const struct admission_place *place;
	struct admission_peer *peer;
	struct pins pins;
	int pidfd;
	bool observed;
	struct tf_policy policy; /* the fence's */
	struct cgroup group; /* the one of the fence that was asked for */
	char path[PATH_MAX]; /* where the process is now */
	struct err *e;
};

static void request_end(struct request *q)
{
	cleanup_close(&q->pidfd);
	cgroup_close(&q->group);
}

/* ---- who asks, and for what ---- */

static int read_name(int fd, struct admission_peer *peer, struct err *e)
{
	const struct timeval patience = { .tv_sec = REQUEST_S };
	char text[sizeof(ADMISSION_EXEMPT) + sizeof(peer->name)];
	const size_t word = strlen(ADMISSION_EXEMPT);
	const char *name = text;
	ssize_t n = -1;

	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) == 0)
		n = recv(fd, text, sizeof(text) - 1, MSG_TRUNC);
	if (n < 0)
		return err_set(e, -errno, "no fence was named in time");
	text[n < (ssize_t)sizeof(text) ? n : 0] = '\0';
	peer->exempt = strncmp(text, ADMISSION_EXEMPT, word) == 0;
	name += peer->exempt ? word : 0;
	if (n - (name - text) >= (ssize_t)sizeof(peer->name))
		return err_set(e, -EMSGSIZE, "what was sent is too long for a fence's name");
	/* It is not repeated: the journal has lines. */
	if (strlen(text) != (size_t)n || config_check_name(name, NULL))
		return err_set(e, -EINVAL, "what was sent is not a fence's name");
	strcpy(peer->name, name);
	return 0;
}

/* The kernel's own word, by a descriptor where it has that, else by the number alone: then another
 * process of the same user may have it by now, which is his own affair. */
static int open_peer(int fd, struct request *q)
{
	struct ucred peer;
	socklen_t size = sizeof(peer), pidfd_size = sizeof(q->pidfd);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		return err_set(q->e, -errno, "it cannot be told who asks: %s", strerror(errno));
	q->peer->pid = peer.pid;
	q->peer->uid = peer.uid;
	if (peer.pid <= 0)
		return err_set(q->e, -ESRCH,
			       "who asks is not among the processes seen from here; run this outside of "
			       "the container");
	if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &q->pidfd, &pidfd_size) == 0)
		return 0;
	q->pidfd = errno == ENOPROTOOPT ? (int)syscall(SYS_pidfd_open, peer.pid, 0) : -1;
	return q->pidfd >= 0 ? 0 : err_set(q->e, -ESRCH, "the process that asked has ended");
}

/* While it is, its number is nobody else's. */
static int check_alive(const struct request *q)
{
	struct pollfd p = { .fd = q->pidfd, .events = POLLIN };

	return poll(&p, 1, 0) == 0 ? 0 : err_set(q->e, -ESRCH, "the process that asked has ended");
}

static int check_user(const struct request *q)
{
	char file[64], line[256], *number;
	_cleanup_fclose_ FILE *status = NULL;
	__u32 uid;

	snprintf(file, sizeof(file), "/proc/%d/status", q->peer->pid);
	status = fopen(file, "re");
	while (status && fgets(line, sizeof(line), status)) {
		if (strncmp(line, UID, strlen(UID)) != 0)
			continue;
		number = line + strlen(UID);
		number[strcspn(number, "\t\n")] = '\0';
		if (parse_u32(number, 0, UINT32_MAX, &uid) == 0 && uid == q->peer->uid)
			return 0;
		return err_set(q->e, -EPERM,
			       "the process that asked belongs to another user by now");
	}
	return err_set(q->e, -ESRCH, "the process that asked has ended");
}

/* Until this process ends, the other's number is not given to a third one even if it ends: its end
 * is told to us first. It runs on undisturbed. */
static int hold(const struct request *q)
{
	if (ptrace(PTRACE_SEIZE, q->peer->pid, NULL, NULL) == 0)
		return 0;
	if (errno == ESRCH)
		return err_set(q->e, -ESRCH, "the process that asked has ended");
	return err_set(q->e, -errno,
		       "process %d cannot be held while it is moved: %s; does a debugger have it, or "
		       "does kernel.yama.ptrace_scope forbid it? Then root can run the program",
		       q->peer->pid, strerror(errno));
}

static int hold_peer(const struct request *q)
{
	int r = 0;

	if (q->place->strict) {
		r = check_user(q);
		if (!r)
			r = hold(q);
		if (!r)
			r = check_user(q); /* of whom we hold */
	}
	return r ? r : check_alive(q);
}

/* ---- the fence ---- */

/* The group that programs are run in: the fence's own slice, else the first, as long as the fence
 * holds it and it is the one at its place. */
static int fence_group(const struct fence *f, const char *run_dir, struct cgroup *ret, struct err *e)
{
	__u32 i, chosen = 0;
	struct state s;
	int r = state_read(run_dir, f->name, &s, e);

	if (r)
		return r;
	for (i = 0; i < s.group_count; i++) {
		if (slice_is_own(s.groups[i], f->name, SLICE_FENCED))
			chosen = i;
	}
	if (chosen >= s.group_count || !fence_has_groups(f, s.group_count))
		r = err_set(e, -EBADMSG, "it is not known which groups fence '%s' has; run 'tunfence up "
			    "%s'", f->name, f->name);
	if (!r)
		r = fence_check_group(f, chosen, s.groups[chosen], e);
	if (!r)
		r = cgroup_open(s.groups[chosen], ret, e);
	state_free(&s);
	return r;
}

/* What Users= says: a name or a number. */
static bool is_user(const char *said, unsigned int uid)
{
	const struct passwd *user = getpwnam(said);
	__u32 number;

	if (user)
		return user->pw_uid == uid;
	return parse_u32(said, 0, ~0U, &number) == 0 && number == uid;
}

static int check_may_exempt(const struct request *q, const struct state *s)
{
	size_t i;

	for (i = 0; q->place->strict && i < s->user_count; i++) {
		if (is_user(s->users[i], q->peer->uid))
			return 0;
	}
	if (!q->place->strict)
		return 0;
	return err_set(q->e, -EPERM,
		       "user %u is none of those who may start exempt programs; use sudo, or have him "
		       "named in Users= of [Exempt] of fence '%s'",
		       q->peer->uid, q->peer->name);
}

static bool is_exempt(const struct tf_policy *p, const struct cgroup *group)
{
	__u32 i;

	for (i = 0; i < TF_MAX_EXEMPT && i < p->exempt_count; i++) {
		const struct cgroup there = { .id = p->exempt[i].id, .level = p->exempt[i].level };

		if (cgroup_is_within(group, &there))
			return true;
	}
	return false;
}

/* The slice for exempt programs, as long as it is the one that the fence exempts. */
static int open_exempt(const struct request *q, const struct state *s, struct cgroup *ret)
{
	const char *fence = q->peer->name;
	struct cgroup group;
	size_t i = 0;
	int r;

	while (i < s->exempt_count && !slice_is_own(s->exempt[i], fence, SLICE_EXEMPT))
		i++;
	if (i == s->exempt_count)
		return err_set(q->e, -EINVAL,
			       "fence '%s' has no slice for exempt programs; add [Exempt] to its "
			       "configuration and run 'tunfence up %s'",
			       fence, fence);
	r = cgroup_open(s->exempt[i], &group, q->e);
	if (r)
		return r;
	if (is_exempt(&q->policy, &group)) {
		*ret = group;
		return 0;
	}
	cgroup_close(&group);
	return err_set(q->e, -ENOENT,
		       "fence '%s' does not exempt '%s', which was made anew; run 'tunfence up %s'",
		       fence, s->exempt[i], fence);
}

static int exempt_group(const struct request *q, struct cgroup *ret)
{
	struct state s;
	int r = state_read(q->place->run_dir, q->peer->name, &s, q->e);

	if (r)
		return r;
	r = check_may_exempt(q, &s);
	if (!r)
		r = open_exempt(q, &s, ret);
	state_free(&s);
	return r;
}

static int check_whole(const struct fence *f, const struct request *q)
{
	_cleanup_view_ struct view *v = NULL;
	int r = view_read(f, q->place->run_dir, q->place->state_dir, &v, q->e);

	if (r || v->safe)
		return r;
	r = view_problems(v, q->e);
	err_prefix(q->e, "fence '%s' has a hole", f->name);
	return r;
}

/* Leaves the group in q. */
static int find_fence(struct request *q)
{
	_cleanup_fence_ struct fence *f = NULL;
	const char *name = q->peer->name;
	int r = fence_open(&q->pins, name, &f, q->e);

	if (r == -ENOENT)
		return err_set(q->e, r, "fence '%s' is not up; raise it with 'tunfence up %s'",
			       name, name);
	if (r)
		return r;
	q->policy = f->policy;
	if (q->peer->exempt) {
		cgroup_close(&q->group);
		return exempt_group(q, &q->group);
	}
	if (f->policy.scope != TF_SCOPE_CGROUP)
		return err_set(q->e, -EINVAL,
			       "fence '%s' is of the whole machine: every program is in it; just run it",
			       name);
	q->observed = f->policy.mode == TF_MODE_OBSERVE;
	if (!q->observed)
		r = check_whole(f, q);
	cgroup_close(&q->group);
	return r ? r : fence_group(f, q->place->run_dir, &q->group, q->e);
}

/* ---- from where, and where to ---- */

/* Whether path is above, or is, below. */
static bool is_above(const char *path, const char *below)
{
	size_t length = strlen(path);

	return strncmp(path, below, length) == 0 && (!below[length] || below[length] == '/');
}

static int refuse_to_leave(const struct request *q, const char *path, int has)
{
	if (has < 0)
		return err_set(q->e, has,
			       "it cannot be told whether cgroup '%s', which process %d would leave, has "
			       "programs of BPF: %s",
			       path, q->peer->pid, strerror(-has));
	return err_set(q->e, -EPERM,
		       "process %d is in cgroup '%s', to which %s is attached, and would get out of it; "
		       "run the program from outside of it",
		       q->peer->pid, path,
		       q->place->strict ? "a fence or another program of BPF" : "another fence");
}

/* Every group from where it is up to the first that the target is in, too. By what the groups are: the
 * target's path may be that of another mount. */
static int check_left_groups(const struct request *q)
{
	const char *wanted = q->place->strict ? NULL : programs[PROGRAM_SOCKET].name;
	bool shared = false;
	char at[PATH_MAX];
	int r = 0;

	for (strcpy(at, q->path); !r && !shared; *strrchr(at, '/') = '\0') {
		struct cgroup c = { .fd = -1 };

		r = cgroup_open(at, &c, q->e);
		if (r)
			return r;
		shared = cgroup_is_within(&q->group, &c);
		r = shared ? 0 : hook_cgroup_has(c.fd, wanted);
		cgroup_close(&c);
		if (r)
			r = refuse_to_leave(q, at, r);
	}
	return r;
}

/* A service's process would get out of what systemd holds it by. Sessions and what a user's own
 * systemd starts are where people are; without systemd, the hierarchy's root is. */
static int check_session(const struct request *q)
{
	char mount[PATH_MAX], session[PATH_MAX + 64];
	int r = cgroup_find_mount(mount, q->e);

	if (r)
		return r;
	snprintf(session, sizeof(session), "%s/user.slice/user-%u.slice", mount, q->peer->uid);
	if (streq(q->path, mount) || is_above(session, q->path))
		return 0;
	return err_set(q->e, -EPERM,
		       "process %d is in cgroup '%s' and not in a session of its user; run the program "
		       "from one, or name the service in Unit= of a fence",
		       q->peer->pid, q->path);
}

/* What was put into a fence of cgroups is to stay in there, and what it starts. */
static int check_not_held(const struct request *q)
{
	struct cgroup here = { .fd = -1 };
	bool held = false;
	__u32 i;
	int r;

	if (!q->peer->exempt || q->policy.scope == TF_SCOPE_SYSTEM)
		return 0;
	r = cgroup_open(q->path, &here, q->e);
	for (i = 0; !r && i < TF_GROUP_ROOM && i < q->policy.group_count; i++) {
		const struct cgroup there = { .id = q->policy.groups[i].id,
					      .level = q->policy.groups[i].level };

		held = held || cgroup_is_within(&here, &there);
	}
	cgroup_close(&here);
	if (r || !held)
		return r;
	return err_set(q->e, -EPERM,
		       "process %d is in cgroup '%s', which fence '%s' holds, and stays there; run the "
		       "program from outside of it",
		       q->peer->pid, q->path, q->peer->name);
}

static int check_places(const struct request *q)
{
	int r = check_not_held(q);

	if (r)
		return r;
	if (q->place->strict && !q->peer->exempt &&
	    !slice_is_own(q->group.path, q->peer->name, SLICE_FENCED))
		return err_set(q->e, -EPERM,
			       "fence '%s' is of cgroup '%s', into which only root may put programs; use "
			       "sudo, or have Cgroup= and Unit= taken out of its configuration, so that "
			       "it is of a slice of its own",
			       q->peer->name, q->group.path);
	r = q->place->strict ? check_session(q) : 0;
	return r ? r : check_left_groups(q);
}

/* ---- the move ---- */

/* "…/a-b.slice" -> "a-b.slice", or NULL if it is no slice of the systemd that runs here. */
static const char *slice_of(const char *path)
{
	const char *last = strrchr(path, '/') + 1;
	size_t length = strlen(last);

	if (!systemd_is_running() || length <= strlen(".slice") ||
	    !streq(last + length - strlen(".slice"), ".slice"))
		return NULL;
	return last;
}

static int join(const struct request *q)
{
	struct systemd_scope scope = { .slice = slice_of(q->group.path), .pid = q->peer->pid };
	char unit[UNIT_NAME_LEN], description[128], name[UNIT_NAME_LEN];
	int r;

	if (!scope.slice) {
		group_sweep(q->group.path);
		return group_join_new(q->group.path, q->peer->pid, q->e);
	}
	r = slice_escape(q->peer->name, name, q->e);
	if (r)
		return r;
	snprintf(unit, sizeof(unit), "tunfence-%.*s-%d.scope", UNIT_NAME_LEN - 32, name,
		 q->peer->pid);
	snprintf(description, sizeof(description), "%s fence %s",
		 q->peer->exempt ? "Program exempt of" : "Program in", q->peer->name);
	scope.unit = unit;
	scope.description = description;
	return systemd_start_scope(&scope, q->e);
}

/* In the group that was asked for; and in none of those below it that are exempt, unless that was
 * asked for: the slice for exempt programs is below the fence's own. */
static bool is_in_place(const struct request *q)
{
	struct cgroup here;
	bool exempt;

	if (!group_is_below(q->path, q->group.id))
		return false;
	if (q->peer->exempt)
		return true;
	if (cgroup_open(q->path, &here, NULL))
		return false;
	exempt = is_exempt(&q->policy, &here);
	cgroup_close(&here);
	return !exempt;
}

/* Not what was asked for, but what is. */
static int check_result(struct request *q)
{
	int r = group_of_process(q->peer->pid, q->path, q->e);

	if (!r)
		r = find_fence(q);
	if (!r && !is_in_place(q))
		r = err_set(q->e, -EXDEV, "process %d did not get into cgroup '%s', it is in '%s'",
			    q->peer->pid, q->group.path, q->path);
	return r ? r : check_alive(q);
}

static int fulfil(struct request *q)
{
	int r = pins_enter(&q->pins, q->e);

	if (!r)
		r = find_fence(q);
	if (!r)
		r = group_of_process(q->peer->pid, q->path, q->e);
	if (r || is_in_place(q))
		return r; /* it is there already */
	r = check_places(q);
	if (!r)
		r = join(q);
	return r ? r : check_result(q);
}

/* ---- the answer ---- */

static void answer(int fd, const struct request *q, int r)
{
	char text[ADMISSION_MESSAGE];

	if (r)
		snprintf(text, sizeof(text), "error %s", q->e->text);
	else
		snprintf(text, sizeof(text), "%s %llu %s",
			 q->peer->exempt ? "exempt" :
			 q->observed	 ? "observed" :
					   "fenced",
			 (unsigned long long)q->group.id, q->path);
	(void)send(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT);
}

int admission_serve(int fd, const struct admission_place *place, struct admission_peer *ret_peer,
		    struct err *e)
{
	struct admission_peer peer = {};
	_cleanup_(request_end) struct request q = { .place = place, .peer = &peer, .pidfd = -1,
						    .group.fd = -1, .e = e };
	int r = open_peer(fd, &q);

	if (!r)
		r = read_name(fd, &peer, e);
	if (!r)
		r = pins_init(&q.pins, place->bpffs, place->run_dir, peer.name, e);
	if (!r)
		r = hold_peer(&q);
	if (!r)
		r = fulfil(&q);
	answer(fd, &q, r);
	*ret_peer = peer;
	return r;
}
