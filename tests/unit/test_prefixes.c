// SPDX-License-Identifier: GPL-2.0
/*
 * compile(): Destination= and LAN= as prefixes and services. The tables are looked up the way the
 * kernel does it, by longest prefix and binary search, and must say of every packet what a plain
 * scan over the configuration says. The scan shares no code with the compiler.
 */
#include "compile_fixture.h"

#include <netinet/in.h>
#include <time.h>

struct packet {
	struct tf_addr dst;
	__u8 protocol;
	__u16 port;
	struct tf_name device;
};

struct answer {
	bool allowed;
	bool lan;
};

/* --- what the configuration means: slow and plain -------------------------------------------- */

static unsigned int bit_of(const struct tf_addr *addr, unsigned int i)
{
	return addr->byte[i / 8] >> (7 - i % 8) & 1;
}

static bool begins_with(const struct tf_addr *addr, const struct tf_addr *prefix, unsigned int bits)
{
	unsigned int i;

	for (i = 0; i < bits; i++) {
		if (bit_of(addr, i) != bit_of(prefix, i))
			return false;
	}
	return true;
}

/* An IPv4 prefix holds IPv4 addresses, an IPv6 prefix IPv6 addresses. */
static bool holds(const struct prefix *prefix, const struct tf_addr *addr)
{
	static const struct tf_addr ipv4 = { .byte = { [10] = 0xff, 0xff } };
	bool prefix_v4 = prefix->bits >= 96 && begins_with(&prefix->addr, &ipv4, 96);

	return prefix_v4 == begins_with(addr, &ipv4, 96) &&
	       begins_with(addr, &prefix->addr, prefix->bits);
}

static bool rule_allows(const struct config_destination *d, const struct packet *p)
{
	if (!holds(&d->prefix, &p->dst))
		return false;
	if (d->uplink.text[0] && strncmp(d->uplink.text, p->device.text, TF_NAME_LEN))
		return false;
	if (d->any_protocol)
		return true;
	return d->protocol == p->protocol && d->from <= p->port && p->port <= d->to;
}

static struct answer scan(const struct config *c, const struct packet *p)
{
	struct answer answer = {};
	size_t i;

	for (i = 0; i < c->destination_count; i++)
		answer.allowed |= rule_allows(&c->destinations[i], p);
	for (i = 0; i < c->lan_count; i++)
		answer.lan |= holds(&c->lan[i], &p->dst);
	return answer;
}

/* --- what the tables say: as in the kernel --------------------------------------------------- */

static const struct tf_prefix *longest_match(const struct policy *p, const struct tf_addr *addr)
{
	const struct policy_prefix *best = NULL;
	size_t i;

	for (i = 0; i < p->prefix_count; i++) {
		const struct policy_prefix *x = &p->prefixes[i];

		if ((!best || x->key.bits > best->key.bits) &&
		    begins_with(addr, &x->key.addr, x->key.bits))
			best = x;
	}
	return best ? &best->value : NULL;
}

static const struct tf_service *search(const struct policy *p, const struct tf_prefix *prefix,
				       __u32 point)
{
	__u32 low = prefix->first, high = prefix->first + prefix->count;

	while (low < high) {
		__u32 middle = low + (high - low) / 2;

		if (point < p->services[middle].from)
			high = middle;
		else if (point > p->services[middle].to)
			low = middle + 1;
		else
			return &p->services[middle];
	}
	return NULL;
}

static bool by_uplink(const struct policy *p, __u64 uplinks, const struct tf_name *device)
{
	size_t i;

	if (uplinks == TF_ANY_UPLINK)
		return true;
	for (i = 0; i < p->uplink_count; i++) {
		if (tf_name_equal(&p->uplinks[i].name, device))
			return uplinks >> p->uplinks[i].value.number & 1;
	}
	return false;
}

/* What the kernel asks first. */
static bool may_be_covered(const struct tf_policy *p, const struct tf_addr *addr)
{
	static const struct tf_addr ipv4 = { .byte = { [10] = 0xff, 0xff } };
	bool v4 = begins_with(addr, &ipv4, 96);
	__u8 initial = addr->byte[v4 ? 12 : 0];

	return (v4 ? p->ipv4_initials : p->ipv6_initials)[initial / 64] >> initial % 64 & 1;
}

static struct answer look_up(const struct policy *p, const struct packet *packet)
{
	const struct tf_prefix *prefix =
		may_be_covered(&p->rodata, &packet->dst) ? longest_match(p, &packet->dst) : NULL;
	const struct tf_service *service;
	struct answer answer = {};

	if (!prefix)
		return answer;
	service = search(p, prefix, tf_service_point(packet->protocol, packet->port));
	answer.allowed = service && by_uplink(p, service->uplinks, &packet->device);
	answer.lan = prefix->lan;
	return answer;
}

/* --- what holds of every table --------------------------------------------------------------- */

