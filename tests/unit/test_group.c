// SPDX-License-Identifier: GPL-2.0
/* group.h: the group that /proc/PID/cgroup names, and what there is to know of real directories. */
#include "group.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "cgroup.h"
#include "util.h"

static int parse(const char *text, char ret[PATH_MAX])
{
	_cleanup_fclose_ FILE *stream = fmemopen((void *)(uintptr_t)text, strlen(text), "r");

	assert_non_null(stream);
	return group_parse(stream, ret);
}

static void expect(const char *text, const char *wanted)
{
	char path[PATH_MAX] = "as it was";

	assert_int_equal(parse(text, path), 0);
	assert_string_equal(path, wanted);
}

static void refuse(const char *text)
{
	char path[PATH_MAX] = "as it was";

	assert_int_equal(parse(text, path), -ENOENT);
	assert_string_equal(path, "as it was");
}

static void test_parse(void **state)
{
	(void)state;
	expect("0::/\n", "/");
	expect("0::/user.slice/user-1000.slice/session-3.scope\n",
	       "/user.slice/user-1000.slice/session-3.scope");
	expect("0::/a b:c\\x2d", "/a b:c\\x2d");
	expect("2:cpu:/x\n1:name=systemd:/y\n0::/z\n", "/z");
	expect("0::/(deleted)\n", "/(deleted)");
}

static void test_no_group(void **state)
{
	char text[PATH_MAX + 16] = "0::/";

	(void)state;
	refuse("\n");
	refuse("1:name=systemd:/y\n");
	refuse("10::/y\n");
	refuse("0::y\n");
	refuse("0::/gone (deleted)\n");
	memset(text + 4, 'x', PATH_MAX);
	refuse(text);
}

static void test_not_below(void **state)
{
	(void)state;
	assert_false(group_is_below("/no/such/group", 1));
	assert_false(group_is_below("/tmp", 1));
	assert_false(group_is_below("", 1));
}

/* What cannot be read may have processes in it. */
static void test_unknown_is_populated(void **state)
{
	(void)state;
	assert_true(group_is_populated("/no/such/group"));
	assert_true(group_is_populated("/tmp"));
}

static int count(pid_t pid, const char *name, void *data)
{
	int *found = data;

	assert_true(pid >= 0 && *name);
	return ++*found == 2;
}

/* On a machine with cgroup2: this process is below the root, and the walk stops when it is told to. */
static void test_this_machine(void **state)
{
	char root[4096], path[PATH_MAX];
	struct err e = {};
	int found = 0;

	(void)state;
	if (cgroup_find_mount(root, NULL) < 0 || group_of_process(0, path, &e) < 0)
		skip();
	assert_int_equal(strncmp(path, root, strlen(root)), 0);
	assert_true(group_is_populated(root) || !group_is_below(path, 1));
	assert_int_equal(group_each_process(root, count, &found), 1);
	assert_int_equal(found, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_no_group),
		cmocka_unit_test(test_not_below),
		cmocka_unit_test(test_unknown_is_populated),
		cmocka_unit_test(test_this_machine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
