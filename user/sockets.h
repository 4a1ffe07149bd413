/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Sockets that a fence's user should know of: those that send past the wire plane or were made out of
 * its reach, with the processes that hold them, and those that wait for somebody to come in. From /proc, and by asking
 * the sockets themselves; only looks.
 */
#ifndef TUNFENCE_SOCKETS_H
#define TUNFENCE_SOCKETS_H

#include <stdbool.h>
#include <stddef.h>

#include <tunfence/policy.h>
#include <tunfence/types.h>

#include "err.h"

#define SOCKETS_MAX_LISTED 64

struct socket_holder {
	int pid;
	char name[16]; /* the process's */
	bool xdp;      /* AF_XDP; else AF_PACKET with PACKET_QDISC_BYPASS */
};

struct socket_holders {
	struct socket_holder list[SOCKETS_MAX_LISTED];
	size_t count; /* may be more than are listed */
};

/* Processes in the cgroup at this absolute path, or below it, that hold a socket which sends past
 * tc: every AF_XDP one, and those of AF_PACKET that were told to. Not asked of sock_diag: kernels
 * are built without, and it does not know whether a socket was told. */
int sockets_find_bypass(const char *cgroup, struct socket_holders *ret, struct err *e);

/* Processes there that hold an IP or AF_PACKET socket which was made in none of the fence's cgroups.
 * The fence is up, and the sockets are asked: of what they send it judges nothing. */
int sockets_find_strangers(const char *cgroup, const struct tf_policy *policy,
			   struct socket_holders *ret, struct err *e);

struct socket_ports {
	__u16 list[SOCKETS_MAX_LISTED]; /* each once, in order */
	size_t count;                   /* may be more than are listed */
};

/* Local ports, not of loopback, that a stranger could send to: of listening TCP sockets, and of
 * UDP sockets below the range that the kernel picks from for whoever does not care. */
int sockets_find_open(__u8 protocol, struct socket_ports *ret, struct err *e);

/* For tests: one line of /proc/net/tcp, tcp6, udp or udp6 that is such a port's. 0: it is not. */
__u16 socket_port_parse(const char *line, __u8 protocol);

#endif
