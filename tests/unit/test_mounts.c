// SPDX-License-Identifier: GPL-2.0
/* Whether a bpffs is among the machine's mounts, as mountinfo texts say. */
#include "mounts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/sysmacros.h>

#include <cmocka.h>

#include "util.h"

#define RUN "25 31 0:23 / /run rw,nosuid shared:5 - tmpfs tmpfs rw,size=400k\n"
#define OWN "90 25 0:47 / /run/tunfence/bpf rw,nosuid,nodev,noexec shared:9 - bpf bpf rw,mode=700\n"
#define COVER "91 25 0:48 / /run/tunfence ro,nosuid shared:10 - tmpfs tunfence ro,size=4k,mode=0\n"

static bool has(const char *text, unsigned int low)
{
	_cleanup_fclose_ FILE *stream = fmemopen((void *)(uintptr_t)text, strlen(text), "r");

	assert_non_null(stream);
	return mountinfo_has_bpffs(stream, "/run/tunfence/bpf", makedev(0, low));
}

static void test_mounted(void **state)
{
	(void)state;
	assert_true(has(RUN OWN COVER, 47));
	assert_true(has(OWN, 47));
	assert_true(has("90 25 0:47 / /run/tunfence/bpf rw - bpf bpf rw", 47));
	assert_true(has("90 25 0:46 / /run/tunfence/bpf rw - bpf bpf rw\n" OWN, 47));
}

static void test_another(void **state)
{
	(void)state;
	assert_false(has("", 47));
	assert_false(has(RUN COVER, 47));
	assert_false(has(RUN OWN COVER, 48));
	assert_false(has("90 25 1:47 / /run/tunfence/bpf rw - bpf bpf rw\n", 47));
	assert_false(has("90 25 0:47 / /run/tunfence/bpf rw - tmpfs bpf rw\n", 47));
	assert_false(has("90 25 0:47 / /run/tunfence/bpf rw - bpffs bpf rw\n", 47));
	assert_false(has("90 25 0:47 / /run/tunfence/bpf2 rw - bpf bpf rw\n", 47));
	assert_false(has("90 25 0:47 / /run/tunfence rw - bpf bpf rw\n", 47));
	assert_false(has("90 25 0:47 /run/tunfence/bpf /x rw - bpf bpf rw\n", 47));
	assert_false(has("90 25 0:47 /wg0 /run/tunfence/bpf rw - bpf bpf rw\n", 47));
}

static void test_broken(void **state)
{
	(void)state;
	assert_false(has("\n\n", 47));
	assert_false(has("90 25 0:47 / /run/tunfence/bpf rw", 47));
	assert_false(has("90 25 0:47 / - bpf bpf rw\n", 47));
	assert_false(has("a b c:d / /run/tunfence/bpf rw - bpf bpf rw\n", 47));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mounted),
		cmocka_unit_test(test_another),
		cmocka_unit_test(test_broken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
