/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A fence as a person wants to see it: gathered from the kernel for status and up, printed as text
 * or JSON. Gathers and formats; changes nothing.
 */
#ifndef TUNFENCE_VIEW_H
#define TUNFENCE_VIEW_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "fence.h"
#include "hosts.h"
#include "link.h"
#include "maps.h"
#include "nesting.h"
#include "state.h"
#include "stopped.h"

struct view_interface {
	const struct link *link; /* in links */
	enum role role;
	enum standing standing[HOOK_COUNT]; /* of uplinks: of the hooks that devices have */
};

/* One of the cgroups that the policy names. */
struct view_group {
	const char *path; /* where it was at up; NULL: that is not known */
	bool held;        /* the socket plane holds it, as far as can be told */
	bool ended;       /* it is gone with its service, which is started in the fence's slice */
	enum standing standing[HOOK_COUNT]; /* of the hooks that cgroups have */
};

/* One that the policy exempts. */
struct view_exempt {
	const char *path; /* where it was at up; NULL: that is not known */
	bool there;       /* that group is there still, as far as can be told */
};

/* What is to be done about what is not well. */
enum remedy {
	REMEDY_WORDS, /* as it says */
	REMEDY_SYNC,  /* tunfence sync NAME */
	REMEDY_UP,    /* tunfence up NAME: does what sync does, too */
};

struct view_problem {
	char *text;  /* a sentence: what is not well and what to do. Fit to be shown */
	bool unsafe; /* for it the fence does not do what it should */
	enum remedy remedy;
};

struct view {
	const struct fence *fence;
	struct policy *policy;
	struct links links;
	struct view_interface *interfaces;
	size_t interface_count;
	struct view_group groups[TF_GROUP_ROOM];
	__u32 group_count;
	__u32 removed; /* cgroups that are not shown: held for their sockets alone */
	struct view_exempt exempt[TF_MAX_EXEMPT];
	__u32 exempt_count;
	__u32 marks; /* of those: whose mark counts in standing */
	enum standing standing[HOOK_COUNT]; /* of the namespace's hooks; the worst of a cgroup's */
	counter_table counters;
	struct state state;
	bool has_state;
	struct hosts last; /* of the names in state */
	struct nestings around; /* fences that hold groups of this one too */
	bool here;       /* the fence belongs to the current network namespace */
	bool safe;       /* it stops what it should, as far as can be seen from here */
	struct view_problem *problems; /* what to do first is first */
	size_t problem_count;

	/* Of view_look_closer(). */
	long long handshake[TF_MAX_TUNNELS]; /* s since 1970; 0: there was none; -1: not known */
	struct stopped stopped;
	bool has_stopped;
};

void view_free(struct view *v);
static inline void view_cleanup(struct view **v)
{
	view_free(*v);
}
#define _cleanup_view_ _cleanup_(view_cleanup)

int view_read(const struct fence *f, const char *run_dir, const char *state_dir,
	      struct view **ret, struct err *e);

/* When peers were last heard of, and what was stopped today; for people and scripts, no verdict
 * needs it. What cannot be found out is a problem or not known. */
void view_ask_tunnels(struct view *v, const char *socket_dir);
void view_look_closer(struct view *v, const char *socket_dir);

/* All that is not well in one sentence. Returns -EAGAIN. */
int view_problems(const struct view *v, struct err *e);

/* Whether the interface of this tunnel of the policy is there, of its kind, and up. */
bool view_tunnel_is_up(const struct view *v, __u32 number);

/* Of an endpoint: "udp". */
const char *view_protocol(__u8 protocol);

/* When a name resolved last; 0: never. Kept for all names of a fence together. */
long long view_resolved_at(const struct view *v, const char *host);

/* Calls each for every name of the fence, once. */
void view_each_name(const struct view *v,
		    void (*each)(const struct view *v, const char *host, void *data), void *data);

/* The one screen; all: and whatever else there is to know. */
void view_print(const struct view *v, bool all, FILE *out);
json_t *view_json(const struct view *v);

#endif
