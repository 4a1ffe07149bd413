// SPDX-License-Identifier: GPL-2.0
/*
 * compile(): every field of a policy but its prefixes and services, which test_prefixes.c has;
 * the limits, what is refused, and that nothing depends on order or on stray bytes.
 */
#include "compile_fixture.h"

#include <netinet/in.h>

static const struct policy_endpoint *find(const struct policy_endpoint *items, size_t count,
					  const char *addr, __u16 port, __u8 protocol)
{
	struct tf_endpoint_key key = { .addr = addr_of(addr), .port = port,
				       .protocol = protocol };
	size_t i;

	for (i = 0; i < count; i++) {
		if (!memcmp(&items[i].key, &key, sizeof(key)))
			return &items[i];
	}
	return NULL;
}

static __u32 literal_bits(const struct policy *p, const char *addr, __u16 port, __u8 protocol)
{
	const struct policy_endpoint *found = find(p->endpoints, p->endpoint_count, addr, port,
						   protocol);

	return found ? found->value.tunnels : 0;
}

static __u32 live_bits(const struct policy *p, const char *addr, __u16 port, __u8 protocol)
{
	const struct policy_endpoint *found = find(p->live, p->live_count, addr, port, protocol);

	return found ? found->value.tunnels : 0;
}

static void add_literal(struct fixture *f, size_t tunnel, const char *addr, __u16 port)
{
	struct tf_addr parsed = addr_of(addr);

	fixture_add_literal(f, tunnel, IPPROTO_UDP, &parsed, port);
}

static void add_peer(struct fixture *f, size_t tunnel, const char *addr, __u16 port)
{
	struct tf_addr parsed = addr_of(addr);

	fixture_add_peer(f, tunnel, &parsed, port);
}

static void add_resolved(struct fixture *f, size_t tunnel, const char *addr, __u16 port)
{
	struct tf_addr parsed = addr_of(addr);

	fixture_add_resolved(f, tunnel, IPPROTO_UDP, &parsed, port);
}

static void add_inside(struct fixture *f, const char *name, __u32 bytes)
{
	struct tf_inside_key *key = &f->inside[f->c.inside_count++];

	key->bits = bytes * 8;
	strcpy(key->name, name);
}

static void the_least_fence_allows_nothing(void **state)
{
	_cleanup_free_ struct fixture *f = fixture_new();
	_cleanup_policy_ struct policy *p = fixture_compile(f);

	(void)state;
	assert_int_equal(p->rodata.abi, TF_ABI);
	assert_int_equal(p->rodata.netns, 4026531840U);
	assert_int_equal(p->rodata.mode, TF_MODE_ENFORCE);
	assert_int_equal(p->rodata.scope, TF_SCOPE_SYSTEM);
	assert_int_equal(p->rodata.dhcp, 0);
	assert_int_equal(p->rodata.resolver_port, 0);
	assert_int_equal(p->rodata.has_inside, 0);
	assert_int_equal(p->rodata.has_prefixes, 0);
	assert_int_equal(p->rodata.has_inbound, 0);
	assert_int_equal(p->rodata.ingress, 1);
	assert_int_equal(p->rodata.tunnel_count, 1);
	assert_int_equal(p->endpoint_count, 0);
	assert_int_equal(p->live_count, 0);
	assert_int_equal(p->prefix_count, 0);
	assert_int_equal(p->service_count, 0);
	assert_int_equal(p->uplink_count, 0);
	assert_int_equal(p->inside_count, 0);
	assert_int_equal(p->inbound_count, 0);
	assert_int_equal(p->tunnel_count, 1);
}

