// SPDX-License-Identifier: GPL-2.0
/*
 * Which peers are to be told a new address: see peers.h. Whom a name belongs to is said by the key
 * beside it; without one it is plain only where the device has a single peer.
 */
#include "peers.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "util.h"

/* A clock that was set back makes no peer lost. */
static bool is_lost(const struct wireguard_peer *peer, long long now)
{
	return !peer->last_handshake || now - peer->last_handshake > PEERS_SILENT;
}

static bool is_of(const struct config_endpoint *name, const struct wireguard_device *d,
		  const struct wireguard_peer *peer)
{
	if (name->literal || name->protocol != IPPROTO_UDP)
		return false;
	return key_is_set(&name->peer) ? key_equal(&name->peer, &peer->key) : d->peer_count == 1;
}

static bool same_place(const struct wireguard_endpoint *a, const struct wireguard_endpoint *b)
{
	return a->port == b->port && memcmp(&a->addr, &b->addr, sizeof(a->addr)) == 0;
}

static bool has(const struct policy_endpoint *list, size_t count,
		const struct wireguard_endpoint *place, size_t tunnel)
{
	size_t i;

	for (i = 0; i < count; i++) {
		if (list[i].key.protocol == IPPROTO_UDP &&
		    list[i].key.port == tf_ntohs(place->port) &&
		    list[i].value.tunnels >> tunnel & 1 &&
		    memcmp(&list[i].key.addr, &place->addr, sizeof(place->addr)) == 0)
			return true;
	}
	return false;
}

static bool is_allowed(const struct policy *live, const struct wireguard_endpoint *place,
		       size_t tunnel)
{
	return has(live->live, live->live_count, place, tunnel) ||
	       has(live->endpoints, live->endpoint_count, place, tunnel);
}

/* One peer, and the best place for it that was found so far. */
struct search {
	const struct world *w;
	const struct policy *live;
	const struct wireguard_peer *peer;
	size_t tunnel;
	bool found, right; /* right: it is where a name leads */
	struct peers_move move;
};

/* The first place counts, but one of the family that the peer has now goes before: that one had a
 * way out. */
static void consider(struct search *s, const struct config_endpoint *name,
		     const struct tf_addr *addr)
{
	const struct wireguard_endpoint place = { .addr = *addr, .port = tf_htons(name->port) };
	const struct wireguard_endpoint *now = &s->peer->endpoint;
	bool like_now = s->peer->has_endpoint && tf_addr_is_v4(&now->addr) == tf_addr_is_v4(addr);
	bool like_found = s->found && s->peer->has_endpoint &&
			  tf_addr_is_v4(&now->addr) == tf_addr_is_v4(&s->move.peer.endpoint.addr);

	if (s->peer->has_endpoint && same_place(now, &place))
		s->right = true;
	if (!is_allowed(s->live, &place, s->tunnel) || (s->found && (like_found || !like_now)))
		return;
	s->found = true;
	s->move = (struct peers_move){ .tunnel = s->tunnel, .peer = *s->peer, .host = name->host };
	s->move.peer.endpoint = place;
	s->move.peer.has_endpoint = true;
}

/* An old answer is good enough for who has no address at all, and for nobody else. */
static void look_up(struct search *s, const struct config_endpoint *name)
{
	const struct resolve_name *answer = resolve_find(s->w->names, s->w->name_count, name->host);
	size_t i;

	if (!answer || (s->peer->has_endpoint && !resolve_is_fresh(answer)))
		return;
	for (i = 0; i < answer->count; i++)
		consider(s, name, &answer->addrs[i]);
}

static bool tells_peers(const struct world_tunnel *t)
{
	return t->answered && !t->kind_mismatch;
}

static void search_peer(struct search *s, const struct config_tunnel *t,
			const struct wireguard_device *d)
{
	size_t i;

	for (i = 0; i < t->endpoint_count; i++) {
		if (is_of(&t->endpoints[i], d, s->peer))
			look_up(s, &t->endpoints[i]);
	}
}

static size_t count_peers(const struct world *w)
{
	size_t i, count = 0;

	for (i = 0; i < w->tunnel_count; i++)
		count += w->tunnels[i].device.peer_count;
	return count;
}

int peers_find_moved(const struct config *c, const struct world *w, const struct policy *live,
		     long long now, struct peers_move **ret, size_t *ret_count)
{
	struct peers_move *moves = calloc(count_peers(w) + 1, sizeof(*moves));
	size_t i, j, count = 0;

	if (!moves)
		return -ENOMEM;
	for (i = 0; i < w->tunnel_count; i++) {
		const struct wireguard_device *d = &w->tunnels[i].device;

		for (j = 0; tells_peers(&w->tunnels[i]) && j < d->peer_count; j++) {
			struct search s = { .w = w, .live = live, .peer = &d->peers[j],
					    .tunnel = i };

			if (!is_lost(s.peer, now))
				continue;
			search_peer(&s, &c->tunnels[i], d);
			if (s.found && !s.right)
				moves[count++] = s.move;
		}
	}
	*ret = moves;
	*ret_count = count;
	return 0;
}

static bool has_name(const struct config_tunnel *t, const struct wireguard_device *d,
		     const struct wireguard_peer *peer)
{
	size_t i;

	for (i = 0; i < t->endpoint_count; i++) {
		if (is_of(&t->endpoints[i], d, peer))
			return true;
	}
	return false;
}

size_t peers_count_lost(const struct config *c, const struct world *w, long long now)
{
	size_t i, j, count = 0;

	for (i = 0; i < w->tunnel_count; i++) {
		const struct wireguard_device *d = &w->tunnels[i].device;

		for (j = 0; tells_peers(&w->tunnels[i]) && j < d->peer_count; j++)
			count += is_lost(&d->peers[j], now) &&
				 has_name(&c->tunnels[i], d, &d->peers[j]);
	}
	return count;
}