static void check_run(const struct policy *p, const struct tf_service *s, __u32 count)
{
	__u32 i;

	for (i = 0; i < count; i++) {
		assert_true(s[i].from <= s[i].to);
		assert_true(s[i].to <= tf_service_point(255, 65535));
		assert_true(s[i].uplinks != 0);
		if (s[i].uplinks != TF_ANY_UPLINK)
			assert_int_equal(s[i].uplinks >> p->uplink_count, 0);
		if (!i)
			continue;
		assert_true(s[i - 1].to < s[i].from);
		if (s[i - 1].to + 1 == s[i].from)
			assert_true(s[i - 1].uplinks != s[i].uplinks);
	}
}

static void check_prefix(const struct policy *p, const struct policy_prefix *x)
{
	unsigned int bit;

	assert_true(x->key.bits <= 128);
	for (bit = x->key.bits; bit < 128; bit++)
		assert_true(!bit_of(&x->key.addr, bit));
	assert_true(x->value.lan <= 1);
	assert_true(x->value.leaf <= 1);
	assert_true((size_t)x->value.first + x->value.count <= p->service_count);
	if (!x->value.count)
		assert_int_equal(x->value.first, 0);
}

/* In order, what lies within a prefix comes right behind it. */
static void check_leaves(const struct policy *p)
{
	size_t i;

	for (i = 0; i < p->prefix_count; i++) {
		const struct policy_prefix *x = &p->prefixes[i];
		bool leaf = i + 1 == p->prefix_count ||
			    !begins_with(&x[1].key.addr, &x->key.addr, x->key.bits);

		assert_int_equal(x->value.leaf, leaf);
	}
}

/* A run that was not met yet begins where the last one ended: no service is there in vain. */
static void check_services(const struct policy *p)
{
	size_t i, end = 0;

	for (i = 0; i < p->prefix_count; i++) {
		const struct tf_prefix *x = &p->prefixes[i].value;

		if (!x->count || x->first < end)
			continue;
		assert_int_equal(x->first, end);
		check_run(p, p->services + x->first, x->count);
		end += x->count;
	}
	assert_int_equal(end, p->service_count);
}

static void check_tables(const struct policy *p)
{
	size_t i;

	assert_true(p->prefix_count <= TF_MAX_PREFIXES);
	assert_true(p->service_count <= TF_MAX_SERVICES);
	assert_true(p->uplink_count <= TF_MAX_UPLINKS);
	for (i = 0; i < p->prefix_count; i++) {
		const struct tf_prefix_key *key = &p->prefixes[i].key;
		int order;

		check_prefix(p, &p->prefixes[i]);
		if (!i)
			continue;
		order = memcmp(&key[0].addr, &p->prefixes[i - 1].key.addr, sizeof(key->addr));
		assert_true(order > 0 || (!order && p->prefixes[i - 1].key.bits < key->bits));
	}
	for (i = 0; i < p->uplink_count; i++)
		assert_int_equal(p->uplinks[i].value.number, i);
	check_leaves(p);
	check_services(p);
}

/* --- by hand --------------------------------------------------------------------------------- */

static struct packet packet_of(const char *dst, __u8 protocol, __u16 port, const char *device)
{
	struct packet p = { addr_of(dst), protocol, port, name_of(device) };

	return p;
}

#define ASSERT_ALLOWED(p, ...)                                                                     \
	assert_true(look_up(p, &(struct packet[]){ packet_of(__VA_ARGS__) }[0]).allowed)
#define ASSERT_REFUSED(p, ...)                                                                     \
	assert_false(look_up(p, &(struct packet[]){ packet_of(__VA_ARGS__) }[0]).allowed)
#define ASSERT_LAN(p, dst, is)                                                                     \
	assert_int_equal(look_up(p, &(struct packet[]){ packet_of(dst, 6, 80, "eth0") }[0]).lan, is)

static void one_rule_is_one_service(void **state)
{
	_cleanup_free_ struct fixture *f = fixture_new();
	_cleanup_policy_ struct policy *p = NULL;

	(void)state;
	fixture_allow(f, "192.0.2.123", IPPROTO_UDP, 123, 125);
	p = fixture_compile(f);
	check_tables(p);
	assert_int_equal(p->prefix_count, 1);
	assert_int_equal(p->prefixes[0].key.bits, 128);
	assert_int_equal(p->service_count, 1);
	assert_int_equal(p->services[0].from, 17 << 16 | 123);
	assert_int_equal(p->services[0].to, 17 << 16 | 125);
	assert_true(p->services[0].uplinks == TF_ANY_UPLINK);
	ASSERT_ALLOWED(p, "192.0.2.123", IPPROTO_UDP, 123, "eth0");
	ASSERT_ALLOWED(p, "192.0.2.123", IPPROTO_UDP, 125, "");
	ASSERT_REFUSED(p, "192.0.2.123", IPPROTO_UDP, 122, "eth0");
	ASSERT_REFUSED(p, "192.0.2.123", IPPROTO_UDP, 126, "eth0");
	ASSERT_REFUSED(p, "192.0.2.123", IPPROTO_TCP, 123, "eth0");
	ASSERT_REFUSED(p, "192.0.2.122", IPPROTO_UDP, 123, "eth0");
}