static void rodata_says_what_was_configured(void **state)
{
	_cleanup_free_ struct fixture *f = fixture_new();
	_cleanup_policy_ struct policy *p = NULL;

	(void)state;
	f->groups[0] = (struct cgroup){ .id = 0x123456789abULL, .level = 3 };
	f->groups[1] = (struct cgroup){ .id = 17, .level = 1 };
	f->w.groups.count = 2;
	f->c.mode = TF_MODE_OBSERVE;
	f->c.scope = TF_SCOPE_CGROUP;
	f->c.dhcp = true;
	f->c.bootstrap = prefix_of("9.9.9.9").addr;
	f->c.bootstrap_port = 5353;
	f->c.inbound_count = f->c.lan_count = 1;
	f->inbound[0] = (struct config_ports){ IPPROTO_TCP, 22, 22 };
	f->lan[0] = prefix_of("10.0.0.0/8");
	add_inside(f, "br-", 3);
	memset(f->c.name, 'n', 63);

	p = fixture_compile(f);
	assert_int_equal(p->rodata.group_count, 2);
	assert_true(p->rodata.groups[0].id == 0x123456789abULL);
	assert_int_equal(p->rodata.groups[0].level, 3);
	assert_int_equal(p->rodata.groups[1].id, 17);
	assert_int_equal(p->rodata.groups[1].level, 1);
	assert_int_equal(p->rodata.groups[2].id, 0);
	assert_int_equal(p->rodata.mode, TF_MODE_OBSERVE);
	assert_int_equal(p->rodata.scope, TF_SCOPE_CGROUP);
	assert_int_equal(p->rodata.dhcp, 1);
	assert_int_equal(p->rodata.resolver_port, 5353);
	assert_int_equal(p->rodata.resolver.byte[12], 9);
	assert_int_equal(p->rodata.has_inside, 1);
	assert_true(p->rodata.inside_initials['b' / 64] == 1ULL << 'b' % 64);
	assert_true(p->rodata.inside_initials[0] == 0);
	assert_true(p->rodata.inbound_ports[0] == 1ULL << 22);
	assert_true(p->rodata.inbound_ports[1] == 0);
	assert_int_equal(p->rodata.has_prefixes, 1);
	assert_int_equal(p->rodata.has_inbound, 1);
	assert_string_equal(p->rodata.fence, f->c.name);
	assert_int_equal(strlen(p->rodata.fence), 63);
}

static void exempt_groups_are_taken_over(void **state)
{
	struct cgroup exempt[TF_MAX_EXEMPT + 1] = {};
	_cleanup_free_ struct fixture *f = fixture_new();
	_cleanup_policy_ struct policy *p = fixture_compile(f), *q = NULL, *r = NULL;
	struct err e = {};
	size_t i;

	(void)state;
	assert_int_equal(p->rodata.exempt_count, 0);
	f->c.exempt = (struct config_exempt){ .any = true, .names = true, .mark = 0x17 };
	for (i = 0; i <= TF_MAX_EXEMPT; i++)
		exempt[i] = (struct cgroup){ .id = 100 + i, .level = 2 + (__u32)i, .path = "/x" };
	/* Without a group nobody is, whatever else is said. */
	q = fixture_compile(f);
	assert_int_equal(q->rodata.exempt_count, 0);
	assert_int_equal(q->rodata.exempt_names, 0);
	f->w.exempt = (struct cgroups){ .list = exempt, .count = TF_MAX_EXEMPT };
	policy_free(q);
	q = fixture_compile(f);
	assert_int_equal(q->rodata.exempt_count, TF_MAX_EXEMPT);
	assert_int_equal(q->rodata.exempt[TF_MAX_EXEMPT - 1].id, 100 + TF_MAX_EXEMPT - 1);
	assert_int_equal(q->rodata.exempt[TF_MAX_EXEMPT - 1].level, 2 + TF_MAX_EXEMPT - 1);
	assert_int_equal(q->rodata.exempt_names, 1);
	assert_int_equal(q->rodata.exempt_mark, 0x17);
	f->w.exempt.count++;
	assert_int_equal(compile(&f->c, &f->w, &r, &e), -E2BIG);
	assert_non_null(strstr(e.text, "TF_MAX_EXEMPT"));
	/* The hierarchy's root is everybody. */
	f->w.exempt.count = 1;
	exempt[0].level = 0;
	assert_int_equal(compile(&f->c, &f->w, &r, &e), -EINVAL);
	assert_non_null(strstr(e.text, "'/x' holds every cgroup there is"));
	assert_null(r);
}

