// SPDX-License-Identifier: GPL-2.0
/*
 * The routing of exempt programs, in network namespaces of the tests' own: what is copied, what is
 * left out, what is moved and removed, and that other people's routes and rules stay as they are.
 * Judged by what iproute2 shows.
 */
#define _GNU_SOURCE

#include "route_exempt.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "netlink_message.h"
#include "util.h"

#define FENCE "wg0"

static struct tf_policy policy(void)
{
	return (struct tf_policy){
		.fence = FENCE,
		.tunnel_count = 1,
		.tunnels = { { .name = { "wg0" }, .kind = { "veth" } } },
		.exempt_count = 1,
		.exempt_mark = route_exempt_mark(FENCE),
	};
}

static int ip(const char *format, ...) __attribute__((format(printf, 1, 2)));

static int ip(const char *format, ...)
{
	char command[512] = "ip ";
	va_list args;

	va_start(args, format);
	vsnprintf(command + 3, sizeof(command) - 3, format, args);
	va_end(args);
	return system(command);
}

/* What a command prints; the caller frees it. */
static char *shown(const char *format, ...) __attribute__((format(printf, 1, 2)));

static char *shown(const char *format, ...)
{
	char command[512], *text = NULL;
	size_t length = 0;
	va_list args;
	FILE *f;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	f = popen(command, "r");
	if (!f)
		abort();
	if (getdelim(&text, &length, '\0', f) < 0) {
		free(text);
		text = strdup("");
	}
	pclose(f);
	return text;
}

static bool has(const char *command, const char *what)
{
	_cleanup_free_ char *text = shown("%s", command);

	return strstr(text, what);
}

/* Whether the fence's table shows these words in a line. */
static bool copied(const char *family, const char *what)
{
	_cleanup_free_ char *text =
		shown("ip %s route show table %u", family, route_exempt_table(FENCE));
	bool found = strstr(text, what);

	if (!found)
		fprintf(stderr, "no '%s' in:\n%s", what, text);
	return found;
}

static bool is_empty(void)
{
	_cleanup_free_ char *text = shown("for f in -4 -6; do ip $f rule; ip $f route show table %u 2>&1; "
					  "done | grep -vE 'lookup (local|main|default)' | "
					  "grep -v 'FIB table does not exist' | grep -v '^Dump terminated'",
					  route_exempt_table(FENCE));

	if (*text)
		fprintf(stderr, "left: %s", text);
	return !*text;
}

static int make(const struct tf_policy *p, struct route_told *ret)
{
	struct links links = {};
	struct err e = {};
	int r = links_read(&links, &e);

	if (!r)
		r = route_exempt_make(p, &links, ret, &e);
	links_free(&links);
	if (r)
		fprintf(stderr, "%s\n", e.text);
	return r;
}

static unsigned int changes(const struct tf_policy *p)
{
	struct route_told told = {};

	return make(p, &told) ? UINT32_MAX : told.changed;
}

/* Nothing comes to it by itself. */
static int device(const char *name)
{
	CHILD_CHECK(ip("link add %s type veth peer name %s-peer", name, name) == 0);
	CHILD_CHECK(ip("link set %s addrgenmode none", name) == 0);
	CHILD_CHECK(ip("link set %s-peer addrgenmode none", name) == 0);
	CHILD_CHECK(ip("link set %s up", name) == 0 && ip("link set %s-peer up", name) == 0);
	return 0;
}

/* An uplink, a tunnel with the halves of the address space, and the old default route. */
static int lay(void)
{
	static const char *const lines[] = {
		"link set lo up",
		"addr add 192.0.2.2/24 dev eth0",
		"addr add 2001:db8::2/64 dev eth0 nodad",
		"addr add 10.0.0.2/24 dev wg0",
		"route add default via 192.0.2.1 metric 100 src 192.0.2.2",
		"route add default via 2001:db8::1 metric 100 mtu 1400",
		"route add 0.0.0.0/1 dev wg0",
		"route add 128.0.0.0/1 dev wg0",
		"-6 route add ::/1 dev wg0",
		"route add 203.0.113.7 via 192.0.2.1 mtu 1300",
	};
	size_t i;

	CHILD_CHECK(device("eth0") == 0 && device("wg0") == 0);
	for (i = 0; i < ARRAY_SIZE(lines); i++)
		CHILD_CHECK(ip("%s", lines[i]) == 0);
	return 0;
}

