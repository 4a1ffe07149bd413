// SPDX-License-Identifier: GPL-2.0
/* dbus.h: messages byte by byte as the specification has them; whatever comes is refused or read
 * within its bounds. */
#define _GNU_SOURCE /* memmem */
#include "dbus.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "util.h"

#define LITTLE (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)

static void expect_bytes(const struct dbus_writer *w, const void *wanted, size_t length)
{
	assert_false(w->full);
	assert_int_equal(w->length, length);
	assert_memory_equal(w->data, wanted, length);
}

static void test_values(void **state)
{
	static const char wanted[] = "\x01g\0\0\x03\0\0\0abc\0\x07\0\0\0";
	struct dbus_writer w = {};

	(void)state;
	if (!LITTLE)
		skip();
	dbus_put_signature(&w, "g");
	dbus_put_string(&w, "abc");
	dbus_put_u32(&w, 7);
	expect_bytes(&w, wanted, sizeof(wanted) - 1);
}

/* The padding in front of the first element does not count, also where there is none. */
static void test_arrays(void **state)
{
	static const char none[] = "\0\0\0\0\0\0\0\0";
	static const char one[] = "\x04\0\0\0\x05\0\0\0";
	static const char structs[] = "\x01\0\0\0\x04\0\0\0\x06\0\0\0";
	struct dbus_writer w = {};
	size_t opened;

	(void)state;
	if (!LITTLE)
		skip();
	opened = dbus_open_array(&w, 4);
	dbus_put_u32(&w, 5);
	dbus_close_array(&w, opened, 4);
	expect_bytes(&w, one, sizeof(one) - 1);

	w = (struct dbus_writer){};
	opened = dbus_open_array(&w, 8);
	dbus_close_array(&w, opened, 8);
	expect_bytes(&w, none, sizeof(none) - 1);

	w = (struct dbus_writer){};
	dbus_put_u32(&w, 1);
	opened = dbus_open_array(&w, 8);
	dbus_put_u32(&w, 6);
	dbus_close_array(&w, opened, 8);
	expect_bytes(&w, structs, sizeof(structs) - 1);
}

/* A call without arguments has no signature: an empty one would be taken for a mistake. */
static void test_no_arguments(void **state)
{
	const struct dbus_writer nothing = {};
	struct dbus_message m = {};
	struct dbus_writer w = {};

	(void)state;
	dbus_put_call(&w, &(struct dbus_call){ .serial = 1, .path = "/", .destination = "d",
					       .interface = "i", .member = "m", .signature = "",
					       .body = &nothing });
	assert_int_equal(dbus_message_length(w.data), w.length);
	assert_int_equal(dbus_parse(w.data, w.length, &m), 0);
	assert_string_equal(m.signature, "");
	assert_int_equal(m.body_length, 0);
	assert_null(memmem(w.data, w.length, "\x08\x01g", 3));
}

/* A variant: what it is, then what it says. */
static void test_variant(void **state)
{
	static const char text[] = "\x01s\0\0\x03\0\0\0abc\0", number[] = "\x01u\0\0\x07\0\0\0";
	struct dbus_reader r = { .data = (const unsigned char *)text, .length = sizeof(text) - 1 };
	const char *type = "as it was", *value;
	__u32 seven;

	(void)state;
	if (!LITTLE)
		skip();
	assert_int_equal(dbus_get_signature(&r, &type), 0);
	assert_string_equal(type, "s");
	assert_int_equal(dbus_get_string(&r, &value), 0);
	assert_string_equal(value, "abc");
	r = (struct dbus_reader){ .data = (const unsigned char *)number,
				  .length = sizeof(number) - 1 };
	assert_int_equal(dbus_get_signature(&r, &type), 0);
	assert_string_equal(type, "u");
	assert_int_equal(dbus_get_u32(&r, &seven), 0);
	assert_int_equal(seven, 7);
	assert_int_equal(dbus_get_signature(&r, &type), -EBADMSG);
	assert_string_equal(type, "u");
}

static void test_full(void **state)
{
	char text[sizeof(((struct dbus_writer *)0)->data)];
	struct dbus_writer w = {}, body = {};

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	dbus_put_string(&body, text);
	assert_true(body.full);
	dbus_put_call(&w, &(struct dbus_call){ .path = "/", .destination = "d", .interface = "i",
					       .member = "m", .signature = "s", .body = &body });
	assert_true(w.full);
}

static void make_call(struct dbus_writer *w)
{
	struct dbus_writer body = {};

	dbus_put_string(&body, "a.slice");
	dbus_put_string(&body, "replace");
	dbus_put_call(w, &(struct dbus_call){ .serial = 1, .path = "/org/x", .destination = "org.x",
					      .interface = "org.x.I", .member = "Start",
					      .signature = "ss", .body = &body });
}

static void test_call(void **state)
{
	static const char head[] = "l\x01\0\x01\x18\0\0\0\x01\0\0\0";
	struct dbus_message m = {};
	struct dbus_writer w = {};
	struct dbus_reader r;
	const char *text;

	(void)state;
	make_call(&w);
	if (LITTLE)
		assert_memory_equal(w.data, head, sizeof(head) - 1);
	assert_int_equal(dbus_message_length(w.data), w.length);
	assert_int_equal(dbus_parse(w.data, w.length, &m), 0);
	assert_int_equal(m.type, DBUS_CALL);
	assert_int_equal(m.reply_to, 0);
	assert_string_equal(m.member, "Start");
	assert_string_equal(m.signature, "ss");
	r = (struct dbus_reader){ .data = m.body, .length = m.body_length };
	assert_int_equal(dbus_get_string(&r, &text), 0);
	assert_string_equal(text, "a.slice");
	assert_int_equal(dbus_get_string(&r, &text), 0);
	assert_string_equal(text, "replace");
	assert_int_equal(dbus_get_string(&r, &text), -EBADMSG);
}