/* What comes in is judged for the whole machine, unless it was said not to. */
static void the_way_in_is_the_machines(void **state)
{
	static const struct {
		enum tf_scope scope;
		bool accept;
		int ingress;
	} ways[] = {
		{ TF_SCOPE_SYSTEM, false, 1 },
		{ TF_SCOPE_SYSTEM, true, 0 },
		{ TF_SCOPE_CGROUP, false, 0 },
		{ TF_SCOPE_CGROUP, true, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		_cleanup_free_ struct fixture *f = fixture_new();
		_cleanup_policy_ struct policy *p = NULL;

		f->c.scope = ways[i].scope;
		f->c.inbound_accept = ways[i].accept;
		p = fixture_compile(f);
		assert_int_equal(p->rodata.ingress, ways[i].ingress);
	}
}

static void a_destination_alone_makes_prefixes(void **state)
{
	_cleanup_free_ struct fixture *f = fixture_new();
	_cleanup_policy_ struct policy *p = NULL;

	(void)state;
	fixture_allow(f, "192.0.2.1", IPPROTO_UDP, 123, 123);
	p = fixture_compile(f);
	assert_int_equal(p->rodata.has_prefixes, 1);
}

static void tunnels_keep_their_conditions(void **state)
{
	_cleanup_free_ struct fixture *f = fixture_new();
	_cleanup_policy_ struct policy *p = NULL;
	const struct tf_tunnel *t;

	(void)state;
	fixture_add_tunnel(f, "tun0", "tun");
	f->tunnels[0].mark = 0xca6c;
	f->tunnels[0].listen_port = 51820;
	f->tunnels[0].uplink = name_of("eth0");
	f->tunnels[1].any_protocol = true;
	f->tunnels[1].kind = name_of("not this one");
	f->seen[1].device.mark = 7;
	f->seen[1].device.listen_port = 7;

	p = fixture_compile(f);
	t = p->rodata.tunnels;
	assert_string_equal(t[0].name.text, "wg0");
	assert_string_equal(t[0].kind.text, "wireguard");
	assert_string_equal(t[0].uplink.text, "eth0");
	assert_int_equal(t[0].mark, 0xca6c);
	assert_int_equal(t[0].local_port, 51820);
	assert_int_equal(t[0].wireguard, 1);
	assert_int_equal(t[0].in_kernel, 1);
	assert_string_equal(t[1].name.text, "tun0");
	assert_string_equal(t[1].kind.text, "tun");
	assert_string_equal(t[1].uplink.text, "");
	assert_int_equal(t[1].mark, 0);
	assert_int_equal(t[1].local_port, 0);
	assert_int_equal(t[1].wireguard, 0);
	assert_int_equal(t[1].in_kernel, 0);
	assert_memory_equal(&t[2], &(struct tf_tunnel){}, sizeof(t[2]));
}

static void tunnel_states_are_for_display(void **state)
{
	_cleanup_free_ struct fixture *f = fixture_new();
	_cleanup_policy_ struct policy *p = NULL;

	(void)state;
	fixture_add_tunnel(f, "tun0", "tun");
	f->seen[0].ifindex = 7;

	p = fixture_compile(f);
	assert_int_equal(p->tunnel_count, 2);
	assert_string_equal(p->tunnels[0].name.text, "tun0"); /* sorted */
	assert_int_equal(p->tunnels[0].value.ifindex, 0);
	assert_string_equal(p->tunnels[1].name.text, "wg0");
	assert_string_equal(p->tunnels[1].value.kind, "wireguard");
	assert_int_equal(p->tunnels[1].value.netns, 4026531840U);
	assert_int_equal(p->tunnels[1].value.ifindex, 7);
}

static void endpoints_know_their_tunnels(void **state)
{
	_cleanup_free_ struct fixture *f = fixture_new();
	_cleanup_policy_ struct policy *p = NULL;
	struct tf_addr tcp = addr_of("198.51.100.9");

	(void)state;
	fixture_add_tunnel(f, "wg1", "tun");
	add_literal(f, 0, "203.0.113.7", 51820);
	add_literal(f, 1, "203.0.113.7", 51820);
	add_literal(f, 1, "203.0.113.7", 51821);
	fixture_add_literal(f, 1, IPPROTO_TCP, &tcp, 443);
	f->endpoints[0][1] = (struct config_endpoint){ .protocol = IPPROTO_UDP, .port = 51820,
						       .host = "vpn.example", .addr = tcp };
	f->tunnels[0].endpoint_count = 2;

	p = fixture_compile(f);
	assert_int_equal(p->endpoint_count, 3);
	assert_int_equal(literal_bits(p, "203.0.113.7", 51820, IPPROTO_UDP), 3);
	assert_int_equal(literal_bits(p, "203.0.113.7", 51821, IPPROTO_UDP), 2);
	assert_int_equal(literal_bits(p, "198.51.100.9", 443, IPPROTO_TCP), 2);
	assert_int_equal(literal_bits(p, "198.51.100.9", 443, IPPROTO_UDP), 0);
}

/* Of the map and of the policy's own few it must not matter which one is asked. */
static void the_first_endpoints_are_near(void **state)
{
	_cleanup_free_ struct fixture *f = fixture_new();
	_cleanup_policy_ struct policy *p = NULL;
	size_t i;

	(void)state;
	add_literal(f, 0, "203.0.113.7", 51820);
	add_literal(f, 0, "203.0.113.7", 51821);
	p = fixture_compile(f);
	assert_int_equal(p->rodata.endpoint_count, 2);
	for (i = 0; i < 2; i++) {
		assert_memory_equal(&p->rodata.near[i].key, &p->endpoints[i].key,
				    sizeof(p->endpoints[i].key));
		assert_int_equal(p->rodata.near[i].value.tunnels, 1);
	}
	assert_int_equal(p->rodata.near[2].key.protocol, 0);

	policy_free(TAKE_PTR(p));
	for (i = 2; i <= TF_NEAR_ENDPOINTS; i++)
		add_literal(f, 0, "203.0.113.7", (__u16)(51820 + i));
	p = fixture_compile(f);
	assert_int_equal(p->rodata.endpoint_count, TF_NEAR_ENDPOINTS + 1);
	assert_memory_equal(&p->rodata.near[TF_NEAR_ENDPOINTS - 1].key,
			    &p->endpoints[TF_NEAR_ENDPOINTS - 1].key, sizeof(p->endpoints[0].key));
}

static void ipv6_endpoints_may_be_neighbours(void **state)
{
	_cleanup_free_ struct fixture *f = fixture_new();
	_cleanup_policy_ struct policy *p = NULL;

	(void)state;
	fixture_add_tunnel(f, "wg1", "wireguard");
	add_literal(f, 0, "2001:db8::1", 51820);
	add_literal(f, 1, "2001:db8::1", 51821);
	add_peer(f, 0, "2001:db8::2", 51820);

	p = fixture_compile(f);
	assert_int_equal(p->endpoint_count, 3);
	assert_int_equal(literal_bits(p, "2001:db8::1", 51820, IPPROTO_UDP), 1);
	assert_int_equal(literal_bits(p, "2001:db8::1", 51821, IPPROTO_UDP), 2);
	assert_int_equal(literal_bits(p, "2001:db8::1", 0, IPPROTO_ICMPV6), 3);
	assert_int_equal(p->live_count, 2);
	assert_int_equal(live_bits(p, "2001:db8::2", 51820, IPPROTO_UDP), 1);
	assert_int_equal(live_bits(p, "2001:db8::2", 0, IPPROTO_ICMPV6), 1);
}

static void live_endpoints_come_from_devices_and_names(void **state)
{
	_cleanup_free_ struct fixture *f = fixture_new();
	_cleanup_policy_ struct policy *p = NULL;
	struct tf_addr tcp = addr_of("198.51.100.3");

	(void)state;
	fixture_add_tunnel(f, "wg1", "tun");
	add_peer(f, 0, "198.51.100.1", 1);
	add_peer(f, 1, "198.51.100.1", 1);
	add_resolved(f, 0, "198.51.100.2", 2);
	fixture_add_resolved(f, 1, IPPROTO_TCP, &tcp, 3);

	p = fixture_compile(f);
	assert_int_equal(p->endpoint_count, 0);
	assert_int_equal(p->live_count, 3);
	assert_int_equal(live_bits(p, "198.51.100.1", 1, IPPROTO_UDP), 3);
	assert_int_equal(live_bits(p, "198.51.100.2", 2, IPPROTO_UDP), 1);
	assert_int_equal(live_bits(p, "198.51.100.3", 3, IPPROTO_TCP), 2);
}

static void live_endpoints_repeat_no_literal(void **state)
{
	_cleanup_free_ struct fixture *f = fixture_new();
	_cleanup_policy_ struct policy *p = NULL;

	(void)state;
	fixture_add_tunnel(f, "wg1", "tun");
	add_literal(f, 0, "2001:db8::1", 51820);
	add_peer(f, 0, "2001:db8::1", 51820);
	add_peer(f, 0, "2001:db8::1", 51821); /* the address is known, the port is not */
	p = fixture_compile(f);
	assert_int_equal(p->live_count, 1);
	assert_int_equal(live_bits(p, "2001:db8::1", 51821, IPPROTO_UDP), 1);
}

static void live_endpoints_add_the_other_tunnel(void **state)
{
	_cleanup_free_ struct fixture *f = fixture_new();
	_cleanup_policy_ struct policy *p = NULL;

	(void)state;
	fixture_add_tunnel(f, "wg1", "tun");
	add_literal(f, 0, "203.0.113.7", 51820);
	add_peer(f, 0, "203.0.113.7", 51820);
	add_resolved(f, 1, "203.0.113.7", 51820);
	p = fixture_compile(f);
	assert_int_equal(p->live_count, 1);
	assert_int_equal(live_bits(p, "203.0.113.7", 51820, IPPROTO_UDP), 2);
}

static void strangers_are_not_asked_for_endpoints(void **state)
{
	_cleanup_free_ struct fixture *f = fixture_new();
	_cleanup_policy_ struct policy *p = NULL;

	(void)state;
	fixture_add_tunnel(f, "wg1", "tun");
	add_peer(f, 0, "198.51.100.1", 1);
	add_resolved(f, 0, "198.51.100.2", 2);
	add_peer(f, 1, "198.51.100.3", 3);
	f->seen[0].kind_mismatch = true;
	f->seen[1].answered = false;
	p = fixture_compile(f);
	assert_int_equal(p->live_count, 1);
	assert_int_equal(live_bits(p, "198.51.100.2", 2, IPPROTO_UDP), 1);
}

static void no_endpoint_is_where_no_tunnel_ends(void **state)
{
	static const char *const never[] = {
		"0.0.0.0", "127.0.0.1", "127.255.255.255", "224.0.0.1", "239.255.255.255",
		"255.255.255.255", "::", "::1", "ff02::1", "ffff::1",
	};
	_cleanup_free_ struct fixture *f = fixture_new();
	_cleanup_policy_ struct policy *p = NULL;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(never); i++) {
		add_peer(f, 0, never[i], 51820);
		add_resolved(f, 0, never[i], 51820);
		add_literal(f, 0, never[i], 51820);
	}
	add_peer(f, 0, "198.51.100.1", 0);
	add_peer(f, 0, "126.255.255.255", 51820); /* next to them */
	add_peer(f, 0, "128.0.0.0", 51820);
	add_peer(f, 0, "223.255.255.255", 51820);
	add_peer(f, 0, "fe80::1", 51820);
	p = fixture_compile(f);
	assert_int_equal(p->endpoint_count, 0);
	assert_int_equal(p->live_count, 5);
}

