// SPDX-License-Identifier: GPL-2.0
/* stopped.h: what is of today, what may be older, and who sent most. */
#include "stopped.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "util.h"

#define S 1000000000ULL
#define HOUR (3600 * S)
#define NOON (48 * HOUR) /* since boot */

/* 2026-11-22 12:00:00 UTC, two days after the boot. */
static const struct now noon = { .boot = NOON, .wall = 1795348800LL * 1000000000LL };

/* A kind of packet, to a port of its own. */
static struct blocked_entry sent(const char *comm, __u16 port, __u64 packets, __u64 first,
				 __u64 last)
{
	struct blocked_entry b = {
		.key = { .sender = TF_SENDER_PROGRAM, .port = port, .addr.byte = { 1 } },
		.value = { .packets = packets, .bytes = 10 * packets,
			   .first = first, .last = last },
	};

	memcpy(b.key.comm, comm, strnlen(comm, sizeof(b.key.comm)));
	return b;
}

static struct stopped make(struct blocked_entry *list, size_t count)
{
	const struct blocked b = { .list = list, .count = count, .room = 99,
				   .missed = { .packets = 7 } };
	struct stopped s;
	struct err e = {};

	assert_int_equal(stopped_make(&b, &noon, &s, &e), 0);
	assert_int_equal(s.used, count);
	assert_int_equal(s.room, 99);
	assert_int_equal(s.missed.packets, 7);
	return s;
}

static void test_nothing(void **state)
{
	struct blocked_entry old = sent("old", 1, 5, NOON - 40 * HOUR, NOON - 13 * HOUR);
	struct stopped s = make(&old, 1);

	(void)state;
	assert_int_equal(s.midnight, NOON - 12 * HOUR);
	assert_int_equal(s.out.packets, 0);
	assert_int_equal(s.sender_count, 0);
	assert_false(stopped_is_older(&s, &s.out));
}

/* Each sender once, with all its kinds; the one with most packets first; of as many, the later. */
static void test_who_sent_most(void **state)
{
	struct blocked_entry list[] = {
		sent("few", 1, 1, NOON - HOUR, NOON - HOUR),
		sent("dig", 1, 3, NOON - 3 * HOUR, NOON - 2 * HOUR),
		sent("fox", 1, 2, NOON - HOUR, NOON - 9 * S),
		sent("dig", 2, 4, NOON - HOUR, NOON - HOUR),
		sent("later", 1, 2, NOON - HOUR, NOON - 8 * S),
	};
	struct stopped s = make(list, ARRAY_SIZE(list));

	(void)state;
	assert_int_equal(s.out.packets, 12);
	assert_int_equal(s.out.bytes, 120);
	assert_int_equal(s.out.last, NOON - 8 * S);
	assert_int_equal(s.sender_count, 4);
	assert_string_equal(s.top[0].latest.key.comm, "dig");
	assert_int_equal(s.top[0].count.packets, 7);
	assert_int_equal(s.top[0].count.first, NOON - 3 * HOUR);
	assert_int_equal(s.top[0].kinds, 2);
	assert_int_equal(s.top[0].most.key.port, 2);
	assert_string_equal(s.top[1].latest.key.comm, "later");
	assert_string_equal(s.top[2].latest.key.comm, "fox");
}

/* A count that began before today is not today's alone. */
static void test_of_before_today(void **state)
{
	struct blocked_entry list[] = {
		sent("old", 1, 9, NOON - 30 * HOUR, NOON - HOUR),
		sent("new", 1, 1, NOON - HOUR, NOON - HOUR),
		sent("gone", 1, 99, NOON - 30 * HOUR, NOON - 29 * HOUR),
	};
	struct stopped s = make(list, ARRAY_SIZE(list));

	(void)state;
	assert_int_equal(s.out.packets, 10);
	assert_true(stopped_is_older(&s, &s.out));
	assert_true(stopped_is_older(&s, &s.top[0].count));
	assert_int_equal(s.sender_count, 2);
	assert_false(stopped_is_older(&s, &s.top[1].count));
}

/* What came in has no program, and is counted apart. */
static void test_what_came_in(void **state)
{
	struct blocked_entry list[] = {
		sent("", 1, 50, NOON - HOUR, NOON - HOUR),
		sent("", 2, 50, NOON - HOUR, NOON - HOUR),
		sent("dig", 1, 1, NOON - HOUR, NOON - HOUR),
	};
	struct stopped s;

	(void)state;
	list[0].key.sender = list[1].key.sender = TF_SENDER_NETWORK;
	s = make(list, ARRAY_SIZE(list));
	assert_int_equal(s.in.packets, 100);
	assert_int_equal(s.out.packets, 1);
	assert_int_equal(s.sender_count, 1);
}

/* The same kind that planes stopped adds up; a fence that only watches counts it on each. */
static void test_on_two_planes(void **state)
{
	struct blocked_entry list[] = {
		sent("dig", 1, 3, NOON - HOUR, NOON - HOUR),
		sent("dig", 1, 2, NOON - HOUR, NOON - HOUR),
	};
	struct stopped s;

	(void)state;
	list[1].key.plane = TF_PLANE_WIRE;
	s = make(list, ARRAY_SIZE(list));
	assert_int_equal(s.out.packets, 5);
	assert_int_equal(s.top[0].kinds, 1);
	list[0].key.flags = list[1].key.flags = TF_BLOCKED_OBSERVED;
	s = make(list, ARRAY_SIZE(list));
	assert_int_equal(s.out.packets, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_who_sent_most),
		cmocka_unit_test(test_of_before_today),
		cmocka_unit_test(test_what_came_in),
		cmocka_unit_test(test_on_two_planes),
	};

	setenv("TZ", "UTC", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
