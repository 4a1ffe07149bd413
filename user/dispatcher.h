/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What all cgroup fences of a network namespace share: the dispatcher, which stands on devices in
 * their place, its list of cgroups (members), and the fences' wire programs by slot (judges).
 *
 * Each step of joining is stricter than the one before: first the judge, then the cgroups that are
 * judged. Leaving goes backwards. A cgroup without a judge is dropped on every device, and so is one
 * whose judges cannot be called. The caller holds the lock; putting it on devices is raise.c's.
 */
#ifndef TUNFENCE_USER_DISPATCHER_H
#define TUNFENCE_USER_DISPATCHER_H

#include <tunfence/dispatcher.h>

#include "err.h"
#include "pin.h"

/* X(NAME, name in the kernel) */
#define DISPATCHER_MAPS(X)                                                                         \
	X(MEMBERS, "members")                                                                      \
	X(LEVELS, "levels")                                                                        \
	X(JUDGES, "judges")                                                                        \
	X(SLOTS, "slots")

enum dispatcher_map {
#define X(NAME, name) DISPATCHER_##NAME,
	DISPATCHER_MAPS(X)
#undef X
	DISPATCHER_MAP_COUNT,
};

const char *dispatcher_map_name(enum dispatcher_map map);

struct dispatcher {
	struct pins pins;
	char name[64];      /* of its directory */
	char filter[96];    /* names its clsact filter: other tunfences may be in this namespace */
	int program;        /* -1: there is none */
	int map[DISPATCHER_MAP_COUNT];
	__u32 judges_id;    /* of that map: each program that calls others has it */
};

void dispatcher_init(struct dispatcher *d); /* none */
void dispatcher_close(struct dispatcher *d);
#define _cleanup_dispatcher_ _cleanup_(dispatcher_close)

/* That of a network namespace. pins: of any fence in the same places. -ENOENT: there is none, and
 * nothing of it stands on a device. */
int dispatcher_open(const struct pins *pins, __u32 netns, struct dispatcher *ret, struct err *e);

/* The same, with a program that is new and stands nowhere yet, so that it can be put in front of what
 * others attached. Makes it all where there is none, without members. -EOPNOTSUPP: this kernel cannot
 * have it (tail calls from programs with functions: Linux 5.10 on x86-64, 6.0 on arm64). */
int dispatcher_make(const struct pins *pins, __u32 netns, struct dispatcher *ret, struct err *e);

/* The fence's slot; 0: it has none. */
__u32 dispatcher_slot(const struct dispatcher *d, const char *fence);

/* The fence's slot, or one that is its own from now on: nobody else gets it until it is released. What
 * a fence left that has no directory any more is cleared away. *ret 0: all are taken. */
int dispatcher_reserve(const struct dispatcher *d, const char *fence, __u32 *ret, struct err *e);

/* Whether it can tell these cgroups from others, so deep below the root. */
bool dispatcher_can_tell(const struct tf_policy *p);

/* The policy's groups are judged by this program from now on; beside those that were. -ESTALE: the slot
 * is not the fence's, or the program calls others than this dispatcher does. */
int dispatcher_join(const struct dispatcher *d, const struct tf_policy *p, int program_fd,
		    struct err *e);

/* The fence's groups become those that the policy names. */
int dispatcher_keep(const struct dispatcher *d, const struct tf_policy *p, struct err *e);

/* The fence has no groups and no judge any more; its slot it keeps. Not having had one: done. */
int dispatcher_leave(const struct dispatcher *d, const char *fence, struct err *e);

/* The slot is free for others. For a fence that has left, and of which nothing stands. */
int dispatcher_release(const struct dispatcher *d, const char *fence, struct err *e);

/* Whether the program with this id is one of this dispatcher. */
bool dispatcher_is(const struct dispatcher *d, __u32 program_id);

/* The id of the program that has the slot; 0: none. */
__u32 dispatcher_judge(const struct dispatcher *d, __u32 slot);

/* Whether the slot is the fence's, every group of the policy is a member with it, and its judge calls
 * whom this dispatcher would. */
bool dispatcher_has(const struct dispatcher *d, const struct tf_policy *p);

/* The network namespace of the one whose directory has this name. -ENOENT: it is of another version. */
int dispatcher_netns(const char *name, __u32 *ret);

/* Where it is, of one that there is not as well. */
int dispatcher_find(struct dispatcher *d, const struct pins *pins, __u32 netns);

/* Whether no fence has a slot. */
bool dispatcher_is_empty(const struct dispatcher *d);

#endif
