/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Peers of live tunnels that were given by name, and whether they are still where their name leads.
 * Only computes.
 */
#ifndef TUNFENCE_PEERS_H
#define TUNFENCE_PEERS_H

#include "compile.h"
#include "config.h"
#include "world.h"

/* Seconds without a handshake after which a peer counts as lost: a session lives for 180 s and both
 * ends renew it after 120, so one that can be reached is never silent for so long while it has
 * something to say. wg(8)'s reresolve-dns waits as long. */
enum { PEERS_SILENT = 135 };

/* A peer that is to be told where it is now. */
struct peers_move {
	size_t tunnel;              /* number of the tunnel in config and world */
	struct wireguard_peer peer; /* with its new endpoint */
	const char *host;           /* in config: the name that leads there */
};

/* Whom to tell what: the peers that are lost, and whose name has just led elsewhere. To no address
 * but one that live lets their tunnel's packets out to. *ret is the caller's to free. */
int peers_find_moved(const struct config *c, const struct world *w, const struct policy *live,
		     long long now, struct peers_move **ret, size_t *ret_count);

/* How many peers that were given by name are lost, wherever that leads. */
size_t peers_count_lost(const struct config *c, const struct world *w, long long now);

#endif
