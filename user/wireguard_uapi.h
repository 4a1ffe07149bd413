/* SPDX-License-Identifier: GPL-2.0 */
/* The two halves of wireguard.h to each other; nobody else includes this. */
#ifndef TUNFENCE_WIREGUARD_UAPI_H
#define TUNFENCE_WIREGUARD_UAPI_H

#include <sys/socket.h>

#include "wireguard.h"

/* wireguard_read for a device that a program drives; interface is known to be a name. */
int wireguard_read_uapi(const char *interface, const char *socket_dir, __u32 netns,
			struct wireguard_device *ret, struct err *e);

/* wireguard_set_endpoint for the same. */
int wireguard_set_uapi(const char *interface, const char *socket_dir, __u32 netns,
		       const struct wireguard_peer *peer, struct err *e);

/* Adds a peer, unless it is the one added last: what follows is of that one. */
int wireguard_add_peer(struct wireguard_device *d, const struct key *key);

/* Both are of the peer added last; of none they are nobody's, and -EPROTO. */
int wireguard_add_handshake(struct wireguard_device *d, long long seconds);

/* What no packet can be sent to is no endpoint, and left out: port 0, and an IPv4 address in an
 * IPv6 socket address, which WireGuard's IPv6-only socket refuses. */
int wireguard_add_endpoint(struct wireguard_device *d, const struct sockaddr *sa);

/* 1: a socket of this network namespace listens at path; 0: none does; -errno: cannot be told. The
 * kernel lists each namespace's own sockets only, so this also holds for a daemon whose first
 * process, the one SO_PEERCRED names, is long gone. wireguard-go's is. */
int wireguard_socket_is_here(const char *path);

#endif
