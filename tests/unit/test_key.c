// SPDX-License-Identifier: GPL-2.0
/* key.h: the three ways to write a public key, and that each key has but one of each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "key.h"
#include "util.h"

/* By wg(8) and xxd. */
static const char text[] = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=";
static const char hexadecimal[] =
	"c53201039adba14be71f886da1d8dbe9eebded08cb111b75340078999aa9f038";

static void base64_and_back(void **state)
{
	char again[KEY_TEXT_LEN], hex[KEY_HEX_LEN];
	struct key key;

	(void)state;
	assert_int_equal(key_parse(text, &key), 0);
	assert_int_equal(key.byte[0], 0xc5);
	assert_int_equal(key.byte[31], 0x38);
	assert_string_equal(key_format(&key, again), text);
	assert_string_equal(key_format_hex(&key, hex), hexadecimal);
}

static void hexadecimal_and_back(void **state)
{
	char again[KEY_TEXT_LEN];
	struct key key;

	(void)state;
	assert_int_equal(key_parse_hex(hexadecimal, &key), 0);
	assert_string_equal(key_format(&key, again), text);
}

static void every_byte(void **state)
{
	char again[KEY_TEXT_LEN], hex[KEY_HEX_LEN];
	struct key key, parsed;
	unsigned int value;

	(void)state;
	for (value = 0; value < 256; value++) {
		memset(&key, (int)value, sizeof(key));
		key.byte[value % KEY_BYTES] ^= 0x5a;
		assert_int_equal(key_parse(key_format(&key, again), &parsed), 0);
		assert_true(key_equal(&key, &parsed));
		assert_int_equal(key_parse_hex(key_format_hex(&key, hex), &parsed), 0);
		assert_true(key_equal(&key, &parsed));
	}
}

static void what_is_none(void **state)
{
	struct key none = {}, one = { .byte = { [31] = 1 } };

	(void)state;
	assert_false(key_is_set(&none));
	assert_true(key_is_set(&one));
	assert_false(key_equal(&none, &one));
}

static void bad_texts(void **state)
{
	static const char *const bad[] = {
		"",
		"=",
		"xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg",   /* no '=' */
		"xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg==",
		"xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8DgA",
		"xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dh=", /* bits behind the last byte */
		"xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8D-=",
		"xTIBA5rbo vnH4htodjb6e697QjLERt1NAB4mZqp8Dg=",
		"=TIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=",
		"xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8D==",
	};
	static const char *const bad_hex[] = {
		"",
		"c53201039adba14be71f886da1d8dbe9eebded08cb111b75340078999aa9f03",
		"c53201039adba14be71f886da1d8dbe9eebded08cb111b75340078999aa9f0388",
		"c53201039adba14be71f886da1d8dbe9eebded08cb111b75340078999aa9f03g",
		"C53201039adba14be71f886da1d8dbe9eebded08cb111b75340078999aa9f038",
	};
	struct key before, key;
	size_t i;

	(void)state;
	memset(&before, 0x77, sizeof(before));
	key = before;
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(key_parse(bad[i], &key), -EINVAL);
	for (i = 0; i < ARRAY_SIZE(bad_hex); i++)
		assert_int_equal(key_parse_hex(bad_hex[i], &key), -EINVAL);
	assert_memory_equal(&key, &before, sizeof(key));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(base64_and_back), cmocka_unit_test(hexadecimal_and_back),
		cmocka_unit_test(every_byte),      cmocka_unit_test(what_is_none),
		cmocka_unit_test(bad_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
