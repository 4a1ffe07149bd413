// SPDX-License-Identifier: GPL-2.0
/*
 * The netlink transport and the reading of interfaces and addresses: messages made by hand, most of
 * them wrong, and one real dump in an empty network namespace. Changes no interface.
 */
#define _GNU_SOURCE

#include "link.h"

#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "netlink_message.h"
#include "util.h"

static void begin_link(struct message *m)
{
	struct ifinfomsg header = {
		.ifi_index = 5, .ifi_type = ARPHRD_NONE, .ifi_flags = IFF_UP | IFF_POINTOPOINT
	};

	message_begin(m, RTM_NEWLINK, &header, sizeof(header));
}

static void put_kind(struct message *m, const char *kind)
{
	struct nlattr *info = mnl_attr_nest_start(m->nlh, IFLA_LINKINFO);

	mnl_attr_put_strz(m->nlh, IFLA_INFO_KIND, kind);
	mnl_attr_nest_end(m->nlh, info);
}

static void good_link(struct message *m)
{
	begin_link(m);
	mnl_attr_put_strz(m->nlh, IFLA_IFNAME, "wg0");
	mnl_attr_put_u32(m->nlh, IFLA_MTU, 1420);
	mnl_attr_put_u32(m->nlh, IFLA_MASTER, 9);
	put_kind(m, "wireguard");
}

/* Refused, and the list is as it was. */
static void assert_refused(const struct message *m)
{
	_cleanup_(links_free) struct links l = { 0 };
	_cleanup_free_ struct nlmsghdr *exact = message_cut(m, m->nlh->nlmsg_len);

	assert_int_equal(link_parse(exact, &l), -EPROTO);
	assert_null(l.links);
	assert_int_equal(l.count, 0);
}

static void test_link_is_read(void **state)
{
	_cleanup_(links_free) struct links l = { 0 };
	static const struct tf_name name = { .text = "wg0" }, kind = { .text = "wireguard" };
	struct message m;

	(void)state;
	good_link(&m);
	assert_int_equal(link_parse(m.nlh, &l), 0);
	assert_int_equal(l.count, 1);
	assert_int_equal(l.links[0].ifindex, 5);
	assert_int_equal(l.links[0].type, ARPHRD_NONE);
	assert_int_equal(l.links[0].flags, IFF_UP | IFF_POINTOPOINT);
	assert_int_equal(l.links[0].master, 9);
	assert_true(tf_name_equal(&l.links[0].name, &name)); /* all sixteen bytes */
	assert_true(tf_name_equal(&l.links[0].kind, &kind));
}

static void test_hardware_has_no_kind(void **state)
{
	_cleanup_(links_free) struct links l = { 0 };
	static const struct tf_name none = { 0 };
	struct message m;

	(void)state;
	begin_link(&m);
	mnl_attr_put_strz(m.nlh, IFLA_IFNAME, "eth0");
	assert_int_equal(link_parse(m.nlh, &l), 0);
	assert_true(tf_name_equal(&l.links[0].kind, &none));
	assert_int_equal(l.links[0].master, 0);

	mnl_attr_nest_end(m.nlh, mnl_attr_nest_start(m.nlh, IFLA_LINKINFO)); /* empty */
	assert_int_equal(link_parse(m.nlh, &l), 0);
	assert_true(tf_name_equal(&l.links[1].kind, &none));
}

static void test_names_at_their_limits(void **state)
{
	_cleanup_(links_free) struct links l = { 0 };
	struct message m;

	(void)state;
	begin_link(&m);
	mnl_attr_put_strz(m.nlh, IFLA_IFNAME, "fifteen-letters");
	put_kind(&m, "a-kind-of-more-than-fifteen");
	assert_int_equal(link_parse(m.nlh, &l), 0);
	assert_string_equal(l.links[0].name.text, "fifteen-letters");
	assert_string_equal(l.links[0].kind.text, "a-kind-of-more-"); /* as the kernel's reads */

	begin_link(&m);
	mnl_attr_put_strz(m.nlh, IFLA_IFNAME, "x");
	put_kind(&m, "sixteen--letters");
	assert_int_equal(link_parse(m.nlh, &l), 0);
	assert_string_equal(l.links[1].kind.text, "sixteen--letter");

	begin_link(&m);
	mnl_attr_put_strz(m.nlh, IFLA_IFNAME, "sixteen--letters");
	assert_refused(&m);
	begin_link(&m);
	mnl_attr_put(m.nlh, IFLA_IFNAME, 2, "\0\0");
	assert_refused(&m);
}

