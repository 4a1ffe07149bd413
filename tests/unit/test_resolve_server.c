// SPDX-License-Identifier: GPL-2.0
/*
 * resolve_by_server() and a name server of our own on a loopback address, in an empty network
 * namespace: what counts as an answer, what does not, and that the question stands while it is asked
 * and not a moment longer. What the server says is written here byte by byte.
 */
#define _GNU_SOURCE

#include "resolve.h"

#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include "netlink_message.h"
#include "util.h"

enum { A = 1, CNAME = 5, AAAA = 28, ANY_TYPE = 255 };

/* ---- the server: the first label of a name says what it does ---- */

struct reply {
	__u8 bytes[1024];
	size_t length;
};

static void put(struct reply *m, const void *bytes, size_t count)
{
	memcpy(m->bytes + m->length, bytes, count);
	m->length += count;
}

/* name: in the wire's form, with its last NUL. */
static void record(struct reply *m, const void *name, size_t name_bytes, __u8 type,
		   const void *data, __u8 bytes)
{
	const __u8 fixed[] = { 0, type, 0, 1, 0, 0, 0, 60, 0, bytes };

	put(m, name, name_bytes);
	put(m, fixed, sizeof(fixed));
	put(m, data, bytes);
	m->bytes[7]++;
}

#define ASKED "\xc0\x0c" /* a pointer to the question's name */
#define OF_ASKED(m, type, data) record(m, ASKED, 2, type, data, sizeof(data) - 1)
#define OF(m, name, type, data) record(m, name, sizeof(name), type, data, sizeof(data) - 1)

#define V4 "\xcb\x00\x71\x07"
#define V6 "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07"
#define MAPPED "\0\0\0\0\0\0\0\0\0\0\xff\xff\x09\x09\x09\x09"

static __u8 type_of(const struct reply *m)
{
	return m->bytes[m->length - 3];
}

static bool asks(const struct reply *m, const char *label)
{
	return m->bytes[12] == strlen(label) && memcmp(m->bytes + 13, label, m->bytes[12]) == 0;
}

static void answer_records(struct reply *m)
{
	if (asks(m, "plain") && type_of(m) == A)
		OF_ASKED(m, A, V4);
	else if (asks(m, "plain") || asks(m, "only6"))
		type_of(m) == AAAA ? OF_ASKED(m, AAAA, V6) : (void)0;
	if (asks(m, "chain") && type_of(m) == A) {
		OF_ASKED(m, CNAME, "\3two\7example\0");
		OF(m, "\3two\7example", CNAME, "\5three\7example\0");
		OF(m, "\4nine\7example", A, "\x09\x09\x09\x09");
		OF(m, "\5Three\7example", A, V4);
	}
	if (asks(m, "other"))
		OF(m, "\4nine\7example", A, "\x09\x09\x09\x09");
	if (asks(m, "types")) {
		OF_ASKED(m, 16, "\3txt");
		OF_ASKED(m, A, "\x09\x09\x09");
		OF_ASKED(m, A, V6);
		OF_ASKED(m, AAAA, V4);
		OF_ASKED(m, AAAA, MAPPED);
	}
	if (asks(m, "loop"))
		OF_ASKED(m, CNAME, "\xc0\x0c");
	if (asks(m, "question")) /* of the right name, below a question for another */
		OF(m, "\x08question\7example", A, V4);
	for (__u8 i = 0; asks(m, "many") && i < 40; i++) {
		const __u8 addr[] = { 192, 0, 2, i, 0 };

		record(m, ASKED, 2, A, addr, 4);
	}
}

/* How it is spoilt. False: it is not sent. */
static bool spoil(struct reply *m, int *tries)
{
	if (asks(m, "silent"))
		return false;
	if (asks(m, "number"))
		m->bytes[1]++;
	if (asks(m, "query"))
		m->bytes[2] = 0;
	if (asks(m, "opcode"))
		m->bytes[2] |= 0x28;
	if (asks(m, "nobody"))
		m->bytes[3] = 3;
	if (asks(m, "servfail") || (asks(m, "second") && ++*tries <= 2))
		m->bytes[3] = 2;
	if (asks(m, "question"))
		m->bytes[13]++;
	if (asks(m, "kind"))
		m->bytes[12 + 4 + 1 + 8 + 2] = ANY_TYPE;
	if (asks(m, "cut"))
		m->length -= 5;
	if (asks(m, "short"))
		m->length = 7;
	if (asks(m, "cutoff"))
		m->bytes[2] |= 2; /* TC */
	return true;
}

