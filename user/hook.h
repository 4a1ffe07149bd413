/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kernel's attachment points, one small function each: the hooks of a cgroup, tcx and clsact on
 * a device, netfilter in a network namespace. Knows nothing of policies or pins.
 */
#ifndef TUNFENCE_HOOK_H
#define TUNFENCE_HOOK_H

#include <stdbool.h>
#include <stddef.h>

#include <tunfence/types.h>

#include "err.h"

#define HOOK_MAX_PROGRAMS 64 /* BPF_MPROG_MAX of the kernel */

/* What Debian 12's headers do not know (include/uapi/linux/bpf.h of Linux 6.6). */
enum hook_place {
	AT_IPV4 = 2,        /* NFPROTO_IPV4 */
	AT_IPV6 = 10,       /* NFPROTO_IPV6 */
	AT_LSM_CGROUP = 43, /* enum bpf_attach_type */
	AT_TCX_INGRESS = 46,
	AT_TCX_EGRESS = 47,
};

/* libbpf says nothing by itself: what it knows goes into our own messages. */
void hook_silence_libbpf(void);

/* Whether the kernel has tcx (Linux 6.6 and later): asked, not guessed. */
bool hook_has_tcx(void);

/* Whether the kernel asks BPF programs as a security module: a program can be loaded and attached
 * without. What cannot be told is no. */
bool hook_has_lsm(void);

/* Attaches at a hook of the cgroup, beside what others have there. Returns a link, -errno. */
int hook_cgroup_attach(int program_fd, int cgroup_fd, __u32 attach_type, struct err *e);

/* Whether a group itself, not one above it, has this program at a hook; NULL: any program at any hook
 * that a cgroup can have. 1, 0, or -errno. */
int hook_cgroup_has(int cgroup_fd, const char *program);

/* Attaches in front of every other program. Returns a link; the caller keeps it alive. */
int hook_tcx_attach(int program_fd, int ifindex, __u32 place, struct err *e);

/* Attaches at the current namespace's POST_ROUTING, behind address translation, at a priority that
 * nobody has. Returns a link; the kernel cannot swap its program. */
int hook_netfilter_attach(int program_fd, __u32 family, struct err *e);

/* Swaps the program of a cgroup or tcx link: each packet meets the old one or the new one. */
int hook_link_update(int link_fd, int program_fd, struct err *e);

/* What is attached at a device's tcx hook, in the order it runs. */
struct hook_tcx {
	__u32 count;
	__u32 program_ids[HOOK_MAX_PROGRAMS];
	__u32 link_ids[HOOK_MAX_PROGRAMS]; /* 0: not attached by a link */
};

int hook_tcx_query(int ifindex, __u32 place, struct hook_tcx *ret);

/* The clsact filter with this handle, at the highest priority: attached, or its program swapped. */
int hook_clsact_attach(int program_fd, int ifindex, __u32 place, __u32 handle, struct err *e);

/* The id of that filter's program. -ENOENT: there is no such filter. */
int hook_clsact_query(int ifindex, __u32 place, __u32 handle, __u32 *ret_program_id);
int hook_clsact_detach(int ifindex, __u32 place, __u32 handle, struct err *e);

/* Identity of a link. */
struct hook_link {
	__u32 id;
	__u32 type;       /* enum bpf_link_type */
	__u32 program_id;
	__u32 place;      /* attach type, or address family */
	__u64 target;     /* the cgroup's id, the device's ifindex (0: it is gone, or was detached) */
	__s32 priority;   /* netfilter */
};

#define HOOK_LINK_CGROUP 3     /* BPF_LINK_TYPE_CGROUP */
#define HOOK_LINK_NETFILTER 10 /* BPF_LINK_TYPE_NETFILTER, include/uapi/linux/bpf.h of Linux 6.4 */
#define HOOK_LINK_TCX 11       /* BPF_LINK_TYPE_TCX, of Linux 6.6 */

int hook_link_info(int link_fd, struct hook_link *ret);

/* Whether a netfilter link of the current namespace holds its place still: once detached it looks
 * the same for as long as somebody holds it. program_fd: its program, or another for netfilter. */
bool hook_netfilter_is_live(const struct hook_link *link, int program_fd);

/* Takes the link off its hook, whoever else holds it. */
int hook_link_detach(int link_fd);

#endif
