// SPDX-License-Identifier: GPL-2.0
/*
 * verify's own reading and making of frames, which nothing else checks, and its tables: every row is
 * complete and has a name that can be said on a command line.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <stdlib.h>
#include <string.h>

#include "util.h"
#include "verify.h"
#include "verify_world.h"

enum { ROOM = 256, SPORT = 1234, DPORT = 20001 };

static const struct shot shot = { .token = { 1, 2, 3, 4, 5, 6, 7, 8 }, .port = DPORT };

/* A frame with a UDP datagram of so many bytes. */
static size_t udp_frame(__u8 frame[ROOM], bool six, size_t bytes)
{
	size_t n = verify_ethernet(frame, VERIFY_ROUTER_MAC, VERIFY_CLIENT_MAC,
				   six ? ETH_P_IPV6 : ETH_P_IP);
	__u8 payload[ROOM];

	verify_payload(&shot, payload, bytes);
	if (six)
		return n + verify_udp6(frame + n, VERIFY_CLIENT6, VERIFY_WEB6, SPORT, DPORT,
				       payload, bytes);
	return n + verify_udp4(frame + n, VERIFY_CLIENT4, VERIFY_WEB4, SPORT, DPORT, payload,
			       bytes);
}

/* The sum over what a receiver adds up: 0xffff where it is right. */
static unsigned int received_sum(const __u8 *bytes, size_t count, unsigned int with)
{
	size_t i;

	for (i = 0; i < count; i++)
		with += i & 1 ? bytes[i] : (unsigned int)bytes[i] << 8;
	while (with >> 16)
		with = (with & 0xffff) + (with >> 16);
	return with;
}

static void test_made_frames_are_read_back(void **state)
{
	static const size_t sizes[] = { 0, 1, VERIFY_TOKEN, 33, 100 };
	__u8 frame[ROOM];

	(void)state;
	for (size_t i = 0; i < 2 * ARRAY_SIZE(sizes); i++) {
		size_t bytes = sizes[i / 2], n = udp_frame(frame, i & 1, bytes);
		struct verify_frame f;

		assert_true(verify_parse(frame, n, &f));
		assert_int_equal(f.type, i & 1 ? ETH_P_IPV6 : ETH_P_IP);
		assert_int_equal(f.protocol, IPPROTO_UDP);
		assert_int_equal(f.sport, SPORT);
		assert_int_equal(f.dport, DPORT);
		assert_true(verify_is_addr(&f.src, i & 1 ? VERIFY_CLIENT6 : VERIFY_CLIENT4));
		assert_true(verify_is_addr(&f.dst, i & 1 ? VERIFY_WEB6 : VERIFY_WEB4));
		assert_false(verify_is_addr(&f.dst, VERIFY_VPN4));
		assert_int_equal(f.payload_bytes, bytes);
		assert_ptr_equal(f.payload + bytes, frame + n);
		assert_int_equal(verify_has(frame, n, shot.token, VERIFY_TOKEN),
				 bytes >= VERIFY_TOKEN);
	}
}

static void test_checksums(void **state)
{
	__u8 frame[ROOM], *ip = frame + ETH_HLEN;
	size_t n;

	(void)state;
	n = udp_frame(frame, false, 33) - ETH_HLEN;
	assert_int_equal(received_sum(ip, 20, 0), 0xffff);
	assert_int_equal(received_sum(ip + 12, n - 12, (unsigned int)(IPPROTO_UDP + n - 20)), 0xffff);
	n = udp_frame(frame, true, 34) - ETH_HLEN;
	assert_int_equal(received_sum(ip + 8, n - 8, (unsigned int)(IPPROTO_UDP + n - 40)), 0xffff);
	n = verify_tcp4(ip, VERIFY_CLIENT4, VERIFY_WEB4, SPORT, DPORT, 0x12, 7, 8, "abc", 3);
	assert_int_equal(received_sum(ip, 20, 0), 0xffff);
	assert_int_equal(received_sum(ip + 12, n - 12, (unsigned int)(IPPROTO_TCP + n - 20)), 0xffff);
}