static void serve(int fd)
{
	int tries = 0;

	for (;;) {
		struct sockaddr_in from;
		socklen_t bytes = sizeof(from);
		struct reply m = {};
		ssize_t n = recvfrom(fd, m.bytes, 512, 0, (struct sockaddr *)&from, &bytes);

		if (n < 17)
			continue;
		m.length = (size_t)n;
		m.bytes[2] |= 0x80;
		if (asks(&m, "two")) {
			put(&m, m.bytes + 12, m.length - 12);
			m.bytes[5]++;
		}
		answer_records(&m);
		/* These are right, but for what is spoilt: were they believed, it would show. */
		if (m.bytes[7] == 0 && type_of(&m) == A && !asks(&m, "nobody") &&
		    !asks(&m, "only6"))
			OF_ASKED(&m, A, V4);
		if (spoil(&m, &tries))
			sendto(fd, m.bytes, m.length, 0, (struct sockaddr *)&from, bytes);
	}
}

/* ---- the fence, which only notes what it is told ---- */

static struct tf_question told;
static int puts_count, drops_count, put_error;
static __u64 told_at;

static int put_question(const struct tf_question *question, const void *data)
{
	struct timespec t;

	(void)data;
	if (!question) {
		drops_count++;
		return 0;
	}
	clock_gettime(CLOCK_MONOTONIC, &t);
	told_at = (__u64)t.tv_sec * 1000000000 + (__u64)t.tv_nsec;
	told = *question;
	puts_count++;
	return put_error;
}

static struct resolve_server server = { .put_question = put_question };
static pid_t server_pid;

static int start_server(void)
{
	struct sockaddr_in here = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000035) };
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	socklen_t bytes = sizeof(here);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	CHILD_CHECK(fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &lo) == 0);
	CHILD_CHECK(bind(fd, (struct sockaddr *)&here, sizeof(here)) == 0);
	CHILD_CHECK(getsockname(fd, (struct sockaddr *)&here, &bytes) == 0);
	tf_addr_set_v4(&server.addr, &here.sin_addr);
	server.port = ntohs(here.sin_port);
	server_pid = fork();
	CHILD_CHECK(server_pid >= 0);
	if (server_pid == 0)
		serve(fd);
	close(fd);
	return 0;
}

static struct resolve_name name(const char *label)
{
	struct resolve_name n = {};

	snprintf(n.host, sizeof(n.host), "%s.example", label);
	return n;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int what_counts(void)
{
	struct resolve_name names[] = { name("plain"), name("only6"), name("chain"), name("many"),
					name("second"), name("cutoff"), name("PLAIN.example") };
	struct tf_addr v4;
	size_t i;

	strcpy(names[6].host, "plain.example.");
	tf_addr_set_v4(&v4, V4);
	resolve_by_server(names, ARRAY_SIZE(names), &server);
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		CHILD_CHECK(names[i].source == RESOLVE_BOOTSTRAP);
		CHILD_CHECK(names[i].why[0] == '\0');
	}
	CHILD_CHECK(names[0].count == 2 && names[6].count == 2 && names[1].count == 1);
	CHILD_CHECK(!tf_addr_is_v4(&names[1].addrs[0]));
	CHILD_CHECK(names[2].count == 1 && tf_addr_equal(&names[2].addrs[0], &v4));
	CHILD_CHECK(names[3].count == RESOLVE_ADDRS);
	CHILD_CHECK(names[4].count == 1 && names[5].count == 1);
	CHILD_CHECK(puts_count == 1 && drops_count == 1);
	return 0;
}

