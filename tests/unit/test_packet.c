// SPDX-License-Identifier: GPL-2.0
/*
 * The parser's fields, and its answers over whole ranges of a header's values; what is expected is
 * said here a second time. Every frame lies in memory of exactly its size, so that the sanitizer
 * sees a byte too many. Verdicts are test_vectors.c's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <tunfence/judge.h>

#include "native.h"
#include "util.h"
#include "vectors/mutate.h"

#define FRAME_ROOM 512

struct frame {
	__u8 bytes[FRAME_ROOM];
	__u32 length;
};

static void put(struct frame *f, const void *bytes, size_t count)
{
	assert_true(f->length + count <= FRAME_ROOM);
	memcpy(f->bytes + f->length, bytes, count);
	f->length += (__u32)count;
}

static void put8(struct frame *f, unsigned int value)
{
	const __u8 byte = (__u8)value;

	put(f, &byte, 1);
}

static void put16(struct frame *f, unsigned int value)
{
	put8(f, value >> 8);
	put8(f, value & 0xff);
}

static void zeros(struct frame *f, __u32 count)
{
	while (count--)
		put8(f, 0);
}

static void set16(struct frame *f, __u32 at, unsigned int value)
{
	f->bytes[at] = (__u8)(value >> 8);
	f->bytes[at + 1] = (__u8)value;
}

/* 192.0.2.1 to 198.51.100.2, TTL 61, id 0x1234; options of so many zero bytes, and what follows. */
static void ipv4(struct frame *f, unsigned int protocol, __u32 options, __u32 payload)
{
	put8(f, 0x45 + options / 4);
	put8(f, 0);
	put16(f, 20 + options + payload);
	put16(f, 0x1234);
	put16(f, 0);
	put8(f, 61);
	put8(f, protocol);
	put16(f, 0);
	put(f, (const __u8[]){ 192, 0, 2, 1, 198, 51, 100, 2 }, 8);
	zeros(f, options);
}

static const __u8 source6[16] = { 0x20, 1, 0xd, 0xb8, [15] = 1 };
static const __u8 destination6[16] = { 0x20, 1, 0xd, 0xb8, [15] = 2 };

static void ipv6(struct frame *f, unsigned int next, __u32 payload)
{
	put8(f, 0x60);
	zeros(f, 3);
	put16(f, payload);
	put8(f, next);
	put8(f, 62);
	put(f, source6, 16);
	put(f, destination6, 16);
}

/* 1000 to 2000, with 4 bytes of payload. */
static void udp(struct frame *f)
{
	put16(f, 1000);
	put16(f, 2000);
	put16(f, 12);
	put16(f, 0);
	put(f, (const __u8[]){ 1, 2, 3, 4 }, 4);
}

/* 3000 to 4000. */
static void tcp(struct frame *f, unsigned int words, unsigned int flags)
{
	put16(f, 3000);
	put16(f, 4000);
	zeros(f, 8);
	put8(f, words << 4);
	put8(f, flags);
	zeros(f, 6);
}

static void ethernet(struct frame *f, unsigned int type)
{
	zeros(f, 12);
	put16(f, type);
}

/* bytes: how long the frame is said to be. */
static enum tf_parse parse_as(const struct frame *f, enum tf_link_header link, __u32 bytes,
			      bool gso, struct tf_packet *ret)
{
	_cleanup_free_ __u8 *exact = malloc(f->length ? f->length : 1);
	struct native n = { .frame = exact, .bytes = f->length };

	assert_non_null(exact);
	memcpy(exact, f->bytes, f->length);
	memset(ret, 0, sizeof(*ret));
	return tf_parse_frame(&n, link, bytes, gso, ret);
}

static enum tf_parse parse(const struct frame *f, struct tf_packet *ret)
{
	return parse_as(f, TF_LINK_NONE, f->length, false, ret);
}

