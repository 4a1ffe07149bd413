/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Names of endpoints -> addresses. Asks, within seconds and whatever the machine's resolver would
 * like to take; never waits for a network, never writes a file or a rule.
 *
 * Two can be asked: the one server that the fence lets this very process ask (BootstrapDNS=), and
 * the C library, in child processes that a deadline ends.
 */
#ifndef TUNFENCE_RESOLVE_H
#define TUNFENCE_RESOLVE_H

#include <tunfence/policy.h>

#include "config.h"

#define RESOLVE_ADDRS 16 /* of one name; more are left out */

enum resolve_source {
	RESOLVE_NOTHING = 0,
	RESOLVE_BOOTSTRAP, /* the server of BootstrapDNS= */
	RESOLVE_LIBC,
	RESOLVE_LAST_GOOD, /* what it was when it last resolved: hosts.h */
};

struct resolve_name {
	char host[CONFIG_HOST_LEN];
	enum resolve_source source;
	struct tf_addr addrs[RESOLVE_ADDRS]; /* as the source orders them, each once */
	size_t count;
	char why[96]; /* it did not resolve; empty: it did */
};

static inline bool resolve_is_fresh(const struct resolve_name *n)
{
	return n->source == RESOLVE_BOOTSTRAP || n->source == RESOLVE_LIBC;
}

/* The one of that name, in whatever case it is written; NULL: there is none. */
const struct resolve_name *resolve_find(const struct resolve_name *names, size_t count,
					const char *host);

/* Adds the address, if it is not there and there is room. */
void resolve_add(struct resolve_name *n, const struct tf_addr *addr);

/* Asks the C library for each name that has no fresh answer, several at a time, for some seconds in
 * all. What does not resolve says why. */
void resolve_by_libc(struct resolve_name *names, size_t count);

/* The one server that the fence lets us ask, and how to get leave: put_question(NULL) ends it. */
struct resolve_server {
	struct tf_addr addr;
	__u16 port; /* 0: there is none */
	int (*put_question)(const struct tf_question *question, const void *data);
	const void *data;
};

/* Asks the server for each name that has no fresh answer, all at once and twice at most. */
void resolve_by_server(struct resolve_name *names, size_t count,
		       const struct resolve_server *server);

#endif
