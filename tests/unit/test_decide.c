// SPDX-License-Identifier: GPL-2.0
/*
 * decide() and decide_in() over their whole input space, against the verdict tables of the design
 * written down here a second time, as data. And the promise itself, as theorems over the same space.
 */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <tunfence/decide.h>

#include "util.h"

/* Every boolean fact is a bit. */
enum {
	OBSERVE = 1 << 0,
	OUT_OF_SCOPE = 1 << 1,
	LOOPBACK = 1 << 2,
	TUNNEL = 1 << 3,
	INSIDE = 1 << 4,
	ENDPOINT = 1 << 5,
	LATER = 1 << 6,
	FIRST_PASSED = 1 << 7,
	NEIGHBOUR = 1 << 8,
	DHCP = 1 << 9,
	NAME_LOOKUP = 1 << 10,
	DESTINATION = 1 << 11,
	LAN = 1 << 12,
	INBOUND = 1 << 13,
	BOOTSTRAP = 1 << 14,
	EXEMPT = 1 << 15,
	FOREIGN_ARP = 1 << 16,
	ALL_FACTS = (1 << 17) - 1,
	/* What is asked only of what arrives: ARP of the link is all the same there. */
	REDIRECT = 1 << 16,
	OTHER_ADDRESS = 1 << 17,
	ICMP_ERROR = 1 << 18,
	ALL_FACTS_IN = (1 << 19) - 1,
};

/* And what the parser says: all there is, and more that is not. */
#define PARSES 40U
_Static_assert(TF_PARSE_COUNT < PARSES, "some must be no value of the enum");
static const unsigned int strange_parses[] = {
	127, 128, 255, 256, 256 + TF_PARSE_IP, INT_MAX, INT_MAX + 1U, UINT_MAX,
};

#define ANY_PARSE 1000U /* of a row: whatever the parser says */
#define NOT_IP 1001U    /* of a row: neither IP nor any row above */

/* The first row whose facts are all true decides. */
struct row {
	unsigned int facts;
	unsigned int parse;
	enum tf_reason reason;
	enum tf_verdict verdict;
};

static const struct row table_out[] = {
	{ OUT_OF_SCOPE, ANY_PARSE, TF_REASON_OUT_OF_SCOPE, TF_PASS },
	{ LOOPBACK, ANY_PARSE, TF_REASON_LOOPBACK, TF_PASS },
	{ TUNNEL, ANY_PARSE, TF_REASON_TUNNEL, TF_PASS },
	{ INSIDE, ANY_PARSE, TF_REASON_INSIDE, TF_PASS },
	{ FOREIGN_ARP, TF_PARSE_ARP, TF_REASON_FOREIGN_ARP, TF_DROP },
	{ 0, TF_PARSE_ARP, TF_REASON_ARP, TF_PASS },
	{ 0, TF_PARSE_EAPOL, TF_REASON_EAPOL, TF_PASS },
	{ 0, TF_PARSE_ETHERTYPE, TF_REASON_ETHERTYPE, TF_DROP },
	{ 0, TF_PARSE_LINK_TYPE, TF_REASON_LINK_TYPE, TF_DROP },
	{ 0, TF_PARSE_SHORT, TF_REASON_SHORT, TF_DROP },
	{ 0, TF_PARSE_BAD_VERSION, TF_REASON_BAD_VERSION, TF_DROP },
	{ 0, TF_PARSE_BAD_HEADER, TF_REASON_BAD_HEADER, TF_DROP },
	{ 0, TF_PARSE_EXT_CHAIN, TF_REASON_EXT_CHAIN, TF_DROP },
	{ 0, TF_PARSE_SOURCE_ROUTE, TF_REASON_SOURCE_ROUTE, TF_DROP },
	{ 0, TF_PARSE_TRAILER, TF_REASON_TRAILER, TF_DROP },
	{ 0, TF_PARSE_BAD_FRAGMENT, TF_REASON_BAD_FRAGMENT, TF_DROP },
	{ 0, TF_PARSE_REWRITTEN, TF_REASON_REWRITTEN, TF_DROP },
	{ 0, NOT_IP, TF_REASON_UNKNOWN, TF_DROP },
	{ ENDPOINT, ANY_PARSE, TF_REASON_ENDPOINT, TF_PASS },
	{ LATER | FIRST_PASSED, ANY_PARSE, TF_REASON_FRAGMENT, TF_PASS },
	{ LATER, ANY_PARSE, TF_REASON_STRAY_FRAGMENT, TF_DROP },
	{ NEIGHBOUR, ANY_PARSE, TF_REASON_NEIGHBOUR, TF_PASS },
	{ DHCP, ANY_PARSE, TF_REASON_DHCP, TF_PASS },
	{ BOOTSTRAP, ANY_PARSE, TF_REASON_BOOTSTRAP, TF_PASS },
	{ NAME_LOOKUP, ANY_PARSE, TF_REASON_NAME_LOOKUP, TF_DROP },
	{ EXEMPT, ANY_PARSE, TF_REASON_EXEMPT, TF_PASS },
	{ DESTINATION, ANY_PARSE, TF_REASON_DESTINATION, TF_PASS },
	{ LAN, ANY_PARSE, TF_REASON_LAN, TF_PASS },
	{ INBOUND, ANY_PARSE, TF_REASON_INBOUND, TF_PASS },
	{ 0, ANY_PARSE, TF_REASON_NOT_ALLOWED, TF_DROP },
};