static enum tf_parse parse_ethernet(const struct frame *f, struct tf_packet *ret)
{
	return parse_as(f, TF_LINK_ETHERNET, f->length, false, ret);
}

static void is_that_udp(const struct tf_packet *p, __u32 l4_offset)
{
	assert_int_equal(p->protocol, TF_PROTO_UDP);
	assert_int_equal(p->l4_offset, l4_offset);
	assert_int_equal(p->l4_bytes, 12);
	assert_int_equal(p->sport, 1000);
	assert_int_equal(p->dport, 2000);
	assert_int_equal(p->has_payload, 1);
	assert_int_equal(p->payload, 0x04030201);
	assert_int_equal(p->fragment, TF_FRAGMENT_NONE);
	assert_int_equal(p->tcp_flags, 0);
}

static void is_that_ipv4(const struct tf_packet *p)
{
	const __u8 src[16] = { [10] = 0xff, 0xff, 192, 0, 2, 1 };
	const __u8 dst[16] = { [10] = 0xff, 0xff, 198, 51, 100, 2 };

	assert_memory_equal(p->src.byte, src, 16);
	assert_memory_equal(p->dst.byte, dst, 16);
	assert_int_equal(p->hop_limit, 61);
	assert_int_equal(tf_ntohl(p->fragment_id), 0x1234);
}

static void ipv4_has_its_fields(void **state)
{
	struct tf_packet p;
	__u32 options;

	(void)state;
	for (options = 0; options <= 40; options += 4) {
		struct frame f = {};

		ipv4(&f, TF_PROTO_UDP, options, 12);
		udp(&f);
		assert_int_equal(parse(&f, &p), TF_PARSE_IP);
		is_that_ipv4(&p);
		is_that_udp(&p, 20 + options);
		assert_int_equal(p.extended, options != 0);
		assert_int_equal(p.hop_by_hop, 0);
	}
}

static void ipv6_has_its_fields(void **state)
{
	struct frame f = {};
	struct tf_packet p;

	(void)state;
	ipv6(&f, TF_PROTO_UDP, 12);
	udp(&f);
	assert_int_equal(parse(&f, &p), TF_PARSE_IP);
	assert_memory_equal(p.src.byte, source6, 16);
	assert_memory_equal(p.dst.byte, destination6, 16);
	assert_int_equal(p.hop_limit, 62);
	assert_int_equal(p.extended, 0);
	is_that_udp(&p, 40);
}

static void tags_move_everything_by_four(void **state)
{
	static const unsigned int types[] = { 0x8100, 0x88a8, 0x9100 };
	struct tf_packet p;
	size_t i, tags;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(types); i++) {
		for (tags = 0; tags <= 3; tags++) {
			struct frame f = {};
			size_t tag;

			ethernet(&f, tags ? types[i] : 0x0800);
			for (tag = 1; tag <= tags; tag++) {
				put16(&f, 100);
				put16(&f, tag < tags ? types[i] : 0x0800);
			}
			ipv4(&f, TF_PROTO_UDP, 0, 12);
			udp(&f);
			if (tags == 3) {
				assert_int_equal(parse_ethernet(&f, &p), TF_PARSE_ETHERTYPE);
				continue;
			}
			assert_int_equal(parse_ethernet(&f, &p), TF_PARSE_IP);
			is_that_ipv4(&p);
			is_that_udp(&p, 14 + 4 * (__u32)tags + 20);
		}
	}
}

/* The length byte of each kind of extension header, over every value that fits. */
static void extension_headers_have_their_lengths(void **state)
{
	static const unsigned int kinds[] = { 0, 44, 51, 60 };
	struct tf_packet p;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		unsigned int length;

		for (length = 0; length <= 40; length++) {
			__u32 bytes = kinds[i] == 44 ? 8 :
				      kinds[i] == 51 ? 4 * (length + 2) : 8 * (length + 1);
			struct frame f = {};

			ipv6(&f, kinds[i], bytes + 12);
			put8(&f, TF_PROTO_UDP);
			put8(&f, length);
			zeros(&f, bytes - 2);
			udp(&f);
			assert_int_equal(parse(&f, &p), TF_PARSE_IP);
			assert_int_equal(p.extended, 1);
			assert_int_equal(p.hop_by_hop, kinds[i] == 0);
			is_that_udp(&p, 40 + bytes);
		}
	}
}