static void any_and_whole_protocols(void **state)
{
	_cleanup_free_ struct fixture *f = fixture_new();
	_cleanup_policy_ struct policy *p = NULL;

	(void)state;
	fixture_allow(f, "192.0.2.1", -1, 0, 65535);
	fixture_allow(f, "192.0.2.2", IPPROTO_ICMP, 0, 65535);
	p = fixture_compile(f);
	check_tables(p);
	assert_int_equal(p->service_count, 2);
	assert_int_equal(p->services[0].from, 0);
	assert_int_equal(p->services[0].to, 0xffffff);
	assert_int_equal(p->services[1].from, 0x10000);
	assert_int_equal(p->services[1].to, 0x1ffff);
	ASSERT_ALLOWED(p, "192.0.2.1", 0, 0, "eth0");
	ASSERT_ALLOWED(p, "192.0.2.1", 255, 65535, "eth0");
	ASSERT_ALLOWED(p, "192.0.2.2", IPPROTO_ICMP, 0, "eth0");
	ASSERT_REFUSED(p, "192.0.2.2", IPPROTO_IGMP, 0, "eth0");
	ASSERT_REFUSED(p, "192.0.2.2", 0, 0, "eth0");
}

static void adjacent_ranges_join(void **state)
{
	_cleanup_free_ struct fixture *f = fixture_new();
	_cleanup_policy_ struct policy *p = NULL;

	(void)state;
	fixture_allow(f, "192.0.2.1", IPPROTO_TCP, 20, 30);
	fixture_allow(f, "192.0.2.1", IPPROTO_TCP, 31, 40);
	fixture_allow(f, "192.0.2.1", IPPROTO_TCP, 10, 25);
	fixture_allow(f, "192.0.2.1", IPPROTO_TCP, 42, 42);
	p = fixture_compile(f);
	check_tables(p);
	assert_int_equal(p->service_count, 2);
	assert_int_equal(p->services[0].from, 6 << 16 | 10);
	assert_int_equal(p->services[0].to, 6 << 16 | 40);
	assert_int_equal(p->services[1].from, 6 << 16 | 42);
}

static void uplinks_unite_where_ranges_overlap(void **state)
{
	_cleanup_free_ struct fixture *f = fixture_new();
	_cleanup_policy_ struct policy *p = NULL;

	(void)state;
	fixture_allow(f, "192.0.2.1", IPPROTO_TCP, 10, 30)->uplink = name_of("wlan0");
	fixture_allow(f, "192.0.2.1", IPPROTO_TCP, 20, 40)->uplink = name_of("eth0");
	fixture_allow(f, "192.0.2.1", IPPROTO_TCP, 25, 25);
	p = fixture_compile(f);
	check_tables(p);
	assert_int_equal(p->uplink_count, 2);
	assert_string_equal(p->uplinks[0].name.text, "eth0");
	assert_string_equal(p->uplinks[1].name.text, "wlan0");
	assert_int_equal(p->service_count, 5); /* 10-19, 20-24, 25, 26-30, 31-40 */
	assert_true(p->services[0].uplinks == 2);
	assert_true(p->services[1].uplinks == 3);
	assert_true(p->services[2].uplinks == TF_ANY_UPLINK);
	assert_true(p->services[3].uplinks == 3);
	assert_true(p->services[4].uplinks == 1);
	ASSERT_ALLOWED(p, "192.0.2.1", IPPROTO_TCP, 10, "wlan0");
	ASSERT_REFUSED(p, "192.0.2.1", IPPROTO_TCP, 10, "eth0");
	ASSERT_ALLOWED(p, "192.0.2.1", IPPROTO_TCP, 25, "ppp0");
	ASSERT_REFUSED(p, "192.0.2.1", IPPROTO_TCP, 26, "ppp0");
}

static void longer_prefixes_inherit(void **state)
{
	_cleanup_free_ struct fixture *f = fixture_new();
	_cleanup_policy_ struct policy *p = NULL;

	(void)state;
	fixture_allow(f, "198.51.100.0/24", IPPROTO_TCP, 443, 443);
	fixture_allow(f, "198.51.100.128/25", IPPROTO_UDP, 123, 123);
	fixture_allow(f, "198.51.100.7", IPPROTO_TCP, 443, 443);
	p = fixture_compile(f);
	check_tables(p);
	assert_int_equal(p->prefix_count, 3);
	assert_int_equal(p->service_count, 3); /* 443; 443 and 123 */
	assert_int_equal(p->prefixes[0].value.first, p->prefixes[1].value.first);
	ASSERT_ALLOWED(p, "198.51.100.200", IPPROTO_TCP, 443, "eth0");
	ASSERT_ALLOWED(p, "198.51.100.200", IPPROTO_UDP, 123, "eth0");
	ASSERT_REFUSED(p, "198.51.100.1", IPPROTO_UDP, 123, "eth0");
	ASSERT_ALLOWED(p, "198.51.100.7", IPPROTO_TCP, 443, "eth0");
	ASSERT_REFUSED(p, "198.51.101.1", IPPROTO_TCP, 443, "eth0");
}

