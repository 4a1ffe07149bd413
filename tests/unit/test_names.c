// SPDX-License-Identifier: GPL-2.0
/* names.h: who asks for names, by the texts of nsswitch.conf and resolv.conf. */
#include "names.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "util.h"

static FILE *text(const char *t)
{
	return fmemopen((void *)(uintptr_t)t, strlen(t), "r");
}

static bool asks_resolved(const char *t)
{
	_cleanup_fclose_ FILE *f = text(t);

	assert_non_null(f);
	return names_ask_resolved(f);
}

static const char *local(const char *t)
{
	static char who[64];
	_cleanup_fclose_ FILE *f = text(t);

	assert_non_null(f);
	return names_first_is_local(f, who) ? who : NULL;
}

static void test_nsswitch(void **state)
{
	(void)state;
	assert_true(asks_resolved("passwd: files\nhosts: files resolve [!UNAVAIL=return] dns\n"));
	assert_true(asks_resolved("\n  hosts:\tresolve"));
	assert_false(asks_resolved("hosts: files tunfence dns\n"));
	assert_false(asks_resolved("hosts: files # resolve\n"));
	assert_false(asks_resolved("passwd: resolve\n"));
	assert_false(asks_resolved("#hosts: resolve\n"));
	assert_false(asks_resolved(" "));
}

static void test_resolv_conf(void **state)
{
	(void)state;
	assert_string_equal(local("search example.net\nnameserver 127.0.0.53\n"), "127.0.0.53");
	assert_string_equal(local("nameserver\t::1"), "::1");
	assert_string_equal(local("nameserver 0.0.0.0\n"), "0.0.0.0");
	assert_null(local("nameserver 10.0.0.1\nnameserver 127.0.0.1\n"));
	assert_null(local("# nameserver 127.0.0.1\n"));
	assert_null(local("; nameserver 127.0.0.1\n"));
	assert_null(local("nameserver\n"));
	assert_null(local("options edns0\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nsswitch),
		cmocka_unit_test(test_resolv_conf),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
