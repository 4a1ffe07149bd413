// SPDX-License-Identifier: GPL-2.0
/*
 * The rules that lead a fence's exempt programs to their routing table: see route_exempt.h. In each
 * family, in front of every other rule but the local table's:
 *
 *   FIRST      fwmark MARK dport 53 goto FIRST+2   and so on for each port of name servers
 *   FIRST + 1  fwmark MARK lookup TABLE
 *   FIRST + 2  nop
 *
 * All carry our protocol number and the table's, those too that look nothing up: so they are known.
 * Who adds a rule without a priority, as wg-quick does, comes in front of us; so they are moved.
 */
#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include "route_parts.h"
#include "util.h"

enum {
	STEPS = 3,       /* priorities that we take */
	BY_MAIN = 32766, /* where the kernel itself has the main table */
};

static const __u16 name_ports[] = {
#define X(NAME, port) port,
	TF_NAME_PORT_LIST(X)
#undef X
};

#define MAX_RULES (ARRAY_SIZE(name_ports) + 2)

/* What one of ours says. */
struct rule {
	__u32 priority;
	__u32 mark;   /* 0: none */
	__u32 target; /* of a goto */
	__u16 port;   /* destination; 0: any */
	__u8 action;  /* FR_ACT_* */
};

/* One that is there. */
struct found {
	struct rule rule;
	bool odd;  /* it says more, or other things, than ours do */
	bool kept;
	struct nlmsghdr *message;
};

struct reading {
	__u32 table;
	__u32 lowest; /* priority of other people's rules */
	struct found *own;
	size_t count;
};

static void reading_free(struct reading *r)
{
	size_t i;

	for (i = 0; i < r->count; i++)
		free(r->own[i].message);
	free(r->own);
	r->own = NULL;
	r->count = 0;
}
#define _cleanup_reading_ _cleanup_(reading_free)

static void forget(void *data)
{
	struct reading *r = data;

	reading_free(r);
	r->lowest = BY_MAIN;
}

/* ---- what there is ---- */

enum attribute {
	A_TABLE,
	A_PROTOCOL,
	A_PRIORITY,
	A_MARK,
	A_MASK,
	A_TARGET,
	A_DPORT,
	A_COUNT,
};

static const struct netlink_rule attributes[A_COUNT] = {
	[A_TABLE] = { FRA_TABLE, 4, 4 },
	[A_PROTOCOL] = { FRA_PROTOCOL, 1, 1 },
	[A_PRIORITY] = { FRA_PRIORITY, 4, 4 },
	[A_MARK] = { FRA_FWMARK, 4, 4 },
	[A_MASK] = { FRA_FWMASK, 4, 4 },
	[A_TARGET] = { FRA_GOTO, 4, 4 },
	[A_DPORT] = { FRA_DPORT_RANGE, sizeof(struct fib_rule_port_range),
		      sizeof(struct fib_rule_port_range) },
};

static __u32 number(const struct nlattr *attribute)
{
	return attribute ? mnl_attr_get_u32(attribute) : 0;
}

static int keep(struct reading *r, const struct nlmsghdr *message,
		const struct nlattr *const *found)
{
	const struct fib_rule_hdr *header = mnl_nlmsg_get_payload(message);
	struct found *more = reallocarray(r->own, r->count + 1, sizeof(*more));
	struct found own = {
		.rule = { .priority = number(found[A_PRIORITY]), .mark = number(found[A_MARK]),
			  .target = number(found[A_TARGET]), .action = header->action },
		.odd = header->dst_len || header->src_len || header->flags & FIB_RULE_INVERT ||
		       (found[A_MARK] && number(found[A_MASK]) != UINT32_MAX),
	};
	struct fib_rule_port_range ports;

	if (!more)
		return -ENOMEM;
	r->own = more;
	if (found[A_DPORT]) {
		memcpy(&ports, mnl_attr_get_payload(found[A_DPORT]), sizeof(ports));
		own.rule.port = ports.start;
		own.odd = own.odd || ports.start != ports.end;
	}
	own.message = malloc(message->nlmsg_len);
	if (!own.message)
		return -ENOMEM;
	memcpy(own.message, message, message->nlmsg_len);
	r->own[r->count++] = own;
	return 0;
}

/* Those of our other fences are in nobody's way. */
static int take_rule(const struct nlmsghdr *message, void *data)
{
	const struct nlattr *found[A_COUNT];
	struct reading *r = data;
	__u32 priority;
	int error;

	if (message->nlmsg_type != RTM_NEWRULE)
		return -EPROTO;
	error = netlink_attributes(message, sizeof(struct fib_rule_hdr), attributes, A_COUNT, found);
	if (error)
		return error;
	priority = number(found[A_PRIORITY]);
	if (found[A_PROTOCOL] && mnl_attr_get_u8(found[A_PROTOCOL]) == ROUTE_PROTOCOL)
		return number(found[A_TABLE]) == r->table ? keep(r, message, found) : 0;
	if (priority && priority < r->lowest)
		r->lowest = priority;
	return 0;
}

/* -EAFNOSUPPORT: this kernel has no rules for the family. */
static int read_rules(struct reading *r, unsigned char family)
{
	_Alignas(struct nlmsghdr) char buffer[128] = {};
	struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
	struct fib_rule_hdr *header = mnl_nlmsg_put_extra_header(request, sizeof(*header));

	request->nlmsg_type = RTM_GETRULE;
	request->nlmsg_flags = NLM_F_DUMP;
	header->family = family;
	return netlink_exchange(NETLINK_ROUTE, request, false, take_rule, forget, r);
}

