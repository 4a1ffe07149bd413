/* SPDX-License-Identifier: GPL-2.0 */
/*
 * In which cgroup a socket was made, read from the kernel's own structures: for programs that have
 * no helper to ask it of their context, or have found a socket elsewhere. What cannot be told is no
 * group, so it is in none.
 */
#ifndef TUNFENCE_CGROUP_H
#define TUNFENCE_CGROUP_H

#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include <vmlinux.h>

#include <tunfence/policy.h>

#include "kernel.h"

enum { CGROUP_V1_BITS = 3 }; /* of sock_cgroup_data.val: it tells of cgroup v1, or of the root */

/* Of a full socket. */
static __always_inline struct cgroup *cgroup_of_socket(const struct sock *sk)
{
	const struct sock_cgroup_data___val *before = (const void *)&sk->sk_cgrp_data;
	__u64 val;

	if (bpf_core_field_exists(sk->sk_cgrp_data.cgroup))
		return READ(sk, sk_cgrp_data.cgroup);
	val = BPF_CORE_READ(before, val);
	return val & CGROUP_V1_BITS ? NULL : (struct cgroup *)val;
}

/* Each in a function of its own: one of the two fields does not exist, and the compiler would look
 * up its place in front of the branch that does without it. */
static __attribute__((noinline)) __u64 ancestor_id_before(const struct cgroup___ids *cgroup,
							  __u32 level)
{
	__u64 id = 0;

	bpf_probe_read_kernel(&id, sizeof(id), (void *)&cgroup->ancestor_ids + level * sizeof(id));
	return id;
}

static __attribute__((noinline)) __u64 ancestor_id(const struct cgroup *cgroup, __u32 level)
{
	const struct cgroup *ancestor;

	ancestor = KERNEL_CAST(struct cgroup, load_word((void *)&cgroup->ancestors +
							level * sizeof(ancestor)));
	return READ(ancestor, kn, id);
}

static __always_inline _Bool is_within(const struct cgroup *cgroup, const struct tf_group *group)
{
	const struct cgroup___ids *before = (const void *)cgroup;

	if (group->level > (__u32)READ(cgroup, level))
		return 0;
	return group->id == (bpf_core_field_exists(before->ancestor_ids) ?
				     ancestor_id_before(before, group->level) :
				     ancestor_id(cgroup, group->level));
}

static __always_inline _Bool is_in_exempt(const struct cgroup *cgroup, const struct tf_policy *p)
{
	__u32 i;

	for (i = 0; cgroup && i < TF_MAX_EXEMPT && i < p->exempt_count; i++) {
		if (is_within(cgroup, &p->exempt[i]))
			return 1;
	}
	return 0;
}

#endif
