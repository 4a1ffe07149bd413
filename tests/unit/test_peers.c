// SPDX-License-Identifier: GPL-2.0
/* peers.h: who is told what, and who is left alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "addr.h"
#include "peers.h"
#include "util.h"

#define NOW 1700000000LL
#define LOST (NOW - PEERS_SILENT - 1)

/* A tunnel with two peers, the first by the name a.example, the second by b.example. a.example leads
 * to 192.0.2.1 and 2001:db8::1, b.example to 192.0.2.2; all of that may be sent to. */
struct scene {
	struct config_endpoint endpoints[3];
	struct config_tunnel tunnel;
	struct config config;
	struct resolve_name names[2];
	struct wireguard_peer peers[2];
	struct world_tunnel world_tunnel;
	struct world world;
	struct policy_endpoint allowed[8];
	struct policy live;
	struct peers_move *moves;
	size_t count;
};

static struct tf_addr address(const char *text)
{
	struct tf_addr addr;

	assert_int_equal(addr_parse(text, &addr, NULL), 0);
	return addr;
}

static void allow(struct scene *s, const char *text, __u16 port)
{
	s->allowed[s->live.live_count++] = (struct policy_endpoint){
		.key = { .addr = address(text), .port = port, .protocol = IPPROTO_UDP },
		.value.tunnels = 1,
	};
}

static struct config_endpoint name_of(const char *host, __u8 key)
{
	struct config_endpoint name = { .protocol = IPPROTO_UDP, .port = 51820,
					.peer = { { key } } };

	strcpy(name.host, host);
	return name;
}

static void answer(struct resolve_name *name, const char *host, const char *first,
		   const char *second)
{
	*name = (struct resolve_name){ .source = RESOLVE_LIBC, .count = second ? 2 : 1 };
	strcpy(name->host, host);
	name->addrs[0] = address(first);
	if (second)
		name->addrs[1] = address(second);
}

static void place(struct wireguard_peer *peer, const char *text, __u16 port)
{
	peer->has_endpoint = true;
	peer->endpoint = (struct wireguard_endpoint){ .addr = address(text), .port = tf_htons(port) };
}

static void begin(struct scene *s)
{
	*s = (struct scene){};
	s->endpoints[0] = name_of("a.example", 1);
	s->endpoints[1] = name_of("b.example", 2);
	s->tunnel.endpoints = s->endpoints;
	s->tunnel.endpoint_count = 2;
	s->config.tunnels = &s->tunnel;
	s->config.tunnel_count = 1;

	answer(&s->names[0], "a.example", "2001:db8::1", "192.0.2.1");
	answer(&s->names[1], "B.example", "192.0.2.2", NULL);
	s->peers[0] = (struct wireguard_peer){ .key = { { 1 } }, .last_handshake = LOST };
	s->peers[1] = (struct wireguard_peer){ .key = { { 2 } }, .last_handshake = LOST };
	place(&s->peers[0], "198.51.100.1", 51820);
	place(&s->peers[1], "198.51.100.2", 51820);
	s->world_tunnel.answered = true;
	s->world_tunnel.device.peers = s->peers;
	s->world_tunnel.device.peer_count = 2;
	s->world.tunnels = &s->world_tunnel;
	s->world.tunnel_count = 1;
	s->world.names = s->names;
	s->world.name_count = 2;

	s->live.live = s->allowed;
	allow(s, "192.0.2.1", 51820);
	allow(s, "2001:db8::1", 51820);
	allow(s, "192.0.2.2", 51820);
}

static size_t found(struct scene *s)
{
	free(TAKE_PTR(s->moves));
	assert_int_equal(peers_find_moved(&s->config, &s->world, &s->live, NOW, &s->moves,
					  &s->count), 0);
	return s->count;
}

static void assert_move(const struct scene *s, size_t i, __u8 key, const char *where)
{
	char text[ADDR_TEXT_LEN];

	assert_true(i < s->count);
	assert_int_equal(s->moves[i].tunnel, 0);
	assert_int_equal(s->moves[i].peer.key.byte[0], key);
	assert_true(s->moves[i].peer.has_endpoint);
	assert_string_equal(addr_port_format(&s->moves[i].peer.endpoint.addr,
					     s->moves[i].peer.endpoint.port, text), where);
}

static void each_to_its_own_name(void **state)
{
	struct scene s;

	(void)state;
	begin(&s);
	assert_int_equal(found(&s), 2);
	assert_move(&s, 0, 1, "192.0.2.1:51820"); /* not the first: the family it has */
	assert_move(&s, 1, 2, "192.0.2.2:51820");
	assert_string_equal(s.moves[0].host, "a.example");
	assert_int_equal(peers_count_lost(&s.config, &s.world, NOW), 2);
	free(s.moves);
}

static void which_family(void **state)
{
	struct scene s;

	(void)state;
	begin(&s);
	s.world_tunnel.device.peer_count = 1;
	place(&s.peers[0], "2001:db8::99", 51820);
	assert_int_equal(found(&s), 1);
	assert_move(&s, 0, 1, "[2001:db8::1]:51820");
	s.peers[0].has_endpoint = false; /* the first */
	assert_int_equal(found(&s), 1);
	assert_move(&s, 0, 1, "[2001:db8::1]:51820");
	answer(&s.names[0], "a.example", "192.0.2.1", NULL); /* there is but the other */
	place(&s.peers[0], "2001:db8::99", 51820);
	assert_int_equal(found(&s), 1);
	assert_move(&s, 0, 1, "192.0.2.1:51820");
	free(s.moves);
}