static void test_wrong_links_are_refused(void **state)
{
	struct ifinfomsg header = { .ifi_index = -1 };
	struct message m;

	(void)state;
	begin_link(&m); /* no name */
	assert_refused(&m);

	good_link(&m);
	m.nlh->nlmsg_type = RTM_DELLINK;
	assert_refused(&m);

	good_link(&m);
	mnl_attr_put_strz(m.nlh, IFLA_IFNAME, "wg1"); /* twice: which is it? */
	assert_refused(&m);

	begin_link(&m);
	mnl_attr_put_strz(m.nlh, IFLA_IFNAME, "wg0");
	mnl_attr_put_u16(m.nlh, IFLA_MASTER, 9);
	assert_refused(&m);

	begin_link(&m);
	mnl_attr_put_strz(m.nlh, IFLA_IFNAME, "wg0");
	put_kind(&m, "");
	assert_refused(&m);

	message_begin(&m, RTM_NEWLINK, &header, sizeof(header));
	mnl_attr_put_strz(m.nlh, IFLA_IFNAME, "wg0");
	assert_refused(&m);

	message_begin(&m, RTM_NEWLINK, &header, sizeof(header) - 4);
	assert_refused(&m);
}

static void test_overrunning_attributes_are_refused(void **state)
{
	static const __u16 lengths[] = { 0, 3, 100, UINT16_MAX };
	struct nlattr *first;
	struct message m;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		good_link(&m);
		first = mnl_nlmsg_get_payload_offset(m.nlh, sizeof(struct ifinfomsg));
		first->nla_len = lengths[i];
		assert_refused(&m);
	}

	good_link(&m); /* the kind runs over the end of its nest */
	first = mnl_nlmsg_get_payload_tail(m.nlh);
	first = (struct nlattr *)((char *)first - NLMSG_ALIGN(4 + sizeof("wireguard")));
	assert_int_equal(first->nla_type, IFLA_INFO_KIND);
	first->nla_len = (__u16)(first->nla_len + 4);
	assert_refused(&m);
}

/* A message cut anywhere is refused, or is whole up to where it was cut. */
static void test_every_prefix(void **state)
{
	struct message m;

	(void)state;
	good_link(&m);
	for (size_t len = NLMSG_HDRLEN; len < m.nlh->nlmsg_len; len++) {
		_cleanup_(links_free) struct links l = { 0 };
		_cleanup_free_ struct nlmsghdr *cut = message_cut(&m, len);
		int r = link_parse(cut, &l);

		assert_true(r == 0 || r == -EPROTO);
		assert_int_equal(l.count, r ? 0 : 1);
		if (!r)
			assert_string_equal(l.links[0].name.text, "wg0");
	}
}

static void test_many_links(void **state)
{
	_cleanup_(links_free) struct links l = { 0 };
	struct message m;

	(void)state;
	for (int i = 1; i <= 1000; i++) {
		struct ifinfomsg header = { .ifi_index = i };
		char name[16];

		snprintf(name, sizeof(name), "veth%d", i);
		message_begin(&m, RTM_NEWLINK, &header, sizeof(header));
		mnl_attr_put_strz(m.nlh, IFLA_IFNAME, name);
		assert_int_equal(link_parse(m.nlh, &l), 0);
	}
	assert_int_equal(l.count, 1000);
	assert_int_equal(links_find(&l, "veth777")->ifindex, 777);
	assert_string_equal(links_find_index(&l, 1000)->name.text, "veth1000");
	assert_null(links_find(&l, "veth"));
	assert_null(links_find_index(&l, 1001));
}

