// SPDX-License-Identifier: GPL-2.0
/*
 * The routing table of a fence's exempt programs: see route_exempt.h. It has what the main table
 * has, as long as that does not lead into a tunnel of the fence. A route is copied as the kernel
 * tells it, and known again by the same bytes. What cannot be copied, or be believed to lead past
 * the tunnels, is left out.
 */
#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "addr.h"
#include "route_parts.h"
#include "util.h"

/* A route as a request tells it, without the netlink header. */
struct route {
	size_t length;
	size_t compared; /* by so much of it routes are told apart */
	bool by_gateway; /* the way to its gateway must be there first */
	bool kept;       /* of those in our table: still wanted */
	unsigned char *body;
};

struct routes {
	struct route *list;
	size_t count;
};

/* One dump has every table. */
struct reading {
	const struct tf_policy *policy;
	const struct links *links; /* NULL: the main table is not looked at */
	__u32 table;               /* our own */
	struct routes wanted, own;
	struct route_told told;
};

/* ---- lists ---- */

static void routes_free(struct routes *r)
{
	size_t i;

	for (i = 0; i < r->count; i++)
		free(r->list[i].body);
	free(r->list);
	*r = (struct routes){};
}

static void reading_free(struct reading *r)
{
	routes_free(&r->wanted);
	routes_free(&r->own);
}
#define _cleanup_reading_ _cleanup_(reading_free)

static void forget(void *data)
{
	struct reading *r = data;

	reading_free(r);
	r->told = (struct route_told){};
}

static int compare(const void *a, const void *b)
{
	const struct route *x = a, *y = b;

	if (x->compared != y->compared)
		return x->compared < y->compared ? -1 : 1;
	return memcmp(x->body, y->body, x->compared);
}

static int add_route(struct routes *to, const struct nlmsghdr *message, size_t compared,
		     bool by_gateway)
{
	struct route *more = reallocarray(to->list, to->count + 1, sizeof(*more));
	struct route route = { .length = mnl_nlmsg_get_payload_len(message),
			       .by_gateway = by_gateway };

	if (!more)
		return -ENOMEM;
	to->list = more;
	route.compared = compared ? compared : route.length;
	route.body = malloc(route.length);
	if (!route.body)
		return -ENOMEM;
	memcpy(route.body, mnl_nlmsg_get_payload(message), route.length);
	more[to->count++] = route;
	return 0;
}

/* ---- what the kernel tells ---- */

enum attribute {
	A_TABLE,
	A_DST,
	A_SRC,
	A_PRIORITY,
	A_PREFSRC,
	A_FLOW,
	A_METRICS,
	A_GATEWAY,
	A_VIA,
	A_OIF,
	A_MULTIPATH,
	A_ENCAP,
	A_COUNT,
};

/* The rest is for display, or for the kernel to say: age, preference, offload, nexthop objects,
 * whose devices and gateways are told as well. */
static const struct netlink_rule rules[A_COUNT] = {
	[A_TABLE] = { RTA_TABLE, 4, 4 },
	[A_DST] = { RTA_DST, 4, 16 },
	[A_SRC] = { RTA_SRC, 4, 16 },
	[A_PRIORITY] = { RTA_PRIORITY, 4, 4 },
	[A_PREFSRC] = { RTA_PREFSRC, 4, 16 },
	[A_FLOW] = { RTA_FLOW, 4, 4 },
	[A_METRICS] = { RTA_METRICS, 0, ROUTE_ROOM },
	[A_GATEWAY] = { RTA_GATEWAY, 4, 16 },
	[A_VIA] = { RTA_VIA, sizeof(struct rtvia), 32 },
	[A_OIF] = { RTA_OIF, 4, 4 },
	[A_MULTIPATH] = { RTA_MULTIPATH, sizeof(struct rtnexthop), UINT16_MAX },
	[A_ENCAP] = { RTA_ENCAP, 0, UINT16_MAX },
};