static void test_tcp(void **state)
{
	__u8 frame[ROOM];
	size_t n = verify_ethernet(frame, VERIFY_ROUTER_MAC, VERIFY_CLIENT_MAC, ETH_P_IP);
	struct verify_frame f;

	(void)state;
	n += verify_tcp4(frame + n, VERIFY_CLIENT4, VERIFY_WEB4, SPORT, DPORT, 0x04, 7, 8, NULL, 0);
	assert_true(verify_parse(frame, n, &f));
	assert_int_equal(f.protocol, IPPROTO_TCP);
	assert_int_equal(f.tcp_flags, 0x04);
	assert_int_equal(f.dport, DPORT);
	assert_int_equal(f.payload_bytes, 0);
	frame[ETH_HLEN + 20 + 12] = 0xf0; /* a header longer than the packet */
	assert_true(verify_parse(frame, n, &f));
	assert_int_equal(f.payload_bytes, 0);
}

/* Puts a tag behind the addresses. */
static size_t tag(__u8 frame[ROOM], size_t n, __u16 type)
{
	const __u8 bytes[] = { (__u8)(type >> 8), (__u8)type, 0, 5 };

	memmove(frame + 16, frame + 12, n - 12);
	memcpy(frame + 12, bytes, sizeof(bytes));
	return n + sizeof(bytes);
}

static void test_tags_are_looked_through(void **state)
{
	__u8 frame[ROOM];
	size_t n = udp_frame(frame, false, 20);
	struct verify_frame f;

	(void)state;
	n = tag(frame, n, ETH_P_8021Q);
	n = tag(frame, n, ETH_P_8021AD);
	assert_true(verify_parse(frame, n, &f));
	assert_int_equal(f.type, ETH_P_IP);
	assert_int_equal(f.dport, DPORT);
}

static void test_later_fragment_has_no_ports(void **state)
{
	__u8 frame[ROOM];
	size_t n = udp_frame(frame, false, 20);
	struct verify_frame f;

	(void)state;
	frame[ETH_HLEN + 7] = 1;
	assert_true(verify_parse(frame, n, &f));
	assert_int_equal(f.protocol, IPPROTO_UDP);
	assert_int_equal(f.dport, 0);
	assert_int_equal(f.payload_bytes, 28);
}

static void test_other_types(void **state)
{
	__u8 frame[ROOM] = "";
	size_t n = verify_ethernet(frame, "ff:ff:ff:ff:ff:ff", VERIFY_CLIENT_MAC, ETH_P_ARP);
	struct verify_frame f;

	(void)state;
	assert_memory_equal(frame, "\xff\xff\xff\xff\xff\xff\x02\0\0\0\x77\x02\x08\x06", ETH_HLEN);
	assert_true(verify_parse(frame, n + 28, &f));
	assert_int_equal(f.type, ETH_P_ARP);
	assert_int_equal(f.protocol, 0);
	assert_int_equal(f.payload_bytes, 28);
}

/* Every beginning of a frame, each in memory of just its size: the sanitizer sees a byte too far. */
static void test_short_frames(void **state)
{
	__u8 frame[ROOM];
	struct verify_frame f;

	(void)state;
	for (int kind = 0; kind < 4; kind++) {
		size_t n = udp_frame(frame, kind & 1, 20);

		if (kind & 2)
			n = tag(frame, n, ETH_P_8021Q);
		for (size_t bytes = 0; bytes <= n; bytes++) {
			__u8 *exact = malloc(bytes + !bytes);

			assert_non_null(exact);
			memcpy(exact, frame, bytes);
			assert_int_equal(verify_parse(exact, bytes, &f), bytes >= ETH_HLEN);
			if (bytes >= ETH_HLEN)
				assert_ptr_equal(f.payload + f.payload_bytes, exact + bytes);
			free(exact);
		}
	}
}

static void test_failed_parse_leaves_output(void **state)
{
	struct verify_frame f = { .sport = 7 };
	__u8 frame[ETH_HLEN] = "";

	(void)state;
	assert_false(verify_parse(frame, ETH_HLEN - 1, &f));
	assert_int_equal(f.sport, 7);
}