static void begin_addr(struct message *m, __u8 family)
{
	struct ifaddrmsg header = { .ifa_family = family, .ifa_index = 5 };

	message_begin(m, RTM_NEWADDR, &header, sizeof(header));
}

static void test_addresses(void **state)
{
	static const __u8 own[4] = { 10, 0, 0, 2 }, peer[4] = { 10, 0, 0, 1 };
	static const __u8 six[16] = { 0xfd, [15] = 1 };
	static const __u8 mapped[16] = { [10] = 0xff, 0xff, 10, 0, 0, 2 };
	_cleanup_(links_free) struct links l = { 0 };
	struct message m;

	(void)state;
	begin_addr(&m, AF_INET); /* point-to-point: IFA_ADDRESS is the other end */
	mnl_attr_put(m.nlh, IFA_ADDRESS, 4, peer);
	mnl_attr_put(m.nlh, IFA_LOCAL, 4, own);
	assert_int_equal(link_addr_parse(m.nlh, &l), 0);
	begin_addr(&m, AF_INET6);
	mnl_attr_put(m.nlh, IFA_ADDRESS, 16, six);
	assert_int_equal(link_addr_parse(m.nlh, &l), 0);
	begin_addr(&m, AF_PHONET);
	mnl_attr_put_u8(m.nlh, IFA_LOCAL, 1);
	assert_int_equal(link_addr_parse(m.nlh, &l), 0);

	assert_int_equal(l.addr_count, 2);
	assert_int_equal(l.addrs[0].ifindex, 5);
	assert_memory_equal(&l.addrs[0].addr, mapped, 16);
	assert_memory_equal(&l.addrs[1].addr, six, 16);
}

static void test_wrong_addresses_are_refused(void **state)
{
	static const __u8 bytes[16] = { 1 };
	static const struct {
		__u8 family;
		__u16 len;
	} wrong[] = { { AF_INET, 3 }, { AF_INET, 5 }, { AF_INET, 16 },
		      { AF_INET6, 4 }, { AF_INET6, 15 } };
	_cleanup_(links_free) struct links l = { 0 };
	struct message m;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		begin_addr(&m, wrong[i].family);
		mnl_attr_put(m.nlh, IFA_LOCAL, wrong[i].len, bytes);
		assert_int_equal(link_addr_parse(m.nlh, &l), -EPROTO);
	}
	begin_addr(&m, AF_INET); /* none at all */
	assert_int_equal(link_addr_parse(m.nlh, &l), -EPROTO);
	m.nlh->nlmsg_len -= 4;
	assert_int_equal(link_addr_parse(m.nlh, &l), -EPROTO);
	assert_int_equal(l.addr_count, 0);
}

/* ---- the transport ---- */

static int count(const struct nlmsghdr *message, void *data)
{
	int *n = data;

	(void)message;
	(*n)++;
	return 0;
}

static int walk(const struct message *m, size_t len, int *ret_count)
{
	_cleanup_free_ char *exact = malloc(len ? len : 1);

	assert_non_null(exact);
	memcpy(exact, m->bytes, len);
	*ret_count = 0;
	return netlink_walk(exact, len, MESSAGE_SEQUENCE, MESSAGE_PORT, count, ret_count);
}

static int walk_one(const struct message *m)
{
	int n;

	return walk(m, m->nlh->nlmsg_len, &n);
}

static void test_walk_ends_at_the_last_message(void **state)
{
	static const int ok, busy = -EBUSY, odd = 5;
	struct message m;

	(void)state;
	good_link(&m);
	assert_int_equal(walk_one(&m), 0);
	message_begin(&m, NLMSG_NOOP, &ok, sizeof(ok));
	assert_int_equal(walk_one(&m), 0);
	message_begin(&m, NLMSG_DONE, &ok, sizeof(ok));
	assert_int_equal(walk_one(&m), 1);
	message_begin(&m, NLMSG_ERROR, &ok, sizeof(ok));
	assert_int_equal(walk_one(&m), 1);
	message_begin(&m, NLMSG_ERROR, &busy, sizeof(busy));
	assert_int_equal(walk_one(&m), -EBUSY);
	message_begin(&m, NLMSG_DONE, &busy, sizeof(busy)); /* a dump that failed on its way */
	assert_int_equal(walk_one(&m), -EBUSY);
	message_begin(&m, NLMSG_DONE, &odd, sizeof(odd));
	assert_int_equal(walk_one(&m), -EPROTO);
	message_begin(&m, NLMSG_DONE, &ok, 0);
	assert_int_equal(walk_one(&m), -EPROTO);
	message_begin(&m, NLMSG_OVERRUN, &ok, sizeof(ok));
	assert_int_equal(walk_one(&m), -ENOBUFS);
}

