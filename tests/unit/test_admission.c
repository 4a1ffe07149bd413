// SPDX-License-Identifier: GPL-2.0
/* admission.h, the asking end: what answers are believed, and what a stranger's or none means. */
#include "admission.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <sys/socket.h>

#include "util.h"

static void test_fenced(void **state)
{
	struct admission a = {};
	struct err e = {};

	(void)state;
	assert_int_equal(admission_parse("fenced 4711 /sys/fs/cgroup/a b", &a, &e), 0);
	assert_false(a.observed);
	assert_int_equal(a.id, 4711);
	assert_string_equal(a.path, "/sys/fs/cgroup/a b");
	assert_int_equal(admission_parse("observed 18446744073709551615 /x", &a, &e), 0);
	assert_true(a.observed);
	assert_false(a.exempt);
	assert_true(a.id == ~0ULL);
	assert_int_equal(admission_parse("exempt 4712 /x", &a, &e), 0);
	assert_true(a.exempt);
	assert_false(a.observed);
}

static void test_refused(void **state)
{
	struct admission a = { .id = 1 };
	struct err e = {};

	(void)state;
	assert_int_equal(admission_parse("error fence 'x' is not up", &a, &e), -EREMOTEIO);
	assert_string_equal(e.text, "fence 'x' is not up");
	assert_int_equal(a.id, 1);
}

static void test_no_answer(void **state)
{
	static const char *const texts[] = {
		"",            "ok",           "fenced",       "fenced 1",   "fenced  1 /x",
		"fenced x /x", "fenced 0 /x",  "fenced -1 /x", "fenced 1 x", "fencedx 1 /x",
		"fenced 1/x",  "fenced 18446744073709551616 /x", "Fenced 1 /x", "errors", "observed /x",
	};
	char text[ADMISSION_MESSAGE] = "fenced 1 /";
	struct admission a = { .id = 1 };
	struct err e = {};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(texts); i++)
		assert_int_equal(admission_parse(texts[i], &a, &e), -EBADMSG);
	memset(text + strlen(text), 'x', PATH_MAX);
	assert_int_equal(admission_parse(text, &a, &e), -EBADMSG);
	assert_int_equal(a.id, 1);
}

static void test_ask(void **state)
{
	struct admission a = {};
	struct err e = {};
	char name[16] = "";
	int ends[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	assert_int_equal(send(ends[1], "fenced 5 /x", 11, 0), 11);
	assert_int_equal(admission_ask(ends[0], "wg0", false, &a, &e), 0);
	assert_int_equal(a.id, 5);
	assert_int_equal(recv(ends[1], name, sizeof(name), 0), 3);
	assert_string_equal(name, "wg0");
	close(ends[1]);
	assert_int_equal(admission_ask(ends[0], "wg0", false, &a, &e), -ECONNRESET);
	assert_non_null(strstr(e.text, "'wg0'"));
	close(ends[0]);
}

/* Who is to be fenced is not told that he is exempt, nor the other way round. */
static void test_another_question(void **state)
{
	struct admission a = { .id = 1 };
	char request[32] = "";
	struct err e = {};
	int ends[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	assert_int_equal(send(ends[1], "exempt 5 /x", 11, 0), 11);
	assert_int_equal(admission_ask(ends[0], "wg0", false, &a, &e), -EBADMSG);
	assert_int_equal(recv(ends[1], request, sizeof(request), 0), 3);
	assert_int_equal(send(ends[1], "fenced 5 /x", 11, 0), 11);
	assert_int_equal(admission_ask(ends[0], "wg0", true, &a, &e), -EBADMSG);
	assert_int_equal(a.id, 1);
	assert_int_equal(recv(ends[1], request, sizeof(request), 0), 10);
	assert_string_equal(request, "exempt wg0");
	assert_int_equal(send(ends[1], "exempt 6 /x", 11, 0), 11);
	assert_int_equal(admission_ask(ends[0], "wg0", true, &a, &e), 0);
	assert_int_equal(a.id, 6);
	close(ends[0]);
	close(ends[1]);
}

/* One who has refused before the name came has answered all the same. */
static void test_refused_at_once(void **state)
{
	struct admission a = {};
	struct err e = {};
	int ends[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	assert_int_equal(send(ends[1], "error no", 8, 0), 8);
	close(ends[1]);
	assert_int_equal(admission_ask(ends[0], "wg0", false, &a, &e), -EREMOTEIO);
	assert_string_equal(e.text, "no");
	close(ends[0]);
}

/* No group has this id. */
static void test_not_there(void **state)
{
	struct admission a = { .id = ~0ULL, .path = "/" };
	struct err e = {};

	(void)state;
	assert_true(admission_check(&a, "wg0", &e) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fenced),    cmocka_unit_test(test_refused),
		cmocka_unit_test(test_no_answer), cmocka_unit_test(test_ask),
		cmocka_unit_test(test_another_question), cmocka_unit_test(test_refused_at_once),
		cmocka_unit_test(test_not_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
