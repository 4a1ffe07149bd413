// SPDX-License-Identifier: GPL-2.0
/* Addresses, prefixes, ports: every accepted form, every refused one, outputs left alone on error.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "addr.h"
#include "util.h"

static void test_addr_round_trip(void **state)
{
	static const char *const same[] = {
		"0.0.0.0",
		"192.0.2.1",
		"255.255.255.255",
		"::",
		"::1",
		"2001:db8::1",
		"fe80::1",
		"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
	};
	char buf[ADDR_TEXT_LEN];
	struct tf_addr addr;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(same); i++) {
		assert_int_equal(addr_parse(same[i], &addr, NULL), 0);
		assert_string_equal(addr_format(&addr, buf), same[i]);
		assert_int_equal(tf_addr_is_v4(&addr), !strchr(same[i], ':'));
	}
	assert_int_equal(addr_parse("192.0.2.7", &addr, NULL), 0);
	assert_memory_equal(addr.byte, "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\x02\x07", 16);
}

static void test_addr_errors(void **state)
{
	static const struct {
		const char *text, *error;
	} cases[] = {
		{ "", "'' is not an IPv4 or IPv6 address" },
		{ "192.0.2", "'192.0.2' is not an IPv4 or IPv6 address" },
		{ "192.0.2.256", "'192.0.2.256' is not an IPv4 or IPv6 address" },
		{ "192.0.2.010", "'192.0.2.010' is not an IPv4 or IPv6 address" },
		{ "0x7f.0.0.1", "'0x7f.0.0.1' is not an IPv4 or IPv6 address" },
		{ " 192.0.2.1", "' 192.0.2.1' is not an IPv4 or IPv6 address" },
		{ "example.org", "'example.org' is not an IPv4 or IPv6 address" },
		{ "2001:db8:::1", "'2001:db8:::1' is not an IPv6 address" },
		{ "[::1]", "'[::1]' is not an IPv6 address" },
		{ "::ffff:192.0.2.1",
		  "'::ffff:192.0.2.1' is an IPv4 address in IPv6 dress; write '192.0.2.1'" },
		{ "fe80::1%eth0",
		  "'fe80::1%eth0' has a scope id; write the address without '%...'" },
	};
	struct tf_addr addr, before;
	struct err e;

	(void)state;
	memset(&before, 0x5a, sizeof(before));
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		addr = before;
		assert_int_equal(addr_parse(cases[i].text, &addr, &e), -EINVAL);
		assert_string_equal(e.text, cases[i].error);
		assert_memory_equal(&addr, &before, sizeof(addr));
	}
}

static void test_addr_port_format(void **state)
{
	char buf[ADDR_TEXT_LEN];
	struct tf_addr addr;

	(void)state;
	addr_parse("192.0.2.1", &addr, NULL);
	assert_string_equal(addr_port_format(&addr, tf_htons(51820), buf), "192.0.2.1:51820");
	addr_parse("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", &addr, NULL);
	assert_string_equal(addr_port_format(&addr, tf_htons(65535), buf),
			    "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
}

static void test_prefix_round_trip(void **state)
{
	static const struct {
		const char *text, *formatted;
		unsigned int bits;
	} cases[] = {
		{ "0.0.0.0/0", "0.0.0.0/0", 96 },
		{ "10.0.0.0/8", "10.0.0.0/8", 104 },
		{ "192.0.2.128/25", "192.0.2.128/25", 121 },
		{ "192.0.2.1", "192.0.2.1/32", 128 },
		{ "192.0.2.1/32", "192.0.2.1/32", 128 },
		{ "::/0", "::/0", 0 },
		{ "2000::/3", "2000::/3", 3 },
		{ "fe80::/10", "fe80::/10", 10 },
		{ "::1", "::1/128", 128 },
		{ "::fffe:0:0/96", "::fffe:0:0/96", 96 },
		{ "2001:db8::/33", "2001:db8::/33", 33 },
	};
	char buf[ADDR_TEXT_LEN];
	struct prefix prefix;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(prefix_parse(cases[i].text, &prefix, NULL), 0);
		assert_int_equal(prefix.bits, cases[i].bits);
		assert_string_equal(prefix_format(&prefix, buf), cases[i].formatted);
		assert_int_equal(prefix_is_v4(&prefix), !strchr(cases[i].text, ':'));
	}
}

static void test_prefix_errors(void **state)
{
	static const struct {
		const char *text, *error;
	} cases[] = {
		{ "10.0.0.1/8",
		  "'10.0.0.1/8' has bits set after its length; did you mean '10.0.0.0/8'?" },
		{ "192.0.2.255/25",
		  "'192.0.2.255/25' has bits set after its length; did you mean "
		  "'192.0.2.128/25'?" },
		{ "2001:db8::1/64",
		  "'2001:db8::1/64' has bits set after its length; did you mean '2001:db8::/64'?" },
		{ "1.2.3.4/0",
		  "'1.2.3.4/0' has bits set after its length; did you mean '0.0.0.0/0'?" },
		{ "10.0.0.0/33",
		  "'10.0.0.0/33' has a bad prefix length; write 0 to 32 after the '/'" },
		{ "10.0.0.0/", "'10.0.0.0/' has a bad prefix length; write 0 to 32 after the '/'" },
		{ "10.0.0.0/08",
		  "'10.0.0.0/08' has a bad prefix length; write 0 to 32 after the '/'" },
		{ "10.0.0.0/8/8",
		  "'10.0.0.0/8/8' has a bad prefix length; write 0 to 32 after the '/'" },
		{ "10.0.0.0/255.0.0.0",
		  "'10.0.0.0/255.0.0.0' has a bad prefix length; write 0 to 32 after the '/'" },
		{ "::/129", "'::/129' has a bad prefix length; write 0 to 128 after the '/'" },
		{ "/8", "'' is not an IPv4 or IPv6 address" },
		{ "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/8",
		  "'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/8' is not a prefix; write "
		  "ADDRESS/LENGTH" },
		{ "::ffff:10.0.0.0/104",
		  "'::ffff:10.0.0.0' is an IPv4 address in IPv6 dress; write '10.0.0.0'" },
		{ "::/80",
		  "'::/80' would cover IPv4 addresses too; write '::/0' or a longer prefix" },
		{ "::/1",
		  "'::/1' would cover IPv4 addresses too; write '::/0' or a longer prefix" },
		{ "::8000:0:0/81",
		  "'::8000:0:0/81' would cover IPv4 addresses too; write '::/0' or a longer "
		  "prefix" },
		{ "::fffe:0:0/95",
		  "'::fffe:0:0/95' would cover IPv4 addresses too; write '::/0' or a longer "
		  "prefix" },
	};
	struct prefix prefix, before;
	struct err e;

	(void)state;
	memset(&before, 0x5a, sizeof(before));
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		prefix = before;
		assert_int_equal(prefix_parse(cases[i].text, &prefix, &e), -EINVAL);
		assert_string_equal(e.text, cases[i].error);
		assert_memory_equal(&prefix, &before, sizeof(prefix));
	}
}

static void test_prefix_contains(void **state)
{
	static const struct {
		const char *outer, *inner;
		bool yes;
	} cases[] = {
		{ "10.0.0.0/8", "10.255.255.255", true }, { "10.0.0.0/8", "11.0.0.0", false },
		{ "10.0.0.0/9", "10.127.1.2", true },	  { "10.0.0.0/9", "10.128.0.0", false },
		{ "0.0.0.0/0", "192.0.2.1", true },	  { "0.0.0.0/0", "::1", false },
		{ "::/0", "2001:db8::1", true },	  { "::/0", "192.0.2.1", false },
		{ "192.0.2.1", "192.0.2.1", true },	  { "192.0.2.1", "192.0.2.0", false },
		{ "fe80::/10", "febf::1", true },	  { "fe80::/10", "fec0::1", false },
		{ "10.0.0.0/8", "10.0.0.0/8", true },	  { "10.0.0.0/8", "10.1.0.0/16", true },
		{ "10.0.0.0/8", "0.0.0.0/0", false },	  { "10.0.0.0/8", "8.0.0.0/7", false },
		{ "::/0", "0.0.0.0/0", false },		  { "::/0", "::/0", true },
		{ "fc00::/7", "fd00::/8", true },	  { "fc00::/7", "fe00::/8", false },
	};
	struct prefix outer, inner;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(prefix_parse(cases[i].outer, &outer, NULL), 0);
		assert_int_equal(prefix_parse(cases[i].inner, &inner, NULL), 0);
		assert_int_equal(prefix_covers(&outer, &inner), cases[i].yes);
		if (!strchr(cases[i].inner, '/'))
			assert_int_equal(prefix_contains(&outer, &inner.addr), cases[i].yes);
	}
}

static void test_addr_from_sockaddr(void **state)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(51820) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(443) };
	struct sockaddr unknown = { .sa_family = AF_UNIX };
	char buf[ADDR_TEXT_LEN];
	struct tf_addr addr, before;
	__be16 port = 0;

	(void)state;
	inet_pton(AF_INET, "192.0.2.1", &in.sin_addr);
	assert_int_equal(addr_from_sockaddr((struct sockaddr *)&in, &addr, &port), 0);
	assert_string_equal(addr_port_format(&addr, port, buf), "192.0.2.1:51820");

	inet_pton(AF_INET6, "2001:db8::1", &in6.sin6_addr);
	assert_int_equal(addr_from_sockaddr((struct sockaddr *)&in6, &addr, &port), 0);
	assert_string_equal(addr_port_format(&addr, port, buf), "[2001:db8::1]:443");

	inet_pton(AF_INET6, "::ffff:192.0.2.1", &in6.sin6_addr);
	assert_int_equal(addr_from_sockaddr((struct sockaddr *)&in6, &addr, NULL), 0);
	assert_string_equal(addr_format(&addr, buf), "192.0.2.1");

	before = addr;
	assert_int_equal(addr_from_sockaddr(&unknown, &addr, &port), -EAFNOSUPPORT);
	assert_memory_equal(&addr, &before, sizeof(addr));
	assert_int_equal(tf_ntohs(port), 443);
}

static void test_parse_u32(void **state)
{
	static const struct {
		const char *text;
		__u32 min, max;
		int r;
		__u32 value;
	} cases[] = {
		{ "0", 0, UINT32_MAX, 0, 0 },
		{ "4294967295", 0, UINT32_MAX, 0, UINT32_MAX },
		{ "4294967296", 0, UINT32_MAX, -ERANGE, 0 },
		{ "99999999999999999999999999", 0, UINT32_MAX, -ERANGE, 0 },
		{ "99999999999999999999999999x", 0, UINT32_MAX, -EINVAL, 0 },
		{ "5", 5, 5, 0, 5 },
		{ "4", 5, 6, -ERANGE, 0 },
		{ "7", 5, 6, -ERANGE, 0 },
		{ "", 0, 9, -EINVAL, 0 },
		{ "+1", 0, 9, -EINVAL, 0 },
		{ "-1", 0, 9, -EINVAL, 0 },
		{ " 1", 0, 9, -EINVAL, 0 },
		{ "1 ", 0, 9, -EINVAL, 0 },
		{ "01", 0, 9, -EINVAL, 0 },
		{ "0x1", 0, 9, -EINVAL, 0 },
		{ "1.0", 0, 9, -EINVAL, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		__u32 value = 0x5a5a5a5a;

		assert_int_equal(parse_u32(cases[i].text, cases[i].min, cases[i].max, &value),
				 cases[i].r);
		assert_int_equal(value, cases[i].r ? 0x5a5a5a5a : cases[i].value);
	}
}

static void test_port_range(void **state)
{
	static const char *const bad[] = {
		"",	 "0",	 "65536",   "-",    "1-",  "-1",   "1-65536",  "0-1",
		"1-2-3", "http", "8000 -1", "0x50", "080", "1--2", "123456-7",
	};
	__u16 from = 7, to = 7;
	struct err e;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(port_range_parse(bad[i], &from, &to, &e), -EINVAL);
		assert_non_null(strstr(e.text, "' is not a port or a range of ports; write 1 to "
					       "65535, or FROM-TO"));
	}
	assert_int_equal(port_range_parse("8100-8000", &from, &to, &e), -EINVAL);
	assert_string_equal(e.text,
			    "'8100-8000' is a range of no ports; did you mean '8000-8100'?");
	assert_int_equal(from, 7);
	assert_int_equal(to, 7);

	assert_int_equal(port_range_parse("22", &from, &to, &e), 0);
	assert_int_equal(from, 22);
	assert_int_equal(to, 22);
	assert_int_equal(port_range_parse("1-65535", &from, &to, &e), 0);
	assert_int_equal(from, 1);
	assert_int_equal(to, 65535);
	assert_int_equal(port_range_parse("80-80", &from, &to, &e), 0);
	assert_int_equal(from, 80);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addr_round_trip),	   cmocka_unit_test(test_addr_errors),
		cmocka_unit_test(test_addr_port_format),   cmocka_unit_test(test_prefix_round_trip),
		cmocka_unit_test(test_prefix_errors),	   cmocka_unit_test(test_prefix_contains),
		cmocka_unit_test(test_addr_from_sockaddr), cmocka_unit_test(test_parse_u32),
		cmocka_unit_test(test_port_range),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
