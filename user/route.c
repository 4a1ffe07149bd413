// SPDX-License-Identifier: GPL-2.0
/* The route to one address: see route.h. */
#include "route.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include "addr.h"
#include "netlink.h"
#include "util.h"

static int read_route(const struct nlmsghdr *message, void *data)
{
	static const struct netlink_rule rules[] = { { RTA_OIF, 4, 4 } };
	const struct nlattr *found[ARRAY_SIZE(rules)];
	int r;

	if (message->nlmsg_type != RTM_NEWROUTE)
		return -EPROTO;
	r = netlink_attributes(message, sizeof(struct rtmsg), rules, ARRAY_SIZE(rules), found);
	if (!r && found[0])
		*(int *)data = (int)mnl_attr_get_u32(found[0]);
	return r;
}

static void forget_route(void *data)
{
	*(int *)data = 0;
}

int route_find(const struct tf_addr *dst, __u32 mark, int *ret_ifindex, struct err *e)
{
	char buffer[256] = {}, text[ADDR_TEXT_LEN];
	struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);
	struct rtmsg *route = mnl_nlmsg_put_extra_header(message, sizeof(*route));
	int ifindex = 0, r;

	message->nlmsg_type = RTM_GETROUTE;
	message->nlmsg_flags = NLM_F_REQUEST;
	if (tf_addr_is_v4(dst)) {
		route->rtm_family = AF_INET;
		route->rtm_dst_len = 32;
		mnl_attr_put(message, RTA_DST, 4, dst->byte + 12);
	} else {
		route->rtm_family = AF_INET6;
		route->rtm_dst_len = 128;
		mnl_attr_put(message, RTA_DST, 16, dst);
	}
	if (mark)
		mnl_attr_put_u32(message, RTA_MARK, mark);
	r = netlink_exchange(NETLINK_ROUTE, message, false, read_route, forget_route, &ifindex);
	if (!r && !ifindex)
		r = -ENETUNREACH;
	if (r)
		return err_set(e, r, "there is no route to %s now (%s); name a device with 'dev NAME'",
			       addr_format(dst, text), strerror(-r));
	*ret_ifindex = ifindex;
	return 0;
}