static const struct row table_in[] = {
	{ OUT_OF_SCOPE, ANY_PARSE, TF_REASON_OUT_OF_SCOPE, TF_PASS },
	{ LOOPBACK, ANY_PARSE, TF_REASON_LOOPBACK, TF_PASS },
	{ TUNNEL, ANY_PARSE, TF_REASON_TUNNEL, TF_PASS },
	{ INSIDE, ANY_PARSE, TF_REASON_INSIDE, TF_PASS },
	{ 0, TF_PARSE_ARP, TF_REASON_ARP, TF_PASS },
	{ 0, TF_PARSE_EAPOL, TF_REASON_EAPOL, TF_PASS },
	{ 0, TF_PARSE_ETHERTYPE, TF_REASON_ETHERTYPE, TF_DROP },
	{ 0, TF_PARSE_LINK_TYPE, TF_REASON_LINK_TYPE, TF_DROP },
	{ 0, TF_PARSE_SHORT, TF_REASON_SHORT, TF_DROP },
	{ 0, TF_PARSE_BAD_VERSION, TF_REASON_BAD_VERSION, TF_DROP },
	{ 0, TF_PARSE_BAD_HEADER, TF_REASON_BAD_HEADER, TF_DROP },
	{ 0, TF_PARSE_EXT_CHAIN, TF_REASON_EXT_CHAIN, TF_DROP },
	{ 0, TF_PARSE_SOURCE_ROUTE, TF_REASON_SOURCE_ROUTE, TF_DROP },
	{ 0, TF_PARSE_TRAILER, TF_REASON_TRAILER, TF_DROP },
	{ 0, TF_PARSE_BAD_FRAGMENT, TF_REASON_BAD_FRAGMENT, TF_DROP },
	{ 0, TF_PARSE_REWRITTEN, TF_REASON_REWRITTEN, TF_DROP },
	{ 0, NOT_IP, TF_REASON_UNKNOWN, TF_DROP },
	{ REDIRECT, ANY_PARSE, TF_REASON_REDIRECT, TF_DROP },
	{ DHCP, ANY_PARSE, TF_REASON_DHCP, TF_PASS },
	{ OTHER_ADDRESS, ANY_PARSE, TF_REASON_OTHER_ADDRESS, TF_DROP },
	{ LATER | FIRST_PASSED, ANY_PARSE, TF_REASON_FRAGMENT, TF_PASS },
	{ LATER, ANY_PARSE, TF_REASON_STRAY_FRAGMENT, TF_DROP },
	{ ICMP_ERROR | ENDPOINT, ANY_PARSE, TF_REASON_ICMP_ERROR, TF_PASS },
	{ ICMP_ERROR | INBOUND, ANY_PARSE, TF_REASON_ICMP_ERROR, TF_PASS },
	{ ICMP_ERROR | NAME_LOOKUP, ANY_PARSE, TF_REASON_NAME_LOOKUP, TF_DROP },
	{ ICMP_ERROR | EXEMPT, ANY_PARSE, TF_REASON_ICMP_ERROR, TF_PASS },
	{ ICMP_ERROR | DESTINATION, ANY_PARSE, TF_REASON_ICMP_ERROR, TF_PASS },
	{ ICMP_ERROR | LAN, ANY_PARSE, TF_REASON_ICMP_ERROR, TF_PASS },
	{ ICMP_ERROR, ANY_PARSE, TF_REASON_UNASKED, TF_DROP },
	{ ENDPOINT, ANY_PARSE, TF_REASON_ENDPOINT, TF_PASS },
	{ NEIGHBOUR, ANY_PARSE, TF_REASON_NEIGHBOUR, TF_PASS },
	{ INBOUND, ANY_PARSE, TF_REASON_INBOUND, TF_PASS },
	{ BOOTSTRAP, ANY_PARSE, TF_REASON_BOOTSTRAP, TF_PASS },
	{ NAME_LOOKUP, ANY_PARSE, TF_REASON_NAME_LOOKUP, TF_DROP },
	{ EXEMPT, ANY_PARSE, TF_REASON_EXEMPT, TF_PASS },
	{ DESTINATION, ANY_PARSE, TF_REASON_DESTINATION, TF_PASS },
	{ LAN, ANY_PARSE, TF_REASON_LAN, TF_PASS },
	{ 0, ANY_PARSE, TF_REASON_UNASKED, TF_DROP },
};

