// SPDX-License-Identifier: GPL-2.0
/* wg(8)'s configuration: what is taken from it, by wg's own rules, and that no error repeats what
 * may be a key. */
#define _GNU_SOURCE /* memmem */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util.h"
#include "wgconf.h"

static char dir[] = "/tmp/tunfence-test-XXXXXX";
static char path[sizeof(dir) + 16];

#define PEER "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg="
#define OTHER "TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0="
#define KEY "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk="

static bool wiped_key; /* what was wiped last held KEY */

/* In the C library's place: sees what is wiped. */
void explicit_bzero(void *s, size_t n)
{
	void *volatile held = s; /* gcc knows that explicit_bzero() does not read */

	wiped_key = memmem(held, n, KEY, strlen(KEY)) != NULL;
	memset(s, 0, n);
}

static int set_up(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/wg0.conf", dir);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(dir);
}

static void write_file(const char *text, size_t size)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, size, f), size);
	assert_int_equal(fclose(f), 0);
}

static int read_text(const char *text, struct wgconf *ret, struct err *e)
{
	write_file(text, strlen(text));
	return wgconf_read(path, ret, e);
}

/* "port mark" and each endpoint with its line, and whose it is. */
static void dump(const struct wgconf *w, char *text, size_t size)
{
	_cleanup_fclose_ FILE *out = fmemopen(text, size, "w");
	char buf[ADDR_TEXT_LEN], key[KEY_TEXT_LEN];

	assert_non_null(out);
	fprintf(out, "%u %#x", w->listen_port, w->mark);
	for (size_t i = 0; i < w->endpoint_count; i++) {
		const struct config_endpoint *p = &w->endpoints[i];

		assert_int_equal(p->protocol, IPPROTO_UDP);
		fprintf(out, " %s@%u",
			p->literal ? addr_port_format(&p->addr, tf_htons(p->port), buf) : p->host,
			p->line);
		if (key_is_set(&p->peer))
			fprintf(out, " of %.8s", key_format(&p->peer, key));
	}
}

static const struct {
	const char *name, *text, *dump;
} good[] = {
	{ "empty", "", "0 0" },
	{ "a usual one",
	  "[Interface]\nPrivateKey = yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=\n"
	  "Address = 10.0.0.2/32\nDNS = 10.0.0.1\nListenPort = 51820\nPostUp = a; b = c\n\n"
	  "[Peer]\nPublicKey = xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=\n"
	  "AllowedIPs = 0.0.0.0/0, ::/0\nEndpoint = 203.0.113.7:51820\nPersistentKeepalive = 25\n",
	  "51820 0 203.0.113.7:51820@11" },
	{ "no newline at the end", "[Peer]\nEndpoint=192.0.2.1:1", "0 0 192.0.2.1:1@2" },
	{ "CRLF", "[Interface]\r\nListenPort=1\r\n[Peer]\r\nEndpoint=192.0.2.1:1\r\n",
	  "1 0 192.0.2.1:1@4" },
	{ "any case", "[INTERFACE]\nlistenport=1\nFWMARK=2\n[peer]\nENDPOINT=192.0.2.1:1\n",
	  "1 0x2 192.0.2.1:1@5" },
	{ "blanks anywhere",
	  " [ Interface ]\n\tListen Port\t=\t1 2\n\v[Peer]\nEndpoint = 192.0.2.1 : 1\f\n",
	  "12 0 192.0.2.1:1@4" },
	{ "comments",
	  "#[Peer]\n[Interface]#x\nListenPort=1#2\n #FwMark=1\n[Peer]\nEndpoint=a:1 # b:2\n",
	  "1 0 a@6" },
	{ "IPv6", "[Peer]\nEndpoint=[2001:db8::1]:51820\n", "0 0 [2001:db8::1]:51820@2" },
	{ "several peers",
	  "[Peer]\nEndpoint=192.0.2.1:1\n[Peer]\nPublicKey=x\n[Peer]\nEndpoint=a.b:2\n",
	  "0 0 192.0.2.1:1@2 a.b@6" },
	{ "same endpoint twice",
	  "[Peer]\nEndpoint=192.0.2.1:1\n[Peer]\nEndpoint=a:1\n[Peer]\nEndpoint=192.0.2.1:1\n"
	  "[Peer]\nEndpoint=A:1\n",
	  "0 0 192.0.2.1:1@2 a@4" },
	{ "last in a peer wins", "[Peer]\nEndpoint=192.0.2.1:1\nEndpoint=192.0.2.2:1\n",
	  "0 0 192.0.2.2:1@3" },
	{ "last in the interface wins",
	  "[Interface]\nListenPort=1\nFwMark=1\nListenPort=2\nFwMark=off\n", "2 0" },
	{ "whose a name is",
	  "[Peer]\nPublicKey = " PEER "\nEndpoint=a:1\n[Peer]\nEndpoint=b:1\n"
	  "PublicKey= " OTHER "\n[Peer]\nEndpoint=c:1\n[Peer]\nPublicKey=x\nEndpoint=d:1\n"
	  "[Peer]\nPresharedKey=" PEER "\nEndpoint=e:1\n[Interface]\nPublicKey=" PEER "\n",
	  "0 0 a@3 of xTIBA5rb b@5 of TrMvSoP4 c@8 d@11 e@14" },
	{ "one name of two peers",
	  "[Peer]\nPublicKey=" PEER "\nEndpoint=a:1\n[Peer]\nPublicKey=" OTHER "\nEndpoint=a:1\n"
	  "[Peer]\nEndpoint=A:1\nPublicKey=" OTHER "\n",
	  "0 0 a@3 of xTIBA5rb a@6 of TrMvSoP4" },
	{ "an address is nobody's",
	  "[Peer]\nPublicKey=" PEER "\nEndpoint=192.0.2.1:1\n[Peer]\nPublicKey=" OTHER
	  "\nEndpoint=192.0.2.1:1\n",
	  "0 0 192.0.2.1:1@3" },
	{ "mark in hexadecimal", "[Interface]\nFwMark=0xCA6C\n", "0 0xca6c" },
	{ "mark off", "[Interface]\nFwMark=OFF\n", "0 0" },
	{ "mark zero", "[Interface]\nFwMark=0\n", "0 0" },
	{ "port zero", "[Interface]\nListenPort=0\n", "0 0" },
	{ "keys of the other section", "[Interface]\nEndpoint=x\n[Peer]\nListenPort=x\nFwMark=x\n",
	  "0 0" },
	{ "unknown section",
	  "[Peer]\nEndpoint=192.0.2.1:1\n[Other]\nEndpoint=192.0.2.2:1\nListenPort=1\n",
	  "0 0 192.0.2.1:1@2" },
	{ "before any section", "Endpoint=192.0.2.1:1\nListenPort=1\n", "0 0" },
};

