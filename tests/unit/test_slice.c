// SPDX-License-Identifier: GPL-2.0
/* slice.h: names of slices, as systemd-escape(1) gives them, and which group is a fence's own. */
#include "slice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <errno.h>

static void expect_unit(const char *fence, const char *wanted)
{
	char unit[UNIT_NAME_LEN] = "";
	struct err e = {};

	assert_int_equal(slice_unit(fence, SLICE_FENCED, unit, &e), 0);
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
		if (slice_unit(fence, SLICE_FENCED, unit, &e))
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
	assert_int_equal(slice_path("wg0", SLICE_FENCED, NULL, path, &e), 0);
	assert_string_equal(path, "tunfence.slice/tunfence-wg0.slice");
	assert_int_equal(slice_path("wg0", SLICE_FENCED, "/sys/fs/cgroup/x", path, &e), 0);
	assert_string_equal(path, "/sys/fs/cgroup/x/tunfence.slice/tunfence-wg0.slice");
	memset(base, 'x', sizeof(base) - 1);
	base[sizeof(base) - 1] = '\0';
	assert_int_equal(slice_path("wg0", SLICE_FENCED, base, path, &e), -ENAMETOOLONG);
}

static bool is_own(const char *path, const char *fence)
{
	return slice_is_own(path, fence, SLICE_FENCED);
}

static void test_own(void **state)
{
	(void)state;
	assert_true(is_own("/sys/fs/cgroup/tunfence.slice/tunfence-wg0.slice", "wg0"));
	assert_true(is_own("/c/tunfence.slice/tunfence-a\\x2db.slice", "a-b"));
	assert_false(is_own("/sys/fs/cgroup/tunfence.slice/tunfence-wg0.slice", "wg1"));
	assert_false(is_own("/sys/fs/cgroup/tunfence.slice/tunfence-wg0.slice/x", "wg0"));
	assert_false(is_own("/sys/fs/cgroup/tunfence-wg0.slice", "wg0"));
	assert_false(is_own("/sys/fs/cgroup/nottunfence.slice/tunfence-wg0.slice", "wg0"));
	assert_false(is_own("", "wg0"));
}

/* Its unit's name alone says where systemd has it, and no other fence's is there. */
static void test_exempt(void **state)
{
	static const char own[] = "/c/tunfence.slice/tunfence-wg0.slice";
	char path[PATH_MAX], unit[UNIT_NAME_LEN];
	struct err e = {};

	(void)state;
	assert_int_equal(slice_path("wg0", SLICE_EXEMPT, "/c", path, &e), 0);
	assert_string_equal(path, "/c/tunfence.slice/tunfence-wg0.slice/tunfence-wg0-exempt.slice");
	assert_true(slice_is_own(path, "wg0", SLICE_EXEMPT));
	assert_false(slice_is_own(path, "wg0", SLICE_FENCED));
	assert_false(slice_is_own(path, "wg0-exempt", SLICE_FENCED));
	assert_false(slice_is_own(own, "wg0", SLICE_EXEMPT));
	assert_int_equal(slice_unit("wg0-exempt", SLICE_FENCED, unit, &e), 0);
	assert_string_equal(unit, "tunfence-wg0\\x2dexempt.slice");
	assert_int_equal(slice_path("wg0", SLICE_EXEMPT, NULL, path, &e), 0);
	assert_string_equal(path, "tunfence.slice/tunfence-wg0.slice/tunfence-wg0-exempt.slice");
}

static void remove_all(const char *base)
{
	char command[PATH_MAX + 16];

	snprintf(command, sizeof(command), "rm -rf '%s'", base);
	assert_int_equal(system(command), 0);
}

/* In a directory like any other, where no group is populated that says so. */
static void test_make(void **state)
{
	char base[] = "/tmp/tunfence-slice-XXXXXX", path[PATH_MAX];
	struct err e = {};

	(void)state;
	assert_non_null(mkdtemp(base));
	assert_int_equal(slice_make("wg0", SLICE_EXEMPT, base, &e), 0);
	assert_int_equal(slice_make("wg0", SLICE_EXEMPT, base, &e), 0);
	assert_int_equal(slice_path("wg0", SLICE_EXEMPT, base, path, &e), 0);
	assert_int_equal(access(path, F_OK), 0);
	/* It cannot be told that nobody is in it. */
	assert_false(slice_remove("wg0", SLICE_EXEMPT, path));
	assert_int_equal(access(path, F_OK), 0);
	/* What is gone needs no removing; what is another's is not ours to remove. */
	assert_int_equal(rmdir(path), 0);
	assert_true(slice_remove("wg0", SLICE_EXEMPT, path));
	assert_false(slice_remove("wg1", SLICE_EXEMPT, path));
	remove_all(base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unit),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_path),
		cmocka_unit_test(test_own),
		cmocka_unit_test(test_exempt),
		cmocka_unit_test(test_make),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