static void fill_endpoints(struct fixture *f, size_t count, bool live)
{
	struct tf_addr addr = addr_of("198.51.0.0");
	size_t i;

	for (i = 0; i < count; i++) {
		addr.byte[14] = (__u8)(i >> 8);
		addr.byte[15] = (__u8)i;
		if (live)
			fixture_add_peer(f, 0, &addr, 51820);
		else
			fixture_add_literal(f, 0, IPPROTO_UDP, &addr, 51820);
	}
}

static void endpoints_have_a_limit(void **state)
{
	_cleanup_free_ struct fixture *f = fixture_new();
	_cleanup_policy_ struct policy *p = NULL;

	(void)state;
	fill_endpoints(f, TF_MAX_ENDPOINTS, false);
	fixture_add_tunnel(f, "wg1", "tun");
	add_literal(f, 1, "198.51.0.0", 51820); /* the same again takes no room */
	p = fixture_compile(f);
	assert_int_equal(p->endpoint_count, TF_MAX_ENDPOINTS);

	add_literal(f, 1, "203.0.113.1", 1);
	fixture_refuse(f, -E2BIG, "TF_MAX_ENDPOINTS");
}

static void live_endpoints_have_a_limit(void **state)
{
	_cleanup_free_ struct fixture *f = fixture_new();
	_cleanup_policy_ struct policy *p = NULL;
	struct policy *live = NULL;

	(void)state;
	fill_endpoints(f, TF_MAX_ENDPOINTS, true);
	p = fixture_compile(f);
	assert_int_equal(p->live_count, TF_MAX_ENDPOINTS);

	add_peer(f, 0, "203.0.113.1", 1);
	fixture_refuse(f, -E2BIG, "TF_MAX_ENDPOINTS");
	assert_int_equal(compile_live(&f->c, &f->w, &live, &f->e), -E2BIG);
	assert_null(live);
}

