// SPDX-License-Identifier: GPL-2.0
/* probe.h and ssh.h: imagined packets under a small policy, and the session that a fence would cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "addr.h"
#include "compile.h"
#include "probe.h"
#include "ssh.h"

#define NETNS 77

static struct tf_addr addr_of(const char *text)
{
	struct tf_addr a;

	assert_int_equal(addr_parse(text, &a, NULL), 0);
	return a;
}

/* wg0 (tun) to 203.0.113.7:51820 from port 40000; SSH's answers may leave. */
static struct policy_endpoint endpoints[1];
static struct tf_inbound_key inbound[] = { { .port = 22, .protocol = IPPROTO_TCP } };
static struct policy policy = {
	.rodata = {
		.abi = TF_ABI,
		.netns = NETNS,
		.has_inbound = 1,
		.tunnel_count = 1,
		.tunnels = { { .name = { "wg0" }, .kind = { "tun" }, .local_port = 40000,
			       .wireguard = 1 } },
	},
	.endpoints = endpoints,
	.endpoint_count = 1,
	.inbound = inbound,
	.inbound_count = 1,
};

static struct link all_links[] = {
	{ .ifindex = 1, .name = { "lo" }, .flags = IFF_LOOPBACK | IFF_UP },
	{ .ifindex = 2, .name = { "eth0" }, .flags = IFF_UP },
	{ .ifindex = 3, .name = { "wg0" }, .kind = { "tun" }, .flags = IFF_UP },
	{ .ifindex = 4, .name = { "wg0" }, .kind = { "dummy" }, .flags = IFF_UP },
};

static int make_policy(void **state)
{
	(void)state;
	endpoints[0].key = (struct tf_endpoint_key){ .addr = addr_of("203.0.113.7"),
						     .port = 51820,
						     .protocol = IPPROTO_UDP };
	endpoints[0].value.tunnels = 1;
	return 0;
}

static enum tf_reason reason_of(const struct probe *p)
{
	struct tf_decision d = {};
	struct err e = {};

	assert_int_equal(probe_judge(p, &policy.rodata, &policy_tables, &policy, &d, &e), 0);
	return d.reason;
}

static struct probe probe_to(__u8 protocol, const char *dst, __u16 port)
{
	struct probe p = { .protocol = protocol, .dst = addr_of(dst), .dport = port,
			   .link = &all_links[1] };

	p.src = tf_addr_is_v4(&p.dst) ? addr_of("192.0.2.2") : addr_of("2001:db8::2");
	return p;
}

static void each_kind_of_packet_gets_its_reason(void **state)
{
	struct probe p = probe_to(IPPROTO_UDP, "9.9.9.9", 53);

	(void)state;
	assert_int_equal(reason_of(&p), TF_REASON_NAME_LOOKUP);
	p = probe_to(IPPROTO_UDP, "9.9.9.9", 54);
	assert_int_equal(reason_of(&p), TF_REASON_NOT_ALLOWED);
	p = probe_to(IPPROTO_ICMP, "2001:db8::1", 0);
	assert_int_equal(reason_of(&p), TF_REASON_NOT_ALLOWED);
	p = probe_to(IPPROTO_TCP, "2001:db8::1", 443);
	assert_int_equal(reason_of(&p), TF_REASON_NOT_ALLOWED);
	p.link = NULL;
	assert_int_equal(reason_of(&p), TF_REASON_NOT_ALLOWED);
}

static void the_device_decides_first(void **state)
{
	struct probe p = probe_to(IPPROTO_TCP, "9.9.9.9", 443);

	(void)state;
	p.link = &all_links[0];
	assert_int_equal(reason_of(&p), TF_REASON_LOOPBACK);
	p.link = &all_links[2];
	assert_int_equal(reason_of(&p), TF_REASON_TUNNEL);
	p.link = &all_links[3]; /* of the right name, but a dummy */
	assert_int_equal(reason_of(&p), TF_REASON_NOT_ALLOWED);
}

static void only_the_tunnel_reaches_its_endpoint(void **state)
{
	struct probe p = probe_to(IPPROTO_UDP, "203.0.113.7", 51820);

	(void)state;
	p.sport = 40000;
	assert_int_equal(reason_of(&p), TF_REASON_NOT_ALLOWED); /* not WireGuard's shape */
	p.wireguard = true;
	assert_int_equal(reason_of(&p), TF_REASON_ENDPOINT);
	p.sport = 40001;
	assert_int_equal(reason_of(&p), TF_REASON_NOT_ALLOWED);
	p.sport = 40000;
	p.owner = TF_OWNER_PACKET;
	assert_int_equal(reason_of(&p), TF_REASON_NOT_ALLOWED);
}

