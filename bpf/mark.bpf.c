// SPDX-License-Identifier: GPL-2.0
/*
 * The mark of exempt programs: given to each of their sockets when it is made, so that tunfence's own
 * rules find them a way past the tunnel. It is attached to the exempt cgroups alone and decides
 * nothing: a socket is exempt by its cgroup, and whoever sets the same mark elsewhere gains no more
 * than another route to be dropped on. A socket without the mark goes the way of all others.
 *
 * In another network namespace the mark could mean anything, and the fence routes nothing there.
 */
#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include <vmlinux.h>

#include "maps.h"

enum {
	CREATE_ALLOW = 1,
};

SEC("cgroup/sock_create")
int tunfence_mark(struct bpf_sock *ctx)
{
	const struct sock *sk = (const void *)ctx; /* the kernel's context is the socket itself */

	if (BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum) == the_policy()->netns)
		ctx->mark = the_policy()->exempt_mark;
	return CREATE_ALLOW;
}

char _license[] SEC("license") = "GPL";
