// SPDX-License-Identifier: GPL-2.0
/*
 * tunfence's configuration: what is read, printed and read again is the same, and it compiles in a
 * made-up world or says why not, with an error of one line and no control character. Opens no file:
 * the WireGuard configuration that one may name is this target's.
 *
 * Coverage is counted of: user/config user/value user/compile
 */
#define _GNU_SOURCE /* open_memstream */

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "compile.h"
#include "config.h"
#include "fuzz/config_print.h"
#include "fuzz/fuzz.h"
#include "util.h"
#include "wgconf.h"
#include "world.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	return 0;
}

/* In the place of user/wgconf.c, which has a target of its own: none at an odd path, else a port, a
 * mark and two peers. */
int wgconf_read(const char *path, struct wgconf *ret, struct err *e)
{
	struct config_endpoint *list;

	if (strlen(path) % 2)
		return err_set(e, -ENOENT, "there is no '%s'", path);
	list = calloc(2, sizeof(*list));
	if (!list)
		return err_set(e, -ENOMEM, "out of memory");
	list[0] = (struct config_endpoint){.protocol = IPPROTO_UDP, .port = 51820, .literal = true};
	tf_addr_set_v4(&list[0].addr, "\xcb\x00\x71\x07");
	strcpy(list[0].host, "203.0.113.7");
	list[1] = (struct config_endpoint){
		.protocol = IPPROTO_UDP, .port = 51821, .peer = {.byte = {1}}};
	strcpy(list[1].host, "vpn.example.net");
	*ret = (struct wgconf){
		.listen_port = 51822, .mark = 0xca6c, .endpoints = list, .endpoint_count = 2};
	return 0;
}

void wgconf_free(struct wgconf *w)
{
	free(w->endpoints);
	*w = (struct wgconf){0};
}

static void expect_error(const struct err *e, int r)
{
	FUZZ_EXPECT(r < 0 && e->code == r, "%d is not %d", r, e->code);
	FUZZ_EXPECT(e->text[0], "an error without words");
	for (const char *c = e->text; *c; c++)
		FUZZ_EXPECT(!iscntrl((unsigned char)*c) || *c == '\t', "'%s'", e->text);
}

static int parse(const void *data, size_t size, struct config **ret, struct err *e)
{
	/* One byte at least, or there is nothing to read from. */
	_cleanup_fclose_ FILE *stream = fmemopen((void *)data, size, "r");

	FUZZ_EXPECT(stream, "%s", strerror(errno));
	return config_parse(stream, "fuzz.conf", "fuzz", "/etc/wireguard", ret, e);
}

static void expect_again(const struct config *c)
{
	_cleanup_config_ struct config *again = NULL;
	_cleanup_free_ char *text = NULL;
	struct err e = {};
	size_t size;
	FILE *to = open_memstream(&text, &size);
	const char *what;

	FUZZ_EXPECT(to, "out of memory");
	config_print(c, to);
	fclose(to);
	FUZZ_EXPECT(parse(text, size, &again, &e) == 0, "%s, in\n%s", e.text, text);
	what = config_differ(c, again);
	FUZZ_EXPECT(!what, "%s differs, in\n%s", what, text);
}

static void imagine_groups(size_t count, struct cgroups *groups)
{
	groups->list = calloc(count + 1, sizeof(*groups->list));
	FUZZ_EXPECT(groups->list, "out of memory");
	for (size_t i = 0; i < count; i++)
		groups->list[i] = (struct cgroup){.fd = -1, .id = i + 1, .level = 1};
	groups->count = count;
}

/* As 'check' does. */
static void expect_compiles(const struct config *c)
{
	_cleanup_world_ struct world *w = calloc(1, sizeof(*w));
	_cleanup_policy_ struct policy *policy = NULL;
	struct err e = {};
	int r;

	FUZZ_EXPECT(w, "out of memory");
	w->tunnels = calloc(c->tunnel_count + 1, sizeof(*w->tunnels));
	FUZZ_EXPECT(w->tunnels, "out of memory");
	w->tunnel_count = c->tunnel_count;
	imagine_groups(c->group_count ? c->group_count : 1, &w->groups);
	imagine_groups(c->exempt.any ? c->exempt.group_count + 1 : 0, &w->exempt);
	for (size_t i = 0; i < c->tunnel_count; i++) {
		w->tunnels[i].kind = c->tunnels[i].kind;
		if (!w->tunnels[i].kind.text[0])
			strcpy(w->tunnels[i].kind.text, "wireguard");
	}
	r = compile(c, w, &policy, &e);
	if (r) {
		expect_error(&e, r);
		return;
	}
	FUZZ_EXPECT(policy->rodata.mode == c->mode && policy->rodata.scope == c->scope &&
			    policy->rodata.tunnel_count == c->tunnel_count,
		    "a policy of another configuration");
	FUZZ_EXPECT(policy->prefix_count <= TF_MAX_PREFIXES &&
			    policy->service_count <= TF_MAX_SERVICES &&
			    policy->endpoint_count <= TF_MAX_ENDPOINTS,
		    "more than the maps hold");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_config_ struct config *c = NULL;
	struct err e = {};
	int r;

	if (!size)
		return 0;
	r = parse(data, size, &c, &e);
	if (r) {
		expect_error(&e, r);
		FUZZ_EXPECT(!c, "half a configuration");
		return 0;
	}
	expect_again(c);
	expect_compiles(c);
	return 0;
}
