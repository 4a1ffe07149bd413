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

/* For tests and fuzzing: one message of either dump, appended to the list it belongs to.
 * 0, -EPROTO or -ENOMEM; nothing is appended on failure. */
int link_parse(const struct nlmsghdr *message, struct links *l);
int link_addr_parse(const struct nlmsghdr *message, struct links *l);

#endif
