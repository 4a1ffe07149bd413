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

#include "err.h"
#include "hook.h"
#include "link.h"
#include "maps.h"
#include "pin.h"
#include "util.h"

#define PROGRAM_SOCKET "tunfence_socket"
#define PROGRAM_WIRE "tunfence_wire"

struct fence {
	char name[64];
	struct pins pins;
	int socket_link;
	struct hook_link socket;  /* of that link; its program is the one that judges */
	int wire_program;         /* of the same object as the socket program; -1: not found */
	__u32 wire_program_id;
	struct maps maps;         /* of that object */
	struct tf_policy policy;
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

/* Whether the socket plane still holds the cgroup that is at path now. A removed cgroup takes the
 * link with it, at the latest with its last socket, and one made anew at its path is another. */
int fence_check_cgroup(const struct fence *f, const char *path, struct err *e);

/* What a device is to a policy. */
enum role {
	ROLE_UPLINK = 0,
	ROLE_LOOPBACK,
	ROLE_TUNNEL,
	ROLE_INSIDE,
};

enum role link_role(const struct policy *p, const struct link *link);
const char *role_name(enum role role);

/* How the wire plane stands on one device. */
enum wire {
	WIRE_MISSING = 0,
	WIRE_TCX,        /* attached, in front */
	WIRE_TCX_BEHIND, /* attached, but another program is asked first and may skip ours */
	WIRE_CLSACT,
	WIRE_STALE,      /* attached with the program of an earlier policy */
};

enum wire fence_wire(const struct fence *f, int ifindex);
const char *wire_name(enum wire wire);

/* The clsact filter's handle: a fence's own. */
__u32 fence_handle(const char *name);

/* A program's id and name; a descriptor to it, or -errno. */
int program_by_id(__u32 id, char ret_name[16]);

#endif