static void test_sockaddr(void **state)
{
	struct sockaddr_storage to;
	struct sockaddr_in *four = (struct sockaddr_in *)&to;
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)&to;

	(void)state;
	assert_int_equal(verify_sockaddr(VERIFY_WEB4, 80, &to), sizeof(*four));
	assert_int_equal(four->sin_family, AF_INET);
	assert_int_equal(four->sin_port, htons(80));
	assert_int_equal(verify_sockaddr(VERIFY_WEB6, 80, &to), sizeof(*six));
	assert_int_equal(six->sin6_family, AF_INET6);
	assert_int_equal(six->sin6_port, htons(80));
}

static bool is_good_name(const char *name)
{
	size_t i, n = strlen(name);

	for (i = 0; i < n; i++) {
		if (!islower(name[i]) && !isdigit(name[i]) && name[i] != '-')
			return false;
	}
	return n > 0 && n <= 30; /* as wide as the table's column */
}

/* Calls check for each vector of each group. */
static size_t each_vector(void (*check)(const struct vector_group *g, const struct vector *v))
{
	size_t g, v, count = 0;

	for (g = 0; g < verify_group_count; g++) {
		const struct vector_group *group = verify_groups[g].group;

		for (v = 0; v < group->count; v++, count++)
			check(group, &group->vectors[v]);
	}
	return count;
}

static void check_row(const struct vector_group *g, const struct vector *v)
{
	const unsigned int known = VERIFY_TUNNEL_UP | VERIFY_BEFORE | VERIFY_AT_ROUTER |
				   VERIFY_NEEDS_LSM;

	if (!is_good_name(v->name))
		fail_msg("'%s' of group '%s' is no good name", v->name, g->name);
	if (!v->summary || !v->summary[0] || strlen(v->summary) > 100 || strchr(v->summary, '\n'))
		fail_msg("'%s' needs a summary of one line", v->name);
	if (!v->fire)
		fail_msg("'%s' does not fire", v->name);
	if (v->flags & ~known)
		fail_msg("'%s' has an unknown flag", v->name);
	if (v->linger_ms > 3000)
		fail_msg("'%s' lingers for more than 3 s", v->name);
	if (v->flags & VERIFY_BEFORE && !v->prepare)
		fail_msg("'%s' has nothing to prepare before the fence", v->name);
}

static void test_rows_are_complete(void **state)
{
	(void)state;
	assert_true(each_vector(check_row) >= 110);
}

static void check_unique(const struct vector_group *g, const struct vector *v)
{
	size_t i, n;

	for (i = 0; i < verify_group_count; i++) {
		const struct vector_group *other = verify_groups[i].group;

		for (n = 0; n < other->count; n++) {
			if (&other->vectors[n] != v && streq(other->vectors[n].name, v->name))
				fail_msg("'%s' is in '%s' and in '%s'", v->name, g->name, other->name);
		}
	}
}

static void test_names_are_unique(void **state)
{
	(void)state;
	each_vector(check_unique);
}

static void test_only(void **state)
{
	const struct vector v = { .name = "tcp-connect" };
	const struct vector_group g = { .name = "stream", .vectors = &v, .count = 1 };

	(void)state;
	assert_true(verify_is_chosen(NULL, &g, &v));
	assert_true(verify_is_chosen("tcp-connect", &g, &v));
	assert_true(verify_is_chosen("tcp-*", &g, &v));
	assert_true(verify_is_chosen("stream", &g, &v));
	assert_false(verify_is_chosen("tcp", &g, &v));
	assert_true(verify_is_chosen("udp,tcp-*", &g, &v));
	assert_true(verify_is_chosen("stream,udp", &g, &v));
	assert_false(verify_is_chosen("udp,tcp", &g, &v));
	assert_false(verify_is_chosen(",", &g, &v));
	assert_false(verify_is_chosen("****************************************************************"
				      "other", &g, &v));
	assert_false(verify_is_chosen("", &g, &v));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_made_frames_are_read_back),
		cmocka_unit_test(test_checksums),
		cmocka_unit_test(test_tcp),
		cmocka_unit_test(test_tags_are_looked_through),
		cmocka_unit_test(test_later_fragment_has_no_ports),
		cmocka_unit_test(test_other_types),
		cmocka_unit_test(test_short_frames),
		cmocka_unit_test(test_failed_parse_leaves_output),
		cmocka_unit_test(test_sockaddr),
		cmocka_unit_test(test_rows_are_complete),
		cmocka_unit_test(test_names_are_unique),
		cmocka_unit_test(test_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