static void tcp_has_its_flags_and_its_data_offset(void **state)
{
	struct tf_packet p;
	unsigned int words, flags;

	(void)state;
	for (words = 0; words < 16; words++) {
		for (flags = 0; flags < 256; flags++) {
			struct frame f = {};
			enum tf_parse r;

			ipv4(&f, TF_PROTO_TCP, 0, 32);
			tcp(&f, words, flags);
			zeros(&f, 12);
			r = parse(&f, &p);
			assert_int_equal(r, words >= 5 && words <= 8 ? TF_PARSE_IP :
								       TF_PARSE_BAD_HEADER);
			if (r != TF_PARSE_IP)
				continue;
			assert_int_equal(p.tcp_flags, flags);
			assert_int_equal(p.sport, 3000);
			assert_int_equal(p.dport, 4000);
			assert_int_equal(p.l4_bytes, 32);
			assert_int_equal(p.has_payload, 0);
		}
	}
}

static void icmp_has_its_type_and_code(void **state)
{
	static const __u8 protocols[] = { TF_PROTO_ICMP, TF_PROTO_ICMPV6 };
	struct tf_packet p;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(protocols); i++) {
		struct frame f = {};

		ipv6(&f, protocols[i], 8);
		put8(&f, 135);
		put8(&f, 7);
		zeros(&f, 6);
		assert_int_equal(parse(&f, &p), TF_PARSE_IP);
		assert_int_equal(p.icmp_type, 135);
		assert_int_equal(p.icmp_code, 7);
		assert_int_equal(p.sport, 0);
		assert_int_equal(p.dport, 0);
	}
}

/* Every value of IPv4's flags and fragment offset. */
static void ipv4_fragments_are_told_by_their_offset(void **state)
{
	struct frame f = {};
	struct tf_packet p;
	unsigned int field;

	(void)state;
	ipv4(&f, TF_PROTO_TCP, 0, 20);
	tcp(&f, 5, 0);
	for (field = 0; field <= 0xffff; field++) {
		unsigned int offset = field % 8192;
		enum tf_parse r;

		set16(&f, 6, field);
		r = parse(&f, &p);
		assert_int_equal(r, offset == 1 ? TF_PARSE_BAD_FRAGMENT : TF_PARSE_IP);
		if (r != TF_PARSE_IP)
			continue;
		assert_int_equal(p.fragment, offset           ? TF_FRAGMENT_LATER :
					     field / 8192 % 2 ? TF_FRAGMENT_FIRST :
								TF_FRAGMENT_NONE);
		assert_int_equal(p.protocol, TF_PROTO_TCP);
		is_that_ipv4(&p);
		if (offset) /* what lies there is no header */
			assert_int_equal(p.dport, 0);
		else
			assert_int_equal(p.dport, 4000);
	}
}

