// SPDX-License-Identifier: GPL-2.0
/* The native seams: that the scans over a policy answer as the kernel's maps would, and that no
 * load reaches behind the frame. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "addr.h"
#include "compile.h"
#include "native.h"
#include "util.h"

static struct tf_addr addr_of(const char *text)
{
	struct tf_addr addr = {};

	assert_int_equal(addr_parse(text, &addr, NULL), 0);
	return addr;
}

static struct policy_prefix prefix_of(const char *text, __u32 mark)
{
	struct prefix prefix = {};
	struct policy_prefix p = {};

	assert_int_equal(prefix_parse(text, &prefix, NULL), 0);
	p.key.bits = prefix.bits;
	p.key.addr = prefix.addr;
	p.value.first = mark;
	return p;
}

/* The number of the prefix that an address finds; 0: none. */
static __u32 longest(const struct policy *p, const char *text)
{
	struct native n = { .data = p, .tables = &policy_tables };
	struct tf_prefix_key key = { .bits = 128, .addr = addr_of(text) };
	const struct tf_prefix *found = tf_find_prefix(&n, &key);

	return found ? found->first : 0;
}

static void the_longest_prefix_wins_in_any_order(void **state)
{
	struct policy_prefix list[] = {
		prefix_of("10.0.0.0/8", 1),      prefix_of("10.1.0.0/16", 2),
		prefix_of("10.1.2.3", 3),        prefix_of("10.128.0.0/9", 4),
		prefix_of("2001:db8::/32", 5),   prefix_of("2001:db8::1", 6),
		prefix_of("2001:db8::/127", 7),
	};
	struct policy p = { .prefixes = list, .prefix_count = ARRAY_SIZE(list) };
	size_t turn;

	(void)state;
	for (turn = 0; turn < ARRAY_SIZE(list); turn++) {
		struct policy_prefix first = list[0];

		assert_int_equal(longest(&p, "10.0.0.1"), 1);
		assert_int_equal(longest(&p, "10.1.2.2"), 2);
		assert_int_equal(longest(&p, "10.1.2.3"), 3);
		assert_int_equal(longest(&p, "10.127.255.255"), 1);
		assert_int_equal(longest(&p, "10.128.0.0"), 4);
		assert_int_equal(longest(&p, "11.0.0.0"), 0);
		assert_int_equal(longest(&p, "2001:db8::"), 7);
		assert_int_equal(longest(&p, "2001:db8::1"), 6);
		assert_int_equal(longest(&p, "2001:db8::2"), 5);
		assert_int_equal(longest(&p, "2001:db9::"), 0);
		memmove(list, list + 1, sizeof(list) - sizeof(list[0]));
		list[ARRAY_SIZE(list) - 1] = first;
	}
}

static bool is_inside(const struct policy *p, const char *name)
{
	struct native n = { .data = p, .tables = &policy_tables };
	struct tf_inside_key key = { .bits = TF_NAME_LEN * 8 };

	memcpy(key.name, name, strlen(name));
	return tf_find_inside(&n, &key);
}

static void a_pattern_is_a_prefix_and_a_name_is_not(void **state)
{
	struct tf_inside_key list[] = { { .bits = 3 * 8, .name = "br-" },
					{ .bits = 5 * 8, .name = "lan0" } };
	struct policy p = { .inside = list, .inside_count = ARRAY_SIZE(list) };

	(void)state;
	assert_true(is_inside(&p, "br-"));
	assert_true(is_inside(&p, "br-0123456789ab"));
	assert_false(is_inside(&p, "br"));
	assert_true(is_inside(&p, "lan0"));
	assert_false(is_inside(&p, "lan01"));
	assert_false(is_inside(&p, "lan"));
	assert_false(is_inside(&p, ""));
}

static void a_key_matches_as_a_whole(void **state)
{
	struct policy_endpoint endpoint = {
		.key = { .addr = addr_of("192.0.2.1"), .port = 53, .protocol = 17 },
		.value.tunnels = 5,
	};
	struct tf_inbound_key port = { .port = 22, .protocol = 6 };
	struct policy p = { .endpoints = &endpoint, .endpoint_count = 1, .inbound = &port,
			    .inbound_count = 1 };
	struct native n = { .data = &p, .tables = &policy_tables };
	struct tf_endpoint_key key = endpoint.key;
	struct tf_inbound_key other = port;

	(void)state;
	assert_int_equal(tf_find_endpoint(&n, &key)->tunnels, 5);
	assert_null(tf_find_live(&n, &key));
	key.protocol = 6;
	assert_null(tf_find_endpoint(&n, &key));
	key = endpoint.key;
	key.port = 54;
	assert_null(tf_find_endpoint(&n, &key));
	assert_true(tf_find_inbound(&n, &other));
	other.protocol = 17;
	assert_false(tf_find_inbound(&n, &other));
}

