/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A fence that is up, as the kernel has it. The truth is the program at the socket hook and the
 * maps that program uses; pins only lead there. What is not ours, or of another version, is named
 * and not read any further.
 */
#ifndef TUNFENCE_FENCE_H
#define TUNFENCE_FENCE_H

#include <stdbool.h>

#include <tunfence/policy.h>

#include "dispatcher.h"
#include "err.h"
#include "hook.h"
#include "link.h"
#include "maps.h"
#include "pin.h"
#include "planes.h"
#include "util.h"

struct fence {
	char name[64];
	struct pins pins;
	int socket_link; /* at one of its cgroups */
	struct hook_link socket; /* of that link; its program is the one that judges */
	struct maps maps;        /* that program's */
	/* Those pinned beside it that are of the same policy; -1: not found. */
	int program[PROGRAM_COUNT];
	__u32 program_id[PROGRAM_COUNT];
	struct tf_policy policy;
	struct dispatcher dispatcher; /* in which its policy has a slot; none if it has none */
};

void fence_free(struct fence *f);
static inline void fence_cleanup(struct fence **f)
{
	fence_free(*f);
}
#define _cleanup_fence_ _cleanup_(fence_cleanup)

/* -ENOENT: no such fence. -EBADMSG: what is pinned there is not a fence. -ESTALE: a fence raised by
 * another version, which `up` replaces. */
int fence_open(const struct pins *pins, const char *name, struct fence **ret, struct err *e);

/* The same without the programs beside it: enough to know its policy, and not how it stands. */
int fence_peek(const struct pins *pins, const char *name, struct fence **ret, struct err *e);

/* How many cgroups its policy names. */
__u32 fence_group_count(const struct fence *f);

/* Whether these, as many as said, are all cgroups of its policy but for some that were removed:
 * those are held for the sockets that there may be of them. */
bool fence_has_groups(const struct fence *f, size_t said);

/* Whether the socket plane holds this group of the policy, wherever that is. */
bool fence_holds_group(const struct fence *f, __u32 group);

/* Whether it does, and it is the cgroup that is at path now. A removed cgroup takes the link with
 * it, at the latest with its last socket, and one made anew at its path is another. */
int fence_check_group(const struct fence *f, __u32 group, const char *path, struct err *e);

/* What a device is to a policy. */
enum role {
	ROLE_UPLINK = 0,
	ROLE_LOOPBACK,
	ROLE_TUNNEL,
	ROLE_INSIDE,
};

enum role link_role(const struct policy *p, const struct link *link);
const char *role_name(enum role role);

/* How one hook of a fence stands. */
enum standing {
	STANDING_MISSING = 0,
	STANDING_LINK,   /* on the cgroup or in the namespace */
	STANDING_TCX,    /* on the device, in front */
	STANDING_BEHIND, /* at tcx, but another program is asked first and may skip ours */
	STANDING_CLSACT,
	STANDING_STALE,  /* there with the program of an earlier policy */
	STANDING_ABSENT, /* this kernel cannot have it */
};

bool standing_is_good(enum standing standing);
const char *standing_name(enum standing standing);

/* hook is one of a namespace, and only seen from there. */
enum standing fence_standing(const struct fence *f, enum hook hook);

/* hook is one of cgroups: how it stands at this one of policy_groups(). */
enum standing fence_standing_at(const struct fence *f, enum hook hook, __u32 group);
enum standing fence_standing_on(const struct fence *f, enum hook hook, int ifindex);

/* Whether the dispatcher knows all cgroups of a fence that has a slot, and calls its program. */
bool fence_is_dispatched(const struct fence *f);

/* The cgroups that a hook of cgroups is on. */
const struct tf_group *policy_groups(const struct tf_policy *p, enum hook hook, __u32 *ret_count);

/* Whether the policy has this hook at all. */
bool policy_has_hook(const struct tf_policy *p, enum hook hook);

/* The clsact filter's handle: a fence's own. */
__u32 fence_handle(const char *name);

#endif