static void tunnels_have_a_limit(void **state)
{
	_cleanup_free_ struct fixture *f = fixture_new();
	_cleanup_policy_ struct policy *p = NULL;
	char name[TF_NAME_LEN];

	(void)state;
	while (f->c.tunnel_count < TF_MAX_TUNNELS) {
		snprintf(name, sizeof(name), "wg%zu", f->c.tunnel_count);
		fixture_add_tunnel(f, name, "wireguard");
	}
	add_literal(f, TF_MAX_TUNNELS - 1, "203.0.113.7", 51820);
	p = fixture_compile(f);
	assert_int_equal(p->rodata.tunnel_count, TF_MAX_TUNNELS);
	assert_int_equal(literal_bits(p, "203.0.113.7", 51820, IPPROTO_UDP), 1 << 15);

	fixture_add_tunnel(f, "one more", "wireguard");
	fixture_refuse(f, -E2BIG, "TF_MAX_TUNNELS");
}

static void groups_have_a_limit(void **state)
{
	_cleanup_free_ struct fixture *f = fixture_new();
	_cleanup_policy_ struct policy *p = NULL;
	size_t i;

	(void)state;
	for (i = 0; i <= TF_MAX_GROUPS; i++)
		f->groups[i] = (struct cgroup){ .id = 100 + i, .level = 2, .path = "/x" };
	f->w.groups.count = TF_MAX_GROUPS;
	p = fixture_compile(f);
	assert_int_equal(p->rodata.group_count, TF_MAX_GROUPS);
	assert_int_equal(p->rodata.groups[TF_MAX_GROUPS - 1].id, 100 + TF_MAX_GROUPS - 1);

	f->w.groups.count++;
	fixture_refuse(f, -E2BIG, "TF_MAX_GROUPS");
}