static void ipv6_fragments_are_told_by_their_offset(void **state)
{
	struct frame f = {};
	struct tf_packet p;
	unsigned int field;

	(void)state;
	ipv6(&f, TF_PROTO_FRAGMENT, 8 + 20);
	put16(&f, TF_PROTO_TCP << 8 | 0xff); /* the second byte is reserved */
	put16(&f, 0);
	put(&f, (const __u8[]){ 0xde, 0xad, 0xbe, 0xef }, 4);
	tcp(&f, 5, 0);
	for (field = 0; field <= 0xffff; field++) {
		unsigned int offset = field / 8;
		enum tf_parse r;

		set16(&f, 42, field);
		r = parse(&f, &p);
		assert_int_equal(r, offset == 1 ? TF_PARSE_BAD_FRAGMENT : TF_PARSE_IP);
		if (r != TF_PARSE_IP)
			continue;
		assert_int_equal(p.fragment, offset    ? TF_FRAGMENT_LATER :
					     field % 2 ? TF_FRAGMENT_FIRST :
							 TF_FRAGMENT_NONE);
		assert_int_equal(p.fragment_protocol, TF_PROTO_TCP);
		assert_int_equal(tf_ntohl(p.fragment_id), 0xdeadbeef);
		if (offset)
			assert_int_equal(p.dport, 0);
		else
			assert_int_equal(p.dport, 4000);
	}
}

/* UDP's length field agrees with IP's, or says that more fragments follow. */
static void udp_lengths_agree(void **state)
{
	struct tf_packet p;
	unsigned int length;
	bool first;

	(void)state;
	for (length = 0; length <= 2 * 0xffffU + 1; length++) {
		struct frame f = {};
		bool good;

		first = length > 0xffff;
		ipv4(&f, TF_PROTO_UDP, 0, 12);
		udp(&f);
		set16(&f, 6, first ? 0x2000 : 0);
		set16(&f, 24, length & 0xffff);
		good = first ? (length & 0xffff) > 12 : length == 12;
		assert_int_equal(parse(&f, &p), good ? TF_PARSE_IP : TF_PARSE_BAD_HEADER);
		if (good)
			assert_int_equal(p.l4_bytes, length & 0xffff);
	}
}

/* IP's length field, in a frame of 100 bytes: padding is allowed up to 50 only. */
static void ip_lengths_lie_within_the_frame(void **state)
{
	struct frame four = {}, six = {};
	struct tf_packet p;
	unsigned int length;

	(void)state;
	ipv4(&four, 99, 0, 80);
	zeros(&four, 80);
	ipv6(&six, 99, 60);
	zeros(&six, 60);
	for (length = 0; length <= 0xffff; length++) {
		set16(&four, 2, length);
		set16(&six, 4, length);
		assert_int_equal(parse(&four, &p), length < 20   ? TF_PARSE_BAD_HEADER :
						   length > 100  ? TF_PARSE_SHORT :
						   length == 100 ? TF_PARSE_IP :
								   TF_PARSE_TRAILER);
		assert_int_equal(parse(&six, &p), length > 60  ? TF_PARSE_SHORT :
						  length == 60 ? TF_PARSE_IP :
								 TF_PARSE_TRAILER);
		if (length)
			continue;
		assert_int_equal(parse_as(&four, TF_LINK_NONE, 100, true, &p), TF_PARSE_IP);
		assert_int_equal(p.l4_bytes, 80);
		assert_int_equal(parse_as(&six, TF_LINK_NONE, 100, true, &p), TF_PARSE_IP);
		assert_int_equal(p.l4_bytes, 60);
	}
}

/* What stands behind the packet's end is no header of it, though a frame may be padded so far. */
static void padding_is_no_header(void **state)
{
	struct frame f = {};
	struct tf_packet p;

	(void)state;
	ipv6(&f, TF_PROTO_FRAGMENT, 0);
	put8(&f, TF_PROTO_UDP);
	put8(&f, 0);
	put16(&f, 1 << 3); /* a later fragment's offset */
	zeros(&f, 4);
	assert_int_equal(parse(&f, &p), TF_PARSE_SHORT);
	set16(&f, 4, 8);
	assert_int_equal(parse(&f, &p), TF_PARSE_IP);
	assert_int_equal(p.fragment, TF_FRAGMENT_LATER);
}