static void test_walk_gives_up_an_interrupted_dump(void **state)
{
	static const int ok;
	struct message m;
	int n;

	(void)state;
	good_link(&m);
	m.nlh->nlmsg_flags |= NLM_F_DUMP_INTR;
	assert_int_equal(walk(&m, m.nlh->nlmsg_len, &n), -EINTR);
	assert_int_equal(n, 0);
	message_begin(&m, NLMSG_DONE, &ok, sizeof(ok));
	m.nlh->nlmsg_flags |= NLM_F_DUMP_INTR;
	assert_int_equal(walk_one(&m), -EINTR);
}

static void test_walk_refuses_strangers(void **state)
{
	struct message m;

	(void)state;
	good_link(&m);
	m.nlh->nlmsg_seq++;
	assert_int_equal(walk_one(&m), -EPROTO);
	good_link(&m);
	m.nlh->nlmsg_pid++;
	assert_int_equal(walk_one(&m), -EPROTO);
}

/* Two messages in a datagram. Cut anywhere but between them, the datagram is an error. */
static void test_walk_refuses_every_cut(void **state)
{
	struct message m, second;
	size_t one, both;
	int n, r;

	(void)state;
	good_link(&m);
	one = NLMSG_ALIGN(m.nlh->nlmsg_len);
	good_link(&second);
	memcpy(m.bytes + one, second.bytes, one);
	both = 2 * one;

	assert_int_equal(walk(&m, both, &n), 0);
	assert_int_equal(n, 2);
	for (size_t len = 0; len < both; len++) {
		r = walk(&m, len, &n);
		assert_int_equal(r, len == one ? 0 : -EPROTO);
		assert_int_equal(n, len < one ? 0 : 1);
	}

	m.nlh->nlmsg_len = NLMSG_HDRLEN - 1; /* would never get on */
	assert_int_equal(walk(&m, both, &n), -EPROTO);
}

static int resets;

static void count_reset(void *data)
{
	(void)data;
	resets++;
}

static int interrupted(const struct nlmsghdr *message, void *data)
{
	int *left = data;

	(void)message;
	return (*left)-- > 0 ? -EINTR : 0;
}

static int dump_interrupted(int times)
{
	_Alignas(struct nlmsghdr) char buffer[128] = { 0 };
	struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);

	request->nlmsg_type = RTM_GETLINK;
	request->nlmsg_flags = NLM_F_DUMP;
	mnl_nlmsg_put_extra_header(request, sizeof(struct ifinfomsg));
	resets = 0;
	return netlink_exchange(NETLINK_ROUTE, request, true, interrupted, count_reset, &times);
}

static void test_interrupted_dumps_are_asked_again(void **state)
{
	(void)state;
	assert_int_equal(dump_interrupted(0), 0);
	assert_int_equal(resets, 1);
	assert_int_equal(dump_interrupted(3), 0);
	assert_int_equal(resets, 4);
	assert_int_equal(dump_interrupted(1000), -EINTR);
	assert_int_equal(resets, 8);
}

static void test_family(void **state)
{
	(void)state;
	assert_int_equal(netlink_family("nlctrl"), 16); /* GENL_ID_CTRL */
	assert_int_equal(netlink_family("tf-no-family"), -ENOENT);
	assert_int_equal(netlink_family("a name that no family can have, being far too long, "
					"longer than the buffer that it would have to be put into, "
					"which has room for but a hundred and twenty-eight bytes"),
			 -ENOENT);
}

/* ---- the real thing ---- */