static void inside_is_sorted_and_clean(void **state)
{
	_cleanup_free_ struct fixture *f = fixture_new();
	_cleanup_policy_ struct policy *p = NULL;
	struct tf_inside_key lan0 = { .bits = 40, .name = "lan0" };
	struct tf_inside_key veth = { .bits = 32, .name = "veth" };

	(void)state;
	add_inside(f, "lan0", 5);
	add_inside(f, "veth", 4);
	add_inside(f, "lan0", 5);
	strcpy(f->inside[1].name, "vethjunk");
	p = fixture_compile(f);
	assert_int_equal(p->inside_count, 2);
	assert_memory_equal(&p->inside[0], &veth, sizeof(veth));
	assert_memory_equal(&p->inside[1], &lan0, sizeof(lan0));
}

static void inside_has_a_limit(void **state)
{
	_cleanup_free_ struct fixture *f = fixture_new();
	_cleanup_policy_ struct policy *p = NULL;
	char name[TF_NAME_LEN];
	int i;

	(void)state;
	for (i = 0; i < TF_MAX_INSIDE; i++) {
		snprintf(name, sizeof(name), "veth%03d", i);
		add_inside(f, name, 8);
	}
	p = fixture_compile(f);
	assert_int_equal(p->inside_count, TF_MAX_INSIDE);

	add_inside(f, "lan0", 5);
	fixture_refuse(f, -E2BIG, "TF_MAX_INSIDE");
}

static void inbound_ranges_become_ports(void **state)
{
	static const struct tf_inbound_key expected[] = {
		{ .port = 22, .protocol = IPPROTO_TCP },
		{ .port = 8000, .protocol = IPPROTO_TCP },
		{ .port = 8001, .protocol = IPPROTO_TCP },
		{ .port = 8002, .protocol = IPPROTO_TCP },
		{ .port = 8003, .protocol = IPPROTO_TCP },
		{ .port = 22, .protocol = IPPROTO_UDP },
		{ .port = 65534, .protocol = IPPROTO_UDP },
		{ .port = 65535, .protocol = IPPROTO_UDP },
	};
	_cleanup_free_ struct fixture *f = fixture_new();
	_cleanup_policy_ struct policy *p = NULL;
	size_t i;

	(void)state;
	f->inbound[0] = (struct config_ports){ IPPROTO_UDP, 65534, 65535 };
	f->inbound[1] = (struct config_ports){ IPPROTO_TCP, 8001, 8003 };
	f->inbound[2] = (struct config_ports){ IPPROTO_TCP, 8000, 8002 };
	f->inbound[3] = (struct config_ports){ IPPROTO_TCP, 22, 22 };
	f->inbound[4] = (struct config_ports){ IPPROTO_UDP, 22, 22 };
	f->inbound[5] = (struct config_ports){ IPPROTO_TCP, 8001, 8001 };
	f->inbound[6] = (struct config_ports){ IPPROTO_TCP, 8003, 8003 };
	f->c.inbound_count = 7;
	p = fixture_compile(f);
	assert_int_equal(p->inbound_count, ARRAY_SIZE(expected));
	assert_memory_equal(p->inbound, expected, sizeof(expected));
	for (i = 0; i < 256; i++) /* modulo 256; that of 22, 65534, 65535 and 8000 to 8003 */
		assert_int_equal(p->rodata.inbound_ports[i / 64] >> i % 64 & 1,
				 i == 22 || i >= 254 || (i >= 64 && i <= 67));
}

