// SPDX-License-Identifier: GPL-2.0
/* slice.h: names of slices, as systemd-escape(1) gives them, and which group is a fence's own. */
#include "slice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

static void expect_unit(const char *fence, const char *wanted)
{
	char unit[UNIT_NAME_LEN] = "";
	struct err e = {};

	assert_int_equal(slice_unit(fence, unit, &e), 0);
	assert_string_equal(unit, wanted);
}

static void test_unit(void **state)
{
	(void)state;
	expect_unit("wg0", "tunfence-wg0.slice");
	expect_unit("a_B9", "tunfence-a_B9.slice");
	expect_unit("my-vpn", "tunfence-my\\x2dvpn.slice");
	expect_unit("vpn@home", "tunfence-vpn\\x40home.slice");
}

/* The unit's name with what stands around it, also that of a scope, is a file's name. */
static void test_too_long(void **state)
{
	char fence[64], unit[UNIT_NAME_LEN] = "as it was";
	struct err e = {};
	size_t dashes;

	(void)state;
	for (dashes = 0; dashes < 63; dashes++) {
		memset(fence, 'x', 63);
		memset(fence, '-', dashes);
		fence[63] = '\0';
		if (slice_unit(fence, unit, &e))
			break;
		assert_int_equal(strlen(unit), strlen("tunfence-.slice") + 63 + 3 * dashes);
	}
	assert_true(dashes > 40 && dashes < 63);
	assert_int_equal(e.code, -ENAMETOOLONG);
	assert_non_null(strstr(e.text, "Cgroup="));
	assert_int_equal(strlen(unit), strlen("tunfence-.slice") + 63 + 3 * (dashes - 1));
}

static void test_path(void **state)
{
	char path[PATH_MAX] = "as it was", base[PATH_MAX];
	struct err e = {};

	(void)state;
	assert_int_equal(slice_path("wg0", NULL, path, &e), 0);
	assert_string_equal(path, "tunfence.slice/tunfence-wg0.slice");
	assert_int_equal(slice_path("wg0", "/sys/fs/cgroup/x", path, &e), 0);
	assert_string_equal(path, "/sys/fs/cgroup/x/tunfence.slice/tunfence-wg0.slice");
	memset(base, 'x', sizeof(base) - 1);
	base[sizeof(base) - 1] = '\0';
	assert_int_equal(slice_path("wg0", base, path, &e), -ENAMETOOLONG);
}

static void test_own(void **state)
{
	(void)state;
	assert_true(slice_is_own("/sys/fs/cgroup/tunfence.slice/tunfence-wg0.slice", "wg0"));
	assert_true(slice_is_own("/c/tunfence.slice/tunfence-a\\x2db.slice", "a-b"));
	assert_false(slice_is_own("/sys/fs/cgroup/tunfence.slice/tunfence-wg0.slice", "wg1"));
	assert_false(slice_is_own("/sys/fs/cgroup/tunfence.slice/tunfence-wg0.slice/x", "wg0"));
	assert_false(slice_is_own("/sys/fs/cgroup/tunfence-wg0.slice", "wg0"));
	assert_false(slice_is_own("/sys/fs/cgroup/nottunfence.slice/tunfence-wg0.slice", "wg0"));
	assert_false(slice_is_own("", "wg0"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unit),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_path),
		cmocka_unit_test(test_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