/* A route's message, as far as it was understood. */
struct told_route {
	const struct rtmsg *header;
	const struct nlattr *found[A_COUNT];
};

static const char *describe(const struct told_route *route, char text[ADDR_TEXT_LEN + 8])
{
	const struct nlattr *dst = route->found[A_DST];
	const bool v4 = route->header->rtm_family == AF_INET;
	char address[ADDR_TEXT_LEN];
	struct tf_addr addr = {};

	if (!dst || mnl_attr_get_payload_len(dst) != (v4 ? 4 : 16))
		return v4 ? "default" : "default of IPv6";
	if (v4)
		tf_addr_set_v4(&addr, mnl_attr_get_payload(dst));
	else
		memcpy(&addr, mnl_attr_get_payload(dst), sizeof(addr));
	snprintf(text, ADDR_TEXT_LEN + 8, "%s/%u", addr_format(&addr, address),
		 route->header->rtm_dst_len);
	return text;
}

static void refuse(struct reading *r, const struct told_route *route, const char *why)
{
	char text[ADDR_TEXT_LEN + 8];

	if (r->told.refused++ == 0)
		snprintf(r->told.why, sizeof(r->told.why), "'%s' %s", describe(route, text), why);
}

/* By name alone, and so is a device that is not known yet: the stricter. */
static bool is_tunnel(const struct reading *r, int ifindex)
{
	const struct link *link = links_find_index(r->links, ifindex);
	__u32 i;

	for (i = 0; link && i < TF_MAX_TUNNELS && i < r->policy->tunnel_count; i++) {
		if (tf_name_equal(&r->policy->tunnels[i].name, &link->name))
			return true;
	}
	return !link;
}

/* ---- hops ---- */

/* Hops and attributes begin at multiples of four bytes. */
static size_t padded(size_t length)
{
	return (length + 3) & ~(size_t)3;
}

/* One of several ways of a route. */
struct hop {
	const struct rtnexthop *header;
	const struct nlattr *gateway, *via, *encap;
};

/* The hop at *at, which is moved behind it. False: there is none, or none that makes sense. */
static bool next_hop(const struct nlattr *multipath, size_t *at, struct hop *ret)
{
	const size_t length = mnl_attr_get_payload_len(multipath);
	const char *payload = mnl_attr_get_payload(multipath);
	const struct rtnexthop *header = (const void *)(payload + *at);
	const struct nlattr *attribute;
	size_t place;

	if (*at > length || length - *at < sizeof(*header) ||
	    header->rtnh_len < sizeof(*header) || header->rtnh_len > length - *at)
		return false;
	*ret = (struct hop){ .header = header };
	for (place = *at + sizeof(*header); place < *at + header->rtnh_len;
	     place += padded(attribute->nla_len)) {
		attribute = (const void *)(payload + place);
		if (!mnl_attr_ok(attribute, (int)(*at + header->rtnh_len - place)))
			return false;
		if (mnl_attr_get_type(attribute) == RTA_GATEWAY)
			ret->gateway = attribute;
		else if (mnl_attr_get_type(attribute) == RTA_VIA)
			ret->via = attribute;
		else if (mnl_attr_get_type(attribute) == RTA_ENCAP)
			ret->encap = attribute;
	}
	*at += padded(header->rtnh_len);
	return true;
}

/* Why it cannot be copied; NULL: it can. */
static const char *doubt_hops(const struct reading *r, const struct nlattr *multipath)
{
	size_t at = 0, length = mnl_attr_get_payload_len(multipath);
	struct hop hop;

	while (at < length) {
		if (!next_hop(multipath, &at, &hop))
			return "is not told in a way that is known here";
		if (is_tunnel(r, hop.header->rtnh_ifindex))
			return "leads by a tunnel of the fence, too";
		if (hop.encap)
			return "wraps what it leads";
	}
	return NULL;
}