/* ---- what there should be ---- */

/* In the order in which they come: as long as names are not spared, nothing is led away. */
static size_t want(__u32 first, __u32 mark, bool names, struct rule ret[MAX_RULES])
{
	size_t i, count = 0;

	ret[count++] = (struct rule){ .priority = first + 2, .action = FR_ACT_NOP };
	for (i = 0; !names && i < ARRAY_SIZE(name_ports); i++)
		ret[count++] = (struct rule){ .priority = first, .mark = mark, .port = name_ports[i],
					      .target = first + 2, .action = FR_ACT_GOTO };
	ret[count++] = (struct rule){ .priority = first + 1, .mark = mark,
				      .action = FR_ACT_TO_TBL };
	return count;
}

static bool is_same(const struct found *own, const struct rule *wanted)
{
	const struct rule *rule = &own->rule;

	return !own->odd && rule->priority == wanted->priority && rule->mark == wanted->mark &&
	       rule->target == wanted->target && rule->port == wanted->port &&
	       rule->action == wanted->action;
}

static bool find(struct reading *r, const struct rule *wanted)
{
	size_t i;

	for (i = 0; i < r->count; i++) {
		if (!r->own[i].kept && is_same(&r->own[i], wanted)) {
			r->own[i].kept = true;
			return true;
		}
	}
	return false;
}

/* ---- making it so ---- */

static int add_rule(const struct rule *rule, unsigned char family, __u32 table,
		    struct route_told *told)
{
	const struct fib_rule_port_range ports = { .start = rule->port, .end = rule->port };
	_Alignas(struct nlmsghdr) char buffer[ROUTE_ROOM] = {};
	struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
	struct fib_rule_hdr *header = mnl_nlmsg_put_extra_header(request, sizeof(*header));
	int r;

	request->nlmsg_type = RTM_NEWRULE;
	request->nlmsg_flags = NLM_F_CREATE | NLM_F_EXCL;
	header->family = family;
	header->action = rule->action;
	mnl_attr_put_u32(request, FRA_PRIORITY, rule->priority);
	mnl_attr_put_u32(request, FRA_TABLE, table);
	mnl_attr_put_u8(request, FRA_PROTOCOL, ROUTE_PROTOCOL);
	if (rule->mark) {
		mnl_attr_put_u32(request, FRA_FWMARK, rule->mark);
		mnl_attr_put_u32(request, FRA_FWMASK, UINT32_MAX);
	}
	if (rule->target)
		mnl_attr_put_u32(request, FRA_GOTO, rule->target);
	if (rule->port)
		mnl_attr_put(request, FRA_DPORT_RANGE, sizeof(ports), &ports);
	r = route_change(request, told);
	return r == -EEXIST ? 0 : r;
}

/* As it was told, but for the verb: so iproute2's flush does it. */
static int remove_rule(struct found *own, struct route_told *told)
{
	int r;

	own->message->nlmsg_type = RTM_DELRULE;
	own->message->nlmsg_flags = 0;
	r = route_change(own->message, told);
	return r == -ENOENT ? 0 : r;
}

/* What leads away goes first, and what spares names from it last. */
static int remove_rest(struct reading *r, struct route_told *told)
{
	size_t i;
	int pass, error = 0;

	for (pass = 0; !error && pass < 2; pass++) {
		for (i = 0; !error && i < r->count; i++) {
			const bool leads = r->own[i].rule.action == FR_ACT_TO_TBL;

			if (!r->own[i].kept && leads == (pass == 0))
				error = remove_rule(&r->own[i], told);
		}
	}
	return error;
}

static int failed(int r, unsigned char family, struct err *e)
{
	return err_set(e, r,
		       "the routing rules of exempt programs (%s) cannot be changed: %s; as long as "
		       "there are none, those programs use the tunnel",
		       family == AF_INET ? "IPv4" : "IPv6", strerror(-r));
}

/* mark 0: there shall be none. */
static int settle(unsigned char family, __u32 mark, bool names, __u32 table,
		  struct route_told *told, struct err *e)
{
	_cleanup_reading_ struct reading r = { .table = table, .lowest = BY_MAIN };
	struct rule wanted[MAX_RULES];
	size_t i, count = 0;
	int error = read_rules(&r, family);

	if (error == -EAFNOSUPPORT || error == -EOPNOTSUPP)
		return mark && family == AF_INET ? failed(error, family, e) : 0;
	if (mark) {
		told->behind = told->behind || r.lowest <= STEPS;
		count = want(r.lowest > STEPS ? r.lowest - STEPS : 1, mark, names, wanted);
	}
	for (i = 0; !error && i < count; i++) {
		if (!find(&r, &wanted[i]))
			error = add_rule(&wanted[i], family, table, told);
	}
	if (!error)
		error = remove_rest(&r, told);
	return error ? failed(error, family, e) : 0;
}

static int settle_both(__u32 mark, bool names, __u32 table, struct route_told *told, struct err *e)
{
	int r = settle(AF_INET, mark, names, table, told, e);

	return r ? r : settle(AF_INET6, mark, names, table, told, e);
}

int route_rules_set(__u32 mark, bool names, __u32 table, struct route_told *told, struct err *e)
{
	return settle_both(mark, names, table, told, e);
}

int route_rules_remove(__u32 table, struct route_told *told, struct err *e)
{
	return settle_both(0, false, table, told, e);
}