static void test_good(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		struct err e = { 0 };
		struct wgconf w;
		char said[512] = "";

		if (read_text(good[i].text, &w, &e) < 0)
			print_message("case '%s'\n", good[i].name);
		assert_string_equal(e.text, "");
		dump(&w, said, sizeof(said));
		if (strcmp(said, good[i].dump))
			print_message("case '%s'\n", good[i].name);
		assert_string_equal(said, good[i].dump);
		wgconf_free(&w);
		assert_null(w.endpoints);
	}
}

static const struct {
	const char *name, *text, *error;
} errors[] = {
	{ "neither section nor key", "[Interface]\nsecret-secret\n",
	  ":2: neither a [section] nor KEY = VALUE; wg would refuse it too" },
	{ "port is a name", "[Interface]\n\nListenPort=http\n",
	  ":3: ListenPort 'http' is not a port; write 1 to 65535" },
	{ "port too big", "[Interface]\nListenPort=65536\n",
	  ":2: ListenPort '65536' is not a port; write 1 to 65535" },
	{ "bad mark", "[Interface]\nFwMark=on\n",
	  ":2: 'on' is not a mark; write a number below 2^32, decimal or 0x..." },
	{ "empty mark", "[Interface]\nFwMark=\n",
	  ":2: '' is not a mark; write a number below 2^32, decimal or 0x..." },
	{ "endpoint without port", "[Peer]\nEndpoint=192.0.2.1\n",
	  ":2: '192.0.2.1' is not an endpoint; write HOST:PORT or [IPv6]:PORT" },
	{ "endpoint without brackets", "[Peer]\nEndpoint=2001:db8::1:51820\n",
	  ":2: '2001:db8::1:51820' has too many colons; write an IPv6 endpoint as [ADDRESS]:PORT" },
	{ "endpoint of a relay", "[Peer]\nEndpoint=127.0.0.1:51820\n",
	  ":2: '127.0.0.1' can never be an endpoint: it is this machine itself; name where the "
	  "relay "
	  "on it sends to" },
	{ "error after a good peer", "[Peer]\nEndpoint=192.0.2.1:1\n[Peer]\nEndpoint=x\n",
	  ":4: 'x' is not an endpoint; write HOST:PORT or [IPv6]:PORT" },
	{ "error in the last line", "[Peer]\nEndpoint=192.0.2.1:1\n[Peer]\nx",
	  ":4: neither a [section] nor KEY = VALUE; wg would refuse it too" },
};

