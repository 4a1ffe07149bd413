// SPDX-License-Identifier: GPL-2.0
/*
 * WireGuard's own configuration file. What it says of its peers reads the same when it is written
 * anew, each endpoint is said once, and no error repeats a secret.
 *
 * Coverage is counted of: user/wgconf.c user/key.c
 */
#define _GNU_SOURCE /* memmem, open_memstream */

#include <string.h>
#include <strings.h>

#include "addr.h"
#include "fuzz/fuzz.h"
#include "util.h"
#include "value.h"
#include "wgconf.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	return 0;
}

/* Up to a NUL: no file that has one is read at all. */
static int read_text(const void *text, size_t size, struct wgconf *ret, struct err *e)
{
	_cleanup_free_ char *copy = strndup(text, size);

	FUZZ_EXPECT(copy, "out of memory");
	return wgconf_parse(copy, "wg0.conf", ret, e);
}

/* Of a line "PrivateKey = ..." or "PresharedKey = ..."; NULL: it is none. */
static char *secret_of(char *line)
{
	char *value = strchr(line, '=');
	size_t length;

	line += strspn(line, " \t\r\v\f");
	if (!value ||
	    (strncasecmp(line, "PrivateKey", 10) && strncasecmp(line, "PresharedKey", 12)))
		return NULL;
	value++;
	value += strspn(value, " \t\r\v\f");
	length = strcspn(value, " \t\r\v\f#");
	value[length] = '\0';
	return length >= 16 ? value : NULL;
}

/* What stands in another line as well, by whatever chance, is no secret. */
static void expect_secrets_kept(const uint8_t *data, size_t size, const struct err *e)
{
	_cleanup_free_ char *text = strndup((const char *)data, size);
	char *rest = text, *line, *secret;

	FUZZ_EXPECT(text, "out of memory");
	while ((line = strsep(&rest, "\n"))) {
		const char *first;
		size_t length;

		secret = secret_of(line);
		if (!secret)
			continue;
		length = strlen(secret);
		first = memmem(data, size, secret, length);
		if (first && memmem(first + 1, (size_t)((const char *)data + size - first - 1),
				    secret, length))
			continue;
		FUZZ_EXPECT(!strstr(e->text, secret), "'%s'", e->text);
	}
}

static void expect_each_once(const struct wgconf *w)
{
	for (size_t i = 0; i < w->endpoint_count; i++) {
		const struct config_endpoint *one = &w->endpoints[i];

		FUZZ_EXPECT(one->protocol == IPPROTO_UDP && one->port, "no place to send to");
		FUZZ_EXPECT(strnlen(one->host, sizeof(one->host)) < sizeof(one->host), "no end");
		for (size_t j = 0; j < i; j++)
			FUZZ_EXPECT(!value_endpoint_equal(one, &w->endpoints[j]), "'%s' twice",
				    one->host);
	}
}

static void print_peer(const struct config_endpoint *p, FILE *to)
{
	char key[KEY_TEXT_LEN], text[ADDR_TEXT_LEN];

	fputs("[Peer]\n", to);
	if (key_is_set(&p->peer))
		fprintf(to, "PublicKey = %s\n", key_format(&p->peer, key));
	if (p->literal)
		fprintf(to, "Endpoint = %s\n", addr_port_format(&p->addr, tf_htons(p->port), text));
	else
		fprintf(to, "Endpoint = %s:%u\n", p->host, p->port);
}

static void print(const struct wgconf *w, FILE *to)
{
	fprintf(to, "[Interface]\nListenPort = %u\nFwMark = %#x\n", w->listen_port, w->mark);
	for (size_t i = 0; i < w->endpoint_count; i++)
		print_peer(&w->endpoints[i], to);
}

static void expect_again(const struct wgconf *w)
{
	_cleanup_(wgconf_free) struct wgconf again = {0};
	_cleanup_free_ char *text = NULL;
	struct err e = {};
	size_t size;
	FILE *to = open_memstream(&text, &size);

	FUZZ_EXPECT(to, "out of memory");
	print(w, to);
	fclose(to);
	FUZZ_EXPECT(read_text(text, size, &again, &e) == 0, "%s, in\n%s", e.text, text);
	FUZZ_EXPECT(again.listen_port == w->listen_port && again.mark == w->mark &&
			    again.endpoint_count == w->endpoint_count,
		    "differs, in\n%s", text);
	for (size_t i = 0; i < w->endpoint_count; i++)
		FUZZ_EXPECT(value_endpoint_equal(&w->endpoints[i], &again.endpoints[i]),
			    "peer %zu differs, in\n%s", i, text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(wgconf_free) struct wgconf w = {0};
	struct err e = {};
	int r = read_text(data, size, &w, &e);

	if (r) {
		FUZZ_EXPECT(r < 0 && e.code == r && e.text[0], "%d without words", r);
		FUZZ_EXPECT(!w.endpoints && !w.listen_port && !w.mark, "half a file");
		expect_secrets_kept(data, size, &e);
		return 0;
	}
	expect_each_once(&w);
	expect_again(&w);
	return 0;
}