static const struct row *row_for(const struct row *table, unsigned int facts, unsigned int parse)
{
	const struct row *row;

	/* Both tables end in a row that everything matches. */
	for (row = table;; row++) {
		if ((facts & row->facts) != row->facts)
			continue;
		if (row->parse == ANY_PARSE || row->parse == parse ||
		    (row->parse == NOT_IP && parse != TF_PARSE_IP))
			return row;
	}
}

static struct tf_facts facts_of(unsigned int facts, unsigned int parse)
{
	struct tf_facts f = {
		.observe = facts & OBSERVE,
		.out_of_scope = facts & OUT_OF_SCOPE,
		.loopback = facts & LOOPBACK,
		.tunnel = facts & TUNNEL,
		.inside = facts & INSIDE,
		.parse = (enum tf_parse)parse,
		.endpoint = facts & ENDPOINT,
		.later_fragment = facts & LATER,
		.fragment_passed = facts & FIRST_PASSED,
		.neighbour = facts & NEIGHBOUR,
		.dhcp = facts & DHCP,
		.bootstrap = facts & BOOTSTRAP,
		.name_lookup = facts & NAME_LOOKUP,
		.exempt = facts & EXEMPT,
		.destination = facts & DESTINATION,
		.lan = facts & LAN,
		.inbound = facts & INBOUND,
	};

	return f;
}

static struct tf_decision judge_out(unsigned int facts, unsigned int parse)
{
	struct tf_facts f = facts_of(facts, parse);

	f.foreign_arp = facts & FOREIGN_ARP;
	return decide(&f);
}

static struct tf_decision judge_in(unsigned int facts, unsigned int parse)
{
	struct tf_facts f = facts_of(facts, parse);

	f.redirect = facts & REDIRECT;
	f.other_address = facts & OTHER_ADDRESS;
	f.icmp_error = facts & ICMP_ERROR;
	return decide_in(&f);
}

typedef void (*check)(unsigned int facts, unsigned int parse);

static void for_every_input(unsigned int all_facts, check each)
{
	unsigned int parse, facts;
	size_t i;

	for (facts = 0; facts <= all_facts; facts++) {
		for (parse = 0; parse < PARSES; parse++)
			each(facts, parse);
		for (i = 0; i < ARRAY_SIZE(strange_parses); i++)
			each(facts, strange_parses[i]);
	}
}

static void compare(const struct row *row, unsigned int facts, unsigned int parse,
		    struct tf_decision d)
{
	enum tf_verdict verdict = facts & OBSERVE ? TF_PASS : row->verdict;

	if (d.reason != row->reason || d.verdict != verdict)
		fail_msg("facts %#x parse %u: reason %d verdict %d, not %d and %d", facts, parse,
			 (int)d.reason, (int)d.verdict, (int)row->reason, (int)verdict);
}

static void check_out(unsigned int facts, unsigned int parse)
{
	compare(row_for(table_out, facts, parse), facts, parse, judge_out(facts, parse));
}

