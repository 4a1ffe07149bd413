// SPDX-License-Identifier: GPL-2.0
/* text.h and question.h: what strangers wrote never reaches a terminal as it is. */
#include "text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "question.h"
#include "util.h"

static const char *shown(const char *text)
{
	static char out[256];

	return text_escape(text, strlen(text), out, sizeof(out));
}

static void test_what_is_harmless_stays(void **state)
{
	static const char *const same[] = {
		"", "firefox", "a b", "\\x2d", "caf\xc3\xa9", "\xe6\x97\xa5\xe6\x9c\xac",
		"\xf0\x9f\x90\xa7", "\"',{}<>&", "~",
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(same); i++)
		assert_string_equal(shown(same[i]), same[i]);
}

static void test_what_is_not_becomes_bytes(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{ "\x1b[2J", "\\x1b[2J" },
		{ "a\nb\r\t\x7f", "a\\x0ab\\x0d\\x09\\x7f" },
		{ "\xc2\x9b"
		  "31m", "\\xc2\\x9b31m" },                          /* C1: CSI */
		{ "\xe2\x80\xae", "\\xe2\\x80\\xae" },               /* right-to-left override */
		{ "\xe2\x81\xa6", "\\xe2\\x81\\xa6" },               /* isolate */
		{ "\xef\xbb\xbf", "\\xef\\xbb\\xbf" },               /* byte order mark */
		{ "\xf3\xa0\x81\xa1", "\\xf3\\xa0\\x81\\xa1" },      /* a tag */
		{ "\xff\xfe", "\\xff\\xfe" },
		{ "\xc0\xaf", "\\xc0\\xaf" },                        /* overlong */
		{ "\xe0\x80\xaf", "\\xe0\\x80\\xaf" },
		{ "\xed\xa0\x80", "\\xed\\xa0\\x80" },               /* a surrogate */
		{ "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80" },      /* beyond Unicode */
		{ "\x80", "\\x80" },
		{ "\xe2\x82", "\\xe2\\x82" },                        /* cut off */
		{ "\xe2(\xa1", "\\xe2(\\xa1" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++)
		assert_string_equal(shown(cases[i].text), cases[i].want);
}

/* Every byte by itself: printable, or escaped. */
static void test_every_byte(void **state)
{
	char text[2] = "", out[TEXT_ROOM(1)];
	int c, i;

	(void)state;
	for (c = 1; c < 256; c++) {
		text[0] = (char)c;
		text_escape(text, 1, out, sizeof(out));
		assert_int_equal(strlen(out), c >= 0x20 && c < 0x7f ? 1 : 4);
		for (i = 0; out[i]; i++)
			assert_true(out[i] >= 0x20 && out[i] < 0x7f);
	}
}

/* Whatever room there is, what is written ends in it, and no character is cut in two. */
static void test_any_room(void **state)
{
	const char *text = "a\xc3\xa9\x1b\xe6\x97\xa5";
	char out[64];
	size_t room;

	(void)state;
	for (room = 1; room < 20; room++) {
		memset(out, 'X', sizeof(out));
		text_escape(text, strlen(text), out, room);
		assert_true(strlen(out) < room);
		assert_int_equal(out[room], 'X');
		assert_string_equal(shown(out), out);
	}
	text_escape("abc", 2, out, sizeof(out));
	assert_string_equal(out, "ab");
}

static const char *asked(const char *bytes, size_t count)
{
	static char out[QUESTION_TEXT_LEN];
	char name[TF_QUESTION_BYTES] = "";

	memcpy(name, bytes, count);
	return question_format(name, out);
}

#define ASKED(bytes) asked(bytes, sizeof(bytes) - 1)

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(ASKED("\3www\7example\3org\0\0\1\0\1"), "www.example.org");
	assert_string_equal(ASKED("\0\0\1\0\1"), ".");
	assert_string_equal(ASKED("\1a\0"), "a");
	assert_string_equal(ASKED("\3a.b\2\0c\0"), "a\\x2eb.\\x00c");
	assert_string_equal(ASKED("\4\x1b[2J\1e\0"), "\\x1b[2J.e");
	assert_string_equal(ASKED("\2\xff\xfe\0"), "\\xff\\xfe");
	assert_string_equal(ASKED("\6b\xc3\xbc"
				  "che\0"), "b\xc3\xbc"
					    "che");
	assert_string_equal(ASKED("\xc0\x0c"), "...");  /* points elsewhere */
	assert_string_equal(ASKED("\1a\x40"), "a...");  /* no length */
}

/* It may be as long as it likes, and of bytes that each take four: it ends. */
static void test_long_names(void **state)
{
	char name[TF_QUESTION_BYTES], out[QUESTION_TEXT_LEN];
	int length, c;

	(void)state;
	for (length = 1; length < 256; length++) {
		for (c = 0; c < 256; c++) {
			memset(name, c, sizeof(name));
			name[0] = (char)length;
			question_format(name, out);
			assert_true(strlen(out) < sizeof(out));
		}
	}
	memset(name, 'a', sizeof(name));
	name[0] = 63;
	question_format(name, out);
	assert_int_equal(strlen(out), 63 + 3);
	assert_string_equal(out + 63, "...");
}

static void wraps(const char *text, const char *wanted)
{
	char *wrapped = text_wrap(text, 20, 4);

	assert_non_null(wrapped);
	assert_string_equal(wrapped, wanted);
	free(wrapped);
}

static void test_wrapped(void **state)
{
	(void)state;
	wraps("", "");
	wraps("short\n\n  lines\n", "short\n\n  lines\n");
	wraps("12345678901234567890\n", "12345678901234567890\n");
	wraps("1234567890 123456789\n", "1234567890 123456789\n");
	wraps("1234567890 1234567890 1234567890\nx\n", "1234567890\n    1234567890\n    1234567890\nx\n");
	wraps("one two three four five six\n", "one two three four\n    five six\n");
	wraps("a123456789012345678901234567890 b\n", "a123456789012345678901234567890\n    b\n");
	wraps("  ab a123456789012345678901234567890\n", "  ab\n    a123456789012345678901234567890\n");
	/* Neither colours nor the bytes of a character are columns. */
	wraps("\033[1;31m1234567890\033[0m 123456789\n", "\033[1;31m1234567890\033[0m 123456789\n");
	wraps("\xc3\xa9\xc3\xa9\xc3\xa9 7890123456 890\n", "\xc3\xa9\xc3\xa9\xc3\xa9 7890123456 890\n");
	wraps("\033[broken", "\033[broken");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_harmless_stays),
		cmocka_unit_test(test_what_is_not_becomes_bytes),
		cmocka_unit_test(test_every_byte),
		cmocka_unit_test(test_any_room),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_long_names),
		cmocka_unit_test(test_wrapped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