static int sees_only_loopback(void)
{
	_cleanup_(links_free) struct links l = { 0 };
	struct err e = { 0 };

	CHILD_CHECK(links_read(&l, &e) == 0);
	CHILD_CHECK(l.count >= 1); /* some kernels add sit0, tunl0 and the like to each namespace */
	CHILD_CHECK(links_find(&l, "lo") != NULL);
	CHILD_CHECK(links_find(&l, "lo")->ifindex == 1);
	CHILD_CHECK(links_find(&l, "lo")->type == ARPHRD_LOOPBACK);
	CHILD_CHECK(links_find(&l, "lo")->flags & IFF_LOOPBACK);
	CHILD_CHECK(!links_find(&l, "lo")->kind.text[0]);
	CHILD_CHECK(l.addr_count == 0);
	return 0;
}

static void test_real_dump(void **state)
{
	(void)state;
	in_new_netns(sees_only_loopback);
}

/* ---- news ---- */

static unsigned int news_of(__u16 type, const void *header, size_t len)
{
	_cleanup_free_ struct nlmsghdr *exact = NULL;
	struct message m;

	message_begin(&m, type, header, len);
	exact = message_cut(&m, NLMSG_HDRLEN + (__u32)len);
	return link_news(exact);
}

/* Of exempt programs' routes: whatever is not our own doing, which would never end. */
static void test_news_of_routes(void **state)
{
	static const struct rtmsg other = { .rtm_table = 77, .rtm_dst_len = 24 },
				  main_one = { .rtm_table = RT_TABLE_MAIN, .rtm_dst_len = 24 },
				  by_default = { .rtm_table = RT_TABLE_MAIN },
				  ours = { .rtm_table = RT_TABLE_COMPAT, .rtm_protocol = 116 };
	static const struct fib_rule_hdr rule;
	struct message m;

	(void)state;
	assert_int_equal(news_of(RTM_NEWROUTE, &by_default, sizeof(by_default)),
			 LINK_NEWS_WAY | LINK_NEWS_ROUTES);
	assert_int_equal(news_of(RTM_DELROUTE, &by_default, sizeof(by_default)), LINK_NEWS_ROUTES);
	assert_int_equal(news_of(RTM_NEWROUTE, &main_one, sizeof(main_one)), LINK_NEWS_ROUTES);
	assert_int_equal(news_of(RTM_NEWROUTE, &other, sizeof(other)), 0);
	assert_int_equal(news_of(RTM_NEWROUTE, &ours, sizeof(ours)), 0);
	assert_int_equal(news_of(RTM_DELROUTE, &ours, sizeof(ours)), 0);
	assert_int_equal(news_of(RTM_NEWRULE, &rule, sizeof(rule)), LINK_NEWS_ROUTES);
	assert_int_equal(news_of(RTM_DELRULE, &rule, 1), LINK_NEWS_ROUTES); /* cut */
	message_begin(&m, RTM_NEWRULE, &rule, sizeof(rule));
	mnl_attr_put_u8(m.nlh, FRA_PROTOCOL, 116);
	assert_int_equal(link_news(m.nlh), 0);
}

static void test_news(void **state)
{
	static const struct ifinfomsg link;
	static const struct ifaddrmsg addr;
	static const struct tcmsg tc;
	static const struct rtmsg by_default, prefix = { .rtm_dst_len = 24 };

	(void)state;
	assert_int_equal(news_of(RTM_NEWLINK, &link, sizeof(link)), LINK_NEWS_HOOKS);
	assert_int_equal(news_of(RTM_DELLINK, &link, sizeof(link)), LINK_NEWS_HOOKS);
	assert_int_equal(news_of(RTM_DELQDISC, &tc, sizeof(tc)), LINK_NEWS_HOOKS);
	assert_int_equal(news_of(RTM_DELTFILTER, &tc, sizeof(tc)), LINK_NEWS_HOOKS);
	assert_int_equal(news_of(RTM_NEWADDR, &addr, sizeof(addr)), LINK_NEWS_WAY);
	assert_int_equal(news_of(RTM_NEWROUTE, &by_default, sizeof(by_default)), LINK_NEWS_WAY);
	assert_int_equal(news_of(RTM_NEWROUTE, &by_default, 1),
			 LINK_NEWS_WAY | LINK_NEWS_ROUTES); /* cut */
	assert_int_equal(news_of(RTM_NEWROUTE, &prefix, sizeof(prefix)), 0);
	assert_int_equal(news_of(RTM_DELROUTE, &by_default, sizeof(by_default)), 0);
	assert_int_equal(news_of(RTM_DELADDR, &addr, sizeof(addr)), 0);
	/* Our own doing: would never end. */
	assert_int_equal(news_of(RTM_NEWQDISC, &tc, sizeof(tc)), 0);
	assert_int_equal(news_of(RTM_NEWTFILTER, &tc, sizeof(tc)), 0);
}

