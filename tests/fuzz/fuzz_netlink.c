// SPDX-License-Identifier: GPL-2.0
/*
 * Netlink answers: a datagram, its messages, and every reader of them that takes what the kernel
 * says apart. Nothing is added by a message that is refused; names end; numbers are what they may
 * be. The first byte says who reads, the rest is the datagram.
 *
 * Coverage is counted of: user/netlink.c user/link.c user/wireguard.c
 */
#include <string.h>

#include "fuzz/fuzz.h"
#include "link.h"
#include "netlink.h"
#include "util.h"
#include "wireguard.h"

enum {
	SEQUENCE = 1,
	PORT = 2
}; /* small, and so easily hit */

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	return 0;
}

static void expect_name(const struct tf_name *name, bool may_be_empty)
{
	size_t length = strnlen(name->text, TF_NAME_LEN);

	FUZZ_EXPECT(length < TF_NAME_LEN && (length || may_be_empty), "a name without an end");
	for (size_t i = length; i < TF_NAME_LEN; i++)
		FUZZ_EXPECT(!name->text[i], "bytes behind a name");
}

static int read_link(const struct nlmsghdr *message, void *data)
{
	struct links *l = data;
	size_t before = l->count;
	int r = link_parse(message, l);

	FUZZ_EXPECT(l->count == before + (r == 0) && r <= 0, "%d added %zu", r, l->count - before);
	if (!r) {
		FUZZ_EXPECT(l->links[before].ifindex > 0, "index %d", l->links[before].ifindex);
		expect_name(&l->links[before].name, false);
		expect_name(&l->links[before].kind, true);
		FUZZ_EXPECT(links_find(l, l->links[before].name.text) &&
				    links_find_index(l, l->links[before].ifindex),
			    "added, but not there");
	}
	return r;
}

static int read_addr(const struct nlmsghdr *message, void *data)
{
	struct links *l = data;
	size_t before = l->addr_count;
	int r = link_addr_parse(message, l);

	FUZZ_EXPECT(l->addr_count <= before + (r == 0) && l->addr_count >= before && r <= 0,
		    "%d added %zu", r, l->addr_count - before);
	if (l->addr_count > before)
		FUZZ_EXPECT(l->addrs[before].ifindex >= 0, "index %d", l->addrs[before].ifindex);
	return r;
}

static int read_news(const struct nlmsghdr *message, void *data)
{
	unsigned int news = link_news(message);

	(void)data;
	FUZZ_EXPECT(!(news & ~(unsigned int)(LINK_NEWS_HOOKS | LINK_NEWS_WAY | LINK_NEWS_ROUTES)),
		    "%#x", news);
	return 0;
}

static int read_device(const struct nlmsghdr *message, void *data)
{
	struct wireguard_device *d = data;
	int r = wireguard_parse_netlink(message, d);

	FUZZ_EXPECT(d->peer_count || (!d->endpoint_count && !d->last_handshake),
		    "an endpoint or a handshake of nobody");
	for (size_t i = 0; i < d->endpoint_count; i++)
		FUZZ_EXPECT(d->endpoints[i].port, "an endpoint that nothing can be sent to");
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(wireguard_device_free) struct wireguard_device device = {0};
	_cleanup_(links_free) struct links links = {0};
	/* Aligned, as the buffers are that the kernel fills, and of exactly this size. */
	_cleanup_free_ void *datagram = size > 1 ? malloc(size - 1) : NULL;

	if (!datagram)
		return 0;
	memcpy(datagram, data + 1, size - 1);
	switch (data[0] % 5) {
	case 0:
		netlink_walk(datagram, size - 1, SEQUENCE, PORT, read_link, &links);
		break;
	case 1:
		netlink_walk(datagram, size - 1, SEQUENCE, PORT, read_addr, &links);
		break;
	case 2:
		netlink_walk(datagram, size - 1, SEQUENCE, PORT, read_device, &device);
		break;
	case 3: /* heard, not asked for */
		netlink_messages(datagram, size - 1, read_news, NULL);
		break;
	default: /* several, as one that lists all would */
		netlink_messages(datagram, size - 1, read_link, &links);
		netlink_messages(datagram, size - 1, read_addr, &links);
		break;
	}
	return 0;
}
