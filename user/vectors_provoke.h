/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Packets from outside that make the client's kernel speak, and the two ways by which they come in.
 * For vectors whose frame is the answer.
 */
#ifndef TUNFENCE_VECTORS_PROVOKE_H
#define TUNFENCE_VECTORS_PROVOKE_H

#include "verify.h"

#define PROVOKE_DEVICE "client" /* the router's end of the client's wire */

/* A connection of the client's from before the fence: shot.data, for packets that belong to it. */
struct provoke_flow {
	__u16 port; /* the client's; the server's is the shot's own */
};

/* Each writes a whole IP packet and returns its length: X(name) */
#define PROVOKE_PACKETS(X)                                                                         \
	X(stray4)         /* a segment of no connection, from the shot's port */                   \
	X(stray6)                                                                                  \
	X(opening4)       /* a SYN for a listener at the shot's port, from the same port */        \
	X(opening6)                                                                                \
	X(old_segment)    /* one that is in no window of the flow */                               \
	X(second_opening) /* a SYN in the flow */                                                  \
	X(closed_udp4)    /* a datagram that nobody waits for */                                   \
	X(closed_udp6)                                                                             \
	X(echo4)          /* a ping */                                                             \
	X(echo6)                                                                                   \
	X(echo6_to_all)                                                                            \
	X(timestamp4)     /* what time is it? */                                                   \
	X(unknown4)       /* a protocol that the client does not have */                           \
	X(unknown6)                                                                                \
	X(bad_option4)    /* a malformed timestamp option */                                       \
	X(dying4)         /* to be forwarded, at its last hop */                                   \
	X(dying6)                                                                                  \
	X(detour4)        /* to be forwarded to where it came from */                              \
	X(group_query)    /* which groups do you listen to? (IGMPv2) */

typedef size_t provoke_maker(const struct shot *s, __u8 *to);

#define X(name) provoke_maker provoke_##name;
PROVOKE_PACKETS(X)
#undef X

/* By the router, on the wire: in the router's namespace (VERIFY_AT_ROUTER). 0 or -errno. */
int provoke_by_router(const struct shot *s, provoke_maker *make);

/* By a cable whose both ends are the client's, plugged in now: in the client's namespace. */
int provoke_by_side_door(const struct shot *s, provoke_maker *make);

#endif
