/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Two cgroups of a sandbox to raise fences around, and what gets out of them: sent for real by a UDP
 * socket and by AF_PACKET. The kernel says what became of it.
 */
#ifndef TESTS_GROUND_H
#define TESTS_GROUND_H

#include <stdbool.h>

#include "err.h"
#include "fence.h"
#include "kernel/sandbox.h"
#include "pin.h"
#include "vectors/scene.h"
#include "vectors/vector.h"

enum group {
	GROUP_FENCED = 0,
	GROUP_OUTSIDE = 1,
	GROUPS,
};

#define ONLY(group) (1U << (group))
#define BOTH (ONLY(GROUP_FENCED) | ONLY(GROUP_OUTSIDE))

#define FENCE "cgroup" /* the policy of this name says so */

struct ground {
	struct sandbox sandbox;
	struct vectors vectors;
	struct scene_policies policies;
	struct pins pins;      /* of FENCE */
	struct cgroups places; /* GROUP_* */
};
extern struct ground ground;

/* For the sandbox's inside(). */
int ground_enter(struct err *e);
void ground_leave(void);

/* What got out of a group. */
struct sent {
	bool udp, frame;
};

/* Sits down in the group to send. */
struct sent send_from(enum group group);
void assert_fenced(enum group group, bool fenced);

/* FENCE's policy for the groups whose bit is set. */
struct policy policy_for(unsigned int groups);

int raise_at(const struct pins *where, const struct policy *policy, const struct cgroups *groups,
	     struct err *e);

/* Done if there is none. */
int lower_fence(const char *name);

/* How FENCE's wire plane stands on eth0. */
enum standing wire_standing(void);

/* Attaches a program that passes on to the next at the wire hook of eth0, in front. A link, -errno. */
int attach_next(void);

#endif