static void check_in(unsigned int facts, unsigned int parse)
{
	compare(row_for(table_in, facts, parse), facts, parse, judge_in(facts, parse));
}

static void every_input_is_judged_as_the_table_says(void **state)
{
	(void)state;
	for_every_input(ALL_FACTS, check_out);
}

static void every_arrival_is_judged_as_the_table_says(void **state)
{
	(void)state;
	for_every_input(ALL_FACTS_IN, check_in);
}

#define ELSEWHERE (OUT_OF_SCOPE | LOOPBACK | TUNNEL | INSIDE)

static bool is_of_the_link(unsigned int parse)
{
	return parse == TF_PARSE_ARP || parse == TF_PARSE_EAPOL;
}

/* What may let a packet pass that an enforcing fence judges and that is no ARP or EAPOL. */
static bool has_a_right(unsigned int facts)
{
	if (facts & ELSEWHERE)
		return true;
	if (facts & LATER)
		return facts & (ENDPOINT | FIRST_PASSED);
	return facts & (ENDPOINT | NEIGHBOUR | DHCP | BOOTSTRAP | EXEMPT | DESTINATION | LAN |
			INBOUND);
}

static void check_promise(unsigned int facts, unsigned int parse)
{
	struct tf_decision d = judge_out(facts, parse);
	bool elsewhere = facts & ELSEWHERE;

	if (facts & OBSERVE)
		return;
	if (!is_of_the_link(parse) && !has_a_right(facts))
		assert_int_equal(d.verdict, TF_DROP);
	if (!elsewhere && parse != TF_PARSE_IP && !is_of_the_link(parse))
		assert_int_equal(d.verdict, TF_DROP);
	if (!elsewhere && parse == TF_PARSE_ARP && facts & FOREIGN_ARP)
		assert_int_equal(d.verdict, TF_DROP);
	/* A name is not looked up outside the tunnel, whatever rule would allow it, but by tunfence. */
	if (!elsewhere && parse == TF_PARSE_IP && facts & NAME_LOOKUP &&
	    !(facts & (ENDPOINT | LATER | NEIGHBOUR | DHCP | BOOTSTRAP)))
		assert_int_equal(d.verdict, TF_DROP);
}

static void nothing_leaves_without_a_right(void **state)
{
	(void)state;
	for_every_input(ALL_FACTS, check_promise);
}

/* What may let a packet in. Of a later fragment only what was remembered, never its bytes. */
static bool has_a_right_in(unsigned int facts)
{
	if (facts & DHCP)
		return true;
	if (facts & LATER)
		return facts & FIRST_PASSED;
	/* Of an error, that it quotes tunfence's question does not count. */
	return facts & (ENDPOINT | NEIGHBOUR | EXEMPT | DESTINATION | LAN | INBOUND) ||
	       (facts & BOOTSTRAP && !(facts & ICMP_ERROR));
}

static void check_promise_in(unsigned int facts, unsigned int parse)
{
	struct tf_decision d = judge_in(facts, parse);

	if (facts & (OBSERVE | ELSEWHERE) || is_of_the_link(parse))
		return;
	if (parse != TF_PARSE_IP || !has_a_right_in(facts))
		assert_int_equal(d.verdict, TF_DROP);
	/* No rule lets anyone change a route, or reach what is not this device's. */
	if (facts & REDIRECT || (facts & OTHER_ADDRESS && !(facts & DHCP)))
		assert_int_equal(d.verdict, TF_DROP);
	/* An error that quotes nothing allowed is no neighbour's message. */
	if (facts & ICMP_ERROR &&
	    !(facts & (ENDPOINT | EXEMPT | DESTINATION | LAN | INBOUND | DHCP | LATER)))
		assert_int_equal(d.verdict, TF_DROP);
	/* Nothing of a name service but what a port is open for, or what tunfence asked. */
	if (facts & NAME_LOOKUP &&
	    !(facts & (ENDPOINT | LATER | NEIGHBOUR | DHCP | BOOTSTRAP | INBOUND)))
		assert_int_equal(d.verdict, TF_DROP);
}

static void nothing_comes_in_without_a_right(void **state)
{
	(void)state;
	for_every_input(ALL_FACTS_IN, check_promise_in);
}

