/* SPDX-License-Identifier: GPL-2.0 */
/* An imagined packet: made up from a description, judged natively, never sent. */
#ifndef TUNFENCE_PROBE_H
#define TUNFENCE_PROBE_H

#include <netinet/in.h>
#include <stdbool.h>

#include <tunfence/decide.h>

#include "err.h"
#include "link.h"
#include "native.h"

struct probe {
	__u8 protocol;   /* IPPROTO_UDP, IPPROTO_TCP, IPPROTO_ICMP (for either family) */
	bool wireguard;  /* UDP: a handshake initiation */
	bool syn;        /* TCP: opens a connection; else it answers */
	struct tf_addr src, dst;
	__u16 sport, dport; /* host byte order */
	__u32 mark;
	enum tf_plane plane;
	enum tf_owner owner;     /* TF_OWNER_UNKNOWN: an ordinary socket's */
	bool outside;            /* the socket is of none of the scope's cgroups */
	bool exempt;             /* it is of an exempt one, or will get what arrives */
	const struct link *link; /* NULL: an uplink of no name */
	const struct native_address *addresses; /* the link's: what arrives for no other comes in */
	size_t address_count;
};

/* 0, or -EINVAL if there is no such packet: families differ, WireGuard over TCP. */
int probe_judge(const struct probe *p, const struct tf_policy *policy,
		const struct native_tables *tables, const void *data, struct tf_decision *ret,
		struct err *e);

#endif
