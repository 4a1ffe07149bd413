/* SPDX-License-Identifier: GPL-2.0 */
/* cgroup2: where it is mounted, and the identity of one group. */
#ifndef TUNFENCE_CGROUP_H
#define TUNFENCE_CGROUP_H

#include <stdbool.h>
#include <stdio.h>

#include <tunfence/types.h>

#include "err.h"

/* The depth of a group seen from inside a container, where the root is out of sight. No ancestor
 * of any socket is this deep, so it must never reach a policy: whoever needs a level refuses it. */
#define CGROUP_LEVEL_UNKNOWN (~0U)

struct cgroup {
	int fd;        /* O_DIRECTORY; -1: none */
	__u64 id;      /* inode, as bpf_skb_ancestor_cgroup_id() gives it */
	__u32 level;   /* depth below the root of the hierarchy, the root itself being 0 */
	bool fleeting;   /* it may go at any time, and nothing is less fenced then */
	char path[4096]; /* absolute */
};

/* The first cgroup2 mount in /proc/self/mountinfo whose root is the hierarchy's root ("/"), or the
 * only one there is. -ENOENT with what to mount if there is none. */
int cgroup_find_mount(char ret_path[4096], struct err *e);

/* path: absolute (must lie on a cgroup2 mount), or relative to the mount found by the above;
 * NULL or "": the root group. */
int cgroup_open(const char *path, struct cgroup *ret, struct err *e);
void cgroup_close(struct cgroup *c);

/* The group of a unit of the system's manager: the directory of its name that is reached from the
 * hierarchy's root by slices alone. There is one, since no two units have the same name; what users'
 * managers and containers make lies below a service or a scope. -ENOENT: the unit has none now.
 * outside: a slice's path that is not looked into; NULL: none. A service whose slice was changed may
 * have processes of before in another. */
int cgroup_open_unit(const char *unit, const char *outside, struct cgroup *ret, struct err *e);

/* Whether inner is outer, or below it. Both levels are known. What cannot be told is no. */
bool cgroup_is_within(const struct cgroup *inner, const struct cgroup *outer);

/* Whether a group has a directory, wherever that is. What cannot be told is no. */
bool cgroup_has_directory(__u64 id, __u32 level);

/* The absolute path of the group with this id. -ESTALE: there is none (any more); else it cannot be
 * told, for want of a mount or of rights. */
int cgroup_path_of(__u64 id, char ret_path[4096]);

struct cgroups {
	struct cgroup *list;
	size_t count;
};

void cgroups_free(struct cgroups *c); /* what it points to, not c itself */

/* For tests: the path of a unit's group in a hierarchy at root. */
int cgroup_find_unit(const char *root, const char *unit, const char *outside, char ret_path[4096],
		     struct err *e);

/* For tests and fuzzing: the choice of cgroup_find_mount, from a mountinfo(5) text. */
int cgroup_parse_mountinfo(FILE *stream, char ret_path[4096], struct err *e);

#endif