static void a_tunnel_needs_a_kind_and_a_name(void **state)
{
	_cleanup_free_ struct fixture *f = fixture_new();

	(void)state;
	f->seen[0].kind = (struct tf_name){};
	fixture_refuse(f, -EINVAL, "'wg0' is no virtual interface");
	f->seen[0].kind = name_of("wireguard");
	f->tunnels[0].interface = (struct tf_name){};
	fixture_refuse(f, -EINVAL, "Interface=");
}

static void contradictions_are_refused(void **state)
{
	_cleanup_free_ struct fixture *f = fixture_new();
	struct policy *live = NULL;

	(void)state;
	f->w.tunnel_count = 0;
	fixture_refuse(f, -EINVAL, "'wg0' has 1 tunnels but 0");
	assert_int_equal(compile_live(&f->c, &f->w, &live, &f->e), -EINVAL);
	assert_null(live);
	f->w.tunnel_count = 1;

	fixture_allow(f, "192.0.2.1", IPPROTO_UDP, 2, 1);
	fixture_refuse(f, -EINVAL, "line 1");
	f->destinations[0].to = 2;
	f->destinations[0].prefix.bits = 129;
	fixture_refuse(f, -EINVAL, "line 1");
	f->c.destination_count = 0;

	f->lan[0].bits = 129;
	f->c.lan_count = 1;
	fixture_refuse(f, -EINVAL, "LAN=");
	f->c.lan_count = 0;

	f->inbound[0] = (struct config_ports){ IPPROTO_TCP, 2, 1 };
	f->c.inbound_count = 1;
	fixture_refuse(f, -EINVAL, "'2-1'");
	f->c.inbound_count = 0;

	add_inside(f, "", 0); /* would match every interface there is */
	fixture_refuse(f, -EINVAL, "Inside=");
	f->inside[0].bits = 136;
	fixture_refuse(f, -EINVAL, "Inside=");
	f->inside[0].bits = 12;
	fixture_refuse(f, -EINVAL, "Inside=");
}

static void errors_may_go_unread(void **state)
{
	_cleanup_free_ struct fixture *f = fixture_new();
	struct policy *p = NULL;

	(void)state;
	f->seen[0].kind = (struct tf_name){};
	assert_int_equal(compile(&f->c, &f->w, &p, NULL), -EINVAL);
	assert_null(p);
	policy_free(NULL);
}

/* Fills the fixture with n lines of each sort, counted up or down. */
static void fill_in_order(struct fixture *f, int n, bool down)
{
	char text[64];
	int i, k;

	for (k = 0; k < n; k++) {
		i = down ? n - 1 - k : k;
		snprintf(text, sizeof(text), "10.%d.0.0/16", i);
		fixture_allow(f, text, IPPROTO_TCP, (__u16)i, 100)->uplink =
			name_of(i % 2 ? "eth0" : "wlan0");
		fixture_allow(f, "10.0.0.0/8", IPPROTO_UDP, (__u16)i, 50);
		snprintf(text, sizeof(text), "2001:db8::%d", i);
		add_literal(f, 0, text, 51820);
		add_peer(f, 0, text, 51821);
		add_resolved(f, 0, text, 51822);
		f->inbound[f->c.inbound_count++] = (struct config_ports){ 6, (__u16)i, 20 };
		f->lan[f->c.lan_count++] = prefix_of(i % 2 ? "10.3.0.0/16" : "fe80::/10");
		snprintf(text, sizeof(text), "br%02d", i);
		add_inside(f, text, 5);
	}
}

static void assert_same(const void *a, size_t a_count, const void *b, size_t b_count, size_t size)
{
	assert_int_equal(a_count, b_count);
	assert_memory_equal(a, b, a_count * size);
}