static void test_errors(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		struct wgconf w, before;
		struct err e = { 0 };
		int r;

		memset(&before, 0x5a, sizeof(before));
		w = before;
		r = read_text(errors[i].text, &w, &e);
		if (r >= 0)
			print_message("case '%s'\n", errors[i].name);
		assert_int_equal(r, -EINVAL);
		assert_int_equal(e.code, r);
		assert_memory_equal(e.text, path, strlen(path));
		assert_string_equal(e.text + strlen(path), errors[i].error);
		assert_memory_equal(&w, &before, sizeof(w));
		assert_int_equal(wgconf_read(path, &w, NULL), r);
	}
}

/* Whether it succeeds or fails, the buffer that held the key is wiped. */
static void test_wiped(void **state)
{
	struct wgconf w;

	(void)state;
	wiped_key = false;
	assert_int_equal(read_text("[Interface]\nPrivateKey=" KEY "\n", &w, NULL), 0);
	wgconf_free(&w);
	assert_true(wiped_key);
	wiped_key = false;
	assert_int_equal(read_text("[Interface]\nPrivateKey=" KEY "\nx\n", &w, NULL), -EINVAL);
	assert_true(wiped_key);
}

/* A line that cannot be read may be a key that lost its name. */
static void test_key_not_repeated(void **state)
{
	struct wgconf w;
	struct err e;

	(void)state;
	assert_int_equal(read_text("[Interface]\nyAnz5TF\n", &w, &e), -EINVAL);
	assert_null(strstr(e.text, "yAnz"));
}

static void test_nul(void **state)
{
	static const char text[] = "[Peer]\n\0Endpoint=192.0.2.1:1\n";
	char expected[1024];
	struct wgconf w;
	struct err e;

	(void)state;
	write_file(text, sizeof(text) - 1);
	assert_int_equal(wgconf_read(path, &w, &e), -EINVAL);
	snprintf(expected, sizeof(expected), "'%s' has a NUL byte in it; it is not a text file",
		 path);
	assert_string_equal(e.text, expected);
}

static void test_files(void **state)
{
	char expected[1024];
	struct wgconf w;
	struct err e;

	(void)state;
	unlink(path);
	assert_int_equal(wgconf_read(path, &w, &e), -ENOENT);
	snprintf(expected, sizeof(expected), "cannot read '%s': No such file or directory", path);
	assert_string_equal(e.text, expected);
	assert_int_equal(wgconf_read(dir, &w, &e), -EINVAL);
	snprintf(expected, sizeof(expected), "'%s' is not a regular file", dir);
	assert_string_equal(e.text, expected);
	assert_int_equal(wgconf_read("/dev/zero", &w, &e), -EINVAL);

	/* Nobody writes to it: opening it must not wait for that. */
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(wgconf_read(path, &w, &e), -EINVAL);
	unlink(path);
}

static void test_size(void **state)
{
	size_t size = 1024 * 1024;
	_cleanup_free_ char *text = malloc(size + 1);
	char expected[1024];
	struct wgconf w;
	struct err e;

	(void)state;
	assert_non_null(text);
	memset(text, '\n', size + 1);
	memcpy(text + size - 29, "[Peer]\nEndpoint=192.0.2.1:1\n", 28);
	write_file(text, size);
	assert_int_equal(wgconf_read(path, &w, &e), 0);
	assert_int_equal(w.endpoint_count, 1);
	wgconf_free(&w);

	write_file(text, size + 1);
	assert_int_equal(wgconf_read(path, &w, &e), -EFBIG);
	snprintf(expected, sizeof(expected),
		 "'%s' is larger than 1 MiB; no WireGuard configuration is", path);
	assert_string_equal(e.text, expected);
}

static void write_peers(size_t count)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	for (size_t i = 0; i < count; i++)
		fprintf(f, "[Peer]\nEndpoint=192.0.%zu.%zu:51820\n", i / 256, i % 256);
	assert_int_equal(fclose(f), 0);
}

static void test_many_peers(void **state)
{
	char expected[1024];
	struct wgconf w;
	struct err e;

	(void)state;
	write_peers(TF_MAX_ENDPOINTS);
	assert_int_equal(wgconf_read(path, &w, &e), 0);
	assert_int_equal(w.endpoint_count, TF_MAX_ENDPOINTS);
	wgconf_free(&w);

	write_peers(TF_MAX_ENDPOINTS + 1);
	assert_int_equal(wgconf_read(path, &w, &e), -E2BIG);
	snprintf(expected, sizeof(expected), "%s:2050: more than 1024 endpoints; split the tunnel",
		 path);
	assert_string_equal(e.text, expected);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),  cmocka_unit_test(test_errors),
		cmocka_unit_test(test_wiped), cmocka_unit_test(test_key_not_repeated),
		cmocka_unit_test(test_nul),   cmocka_unit_test(test_files),
		cmocka_unit_test(test_size),  cmocka_unit_test(test_many_peers),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
