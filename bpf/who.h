/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which program made a socket, or connected it last: written down while that program runs, read when
 * a packet of the socket is dropped, from whatever context. No verdict reads it, and what cannot be
 * written or read is not known.
 */
#ifndef TUNFENCE_WHO_H
#define TUNFENCE_WHO_H

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include <vmlinux.h>

#include "kernel.h"
#include "maps.h"

static __always_inline struct task_struct *current_task(void)
{
	return KERNEL_CAST(struct task_struct, bpf_get_current_task());
}

/* Who runs now: the process, whichever of its threads does. Read from the task itself, since not every
 * hook of every kernel has helpers for it. */
static __always_inline void who_is_it(struct tf_who *who)
{
	struct task_struct *task = current_task();
	struct tf_name comm = {};

	who->pid = (__u32)READ(task, tgid);
	who->uid = READ(task, cred, uid.val);
	load_text(&comm, &READ(task, group_leader)->comm);
	__builtin_memcpy(who->comm, &comm, sizeof(comm));
}

/* The cgroup of who runs now. */
static __always_inline __u64 cgroup_of_current(void)
{
	return READ(current_task(), cgroups, dfl_cgrp, kn, id);
}

/* sk: whatever this kind of program may hand to the helper. */
#define remember_who(sk)                                                                           \
	({                                                                                         \
		struct tf_who *who_ =                                                              \
			bpf_sk_storage_get(&owners, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);        \
                                                                                                   \
		if (who_)                                                                          \
			who_is_it(who_);                                                           \
	})

#endif