static void ipv6_rules_open_no_ipv4(void **state)
{
	_cleanup_free_ struct fixture *f = fixture_new();
	_cleanup_policy_ struct policy *p = NULL;

	(void)state;
	fixture_allow(f, "::/0", IPPROTO_TCP, 443, 443);
	fixture_allow(f, "192.0.2.0/24", IPPROTO_TCP, 80, 80);
	fixture_allow(f, "2001:db8::/32", IPPROTO_TCP, 80, 80);
	p = fixture_compile(f);
	check_tables(p);
	assert_int_equal(p->prefix_count, 4);
	ASSERT_ALLOWED(p, "2001:db8::1", IPPROTO_TCP, 443, "eth0");
	ASSERT_ALLOWED(p, "2001:db8::1", IPPROTO_TCP, 80, "eth0");
	ASSERT_ALLOWED(p, "2001:db9::1", IPPROTO_TCP, 443, "eth0");
	ASSERT_ALLOWED(p, "192.0.2.1", IPPROTO_TCP, 80, "eth0");
	ASSERT_REFUSED(p, "192.0.2.1", IPPROTO_TCP, 443, "eth0");
	ASSERT_REFUSED(p, "203.0.113.1", IPPROTO_TCP, 443, "eth0");
}

static void lan_is_a_mark_not_a_service(void **state)
{
	_cleanup_free_ struct fixture *f = fixture_new();
	_cleanup_policy_ struct policy *p = NULL;

	(void)state;
	f->lan[0] = prefix_of("192.168.0.0/16");
	f->lan[1] = prefix_of("fc00::/7");
	f->c.lan_count = 2;
	fixture_allow(f, "192.168.1.0/24", IPPROTO_TCP, 80, 80);
	fixture_allow(f, "192.0.0.0/8", IPPROTO_UDP, 123, 123);
	p = fixture_compile(f);
	check_tables(p);
	assert_int_equal(p->prefix_count, 4);
	ASSERT_LAN(p, "192.168.2.1", 1);
	ASSERT_LAN(p, "192.168.1.1", 1);
	ASSERT_LAN(p, "fd00::1", 1);
	ASSERT_LAN(p, "192.0.2.1", 0);
	ASSERT_LAN(p, "2001:db8::1", 0);
	ASSERT_LAN(p, "10.0.0.1", 0);
	ASSERT_REFUSED(p, "192.168.2.1", IPPROTO_TCP, 80, "eth0");
	ASSERT_ALLOWED(p, "192.168.2.1", IPPROTO_UDP, 123, "eth0");
	ASSERT_ALLOWED(p, "192.168.1.1", IPPROTO_UDP, 123, "eth0");
	ASSERT_REFUSED(p, "fd00::1", IPPROTO_UDP, 123, "eth0");
}

static void host_bits_do_not_count(void **state)
{
	_cleanup_free_ struct fixture *f = fixture_new();
	_cleanup_policy_ struct policy *p = NULL;
	struct prefix odd = { .addr = addr_of("10.1.255.9"), .bits = 96 + 13 };

	(void)state;
	fixture_add_rule(f, &odd, IPPROTO_TCP, 1, 1);
	fixture_allow(f, "10.0.0.0/13", IPPROTO_TCP, 2, 2);
	p = fixture_compile(f);
	check_tables(p);
	assert_int_equal(p->prefix_count, 1);
	assert_int_equal(p->service_count, 1);
	ASSERT_ALLOWED(p, "10.7.0.1", IPPROTO_TCP, 1, "eth0");
	ASSERT_ALLOWED(p, "10.7.0.1", IPPROTO_TCP, 2, "eth0");
}

/* --- at random ------------------------------------------------------------------------------- */

static __u64 random_state;

static __u32 random_below(__u32 n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (__u32)(random_state >> 33) % n;
}

/* Few values in each byte and few lengths, so that prefixes nest and meet. */
static struct tf_addr random_addr(void)
{
	static const __u8 few[] = { 0, 1, 0x7f, 0x80, 0xff };
	struct tf_addr addr = {};
	size_t i;

	if (random_below(2))
		addr = (struct tf_addr){ .byte = { [10] = 0xff, 0xff } };
	else
		addr.byte[0] = (__u8)(random_below(2) ? 0x20 : 0);
	for (i = tf_addr_is_v4(&addr) ? 12 : 1; i < 16; i++)
		addr.byte[i] = few[random_below(ARRAY_SIZE(few))];
	return addr;
}

static struct prefix random_prefix(const struct config *c)
{
	struct prefix prefix = { .addr = random_addr() };
	__u32 other = random_below((__u32)c->destination_count + 1);
	unsigned int i, least;

	if (other < c->destination_count && random_below(2)) /* around or inside another */
		prefix.addr = c->destinations[other].prefix.addr;
	least = tf_addr_is_v4(&prefix.addr) ? 96 : 0;
	prefix.bits = least + random_below(128 - least + 1);
	for (i = prefix.bits; i < 128; i++)
		prefix.addr.byte[i / 8] &= (__u8)~(0x80 >> i % 8);
	return prefix;
}

static const __u8 protocols[] = { 0, IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMPV6, 255 };
static const char *const devices[] = { "eth0", "eth1", "wlan0", "ppp0", "eth", "usb0" };

