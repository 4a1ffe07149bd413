// SPDX-License-Identifier: GPL-2.0
/* when.h: what a person means by a time, held against moments since boot. */
#include "when.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "util.h"

#define S 1000000000LL

/* 2026-11-22 12:00:00 UTC, two days after the boot. */
static const struct now noon = { .boot = 2 * 86400 * S, .wall = 1795348800 * S };

static long long ago(const char *text)
{
	__u64 boot = 0;
	struct err e = {};

	assert_int_equal(when_parse(text, &noon, &boot, &e), 0);
	return boot ? (long long)((noon.boot - boot) / (__u64)S) : -1;
}

static void test_so_long_ago(void **state)
{
	(void)state;
	assert_int_equal(ago("0s"), 0);
	assert_int_equal(ago("90s"), 90);
	assert_int_equal(ago("10min"), 600);
	assert_int_equal(ago("2h"), 7200);
	assert_int_equal(ago("1d"), 86400);
	assert_int_equal(ago("2d"), -1); /* before the boot is ever */
	assert_int_equal(ago("1000000000d"), -1);
}

static void test_by_the_clock(void **state)
{
	(void)state;
	assert_int_equal(ago("today"), 12 * 3600);
	assert_int_equal(ago("11:30"), 1800);
	assert_int_equal(ago("11:59:50"), 10);
	assert_int_equal(ago("13:00"), 23 * 3600); /* yesterday's */
	assert_int_equal(ago("2026-11-22"), 12 * 3600);
	assert_int_equal(ago("2026-11-22 11:59"), 60);
	assert_int_equal(ago("2026-11-22 11:59:59"), 1);
	assert_int_equal(ago("2001-01-01"), -1);
}

static void test_so_old(void **state)
{
	char text[WHEN_TEXT_LEN];

	(void)state;
	assert_string_equal(when_long_ago(0, text), "0 seconds");
	assert_string_equal(when_long_ago(-5, text), "0 seconds");
	assert_string_equal(when_long_ago(1, text), "1 second");
	assert_string_equal(when_long_ago(59, text), "59 seconds");
	assert_string_equal(when_long_ago(60, text), "1 minute");
	assert_string_equal(when_long_ago(7199, text), "1 hour");
	assert_string_equal(when_long_ago(3 * 86400, text), "3 days");
}

static void test_no_time(void **state)
{
	static const char *const wrong[] = {
		"", "x", "10", "10m", "-1h", "min", "25:00", "2026-13-01", "12:00x", "10min ago",
		"99999999999999999999s", "2026-11-23", "2026-11-22 12:01",
	};
	struct err e = {};
	__u64 boot = 7;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		assert_int_equal(when_parse(wrong[i], &noon, &boot, &e), -EINVAL);
		assert_int_equal(boot, 7);
		assert_non_null(strstr(e.text, wrong[i]));
	}
}

/* What was counted does not move when the clock is set: only the clock's word for it does. */
static void test_back(void **state)
{
	const struct now set_back = { .boot = noon.boot, .wall = noon.wall - 86400 * S };
	char text[WHEN_TEXT_LEN];
	const __u64 boot = noon.boot - 3600 * S;

	(void)state;
	assert_int_equal(when_real(&noon, boot), now_real(&noon) - 3600);
	assert_string_equal(when_short(&noon, boot, text), "11:00:00");
	assert_string_equal(when_short(&noon, boot - 86400 * S, text), "21 Nov");
	assert_string_equal(when_short(&set_back, boot, text), "11:00:00");
	assert_string_equal(when_long(&set_back, boot, text), "2026-11-21 11:00:00");
}

/* A moment has one second of the clock's, in whichever part of a second it is asked for. */
static void test_the_same_again(void **state)
{
	const __u64 moment = noon.boot - 101 * (__u64)S / 10;
	struct now later = noon;
	struct err e = {};
	__u64 since = 0;
	int i;

	(void)state;
	for (i = 0; i < 20; i++) {
		assert_int_equal(when_real(&later, moment), now_real(&noon) - 11);
		assert_int_equal(when_parse("11:59:49", &later, &since, &e), 0);
		assert_int_equal(since, noon.boot - 11 * (__u64)S);
		later.boot += (__u64)S / 8;
		later.wall += S / 8;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_so_long_ago),
		cmocka_unit_test(test_by_the_clock),
		cmocka_unit_test(test_so_old),
		cmocka_unit_test(test_no_time),
		cmocka_unit_test(test_back),
		cmocka_unit_test(test_the_same_again),
	};

	setenv("TZ", "UTC", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
