/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kernel's attachment points, one small function each: cgroup/skb egress, tcx egress, clsact
 * egress. Knows nothing of policies or pins.
 */
#ifndef TUNFENCE_HOOK_H
#define TUNFENCE_HOOK_H

#include <stdbool.h>
#include <stddef.h>

#include <tunfence/types.h>

#include "err.h"

#define HOOK_MAX_PROGRAMS 64 /* BPF_MPROG_MAX of the kernel */

/* libbpf says nothing by itself: what it knows goes into our own messages. */
void hook_silence_libbpf(void);

/* Whether the kernel has tcx (Linux 6.6 and later): asked, not guessed. */
bool hook_has_tcx(void);

/* Attaches at the cgroup's egress hook. Returns a link, -errno. */
int hook_cgroup_attach(int program_fd, int cgroup_fd, struct err *e);

/* Attaches in front of every other program. Returns a link; the caller keeps it alive. */
int hook_tcx_attach(int program_fd, int ifindex, struct err *e);

/* Swaps the program of a cgroup or tcx link: each packet meets the old one or the new one. */
int hook_link_update(int link_fd, int program_fd, struct err *e);

/* What is attached at a device's tcx egress, in the order it runs. */
struct hook_tcx {
	__u32 count;
	__u32 program_ids[HOOK_MAX_PROGRAMS];
	__u32 link_ids[HOOK_MAX_PROGRAMS]; /* 0: not attached by a link */
};

int hook_tcx_query(int ifindex, struct hook_tcx *ret);

/* The clsact filter with this handle, at the highest priority: attached, or its program swapped. */
int hook_clsact_attach(int program_fd, int ifindex, __u32 handle, struct err *e);

/* The id of that filter's program. -ENOENT: there is no such filter. */
int hook_clsact_query(int ifindex, __u32 handle, __u32 *ret_program_id);
int hook_clsact_detach(int ifindex, __u32 handle, struct err *e);

/* Identity of a link. target: the cgroup's id, or the device's ifindex (0: it is gone). */
struct hook_link {
	__u32 id;
	__u32 type; /* enum bpf_link_type */
	__u32 program_id;
	__u64 target;
};

#define HOOK_LINK_CGROUP 3 /* BPF_LINK_TYPE_CGROUP */
#define HOOK_LINK_TCX 11   /* BPF_LINK_TYPE_TCX, include/uapi/linux/bpf.h of Linux 6.6 */

int hook_link_info(int link_fd, struct hook_link *ret);

/* Takes the link off its hook, whoever else holds it. */
int hook_link_detach(int link_fd);

#endif