static int copies(void)
{
	struct tf_policy p = policy();

	CHILD_CHECK(lay() == 0);
	CHILD_CHECK(changes(&p) > 0);
	CHILD_CHECK(copied("-4", "default via 192.0.2.1 dev eth0 proto 116 src 192.0.2.2 metric 100"));
	CHILD_CHECK(copied("-4", "192.0.2.0/24 dev eth0 proto 116 scope link src 192.0.2.2"));
	CHILD_CHECK(copied("-4", "203.0.113.7 via 192.0.2.1 dev eth0 proto 116 mtu 1300"));
	CHILD_CHECK(copied("-6", "default via 2001:db8::1 dev eth0 proto 116 metric 100 mtu 1400"));
	CHILD_CHECK(copied("-6", "2001:db8::/64 dev eth0 proto 116"));
	CHILD_CHECK(!has("ip route show table all; ip -6 route show table all", "wg0 table 19"));
	CHILD_CHECK(changes(&p) == 0); /* a second time there is nothing to do */
	return 0;
}

static int follows(void)
{
	struct tf_policy p = policy();

	CHILD_CHECK(lay() == 0 && changes(&p) > 0);
	CHILD_CHECK(ip("route del 203.0.113.7") == 0 && changes(&p) == 1);
	CHILD_CHECK(ip("route replace default via 192.0.2.9 metric 100") == 0 && changes(&p) == 2);
	CHILD_CHECK(copied("-4", "default via 192.0.2.9"));
	CHILD_CHECK(ip("-6 route del default") == 0 && changes(&p) == 1);
	CHILD_CHECK(ip("route add 198.51.100.0/24 via 192.0.2.1") == 0 && changes(&p) == 1);
	CHILD_CHECK(copied("-4", "198.51.100.0/24 via 192.0.2.1"));
	CHILD_CHECK(ip("link set eth0 down") == 0); /* the kernel itself takes what leads by it */
	CHILD_CHECK(changes(&p) == 0);
	return 0;
}

static int several_ways(void)
{
	struct tf_policy p = policy();
	struct route_told told = {};

	CHILD_CHECK(lay() == 0);
	CHILD_CHECK(device("eth1") == 0);
	CHILD_CHECK(ip("addr add 198.51.100.2/24 dev eth1") == 0);
	CHILD_CHECK(ip("addr add 2001:db8:1::2/64 dev eth1 nodad") == 0);
	CHILD_CHECK(ip("route add 10.1.0.0/16 nexthop via 192.0.2.1 weight 3 nexthop via 198.51.100.1") ==
		    0);
	CHILD_CHECK(ip("-6 route add 2001:db8:2::/48 nexthop via 2001:db8::1 nexthop via 2001:db8:1::1") ==
		    0);
	CHILD_CHECK(ip("route add 10.2.0.0/16 nexthop via 192.0.2.1 nexthop dev wg0") == 0);
	CHILD_CHECK(make(&p, &told) == 0);
	CHILD_CHECK(told.refused == 1 && strstr(told.why, "'10.2.0.0/16' leads by a tunnel"));
	CHILD_CHECK(copied("-4", "nexthop via 192.0.2.1 dev eth0 weight 3"));
	CHILD_CHECK(copied("-6", "nexthop via 2001:db8:1::1 dev eth1"));
	CHILD_CHECK(changes(&p) == 0);
	CHILD_CHECK(ip("-6 route del 2001:db8:2::/48 via 2001:db8::1") == 0 && changes(&p) == 1);
	CHILD_CHECK(copied("-6", "2001:db8:2::/48 via 2001:db8:1::1 dev eth1"));
	CHILD_CHECK(ip("link set eth1-peer down") == 0); /* how a hop stands now is no part of it */
	CHILD_CHECK(has("ip route", "dev eth1 weight 1 linkdown") && changes(&p) == 0);
	CHILD_CHECK(ip("route flush table %u", route_exempt_table(FENCE)) == 0 && changes(&p) > 0);
	CHILD_CHECK(copied("-4", "nexthop via 198.51.100.1 dev eth1"));
	return 0;
}

