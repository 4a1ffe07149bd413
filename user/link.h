/* SPDX-License-Identifier: GPL-2.0 */
/* The interfaces of the current network namespace and their addresses, by rtnetlink. */
#ifndef TUNFENCE_LINK_H
#define TUNFENCE_LINK_H

#include <linux/netlink.h>
#include <stdbool.h>
#include <stddef.h>

#include <tunfence/types.h>

#include "err.h"

struct link {
	int ifindex;
	struct tf_name name;
	struct tf_name kind;  /* IFLA_INFO_KIND; empty for hardware */
	unsigned short type;  /* ARPHRD_* */
	unsigned int flags;   /* IFF_* */
	int master;           /* ifindex of its bridge, bond or VRF; 0: none */
};

struct link_addr {
	int ifindex;
	struct tf_addr addr;
};

struct links {
	struct link *links;
	size_t count;
	struct link_addr *addrs;
	size_t addr_count;
};

void links_free(struct links *l); /* what it points to, not l itself */

/* Both lists, each from one uninterrupted dump. */
int links_read(struct links *ret, struct err *e);

const struct link *links_find(const struct links *l, const char *name);
const struct link *links_find_index(const struct links *l, int ifindex);

/* What may have changed, as bits. */
enum link_news {
	LINK_NEWS_HOOKS = 1, /* a device, or what hangs on it */
	LINK_NEWS_WAY = 2,   /* an address or a default route came: names may resolve now */
	LINK_NEWS_ROUTES = 4, /* a route of the main table or a rule, but for those of ours */
};

/* A descriptor that can be read when there is news; -errno. */
int link_listen(struct err *e);

/* Takes all the news there is. What was missed counts as everything. */
int link_hear(int fd, unsigned int *ret_news, struct err *e);

/* For tests and fuzzing: the news in one message. */
unsigned int link_news(const struct nlmsghdr *message);

/* For tests and fuzzing: one message of either dump, appended to the list it belongs to.
 * 0, -EPROTO or -ENOMEM; nothing is appended on failure. */
int link_parse(const struct nlmsghdr *message, struct links *l);
int link_addr_parse(const struct nlmsghdr *message, struct links *l);

#endif