/* A link message each, and no other. */
static int toggle(unsigned int times)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq lo = { .ifr_name = "lo" };

	CHILD_CHECK(fd >= 0);
	while (times--) {
		CHILD_CHECK(ioctl(fd, SIOCGIFFLAGS, &lo) == 0);
		lo.ifr_flags = (short)(lo.ifr_flags ^ IFF_ALLMULTI);
		CHILD_CHECK(ioctl(fd, SIOCSIFFLAGS, &lo) == 0);
	}
	return 0;
}

static int hears(void)
{
	_cleanup_close_ int fd = link_listen(NULL);
	const int room = 4096;
	unsigned int news = 77;

	CHILD_CHECK(fd >= 0);
	CHILD_CHECK(link_hear(fd, &news, NULL) == 0 && news == 0);
	CHILD_CHECK(toggle(1) == 0);
	CHILD_CHECK(link_hear(fd, &news, NULL) == 0 && news == LINK_NEWS_HOOKS);
	CHILD_CHECK(link_hear(fd, &news, NULL) == 0 && news == 0);

	CHILD_CHECK(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room)) == 0);
	CHILD_CHECK(toggle(100) == 0); /* more than it holds: anything may be missing */
	CHILD_CHECK(link_hear(fd, &news, NULL) == 0 && news == (LINK_NEWS_HOOKS | LINK_NEWS_WAY | LINK_NEWS_ROUTES));
	CHILD_CHECK(link_hear(fd, &news, NULL) == 0 && news == 0);
	return 0;
}

static void test_news_are_heard(void **state)
{
	(void)state;
	in_new_netns(hears);
}

static int refuse(const struct nlmsghdr *message, void *data)
{
	(void)message, (void)data;
	return -ENOMEM;
}

static void test_messages_of_one_datagram(void **state)
{
	struct message m;

	(void)state;
	good_link(&m);
	assert_int_equal(netlink_messages(m.bytes, m.nlh->nlmsg_len, refuse, NULL), -ENOMEM);
	assert_int_equal(netlink_messages(m.bytes, 0, refuse, NULL), -EPROTO);
	assert_int_equal(netlink_messages(m.bytes, NLMSG_HDRLEN - 1, refuse, NULL), -EPROTO);
	assert_int_equal(netlink_messages(m.bytes, m.nlh->nlmsg_len - 4, refuse, NULL), -EPROTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_link_is_read),
		cmocka_unit_test(test_hardware_has_no_kind),
		cmocka_unit_test(test_names_at_their_limits),
		cmocka_unit_test(test_wrong_links_are_refused),
		cmocka_unit_test(test_overrunning_attributes_are_refused),
		cmocka_unit_test(test_every_prefix),
		cmocka_unit_test(test_many_links),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_wrong_addresses_are_refused),
		cmocka_unit_test(test_walk_ends_at_the_last_message),
		cmocka_unit_test(test_walk_gives_up_an_interrupted_dump),
		cmocka_unit_test(test_walk_refuses_strangers),
		cmocka_unit_test(test_walk_refuses_every_cut),
		cmocka_unit_test(test_interrupted_dumps_are_asked_again),
		cmocka_unit_test(test_family),
		cmocka_unit_test(test_real_dump),
		cmocka_unit_test(test_news),
		cmocka_unit_test(test_news_of_routes),
		cmocka_unit_test(test_news_are_heard),
		cmocka_unit_test(test_messages_of_one_datagram),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