/* What may follow IPv6's header when nothing does. */
static enum tf_parse next_alone(unsigned int next)
{
	switch (next) {
	case 0: case 44: case 51: case 60: /* extension headers */
	case 6: case 17: case 1: case 58:  /* transport headers */
		return TF_PARSE_SHORT;
	case 43:
		return TF_PARSE_SOURCE_ROUTE;
	case 135: case 139: case 140: case 253: case 254:
		return TF_PARSE_EXT_CHAIN;
	default:
		return TF_PARSE_IP;
	}
}

static void every_next_header_has_its_answer(void **state)
{
	struct tf_packet p;
	unsigned int next;

	(void)state;
	for (next = 0; next < 256; next++) {
		struct frame f = {}, behind = {};

		ipv6(&f, next, 0);
		assert_int_equal(parse(&f, &p), next_alone(next));
		/* A second hop-by-hop header is never one. */
		ipv6(&behind, TF_PROTO_DSTOPTS, 8);
		put8(&behind, next);
		zeros(&behind, 7);
		assert_int_equal(parse(&behind, &p), next ? next_alone(next) : TF_PARSE_EXT_CHAIN);
	}
}

static void every_ethertype_has_its_answer(void **state)
{
	struct tf_packet p;
	unsigned int type;

	(void)state;
	for (type = 0; type <= 0xffff; type++) {
		struct frame f = {};
		enum tf_parse wanted = TF_PARSE_ETHERTYPE;

		ethernet(&f, type);
		zeros(&f, 46);
		if (type == 0x0800 || type == 0x86dd)
			wanted = TF_PARSE_BAD_VERSION;
		if (type == 0x0806 || type == 0x888e)
			wanted = TF_PARSE_BAD_HEADER;
		assert_int_equal(parse_ethernet(&f, &p), wanted);
	}
}

/* Every version and type, tagged and not. */
static void eapol_is_of_a_known_kind_and_never_tagged(void **state)
{
	struct tf_packet p;
	unsigned int kind, tagged;

	(void)state;
	for (kind = 0; kind <= 2 * 0xffffU + 1; kind++) {
		unsigned int version = kind >> 8 & 0xff, type = kind & 0xff;
		struct frame f = {};
		bool good;

		tagged = kind > 0xffff;
		ethernet(&f, tagged ? 0x8100 : 0x888e);
		if (tagged) {
			put16(&f, 5);
			put16(&f, 0x888e);
		}
		put16(&f, kind & 0xffff);
		put16(&f, 2);
		put16(&f, 0);
		good = !tagged && version >= 1 && version <= 3 && type <= 8;
		assert_int_equal(parse_ethernet(&f, &p), good ? TF_PARSE_EAPOL :
								TF_PARSE_BAD_HEADER);
	}
}

static void unreadable_frames_are_not_read(void **state)
{
	struct frame f = {};
	struct tf_packet p;

	(void)state;
	ipv4(&f, TF_PROTO_UDP, 0, 12);
	udp(&f);
	assert_int_equal(parse_as(&f, TF_LINK_UNKNOWN, f.length, false, &p), TF_PARSE_LINK_TYPE);
	assert_int_equal(parse_as(&f, (enum tf_link_header)77, f.length, false, &p),
			 TF_PARSE_LINK_TYPE);
}

/* The frame is said to be longer than what can be loaded, as of a device that lies. */
static void must_be_whole(struct frame *f)
{
	struct tf_packet p;
	__u32 said;

	for (said = f->length; f->length; f->length--)
		assert_int_equal(parse_as(f, TF_LINK_NONE, said, false, &p) == TF_PARSE_IP,
				 f->length == said);
}

