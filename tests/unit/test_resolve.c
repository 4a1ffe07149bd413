// SPDX-License-Identifier: GPL-2.0
/*
 * resolve.h with a C library of our own, which takes as long as a name says: nobody waits for more
 * than the deadline, several are asked at a time, and who did not resolve says why.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "resolve.h"
#include "util.h"

/* "N.slow.example": after N ms; "never.example"; "fails.example"; "errno.example"; "dies.example". */
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
		struct addrinfo **result)
{
	static struct sockaddr_in in = { .sin_family = AF_INET };
	static struct addrinfo info = { .ai_addr = (struct sockaddr *)&in };

	(void)service, (void)hints;
	if (streq(node, "fails.example"))
		return EAI_AGAIN;
	if (streq(node, "dies.example"))
		abort();
	if (streq(node, "errno.example")) {
		errno = EMFILE;
		return EAI_SYSTEM;
	}
	while (streq(node, "never.example"))
		pause();
	usleep((useconds_t)atoi(node) * 1000);
	in.sin_addr.s_addr = htonl(0xc0000201);
	*result = &info;
	return 0;
}

void freeaddrinfo(struct addrinfo *list)
{
	(void)list;
}

static struct resolve_name name(const char *host)
{
	struct resolve_name n = {};

	strcpy(n.host, host);
	return n;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void each_says_what_became_of_it(void **state)
{
	struct resolve_name names[] = { name("0.slow.example"), name("fails.example"),
					name("errno.example"), name("dies.example") };

	(void)state;
	resolve_by_libc(names, ARRAY_SIZE(names));
	assert_int_equal(names[0].source, RESOLVE_LIBC);
	assert_int_equal(names[0].count, 1);
	assert_int_equal(names[0].addrs[0].byte[12], 192);
	assert_string_equal(names[0].why, "");
	assert_int_equal(names[1].source, RESOLVE_NOTHING);
	assert_string_equal(names[1].why, gai_strerror(EAI_AGAIN));
	assert_string_equal(names[2].why, strerror(EMFILE));
	assert_int_equal(names[3].source, RESOLVE_NOTHING);
	assert_true(names[3].why[0]);
	assert_true(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
}

static void who_has_an_answer_is_not_asked(void **state)
{
	struct resolve_name names[] = { name("never.example"), name("0.slow.example") };

	(void)state;
	names[0].source = RESOLVE_BOOTSTRAP;
	names[1].source = RESOLVE_LAST_GOOD;
	resolve_by_libc(names, 2);
	assert_int_equal(names[0].source, RESOLVE_BOOTSTRAP);
	assert_int_equal(names[1].source, RESOLVE_LIBC);
}

static void many_are_asked_at_a_time(void **state)
{
	struct resolve_name names[24];
	double start = now();
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(names); i++)
		names[i] = name("400.slow.example");
	resolve_by_libc(names, ARRAY_SIZE(names));
	for (i = 0; i < ARRAY_SIZE(names); i++)
		assert_int_equal(names[i].source, RESOLVE_LIBC);
	assert_true(now() - start < 24 * 0.4 / 2);
}

/* Those who answer are not held up by those who do not, as long as there is a place for them. */
static void nobody_is_waited_for_beyond_the_deadline(void **state)
{
	struct resolve_name names[20];
	double start = now();
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(names); i++)
		names[i] = name(i % 3 ? "10.slow.example" : "never.example");
	resolve_by_libc(names, ARRAY_SIZE(names));
	assert_true(now() - start < 15);
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		assert_int_equal(names[i].source, i % 3 ? RESOLVE_LIBC : RESOLVE_NOTHING);
		if (i % 3 == 0)
			assert_string_equal(names[i].why, "no answer");
	}
	assert_true(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_says_what_became_of_it),
		cmocka_unit_test(who_has_an_answer_is_not_asked),
		cmocka_unit_test(many_are_asked_at_a_time),
		cmocka_unit_test(nobody_is_waited_for_beyond_the_deadline),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