/* A signal as systemd sends it: JobRemoved(7, "/j", "u", "done"), with the serial of no call. */
static void test_signal(void **state)
{
	static const char signal[] = "l\x04\x01\x01\x1d\0\0\0\x09\0\0\0\x32\0\0\0"
				     "\x01\x01o\0\x02\0\0\0/o\0\0\0\0\0\0"
				     "\x03\x01s\0\x0a\0\0\0JobRemoved\0\0\0\0\0\0"
				     "\x08\x01g\0\x04uoss\0\0\0\0\0\0\0"
				     "\x07\0\0\0\x02\0\0\0/j\0\0\x01\0\0\0u\0\0\0\x04\0\0\0done\0";
	const unsigned char *data = (const unsigned char *)signal;
	struct dbus_message m = {};
	struct dbus_reader r;
	const char *text;
	__u32 number;

	(void)state;
	if (!LITTLE)
		skip();
	assert_int_equal(dbus_message_length(data), sizeof(signal) - 1);
	assert_int_equal(dbus_parse(data, sizeof(signal) - 1, &m), 0);
	assert_int_equal(m.type, DBUS_SIGNAL);
	assert_string_equal(m.member, "JobRemoved");
	assert_string_equal(m.signature, "uoss");
	r = (struct dbus_reader){ .data = m.body, .length = m.body_length };
	assert_int_equal(dbus_get_u32(&r, &number), 0);
	assert_int_equal(number, 7);
	assert_int_equal(dbus_get_string(&r, &text), 0);
	assert_string_equal(text, "/j");
	assert_int_equal(dbus_get_string(&r, &text), 0);
	assert_string_equal(text, "u");
	assert_int_equal(dbus_get_string(&r, &text), 0);
	assert_string_equal(text, "done");
}

static void test_no_message(void **state)
{
	unsigned char head[DBUS_HEAD];
	struct dbus_writer w = {};

	(void)state;
	make_call(&w);
	memcpy(head, w.data, sizeof(head));
	head[0] = head[0] == 'l' ? 'B' : 'l';
	assert_int_equal(dbus_message_length(head), 0);
	memcpy(head, w.data, sizeof(head));
	head[3] = 2;
	assert_int_equal(dbus_message_length(head), 0);
	memcpy(head, w.data, sizeof(head));
	memset(head + 4, 0xff, 4);
	assert_int_equal(dbus_message_length(head), 0);
	memcpy(head, w.data, sizeof(head));
	memset(head + 12, 0xff, 4);
	assert_int_equal(dbus_message_length(head), 0);
}

/* The sanitizers watch: in a copy of exactly its length, with each byte changed to each of a few. */
static void test_spoiled(void **state)
{
	static const unsigned char values[] = { 0, 1, 4, 8, 16, 's', 'g', 'u', 0x7f, 0x80, 0xff };
	struct dbus_writer w = {};
	size_t i, j, read = 0;

	(void)state;
	make_call(&w);
	for (i = 0; i < w.length; i++) {
		for (j = 0; j < sizeof(values); j++) {
			_cleanup_free_ unsigned char *copy = malloc(w.length);
			struct dbus_message m;
			struct dbus_reader r;
			const char *text;

			assert_non_null(copy);
			memcpy(copy, w.data, w.length);
			copy[i] = values[j];
			if (dbus_parse(copy, w.length, &m))
				continue;
			r = (struct dbus_reader){ .data = m.body, .length = m.body_length };
			while (dbus_get_string(&r, &text) == 0)
				read += strlen(text);
			read += strlen(m.member) + strlen(m.signature);
		}
	}
	assert_true(read > 0);
	for (i = 0; i < w.length; i++) {
		struct dbus_message m;

		assert_int_equal(dbus_parse(w.data, i, &m), -EBADMSG);
	}
}

/* In a copy of exactly its length: no length and no padding leads out of it. */
static void test_too_short(void **state)
{
	static const unsigned char wild[] = { 0xff, 0xff, 0xff, 0xff, 'a', 'b' };
	size_t length, at;

	(void)state;
	for (length = 1; length <= sizeof(wild); length++) {
		_cleanup_free_ unsigned char *copy = malloc(length);

		assert_non_null(copy);
		memcpy(copy, wild, length);
		for (at = 0; at <= length; at++) {
			struct dbus_reader r = { .data = copy, .length = length, .at = at };
			const char *text = "as it was";
			__u32 number;

			assert_int_equal(dbus_get_string(&r, &text), -EBADMSG);
			assert_string_equal(text, "as it was");
			r.at = at;
			assert_int_equal(dbus_get_u32(&r, &number),
					 at == 0 && length >= 4 ? 0 : -EBADMSG);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),     cmocka_unit_test(test_arrays),
		cmocka_unit_test(test_full),       cmocka_unit_test(test_call),
		cmocka_unit_test(test_variant),    cmocka_unit_test(test_no_arguments),
		cmocka_unit_test(test_signal),     cmocka_unit_test(test_no_message),
		cmocka_unit_test(test_spoiled),    cmocka_unit_test(test_too_short),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