static void what_arrives_is_asked_the_other_way(void **state)
{
	struct native_address own = { .addr = addr_of("192.0.2.2"), .whose = TF_WHOSE_OWN };
	struct probe p = { .protocol = IPPROTO_TCP, .src = addr_of("198.51.100.9"),
			   .dst = own.addr, .sport = 50000, .dport = 22, .syn = true,
			   .plane = TF_PLANE_INGRESS, .link = &all_links[1] };

	(void)state;
	assert_int_equal(reason_of(&p), TF_REASON_OUT_OF_SCOPE); /* no ingress plane */
	policy.rodata.ingress = 1;
	assert_int_equal(reason_of(&p), TF_REASON_OTHER_ADDRESS);
	p.addresses = &own;
	p.address_count = 1;
	assert_int_equal(reason_of(&p), TF_REASON_INBOUND);
	p.dport = 2222;
	assert_int_equal(reason_of(&p), TF_REASON_UNASKED);
	p.protocol = IPPROTO_UDP;
	p.src = addr_of("203.0.113.7");
	p.sport = 51820;
	p.dport = 40000;
	assert_int_equal(reason_of(&p), TF_REASON_UNASKED); /* not WireGuard's shape */
	p.wireguard = true;
	assert_int_equal(reason_of(&p), TF_REASON_ENDPOINT);
	policy.rodata.ingress = 0;
}

static void families_must_agree(void **state)
{
	struct probe p = probe_to(IPPROTO_TCP, "9.9.9.9", 443);
	struct tf_decision d = { .reason = TF_REASON_LAN };
	struct err e = {};

	(void)state;
	p.src = addr_of("2001:db8::2");
	assert_int_equal(probe_judge(&p, &policy.rodata, &policy_tables, &policy, &d, &e), -EINVAL);
	assert_int_equal(d.reason, TF_REASON_LAN);
}

static void a_session_is_read_from_its_variable(void **state)
{
	static const char *const wrong[] = { "", "192.0.2.9 1 192.0.2.2", "x 1 192.0.2.2 22",
					     "192.0.2.9 0 192.0.2.2 22", "192.0.2.9 1 192.0.2.2 x" };
	struct ssh_session s = {};
	size_t i;

	(void)state;
	assert_true(ssh_parse("192.0.2.9 50000 192.0.2.2 22", &s));
	assert_int_equal(s.client_port, 50000);
	assert_int_equal(s.server_port, 22);
	assert_true(ssh_parse("fe80::1%eth0 50000 fe80::2%eth0 2222", &s));
	assert_int_equal(s.server_port, 2222);
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_false(ssh_parse(wrong[i], &s));
	assert_int_equal(s.server_port, 2222);
}

static void a_session_that_would_be_cut_is_named(void **state)
{
	struct link_addr addrs[] = { { .ifindex = 2, .addr = addr_of("192.0.2.2") },
				     { .ifindex = 3, .addr = addr_of("10.0.0.2") } };
	struct links links = { .links = all_links, .count = 3, .addrs = addrs, .addr_count = 2 };
	struct ssh_session s;
	struct err e = {};

	(void)state;
	assert_true(ssh_parse("198.51.100.9 50000 192.0.2.2 22", &s));
	assert_int_equal(ssh_check(&s, &policy, &links, &e), 0); /* InboundTCP=22 */
	policy.rodata.ingress = 1;
	assert_int_equal(ssh_check(&s, &policy, &links, &e), 0);
	policy.rodata.ingress = 0;
	assert_true(ssh_parse("198.51.100.9 50000 192.0.2.2 2222", &s));
	assert_int_equal(ssh_check(&s, &policy, &links, &e), -EBUSY);
	assert_non_null(strstr(e.text, "InboundTCP=2222"));
	assert_non_null(strstr(e.text, "198.51.100.9"));
	assert_true(ssh_parse("10.0.0.1 50000 10.0.0.2 2222", &s)); /* came by the tunnel */
	assert_int_equal(ssh_check(&s, &policy, &links, &e), 0);
	assert_true(ssh_parse("198.51.100.9 50000 203.0.113.50 2222", &s)); /* behind NAT */
	assert_int_equal(ssh_check(&s, &policy, &links, &e), -EBUSY);
}

static void a_session_cut_on_its_way_in_is_named(void **state)
{
	struct policy_prefix lan = { .key = { .bits = 128, .addr = addr_of("192.168.1.9") },
				     .value.lan = 1 };
	struct policy home = { .rodata = policy.rodata, .prefixes = &lan, .prefix_count = 1 };
	struct link_addr addrs[] = { { .ifindex = 2, .addr = addr_of("192.168.1.2") } };
	struct links links = { .links = all_links, .count = 2, .addrs = addrs, .addr_count = 1 };
	struct ssh_session s;
	struct err e = {};

	(void)state;
	home.rodata.has_prefixes = 1;
	assert_true(ssh_parse("192.168.1.9 50000 192.168.1.2 53", &s));
	assert_int_equal(ssh_check(&s, &home, &links, &e), 0);
	home.rodata.ingress = 1; /* its packets look like name lookups */
	assert_int_equal(ssh_check(&s, &home, &links, &e), -EBUSY);
	assert_true(ssh_parse("192.168.1.9 50000 192.168.1.2 2222", &s));
	assert_int_equal(ssh_check(&s, &home, &links, &e), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_kind_of_packet_gets_its_reason),
		cmocka_unit_test(the_device_decides_first),
		cmocka_unit_test(only_the_tunnel_reaches_its_endpoint),
		cmocka_unit_test(what_arrives_is_asked_the_other_way),
		cmocka_unit_test(families_must_agree),
		cmocka_unit_test(a_session_is_read_from_its_variable),
		cmocka_unit_test(a_session_that_would_be_cut_is_named),
		cmocka_unit_test(a_session_cut_on_its_way_in_is_named),
	};

	return cmocka_run_group_tests(tests, make_policy, NULL);
}
