// SPDX-License-Identifier: GPL-2.0
/*
 * Interfaces and addresses: see link.h. Reads rtnetlink, never changes anything there.
 * What the kernel says is believed only if every length is what rtnetlink(7) says; one message that
 * is not makes the whole list an error, since a list with holes would leave an uplink unfenced.
 */
#include "link.h"

#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "netlink.h"
#include "route_parts.h"
#include "util.h"

void links_free(struct links *l)
{
	if (!l)
		return;

	free(l->links);
	free(l->addrs);
	*l = (struct links){ 0 };
}

/* Makes room for one more. Doubles at powers of two, so that n appends cost n. */
static int grow(void **list, size_t count, size_t size)
{
	void *more;

	if (count & (count - 1)) /* count 1, 2, 4, 8 ...: the room is used up */
		return 0;

	more = reallocarray(*list, count ? 2 * count : 1, size);
	if (!more)
		return -ENOMEM;

	*list = more;
	return 0;
}

static int add_link(struct links *l, const struct link *link)
{
	void *list = l->links;
	int r = grow(&list, l->count, sizeof(*link));

	if (r < 0)
		return r;

	l->links = list;
	l->links[l->count++] = *link;
	return 0;
}

static int add_addr(struct links *l, const struct link_addr *addr)
{
	void *list = l->addrs;
	int r = grow(&list, l->addr_count, sizeof(*addr));

	if (r < 0)
		return r;

	l->addrs = list;
	l->addrs[l->addr_count++] = *addr;
	return 0;
}

/* The kind inside IFLA_LINKINFO. Hardware has none. */
static int parse_kind(const struct nlattr *linkinfo, struct tf_name *ret)
{
	static const struct netlink_rule rules[] = {
		{ IFLA_INFO_KIND, 1, 256 },
	};
	const struct nlattr *found[ARRAY_SIZE(rules)];
	int r;

	r = netlink_nested(linkinfo, rules, ARRAY_SIZE(rules), found);
	if (r < 0 || !found[0])
		return r;

	return netlink_name(found[0], ret);
}

int link_parse(const struct nlmsghdr *message, struct links *l)
{
	enum { NAME, MASTER, INFO };
	static const struct netlink_rule rules[] = {
		[NAME] = { IFLA_IFNAME, 2, TF_NAME_LEN }, /* NUL included */
		[MASTER] = { IFLA_MASTER, sizeof(__u32), sizeof(__u32) },
		[INFO] = { IFLA_LINKINFO, 0, UINT16_MAX },
	};
	const struct nlattr *found[ARRAY_SIZE(rules)];
	const struct ifinfomsg *header = mnl_nlmsg_get_payload(message);
	struct link link;
	int r;

	if (message->nlmsg_type != RTM_NEWLINK)
		return -EPROTO;

	r = netlink_attributes(message, sizeof(*header), rules, ARRAY_SIZE(rules), found);
	if (r < 0)
		return r;
	if (!found[NAME] || header->ifi_index <= 0)
		return -EPROTO;

	link = (struct link){
		.ifindex = header->ifi_index,
		.type = header->ifi_type,
		.flags = header->ifi_flags,
		.master = found[MASTER] ? (int)mnl_attr_get_u32(found[MASTER]) : 0,
	};
	r = netlink_name(found[NAME], &link.name);
	if (!r && found[INFO])
		r = parse_kind(found[INFO], &link.kind);
	if (r < 0)
		return r;

	return add_link(l, &link);
}

int link_addr_parse(const struct nlmsghdr *message, struct links *l)
{
	enum { ADDRESS, LOCAL };
	static const struct netlink_rule rules[] = {
		[ADDRESS] = { IFA_ADDRESS, 4, 16 },
		[LOCAL] = { IFA_LOCAL, 4, 16 },
	};
	const struct nlattr *found[ARRAY_SIZE(rules)], *own;
	const struct ifaddrmsg *header = mnl_nlmsg_get_payload(message);
	struct link_addr addr = { 0 };
	size_t len;
	int r;

	if (message->nlmsg_type != RTM_NEWADDR ||
	    mnl_nlmsg_get_payload_len(message) < sizeof(*header))
		return -EPROTO;
	if (header->ifa_family != AF_INET && header->ifa_family != AF_INET6)
		return 0; /* not an IP address, or not one yet invented */

	r = netlink_attributes(message, sizeof(*header), rules, ARRAY_SIZE(rules), found);
	if (r < 0)
		return r;

	/* On a point-to-point link IFA_ADDRESS is the other end's. */
	own = found[LOCAL] ? found[LOCAL] : found[ADDRESS];
	len = header->ifa_family == AF_INET ? 4 : 16;
	if (!own || mnl_attr_get_payload_len(own) != len || header->ifa_index > INT32_MAX)
		return -EPROTO;

	addr.ifindex = (int)header->ifa_index;
	if (header->ifa_family == AF_INET)
		tf_addr_set_v4(&addr.addr, mnl_attr_get_payload(own));
	else
		memcpy(&addr.addr, mnl_attr_get_payload(own), len);
	return add_addr(l, &addr);
}

static int take_link(const struct nlmsghdr *message, void *data)
{
	return link_parse(message, data);
}