static __u16 random_port(void)
{
	static const __u16 edges[] = { 0, 1, 80, 81, 443, 444, 1000, 65534, 65535 };

	return random_below(4) ? edges[random_below(ARRAY_SIZE(edges))]
			       : (__u16)random_below(65536);
}

static void random_rule(struct fixture *f)
{
	struct prefix prefix = random_prefix(&f->c);
	__u16 from = random_port(), to = random_port();
	struct config_destination *d;

	d = fixture_add_rule(f, &prefix, protocols[random_below(ARRAY_SIZE(protocols))],
			     from < to ? from : to, from < to ? to : from);
	d->any_protocol = !random_below(8);
	if (!random_below(4)) {
		d->from = 0;
		d->to = 65535;
	}
	if (random_below(2))
		d->uplink = name_of(devices[random_below(4)]);
}

static void random_rules(struct fixture *f)
{
	size_t rules = random_below(60), lan = random_below(5);

	f->c.destination_count = f->c.lan_count = 0;
	while (f->c.destination_count < rules)
		random_rule(f);
	while (f->c.lan_count < lan)
		f->lan[f->c.lan_count++] = random_prefix(&f->c);
}

static struct packet random_packet(const struct config *c)
{
	struct packet p = {
		.dst = random_addr(),
		.protocol = protocols[random_below(ARRAY_SIZE(protocols))],
		.port = random_port(),
		.device = name_of(devices[random_below(ARRAY_SIZE(devices))]),
	};
	const struct config_destination *d;
	unsigned int bit;

	if (!c->destination_count || !random_below(4))
		return p;
	d = &c->destinations[random_below((__u32)c->destination_count)];
	p.dst = d->prefix.addr; /* inside a rule, or one bit off */
	bit = random_below(2) ? random_below(128) : d->prefix.bits;
	if (bit < 128)
		p.dst.byte[bit / 8] ^= (__u8)(0x80 >> bit % 8);
	if (random_below(4))
		p.protocol = d->protocol;
	if (random_below(2))
		p.port = (__u16)((random_below(2) ? d->from : d->to) + random_below(3) - 1);
	return p;
}

/* What the kernel takes a leaf for: no address in it has a longer match. */
static void check_leaves_at(const struct policy *p, const struct tf_addr *addr)
{
	const struct tf_prefix *longest = longest_match(p, addr);
	size_t i;

	for (i = 0; i < p->prefix_count; i++) {
		const struct policy_prefix *x = &p->prefixes[i];

		if (x->value.leaf && begins_with(addr, &x->key.addr, x->key.bits))
			assert_ptr_equal(longest, &x->value);
	}
}

static void check_packet(const struct fixture *f, const struct policy *p, int set)
{
	struct packet packet = random_packet(&f->c);
	struct answer meant = scan(&f->c, &packet), found = look_up(p, &packet);
	char text[ADDR_TEXT_LEN];

	check_leaves_at(p, &packet.dst);
	if (meant.allowed == found.allowed && meant.lan == found.lan)
		return;
	fail_msg("set %d: %s protocol %u port %u by %.16s: the rules say allowed %d lan %d, the "
		 "tables %d %d", set, addr_format(&packet.dst, text), packet.protocol, packet.port,
		 packet.device.text, meant.allowed, meant.lan, found.allowed, found.lan);
}

static void tables_say_what_the_rules_mean(void **state)
{
	_cleanup_free_ struct fixture *f = fixture_new();
	int set, i;

	(void)state;
	random_state = 0x74756e66656e6365ULL;
	for (set = 0; set < 200; set++) {
		_cleanup_policy_ struct policy *p = NULL;

		random_rules(f);
		p = fixture_compile(f);
		check_tables(p);
		for (i = 0; i < 1000; i++)
			check_packet(f, p, set);
	}
}

static bool is_leaf(const struct policy *p, const char *text)
{
	struct prefix prefix = prefix_of(text);
	size_t i;

	for (i = 0; i < p->prefix_count; i++) {
		if (p->prefixes[i].key.bits == prefix.bits &&
		    tf_addr_equal(&p->prefixes[i].key.addr, &prefix.addr))
			return p->prefixes[i].value.leaf;
	}
	fail_msg("there is no %s", text);
	return false;
}

static void leaves_cover_no_longer_prefix(void **state)
{
	static const struct {
		const char *prefix;
		bool leaf;
	} rules[] = {
		{ "0.0.0.0/0", false },     { "10.0.0.0/8", false },    { "10.1.0.0/16", false },
		{ "10.1.2.3", true },       { "10.1.2.3", true },       { "10.1.2.4", true },
		{ "10.2.0.0/16", true },    { "11.0.0.0/8", true },     { "255.255.255.255", true },
		{ "::/0", false },          { "2001:db8::/32", false }, { "2001:db8::/33", true },
		{ "2001:db8:8000::", true }, { "2001:db9::/32", true },
	};
	_cleanup_free_ struct fixture *f = fixture_new();
	_cleanup_policy_ struct policy *p = NULL;
	size_t i;

	(void)state;
	for (i = ARRAY_SIZE(rules); i > 0; i--)
		fixture_allow(f, rules[i - 1].prefix, IPPROTO_TCP, 443, 443);
	f->lan[f->c.lan_count++] = prefix_of("10.2.0.0/16"); /* the same, no longer one */
	f->lan[f->c.lan_count++] = prefix_of("192.168.0.0/16");
	p = fixture_compile(f);
	check_tables(p);
	assert_int_equal(p->prefix_count, ARRAY_SIZE(rules)); /* two are one, and a LAN's */
	for (i = 0; i < ARRAY_SIZE(rules); i++)
		assert_int_equal(is_leaf(p, rules[i].prefix), rules[i].leaf);
	assert_true(is_leaf(p, "192.168.0.0/16"));
}

