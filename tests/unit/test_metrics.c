// SPDX-License-Identifier: GPL-2.0
/* metrics.h: samples as text, whatever is in their labels, and the table they are made from. */
#include "metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

static char text[4096];

/* Valid until the next call. */
static const char *written(const struct metrics *m)
{
	_cleanup_fclose_ FILE *out = fmemopen(text, sizeof(text), "w");

	assert_non_null(out);
	assert_int_equal(metrics_write(m, out), 0);
	return text;
}

/* How a value stands between its quotes. */
static const char *value(const char *v)
{
	static char last[512];
	_cleanup_metrics_ struct metrics m = {};

	metrics_add(&m, METRIC_UP, 1, { "fence", v });
	assert_false(m.incomplete);
	assert_memory_equal(m.samples[0].labels, "fence=\"", 7);
	snprintf(last, sizeof(last), "%s", m.samples[0].labels + 7);
	assert_int_equal(last[strlen(last) - 1], '"');
	last[strlen(last) - 1] = '\0';
	return last;
}

static void test_values(void **state)
{
	(void)state;
	assert_string_equal(value("wg0"), "wg0");
	assert_string_equal(value(""), "");
	assert_string_equal(value("a b=,{}#"), "a b=,{}#");
	assert_string_equal(value("a\"b"), "a\\\"b");
	assert_string_equal(value("a\\b\\"), "a\\\\b\\\\");
	assert_string_equal(value("a\nb"), "a\\nb");
	assert_string_equal(value("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"),
			    "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
}

#define BAD "\xef\xbf\xbd"

/* Control characters, and what is not UTF-8: one bad byte spoils the file for its readers. */
static void test_hostile_values(void **state)
{
	(void)state;
	assert_string_equal(value("\x1b[31m"), BAD "1b[31m");
	assert_string_equal(value("a\r\tb\x7f"), "a" BAD "0d" BAD "09b" BAD "7f");
	assert_string_equal(value("\xff\x80"), BAD "ff" BAD "80");
	assert_string_equal(value("\xc2\x9b"), BAD "c2" BAD "9b");
	assert_string_equal(value("\xc3"), BAD "c3");
	assert_string_equal(value("\xe2\x82"), BAD "e2" BAD "82");
	assert_string_equal(value("\xf0\x9f\x98" "a"), BAD "f0" BAD "9f" BAD "98a");
	assert_string_equal(value("\xc0\xaf"), BAD "c0" BAD "af");
	assert_string_equal(value("\xe0\x82\xac"), BAD "e0" BAD "82" BAD "ac");
	assert_string_equal(value("\xed\xa0\x80"), BAD "ed" BAD "a0" BAD "80");
	assert_string_equal(value("\xf4\x90\x80\x80"), BAD "f4" BAD "90" BAD "80" BAD "80");
	assert_string_equal(value("\xf8\x88\x80\x80\x80"),
			    BAD "f8" BAD "88" BAD "80" BAD "80" BAD "80");
}

/* What is shown for another byte cannot be had by a name that has it in full. */
static void test_values_are_not_confused(void **state)
{
	char one[64];

	(void)state;
	snprintf(one, sizeof(one), "%s", value("\xff"));
	assert_string_not_equal(value(BAD "ff"), one);
	snprintf(one, sizeof(one), "%s", value("a\nb"));
	assert_string_not_equal(value("a\\nb"), one);
}

static void test_text(void **state)
{
	_cleanup_metrics_ struct metrics m = {};

	(void)state;
	metrics_add(&m, METRIC_PACKETS, 18446744073709551615ULL, { "fence", "b" },
		    { "plane", "wire" });
	metrics_add(&m, METRIC_FENCED, 0);
	metrics_add(&m, METRIC_UP, 1, { "fence", "a" });
	metrics_add(&m, METRIC_PACKETS, 0, { "fence", "a" });
	metrics_add(&m, METRIC_UP, 0, { "fence", "b" });
	assert_string_equal(
		written(&m),
		"# HELP tunfence_fenced Whether a fence protects this machine and all of them do "
		"what they should\n"
		"# TYPE tunfence_fenced gauge\n"
		"tunfence_fenced 0\n"
		"# HELP tunfence_fence_up Whether the fence is up and can be read\n"
		"# TYPE tunfence_fence_up gauge\n"
		"tunfence_fence_up{fence=\"a\"} 1\n"
		"tunfence_fence_up{fence=\"b\"} 0\n"
		"# HELP tunfence_packets_total Packets that were judged\n"
		"# TYPE tunfence_packets_total counter\n"
		"tunfence_packets_total{fence=\"b\",plane=\"wire\"} 18446744073709551615\n"
		"tunfence_packets_total{fence=\"a\"} 0\n"
		"# EOF\n");
}

static void test_nothing(void **state)
{
	const struct metrics none = {};

	(void)state;
	assert_string_equal(written(&none), "# EOF\n");
}

/* Told at the end, or on the way. */
static void test_full_disk(void **state)
{
	_cleanup_fclose_ FILE *late = fopen("/dev/full", "w"), *early = fopen("/dev/full", "w");
	const struct metrics none = {};

	(void)state;
	assert_non_null(late);
	assert_int_equal(metrics_write(&none, late), -ENOSPC);
	assert_non_null(early);
	setvbuf(early, NULL, _IONBF, 0);
	assert_int_equal(metrics_write(&none, early), -ENOSPC);
}

/* What Prometheus' own rules ask of names and help, for every row there is. */
static void test_rows(void **state)
{
#define X(NAME, name, type, help) { name, #type, help },
	static const char *const rows[][3] = { METRICS(X) };
#undef X
	size_t i, j;

	(void)state;
	for (i = 0; i < METRIC_COUNT; i++) {
		const char *name = rows[i][0], *end = name + strlen(name);
		const bool total = strlen(name) > 6 && streq(end - 6, "_total");

		assert_memory_equal(name, "tunfence_", 9);
		assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz_"), strlen(name));
		assert_int_equal(total, streq(rows[i][1], "counter"));
		assert_true(total || streq(rows[i][1], "gauge"));
		assert_true(rows[i][2][0] != '\0' && !strpbrk(rows[i][2], "\"\\\n"));
		for (j = 0; j < i; j++)
			assert_string_not_equal(name, rows[j][0]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_hostile_values),
		cmocka_unit_test(test_values_are_not_confused),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_full_disk),
		cmocka_unit_test(test_rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