/* ---- one message to our own words for it ---- */

static struct nlmsghdr *begin(const struct told_route *route, __u32 table, void *buffer)
{
	struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);
	struct rtmsg *header = mnl_nlmsg_put_extra_header(message, sizeof(*header));

	*header = (struct rtmsg){
		.rtm_family = route->header->rtm_family,
		.rtm_dst_len = route->header->rtm_dst_len,
		.rtm_src_len = route->header->rtm_src_len,
		.rtm_tos = route->header->rtm_tos,
		.rtm_protocol = ROUTE_PROTOCOL,
		.rtm_scope = route->header->rtm_scope,
		.rtm_type = route->header->rtm_type,
		.rtm_flags = route->header->rtm_flags & RTNH_F_ONLINK,
	};
	mnl_attr_put_u32(message, RTA_TABLE, table);
	return message;
}

static void put(struct nlmsghdr *message, const struct nlattr *attribute)
{
	if (attribute)
		mnl_attr_put(message, mnl_attr_get_type(attribute),
			     mnl_attr_get_payload_len(attribute), mnl_attr_get_payload(attribute));
}

static void put_all(struct nlmsghdr *message, const struct told_route *route, enum attribute from,
		    enum attribute to)
{
	enum attribute i;

	for (i = from; i <= to; i++)
		put(message, route->found[i]);
}

/* Of the flags of a hop, one is a wish; the others tell how it stands now. */
static void put_hops(struct nlmsghdr *message, const struct nlattr *multipath)
{
	struct nlattr *copy = mnl_nlmsg_get_payload_tail(message);
	size_t at = 0, length = mnl_attr_get_payload_len(multipath);

	put(message, multipath);
	while (at < length) {
		struct rtnexthop *hop = (void *)((char *)mnl_attr_get_payload(copy) + at);

		hop->rtnh_flags &= RTNH_F_ONLINK;
		at += padded(hop->rtnh_len);
	}
}

static int take_v4(const struct told_route *route, __u32 table, void *buffer, struct routes *to)
{
	struct nlmsghdr *message = begin(route, table, buffer);
	const bool several = route->found[A_MULTIPATH];

	put_all(message, route, A_DST, A_METRICS);
	if (several)
		put_hops(message, route->found[A_MULTIPATH]);
	else
		put_all(message, route, A_GATEWAY, A_OIF);
	return add_route(to, message, 0,
			 several || route->found[A_GATEWAY] || route->found[A_VIA]);
}

/* The kernel joins IPv6 routes of one destination and metric that it was given one by one, and of
 * what they are like it then tells the first one's. So each way is a route, and is told apart by
 * where it leads alone. */
static int take_v6(const struct told_route *route, const struct hop *hop, __u32 table, void *buffer,
		   struct routes *to)
{
	struct nlmsghdr *message = begin(route, table, buffer);
	const struct nlattr *gateway = hop ? hop->gateway : route->found[A_GATEWAY];
	size_t compared;

	put_all(message, route, A_DST, A_PREFSRC);
	put(message, gateway);
	if (hop)
		mnl_attr_put_u32(message, RTA_OIF, (__u32)hop->header->rtnh_ifindex);
	else
		put(message, route->found[A_OIF]);
	compared = mnl_nlmsg_get_payload_len(message);
	put(message, route->found[A_METRICS]);
	return add_route(to, message, compared, gateway);
}

static int take_hops(const struct told_route *route, __u32 table, void *buffer, struct routes *to)
{
	const struct nlattr *multipath = route->found[A_MULTIPATH];
	size_t at = 0, length = mnl_attr_get_payload_len(multipath);
	struct hop hop;
	int r = 0;

	while (!r && at < length) {
		if (!next_hop(multipath, &at, &hop))
			return -EPROTO;
		r = take_v6(route, &hop, table, buffer, to);
	}
	return r;
}