/* Two routers of one metric that say different things, as they come by advertisements. */
static int two_routers(void)
{
	struct tf_policy p = policy();

	CHILD_CHECK(lay() == 0);
	CHILD_CHECK(ip("-6 route append default via 2001:db8::9 dev eth0 metric 100 mtu 1280") == 0);
	CHILD_CHECK(changes(&p) > 0);
	CHILD_CHECK(changes(&p) == 0);
	CHILD_CHECK(ip("-6 route del default via 2001:db8::1 dev eth0") == 0 && changes(&p) == 1);
	CHILD_CHECK(copied("-6", "default via 2001:db8::9"));
	return 0;
}

static int nexthop_objects(void)
{
	struct tf_policy p = policy();
	struct route_told told = {};

	CHILD_CHECK(lay() == 0);
	CHILD_CHECK(ip("nexthop add id 7 via 192.0.2.1 dev eth0") == 0);
	CHILD_CHECK(ip("nexthop add id 8 dev wg0") == 0);
	CHILD_CHECK(ip("route add 10.3.0.0/16 nhid 7") == 0 && ip("route add 10.4.0.0/16 nhid 8") == 0);
	CHILD_CHECK(make(&p, &told) == 0 && told.refused == 0);
	CHILD_CHECK(copied("-4", "10.3.0.0/16 via 192.0.2.1 dev eth0"));
	CHILD_CHECK(changes(&p) == 0);
	CHILD_CHECK(system("echo 0 >/proc/sys/net/ipv4/nexthop_compat_mode") == 0);
	CHILD_CHECK(make(&p, &told) == 0 && told.refused == 2); /* where they lead cannot be told */
	return 0;
}

static int refusals(void)
{
	struct tf_policy p = policy();

	CHILD_CHECK(lay() == 0);
	CHILD_CHECK(ip("route add blackhole 10.5.0.0/16") == 0);
	CHILD_CHECK(ip("-6 route add unreachable 2001:db8:5::/48") == 0);
	CHILD_CHECK(changes(&p) > 0);
	CHILD_CHECK(copied("-4", "blackhole 10.5.0.0/16"));
	CHILD_CHECK(copied("-6", "unreachable 2001:db8:5::/48"));
	CHILD_CHECK(changes(&p) == 0);
	CHILD_CHECK(ip("-6 route del unreachable 2001:db8:5::/48") == 0 && changes(&p) == 1);
	return 0;
}

/* Which table and device a packet would take. */
static bool leads(const char *question, const char *device)
{
	_cleanup_free_ char *text = shown("ip route get %s", question);
	char words[32];

	snprintf(words, sizeof(words), " dev %s ", device);
	if (!strstr(text, words))
		fprintf(stderr, "ip route get %s: %s", question, text);
	return strstr(text, words);
}

static bool leads_by_mark(const char *where, const char *device)
{
	char question[128];

	snprintf(question, sizeof(question), "%s mark %u", where, route_exempt_mark(FENCE));
	return leads(question, device);
}

/* As wg-quick lays them. */
static int policy_routes(void)
{
	CHILD_CHECK(ip("route add default dev wg0 table 51820") == 0);
	CHILD_CHECK(ip("-6 route add default dev wg0 table 51820") == 0);
	CHILD_CHECK(ip("-4 rule add not fwmark 51820 table 51820") == 0);
	CHILD_CHECK(ip("-4 rule add table main suppress_prefixlength 0") == 0);
	CHILD_CHECK(ip("-6 rule add not fwmark 51820 table 51820") == 0);
	CHILD_CHECK(ip("-6 rule add table main suppress_prefixlength 0") == 0);
	return 0;
}

static int leads_past(void)
{
	struct tf_policy p = policy();

	CHILD_CHECK(lay() == 0 && changes(&p) > 0);
	CHILD_CHECK(leads("198.51.100.9", "wg0") && leads_by_mark("198.51.100.9", "eth0"));
	CHILD_CHECK(leads_by_mark("2001:db8:9::9", "eth0") && leads("2000:db8:9::9", "wg0"));
	CHILD_CHECK(leads_by_mark("198.51.100.9 ipproto udp dport 53", "wg0"));
	CHILD_CHECK(leads_by_mark("198.51.100.9 ipproto tcp dport 853", "wg0"));
	CHILD_CHECK(leads_by_mark("2000::9 ipproto udp dport 5353", "wg0"));
	CHILD_CHECK(leads_by_mark("198.51.100.9 ipproto udp dport 54", "eth0"));
	p.exempt_names = 1;
	CHILD_CHECK(changes(&p) == 10);
	CHILD_CHECK(leads_by_mark("198.51.100.9 ipproto udp dport 53", "eth0"));
	CHILD_CHECK(leads_by_mark("2000::9 ipproto udp dport 53", "eth0"));
	return 0;
}

