/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Listening to what a fence drops, as it happens: a ring buffer of one's own in one of the fence's
 * slots, on a lease that must be renewed each second or so. Whoever does not is forgotten by the
 * kernel's programs, and another may have the slot. Prints nothing.
 */
#ifndef TUNFENCE_LISTEN_H
#define TUNFENCE_LISTEN_H

#include <tunfence/policy.h>

#include "err.h"
#include "maps.h"
#include "util.h"

struct listener;

/* Takes the descriptors out of m that it needs. -EBUSY: as many as can be listen already. */
int listener_open(struct maps *m, struct listener **ret, struct err *e);

/* Gives the lease back. */
void listener_close(struct listener *l);
static inline void listener_cleanup(struct listener **l)
{
	listener_close(*l);
}
#define _cleanup_listener_ _cleanup_(listener_cleanup)

/* Whether m is of the fence that is listened to, under whatever policy. */
bool listener_hears(const struct listener *l, const struct maps *m);

/* Readable when there are events. */
int listener_fd(const struct listener *l);

/* -ESTALE: it came too late, and the slot was somebody else's meanwhile: this one is to be closed. */
int listener_renew(struct listener *l);

/* What there is, but no more than so many at a time: the lease wants to be renewed, too. */
typedef void (*listener_cb)(const struct tf_event *event, void *data);
#define LISTENER_TURN 2048
int listener_take(struct listener *l, listener_cb cb, void *data, struct err *e);

/* Events that were lost since this was asked last. */
__u64 listener_lost(struct listener *l);

/* The entry of a kind as it is now. -ENOENT: there is none any more. */
int listener_recall(const struct listener *l, const struct tf_blocked_key *key,
		    struct tf_blocked *ret);

#endif