/* Zeroes in place of an ICMP header that lies behind what is loaded at first would be one, too. */
static void a_load_that_fails_is_no_packet(void **state)
{
	struct frame with_udp = {}, with_icmp = {};

	(void)state;
	ipv6(&with_udp, TF_PROTO_DSTOPTS, 8 + 12);
	put8(&with_udp, TF_PROTO_UDP);
	zeros(&with_udp, 7);
	udp(&with_udp);
	must_be_whole(&with_udp);

	ipv6(&with_icmp, TF_PROTO_DSTOPTS, 24 + 8);
	put8(&with_icmp, TF_PROTO_ICMPV6);
	put8(&with_icmp, 2);
	zeros(&with_icmp, 22);
	put8(&with_icmp, 128);
	zeros(&with_icmp, 7);
	must_be_whole(&with_icmp);
}

static void check_invariants(const struct frame *f, enum tf_parse r, const struct tf_packet *p)
{
	assert_true(r > TF_PARSE_NONE && r < TF_PARSE_COUNT);
	if (r != TF_PARSE_IP || p->fragment == TF_FRAGMENT_LATER)
		return;
	assert_true(p->l4_offset <= f->length);
	if (p->fragment == TF_FRAGMENT_NONE)
		assert_true(p->l4_bytes <= f->length - p->l4_offset);
	if (p->protocol == TF_PROTO_UDP || p->protocol == TF_PROTO_TCP)
		assert_true(p->l4_bytes >= (p->protocol == TF_PROTO_UDP ? 8U : 20U));
	assert_true(p->fragment <= TF_FRAGMENT_LATER);
}

/* Frames near good ones: what the sanitizer does not stop must at least lie inside. */
static void whatever_comes_is_answered_within_the_frame(void **state)
{
	__u64 random = mutate_seed(1);
	struct frame base[3] = {};
	struct tf_packet p;
	int round;

	(void)state;
	ipv4(&base[0], TF_PROTO_UDP, 8, 12);
	udp(&base[0]);
	ipv6(&base[1], TF_PROTO_DSTOPTS, 8 + 20);
	put8(&base[1], TF_PROTO_TCP);
	zeros(&base[1], 7);
	tcp(&base[1], 5, 2);
	ethernet(&base[2], 0x8100);
	put16(&base[2], 1);
	put16(&base[2], 0x0800);
	ipv4(&base[2], TF_PROTO_UDP, 0, 12);
	udp(&base[2]);
	for (round = 0; round < 200000; round++) {
		const struct frame *from = &base[mutate_below(&random, 3)];
		const struct frame *other = &base[mutate_below(&random, 3)];
		enum tf_link_header link = from == &base[2] ? TF_LINK_ETHERNET : TF_LINK_NONE;
		struct frame f = {};
		struct mutated m;

		mutate(&random, from->bytes, from->length, other->bytes, other->length,
		       link == TF_LINK_ETHERNET, &m);
		if (m.length > FRAME_ROOM)
			m.length = FRAME_ROOM;
		put(&f, m.bytes, m.length);
		check_invariants(&f, parse_as(&f, link, f.length, round % 8 == 0, &p), &p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ipv4_has_its_fields),
		cmocka_unit_test(ipv6_has_its_fields),
		cmocka_unit_test(tags_move_everything_by_four),
		cmocka_unit_test(extension_headers_have_their_lengths),
		cmocka_unit_test(tcp_has_its_flags_and_its_data_offset),
		cmocka_unit_test(icmp_has_its_type_and_code),
		cmocka_unit_test(ipv4_fragments_are_told_by_their_offset),
		cmocka_unit_test(ipv6_fragments_are_told_by_their_offset),
		cmocka_unit_test(udp_lengths_agree),
		cmocka_unit_test(ip_lengths_lie_within_the_frame),
		cmocka_unit_test(padding_is_no_header),
		cmocka_unit_test(every_next_header_has_its_answer),
		cmocka_unit_test(every_ethertype_has_its_answer),
		cmocka_unit_test(eapol_is_of_a_known_kind_and_never_tagged),
		cmocka_unit_test(unreadable_frames_are_not_read),
		cmocka_unit_test(a_load_that_fails_is_no_packet),
		cmocka_unit_test(whatever_comes_is_answered_within_the_frame),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