static int what_does_not_count(void)
{
	static const char *const labels[] = { "number", "query", "opcode", "servfail", "question",
					      "kind",   "two",	 "cut",    "short",    "silent" };
	struct resolve_name names[ARRAY_SIZE(labels)];
	double start = now();
	size_t i;

	for (i = 0; i < ARRAY_SIZE(labels); i++)
		names[i] = name(labels[i]);
	resolve_by_server(names, ARRAY_SIZE(names), &server);
	CHILD_CHECK(now() - start > 3.9 && now() - start < 20);
	for (i = 0; i < ARRAY_SIZE(labels); i++) {
		if (names[i].count || names[i].source)
			fprintf(stderr, "'%s' was believed\n", labels[i]);
		CHILD_CHECK(names[i].count == 0 && names[i].source == RESOLVE_NOTHING);
		CHILD_CHECK(strstr(names[i].why, "bootstrap name server: no answer"));
	}
	CHILD_CHECK(puts_count == 1 && drops_count == 1);
	return 0;
}

static int no_address_is_an_answer(void)
{
	struct resolve_name names[] = { name("nobody"), name("other"), name("types"), name("loop") };
	double start = now();
	size_t i;

	resolve_by_server(names, ARRAY_SIZE(names), &server);
	CHILD_CHECK(now() - start < 2); /* nobody is asked twice */
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		CHILD_CHECK(names[i].count == 0 && names[i].source == RESOLVE_NOTHING);
		CHILD_CHECK(strstr(names[i].why, "knows no address"));
	}
	return 0;
}

static int the_question(void)
{
	struct resolve_name n = name("plain");

	resolve_by_server(&n, 1, &server);
	CHILD_CHECK(told.cookie && told.local_port);
	CHILD_CHECK(told.until > told_at && told.until - told_at <= TF_QUESTION_NS);
	resolve_by_server(&n, 1, &server); /* has an answer: nobody is asked */
	CHILD_CHECK(puts_count == 1 && drops_count == 1);
	n = name("plain");
	put_error = -EPERM;
	resolve_by_server(&n, 1, &server);
	CHILD_CHECK(n.source == RESOLVE_NOTHING && strstr(n.why, strerror(EPERM)));
	CHILD_CHECK(puts_count == 2 && drops_count == 2);
	return 0;
}

static int nobody_there(void)
{
	struct resolve_name n = name("plain");
	double start = now();

	tf_addr_set_v4(&server.addr, "\xc6\x33\x64\x35"); /* no route leads there */
	resolve_by_server(&n, 1, &server);
	CHILD_CHECK(n.source == RESOLVE_NOTHING && strstr(n.why, strerror(ENETUNREACH)));
	CHILD_CHECK(now() - start < 2);
	CHILD_CHECK(puts_count == 1 && drops_count == 1);
	return 0;
}

/* Names that would not fit into a message, and more than are asked at a time. */
static int names_too_long_or_many(void)
{
	struct resolve_name *names = calloc(100, sizeof(*names));
	size_t i, resolved = 0;

	CHILD_CHECK(names);
	for (i = 0; i < 100; i++)
		names[i] = name("plain");
	memset(names[0].host, 'a', sizeof(names[0].host) - 1);
	resolve_by_server(names, 100, &server);
	for (i = 0; i < 100; i++)
		resolved += names[i].source == RESOLVE_BOOTSTRAP;
	CHILD_CHECK(names[0].source == RESOLVE_NOTHING && resolved >= 60);
	free(names);
	return 0;
}

static int (*test_inside)(void);

static int with_server(void)
{
	int r = start_server();

	if (!r)
		r = test_inside();
	if (server_pid > 0) {
		kill(server_pid, SIGKILL);
		waitpid(server_pid, NULL, 0);
	}
	return r;
}

static void run(int (*test)(void))
{
	test_inside = test;
	in_new_netns(with_server);
}

#define TEST(name)                                                                                 \
	static void test_##name(void **state)                                                      \
	{                                                                                          \
		(void)state;                                                                       \
		run(name);                                                                         \
	}

TEST(what_counts)
TEST(what_does_not_count)
TEST(no_address_is_an_answer)
TEST(the_question)
TEST(nobody_there)
TEST(names_too_long_or_many)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_counts),
		cmocka_unit_test(test_what_does_not_count),
		cmocka_unit_test(test_no_address_is_an_answer),
		cmocka_unit_test(test_the_question),
		cmocka_unit_test(test_nobody_there),
		cmocka_unit_test(test_names_too_long_or_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
