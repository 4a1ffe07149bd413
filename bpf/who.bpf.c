// SPDX-License-Identifier: GPL-2.0
/*
 * Remembers who makes a socket, so that what is dropped later, from a timer or an interrupt, can be
 * said whose it was. It refuses nothing. The kernel asks it of the sockets of IPv4 and IPv6 alone.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "who.h"

enum {
	CREATE_ALLOW = 1,
};

SEC("cgroup/sock_create")
int tunfence_who(struct bpf_sock *ctx)
{
	remember_who(ctx);
	return CREATE_ALLOW;
}

char _license[] SEC("license") = "GPL";