#define ASSERT_SAME(a, b, items, count)                                                            \
	assert_same((a)->items, (a)->count, (b)->items, (b)->count, sizeof(*(a)->items))

static void order_does_not_matter(void **state)
{
	_cleanup_free_ struct fixture *f = fixture_new();
	_cleanup_free_ struct fixture *g = fixture_new();
	_cleanup_policy_ struct policy *p = NULL;
	_cleanup_policy_ struct policy *q = NULL;

	(void)state;
	fill_in_order(f, 10, false);
	fill_in_order(g, 10, true);
	p = fixture_compile(f);
	q = fixture_compile(g);
	assert_memory_equal(&p->rodata, &q->rodata, sizeof(p->rodata));
	ASSERT_SAME(p, q, endpoints, endpoint_count);
	ASSERT_SAME(p, q, live, live_count);
	ASSERT_SAME(p, q, prefixes, prefix_count);
	ASSERT_SAME(p, q, services, service_count);
	ASSERT_SAME(p, q, uplinks, uplink_count);
	ASSERT_SAME(p, q, inside, inside_count);
	ASSERT_SAME(p, q, inbound, inbound_count);
	ASSERT_SAME(p, q, tunnels, tunnel_count);
	assert_int_equal(p->endpoint_count, 20);
	assert_int_equal(p->live_count, 20); /* ICMPv6 is in the literals */
	assert_int_equal(p->inbound_count, 21);
	assert_int_equal(p->uplink_count, 2);
}

static void live_alone_is_the_same_live(void **state)
{
	_cleanup_free_ struct fixture *f = fixture_new();
	_cleanup_policy_ struct policy *p = NULL;
	_cleanup_policy_ struct policy *q = NULL;

	(void)state;
	fill_in_order(f, 10, false);
	p = fixture_compile(f);
	assert_int_equal(compile_live(&f->c, &f->w, &q, &f->e), 0);
	assert_memory_equal(&p->rodata, &q->rodata, sizeof(p->rodata));
	ASSERT_SAME(p, q, live, live_count);
	ASSERT_SAME(p, q, tunnels, tunnel_count);
	assert_int_equal(q->prefix_count, 0);
	assert_int_equal(q->service_count, 0);
	assert_int_equal(q->inbound_count, 0);
	assert_int_equal(q->inside_count, 0);
}

static void live_does_not_need_a_kind(void **state)
{
	_cleanup_free_ struct fixture *f = fixture_new();
	_cleanup_policy_ struct policy *p = NULL;

	(void)state;
	f->seen[0].kind = (struct tf_name){};
	assert_int_equal(compile_live(&f->c, &f->w, &p, &f->e), 0);
	assert_non_null(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_least_fence_allows_nothing),
		cmocka_unit_test(rodata_says_what_was_configured),
		cmocka_unit_test(exempt_groups_are_taken_over),
		cmocka_unit_test(the_way_in_is_the_machines),
		cmocka_unit_test(a_destination_alone_makes_prefixes),
		cmocka_unit_test(tunnels_keep_their_conditions),
		cmocka_unit_test(tunnel_states_are_for_display),
		cmocka_unit_test(endpoints_know_their_tunnels),
		cmocka_unit_test(the_first_endpoints_are_near),
		cmocka_unit_test(ipv6_endpoints_may_be_neighbours),
		cmocka_unit_test(live_endpoints_come_from_devices_and_names),
		cmocka_unit_test(live_endpoints_repeat_no_literal),
		cmocka_unit_test(live_endpoints_add_the_other_tunnel),
		cmocka_unit_test(strangers_are_not_asked_for_endpoints),
		cmocka_unit_test(no_endpoint_is_where_no_tunnel_ends),
		cmocka_unit_test(endpoints_have_a_limit),
		cmocka_unit_test(live_endpoints_have_a_limit),
		cmocka_unit_test(tunnels_have_a_limit),
		cmocka_unit_test(groups_have_a_limit),
		cmocka_unit_test(inside_is_sorted_and_clean),
		cmocka_unit_test(inside_has_a_limit),
		cmocka_unit_test(inbound_ranges_become_ports),
		cmocka_unit_test(a_tunnel_needs_a_kind_and_a_name),
		cmocka_unit_test(contradictions_are_refused),
		cmocka_unit_test(errors_may_go_unread),
		cmocka_unit_test(order_does_not_matter),
		cmocka_unit_test(live_alone_is_the_same_live),
		cmocka_unit_test(live_does_not_need_a_kind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