static int take(const struct nlmsghdr *message, const struct told_route *route, __u32 table,
		struct routes *to)
{
	/* Nothing gets longer, but for the table's number, which may not have been told. */
	_cleanup_free_ void *buffer = calloc(1, message->nlmsg_len + 64);

	if (!buffer)
		return -ENOMEM;
	if (route->header->rtm_family == AF_INET)
		return take_v4(route, table, buffer, to);
	if (route->found[A_MULTIPATH])
		return take_hops(route, table, buffer, to);
	return take_v6(route, NULL, table, buffer, to);
}

/* ---- which ---- */

static bool is_of_use(const struct rtmsg *header)
{
	if (header->rtm_flags & (RTM_F_CLONED | RTNH_F_DEAD))
		return false;
	switch (header->rtm_type) {
	case RTN_UNICAST:
	case RTN_BLACKHOLE:
	case RTN_UNREACHABLE:
	case RTN_PROHIBIT:
	case RTN_THROW:
		return true;
	default:
		return false;
	}
}

static int take_wanted(struct reading *r, const struct nlmsghdr *message,
		       const struct told_route *route)
{
	const struct nlattr *const *found = route->found;
	const char *doubt = NULL;

	if (!is_of_use(route->header) ||
	    (found[A_OIF] && is_tunnel(r, (int)mnl_attr_get_u32(found[A_OIF]))))
		return 0;
	if (found[A_ENCAP])
		doubt = "wraps what it leads";
	else if (found[A_MULTIPATH])
		doubt = doubt_hops(r, found[A_MULTIPATH]);
	else if (!found[A_OIF] && route->header->rtm_type == RTN_UNICAST)
		doubt = "is by a nexthop object that is not told; set net.ipv4.nexthop_compat_mode=1";
	if (doubt) {
		refuse(r, route, doubt);
		return 0;
	}
	return take(message, route, r->table, &r->wanted);
}

static int take_route(const struct nlmsghdr *message, void *data)
{
	struct reading *r = data;
	struct told_route route = { .header = mnl_nlmsg_get_payload(message) };
	__u32 table;
	int error;

	if (message->nlmsg_type != RTM_NEWROUTE)
		return -EPROTO;
	error = netlink_attributes(message, sizeof(*route.header), rules, A_COUNT, route.found);
	if (error)
		return error;
	if (route.header->rtm_family != AF_INET && route.header->rtm_family != AF_INET6)
		return 0;
	table = route.found[A_TABLE] ? mnl_attr_get_u32(route.found[A_TABLE]) :
				       route.header->rtm_table;
	if (table == RT_TABLE_MAIN && r->links)
		return take_wanted(r, message, &route);
	if (table == r->table && route.header->rtm_protocol == ROUTE_PROTOCOL &&
	    !(route.header->rtm_flags & RTM_F_CLONED))
		return take(message, &route, table, &r->own);
	return 0;
}

/* A family that this kernel does not have, has no routes. */
static int read_routes(struct reading *r, unsigned char family, struct err *e)
{
	_Alignas(struct nlmsghdr) char buffer[128] = {};
	struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
	struct rtmsg *header = mnl_nlmsg_put_extra_header(request, sizeof(*header));
	int error;

	request->nlmsg_type = RTM_GETROUTE;
	request->nlmsg_flags = NLM_F_DUMP;
	header->rtm_family = family;
	error = netlink_exchange(NETLINK_ROUTE, request, false, take_route, forget, r);
	if (error == -EAFNOSUPPORT || error == -EOPNOTSUPP)
		return 0;
	return error ? err_set(e, error, "cannot list the routes: %s; try again", strerror(-error)) :
		       0;
}

/* ---- making it so ---- */

static int send_route(const struct route *route, __u16 type, __u16 flags, size_t length,
		      struct route_told *told)
{
	_cleanup_free_ char *buffer = calloc(1, sizeof(struct nlmsghdr) + route->length);
	struct nlmsghdr *request;