/* The match of IPv4 addresses is never ::/0, which is one of them in the trie alone. */
static void all_of_ipv6_is_no_leaf_around_ipv4(void **state)
{
	_cleanup_free_ struct fixture *f = fixture_new();
	_cleanup_policy_ struct policy *p = NULL;

	(void)state;
	fixture_allow(f, "::/0", IPPROTO_TCP, 443, 443);
	p = fixture_compile(f);
	check_tables(p);
	assert_false(is_leaf(p, "::/0"));
	assert_true(is_leaf(p, "0.0.0.0/0"));
}

/* Bits from first to last, and no other. */
static void must_be_bits(const __u64 bits[4], unsigned int first, unsigned int last)
{
	unsigned int i;

	for (i = 0; i < 256; i++)
		assert_int_equal(bits[i / 64] >> i % 64 & 1, i >= first && i <= last);
}

static void the_first_byte_is_known(void **state)
{
	enum { NONE = 256 };
	static const struct {
		const char *prefix;
		unsigned int first4, last4, first6, last6;
	} rules[] = {
		{ "10.1.2.3", 10, 10, NONE, NONE },
		{ "10.0.0.0/8", 10, 10, NONE, NONE },
		{ "172.16.0.0/12", 172, 172, NONE, NONE },
		{ "128.0.0.0/1", 128, 255, NONE, NONE },
		{ "96.0.0.0/4", 96, 111, NONE, NONE },
		{ "62.0.0.0/7", 62, 63, NONE, NONE },
		{ "0.0.0.0/0", 0, 255, NONE, NONE },
		{ "255.255.255.255", 255, 255, NONE, NONE },
		{ "::/0", NONE, NONE, 0, 255 },
		{ "2000::/3", NONE, NONE, 0x20, 0x3f },
		{ "fc00::/7", NONE, NONE, 0xfc, 0xfd },
		{ "fe80::/10", NONE, NONE, 0xfe, 0xfe },
		{ "::1", NONE, NONE, 0, 0 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < 2 * ARRAY_SIZE(rules); i++) {
		_cleanup_free_ struct fixture *f = fixture_new();
		_cleanup_policy_ struct policy *p = NULL;
		const char *text = rules[i / 2].prefix;

		if (i % 2)
			f->lan[f->c.lan_count++] = prefix_of(text);
		else
			fixture_allow(f, text, IPPROTO_TCP, 443, 443);
		p = fixture_compile(f);
		must_be_bits(p->rodata.ipv4_initials, rules[i / 2].first4, rules[i / 2].last4);
		must_be_bits(p->rodata.ipv6_initials, rules[i / 2].first6, rules[i / 2].last6);
	}
}

/* A random test that only ever hears "no" proves little. */
static void random_packets_hear_both_answers(void **state)
{
	_cleanup_free_ struct fixture *f = fixture_new();
	int set, i, allowed = 0, lan = 0, total = 0;

	(void)state;
	random_state = 0x74756e66656e6365ULL;
	for (set = 0; set < 200; set++) {
		random_rules(f);
		for (i = 0; i < 100; i++, total++) {
			struct packet packet = random_packet(&f->c);
			struct answer answer = scan(&f->c, &packet);

			allowed += answer.allowed;
			lan += answer.lan;
		}
	}
	print_message("of %d packets %d allowed, %d LAN\n", total, allowed, lan);
	assert_in_range(allowed, total / 5, total * 4 / 5);
	assert_in_range(lan, total / 20, total * 4 / 5);
}

/* --- at the limits --------------------------------------------------------------------------- */

static struct policy *timed(struct fixture *f, const char *what)
{
	struct timespec from, to;
	struct policy *p;

	clock_gettime(CLOCK_MONOTONIC, &from);
	p = fixture_compile(f);
	clock_gettime(CLOCK_MONOTONIC, &to);
	print_message("%s: %zu rules, %zu prefixes, %zu services, %.0f ms\n", what,
		      f->c.destination_count, p->prefix_count, p->service_count,
		      (double)(to.tv_sec - from.tv_sec) * 1e3 +
			      (double)(to.tv_nsec - from.tv_nsec) / 1e6);
	check_tables(p);
	return p;
}

/* 10.0.0.0/32 and on. */
static struct prefix host_of(__u32 i)
{
	struct prefix prefix = prefix_of("10.0.0.0");

	prefix.addr.byte[13] = (__u8)(i >> 16);
	prefix.addr.byte[14] = (__u8)(i >> 8);
	prefix.addr.byte[15] = (__u8)i;
	return prefix;
}

static void one_service_for_65536_hosts(void **state)
{
	_cleanup_free_ struct fixture *f = fixture_new();
	_cleanup_policy_ struct policy *p = NULL;
	__u32 i;

	(void)state;
	for (i = 0; i < TF_MAX_DESTINATIONS; i++) {
		struct prefix host = host_of(i * 40503U % 65536U); /* in no order */

		fixture_add_rule(f, &host, IPPROTO_TCP, 443, 443);
	}
	p = timed(f, "hosts with one service");
	assert_int_equal(p->prefix_count, 65536);
	assert_int_equal(p->service_count, 1);

	fixture_allow(f, "192.0.2.1", IPPROTO_TCP, 443, 443);
	fixture_refuse(f, -E2BIG, "TF_MAX_DESTINATIONS");
}

static void nested_in_a_few_ancestors(void **state)
{
	_cleanup_free_ struct fixture *f = fixture_new();
	_cleanup_policy_ struct policy *p = NULL;
	char text[32];
	__u32 i;

	(void)state;
	for (i = 0; i < 16; i++) {
		__u16 port = (__u16)(100 * i);

		snprintf(text, sizeof(text), "10.0.0.0/%u", i + 1 > 8 ? i + 1 : 8);
		fixture_allow(f, text, IPPROTO_UDP, port, (__u16)(port + 50))->uplink =
			name_of(i % 2 ? "eth0" : "wlan0");
	}
	for (i = 0; f->c.destination_count < TF_MAX_DESTINATIONS; i++) {
		struct prefix host = host_of(i);

		fixture_add_rule(f, &host, IPPROTO_TCP, (__u16)(i % 1000), (__u16)(i % 1000 + 5));
	}
	p = timed(f, "hosts nested in 16 prefixes, 1000 services");
	assert_int_equal(p->prefix_count, 65536 - 16 + 9);
	ASSERT_ALLOWED(p, "10.0.3.232", IPPROTO_TCP, 0, "eth0"); /* host 1000 */
	ASSERT_ALLOWED(p, "10.0.3.232", IPPROTO_UDP, 1501, "eth0");
	ASSERT_REFUSED(p, "10.0.3.232", IPPROTO_TCP, 6, "eth0");
}

static void ports_of_one_prefix(void **state)
{
	_cleanup_free_ struct fixture *f = fixture_new();
	_cleanup_policy_ struct policy *p = NULL;
	__u32 i;

	(void)state;
	for (i = 0; i < TF_MAX_DESTINATIONS; i++) {
		__u16 port = (__u16)(i % 32768 * 2);

		fixture_allow(f, "192.0.2.1", i < 32768 ? IPPROTO_TCP : IPPROTO_UDP, port, port);
	}
	p = timed(f, "every other port of one prefix");
	assert_int_equal(p->prefix_count, 1);
	assert_int_equal(p->service_count, 65536);
	ASSERT_ALLOWED(p, "192.0.2.1", IPPROTO_UDP, 65534, "eth0");
	ASSERT_REFUSED(p, "192.0.2.1", IPPROTO_UDP, 65535, "eth0");
}

static void overlapping_ports_of_one_prefix(void **state)
{
	_cleanup_free_ struct fixture *f = fixture_new();
	_cleanup_policy_ struct policy *p = NULL;
	char name[TF_NAME_LEN];
	__u32 i;

	(void)state;
	for (i = 0; i < TF_MAX_DESTINATIONS; i++) {
		snprintf(name, sizeof(name), "eth%u", i % TF_MAX_UPLINKS);
		fixture_allow(f, "192.0.2.1", IPPROTO_TCP, (__u16)(i / 2), (__u16)(65535 - i / 2))
			->uplink = name_of(name);
	}
	p = timed(f, "ranges within ranges by 63 uplinks");
	assert_int_equal(p->uplink_count, TF_MAX_UPLINKS);
	ASSERT_ALLOWED(p, "192.0.2.1", IPPROTO_TCP, 65535, "eth1");
	ASSERT_REFUSED(p, "192.0.2.1", IPPROTO_TCP, 65535, "eth2");
	ASSERT_ALLOWED(p, "192.0.2.1", IPPROTO_TCP, 32768, "eth2");
}

/* Each host says again what the long list above it says. */
static void nothing_new_below_a_long_list(void **state)
{
	_cleanup_free_ struct fixture *f = fixture_new();
	_cleanup_policy_ struct policy *p = NULL;
	__u32 i;

	(void)state;
	for (i = 0; i < 32768; i++) {
		struct prefix host = host_of(i);

		fixture_allow(f, "10.0.0.0/8", IPPROTO_TCP, (__u16)(2 * i), (__u16)(2 * i));
		fixture_add_rule(f, &host, IPPROTO_TCP, (__u16)(2 * i), (__u16)(2 * i));
	}
	p = timed(f, "hosts that repeat a long list");
	assert_int_equal(p->prefix_count, 32769);
	assert_int_equal(p->service_count, 32768);
}

/* All hosts add the same to the long list: one merge serves them all. */
static void the_same_below_a_long_list(void **state)
{
	_cleanup_free_ struct fixture *f = fixture_new();
	_cleanup_policy_ struct policy *p = NULL;
	__u32 i;

	(void)state;
	for (i = 0; i < 32768; i++) {
		struct prefix host = host_of(i);

		fixture_allow(f, "10.0.0.0/8", IPPROTO_TCP, (__u16)(2 * i), (__u16)(2 * i));
		fixture_add_rule(f, &host, IPPROTO_UDP, 7, 7);
	}
	p = timed(f, "hosts that add one service to a long list");
	assert_int_equal(p->service_count, 32768 + 32769);
}

static void services_have_a_limit(void **state)
{
	_cleanup_free_ struct fixture *f = fixture_new();
	_cleanup_policy_ struct policy *p = NULL;
	struct prefix host;
	__u32 i;

	(void)state;
	for (i = 0; i < 32767; i++)
		fixture_allow(f, "10.0.0.0/8", IPPROTO_TCP, (__u16)(2 * i), (__u16)(2 * i));
	for (i = 0; i < 7; i++) {
		host = host_of(i);
		fixture_add_rule(f, &host, IPPROTO_UDP, (__u16)i, (__u16)i);
	}
	fixture_allow(f, "192.0.2.1", IPPROTO_UDP, 9, 9); /* 32767 + 7 * 32768 + 1: it is full */
	p = timed(f, "as many services as there may be");
	assert_int_equal(p->service_count, TF_MAX_SERVICES);

	fixture_allow(f, "192.0.2.2", IPPROTO_UDP, 8, 8);
	fixture_refuse(f, -E2BIG, "TF_MAX_SERVICES");
	fixture_refuse(f, -E2BIG, "drop some port ranges or nested prefixes");
}

static void uplinks_have_a_limit(void **state)
{
	_cleanup_free_ struct fixture *f = fixture_new();
	_cleanup_policy_ struct policy *p = NULL;
	char name[TF_NAME_LEN];
	int i;

	(void)state;
	for (i = 0; i < TF_MAX_UPLINKS; i++) {
		snprintf(name, sizeof(name), "eth%d", i);
		fixture_allow(f, "192.0.2.1", IPPROTO_TCP, 80, 80)->uplink = name_of(name);
	}
	fixture_allow(f, "192.0.2.1", IPPROTO_TCP, 81, 81)->uplink = name_of("eth7");
	p = fixture_compile(f);
	check_tables(p);
	assert_int_equal(p->uplink_count, TF_MAX_UPLINKS);
	ASSERT_REFUSED(p, "192.0.2.1", IPPROTO_TCP, 80, "wlan0"); /* all of them are not any */

	fixture_allow(f, "192.0.2.1", IPPROTO_TCP, 80, 80)->uplink = name_of("wlan0");
	fixture_refuse(f, -E2BIG, "TF_MAX_UPLINKS");
}

static void prefixes_have_a_limit(void **state)
{
	_cleanup_free_ struct fixture *f = fixture_new();
	_cleanup_policy_ struct policy *p = NULL;
	__u32 i;

	(void)state;
	for (i = 0; i < TF_MAX_DESTINATIONS; i++) {
		struct prefix host = host_of(i);

		fixture_add_rule(f, &host, -1, 0, 65535);
	}
	for (i = 0; i < TF_MAX_PREFIXES - TF_MAX_DESTINATIONS; i++)
		f->lan[f->c.lan_count++] = host_of(0x10000 + i);
	p = fixture_compile(f);
	assert_int_equal(p->prefix_count, TF_MAX_PREFIXES);

	f->lan[f->c.lan_count++] = host_of(0x20000);
	fixture_refuse(f, -E2BIG, "TF_MAX_PREFIXES");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_rule_is_one_service),
		cmocka_unit_test(any_and_whole_protocols),
		cmocka_unit_test(adjacent_ranges_join),
		cmocka_unit_test(uplinks_unite_where_ranges_overlap),
		cmocka_unit_test(longer_prefixes_inherit),
		cmocka_unit_test(ipv6_rules_open_no_ipv4),
		cmocka_unit_test(lan_is_a_mark_not_a_service),
		cmocka_unit_test(host_bits_do_not_count),
		cmocka_unit_test(leaves_cover_no_longer_prefix),
		cmocka_unit_test(all_of_ipv6_is_no_leaf_around_ipv4),
		cmocka_unit_test(the_first_byte_is_known),
		cmocka_unit_test(tables_say_what_the_rules_mean),
		cmocka_unit_test(random_packets_hear_both_answers),
		cmocka_unit_test(one_service_for_65536_hosts),
		cmocka_unit_test(nested_in_a_few_ancestors),
		cmocka_unit_test(ports_of_one_prefix),
		cmocka_unit_test(overlapping_ports_of_one_prefix),
		cmocka_unit_test(nothing_new_below_a_long_list),
		cmocka_unit_test(the_same_below_a_long_list),
		cmocka_unit_test(services_have_a_limit),
		cmocka_unit_test(uplinks_have_a_limit),
		cmocka_unit_test(prefixes_have_a_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