static int in_front(void)
{
	struct tf_policy p = policy();

	CHILD_CHECK(lay() == 0 && changes(&p) > 0);
	CHILD_CHECK(has("ip -4 rule", "32764:\tfrom all fwmark"));
	CHILD_CHECK(policy_routes() == 0); /* in front of ours, as the kernel has it */
	CHILD_CHECK(leads_by_mark("198.51.100.9", "wg0") && leads_by_mark("2000::9", "wg0"));
	CHILD_CHECK(changes(&p) == 28); /* seven rules of each family are elsewhere */
	CHILD_CHECK(leads_by_mark("198.51.100.9", "eth0") && leads_by_mark("2000::9", "eth0"));
	CHILD_CHECK(leads_by_mark("198.51.100.9 ipproto udp dport 53", "wg0"));
	CHILD_CHECK(leads("198.51.100.9", "wg0") && changes(&p) == 0);
	CHILD_CHECK(ip("-4 rule del table 51820") == 0);
	CHILD_CHECK(ip("-4 rule del table main suppress_prefixlength 0") == 0);
	CHILD_CHECK(changes(&p) == 14); /* and back: or the numbers would run out */
	CHILD_CHECK(has("ip -4 rule", "32764:\tfrom all fwmark"));
	return 0;
}

static int no_room(void)
{
	struct tf_policy p = policy();
	struct route_told told = {};

	CHILD_CHECK(lay() == 0);
	CHILD_CHECK(ip("-4 rule add prio 3 from 192.0.2.9 table main") == 0);
	CHILD_CHECK(make(&p, &told) == 0 && told.behind);
	CHILD_CHECK(leads_by_mark("198.51.100.9", "eth0"));
	return 0;
}

static int leaves_others(void)
{
	struct tf_policy p = policy(), other = policy();
	char line[256];
	struct err e = {};
	unsigned int removed;

	strcpy(other.fence, "wg1");
	other.exempt_mark = route_exempt_mark("wg1");
	CHILD_CHECK(lay() == 0 && changes(&p) > 0 && changes(&other) > 0);
	CHILD_CHECK(ip("rule add prio 99 fwmark %u table %u protocol static", p.exempt_mark,
		       route_exempt_table(FENCE)) == 0);
	CHILD_CHECK(ip("route add 10.6.0.0/16 dev eth0 table %u", route_exempt_table(FENCE)) == 0);
	CHILD_CHECK(changes(&p) != UINT32_MAX);
	CHILD_CHECK(route_exempt_remove(FENCE, &removed, &e) == 0 && removed > 14);
	CHILD_CHECK(has("ip rule", "99:\tfrom all fwmark") && copied("-4", "10.6.0.0/16"));
	snprintf(line, sizeof(line), "lookup %u proto 116", route_exempt_table("wg1"));
	CHILD_CHECK(has("ip rule", line) && has("ip -6 rule", line));
	snprintf(line, sizeof(line), "lookup %u proto 116", route_exempt_table("wg0"));
	CHILD_CHECK(!has("ip rule", line) && !has("ip -6 rule", line));
	CHILD_CHECK(route_exempt_remove(FENCE, &removed, &e) == 0 && removed == 0);
	return 0;
}

/* Another mark than the name's, and what is changed by hand. */
static int mends(void)
{
	struct tf_policy p = policy();

	CHILD_CHECK(lay() == 0 && changes(&p) > 0);
	CHILD_CHECK(ip("rule del table %u", route_exempt_table(FENCE)) == 0 && changes(&p) == 1);
	CHILD_CHECK(ip("route flush table %u", route_exempt_table(FENCE)) == 0);
	CHILD_CHECK(changes(&p) == 3);
	CHILD_CHECK(leads_by_mark("198.51.100.9", "eth0"));
	p.exempt_mark = 77;
	CHILD_CHECK(changes(&p) == 24);
	CHILD_CHECK(leads("198.51.100.9 mark 77", "eth0") && leads_by_mark("198.51.100.9", "wg0"));
	p.exempt_count = 0;
	CHILD_CHECK(changes(&p) > 0 && is_empty());
	return 0;
}

