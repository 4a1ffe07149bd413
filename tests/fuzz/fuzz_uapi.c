// SPDX-License-Identifier: GPL-2.0
/*
 * The answer of a user-space WireGuard device. Taken whole or not at all; every endpoint and every
 * handshake is some peer's; and what a peer would be told reads as what it said.
 *
 * Coverage is counted of: user/wireguard_uapi.c user/key.c
 */
#include <string.h>

#include "fuzz/fuzz.h"
#include "util.h"
#include "wireguard.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	return 0;
}

static bool same_endpoint(const struct wireguard_endpoint *a, const struct wireguard_endpoint *b)
{
	return tf_addr_equal(&a->addr, &b->addr) && a->port == b->port;
}

static void expect_somebodys(const struct wireguard_device *d)
{
	long long newest = 0;
	size_t with_endpoint = 0;

	for (size_t i = 0; i < d->peer_count; i++) {
		bool listed = !d->peers[i].has_endpoint;

		with_endpoint += d->peers[i].has_endpoint;
		if (d->peers[i].last_handshake > newest)
			newest = d->peers[i].last_handshake;
		for (size_t j = 0; j < d->endpoint_count; j++)
			listed |= same_endpoint(&d->peers[i].endpoint, &d->endpoints[j]);
		FUZZ_EXPECT(listed, "peer %zu's endpoint is not in the list", i);
	}
	FUZZ_EXPECT(!d->endpoint_count || with_endpoint, "an endpoint of nobody");
	FUZZ_EXPECT(d->last_handshake >= newest && (d->peer_count || !d->last_handshake),
		    "a handshake with nobody");
	for (size_t j = 0; j < d->endpoint_count; j++)
		FUZZ_EXPECT(d->endpoints[j].port, "an endpoint that nothing can be sent to");
}

/* "set=1", key, "update_only=true", endpoint: without what only a question has, it is an answer. */
static void expect_again(const struct wireguard_peer *peer)
{
	_cleanup_(wireguard_device_free) struct wireguard_device again = {0};
	char text[WIREGUARD_SET_SIZE + 16], *end;

	wireguard_format_set(peer, text);
	end = strstr(text, "\n\n");
	FUZZ_EXPECT(end, "'%s'", text);
	strcpy(end, "\nerrno=0\n\n");
	FUZZ_EXPECT(wireguard_parse_uapi(text, strlen(text), &again) == 0, "'%s'", text);
	FUZZ_EXPECT(again.peer_count == 1 && key_equal(&again.peers[0].key, &peer->key) &&
			    again.peers[0].has_endpoint &&
			    same_endpoint(&again.peers[0].endpoint, &peer->endpoint),
		    "'%s'", text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct wireguard_device before = {.listen_port = 77, .last_handshake = 88};
	struct wireguard_device d = before;

	if (wireguard_parse_uapi((const char *)data, size, &d) < 0) {
		FUZZ_EXPECT(!memcmp(&d, &before, sizeof(d)), "half an answer");
		return 0;
	}
	expect_somebodys(&d);
	for (size_t i = 0; i < d.peer_count; i++)
		if (d.peers[i].has_endpoint)
			expect_again(&d.peers[i]);
	wireguard_device_free(&d);
	return 0;
}