static void indexes_and_names_end(void **state)
{
	struct tf_service service = { .from = 1, .to = 2 };
	struct policy_uplink uplink = { .name.text = "eth0", .value.number = 7 };
	struct policy p = { .services = &service, .service_count = 1, .uplinks = &uplink,
			    .uplink_count = 1 };
	struct native n = { .data = &p, .tables = &policy_tables };
	struct tf_name name = { .text = "eth0" };

	(void)state;
	assert_int_equal(tf_find_service(&n, 0)->to, 2);
	assert_null(tf_find_service(&n, 1));
	assert_null(tf_find_service(&n, ~0U));
	assert_int_equal(tf_find_uplink(&n, &name)->number, 7);
	name.text[3] = '1';
	assert_null(tf_find_uplink(&n, &name));
}

static void an_address_is_what_the_device_says(void **state)
{
	const struct native_address list[] = {
		{ .addr = addr_of("10.0.0.2"), .whose = TF_WHOSE_OWN },
		{ .addr = addr_of("10.0.0.255"), .whose = TF_WHOSE_BROADCAST },
		{ .addr = addr_of("fe80::2"), .whose = TF_WHOSE_OWN },
	};
	struct native n = { .addresses = list, .address_count = ARRAY_SIZE(list), .mac = { 2 } };
	const __u8 mac[6] = { 2 }, other[6] = { 2, [5] = 1 };
	struct tf_addr addr = addr_of("10.0.0.255");

	(void)state;
	assert_int_equal(tf_whose_address(&n, &list[0].addr), TF_WHOSE_OWN);
	assert_int_equal(tf_whose_address(&n, &addr), TF_WHOSE_BROADCAST);
	addr = addr_of("fe80::3");
	assert_int_equal(tf_whose_address(&n, &addr), TF_WHOSE_OTHER);
	addr = addr_of("::10.0.0.2"); /* not the IPv4 address */
	assert_int_equal(tf_whose_address(&n, &addr), TF_WHOSE_OTHER);
	assert_true(tf_is_own_mac(&n, mac));
	assert_false(tf_is_own_mac(&n, other));
}

static void no_load_reaches_behind_the_frame(void **state)
{
	const __u8 frame[4] = { 1, 2, 3, 4 };
	struct native n = { .frame = frame, .bytes = sizeof(frame) };
	__u8 to[8] = {};

	(void)state;
	assert_int_equal(tf_load(&n, 0, to, 4), 0);
	assert_memory_equal(to, frame, 4);
	assert_int_equal(tf_load(&n, 3, to, 1), 0);
	assert_int_equal(to[0], 4);
	assert_int_not_equal(tf_load(&n, 0, to, 5), 0);
	assert_int_not_equal(tf_load(&n, 4, to, 1), 0);
	assert_int_not_equal(tf_load(&n, ~0U, to, 2), 0);
	assert_int_not_equal(tf_load(&n, 2, to, ~0U), 0);
}

/* What is said at the socket hook of nothing at all that leaves by such a device, of kind tun. */
static enum tf_reason leaves_by(const char *name, __u32 ifindex, __u32 netns)
{
	const struct policy p = { .rodata = {
		.netns = 7,
		.tunnel_count = 1,
		.tunnels = { { .name = { "to-office-1" }, .kind = { "tun" } } },
	} };
	struct native n = { .data = &p, .tables = &policy_tables, .owner = TF_OWNER_INET,
			    .device = { .netns = netns }, .kind = { "tun" } };
	struct tf_meta meta = { .plane = TF_PLANE_SOCKET, .ifindex = ifindex };

	snprintf(n.device.name.text, sizeof(n.device.name.text), "%s", name);
	return native_judge(&n, &p.rodata, &meta).reason;
}

static void a_device_is_not_what_it_is_called(void **state)
{
	(void)state;
	assert_int_equal(leaves_by("lo", 1, 7), TF_REASON_LOOPBACK);
	assert_int_equal(leaves_by("eth0", 1, 7), TF_REASON_LOOPBACK);
	assert_int_equal(leaves_by("lo", 2, 7), TF_REASON_SHORT);
	assert_int_equal(leaves_by("to-office-1", 2, 7), TF_REASON_TUNNEL);
	assert_int_equal(leaves_by("to-office-2", 2, 7), TF_REASON_SHORT);
	assert_int_equal(leaves_by("to-office-1", 2, 8), TF_REASON_OUT_OF_SCOPE);
	assert_int_equal(leaves_by("to-office-1", 2, 0), TF_REASON_SHORT); /* could not be read */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_longest_prefix_wins_in_any_order),
		cmocka_unit_test(a_pattern_is_a_prefix_and_a_name_is_not),
		cmocka_unit_test(a_key_matches_as_a_whole),
		cmocka_unit_test(indexes_and_names_end),
		cmocka_unit_test(an_address_is_what_the_device_says),
		cmocka_unit_test(no_load_reaches_behind_the_frame),
		cmocka_unit_test(a_device_is_not_what_it_is_called),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
