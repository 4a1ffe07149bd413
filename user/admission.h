/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Into a fence: a program that is about to be run asks to be moved into the fence's cgroup. Who asks
 * is one end of a connection (AF_UNIX, SOCK_SEQPACKET), the fence's name the one message that it
 * sends; the other end runs as root, and moves whoever connected, nobody else. The answer is one
 * message too: "fenced ID PATH" or "observed ID PATH", or "error TEXT".
 *
 * Anybody may ask: what comes of it is that his own process may send less. See admission.c for what
 * is checked so that it stays so.
 *
 * "exempt NAME" asks for the opposite, the slice of the fence's exempt programs, and is answered by
 * "exempt ID PATH". That is for root, and for the users whom the fence's configuration names.
 */
#ifndef TUNFENCE_ADMISSION_H
#define TUNFENCE_ADMISSION_H

#include <limits.h>
#include <stdbool.h>

#include <tunfence/types.h>

#include "err.h"

#define ADMISSION_SOCKET "/run/tunfence-run" /* of tunfence-run.socket */
#define ADMISSION_MESSAGE 4600               /* an answer fits in */
#define ADMISSION_EXEMPT "exempt "           /* in front of the name */

/* ---- who asks ---- */

struct admission {
	bool observed;       /* the fence only observes */
	bool exempt;         /* it is the group of exempt programs */
	__u64 id;            /* of the fence's group */
	char path[PATH_MAX]; /* of the group the process was moved into */
};

/* Connects to the socket. A descriptor; -errno with what an administrator must do. */
int admission_connect(struct err *e);

/* Sends the request and waits for the answer. */
int admission_ask(int fd, const char *name, bool exempt, struct admission *ret, struct err *e);

/* Whether this process is where the answer says, and that is the fence's group or below it. */
int admission_check(const struct admission *a, const char *name, struct err *e);

/* For tests: an answer. -EBADMSG: it is none. */
int admission_parse(const char *answer, struct admission *ret, struct err *e);

/* ---- who answers ---- */

struct admission_place {
	const char *bpffs, *run_dir, *state_dir;
	/* Who asks is any user. Else it is this very command as root, who may do all of it anyway and
	 * is only kept from mistakes. */
	bool strict;
};

/* Who connected, as far as could be found out; for the log. */
struct admission_peer {
	int pid;
	unsigned int uid;
	char name[64]; /* of the fence that was asked for */
	bool exempt;   /* not to be in it, but exempt of it */
};

/* Reads the request, fulfils or refuses it, answers. 0: it was fulfilled; -errno: it was not, and e
 * says what the peer was told. */
int admission_serve(int fd, const struct admission_place *place, struct admission_peer *ret_peer,
		    struct err *e);

#endif