static void check_one_fact_less(unsigned int facts, unsigned int parse)
{
	const unsigned int forbidding = LATER | NAME_LOOKUP | FOREIGN_ARP;
	unsigned int fact;

	if (judge_out(facts, parse).verdict == TF_PASS)
		return;
	for (fact = 1; fact <= ALL_FACTS; fact <<= 1) {
		if (facts & fact & ~forbidding)
			assert_int_equal(judge_out(facts & ~fact, parse).verdict, TF_DROP);
	}
}

static void check_one_fact_less_in(unsigned int facts, unsigned int parse)
{
	const unsigned int forbidding = LATER | NAME_LOOKUP | REDIRECT | OTHER_ADDRESS | ICMP_ERROR;
	unsigned int fact;

	if (judge_in(facts, parse).verdict == TF_PASS)
		return;
	for (fact = 1; fact <= ALL_FACTS_IN; fact <<= 1) {
		if (facts & fact & ~forbidding)
			assert_int_equal(judge_in(facts & ~fact, parse).verdict, TF_DROP);
	}
}

static void a_fact_not_known_never_passes_anything(void **state)
{
	(void)state;
	for_every_input(ALL_FACTS, check_one_fact_less);
	for_every_input(ALL_FACTS_IN, check_one_fact_less_in);
}

static void zero_is_a_drop(void **state)
{
	const struct tf_decision d = {};
	const struct tf_facts f = {};

	(void)state;
	assert_int_equal(d.verdict, TF_DROP);
	assert_int_equal(d.reason, TF_REASON_UNKNOWN);
	assert_int_equal(decide(&f).verdict, TF_DROP);
	assert_int_equal(decide(&f).reason, TF_REASON_UNKNOWN);
	assert_int_equal(decide_in(&f).verdict, TF_DROP);
	assert_int_equal(decide_in(&f).reason, TF_REASON_UNKNOWN);
}

static const char *const names[] = {
#define X(NAME, name, verdict, text) #name,
	TF_REASONS(X)
#undef X
};

/* The guard plane's, which are no verdicts on packets. */
static const struct row guards[] = {
	{ 0, 0, TF_REASON_NO_TUNNEL, TF_DROP },
	{ 0, 0, TF_REASON_BYPASS, TF_DROP },
};

/* The verdict that the first row with this reason gives. */
static bool find_verdict(const struct row *rows, size_t count, unsigned int reason,
			 enum tf_verdict *ret)
{
	size_t i;

	for (i = 0; i < count; i++) {
		if (rows[i].reason == reason) {
			*ret = rows[i].verdict;
			return true;
		}
	}
	return false;
}

static void every_reason_has_one_name_and_one_verdict(void **state)
{
	unsigned int reason, other;
	enum tf_verdict verdict;

	(void)state;
	assert_int_equal(ARRAY_SIZE(names), TF_REASON_COUNT);
	for (reason = 0; reason < TF_REASON_COUNT; reason++) {
		for (other = 0; other < reason; other++)
			assert_string_not_equal(names[reason], names[other]);
		/* There is none that nothing gives. */
		assert_true(find_verdict(table_out, ARRAY_SIZE(table_out), reason, &verdict) ||
			    find_verdict(table_in, ARRAY_SIZE(table_in), reason, &verdict) ||
			    find_verdict(guards, ARRAY_SIZE(guards), reason, &verdict));
		assert_int_equal(tf_reason_verdict((enum tf_reason)reason), verdict);
	}
}

static void what_is_no_reason_is_a_drop(void **state)
{
	const unsigned int strange[] = { TF_REASON_COUNT, TF_REASON_COUNT + 1, 255, UINT_MAX };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(strange); i++)
		assert_int_equal(tf_reason_verdict((enum tf_reason)strange[i]), TF_DROP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_input_is_judged_as_the_table_says),
		cmocka_unit_test(every_arrival_is_judged_as_the_table_says),
		cmocka_unit_test(nothing_leaves_without_a_right),
		cmocka_unit_test(nothing_comes_in_without_a_right),
		cmocka_unit_test(a_fact_not_known_never_passes_anything),
		cmocka_unit_test(zero_is_a_drop),
		cmocka_unit_test(every_reason_has_one_name_and_one_verdict),
		cmocka_unit_test(what_is_no_reason_is_a_drop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