	if (!buffer)
		return -ENOMEM;
	request = mnl_nlmsg_put_header(buffer);
	request->nlmsg_type = type;
	request->nlmsg_flags = flags;
	memcpy(mnl_nlmsg_put_extra_header(request, length), route->body, length);
	return route_change(request, told);
}

/* What no other route would be spared of. */
static bool is_general(int r)
{
	return r == -EPERM || r == -ENOMEM || r == -ENOBUFS || r == -ETIMEDOUT;
}

/* A body of ours begins with the table, and then its destination if it has one. */
static struct told_route told_by(const struct route *route)
{
	const size_t place = sizeof(struct rtmsg) + sizeof(struct nlattr) + sizeof(__u32);
	const struct nlattr *second = (const void *)(route->body + place);
	struct told_route told = { .header = (const void *)route->body };

	if (route->length > place && mnl_attr_get_type(second) == RTA_DST)
		told.found[A_DST] = second;
	return told;
}

static int add_one(struct reading *r, const struct route *route, struct err *e)
{
	struct told_route told = told_by(route);
	int error = send_route(route, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_APPEND, route->length,
			       &r->told);

	if (!error || error == -EEXIST)
		return 0;
	if (is_general(error))
		return err_set(e, error, "cannot add a route to table %u: %s", r->table,
			       strerror(-error));
	/* Its device may just have gone down; then the main table has it no more either. */
	refuse(r, &told, strerror(-error));
	return 0;
}

static int add_missing(struct reading *r, bool by_gateway, struct err *e)
{
	size_t i;
	int error = 0;

	for (i = 0; !error && i < r->wanted.count; i++) {
		const struct route *wanted = &r->wanted.list[i];
		struct route *own = r->own.count ? bsearch(wanted, r->own.list, r->own.count,
							   sizeof(*own), compare) :
						   NULL;

		if (own)
			own->kept = true;
		else if (wanted->by_gateway == by_gateway)
			error = add_one(r, wanted, e);
	}
	return error;
}

static int remove_rest(struct reading *r, struct err *e)
{
	size_t i;

	for (i = 0; i < r->own.count; i++) {
		const struct route *own = &r->own.list[i];
		int error = own->kept ? 0 : send_route(own, RTM_DELROUTE, 0, own->compared, &r->told);

		if (error && error != -ESRCH && error != -ENOENT && error != -ENODEV)
			return err_set(e, error, "cannot remove a route from table %u: %s", r->table,
				       strerror(-error));
	}
	return 0;
}

static int settle(struct reading *r, unsigned char family, struct err *e)
{
	int error = read_routes(r, family, e);

	if (error)
		return error;
	if (r->own.count)
		qsort(r->own.list, r->own.count, sizeof(*r->own.list), compare);
	error = add_missing(r, false, e);
	if (!error)
		error = add_missing(r, true, e);
	return error ? error : remove_rest(r, e);
}

static int settle_both(const struct tf_policy *p, const struct links *links, __u32 table,
		       struct route_told *told, struct err *e)
{
	static const unsigned char families[] = { AF_INET, AF_INET6 };
	size_t i;
	int r = 0;

	for (i = 0; !r && i < ARRAY_SIZE(families); i++) {
		_cleanup_reading_ struct reading reading = {
			.policy = p, .links = links, .table = table
		};

		r = settle(&reading, families[i], e);
		told->changed += reading.told.changed;
		if (reading.told.refused && !told->refused)
			memcpy(told->why, reading.told.why, sizeof(told->why));
		told->refused += reading.told.refused;
	}
	return r;
}

int route_table_fill(const struct tf_policy *p, const struct links *links, __u32 table,
		     struct route_told *told, struct err *e)
{
	return settle_both(p, links, table, told, e);
}

int route_table_empty(__u32 table, struct route_told *told, struct err *e)
{
	return settle_both(NULL, NULL, table, told, e);
}
