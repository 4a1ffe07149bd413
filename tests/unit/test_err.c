// SPDX-License-Identifier: GPL-2.0
/* err.h: one error, its text, and what happens when it is too long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "err.h"

static void set_fills_and_returns_the_code(void **state)
{
	struct err e = {};

	(void)state;
	assert_int_equal(err_set(&e, -ENODEV, "no '%s'", "wg0"), -ENODEV);
	assert_int_equal(e.code, -ENODEV);
	assert_string_equal(e.text, "no 'wg0'");
}

static void nobody_has_to_listen(void **state)
{
	(void)state;
	assert_int_equal(err_set(NULL, -EIO, "lost"), -EIO);
	assert_true(err_prefix(NULL, "more") < 0);
}

static void prefix_goes_in_front(void **state)
{
	struct err e = {};

	(void)state;
	err_set(&e, -EPERM, "not allowed");
	assert_int_equal(err_prefix(&e, "eth%d", 0), -EPERM);
	assert_string_equal(e.text, "eth0: not allowed");
}

static void too_long_is_cut_and_terminated(void **state)
{
	char word[2 * sizeof(((struct err *)0)->text)];
	struct err e = {};

	(void)state;
	memset(word, 'x', sizeof(word));
	word[sizeof(word) - 1] = '\0';
	err_set(&e, -EINVAL, "%s", word);
	assert_int_equal(strlen(e.text), sizeof(e.text) - 1);
	assert_int_equal(err_prefix(&e, "file"), -EINVAL);
	assert_int_equal(strlen(e.text), sizeof(e.text) - 1);
	assert_memory_equal(e.text, "file: xxx", 9);
	assert_int_equal(err_prefix(&e, "%s", word), -EINVAL);
	assert_int_equal(strlen(e.text), sizeof(e.text) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(set_fills_and_returns_the_code),
		cmocka_unit_test(nobody_has_to_listen),
		cmocka_unit_test(prefix_goes_in_front),
		cmocka_unit_test(too_long_is_cut_and_terminated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
