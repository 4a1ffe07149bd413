/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of route_exempt.h share. */
#ifndef TUNFENCE_ROUTE_PARTS_H
#define TUNFENCE_ROUTE_PARTS_H

#include "netlink.h"
#include "route_exempt.h"

/* In rtm_protocol of our routes and FRA_PROTOCOL of our rules: who made them. */
#define ROUTE_PROTOCOL 116

/* Room for a rule, or for anything of a route but its hops. */
#define ROUTE_ROOM 512

/* route_table.c: copies into the table what the main one has now, and removes what it has no more. */
int route_table_fill(const struct tf_policy *p, const struct links *links, __u32 table,
		     struct route_told *told, struct err *e);
int route_table_empty(__u32 table, struct route_told *told, struct err *e);

/* route_rule.c: leads what carries the mark to the table, in front of all other rules; names only
 * if said so. */
int route_rules_set(__u32 mark, bool names, __u32 table, struct route_told *told, struct err *e);
int route_rules_remove(__u32 table, struct route_told *told, struct err *e);

/* One request that changes something. */
int route_change(struct nlmsghdr *request, struct route_told *told);

#endif
