// SPDX-License-Identifier: GPL-2.0
/* The way past the tunnel: see route_exempt.h. Here are its numbers, and what comes before what. */
#include "route_exempt.h"

#include <stdio.h>
#include <string.h>

#include "addr.h"
#include "fault.h"
#include "route_parts.h"
#include "util.h"

enum {
	/* "tf", and fourteen bits. The third byte is none of those that Tailscale's 0xff0000 takes for
	 * its own (04, 08), and Kubernetes' 0x4000 and 0x8000 are left out. */
	MARK_BASE = 0x74660000,
	MARK_BITS = 0x3fff,
	/* "t", and twenty-four bits: far from the numbers that people give. */
	TABLE_BASE = 0x74000000,
	TABLE_BITS = 0xffffff,
};

__u32 route_exempt_mark(const char *fence)
{
	return MARK_BASE | (hash_name(fence) & MARK_BITS);
}

__u32 route_exempt_table(const char *fence)
{
	return TABLE_BASE | (hash_name(fence) & TABLE_BITS);
}

static int ignore(const struct nlmsghdr *message, void *data)
{
	(void)message, (void)data;
	return 0;
}

int route_change(struct nlmsghdr *request, struct route_told *told)
{
	int r = netlink_exchange(NETLINK_ROUTE, request, false, ignore, NULL, NULL);

	fault_step();
	if (!r)
		told->changed++;
	return r;
}

static int remove_all(__u32 table, struct route_told *told, struct err *e)
{
	int r = route_rules_remove(table, told, e);

	return r ? r : route_table_empty(table, told, e);
}

/* The table comes before the rules that lead to it, and goes after them. */
int route_exempt_make(const struct tf_policy *p, const struct links *links,
		      struct route_told *ret, struct err *e)
{
	const __u32 table = route_exempt_table(p->fence);
	struct route_told told = {};
	int r;

	if (p->exempt_count && p->exempt_mark) {
		r = route_table_fill(p, links, table, &told, e);
		if (!r)
			r = route_rules_set(p->exempt_mark, p->exempt_names, table, &told, e);
	} else {
		r = remove_all(table, &told, e);
	}
	if (!r)
		*ret = told;
	return r;
}

int route_exempt_remove(const char *fence, unsigned int *ret_removed, struct err *e)
{
	struct route_told told = {};
	int r = remove_all(route_exempt_table(fence), &told, e);

	if (!r)
		*ret_removed = told.changed;
	return r;
}

static __u32 read_filter(const char *device)
{
	_cleanup_fclose_ FILE *f = NULL;
	char path[128], text[16];
	__u32 value;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv4/conf/%s/rp_filter", device);
	f = fopen(path, "re");
	if (!f || !fgets(text, sizeof(text), f))
		return 0;
	text[strcspn(text, "\n")] = '\0';
	return parse_u32(text, 0, 2, &value) ? 0 : value;
}

/* The higher of the two counts: 0 is off, 1 strict, 2 loose. */
bool route_is_strict(const char *device)
{
	__u32 all = read_filter("all"), own = read_filter(device);

	return (all > own ? all : own) == 1;
}