static int take_addr(const struct nlmsghdr *message, void *data)
{
	return link_addr_parse(message, data);
}

static void forget_links(void *data)
{
	struct links *l = data;

	l->count = 0;
	free(TAKE_PTR(l->links));
}

static void forget_addrs(void *data)
{
	struct links *l = data;

	l->addr_count = 0;
	free(TAKE_PTR(l->addrs));
}

static int dump_links(struct links *l)
{
	_Alignas(struct nlmsghdr) char buffer[128] = { 0 };
	struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);

	request->nlmsg_type = RTM_GETLINK;
	request->nlmsg_flags = NLM_F_DUMP;
	mnl_nlmsg_put_extra_header(request, sizeof(struct ifinfomsg));
	mnl_attr_put_u32(request, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS); /* shorter answers */
	return netlink_exchange(NETLINK_ROUTE, request, false, take_link, forget_links, l);
}

static int dump_addrs(struct links *l)
{
	_Alignas(struct nlmsghdr) char buffer[128] = { 0 };
	struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);

	request->nlmsg_type = RTM_GETADDR;
	request->nlmsg_flags = NLM_F_DUMP;
	mnl_nlmsg_put_extra_header(request, sizeof(struct ifaddrmsg));
	return netlink_exchange(NETLINK_ROUTE, request, false, take_addr, forget_addrs, l);
}

int links_read(struct links *ret, struct err *e)
{
	_cleanup_(links_free) struct links l = { 0 };
	int r;

	r = dump_links(&l);
	if (r < 0)
		return err_set(e, r, "cannot list the interfaces: %s; try again", strerror(-r));

	r = dump_addrs(&l);
	if (r < 0)
		return err_set(e, r, "cannot list the interfaces' addresses: %s; try again",
			       strerror(-r));

	*ret = l;
	l = (struct links){ 0 };
	return 0;
}

const struct link *links_find(const struct links *l, const char *name)
{
	for (size_t i = 0; i < l->count; i++)
		if (streq(l->links[i].name.text, name))
			return &l->links[i];
	return NULL;
}

const struct link *links_find_index(const struct links *l, int ifindex)
{
	for (size_t i = 0; i < l->count; i++)
		if (l->links[i].ifindex == ifindex)
			return &l->links[i];
	return NULL;
}

int link_listen(struct err *e)
{
	int fd = netlink_listen(NETLINK_ROUTE, RTMGRP_LINK | RTMGRP_TC | RTMGRP_IPV4_IFADDR |
						       RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE |
						       RTMGRP_IPV6_ROUTE | RTMGRP_IPV4_RULE |
						       1U << (RTNLGRP_IPV6_RULE - 1));

	if (fd < 0)
		return err_set(e, fd, "cannot listen for changes of the interfaces: %s; in a unit "
			       "allow AF_NETLINK in RestrictAddressFamilies=", strerror(-fd));
	return fd;
}

/* Ours are made by a pass that waits for no news of itself. The main table's number fits where it is
 * looked for here. */
static unsigned int route_news(const struct nlmsghdr *message)
{
	const struct rtmsg *route = mnl_nlmsg_get_payload(message);
	unsigned int news = 0;

	if (mnl_nlmsg_get_payload_len(message) < sizeof(*route))
		return LINK_NEWS_WAY | LINK_NEWS_ROUTES;
	if (message->nlmsg_type == RTM_NEWROUTE && !route->rtm_dst_len &&
	    route->rtm_protocol != ROUTE_PROTOCOL)
		news = LINK_NEWS_WAY;
	return route->rtm_table == RT_TABLE_MAIN ? news | LINK_NEWS_ROUTES : news;
}

static unsigned int rule_news(const struct nlmsghdr *message)
{
	static const struct netlink_rule rules[] = { { FRA_PROTOCOL, 1, 1 } };
	const struct nlattr *protocol;

	if (!netlink_attributes(message, sizeof(struct fib_rule_hdr), rules, 1, &protocol) &&
	    protocol && mnl_attr_get_u8(protocol) == ROUTE_PROTOCOL)
		return 0;
	return LINK_NEWS_ROUTES;
}

/* Of filters and qdiscs only the end counts: that one was made is what we do ourselves. Where a new
 * address or route leads does not matter to a hook. */
unsigned int link_news(const struct nlmsghdr *message)
{
	switch (message->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
	case RTM_DELQDISC:
	case RTM_DELTFILTER:
		return LINK_NEWS_HOOKS;
	case RTM_NEWADDR:
		return LINK_NEWS_WAY;
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
		return route_news(message);
	case RTM_NEWRULE:
	case RTM_DELRULE:
		return rule_news(message);
	default:
		return 0;
	}
}

static int add_news(const struct nlmsghdr *message, void *data)
{
	*(unsigned int *)data |= link_news(message);
	return 0;
}

int link_hear(int fd, unsigned int *ret_news, struct err *e)
{
	unsigned int news = 0;
	int r = netlink_hear(fd, add_news, &news);

	if (r == -ENOBUFS)
		news = LINK_NEWS_HOOKS | LINK_NEWS_WAY | LINK_NEWS_ROUTES;
	else if (r < 0)
		return err_set(e, r, "cannot hear of changes of the interfaces: %s", strerror(-r));
	*ret_news = news;
	return 0;
}