static void who_is_heard_of_stays(void **state)
{
	struct scene s;

	(void)state;
	begin(&s);
	s.world_tunnel.device.peer_count = 1;
	s.peers[0].last_handshake = NOW - PEERS_SILENT;
	assert_int_equal(found(&s), 0);
	assert_int_equal(peers_count_lost(&s.config, &s.world, NOW), 0);
	s.peers[0].last_handshake = NOW + 1000; /* the clock was set back */
	assert_int_equal(found(&s), 0);
	s.peers[0].last_handshake = LOST;
	assert_int_equal(found(&s), 1);
	s.peers[0].last_handshake = 0; /* never */
	assert_int_equal(found(&s), 1);
	free(s.moves);
}

static void who_is_where_the_name_leads_stays(void **state)
{
	struct scene s;

	(void)state;
	begin(&s);
	s.world_tunnel.device.peer_count = 1;
	place(&s.peers[0], "192.0.2.1", 51820);
	assert_int_equal(found(&s), 0);
	place(&s.peers[0], "2001:db8::1", 51820);
	assert_int_equal(found(&s), 0);
	assert_int_equal(peers_count_lost(&s.config, &s.world, NOW), 1);
	place(&s.peers[0], "192.0.2.1", 51821); /* another port is another place */
	assert_int_equal(found(&s), 1);
	free(s.moves);
}

static void nowhere_but_where_it_may_send(void **state)
{
	struct scene s;

	(void)state;
	begin(&s);
	s.world_tunnel.device.peer_count = 1;
	s.live.live_count = 0;
	assert_int_equal(found(&s), 0);
	allow(&s, "192.0.2.1", 51821);
	assert_int_equal(found(&s), 0);
	allow(&s, "192.0.2.1", 51820);
	s.allowed[1].key.protocol = IPPROTO_TCP;
	assert_int_equal(found(&s), 0);
	s.allowed[1].key.protocol = IPPROTO_UDP;
	s.allowed[1].value.tunnels = 2; /* another tunnel's */
	assert_int_equal(found(&s), 0);
	s.live.endpoints = s.allowed; /* or by the configuration */
	s.live.endpoint_count = 2;
	s.live.live_count = 0;
	assert_int_equal(found(&s), 0);
	s.allowed[1].value.tunnels = 3;
	assert_int_equal(found(&s), 1);
	assert_move(&s, 0, 1, "192.0.2.1:51820");
	free(s.moves);
}

static void only_what_was_resolved_now(void **state)
{
	struct scene s;

	(void)state;
	begin(&s);
	s.world_tunnel.device.peer_count = 1;
	s.names[0].source = RESOLVE_LAST_GOOD;
	assert_int_equal(found(&s), 0);
	s.peers[0].has_endpoint = false; /* anything is better than nothing */
	assert_int_equal(found(&s), 1);
	s.names[0].source = RESOLVE_BOOTSTRAP;
	place(&s.peers[0], "198.51.100.1", 51820);
	assert_int_equal(found(&s), 1);
	s.world.name_count = 0;
	assert_int_equal(found(&s), 0);
	free(s.moves);
}

/* By tunfence's own Endpoint=. */
static void names_without_a_key(void **state)
{
	struct scene s;

	(void)state;
	begin(&s);
	s.endpoints[0].peer = s.endpoints[1].peer = (struct key){};
	assert_int_equal(found(&s), 0); /* whose? */
	assert_int_equal(peers_count_lost(&s.config, &s.world, NOW), 0);
	s.world_tunnel.device.peer_count = 1;
	assert_int_equal(found(&s), 1);
	assert_move(&s, 0, 1, "192.0.2.1:51820");
	place(&s.peers[0], "192.0.2.2", 51820); /* where the other leads */
	assert_int_equal(found(&s), 0);
	free(s.moves);
}

static void strangers_are_left_alone(void **state)
{
	struct scene s;

	(void)state;
	begin(&s);
	s.peers[0].key.byte[0] = 3;
	assert_int_equal(found(&s), 1);
	assert_move(&s, 0, 2, "192.0.2.2:51820");
	s.world_tunnel.kind_mismatch = true;
	assert_int_equal(found(&s), 0);
	s.world_tunnel.kind_mismatch = false;
	s.world_tunnel.answered = false;
	assert_int_equal(found(&s), 0);
	s.world_tunnel.answered = true;
	s.endpoints[1].protocol = IPPROTO_TCP;
	assert_int_equal(found(&s), 0);
	s.endpoints[1].protocol = IPPROTO_UDP;
	s.endpoints[1].literal = true;
	assert_int_equal(found(&s), 0);
	free(s.moves);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_to_its_own_name),
		cmocka_unit_test(which_family),
		cmocka_unit_test(who_is_heard_of_stays),
		cmocka_unit_test(who_is_where_the_name_leads_stays),
		cmocka_unit_test(nowhere_but_where_it_may_send),
		cmocka_unit_test(only_what_was_resolved_now),
		cmocka_unit_test(names_without_a_key),
		cmocka_unit_test(strangers_are_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