static int gone(void)
{
	struct tf_policy p = policy();
	struct err e = {};
	unsigned int removed;

	CHILD_CHECK(lay() == 0 && changes(&p) > 0);
	CHILD_CHECK(route_exempt_remove(FENCE, &removed, &e) == 0 && removed > 14);
	CHILD_CHECK(is_empty());
	return 0;
}

/* Makes it, or takes it away, and dies after this many steps. True: it came to its end. */
static bool dies(const struct tf_policy *p, int step)
{
	char text[16];
	int status;
	pid_t child = fork();

	if (!child) {
		snprintf(text, sizeof(text), "%d", step);
		setenv("TUNFENCE_FAULT", text, 1);
		_exit(changes(p) == UINT32_MAX);
	}
	waitpid(child, &status, 0);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* Names are never led away, and the next run ends what this one began. */
static int killed(void)
{
	struct tf_policy p = policy(), none = policy();
	int step, led = 0;

	none.exempt_count = 0;
	CHILD_CHECK(lay() == 0);
	for (step = 1; !dies(&p, step); step++) {
		CHILD_CHECK(step < 100);
		CHILD_CHECK(leads_by_mark("198.51.100.9 ipproto udp dport 53", "wg0"));
		CHILD_CHECK(changes(&p) > 0 || step > 18);
		CHILD_CHECK(leads_by_mark("198.51.100.9", "eth0"));
		CHILD_CHECK(changes(&none) > 0 && is_empty());
		led++;
	}
	CHILD_CHECK(led > 15);
	for (step = 1; !dies(&none, step); step++) {
		CHILD_CHECK(step < 100);
		CHILD_CHECK(leads_by_mark("198.51.100.9 ipproto udp dport 53", "wg0"));
		CHILD_CHECK(changes(&p) > 0);
	}
	CHILD_CHECK(step == led + 1);
	return 0;
}

static int strictness(void)
{
	CHILD_CHECK(lay() == 0);
	CHILD_CHECK(system("echo 0 >/proc/sys/net/ipv4/conf/all/rp_filter") == 0);
	CHILD_CHECK(system("echo 0 >/proc/sys/net/ipv4/conf/eth0/rp_filter") == 0);
	CHILD_CHECK(!route_is_strict("eth0"));
	CHILD_CHECK(system("echo 1 >/proc/sys/net/ipv4/conf/all/rp_filter") == 0);
	CHILD_CHECK(route_is_strict("eth0"));
	CHILD_CHECK(system("echo 2 >/proc/sys/net/ipv4/conf/eth0/rp_filter") == 0);
	CHILD_CHECK(!route_is_strict("eth0"));
	return 0;
}

#define TESTS(X)                                                                                   \
	X(copies)                                                                                  \
	X(follows)                                                                                 \
	X(several_ways)                                                                            \
	X(two_routers)                                                                             \
	X(nexthop_objects)                                                                         \
	X(refusals)                                                                                \
	X(leads_past)                                                                              \
	X(in_front)                                                                                \
	X(no_room)                                                                                 \
	X(leaves_others)                                                                           \
	X(mends)                                                                                   \
	X(gone)                                                                                    \
	X(killed)                                                                                  \
	X(strictness)

#define X(name)                                                                                    \
	static void test_##name(void **state)                                                      \
	{                                                                                          \
		(void)state;                                                                       \
		in_new_netns(name);                                                                \
	}
TESTS(X)
#undef X

/* Two fences share neither, and nobody's bits are in a mark. */
static void test_numbers(void **state)
{
	(void)state;
	assert_int_not_equal(route_exempt_mark("wg0"), route_exempt_mark("wg1"));
	assert_int_not_equal(route_exempt_table("wg0"), route_exempt_table("wg1"));
	assert_int_equal(route_exempt_mark("a") & 0xffffc000, 0x74660000);
	assert_int_equal(route_exempt_table("a") >> 24, 0x74);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define X(name) cmocka_unit_test(test_##name),
		TESTS(X)
#undef X
		cmocka_unit_test(test_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
