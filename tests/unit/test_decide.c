// SPDX-License-Identifier: GPL-2.0
/*
 * decide() over its whole input space, against the verdict table of the design written down here a
 * second time, as data. And the promise itself, as a theorem over the same space.
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
	ALL_FACTS = (1 << 14) - 1,
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
static const struct row {
	unsigned int facts;
	unsigned int parse;
	enum tf_reason reason;
	enum tf_verdict verdict;
} table[] = {
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
	{ ENDPOINT, ANY_PARSE, TF_REASON_ENDPOINT, TF_PASS },
	{ LATER | FIRST_PASSED, ANY_PARSE, TF_REASON_FRAGMENT, TF_PASS },
	{ LATER, ANY_PARSE, TF_REASON_STRAY_FRAGMENT, TF_DROP },
	{ NEIGHBOUR, ANY_PARSE, TF_REASON_NEIGHBOUR, TF_PASS },
	{ DHCP, ANY_PARSE, TF_REASON_DHCP, TF_PASS },
	{ NAME_LOOKUP, ANY_PARSE, TF_REASON_NAME_LOOKUP, TF_DROP },
	{ DESTINATION, ANY_PARSE, TF_REASON_DESTINATION, TF_PASS },
	{ LAN, ANY_PARSE, TF_REASON_LAN, TF_PASS },
	{ INBOUND, ANY_PARSE, TF_REASON_INBOUND, TF_PASS },
	{ 0, ANY_PARSE, TF_REASON_NOT_ALLOWED, TF_DROP },
};

static const struct row *row_for(unsigned int facts, unsigned int parse)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(table); i++) {
		const struct row *row = &table[i];

		if ((facts & row->facts) != row->facts)
			continue;
		if (row->parse == ANY_PARSE || row->parse == parse ||
		    (row->parse == NOT_IP && parse != TF_PARSE_IP))
			return row;
	}
	return NULL;
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
		.name_lookup = facts & NAME_LOOKUP,
		.destination = facts & DESTINATION,
		.lan = facts & LAN,
		.inbound = facts & INBOUND,
	};

	return f;
}

typedef void (*check)(unsigned int facts, unsigned int parse, struct tf_decision d);

static void for_all_facts(unsigned int parse, check each)
{
	unsigned int facts;

	for (facts = 0; facts <= ALL_FACTS; facts++) {
		struct tf_facts f = facts_of(facts, parse);

		each(facts, parse, decide(&f));
	}
}

static void for_every_input(check each)
{
	unsigned int parse;
	size_t i;

	for (parse = 0; parse < PARSES; parse++)
		for_all_facts(parse, each);
	for (i = 0; i < ARRAY_SIZE(strange_parses); i++)
		for_all_facts(strange_parses[i], each);
}

static void check_against_table(unsigned int facts, unsigned int parse, struct tf_decision d)
{
	const struct row *row = row_for(facts, parse);
	enum tf_verdict verdict = facts & OBSERVE ? TF_PASS : row->verdict;

	if (d.reason != row->reason || d.verdict != verdict)
		fail_msg("facts %#x parse %u: reason %d verdict %d, not %d and %d", facts, parse,
			 (int)d.reason, (int)d.verdict, (int)row->reason, (int)verdict);
}

static void every_input_is_judged_as_the_table_says(void **state)
{
	(void)state;
	for_every_input(check_against_table);
}

/* What may let a packet out that an enforcing fence judges and that is no ARP or EAPOL. */
static bool has_a_right(unsigned int facts)
{
	if (facts & (OUT_OF_SCOPE | LOOPBACK | TUNNEL | INSIDE))
		return true;
	if (facts & LATER)
		return facts & (ENDPOINT | FIRST_PASSED);
	return facts & (ENDPOINT | NEIGHBOUR | DHCP | DESTINATION | LAN | INBOUND);
}

static void check_promise(unsigned int facts, unsigned int parse, struct tf_decision d)
{
	bool elsewhere = facts & (OUT_OF_SCOPE | LOOPBACK | TUNNEL | INSIDE);

	if (facts & OBSERVE)
		return;
	if (parse != TF_PARSE_ARP && parse != TF_PARSE_EAPOL && !has_a_right(facts))
		assert_int_equal(d.verdict, TF_DROP);
	if (!elsewhere && parse != TF_PARSE_IP && parse != TF_PARSE_ARP && parse != TF_PARSE_EAPOL)
		assert_int_equal(d.verdict, TF_DROP);
	/* A name is not looked up outside the tunnel, whatever rule would allow it. */
	if (!elsewhere && parse == TF_PARSE_IP && facts & NAME_LOOKUP &&
	    !(facts & (ENDPOINT | LATER | NEIGHBOUR | DHCP)))
		assert_int_equal(d.verdict, TF_DROP);
}

static void nothing_leaves_without_a_right(void **state)
{
	(void)state;
	for_every_input(check_promise);
}

static void check_one_fact_less(unsigned int facts, unsigned int parse, struct tf_decision d)
{
	const unsigned int forbidding = LATER | NAME_LOOKUP;
	unsigned int fact;

	for (fact = 1; fact <= ALL_FACTS; fact <<= 1) {
		struct tf_facts f = facts_of(facts & ~fact, parse);

		if (d.verdict == TF_DROP && facts & fact & ~forbidding)
			assert_int_equal(decide(&f).verdict, TF_DROP);
	}
}

static void a_fact_not_known_never_passes_anything(void **state)
{
	(void)state;
	for_every_input(check_one_fact_less);
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
}

static const char *const names[] = {
#define X(NAME, name, verdict, text) #name,
	TF_REASONS(X)
#undef X
};

static void every_reason_has_one_name_and_one_verdict(void **state)
{
	unsigned int reason, other, row;

	(void)state;
	assert_int_equal(ARRAY_SIZE(names), TF_REASON_COUNT);
	for (reason = 0; reason < TF_REASON_COUNT; reason++) {
		for (other = 0; other < reason; other++)
			assert_string_not_equal(names[reason], names[other]);
		for (row = 0; row < ARRAY_SIZE(table); row++) {
			if (table[row].reason == reason)
				break;
		}
		assert_int_not_equal(row, ARRAY_SIZE(table)); /* no reason that nothing gives */
		assert_int_equal(tf_reason_verdict((enum tf_reason)reason), table[row].verdict);
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
		cmocka_unit_test(nothing_leaves_without_a_right),
		cmocka_unit_test(a_fact_not_known_never_passes_anything),
		cmocka_unit_test(zero_is_a_drop),
		cmocka_unit_test(every_reason_has_one_name_and_one_verdict),
		cmocka_unit_test(what_is_no_reason_is_a_drop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
